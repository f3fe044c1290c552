"""Connections of trio that wait by a `FakeTime`."""

from __future__ import annotations

from typing import Any, ClassVar

import trio

from .._net.connecting import Connector
from .._net.deadline_heap import Deadlines
from .._net.trio import Connects, ReadCheck, TrioBackend, TrioStream
from ._fake_time import SLICE, FakeTime, SlicedConnects


class FakeDeadlines(Deadlines):
    """Look at the deadlines after a slice at the latest."""

    __slots__ = ()

    def _delay(self, at: float) -> float:
        clock: Any = self._clock
        first: Any = self._entries[0][2]
        if isinstance(first, ReadCheck) and not (first.stream is not None and first.stream._receiving):
            return SLICE  # of a read that has ended: nothing waits until then
        delay: float = clock.nap(at)
        return delay


class FakeTrioStream(TrioStream):
    """Move the scopes of writes with the fake time; reads have none."""

    __slots__ = ()

    async def _send_all(self) -> None:
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._move_scopes)
            try:
                await super()._send_all()
            except Exception as error:  # noqa: BLE001  # raised below, outside of the nursery that would wrap it
                failure = error
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _move_scopes(self) -> None:
        clock: Any = self._clock
        while True:
            clock.nap(self._write_timer.at)
            self._scopes.move(self)
            await trio.sleep(SLICE)


class _FakeConnects(SlicedConnects, Connects):
    pass


class FakeTrioBackend(TrioBackend):
    """Connect and wait in one run of trio, by a fake time."""

    _stream_type: ClassVar[type[TrioStream]] = FakeTrioStream

    def __init__(self, now: FakeTime) -> None:
        super().__init__()
        self.clock = now
        self._deadlines = FakeDeadlines(now)

    async def sleep(self, seconds: float) -> None:
        await self.waiter().wait(self.clock() + seconds)

    def _connector(self) -> Connector:
        return _FakeConnects(self.clock)
