"""Connections of asyncio that wait by a `FakeTime`."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from typing import Any, ClassVar

from .._net.asyncio import AsyncioBackend
from .._net.asyncio_connects import TaskConnects
from .._net.asyncio_protocol import ProtocolStream
from .._net.asyncio_streams import AsyncioStream
from .._net.connecting import Connector
from .._net.deadline_heap import Deadlines
from ._fake_time import FakeTime, SlicedConnects


class FakeDeadlines(Deadlines):
    """Look at the deadlines after a slice at the latest."""

    __slots__ = ()

    def _delay(self, at: float) -> float:
        clock: Any = self._clock
        delay: float = clock.nap(at)
        return delay


class FakeAsyncioStream(AsyncioStream):
    """Look at the deadlines after a slice at the latest."""

    __slots__ = ()

    def _delay(self, at: float) -> float:
        clock: Any = self._clock
        delay: float = clock.nap(at)
        return delay


class FakeProtocolStream(ProtocolStream):
    """Look at the deadlines after a slice at the latest."""

    __slots__ = ()

    def _delay(self, at: float) -> float:
        clock: Any = self._clock
        delay: float = clock.nap(at)
        return delay


class _FakeConnects(SlicedConnects, TaskConnects):
    __slots__ = ()


class _FakeTimer:
    """Call once, when the fake time has come."""

    def __init__(self, now: FakeTime, at: float, call: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._now = now
        self._at = at
        self._call = call
        self._look_later()

    def cancel(self) -> None:
        self._handle.cancel()

    def _look_later(self) -> None:
        self._handle = self._loop.call_later(self._now.nap(self._at), self._look, context=contextvars.Context())

    def _look(self) -> None:
        if self._now() >= self._at:
            self._call()
        else:
            self._look_later()


class FakeAsyncioBackend(AsyncioBackend):
    """Connect and wait in one asyncio loop, by a fake time."""

    _stream_type: ClassVar[type[AsyncioStream]] = FakeAsyncioStream
    _protocol_type: ClassVar[type[ProtocolStream]] = FakeProtocolStream

    def __init__(self, now: FakeTime) -> None:
        super().__init__()
        self.clock = self._now = now
        self._deadlines = FakeDeadlines(now)

    async def sleep(self, seconds: float) -> None:
        await self.waiter().wait(self.clock() + seconds)

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]]:
        now = self._now
        return lambda seconds, call: _FakeTimer(now, now() + seconds, call).cancel

    def _connector(self) -> Connector:
        loop = asyncio.get_running_loop()
        return _FakeConnects(self.clock, loop) if self._only_protocols(loop) else super()._connector()
