"""Stages yield the same pieces however the body is cut, lazily and with pauses; iterators close the response."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import platform

import pytest

from httpx_fast import AsyncByteStream, ReadTimeout, Request, Response, SyncByteStream
from httpx_fast._chunkers import LineDecoder, TextChunker
from httpx_fast._deadline import Deadline
from httpx_fast._decoders import content_decoder
from httpx_fast._models.body_iterators import (
    PAUSE,
    SLICE,
    AsyncPieces,
    BytesStage,
    TextStage,
    bytes_stage,
    check_total,
    pieces,
)

TEXT = "Zürich\r\nline two\n\u2028last €"


class Source(SyncByteStream, AsyncByteStream):
    """A stream that counts how often it is closed."""

    def __init__(self, *data: bytes) -> None:
        self.data = data
        self.closed = 0
        self.taken = 0

    def __iter__(self):
        for piece in self.data:
            self.taken += 1
            yield piece

    async def __aiter__(self):
        for piece in self.data:
            self.taken += 1
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


def run(stage, *data: bytes):
    """Return the pieces of a stage without its pauses."""
    made = itertools.chain.from_iterable([*(stage.feed(each) for each in data), stage.flush()])
    return [piece for piece in made if piece is not PAUSE]


def cuts(data: bytes):
    """Return `data` whole, byte by byte, and in two parts cut at each position."""
    yield [data]
    yield [bytes([byte]) for byte in data]
    yield from ([data[:at], data[at:]] for at in range(1, len(data)))


def test_bytes_are_the_same_at_every_cut():
    coded = gzip.compress(TEXT.encode(), mtime=0)
    for parts in cuts(coded):
        made = run(BytesStage(content_decoder(["gzip"]), 4), *parts)
        assert b"".join(made) == TEXT.encode()
        assert {len(piece) for piece in made[:-1]} == {4}


def test_text_is_the_same_at_every_cut():
    for parts in cuts(TEXT.encode()):
        assert run(TextStage(None, "utf-8", TextChunker(chunk_size=3)), *parts) == [
            TEXT[at : at + 3] for at in range(0, len(TEXT), 3)
        ]


def test_lines_are_the_same_at_every_cut():
    for parts in cuts(TEXT.encode()):
        assert run(TextStage(None, "utf-8", LineDecoder()), *parts) == TEXT.splitlines()


def test_a_long_piece_is_made_text_in_steps_with_pauses():
    made = list(TextStage(None, "utf-8", TextChunker(chunk_size=None)).feed(b"a" * (3 * SLICE + 1)))
    assert made == [PAUSE, PAUSE, PAUSE, PAUSE, "a" * (3 * SLICE + 1)]


def test_small_chunks_of_a_long_piece_are_made_lazily():
    stage = BytesStage(None, 1)
    assert [*itertools.islice(stage.feed(b"ab" * SLICE), 3)] == [b"a", b"b", b"a"]


def test_the_end_of_iteration_closes_the_response():
    source = Source(b"ab", b"c")
    response = Response(200, stream=source)
    assert [*pieces(response, bytes_stage, None)] == [b"ab", b"c"]
    assert (source.closed, response.is_closed, response.num_bytes_downloaded) == (1, True, 3)


def test_stopping_early_closes_the_response_and_reads_no_further():
    source = Source(b"ab", b"c")
    response = Response(200, stream=source)
    made = pieces(response, bytes_stage, None)
    assert next(made) == b"ab"
    made.close()
    assert (source.closed, source.taken, response.is_closed) == (1, 1, True)


def test_closing_an_asynchronous_iterator_early_closes_the_response(backend):
    source = Source(b"ab", b"c")
    response = Response(200, stream=source)

    async def body():
        made = AsyncPieces(response, bytes_stage, None)
        assert await made.__anext__() == b"ab"
        await made.aclose()
        return [piece async for piece in made]

    assert backend.run(body) == []
    assert (source.closed, source.taken, response.is_closed) == (1, 1, True)


def test_an_asynchronous_iterator_that_was_not_begun_closes_nothing(backend):
    source = Source(b"ab")
    response = Response(200, stream=source)

    async def body():
        await AsyncPieces(response, bytes_stage, None).aclose()
        assert (source.closed, response.is_closed) == (0, False)
        return await response.aread()

    assert backend.run(body) == b"ab"


def test_decoding_ends_with_the_total_of_the_request():
    request = Request("GET", "http://a.test/")
    response = Response(200, request=request)
    check_total(response)
    check_total(Response(200))
    deadline = Deadline(0.5)
    deadline.on(lambda: 1000.0)
    request._dispatch = request._dispatch.sent(lambda: None, False, deadline)
    check_total(response)
    deadline.on(lambda: 0.0).at = 1.0
    deadline._clock = lambda: 2.0
    with pytest.raises(ReadTimeout, match=r"total timed out after 1\.5 s of 0\.5 s.*the content was being decoded"):
        check_total(response)


@pytest.mark.parametrize("method", ["iter_bytes", "iter_raw"])
def test_pieces_that_need_no_decoding_are_passed_on_as_they_are(method):
    source = Source(b"first", b"", b"second")

    async def all_of(response):
        return [piece async for piece in getattr(response, f"a{method}")()]

    for read in (lambda response: list(getattr(response, method)()), lambda response: asyncio.run(all_of(response))):
        response = Response(200, stream=source)
        found = read(response)
        assert [id(piece) for piece in found] == [id(source.data[0]), id(source.data[2])]
        assert response.num_bytes_downloaded == 11
        assert response.is_closed
    assert source.closed == 2


@pytest.mark.parametrize("count", [0, 1, 15, 16, 17, 100])
def test_a_body_of_many_pieces_is_read_whole(count):
    pieces = [bytes([number]) * 65536 for number in range(count)]
    assert Response(200, stream=Source(*pieces)).read() == b"".join(pieces)
    assert asyncio.run(Response(200, stream=Source(*pieces)).aread()) == b"".join(pieces)


@pytest.mark.skipif(platform.python_implementation() == "PyPy", reason="objects go when PyPy collects them")
def test_reading_a_long_body_does_not_keep_its_pieces():
    alive = most = 0

    class Piece(bytes):
        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    class Long(Source):
        def __iter__(self):
            nonlocal alive, most
            for number in range(200):
                alive += 1
                most = max(most, alive)
                yield Piece([number] * 65536)

    content = Response(200, stream=Long()).read()
    assert len(content) == 200 * 65536
    assert alive == 0
    assert most <= 20  # those of the first MiB, and the one that is being added
