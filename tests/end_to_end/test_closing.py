"""`close()` and `aclose()` close everything, whatever is going on; who is in the middle of it is told at once.

No timeouts are set: who is not told waits until the runner loses its patience.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from far_end import Server
from net_worlds import Listener
from peers import Dialogue
from runners import Runner

import httpx_fast
from httpx_fast import ClientClosed, Limits
from httpx_fast.websockets import WebSocketNetworkError

HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\n12345"  # its end is that of the connection
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
PATIENCE = 30


def transport(backend: Runner, **options: Any) -> Any:
    return (httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport)(**options)


def tracing(backend: Runner, wanted: str, reached: threading.Event) -> dict[str, Any]:
    """Extensions of a request that say when a step has begun."""

    def blocking(name: str, info: object) -> None:
        if name == wanted:
            reached.set()

    async def waiting(name: str, info: object) -> None:
        blocking(name, info)

    return {"trace": waiting if backend.asynchronous else blocking}


async def told(backend: Runner, client: Any, reached: threading.Event, *asks: Callable[[], Any]) -> list[ClientClosed]:
    """What they are told who ask, when the client is closed after `reached`."""
    failures: list[ClientClosed] = []

    async def one(ask: Callable[[], Any]) -> None:
        with pytest.raises(ClientClosed, match="the client was closed") as caught:
            await ask()
        failures.append(caught.value)

    async def close() -> None:
        await backend.hear(reached)
        await client.aclose()

    await backend.together(*[lambda ask=ask: one(ask) for ask in asks], close)
    for failure in failures:
        assert failure.journey is not None
        assert failure.request.url.path
    return failures


def answering(data: bytes, reached: threading.Event) -> Callable[[Dialogue], None]:
    def script(dialogue: Dialogue) -> None:
        dialogue.read_request()
        dialogue.send(data)
        reached.set()
        dialogue.wait_for_close()

    return script


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("answer", [b"", HALF, ENDLESS])
@pytest.mark.parametrize("streamed", [False, True])
def test_who_waits_for_a_response_is_told(
    backend: Runner, peer: Any, authority: Any, answer: bytes, streamed: bool, encrypted: bool
) -> None:
    reached = threading.Event()
    server = peer(answering(answer, reached), tls=authority.server_context("127.0.0.1") if encrypted else None)
    verify = authority.client_context() if encrypted else True

    async def body() -> None:
        client = backend.client(timeout=None, verify=verify)

        async def ask() -> None:
            if not streamed:
                await client.get(server.url())
                return
            async with client.stream("GET", server.url()) as response:
                await response.aread()

        (failure,) = await told(backend, client, reached, ask)
        # What the server has sent may not have been seen yet.
        assert str(failure).endswith((" was waiting for its response", " was receiving its response"))
        assert failure.journey is not None
        assert failure.journey.attempts == ()
        assert server.closed[0].wait(PATIENCE)

    backend.run(body)


def test_who_sends_a_body_is_told(backend: Runner, peer: Any) -> None:
    reached = threading.Event()

    def script(dialogue: Dialogue) -> None:
        dialogue._read_until(b"\r\n\r\n")
        reached.set()
        dialogue.hold()

    server = peer(script)

    async def body() -> None:
        client = backend.client(timeout=None)
        endless = backend.content(iter(lambda: bytes(1 << 20), None))
        await told(backend, client, reached, lambda: client.post(server.url(), content=endless))

    backend.run(body)


def test_who_waits_for_a_connection_is_told(backend: Runner, peer: Any) -> None:
    reached = threading.Event()
    server = peer(answering(HALF, threading.Event()))

    async def body() -> None:
        client = backend.client(timeout=None, limits=Limits(max_connections=1))
        async with client.stream("GET", server.url()) as response:
            extensions = tracing(backend, "pool.wait.started", reached)
            (failure,) = await told(backend, client, reached, lambda: client.get(server.url(), extensions=extensions))
            assert "waiting for a connection" in str(failure)
            with pytest.raises(ClientClosed, match="receiving its response"):
                await response.aread()

    backend.run(body)


class Places:
    """Where a dial can be caught: each gives the options of a transport, and a URL."""

    def __init__(self, backend: Runner, peer: Any, reached: threading.Event, open_until: contextlib.ExitStack) -> None:
        self.backend, self.peer, self.reached, self.open_until = backend, peer, reached, open_until

    def _silent(self) -> int:
        def script(dialogue: Dialogue) -> None:
            assert dialogue.connection.recv(1)
            self.reached.set()
            dialogue.wait_for_close()

        port: int = self.peer(script).port
        return port

    def dns(self) -> tuple[dict[str, Any], str]:
        released = threading.Event()
        self.open_until.callback(released.set)

        def resolver(host: str, port: int) -> list[str]:
            self.reached.set()
            released.wait(PATIENCE)
            return []

        return {"resolver": resolver}, "http://slow.example/"

    def awaited_dns(self) -> tuple[dict[str, Any], str]:
        if not self.backend.asynchronous:
            pytest.skip("in blocking code nothing is awaited")

        async def resolver(host: str, port: int) -> list[str]:
            event = self.backend.event()
            self.reached.set()
            await event.wait()
            return []

        return {"resolver": resolver}, "http://slow.example/"

    def tcp(self) -> tuple[dict[str, Any], str]:
        if sys.platform != "linux":
            pytest.skip("a full queue drops what knocks on Linux only")
        hole = self.open_until.enter_context(contextlib.closing(Listener(backlog=0)))
        for _ in range(2):
            knocking = self.open_until.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(hole.address)

        def resolver(host: str, port: int) -> list[tuple[str, int]]:
            self.reached.set()
            return [("127.0.0.1", hole.port), ("127.0.0.1", hole.port)]

        return {"resolver": resolver}, "http://hole.example/"

    def pause(self) -> tuple[dict[str, Any], str]:
        """Between two tries; the longer pauses are of seconds."""
        bound = self.open_until.enter_context(socket.socket())
        bound.bind(("127.0.0.1", 0))
        asked: list[str] = []

        def resolver(host: str, port: int) -> list[tuple[str, int]]:
            asked.append(host)
            if len(asked) == 3:
                self.reached.set()
            return [("127.0.0.1", bound.getsockname()[1])]

        return {"resolver": resolver, "retries": 100}, "http://refusing.example/"

    def tls(self) -> tuple[dict[str, Any], str]:
        return {}, f"https://127.0.0.1:{self._silent()}/"

    def tls_with_retries(self) -> tuple[dict[str, Any], str]:
        return {"retries": 3}, f"https://127.0.0.1:{self._silent()}/"

    def proxy(self) -> tuple[dict[str, Any], str]:
        return {"proxy": f"http://127.0.0.1:{self._silent()}"}, "https://far.example/"

    def socks(self) -> tuple[dict[str, Any], str]:
        return {"proxy": f"socks5h://127.0.0.1:{self._silent()}"}, "http://far.example/"


@pytest.mark.parametrize("place", ["dns", "awaited_dns", "tcp", "pause", "tls", "tls_with_retries", "proxy", "socks"])
@pytest.mark.parametrize("warming", [False, True])
def test_who_connects_is_told(backend: Runner, peer: Any, place: str, warming: bool) -> None:
    reached = threading.Event()

    async def body() -> None:
        with contextlib.ExitStack() as open_until:
            options, url = getattr(Places(backend, peer, reached, open_until), place)()
            client = backend.client(timeout=None, transport=transport(backend, **options))
            ask = client.warm if warming else client.get
            (failure,) = await told(backend, client, reached, lambda: ask(url))
            assert "was connecting" in str(failure)
            assert client.pool.stats().open == 0

    backend.run(body)


def test_responses_that_nobody_reads_are_closed(backend: Runner, peer: Any) -> None:
    server = peer(answering(HALF, threading.Event()))

    async def body() -> None:
        client = backend.client(timeout=None)
        responses = []
        for _ in range(3):
            request = client.build_request("GET", server.url())
            responses.append(await client.send(request, stream=True))
        pool = client.pool
        assert (pool.stats().leased, pool.stats().open) == (3, 3)
        await client.aclose()
        assert (pool.stats().leased, pool.stats().open, pool.connections()) == (0, 0, [])
        for closed in server.closed:
            await backend.hear(closed)
        await client.aclose()
        for response in responses[:2]:
            with pytest.raises(ClientClosed, match="receiving its response") as caught:
                await response.aread()
            assert caught.value.request is response.request
        for response in responses:
            await response.aclose()
        assert pool.stats().open == 0
        with pytest.raises(RuntimeError, match="the client has been closed"):
            await client.get(server.url())

    backend.run(body)


def test_response_that_is_there_can_be_read_when_the_client_is_closed(backend: Runner, peer: Any) -> None:
    server = peer(answering(OK, threading.Event()))

    async def body() -> None:
        async with backend.client(timeout=None) as client:
            response = await client.get(server.url())
        assert response.text == "ok"

    backend.run(body)


def test_drain_ends_when_the_client_is_closed(backend: Runner, peer: Any) -> None:
    reached = threading.Event()
    server = peer(answering(HALF, reached))

    async def body() -> None:
        client = backend.client(timeout=None)
        left: list[int] = []
        async with client.stream("GET", server.url()):

            async def drain() -> None:
                left.append(await client.drain())

            async def close() -> None:
                await client.aclose()

            await backend.together(drain, close)
        assert left == [0]

    backend.run(body)


@pytest.mark.parametrize("hook", ["request", "response"])
def test_hook_that_closes_the_client_ends_a_redirection(backend: Runner, peer: Any, hook: str) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    server = peer(answering(moved, threading.Event()))

    async def body() -> None:
        def blocking(argument: object) -> None:
            client.close()

        async def waiting(argument: object) -> None:
            await client.aclose()

        hooks = {hook: [waiting if backend.asynchronous else blocking]}
        client = backend.client(timeout=None, event_hooks=hooks, follow_redirects=True)
        with pytest.raises(ClientClosed, match="the client was closed") as caught:
            await client.get(server.url("/first"))
        assert caught.value.request.url.path == ("/first" if hook == "request" else "/next")
        assert server.accepted == (0 if hook == "request" else 1)

    backend.run(body)


def test_all_streams_of_http2_are_told(backend: Runner, peer: Any) -> None:
    reached = threading.Event()
    heard: list[str] = []

    def script(dialogue: Dialogue) -> None:
        server = Server(dialogue.connection)
        server.say(server.head(server.find("/body")))
        server.find("/head")
        server.find("/upload")
        reached.set()
        server.until_closed()
        heard.extend(server.lines)

    server = peer(script)

    async def body() -> None:
        client = backend.client(timeout=None, http1=False, http2=True)

        async def read() -> None:
            async with client.stream("GET", server.url("/body")) as response:
                await response.aread()

        endless = backend.content(iter(lambda: bytes(1 << 20), None))
        failures = await told(
            backend,
            client,
            reached,
            read,
            lambda: client.get(server.url("/head")),
            lambda: client.post(server.url("/upload"), content=endless),
        )
        assert len(failures) == 3
        assert server.closed[0].wait(PATIENCE)

    backend.run(body)
    assert server.accepted == 1
    # Where threads share the connection one of them may be about to write; then it is closed without a word.
    assert not backend.asynchronous or any(line.startswith("GOAWAY 0 0") for line in heard)


def test_who_reads_from_an_upgraded_connection_is_told(backend: Runner, peer: Any) -> None:
    reached = threading.Event()
    server = peer(answering(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", reached))

    async def body() -> None:
        client = backend.client(timeout=None)
        headers = {"connection": "upgrade", "upgrade": "x"}
        async with client.stream("GET", server.url(), headers=headers) as response:
            stream = response.extensions["network_stream"]

            async def read() -> None:
                with pytest.raises(ClientClosed, match="the client was closed"):
                    await stream.read(1) if backend.asynchronous else stream.read(1)

            async def close() -> None:
                await client.aclose()

            await backend.together(read, close)
            with pytest.raises(ClientClosed, match="the client was closed"):
                await stream.write(b"x") if backend.asynchronous else stream.write(b"x")
        assert server.closed[0].wait(PATIENCE)

    backend.run(body)


def test_websocket_of_a_closed_client_is_told(backend: Runner, peer: Any) -> None:
    def script(dialogue: Dialogue) -> None:
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", dialogue.read_request(), re.IGNORECASE)
        assert key is not None
        accept = base64.b64encode(hashlib.sha1(key[1] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        dialogue.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        dialogue.wait_for_close()

    url = peer(script).url().replace("http", "ws")

    async def body() -> None:
        client = backend.client(timeout=None)

        async def close() -> None:
            await client.aclose()

        if not backend.asynchronous:
            with client.websocket(url) as session:

                async def read() -> None:
                    with pytest.raises(WebSocketNetworkError, match="the client was closed") as caught:
                        session.receive()
                    assert isinstance(caught.value.__cause__, ClientClosed)

                await backend.together(read, close)
            return
        async with client.websocket(url) as session:

            async def read_on() -> None:
                with pytest.raises(WebSocketNetworkError, match="the client was closed") as caught:
                    await session.receive()
                assert isinstance(caught.value.__cause__, ClientClosed)

            await backend.together(read_on, close)

    backend.run(body)


def test_client_is_closed_in_all_event_loops(peer: Any) -> None:
    reached = threading.Event()
    server = peer(answering(HALF, reached))
    client = httpx_fast.AsyncClient(timeout=None)
    failures: list[BaseException] = []

    async def read() -> None:
        with pytest.raises(ClientClosed, match="the client was closed") as caught:
            await client.get(server.url())
        failures.append(caught.value)

    elsewhere = threading.Thread(target=lambda: asyncio.run(read()))
    elsewhere.start()
    assert reached.wait(PATIENCE)
    asyncio.run(client.aclose())
    elsewhere.join(PATIENCE)
    assert len(failures) == 1


def test_cancellation_that_comes_with_closing_stays_one(peer: Any) -> None:
    reached = threading.Event()

    def script(dialogue: Dialogue) -> None:
        assert dialogue.connection.recv(1)
        reached.set()
        dialogue.wait_for_close()

    server = peer(script)

    async def body() -> None:
        client = httpx_fast.AsyncClient(timeout=None)
        task = asyncio.create_task(client.get(server.url().replace("http:", "https:")))
        await asyncio.to_thread(reached.wait, PATIENCE)
        task.cancel()
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(body())


def test_closed_transport_serves_another_client(backend: Runner, peer: Any) -> None:
    server = peer(answering(OK, threading.Event()))

    async def body() -> None:
        shared = transport(backend)
        for _ in range(2):
            async with backend.client(transport=shared) as client:
                assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)


@pytest.fixture
def busy_threads() -> Iterator[list[threading.Thread]]:
    threads: list[threading.Thread] = []
    yield threads
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def test_threads_that_never_stop_asking_end_when_the_client_is_closed(busy_threads: list[threading.Thread]) -> None:
    """Closing meets them at any line; whatever they do then, they are told one of two things."""
    from httpx_fast.testing import LocalServer

    with LocalServer(tls=False) as server:
        for _ in range(20):
            client = httpx_fast.Client(limits=Limits(max_connections=3))
            answered = threading.Semaphore(0)
            failures: list[BaseException] = []

            def ask(client: Any = client, answered: Any = answered, failures: Any = failures) -> None:
                try:
                    while True:
                        client.get(server.url)
                        answered.release()
                except (ClientClosed, RuntimeError) as error:
                    failures.append(error)

            threads = [threading.Thread(target=ask) for _ in range(5)]
            busy_threads += threads
            for thread in threads:
                thread.start()
            for _ in range(10):
                assert answered.acquire(timeout=PATIENCE)
            client.close()
            for thread in threads:
                thread.join(PATIENCE)
            assert len(failures) == 5
            assert client.pool.stats().open == 0
