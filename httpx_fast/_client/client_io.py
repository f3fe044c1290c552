"""How the blocking and the asynchronous client differ: `ClientIO` says how each waits, and what it sends over."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Protocol

from .._auth import Auth
from .._byte_streams import AsyncByteStream, SyncByteStream
from .._models import Request, Response

if TYPE_CHECKING:
    from datetime import timedelta


class ClientIO(Protocol):
    """Describe how a client waits, and its transports. Awaitables of the blocking client never suspend."""

    #: What bodies of requests have to be.
    @property
    def body_type(self) -> type: ...

    def timed(self, stream: Any, started: float) -> Any:
        """Return a body that measures the time until it is closed."""

    def check(self, transport: Any) -> None:
        """Raise TypeError for what is no transport of this client; None stands for the client's own."""
        ...

    def http_transport(self, **settings: Any) -> Any:
        """Return a network transport with these settings."""

    def exchange(self, transport: Any, request: Request) -> Response | Awaitable[Response]:
        """Return the transport's response, or what to await for it."""
        ...

    def call(self, hook: Callable[..., Any], argument: Any) -> Awaitable[None]:
        """Call an event hook."""
        ...

    def read(self, response: Response) -> Awaitable[bytes]:
        """Read the body to its end."""
        ...

    def read_intermediate(self, response: Response) -> Awaitable[None]:
        """Read the body of a response that others follow, or the beginning of a long one, and close it."""
        ...

    def close(self, response: Response) -> Awaitable[None]:
        """Close the response."""
        ...

    def steps(self, auth: Auth, request: Request) -> Any:
        """Return the flow of `auth`; what `step` and `stop` take."""

    def step(self, steps: Any, response: Response | None) -> Awaitable[Request | None]:
        """Return what the flow wants sent after `response`, or first; None when it has ended."""
        ...

    def stop(self, steps: Any) -> Awaitable[None]:
        """End the flow."""
        ...

    def enter(self, transport: Any) -> Awaitable[object]:
        """Enter the transport's context."""
        ...

    def leave(self, transport: Any, *exc_info: Any) -> Awaitable[object]:
        """Leave the transport's context."""
        ...

    def shut(self, transport: Any) -> Awaitable[None]:
        """Close the transport."""
        ...

    def warm(self, transport: Any, request: Request, n: int) -> Awaitable[int]:
        """Have the transport open connections for requests like this one."""
        ...

    def drain(self, transport: Any, timeout: float | None) -> Awaitable[int]:
        """Have the transport use new connections from now on."""
        ...


class _Timed:
    """Note when a body was closed, counted from `started`."""

    def __init__(self, stream: Any, started: float) -> None:
        self._stream = stream
        self._started = started
        self.elapsed: timedelta | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _stop(self) -> None:
        from datetime import timedelta

        self.elapsed = timedelta(seconds=time.perf_counter() - self._started)


class BoundSyncStream(_Timed, SyncByteStream):
    """Give the body of a response that a user's transport gave to `Client`."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._stop()
        self._stream.close()


class BoundAsyncStream(_Timed, AsyncByteStream):
    """Give the body of a response that a user's transport gave to `AsyncClient`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        self._stop()
        await self._stream.aclose()


class _BlockingIO:
    body_type = SyncByteStream
    timed = BoundSyncStream

    def http_transport(self, **settings: Any) -> Any:
        from .._transports.default import HTTPTransport  # a client of a user's transport never loads it

        return HTTPTransport(**settings)

    def exchange(self, transport: Any, request: Request) -> Response:
        response: Response = transport.handle_request(request)
        return response

    def check(self, transport: Any) -> None:
        if transport is not None and not hasattr(transport, "handle_request"):
            raise TypeError(f"{type(transport).__name__} has no handle_request(); Client takes a BaseTransport")

    async def call(self, hook: Callable[..., Any], argument: Any) -> None:
        waiting = hook(argument)
        if isinstance(waiting, CoroutineType):
            waiting.close()
            raise TypeError(f"event hook {hook!r} is asynchronous; Client calls hooks, AsyncClient awaits them")

    async def read(self, response: Response) -> bytes:
        return response.read()

    async def read_intermediate(self, response: Response) -> None:
        response._read_intermediate()

    async def close(self, response: Response) -> None:
        response.close()

    def steps(self, auth: Auth, request: Request) -> Generator[Request, Response, None]:
        return auth.sync_auth_flow(request)

    async def step(self, steps: Generator[Request, Response, None], response: Response | None) -> Request | None:
        try:
            return next(steps) if response is None else steps.send(response)
        except StopIteration:
            return None

    async def stop(self, steps: Generator[Request, Response, None]) -> None:
        steps.close()

    async def enter(self, transport: Any) -> object:
        return transport.__enter__()

    async def leave(self, transport: Any, *exc_info: Any) -> object:
        return transport.__exit__(*exc_info)

    async def shut(self, transport: Any) -> None:
        transport.close()

    async def warm(self, transport: Any, request: Request, n: int) -> int:
        opened: int = transport.warm(request, n)
        return opened

    async def drain(self, transport: Any, timeout: float | None) -> int:
        left: int = transport.drain(timeout)
        return left


class _AsynchronousIO:
    body_type = AsyncByteStream
    timed = BoundAsyncStream

    def http_transport(self, **settings: Any) -> Any:
        from .._transports.default import AsyncHTTPTransport  # a client of a user's transport never loads it

        return AsyncHTTPTransport(**settings)

    def exchange(self, transport: Any, request: Request) -> Awaitable[Response]:
        waiting: Awaitable[Response] = transport.handle_async_request(request)
        return waiting

    def check(self, transport: Any) -> None:
        if transport is not None and not hasattr(transport, "handle_async_request"):
            raise TypeError(
                f"{type(transport).__name__} has no handle_async_request(); AsyncClient takes an AsyncBaseTransport"
            )

    async def call(self, hook: Callable[..., Any], argument: Any) -> None:
        waiting = hook(argument)
        if waiting is not None:
            await waiting

    def read(self, response: Response) -> Awaitable[bytes]:
        return response.aread()

    def read_intermediate(self, response: Response) -> Awaitable[None]:
        return response._aread_intermediate()

    def close(self, response: Response) -> Awaitable[None]:
        return response.aclose()

    def steps(self, auth: Auth, request: Request) -> AsyncGenerator[Request, Response]:
        return auth.async_auth_flow(request)

    async def step(self, steps: AsyncGenerator[Request, Response], response: Response | None) -> Request | None:
        try:
            return await (anext(steps) if response is None else steps.asend(response))
        except StopAsyncIteration:
            return None

    def stop(self, steps: AsyncGenerator[Request, Response]) -> Awaitable[None]:
        return steps.aclose()

    def enter(self, transport: Any) -> Awaitable[object]:
        entering: Awaitable[object] = transport.__aenter__()
        return entering

    def leave(self, transport: Any, *exc_info: Any) -> Awaitable[object]:
        leaving: Awaitable[object] = transport.__aexit__(*exc_info)
        return leaving

    def shut(self, transport: Any) -> Awaitable[None]:
        closing: Awaitable[None] = transport.aclose()
        return closing

    def warm(self, transport: Any, request: Request, n: int) -> Awaitable[int]:
        opening: Awaitable[int] = transport.awarm(request, n)
        return opening

    def drain(self, transport: Any, timeout: float | None) -> Awaitable[int]:
        draining: Awaitable[int] = transport.adrain(timeout)
        return draining


BLOCKING: ClientIO = _BlockingIO()
ASYNCHRONOUS: ClientIO = _AsynchronousIO()
