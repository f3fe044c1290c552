"""Files and whatever has `read()` as request bodies, in every world; an event loop is never blocked by a disk."""

from __future__ import annotations

import asyncio
import io
import threading
from typing import Any

import pytest

import httpx_fast

CONTENT = bytes(range(256)) * 4096  # 1 MiB


class Reads:
    """Nothing but `read()`."""

    def __init__(self, content: bytes, kind: Any = bytes) -> None:
        self._file = io.BytesIO(content)
        self._kind = kind

    def read(self, size: int) -> Any:
        return self._kind(self._file.read(size))


class AsyncReads(Reads):
    async def read(self, size: int) -> Any:
        return super().read(size)


class ReturnsAwaitable(Reads):
    """`read()` is no coroutine function, and returns a coroutine."""

    def read(self, size: int) -> Any:
        async def later() -> bytes:
            return self._file.read(size)

        return later()


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_anything_with_read_is_sent_chunked(backend, nginx, kind):
    async def body():
        async with backend.client() as client:
            response = await client.post(nginx.url("/echo"), content=Reads(CONTENT, kind))
        assert response.content == CONTENT
        assert response.request.headers["Transfer-Encoding"] == "chunked"
        assert "Content-Length" not in response.request.headers

    backend.run(body)


def test_a_file_is_sent_from_its_position_with_its_length(backend, nginx, path):
    async def body():
        with path.open("rb") as file:
            file.seek(100)
            async with backend.client() as client:
                response = await client.post(nginx.url("/echo"), content=file)
                assert response.content == CONTENT[100:]
                assert response.request.headers["Content-Length"] == str(len(CONTENT) - 100)

    backend.run(body)


def test_memory_is_sent_as_a_file(backend, nginx):
    async def body():
        async with backend.client() as client:
            assert (await client.post(nginx.url("/echo"), content=io.BytesIO(CONTENT))).content == CONTENT
            assert (await client.post(nginx.url("/echo"), content=io.BytesIO(b""))).content == b""

    backend.run(body)


def test_a_file_of_a_form_is_sent(backend, nginx, path):
    async def body():
        with path.open("rb") as file:
            async with backend.client() as client:
                response = await client.post(nginx.url("/echo"), files={"file": file})
        assert CONTENT in response.content

    backend.run(body)


@pytest.mark.parametrize("kind", [AsyncReads, ReturnsAwaitable])
def test_asynchronous_read_is_awaited(backend, nginx, kind):
    if not backend.asynchronous:
        pytest.skip("a blocking client cannot await")

    async def body():
        async with backend.client() as client:
            assert (await client.post(nginx.url("/echo"), content=kind(CONTENT))).content == CONTENT

    backend.run(body)


def test_asynchronous_read_is_refused_by_a_blocking_client(nginx):
    with httpx_fast.Client() as client, pytest.raises(RuntimeError, match="AsyncIteratorByteStream, which this client"):
        client.post(nginx.url("/echo"), content=AsyncReads(b"a"))


def form(file: Any) -> dict[str, Any]:
    return {"files": {"file": ("name", file)}}


@pytest.mark.parametrize("arguments", [lambda file: {"content": file}, form], ids=["content", "files"])
def test_other_tasks_run_while_a_file_is_read(backend, nginx, arguments):
    """The file gives nothing before another task of the same loop has run: a loop that is blocked never ends."""
    reading, may_go = threading.Event(), threading.Event()

    class Slow(io.RawIOBase):
        def __init__(self) -> None:
            self.left = [b"", b"end", b"begin"]

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            reading.set()
            assert may_go.wait(20)
            return self.left.pop()

    async def body():
        async with backend.client() as client:

            async def send():
                response = await client.post(nginx.url("/echo"), **arguments(Slow()))
                assert b"beginend" in response.content

            async def release():
                await backend.hear(reading)
                may_go.set()

            await backend.together(send, release)

    backend.run(body)


def test_cancelled_task_ends_when_the_thread_has_read(nginx):
    """So that nothing reads a file that its user closes after the cancellation."""
    reading, may_go = threading.Event(), threading.Event()
    returned = []

    class Slow(Reads):
        def read(self, size: int) -> Any:
            reading.set()
            assert may_go.wait(20)
            returned.append(size)
            return b"x"

    async def body():
        async with httpx_fast.AsyncClient() as client:
            task = asyncio.create_task(client.post(nginx.url("/echo"), content=Slow(b"")))
            await asyncio.to_thread(reading.wait, 20)
            task.cancel()
            asyncio.get_running_loop().call_later(0, may_go.set)
            with pytest.raises(asyncio.CancelledError, match=r"^$"):
                await task
            assert len(returned) == 1

    asyncio.run(body())


def test_a_file_is_sent_again_after_a_redirect(backend, peer, path):
    def script(dialogue):
        assert dialogue.read_request().endswith(CONTENT[100:])
        dialogue.send(b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n")
        assert dialogue.read_request().endswith(CONTENT[100:])
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    async def body():
        with path.open("rb") as file:
            file.seek(100)
            async with backend.client(follow_redirects=True) as client:
                assert (await client.post(server.url("/"), content=file)).content == b"ok"

    server = peer(script)
    backend.run(body)


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (io.StringIO("text"), TypeError, "^'content' is StringIO, which gives text; open the file in binary mode"),
        (httpx_fast.Response(200), TypeError, "^'content' is Response; give its content, or what iter_bytes"),
        (Reads(b"text", bytes.decode), TypeError, r"^read\(\) of Reads returned str; expected bytes"),
        (5, TypeError, "^'content' is int; expected str, bytes, a binary file, or an iterable of bytes"),
    ],
)
def test_what_cannot_be_sent_is_refused(backend, nginx, content, error, message):
    async def body():
        async with backend.client() as client:
            with pytest.raises(error, match=message):
                await client.post(nginx.url("/echo"), content=content)

    backend.run(body)
