"""The pool with connections that serve several requests at once, played by a double of the HTTP/2 connection."""

from __future__ import annotations

import asyncio
import math
import random
import sys
import types
from collections.abc import Callable
from typing import Any

import pytest
from memory import A, B, House
from runners import Runner
from scripted import ScriptedStream

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._conn.dial import Dialled
from httpx_fast._conn.http1 import Http1Connection
from httpx_fast._conn.protocols import protocol_of
from httpx_fast._exceptions import PoolTimeout, ReadError, RemoteProtocolError
from httpx_fast._journey import MAX_ATTEMPTS, ConnectionFacts
from httpx_fast._kernel.select import HeadParser
from httpx_fast._origin import Origin, Route
from httpx_fast._pool.dialler import FIRST_STREAMS
from httpx_fast._pool.state import UNLIMITED

BYTES = b"HTTP/1.1 200 OK\r\n\r\n"


class Shared:
    """A connection that says what it is told to say. A step of `script` is what an exchange does: see `exchange`."""

    multiplexed = True
    sole_exchange = None

    made: list[Shared]
    first_limit: int | None
    first_settled: bool
    script: list[Any]
    dead_on_arrival: int  # connections that break while they are made
    progress: bool  # whether the peer has processed a stream of a connection

    def __init__(
        self,
        stream: Any,
        route: Route,
        facts: ConnectionFacts,
        owner: Any,
        ping_after: float | None,
        first_limit: int | None,
        max_head_size: int | None,
    ) -> None:
        self.stream, self.route, self.facts, self.clock, self.owner = stream, route, facts, owner.backend.clock, owner
        self.limit = Shared.first_limit
        self.settled = Shared.first_settled
        self.first_limit, self.ping_after, self.max_head_size = first_limit, ping_after, max_head_size
        self.rtt = None
        self.window_out = self.room = 65535
        self.windows = (65535, 65535)
        self.journeys: list[Any] = []
        self.idle_since: float | None = None
        self.usable = True
        self.progressed = Shared.progress
        self.farewell: str | None = None
        self.broken: Exception | None = None
        self.closed = 0
        if Shared.dead_on_arrival:
            Shared.dead_on_arrival -= 1
            self.limit, self.settled = 0, False
            self.go_away()
        facts.http_version = "HTTP/2"
        facts.stream = stream
        Shared.made.append(self)

    async def exchange(self, head: Any, body: Any, framing: int, timeouts: Any, journey: Any, whole: bool) -> Any:
        self.facts.requests += 1
        journey.nth, journey.connection, journey.sending = self.facts.requests, self.facts, self.clock()
        if not isinstance(body, bytes):
            assert [piece async for piece in body]
        step = Shared.script.pop(0) if Shared.script else None
        self.journeys.append(journey)
        if isinstance(step, BaseException):
            self.journeys.remove(journey)
            if getattr(step, "farewell", False):
                self.farewell, self.broken = "GOAWAY", step
            if getattr(step, "goes_away", False):
                self.go_away()
            raise step
        if step is not None:
            try:
                await step()
            except BaseException:
                self.journeys.remove(journey)
                raise
        return Exchange(self, whole, journey)

    def go_away(self) -> None:
        self.usable = False
        self.owner.draining(self)

    @property
    def draining(self) -> bool:
        return not self.usable

    @property
    def ended_by_peer(self) -> bool:
        return bool(self.farewell) and self.broken is not None

    def alive(self, now: float = 0.0) -> bool:
        return self.usable

    def alive_now(self) -> bool:
        return self.usable

    def set_mark(self) -> None: ...

    def usable_until(self, head: Any, now: float) -> float:
        return math.inf

    def users(self) -> list[Any]:
        return list(self.journeys)

    def left_unanswered(self, journey: Any) -> bool:
        return not self.usable and not journey.first

    def close(self) -> None:
        self.closed += 1


class Exchange:
    interim = trailers = ()
    upgraded = sending = False

    def __init__(self, connection: Shared, whole: bool, journey: Any) -> None:
        self.connection = connection
        self.journey = journey
        self.whole = self.ended = whole
        self.head = HeadParser().feed(memoryview(BYTES), 0, len(BYTES))
        self.pieces = [b"ok"]

    @property
    def complete(self) -> bool:
        return self.ended and not self.pieces

    def take_whole(self) -> bytes:
        return self.pieces.pop()

    async def next_chunk(self) -> bytes:
        self.ended = True
        return self.pieces.pop() if self.pieces else b""

    def rest(self, now: float) -> bool:
        self.connection.idle_since = now
        self.connection.journeys.remove(self.journey)
        return self.connection.usable


@pytest.fixture(autouse=True)
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """What speaks HTTP/2 here."""
    module = types.ModuleType("httpx_fast._conn.http2")
    module.Http2Connection = Shared  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, module.__name__, module)
    Shared.made, Shared.script, Shared.first_limit, Shared.first_settled = [], [], 100, True
    Shared.dead_on_arrival = 0
    Shared.progress = False


def house_of(runner: Runner, **options: Any) -> House:
    return House(runner, **{"connections": 10, "http1": False, "http2": True, **options})


def barrier(house: House, count: int) -> Callable[[], Any]:
    """Holds exchanges until so many are under way."""
    waiting: list[Any] = []

    async def step() -> None:
        waiter = house.backend.world.waiter()
        waiting.append(waiter)
        if len(waiting) == count:
            for each in waiting:
                each.set()
        await waiter.wait(None)

    return step


def failure(
    text: str, *, unprocessed: bool = False, goes_away: bool = False, farewell: bool = False
) -> RemoteProtocolError:
    error: Any = RemoteProtocolError(text)
    error.farewell = farewell
    error.unprocessed = unprocessed
    error.goes_away = goes_away
    return error


@pytest.mark.parametrize(
    ("alpn", "http1", "http2", "forward", "spoken"),
    [
        ("h2", True, True, False, Shared),
        ("h2", False, True, False, Shared),
        ("http/1.1", True, True, False, Http1Connection),
        (None, True, True, False, Http1Connection),
        ("none was agreed on", False, True, False, Shared),
        (None, False, True, False, Shared),
        (None, False, True, True, Http1Connection),
        (None, True, False, False, Http1Connection),
    ],
)
def test_protocol_is_what_tls_agreed_on_or_what_is_known(
    run: Any, alpn: str | None, http1: bool, http2: bool, forward: bool, spoken: type
) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, http1=http1, http2=http2)
        negotiated = None if alpn == "none was agreed on" else alpn
        dialled = Dialled(ScriptedStream([]), protocol_of(negotiated, http1, http2, forward))
        route = Route(Origin("http", "a.example", 80), None, forward)
        assert isinstance(house.pool.dialler.make_connection(dialled, route, ConnectionFacts()), spoken)

    run(body)


def test_hundred_first_requests_open_one_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        house.backend.close_gate(waiting=99)
        Shared.script = [barrier(house, 100)] * 100
        replies = await runner.together(*[house.get] * 100)
        assert [data for _, data, *_ in replies] == [b"ok"] * 100
        assert len(house.backend.streams) == 1
        assert house.counts == (0, 1, 0)

    run(body)


def test_more_than_the_peer_takes_at_once_opens_further_connections(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        Shared.first_limit = 2
        Shared.script = [barrier(house, 5)] * 5
        await runner.together(*[house.get] * 5)
        assert len(house.backend.streams) == 3
        assert house.counts == (0, 3, 0)

    run(body)


def test_first_burst_waits_for_the_peers_word(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        Shared.first_settled, Shared.first_limit = False, 10
        asked: list[None] = []
        full = barrier(house, 30)

        async def step() -> None:
            asked.append(None)
            if len(asked) == 10:
                assert house.pool.stats().waiting == 20
                house.pool.owner.limit_changed(Shared.made[0], 30)
            await full()

        house.backend.close_gate(waiting=29)
        Shared.script = [step] * 30
        await runner.together(*[house.get] * 30)
        assert len(Shared.made) == 1
        assert Shared.made[0].first_limit == FIRST_STREAMS

    run(body)


def test_nobody_waits_for_the_word_of_a_connection_that_was_dead_on_arrival(run: Any) -> None:
    """The pool hears of its end before it knows of it; several wait for one place."""

    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        Shared.dead_on_arrival = 1
        dead = RemoteProtocolError("the connection takes no more streams")
        dead.unprocessed = True
        Shared.script = [dead]
        house.backend.close_gate(waiting=2)
        await runner.together(*[house.get] * 3)
        assert [connection.closed for connection in Shared.made] == [1, 0]
        assert (house.pool.stats().leased, house.pool.stats().idle) == (0, 1)

    run(body)


def test_next_connection_begins_with_what_was_learnt(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        for limit, first in ((30, 30), (None, UNLIMITED), (0, 1)):
            house.pool.owner.limit_changed(Shared.made[-1], limit)
            house.pool.owner.lost(Shared.made[-1])
            await house.get()
            assert Shared.made[-1].first_limit == first
        await house.get(B)
        assert Shared.made[-1].first_limit == FIRST_STREAMS

    run(body)


def test_connection_for_one_lets_those_who_wait_dial_at_once(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, http1=True)
        house.backend.close_gate(waiting=2)
        await runner.together(*[house.get] * 3)
        assert len(house.backend.streams) == 3
        assert not Shared.made
        assert house.counts == (0, 3, 0)

    run(body)


@pytest.mark.parametrize("method", [b"GET", b"POST"])
def test_request_that_the_peer_did_nothing_with_is_sent_again(run: Any, method: bytes) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        Shared.script = [failure("GOAWAY", unprocessed=True, goes_away=True)]
        assert (await house.get(method=method, replay=False))[1] == b"ok"
        (attempt,) = house.last.attempts
        assert attempt.failure == "the peer did nothing with it: GOAWAY"
        assert [each.closed for each in Shared.made] == [1, 0]
        assert house.counts == (0, 1, 0)

    run(body)


def test_request_that_is_always_refused_fails_after_three_replays(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        Shared.script = [failure("REFUSED_STREAM", unprocessed=True) for _ in range(10)]
        with pytest.raises(RemoteProtocolError, match="REFUSED_STREAM") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert len(caught.value.journey.attempts) == 3
        # The first replay may find the same connection; then a connection that refused it is not used again.
        assert [each.facts.requests for each in Shared.made] == [2, 2]
        assert house.counts == (0, 0, 0)

    run(body)


@pytest.mark.parametrize("goes_away", [False, True])
def test_request_is_sent_again_as_long_as_connections_make_progress(run: Any, goes_away: bool) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        Shared.progress = True
        Shared.script = [failure(f"no. {n}", unprocessed=True, goes_away=goes_away) for n in range(100)]
        assert (await house.get(method=b"POST"))[1] == b"ok"
        reasons = [str(attempt.failure) for attempt in house.last.attempts]
        assert len(reasons) == MAX_ATTEMPTS
        assert reasons[0].endswith("no. 0")
        assert reasons[1:] == [f"the peer did nothing with it: no. {n}" for n in range(101 - MAX_ATTEMPTS, 100)]
        assert house.counts == (0, 1, 0)

    run(body)


def test_tries_without_progress_count_since_the_last_progress(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)

        def step(progress: bool) -> Callable[[], Any]:
            async def refuse() -> None:
                Shared.made[-1].progressed = progress
                Shared.made[-1].go_away()
                raise failure("GOAWAY", unprocessed=True)

            return refuse

        for rounds, fails in (([False] * 3 + [True] + [False] * 3, False), ([True] + [False] * 4, True)):
            Shared.script = [step(progress) for progress in rounds]
            if not fails:
                assert (await house.get())[1] == b"ok"
                continue
            with pytest.raises(RemoteProtocolError, match="GOAWAY"):
                await house.get()
            assert not Shared.script

    run(body)


def test_time_of_tries_that_failed_is_no_waiting_for_the_pool(run: Any) -> None:
    """A try takes ten seconds, and then the request has to wait for a place that another one has."""

    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        Shared.progress = True
        Shared.first_limit = 1
        first: list[Any] = []
        queued = runner.event()
        deadlines: list[float | None] = []

        class Patient:
            """A waiter that notes its deadline, and does without."""

            def __init__(self) -> None:
                self._waiter = house.backend.world.waiter()
                self.set = self._waiter.set
                queued.set()

            async def wait(self, at: float | None) -> bool:
                deadlines.append(at)
                return await self._waiter.wait(None)

        async def long_try() -> None:
            house.backend.now += 10
            Shared.made[-1].go_away()
            *_, lease = await house.get(whole=False)
            first.append(lease)
            house.backend.waiter = Patient  # type: ignore[method-assign, assignment]
            raise failure("GOAWAY", unprocessed=True)

        async def end() -> None:
            await queued.wait()
            first.pop().close()

        async def wait() -> None:
            assert (await house.get(timeouts=RequestTimeouts(None, None, None, 3.0)))[1] == b"ok"

        Shared.script = [long_try]
        await runner.together(wait, end)
        assert deadlines == [house.backend.now + 3]

    run(body)


@pytest.mark.parametrize(("method", "sent_again"), [(b"GET", True), (b"POST", False)])
def test_request_that_goaway_cut_off_is_sent_again_if_it_may_be(run: Any, method: bytes, sent_again: bool) -> None:
    """Also on a new connection, and up to three times."""

    async def body(runner: Runner) -> None:
        house = house_of(runner)
        for count in (1, 3, 4):
            Shared.script = [failure("ended", goes_away=True, farewell=True) for _ in range(count)]
            if sent_again and count <= 3:
                await house.get(method=method)
                assert [each.failure for each in house.last.attempts] == [
                    "the peer ended the connection: ended"
                ] * count
                continue
            with pytest.raises(RemoteProtocolError, match="ended"):
                await house.get(method=method)
            assert len(Shared.script) == (0 if sent_again else count - 1)

    run(body)


def test_body_in_pieces_is_not_sent_again(run: Any) -> None:
    async def pieces() -> Any:
        yield b"x"

    async def body(runner: Runner) -> None:
        house = house_of(runner)
        Shared.script = [failure("REFUSED_STREAM", unprocessed=True)]
        with pytest.raises(RemoteProtocolError, match="REFUSED_STREAM"):
            await house.get(method=b"POST", fields=[(b"Transfer-Encoding", b"chunked")], body=pieces())
        assert house.counts == (0, 1, 0)

    run(body)


@pytest.mark.parametrize(("method", "sent_again"), [(b"GET", True), (b"POST", False)])
def test_request_that_may_have_been_processed_follows_the_rule_of_dead_connections(
    run: Any, method: bytes, sent_again: bool
) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        Shared.script = [failure("reset", goes_away=True)]
        if not sent_again:
            with pytest.raises(RemoteProtocolError, match="reset"):
                await house.get(method=method)
            return
        await house.get(method=method)
        assert house.last.attempts[0].failure == "the reused connection was dead: reset"
        assert len(Shared.made) == 2

    run(body)


def test_failed_exchange_leaves_the_others_of_its_connection_alone(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        Shared.script = [ReadError("cancelled by the peer")]
        with pytest.raises(ReadError, match="cancelled by the peer"):
            await house.get(method=b"POST")
        assert house.counts == (1, 0, 0)
        assert await lease.next_chunk() == b"ok"
        assert house.counts == (0, 1, 0)
        assert not Shared.made[0].closed
        assert not any(connection.users() for connection, *_ in house.pool.leases.plan.connections())
        assert not house.pool.leases.held

    run(body)


def test_draining_connection_ends_what_is_under_way_and_takes_nothing_new(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        first = Shared.made[0]
        first.go_away()
        await house.get()
        assert house.counts == (0, 1, 0)
        assert house.pool.stats().draining == 1
        assert not first.closed
        assert await lease.next_chunk() == b"ok"
        assert first.closed
        assert house.counts == (0, 1, 0)
        assert house.pool.stats().draining == 0

    run(body)


def test_raised_limit_wakes_who_waits(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        Shared.first_limit = 1
        *_, lease = await house.get(whole=False)
        assert lease is not None

        async def raise_limit() -> None:
            house.pool.owner.limit_changed(Shared.made[0], None)

        reply, _ = await runner.together(house.get, raise_limit)
        assert reply[1] == b"ok"
        lease.close()
        assert house.counts == (0, 1, 0)

    run(body)


def test_peer_that_takes_nothing_now_is_left_for_another_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        house.pool.owner.limit_changed(Shared.made[0], 0)
        await house.get()
        assert len(Shared.made) == 2
        assert house.counts == (0, 2, 0)

    run(body)


def test_idle_connection_that_is_lost_leaves_the_pool(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        house.pool.owner.lost(Shared.made[0])
        house.pool.owner.draining(Shared.made[0])
        house.pool.owner.limit_changed(Shared.made[0], 5)
        assert Shared.made[0].closed
        assert house.counts == (0, 0, 0)

    run(body)


def test_dead_connection_is_found_out_before_it_is_used(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        Shared.made[0].usable = False
        await house.get()
        assert [each.closed for each in Shared.made] == [1, 0]
        assert not house.last.attempts

    run(body)


def test_connection_that_is_too_old_takes_no_more_requests(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, max_age=10.0)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        house.backend.now += 10.0
        await house.get()
        assert house.counts == (0, 0, 0)
        await house.get()
        assert [each.facts.requests for each in Shared.made] == [2, 1]
        lease.close()
        assert [each.closed for each in Shared.made] == [1, 0]

    run(body)


def test_snapshots_tell_who_has_a_shared_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        leases = [(await house.get(whole=False))[4] for _ in range(2)]
        house.backend.now += 3.0
        (info,) = house.pool.connections()
        assert (info.state, info.streams, info.max_streams, info.http_version) == ("leased", 2, 100, "HTTP/2")
        assert (info.leased, info.requests, info.idle) == (3.0, 2, None)
        assert [place.rpartition("/")[2].partition(":")[0] for place in info.held_by] == ["memory.py"] * 2
        with pytest.raises(PoolTimeout, match=r"longest in use is one to http://a\.example, for 3 s by a response"):
            await house.get(B, timeouts=RequestTimeouts(None, None, None, 0.5))
        for lease in leases:
            assert lease is not None
            lease.close()
        (info,) = house.pool.connections()
        assert (info.state, info.streams, info.idle, info.held_by) == ("idle", 0, 0.0, ())

    run(body)


def test_long_response_on_a_draining_connection_keeps_nobody_from_connecting(run: Any) -> None:
    """As Go has it: a connection that takes no more requests is out of the pool, and ends with its last response."""

    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        Shared.made[0].go_away()
        assert (await house.get())[1] == b"ok"
        states = [(info.state, info.streams, info.max_streams) for info in house.pool.connections()]
        assert states == [("idle", 0, 100), ("draining", 1, 0)]
        house.pool.close_from_finalizer()
        assert [each.closed for each in Shared.made] == [0, 1]
        assert await lease.next_chunk() == b"ok"
        assert [each.closed for each in Shared.made] == [1, 1]

    run(body)


def test_request_that_was_given_a_connection_just_before_it_drains_gets_another(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, connections=1)
        Shared.first_limit = 1
        *_, lease = await house.get(whole=False)
        assert lease is not None

        async def end_and_go() -> None:
            lease.close()  # it goes to the one who waits, who has yet to run
            Shared.made[0].go_away()

        reply, _ = await runner.together(house.get, end_and_go)
        assert reply[1] == b"ok"
        assert house.counts == (0, 1, 0)

    run(body)


def test_connections_of_two_routes_are_apart(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get(A)
        await house.get(B)
        assert [each.route for each in Shared.made] == [A, B]

    run(body)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("limit", [1, 3, None])
def test_random_cancellations_leave_full_capacity(backend: Runner, seed: int, limit: int | None) -> None:
    """While waiting, dialling, sending and streaming, with connections that go away in between."""
    if backend.name not in ("asyncio", "uvloop"):
        pytest.skip("cancels tasks of asyncio")
    dice = random.Random(seed)

    async def pause() -> None:
        for _ in range(dice.randrange(6)):
            await asyncio.sleep(0)

    async def use(house: House) -> None:
        await pause()
        *_, lease = await house.get(dice.choice((A, A, B)), whole=dice.random() < 0.5)
        if lease is not None:
            try:
                await pause()
            finally:
                lease.close()
        if dice.random() < 0.1:
            dice.choice(Shared.made).go_away()

    async def body() -> None:
        house = house_of(backend, connections=3)
        house.backend.dialling = pause
        Shared.first_limit = limit
        Shared.script = [dice.choice((None, pause, pause, ReadError("reset"))) for _ in range(1000)]
        tasks = [asyncio.ensure_future(use(house)) for _ in range(200)]
        for _ in range(100):
            await asyncio.sleep(0)
            dice.choice(tasks).cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert any(task.cancelled() for task in tasks)
        assert house.pool.stats().leased == house.pool.stats().connecting == house.pool.stats().waiting == 0
        assert not any(connection.users() for connection, *_ in house.pool.leases.plan.connections())
        assert not house.pool.leases.held
        Shared.script = [barrier(house, 3)] * 3
        Shared.first_limit = 1
        await asyncio.gather(*[house.get() for _ in range(3)])

    backend.run(body)


def test_one_shared_connection_is_warm_for_many_requests(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        assert await house.pool.warm(A, 5, None) == 1
        assert await house.pool.warm(A, 5, None) == 1
        await runner.together(*[house.get] * 3)
        assert len(Shared.made) == 1
        assert house.counts == (0, 1, 0)

    run(body)


def test_one_connection_is_tried_before_the_others_where_it_might_be_shared(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner, http1=True)  # and no TLS that would agree on HTTP/2
        dialling: list[int] = []
        house.backend.on_connect = lambda: dialling.append(house.pool.stats().open)
        assert await house.pool.warm(A, 3, None) == 3
        assert dialling[0] == 1
        assert house.counts == (0, 3, 0)

    run(body)


def test_shared_connection_takes_no_more_requests_once_drained(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        left: list[int] = []

        async def drain() -> None:
            left.append(await house.pool.drain(0))

        Shared.script = [drain]
        await house.get()
        assert left == [1]
        assert [connection.closed for connection in Shared.made] == [1]
        assert await house.pool.warm(A, 1, None) == 1
        await house.get()
        assert [connection.facts.requests for connection in Shared.made] == [1, 1]

    run(body)


def test_shared_connection_that_was_being_made_while_draining_serves_one_request(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)

        async def drain() -> None:
            house.backend.dialling = None
            assert await house.pool.drain(0) == 1

        house.backend.dialling = drain
        await house.get()
        await house.get()
        assert [connection.facts.requests for connection in Shared.made] == [1, 1]
        assert house.counts == (0, 1, 0)

    run(body)
