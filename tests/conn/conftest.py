from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from far_end import Server
from http2_scenes import Owner, Scene
from net_worlds import WORLDS, Listener, World
from scripted import Clock, ScriptedStream

from httpx_fast._conn.http2 import Http2Connection
from httpx_fast._journey import ConnectionFacts
from httpx_fast._origin import Origin, Route


@pytest.fixture
def scripted() -> type[ScriptedStream]:
    return ScriptedStream


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=WORLDS)
def world(request: pytest.FixtureRequest) -> World:
    """A runner with the backend of the network floor that belongs to it."""
    return WORLDS[request.param]()


@pytest.fixture
def listener() -> Iterator[Listener]:
    """The other end; what its threads raise fails the test."""
    with contextlib.closing(Listener()) as listening:
        yield listening


@pytest.fixture
def play(world: World, listener: Listener) -> Callable[..., None]:
    """Runs `body(scene)` against `script(server)`, which has a thread of its own."""

    def run(script: Callable[[Server], object], body: Callable[[Scene], Any], *pairs: tuple[int, int], **options: Any):
        async def main() -> None:
            done = listener.serve(lambda connection: script(Server(connection, *pairs)))
            owner = Owner(world)
            stream = await world.connect(listener)
            route = Route(Origin("http", "example.org", 80))
            connection = Http2Connection(stream, route, ConnectionFacts(), owner, **options)
            with contextlib.closing(connection):
                await body(Scene(world, connection, owner))
            await world.runner.hear(done)

        world.run(main)

    return run
