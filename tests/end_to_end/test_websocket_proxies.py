"""WebSockets through proxies, as the environment and mounts say: real proxies, scripted ones, and a real server."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from either import done, opened
from proxies import KINDS
from real_proxies import RealProxy

import httpx_fast

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the environment's proxies, and nothing else."""

    def set_all(**values: str) -> None:
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv(name.lower(), raising=False)
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    set_all()
    return set_all


@pytest.fixture
def echoing(authority: Any) -> Iterator[Callable[[str], int]]:
    """Starts servers of the `websockets` package, for ws or wss; their ports."""
    serving = pytest.importorskip("websockets.sync.server")

    def echo(connection: Any) -> None:
        for message in connection:
            connection.send(message)

    with contextlib.ExitStack() as started:

        def start(scheme: str) -> int:
            tls = authority.server_context("127.0.0.1")
            options = {"ssl": tls if scheme == "wss" else None, "compression": None}
            server = started.enter_context(serving.serve(echo, "127.0.0.1", 0, **options))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            started.callback(thread.join, 10)
            started.callback(server.shutdown)
            port: int = server.socket.getsockname()[1]
            return port

        yield start


async def converse(client: Any, url: str) -> Any:
    """Says something and hears it back; the connection that was taken."""
    async with opened(client, url) as session:
        for text in ("hello", "x" * 60_000):
            await done(session.send_text(text))
            assert await done(session.receive_text(timeout=20)) == text
        return session.response.journey.connection


@pytest.mark.parametrize("scheme", ["ws", "wss"])
def test_real_proxies_tunnel_websockets(
    backend: Any, real_proxy: RealProxy, echoing: Any, authority: Any, environment: Any, scheme: str
) -> None:
    environment(**{"HTTP_PROXY" if scheme == "ws" else "HTTPS_PROXY": real_proxy.url})
    port = echoing(scheme)

    async def body() -> None:
        async with backend.client(verify=authority.client_context(), timeout=20) as client:
            connection = await converse(client, f"{scheme}://127.0.0.1:{port}/")
            assert connection.proxy == real_proxy.url
            assert connection.peer_address == ("127.0.0.1", real_proxy.port)

    backend.run(body)
    if real_proxy.program == "tinyproxy":
        assert real_proxy.asked(rf"CONNECT 127\.0\.0\.1:{port} HTTP/1\.1")
        assert not real_proxy.asked(rf"GET \S*:{port}")


@pytest.mark.parametrize("scheme", ["ws", "wss"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["environment", "mount", "proxy"])
def test_proxies_of_each_kind_tunnel_websockets(
    backend: Any, peer: Any, echoing: Any, authority: Any, environment: Any, kind: str, scheme: str, how: str
) -> None:
    port = echoing(scheme)
    proxying = KINDS[kind]()
    tls = authority.server_context("127.0.0.1") if kind == "https" else None
    at = peer(proxying, tls=tls)
    context = authority.client_context()
    proxy = httpx_fast.Proxy(f"{kind}://127.0.0.1:{at.port}", ssl_context=context if tls else None)
    begins_as = {"ws": "http", "wss": "https"}[scheme]
    options: dict[str, Any] = {"verify": context, "timeout": 20}
    if how == "environment":
        if tls:
            pytest.skip("the environment cannot say how to trust a proxy")
        environment(**{f"{begins_as.upper()}_PROXY": str(proxy.url)})
    elif how == "mount":
        transport = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        options["mounts"] = {f"{begins_as}://": transport(proxy=proxy, verify=context)}
    else:
        options["proxy"] = proxy

    async def body() -> None:
        async with backend.client(**options) as client:
            await converse(client, f"{scheme}://127.0.0.1:{port}/")

    backend.run(body)
    (asked,) = proxying.asked
    assert asked == (f"CONNECT 127.0.0.1:{port} HTTP/1.1" if kind in ("http", "https") else ("127.0.0.1", port))


@pytest.mark.parametrize("url", ["ws://127.0.0.1:{}/", "http://127.0.0.1:{}/"])
def test_credentials_go_with_connect_and_not_to_the_server(
    backend: Any, peer: Any, echoing: Any, environment: Any, url: str
) -> None:
    proxying = KINDS["http"](login=("user", "secret"))
    at = peer(proxying)
    environment(HTTP_PROXY=f"http://user:secret@127.0.0.1:{at.port}")
    port = echoing("ws")

    async def body() -> None:
        async with backend.client(timeout=20) as client:
            await converse(client, url.format(port))

    backend.run(body)
    assert proxying.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]
    assert "proxy-authorization" in proxying.fields[0]


def test_no_proxy_excepts_websockets(backend: Any, peer: Any, echoing: Any, environment: Any) -> None:
    proxying = KINDS["http"]()
    at = peer(proxying)
    environment(ALL_PROXY=f"http://127.0.0.1:{at.port}", NO_PROXY="127.0.0.0/8")
    port = echoing("ws")

    async def body() -> None:
        async with backend.client(timeout=20) as client:
            assert (await converse(client, f"ws://127.0.0.1:{port}/")).proxy is None

    backend.run(body)
    assert at.accepted == 0


def test_requests_without_a_websocket_are_still_forwarded(
    backend: Any, peer: Any, nginx: Any, echoing: Any, environment: Any
) -> None:
    proxying = KINDS["http"]()
    environment(HTTP_PROXY=f"http://127.0.0.1:{peer(proxying).port}")
    port = echoing("ws")
    there = nginx.url("/tiny")

    async def body() -> None:
        async with backend.client(timeout=20) as client:
            await client.get(there)
            await converse(client, f"ws://127.0.0.1:{port}/")
            await client.get(there, headers={"Upgrade": "h2c"})

    backend.run(body)
    assert proxying.asked == [f"GET {there} HTTP/1.1", f"CONNECT 127.0.0.1:{port} HTTP/1.1", f"GET {there} HTTP/1.1"]
