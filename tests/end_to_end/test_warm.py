"""`warm()` and `drain()` of clients, over real connections."""

from __future__ import annotations

import asyncio
import sys
import threading
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast.testing import FaultLab, Hold, LocalServer, Read, Send, Tell, response

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]


@pytest.fixture(params=[False, True], ids=["plain", "tls"])
def server(request: pytest.FixtureRequest) -> Any:
    with LocalServer(tls=request.param) as running:
        yield running


def trusting(server: LocalServer) -> Any:
    return server.client_context() if server.certificate else True


def test_requests_find_warm_connections(backend: Runner, server: LocalServer) -> None:
    async def body() -> None:
        async with backend.client(verify=trusting(server), base_url=server.url) as client:
            assert await client.warm("/anything", 3) == 3
            assert client.pool.stats().idle == 3

            async def one() -> None:
                journey = (await client.get("/")).journey
                assert journey.reused
                assert (journey.dns, journey.tcp, journey.tls) == (None, None, None)

            await backend.together(*[one] * 3)
            assert await client.warm("/", 2) == 3
            assert server.accepted == 3

    backend.run(body)


def test_a_route_of_its_own_is_warmed_for_another_server_name(backend: Runner, server: LocalServer) -> None:
    async def body() -> None:
        async with backend.client(verify=trusting(server)) as client:
            url = server.url.replace("localhost", "127.0.0.1")
            other = {"sni_hostname": "localhost"}
            assert await client.warm(url, extensions=other) == 1
            assert not (await client.get(url)).journey.reused
            assert (await client.get(url, extensions=other)).journey.reused

    backend.run(body)


def test_warming_where_nobody_listens_names_the_request(backend: Runner, fault_lab: FaultLab) -> None:
    url = fault_lab.url()
    fault_lab.close()

    async def body() -> None:
        async with backend.client() as client:
            with pytest.raises(httpx_fast.ConnectError, match="ECONNREFUSED") as caught:
                await client.warm(url, 2)
            assert str(caught.value.request.url) == url
            assert caught.value.journey.phase == "tcp"
            assert client.pool.stats().open == 0

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_warming_a_black_hole_is_a_connect_timeout(backend: Runner, fault_lab: FaultLab) -> None:
    async def body() -> None:
        async with backend.client() as client:
            with pytest.raises(httpx_fast.ConnectTimeout, match=r"of 0\.05 s"):
                await client.warm(fault_lab.black_hole(), timeout=httpx_fast.Timeout(None, connect=0.05))
            assert client.pool.stats().open == 0

    backend.run(body)


def test_warming_needs_an_open_client_and_a_number(backend: Runner, fault_lab: FaultLab) -> None:
    async def body() -> None:
        async with backend.client() as client:
            with pytest.raises(ValueError, match="got -1"):
                await client.warm(fault_lab.url(), -1)
            assert await client.warm(fault_lab.url(), 0) == 0
        with pytest.raises(RuntimeError, match="has been closed"):
            await client.warm(fault_lab.url())

    backend.run(body)


def test_transports_without_connections_have_none_to_open_or_drain(backend: Runner) -> None:
    async def body() -> None:
        transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
        async with backend.client(transport=transport) as client:
            assert await client.warm("http://host/", 3) == 0
            assert await client.drain() == 0

    backend.run(body)


def test_warming_goes_through_the_mount_of_the_url(backend: Runner, server: LocalServer) -> None:
    async def body() -> None:
        transports = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        mounted = transports(verify=trusting(server))
        async with backend.client(mounts={"all://localhost": mounted}) as client:
            assert await client.warm(server.url, 2) == 2
            assert mounted.pool.stats().idle == 2
            assert client._transport.pool.stats().open == 0
            assert client.pool.stats().idle == 2
            # Both transports are drained.
            assert await client.drain() == 0
            assert mounted.pool.stats().open == 0

    backend.run(body)


def test_draining_lets_responses_end_and_connects_anew(backend: Runner, server: LocalServer) -> None:
    async def body() -> None:
        async with backend.client(verify=trusting(server)) as client:
            await client.warm(server.url, 2)
            async with client.stream("GET", f"{server.url}/bytes/3000000") as streamed:
                assert await client.drain(timeout=0) == 1
                assert client.pool.stats().open == 1
                assert not (await client.get(server.url)).journey.reused
                assert len(await streamed.aread()) == 3_000_000
            assert client.pool.stats().idle == 1
            assert (await client.get(server.url)).journey.reused

    backend.run(body)


def test_draining_waits_for_requests_that_run(backend: Runner, fault_lab: FaultLab) -> None:
    arrived = threading.Event()
    fault_lab.serve([Read(), Tell(arrived), Hold(), Send(response(b"late"))], [Read(), Send(response(b"new"))])

    async def body() -> None:
        async with backend.client() as client:
            order: list[str] = []

            async def late() -> None:
                order.append((await client.get(fault_lab.url())).text)

            async def drain() -> None:
                await backend.hear(arrived)
                assert await client.drain(timeout=0) == 1
                fault_lab.release()
                assert await client.drain() == 0
                order.append("drained")

            await backend.together(late, drain)
            assert sorted(order) == ["drained", "late"]
            assert client.pool.stats().open == 0
            assert (await client.get(fault_lab.url())).text == "new"

    backend.run(body)


def test_loops_that_have_ended_are_no_trouble_to_draining(fault_lab: FaultLab) -> None:
    client = httpx_fast.AsyncClient()

    async def first() -> None:
        await client.get(fault_lab.url())

    async def second() -> None:
        await client.get(fault_lab.url())
        assert await client.drain() == 0
        assert client.pool.stats().open == 0
        await client.aclose()

    asyncio.run(first())
    asyncio.run(second())
