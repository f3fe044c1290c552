"""A transport that calls an ASGI application in this process, on asyncio and trio: no network.

The application runs in a task of its own, as it would behind a server, and both bodies are streams:

1. The response is there when the application has sent its start; its body arrives as the application sends it. Sending
   waits while `HIGH_WATER` bytes are unclaimed.
2. Whoever reads a response to its end also waits for the application to return, so that what it does after answering
   has been done.
3. Closing a response early is a disconnect: `receive()` says so and `send()` raises OSError. An application that does
   not return within `GRACE` seconds of it, or whose caller is cancelled, is cancelled.
4. With `lifespan=True` the application starts up before the first request, or when the client is entered, and shuts
   down when the transport is closed. A transport that is used again starts it up anew.
5. Of a request's timeouts `total` holds: the application is cancelled when it runs out. It has no other phases.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, MutableMapping
from time import monotonic
from typing import Any, Self

from .._byte_streams import AsyncByteStream
from .._config import deadline_of
from .._deadline import Deadline, timed_out
from .._exceptions import RemoteProtocolError
from .._models import Request, Response
from .asgi_lifespan import GRACE, ASGIApp, Lifespan
from .asgi_tasks import Signal, spawn
from .base import AsyncBaseTransport

__all__ = ["ASGITransport"]

_Message = MutableMapping[str, Any]

HIGH_WATER = 64 * 1024  # bytes of response body that wait for a reader; servers buffer about as much


class ASGITransport(AsyncBaseTransport):
    """Send requests to the ASGI application `app`.

    With `raise_app_exceptions=False` an application that fails before its response starts answers with status 500, and
    one that fails later ends the body. `root_path` is the path under which it is mounted, and `client` the address and
    port of the client that it sees. `lifespan=True` has the application start up before its first request, and shut
    down when the transport is closed; what it keeps in `scope["state"]` is in the scope of each request.

    ```python
    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"hello"})

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://app") as client:
        assert (await client.get("/")).text == "hello"
    ```
    """

    def __init__(
        self,
        app: ASGIApp,
        raise_app_exceptions: bool = True,
        root_path: str = "",
        client: tuple[str, int] = ("127.0.0.1", 123),
        *,
        lifespan: bool = False,
    ) -> None:
        if not isinstance(lifespan, bool):
            raise TypeError(f"expected True or False as lifespan, got {lifespan!r}")
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.root_path = root_path
        self.client = client
        self._has_lifespan = lifespan
        self._lifespan: Lifespan | None = None  # of the time between two calls of `aclose()`

    async def _started(self, deadline: Deadline | None = None) -> Lifespan:
        """Return the lifespan of the application, which has started up."""
        if self._lifespan is None:
            self._lifespan = Lifespan(self.app)
        await self._lifespan.start(deadline)
        return self._lifespan

    async def __aenter__(self) -> Self:
        if self._has_lifespan:
            try:
                await self._started()
            except BaseException:
                await self.aclose()
                raise
        return self

    async def aclose(self) -> None:
        lifespan, self._lifespan = self._lifespan, None
        if lifespan is not None:
            await lifespan.stop()

    async def handle_async_request(self, request: Request) -> Response:
        if not isinstance(request.stream, AsyncByteStream):
            raise RuntimeError("an asynchronous client cannot send a request whose body is a blocking stream")
        deadline = deadline_of(request, monotonic)
        scope = self._scope(request)
        if self._has_lifespan:
            scope["state"] = dict((await self._started(deadline)).state)
        exchange = _Exchange(request, self.raise_app_exceptions, deadline)
        await exchange.begin(self.app, scope)
        if exchange.status is None:
            return Response(500)
        return Response(exchange.status, headers=exchange.headers, stream=exchange)

    def _scope(self, request: Request) -> dict[str, Any]:
        url = request.url
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "method": request.method,
            "headers": [(name.lower(), value) for name, value in request.headers.raw],
            "scheme": url.scheme,
            "path": url.path,
            "raw_path": url.raw_path.partition(b"?")[0],
            "query_string": url.query,
            "server": (url.host, url.port),
            "client": self.client,
            "root_path": self.root_path,
        }


class _Exchange(AsyncByteStream):
    """One call of the application: its `receive` and `send`, and the stream of the response's body."""

    def __init__(self, request: Request, raise_app_exceptions: bool, deadline: Deadline | None) -> None:
        self.status: int | None = None
        self.headers: list[tuple[bytes, bytes]] = []
        self._raises = raise_app_exceptions
        self._deadline = deadline
        self._is_head = request.method == "HEAD"
        self._request = request
        self._request_body: AsyncIterator[bytes] | None = None
        self._request_done = False
        self._chunks: deque[bytes] = deque()
        self._pending = 0  # bytes in `_chunks`
        self._complete = False  # the application has sent the last part of the body
        self._disconnected = False
        self._finished = False  # the application has returned
        self._error: Exception | None = None
        self._moved = Signal()  # anything above has changed

    async def begin(self, app: ASGIApp, scope: dict[str, Any]) -> None:
        """Wait until the response has started or the application has ended; then `status` is None."""

        async def run() -> None:
            try:
                await app(scope, self._receive, self._send)
            except Exception as error:  # noqa: BLE001 - raised where the response is read
                self._error = error
            finally:
                self._finished = True
                self._moved.notify()

        self._task = spawn(run)
        try:
            while self.status is None and not self._finished:
                await self._wait("its response had not started")
        except BaseException:
            await self._stop()
            raise
        if self._finished:
            self._check()

    def _check(self) -> None:
        """Raise the application's exception, or an error if it returned in the middle of a response."""
        if not self._raises:
            return
        if self._error is not None:
            raise self._error
        if not self._complete:
            missing = "starting its response" if self.status is None else "completing its response"
            raise RemoteProtocolError(f"the ASGI application returned without {missing}")

    async def _receive(self) -> _Message:
        if not self._request_done and not self._disconnected:
            piece = await self._next_piece()
            return {"type": "http.request", "body": piece, "more_body": not self._request_done}
        while not self._complete and not self._disconnected:
            await self._moved.wait()
        return {"type": "http.disconnect"}

    async def _next_piece(self) -> bytes:
        """Return the next piece of the request's body; set `_request_done` with the last one."""
        whole = self._request._body
        if whole is not None and self._request_body is None:
            self._request_done = True
            return whole
        if self._request_body is None:
            self._request_body = aiter(self._request.stream)  # type: ignore[arg-type]
        try:
            return await anext(self._request_body)
        except StopAsyncIteration:
            self._request_done = True
            return b""

    async def _send(self, message: _Message) -> None:
        kind = message["type"]
        if self._disconnected:
            raise OSError("the client has closed the response")
        if kind == "http.response.start":
            if self.status is not None:
                raise RuntimeError("the ASGI application started its response twice")
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
            self._moved.notify()
        elif kind == "http.response.body":
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"the ASGI application sent {kind!r}, which an HTTP response does not have")

    async def _send_body(self, body: bytes, more: bool) -> None:
        if self.status is None or self._complete:
            when = "before it started" if self.status is None else "after it completed"
            raise RuntimeError(f"the ASGI application sent a body {when} its response")
        if body and not self._is_head:
            self._chunks.append(bytes(body))
            self._pending += len(body)
        self._complete = not more
        self._moved.notify()
        while more and self._pending >= HIGH_WATER and not self._disconnected:
            await self._moved.wait()

    def __aiter__(self) -> _Exchange:
        return self

    async def __anext__(self) -> bytes:
        while not self._chunks:
            if self._finished:
                self._check()
                raise StopAsyncIteration
            await self._wait("its response had not ended")
        chunk = self._chunks.popleft()
        self._pending -= len(chunk)
        self._moved.notify()
        return chunk

    async def _wait(self, detail: str) -> None:
        """Wait for the application until the deadline of the request."""
        deadline = self._deadline
        if await self._moved.wait_until(deadline):
            return
        assert deadline is not None
        await self._stop()
        raise timed_out("read", deadline.elapsed(monotonic()), deadline.budget, f"the ASGI application: {detail}")

    async def aclose(self) -> None:
        if self._finished:
            return
        self._disconnected = True
        self._moved.notify()
        try:
            await self._task.join(GRACE)
        finally:
            await self._stop()

    async def _stop(self) -> None:
        self._disconnected = True
        if not self._finished:
            self._task.cancel()
            await self._task.join(GRACE, shielded=True)
