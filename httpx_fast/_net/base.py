"""The contract of the network floor: what every backend gives, and what it asks of the one who reads.

Sockets, TLS and time; no HTTP. The rules:

1. A stream has one reader, its sink, attached for as long as the stream lives. What arrives is pushed into the sink,
   whether anybody waits or not: so a message may be complete before its task runs again, and an idle connection that
   the peer closes is noticed without polling. (Blocking sockets and trio have nobody who could push while idle: there
   `poll_idle()` does it when asked.)
2. `receive()` waits until a push makes the sink return True. Whoever calls it has looked first whether the sink has
   what is wanted already: nothing can arrive between the look and the call.
3. A sink takes everything it is given. Backpressure: when `sink.pending` is at or above `HIGH_WATER` after a push and
   nobody waits in `receive()`, a stream stops reading until the next `receive()`.
4. One deadline for receiving and one for what a `write()` waits for, so that one task may do the one while another
   does the other. They are absolute; in phase "read" each arrival moves the first on by the budget, and in phase
   "write" everything that the socket takes moves the second: `timeout.read` bounds the peer's silence, not the length
   of what it says. Phase "connect" is one deadline for both; "first_byte"
   is one for receiving that no arrival moves. Beyond them is a bound, which nothing moves on (`set_hard_deadline()`).
5. Cancelling `receive()` loses nothing: another one may follow. Cancelling what `write()` gave leaves the rest to be
   sent before whatever is written next (asyncio sends it by itself), so that frames stay whole; who cannot make use of
   that calls `close()`. One task (or thread) may receive while another writes; two may not do the same thing at once,
   except that tasks may write at once: what they wrote goes out in the order of the calls. Running out of time is like
   being cancelled.
6. A write that fails says nothing about what the peer has said before: that is read first (`receive()`), and told in
   place of the failure. Linux keeps what came before a reset.
7. Socket and TLS errors are mapped to the exceptions of `_exceptions` here, and only here.
"""

from __future__ import annotations

import abc
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeAlias, TypeVar

from .._deadline import PhaseTimer
from .._exceptions import NetworkError

Buffer: TypeAlias = bytes | bytearray | memoryview
#: What `socket.getaddrinfo` calls family and sockaddr.
Address: TypeAlias = tuple[socket.AddressFamily, Any]
SocketOption: TypeAlias = tuple[int, int, int | bytes] | tuple[int, int, None, int]

T = TypeVar("T")

HIGH_WATER = 1024 * 1024  # bytes that a sink holds unclaimed before its stream stops reading
SCRATCH_SIZE = 256 * 1024  # bytes asked for in one read; 100 MB/s and more need few, large reads


class _Done:
    """What has been done already, for who awaits it; it saves the coroutine of a call that did not suspend."""

    __slots__ = ()

    def __await__(self) -> Iterator[Any]:
        return _NOTHING


_NOTHING: Iterator[Any] = iter(())  # once exhausted it stays so: any number of tasks and threads may share it
DONE: Awaitable[None] = _Done()  # type: ignore[assignment]  # typing knows awaitables as generators only


class Sink(Protocol):
    """Who reads a stream. An exception that leaves a method ends the `receive()` that waits, or the next one.

    No method may be called by two threads at once, nor reads the stream or waits; writing and closing are allowed.
    """

    @property
    def pending(self) -> int:
        """Bytes that were taken from the stream and not yet claimed by anybody; a plain attribute does."""
        ...

    def get_buffer(self) -> Any | None:
        """A writable buffer (any exporter of one) for the next bytes, or None: then the stream lends its own.

        Asked for before each read, even if nothing comes of it; some streams never ask and always lend.
        """

    def buffer_updated(self, nbytes: int) -> bool:
        """`nbytes` (at least 1) are in the buffer given last; True when what is waited for is there."""
        ...

    def data_received(self, data: memoryview) -> bool:
        """Bytes (at least 1) that are lent for this call only; True when what is waited for is there."""
        ...

    def eof_received(self, clean: bool) -> bool:
        """No more will come; `clean` is False where TLS ended without close_notify, so it may be an attack."""
        ...


class FaultSink(Sink, Protocol):
    """A sink that is told of what ends its stream in the middle, for who never calls `receive()`."""

    def fault_received(self, error: NetworkError) -> None:
        """Nothing more will come: TLS has failed, or the peer has said so by an alert. May be told again."""


class Stream(abc.ABC):
    """An open connection to a peer, in bytes."""

    __slots__ = ()

    @abc.abstractmethod
    def attach(self, sink: Sink) -> None:
        """Makes `sink` the reader from now on, in place of the one before."""

    @abc.abstractmethod
    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        """Send at once what the socket takes. None when that was all; otherwise what to await, at most once.

        The buffers belong to the stream until all of them is sent. Raises WriteError, WriteTimeout.
        """

    def post(self, *buffers: Buffer) -> bool:
        """As `write()`, for who does not wait: False where something is left unsent, for `flush()`."""
        unsent = self.write(*buffers)
        if unsent is None:
            return True
        forget(unsent)
        return False

    @property
    @abc.abstractmethod
    def unsent(self) -> int:
        """Bytes of what was written that are still to be sent."""

    @abc.abstractmethod
    async def flush(self, reading: bool) -> None:
        """Sends on what was left unsent, until all of it is sent. Raises WriteError, WriteTimeout; ReadError.

        For connections that many share: one may drain, while others `post()` (threads too, one after the other) and
        one receives. With `reading` nobody receives, and what arrives meanwhile is pushed here: a peer that wants to be
        read before it reads on would else wait for us, and we for it. It may end when the sink has what it wants, too.
        """

    @abc.abstractmethod
    def receive(self) -> Awaitable[None]:
        """Waits until the sink returns True for a push, or the peer closes. Raises ReadError, ReadTimeout.

        At end of file the sink's `eof_received` has been called and decides: True ends the wait, an exception leaves
        it, False raises ReadError.
        """

    @abc.abstractmethod
    def poll_idle(self) -> None:
        """Push what has arrived, without waiting; never raises: a broken stream is told to the sink as EOF.

        Where arrivals push themselves (asyncio) they do so once the tasks that can go on have done so: this is for who
        has to know now.
        """

    @abc.abstractmethod
    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        """From now on waits fail at `at` (monotonic seconds, None for never) with the timeout of `phase`.

        It holds for what is awaited after it, also for a `write()` that was called before.
        `phase` is "read" or "first_byte" (for receiving), "write" or "connect" (both); `budget` is the whole time that
        was granted, for the message, and in phase "read" what each arrival grants anew, in phase "write" what each
        progress does.
        """

    @abc.abstractmethod
    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        """From now on no deadline that is armed, or moved on, lies beyond `at`; None takes the bound off again.

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
        """Shakes hands and returns the encrypted stream, which owns this one. Raises ConnectError, ConnectTimeout.

        `alpn` are the protocols to offer (RFC 7301), set on `context` for this handshake; None offers what that says.
        Works on an encrypted stream too (TLS inside TLS). Closes the stream when it fails or is cancelled.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Lets go of the socket at once: synchronous, repeatable, never raises, callable while being cancelled.

        A wait that is going on fails with ReadError or WriteError. TLS sends its close_notify if the socket takes it.
        """

    @abc.abstractmethod
    def get_extra_info(self, name: str) -> Any:
        """What there is of "socket", "client_addr", "server_addr", "ssl_object" and "tls_session"; None for the rest.

        The session is what a later handshake can resume; it may be asked for once the stream is closed.
        """


def forget(unsent: Any) -> None:
    """Nobody waits for what a `write()` gave; the rest goes out before whatever is written next."""
    if hasattr(unsent, "close"):
        unsent.close()
    else:
        unsent.cancel()


class Waiter(Protocol):
    """One wait for one event, between tasks (or threads) of one backend."""

    def set(self) -> None:
        """Ends the wait; repeatable; may come before the wait, and on the blocking backend from any thread."""

    def wait(self, at: float | None) -> Awaitable[bool]:
        """True once set; False when `at` (monotonic seconds) comes first. To be awaited at once."""
        ...


class Aborted(BaseException):
    """Leaves work that was aborted. No `Exception`: it is not a failure to report, or to try again after."""


class Abortable(Generic[T]):
    """Work that may be ended from outside, whatever it waits for. `run()` is awaited once.

    This one is for backends without waits of their own: it goes on to its end.
    """

    __slots__ = ("_work",)

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work

    def run(self) -> Awaitable[T]:
        """Does the work. Raises Aborted if `abort()` ended it."""
        return self._work()

    def abort(self) -> None:
        """Ends the work soon; repeatable, and without effect after its end.

        To be called in the backend's own world; on the blocking backend from any thread.
        """


class Backend(abc.ABC):
    """How to connect and wait in one world: blocking, asyncio or trio."""

    name: ClassVar[str]
    #: Whether streams push what arrives while nobody waits, and so whether `soon()` may be used.
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

    @abc.abstractmethod
    def waiter(self) -> Waiter:
        """A new wait."""

    def soon(self, call: Callable[[], object]) -> None:
        """Has `call` made once the tasks that can go on now have done so. Only in worlds that push."""
        raise NotImplementedError

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]] | None:
        """What has a call made after some seconds, without a task, and gives what cancels it; None where nothing does.

        To be asked for in this world, and used in it. What it gives may raise RuntimeError once the world has ended.
        """
        return None

    @abc.abstractmethod
    def from_any_thread(self, call: Callable[[], object]) -> Callable[[], object]:
        """What any thread, and the garbage collector at any moment, may call to have `call` made in this world soon.

        To be asked for in this world. What it gives may raise RuntimeError once the world has ended.
        """

    @abc.abstractmethod
    async def sleep(self, seconds: float) -> None:
        """Let time pass (connect retries)."""

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        """`work`, which connects, so that it may be aborted while it waits."""
        return Abortable(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        """Awaits all calls, at once where this world has tasks, and raises the first exception when all have ended.

        Where it has none they are awaited one after the other, up to the first that fails. A call whose turn never
        comes, because of that or of a cancellation, is not made.
        """
        for call in calls:
            await call()
