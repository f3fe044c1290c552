"""Define the contract of the network layer: what every backend offers, and what it expects of the reader of a stream.

Sockets, TLS and time; no HTTP. The rules:

1. A stream has one reader, its sink, attached for as long as the stream lives. Arrivals are pushed into the sink,
   whether a task waits or not: so a message may be complete before its task runs again, and an idle connection that
   the peer closes is noticed without polling. (On blocking sockets and trio nothing can push while idle: there
   `poll_idle()` does it on demand.)
2. `receive()` waits until a push makes the sink return True. The caller first checks whether the sink has what is
   wanted already: nothing can arrive between the check and the call.
3. A sink takes everything it is given. Backpressure: when `sink.pending` is at or above `HIGH_WATER` after a push and
   no task waits in `receive()`, a stream stops reading until the next `receive()`.
4. There is one deadline for receiving and one for the wait of a `write()`, so that one task may receive while another
   writes. They are absolute; in phase "read" each arrival postpones the first by the budget, and in phase "write"
   everything that the socket takes postpones the second: `timeout.read` bounds the peer's silence, not the length of
   the message. Phase "connect" is one deadline for both; "first_byte" is one for receiving that no arrival postpones.
   A hard deadline (`set_hard_deadline()`) limits them all.
5. Cancelling `receive()` loses nothing: another one may follow. After cancelling the awaitable of a `write()` the rest
   is sent before anything that is written next (asyncio sends it by itself), so that frames stay whole; a caller that
   cannot use that calls `close()`. One task (or thread) may receive while another writes; two may not do the same
   thing at once, except that tasks may write at once: bytes are sent in the order of the calls. A timeout has the
   effects of a cancellation.
6. A write that fails says nothing about what the peer has sent before: that is read first (`receive()`), and reported
   in place of the failure. Linux keeps what came before a reset.
7. Socket and TLS errors are mapped to the exceptions of `_exceptions` here, and only here.
"""

from __future__ import annotations

import abc
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Protocol, TypeAlias, TypeVar

from .._deadline import PhaseTimer
from .._exceptions import NetworkError

if TYPE_CHECKING:
    from .handshakes import HandshakeQueue

Buffer: TypeAlias = bytes | bytearray | memoryview
#: What `socket.getaddrinfo` calls family and sockaddr.
Address: TypeAlias = tuple[socket.AddressFamily, Any]
SocketOption: TypeAlias = tuple[int, int, int | bytes] | tuple[int, int, None, int]

T = TypeVar("T")

HIGH_WATER = 1024 * 1024  # bytes that a sink holds unclaimed before its stream stops reading
SCRATCH_SIZE = 256 * 1024  # bytes asked for in one read; 100 MB/s and more need few, large reads


class _Done:
    """Stand for a call that is done already; it saves a coroutine that would not suspend."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return _NOTHING


_NOTHING: Iterator[Any] = iter(())  # once exhausted it stays so: any number of tasks and threads may share it
DONE: Awaitable[None] = _Done()  # type: ignore[assignment]  # typing knows awaitables as generators only


class Sink(Protocol):
    """Read a stream. An exception that leaves a method ends the `receive()` that waits, or the next one.

    No method may be called by two threads at once, nor read the stream or wait; writing and closing are allowed.
    """

    @property
    def pending(self) -> int:
        """Return the bytes that were taken from the stream and not yet claimed; a plain attribute does."""
        ...

    def get_buffer(self) -> Any | None:
        """Return a writable buffer (any exporter of one) for the next bytes, or None to have the stream lend its own.

        Called before each read, even if nothing comes of it; some streams never call it and always lend, and all do so
        if the class of the sink has a true `lent_only`.
        """

    def buffer_updated(self, nbytes: int) -> bool:
        """Take `nbytes` (at least 1) in the buffer given last; return True when the sink has what is waited for."""
        ...

    def data_received(self, data: memoryview) -> bool:
        """Take bytes (at least 1), lent for this call only; return True when the sink has what is waited for."""
        ...

    def eof_received(self, clean: bool) -> bool:
        """Take the end of the stream; `clean` is False if TLS ended without close_notify, which may be an attack."""
        ...


class _Nobody:
    """Read a stream that is closed. In place of its last sink, which else it would keep alive, and that the stream.

    It never has enough, so that a thread that was about to read goes on and finds the stream closed.
    """

    __slots__ = ()

    @property
    def pending(self) -> int:
        return 0

    def get_buffer(self) -> None: ...

    def buffer_updated(self, nbytes: int) -> bool:
        return False

    def data_received(self, data: memoryview) -> bool:
        return False

    def eof_received(self, clean: bool) -> bool:
        return False


NOBODY: Final[Sink] = _Nobody()


def lent_only(sink: Sink) -> bool:
    """Return whether a sink never gives a buffer, so that it need not be asked before each read."""
    return getattr(type(sink), "lent_only", False) is True


class FaultSink(Sink, Protocol):
    """Read a stream, and be told of an error in its middle even if `receive()` is never called."""

    def fault_received(self, error: NetworkError) -> None:
        """Take an error after which nothing comes: TLS has failed, or the peer sent an alert. May be called again."""


class Stream(abc.ABC):
    """Carry bytes to and from a peer over an open connection."""

    __slots__ = ()

    @abc.abstractmethod
    def attach(self, sink: Sink) -> None:
        """Make `sink` the reader from now on, in place of the previous one."""

    @abc.abstractmethod
    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        """Send at once what the socket takes. None when that was all; otherwise what to await, at most once.

        The buffers belong to the stream until all of them is sent. Raises WriteError, WriteTimeout.
        """

    def post(self, *buffers: Buffer) -> bool:
        """Write without waiting; return False if something is left unsent, for `flush()`."""
        unsent = self.write(*buffers)
        if unsent is None:
            return True
        forget(unsent)
        return False

    @property
    @abc.abstractmethod
    def unsent(self) -> int:
        """Return how many bytes of what was written are still to be sent."""

    @abc.abstractmethod
    async def flush(self, reading: bool) -> None:
        """Send the bytes that were left unsent, until all of them are sent. Raises WriteError, WriteTimeout; ReadError.

        For connections that many share: one task may flush, while others `post()` (threads too, one after the other)
        and one receives. With `reading` nobody receives, and what arrives meanwhile is pushed here: a peer that reads
        on only after it was read would else block us. It may also end when the sink has what it wants.
        """

    @abc.abstractmethod
    def receive(self) -> Awaitable[None]:
        """Wait until the sink returns True for a push, or the peer closes. Raises ReadError, ReadTimeout.

        At end of file the sink's `eof_received` has been called and decides: True ends the wait, an exception leaves
        it, False raises ReadError.
        """

    @abc.abstractmethod
    def poll_idle(self) -> None:
        """Push what has arrived, without waiting; never raises: a broken stream is told to the sink as EOF.

        Where arrivals push themselves (asyncio) they do so once the tasks that can go on have done so: this is for who
        has to know now.
        """

    def free_buffers(self) -> None:  # noqa: B027  # most hold none
        """Free memory that an idle connection does not need; never raises. For after the first response."""

    def gather(self, size: int) -> None:  # noqa: B027  # only a saving
        """Let the next `receive()` wait for about `size` bytes, or until some milliseconds have passed; 0 ends that.

        For a long body that comes quickly: call it before each wait, and with 0 before the last `size` bytes.
        """

    @abc.abstractmethod
    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        """Make waits fail at `at` (monotonic seconds, None for never) with the timeout of `phase`.

        It holds for everything that is awaited after it, also for a `write()` that was called before. `phase` is a name
        in `PHASES`, which says whether it limits receiving, sending or both. `budget` is the whole time of the phase:
        messages name it, and progress restarts it in phases that are `renewed`.
        """

    @abc.abstractmethod
    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        """Limit all deadlines that are set, or postponed, from now on to `at`; None removes the limit.

        `phase` says which of them: "read", "write" or "connect" (both). `budget` is for the message.
        """

    @abc.abstractmethod
    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> Stream:
        """Shake hands and return the encrypted stream, which owns this one. Raises ConnectError, ConnectTimeout.

        `alpn` are the protocols to offer (RFC 7301), set on `context` for this handshake; None offers those of
        `context`. Works on an encrypted stream too (TLS inside TLS). Closes the stream when it fails or is cancelled.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Close the socket at once: synchronous, repeatable, never raises, callable while being cancelled.

        A wait that is going on fails with ReadError or WriteError. TLS sends its close_notify if the socket takes it.
        """

    @abc.abstractmethod
    def get_extra_info(self, name: str) -> Any:
        """Return "socket", "client_addr", "server_addr", "ssl_object" or "tls_session"; None for other names.

        The session is for a later handshake to resume; it may be asked for once the stream is closed.
        """


def forget(unsent: Any) -> None:
    """Drop the awaitable of a `write()`; the rest is sent before anything that is written next."""
    if hasattr(unsent, "close"):
        unsent.close()
    else:
        unsent.cancel()


class Waiter(Protocol):
    """Wait for one event, between tasks (or threads) of one backend."""

    def set(self) -> None:
        """End the wait; repeatable; may come before the wait, and on the blocking backend from any thread."""

    def wait(self, at: float | None) -> Awaitable[bool]:
        """Return True once set, False when `at` (monotonic seconds) comes first. Await the result at once."""
        ...


class WakeList(Protocol):
    """Make waits of one event loop, and wake the tasks that wait."""

    def waiter(self) -> Waiter: ...


class Aborted(BaseException):
    """End work that was aborted. No `Exception`: it is neither reported as a failure nor retried."""


class Abortable(Generic[T]):
    """Run work that may be ended from outside, whatever it waits for. `run()` is awaited once.

    This class is for backends without waits of their own: the work goes on to its end.
    """

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work

    def run(self) -> Awaitable[T]:
        """Do the work. Raises Aborted if `abort()` ended it."""
        return self._work()

    def abort(self) -> None:
        """End the work soon; repeatable, and without effect after its end.

        Call it in the task's own event loop; on the blocking backend from any thread.
        """


class Backend(abc.ABC):
    """Connect and wait, in blocking code, asyncio or trio."""

    name: ClassVar[str]
    #: Whether streams push arrivals while no task waits, and so whether `soon()` may be used.
    pushes: ClassVar[bool] = False
    clock: Callable[[], float] = staticmethod(time.monotonic)

    @abc.abstractmethod
    async def resolve(self, host: str, port: int, timer: PhaseTimer) -> Sequence[Address]:
        """Return addresses in the order to try them. Raises ConnectError, ConnectTimeout."""

    @abc.abstractmethod
    def connect_tcp(
        self,
        addresses: Sequence[Address],
        timer: PhaseTimer,
        *,
        local_address: str | None = None,
        socket_options: Sequence[SocketOption] = (),
    ) -> Coroutine[Any, Any, Stream]:
        """Connect to the first address that answers. Raises ConnectError (all failed), ConnectTimeout."""
        ...

    @abc.abstractmethod
    async def connect_unix(
        self,
        path: str,
        timer: PhaseTimer,
        *,
        socket_options: Sequence[SocketOption] = (),
    ) -> Stream:
        """Connect to a Unix domain socket. Raises ConnectError, ConnectTimeout."""

    def handshakes(self) -> HandshakeQueue | None:
        """Return what limits the TLS handshakes of the running event loop; None if nothing does."""
        return None

    @abc.abstractmethod
    def waiter(self) -> Waiter:
        """Return a new wait."""

    def plain_waiters(self, wake_list: Callable[[Any], WakeList]) -> Callable[[], Waiter]:
        """Return a function that makes waits without deadlines, for tasks of the running event loop.

        `wake_list` makes what wakes many of them by one call, of a loop of asyncio.
        """
        return self.waiter

    def soon(self, call: Callable[[], object]) -> None:
        """Call `call` once the tasks that can go on now have done so. Only on backends that push."""
        raise NotImplementedError

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]] | None:
        """Return a function that starts timers without a task and returns what cancels them; None if there is none.

        Get it and use it in the running event loop. It may raise RuntimeError once that has ended.
        """
        return None

    @abc.abstractmethod
    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        """Return a function that any thread, or the garbage collector, may call to have its argument called soon.

        It is called in the event loop that runs now: get it there. It may raise RuntimeError once that has ended.
        """

    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        """Return a function of no arguments that does the same for `call`, which it keeps alive."""
        return partial(self.loop_caller(), call)

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass (connect retries)."""

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        """Wrap `work`, which connects, so that it may be aborted while it waits."""
        return Abortable(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        """Await all calls, at once if the backend has tasks, and raise the first exception when all have ended.

        Without tasks they are awaited one after the other, up to the first that fails. A call that is not reached,
        because of that or of a cancellation, is not made.
        """
        for call in calls:
            await call()
