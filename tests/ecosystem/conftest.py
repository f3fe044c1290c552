"""What the checks of other libraries share: servers that are functions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import pytest

from httpx_fast.testing import LocalServer, Reply, Request


class Site:
    """A local server and what it was asked."""

    def __init__(self, server: LocalServer, seen: list[Request]) -> None:
        self.server = server
        self.seen = seen
        self.url = f"http://127.0.0.1:{server.port}"


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[Request], Reply]], Site]]:
    """Starts servers: `serve(answer)`."""
    with contextlib.ExitStack() as started:

        def serve(answer: Callable[[Request], Reply]) -> Site:
            seen: list[Request] = []

            def note(request: Request) -> Reply:
                seen.append(request)
                return answer(request)

            return Site(started.enter_context(LocalServer(tls=False, answer=note)), seen)

        yield serve
