"""When a silent peer is pinged, and when waiting tasks are woken: on a clock of the test's own."""

from __future__ import annotations

from collections.abc import Callable

from httpx_fast._conn.http2_liveness import MAX_SILENCE, PING_PATIENCE, PeerCheck, WakeTimer
from httpx_fast._deadline import NEVER
from httpx_fast._wire.h2 import Session


def test_a_peer_is_pinged_after_silence_and_given_time_to_answer():
    session = Session()
    session.outgoing.clear()
    check = PeerCheck(session, 30.0)
    check.busy_since = 100.0
    assert check.due() == 130.0
    assert check.dead(130.0) is None
    assert check.ping(130.0) == 130.0 + PING_PATIENCE
    assert len(session.outgoing) == 1
    assert check.due() == 130.0 + PING_PATIENCE
    error = check.dead(130.0 + PING_PATIENCE)
    assert str(error) == (
        "the peer sent nothing for 45 s and did not answer a PING within 15 s: the connection is dead"
    )


def test_whatever_arrives_is_a_sign_of_life():
    session = Session()
    check = PeerCheck(session, 30.0)
    check.busy_since = 100.0
    check.ping(130.0)
    session.moment = 131.0
    assert check.due() == 161.0
    assert check.dead(161.0) is None


def test_a_check_comes_again_before_patience_ends_where_silence_is_shorter():
    check = PeerCheck(Session(), 2.0)
    assert check.ping(10.0) == 12.0


def test_without_a_setting_nobody_is_pinged():
    check = PeerCheck(Session(), None)
    check.busy_since = 100.0
    assert check.due() == NEVER


def test_silence_adds_up_over_exchanges_that_are_given_up():
    session = Session()
    check = PeerCheck(session, 30.0)
    session.moment = 100.0
    part = MAX_SILENCE / 2
    check.busy_since = 200.0  # nothing was asked before: that is no silence
    assert not check.given_up(200.0 + part)
    assert not check.given_up(200.0 + part)  # another one that waited beside it
    check.busy_since = 300.0
    assert check.due() == 330.0 - part
    assert not check.given_up(300.0 + part / 2)
    check.busy_since = 400.0
    assert check.given_up(400.0 + part / 2)


def test_what_arrives_ends_silence():
    session = Session()
    check = PeerCheck(session, 30.0)
    check.busy_since = 100.0
    assert check.given_up(100.0 + MAX_SILENCE)
    session.moment = 102.0
    assert check.due() == 132.0
    assert not check.given_up(102.0 + MAX_SILENCE / 2)
    assert check.given_up(102.0 + MAX_SILENCE)


class Waiter:
    def __init__(self) -> None:
        self.was_set = False

    def set(self) -> None:
        self.was_set = True

    async def wait(self, at: float | None) -> bool:
        raise AssertionError("the timer waits for nobody")


class Sleeper:
    def __init__(self) -> None:
        self.waiter: Waiter | None = Waiter()

    @property
    def woken(self) -> bool:
        return self.waiter is not None and self.waiter.was_set


class Loop:
    """Timers that are started and cancelled, and a clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.started: list[tuple[float, Callable[[], object]]] = []
        self.cancelled = 0

    def start(self, seconds: float, call: Callable[[], object]) -> Callable[[], object]:
        self.started.append((seconds, call))

        def cancel() -> None:
            self.cancelled += 1

        return cancel

    def pass_to(self, now: float) -> None:
        self.now = now
        self.started[-1][1]()


def add(timer: WakeTimer, sleeper: Sleeper, at: float) -> None:
    timer.sleepers[sleeper] = at
    if at < timer.at:
        timer.set(at, 100.0)


def test_one_timer_wakes_each_task_at_its_time():
    loop = Loop()
    timer = WakeTimer(loop.start, lambda: loop.now)
    first, second = Sleeper(), Sleeper()
    add(timer, first, 105.0)
    add(timer, second, 107.0)
    assert [seconds for seconds, _ in loop.started] == [5.0]
    loop.pass_to(105.0)
    assert (first.woken, second.woken) == (True, False)
    assert loop.started[-1][0] == 2.0
    del timer.sleepers[first]
    loop.pass_to(107.0)
    assert second.woken


def test_a_sooner_deadline_sets_the_timer_anew():
    loop = Loop()
    timer = WakeTimer(loop.start, lambda: loop.now)
    add(timer, Sleeper(), 105.0)
    add(timer, Sleeper(), 103.0)
    assert [seconds for seconds, _ in loop.started] == [5.0, 3.0]
    assert loop.cancelled == 1


def test_a_task_that_has_gone_is_not_woken_and_a_timer_may_be_cancelled():
    loop = Loop()
    timer = WakeTimer(loop.start, lambda: loop.now)
    gone = Sleeper()
    add(timer, gone, 105.0)
    del timer.sleepers[gone]
    loop.pass_to(105.0)
    assert not gone.woken
    assert len(loop.started) == 1
    add(timer, gone, 110.0)
    timer.cancel()
    timer.cancel()
    assert loop.cancelled == 1
