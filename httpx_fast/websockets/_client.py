"""WebSocket sessions over `network_stream`, blocking and asynchronous, as `client.websocket()` yields them.

`_session` implements the protocol; this module adds locks, reads and writes for each kind of client, and the task that
reads an idle asynchronous session. The blocking session has no thread: it does nothing between two calls.
"""

from __future__ import annotations

import contextlib
import json as jsonlib
import threading
from collections.abc import AsyncGenerator, Generator
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, Self, TypeVar

import anyio
import anyio.lowlevel

from .._auth import AuthTypes
from .._checks import checked_count, checked_interval
from .._client.defaults import USE_CLIENT_DEFAULT, UseClientDefault
from .._config import (
    DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
    DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
    DEFAULT_MAX_MESSAGE_SIZE_BYTES,
    DEFAULT_QUEUE_SIZE,
    TimeoutTypes,
)
from .._deadline import PhaseTimer
from .._drive import drive
from .._models import Headers, Response
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._urls import QueryParamTypes
from .._wire.websocket import (
    NORMAL,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    TextMessage,
    WebSocketProtocolError,
    check_acceptance,
    check_subprotocol,
    new_key,
)
from .._wire.websocket_deflate import Deflate, agreed
from ._session import (
    Heard,
    HTTPXWSException,
    Session,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketUpgradeError,
)

if TYPE_CHECKING:
    from .._transports.network import AsyncNetworkStream, NetworkStream

__all__ = [
    "AsyncWebSocketClient",
    "AsyncWebSocketSession",
    "BytesMessage",
    "CloseConnection",
    "HTTPXWSException",
    "JSONMode",
    "Ping",
    "Pong",
    "TextMessage",
    "WebSocketClient",
    "WebSocketDisconnect",
    "WebSocketInvalidTypeReceived",
    "WebSocketNetworkError",
    "WebSocketSession",
    "WebSocketUpgradeError",
]

JSONMode = Literal["text", "binary"]

_READ_SIZE = 65536  # bytes of one read
#: How many times within a keep-alive interval the asynchronous session reads by itself.
_LOOKS = 8


class PongEvent(Heard):
    """Wait for the answer to a ping of a blocking session, with the interface of `threading.Event`."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds; return whether it came. Raises the error that ends the session."""
        return drive(self._wait(timeout))


class AsyncPongEvent(Heard):
    """Wait for the answer to a ping of an asynchronous session, with the interface of `anyio.Event`."""

    async def wait(self) -> None:
        """Wait for it. Raises the error that ends the session."""
        await self._wait(None)


def _data_of(event: Event) -> str | bytes:
    assert isinstance(event, (TextMessage, BytesMessage))
    return event.data


def _as_text(event: Event) -> str:
    if isinstance(event, TextMessage):
        return event.data
    raise WebSocketInvalidTypeReceived(event)


def _as_bytes(event: Event) -> bytes:
    if isinstance(event, BytesMessage):
        return event.data
    raise WebSocketInvalidTypeReceived(event)


def _from_json(event: Event, mode: JSONMode) -> Any:
    return jsonlib.loads(_as_text(event) if _checked(mode) == "text" else _as_bytes(event))


def _to_json(data: Any, mode: JSONMode) -> Event:
    text = jsonlib.dumps(data)
    return TextMessage(text) if _checked(mode) == "text" else BytesMessage(text.encode("utf-8"))


def _checked(mode: JSONMode) -> JSONMode:
    if mode not in ("text", "binary"):
        raise ValueError(f"mode is {mode!r}; expected 'text' or 'binary'")
    return mode


class WebSocketSession(Session):
    """Send and receive on an open WebSocket of `Client`. Several threads may do so at once.

    `subprotocol` is what the server chose, `response` its answer to the handshake. There is no thread of its own: pings
    are sent and answered while a call waits.
    """

    stream: NetworkStream

    def _set_up(self) -> None:
        self._reading = threading.Lock()
        self._writing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()

    def ping(self, payload: bytes = b"") -> PongEvent:
        """Send a ping and return an event, which is set when the pong has come and can be waited for.

        `payload` tells pings apart; a random one if it is empty. Raises WebSocketNetworkError, WebSocketDisconnect.
        """
        pong = PongEvent(self)
        drive(self._send_ping(pong, payload))
        return pong

    def send(self, event: Event) -> None:
        """Send an event. Raises WebSocketNetworkError; WebSocketDisconnect once the session is over."""
        drive(self._send(event))

    def send_text(self, data: str) -> None:
        """Send a message of text."""
        self.send(TextMessage(data))

    def send_bytes(self, data: bytes) -> None:
        """Send a message of bytes."""
        self.send(BytesMessage(data))

    def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send `data` as `json.dumps` serializes it, as text or as bytes ("binary")."""
        self.send(_to_json(data, mode))

    def receive(self, timeout: float | None = None) -> Event:
        """Return the next message.

        Raises TimeoutError if none came within `timeout` seconds, WebSocketDisconnect when the peer has closed,
        WebSocketNetworkError.
        """
        return drive(self._receive(timeout))

    def __iter__(self) -> Self:
        """Iterate over the data of messages, text or bytes, until the session is closed with code 1000 or 1001.

        Raises WebSocketDisconnect for other codes, WebSocketNetworkError.

        ```python
        with client.websocket("wss://chat.example.org/") as session:
            for message in session:
                print(message)
        ```
        """
        return self

    def __next__(self) -> str | bytes:
        try:
            return _data_of(self.receive())
        except HTTPXWSException as error:
            if self._ends_iteration(error):
                raise StopIteration from None
            raise

    def receive_text(self, timeout: float | None = None) -> str:
        """Return the next message, which must be text. Raises WebSocketInvalidTypeReceived otherwise."""
        return _as_text(self.receive(timeout))

    def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, which must be bytes. Raises WebSocketInvalidTypeReceived otherwise."""
        return _as_bytes(self.receive(timeout))

    def receive_json(self, timeout: float | None = None, mode: JSONMode = "text") -> Any:
        """Return the next message parsed as JSON. Raises the exceptions of `json.loads` too."""
        return _from_json(self.receive(timeout), mode)

    def close(self, code: int = NORMAL, reason: str | None = None) -> None:
        """Close the session, waiting at most one second for the peer's answer. May be repeated."""
        drive(self._close(code, reason))

    async def _acquire_reader(self, timer: PhaseTimer) -> bool:
        left = -1.0 if timer.until is None else min(timer.left(monotonic()), threading.TIMEOUT_MAX)
        return self._reading.acquire(timeout=left)

    def _pass_turn(self) -> None:
        self._reading.release()

    async def _read(self, timeout: float | None) -> bytes:
        return self.stream.read(_READ_SIZE, timeout)

    async def _acquire_writer(self, patience: float | None) -> bool:
        return self._writing.acquire(timeout=-1.0 if patience is None else min(patience, threading.TIMEOUT_MAX))

    def _pass_pen(self) -> None:
        self._writing.release()

    async def _put(self, raw: bytes | memoryview, timeout: float | None) -> None:
        if self._slices:
            await self.stream._write_within(raw, timeout)
        else:
            self.stream.write(raw, timeout)

    async def _shut(self) -> None:
        self.stream.close()


class AsyncWebSocketSession(Session):
    """Send and receive on an open WebSocket of `AsyncClient`. Several tasks may do so at once.

    `subprotocol` is what the server chose, `response` its answer to the handshake. While it is entered, a task answers
    and sends pings when nobody receives.
    """

    stream: AsyncNetworkStream

    def _set_up(self) -> None:
        # An uncontended lock that does not yield saves one iteration of the loop for each message.
        self._reading = anyio.Lock(fast_acquire=True)
        self._writing = anyio.Lock(fast_acquire=True)
        self._tasks: Any = None

    async def __aenter__(self) -> Self:
        if self._interval is not None:
            self._tasks = await anyio.create_task_group().__aenter__()
            self._tasks.start_soon(self._poll, self._interval / _LOOKS)
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        try:
            await self.close()
        finally:
            if self._tasks is not None:
                # The exception propagates unchanged: the task group does not see it.
                self._tasks.cancel_scope.cancel()
                await self._tasks.__aexit__(None, None, None)

    async def ping(self, payload: bytes = b"") -> AsyncPongEvent:
        """Send a ping and return an event, which is set when the pong has come and can be waited for.

        `payload` tells pings apart; a random one if it is empty. Raises WebSocketNetworkError, WebSocketDisconnect.
        """
        pong = AsyncPongEvent(self)
        await self._send_ping(pong, payload)
        return pong

    async def send(self, event: Event) -> None:
        """Send an event. Raises WebSocketNetworkError; WebSocketDisconnect once the session is over."""
        await self._send(event)

    async def send_text(self, data: str) -> None:
        """Send a message of text."""
        await self.send(TextMessage(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send a message of bytes."""
        await self.send(BytesMessage(data))

    async def send_json(self, data: Any, mode: JSONMode = "text") -> None:
        """Send `data` as `json.dumps` serializes it, as text or as bytes ("binary")."""
        await self.send(_to_json(data, mode))

    async def receive(self, timeout: float | None = None) -> Event:
        """Return the next message.

        Raises TimeoutError if none came within `timeout` seconds, WebSocketDisconnect when the peer has closed,
        WebSocketNetworkError.
        """
        return await self._receive(timeout)

    def __aiter__(self) -> Self:
        """Iterate over the data of messages, text or bytes, until the session is closed with code 1000 or 1001.

        Raises WebSocketDisconnect for other codes, WebSocketNetworkError.
        """
        return self

    async def __anext__(self) -> str | bytes:
        try:
            return _data_of(await self.receive())
        except HTTPXWSException as error:
            if self._ends_iteration(error):
                raise StopAsyncIteration from None
            raise

    async def receive_text(self, timeout: float | None = None) -> str:
        """Return the next message, which must be text. Raises WebSocketInvalidTypeReceived otherwise."""
        return _as_text(await self.receive(timeout))

    async def receive_bytes(self, timeout: float | None = None) -> bytes:
        """Return the next message, which must be bytes. Raises WebSocketInvalidTypeReceived otherwise."""
        return _as_bytes(await self.receive(timeout))

    async def receive_json(self, timeout: float | None = None, mode: JSONMode = "text") -> Any:
        """Return the next message parsed as JSON. Raises the exceptions of `json.loads` too."""
        return _from_json(await self.receive(timeout), mode)

    async def close(self, code: int = NORMAL, reason: str | None = None) -> None:
        """Close the session, waiting at most one second for the peer's answer. May be repeated."""
        await self._close(code, reason)

    async def _send_close(self, code: int, reason: str | None, timer: PhaseTimer) -> None:
        # A cancelled task sends its close frame nevertheless; this hardly ever waits.
        with anyio.move_on_after(timer.left(monotonic()), shield=True):
            await super()._send_close(code, reason, timer)

    async def _poll(self, pause: float) -> None:
        """Read available data while no call reads, so that the peer's pings are answered and ours are sent."""
        while self._end is None:
            await anyio.sleep(pause)
            if self._end is None and not self._reading.locked():
                with contextlib.suppress(HTTPXWSException):
                    await self._until(lambda: False, PhaseTimer("message", None, monotonic(), 0.0))

    async def _acquire_reader(self, timer: PhaseTimer) -> bool:
        return await _acquired(self._reading, None if timer.until is None else timer.at - monotonic())

    def _pass_turn(self) -> None:
        self._reading.release()

    async def _read(self, timeout: float | None) -> bytes:
        return await self.stream.read(_READ_SIZE, timeout)

    async def _acquire_writer(self, patience: float | None) -> bool:
        return await _acquired(self._writing, patience)

    def _pass_pen(self) -> None:
        self._writing.release()

    async def _put(self, raw: bytes | memoryview, timeout: float | None) -> None:
        if self._slices:
            await self.stream._write_within(raw, timeout)
        else:
            await self.stream.write(raw, timeout)

    async def _yield_to_tasks(self) -> None:
        await anyio.lowlevel.checkpoint()

    async def _shut(self) -> None:
        await self.stream.aclose()


async def _acquired(lock: anyio.Lock, patience: float | None) -> bool:
    """Acquire a lock; return False if that takes longer than `patience` seconds."""
    try:
        lock.acquire_nowait()
    except anyio.WouldBlock:
        with anyio.move_on_after(patience):
            await lock.acquire()
            return True
        return False
    return True


SyncSession = TypeVar("SyncSession", bound=WebSocketSession)
AsyncSession = TypeVar("AsyncSession", bound=AsyncWebSocketSession)


def _handshake(subprotocols: list[str] | None) -> dict[str, str]:
    """Return the fields that request a WebSocket (RFC 6455 s.4.1)."""
    fields = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Key": new_key(),
        "Sec-WebSocket-Version": "13",
    }
    if subprotocols is not None:
        if isinstance(subprotocols, (str, bytes)):  # which is a list of its characters, too
            raise TypeError(f"expected a list of names as subprotocols, got {subprotocols!r}")
        fields["Sec-WebSocket-Protocol"] = ", ".join(subprotocols)
    return fields


def _check(response: Response, key: str, subprotocols: list[str] | None) -> Deflate | None:
    """Return the agreed parameters. Raises WebSocketUpgradeError unless it is the WebSocket that was requested."""
    over_http2 = response.http_version == "HTTP/2"  # the answer to CONNECT: RFC 8441 s.5
    if over_http2 and not response.is_success:
        raise WebSocketUpgradeError(response, f"the server answered {response.status_code}, expected 200")
    if not over_http2 and response.status_code != 101:
        raise WebSocketUpgradeError(response)
    fields = response.headers
    try:
        subprotocol = fields.get("sec-websocket-protocol")
        if over_http2:
            check_subprotocol(subprotocol, subprotocols or [])
        else:
            check_acceptance(
                key,
                fields.get("upgrade", ""),
                fields.get("connection", ""),
                fields.get("sec-websocket-accept", ""),
                subprotocol,
                subprotocols or [],
            )
        offered = response.request.headers.get("sec-websocket-extensions", "")
        return agreed(offered, fields.get("sec-websocket-extensions", ""))
    except WebSocketProtocolError as fault:
        raise WebSocketUpgradeError(response, f"the server did not accept the WebSocket: {fault.reason}") from None


class _Connecting:
    """Hold the settings of sessions to open. Raises TypeError, ValueError for what makes no sense."""

    def __init__(self, client: Any, session_class: Any, **settings: Any) -> None:
        for name in ("max_message_size_bytes", "queue_size"):
            checked_count(settings[name], name, 1)
        for name, none in (
            ("keepalive_ping_interval_seconds", "never"),
            ("keepalive_ping_timeout_seconds", "no limit"),
        ):
            settings[name] = checked_interval(settings[name], name, none)
        self.client = client
        self.session_class = session_class
        self._settings = settings


class StreamingClient(Protocol):
    """Declare what `WebSocketClient` needs of a client: `Client` has it."""

    def stream(self, *args: Any, **kwargs: Any) -> contextlib.AbstractContextManager[Response]: ...


class AsyncStreamingClient(Protocol):
    """Declare what `AsyncWebSocketClient` needs of a client: `AsyncClient` has it."""

    def stream(self, *args: Any, **kwargs: Any) -> contextlib.AbstractAsyncContextManager[Response]: ...


class WebSocketClient(_Connecting, Generic[SyncSession]):
    """Open WebSockets with a `Client`."""

    def __init__(
        self,
        client: StreamingClient,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        session_class: type[SyncSession] = WebSocketSession,  # type: ignore[assignment]
    ) -> None:
        super().__init__(
            client,
            max_message_size_bytes=max_message_size_bytes,
            queue_size=queue_size,
            keepalive_ping_interval_seconds=keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds=keepalive_ping_timeout_seconds,
            session_class=session_class,
        )

    @contextlib.contextmanager
    def connect(
        self,
        url: str,
        *,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Generator[SyncSession, None, None]:
        """Open a session for `with`. Raises WebSocketUpgradeError if the server does not accept it."""
        asked = _handshake(subprotocols)
        with self.client.stream(
            "GET",
            url,
            params=params,
            headers=Headers(headers) | asked,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        ) as response:
            deflate = _check(response, asked["Sec-WebSocket-Key"], subprotocols)
            with self.session_class(
                response.extensions["network_stream"], response=response, **self._settings
            ) as session:
                session._agree(deflate)
                yield session


class AsyncWebSocketClient(_Connecting, Generic[AsyncSession]):
    """Open WebSockets with an `AsyncClient`."""

    def __init__(
        self,
        client: AsyncStreamingClient,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        session_class: type[AsyncSession] = AsyncWebSocketSession,  # type: ignore[assignment]
    ) -> None:
        super().__init__(
            client,
            max_message_size_bytes=max_message_size_bytes,
            queue_size=queue_size,
            keepalive_ping_interval_seconds=keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds=keepalive_ping_timeout_seconds,
            session_class=session_class,
        )

    @contextlib.asynccontextmanager
    async def connect(
        self,
        url: str,
        *,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> AsyncGenerator[AsyncSession, None]:
        """Open a session for `async with`. Raises WebSocketUpgradeError if the server does not accept it."""
        asked = _handshake(subprotocols)
        async with self.client.stream(
            "GET",
            url,
            params=params,
            headers=Headers(headers) | asked,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        ) as response:
            deflate = _check(response, asked["Sec-WebSocket-Key"], subprotocols)
            async with self.session_class(
                response.extensions["network_stream"], response=response, **self._settings
            ) as session:
                session._agree(deflate)
                yield session
