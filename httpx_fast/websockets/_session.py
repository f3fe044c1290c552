"""The protocol of a WebSocket session, written once for blocking and asynchronous sessions.

There is no thread and no queue between the socket and `receive`: the call that waits for something reads. The rules:

1. One call at a time reads and one writes. A call that acquires the read lock checks first whether the previous reader
   has read what it waits for.
2. The reading call answers pings and sends our own. It does not wait for a peer that does not read: data that cannot
   be written at once is sent at a later read, and of such answers only the newest are kept (RFC 6455 s.5.5.3).
   Every frame has a budget, the write timeout of the request, which progress does not renew: pongs and pings too. A
   frame larger than `SLICE` has one for each slice. A peer that does not take a frame in time ends the session.
3. When the session is over, `_end` holds its exception, which every waiting or later call raises; messages that came
   before are returned first.
4. Cancellation loses nothing: bytes stay with the stream and in `_rest`, messages in `_ready`, answers in `_owed`.
"""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any

from .._config import (
    DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
    DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
    DEFAULT_MAX_MESSAGE_SIZE_BYTES,
    DEFAULT_QUEUE_SIZE,
    DEFAULT_TIMEOUT_CONFIG,
)
from .._deadline import NEVER, PhaseTimer
from .._exceptions import NetworkError, ReadTimeout, TimeoutException, WriteTimeout, portable
from .._models import Response
from .._wire.websocket import (
    BINARY,
    CLOSE,
    NORMAL,
    PING,
    PONG,
    TEXT,
    CloseConnection,
    Event,
    MessageReader,
    Ping,
    Pong,
    close_frame,
    frame,
)
from .._wire.websocket_deflate import WORTHWHILE, Deflate

CLOSE_PATIENCE = 1.0  # seconds for the peer to take a close frame, and to answer it (RFC 6455 s.7.1.1)
MAX_OWED = 16  # frames that answer pings; a peer that sends pings and does not read cannot add more
SLICE = 65536  # bytes of a frame for which a peer has one write timeout
# Seconds until a call that waits for messages retries a write that the peer did not take at once.
_WRITE_LOOK = 0.1
# Reads after the deadline: an available message comes in pieces, but a flood of pings never ends.
_LATE_READS = 16
_BREATH = 16  # consecutive reads after which other tasks may run


#: Codes with which a session ends as it should: it is done, or one side goes away (RFC 6455 s.7.4.1).
_ENDED_WELL = (1000, 1001)


class HTTPXWSException(Exception):
    """An error of a WebSocket after its request was answered; base of the others."""

    def __reduce__(self) -> tuple[Any, ...]:
        return portable(self)


class WebSocketUpgradeError(HTTPXWSException):
    """The server did not switch to a WebSocket; `response` is its response."""

    def __init__(self, response: Response, reason: str = "") -> None:
        super().__init__(reason or f"the server answered {response.status_code}, expected 101")
        self.response = response


class WebSocketDisconnect(HTTPXWSException):
    """The session is over: the peer or this side closed it. `code` and `reason` are those of RFC 6455 s.7.1.5."""

    def __init__(self, code: int = NORMAL, reason: str | None = None) -> None:
        super().__init__(f"the WebSocket was closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason: str = reason or ""


class WebSocketInvalidTypeReceived(HTTPXWSException):
    """Text came instead of bytes, or bytes instead of text; `event` is the message."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"a message of another type came: {type(event).__name__}")
        self.event = event


class WebSocketNetworkError(HTTPXWSException):
    """The connection broke without a closing handshake, or the peer does not answer pings any more."""


class Session:
    """Implement both kinds of session; a subclass adds locks, reads and writes."""

    subprotocol: str | None
    response: Response | None

    def __init__(
        self,
        stream: Any,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        response: Response | None = None,
    ) -> None:
        self.stream = stream
        self.response = response
        self.subprotocol = None if response is None else response.headers.get("sec-websocket-protocol")
        self._reader = MessageReader(max_message_size_bytes)
        self._deflate: Deflate | None = None
        self._queue_size = queue_size
        self._interval = keepalive_ping_interval_seconds
        self._timeout = keepalive_ping_timeout_seconds
        self._ping_timer = PhaseTimer("ping", None, monotonic(), self._interval)  # until the next keep-alive ping
        self._pong_timer = PhaseTimer("pong")  # until the answer to the last one
        self._own_ping = b""
        self._ready: deque[Event] = deque()
        self._owed: deque[bytes] = deque(maxlen=MAX_OWED)  # frames to send in answer to those read
        self._stuck = ""  # what the stream buffers a part of, since the peer did not take all of it; "" for nothing
        self._stuck_timer = PhaseTimer("frame")  # until the peer has to have taken it
        self._rest: deque[memoryview] = deque()  # slices of a frame whose beginning was written
        self._slices = hasattr(stream, "_write_within")  # another stream gets whole frames
        self._got_message = False
        #: Says whether another session follows one that ended with this error; None if none ever does.
        self._reopens: Callable[[HTTPXWSException], bool] | None = None
        self._write_timeout = _write_timeout(response)
        self._pings: dict[bytes, Heard] = {}
        self._end: HTTPXWSException | None = None
        self._said_goodbye = False
        self._set_up()

    # Waiting; implemented by each subclass.

    def _agree(self, deflate: Deflate | None) -> None:
        """Set the agreed message parameters of the handshake (RFC 7692)."""
        self._deflate = self._reader.inflater = deflate

    def _set_up(self) -> None:
        raise NotImplementedError

    async def _acquire_reader(self, timer: PhaseTimer) -> bool:
        """Acquire the read lock; return False if the deadline of `timer` comes first."""
        raise NotImplementedError

    def _pass_turn(self) -> None:
        raise NotImplementedError

    async def _read(self, timeout: float | None) -> bytes:
        raise NotImplementedError

    async def _acquire_writer(self, patience: float | None) -> bool:
        """Acquire the write lock; return False if that takes longer than `patience` seconds."""
        raise NotImplementedError

    def _pass_pen(self) -> None:
        raise NotImplementedError

    async def _put(self, raw: bytes | memoryview, timeout: float | None) -> None:
        """Write to the stream, within `timeout` seconds; b"" flushes its buffer."""
        raise NotImplementedError

    async def _yield_to_tasks(self) -> None:
        """Let other tasks run."""

    async def _shut(self) -> None:
        raise NotImplementedError

    # Receiving.

    async def _receive(self, timeout: float | None) -> Event:
        timer = PhaseTimer("message", None, monotonic(), timeout)
        if not await self._until(lambda: bool(self._ready), timer):
            raise TimeoutError(f"no message came within {timeout:.3g} s")
        return self._ready.popleft()

    async def _until(self, ready: Callable[[], bool], timer: PhaseTimer) -> bool:
        """Read until `ready()`; return False at the deadline of `timer`. Raises the error that ended the session."""
        reads = late = 0
        while not ready():
            if self._end is not None:
                raise self._end
            if reads:  # the other call read nothing that is waited for
                late += monotonic() >= timer.at
                if late >= _LATE_READS:
                    return False
                if reads % _BREATH == 0:
                    await self._yield_to_tasks()
            reads += 1
            if not await self._acquire_reader(timer):
                return ready()
            try:
                if not ready() and self._end is None and not await self._read_once(timer):
                    return ready()
            finally:
                self._pass_turn()
        return True

    async def _read_once(self, timer: PhaseTimer) -> bool:
        """Read and process the next data, holding the read lock; return False if the deadline comes first."""
        if len(self._ready) >= self._queue_size:
            return False
        while True:
            look = monotonic() + _WRITE_LOOK if self._stuck or self._owed or self._rest else NEVER
            wake = min(timer.at, self._ping_timer.at, self._pong_timer.at, look)
            try:
                raw = await self._read(None if wake == NEVER else max(wake - monotonic(), 0.0))
            except ReadTimeout:
                if not await self._keep_alive():
                    return True
                if look != NEVER:
                    await self._answer()
                if self._end is not None:
                    return True
                if monotonic() >= timer.at:
                    return False
                continue
            except NetworkError as error:
                await self._break_off(f"the connection broke: {error}", error)
                return True
            if not raw:
                await self._break_off("the peer closed the connection without a close frame")
                return True
            await self._digest(raw, timer)
            return True

    async def _digest(self, raw: bytes, timer: PhaseTimer) -> None:
        events, fault = self._reader.feed(raw)
        closing: CloseConnection | None = None
        for event in events:
            if isinstance(event, Ping):
                self._owed.append(frame(PONG, event.payload))
            elif isinstance(event, Pong):
                self._heard(event.payload)
            elif isinstance(event, CloseConnection):
                closing = event
            else:
                self._got_message = True
                self._ready.append(event)
        close_timer = PhaseTimer("close")
        close_timer.set_hard(timer.until, timer.budget)
        close_timer.begin("close", monotonic(), CLOSE_PATIENCE)
        if closing is not None:
            self._end = WebSocketDisconnect(closing.code, closing.reason)
            await self._send_close(closing.code, None, close_timer)
            await self._shut()
        elif fault is not None:
            self._end = WebSocketDisconnect(fault.code, fault.reason)
            await self._send_close(fault.code, fault.reason, close_timer)
            await self._shut()
        elif self._owed or self._stuck or self._rest:
            await self._answer()

    def _ends_iteration(self, error: HTTPXWSException) -> bool:
        """Return whether `for message in session` just ends with this error."""
        if self._reopens is not None:
            return self._reopens(error)
        return isinstance(error, WebSocketDisconnect) and error.code in _ENDED_WELL

    def _heard(self, payload: bytes) -> None:
        if payload == self._own_ping:
            self._pong_timer.stop()
        pong = self._pings.pop(payload, None)
        if pong is not None:
            pong._set()

    async def _keep_alive(self) -> bool:
        """Send the ping that is due; return False if the last one was not answered, which ends the session."""
        now = monotonic()
        if now >= self._pong_timer.at:
            await self._break_off(f"the peer did not answer a ping within {self._timeout:.3g} s")
            return False
        if now >= self._ping_timer.at:
            self._ping_timer.begin("ping", now, self._interval)
            if self._pong_timer.until is None:
                self._own_ping = os.urandom(8)
                self._pong_timer.begin("pong", now, self._timeout)
                self._owed.append(frame(PING, self._own_ping))
                await self._answer()
        return True

    async def _break_off(self, why: str, cause: BaseException | None = None) -> None:
        """End the session without a closing handshake."""
        if self._end is None:
            self._end = WebSocketNetworkError(why)
            self._end.__cause__ = cause
        await self._shut()

    # Sending.

    async def _send(self, event: Any) -> None:
        """Send an event of ours, or one of wsproto's, which have the same attributes."""
        kind = type(event).__name__
        if kind in ("TextMessage", "BytesMessage"):
            data = event.data
            payload = data.encode("utf-8") if isinstance(data, str) else bytes(data)
            if not getattr(event, "message_finished", True):
                raise TypeError("messages are sent whole: join the fragments")
            compressed = self._deflate is not None and len(payload) >= WORTHWHILE
            if compressed:
                assert self._deflate is not None
                payload = self._deflate.compress(payload)
            await self._send_frame(frame(TEXT if isinstance(data, str) else BINARY, payload, compressed=compressed))
        elif kind in ("Ping", "Pong"):
            await self._send_frame(frame(PING if kind == "Ping" else PONG, bytes(event.payload)))
        elif kind == "CloseConnection":
            await self._send_close(event.code, event.reason, _close_timer())
        else:
            raise TypeError(f"{event!r} is no event: expected TextMessage, BytesMessage, Ping, Pong or CloseConnection")

    async def _send_frame(self, raw: bytes) -> None:
        """Send the owed frames, and `raw`."""
        self._check_open()
        try:
            await self._write(raw, self._write_timeout)
        except (NetworkError, TimeoutException) as error:
            await self._write_failed(_name_of(raw), error)
            assert self._end is not None
            raise self._end from error

    async def _write_failed(self, what: str, error: NetworkError | TimeoutException) -> None:
        broken = isinstance(error, NetworkError)
        why = f"the connection broke while {what} was sent" if broken else f"{what} was not sent"
        await self._break_off(f"{why}: {error}", error)

    def _check_open(self) -> None:
        if self._said_goodbye or self._end is not None:
            raise self._end or WebSocketDisconnect(NORMAL, "a close frame was sent before")

    async def _write(self, raw: bytes, timeout: float | None, *, goodbye: bool = False) -> None:
        """Acquire the write lock and send the owed frames, and `raw`.

        The current writer has a deadline of its own, so only the close frame needs one for the lock too.
        """
        if not await self._acquire_writer(timeout if goodbye else None):
            raise WriteTimeout("somebody else was still writing")
        try:
            if not goodbye:
                self._check_open()
            await self._put_frames(self._due(raw), timeout)
            self._unstick()
        finally:
            self._pass_pen()

    async def _put_frames(self, raw: bytes, timeout: float | None) -> None:
        """Write frames after what is left of earlier ones, in slices, each within `timeout`."""
        rest = self._rest
        if not rest and (len(raw) <= SLICE or not self._slices):
            await self._put(raw, timeout)
            return
        view = memoryview(raw)
        rest.extend(view[start : start + SLICE] for start in range(0, len(view), SLICE))
        while rest:
            await self._put(rest.popleft(), timeout)
            if self._stuck:
                self._stuck_timer.begin("frame", monotonic(), self._write_timeout)

    def _unstick(self) -> None:
        self._stuck = ""
        self._stuck_timer.stop()

    async def _answer(self) -> None:
        """Send the owed frames as far as the peer takes them at once; the rest follows at a later read."""
        if self._said_goodbye:
            self._owed.clear()
            return
        if not await self._acquire_writer(0.0):
            return
        try:
            while self._stuck or self._owed or self._rest:
                raw = b"" if self._stuck else self._due(b"")
                if not self._stuck:
                    self._stuck = _name_of(raw)  # until all of it was sent
                    self._stuck_timer.begin("frame", monotonic(), self._write_timeout)
                await self._put_frames(raw, 0.0)
                self._unstick()
        except WriteTimeout as error:
            await self._check_stuck(error)
        except NetworkError as error:
            await self._write_failed(self._stuck, error)
        finally:
            self._pass_pen()

    async def _check_stuck(self, error: WriteTimeout) -> None:
        """End the session if the peer has not taken a frame of ours in the time of its budget."""
        timer, now = self._stuck_timer, monotonic()
        if now >= timer.at:
            await self._write_failed(self._stuck, timer.expired(now, "the peer did not take all of it"))

    def _due(self, raw: bytes) -> bytes:
        """Return the owed frames, and `bytes`; call it directly before sending, with nothing in between."""
        if not self._owed:
            return raw
        owed = [self._owed.popleft() for _ in range(len(self._owed))]
        return b"".join([*owed, raw])

    async def _send_ping(self, pong: Heard, payload: bytes) -> None:
        payload = payload or os.urandom(8)
        self._pings[payload] = pong
        try:
            await self._send_frame(frame(PING, payload))
        except BaseException:
            self._pings.pop(payload, None)
            raise

    async def _send_close(self, code: int, reason: str | None, timer: PhaseTimer) -> None:
        """Send a close frame before the deadline of `timer`, unless one was sent; failure to send it is ignored."""
        if not self._said_goodbye:
            self._said_goodbye = True
            with contextlib.suppress(NetworkError, TimeoutException):
                await self._write(close_frame(code, reason), timer.left(monotonic()), goodbye=True)

    async def _close(self, code: int, reason: str | None) -> None:
        """Perform the closing handshake from this side."""
        try:
            if self._end is None:
                timer = _close_timer()
                await self._send_close(code, reason, timer)
                self._ping_timer.stop()
                self._pong_timer.stop()
                with contextlib.suppress(HTTPXWSException):
                    # Messages that come now are discarded; the peer's close frame follows them.
                    while await self._until(lambda: bool(self._ready), timer):
                        self._ready.clear()
                    self._end = self._end or WebSocketDisconnect(code, reason)
        finally:
            self._end = self._end or WebSocketDisconnect(code, reason)
            await self._shut()


def _name_of(raw: bytes) -> str:
    """Return what messages call frames of ours: by the first one, as answers come before what they are sent with."""
    opcode = raw[0] & 0x0F if raw else PONG
    name = {PING: "a ping", PONG: "a pong", CLOSE: "a close frame"}.get(opcode)
    if name is None:
        size = len(raw) - 6 - {126: 2, 127: 8}.get(raw[1] & 0x7F, 0)  # without the head and the mask
        name = f"a message of {size} bytes"
    return name


def _close_timer() -> PhaseTimer:
    return PhaseTimer("close", None, monotonic(), CLOSE_PATIENCE)


def _write_timeout(response: Response | None) -> float | None:
    """Return the write timeout of the session's request; the default one if there was none."""
    timeouts: dict[str, float | None] = {}
    if response is not None:
        with contextlib.suppress(RuntimeError):  # a response without its request
            timeouts = response.request.extensions.get("timeout", timeouts)
    return timeouts.get("write", DEFAULT_TIMEOUT_CONFIG.write)


class Heard:
    """Hold the pending answer to a ping."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_set = False

    def _set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        """Return whether the answer has come."""
        return self._is_set

    async def _wait(self, timeout: float | None) -> bool:
        if await self._session._until(self.is_set, PhaseTimer("message", None, monotonic(), timeout)):
            return True
        if timeout is None:
            raise RuntimeError(
                "the pong cannot be read: the queue is full of messages, which have to be received first"
            )
        return False
