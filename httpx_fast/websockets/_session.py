"""A WebSocket session, written once for both worlds: what it reads, owes, waits for, and how it ends.

No thread and no queue between the socket and who receives: whoever waits for something reads. The rules:

1. One at a time reads and one at a time writes. Who waits for its turn to read looks first whether the one before has
   read what it waits for.
2. Pings are answered, and pings of our own sent, by who reads.
3. Once it is over, `_end` says how, and everything that waits, or comes, raises it; messages that came before are given
   first.
4. What is cancelled loses nothing: bytes stay with the stream, messages in `_ready`, answers in `_owed`.
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
)
from .._exceptions import NetworkError, ReadTimeout, TimeoutException, portable
from .._models import Response
from .._wire.websocket import (
    BINARY,
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

CLOSE_PATIENCE = 1.0  # seconds for the peer to answer a close frame (RFC 6455 s.7.1.1)


class HTTPXWSException(Exception):
    """Anything that goes wrong with a WebSocket, once the request for it was answered."""

    __reduce__ = portable


class WebSocketUpgradeError(HTTPXWSException):
    """The server did not switch to a WebSocket; `response` is what it said."""

    def __init__(self, response: Response, reason: str = "") -> None:
        super().__init__(reason or f"the server answered {response.status_code}, expected 101")
        self.response = response


class WebSocketDisconnect(HTTPXWSException):
    """The session is over: closed by the peer, or here. `code` and `reason` are those of RFC 6455 s.7.1.5."""

    def __init__(self, code: int = NORMAL, reason: str | None = None) -> None:
        super().__init__(f"the WebSocket was closed with code {code}" + (f": {reason}" if reason else ""))
        self.code = code
        self.reason = reason or ""


class WebSocketInvalidTypeReceived(HTTPXWSException):
    """Text came where bytes were expected, or the other way round; `event` is what came."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"a message of another type came: {type(event).__name__}")
        self.event = event


class WebSocketNetworkError(HTTPXWSException):
    """The connection broke without a closing handshake, or does not answer pings any more."""


class Session:
    """What both kinds of session do, written once; a kind adds how to take turns, read and write."""

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
        self._next_ping = None if self._interval is None else monotonic() + self._interval
        self._pong_by: float | None = None  # until then our last keep-alive ping is to be answered
        self._own_ping = b""
        self._ready: deque[Event] = deque()
        self._owed: deque[bytes] = deque()  # frames that answer what was read
        self._pings: dict[bytes, Heard] = {}
        self._end: HTTPXWSException | None = None
        self._said_goodbye = False
        self._set_up()

    # How to wait; each kind has its own.

    def _agree(self, deflate: Deflate | None) -> None:
        """What the handshake has agreed on for messages (RFC 7692)."""
        self._deflate = self._reader.inflater = deflate

    def _set_up(self) -> None:
        raise NotImplementedError

    async def _take_turn(self, at: float | None) -> bool:
        """Becomes the one who reads; False if `at` comes first."""
        raise NotImplementedError

    def _pass_turn(self) -> None:
        raise NotImplementedError

    async def _read(self, timeout: float | None) -> bytes:
        raise NotImplementedError

    async def _write(self, raw: bytes) -> None:
        """Sends `_due(bytes)`."""
        raise NotImplementedError

    async def _shut(self) -> None:
        raise NotImplementedError

    # Receiving.

    async def _receive(self, timeout: float | None) -> Event:
        at = None if timeout is None else monotonic() + timeout
        if not await self._until(lambda: bool(self._ready), at):
            raise TimeoutError(f"no message came within {timeout:.3g} s")
        return self._ready.popleft()

    async def _until(self, ready: Callable[[], bool], at: float | None) -> bool:
        """Reads until `ready()`; False if `at` comes first. Raises what ended the session."""
        while not ready():
            if self._end is not None:
                raise self._end
            if not await self._take_turn(at):
                return ready()
            try:
                if not ready() and self._end is None and not await self._read_once(at):
                    return ready()
            finally:
                self._pass_turn()
        return True

    async def _read_once(self, at: float | None) -> bool:
        """Reads what comes next, and does what it asks for; False if `at` comes first. It is our turn."""
        if len(self._ready) >= self._queue_size:
            return False
        while True:
            wake = min((each for each in (at, self._next_ping, self._pong_by) if each is not None), default=None)
            try:
                raw = await self._read(None if wake is None else max(wake - monotonic(), 0.0))
            except ReadTimeout:
                if not await self._keep_alive():
                    return True
                if at is not None and monotonic() >= at:
                    return False
                continue
            except NetworkError as error:
                await self._break_off(f"the connection broke: {error}", error)
                return True
            if not raw:
                await self._break_off("the peer closed the connection without a close frame")
                return True
            await self._digest(raw)
            return True

    async def _digest(self, raw: bytes) -> None:
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
                self._ready.append(event)
        if closing is not None:
            self._end = WebSocketDisconnect(closing.code, closing.reason)
            await self._say_goodbye(closing.code, None)
            await self._shut()
        elif fault is not None:
            self._end = WebSocketDisconnect(fault.code, fault.reason)
            await self._say_goodbye(fault.code, fault.reason)
            await self._shut()
        elif self._owed:
            await self._send_frame(b"")

    def _heard(self, payload: bytes) -> None:
        if payload == self._own_ping:
            self._pong_by = None
        pong = self._pings.pop(payload, None)
        if pong is not None:
            pong._set()

    async def _keep_alive(self) -> bool:
        """Sends the ping that is due; False if the last one was not answered, which ends the session."""
        now = monotonic()
        if self._pong_by is not None and now >= self._pong_by:
            await self._break_off(f"the peer did not answer a ping within {self._timeout:.3g} s")
            return False
        if self._next_ping is not None and now >= self._next_ping:
            assert self._interval is not None
            self._next_ping = now + self._interval
            if self._pong_by is None:
                self._own_ping = os.urandom(8)
                self._pong_by = None if self._timeout is None else now + self._timeout
                await self._send_frame(frame(PING, self._own_ping))
        return True

    async def _break_off(self, why: str, cause: BaseException | None = None) -> None:
        """The session is over without a closing handshake."""
        if self._end is None:
            self._end = WebSocketNetworkError(why)
            self._end.__cause__ = cause
        await self._shut()

    # Sending.

    async def _send(self, event: Any) -> None:
        """Sends an event of ours, or one of wsproto's, which look alike."""
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
            await self._say_goodbye(event.code, event.reason)
        else:
            raise TypeError(f"{event!r} is no event: expected TextMessage, BytesMessage, Ping, Pong or CloseConnection")

    async def _send_frame(self, raw: bytes) -> None:
        """Sends what is owed, and `bytes`."""
        if self._said_goodbye or self._end is not None:
            raise self._end or WebSocketDisconnect(NORMAL, "a close frame was sent before")
        try:
            await self._write(raw)
        except (NetworkError, TimeoutException) as error:
            await self._break_off(f"the connection broke: {error}", error)
            assert self._end is not None
            raise self._end from error

    def _due(self, raw: bytes) -> bytes:
        """What is owed, and `bytes`; to be asked for when nothing can come between that and sending it."""
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

    async def _say_goodbye(self, code: int, reason: str | None) -> None:
        """Sends a close frame, unless one was sent; that it cannot be sent does not matter."""
        if not self._said_goodbye:
            self._said_goodbye = True
            with contextlib.suppress(NetworkError, TimeoutException):
                await self._write(close_frame(code, reason))

    async def _close(self, code: int, reason: str | None) -> None:
        """The closing handshake, from this side."""
        try:
            if self._end is None:
                await self._say_goodbye(code, reason)
                self._next_ping = self._pong_by = None
                at = monotonic() + CLOSE_PATIENCE
                with contextlib.suppress(HTTPXWSException):
                    # Messages that come now come too late for anybody; the peer's close frame is behind them.
                    while await self._until(lambda: bool(self._ready), at):
                        self._ready.clear()
                    self._end = self._end or WebSocketDisconnect(code, reason)
        finally:
            self._end = self._end or WebSocketDisconnect(code, reason)
            await self._shut()


class Heard:
    """The answer to a ping that is to come."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._is_set = False

    def _set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it has come."""
        return self._is_set

    async def _wait(self, timeout: float | None) -> bool:
        if await self._session._until(self.is_set, None if timeout is None else monotonic() + timeout):
            return True
        if timeout is None:
            raise RuntimeError(
                "the pong cannot be read: the queue is full of messages, which have to be received first"
            )
        return False
