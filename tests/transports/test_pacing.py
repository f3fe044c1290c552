"""`Limits(rate=, burst=)`: how many requests begin to one origin, in which order, and what Retry-After does."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from peers import OK, PATIENCE, always

import httpx_fast
from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._deadline import Deadline
from httpx_fast._drive import drive
from httpx_fast._exceptions import ClientClosed, PoolTimeout
from httpx_fast._journey import Journey
from httpx_fast._origin import Origin, Route
from httpx_fast._transports.pacing import MAX_ORIGINS, MAX_PAUSE, Pacer

HERE, THERE = Route(Origin("http", "a.test", 80)), Route(Origin("http", "b.test", 80))


class Waiter:
    """Lets the time pass that is waited for."""

    def __init__(self, clock):
        self._clock = clock
        self._is_set = False

    def set(self):
        self._is_set = True

    async def wait(self, at):
        if not self._is_set:
            assert at is not None, "it waits for ever"
            self._clock.now = max(self._clock.now, at)
        return self._is_set


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Scene:
    """A pacer over a pool whose clock is the test's own, and which answers at once."""

    def __init__(self, rate, burst=1, pool=None):
        self.clock = Clock()
        self.timeouts = RequestTimeouts(None, None, None, pool)
        self.answers = []
        self.sent = []
        backend = SimpleNamespace(
            clock=self.clock, waiter=lambda: Waiter(self.clock), from_any_thread=lambda call: call
        )
        self.pool = SimpleNamespace(backend=backend, closed=False, stats=lambda: "stats")
        self.pacer = Pacer(self.pool, rate, burst)

    def send(self, route=HERE):
        """Seconds that a request has waited."""
        drive(self.exchange(route))
        return self.sent[-1]

    async def exchange(self, route=HERE):
        self.journey = Journey(self.clock(), self.clock)

        async def answer(*arguments):
            self.sent.append(self.clock() - self.journey.started)
            status, fields = self.answers.pop(0) if self.answers else (200, [])
            return (SimpleNamespace(status=status, fields=lambda: fields),)

        return await self.pacer.exchange(answer, None, route, b"", 0, self.timeouts, self.journey, True, None)


def test_requests_begin_at_the_rate():
    scene = Scene(rate=4)
    assert [scene.send() for _ in range(4)] == [0, 0.25, 0.25, 0.25]
    assert scene.journey.phases()["pool"] == 0.25


def test_a_burst_begins_at_once_and_is_there_again_after_a_pause():
    scene = Scene(rate=2, burst=3)
    assert [scene.send() for _ in range(5)] == [0, 0, 0, 0.5, 0.5]
    scene.clock.now += 1.0
    assert [scene.send() for _ in range(3)] == [0, 0, 0.5]
    scene.clock.now += 1000
    assert [scene.send() for _ in range(4)] == [0, 0, 0, 0.5]


def test_each_origin_has_a_rate_of_its_own():
    scene = Scene(rate=1)
    assert [scene.send(HERE), scene.send(THERE), scene.send(HERE)] == [0, 0, 1]


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("field", "seconds"),
    [
        ((b"Retry-After", b"7"), 7),
        ((b"retry-after", b"86400"), MAX_PAUSE),
        ((b"Retry-After", b"soon"), 0.001),
        ((b"Retry-After", b"Thu, 01 Jan 1970 00:00:00 GMT"), 0.001),
        ((b"X-Other", b"7"), 0.001),
    ],
)
def test_an_origin_is_left_alone_for_as_long_as_it_asks(status, field, seconds):
    scene = Scene(rate=1000)
    scene.answers = [(status, [field])]
    assert scene.send() == 0
    assert scene.send() == pytest.approx(seconds)
    assert scene.send(THERE) == 0


def test_the_field_of_another_answer_is_not_heeded():
    scene = Scene(rate=1000)
    scene.answers = [(200, [(b"Retry-After", b"7")])]
    assert (scene.send(), scene.send()) == (0, pytest.approx(0.001))


def test_who_runs_out_of_time_is_told_why_and_takes_nothing():
    scene = Scene(rate=0.1, pool=2.0)
    assert scene.send() == 0
    message = r"^pool timed out after 2 s of 2 s: http://a.test gets 0.1 requests per second, 1 wait$"
    with pytest.raises(PoolTimeout, match=message) as caught:
        scene.send()
    assert (caught.value.pool, caught.value.journey) == ("stats", scene.journey)
    scene.timeouts = RequestTimeouts(None, None, None, None)
    assert scene.send() == 8  # ten after the first


def test_a_pause_that_is_too_long_is_told():
    scene = Scene(rate=1000, pool=2.0)
    scene.answers = [(429, [(b"Retry-After", b"30")])]
    scene.send()
    with pytest.raises(PoolTimeout, match=r"http://a.test asked by Retry-After to be left alone for 28 s more$"):
        scene.send()


def test_the_total_bounds_the_wait():
    scene = Scene(rate=0.1)
    scene.send()
    deadline = Deadline(3.0).on(scene.clock)
    scene.timeouts = RequestTimeouts(None, None, None, None, None, deadline)
    with pytest.raises(
        PoolTimeout, match=r"^total timed out after 3 s of 3 s, while waiting for a connection: http://a"
    ):
        scene.send()


def test_a_pool_that_is_closed_meanwhile():
    scene = Scene(rate=0.1)
    scene.send()
    scene.pool.closed = True
    with pytest.raises(ClientClosed, match=r"while a request to http://a\.test was waiting for a connection"):
        scene.send()


def test_origins_of_the_past_are_forgotten():
    scene = Scene(rate=1)
    for number in range(MAX_ORIGINS + 50):
        scene.clock.now += 10
        scene.send(Route(Origin("http", f"{number}.test", 80)))
    assert len(scene.pacer._buckets) <= MAX_ORIGINS


# In every world.


def test_requests_that_come_at_once_begin_at_the_rate(backend, peer):
    began = []
    limits = httpx_fast.Limits(rate=200, burst=1)

    async def body():
        async with backend.client(limits=limits, timeout=PATIENCE) as client:

            def one():
                async def ask():
                    response = await client.get(at.url())
                    began.append(response.journey.started + response.journey.pool)
                    assert response.journey.pool >= 0

                return ask

            first = await client.get(at.url())
            await backend.together(*[one() for _ in range(5)])
            # A busy machine may be late with one of them, and then be on time with the next: but none comes early.
            for number, moment in enumerate(sorted(began), 1):
                assert moment >= first.journey.started + number / 200 - 0.0001

    at = peer(always(OK))
    backend.run(body)


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_timeout_of_the_pool(backend, nginx, authority, http2):
    async def body():
        limits = httpx_fast.Limits(rate=0.001)
        timeout = httpx_fast.Timeout(PATIENCE, pool=0.02)
        url = nginx.url("/tiny", "http2" if http2 else "https")
        context = authority.client_context()
        async with backend.client(limits=limits, timeout=timeout, verify=context, http2=http2) as client:
            assert (await client.get(url)).status_code == 200
            with pytest.raises(PoolTimeout, match=r"pool timed out after .* gets 0\.001 requests per second, 1 wait"):
                await client.get(url)
            assert "rate 0.001, burst 1" in str(client.explain("GET", url))

    backend.run(body)


def test_closing_the_client_ends_the_wait(backend, peer):
    at = peer(always(OK))

    async def body():
        client = backend.client(limits=httpx_fast.Limits(rate=0.001), timeout=PATIENCE)
        await client.get(at.url())
        inner = getattr(client, "blocking", client)

        async def ask():
            with pytest.raises(ClientClosed, match="was waiting for a connection"):
                await client.get(at.url())

        async def close():
            bucket = next(iter(inner._transport.pool.pacer._buckets.values()))
            while not bucket.queue:
                await inner_sleep()
            await client.aclose()

        async def inner_sleep():
            if backend.asynchronous:
                import anyio

                await anyio.lowlevel.checkpoint()

        await backend.together(ask, close)

    backend.run(body)


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"rate": 0}, ValueError, "^expected more than 0 requests per second, or None for no limit, as rate, got 0$"),
        ({"rate": float("inf")}, ValueError, "as rate, got inf$"),
        ({"rate": "5"}, TypeError, "^expected requests per second, or None for no limit, as rate, got '5'$"),
        ({"rate": 5, "burst": 0}, ValueError, "^expected 1 or more as burst, got 0$"),
        ({"rate": 5, "burst": 1.5}, TypeError, r"^expected a count as burst, got 1\.5$"),
        ({"burst": 5}, ValueError, "^expected a rate with burst=5, got none$"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        httpx_fast.Limits(**settings)


def test_limits_show_their_rate():
    limits = httpx_fast.Limits(rate=5, burst=2)
    assert repr(limits).endswith("keepalive_expiry=5.0, rate=5, burst=2)")
    assert limits == httpx_fast.Limits(rate=5, burst=2) != httpx_fast.Limits(rate=5)
