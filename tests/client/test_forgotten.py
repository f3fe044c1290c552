"""Clients that nobody closes give their sockets back when they are collected, and say where they were made."""

from __future__ import annotations

import asyncio
import gc
import platform
import subprocess
import sys
import warnings
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast.testing import LocalServer

COUNTS_REFERENCES = platform.python_implementation() == "CPython"


@pytest.fixture
def server() -> Any:
    with LocalServer(tls=False) as started:
        yield started


async def settled(backend: Runner) -> None:
    """Transports of uvloop close in the loop's next turns."""
    if backend.name == "uvloop":
        for _ in range(5):
            await asyncio.sleep(0)


def forget(holder: list[Any]) -> None:
    """Lets go of what is held, so that it is finalized before this returns."""
    holder.clear()
    collect()


def collect() -> None:
    """Collects garbage so often that PyPy also lets go of what finalizers have held."""
    for _ in range(1 if COUNTS_REFERENCES else 3):
        gc.collect()


def sockets_of(client: Any) -> list[Any]:
    pool = client.pool
    return [connection.stream.get_extra_info("socket") for connection, *_ in pool.leases.plan.connections()]


def test_forgotten_clients_keep_no_sockets(backend: Runner, server: Any) -> None:
    async def sockets_of_a_forgotten_client() -> list[Any]:
        client = backend.client()
        await client.get(server.url)
        return sockets_of(client)

    async def body() -> None:
        sockets = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if COUNTS_REFERENCES:
                gc.disable()
            try:
                for _ in range(3):
                    sockets += await sockets_of_a_forgotten_client()
                if not COUNTS_REFERENCES:
                    collect()
            finally:
                gc.enable()
            await settled(backend)
        assert [sock.fileno() for sock in sockets] == [-1, -1, -1]
        found = [each for each in caught if each.category is ResourceWarning and "collected" in str(each.message)]
        assert len(found) == 3

    backend.run(body)


def test_warning_names_the_place_where_the_client_was_made(server: Any) -> None:
    client = httpx_fast.Client()
    line = sys._getframe().f_lineno - 1
    client.get(server.url)
    holder = [client]
    del client
    with pytest.warns(
        ResourceWarning, match=rf"1 of its connections were open; it was made at .*{__name__}\.py:{line}$"
    ):
        forget(holder)


def test_client_that_is_a_part_of_a_cycle_is_told_of(server: Any) -> None:
    class Service:
        def __init__(self) -> None:
            self.client = httpx_fast.Client()
            self.itself = self

    service = Service()
    service.client.get(server.url)
    (sock,) = sockets_of(service.client)
    holder = [service]
    del service
    with pytest.warns(ResourceWarning, match="collected without being closed"):
        forget(holder)
    assert sock.fileno() == -1


def test_clients_that_opened_nothing_or_are_closed_are_not_told_of(backend: Runner, server: Any) -> None:
    async def body() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            client = backend.client(http2=True)
            del client
            async with backend.client() as client:
                await client.get(server.url)
            client = backend.client()
            await client.get(server.url)
            await client.aclose()
            del client
            httpx_fast.get(server.url)
            gc.collect()

    backend.run(body)


def test_response_outlives_its_client(backend: Runner, server: Any) -> None:
    async def body() -> None:
        client = backend.client()
        # More than is read ahead: the connection is needed until the end, however quickly the body comes.
        request = client.build_request("GET", f"{server.url}/bytes/3000000")
        response = await client.send(request, stream=True)
        sockets = sockets_of(client)
        holder = [client]
        del client
        with pytest.warns(ResourceWarning, match="collected without being closed"):
            forget(holder)
        assert len(await response.aread()) == 3_000_000
        await response.aclose()
        await settled(backend)
        collect()
        assert [sock.fileno() for sock in sockets] == [-1] * len(sockets)

    backend.run(body)


def test_client_whose_event_loop_has_ended_gives_its_sockets_back(server: Any) -> None:
    holder = [httpx_fast.AsyncClient()]
    sockets: list[Any] = []

    async def body() -> None:
        await holder[0].get(server.url)
        sockets.extend(sockets_of(holder[0]))

    asyncio.run(body())
    with pytest.warns(ResourceWarning, match="collected without being closed"):
        forget(holder)
    assert [sock.fileno() for sock in sockets] == [-1]


def test_client_that_lives_until_the_interpreter_ends_raises_nothing(server: Any) -> None:
    program = f"import httpx_fast\nclient = httpx_fast.Client()\nprint(client.get({server.url!r}).status_code)\n"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert (ended.stdout, ended.stderr) == ("200\n", "")
