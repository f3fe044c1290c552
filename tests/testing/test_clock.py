"""`FakeClock`: pauses of retries and of event streams pass at once, and count as if they had not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

import httpx_fast
from httpx_fast.testing import FakeClock, LocalServer, Reply, Request

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
        FakeClock(httpx_fast.HTTPTransport())
    with httpx_fast.Client() as client, pytest.raises(ValueError, match="not negative"):
        FakeClock(client).advance(-1)
