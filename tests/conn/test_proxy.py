"""The exchange with a proxy over a stream that plays a script: what is said, and what its answers come to."""

from __future__ import annotations

import re
from typing import Any

import pytest

from httpx_fast._conn.options import ProxyHop
from httpx_fast._conn.proxy import tunnel
from httpx_fast._drive import drive
from httpx_fast._exceptions import ConnectError, ConnectTimeout, ProxyError, ReadError, WriteError
from httpx_fast._wire.socks import Unreachable

HTTP = ProxyHop("http", "proxy.test", 3128, fields=((b"Proxy-Authorization", b"Basic dTpw"), (b"X-Own", b"1")))
SOCKS5 = ProxyHop("socks5h", "proxy.test", 1080, login=(b"u", b"p"))
SOCKS4A = ProxyHop("socks4a", "proxy.test", 1080)

#: Its answers, each to be given when it was asked.
LEAVE = {
    HTTP: [b"HTTP/1.1 200 OK\r\nDate: now\r\n\r\n"],
    SOCKS5: [b"\x05\x02", b"\x01\x00", b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"],
    SOCKS4A: [b"\x00\x5a\x00\x00\x00\x00\x00\x00"],
}
SAID = {
    HTTP: b"CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\nProxy-Authorization: Basic dTpw\r\nX-Own: 1\r\n\r\n",
    SOCKS5: b"\x05\x02\x00\x02\x01\x01u\x01p\x05\x01\x00\x03\x06a.test\x01\xbb",
    SOCKS4A: b"\x04\x01\x01\xbb\x00\x00\x00\x01\x00a.test\x00",
}


def ask(stream: Any, hop: ProxyHop, host: str = "a.test") -> None:
    drive(tunnel(stream, hop, host, 443))


@pytest.mark.parametrize("hop", LEAVE, ids=str)
def test_leave_is_understood_wherever_it_is_cut(scripted: Any, hop: ProxyHop) -> None:
    *earlier, last = LEAVE[hop]
    for cut in range(1, len(last)):
        stream = scripted([*earlier, last[:cut], last[cut:]])
        ask(stream, hop)
        assert b"".join(stream.sent) == SAID[hop]
        assert not stream.closed
    stream = scripted([bytes((byte,)) for byte in b"".join(LEAVE[hop])])
    ask(stream, hop)
    assert stream.script == []


@pytest.mark.parametrize("hop", LEAVE, ids=str)
def test_bytes_behind_the_leave_are_refused(scripted: Any, hop: ProxyHop) -> None:
    with pytest.raises(ProxyError, match=r"to a\.test:443: it sent more than its answer: b'220 hello'"):
        ask(scripted([*LEAVE[hop][:-1], LEAVE[hop][-1] + b"220 hello"]), hop)


@pytest.mark.parametrize("hop", LEAVE, ids=str)
@pytest.mark.parametrize("heard", [0, 1])
def test_end_within_the_answer_is_a_connect_error(scripted: Any, hop: ProxyHop, heard: int) -> None:
    script = [*LEAVE[hop][:-1], LEAVE[hop][-1][:heard], None] if heard else [None]
    with pytest.raises(ConnectError, match=rf"the proxy {hop} broke off when it was asked for a\.test:443: closed"):
        ask(scripted(script), hop)


@pytest.mark.parametrize("hop", LEAVE, ids=str)
def test_fault_of_the_network_is_a_connect_error(scripted: Any, hop: ProxyHop) -> None:
    with pytest.raises(ConnectError, match=r"broke off .*: reset") as caught:
        ask(scripted([ReadError("reset")]), hop)
    assert isinstance(caught.value.__cause__, ReadError)
    deaf = scripted([])
    deaf.refuses_after = 0
    with pytest.raises(ConnectError, match=r"broke off .*: the peer took no more") as caught:
        ask(deaf, hop)
    assert isinstance(caught.value.__cause__, WriteError)


def test_refusal_that_lies_there_when_a_proxy_cannot_be_asked_is_told(scripted: Any) -> None:
    stream = scripted([b"HTTP/1.1 403 Not You\r\nContent-Length: 0\r\n\r\n"])
    stream.refuses_after = 0
    with pytest.raises(ProxyError, match="403 Not You"):
        ask(stream, HTTP)
    stream = scripted([b"\x05\xff"])
    stream.refuses_after = 0
    with pytest.raises(ProxyError, match=r"does not connect to a\.test:443"):
        ask(stream, SOCKS5)


@pytest.mark.parametrize("hop", LEAVE, ids=str)
def test_timeout_says_who_was_asked_for_what(scripted: Any, hop: ProxyHop) -> None:
    with pytest.raises(ConnectTimeout, match=rf"^too late, when the proxy {hop} was asked for a\.test:443$"):
        ask(scripted([ConnectTimeout("too late")]), hop)


@pytest.mark.parametrize(("host", "there"), [("::1", "[::1]:443"), ("127.0.0.1", "127.0.0.1:443")])
def test_authority_form_has_brackets_around_ipv6(scripted: Any, host: str, there: str) -> None:
    stream = scripted([*LEAVE[HTTP]])
    ask(stream, HTTP, host)
    assert stream.sent[0].startswith(f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n".encode())


@pytest.mark.parametrize("hop", [HTTP, ProxyHop("http", "::1", 3128)], ids=str)
@pytest.mark.parametrize("asks", [b"Proxy-Authenticate: Basic\r\nproxy-authenticate: Negotiate\r\n", b""])
def test_407_says_whether_credentials_were_missing_or_wrong(scripted: Any, hop: ProxyHop, asks: bytes) -> None:
    stream = scripted([b"HTTP/1.1 407 Log In\r\n" + asks + b"Content-Length: 3\r\n\r\nno!"])
    why = "it does not accept the credentials" if hop.fields else "it wants credentials and none are set"
    tail = " (Proxy-Authenticate: b'Basic, Negotiate')" if asks else ""
    with pytest.raises(ProxyError, match=re.escape(f"to a.test:443: 407 Log In, {why}{tail}") + "$"):
        ask(stream, hop)


def test_reason_that_is_no_ascii_is_shown_as_such(scripted: Any) -> None:
    with pytest.raises(ProxyError, match=r"to a\.test:443: 503 d\ufffd\ufffdsol\ufffd\ufffd$"):
        ask(scripted(["HTTP/1.1 503 désolé\r\n\r\n".encode()]), HTTP)


def test_head_that_never_ends_is_refused(scripted: Any) -> None:
    flood = [b"HTTP/1.1 200 OK\r\n"] + [b"X-Field: " + b"x" * 8192 + b"\r\n"] * 20
    told = r"was asked for a\.test:443, its answer cannot be read: the head has not ended after 102400 bytes, the most"
    with pytest.raises(ProxyError, match=told):
        ask(scripted(flood), HTTP)


def test_socks_reply_about_the_address_stays_one_that_others_may_follow(scripted: Any) -> None:
    with pytest.raises(Unreachable, match=rf"the proxy {SOCKS5} does not connect to a\.test:443: host unreachable"):
        ask(scripted([b"\x05\x00", b"\x05\x04"]), SOCKS5)
