"""Sending again over real connections, in every world: what peers see, what users get, and that nothing is left."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast import ClientClosed, Limits, ReadError, Retry, Timeout
from httpx_fast.testing import (
    FakeClock,
    FaultLab,
    Http2,
    Mute,
    Read,
    Repeat,
    Reset,
    Send,
    Tell,
    frames,
    redirect,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

SOON = Retry(backoff=0)
LONG = Retry(backoff=0, retry_after_max=1000.0)
BUSY = Send(response(b"busy", status=503))
LATER = Send(response(b"later", ("Retry-After", "900"), status=503))
GOOD = Send(response(b"good"))
ONE = Limits(max_connections=1)  # a place that leaked would be missed by the next request


def busy(count: int, *then: Any) -> list[Any]:
    """A connection whose first answers are 503."""
    return [*[step for _ in range(count) for step in (Read(), BUSY)], *then]


def test_answers_are_asked_for_again_over_the_same_connection(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(busy(2, Read(), GOOD, Mute()))

    async def body() -> None:
        async with backend.client(retry=SOON, limits=ONE) as client:
            answer = await client.get(fault_lab.url())
            assert answer.text == "good"
            assert fault_lab.accepted == 1
            stats = client.pool.stats()
            (origin,) = stats.retries
            assert (stats.leased, stats.retries[origin].retries, origin.port) == (0, 2, fault_lab.port)
            assert client.retry_stats() == stats.retries

    backend.run(body)


def test_attempts_are_on_the_journey_with_reasons(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve([Read(), Reset()], [Read(), BUSY, Read(), GOOD, Mute()])

    async def body() -> None:
        async with backend.client(retry=SOON) as client:
            answer = await client.get(fault_lab.url())
        first, second = answer.journey.attempts
        assert first.failure.startswith(("ReadError: ", "RemoteProtocolError: "))
        assert first.failure.endswith("; sent again after 0 s")
        assert second.failure == "the answer was 503; sent again after 0 s"
        assert not second.reused
        assert answer.journey.reused
        assert answer.journey.refusal is None
        assert first.started <= second.started <= answer.journey.started
        assert answer.journey.total >= answer.journey.wait

    backend.run(body)


def test_the_last_journey_says_why_there_was_no_other_attempt(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Repeat(Read(), BUSY))

    async def body() -> None:
        async with backend.client(retry=SOON) as client:
            answer = await client.get(fault_lab.url())
            assert answer.status_code == 503
            assert len(answer.journey.attempts) == 2
            assert answer.journey.refusal == "all 3 attempts were made"
            posted = await client.post(fault_lab.url(), content=b"once")
            told = "it may have been processed, and nothing says that it may be twice"
            assert (posted.journey.refusal, posted.journey.attempts) == (told, ())

    backend.run(body)


def test_the_exception_has_all_attempts(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Read(), Reset())

    async def body() -> None:
        async with backend.client(retry=SOON, limits=ONE) as client:
            with pytest.raises((ReadError, httpx_fast.RemoteProtocolError), match=r".") as caught:
                await client.get(fault_lab.url())
            assert len(caught.value.journey.attempts) == 2
            assert "It was sent 3 times." in caught.value.__notes__
            assert client.pool.stats().open == 0

    backend.run(body)


def test_a_connection_that_cannot_be_made_is_tried_again_for_any_method(backend: Runner, fault_lab: FaultLab):
    url = fault_lab.url()
    fault_lab.close()

    async def body() -> None:
        async with backend.client(retry=SOON) as client:
            with pytest.raises(httpx_fast.ConnectError, match=r".") as caught:
                await client.post(url, content=backend.content([b"piece"]))
            assert len(caught.value.journey.attempts) == 2

    backend.run(body)


@pytest.mark.parametrize("size", [10, 10 * 1024 * 1024])
def test_a_long_answer_that_is_not_wanted_costs_its_connection_and_no_more(
    backend: Runner, fault_lab: FaultLab, size: int
):
    fault_lab.serve([Read(), Send(response(bytes(size), status=503)), Read(), GOOD], [Read(), GOOD, Mute()])

    async def body() -> None:
        async with backend.client(retry=SOON, limits=ONE) as client, client.stream("GET", fault_lab.url()) as answer:
            assert await answer.aread() == b"good"

    backend.run(body)
    assert fault_lab.accepted == (1 if size == 10 else 2)


def test_a_body_that_breaks_off_is_asked_for_again(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve([Read(), Send(response(bytes(500_000))[:300_000]), Reset()], [Read(), GOOD, Mute()])

    async def body() -> None:
        async with backend.client(retry=SOON, limits=ONE) as client:
            answer = await client.get(fault_lab.url())
            assert (answer.text, len(answer.journey.attempts)) == ("good", 1)

    backend.run(body)


def test_files_are_sent_again_from_where_they_stood(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(busy(2, Read(), GOOD, Mute()))

    async def body() -> None:
        file = io.BytesIO(b"skipped" + b"x" * 200_000)
        file.seek(7)
        async with backend.client(retry=SOON) as client:
            content = _AsyncFile(file) if backend.asynchronous else file
            assert (await client.request("PUT", fault_lab.url(), content=content)).text == "good"

    backend.run(body)
    assert [len(request.body) for request in fault_lab.requests] == [200_000] * 3
    assert {request.body[:1] for request in fault_lab.requests} == {b"x"}


class _AsyncFile:
    """An asynchronous file, as those of anyio are."""

    def __init__(self, file: io.BytesIO) -> None:
        self._file = file
        self.wrapped = file

    async def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    async def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    async def tell(self) -> int:
        return self._file.tell()

    def __aiter__(self) -> Any:
        raise NotImplementedError


def test_a_generator_is_sent_once(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(busy(1, Read(), GOOD, Mute()))

    async def body() -> None:
        async with backend.client(retry=SOON) as client:
            answer = await client.request("PUT", fault_lab.url(), content=backend.content([b"one", b"two"]))
            assert answer.status_code == 503
            assert answer.journey.refusal == "its body can be read only once"

    backend.run(body)
    assert [request.body for request in fault_lab.requests] == [b"onetwo"]


# Where retries stand in a `send()`.


def test_redirects_hooks_and_history_see_the_last_answer_of_each_exchange(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(busy(1, Read(), Send(redirect("/b")), *busy(2, Read(), GOOD), Mute()))
    seen: list[Any] = []

    async def waiting(message: Any) -> None:
        seen.append(message)

    async def body() -> None:
        hook = waiting if backend.asynchronous else seen.append
        hooks = {"request": [hook], "response": [hook]}
        async with backend.client(retry=SOON, follow_redirects=True, event_hooks=hooks) as client:
            answer = await client.get(fault_lab.url("/a"))
            assert answer.text == "good"
            assert [each.status_code for each in answer.history] == [302]
            assert len(answer.journey.attempts) == 2
            assert len(answer.history[0].journey.attempts) == 1

    backend.run(body)
    assert [request.target for request in fault_lab.requests] == ["/a", "/a", "/b", "/b", "/b"]
    assert [getattr(message, "status_code", None) for message in seen] == [None, 302, None, 200]


def test_authentication_is_around_retries(backend: Runner, fault_lab: FaultLab):
    challenge = response(b"", ("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=SHA-256'), status=401)
    fault_lab.serve(busy(1, Read(), Send(challenge), *busy(1, Read(), GOOD), Mute()))

    async def body() -> None:
        async with backend.client(retry=SOON, auth=httpx_fast.DigestAuth("user", "secret")) as client:
            answer = await client.get(fault_lab.url())
            assert (answer.text, [each.status_code for each in answer.history]) == ("good", [401])

    backend.run(body)
    sent = [request.field("Authorization") for request in fault_lab.requests]
    assert sent[:2] == [None, None]
    assert sent[2] is not None
    assert sent[2] == sent[3]  # the same request, not another round


def test_the_extension_of_a_request_wins(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Repeat(Read(), BUSY, Read(), GOOD))

    async def body() -> None:
        async with backend.client() as client:
            answer = await client.get(fault_lab.url(), extensions={"retry": SOON})
            assert answer.text == "good"
            assert (await client.get(fault_lab.url())).status_code == 503
            (stats,) = client.pool.stats().retries.values()
            assert (stats.requests, stats.retries) == (1, 1)
            await client.get(fault_lab.url())
        async with backend.client(retry=SOON) as client:
            for off in (None, False):
                answer = await client.get(fault_lab.url(), extensions={"retry": off})
                assert answer.status_code == 503
                await client.get(fault_lab.url(), extensions={"retry": off})
            with pytest.raises(TypeError, match="as the extension 'retry', got 3"):
                await client.get(fault_lab.url(), extensions={"retry": 3})

    backend.run(body)


def test_a_transport_sends_again_too(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Repeat(*busy(2, Read(), GOOD)))

    async def body() -> None:
        if backend.asynchronous:
            transport: Any = httpx_fast.AsyncRetryTransport(httpx_fast.AsyncHTTPTransport(limits=ONE), SOON)
        else:
            transport = httpx_fast.RetryTransport(httpx_fast.HTTPTransport(limits=ONE), SOON)
        # The client's own settings are not applied on top of that: three attempts, not nine.
        async with backend.client(transport=transport, retry=Retry(attempts=3, backoff=0, statuses={418})) as client:
            answer = await client.get(fault_lab.url())
            assert (answer.text, len(answer.journey.attempts)) == ("good", 2)
            (stats,) = client.pool.stats().retries.values()
            assert stats.retries == 2
            assert repr(transport).startswith(f"<{type(transport).__name__}(<httpx_fast.")
            assert repr(transport).endswith(", Retry(attempts=3, backoff=0))>")

    backend.run(body)
    assert fault_lab.accepted == 1


@pytest.mark.parametrize("kind", [httpx_fast.RetryTransport, httpx_fast.AsyncRetryTransport])
def test_a_transport_takes_a_transport_and_a_retry(kind: Any):
    with pytest.raises(TypeError, match=r"expected a transport with handle_(async_)?request\(\), got 3"):
        kind(3)
    other = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
    with pytest.raises(TypeError, match="expected a Retry, or None or False for none, as retry, got 3"):
        kind(other, 3)


@pytest.mark.parametrize("retry", [3, True, "yes", httpx_fast.Hedge()])
def test_a_client_takes_a_retry(backend: Runner, retry: Any):
    with pytest.raises(TypeError, match="expected a Retry, or None or False for none, as retry"):
        backend.client(retry=retry)


def test_retries_are_not_retry(backend: Runner):
    with pytest.raises(
        TypeError, match=r"here it is retry=Retry\(attempts=\.\.\.\), or for connecting alone transport="
    ):
        backend.client(retries=3)


# Time.


def test_nothing_waits_past_the_total(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Read(), LATER, Mute())

    async def body() -> None:
        async with backend.client(retry=LONG, timeout=Timeout(None, total=800.0)) as client:
            answer = await client.get(fault_lab.url())
            assert answer.status_code == 503
            told = "the total time ends before the 900 s have passed"
            assert answer.journey.refusal == told

    backend.run(body)


def test_attempts_share_the_total(backend: Runner, fault_lab: FaultLab):
    again = threading.Event()
    fault_lab.serve([Read(), BUSY, Read(), Tell(again), Mute()])

    async def body() -> None:
        async with backend.client(retry=SOON, timeout=Timeout(None, total=3600.0)) as client:
            with FakeClock(getattr(client, "blocking", client)) as clock:

                async def ask() -> None:
                    with pytest.raises(httpx_fast.ReadTimeout, match="total timed out after") as caught:
                        await client.get(fault_lab.url())
                    assert caught.value.limit == "total"
                    assert caught.value.__notes__ == [
                        "The request was not sent again: the total time is over.",
                        "It was sent 2 times.",
                    ]

                async def move() -> None:
                    await backend.hear(again)
                    clock.advance(3600.0)

                await backend.together(ask, move)

    backend.run(body)


async def paused(backend: Runner, client: Any) -> None:
    """Returns once a request waits to be sent again."""
    await backend.hear(noticed(client._retrier))


def noticed(retrier: Any) -> threading.Event:
    """An event that is set once a request waits to be sent again."""
    waits = threading.Event()

    class Pauses(set[Any]):
        def add(self, wake: Any) -> None:
            super().add(wake)
            waits.set()

    with retrier._lock:
        retrier._pauses = Pauses(retrier._pauses)
        if retrier._pauses:
            waits.set()
    return waits


def test_closing_the_client_wakes_who_waits(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Read(), LATER, Mute())

    async def body() -> None:
        client = backend.client(retry=LONG, timeout=None)

        async def ask() -> None:
            told = "closed, by close.. or aclose.., while a request to http://127.0.0.1:[0-9]+ waited to be sent again"
            with pytest.raises(ClientClosed, match=told) as caught:
                await client.get(fault_lab.url())
            assert caught.value.journey.failure.startswith("the answer was 503, Retry-After: 900; sent again after 900")

        async def close() -> None:
            await paused(backend, client)
            await client.aclose()

        await backend.together(ask, close)
        assert client._retrier._pauses == set()

    backend.run(body)


def test_a_pause_can_be_cancelled(backend: Runner, fault_lab: FaultLab):
    if not backend.asynchronous:
        pytest.skip("blocking code cannot be cancelled")
    fault_lab.serve(Read(), LATER, Mute())

    async def body() -> None:
        import anyio

        async with backend.client(retry=LONG, timeout=None, limits=ONE) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, fault_lab.url())
                await paused(backend, client)
                tasks.cancel_scope.cancel()
            assert client._retrier._pauses == set()
            assert client.pool.stats().leased == 0

    backend.run(body)


def test_one_client_in_two_event_loops_is_closed_in_one_of_them(fault_lab: FaultLab):
    fault_lab.serve(Read(), LATER, Mute())
    client = httpx_fast.AsyncClient(retry=LONG, timeout=None)
    failures: list[BaseException] = []

    async def ask() -> None:
        try:
            await client.get(fault_lab.url())
        except ClientClosed as error:
            failures.append(error)

    there = threading.Thread(target=asyncio.run, args=(ask(),), daemon=True)
    there.start()

    async def close() -> None:
        assert await asyncio.to_thread(noticed(client._retrier).wait, 30)
        await client.aclose()

    asyncio.run(close())
    there.join(30)
    assert [str(error)[-24:] for error in failures] == [" waited to be sent again"]


# HTTP/2.


def streams(*answers: tuple[str, bytes]) -> list[Any]:
    """A connection of HTTP/2 that gives these answers, one by one."""
    steps: list[Any] = [Http2()]
    for number, (status, content) in enumerate(answers):
        stream = 2 * number + 1
        head = frames.headers(stream, (":status", status), ("content-length", str(len(content))))
        steps += [Read(), Send(head + frames.data(stream, content, end=True))]
    return [*steps, Mute()]


def test_http2_answers_are_asked_for_again_over_the_same_connection(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(streams(("503", b"busy"), ("502", b""), ("200", b"good")))

    async def body() -> None:
        async with backend.client(retry=SOON, limits=ONE, http1=False, http2=True) as client:
            answer = await client.get(fault_lab.url())
            assert (answer.http_version, answer.text) == ("HTTP/2", "good")
            assert [each.failure[:18] for each in answer.journey.attempts] == [
                "the answer was 503",
                "the answer was 502",
            ]
            assert client.pool.stats().leased == 0

    backend.run(body)
    assert fault_lab.accepted == 1


def test_http2_streams_that_are_reset_are_sent_again(backend: Runner, fault_lab: FaultLab):
    answer = frames.headers(3, (":status", "200"), end=True)
    fault_lab.serve(Http2(), Read(), Send(frames.reset(1, "INTERNAL_ERROR")), Read(), Send(answer), Mute())

    async def body() -> None:
        async with backend.client(retry=SOON, http1=False, http2=True) as client:
            answer = await client.get(fault_lab.url())
            assert answer.status_code == 200
            assert len(answer.journey.attempts) == 1

    backend.run(body)
    assert fault_lab.accepted == 1


def test_many_share_one_budget(backend: Runner, fault_lab: FaultLab):
    fault_lab.serve(Repeat(Read(), BUSY))
    retry = Retry(attempts=9, backoff=0, budget=0.2, budget_floor=0.5)  # five in ten seconds

    async def body() -> None:
        async with backend.client(retry=retry) as client:

            async def ask() -> None:
                assert (await client.get(fault_lab.url())).status_code == 503

            await backend.together(*[ask for _ in range(10)])
            (stats,) = client.retry_stats().values()
            assert (stats.requests, stats.retries, stats.refused) == (10, 5, 10)

    backend.run(body)
    assert len(fault_lab.requests) == 15
