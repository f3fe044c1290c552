"""Server-sent events: the WHATWG format cut at every byte, limits, and what `client.sse()` does."""

from __future__ import annotations

import time

import pytest

import httpx_fast
from httpx_fast import EventSource, Response, ServerSentEvent, SSEError
from httpx_fast._sse import EventParser

HEADERS = {"content-type": "text/event-stream"}

#: Bytes and the events in them: event, data, id, retry.
CASES = {
    # Those of the WHATWG HTML standard, "Interpreting an event stream".
    "one line": (b"data: This is the first message.\n\n", [("message", "This is the first message.", "", None)]),
    "two lines": (b"data: YHOO\ndata: +2\ndata: 10\n\n", [("message", "YHOO\n+2\n10", "", None)]),
    "names": (
        b"event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n",
        [("add", "73857293", "", None), ("remove", "2153", "", None)],
    ),
    "identity stays and is taken back": (
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n",
        [
            ("message", "first event", "1", None),
            ("message", "second event", "", None),
            ("message", " third event", "", None),
        ],
    ),
    "data without value": (b"data\n\ndata\ndata\n\ndata:", [("message", "", "", None), ("message", "\n", "", None)]),
    "a space is no difference": (b"data:test\n\ndata: test\n\n", [("message", "test", "", None)] * 2),
    # Lines.
    "all line ends": (
        b"data: a\r\ndata: b\rdata: c\n\r\ndata: d\r\rdata: e\n\n",
        [("message", "a\nb\nc", "", None), ("message", "d", "", None), ("message", "e", "", None)],
    ),
    "other separators are none": (
        "data: a\x0bb\x0cc\x1cd\x85e\u2028f\n\n".encode(),
        [("message", "a\x0bb\x0cc\x1cd\x85e\u2028f", "", None)],
    ),
    "mark at the beginning": (b"\xef\xbb\xbfdata: x\n\n", [("message", "x", "", None)]),
    "mark later": (b"data: y\n\n\xef\xbb\xbfdata: x\n\n", [("message", "y", "", None)]),
    "two marks": (b"\xef\xbb\xbf\xef\xbb\xbfdata: x\n\n", []),
    "not ended": (b"data: a\n\ndata: b\n", [("message", "a", "", None)]),
    "empty lines": (b"\n\r\n\n\r\r\ndata: a\n\n\n\n", [("message", "a", "", None)]),
    # Text.
    "utf-8": ("data: 日本 \U0001f600\n\n".encode(), [("message", "日本 \U0001f600", "", None)]),
    "bad utf-8": (b"data: a\xffb\xe6\x97\n\n", [("message", "a\ufffdb\ufffd", "", None)]),
    # Fields.
    "colons in values": (b"data: a: b:c\n\n", [("message", "a: b:c", "", None)]),
    "unknown fields": (b"Data: a\n data: b\nfoo\ndata : c\n\n", []),
    "the last name counts": (
        b"event: a\nevent: b\ndata: x\n\ndata: y\n\n",
        [("b", "x", "", None), ("message", "y", "", None)],
    ),
    "identity with NUL": (
        b"id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n",
        [("message", "a", "1", None), ("message", "b", "1", None)],
    ),
    "identity with another control character": (
        b"id: 1\ndata: a\n\nid: 2\x01\nid: 3\x7f\ndata: b\n\n",
        [("message", "a", "1", None), ("message", "b", "1", None)],
    ),
    "identity with blanks": (b"id: \t a \tb  \ndata: a\n\n", [("message", "a", "a \tb", None)]),
    "retry": (b"retry: 0150\ndata: a\n\ndata: b\n\n", [("message", "a", "", 150), ("message", "b", "", None)]),
    "retry with other signs": (
        b"retry: 1_0\nretry: +1\nretry: 1.5\nretry:  1\nretry:\nretry: \xd9\xa1\ndata: a\n\n",
        [("message", "a", "", None)],
    ),
    "retry without measure": (b"retry: " + b"9" * 5000 + b"\ndata: a\n\n", [("message", "a", "", int("9" * 18))]),
    "no data": (b"event: ping\n\nretry: 5\n\nid: 7\n\ndata: a\n\n", [("message", "a", "7", None)]),
    "empty data": (b"event: ping\ndata\n\n", [("ping", "", "", None)]),
    "comments alone": (b": ping\n\n:\n\n", []),
}


def parsed(raw, cuts, limit=None):
    parser = EventParser(limit)
    events = []
    for start, stop in zip([0, *cuts], [*cuts, len(raw)], strict=True):
        events += parser.feed(raw[start:stop])
    return events


def expected(events):
    return [ServerSentEvent(*each) for each in events]


@pytest.mark.parametrize("name", CASES)
def test_format_whole_byte_by_byte_and_cut_anywhere(name):
    raw, events = CASES[name]
    assert parsed(raw, []) == expected(events)
    assert parsed(raw, range(1, len(raw))) == expected(events)
    for at in range(1, min(len(raw), 100)):
        assert parsed(raw, [at]) == expected(events), raw[:at]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_given_with_its_last_byte(end):
    parser = EventParser()
    assert list(parser.feed(b"data: x" + end)) == []
    assert list(parser.feed(end[:1])) == [ServerSentEvent(data="x")]
    assert list(parser.feed(end[1:] + b"data: y" + end + end)) == [ServerSentEvent(data="y")]


@pytest.mark.parametrize("raw", [b"data: 45\n\n", b"data: 45", b"a\nb\nc\nd\ne\nf\ngh\n\n", b":234567\n\ndata: 45\n\n"])
def test_an_event_may_be_as_large_as_the_limit(raw):
    for cuts in ([], range(1, len(raw))):
        parsed(raw, cuts, limit=8)
        if b":2" not in raw:
            with pytest.raises(SSEError, match=r"^a server-sent event has more than max_event_size=7 bytes$"):
                parsed(raw, cuts, limit=7)


def test_events_before_one_that_is_too_large_are_given():
    given = []
    source = EventSource(Response(200, headers=HEADERS, content=b"data: a\n\ndata: " + b"b" * 100), max_event_size=50)
    with pytest.raises(SSEError, match="max_event_size=50"):
        given.extend(source)
    assert given == [ServerSentEvent(data="a")]


def test_the_time_that_it_takes_is_linear():
    """One byte at a time, for a line that has no end: its square would take minutes."""
    parser = EventParser()
    began = time.perf_counter()
    for _ in range(300_000):
        list(parser.feed(b"x"))
    assert time.perf_counter() - began < 20


def test_what_a_block_without_data_says_counts():
    parser = EventParser()
    assert list(parser.feed(b"id: 4\nretry: 250\n\n")) == []
    assert (parser.last_id, parser.reconnect_after, parser.own_id) == ("4", 250, False)
    (event,) = parser.feed(b"data: a\n\n")
    assert (event.id, parser.own_id) == ("4", True)
    (event,) = parser.feed(b"data: b\n\nid: 5\n")
    assert (event.id, parser.own_id) == ("4", False)
    assert parser.last_id == "4"  # the block of 5 has not ended


def test_json_is_read_from_the_data():
    assert ServerSentEvent(data='{"a": [1]}').json() == {"a": [1]}


@pytest.mark.parametrize(
    ("headers", "seen"),
    [
        ({}, "has no Content-Type"),
        ({"content-type": "text/html"}, r"has Content-Type b'text/html'; expected text/event-stream"),
        ({"content-type": "application/x; a=text/event-stream"}, "has Content-Type"),
    ],
)
def test_other_content_is_refused(headers, seen):
    request = httpx_fast.Request("GET", "http://a.test/")
    source = EventSource(Response(404, headers=headers, content=b"data: x\n\n", request=request))
    with pytest.raises(SSEError, match=rf"^the response \(404\) {seen}") as failure:
        list(source)
    assert failure.value.request is request


@pytest.mark.parametrize("value", ["text/event-stream", "Text/Event-Stream ; charset=latin-1", " text/event-stream"])
def test_spelling_of_the_content_type_is_free_and_its_charset_without_effect(value):
    source = EventSource(Response(200, headers={"content-type": value}, content="data: é\n\n".encode()))
    assert [event.data for event in source] == ["é"]


def stream(dialogue):
    dialogue.read_request()
    dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for raw in (b"data: one\n", b"\ndata: tw", b"o\n\ndata: three\n\n"):
        dialogue.send(b"%x\r\n%s\r\n" % (len(raw), raw))
    dialogue.wait_for_close()


def test_events_come_over_the_wire_and_leaving_closes(backend, peer):
    server = peer(stream)
    seen = []

    async def body():
        async with backend.client(event_hooks={"request": [ask]}) as client:
            if backend.asynchronous:
                async with client.sse(server.url(), headers={"Cache-Control": "max-age=1"}) as source:
                    assert source.response.status_code == 200
                    async for event in source:
                        seen.append(event.data)
                        if event.data == "three":
                            break
            else:
                with client.sse(server.url(), headers={"Cache-Control": "max-age=1"}) as source:
                    for event in source:
                        seen.append(event.data)
                        if event.data == "three":
                            break
            await backend.hear(server.closed[0])

    asked = []

    def ask(request):
        asked.append((request.headers["accept"], request.headers["cache-control"]))

    backend.run(body)
    assert seen == ["one", "two", "three"]
    assert asked == [("text/event-stream", "max-age=1")]


def test_any_method_with_content_asks_for_events():
    def handler(request):
        assert request.method == "POST"
        return Response(200, headers=HEADERS, content=b"data: " + request.content + b"\n\n")

    with (
        httpx_fast.Client(transport=httpx_fast.MockTransport(handler)) as client,
        client.sse("http://a.test/", method="POST", json={"a": 1}) as source,
    ):
        assert [event.json() for event in source] == [{"a": 1}]


def test_httpx2_reads_the_same():
    httpx2 = pytest.importorskip("httpx2")
    for name, (raw, _) in CASES.items():
        # It returns blocks without data, keeps the mark, takes whatever int() takes, holds a CR back, and takes ids
        # that it could not send back.
        if (
            "mark" in name
            or name == "no data"
            or "retry with" in name
            or name in ("identity with another control character", "identity with blanks")
        ):
            continue
        theirs = list(
            httpx2.EventSource(
                httpx2.Response(200, headers=HEADERS, content=raw, request=httpx2.Request("GET", "http://a.test/"))
            )
        )
        ours = list(EventSource(Response(200, headers=HEADERS, content=raw)))
        if "measure" in name:
            continue
        assert [vars(each) for each in ours] == [vars(each) for each in theirs], name
