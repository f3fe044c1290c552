"""How a request waits for a connection: its one deadline, its patience, and what ends them."""

from __future__ import annotations

from typing import Any

import pytest
from memory import SLOW, A, B, House
from runners import Runner

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._deadline import Deadline
from httpx_fast._drive import drive
from httpx_fast._exceptions import PoolTimeout
from httpx_fast._pool.acquirer import IDLE, MAX_PATIENCE, PATIENCE, SHARE


async def with_idle_connection_of_another_route(runner: Runner, dial_time: float) -> tuple[House, Any]:
    """A pool at its limit: one connection to A is in use, one to B is idle. Dialling A takes so long."""
    house = House(runner, connections=2, expiry=None)
    house.backend.scripts = [[b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"] * 9, [SLOW, b"ok"]]
    await house.get(B)
    *_, lease = await house.get(A, whole=False)
    assert lease is not None
    house.pool.leases.hints.learn_dial(A.origin, 2 * dial_time, house.backend.now)  # the mean with 0
    assert house.pool.leases.hints.dial_time(A.origin, house.backend.now) == dial_time
    house.backend.now += IDLE * dial_time
    return house, lease


class Waits:
    """Stands for waiters: each wait ends at its time, at once, and the clock moves there."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.began = house.backend.now
        self.until: list[float | None] = []
        self.meanwhile: dict[int, Any] = {}  # what happens in that wait
        house.backend.waiter = self.waiter  # type: ignore[method-assign]

    def waiter(self) -> Any:
        waits = self

        class Waiter:
            woken = False

            def set(self) -> None:
                self.woken = True

            async def wait(self, at: float | None) -> bool:
                waits.until.append(None if at is None else round(at - waits.began, 6))
                call = waits.meanwhile.get(len(waits.until))
                if call is not None:
                    call()
                if not self.woken and at is not None:
                    waits.house.backend.now = max(waits.house.backend.now, at)
                return self.woken

        return Waiter()


def test_connection_of_another_route_is_closed_after_as_long_as_dialling_takes(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, lease = await with_idle_connection_of_another_route(runner, 0.2)
        waits = Waits(house)
        await house.get(A, RequestTimeouts(None, None, None, 5.0))
        assert waits.until[0] == 0.2
        assert house.last.pool == pytest.approx(0.2)
        assert house.last.connection is not None
        assert house.last.connection.new_reason == "all_busy"
        assert house.backend.streams[0].closed  # that to B
        lease.close()

    run(body)


def test_released_connection_of_its_own_route_is_taken_first(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, lease = await with_idle_connection_of_another_route(runner, 0.2)
        house.backend.streams[1].script += [b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]
        waits = Waits(house)
        waits.meanwhile[1] = lambda: drive(lease.next_chunk())  # the last one of its response
        await house.get(A, RequestTimeouts(None, None, None, 5.0))
        assert house.last.nth == 2
        assert not house.backend.streams[0].closed

    run(body)


@pytest.mark.parametrize("own", [None, 1.9])
def test_request_with_little_time_is_not_made_to_wait(run: Any, own: float | None) -> None:
    async def body(runner: Runner) -> None:
        house, lease = await with_idle_connection_of_another_route(runner, 0.2)
        assert (own or 1.9) < SHARE * 0.2
        deadline = None
        if own is None:
            deadline = Deadline(1.9)
            deadline.at = house.backend.now + 1.9
        waits = Waits(house)
        await house.get(A, RequestTimeouts(None, None, None, own, None, deadline))
        assert house.last.pool == 0.0  # it dialled at once, as it would have without patience
        assert waits.until == [1.9]  # a wait that was over when it began
        lease.close()

    run(body)


def test_what_was_used_just_now_is_left_alone_for_a_while(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, lease = await with_idle_connection_of_another_route(runner, 0.2)
        waits = Waits(house)
        plan = house.pool.leases.plan
        ((other, *_),) = [each for each in plan.connections() if each[1] is not None]

        def use_it() -> None:
            """What a request to B does, shortly before the other one looks."""
            assert plan.request(B, house.backend.now) is other
            plan.release(other, True, waits.began + waits.until[-1] - 0.3)  # type: ignore[operator]

        waits.meanwhile.update(dict.fromkeys(range(1, len(PATIENCE)), use_it))
        await house.get(A, RequestTimeouts(None, None, None, None))
        assert waits.until[: len(PATIENCE)] == [round(times * 0.2, 6) for times in PATIENCE]
        assert house.last.pool == pytest.approx(PATIENCE[-1] * 0.2)
        lease.close()

    run(body)


def test_slow_dialling_makes_nobody_wait_for_longer_than_that(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house, lease = await with_idle_connection_of_another_route(runner, 60.0)
        waits = Waits(house)
        await house.get(A, RequestTimeouts(None, None, None, None))
        assert waits.until[0] == MAX_PATIENCE
        lease.close()

    run(body)


@pytest.mark.parametrize("whole", [False, True])
def test_wait_ends_with_the_phase_or_with_the_request(run: Any, whole: bool) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(A, whole=False)
        assert lease is not None
        waits = Waits(house)
        deadline = None
        if whole:
            deadline = Deadline(0.5)
            deadline.at = house.backend.now + 0.5
        limit = (
            "total timed out after 0.5 s of 0.5 s, while waiting" if whole else "pool timed out after 2 s of 2 s: 1 of"
        )
        with pytest.raises(PoolTimeout, match=f"^{limit}") as caught:
            await house.get(A, RequestTimeouts(None, None, None, 2.0, None, deadline))
        assert waits.until == [0.5 if whole else 2.0]
        assert caught.value.pool is not None
        assert caught.value.pool.waiting == 0
        lease.close()

    run(body)
