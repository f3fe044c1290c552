"""`FakeClock`: timeouts and pauses end at once, and count as if they had not."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import httpx_fast
from httpx_fast import Hedge, Limits, Retry, Timeout
from httpx_fast.testing import (
    FakeClock,
    FaultLab,
    Hold,
    Http2,
    LocalServer,
    Mute,
    Read,
    ReadBody,
    ReadFrames,
    ReadHead,
    Repeat,
    Reply,
    Request,
    Send,
    Tell,
    Tls,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

HOUR = 3600.0
BUSY = Reply(503, [("Retry-After", str(int(HOUR)))])
RETRY = {"attempts": 4, "backoff": 0.0, "retry_after_max": HOUR}


class Answers:
    """Gives one answer after the other, and the last one again."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = replies
        self.seen: list[Request] = []

    def __call__(self, request: Request) -> Reply:
        self.seen.append(request)
        return self.replies[min(len(self.seen), len(self.replies)) - 1]


def real(client: Any) -> Any:
    """The client of the package in what a backend gives."""
    return client if isinstance(client, httpx_fast.AsyncClient) else client.blocking


@pytest.fixture(autouse=True)
def in_real_time() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < HOUR / 2


def test_pauses_of_retries_pass_at_once(backend):
    answers = Answers(BUSY, BUSY, Reply(200, [], b"good"))

    async def body(url: str) -> None:
        async with backend.client(retry=httpx_fast.Retry(**RETRY)) as client:
            with FakeClock(real(client)) as clock:
                before = clock.time()
                assert (await client.get(url)).text == "good"
                assert clock.time() - before >= 2 * HOUR
                assert clock.sleeps == [HOUR, HOUR]

    with LocalServer(tls=False, answer=answers) as server:
        backend.run(body, server.url)
    assert len(answers.seen) == 3


def test_pauses_count_against_the_total(backend):
    answers = Answers(BUSY)

    async def body(url: str) -> None:
        retry = httpx_fast.Retry(**RETRY)
        async with backend.client(retry=retry, timeout=httpx_fast.Timeout(30, total=1.5 * HOUR)) as client:
            with FakeClock(real(client)) as clock:
                for _ in range(2):  # what the first one skipped is not the second one's
                    clock.sleeps.clear()
                    assert (await client.get(url)).status_code == 503
                    assert clock.sleeps == [HOUR]

    with LocalServer(tls=False, answer=answers) as server:
        backend.run(body, server.url)
    assert len(answers.seen) == 4


def test_pauses_of_other_requests_do_not_count_against_the_total(backend):
    seen: set[str] = set()

    def reply(request: Request) -> Reply:
        if request.target in seen:
            return Reply(200)
        seen.add(request.target)
        return BUSY

    async def body(url: str) -> None:
        retry = httpx_fast.Retry(**RETRY, budget=None)
        async with backend.client(retry=retry, timeout=httpx_fast.Timeout(30, total=1.5 * HOUR)) as client:

            async def ask(path: str) -> int:
                return (await client.get(f"{url}/{path}")).status_code

            with FakeClock(real(client)) as clock:
                answers = await backend.together(*(lambda path=path: ask(path) for path in "abc"))
            assert (answers, clock.sleeps) == ([200] * 3, [HOUR] * 3)

    with LocalServer(tls=False, answer=reply) as server:
        backend.run(body, server.url)


def test_the_rule_of_one_request_is_driven_too(backend):
    answers = Answers(BUSY, Reply(200))

    async def body(url: str) -> None:
        async with backend.client() as client:
            with FakeClock(real(client)) as clock:
                response = await client.get(url, extensions={"retry": httpx_fast.Retry(**RETRY)})
            assert (response.status_code, clock.sleeps) == (200, [HOUR])

    with LocalServer(tls=False, answer=answers) as server:
        backend.run(body, server.url)


def test_a_transport_that_retries_is_driven_alone_or_in_its_client():
    answers = Answers(BUSY, Reply(200), BUSY, Reply(200))
    with LocalServer(tls=False, answer=answers) as server:
        transport = httpx_fast.RetryTransport(httpx_fast.HTTPTransport(), retry=httpx_fast.Retry(**RETRY))
        with httpx_fast.Client(transport=transport) as client:
            with FakeClock(client) as first:
                assert client.get(server.url).status_code == 200
            with FakeClock(transport) as second:
                assert transport.handle_request(httpx_fast.Request("GET", server.url)).read() == b""
    assert (first.sleeps, second.sleeps) == ([HOUR], [HOUR])


def test_a_circuit_breaker_sees_time_advance():
    answers = Answers(Reply(503), Reply(503), Reply(200))
    breaker = httpx_fast.Breaker(minimum=2, open_for=HOUR)
    retry = httpx_fast.Retry(attempts=1, breaker=breaker)
    server = LocalServer(tls=False, answer=answers)
    with server, httpx_fast.Client(retry=retry) as client, FakeClock(client) as clock:
        for _ in range(2):
            client.get(server.url)
        with pytest.raises(httpx_fast.CircuitOpen, match="is open"):
            client.get(server.url)
        clock.advance(HOUR + 1)
        assert client.get(server.url).status_code == 200
    assert clock.sleeps == []


def stream(text: str) -> Reply:
    return Reply(200, [("Content-Type", "text/event-stream")], text.encode())


async def data_of(client: Any, url: str, **options: Any) -> list[str]:
    """The data of all events, over all connections."""
    if isinstance(client, httpx_fast.AsyncClient):
        async with client.sse(url, reconnect=True, **options) as events:
            return [event.data async for event in events]
    with client.blocking.sse(url, reconnect=True, **options) as events:
        return [event.data for event in events]


def test_pauses_of_event_streams_pass_at_once(backend):
    answers = Answers(stream("retry: 60000\nid: 1\ndata: a\n\n"), stream("id: 2\ndata: b\n\n"), Reply(204))

    async def body(url: str) -> list[str]:
        async with backend.client() as client:
            with FakeClock(real(client)) as clock:
                seen = await data_of(client, url)
                assert clock.sleeps == [60.0, 60.0]
                return seen

    with LocalServer(tls=False, answer=answers) as server:
        assert backend.run(body, server.url) == ["a", "b"]
    assert answers.seen[1].field("last-event-id") == "1"


def test_pauses_count_against_the_total_of_an_event_stream(backend):
    answers = Answers(stream("retry: 60000\nid: 1\ndata: a\n\n"), stream("data: b\n\n"))

    async def body(url: str) -> None:
        async with backend.client() as client:
            with FakeClock(real(client)) as clock, pytest.raises(httpx_fast.ReadTimeout, match="total timed out"):
                timeout = httpx_fast.Timeout(30, total=150)
                await data_of(client, url, timeout=timeout)
            assert clock.sleeps == [60.0, 60.0]

    with LocalServer(tls=False, answer=answers) as server:
        backend.run(body, server.url)


def test_the_client_has_its_own_clock_again_afterwards():
    with httpx_fast.Client(retry=httpx_fast.Retry()) as client:
        before = dict(vars(client._retrier))
        with FakeClock(client), pytest.raises(RuntimeError, match="has a FakeClock already"):
            FakeClock(client).__enter__()
        assert vars(client._retrier) == before


def test_wrong_arguments_are_refused():
    with pytest.raises(TypeError, match="expected a client"):
        FakeClock(httpx_fast.MockTransport(lambda request: httpx_fast.Response(200)))
    with httpx_fast.Client() as client:
        with pytest.raises(ValueError, match="not negative"):
            FakeClock(client).advance(-1)
        with pytest.raises(ValueError, match="as grace"):
            FakeClock(client, auto=True, grace=0)


# Timeouts. Each is an hour: a real wait for it would fail by `in_real_time()`. What is answered has no other deadline
# that the clock could jump to, however slow the machine is.

GOOD = Send(response(b"good"))
BIG = bytes(16 * 1024 * 1024)  # more than the system's buffers take
PHASES: dict[str, tuple[list[Any], Timeout, type[Exception], str]] = {
    "read": ([Read(), Mute()], Timeout(None, read=HOUR), httpx_fast.ReadTimeout, "read"),
    "first_byte": ([Read(), Mute()], Timeout(None, first_byte=HOUR), httpx_fast.ReadTimeout, "first_byte"),
    "body": (
        [Read(), Send(response(bytes(100))[:60]), Mute()],
        Timeout(None, read=HOUR),
        httpx_fast.ReadTimeout,
        "read",
    ),
    "min_rate": (
        [Read(), Send(response(bytes(100))[:60]), Mute()],
        Timeout(None, min_rate=10, rate_window=HOUR),
        httpx_fast.ReadTimeout,
        "min_rate",
    ),
    "tls": ([Mute()], Timeout(None, connect=HOUR), httpx_fast.ConnectTimeout, "connect"),
    "write": ([ReadHead(), Hold()], Timeout(None, write=HOUR), httpx_fast.WriteTimeout, "write"),
}


async def fails(sending: Awaitable[Any], error: type[Exception], limit: str) -> None:
    """Await a request that meets a timeout of an hour."""
    with pytest.raises(error, match=rf"^{limit} (timed out after 3.6e\+03 s|not kept)") as caught:
        await sending
    timeout: Any = caught.value
    assert (timeout.limit, timeout.budget) == (limit, HOUR)
    assert HOUR <= timeout.elapsed < HOUR + 20


@pytest.mark.parametrize("phase", PHASES)
def test_a_timeout_comes_without_waiting(backend, fault_lab, phase):
    script, timeout, error, limit = PHASES[phase]
    fault_lab.serve(*script)
    ended = threading.Event()
    ended.set()

    async def body() -> None:
        url = fault_lab.tls_url() if phase == "tls" else fault_lab.url()
        content = BIG if phase.startswith("write") else None
        async with backend.client(timeout=timeout, verify=False) as client:
            with FakeClock(real(client), auto=True, grace=0.05):
                await fails(client.request("GET", url, content=content), error, limit)
        await backend.hear(ended)  # some loops end a connect that is given up in their next turn

    backend.run(body)


@pytest.mark.parametrize("content", [b"", BIG], ids=["read", "write"])
def test_the_total_ends_when_the_clock_is_moved(backend, fault_lab, content):
    asked = threading.Event()
    fault_lab.serve(ReadHead(), Tell(asked), Hold())

    async def body() -> None:
        async with backend.client(timeout=Timeout(None, total=HOUR)) as client:
            with FakeClock(real(client)) as clock:

                async def ask() -> None:
                    sending = client.request("GET", fault_lab.url(), content=content)
                    await fails(sending, httpx_fast.TimeoutException, "total")

                async def move() -> None:
                    await backend.hear(asked)
                    clock.advance(HOUR)

                await backend.together(ask, move)

    backend.run(body)


@pytest.mark.parametrize("limit", ["read", "first_byte", "total"])
def test_a_timeout_comes_without_waiting_in_http2(backend, fault_lab, limit):
    asked, ended = threading.Event(), threading.Event()
    fault_lab.serve(Tls("h2"), Http2(), ReadFrames("HEADERS 1"), Tell(asked), ReadFrames())

    async def body() -> None:
        verify, timeout = fault_lab.client_context(), Timeout(**{"timeout": None, limit: HOUR})
        async with backend.client(http2=True, http2_ping_after=None, verify=verify, timeout=timeout) as client:
            with FakeClock(real(client)) as clock:

                async def ask() -> None:
                    with pytest.raises(httpx_fast.ReadTimeout, match=rf"^{limit} timed out") as caught:
                        await client.get(fault_lab.tls_url())
                    ended.set()
                    assert (caught.value.limit, caught.value.budget) == (limit, HOUR)

                async def move() -> None:
                    await backend.hear(asked)
                    clock.advance(HOUR)
                    while not (backend.asynchronous or ended.wait(0.01)):
                        clock.advance(HOUR)  # the thread had not begun to wait

                await backend.together(ask, move)

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_connecting_times_out_without_waiting(backend, fault_lab):
    ended = threading.Event()
    ended.set()

    async def body() -> None:
        async with backend.client(timeout=Timeout(None, connect=HOUR)) as client:
            with FakeClock(real(client), auto=True, grace=0.05):
                await fails(client.get(fault_lab.black_hole()), httpx_fast.ConnectTimeout, "connect")
        await backend.hear(ended)  # some loops end a connect that is given up in their next turn

    backend.run(body)


def test_a_name_is_not_waited_for(backend):
    answered = threading.Event()

    def resolver(host: str, port: int) -> list[str]:
        answered.wait()
        return []

    async def body() -> None:
        transport = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        client = backend.client(timeout=Timeout(None, connect=HOUR), transport=transport(resolver=resolver))
        async with client:
            with FakeClock(real(client), auto=True, grace=0.05):
                await fails(client.get("http://name.test/"), httpx_fast.ConnectTimeout, "connect")

    try:
        backend.run(body)
    finally:
        answered.set()


def test_a_full_pool_times_out_without_waiting(backend, fault_lab):
    fault_lab.serve(Read(), Send(response(bytes(100))[:60]), Mute())

    async def body() -> None:
        limits = Limits(max_connections=1)
        async with backend.client(timeout=Timeout(None, pool=HOUR), limits=limits) as client:
            with FakeClock(real(client), auto=True, grace=0.05):
                async with client.stream("GET", fault_lab.url()):
                    await fails(client.get(fault_lab.url()), httpx_fast.PoolTimeout, "pool")

    backend.run(body)


def test_a_body_is_sent_when_100_continue_does_not_come(backend, fault_lab):
    fault_lab.serve(ReadHead(), ReadBody(), GOOD)

    async def body() -> None:
        timeout = Timeout(None, expect_continue=HOUR)
        async with backend.client(timeout=timeout, expect_continue=True) as client:
            with FakeClock(real(client), auto=True, grace=0.05) as clock:
                before = clock.time()
                answer = await client.post(fault_lab.url(), content=b"wanted")
                assert (answer.text, fault_lab.requests[0].body) == ("good", b"wanted")
                assert HOUR <= clock.time() - before < 2 * HOUR

    backend.run(body)


def test_a_rate_is_kept_without_waiting(backend, fault_lab):
    fault_lab.serve(Repeat(Read(), GOOD))

    async def body() -> None:
        limits = Limits(rate=1 / HOUR, burst=1, keepalive_expiry=None)
        async with backend.client(timeout=None, limits=limits) as client:
            with FakeClock(real(client), auto=True, grace=0.03) as clock:
                before = clock.time()
                for _ in range(3):
                    await client.get(fault_lab.url())
                assert 2 * HOUR <= clock.time() - before < 3 * HOUR

    backend.run(body)


def test_a_hedge_is_sent_without_waiting(backend, fault_lab):
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Send(response(b"second")), Mute()])
    retry = Retry(hedge=Hedge(samples=1, least=HOUR))

    async def body() -> None:
        async with backend.client(retry=retry, timeout=None, limits=Limits(keepalive_expiry=None)) as client:
            with FakeClock(real(client), auto=True, grace=0.05) as clock:
                assert (await client.get(fault_lab.url())).text == "good"
                before = clock.time()
                assert (await client.get(fault_lab.url())).text == "second"
                assert HOUR <= clock.time() - before < 2 * HOUR

    backend.run(body)
    for thread in threading.enumerate():
        if thread.name == "httpx_fast hedge":
            thread.join(30)


def test_a_stream_without_events_stalls_without_waiting(backend, fault_lab):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    fault_lab.serve(Read(), Send(head + b"data: a\n\n: alive\n"), Mute())

    async def body() -> None:
        seen: list[str] = []
        async with backend.client(timeout=None) as client:
            clock = FakeClock(real(client), auto=True, grace=0.05)
            with clock, pytest.raises(httpx_fast.EventTimeout, match=r"no event came .* in 3\.6e") as caught:
                if isinstance(client, httpx_fast.AsyncClient):
                    async with client.sse(fault_lab.url(), stall_timeout=HOUR) as events:
                        async for event in events:
                            seen.append(event.data)
                else:
                    with client.blocking.sse(fault_lab.url(), stall_timeout=HOUR) as source:
                        seen.extend(event.data for event in source)
        assert (caught.value.budget, seen) == (HOUR, ["a"])

    backend.run(body)


def test_an_idle_connection_expires_when_the_clock_is_moved(backend, fault_lab):
    fault_lab.serve(Repeat(Read(), GOOD))

    async def body() -> None:
        async with backend.client(limits=Limits(keepalive_expiry=HOUR)) as client:
            with FakeClock(real(client)) as clock:
                for seconds, connections in ((0, 1), (HOUR - 60, 1), (HOUR, 2)):
                    clock.advance(seconds)
                    await client.get(fault_lab.url())
                    assert fault_lab.accepted == connections

    backend.run(body)


def test_the_clock_is_moved_while_a_request_waits(backend, fault_lab):
    asked = threading.Event()
    fault_lab.serve(Read(), Tell(asked), Hold(), GOOD)
    timeout = Timeout(None, total=HOUR)

    async def body(begin: Callable[[Any], Awaitable[None]], seconds: float) -> None:
        async with backend.client(timeout=timeout) as client:
            with FakeClock(real(client)) as clock:

                async def move() -> None:
                    await backend.hear(asked)
                    asked.clear()
                    clock.advance(seconds)
                    fault_lab.release(0 if seconds == HOUR else 1)

                await backend.together(lambda: begin(client), move)

    async def answered(client: Any) -> None:
        assert (await client.get(fault_lab.url())).text == "good"

    async def late(client: Any) -> None:
        await fails(client.get(fault_lab.url()), httpx_fast.ReadTimeout, "total")

    backend.run(body, answered, HOUR - 60)
    backend.run(body, late, HOUR)


def test_connections_of_the_real_clock_are_used_again_afterwards(backend, fault_lab):
    fault_lab.serve(Repeat(Read(), GOOD))

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            with FakeClock(real(client)):
                await client.get(fault_lab.url())
                await client.get(fault_lab.url())
            await client.get(fault_lab.url())
            assert client.pool.stats().open == 1
        assert [request.connection for request in fault_lab.requests] == [1, 2, 2, 1]

    backend.run(body)


def test_a_client_that_is_closed_meanwhile_closes_all(backend, fault_lab):
    fault_lab.serve(Repeat(Read(), GOOD))

    async def body() -> None:
        client = backend.client()
        await client.get(fault_lab.url())
        before = client.pool
        with FakeClock(real(client)):
            await client.get(fault_lab.url())
            during = client.pool
            await client.aclose()
        assert (before.closed, during.closed) == (True, True)

    backend.run(body)


def test_a_transport_alone_is_driven():
    with FaultLab() as lab, httpx_fast.HTTPTransport() as transport, FakeClock(transport, auto=True, grace=0.05):
        lab.serve(Read(), Mute())
        request = httpx_fast.Request("GET", lab.url(), extensions={"timeout": {"read": HOUR}})
        with pytest.raises(httpx_fast.ReadTimeout, match="read timed out"):
            transport.handle_request(request)
        with pytest.raises(RuntimeError, match="has a FakeClock already"):
            FakeClock(transport).__enter__()
