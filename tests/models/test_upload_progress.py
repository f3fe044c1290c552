"""`extensions={"upload_progress": ...}`: how much of a body was sent, in every world."""

from __future__ import annotations

import asyncio
import io
import pickle
from typing import Any

import pytest

import httpx_fast

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Bar:
    def __init__(self) -> None:
        self.seen: list[tuple[int, int | None]] = []

    def __call__(self, sent: int, total: int | None) -> None:
        self.seen.append((sent, total))


class Reads:
    """Nothing but `read()`: no length."""

    def __init__(self, content: bytes) -> None:
        self._file = io.BytesIO(content)

    def read(self, size: int) -> bytes:
        return self._file.read(size)


@pytest.mark.parametrize(
    ("arguments", "total"),
    [
        (lambda: {"content": CONTENT}, len(CONTENT)),
        (lambda: {"content": io.BytesIO(CONTENT)}, len(CONTENT)),
        (lambda: {"content": Reads(CONTENT)}, None),
        (lambda: {"json": "x" * 1_000_000}, 1_000_002),
    ],
    ids=["bytes", "file", "without length", "json"],
)
def test_progress_is_told_from_nothing_to_all(backend, nginx, arguments, total):
    async def body():
        bar = Bar()
        async with backend.client() as client:
            await client.post(nginx.url("/sink"), extensions={"upload_progress": bar}, **arguments())
        assert bar.seen[0] == (0, total)
        assert bar.seen[-1] == (total or len(CONTENT), total)
        assert bar.seen == sorted(bar.seen)
        assert len(bar.seen) > 4

    backend.run(body)


def test_what_is_told_is_what_arrives(backend, nginx):
    async def body():
        async with backend.client() as client:
            options: Any = {"extensions": {"upload_progress": Bar()}}
            response = await client.post(nginx.url("/echo"), content=CONTENT, **options)
            assert response.content == CONTENT
            assert response.request.content == CONTENT
            response = await client.post(nginx.url("/echo"), files={"a": io.BytesIO(CONTENT)}, **options)
            assert CONTENT in response.content

    backend.run(body)


def test_without_a_body_nothing_is_told(backend, nginx):
    async def body():
        bar = Bar()
        async with backend.client() as client:
            assert (await client.get(nginx.url("/tiny"), extensions={"upload_progress": bar})).content == b"ok"
        assert bar.seen == []

    backend.run(body)


def test_a_body_that_is_sent_again_counts_from_nothing(backend, peer):
    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def body():
        bar = Bar()
        async with backend.client(follow_redirects=True) as client:
            await client.post(server.url("/"), content=b"12345", extensions={"upload_progress": bar})
        assert bar.seen == [(0, 5), (5, 5), (0, 5), (5, 5)]

    server = peer(script)
    backend.run(body)


def test_progress_may_be_asynchronous(nginx):
    seen = []

    async def progress(sent, total):
        await asyncio.sleep(0)
        seen.append((sent, total))

    async def body():
        async with httpx_fast.AsyncClient() as client:
            await client.post(nginx.url("/sink"), content=b"12345", extensions={"upload_progress": progress})

    asyncio.run(body())
    assert seen == [(0, 5), (5, 5)]


class Stop(Exception):
    pass


def test_exception_of_progress_ends_the_request(backend, nginx):
    def progress(sent, total):
        if sent:
            raise Stop("stopped")

    async def body():
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await client.post(nginx.url("/sink"), content=CONTENT, extensions={"upload_progress": progress})
            assert (await client.get(nginx.url("/tiny"))).content == b"ok"

    backend.run(body)


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="expected a callable as extension 'upload_progress', got 5"):
        httpx_fast.Request("POST", "http://a.test/", content=b"x", extensions={"upload_progress": 5})


def test_such_a_request_can_be_pickled():
    request = httpx_fast.Request("POST", "http://a.test/", content=b"x", extensions={"upload_progress": print})
    assert pickle.loads(pickle.dumps(request)).content == b"x"
