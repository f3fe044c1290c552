"""How retries wait, in blocking and in asynchronous code: for an exchange, for a body, for time to pass.

Nothing of the blocking one suspends. A pause ends early when its client or transport is closed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from .._models import Request, Response
from .._net.auto import backend_for, current_token
from .._net.sync import SyncBackend
from .race import Race, TaskRacing, ThreadRacing

#: Called from any thread, ends a pause.
Wake = Callable[[], object]


class Waits(Protocol):
    """Hold the differences between blocking and asynchronous retries."""

    def exchange(self, transport: Any, request: Request) -> Response | Awaitable[Response]:
        """Ask the transport: the response, or what to await for it."""
        ...

    def read(self, response: Response) -> Awaitable[Any]:
        """Read the body to its end."""
        ...

    def discard(self, response: Response) -> Awaitable[Any]:
        """Read a body that nobody wants, up to a limit, and close the response: so its connection can be used again."""
        ...

    def close(self, response: Response) -> Awaitable[Any]:
        """Close the response."""
        ...

    def pause(self) -> tuple[Wake, Callable[[float], Awaitable[bool]]]:
        """Return what ends a pause early, and what waits until an instant; that is True if it was ended early."""
        ...

    async def race(self, race: Race) -> list[Any]:
        """Run two attempts at once; return their outcomes."""
        ...


class BlockingWaits(ThreadRacing):
    """For `Client`."""

    def __init__(self) -> None:
        self._backend = SyncBackend()

    def exchange(self, transport: Any, request: Request) -> Response:
        response: Response = transport.handle_request(request)
        return response

    async def read(self, response: Response) -> bytes:
        return response.read()

    async def discard(self, response: Response) -> None:
        response._read_intermediate()

    async def close(self, response: Response) -> None:
        response.close()

    def pause(self) -> tuple[Wake, Callable[[float], Awaitable[bool]]]:
        waiter = self._backend.waiter()
        return waiter.set, waiter.wait


class AsyncWaits(TaskRacing):
    """For `AsyncClient`, in the event loop that runs."""

    def exchange(self, transport: Any, request: Request) -> Awaitable[Response]:
        waiting: Awaitable[Response] = transport.handle_async_request(request)
        return waiting

    def read(self, response: Response) -> Awaitable[Any]:
        return response.aread()

    def discard(self, response: Response) -> Awaitable[Any]:
        return response._aread_intermediate()

    def close(self, response: Response) -> Awaitable[Any]:
        return response.aclose()

    def pause(self) -> tuple[Wake, Callable[[float], Awaitable[bool]]]:
        backend = backend_for(current_token())
        waiter = backend.waiter()
        return backend.from_any_thread(waiter.set), waiter.wait
