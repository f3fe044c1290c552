"""WebSockets with an ASGI application in this process, through `ASGITransport`, on asyncio and trio.

The session is the same class as over a network, so this module translates frames into messages of the ASGI
specification and back. The application runs in its own task, which ends with the session: it receives the disconnect
message, and is cancelled if it does not return within `GRACE` seconds. The session's `receive` raises an exception of
the application, unless `raise_app_exceptions` is False: then the session is closed with code 1011.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any

import anyio

from .._deadline import timed_out
from .._exceptions import WriteError
from .._models import Request, Response
from .._transports.asgi import ASGITransport
from .._transports.asgi_lifespan import GRACE, ASGIApp, Message
from .._transports.asgi_tasks import Signal, spawn
from .._wire.websocket import BINARY, CLOSE, NORMAL, PING, PONG, TEXT, accept_for, mask
from ._session import WebSocketDisconnect

__all__ = ["ASGIWebSocketTransport"]

_INTERNAL_ERROR = 1011
_ABNORMAL = 1006  # the session ended without a close frame


class ASGIWebSocketTransport(ASGITransport):
    """Send requests to an ASGI application, WebSockets included.

    `initial_receive_timeout` is how many seconds the application may take to accept or refuse one.
    """

    def __init__(
        self,
        app: ASGIApp,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        initial_receive_timeout: float = 1.0,
    ) -> None:
        super().__init__(app, raise_app_exceptions, root_path, client)
        self._patience = initial_receive_timeout

    async def handle_async_request(self, request: Request) -> Response:
        if request.headers.get("upgrade", "").lower() != "websocket":
            return await super().handle_async_request(request)
        conversation = _Conversation(self.raise_app_exceptions)
        conversation.start(self.app, self._websocket_scope(request))
        try:
            return await conversation.answer(request, self._patience)
        except BaseException:
            await conversation.aclose()
            raise

    def _websocket_scope(self, request: Request) -> dict[str, Any]:
        scope = self._scope(request)
        del scope["method"]
        offered = request.headers.get("sec-websocket-protocol", "")
        scheme = {"http": "ws", "https": "wss"}.get(request.url.scheme, request.url.scheme)
        subprotocols = [each.strip() for each in offered.split(",") if each.strip()]
        return {**scope, "type": "websocket", "scheme": scheme, "subprotocols": subprotocols}


class _Conversation:
    """Run one call of the application behind the interface of a network stream."""

    def __init__(self, raise_app_exceptions: bool) -> None:
        self._raises = raise_app_exceptions
        self._to_app: deque[Message] = deque([{"type": "websocket.connect"}])
        self._from_app: deque[Message] = deque()
        self._pieces: deque[bytes] = deque()  # bytes for the session
        self._disconnected = False
        self._finished = False
        self._error: Exception | None = None
        self._moved = Signal()

    def start(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        async def run() -> None:
            try:
                await app(scope, self._receive, self._send)
            except Exception as error:  # noqa: BLE001 - raised where the session receives
                self._error = error
            finally:
                self._finished = True
                self._moved.notify()

        self._task = spawn(run)

    async def answer(self, request: Request, patience: float) -> Response:
        """Return the application's response to the handshake."""
        message = await self._next_message(patience)
        if message is None:
            self._check()
            raise RuntimeError(f"the ASGI application did not accept the WebSocket within {patience:.3g} s")
        kind = message["type"]
        if kind == "websocket.close":
            raise WebSocketDisconnect(message.get("code", NORMAL), message.get("reason"))
        if kind == "websocket.http.response.start":
            response = Response(
                message["status"], headers=list(message.get("headers", ())), content=await self._denial(patience)
            )
            await self.aclose()
            return response
        if kind != "websocket.accept":
            raise RuntimeError(f"the ASGI application sent {kind!r} where 'websocket.accept' was expected")
        fields: list[tuple[bytes, bytes]] = [
            (b"Upgrade", b"websocket"),
            (b"Connection", b"Upgrade"),
            (b"Sec-WebSocket-Accept", accept_for(request.headers.get("sec-websocket-key", "")).encode("ascii")),
        ]
        if message.get("subprotocol"):
            fields.append((b"Sec-WebSocket-Protocol", message["subprotocol"].encode("ascii")))
        return Response(101, headers=[*fields, *message.get("headers", ())], extensions={"network_stream": self})

    async def _denial(self, patience: float) -> bytes:
        """Yield the body of an ordinary response that refuses the WebSocket."""
        body = b""
        while message := await self._next_message(patience):
            body += message.get("body", b"")
            if not message.get("more_body", False):
                break
        return body

    # Called by the application.

    async def _receive(self) -> Message:
        while not self._to_app:
            await self._moved.wait()
        return self._to_app.popleft()

    async def _send(self, message: Message) -> None:
        if self._disconnected:
            raise OSError("the client has closed the WebSocket")
        self._from_app.append(message)
        self._moved.notify()

    # Called by the session.

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return frames of the application's messages."""
        while not self._pieces:
            message = await self._next_message(timeout)
            if message is not None:
                self._pieces.extend(_bytes_of(message, max_bytes))
            elif not self._finished:
                raise timed_out("read", timeout or 0.0, timeout or 0.0, "the ASGI application sent nothing")
            elif self._error is None:
                return b""
            else:
                self._check()
                self._error = None
                self._pieces.append(_frame(CLOSE, _INTERNAL_ERROR.to_bytes(2, "big")))
        piece = self._pieces.popleft()
        if len(piece) > max_bytes:
            self._pieces.appendleft(piece[max_bytes:])
            piece = piece[:max_bytes]
        return piece

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send whole frames, one or more, as our session writes them."""
        if self._disconnected or self._finished:
            raise WriteError("the ASGI application has ended the WebSocket")
        for opcode, payload in _frames(buffer):
            if opcode == TEXT:
                self._to_app.append({"type": "websocket.receive", "text": payload.decode("utf-8")})
            elif opcode == BINARY:
                self._to_app.append({"type": "websocket.receive", "bytes": payload})
            elif opcode == PING:
                self._pieces.append(_frame(PONG, payload))
            elif opcode == CLOSE:
                code = int.from_bytes(payload[:2], "big") if payload else 1005
                self._disconnect(code, payload[2:].decode("utf-8"))
                self._pieces.append(_frame(CLOSE, payload[:2]))
        self._moved.notify()

    async def aclose(self) -> None:
        """End the application."""
        self._disconnect(_ABNORMAL, "")
        if self._finished:
            return
        try:
            await self._task.join(GRACE)
        finally:
            if not self._finished:
                self._task.cancel()
                await self._task.join(GRACE, shielded=True)

    def get_extra_info(self, info: str) -> Any:
        """Return None: there is no network."""
        return None

    def _disconnect(self, code: int, reason: str) -> None:
        if not self._disconnected:
            self._disconnected = True
            self._to_app.append({"type": "websocket.disconnect", "code": code, "reason": reason})
            self._moved.notify()

    async def _next_message(self, timeout: float | None) -> Message | None:
        """Return the application's next message; None if the time is up, or it has returned."""
        with anyio.move_on_after(timeout):
            while not self._from_app and not self._finished:
                await self._moved.wait()
        return self._from_app.popleft() if self._from_app else None

    def _check(self) -> None:
        """Raise the application's exception, unless `raise_app_exceptions` is False."""
        if self._error is not None and self._raises:
            error, self._error = self._error, None
            raise error


def _bytes_of(message: Message, size: int) -> Iterator[bytes]:
    """Yield a message of the application as a frame, in pieces of at most `size` bytes."""
    kind = message["type"]
    if kind == "websocket.send":
        text = message.get("text")
        data = _frame(BINARY, bytes(message["bytes"])) if text is None else _frame(TEXT, text.encode("utf-8"))
    elif kind == "websocket.close":
        reason = (message.get("reason") or "").encode("utf-8")
        data = _frame(CLOSE, message.get("code", NORMAL).to_bytes(2, "big") + reason)
    else:
        raise RuntimeError(f"the ASGI application sent {kind!r}, which an open WebSocket does not have")
    return (data[start : start + size] for start in range(0, len(data), size))


def _frame(opcode: int, payload: bytes) -> bytes:
    """Return an unmasked frame, as servers send it."""
    size = len(payload)
    if size < 126:
        length = bytes([size])
    elif size < 65536:
        length = b"\x7e" + size.to_bytes(2, "big")
    else:
        length = b"\x7f" + size.to_bytes(8, "big")
    return bytes([0x80 | opcode]) + length + payload


def _frames(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield opcode and payload of each frame of a client."""
    at = 0
    while at < len(data):
        opcode, size = data[at] & 0x0F, data[at + 1] & 0x7F
        at += 2
        if size >= 126:
            wide = 2 if size == 126 else 8
            size = int.from_bytes(data[at : at + wide], "big")
            at += wide
        yield opcode, mask(data[at + 4 : at + 4 + size], data[at : at + 4])
        at += 4 + size
