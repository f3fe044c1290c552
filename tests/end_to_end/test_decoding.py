"""Decoding is work that a peer can make long: others run meanwhile, and it ends with the time that was granted."""

from __future__ import annotations

import gzip
import re
import sys
import time

import pytest
from peers import always

import httpx_fast
from httpx_fast._turns import give_turn

TRIES = 8
#: Members that take about half a second; PyPy needs five times as long for each.
MEMBERS = 150_000 if sys.implementation.name == "cpython" else 30_000

#: A member of gzip with as much content as allows any number of them, which cost more than the content.
MEMBER = gzip.compress(bytes(256))


def response(body: bytes, *fields: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.fixture(scope="module")
def slow() -> bytes:
    """Some 20 KB that take about half a second."""
    body = gzip.compress(MEMBER * MEMBERS)
    assert len(body) < 30_000
    return response(body, "Content-Encoding: gzip, gzip", "Content-Type: text/plain; charset=iso-8859-7")


async def read(client, url, timeout=60):
    return len((await client.get(url, timeout=timeout)).content)


async def read_text(client, url, timeout=60):
    async with client.stream("GET", url, timeout=timeout) as answer:
        return sum([len(text) async for text in answer.aiter_text()])


async def read_in_chunks(client, url, timeout=60):
    async with client.stream("GET", url, timeout=timeout) as answer:
        return sum([len(chunk) async for chunk in answer.aiter_bytes(10**9)])


async def read_lines(client, url, timeout=60):
    async with client.stream("GET", url, timeout=timeout) as answer:
        return sum([len(line) async for line in answer.aiter_lines()])


@pytest.fixture
def backend(backend):
    backend.patience = 300  # on a busy machine, that half a second is many
    return backend


READERS = [read, read_text, read_in_chunks, read_lines]


@pytest.mark.parametrize("reader", READERS)
def test_other_tasks_run_while_content_is_decoded(backend, peer, slow, reader):
    if not backend.asynchronous:
        pytest.skip("threads take turns by themselves")
    url = peer(always(slow)).url()
    done = False

    async def tick():
        ticks = 0
        while not done:
            await give_turn()
            ticks += 1
        return ticks

    async def body():
        async with backend.client(timeout=60) as client:

            async def work():
                nonlocal done
                try:
                    return await reader(client, url)
                finally:
                    done = True

            return await backend.together(work, tick)

    length, ticks = backend.run(body)
    assert length == MEMBERS * 256
    assert ticks > 20  # one for each `TURN` seconds of half a second; waiting for the socket gives a few


async def failure_of(reading):
    try:
        await reading
    except httpx_fast.TimeoutException as error:
        return error
    return None


@pytest.mark.parametrize("reader", READERS)
def test_a_total_ends_decoding(backend, peer, slow, reader):
    url = peer(always(slow)).url()

    async def body():
        async with backend.client() as client:
            began = time.monotonic()
            await reader(client, url)
            total = (time.monotonic() - began) / 4
            # On a busy machine the total may be over before the content is there, or decoding be quicker than it was.
            for _ in range(TRIES):
                failure = await failure_of(reader(client, url, httpx_fast.Timeout(60, total=total)))
                if "the content was" in str(failure):
                    break
            assert re.search(r"total timed out .*: the content was", str(failure))
            assert (failure.limit, failure.budget) == ("total", total)
            assert failure.request.url == url
            assert failure.elapsed >= total
            assert await reader(client, url) == MEMBERS * 256  # nothing is left of it on the connection

    backend.run(body)
