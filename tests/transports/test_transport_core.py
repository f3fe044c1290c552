"""What users see of the pool, through their client."""

from __future__ import annotations

import pytest
from runners import Runner

import httpx_fast
from httpx_fast.testing import LocalServer


@pytest.fixture
def server():
    with LocalServer(tls=False) as running:
        yield running


def test_client_shows_its_pool(backend: Runner, server: LocalServer) -> None:
    async def body() -> None:
        async with backend.client(limits=httpx_fast.Limits(max_connections=1)) as client:
            async with client.stream("GET", server.url + "/bytes/3000000") as response:
                (held,) = client.pool.connections()
                assert (held.state, held.origin.port, held.requests) == ("leased", server.port, 1)
                assert client.pool.stats().leased == 1
                with pytest.raises(httpx_fast.PoolTimeout, match="1 of 1 connections") as caught:
                    await client.get(server.url, timeout=httpx_fast.Timeout(5, pool=0.01))
                assert caught.value.pool.leased == 1
                assert client.pool.waiters() == []
                await response.aread()
            stats = client.pool.stats()
            assert (stats.leased, stats.idle, stats.connecting, stats.waiting) == (0, 1, 0, 0)

    backend.run(body)


def test_transport_without_a_pool_shows_none() -> None:
    transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
    with httpx_fast.Client(transport=transport) as client, pytest.raises(AttributeError, match="no attribute 'pool'"):
        _ = client.pool
