"""How the pool gets along with peers of HTTP/2 that take few streams, want HTTP/1.1, go away or fall silent."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading

import pytest
from far_end import Server, goaway, reset, settings
from peers import OK, PATIENCE, always
from servers import JSON_BODY, Nghttpd, Unavailable

import httpx_fast
from httpx_fast._conn import http2_liveness
from httpx_fast._wire.windows import CONNECTION_WINDOW

REFUSED, HTTP_1_1_REQUIRED = 7, 13
MAX_STREAMS = 3  # the setting


@pytest.fixture
def trusted(authority, monkeypatch):
    """Contexts of the client's own trust the servers of the tests."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))


@pytest.fixture
def tls(authority):
    context = authority.server_context("127.0.0.1")
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


class Counting:
    """A script that takes `limit` streams at once and refuses what is above; `full` is told when so many are open."""

    def __init__(self, limit, full=lambda: None, said=None):
        self.limit = limit
        self.said = limit if said is None else said
        self.full = full
        self.refused = 0
        self.answered = itertools.count(1)
        self.served = 0

    def __call__(self, dialogue):
        server = Server(dialogue.connection, (MAX_STREAMS, self.said))
        taken = set()
        waiting = []
        filled = self.said != self.limit
        while data := dialogue.connection.recv(1 << 20):
            server.hear(data)
            for stream_id in server.requests.keys() - taken:
                taken.add(stream_id)
                if len(waiting) < self.limit:
                    waiting.append(stream_id)
                else:
                    self.refused += 1
                    server.say(reset(stream_id, REFUSED))
            if len(waiting) == self.limit and not filled:
                filled = True
                self.full()
            if filled:
                for stream_id in waiting:
                    self.served = next(self.answered)
                    server.respond(stream_id)
                waiting.clear()


def test_a_burst_does_not_overrun_a_peer_that_takes_few_streams(backend, peer, tls, trusted):
    """Three connections have 30 of 90 each before the first is answered."""
    counting = Counting(30, threading.Barrier(3, timeout=PATIENCE).wait)
    at = peer(counting, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:

            async def one():
                return (await client.get(at.url())).journey

            journeys = await backend.together(*[one] * 90)
            assert not any(journey.attempts for journey in journeys)
            assert sorted({journey.stream_id for journey in journeys}) == list(range(1, 61, 2))
            assert [(info.streams, info.max_streams) for info in client.pool.connections()] == [(0, 30)] * 3

    backend.run(body)
    assert (counting.refused, counting.served, at.accepted) == (0, 90, 3)


def test_no_more_connections_are_made_than_the_limits_allow(backend, peer, tls, trusted):
    counting = Counting(10, threading.Barrier(2, timeout=PATIENCE).wait)
    at = peer(counting, tls=tls)
    limits = httpx_fast.Limits(max_connections=2)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE, limits=limits) as client:

            async def one():
                assert (await client.get(at.url())).text == "ok"

            await backend.together(*[one] * 100)

    backend.run(body)
    assert (counting.refused, counting.served, at.accepted) == (0, 100, 2)


@pytest.mark.parametrize("connections", [1, 3])
def test_a_peer_that_takes_fewer_than_it_says_is_given_no_more(backend, peer, tls, trusted, connections):
    """It says 100, and refuses what is above 5: no request fails, though many are refused at first.

    Each may be refused once by each connection, and some again while the first refusals are on their way.
    """
    counting = Counting(5, said=100)
    at = peer(counting, tls=tls)
    limits = httpx_fast.Limits(max_connections=connections)
    most = 200 * (connections + 1)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE, limits=limits) as client:

            async def one():
                response = await client.post(at.url(), content=b"once")
                assert response.text == "ok"
                return len(response.journey.attempts)

            refused = sum(await backend.together(*[one] * 200))
            assert refused <= most, refused
            stats = client.pool.stats()
            assert (stats.leased, stats.waiting, stats.draining) == (0, 0, 0)

    backend.run(body)
    assert counting.served == 200
    assert counting.refused <= most


def test_the_next_connection_knows_what_the_peer_takes(backend, peer, tls, trusted):
    """All of a burst goes out at once then, though the peer has not spoken."""

    def mute_at_first(dialogue):
        server = Server.__new__(Server)  # says no settings
        super(Server, server).__init__()
        server.connection, server.lines = dialogue.connection, []
        server.until(*(f"HEADERS {number} end" for number in range(1, 41, 2)))
        server.say(settings((MAX_STREAMS, 20)))
        for number in range(1, 41, 2):
            server.respond(number)
        server.until_closed()

    def first(dialogue):
        server = Server(dialogue.connection, (MAX_STREAMS, 20))
        server.until("HEADERS 1 end", "SETTINGS ack")
        server.respond(1)
        server.say(goaway(1))

    at = peer(first, mute_at_first, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:
            await client.get(at.url())
            await backend.hear(at.closed[0])

            async def one():
                assert (await client.get(at.url())).text == "ok"

            await backend.together(*[one] * 20)

    backend.run(body)
    assert at.accepted == 2


def test_nghttpd_that_takes_30_streams_refuses_none(backend, nginx, authority, trusted):
    with contextlib.ExitStack() as running:
        try:
            at = running.enter_context(Nghttpd(nginx.folder / "www", authority, tls=True, options=["-m", "30"]))
        except Unavailable as error:
            pytest.skip(str(error))

        async def body():
            async with backend.client(http2=True, timeout=PATIENCE) as client:

                async def one():
                    response = await client.get(at.url("/chunked.json"))
                    assert response.content == JSON_BODY
                    return len(response.journey.attempts)

                assert sum(await backend.together(*[one] * 100)) == 0
                assert {info.max_streams for info in client.pool.connections()} == {30}

        backend.run(body)


@pytest.mark.parametrize("lowered", [0, 1])
def test_limit_that_is_lowered_while_streams_run_holds_from_then_on(backend, peer, tls, trusted, lowered):
    answer = threading.Event()
    acknowledged = threading.Event()

    def lowering(dialogue):
        server = Server(dialogue.connection, (MAX_STREAMS, 5))
        server.until(*(f"HEADERS {number} end" for number in range(1, 11, 2)))
        server.forget()
        server.say(settings((MAX_STREAMS, lowered)))
        server.until("SETTINGS ack")
        acknowledged.set()
        assert answer.wait(PATIENCE)
        for number in range(1, 11, 2):
            server.respond(number)
        server.until_closed()
        assert len(server.requests) == 5

    def usual(dialogue):
        server = Server(dialogue.connection, (MAX_STREAMS, 5))
        server.until("HEADERS 1 end")
        server.respond(1)
        server.until_closed()

    at = peer(lowering, usual, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:

            async def one():
                assert (await client.get(at.url())).text == "ok"

            async def later():
                await backend.hear(acknowledged)
                # Five are under way, more than may be now: this one needs a connection of its own.
                response = await client.get(at.url())
                assert (response.text, response.journey.nth) == ("ok", 1)
                answer.set()

            await backend.together(*[one] * 5, later)

    backend.run(body)
    assert at.accepted == 2


# HTTP/1.1 required (RFC 9113 s.7).


class Requiring:
    """A script that says so to requests over HTTP/2, and answers those over HTTP/1.1."""

    def __init__(self, *words, after=1):
        self.words = words
        self.after = after  # requests that are answered over HTTP/2 before
        self.spoken = []

    def __call__(self, dialogue):
        self.spoken.append(dialogue.connection.selected_alpn_protocol())
        if self.spoken[-1] != "h2":
            always(OK)(dialogue)
            return
        server = Server(dialogue.connection)
        number = 2 * self.after - 1
        for answered in range(1, number, 2):
            server.until(f"HEADERS {answered} end")
            server.respond(answered)
        server.until(f"HEADERS {number}")
        server.say(*self.words)
        if self.words[0][3] == 7:  # GOAWAY
            socket.socket.shutdown(dialogue.connection, socket.SHUT_WR)
        server.until_closed()


RESET = [reset(1, HTTP_1_1_REQUIRED)]
WORDS = {
    "a reset": RESET,
    "leave before the request": [goaway(0, HTTP_1_1_REQUIRED)],
    "leave after the request": [goaway(1, HTTP_1_1_REQUIRED)],
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
@pytest.mark.parametrize("own", [True, False], ids=["a context of the user", "a context of ours"])
def test_what_is_wanted_over_http1_is_asked_over_http1(backend, peer, tls, trusted, authority, words, own):
    requiring = Requiring(*words)
    at = peer(requiring, tls=tls)
    verify = authority.client_context() if own else True

    async def body():
        async with backend.client(http2=True, verify=verify, timeout=PATIENCE) as client:
            response = await client.get(at.url())
            assert (response.text, response.http_version) == ("ok", "HTTP/1.1")
            (attempt,) = response.journey.attempts
            assert "HTTP_1_1_REQUIRED" in attempt.failure or "wants HTTP/1.1" in attempt.failure
            # It is remembered.
            response = await client.get(at.url())
            assert (response.http_version, response.journey.attempts, response.journey.nth) == ("HTTP/1.1", (), 2)

    backend.run(body)
    assert requiring.spoken == ["h2", "http/1.1"]


def test_post_that_was_not_processed_is_sent_over_http1_and_one_that_may_have_been_is_not(backend, peer, tls, trusted):
    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:
            at = peer(Requiring(*RESET), tls=tls)
            response = await client.post(at.url(), content=b"abc")
            assert (response.text, response.http_version) == ("ok", "HTTP/1.1")
            at = peer(Requiring(*WORDS["leave after the request"]), tls=tls)
            with pytest.raises(httpx_fast.RemoteProtocolError, match="HTTP_1_1_REQUIRED"):
                await client.post(at.url(), content=b"abc")
            response = await client.post(at.url(), content=b"abc")
            assert (response.http_version, response.journey.attempts) == ("HTTP/1.1", ())

    backend.run(body)


def test_other_streams_of_the_connection_go_on_when_one_wants_http1(backend, peer, tls, trusted):
    told = threading.Event()

    def script(dialogue):
        if dialogue.connection.selected_alpn_protocol() != "h2":
            always(OK)(dialogue)
            told.set()
            return
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end")
        server.say(server.head(1))
        server.until("HEADERS 3 end")
        server.say(reset(3, HTTP_1_1_REQUIRED))
        server.until("PING")  # the client still waits for the first
        server.say(b"\0\0\2\0\1\0\0\0\1ok")
        server.until_closed()

    at = peer(script, tls=tls)

    async def body():
        async with (
            backend.client(http2=True, timeout=PATIENCE, http2_ping_after=0.05) as client,
            client.stream("GET", at.url()) as streamed,
        ):
            assert (await client.get(at.url())).http_version == "HTTP/1.1"
            assert await streamed.aread() == b"ok"

    backend.run(body)


def test_wish_for_http1_is_an_error_where_http1_is_off(backend, peer, tls, trusted):
    at = peer(Requiring(*RESET), tls=tls)

    async def body():
        async with backend.client(http1=False, http2=True, timeout=PATIENCE) as client:
            with pytest.raises(
                httpx_fast.UnsupportedProtocol,
                match=r"https://127\.0\.0\.1:\d+ wants HTTP/1\.1, which http1=False rules out: peer reset stream 1",
            ) as caught:
                await client.get(at.url())
            assert caught.value.journey.stream_id == 1
            assert client.pool.stats().leased == 0

    backend.run(body)


# Signs of life.


def test_a_peer_that_falls_silent_is_taken_for_dead(backend, peer, tls, trusted, monkeypatch):
    monkeypatch.setattr(http2_liveness, "PING_PATIENCE", 0.1)

    def silent(dialogue):
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end", "HEADERS 3 end")
        server.until("PING")
        server.until_closed()

    at = peer(silent, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=None, http2_ping_after=0.1) as client:

            async def one():
                with pytest.raises(httpx_fast.ReadError, match=r"did not answer a PING within 0\.1 s") as caught:
                    await client.post(at.url())
                assert caught.value.journey.phase == "wait"

            await backend.together(one, one)
            assert client.pool.connections() == []

    backend.run(body)


@pytest.mark.parametrize("limit", ["read", "write"])
def test_requests_do_not_wait_for_ever_for_a_silent_peer(backend, peer, tls, trusted, monkeypatch, limit):
    """Each of them gives up long before the peer is pinged; the request after them has another connection."""
    monkeypatch.setattr(http2_liveness, "MAX_SILENCE", 0.1)
    connections = itertools.count(1)

    def silent_after_the_first(dialogue):
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end")
        server.respond(1)
        if next(connections) == 1:
            server.until("RST_STREAM 3 8")
        server.until_closed()

    at = peer(silent_after_the_first, tls=tls)
    hasty = httpx_fast.Timeout(PATIENCE, **{limit: 0.15})
    content = bytes(100_000) if limit == "write" else b""  # more than the peer's windows take

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:
            assert (await client.get(at.url())).content == b"ok"
            with pytest.raises(httpx_fast.TimeoutException, match=r"of 0\.15 s") as caught:
                await client.post(at.url(), content=content, timeout=hasty)
            assert caught.value.journey.stream_id == 3
            assert client.pool.stats().leased == 0
            response = await client.get(at.url())
            assert (response.content, response.journey.stream_id) == (b"ok", 1)
            assert len(client.pool.connections()) == 1

    backend.run(body)
    assert at.accepted == 2


def test_others_go_on_where_one_gives_up_a_silent_peer(backend, peer, tls, trusted, monkeypatch):
    monkeypatch.setattr(http2_liveness, "MAX_SILENCE", 0.1)
    given_up = threading.Event()
    connections = itertools.count(1)

    def slow(dialogue):
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end")
        server.respond(1)
        if next(connections) == 1:
            server.until("HEADERS 3 end", "HEADERS 5 end")
            server.until("RST_STREAM")
            assert given_up.wait(PATIENCE)
            for stream_id in (3, 5):
                if f"RST_STREAM {stream_id} 8" not in server.lines:
                    server.respond(stream_id)
        server.until_closed()

    at = peer(slow, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:

            async def patient():
                assert (await client.get(at.url())).content == b"ok"

            async def hasty():
                with pytest.raises(httpx_fast.ReadTimeout):
                    await client.get(at.url(), timeout=httpx_fast.Timeout(PATIENCE, read=0.15))
                assert (await client.get(at.url())).journey.stream_id == 1
                given_up.set()

            await patient()
            await backend.together(patient, hasty)
            assert len(client.pool.connections()) == 1

    backend.run(body)
    assert at.accepted == 2


def test_without_signs_of_life_wanted_none_is_asked_for(backend, peer, tls, trusted):
    def silent(dialogue):
        server = Server(dialogue.connection)
        server.until("RST_STREAM 1 8")
        assert not any(line.startswith("PING") for line in server.lines)

    at = peer(silent, tls=tls)

    async def body():
        async with backend.client(
            http2=True, timeout=httpx_fast.Timeout(30, read=0.2), http2_ping_after=None
        ) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match="sent nothing on stream 1"):
                await client.get(at.url())

    backend.run(body)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "expected more than 0 seconds, or None for never, as http2_ping_after, got 0"),
        (-1, ValueError, "http2_ping_after"),
        ("1", TypeError, "expected seconds or None as http2_ping_after"),
    ],
)
def test_time_before_a_ping_is_checked(value, error, message):
    for kind in (httpx_fast.Client, httpx_fast.AsyncClient, httpx_fast.HTTPTransport, httpx_fast.AsyncHTTPTransport):
        with pytest.raises(error, match=message):
            kind(http2_ping_after=value)


# What is told.


def test_snapshots_tell_streams_windows_and_the_round_trip(backend, peer, tls, trusted):
    answer = threading.Event()

    def script(dialogue):
        server = Server(dialogue.connection, (MAX_STREAMS, 7))
        server.until("HEADERS 1 end", "SETTINGS ack")
        server.respond(1, bytes(1000))
        server.until("HEADERS 3", "DATA 3 500 end")
        server.say(server.head(3))
        assert answer.wait(PATIENCE)
        server.say(b"\0\0\0\0\1\0\0\0\3")
        server.until_closed()

    at = peer(script, tls=tls)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:
            response = await client.get(at.url())
            assert response.journey.stream_id == 1
            async with client.stream("POST", at.url(), content=bytes(500)) as response:
                assert response.journey.stream_id == 3
                (info,) = client.pool.connections()
                assert (info.state, info.http_version, info.streams, info.max_streams) == ("leased", "HTTP/2", 1, 7)
                assert (info.windows.send, info.windows.receive) == (65535 - 500, CONNECTION_WINDOW - 1000)
                assert 0 < info.rtt < PATIENCE
                answer.set()
            (info,) = client.pool.connections()
            assert (info.state, info.streams) == ("idle", 0)

    backend.run(body)


def test_connections_of_http1_have_neither(backend, peer):
    at = peer(always(OK))

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE) as client:
            assert (await client.get(at.url())).journey.stream_id is None
            (info,) = client.pool.connections()
            assert (info.max_streams, info.windows, info.rtt) == (1, None, None)

    backend.run(body)


# Connections that end.


def test_long_response_keeps_a_connection_that_goes_away_but_no_place_in_the_pool(backend, peer, tls, trusted):
    asked = threading.Event()

    def leaving(dialogue):
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end")
        server.say(server.head(1), goaway(1))
        assert asked.wait(PATIENCE)
        server.say(b"\0\0\2\0\1\0\0\0\1ok")
        server.until_closed()

    def usual(dialogue):
        server = Server(dialogue.connection)
        server.until("HEADERS 1 end")
        asked.set()
        server.respond(1)
        server.until_closed()

    at = peer(leaving, usual, tls=tls)
    limits = httpx_fast.Limits(max_connections=1)

    async def body():
        async with backend.client(http2=True, timeout=PATIENCE, limits=limits) as client:
            async with client.stream("GET", at.url()) as long:
                assert (await client.get(at.url())).text == "ok"
                assert client.pool.stats().draining == 1
                assert await long.aread() == b"ok"
            assert (client.pool.stats().draining, client.pool.stats().idle) == (0, 1)

    backend.run(body)
    assert at.accepted == 2
