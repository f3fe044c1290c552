"""The asyncio backend, on any loop: stock selector loops, uvloop, and loops that can only run protocols.

Streams are in `asyncio_streams` and `asyncio_protocol`, timers in `asyncio_timers`, connecting in `asyncio_connects`.
"""

from __future__ import annotations

import asyncio
import contextvars
import socket
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, ClassVar, TypeVar

from .asyncio_connects import SelectorConnects, TaskConnects
from .asyncio_protocol import ProtocolStream, made_by
from .asyncio_streams import AsyncioStream, Future, future_maker
from .asyncio_timers import AsyncioWaiter
from .asyncio_work import SteppedWork
from .base import Abortable, Stream, Waiter, WakeList
from .connecting import Connector
from .deadline_heap import Deadlines
from .handshakes import HandshakeQueue, handshakes_of
from .sockets import SocketBackend

T = TypeVar("T")


class AsyncioBackend(SocketBackend):
    """Connect and wait in one running asyncio loop; `force_protocol` treats every loop as one without `add_reader`."""

    name = "asyncio"
    pushes = True
    _stream_type: ClassVar[type[AsyncioStream]] = AsyncioStream
    _protocol_type: ClassVar[type[ProtocolStream]] = ProtocolStream

    def __init__(self, *, force_protocol: bool = False) -> None:
        self._force_protocol = force_protocol
        self._deadlines = Deadlines(self.clock)
        # One for all streams of a loop: it takes 300 bytes.
        self._futures: tuple[asyncio.AbstractEventLoop, Callable[[], Future]] | None = None

    def handshakes(self) -> HandshakeQueue | None:
        return handshakes_of(asyncio.get_running_loop(), self, self.clock)

    def waiter(self) -> Waiter:
        return AsyncioWaiter(self._deadlines)

    def plain_waiters(self, wake_list: Callable[[Any], WakeList]) -> Callable[[], Waiter]:
        return wake_list(asyncio.get_running_loop()).waiter

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return SteppedWork(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        # Cancelled here, all are cancelled, and their ends are waited for.
        for outcome in await asyncio.gather(*[_made(call) for call in calls], return_exceptions=True):
            if outcome is not None:
                raise outcome

    def soon(self, call: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_soon(call, context=contextvars.Context())

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]]:
        loop = asyncio.get_running_loop()
        return lambda seconds, call: loop.call_later(seconds, call, context=contextvars.Context()).cancel

    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        return asyncio.get_running_loop().call_soon_threadsafe

    def _connector(self) -> Connector:
        loop = asyncio.get_running_loop()
        if self._only_protocols(loop):
            return TaskConnects(self.clock, loop)
        return SelectorConnects(self._deadlines, loop)

    async def _stream(self, sock: socket.socket, address: Any) -> Stream:
        loop = asyncio.get_running_loop()
        if not self._only_protocols(loop):
            if self._futures is None or self._futures[0] is not loop:
                self._futures = loop, future_maker(loop)
            return self._stream_type(sock, address, self.clock, loop, self._futures[1])
        stream = self._protocol_type(sock, address, self.clock, loop)
        making = loop.create_connection(lambda: stream, sock=sock)
        try:
            await loop.create_task(making, context=contextvars.Context())  # the context that callbacks will run in
        except BaseException:
            stream.close()  # cancelled after the transport was made, it would stay open
            raise
        return stream

    def _only_protocols(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return whether the loop runs transports only, or runs readers badly.

        Loops without `add_reader` inherit the method that raises. uvloop and winloop never call a reader again once the
        peer has reset the connection: a read would wait for its deadline, or for ever. Their transports report the
        reset, and cost the same.
        """
        if self._force_protocol or type(loop).add_reader is asyncio.AbstractEventLoop.add_reader:
            return True
        return made_by(loop, "uvloop", "winloop")


async def _made(call: Callable[[], Coroutine[Any, Any, object]]) -> None:
    await call()
