"""Every fault that a server can be made to have, in every world: what is raised, and that the pool is whole afterwards.

What goes wrong before the end of a response is told from what goes wrong around it: closed while idle, bytes that
nobody asked for, answers that come too early. At the end all of it at once, at random.
"""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections import Counter
from typing import Any, NamedTuple

import pytest

import httpx_fast
from httpx_fast._client.templates import MAX_TEMPLATES
from httpx_fast.testing import (
    Close,
    Drip,
    FaultLab,
    HalfClose,
    Hold,
    Mute,
    Read,
    ReadBody,
    ReadHead,
    Receive,
    Repeat,
    Request,
    Reset,
    Send,
    Tell,
    Tls,
    chunked,
    redirect,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

ONE = httpx_fast.Limits(max_connections=1)  # a place that leaked would be missed by the next request
SOON = 0.05  # seconds; when a peer that says nothing is given up

GOOD = Repeat(Read(), Send(response(b"good")))
TWENTY = response(b"x" * 20)
HEAD = len(TWENTY) - 20  # bytes
CHUNKS = chunked(b"x" * 8, b"y" * 8)

RESET = r"reading from 127\.0\.0\.1:\d+ failed: .*ECONNRESET"


CUT_SHORT = "received 19 bytes, expected 20"
NO_ANSWER = "^peer closed the connection without sending a response$"


class Fault(NamedTuple):
    """What the server does, and what the client makes of it."""

    steps: list[Any]
    error: type[httpx_fast.TransportError]
    seen: str
    phase: str


FAULTS = {
    "reset without an answer": Fault([Read(), Reset()], httpx_fast.ReadError, RESET, "wait"),
    "reset in the head": Fault([Read(), Send(TWENTY[:10]), Reset()], httpx_fast.ReadError, RESET, "wait"),
    "reset after the head": Fault([Read(), Send(TWENTY[:HEAD]), Reset()], httpx_fast.ReadError, RESET, "receive"),
    "reset in the body": Fault([Read(), Send(TWENTY[:-1]), Reset()], httpx_fast.ReadError, RESET, "receive"),
    "reset between chunks": Fault([Read(), Send(CHUNKS[:-5]), Reset()], httpx_fast.ReadError, RESET, "receive"),
    "closed without an answer": Fault([Read(), Close()], httpx_fast.RemoteProtocolError, NO_ANSWER, "wait"),
    "half-closed without an answer": Fault(
        [Read(), HalfClose(), Mute()], httpx_fast.RemoteProtocolError, NO_ANSWER, "wait"
    ),
    "closed in the head": Fault(
        [Read(), Send(TWENTY[:10])],
        httpx_fast.RemoteProtocolError,
        "peer closed the connection within the response's head, after 10 bytes: b'HTTP/1.1 2'",
        "wait",
    ),
    "closed in the body": Fault([Read(), Send(TWENTY[:-1])], httpx_fast.RemoteProtocolError, CUT_SHORT, "receive"),
    "half-closed in the body": Fault(
        [Read(), Send(TWENTY[:-1]), HalfClose(), Mute()], httpx_fast.RemoteProtocolError, CUT_SHORT, "receive"
    ),
    "shorter than it said": Fault(
        [Read(), Send(response(b"short", length=1000))],
        httpx_fast.RemoteProtocolError,
        "received 5 bytes, expected 1000",
        "receive",
    ),
    "closed between chunks": Fault(
        [Read(), Send(CHUNKS[:-5])], httpx_fast.RemoteProtocolError, "chunked body incomplete", "receive"
    ),
    "no HTTP": Fault(
        [Read(), Send(b"220 mail ESMTP\r\n\r\n"), Mute()], httpx_fast.RemoteProtocolError, "b?'220 mail", "wait"
    ),
    "a head without end": Fault(
        [Read(), Send(b"HTTP/1.1 200 OK\r\n"), Repeat(Send(b"X: y\r\n" * 1000))],
        httpx_fast.RemoteProtocolError,
        r"1000 |102400",
        "wait",
    ),
    "a body that is no chunks": Fault(
        [Read(), Send(CHUNKS[:-5] + b"and so on\r\n"), Mute()], httpx_fast.RemoteProtocolError, "chunk", "receive"
    ),
}


BROKEN_BODIES = {
    "reset": (TWENTY[:-1], [Reset()], httpx_fast.ReadError, RESET),
    "closed": (TWENTY[:-1], [Close()], httpx_fast.RemoteProtocolError, CUT_SHORT),
    "half-closed": (TWENTY[:-1], [HalfClose(), Mute()], httpx_fast.RemoteProtocolError, CUT_SHORT),
    "closed between chunks": (CHUNKS[:-5], [Close()], httpx_fast.RemoteProtocolError, "chunked body incomplete"),
    "no chunks": (CHUNKS[:-5] + b"and so on\r\n", [Mute()], httpx_fast.RemoteProtocolError, "chunk"),
}


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return request.param


class Ground:
    """The lab as a test of either scheme sees it."""

    def __init__(self, lab: FaultLab, backend: Any, secure: bool) -> None:
        self.lab = lab
        self._backend = backend
        self._first = [Tls()] if secure else []
        self._options = {"verify": lab.client_context()} if secure else {}
        self.url = lab.tls_url if secure else lab.url

    def serve(self, *scripts: list[Any]) -> None:
        self.lab.serve(*([*self._first, *script] for script in scripts))

    def client(self, **options: Any) -> Any:
        return self._backend.client(**{"limits": ONE, **self._options, **options})


@pytest.fixture
def ground(fault_lab, backend, secure) -> Ground:
    return Ground(fault_lab, backend, secure)


def counts(client: Any) -> dict[str, int]:
    """What the pool counts, but for what is nothing."""
    stats = client.pool.stats()
    names = ("leased", "connecting", "idle", "waiting")
    return {name: getattr(stats, name) for name in names if getattr(stats, name)}


async def goes_on(client: Any, url: str) -> None:
    """After a fault nothing is held, and the next request is served."""
    assert counts(client) == {}
    assert (await client.get(url)).text == "good"
    assert counts(client) == {"idle": 1}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_the_pool_is_whole(backend, ground, name):
    fault = FAULTS[name]

    async def body():
        ground.serve(fault.steps, [GOOD])
        async with ground.client() as client:
            with pytest.raises(fault.error, match=fault.seen) as caught:
                await client.post(ground.url(), content=b"once")
            assert caught.type is fault.error
            assert caught.value.journey.phase == fault.phase
            assert caught.value.journey.connection.requests == 1
            assert caught.value.request.method == "POST"
            await goes_on(client, ground.url())
        assert [(each.method, each.body) for each in ground.lab.requests] == [("POST", b"once"), ("GET", b"")]

    backend.run(body)


@pytest.mark.parametrize("at_once", [False, True], ids=["after the head", "with the head"])
@pytest.mark.parametrize("name", BROKEN_BODIES)
def test_a_fault_in_a_streamed_body_is_met_by_who_reads_it(backend, ground, name, at_once):
    data, ending, error, seen = BROKEN_BODIES[name]
    head = data.index(b"\r\n\r\n") + 4

    async def body():
        ground.serve([Read(), Drip(data, [] if at_once else [head]), *ending], [GOOD])
        ground.lab.release()
        async with ground.client() as client:
            async with client.stream("POST", ground.url(), content=b"once") as streamed:
                assert streamed.status_code == 200
                ground.lab.release()
                with pytest.raises(error, match=seen) as caught:
                    await streamed.aread()
            assert caught.value.journey.phase == "receive"
            assert caught.value.journey is streamed.journey
            await goes_on(client, ground.url())

    backend.run(body)


@pytest.mark.parametrize("cuts", ["one piece", "after the head", "within the chunks"])
def test_chunks_before_one_that_is_malformed_are_read_before_the_error(backend, ground, cuts):
    data = CHUNKS[:-5] + b"and so on\r\n"
    head = data.index(b"\r\n\r\n") + 4
    places = {"one piece": [], "after the head": [head], "within the chunks": [head, head + 5]}[cuts]

    async def body():
        ground.serve([Read(), Drip(data, places), Mute()], [GOOD])
        ground.lab.release()
        pieces = []
        async with ground.client() as client:
            async with client.stream("GET", ground.url()) as streamed:
                ground.lab.release(2)
                with pytest.raises(httpx_fast.RemoteProtocolError, match="chunk"):
                    async for piece in streamed.aiter_raw():
                        pieces.append(piece)
            assert b"".join(pieces) == b"x" * 8 + b"y" * 8
            assert counts(client) == {}

    backend.run(body)


SILENCES = {
    "nothing": ([Read(), Mute()], "wait"),
    "half a head": ([Read(), Send(TWENTY[:10]), Mute()], "wait"),
    "a head": ([Read(), Send(TWENTY[:HEAD]), Mute()], "receive"),
    "half a body": ([Read(), Drip(TWENTY, [HEAD, HEAD + 1, HEAD + 2])], "receive"),
}


@pytest.mark.parametrize("name", SILENCES)
def test_silence_is_a_read_timeout_with_the_time_that_was_granted(backend, ground, name):
    steps, phase = SILENCES[name]

    async def body():
        ground.serve(steps, [GOOD])
        ground.lab.release(3)
        read = SOON if phase == "wait" else 8 * SOON  # the head has to come in time, also on a busy machine
        async with ground.client(timeout=httpx_fast.Timeout(30, read=read)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match=rf"^read timed out after \S+ s of {read} s") as caught:
                await client.get(ground.url())
            assert caught.value.journey.phase == phase
            client.timeout = 30
            await goes_on(client, ground.url())

    backend.run(body)


TLS_FAULTS = {
    "reset": [Receive(), Reset()],
    "closed": [Receive(), Close()],
    "no TLS": [Receive(), Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Mute()],
}


@pytest.mark.parametrize("name", TLS_FAULTS)
def test_a_handshake_that_fails_is_a_connect_error(backend, fault_lab, name):
    ground = Ground(fault_lab, backend, True)

    async def body():
        fault_lab.serve(TLS_FAULTS[name], [Tls(), GOOD])
        async with ground.client() as client:
            with pytest.raises(httpx_fast.ConnectError, match=rf"127\.0\.0\.1:{fault_lab.port}") as caught:
                await client.get(ground.url())
            assert caught.value.journey.phase == "tls"
            await goes_on(client, ground.url())

    backend.run(body)


def test_a_handshake_without_an_answer_is_a_connect_timeout(backend, fault_lab):
    ground = Ground(fault_lab, backend, True)

    async def body():
        fault_lab.serve([Mute()], [Tls(), GOOD])
        async with ground.client(timeout=httpx_fast.Timeout(30, connect=SOON)) as client:
            with pytest.raises(
                httpx_fast.ConnectTimeout, match=rf"^connect timed out after \S+ s of {SOON} s"
            ) as caught:
                await client.get(ground.url())
            assert caught.value.journey.phase == "tls"
            client.timeout = 30
            await goes_on(client, ground.url())

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_a_black_hole_is_a_connect_timeout(backend, fault_lab):
    async def body():
        hole = fault_lab.black_hole()
        async with backend.client(limits=ONE, timeout=httpx_fast.Timeout(30, connect=SOON)) as client:
            with pytest.raises(
                httpx_fast.ConnectTimeout, match=rf"^connect timed out after \S+ s of {SOON} s"
            ) as caught:
                await client.get(hole)
            assert caught.value.journey.phase == "tcp"
            fault_lab.serve(GOOD)
            await goes_on(client, fault_lab.url())

    backend.run(body)


def test_a_peer_that_reads_nothing_is_a_write_timeout(backend, ground):
    async def body():
        ground.serve([Hold()], [GOOD])
        async with ground.client(timeout=httpx_fast.Timeout(30, write=SOON)) as client:
            with pytest.raises(httpx_fast.WriteTimeout, match=rf"^write timed out after \S+ s of {SOON} s") as caught:
                await client.post(ground.url(), content=bytes(32 * 1024 * 1024))
            assert caught.value.journey.phase == "send"
            client.timeout = 30
            await goes_on(client, ground.url())

    backend.run(body)


@pytest.mark.parametrize("cut", range(0, len(CHUNKS), 7))
def test_a_response_may_be_cut_anywhere(backend, ground, cut):
    async def body():
        ground.serve([Repeat(Read(), Drip(CHUNKS, [cut, cut + 1, cut + 3]))])
        ground.lab.release(None)
        async with ground.client() as client:
            for _ in range(2):
                assert (await client.get(ground.url())).content == b"x" * 8 + b"y" * 8
            assert counts(client) == {"idle": 1}
        assert ground.lab.accepted == 1

    backend.run(body)


def test_a_response_may_come_byte_by_byte(backend, ground):
    async def body():
        ground.serve([Read(), Drip(response(b"abc"))])
        ground.lab.release(len(response(b"abc")) - 3)
        async with ground.client() as client, client.stream("GET", ground.url()) as streamed:
            ground.lab.release()
            pieces = []
            async for piece in streamed.aiter_raw():
                pieces.append(piece)
                ground.lab.release()
            assert pieces == [b"a", b"b", b"c"]

    backend.run(body)


SURPLUS = {
    "a response that nobody asked for": response(b"good") + response(b"evil"),
    "longer than it said": response(b"good" + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", length=4),
    "one byte": response(b"good") + b"\0",
    "after chunks": chunked(b"good") + response(b"evil"),
}


@pytest.mark.parametrize("name", SURPLUS)
def test_what_nobody_asked_for_is_no_answer_to_anything(backend, ground, name):
    async def body():
        ground.serve([Read(), Send(SURPLUS[name]), Mute()], [GOOD])
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            assert counts(client) == {}
            await goes_on(client, ground.url())
        assert ground.lab.accepted == 2

    backend.run(body)


def test_what_comes_while_idle_is_no_answer_to_the_next_request(backend, ground):
    sent = threading.Event()

    async def body():
        ground.serve([Read(), Send(response(b"good")), Hold(), Send(response(b"evil")), Tell(sent), Mute()], [GOOD])
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            ground.lab.release()
            await backend.hear(sent)
            second = await client.post(ground.url(), content=b"once")
            assert (second.text, second.journey.reused, second.journey.attempts) == ("good", False, ())
            assert counts(client) == {"idle": 1}
        assert [each.nth for each in ground.lab.requests] == [1, 1]

    backend.run(body)


@pytest.mark.parametrize("fields", [(), (("Keep-Alive", "timeout=60"),)], ids=["", "promised to stay"])
@pytest.mark.parametrize("ending", [Close(), Reset(), HalfClose()], ids=["closed", "reset", "half-closed"])
def test_a_connection_closed_while_idle_is_not_used(backend, ground, ending, fields):
    ended = threading.Event()

    async def body():
        ground.serve([Read(), Send(response(b"good", *fields)), Hold(), ending, Tell(ended), Hold()], [GOOD])
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            ground.lab.release()
            await backend.hear(ended)
            # Nothing was sent in vain, so that even what must not be sent twice goes through.
            second = await client.post(ground.url(), content=b"once")
            assert (second.text, second.journey.reused, second.journey.attempts) == ("good", False, ())
            assert counts(client) == {"idle": 1}

    backend.run(body)


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["closed", "reset"])
def test_a_connection_that_ends_at_its_third_request_is_replaced(backend, ground, ending):
    async def body():
        ground.serve([Repeat(Read(), Send(response(b"good")), times=2), Read(), ending], [GOOD])
        async with ground.client() as client:
            journeys = [(await client.get(ground.url())).journey for _ in range(3)]
            assert [journey.nth for journey in journeys] == [1, 2, 1]
            (attempt,) = journeys[2].attempts
            assert attempt.nth == 3
            assert attempt.failure.startswith("the reused connection was dead: ")
            assert counts(client) == {"idle": 1}
        assert len(ground.lab.requests) == 4

    backend.run(body)


def test_what_must_not_be_sent_twice_is_not(backend, ground):
    async def body():
        ground.serve([Read(), Send(response(b"good")), Read(), Close()], [GOOD])
        async with ground.client() as client:
            await client.get(ground.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match="without sending a response") as caught:
                await client.post(ground.url(), content=b"once")
            assert (caught.value.journey.nth, caught.value.journey.phase) == (2, "wait")
            await goes_on(client, ground.url())
        assert [each.method for each in ground.lab.requests] == ["GET", "POST", "GET"]

    backend.run(body)


def test_an_answer_before_the_body_keeps_the_connection_when_the_peer_reads_on(backend, ground):
    async def body():
        ground.serve([ReadHead(), Send(response(b"early", status=200)), ReadBody(), GOOD])
        async with ground.client() as client:
            first = await client.post(ground.url(), content=bytes(4 * 1024 * 1024))
            assert (first.status_code, first.text) == (200, "early")
            assert (await client.get(ground.url())).text == "good"
            assert counts(client) == {"idle": 1}
        assert len(ground.lab.requests[0].body) == 4 * 1024 * 1024

    backend.run(body)


def test_an_answer_before_the_body_is_read_when_the_peer_closes_its_side(backend, ground):
    async def body():
        early = response(b"early", ("Connection", "close"), status=413)
        ground.serve([ReadHead(), Send(early), HalfClose(), ReadBody()], [GOOD])
        async with ground.client() as client:
            first = await client.post(ground.url(), content=bytes(4 * 1024 * 1024))
            assert (first.status_code, first.text) == (413, "early")
            await goes_on(client, ground.url())

    backend.run(body)


def test_an_answer_before_the_body_is_read_when_the_peer_reads_no_more(backend, ground):
    async def body():
        ground.serve([ReadHead(), Send(response(b"early", status=413)), Hold()], [GOOD])
        async with ground.client(timeout=httpx_fast.Timeout(20, write=3)) as client:
            first = await client.post(ground.url(), content=bytes(64 * 1024 * 1024))
            assert (first.status_code, first.text) == (413, "early")
            assert counts(client) == {}  # half of the body was sent: nobody may send anything behind it
            assert (await client.get(ground.url())).text == "good"
            ground.lab.release()

    backend.run(body)


def test_a_peer_that_reads_no_more_and_has_not_answered_is_a_write_timeout(backend, ground):
    async def body():
        ground.serve([ReadHead(), Hold()], [GOOD])
        async with ground.client(timeout=httpx_fast.Timeout(20, write=0.1)) as client:
            with pytest.raises(httpx_fast.WriteTimeout, match=r"write timed out after .* of 0\.1 s"):
                await client.post(ground.url(), content=bytes(64 * 1024 * 1024))
            assert counts(client) == {}
            ground.lab.release()

    backend.run(body)


def test_an_answer_that_a_reset_follows_is_the_answer_or_the_reset(backend, ground):
    """The system may drop what it has not handed over; what it has is an answer."""

    async def body():
        phases: list[str] = []
        ground.serve([ReadHead(), Send(response(b"early", status=413)), Reset()], [GOOD])
        async with ground.client() as client:
            try:
                first = await client.post(ground.url(), content=bytes(4 * 1024 * 1024))
                assert (first.status_code, first.text) == (413, "early")
            except (httpx_fast.WriteError, httpx_fast.ReadError) as error:
                phases.append(error.journey.phase)
            assert set(phases) <= {"send", "wait"}
            # A body that the system took whole ends an exchange; the reset is then noticed while idle.
            assert counts(client) in ({}, {"idle": 1})
            assert (await client.get(ground.url())).text == "good"
            assert counts(client) == {"idle": 1}

    backend.run(body)


def test_a_fault_behind_a_redirect_names_the_request_that_met_it(backend, ground):
    async def body():
        ground.serve([Read(), Send(redirect("/broken")), Read(), Send(b"nonsense\r\n\r\n")], [GOOD])
        async with ground.client(follow_redirects=True) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense") as caught:
                await client.get(ground.url("/start"))
            assert caught.value.request.url.path == "/broken"
            assert caught.value.journey.nth == 2
            await goes_on(client, ground.url())

    backend.run(body)


FOLLOWERS = {
    "content that cannot be decoded": (
        response(b"no gzip", ("Content-Encoding", "gzip")),
        httpx_fast.DecodingError,
        "gzip",
    ),
    "a redirect to nowhere": (redirect("http://[::bad/"), httpx_fast.RemoteProtocolError, "Location"),
    "a status that is refused": (response(status=503), httpx_fast.HTTPStatusError, "503"),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("name", FOLLOWERS)
def test_what_is_wrong_with_an_answer_names_its_way_and_keeps_the_connection(backend, fault_lab, name, streamed):
    data, error, seen = FOLLOWERS[name]

    async def body():
        fault_lab.serve([Read(), Send(data), GOOD])
        async with backend.client(limits=ONE, follow_redirects=True) as client:
            with pytest.raises(error, match=seen) as caught:
                if streamed:
                    async with client.stream("GET", fault_lab.url()) as answer:
                        async for _ in answer.aiter_bytes():
                            pass
                else:
                    answer = await client.get(fault_lab.url())
                answer.raise_for_status()
            assert caught.value.request.url == fault_lab.url()
            assert caught.value.journey.nth == 1
            second = await client.get(fault_lab.url())
            assert second.text == "good"

    backend.run(body)


def test_redirects_without_end_are_given_up_and_keep_the_connection(backend, ground):
    async def body():
        ground.serve([Repeat(Read(), Send(redirect("/again")))])
        async with ground.client(follow_redirects=True, max_redirects=5) as client:
            with pytest.raises(httpx_fast.TooManyRedirects, match="5") as caught:
                await client.get(ground.url())
            assert caught.value.journey.nth == 6
            assert counts(client) == {"idle": 1}
        assert (ground.lab.accepted, len(ground.lab.requests)) == (1, 6)

    backend.run(body)


SOAK = {"asyncio": 10_000}  # requests, in the other worlds 1,500
AT_ONCE = 8  # of them
PLACES = 5  # connections


def with_nonce(request: Request) -> bytes:
    """An answer that only this request can have."""
    return response(request.target.encode(), ("X-Nonce", request.target))


def with_evil(request: Request) -> bytes:
    """An answer, and in the same piece one that nobody asked for. Sent later it might meet the next request."""
    return with_nonce(request) + response(b"/evil", ("X-Nonce", "/evil"))


def cut(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def endings(chance: random.Random) -> list[Any]:
    """What a connection does with its last request."""
    portion = chance.random()

    def some(request: Request) -> bytes:
        data = with_nonce(request)
        return data[: int(portion * len(data))]

    return chance.choice(
        [
            [Read(), Reset()],
            [Read(), Close()],
            [Read(), Send(some), Reset()],
            [Read(), Send(some), Close()],
            [Read(), Send(some), HalfClose(), Mute()],
            [Read(), Send(cut(b"HTTP/1.1 2OO nonsense\r\n\r\n", chance)), Close()],
            [Read(), Send(with_evil), Mute()],
            [Read(), Send(with_nonce), Reset()],
            [ReadHead(), Send(with_nonce), Close()],
            [Close()],
            [Reset()],
            [HalfClose()],
        ]
    )


def living() -> Counter[str]:
    """The objects of the client that are alive, by type."""
    for _ in range(10):  # on PyPy what has a finalizer goes a collection late, and what it holds one later still
        gc.collect()
    kinds = (type(each) for each in gc.get_objects())
    return Counter(kind.__qualname__ for kind in kinds if str(kind.__module__).startswith("httpx_fast._"))


def test_each_of_many_requests_gets_its_own_answer_or_an_error(backend, fault_lab):
    backend.patience = 600
    soak = SOAK.get(backend.name, 1_500)
    chance = random.Random(4)
    good = Repeat(Read(), Send(with_nonce))
    scripts = [[Repeat(Read(), Send(with_nonce), times=chance.randrange(6)), *endings(chance)] for _ in range(2 * soak)]
    ends: list[str] = []  # appended to by threads, among which counting up loses some
    attempts: dict[str, int] = {}

    async def one(client: Any, number: int) -> None:
        nonce = f"/{number}"
        method = "POST" if number % 3 == 0 else "GET"
        try:
            if number % 5 == 0:
                async with client.stream(method, fault_lab.url(nonce), content=nonce.encode()) as answer:
                    assert await answer.aread() == nonce.encode()
            else:
                answer = await client.request(method, fault_lab.url(nonce), content=nonce.encode())
        except httpx_fast.TransportError as error:
            ends.append(type(error).__name__)
            attempts[nonce] = 1 + len(error.journey.attempts)
        else:
            assert (answer.text, answer.headers["X-Nonce"]) == (nonce, nonce)
            ends.append("answered")
            attempts[nonce] = 1 + len(answer.journey.attempts)

    async def body():
        fault_lab.serve(*scripts)
        limits = httpx_fast.Limits(max_connections=PLACES, max_keepalive_connections=PLACES)
        async with backend.client(limits=limits) as client:

            def some(first: int) -> Any:
                async def requests() -> None:
                    for number in range(first, soak, AT_ONCE):
                        await one(client, number)

                return requests

            await one(client, -1)
            before = living()
            await backend.together(*(some(first) for first in range(AT_ONCE)))
            more = living() - before
            # A client knows its last URLs, up to a number, and the head that was last sent to each; what else is kept
            # is kept by connection, not by request.
            known = {
                kind: more.pop(kind, 0)
                for kind in ("Template", "Route", "Origin", "Destination", "Dispatch", "WireHead")
            }
            assert known.pop("WireHead") <= 2 * MAX_TEMPLATES + 50
            assert max(known.values()) <= MAX_TEMPLATES + 50, known
            assert sum(more.values()) < 50, more
            held = counts(client)
            assert set(held) <= {"idle"}
            assert held.get("idle", 0) <= PLACES
            fault_lab.serve(good)
            for number in range(soak, soak + 3 * PLACES):
                # What is idle still follows an older script, and the peer may end it.
                await one(client, 3 * number + 1)
            assert set(counts(client)) == {"idle"}

    backend.run(body)
    assert len(ends) == 1 + soak + 3 * PLACES
    outcomes = Counter(ends)
    assert outcomes["answered"] > soak / 2
    # A connection that is reset at once may be so before it is known to be made.
    assert set(outcomes) <= {"answered", "ConnectError", "ReadError", "WriteError", "RemoteProtocolError"}
    assert min(outcomes["ReadError"], outcomes["RemoteProtocolError"]) > soak / 100
    arrived = Counter(request.target for request in fault_lab.requests)
    assert all(count <= attempts[nonce] for nonce, count in arrived.items())
    assert not any(arrived[f"/{number}"] > 1 for number in range(0, soak, 3)), "a POST was sent twice"


@pytest.mark.parametrize("said", [b"2\r\nContent-Length: 2", b"2, 2", b"2,\t2 "])
def test_a_length_that_is_said_twice_is_one_number(backend, fault_lab, said):
    fault_lab.serve(Read(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: " + said + b"\r\nX: 1\r\n\r\nok"))

    async def body():
        async with backend.client() as client:
            response = await client.get(fault_lab.url())
            assert response.headers.raw == [(b"Content-Length", b"2"), (b"X", b"1")]
            assert (response.headers["content-length"], response.text) == ("2", "ok")

    backend.run(body)


def test_a_stream_that_holds_its_connection_is_traced_to_who_opened_it(fault_lab):
    """In blocking code, where nothing of the tests' own lies between."""
    fault_lab.serve(Read(), Send(response(b"unfinished")[:-1]), Hold())
    with (
        httpx_fast.Client(limits=ONE, timeout=httpx_fast.Timeout(5, pool=0)) as client,
        client.stream("GET", fault_lab.url()),
        pytest.raises(httpx_fast.PoolTimeout, match=r"requested at .*test_fault_lab\.py:\d+$"),
    ):
        client.get(fault_lab.url())
