from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest
from net_worlds import WORLDS, Listener, World


@pytest.fixture(params=WORLDS)
def backend(request: pytest.FixtureRequest) -> World:
    """A world of the network floor: its runner, and `net`, its backend."""
    return WORLDS[request.param]()


@pytest.fixture
def listen() -> Iterator[Callable[..., Listener]]:
    """Makes listening peers, which are closed, and their threads joined, at the end."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(contextlib.closing(Listener(*arguments, **options)))


@pytest.fixture
def peer(listen: Callable[..., Listener]) -> Listener:
    return listen()
