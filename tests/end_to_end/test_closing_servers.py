"""POSTs to real servers that end connections: none is done twice, nor lost where its connection was closed before.

A test waits for a server's close at the connection's socket, and does not give up its turn meanwhile: so no event loop
can have seen it. Where many POST while a server reloads some are lost to any client, at most one for each connection
that the server ends.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import select
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from origins import ORIGINS, Origin
from peers import PATIENCE
from servers import Unavailable

import httpx_fast
from httpx_fast._pool import caution

TASKS = 10
_ids = itertools.count()
Serve = Callable[..., Origin]


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Starts real servers by name and limits, each once."""
    started: dict[tuple[Any, ...], Origin] = {}
    with contextlib.ExitStack() as running:

        def start(name: str, **limits: Any) -> Origin:
            key = (name, *limits.items())
            if key not in started:
                try:
                    server = running.enter_context(ORIGINS[name](tmp_path_factory.mktemp(name), **limits))
                except Unavailable as error:
                    if os.environ.get("CI"):
                        pytest.fail(str(error))
                    pytest.skip(str(error))
                started[key] = server
            return started[key]

        yield start


class Posting:
    """POSTs of one test, by number; what became of them."""

    def __init__(self, server: Origin, client: Any) -> None:
        self.server = server
        self.client = client
        self.answered: list[str] = []
        self.lost: list[httpx_fast.TransportError] = []
        self.refused = 0
        self.socket: Any = None

    async def post(self) -> None:
        number = f"id={next(_ids)}"
        answer = await self.client.post(self.server.url(f"/ok?{number}"), content=self.server.body)
        self.answered.append(number)
        self.socket = answer.extensions["network_stream"].get_extra_info("socket")

    async def post_or_lose(self) -> None:
        try:
            await self.post()
        except httpx_fast.ConnectError:
            self.refused += 1
        except (httpx_fast.ReadError, httpx_fast.WriteError, httpx_fast.RemoteProtocolError) as error:
            self.lost.append(error)

    def wait_for_close(self) -> None:
        """Waits until the server has closed the connection of the last response, without giving up the turn."""
        if self.socket.fileno() < 0:  # closed on our side, since the server had announced to do so
            return
        assert select.select([self.socket], [], [], PATIENCE)[0], f"{self.server.name} keeps the connection"

    def check(self) -> None:
        """What was answered was done once. It is written down after the answer, soon."""
        missing: set[str] = set(self.answered)
        for _ in range(PATIENCE * 10):
            seen = self.server.seen()
            missing = {each for each in self.answered if not seen[each]}
            if not missing:
                break
            select.select([], [], [], 0.01)
        assert not missing, f"answered, and not written down: {missing}"
        assert not [each for each, count in self.server.seen().items() if count > 1], "done twice"


@contextlib.asynccontextmanager
async def posting(backend: Any, server: Origin) -> Any:
    async with backend.client(proxy=server.proxy, trust_env=False, timeout=PATIENCE) as client:
        yield Posting(server, client)


@pytest.mark.parametrize(
    ("name", "idle"),
    [("nginx", 0.05), ("apache", 0.05), ("lighttpd", 1), ("haproxy", 0.05), ("gunicorn", 1), ("uvicorn", 1)],
)
def test_connection_that_was_idle_for_too_long_loses_no_post(backend, serve, name, idle):
    server = serve(name, idle=idle)

    async def body():
        async with posting(backend, server) as posts:
            for _ in range(1 if idle == 1 else 4):
                await posts.post()
                posts.wait_for_close()
            await posts.post()
            return posts

    backend.run(body).check()


# HAProxy keeps idle connections of a worker that ends, and announces their close in the next response.
@pytest.mark.parametrize("name", ["nginx", "apache", "lighttpd"])
def test_connection_that_a_reload_ended_loses_no_post(backend, serve, name):
    server = serve(name)

    async def body():
        async with posting(backend, server) as posts:
            await posts.post()
            server.reload()
            posts.wait_for_close()
            await posts.post()
            return posts

    backend.run(body).check()


@pytest.mark.parametrize("name", ["nginx", "apache", "lighttpd", "gunicorn"])
def test_connections_for_few_requests_lose_no_post(backend, serve, name):
    server = serve(name, limit=3)

    async def body():
        async with posting(backend, server) as posts:
            for _ in range(10):
                await posts.post()
            return posts

    backend.run(body).check()


def test_proxy_that_closes_in_silence_loses_no_post(backend, serve, monkeypatch):
    monkeypatch.setattr(caution, "GRACE", PATIENCE)  # however busy the machine is
    server = serve("tinyproxy")

    async def body():
        async with posting(backend, server) as posts:
            for _ in range(20):
                await posts.client.get(server.url())
                await posts.post()
            return posts

    backend.run(body).check()


@pytest.mark.parametrize("name", ["nginx", "apache", "lighttpd", "haproxy", "gunicorn"])
def test_posts_during_a_reload_are_done_once(backend, serve, name):
    server = serve(name)

    async def body():
        async with posting(backend, server) as posts:

            async def many():
                for number in range(30):
                    if number == 10 and not reloaded:
                        reloaded.append(True)
                        server.reload()
                    await posts.post_or_lose()

            reloaded: list[bool] = []
            await backend.together(*[many] * TASKS)
            return posts

    posts = backend.run(body)
    posts.check()
    # Each connection once; and some are made to a worker that is about to end.
    assert len(posts.lost) <= 2 * TASKS, Counter(str(error) for error in posts.lost)
    assert len(posts.answered) + len(posts.lost) + posts.refused == 30 * TASKS


def test_posts_to_workers_with_few_requests_are_done_once(backend, serve):
    server = serve("uvicorn", limit=40)

    async def body():
        async with posting(backend, server) as posts:

            async def many():
                for _ in range(12):
                    await posts.post_or_lose()

            await backend.together(*[many] * TASKS)
            return posts

    posts = backend.run(body)
    posts.check()
    assert len(posts.lost) <= 3 * TASKS, Counter(str(error) for error in posts.lost)
