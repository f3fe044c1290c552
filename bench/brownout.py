"""How much load retries add to a server that is in trouble: this package's and others', with their defaults.

    python bench/brownout.py [--rate 100] [--seconds 40] [--seed 1]

A server in memory is asked so many times a second. It is well for 20 s, answers 503 to 30 % of what it gets (a
brown-out) or to all of it (an outage) for a while, and is well again. Time is simulated: nothing sleeps, the code that
decides is each package's own, and the seed makes every run the same. Extra load is what the server got beyond the
requests that began in its bad time.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import selectors
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]

from httpx_fast import Breaker, CircuitOpen, Request, Response, Retry  # noqa: E402
from httpx_fast._retry.retrier import Retrier  # noqa: E402
from httpx_fast._retry.waits import AsyncWaits, Wake  # noqa: E402

BEFORE = AFTER = 20  # seconds in which all is well
ANSWER = 0.01  # seconds that an answer takes
URL = "http://server.example/"

#: Asks the server as one package does; the last status.
Ask = Callable[["Server"], Awaitable[int]]


class _Selector(selectors.SelectSelector):
    """Lets the time of its loop pass at once, where the loop would wait."""

    loop: SimulatedLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.loop.now += timeout or 0.0
        return super().select(0)


class SimulatedLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is simulated."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now


class Server:
    """Answers, and counts what it gets by the second."""

    def __init__(self, loop: SimulatedLoop, failing: float, seconds: float, seed: int) -> None:
        self.loop = loop
        self.failing = failing
        self.end = BEFORE + seconds
        self.chances = random.Random(seed)
        self.got: Counter[int] = Counter()

    async def answer(self) -> int:
        """Return the status."""
        now = self.loop.time()
        self.got[int(now)] += 1
        fails = BEFORE <= now < self.end and self.chances.random() < self.failing
        await asyncio.sleep(ANSWER)
        return 503 if fails else 200


@dataclasses.dataclass(frozen=True)
class Result:
    """What a server got in its bad time and after it, and what became of the requests that began in it."""

    requests: int
    exchanges: int
    #: The most exchanges in a second, in relation to the requests in a second.
    peak: float
    failed: int

    @property
    def extra(self) -> float:
        """Return the extra load, as a share of the requests."""
        return self.exchanges / self.requests - 1

    @property
    def failures(self) -> float:
        """Return the share of the requests that ended in a failure."""
        return self.failed / self.requests


def without_retries() -> Ask:
    return lambda server: server.answer()


def httpx_fast(retry: Retry | None = None) -> Ask:
    """This package's."""
    retriers: dict[Server, Retrier] = {}

    class Transport:
        def __init__(self, server: Server) -> None:
            self.server = server

        async def handle_async_request(self, request: Request) -> Response:
            return Response(await self.server.answer())

    class Waits(AsyncWaits):
        """Pauses by the time of the loop, as everything here does."""

        def pause(self) -> tuple[Wake, Callable[[float], Awaitable[bool]]]:
            async def wait(at: float) -> bool:
                await asyncio.sleep(at - asyncio.get_running_loop().time())
                return False

            return lambda: None, wait

    async def ask(server: Server) -> int:
        if server not in retriers:
            chance = random.Random(0).random
            retriers[server] = Retrier(retry or Retry(), Waits(), clock=server.loop.time, chance=chance)
        response = await retriers[server].send(Transport(server), Request("GET", URL))
        return response.status_code

    return ask


def tolerant(ask: Ask) -> Ask:
    """Take what a circuit breaker refuses for a failure."""

    async def tolerating(server: Server) -> int:
        try:
            return await ask(server)
        except CircuitOpen:
            return 503

    return tolerating


def urllib3() -> Ask:
    """What requests and urllib3 do with `Retry(status_forcelist=...)`, whose default retries no status."""
    from urllib3 import HTTPResponse
    from urllib3.exceptions import MaxRetryError
    from urllib3.util import Retry as TheirRetry

    async def ask(server: Server) -> int:
        retries = TheirRetry(status_forcelist=[429, 502, 503, 504])
        while True:
            status = await server.answer()
            if not retries.is_retry("GET", status):
                return status
            try:
                retries = retries.increment("GET", URL, response=HTTPResponse(status=status))
            except MaxRetryError:
                return status
            await asyncio.sleep(retries.get_backoff_time())

    return ask


def httpx_retries() -> Ask:
    import httpx
    from httpx_retries import RetryTransport

    class Transport(httpx.AsyncBaseTransport):
        def __init__(self, server: Server) -> None:
            self.server = server

        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            return httpx.Response(await self.server.answer())

    async def ask(server: Server) -> int:
        response = await RetryTransport(transport=Transport(server)).handle_async_request(httpx.Request("GET", URL))
        return response.status_code

    return ask


def aiohttp_retry() -> Ask:
    from aiohttp_retry import RetryClient

    class Answer:
        method = "GET"

        def __init__(self, status: int) -> None:
            self.status = status

    class Session:
        closed = True

        def __init__(self, server: Server) -> None:
            self.server = server

        async def get(self, *arguments: Any, **options: Any) -> Answer:
            return Answer(await self.server.answer())

        request = get

    async def ask(server: Server) -> int:
        response = await RetryClient(client_session=Session(server)).get(URL)  # type: ignore[arg-type]
        return response.status

    return ask


PACKAGES: dict[str, Callable[[], Ask]] = {
    "no retries": without_retries,
    "httpx_fast": httpx_fast,
    "httpx_fast, breaker": lambda: tolerant(httpx_fast(Retry(breaker=Breaker()))),
    "urllib3, requests": urllib3,
    "httpx-retries": httpx_retries,
    "aiohttp-retry": aiohttp_retry,
}


def simulate(ask: Ask, failing: float, rate: int = 100, seconds: int = 40, seed: int = 1) -> Result:
    """Return what a bad time of so many seconds does, in which that share of the answers is 503."""
    loop = SimulatedLoop()
    server = Server(loop, failing, seconds, seed)
    statuses: list[int] = []  # of the requests that began in the bad time

    async def one(number: int) -> None:
        at = number / rate
        await asyncio.sleep(at)
        status = await ask(server)
        if BEFORE <= at < server.end:
            statuses.append(status)

    async def everything() -> None:
        await asyncio.gather(*map(one, range((BEFORE + seconds + AFTER) * rate)))

    try:
        loop.run_until_complete(everything())
    finally:
        loop.close()
    got = [count for second, count in server.got.items() if second >= BEFORE]
    normal = AFTER * rate
    failed = sum(status != 200 for status in statuses)
    return Result(len(statuses), sum(got) - normal, max(got) / rate, failed)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rate", type=int, default=100, help="requests in a second")
    options.add_argument("--seconds", type=int, default=40, help="how long the bad time is")
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    for title, failing in (("Brown-out: 30 % of the answers are 503", 0.3), ("Outage: all answers are 503", 1.0)):
        print(f"{title}\n{'':22}{'extra load':>12}{'peak':>8}{'failed':>9}")
        for name, make in PACKAGES.items():
            try:
                ask = make()
            except ImportError as error:
                print(f"{name:22}{error}")
                continue
            result = simulate(ask, failing, chosen.rate, chosen.seconds, chosen.seed)
            print(f"{name:22}{result.extra:>12.1%}{result.peak:>8.2f}{result.failures:>9.1%}")
        print()


if __name__ == "__main__":
    main()
