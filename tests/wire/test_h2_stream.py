"""HTTP/2: requests out and responses in, one stream at a time."""

from __future__ import annotations

from typing import Any

import pytest
from far_end import data, frame

from httpx_fast._exceptions import LocalProtocolError, RemoteProtocolError
from httpx_fast._kernel.h2_constants import MANY_PIECES
from httpx_fast._wire import h2, h2_stream
from httpx_fast._wire.h1 import MAX_INTERIM_SIZE
from httpx_fast._wire.heads import WireHead
from httpx_fast._wire.windows import STREAM_WINDOW

TOO_MUCH = "1 bytes more came than the 3 bytes that Content-Length says"
TOO_LITTLE = "1 bytes less came than the 3 bytes that Content-Length says"


def test_preface_settings_and_window_come_first(talk: Any):
    assert talk.opening == [
        f"SETTINGS 2=0 4={STREAM_WINDOW} 5=262144 6=65536",
        "WINDOW_UPDATE 0 67043329",
        "SETTINGS ack",
    ]
    talk.open()
    assert talk.heard() == ["HEADERS 1 end"]


def test_request_fields_are_those_of_http2(talk: Any):
    fields = [
        (b"X-Thing", b"Value"),
        (b"Connection", b"close, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Keep-Alive", b"1"),
        (b"Proxy-Connection", b"1"),
        (b"Transfer-Encoding", b"chunked"),
        (b"Upgrade", b"h2c"),
        (b"HTTP2-Settings", b""),
        (b"TE", b"trailers, deflate"),
    ]
    talk.open(head=talk.head(b"POST", *fields))
    talk.heard()
    assert talk.far.requests[1] == [
        (b":method", b"POST"),
        (b":scheme", b"https"),
        (b":authority", b"example.org"),
        (b":path", b"/"),
        (b"x-thing", b"Value"),
        (b"te", b"trailers"),
    ]


def test_host_of_the_user_is_the_authority(talk: Any):
    head = WireHead(b"GET", b"http", b"127.0.0.1:8000", b"/x", [(b"HOST", b"other"), (b"TE", b"gzip")])
    talk.open(head=head)
    talk.heard()
    assert talk.far.requests[1] == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"other"),
        (b":path", b"/x"),
    ]


def test_connect_names_neither_scheme_nor_path(talk: Any):
    talk.open(head=WireHead(b"CONNECT", b"https", b"example.org:443", b"example.org:443", []))
    talk.heard()
    assert talk.far.requests[1] == [(b":method", b"CONNECT"), (b":authority", b"example.org:443")]


@pytest.mark.parametrize(
    ("target", "authority"),
    [(b"other.org:22", b"other.org:22"), (b"/", b"host.org"), (b"", b"host.org")],
)
def test_connect_names_where_to_connect_to(talk: Any, target: bytes, authority: bytes):
    talk.open(head=WireHead(b"CONNECT", b"https", b"example.org", target, [(b"Host", b"host.org")]))
    talk.heard()
    assert talk.far.requests[1] == [(b":method", b"CONNECT"), (b":authority", authority)]


@pytest.mark.parametrize(
    ("method", "upgrade", "protocol"),
    [
        (b"GET", b"websocket", b"websocket"),
        (b"GET", b"WebSocket", b"websocket"),
        (b"POST", b"websocket", None),
        (b"GET", b"h2c", None),
    ],
)
def test_what_asks_for_a_websocket_becomes_an_extended_connect(
    talk: Any, method: bytes, upgrade: bytes, protocol: bytes | None
):
    fields = [
        (b"Host", b"example.org"),
        (b"Connection", b"Upgrade, X-Hop"),
        (b"X-Hop", b"1"),
        (b"Upgrade", upgrade),
        (b"Sec-WebSocket-Key", b"key"),
        (b"Sec-WebSocket-Version", b"13"),
    ]
    talk.open(head=WireHead(method, b"wss", b"example.org", b"/chat", fields))
    talk.heard()
    asked = dict(talk.far.requests[1])
    assert asked.get(b":protocol") == protocol
    assert asked[b":method"] == (b"CONNECT" if protocol else method)
    assert (asked[b":scheme"], asked[b":authority"], asked[b":path"]) == (b"https", b"example.org", b"/chat")
    assert (b"sec-websocket-key" in asked) == (protocol is None)
    assert asked[b"sec-websocket-version"] == b"13"
    assert not {b"connection", b"upgrade", b"x-hop"} & asked.keys()


def test_a_repeated_request_is_prepared_once(talk: Any):
    head = talk.head(b"GET", (b"X-Thing", b"Value"))
    assert head.http2 is head.http2
    sizes = []
    for _ in range(3):
        talk.open(head=head)
        sizes.append(len(b"".join(talk.session.outgoing)))
        talk.heard()
    assert sizes[0] > sizes[1] == sizes[2]
    assert talk.far.requests[1] == talk.far.requests[3] == talk.far.requests[5]


def test_a_large_head_is_continued(talk: Any):
    value = bytes(range(33, 127)) * 500
    talk.open(head=talk.head(b"GET", (b"X-Thing", value)))
    raw = b"".join(talk.session.outgoing)
    assert raw[:5] == bytes((0, 64, 0, 1, 1))  # 16384 bytes of HEADERS with END_STREAM and no END_HEADERS
    assert talk.heard() == ["HEADERS 1 end"]
    assert (b"x-thing", value) in talk.far.requests[1]


@pytest.mark.parametrize("field", [(b"a b", b"c"), (b"a", b"b\r\nc: d"), (b"a", b"\0")])
def test_an_unsendable_head_begins_no_stream(talk: Any, field: tuple[bytes, bytes]):
    with pytest.raises(LocalProtocolError, match="field"):
        talk.open(head=talk.head(b"GET", field))
    assert talk.heard() == []
    stream = talk.open()
    assert stream.id == 1
    assert talk.heard() == ["HEADERS 1 end"]


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
def test_a_response_may_be_cut_anywhere(talk: Any, whole: bool):
    head = talk.head()
    raw = b""
    cuts = 0
    while cuts <= len(raw):
        stream = talk.open(whole=whole, head=head)
        talk.far._encoder = type(talk.far._encoder)()
        raw = b"".join(
            (
                talk.far.head(stream.id, [(":status", "103"), ("link", "</a>")]),
                talk.far.head(stream.id, [(":status", "200"), ("content-length", "6"), ("x-a", "b")]),
                data(stream.id, b"abc"),
                frame(0xFA, 0xFF, stream.id, b"unknown"),
                data(stream.id, b"def", padding=3),
                talk.far.head(stream.id, [("x-trailer", "t")], end=True),
            )
        )
        if cuts == len(raw):
            for each in raw:
                talk.say(bytes((each,)))
        else:
            talk.say(raw[:cuts])
            talk.say(raw[cuts:])
        assert stream.ended
        assert stream.take_whole() == b"abcdef"
        assert stream.head is not None
        assert stream.head.status == 200
        assert stream.head.get_all(b"x-a") == [b"b"]
        assert [each.status for each in stream.interim] == [103]
        assert list(stream.trailers) == [(b"x-trailer", b"t")]
        assert stream.told == ["head", "end"]
        assert talk.session.streams == {}
        cuts += 1


def test_a_whole_body_wakes_once_at_its_end(talk: Any):
    stream = talk.open()
    talk.say(talk.far.head(1), data(1, b"a"), data(1, b"b"))
    assert (stream.woken, stream.ready, stream.pending) == (0, False, 0)
    talk.say(data(1, b"c", end=True))
    assert (stream.woken, stream.ready, stream.take_whole()) == (1, True, b"abc")


def test_a_streamed_body_wakes_at_the_head_and_at_each_arrival(talk: Any):
    stream = talk.open(whole=False)
    assert not stream.ready
    talk.say(talk.far.head(1))
    assert (stream.woken, stream.ready) == (1, True)
    talk.say(data(1, b"ab"), data(1, b"c"))
    assert (stream.woken, stream.pending) == (3, 3)
    assert [talk.session.claim(stream) for _ in range(2)] == [b"abc", b""]
    assert stream.pending == 0
    talk.say(data(1, b"", end=True))
    assert (stream.woken, stream.ended) == (4, True)


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_interim_responses_are_bounded_by_their_bytes(talk: Any, over: int):
    stream = talk.open()
    whole, rest = divmod(MAX_INTERIM_SIZE + over, 16384)
    sizes = [*([16384] * (whole - 1)), 8192, 8192 + rest]
    for number, size in enumerate(sizes):
        talk.say(talk.far.head(1, [(":status", "102"), ("link", "x" * (size - 42 - 36))]))
        if over > 0 and number == len(sizes) - 1:
            assert str(stream.error) == (
                "interim responses of more than 262144 bytes, the most that is read; the last one is 102"
            )
            assert talk.heard()[-1] == "RST_STREAM 1 11"
            return
    talk.say(talk.far.head(1, end=True))
    assert (stream.ended, len(stream.interim)) == (True, len(sizes))
    assert sum(section.size for section in stream.interim) == MAX_INTERIM_SIZE + over


def test_many_small_interim_responses_are_fine(talk: Any):
    stream = talk.open()
    for _ in range(100):
        talk.say(*(talk.far.head(1, [(":status", "102")]) for _ in range(10)))
    talk.say(talk.far.head(1, end=True))
    assert (stream.ended, len(stream.interim)) == (True, 1000)


def test_blanks_around_values_are_dropped(talk: Any):
    stream = talk.open()
    talk.say(talk.far.head(1, [(":status", "200"), ("content-length", " 3\t"), ("a", "\t b c "), ("c", "  ")]))
    talk.say(data(1, b"abc"), talk.far.head(1, [("checksum", " 1 ")], True))
    assert stream.ended
    assert stream.head.fields() == [(b"content-length", b"3"), (b"a", b"b c"), (b"c", b"")]
    assert (stream.take_whole(), stream.trailers) == (b"abc", [(b"checksum", b"1")])


@pytest.mark.parametrize(
    ("method", "status", "length", "ends"),
    [(b"HEAD", "200", "5", True), (b"GET", "304", "5", True), (b"GET", "204", "5", True), (b"GET", "200", "0", True)],
)
def test_responses_without_content_need_no_bytes(talk: Any, method: bytes, status: str, length: str, ends: bool):
    stream = talk.open(method)
    talk.respond(stream, fields=[("content-length", length)], status=status)
    assert stream.ended is ends


def test_repeated_equal_lengths_are_one(talk: Any):
    stream = talk.open()
    talk.respond(stream, b"abc", fields=[("content-length", "3"), ("content-length", "3, 3")])
    assert stream.take_whole() == b"abc"


HEAD = [(":status", "200")]


@pytest.mark.parametrize(
    ("method", "frames", "error"),
    [
        (b"GET", [([*HEAD, ("X-Up", "a")], False)], "a field name has upper-case letters"),
        (b"GET", [([*HEAD, ("a b", "a")], False)], "a field name is no token"),
        (b"GET", [([*HEAD, ("a", "b\r\nc")], False)], "a field value has NUL, CR or LF"),
        (b"GET", [([*HEAD, ("connection", "close")], False)], "a field belongs to HTTP/1 connections"),
        (b"GET", [([*HEAD, ("transfer-encoding", "chunked")], False)], "a field belongs to HTTP/1 connections"),
        (b"GET", [([("a", "b"), *HEAD], False)], "a pseudo field stands after a regular one"),
        (b"GET", [([*HEAD, *HEAD], False)], "a pseudo field stands there twice"),
        (b"GET", [([*HEAD, (":path", "/")], False)], "a pseudo field is none of a response"),
        (b"GET", [([(":status", "20")], False)], "expected a status from 100 to 999"),
        (b"GET", [([("a", "b")], False)], "a response has no status"),
        (b"GET", [([(":status", "101")], False)], "101 came, which HTTP/2 does not have"),
        (b"GET", [([(":status", "103")], True)], "the interim response 103 ends the stream"),
        (b"GET", [(HEAD, False), ([("a", "b")], False)], "a trailer section does not end the stream"),
        (b"GET", [(HEAD, False), ([(":status", "200")], True)], "a trailer section has a pseudo field"),
        (b"GET", [(HEAD, False), ([("a", "\0")], True)], "a field value has NUL, CR or LF"),
        (b"GET", [b"abc"], "DATA came before a final response's head"),
        (b"GET", [b""], "the stream ended without a final response"),
        (b"GET", [([*HEAD, ("content-length", "3")], False), b"abcd"], TOO_MUCH),
        (b"GET", [([*HEAD, ("content-length", "3")], False), b"ab"], TOO_LITTLE),
        (b"GET", [([*HEAD, ("content-length", "3")], True)], "3 bytes less came than the 3 bytes"),
        (b"GET", [([*HEAD, ("content-length", "x")], False)], "Content-Length b'x' is not one number"),
        (b"GET", [([*HEAD, ("content-length", "3"), ("content-length", "4")], False)], "is not one number"),
        (b"HEAD", [(HEAD, False), b"a"], "DATA came in a response that has no content"),
        (b"GET", [([(":status", "304"), ("content-length", "1")], False), b"a"], "DATA came in a response that has no"),
    ],
)
def test_a_malformed_message_costs_its_stream_only(talk: Any, method: bytes, frames: list[Any], error: str):
    sibling, stream = talk.open(), talk.open(method, whole=False)
    talk.heard()
    for each in frames:
        talk.say(data(3, each, end=True) if isinstance(each, bytes) else talk.far.head(3, each[0], each[1]))
    assert stream.state == h2_stream.FAILED
    assert type(stream.error) is RemoteProtocolError
    assert error in str(stream.error)
    assert talk.heard() == ["RST_STREAM 3 1"]
    talk.respond(sibling, b"ok")
    assert sibling.take_whole() == b"ok"
    assert talk.session.broken is None


def test_a_field_section_above_the_limit_costs_its_stream_only(talk: Any):
    sibling, stream = talk.open(), talk.open()
    talk.heard()
    talk.respond(stream, fields=[("a", "b" * 40000), ("c", "d" * 40000)])
    assert "a field section of 80108 bytes is above the limit of 65536" in str(stream.error)
    assert talk.heard() == ["RST_STREAM 3 11"]
    talk.respond(sibling, fields=[("a", "b" * 40000)])
    assert sibling.ended


def test_many_small_frames_take_little_memory(talk: Any):
    stream = talk.open(whole=False)
    talk.say(talk.far.head(1), *(data(1, bytes((number % 256,))) for number in range(10_000)))
    assert len(stream.chunks) < 10_000 / MANY_PIECES + MANY_PIECES
    pieces = []
    while piece := talk.session.claim(stream):
        pieces.append(piece)
    assert b"".join(pieces) == bytes(number % 256 for number in range(10_000))
    talk.say(data(1, b"x" * 100), data(1, b"y" * 1000), *(data(1, b"z") for _ in range(600)))
    assert stream.take_whole() == b"x" * 100 + b"y" * 1000 + b"z" * 600


@pytest.mark.parametrize(("more", "first"), [(-1, 2), (0, 2), (1, 1)])
def test_what_came_together_is_claimed_together_up_to_a_limit(
    talk: Any, monkeypatch: pytest.MonkeyPatch, more: int, first: int
):
    monkeypatch.setattr(h2, "MAX_CLAIM", 10)
    stream = talk.open(whole=False)
    pieces = [b"a" * 5, b"b" * (5 + more)]
    talk.say(talk.far.head(1), *(data(1, piece) for piece in pieces))
    assert talk.session.claim(stream) == b"".join(pieces[:first])
    assert talk.session.claim(stream) == b"".join(pieces[first:])
