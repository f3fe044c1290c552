"""Which protocol is spoken over what was opened, and what makes its connection."""

from __future__ import annotations

import contextlib

import pytest
from net_worlds import Listener, World

from httpx_fast._conn import protocols
from httpx_fast._conn.base import Connection
from httpx_fast._conn.http1 import Http1Connection
from httpx_fast._conn.http2 import Http2Connection
from httpx_fast._conn.protocols import PROTOCOLS, protocol_of
from httpx_fast._journey import ConnectionFacts
from httpx_fast._net.base import Backend
from httpx_fast._origin import Origin, Route

ROUTE = Route(Origin("http", "example.org", 80))


class Owner:
    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def lost(self, connection: Connection) -> None: ...
    def limit_changed(self, connection: Connection, limit: int | None) -> None: ...
    def draining(self, connection: Connection) -> None: ...


@pytest.mark.parametrize(
    ("negotiated", "http1", "http2", "forward", "spoken"),
    [
        ("h2", True, True, False, "h2"),
        ("h2", False, True, False, "h2"),
        ("h2", False, True, True, "h2"),
        ("http/1.1", True, True, False, "http/1.1"),
        ("unheard-of", True, True, False, "http/1.1"),
        (None, True, True, False, "http/1.1"),
        (None, False, True, False, "h2"),
        (None, False, True, True, "http/1.1"),
        (None, True, False, False, "http/1.1"),
        ("h2", True, False, False, "http/1.1"),
    ],
)
def test_protocol_is_the_negotiated_one_or_the_one_known_to_be_spoken(
    negotiated: str | None, http1: bool, http2: bool, forward: bool, spoken: str
):
    assert protocol_of(negotiated, http1, http2, forward) == spoken


def test_a_protocol_in_the_table_is_spoken_when_it_is_negotiated(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(protocols.PROTOCOLS, "toy", PROTOCOLS["http/1.1"])
    assert protocol_of("toy", True, True, False) == "toy"


@pytest.mark.parametrize(
    ("name", "kind", "multiplexed", "version"),
    [("http/1.1", Http1Connection, False, None), ("h2", Http2Connection, True, "HTTP/2")],
)
def test_the_table_makes_the_connection_of_a_protocol(
    world: World, listener: Listener, name: str, kind: type, multiplexed: bool, version: str | None
):
    async def main() -> None:
        done = listener.serve(lambda connection: connection.recv(1))
        stream = await world.connect(listener)
        facts = ConnectionFacts()
        connection = PROTOCOLS[name](stream, ROUTE, facts, Owner(world.net), None, 10, None)
        with contextlib.closing(connection):
            assert type(connection) is kind
            assert connection.multiplexed is multiplexed
            assert (connection.sole_exchange is None) is multiplexed
            assert connection.limit == (10 if multiplexed else None)
            assert connection.alive()
            assert connection.alive_now()
            assert list(connection.users()) == []
            assert (facts.stream, connection.route) == (stream, ROUTE)
            if version is not None:
                assert facts.http_version == version
        await world.runner.hear(done)

    world.run(main)
