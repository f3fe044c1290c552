from __future__ import annotations

import pytest

from httpx_fast._wire import h2_head
from httpx_fast._wire.h2_head import http2_fields

HOST = (b"Host", b"example.org")


def fields(*lines: tuple[bytes, bytes], method: bytes = b"GET", scheme: bytes = b"https", target: bytes = b"/a?b"):
    return http2_fields(method, scheme, b"origin.example", target, [HOST, *lines])


def test_pseudo_fields_come_first_and_names_are_in_lower_case():
    assert fields((b"X-Name", b"Value"), (b"accept", b"*/*")) == (
        (b":method", b"GET"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/a?b"),
        (b"x-name", b"Value"),
        (b"accept", b"*/*"),
    )


def test_without_host_the_authority_is_that_of_the_origin():
    sent = dict(http2_fields(b"GET", b"http", b"origin.example", b"/", []))
    assert sent == {b":method": b"GET", b":scheme": b"http", b":authority": b"origin.example", b":path": b"/"}


def test_fields_of_an_http1_connection_are_dropped():
    lines = [
        (b"Connection", b"close, X-Hop"),
        (b"Keep-Alive", b"timeout=5"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b"AAA"),
        (b"x-hop", b"dropped"),
        (b"x-end", b"kept"),
    ]
    assert fields(*lines)[4:] == ((b"x-end", b"kept"),)


@pytest.mark.parametrize(
    ("value", "sent"),
    [(b"gzip, Trailers", [(b"te", b"trailers")]), (b"trailers", [(b"te", b"trailers")]), (b"gzip", [])],
)
def test_te_says_trailers_or_is_dropped(value: bytes, sent: list[tuple[bytes, bytes]]):
    assert list(fields((b"TE", value))[4:]) == sent


def test_connect_has_neither_scheme_nor_path():
    sent = fields(method=b"CONNECT", target=b"target.example:443")
    assert sent == ((b":method", b"CONNECT"), (b":authority", b"target.example:443"))


def test_a_websocket_becomes_an_extended_connect():
    lines = [
        (b"Connection", b"Upgrade"),
        (b"Upgrade", b"WebSocket"),
        (b"Sec-WebSocket-Key", b"x"),
        (b"Sec-WebSocket-Version", b"13"),
    ]
    assert fields(*lines, scheme=b"wss") == (
        (b":method", b"CONNECT"),
        (b":protocol", b"websocket"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/a?b"),
        (b"sec-websocket-version", b"13"),
    )


@pytest.mark.parametrize("method", [b"GET", b"POST", b"CONNECT"])
@pytest.mark.parametrize("value", [None, b"keep-alive", b"close", b"Keep-Alive", b"keep-alive, x-a"])
@pytest.mark.parametrize("line", [(b"X-A", b"1"), (b"TE", b"gzip"), (b"Upgrade", b"h2c"), (b"Keep-Alive", b"5")])
def test_short_way_gives_what_the_long_way_gives(monkeypatch, method, value, line):
    lines = [(b"HOST", b"a.test"), line, *([] if value is None else [(b"Connection", value)])]
    given = (method, b"wss", b"b.test", b"/c", lines)
    short = http2_fields(*given)
    monkeypatch.setattr(h2_head, "lower_lines", lambda *_: None)
    assert http2_fields(*given) == short
