"""SOCKS handshakes, byte by byte as RFC 1928, RFC 1929 and SOCKS4a write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import pytest

from httpx_fast._exceptions import ProxyError
from httpx_fast._wire.socks import Handshake, Socks4a, Socks5, Unreachable

LOGIN = (b"user", b"secret")
GRANTED = b"\x05\x00\x00\x01\x7f\x00\x00\x01\x04\x38"
NAME = b"\x05\x01\x00\x03\x0bexample.org\x01\xbb"


def play(handshake: Handshake, answers: Iterable[bytes]) -> list[bytes]:
    """What is said after each of the answers."""
    return [handshake.feed(answer) for answer in answers]


def test_without_login_one_way_is_offered_and_the_request_follows() -> None:
    handshake = Socks5("example.org", 443, None)
    assert handshake.hello == b"\x05\x01\x00"
    assert play(handshake, [b"\x05\x00", GRANTED]) == [NAME, b""]
    assert handshake.done


def test_login_is_sent_where_the_proxy_wants_it() -> None:
    handshake = Socks5("example.org", 443, LOGIN)
    assert handshake.hello == b"\x05\x02\x00\x02"
    assert play(handshake, [b"\x05\x02", b"\x01\x00", GRANTED]) == [b"\x01\x04user\x06secret", NAME, b""]
    assert handshake.done


def test_login_stays_here_where_the_proxy_does_not_want_it() -> None:
    handshake = Socks5("example.org", 443, LOGIN)
    assert play(handshake, [b"\x05\x00", GRANTED]) == [NAME, b""]


@pytest.mark.parametrize(
    ("host", "place"),
    [
        ("127.0.0.1", b"\x01\x7f\x00\x00\x01"),
        ("::1", b"\x04" + bytes(15) + b"\x01"),
        ("fe80::1%eth0", b"\x04\xfe\x80" + bytes(13) + b"\x01"),
        ("a" * 255, b"\x03\xff" + b"a" * 255),
    ],
)
def test_host_is_sent_as_the_kind_of_address_that_it_is(host: str, place: bytes) -> None:
    handshake = Socks5(host, 80, None)
    assert handshake.feed(b"\x05\x00") == b"\x05\x01\x00" + place + b"\x00\x50"


@pytest.mark.parametrize("make", [lambda host: Socks5(host, 80, None), lambda host: Socks4a(host, 80, b"")])
def test_name_that_no_length_byte_can_tell_is_refused(make: type[Handshake]) -> None:
    with pytest.raises(ProxyError, match="the name has 256 bytes, SOCKS can carry 255"):
        make("a" * 256)


@pytest.mark.parametrize(
    "bound",
    [b"\x01\x7f\x00\x00\x01\x04\x38", b"\x03\x04host\x04\x38", b"\x03\x00\x04\x38", b"\x04" + bytes(16) + b"\x04\x38"],
)
@pytest.mark.parametrize("at_once", [True, False])
def test_handshake_ends_behind_the_bound_address_however_it_arrives(bound: bytes, at_once: bool) -> None:
    handshake = Socks5("example.org", 443, LOGIN)
    said = b""
    for answer in (b"\x05\x02", b"\x01\x00", b"\x05\x00\x00" + bound):
        for piece in [answer] if at_once else [bytes((byte,)) for byte in answer]:
            assert not handshake.done
            said += handshake.feed(piece)
    assert handshake.done
    assert said == b"\x01\x04user\x06secret" + NAME


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ([b"HTTP/1.1 400 Bad Request\r\n"], "what it says is no SOCKS5: b'HTTP/1.1 400 Bad Request\\r\\n'"),
        ([b"\x05\xff"], "it wants neither no login nor one by user name and password"),
        ([b"\x05\x01"], "it chose a way of login that was not offered (1)"),
        ([b"\x05\x02", b"\x01\x01"], "it does not accept user name and password (status 1)"),
        ([b"\x05\x00", b"\x04\x5a"], "what it answers is no SOCKS5: b'\\x04Z'"),
        ([b"\x05\x00", b"\x05\x02"], "not allowed by its rules (reply 2)"),
        ([b"\x05\x00", b"\x05\x07"], "it does not know the command (reply 7)"),
        ([b"\x05\x00", b"\x05\x63"], "unknown reason (reply 99)"),
        ([b"\x05\x00", b"\x05\x00\x00\x02\x00"], "it answers with an address of an unknown kind (2)"),
        ([b"\x05\x00" + GRANTED], "it answers before it is asked: b'\\x05\\x00\\x00\\x01\\x7f\\x00\\x00\\x01\\x048'"),
        ([b"\x05\x02\x01\x00"], "it answers before it is asked: b'\\x01\\x00'"),
        ([b"\x05\x00", GRANTED + b"220 hello"], "it sent more than its answer: b'220 hello'"),
        ([b"\x05\x00", GRANTED, b"!"], "it sent more than its answer: b'!'"),
    ],
)
def test_refusal_says_why(answers: list[bytes], why: str) -> None:
    handshake = Socks5("example.org", 443, LOGIN)
    *earlier, last = answers
    play(handshake, earlier)
    with pytest.raises(ProxyError, match=f"^{re.escape(why)}$") as caught:
        handshake.feed(last)
    assert not isinstance(caught.value, Unreachable)


@pytest.mark.parametrize("answer", [b"\x05\xff", b"\x05\x02"])
def test_login_that_was_not_set_is_not_made_up(answer: bytes) -> None:
    with pytest.raises(ProxyError, match=r"it wants a login, and none is set|was not offered"):
        Socks5("example.org", 443, None).feed(answer)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (1, "general failure"),
        (3, "network unreachable"),
        (4, "host unreachable"),
        (5, "connection refused"),
        (6, "TTL expired"),
        (8, "it does not know this kind of address"),
    ],
)
def test_reply_about_the_address_leaves_others_to_be_tried(reply: int, why: str) -> None:
    handshake = Socks5("127.0.0.1", 443, None)
    handshake.feed(b"\x05\x00")
    with pytest.raises(Unreachable, match=rf"^{why} \(reply {reply}\)$"):
        handshake.feed(bytes((5, reply)))


@pytest.mark.parametrize(
    ("host", "hello"),
    [
        ("example.org", b"\x04\x01\x01\xbb\x00\x00\x00\x01user\x00example.org\x00"),
        ("127.0.0.1", b"\x04\x01\x01\xbb\x7f\x00\x00\x01user\x00"),
        ("::1", b"\x04\x01\x01\xbb\x00\x00\x00\x01user\x00::1\x00"),
        ("fe80::1%eth0", b"\x04\x01\x01\xbb\x00\x00\x00\x01user\x00fe80::1\x00"),
    ],
)
@pytest.mark.parametrize("size", [1, 8])
def test_socks4a_sends_a_name_behind_an_address_that_cannot_be(host: str, hello: bytes, size: int) -> None:
    handshake = Socks4a(host, 443, b"user")
    assert handshake.hello == hello
    answer = b"\x00\x5a" + bytes(6)
    for start in range(0, 8, size):
        assert not handshake.done
        assert handshake.feed(answer[start : start + size]) == b""
    assert handshake.done


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"\x00\x5b", "rejected or failed (reply 91)"),
        (b"\x00\x5c", "it cannot ask for the user's identity (reply 92)"),
        (b"\x00\x5d", "the user's identity does not match (reply 93)"),
        (b"\x00\x01", "unknown reason (reply 1)"),
        (b"\x05\xff", "what it answers is no SOCKS4: b'\\x05\\xff'"),
        (b"\x00\x5a" + bytes(6) + b"x", "it sent more than its answer: b'x'"),
    ],
)
def test_socks4a_refusal_says_why(answer: bytes, why: str) -> None:
    with pytest.raises(ProxyError, match=f"^{re.escape(why)}$"):
        Socks4a("example.org", 443, b"").feed(answer)
