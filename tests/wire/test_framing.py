"""What a request's own fields announce; how responses are framed is in tests/vectors/responses.md."""

from __future__ import annotations

import pytest

from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._wire.events import RequestHead
from httpx_fast._wire.framing import CHUNKED, request_framing


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], None),
        ([(b"Host", b"a")], None),
        ([(b"Content-Length", b"0")], 0),
        ([(b"CONTENT-LENGTH", b"12")], 12),
        ([(b"Content-Length", b"12"), (b"content-length", b"12")], 12),
        ([(b"Transfer-Encoding", b"chunked")], CHUNKED),
        ([(b"transfer-encoding", b" Chunked")], CHUNKED),
        ([(b"Content-Lengths", b"x")], None),
    ],
)
def test_announced_body(fields: list[tuple[bytes, bytes]], expected: int | None) -> None:
    head = RequestHead(b"POST", b"http", b"a", b"/", fields)
    assert head.framing == expected
    assert head.framing == request_framing(fields)


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ([(b"Content-Length", b"x")], "Content-Length b'x'; expected one decimal number"),
        ([(b"Content-Length", b"-1")], "Content-Length b'-1'"),
        ([(b"Content-Length", b"")], "Content-Length b''"),
        ([(b"Content-Length", b"1"), (b"Content-Length", b"2")], "Content-Length b'2'"),
        ([(b"Transfer-Encoding", b"gzip")], "Transfer-Encoding b'gzip'; only 'chunked' can be sent"),
        ([(b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"1")], "both Content-Length and Transfer-Encoding"),
    ],
)
def test_ambiguous_announcement_is_refused(fields: list[tuple[bytes, bytes]], error: str) -> None:
    with pytest.raises(LocalProtocolError, match=error):
        request_framing(fields)


def test_head_is_serialised_once() -> None:
    head = RequestHead(b"GET", b"http", b"a", b"/x", [(b"Host", b"a")])
    assert head.http1 == b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
    assert head.http1 is head.http1


@pytest.mark.parametrize("field", [(b"A\n", b"b"), (b"A", b"b\r\nC: d"), (b"A", b"\0")])
def test_unsendable_head_is_refused_each_time(field: tuple[bytes, bytes]) -> None:
    head = RequestHead(b"GET", b"http", b"a", b"/x", [field])
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=r"field.* b'A(\\n)?'"):
            _ = head.http1
