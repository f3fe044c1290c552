"""`client.pool` shows all connections of a client, and who waits for one."""

from __future__ import annotations

import gc
import re
import warnings

import pytest
from peers import OK, answering

import httpx_fast


@pytest.fixture
def debug():
    httpx_fast.debug(True)
    yield
    httpx_fast.debug(False)


def test_mounts_and_proxies_are_in_the_pool(backend, nginx, monkeypatch):
    async def body():
        kind = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        mounts = {"all://localhost": kind(limits=httpx_fast.Limits(max_connections=7))}
        async with backend.client(mounts=mounts, trust_env=False) as client:
            await client.get(nginx.url("/tiny"))
            await client.get(httpx_fast.URL(nginx.url("/tiny")).copy_with(host="localhost"))
            return client.pool.stats(), client.pool.connections(), client._repr_html_()

    stats, connections, html = backend.run(body)
    assert (stats.idle, stats.open, stats.max_connections) == (2, 2, 107)
    assert {info.origin.host for info in connections} == {"127.0.0.1", "localhost"}
    assert html.count("<td>idle</td>") == 2
    assert "2 of 107 connections are open" in html


def test_a_proxy_for_everything_is_the_pool(backend, peer):
    async def body():
        proxy = peer(answering(OK))
        async with backend.client(proxy=proxy.url(), trust_env=False) as client:
            await client.get("http://a.test/")
            return client.pool.stats()

    stats = backend.run(body)
    assert (stats.idle, stats.max_connections) == (1, 100)


def test_proxies_of_the_environment_are_in_the_pool(backend, peer, monkeypatch):
    async def body():
        monkeypatch.setenv("HTTP_PROXY", peer(answering(OK)).url())
        for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with backend.client() as client:
            await client.get("http://a.test/")
            return client.pool.connections()

    assert len(backend.run(body)) == 1


def test_a_client_without_any_pool_has_none(backend):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
        async with backend.client(transport=transport, mounts={"all://b.test": transport}) as client:
            with pytest.raises(AttributeError, match="pool"):
                assert client.pool
            return client._repr_html_()

    assert "Client" in backend.run(body)


def test_waiters_say_where_they_come_from(backend, nginx, debug):
    async def body():
        limits = httpx_fast.Limits(max_connections=1)
        async with backend.client(limits=limits, trust_env=False) as client:
            queue, waits = client.pool.leases.queue, backend.event()

            def queued(*arguments):
                found = queue(*arguments)
                waits.set()
                return found

            client.pool.leases.queue = queued
            started = backend.event()

            async def first():
                async with client.stream("GET", nginx.url("/f100m")):
                    started.set()
                    await waits.wait()
                    return client.pool.waiters()

            async def second():
                await started.wait()
                return await client.get(nginx.url("/tiny"))

            waiters, _ = await backend.together(first, second)
            return waiters

    (waiter,) = backend.run(body)
    assert re.search(rf"{re.escape(__file__)}:\d+$|runners\.py:\d+$", waiter.asked_at)
    assert waiter.asked_at in repr(waiter)


def test_a_forgotten_client_is_reported_at_the_line_that_made_it(backend, nginx):
    """Whatever code of an event loop runs when it is collected."""

    async def forget():
        client = httpx_fast.AsyncClient() if backend.asynchronous else httpx_fast.Client()
        response = client.get(nginx.url("/tiny"))
        if backend.asynchronous:
            await response

    async def body():
        await forget()
        gc.collect()

    line = forget.__code__.co_firstlineno + 1
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend.run(body)
        gc.collect()
    told = [each for each in caught if "was collected without being closed" in str(each.message)]
    assert [(each.category, each.filename, each.lineno) for each in told] == [(ResourceWarning, __file__, line)]
