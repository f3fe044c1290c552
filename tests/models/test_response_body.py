"""Reading, closing and limiting the body of a response, whatever its stream is."""

from __future__ import annotations

import asyncio
import gc
import gzip
from collections.abc import AsyncIterator, Iterator

import pytest

import httpx_fast
from httpx_fast import AsyncByteStream, Response, ResponseTooLarge, StreamClosed, StreamConsumed, SyncByteStream
from httpx_fast._kernel.constants import MAX_INTERMEDIATE


class Pieces(SyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.given = self.closed = 0
        self.abandoned = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self.pieces:
            self.given += 1
            yield piece

    def close(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned = True


class AsyncPieces(AsyncByteStream):
    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.closed = 0
        self.abandoned = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self.pieces:
            yield piece

    async def aclose(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned = True


def test_reading_to_the_end_closes_and_keeps_the_content():
    stream = Pieces(b"a", b"", b"b")
    response = Response(200, stream=stream)
    assert not response.is_closed
    assert response.read() == response.read() == response.content == b"ab"
    assert (response.is_closed, response.is_stream_consumed, stream.closed) == (True, True, 1)
    assert response.num_bytes_downloaded == 2
    assert list(response.iter_bytes(1)) == [b"a", b"b"]


def test_reading_asynchronously_does_the_same():
    async def body():
        stream = AsyncPieces(b"a", b"b")
        response = Response(200, stream=stream)
        assert await response.aread() == await response.aread() == b"ab"
        assert (response.is_closed, stream.closed) == (True, 1)
        assert [piece async for piece in response.aiter_bytes(1)] == [b"a", b"b"]

    asyncio.run(body())


def test_a_stream_is_read_once():
    response = Response(200, stream=Pieces(b"a"))
    assert list(response.iter_raw()) == [b"a"]
    with pytest.raises(StreamConsumed, match="read"):
        next(response.iter_raw())
    closed = Response(200, stream=Pieces(b"a"))
    closed.close()
    with pytest.raises(StreamClosed, match="closed"):
        closed.read()


def test_stopping_early_closes():
    stream = Pieces(b"a", b"b")
    response = Response(200, stream=stream)
    pieces = response.iter_bytes()
    assert next(pieces) == b"a"
    pieces.close()
    assert (response.is_closed, stream.closed, stream.given) == (True, 1, 1)


def test_an_iterator_that_is_dropped_gives_up_the_connection():
    async def body():
        stream = AsyncPieces(b"a", b"b")
        response = Response(200, stream=stream)
        pieces = response.aiter_bytes()
        assert await anext(pieces) == b"a"
        del pieces
        for _ in range(3):  # PyPy finalizes what a collection finds, and later what that holds
            gc.collect()
        assert stream.abandoned
        assert response.is_closed

    asyncio.run(body())


def test_the_other_kind_of_stream_is_refused_in_words():
    response = Response(200, stream=AsyncPieces(b"a"))
    with pytest.raises(RuntimeError, match=r"stream is asynchronous: use aiter_\*\(\) or aread\(\)"):
        response.read()
    with pytest.raises(RuntimeError, match=r"stream is asynchronous: call aclose\(\)"):
        response.close()

    async def body():
        other = Response(200, stream=Pieces(b"a"))
        with pytest.raises(RuntimeError, match=r"stream is blocking: use iter_\*\(\)"):
            await other.aread()
        with pytest.raises(RuntimeError, match=r"blocking one: call close\(\)"):
            await other.aclose()

    asyncio.run(body())


@pytest.mark.parametrize("size", [MAX_INTERMEDIATE - 1, MAX_INTERMEDIATE, MAX_INTERMEDIATE + 1])
def test_body_of_an_intermediate_response_is_kept_up_to_a_limit(size):
    def check(response: Response) -> None:
        assert len(response.content) == min(size, MAX_INTERMEDIATE)
        assert response.is_truncated == (size > MAX_INTERMEDIATE)
        assert response.is_closed

    blocking = Response(302, stream=Pieces(b"x" * (size - 1), b"x"))
    blocking._read_intermediate()
    check(blocking)
    coded = Response(302, headers={"Content-Encoding": "gzip"}, stream=Pieces(gzip.compress(b"x" * size)))
    coded._read_intermediate()
    check(coded)
    other = Response(302, stream=AsyncPieces(b"x" * (size - 1), b"x"))
    asyncio.run(other._aread_intermediate())
    check(other)


@pytest.mark.parametrize(("limit", "fits"), [(9, False), (10, True), (11, True)])
@pytest.mark.parametrize("coded", [False, True])
def test_size_is_limited_as_received_and_decoded(limit, fits, coded):
    content = b"0123456789"
    body = gzip.compress(content) if coded else content
    headers = {"Content-Encoding": "gzip"} if coded else {}
    limit += len(body) - len(content) if coded else 0
    response = Response(200, headers=headers, stream=Pieces(body[:5], body[5:]))
    response._limit_size(limit)
    if fits:
        assert response.read() == content
        return
    with pytest.raises(ResponseTooLarge, match=f"max_response_size={limit} bytes: {len(body)} were received"):
        response.read()
    assert response.is_closed


def test_setting_a_stream_replaces_the_body():
    response = Response(200, content=b"old")
    response.stream = Pieces(b"new")
    response.is_closed = response.is_stream_consumed = False
    assert list(response.iter_raw()) == [b"new"]


def test_exceptions_of_the_stream_name_the_request():
    class Broken(Pieces):
        def __iter__(self) -> Iterator[bytes]:
            yield b"a"
            raise httpx_fast.ReadError("lost")

    request = httpx_fast.Request("GET", "http://a.test/")
    stream = Broken()
    response = Response(200, stream=stream, request=request)
    with pytest.raises(httpx_fast.ReadError, match="lost") as caught:
        response.read()
    assert caught.value.request is request
    assert stream.closed == 1
