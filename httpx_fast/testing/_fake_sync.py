"""Blocking connections that wait by a `FakeTime`."""

from __future__ import annotations

import socket
from typing import Any, ClassVar

from .._net.base import Waiter
from .._net.connecting import Connector
from .._net.sync import Connects, InterruptedWaiter, SyncBackend, SyncStream, SyncWaiter, milliseconds
from ._fake_time import FakeTime, SlicedConnects, SlicedWait


class FakeSyncStream(SyncStream):
    """Poll for a slice at a time, and let the kernel count nothing."""

    __slots__ = ()

    def __init__(self, sock: socket.socket, address: Any, clock: Any) -> None:
        super().__init__(sock, address, clock)
        self._kernel_times = False
        sock.setblocking(False)

    def _patience(self, at: float) -> float | None:
        clock: Any = self._clock
        return milliseconds(clock.nap(at))


class _FakeWaiter(SlicedWait, SyncWaiter):
    __slots__ = ()


class _FakeInterruptedWaiter(SlicedWait, InterruptedWaiter):
    __slots__ = ()


class _FakeConnects(SlicedConnects, Connects):
    pass


class FakeSyncBackend(SyncBackend):
    """Connect and wait in blocking code, by a fake time."""

    _stream_type: ClassVar[type[SyncStream]] = FakeSyncStream

    def __init__(self, now: FakeTime) -> None:
        super().__init__()
        self.clock = now

    def waiter(self) -> Waiter:
        work = self._work()
        return _FakeWaiter(self.clock) if work is None else _FakeInterruptedWaiter(self.clock, work)

    async def sleep(self, seconds: float) -> None:
        await self.waiter().wait(self.clock() + seconds)

    def _connector(self) -> Connector:
        return _FakeConnects(self.clock, self._work())
