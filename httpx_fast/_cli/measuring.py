"""Sends a request many times, and keeps the times. Nothing is shown while requests run.

Requests run on one event loop, `concurrency` of them at once: threads would wait for each other, and show that as time
of the network. Bodies are read and dropped.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any

from .._client.async_client import AsyncClient
from .._config import Limits
from .._exceptions import HTTPError
from .._journey import Journey
from .._models import Response
from .building import Builder

#: Requests of each kind that `--compare` sends, if no number is given.
DEFAULT_COMPARED = 10


@dataclass
class Sample:
    """One request: how it went, and what came of it."""

    label: str
    journey: Journey | None
    response: Response | None = None
    error: HTTPError | None = None
    group: str = ""  # of `--compare`; else whether the connection was new decides

    @property
    def kind(self) -> str:
        if self.group:
            return self.group
        return "warm" if self.journey is not None and self.journey.reused else "cold"

    @property
    def succeeded(self) -> bool:
        return self.error is None


def measure(builder: Builder, number: int, concurrency: int) -> list[Sample]:
    """Return the samples of `number` requests on one client, in the order in which they ended."""
    return _run(_many(builder, number, concurrency))


def compare(builder: Builder, number: int, concurrency: int, kinds: tuple[str, ...]) -> list[Sample]:
    """Return samples of both kinds: "cold" opens a connection for each request, "warm" opens them before it counts."""
    return _run(_compared(builder, number, concurrency, kinds))


def _run(work: Coroutine[Any, Any, list[Sample]]) -> list[Sample]:
    """Run to the end. Of several errors that are not errors of requests, raise the first."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        # One group of tasks, in which no task makes another.
        raise group.exceptions[0] from None


async def _many(builder: Builder, number: int, concurrency: int) -> list[Sample]:
    async with _client(builder, concurrency) as client:
        return await _on(client, builder, number, concurrency)


async def _compared(builder: Builder, number: int, concurrency: int, kinds: tuple[str, ...]) -> list[Sample]:
    samples: list[Sample] = []
    for kind in kinds:
        if kind == "cold":
            found = await _cold(builder, number, concurrency)
        else:
            async with _client(builder, concurrency) as client:
                await _on(client, builder, concurrency, concurrency)
                found = await _on(client, builder, number, concurrency)
        for each in found:
            each.group = kind
        samples += found
    return samples


async def _cold(builder: Builder, number: int, concurrency: int) -> list[Sample]:
    """Send each request on a client of its own, so that no connection and no TLS session is reused."""
    samples: list[Sample] = []
    numbers = iter(range(number))

    async def work() -> None:
        for _ in numbers:
            async with _client(builder, 1) as client:
                samples.append(await _sample(client, builder))

    await _all_at_once(work, concurrency)
    return samples


async def _on(client: AsyncClient, builder: Builder, number: int, concurrency: int) -> list[Sample]:
    samples: list[Sample] = []
    numbers: Iterator[int] = iter(range(number))

    async def work() -> None:
        for _ in numbers:
            samples.append(await _sample(client, builder))

    await _all_at_once(work, min(concurrency, number))
    return samples


async def _all_at_once(work: Callable[[], Coroutine[Any, Any, None]], count: int) -> None:
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(work())


def _client(builder: Builder, concurrency: int) -> AsyncClient:
    limits = Limits(max_connections=concurrency, max_keepalive_connections=concurrency)
    return AsyncClient(limits=limits, **builder.settings())


async def _sample(client: AsyncClient, builder: Builder) -> Sample:
    request = builder.request(client)
    try:
        response = await client.send(request, stream=True)
        try:
            async for _ in response.aiter_raw():
                pass
        finally:
            await response.aclose()
    except HTTPError as error:
        return Sample(f"{request.method} {type(error).__name__}", error.journey, error=error)
    return Sample(f"{request.method} {response.status_code}", response.journey, response)
