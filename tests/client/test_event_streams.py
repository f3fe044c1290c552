"""Event streams that survive: nothing is lost or repeated when a connection is cut, and silence is noticed."""

from __future__ import annotations

import contextlib
import re
import threading
from typing import Any

import pytest
from peers import Dialogue

import httpx_fast
from httpx_fast import Reconnect
from httpx_fast.testing import FaultLab, Hold, Http2, Read, Send, frames

PATIENCE = 30
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
AT_ONCE = Reconnect(backoff=0, final="end")
EVENTS = [(b"1", b"one"), (b"2", "zwei \u2603".encode()), (b"3", b"drei\ndata: more"), (b"4", b"end")]
DATA = ["one", "zwei \u2603", "drei\nmore", "end"]


def block(name: bytes, data: bytes) -> bytes:
    return b"id: " + name + b"\nevent: step\ndata: " + data + b"\n\n"


def chunk(raw: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(raw), raw)


async def collect(backend, client, url, stop=None, **options):
    """Return the events of a stream, at most `stop`."""
    events = []
    async with contextlib.AsyncExitStack() as stack:
        if backend.asynchronous:
            source = await stack.enter_async_context(client.sse(url, **options))
            async for event in source:
                events.append(event)
                if len(events) == stop:
                    break
        else:
            source = stack.enter_context(client.sse(url, **options))
            for event in source:
                events.append(event)
                if len(events) == stop:
                    break
    return events


class Server:
    """Answers with the events after Last-Event-ID, or all of them again; `cuts` are the sizes of the first answers."""

    def __init__(self, *cuts: int, heeds: bool = True, end: bytes = b"") -> None:
        self.cuts = list(cuts)
        self.heeds = heeds
        self.end = end
        self.asked: list[bytes] = []
        self.requests: list[bytes] = []

    def __call__(self, dialogue: Dialogue) -> None:
        request = dialogue.read_request()
        if not request:
            return
        self.requests.append(request)
        found = re.search(rb"\r\nLast-Event-ID: (.*?)\r\n", request, re.IGNORECASE)
        last = found[1] if found else b""
        self.asked.append(last)
        names = [name for name, _ in EVENTS]
        start = names.index(last) + 1 if last and self.heeds else 0
        raw = HEAD + b"".join(chunk(block(*event)) for event in EVENTS[start:])
        cut = self.cuts.pop(0) if self.cuts else len(raw)
        dialogue.send(raw[:cut])
        if cut == len(raw) and not self.end:
            dialogue.wait_for_close()
        elif cut == len(raw):
            dialogue.send(self.end)
            self(dialogue)


def client_of(backend, **options: Any):
    return backend.client(timeout=PATIENCE, trust_env=False, **options)


@pytest.mark.parametrize("heeds", [True, False], ids=["server goes on", "server begins again"])
def test_each_event_comes_once_wherever_the_connection_is_cut(backend, peer, heeds):
    size = len(HEAD) + sum(len(chunk(block(*event))) for event in EVENTS)
    cuts = range(len(HEAD), size)
    server = Server(heeds=heeds)
    at = peer(server)

    async def body():
        async with client_of(backend) as client:
            for cut in cuts:
                server.cuts, server.asked = [cut], []
                events = await collect(backend, client, at.url(), reconnect=AT_ONCE)
                assert [event.data for event in events] == DATA, cut
                whole = [name for name, data in EVENTS if HEAD and server.asked[-1] == name]
                assert server.asked[0] == b""
                assert (server.asked[1:] == []) or server.asked[1] in (b"", *whole), cut

    backend.run(body)


def test_stream_that_is_cut_again_and_again_makes_progress(backend, peer):
    """The bound is for connections in a row without an event."""
    first = len(HEAD) + len(chunk(block(*EVENTS[0])))
    second = len(HEAD) + len(chunk(block(*EVENTS[1])))
    server = Server(first, len(HEAD), second, 0, len(HEAD))
    at = peer(server)

    async def body():
        async with client_of(backend) as client:
            rule = Reconnect(backoff=0, attempts=3, final="end")
            events = await collect(backend, client, at.url(), reconnect=rule)
            assert [event.data for event in events] == DATA
            assert [event.id for event in events] == ["1", "2", "3", "4"]

    backend.run(body)
    assert server.asked == [b"", b"1", b"1", b"2", b"2", b"2"]


def test_connections_without_an_event_are_counted(backend, peer):
    server = Server(*[len(HEAD)] * 9)
    at = peer(server)

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError) as caught:
                await collect(backend, client, at.url(), reconnect=Reconnect(backoff=0, attempts=3))
            assert caught.value.__notes__[-1] == (
                "The stream of events was not requested again: 3 connections in a row brought no event."
            )
            assert caught.value.request.url == at.url()

    backend.run(body)
    assert len(server.asked) == 4


def test_without_reconnect_a_cut_is_an_error(backend, peer):
    at = peer(Server(len(HEAD) + 10))

    async def body():
        async with client_of(backend) as client:
            for options in ({}, {"reconnect": False}, {"stall_timeout": PATIENCE}):
                with pytest.raises(httpx_fast.RemoteProtocolError):
                    await collect(backend, client, at.url(), **options)

    def cut(dialogue):
        dialogue.read_request()
        dialogue.send(HEAD + b"5\r\ndata")

    at = peer(cut)
    backend.run(body)


@pytest.mark.parametrize(("method", "rule", "connections"), [
    ("GET", Reconnect(backoff=0, attempts=2), 5),
    ("POST", Reconnect(backoff=0), 1),
    ("POST", Reconnect(backoff=0, attempts=2, at_end=True), 5),
    ("GET", Reconnect(backoff=0, at_end=False), 1),
    ("GET", Reconnect(backoff=0, final="end"), 1),
])  # fmt: skip
def test_stream_that_ends_properly_is_requested_again_where_that_is_meant(backend, peer, method, rule, connections):
    """The answer to a POST is over then; a server that has nothing more to say costs `attempts` connections."""
    server = Server(end=b"0\r\n\r\n")
    at = peer(server)

    async def body():
        async with client_of(backend) as client:
            content = b"question" if method == "POST" else None
            events = await collect(backend, client, at.url(), method=method, content=content, reconnect=rule)
            assert [event.data for event in events] == DATA

    backend.run(body)
    # All events are known after the first one, so further connections bring none.
    assert len(server.asked) == (connections if connections == 1 else 1 + rule.attempts)
    if method == "POST":
        assert all(request.endswith(b"question") for request in server.requests)


def test_body_that_can_be_read_once_is_not_sent_twice(backend, peer):
    server = Server(len(HEAD) + len(chunk(block(*EVENTS[0]))))
    at = peer(server)

    def question():
        yield b"ques"
        yield b"tion"

    async def aquestion():
        for piece in question():
            yield piece

    async def body():
        async with client_of(backend) as client:
            content = aquestion() if backend.asynchronous else question()
            headers = {"Content-Length": "8"}
            with pytest.raises(httpx_fast.RemoteProtocolError) as caught:
                await collect(
                    backend, client, at.url(), method="POST", content=content, headers=headers, reconnect=AT_ONCE
                )
            assert "its body can be read only once" in caught.value.__notes__[-1]

    backend.run(body)
    assert len(server.requests) == 1


def answering(*answers: bytes):
    """Answer the n-th request with the n-th answer, and close."""
    left = list(answers)

    def script(dialogue):
        if dialogue.read_request():
            dialogue.send(left.pop(0))

    return script


CUT = HEAD + chunk(b"id: 7\ndata: a\n\n")
LAST = HEAD + chunk(b"data: end\n\n") + b"0\r\n\r\n"


def empty(status: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n" + fields + b"\r\n"


def test_answers_that_pass_are_waited_for_and_204_ends_the_stream(backend, peer):
    at = peer(answering(CUT, empty(b"503 Busy"), empty(b"429 Slow"), CUT, empty(b"204 No Content")))

    async def body():
        async with client_of(backend) as client:
            events = await collect(backend, client, at.url(), reconnect=AT_ONCE)
            assert [event.data for event in events] == ["a"]  # the second "a" has the id of the first

    backend.run(body)
    assert at.accepted == 5


@pytest.mark.parametrize("answer", [empty(b"404 Gone"), b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n"])
def test_what_the_server_refuses_for_good_is_an_error(backend, peer, answer):
    at = peer(answering(CUT, answer))

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(httpx_fast.SSEError, match="expected text/event-stream"):
                await collect(backend, client, at.url(), reconnect=AT_ONCE)

    backend.run(body)


def test_pauses_are_those_that_the_server_asks_for_and_grow(backend, peer, monkeypatch):
    retry = HEAD + chunk(b"retry: 1500\n\n")
    busy = empty(b"503 Busy", b"Retry-After: 20\r\n")
    long = HEAD + chunk(b"retry: 99000\ndata: b\n\n")
    at = peer(answering(CUT, retry, retry, busy, long, LAST))
    pauses = []

    async def body():
        async with client_of(backend) as client:
            client_inside = getattr(client, "blocking", client)
            client_inside._retry_by(None)

            async def pause(request, seconds, closings, earlier):
                pauses.append(seconds)

            monkeypatch.setattr(client_inside._retrier, "pause", pause)
            rule = Reconnect(backoff=0, backoff_max=10, retry_max=60, final="end")
            events = await collect(backend, client, at.url(), reconnect=rule)
            assert [event.data for event in events] == ["a", "b", "end"]

    backend.run(body)
    assert pauses == [3.0, 6.0, 20.0, 60.0]


def test_closing_the_client_ends_a_pause(backend, peer):
    at = peer(answering(HEAD + chunk(b"retry: 30000\ndata: a\n\n")))
    pauses = threading.Event()

    async def body():
        client = client_of(backend)
        inside = getattr(client, "blocking", client)
        inside._retry_by(None)
        pause = inside._retrier.pause

        def noted(*arguments):
            pauses.set()
            return pause(*arguments)

        inside._retrier.pause = noted

        async def reading():
            with pytest.raises(httpx_fast.ClientClosed, match="waited to be sent again"):
                await collect(backend, client, at.url(), reconnect=Reconnect(backoff=0, retry_max=PATIENCE))

        async def closing():
            await backend.hear(pauses)
            await client.aclose()

        await backend.together(reading, closing)

    backend.run(body)


def chattering(raw: bytes):
    """Send `raw` again and again, so that the connection is never silent."""

    def script(dialogue: Dialogue) -> None:
        dialogue.read_request()
        dialogue.send(HEAD + chunk(b"id: 1\ndata: first\n\n"))
        while not dialogue._ended.wait(0.02):
            dialogue.send(chunk(raw))

    return script


@pytest.mark.parametrize("raw", [b": comment\n\n", b"event: ping\ndata: {}\n\n", b"id: 5\n\n"])
def test_what_keeps_a_connection_alive_is_no_progress(backend, peer, raw):
    at = peer(chattering(raw))

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(
                httpx_fast.EventTimeout, match=r"no event came from .* of stall_timeout=0\.3 s"
            ) as caught:
                await collect(backend, client, at.url(), stall_timeout=0.3)
            error = caught.value
            assert (error.limit, error.budget) == ("event", 0.3)
            assert 0.3 <= error.elapsed < PATIENCE
            assert isinstance(error, httpx_fast.ReadTimeout)

    backend.run(body)


def test_pings_can_be_named(backend, peer):
    at = peer(chattering(b"event: beat\ndata: 1\n\n"))

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(httpx_fast.EventTimeout):
                await collect(backend, client, at.url(), stall_timeout=0.3, pings=["beat"])
            events = await collect(backend, client, at.url(), stop=30, stall_timeout=3)
            assert len(events) == 30

    backend.run(body)


def silent(dialogue: Dialogue) -> None:
    dialogue.read_request()
    dialogue.send(HEAD + chunk(b"id: 1\ndata: first\n\n"))
    dialogue.hold()


def test_silence_is_noticed_and_another_connection_goes_on(backend, peer):
    server = Server()
    at = peer(silent, server)

    async def body():
        async with client_of(backend) as client:
            events = await collect(backend, client, at.url(), reconnect=AT_ONCE, stall_timeout=0.6)
            assert [event.data for event in events] == ["first", *DATA[1:]]

    backend.run(body)
    assert server.asked == [b"1"]


def test_total_is_for_all_connections_together(backend, peer):
    at = peer(silent)

    async def body():
        timeout = httpx_fast.Timeout(PATIENCE, total=1.5)
        async with client_of(backend) as client:
            # Which phase uses up the last of it depends on how busy the machine is.
            with pytest.raises(httpx_fast.TimeoutException, match="total timed out"):
                await collect(
                    backend, client, at.url(), reconnect=Reconnect(backoff=0), stall_timeout=0.2, timeout=timeout
                )

    backend.run(body)
    assert 2 <= at.accepted <= 8


def test_time_of_the_reader_is_not_counted(backend, peer):
    at = peer(Server())

    async def body():
        now = [100.0]
        async with client_of(backend) as client:
            inside = getattr(client, "blocking", client)
            response = await client.send(client.build_request("GET", at.url()), stream=True)
            from httpx_fast._client import event_streams as module

            io = (module.AsyncIo if backend.asynchronous else module.BlockingIo)(inside, None, False)
            raw = getattr(response, "blocking", response)
            source = module.LastingEventSource(
                raw, io, None, None, 5.0, frozenset(), clock=lambda: now[0], chance=lambda: 0.0
            )
            for expected in DATA:
                assert (await source.next_event()).data == expected
                now[0] += 60
            await source.close()

    backend.run(body)


def test_a_slow_reader_has_the_whole_stall_timeout_ahead_when_it_reads_on(backend, peer):
    late = threading.Event()

    def script(dialogue: Dialogue) -> None:
        dialogue.read_request()
        dialogue.send(HEAD + chunk(b"data: first\n\n"))
        dialogue._ended.wait(1.5)  # longer than the stall timer runs
        late.set()
        dialogue._ended.wait(0.2)
        dialogue.send(chunk(b"data: end\n\n"))
        dialogue.wait_for_close()

    at = peer(script)

    async def body():
        seen = []
        async with client_of(backend) as client:
            if backend.asynchronous:
                async with client.sse(at.url(), stall_timeout=1) as source:
                    async for event in source:
                        seen.append(event.data)
                        await backend.hear(late)
                        if len(seen) == 2:
                            break
            else:
                with client.sse(at.url(), stall_timeout=1) as source:
                    for event in source:
                        seen.append(event.data)
                        assert late.wait(PATIENCE)
                        if len(seen) == 2:
                            break
        assert seen == ["first", "end"]

    backend.run(body)


def test_a_stream_of_http2_is_noticed_to_stall(backend):
    with FaultLab() as lab:
        head = frames.headers(1, (":status", "200"), ("content-type", "text/event-stream"))
        lab.serve(Http2(), Read(), Send(head + frames.data(1, b"data: a\n\n")), Hold())

        async def body():
            async with backend.client(http2=True, http1=False, timeout=PATIENCE, trust_env=False) as client:
                with pytest.raises(httpx_fast.EventTimeout):
                    await collect(backend, client, lab.url("/"), stall_timeout=0.2)
                return client

        backend.run(body)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"reconnect": 3}, TypeError, "expected True, False or a Reconnect as reconnect, got 3"),
        (
            {"stall_timeout": 0},
            ValueError,
            "expected more than 0 seconds as stall_timeout, got 0",
        ),
        ({"stall_timeout": "1"}, TypeError, "expected seconds as stall_timeout, got '1'"),
        ({"stall_timeout": 1, "pings": "ping"}, TypeError, "expected names of events as pings, got 'ping'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_sent(options, kind, message):
    def handler(request):
        raise AssertionError("nothing is sent")

    client = httpx_fast.Client(transport=httpx_fast.MockTransport(handler))
    with client, pytest.raises(kind, match=re.escape(message)), client.sse("http://a.test/", **options):
        pass


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"attempts": 0}, ValueError, "expected 1 or more, or None for no limit, as attempts, got 0"),
        ({"attempts": True}, TypeError, "expected a count, or None for no limit, as attempts, got True"),
        ({"backoff": -1}, ValueError, "expected 0 or more seconds as backoff, got -1"),
        ({"final": b"[DONE]"}, TypeError, r"expected the data of an event or None as final, got b'[DONE]'"),
    ],
)
def test_wrong_rules_are_refused(options, kind, message):
    with pytest.raises(kind, match=re.escape(message)):
        Reconnect(**options)


def test_other_transports_serve_streams_that_last():
    answers = [b"id: 1\ndata: a\n\nid: 2\nda", b"id: 2\ndata: end\n\n"]

    def handler(request):
        asked.append(request.headers.get("last-event-id"))
        return httpx_fast.Response(200, headers={"Content-Type": "text/event-stream"}, content=answers.pop(0))

    asked: list[str | None] = []
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(handler))
    with client, client.sse("http://a.test/", reconnect=AT_ONCE, stall_timeout=5) as source:
        assert [event.data for event in source] == ["a", "end"]
        assert source.response.request.headers["last-event-id"] == "1"
    assert asked == [None, "1"]
