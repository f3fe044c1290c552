"""What a request's own fields announce; how responses are framed is in tests/vectors/responses.md."""

from __future__ import annotations

import pytest

from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._wire.framing import CHUNKED, decimal, request_framing
from httpx_fast._wire.heads import WireHead


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], None),
        ([(b"Hosts", b"a"), (b"Ghost", b"a"), (b"Most", b"a")], None),
        ([(b"Content-Length", b"0")], 0),
        ([(b"CONTENT-LENGTH", b"12")], 12),
        ([(b"Content-Length", b"0" * 5000 + b"12")], 12),
        ([(b"Content-Length", b"0" * 5000)], 0),
        ([(b"Content-Length", b"9223372036854775807")], 2**63 - 1),
        ([(b"Transfer-Encoding", b"chunked")], CHUNKED),
        ([(b"transfer-encoding", b" Chunked")], CHUNKED),
        ([(b"Content-Lengths", b"x")], None),
    ],
)
def test_announced_body(fields: list[tuple[bytes, bytes]], expected: int | None) -> None:
    fields = [(b"HOST", b""), *fields]
    head = WireHead(b"POST", b"http", b"a", b"/", fields)
    assert head.framing == expected
    assert head.framing == request_framing(fields)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([(b"Content-Length", b"x")], "Content-Length b'x'; expected one decimal number"),
        ([(b"Content-Length", b"-1")], "Content-Length b'-1'"),
        ([(b"Content-Length", b"")], "Content-Length b''"),
        ([(b"Content-Length", b"+1")], r"Content-Length b'\+1'"),
        ([(b"Content-Length", b"1 ")], "Content-Length b'1 '"),
        ([(b"Content-Length", b"1_0")], "Content-Length b'1_0'"),
        ([(b"Content-Length", b"0x1")], "Content-Length b'0x1'"),
        ([(b"Content-Length", b"1, 1")], "Content-Length b'1, 1'"),
        ([(b"Content-Length", b"\xb2")], "Content-Length b'.xb2'"),
        ([(b"Content-Length", "\u0663".encode())], "expected one decimal number"),
        ([(b"Content-Length", b"9223372036854775808")], "expected one decimal number below 2"),
        ([(b"Content-Length", b"1" * 5000)], "Content-Length b'1{64}'...; expected one decimal number"),
        ([(b"Content-Length", b"1"), (b"Content-Length", b"2")], "Content-Length is set more than once"),
        ([(b"Content-Length", b"1"), (b"content-length", b"1")], "Content-Length is set more than once"),
        ([(b"Transfer-Encoding", b"gzip")], "Transfer-Encoding b'gzip'; only 'chunked' can be sent"),
        ([(b"Transfer-Encoding", b"chunked, chunked")], "only 'chunked' can be sent"),
        ([(b"Transfer-Encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "set more than once"),
        ([(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"1")], "both Content-Length and Transfer-Encoding"),
    ],
)
def test_ambiguous_announcement_is_refused(fields: list[tuple[bytes, bytes]], error: str) -> None:
    with pytest.raises(LocalProtocolError, match=error):
        request_framing([(b"Host", b"a"), *fields])


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([], "the request has no Host fields; expected one"),
        ([(b"Hos", b"a")], "the request has no Host fields"),
        ([(b"Host", b"a"), (b"Host", b"b")], "the request has 2 Host fields; expected one"),
        ([(b"Host", b"a"), (b"HOST", b"a"), (b"host", b"a")], "the request has 3 Host fields; expected one"),
    ],
)
def test_host_is_there_exactly_once(fields: list[tuple[bytes, bytes]], error: str) -> None:
    head = WireHead(b"GET", b"http", b"a", b"/", fields)
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=error):
            _ = head.framing


@pytest.mark.parametrize(
    ("value", "number"),
    [(b"0", 0), (b"007", 7), (b"1" * 5000, None), (b"", None), (b"-1", None), (b"1e3", None), (b"1\n", None)],
)
def test_decimal_takes_digits_and_nothing_else(value: bytes, number: int | None) -> None:
    assert decimal(value) == number


def test_head_is_serialised_once() -> None:
    head = WireHead(b"GET", b"http", b"a", b"/x", [(b"Host", b"a")])
    assert head.http1 == b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    assert head.http1 is head.http1


@pytest.mark.parametrize("field", [(b"A\n", b"b"), (b"A", b"b\r\nC: d"), (b"A", b"\0")])
def test_unsendable_head_is_refused_each_time(field: tuple[bytes, bytes]) -> None:
    head = WireHead(b"GET", b"http", b"a", b"/x", [field])
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=r"field.* b'A(\\n)?'"):
            _ = head.http1
