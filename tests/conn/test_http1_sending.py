"""How a request's head and body are framed, and cut into writes."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from httpx_fast._conn.http1_sending import _JOINED, _PIECE, Upload, in_one_write
from httpx_fast._drive import drive
from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._wire.framing import CHUNKED

HEAD = b"POST / HTTP/1.1\r\n\r\n"


class Pieces(AsyncIterator[bytes]):
    def __init__(self, *pieces: bytes) -> None:
        self._pieces = iter(pieces)

    async def __anext__(self) -> bytes:
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class Journey:
    counted = 0

    def sent_of_body(self, count: int) -> None:
        self.counted = count


def sent(body: bytes | Pieces, framing: int, journey: Journey | None = None) -> list[tuple[bytes, ...]]:
    at_once = in_one_write(HEAD, body, framing)
    if at_once is not None:
        return [tuple(map(bytes, at_once))]
    upload = Upload(HEAD, body, framing, journey)  # type: ignore[arg-type]
    writes: list[tuple[bytes, ...]] = []
    while buffers := drive(upload.next_write()):
        writes.append(tuple(map(bytes, buffers)))
    assert not drive(upload.next_write())
    return writes


def test_a_small_body_is_joined_to_its_head():
    body = bytes(_JOINED)
    assert sent(body, len(body)) == [(HEAD + body,)]


def test_a_larger_body_is_written_beside_its_head():
    body = bytes(_JOINED + 1)
    assert sent(body, len(body)) == [(HEAD, body)]


def test_a_large_body_is_written_in_pieces_that_a_deadline_can_follow():
    body = bytes(2 * _PIECE + 5)
    assert [sum(map(len, each)) for each in sent(body, len(body))] == [len(HEAD), _PIECE, _PIECE, 5]


def test_bytes_may_be_one_chunk():
    assert sent(b"12345678901", CHUNKED) == [(HEAD, b"b\r\n", b"12345678901", b"\r\n0\r\n\r\n")]
    assert sent(b"", CHUNKED) == [(HEAD, b"0\r\n\r\n")]


def test_each_piece_is_a_chunk_and_empty_ones_are_none():
    journey = Journey()
    assert sent(Pieces(b"", b"ab", b"", b"c"), CHUNKED, journey) == [
        (HEAD, b"2\r\n", b"ab", b"\r\n"),
        (b"1\r\n", b"c", b"\r\n"),
        (b"0\r\n\r\n",),
    ]
    assert journey.counted == 3
    assert sent(Pieces(), CHUNKED) == [(HEAD, b"0\r\n\r\n")]


def test_pieces_of_a_known_length_are_sent_as_they_are():
    journey = Journey()
    assert sent(Pieces(b"ab", b"", b"c"), 3, journey) == [(HEAD, b"ab"), (b"c",)]
    assert journey.counted == 3
    assert sent(Pieces(), 0) == [(HEAD,)]


def test_a_body_that_is_longer_than_its_length_is_not_sent_beyond_it():
    with pytest.raises(LocalProtocolError, match="the body is longer than its Content-Length of 2 bytes"):
        sent(Pieces(b"ab", b"c"), 2)


def test_a_body_that_is_shorter_than_its_length_is_an_error():
    with pytest.raises(LocalProtocolError, match="the body ended after 2 bytes, its Content-Length is 3"):
        sent(Pieces(b"ab"), 3)
