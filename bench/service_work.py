"""What the clients of `services.py` are asked to do, and how it is measured: processor time, and waits."""

from __future__ import annotations

import asyncio
import gc
import resource
import time
from collections.abc import Callable
from typing import Any

from service_clients import Setting

JSON_LEAST = 1000  # bytes of the answer to /json, so that none is cheap by reading less


class Meter:
    """Count units of work from the end of warming up until time is over."""

    def __init__(self, seconds: float, least: int) -> None:
        self.units = 0
        self._seconds, self._least = seconds, least
        self.restart()

    def restart(self) -> None:
        gc.collect()
        self._used, self._end = self._processor_time(), time.monotonic() + self._seconds

    @staticmethod
    def _processor_time() -> float:
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime

    def goes_on(self) -> bool:
        return self.units < self._least or time.monotonic() < self._end

    def each(self) -> float:
        """Return the seconds of processor time for each unit."""
        return (self._processor_time() - self._used) / self.units


def percentile(sorted_times: list[float], share: float) -> float:
    return sorted_times[min(len(sorted_times) - 1, int(len(sorted_times) * share))]


def many_tasks(tasks: int, each: int) -> Callable[..., Any]:
    """Return work of so many tasks at once that ask `each` times: processor time, and median and p99 of the waits."""

    async def run(client: Any, urls: list[str], seconds: float) -> tuple[float, float, float]:
        url = urls[0]
        waits: list[float] = []

        async def several(count: int) -> None:
            for _ in range(count):
                began = time.perf_counter()
                size = await client.get(url)
                waits.append(time.perf_counter() - began)
                assert size >= JSON_LEAST

        await several(2)  # HTTP/2: all at once would connect
        await asyncio.gather(*(several(2) for _ in range(min(tasks, 100))))
        waits.clear()
        meter = Meter(seconds, 1)
        while meter.goes_on():
            await asyncio.gather(*(several(each) for _ in range(tasks)))
            meter.units += each * tasks
        cost = meter.each()
        waits.sort()
        return cost, percentile(waits, 0.5), percentile(waits, 0.99)

    return run


async def beside_download(client: Any, urls: list[str], seconds: float) -> float:
    """Return how much longer p99 of a small request is while a gigabyte is downloaded on the same loop."""
    small, large = urls

    async def times(until: Callable[[], bool]) -> list[float]:
        waits: list[float] = []
        while len(waits) < 200 or not until():
            began = time.perf_counter()
            assert await client.get(small) >= JSON_LEAST
            waits.append(time.perf_counter() - began)
            await asyncio.sleep(0.001)
        return sorted(waits)

    await times(lambda: True)
    alone = percentile(await times(lambda: True), 0.99)
    downloading = asyncio.create_task(_gigabyte(client, large))
    beside = percentile(await times(downloading.done), 0.99)
    await downloading
    return max(0.0, beside - alone)


async def _gigabyte(client: Any, url: str) -> None:
    received = 0
    while received < 10**9:
        received += await client.stream(url)


def one_by_one(kind: Any, setting: Setting, urls: list[str], seconds: float) -> float:
    client = kind(setting)
    for _ in range(50):
        client.get(urls[0])
    meter = Meter(seconds, 1)
    while meter.goes_on():
        for _ in range(100):
            assert client.get(urls[0]) >= JSON_LEAST
        meter.units += 100
    each = meter.each()
    client.close()
    return each


def download_by(method: str, expected: int) -> Callable[..., Any]:
    """Return work that receives a large body by this method of the client."""

    async def run(client: Any, urls: list[str], seconds: float) -> float:
        receive = getattr(client, method)
        await client.get(urls[1])  # connects
        meter = Meter(seconds, 3)
        while meter.goes_on():
            assert await receive(urls[0]) == expected
            meter.units += 1
        return meter.each()

    return run


def new_clients(kind: Any, setting: Setting) -> Callable[..., Any]:
    """Return work that makes a client, sends one request and closes it, which is a handshake each time."""

    async def once(url: str) -> None:
        client = kind(setting)
        await client.open()
        assert await client.get(url) >= JSON_LEAST
        await client.close()

    async def run(urls: list[str], seconds: float) -> float:
        for _ in range(5):
            await once(urls[0])
        meter = Meter(seconds, 10)
        while meter.goes_on():
            await once(urls[0])
            meter.units += 1
        return meter.each()

    return run
