from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from net_worlds import WORLDS, Listener, World
from scripted import Clock, ScriptedStream


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
