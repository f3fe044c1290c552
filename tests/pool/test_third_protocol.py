"""A third protocol, which is one class here and one line in the table of protocols: the pool serves it as it is."""

from __future__ import annotations

import ast
import math
import types
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
from memory import House
from runners import Runner

from httpx_fast import _pool
from httpx_fast._conn.base import Connection, Owner
from httpx_fast._conn.protocols import PROTOCOLS
from httpx_fast._exceptions import ClientClosed, ReadError, RemoteProtocolError
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast._kernel.select import HeadParser
from httpx_fast._origin import Route

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class ToyExchange:
    interim = trailers = ()
    upgraded = sending = False

    def __init__(self, connection: ToyConnection, journey: Journey, whole: bool) -> None:
        self.connection, self.journey = connection, journey
        self.whole = self.ended = whole
        self.head = HeadParser().feed(memoryview(HEAD), 0, len(HEAD))
        self.pieces = [b"pieces", b"in "]

    @property
    def complete(self) -> bool:
        return self.ended and not self.pieces

    def take_whole(self) -> bytes:
        pieces, self.pieces = self.pieces, []
        return b"".join(reversed(pieces))

    async def next_chunk(self) -> bytes:
        piece = self.pieces.pop() if self.pieces else b""
        self.ended = not self.pieces
        return piece

    def rest(self, now: float) -> bool:
        return self.connection.end(self, now)

    def detach(self) -> Any:
        raise AssertionError("it never speaks another protocol")


class ToyConnection:
    """Streams that are answered by `peer`, as many at once as `limit` says."""

    multiplexed: ClassVar[bool] = True
    sole_exchange: None = None
    settled = True
    windows: None = None
    rtt: None = None

    limit: int | None = 2
    made: ClassVar[list[ToyConnection]] = []
    #: What the peer does with a stream before it answers; it may raise.
    peer: ClassVar[list[Callable[[ToyConnection], Awaitable[None]]]] = []

    def __init__(
        self,
        opened: Any,
        route: Route,
        facts: ConnectionFacts,
        owner: Owner,
        ping_after: float | None,
        first: int,
        max_head_size: int | None,
    ) -> None:
        self.stream, self.route, self.facts, self.owner = opened, route, facts, owner
        facts.http_version = "TOY/1"
        self.idle_since: float | None = None
        self.journeys: list[Journey] = []
        self.draining = self.progressed = self.ended_by_peer = False
        self.most = self.closed = 0
        self.made.append(self)

    async def exchange(
        self, head: Any, body: Any, framing: int, timeouts: Any, journey: Journey, whole: bool
    ) -> ToyExchange:
        self.facts.requests = journey.nth = self.facts.requests + 1
        journey.connection, journey.rested_since = self.facts, self.idle_since
        journey.sending = journey.sent = self.owner.backend.clock()
        self.journeys.append(journey)
        self.most = max(self.most, len(self.journeys))
        try:
            if self.peer:
                await self.peer.pop(0)(self)
        except BaseException:
            self.journeys.remove(journey)
            raise
        self.progressed = True
        journey.first = self.owner.backend.clock()
        return ToyExchange(self, journey, whole)

    def stop(self) -> None:
        """Do what a GOAWAY does: take no more streams, and go on with those that are under way."""
        self.draining = True
        self.owner.draining(self)

    def end(self, exchange: ToyExchange, now: float) -> bool:
        exchange.journey.done = self.idle_since = now
        self.journeys.remove(exchange.journey)
        return not self.draining

    def alive(self, now: float = 0.0) -> bool:
        return not self.draining

    alive_now = alive

    def set_mark(self) -> None: ...

    def usable_until(self, head: Any, now: float) -> float:
        return math.inf

    def users(self) -> list[Journey]:
        return list(self.journeys)

    def left_unanswered(self, journey: Journey) -> bool:
        return self.draining and not journey.first

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def toy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROTOCOLS, "toy", ToyConnection)
    monkeypatch.setattr(ToyConnection, "made", [])
    monkeypatch.setattr(ToyConnection, "peer", [])


def house_of(runner: Runner, connections: int = 1) -> House:
    """A pool whose peers agree on the third protocol."""
    house = House(runner, connections=connections, http2=True)
    connect = house.backend.connect_tcp

    async def agreed(*arguments: Any, **options: Any) -> Any:
        stream: Any = await connect(*arguments, **options)
        stream.info["ssl_object"] = types.SimpleNamespace(selected_alpn_protocol=lambda: "toy")
        return stream

    house.backend.connect_tcp = agreed  # type: ignore[method-assign]
    return house


def error(kind: type[ReadError | RemoteProtocolError], unprocessed: bool = False) -> Callable[[Any], Awaitable[None]]:
    """What the peer does: ends the connection under a stream."""

    async def step(connection: ToyConnection) -> None:
        connection.stop()
        failure = kind("the toy broke")
        failure.unprocessed = unprocessed
        raise failure

    return step


def together(house: House, count: int) -> Callable[[Any], Awaitable[None]]:
    """What the peer does: answers no stream before so many are open."""
    waiting: list[Any] = []

    async def step(connection: ToyConnection) -> None:
        waiter = house.backend.world.waiter()
        waiting.append(waiter)
        if len(waiting) == count:
            for each in waiting:
                each.set()
        await waiter.wait(None)

    return step


def test_connection_conforms():
    connection: type[Connection] = ToyConnection
    assert connection.multiplexed


def test_requests_go_over_one_connection_one_after_the_other(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        for number in (1, 2, 3):
            _, content, *_, lease = await house.get()
            assert (content, lease, house.last.nth) == (b"in pieces", None, number)
            assert house.counts == (0, 1, 0)
        (info,) = house.pool.connections()
        assert (info.http_version, info.state, info.requests, info.max_streams) == ("TOY/1", "idle", 3, 2)

    run(body)


def test_body_is_read_in_pieces_over_a_lease(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert house.counts == (1, 0, 0)
        assert [await lease.next_chunk() for _ in range(3)] == [b"in ", b"pieces", b""]
        assert house.counts == (0, 1, 0)

    run(body)


def test_streams_share_a_connection_up_to_its_limit(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        ToyConnection.peer[:] = [together(house, 2)] * 2 + [together(house, 2)] * 2
        house.backend.close_gate(waiting=3)
        await runner.together(*[house.get] * 4)
        (connection,) = ToyConnection.made
        assert (connection.most, connection.facts.requests) == (2, 4)
        assert house.counts == (0, 1, 0)

    run(body)


def test_peer_that_takes_more_streams_gets_those_that_wait(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        all_open = together(house, 4)
        asked: list[None] = []

        async def step(connection: ToyConnection) -> None:
            asked.append(None)
            if len(asked) == 2:
                connection.owner.limit_changed(connection, 4)
            await all_open(connection)

        ToyConnection.peer[:] = [step] * 4
        house.backend.close_gate(waiting=3)
        await runner.together(*[house.get] * 4)
        assert [connection.most for connection in ToyConnection.made] == [4]

    run(body)


def test_connection_that_stops_ends_with_its_streams_and_another_is_dialled(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        *_, lease = await house.get(whole=False)
        assert lease is not None
        first = ToyConnection.made[0]
        first.stop()
        assert (house.counts, house.pool.stats().draining) == ((0, 0, 0), 1)
        await house.get()
        assert (len(ToyConnection.made), first.closed) == (2, 0)
        while await lease.next_chunk():
            pass
        assert (first.closed, house.counts, house.pool.stats().draining) == (1, (0, 1, 0), 0)

    run(body)


def test_request_that_the_peer_did_not_process_is_sent_again(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        ToyConnection.peer[:] = [error(RemoteProtocolError, unprocessed=True)]
        _, content, *_ = await house.get(method=b"POST", body=b"x")
        assert content == b"in pieces"
        (attempt,) = house.last.attempts
        assert attempt.failure == "the peer did nothing with it: the toy broke"
        assert [connection.closed for connection in ToyConnection.made] == [1, 0]

    run(body)


def test_only_what_may_be_repeated_is_sent_again_after_a_reused_connection_died(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)
        await house.get()
        ToyConnection.peer[:] = [error(ReadError)]
        await house.get()
        assert [attempt.failure for attempt in house.last.attempts] == ["the reused connection was dead: the toy broke"]
        ToyConnection.peer[:] = [error(ReadError)]
        with pytest.raises(ReadError, match="the toy broke") as caught:
            await house.get(method=b"POST", body=b"x")
        assert caught.value.journey is house.last
        assert house.counts == (0, 0, 0)

    run(body)


def test_request_under_way_gets_client_closed(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = house_of(runner)

        async def step(connection: ToyConnection) -> None:
            house.pool.close()
            assert connection.closed
            raise ReadError("the connection was closed on this side")

        ToyConnection.peer[:] = [step]
        with pytest.raises(ClientClosed, match="was waiting for its response") as caught:
            await house.get()
        assert caught.value.journey is house.last
        assert house.counts == (0, 0, 0)

    run(body)


def test_pool_imports_no_class_of_connection() -> None:
    found: set[str] = set()
    for path in Path(str(_pool.__file__)).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.level == 2 and (node.module or "").startswith("_conn"):
                found.add(str(node.module))
    assert found == {
        *("_conn.base", "_conn.dial", "_conn.keep_alive", "_conn.options", "_conn.protocols", "_conn.sessions"),
    }
