"""One test body for every world: blocking, asyncio (selector loop and uvloop) and trio.

A body is `async def`, asks its runner for clients, events and tasks, and awaits what they give. In the blocking world
that is a thin face over the blocking client, whose coroutines never suspend; tasks are threads there.

    def test_something(backend, nginx):
        async def body():
            async with backend.client() as client:
                response = await client.get(nginx.url("/tiny"))
        backend.run(body)
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import Any, Self

import pytest

import httpx_fast
from httpx_fast._drive import drive

Body = Callable[..., Awaitable[Any]]
PATIENCE = 30  # seconds; a body that needs more hangs


class Runner:
    """What a test body may ask of its world."""

    name: str
    asynchronous = True
    patience = PATIENCE

    def run(self, body: Body, *arguments: Any) -> Any:
        """Awaits `body(*arguments)` in this world; its result. Fails if it leaves a task behind."""
        raise NotImplementedError

    async def together(self, *bodies: Body) -> list[Any]:
        """Runs all of them at once; their results in order."""
        raise NotImplementedError

    def event(self) -> Any:
        """An event with `set()` and an awaitable `wait()`."""
        raise NotImplementedError

    async def hear(self, event: threading.Event) -> None:
        """Waits for what a thread says, while this world goes on."""
        raise NotImplementedError

    def client(self, **options: Any) -> Any:
        return httpx_fast.AsyncClient(**options)

    def content(self, pieces: Iterable[bytes]) -> Any:
        """The pieces as a request body that can be read once."""
        return _pieces(pieces)


class AsyncioRunner(Runner):
    name = "asyncio"

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.new_event_loop()

    def run(self, body: Body, *arguments: Any) -> Any:
        troubles: list[dict[str, Any]] = []

        async def main() -> Any:
            # What asyncio would only log: exceptions in callbacks and in tasks that nobody awaits.
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: troubles.append(context))
            result = await asyncio.wait_for(body(*arguments), self.patience)
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, f"tasks were left behind: {left}"
            return result

        with asyncio.Runner(loop_factory=self.new_loop) as runner:
            result = runner.run(main())
        assert not troubles, f"the event loop met exceptions: {troubles}"
        return result

    async def together(self, *bodies: Body) -> list[Any]:
        return await asyncio.gather(*(body() for body in bodies))

    def event(self) -> asyncio.Event:
        return asyncio.Event()

    async def hear(self, event: threading.Event) -> None:
        assert await asyncio.to_thread(event.wait, PATIENCE), "nobody set the event"
        for _ in range(3):  # what the thread did to sockets is seen in the loop's next turn at the latest
            await asyncio.sleep(0)


class UvloopRunner(AsyncioRunner):
    name = "uvloop"

    def __init__(self) -> None:
        self._uvloop = pytest.importorskip("uvloop", reason="uvloop is not installed")

    def new_loop(self) -> asyncio.AbstractEventLoop:
        return self._uvloop.new_event_loop()


class TrioRunner(Runner):
    name = "trio"

    def __init__(self) -> None:
        self._trio = pytest.importorskip("trio", reason="trio is not installed")

    def run(self, body: Body, *arguments: Any) -> Any:
        async def main() -> Any:
            with self._trio.fail_after(self.patience):
                return await body(*arguments)

        return self._trio.run(main)

    async def together(self, *bodies: Body) -> list[Any]:
        results: list[Any] = [None] * len(bodies)

        async def one(number: int, body: Body) -> None:
            results[number] = await body()

        try:
            async with self._trio.open_nursery() as nursery:
                for number, body in enumerate(bodies):
                    nursery.start_soon(one, number, body)
        except BaseExceptionGroup as group:
            # The other worlds raise what failed first, bare.
            raise group.exceptions[0] from None
        return results

    def event(self) -> Any:
        return self._trio.Event()

    async def hear(self, event: threading.Event) -> None:
        assert await self._trio.to_thread.run_sync(event.wait, PATIENCE), "nobody set the event"


class BlockingRunner(Runner):
    name = "blocking"
    asynchronous = False

    def run(self, body: Body, *arguments: Any) -> Any:
        return drive(body(*arguments))

    async def together(self, *bodies: Body) -> list[Any]:
        results: list[Any] = [None] * len(bodies)
        failures: list[BaseException] = []

        def one(number: int, body: Body) -> None:
            try:
                results[number] = drive(body())
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=one, args=each, daemon=True) for each in enumerate(bodies)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(self.patience)
        assert not any(thread.is_alive() for thread in threads), "a thread hangs"
        if failures:
            raise failures[0]
        return results

    def event(self) -> ThreadEvent:
        return ThreadEvent()

    async def hear(self, event: threading.Event) -> None:
        assert event.wait(PATIENCE), "nobody set the event"

    def client(self, **options: Any) -> BlockingClient:
        return BlockingClient(httpx_fast.Client(**options))

    def content(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        return (piece for piece in pieces)


class ThreadEvent:
    """threading.Event with the awaitable face of the others."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        assert self._event.wait(PATIENCE), "nobody set the event"


class BlockingClient:
    """A `Client` whose requests are awaited, so that a body needs no second version."""

    def __init__(self, client: httpx_fast.Client) -> None:
        self.blocking = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blocking, name)

    async def __aenter__(self) -> Self:
        self.blocking.__enter__()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        self.blocking.__exit__(*exc_info)

    async def aclose(self) -> None:
        self.blocking.close()

    async def warm(self, *arguments: Any, **options: Any) -> int:
        return self.blocking.warm(*arguments, **options)

    async def drain(self, *arguments: Any, **options: Any) -> int:
        return self.blocking.drain(*arguments, **options)

    async def get(self, *arguments: Any, **options: Any) -> BlockingResponse:
        return BlockingResponse(self.blocking.get(*arguments, **options))

    async def post(self, *arguments: Any, **options: Any) -> BlockingResponse:
        return BlockingResponse(self.blocking.post(*arguments, **options))

    async def request(self, *arguments: Any, **options: Any) -> BlockingResponse:
        return BlockingResponse(self.blocking.request(*arguments, **options))

    async def send(self, *arguments: Any, **options: Any) -> BlockingResponse:
        return BlockingResponse(self.blocking.send(*arguments, **options))

    @contextlib.asynccontextmanager
    async def stream(self, *arguments: Any, **options: Any) -> AsyncIterator[BlockingResponse]:
        with self.blocking.stream(*arguments, **options) as response:
            yield BlockingResponse(response)


class BlockingResponse:
    """A `Response` of a blocking client with the awaitable methods of one of an asynchronous client."""

    def __init__(self, response: httpx_fast.Response) -> None:
        self.blocking = response

    def __getattr__(self, name: str) -> Any:
        return getattr(self.blocking, name)

    async def aread(self) -> bytes:
        return self.blocking.read()

    async def aclose(self) -> None:
        self.blocking.close()

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return _pieces(self.blocking.iter_bytes(chunk_size))

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        return _pieces(self.blocking.iter_raw(chunk_size))

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        return _pieces(self.blocking.iter_text(chunk_size))

    def aiter_lines(self) -> AsyncIterator[str]:
        return _pieces(self.blocking.iter_lines())


async def _pieces(pieces: Iterable[Any]) -> AsyncIterator[Any]:
    try:
        for piece in pieces:
            yield piece
    finally:
        if isinstance(pieces, Generator):
            pieces.close()  # PyPy would do so when it collects it


RUNNERS = {runner.name: runner for runner in (BlockingRunner, AsyncioRunner, UvloopRunner, TrioRunner)}
