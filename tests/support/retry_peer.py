"""A peer without a network: answers and exceptions in the order in which they are given, on a clock of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from httpx_fast import AsyncByteStream, Request, Response, SyncByteStream
from httpx_fast._retry.retrier import Retrier
from httpx_fast._retry.settings import Retry


class Body(SyncByteStream, AsyncByteStream):
    """A body that is still coming, and counts how often it was closed; `fails` is raised after the pieces."""

    def __init__(self, *pieces: bytes, fails: Exception | None = None) -> None:
        self.pieces = pieces
        self.fails = fails
        self.closed = 0

    def __iter__(self) -> Iterator[bytes]:
        yield from self.pieces
        if self.fails is not None:
            raise self.fails

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.close()


class Peer:
    """What is asked instead of a transport: plays `script`, whose last entry is for all that follow."""

    def __init__(self, *script: Any) -> None:
        self.script = list(script)
        self.requests: list[Request] = []
        self.bodies: list[bytes] = []

    async def handle_async_request(self, request: Request) -> Response:
        self.requests.append(request)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if callable(step):
            step = step(request)
        if isinstance(step, BaseException):
            raise step
        return step if isinstance(step, Response) else Response(step)


class Clock:
    """A clock that pauses move on, and nothing else."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.pauses: list[float] = []
        self.during: Callable[[], object] = lambda: None  # called in each pause
        self._woken = False

    def __call__(self) -> float:
        return self.now

    # What is asked instead of a backend: `Waits`.

    def exchange(self, transport: Peer, request: Request) -> Awaitable[Response]:
        return transport.handle_async_request(request)

    async def read(self, response: Response) -> Any:
        return await response.aread()

    async def discard(self, response: Response) -> Any:
        return await response._aread_intermediate()

    async def close(self, response: Response) -> Any:
        return await response.aclose()

    def pause(self) -> tuple[Callable[[], object], Callable[[float], Awaitable[bool]]]:
        self._woken = False

        def wake() -> None:
            self._woken = True

        async def wait(at: float) -> bool:
            self.pauses.append(round(at - self.now, 6))
            self.during()
            if not self._woken:
                self.now = max(self.now, at)
            return self._woken

        return wake, wait

    def retrier(self, retry: Retry | None, chance: float = 0.5) -> Retrier:
        return Retrier(retry, self, clock=self, date=lambda: 0.0, chance=lambda: chance)
