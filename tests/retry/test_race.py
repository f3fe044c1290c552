"""A second request beside one that takes long: which answer is used, and what becomes of the other request."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest
from certificates import Authority
from runners import Runner
from servers import Nginx, Node

import httpx_fast
from httpx_fast import Breaker, Hedge, Response, Retry
from httpx_fast._retry.origins import OriginState
from httpx_fast._retry.race import Race, TaskRacing, ThreadRacing
from httpx_fast.testing import (
    FaultLab,
    Hold,
    Http2,
    Mute,
    Read,
    ReadFrames,
    Repeat,
    Reset,
    Send,
    Tell,
    frames,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

#: Hedges from the second request on, after a tenth of a second.
EARLY = Retry(backoff=0, hedge=Hedge(samples=1, least=0.1))
GOOD = Send(response(b"good"))
BUSY = Send(response(b"busy", status=503))


def state_of(client: Any) -> Any:
    (state,) = client._retrier._origins._states.values()
    return state


def ended() -> None:
    """Wait for the threads of the attempts that were not needed; they end by themselves."""
    for thread in threading.enumerate():
        if thread.name == "httpx_fast hedge":
            thread.join(30)
            assert not thread.is_alive()


def test_a_request_that_takes_long_is_sent_a_second_time(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Send(response(b"second")), Mute()])

    async def body() -> None:
        async with backend.client(retry=EARLY) as client:
            assert (await client.get(fault_lab.url())).text == "good"
            answer = await client.get(fault_lab.url())
            assert answer.text == "second"
            (other,) = answer.journey.attempts
            assert (other.why_again, other.failure) == ("hedged", "a second one was answered first")
            assert other.nth == 2
            assert other.started < answer.journey.started
            assert answer.request is not None
            assert "httpx_fast.journey" not in answer.request.extensions
            ended()
            assert client.pool.stats().open == 1  # the connection of the other one was closed
            (stats,) = client.retry_stats().values()
            assert (stats.requests, stats.retries) == (2, 1)
            # What was not waited for has taken at least so long.
            assert len(state_of(client).latencies) == 3
            assert state_of(client).latencies.percentile(0.99) >= 0.1

    backend.run(body)
    assert fault_lab.accepted == 2


def test_http2_the_stream_that_is_not_needed_is_reset(backend: Runner, fault_lab: FaultLab):
    def head(stream: int, content: bytes) -> Send:
        fields = (":status", "200"), ("content-length", str(len(content)))
        return Send(frames.headers(stream, *fields) + frames.data(stream, content, end=True))

    reset = threading.Event()
    fault_lab.serve(
        Http2(),
        Read(),
        head(1, b"good"),
        ReadFrames("HEADERS 3"),
        ReadFrames("HEADERS 5"),
        head(5, b"second"),
        ReadFrames("RST_STREAM 3"),
        Tell(reset),
        ReadFrames("HEADERS 7"),
        head(7, b"third"),
        Mute(),
    )

    async def body() -> None:
        async with backend.client(retry=EARLY, http1=False, http2=True) as client:
            assert (await client.get(fault_lab.url())).text == "good"
            answer = await client.get(fault_lab.url())
            assert (answer.text, answer.journey.stream_id) == ("second", 5)
            assert [each.stream_id for each in answer.journey.attempts] == [3]
            await backend.hear(reset)
            # The connection lives on.
            third = await client.get(fault_lab.url(), extensions={"retry": None})
            assert (third.text, third.journey.attempts) == ("third", ())
            assert client.pool.stats().leased == 0

    backend.run(body)
    assert fault_lab.accepted == 1


def test_a_quick_answer_has_no_hedge(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Repeat(Read(), GOOD))

    async def body() -> None:
        async with backend.client(retry=Retry(hedge=Hedge(samples=1, least=20.0))) as client:
            for _ in range(3):
                answer = await client.get(fault_lab.url())
                assert (answer.text, answer.journey.attempts) == ("good", ())
            (stats,) = client.retry_stats().values()
            assert (stats.requests, stats.retries, stats.hedge_after) == (3, 0, 20.0)

    backend.run(body)
    assert len(fault_lab.requests) == 3


async def answered_late(backend: Runner, lab: FaultLab, client: Any, asked: threading.Event) -> Any:
    """The response to a request whose first answer is held back until `asked` is set."""
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await client.get(lab.url()))

    async def let_go() -> None:
        await backend.hear(asked)
        lab.release()

    await backend.together(ask, let_go)
    return answers[0]


def test_the_first_may_be_answered_while_the_hedge_waits(backend: Runner, fault_lab: FaultLab):
    asked = threading.Event()
    fault_lab.serve(
        [Read(), GOOD, Read(), Hold(), Send(response(b"first")), Mute()],
        [Read(), Tell(asked), Mute()],
    )

    async def body() -> None:
        async with backend.client(retry=EARLY, timeout=None) as client:
            await client.get(fault_lab.url())
            answer = await answered_late(backend, fault_lab, client, asked)
            assert answer.text == "first"
            (other,) = answer.journey.attempts
            assert (other.why_again, other.failure) == ("hedged", "the first request was answered first")
            ended()
            assert client.pool.stats().open == 1

    backend.run(body)


def test_a_hedge_that_has_no_connection_yet_is_not_sent(backend: Runner, fault_lab: FaultLab):
    if backend.asynchronous:
        pytest.skip("it is cancelled where it waits")
    asked, resolved, lookups = threading.Event(), threading.Event(), list[str]()

    def resolve(host: str, port: int) -> list[str]:
        lookups.append(host)
        if len(lookups) == 2:
            asked.set()
            assert resolved.wait(30)
        return ["127.0.0.1"]

    fault_lab.serve([Read(), GOOD, Read(), Hold(), Send(response(b"first")), Mute()], [Read(), GOOD, Mute()])

    async def body() -> None:
        transport = httpx_fast.HTTPTransport(resolver=resolve)
        async with backend.client(transport=transport, retry=EARLY, timeout=None) as client:
            url = f"http://host.example:{fault_lab.port}/"
            await client.get(url)

            async def ask() -> None:
                assert (await client.get(url)).text == "first"
                resolved.set()

            async def let_go() -> None:
                await backend.hear(asked)
                fault_lab.release()

            await backend.together(ask, let_go)
            ended()
            assert client.pool.stats().leased == 0

    backend.run(body)
    assert len(fault_lab.requests) == 2


def test_a_bad_answer_waits_for_the_other_one(backend: Runner, fault_lab: FaultLab):
    asked = threading.Event()
    fault_lab.serve(
        [Read(), GOOD, Read(), Hold(), Send(response(b"first")), Mute()],
        [Read(), BUSY, Tell(asked), Mute()],
    )

    async def body() -> None:
        async with backend.client(retry=EARLY, timeout=None) as client:
            await client.get(fault_lab.url())
            answer = await answered_late(backend, fault_lab, client, asked)
            assert answer.text == "first"
            ended()
            assert client.pool.stats().leased == 0

    backend.run(body)
    assert len(fault_lab.requests) == 3


def test_where_both_fail_it_goes_on_as_after_one(backend: Runner, fault_lab: FaultLab):
    asked = threading.Event()
    third = Send(response(b"third"))
    fault_lab.serve(
        [Read(), GOOD, Read(), Hold(), BUSY, Read(), third, Mute()],
        [Read(), Tell(asked), Reset()],
        [Read(), third, Mute()],
    )

    async def body() -> None:
        async with backend.client(retry=EARLY, timeout=None) as client:
            await client.get(fault_lab.url())
            answer = await answered_late(backend, fault_lab, client, asked)
            assert answer.text == "third"
            ended()
            assert client.pool.stats().leased == 0

    backend.run(body)
    assert len(fault_lab.requests) == 4


@pytest.mark.parametrize(
    ("method", "options"),
    [
        ("POST", {"content": b"once"}),
        ("PUT", {"content": [b"in", b"pieces"]}),
        ("GET", {"extensions": {"replay": False}}),
    ],
)
def test_what_may_not_be_sent_twice_is_not_hedged(
    backend: Runner, fault_lab: FaultLab, method: str, options: dict[str, Any]
):
    fault_lab.serve([Read(), GOOD, Read(), Mute()])
    sent = {"content": backend.content(options["content"])} if method == "PUT" else options

    async def body() -> None:
        async with backend.client(retry=EARLY, timeout=httpx_fast.Timeout(5, read=0.5)) as client:
            await client.get(fault_lab.url(), timeout=20)
            with pytest.raises(httpx_fast.ReadTimeout, match="read timed out"):
                await client.request(method, fault_lab.url(), **sent)

    backend.run(body)
    assert [request.method for request in fault_lab.requests[:2]] == ["GET", method]
    assert fault_lab.accepted == 1


def test_the_budget_bounds_hedges(backend: Runner, fault_lab: FaultLab, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(OriginState, "hedge_after", lambda self, retry: 0.05)
    fault_lab.serve([Read(), GOOD, Read(), Mute()])
    retry = Retry(backoff=0, budget=0, budget_floor=0, hedge=Hedge())

    async def body() -> None:
        async with backend.client(retry=retry, timeout=httpx_fast.Timeout(5, read=0.5)) as client:
            await client.get(fault_lab.url(), timeout=20)
            with pytest.raises(httpx_fast.ReadTimeout, match="read timed out"):
                await client.get(fault_lab.url())
            (stats,) = client.retry_stats().values()
            assert stats.retries == 0
            assert stats.refused >= 2  # the hedge, and the retry

    backend.run(body)
    assert fault_lab.accepted == 1


def test_the_circuit_is_not_told_of_what_was_cut(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Send(response(b"second")), Mute()])
    retry = Retry(hedge=Hedge(samples=1, least=0.1), breaker=Breaker(minimum=1, failures=0.1))

    async def body() -> None:
        async with backend.client(retry=retry) as client:
            await client.get(fault_lab.url())
            assert (await client.get(fault_lab.url())).text == "second"
            (stats,) = client.retry_stats().values()
            assert stats.circuit == "closed"

    backend.run(body)


def test_a_hedged_request_can_be_cancelled(backend: Runner, fault_lab: FaultLab):
    if not backend.asynchronous:
        pytest.skip("blocking code cannot be cancelled")
    asked = threading.Event()
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Tell(asked), Mute()])

    async def body() -> None:
        import anyio

        async with backend.client(retry=EARLY, timeout=None) as client:
            await client.get(fault_lab.url())
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, fault_lab.url())
                await backend.hear(asked)
                tasks.cancel_scope.cancel()
            assert client.pool.stats().open == 0

    backend.run(body)


def test_closing_the_client_ends_both(backend: Runner, fault_lab: FaultLab):
    asked = threading.Event()
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Tell(asked), Mute()])

    async def body() -> None:
        client = backend.client(retry=EARLY, timeout=None)
        await client.get(fault_lab.url())

        async def ask() -> None:
            with pytest.raises(httpx_fast.ClientClosed, match="the client was closed"):
                await client.get(fault_lab.url())

        async def close() -> None:
            await backend.hear(asked)
            await client.aclose()

        await backend.together(ask, close)

    backend.run(body)


def test_streamed_answers_are_read_where_they_are_wanted(backend: Runner, fault_lab: FaultLab):
    content = bytes(300_000)
    fault_lab.serve([Read(), GOOD, Read(), Mute()], [Read(), Send(response(content)), Mute()])

    async def body() -> None:
        async with backend.client(retry=EARLY) as client:
            await client.get(fault_lab.url())
            async with client.stream("GET", fault_lab.url()) as answer:
                assert await answer.aread() == content
            ended()
            assert client.pool.stats().leased == 0

    backend.run(body)


@pytest.mark.parametrize("http2", [False, True])
def test_many_hedges_leave_answers_and_connections_whole(
    backend: Runner,
    node: Node,
    nginx: Nginx,
    authority: Authority,
    http2: bool,
    monkeypatch: pytest.MonkeyPatch,
):
    # All are hedged at once, so that answers, resets and what is still sent cross each other.
    monkeypatch.setattr(OriginState, "hedge_after", lambda self, retry: 0.0)
    retry = Retry(backoff=0, budget=1.0, hedge=Hedge())

    async def body() -> None:
        options = {"retry": retry, "timeout": 30, "http2": http2, "verify": authority.client_context()}
        async with backend.client(**options) as client:

            async def ask(number: int) -> None:
                for count in range(25):
                    if http2:
                        sent = f"{number}-{count} ".encode() * 300
                        assert (await client.request("PUT", node.url("/echo"), content=sent)).content == sent
                    else:
                        assert (await client.get(nginx.url("/tiny"))).text == "ok"

            await backend.together(*[partial(ask, number) for number in range(8)])
            ended()
            (stats,) = client.retry_stats().values()
            assert (stats.requests, client.pool.stats().leased) == (200, 0)
            assert stats.retries > 0
            if http2:
                assert client.pool.stats().open == 1

    backend.run(body)


# The race itself.


def racing(backend: Runner) -> Any:
    return TaskRacing() if backend.asynchronous else ThreadRacing()


def test_what_comes_too_late_is_dropped(backend: Runner):
    async def body() -> None:
        dropped: list[str] = []
        cut: list[int] = []
        let, heard = backend.event(), threading.Event()

        async def attempt(number: int) -> str:
            if number == 0:
                await let.wait()
                return "late"
            return "good"

        async def drop(outcome: str) -> None:
            dropped.append(outcome)
            heard.set()

        def end(number: int) -> None:
            cut.append(number)
            let.set()

        race = Race(attempt, 0.0, lambda: True, lambda outcome: True, end, drop)
        assert await racing(backend).race(race) == ["good"]
        if backend.asynchronous:
            assert (cut, dropped) == ([], [])  # it was cancelled
        else:
            assert cut == [0]
            await backend.hear(heard)
            assert dropped == ["late"]

    backend.run(body)


class Broken(BaseException):
    """What no attempt takes for a failure of its own."""


def test_what_is_no_failure_of_an_attempt_ends_the_race(backend: Runner):
    async def body() -> None:
        dropped: list[str] = []

        async def attempt(number: int) -> str:
            if number == 1:
                raise Broken
            return "bad"

        async def drop(outcome: str) -> None:
            dropped.append(outcome)

        race = Race(attempt, 0.0, lambda: True, lambda outcome: False, lambda number: None, drop)
        # Whichever comes first.
        try:
            assert await racing(backend).race(race) == ["bad"]
        except (Broken, BaseExceptionGroup):
            assert dropped in ([], ["bad"])

    backend.run(body)


def test_an_answer_may_be_made_by_a_transport_without_connections(backend: Runner):
    release = threading.Event()
    asked: list[httpx_fast.Request] = []

    async def later(request: httpx_fast.Request) -> Response:
        asked.append(request)
        if len(asked) == 2:
            import anyio

            await anyio.sleep_forever()
        return Response(200, text=str(len(asked)))

    def blocking(request: httpx_fast.Request) -> Response:
        asked.append(request)
        number = len(asked)
        if number == 2:
            assert release.wait(30)
        return Response(200, text=str(number))

    async def body() -> None:
        transport = httpx_fast.MockTransport(later if backend.asynchronous else blocking)  # type: ignore[arg-type]
        async with backend.client(transport=transport, retry=Retry(hedge=Hedge(samples=1, least=0.05))) as client:
            await client.get("http://host/")
            answer = await client.get("http://host/")
            assert (answer.text, answer.request.url) == ("3", "http://host/")
            release.set()

    backend.run(body)


def test_an_open_circuit_is_told(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve([Read(), GOOD, Read(), Reset()], [Reset()])
    retry = Retry(attempts=1, hedge=Hedge(samples=1, least=5.0), breaker=Breaker(minimum=1, failures=0.5))

    async def body() -> None:
        async with backend.client(retry=retry) as client:
            await client.get(fault_lab.url())
            with pytest.raises((httpx_fast.NetworkError, httpx_fast.RemoteProtocolError), match=r"."):
                await client.get(fault_lab.url())
            with pytest.raises(httpx_fast.CircuitOpen, match="circuit breaker"):
                await client.get(fault_lab.url())

    backend.run(body)
