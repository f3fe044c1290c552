"""httpx-socks: its transports are pools of their own making, which they build on httpcore; through a real proxy."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import trio
from httpx_socks import AsyncProxyTransport, SyncProxyTransport
from real_proxies import Microsocks

from httpx_fast.testing import Close, FaultLab, LocalServer, Read, Reply, Request, Send

RUNS = {"asyncio": asyncio.run, "trio": trio.run}


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Microsocks(tmp_path_factory.mktemp("microsocks")) as running:
        yield f"socks5://127.0.0.1:{running.port}"


def echo(request: Request) -> Reply:
    """The body that was sent; for GET one that does not fit into what a connection reads ahead."""
    return Reply(200, [("X-Target", request.target)], request.body or bytes(10_000_000))


def trust(server: LocalServer) -> ssl.SSLContext | bool:
    return server.client_context() if server.url.startswith("https") else True


@pytest.fixture(params=["cleartext", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with LocalServer(tls=request.param == "tls", answer=echo) as running:
        yield running


def test_blocking_requests_share_a_connection_through_the_proxy(proxy: str, server: LocalServer):
    transport = SyncProxyTransport.from_url(proxy, verify=trust(server))
    with httpx.Client(transport=transport) as client:
        for number in range(3):
            response = client.post(f"{server.url}/{number}", content=b"body")
            assert (response.status_code, response.content) == (200, b"body")
            assert response.headers["x-target"] == f"/{number}"
        with client.stream("POST", server.url, content=iter([b"pie", b"ces"])) as response:
            assert b"".join(response.iter_raw()) == b"pieces"
        (connection,) = transport._pool.connections
        assert (connection.is_idle(), connection.is_closed()) == (True, False)
    assert connection.is_closed()


def test_blocking_requests_wait_for_their_turn(proxy: str, server: LocalServer):
    limits = httpx.Limits(max_connections=2, max_keepalive_connections=1)
    transport = SyncProxyTransport.from_url(proxy, verify=trust(server), limits=limits)
    with httpx.Client(transport=transport) as client, ThreadPoolExecutor(8) as threads:
        bodies = list(threads.map(lambda number: client.post(server.url, content=b"%d" % number).content, range(40)))
        assert bodies == [b"%d" % number for number in range(40)]
        assert len(transport._pool.connections) == 1
        with client.stream("GET", server.url), client.stream("GET", server.url):
            assert len(transport._pool._requests) == 2
            with pytest.raises(httpx.PoolTimeout, match="all connections are in use"):
                client.get(server.url, timeout=httpx.Timeout(5, pool=0.01))


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_asynchronous_requests_go_through_the_proxy(proxy: str, server: LocalServer, run):
    async def main() -> None:
        transport = AsyncProxyTransport.from_url(proxy, verify=trust(server), limits=httpx.Limits(max_connections=2))
        async with httpx.AsyncClient(transport=transport) as client:
            for number in range(3):
                response = await client.post(f"{server.url}/{number}", content=b"body")
                assert (response.content, response.headers["x-target"]) == (b"body", f"/{number}")
            (connection,) = transport._pool.connections
            assert connection.is_idle()
            async with client.stream("GET", server.url), client.stream("GET", server.url):
                with pytest.raises(httpx.PoolTimeout, match="all connections are in use"):
                    await client.get(server.url, timeout=httpx.Timeout(5, pool=0.01))
        assert connection.is_closed()

    run(main) if run is trio.run else run(main())


def test_what_the_proxy_cannot_reach_is_an_error(proxy: str):
    transport = SyncProxyTransport.from_url(proxy)
    with httpx.Client(transport=transport) as client:
        for _ in range(2):
            with pytest.raises(Exception, match=r"(?i)refused") as caught:
                client.get("http://127.0.0.1:1/")
            assert type(caught.value).__name__ == "ProxyError"
        assert transport._pool._requests == []


def test_what_breaks_off_is_an_error_of_httpx(proxy: str):
    with FaultLab() as lab, httpx.Client(transport=SyncProxyTransport.from_url(proxy)) as client:
        lab.serve([Read(), Close()], [Read(), Send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"), Close()])
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            client.post(lab.url(), content=b"1")
        with pytest.raises(httpx.RemoteProtocolError, match="received 2 bytes, expected 5"):
            client.get(lab.url())
