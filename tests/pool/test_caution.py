"""Which used connection a request that may not be repeated is given; real peers are in test_silent_closes.py."""

from __future__ import annotations

from typing import Any

import pytest
from memory import OK, A, House
from runners import Runner

from httpx_fast._exceptions import ReadTimeout
from httpx_fast._pool import caution
from httpx_fast._pool.caution import GRACE, WATCH, objection
from httpx_fast._pool.losses import DEAD_ON_USE, MAX_REQUESTS
from httpx_fast._pool.origin_hints import WATCHED
from httpx_fast._pool.plan import CLOSED, DIAL
from httpx_fast._pool.wait_queue import PendingRequest


async def used(runner: Runner, served: int) -> tuple[House, Any]:
    """A pool, and its connection that has served so many requests a moment ago."""
    house = House(runner)
    for _ in range(served):
        await house.get()
    ((connection, *_),) = house.pool.leases.plan.connections()
    return house, connection


def asked(house: House, connection: Any, later: float = 0.0) -> str | None:
    return objection(connection, house.pool.leases.hints, house.backend.now + later)


@pytest.mark.parametrize("found", [DIAL, CLOSED, PendingRequest()])
def test_what_is_no_connection_may_carry_nothing(found: Any) -> None:
    assert objection(found, None, 0.0) is DEAD_ON_USE  # type: ignore[arg-type]


@pytest.mark.parametrize(("served", "expected"), [(1, WATCH), (WATCHED, WATCH), (WATCHED + 1, None)])
def test_peer_of_which_little_is_known_is_watched_for_a_moment(run: Any, served: int, expected: str | None) -> None:
    async def body(runner: Runner) -> None:
        house, connection = await used(runner, served)
        assert asked(house, connection) is expected
        assert asked(house, connection, GRACE) is None
        assert asked(house, connection) is None  # it stayed, and that is remembered

    run(body)


def test_closed_connection_is_seen_before_the_event_loop_sees_it(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, connection = await used(runner, WATCHED + 1)
        house.backend.streams[0].idle = [None]
        assert asked(house, connection) is DEAD_ON_USE

    run(body)


@pytest.mark.parametrize("served", [1, WATCHED + 3])
def test_peer_that_twice_closed_after_as_many_responses_is_not_asked_again(run: Any, served: int) -> None:
    async def body(runner: Runner) -> None:
        house, connection = await used(runner, served)
        hints = house.pool.leases.hints
        hints.ended(A.origin, served, house.backend.now)
        assert asked(house, connection) is WATCH
        hints.ended(A.origin, served, house.backend.now)
        assert asked(house, connection) is MAX_REQUESTS

    run(body)


def test_connection_that_has_served_as_many_is_replaced_and_the_new_one_says_why(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, _ = await used(runner, WATCHED + 3)
        for _ in range(2):
            house.pool.leases.hints.ended(A.origin, WATCHED + 3, house.backend.now)
        house.backend.now += 0.5
        await house.get(method=b"POST")
        facts = house.last.connection
        assert facts is not None
        assert (facts.new_reason, facts.lost_idle) == (MAX_REQUESTS, 0.5)
        assert [len(stream.sent) for stream in house.backend.streams] == [WATCHED + 3, 1]

    run(body)


def test_watched_connection_that_stays_is_used(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, _ = await used(runner, 1)
        await house.get(method=b"POST")
        assert house.last.nth == 2
        assert house.backend.streams[0].armed[-2][0] == "first_byte"  # what it waited by

    run(body)


def test_watched_connection_that_closes_is_replaced(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, connection = await used(runner, 1)
        stream = house.backend.streams[0]
        looks: list[None] = []
        poll = stream.poll_idle

        def poll_twice() -> None:
            looks.append(None)
            if len(looks) == 3:  # looked at when it is given, and before it is watched
                stream.idle = [None]
            poll()

        stream.poll_idle = poll_twice  # type: ignore[method-assign]
        await house.get(method=b"POST")
        assert house.last.attempts == ()
        assert [len(each.sent) for each in house.backend.streams] == [1, 1]
        assert connection.stream.closed

    run(body)


def test_cancelled_while_it_watches_the_connection_is_released(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(runner: Runner) -> None:
        house, _ = await used(runner, 1)

        async def interrupted(*_: object) -> bool:
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(caution, "_is_silent", interrupted)
            with pytest.raises(KeyboardInterrupt, match=r"^$"):
                await house.get(method=b"POST")
        assert house.counts == (0, 0, 0)  # an exchange that did not begin says nothing of the connection
        house.backend.scripts = [[OK]]
        assert (await house.get(method=b"POST"))[1] == b"ok"

    run(body)


def test_nothing_is_waited_for_beyond_the_deadline_of_the_request(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, connection = await used(runner, 1)

        class Deadline:
            at = house.backend.now + GRACE / 2

        with pytest.raises(ReadTimeout, match="nothing came"):
            await connection.stream.receive()  # what a script says to who waits without a request
        assert await caution.stays(connection, house.pool.leases.hints, house.backend.clock, Deadline())  # type: ignore[arg-type]
        assert house.backend.streams[0].armed[-1] == ("first_byte", Deadline.at, GRACE)

    run(body)
