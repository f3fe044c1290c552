"""Two attempts at once: the second begins when the first has taken long, and the first good one ends the other.

Asynchronous code runs both in tasks, and cancels the one that is not needed any more. Blocking code runs both in
threads, so that the caller is free to go on when one has ended; what the other one waits for is ended from here, and
its thread ends soon after.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, NamedTuple, Protocol, TypeVar

from .._drive import drive

T = TypeVar("T")


class Race(NamedTuple):
    """Hold the racers: `attempt(0)`, and `attempt(1)` if that takes longer than `after` seconds and it is `allowed()`.

    The race is over with the first outcome that is `good`, or with the last of them. Then `cut(n)` ends an attempt that
    goes on, where it cannot be cancelled, and `drop` is given an outcome that came too late.
    """

    attempt: Callable[[int], Coroutine[Any, Any, Any]]
    after: float
    allowed: Callable[[], bool]
    good: Callable[[Any], bool]
    cut: Callable[[int], object]
    drop: Callable[[Any], Awaitable[object]]

    def decided(self, finished: list[Any], started: int) -> bool:
        """Return whether the race is over."""
        return len(finished) == started or any(map(self.good, finished))


class Racing(Protocol):
    """Run two attempts at once."""

    async def race(self, race: Race) -> list[Any]:
        """Return the outcomes of those that ended in time: at least one, in the order in which they came."""
        ...


class TaskRacing:
    """Race tasks, of asyncio or trio."""

    async def race(self, race: Race) -> list[Any]:
        import anyio  # imported only for hedging

        finished: list[Any] = []
        news = [anyio.Event()]

        async def run(number: int) -> None:
            finished.append(await race.attempt(number))
            news[0].set()

        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(run, 0)
                started = 1
                await self._first(news[0], race.after)
                if not finished and race.allowed():
                    tasks.start_soon(run, 1)
                    started = 2
                while not race.decided(finished, started):
                    news[0] = anyio.Event()
                    await news[0].wait()
                tasks.cancel_scope.cancel()
        except BaseException:
            with anyio.CancelScope(shield=True):
                for outcome in finished:
                    await race.drop(outcome)
            raise
        return finished

    async def _first(self, news: Any, seconds: float) -> None:
        """Wait for an event as long as the first attempt is alone."""
        import anyio

        with anyio.move_on_after(seconds):
            await news.wait()


class ThreadRacing:
    """Race threads."""

    async def race(self, race: Race) -> list[Any]:
        return _ThreadRace(race, self._first).run()

    def _first(self, condition: threading.Condition, has_news: Callable[[], bool], seconds: float) -> None:
        """Wait until there is news, as long as the first attempt is alone; the condition is held."""
        condition.wait_for(has_news, seconds)


class _ThreadRace:
    """One race of threads. All of its state changes under the condition."""

    def __init__(self, race: Race, first: Callable[[threading.Condition, Callable[[], bool], float], None]) -> None:
        self._race = race
        self._first = first
        self._condition = threading.Condition()
        self._finished: list[Any] = []
        self._ended: set[int] = set()
        self._failure: BaseException | None = None
        self._over = False

    def run(self) -> list[Any]:
        race, condition = self._race, self._condition
        started = 0
        try:
            self._start(0)
            started = 1
            with condition:
                self._first(condition, self._has_news, race.after)
                late = not self._has_news()
            if late and race.allowed():
                self._start(1)
                started = 2
            with condition:
                condition.wait_for(lambda: self._failure is not None or race.decided(self._finished, started))
                self._over = True
                if self._failure is not None:
                    raise self._failure
        except BaseException:
            with condition:
                self._over = True
            for outcome in self._finished:
                drive(_awaited(race.drop(outcome)))
            raise
        finally:
            for number in range(started):
                if number not in self._ended:
                    race.cut(number)
        return self._finished

    def _has_news(self) -> bool:
        return bool(self._finished) or self._failure is not None

    def _start(self, number: int) -> None:
        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(self._attempt, number), name="httpx_fast hedge", daemon=True).start()

    def _attempt(self, number: int) -> None:
        try:
            outcome = drive(self._race.attempt(number))
            with self._condition:
                self._ended.add(number)
                late = self._over
                if not late:
                    self._finished.append(outcome)
                    self._condition.notify_all()
            if late:
                drive(_awaited(self._race.drop(outcome)))
        except BaseException as error:  # noqa: BLE001  # raised where the race is waited for
            with self._condition:
                self._ended.add(number)
                self._failure = error
                self._condition.notify_all()


async def _awaited(waiting: Awaitable[T]) -> T:
    return await waiting
