"""A pool over streams in memory, with the waits of every world and a clock that stands still."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from runners import Runner
from scripted import ScriptedStream

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._conn.options import DialOptions
from httpx_fast._deadline import PhaseTimer
from httpx_fast._exceptions import ConnectError
from httpx_fast._journey import Journey
from httpx_fast._net.auto import backend_for, current_token
from httpx_fast._net.base import Abortable, Address, Backend, Stream, Waiter
from httpx_fast._net.sync import SyncBackend
from httpx_fast._origin import Origin, Route
from httpx_fast._pool.pool import Lease, Pool
from httpx_fast._transports.outgoing import AsyncPieces
from httpx_fast._wire.heads import WireHead

T = TypeVar("T")

A = Route(Origin("http", "a.example", 80))
B = Route(Origin("http", "b.example", 80))
NO_CONTEXT: Any = None  # streams in memory shake hands without one
PATIENT = RequestTimeouts(None, None, None, None)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
SLOW = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class MemoryBackend(Backend):
    """Connects to scripts; waits are those of the world it is made in."""

    name = "memory"

    def __init__(self, world: Backend) -> None:
        self.world = world
        self.now = 100.0
        self.clock = lambda: self.now  # type: ignore[method-assign]
        self.scripts: list[list[Any]] = []
        self.streams: list[ScriptedStream] = []
        self.slept: list[float] = []
        self.timers: list[tuple[float, Callable[[], object]]] = []  # when they are due, and what they call
        self.gate: Waiter | None = None  # what connecting waits for
        self.opens_at = 0  # that many who wait open it
        self.dialling: Callable[[], Awaitable[None]] | None = None  # what goes on while a connection is made
        self.on_connect: Callable[[], object] = list  # called before each connection is made

    async def resolve(self, host: str, port: int, timer: PhaseTimer) -> Sequence[Address]:
        return []

    async def connect_tcp(self, addresses: Any, timer: PhaseTimer, **options: Any) -> Stream:
        if self.gate is not None:
            await self.gate.wait(None)
        if self.dialling is not None:
            await self.dialling()
        self.on_connect()
        script = self.scripts.pop(0) if self.scripts else [OK] * 100
        if isinstance(script[0], ConnectError):
            raise script[0]
        self.streams.append(ScriptedStream(script))
        return self.streams[-1]

    def close_gate(self, waiting: int) -> None:
        """Lets who connects wait until that many wait for connections."""
        self.gate = self.world.waiter()
        self.opens_at = waiting

    async def connect_unix(self, path: str, timer: PhaseTimer, **options: Any) -> Stream:
        return await self.connect_tcp([path], timer)

    def waiter(self) -> Waiter:
        self.opens_at -= 1
        if self.gate is not None and self.opens_at == 0:
            self.gate.set()
        return self.world.waiter()

    def timer(self) -> Callable[[float, Callable[[], object]], Callable[[], object]]:
        def start(seconds: float, call: Callable[[], object]) -> Callable[[], object]:
            timer = (self.now + seconds, call)
            self.timers.append(timer)
            return lambda: self.timers.remove(timer)

        return start

    def pass_time(self, seconds: float) -> None:
        """Time passes, and timers that are due go off."""
        self.now += seconds
        for timer in [each for each in self.timers if each[0] <= self.now]:
            self.timers.remove(timer)
            timer[1]()

    def loop_caller(self) -> Callable[[Callable[[], object]], object]:
        return self.world.loop_caller()

    def abortable(self, work: Callable[[], Coroutine[Any, Any, T]]) -> Abortable[T]:
        return self.world.abortable(work)

    async def together(self, calls: Sequence[Callable[[], Coroutine[Any, Any, object]]]) -> None:
        await self.world.together(calls)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class House:
    """A pool and its backend, made inside a test's world."""

    def __init__(
        self,
        runner: Runner,
        connections: int | None = 2,
        keepalive: int | None = None,
        expiry: float | None = 5.0,
        per_host: int | None = None,
        max_age: float | None = None,
        **options: Any,
    ) -> None:
        world = backend_for(current_token()) if runner.asynchronous else SyncBackend()
        self.backend = MemoryBackend(world)
        dialling = DialOptions(tls=lambda: NO_CONTEXT, **options)
        self.pool = Pool(self.backend, dialling, connections, keepalive, expiry, per_host, max_age)

    async def get(
        self,
        route: Route = A,
        timeouts: RequestTimeouts = PATIENT,
        whole: bool = True,
        method: bytes = b"GET",
        fields: Sequence[tuple[bytes, bytes]] = (),
        body: Any = b"",
        replay: bool | None = None,
    ) -> tuple[Any, bytes | None, Any, Any, Lease | None]:
        head = WireHead(method, b"http", b"a.example", b"/", [(b"Host", b"a.example"), *fields])
        self.last = self.journey()
        if not isinstance(body, bytes):
            body = AsyncPieces(body)
        reply = await self.pool.request(head, route, body, head.framing or 0, timeouts, self.last, whole, replay)
        return reply[:5]

    def journey(self) -> Journey:
        return Journey(self.backend.now, self.backend.clock)

    @property
    def counts(self) -> tuple[int, int, int]:
        """Leased, idle, dialling; the three are what is open."""
        plan = self.pool.leases.plan
        assert plan.leased + plan.idle + plan.dialling == plan.open
        return plan.leased, plan.idle, plan.dialling
