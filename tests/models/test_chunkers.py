"""Chunks of one size, text and lines, from pieces that are cut anywhere."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpx_fast import _decoders
from httpx_fast._chunkers import ByteChunker, LineDecoder, TextChunker, TextDecoder


def test_they_are_found_where_httpx_has_them():
    for each in (ByteChunker, LineDecoder, TextChunker, TextDecoder):
        assert getattr(_decoders, each.__name__) is each


@pytest.mark.parametrize("size", [1, 2, 3, 5, 100])
def test_chunks_are_of_one_size(size):
    generator = random.Random(size)
    text = "".join(generator.choices("abcdef", k=97))
    pieces = [text[i : i + 3] for i in range(0, 30, 3)] + ["", text[30:60], text[60:]]
    for chunker, given_pieces, whole in (
        (TextChunker(size), pieces, text),
        (ByteChunker(size), [piece.encode() for piece in pieces], text.encode()),
    ):
        chunks = [chunk for piece in given_pieces for chunk in chunker.decode(piece)] + chunker.flush()
        assert chunks == [whole[i : i + size] for i in range(0, len(whole), size)]
        assert chunker.flush() == []


def test_chunks_come_as_soon_as_they_are_full():
    chunker = ByteChunker(4)
    assert chunker.decode(b"abc") == []
    assert chunker.decode(b"d") == [b"abcd"]
    assert chunker.decode(b"efghijkl") == [b"efgh", b"ijkl"]
    assert chunker.flush() == []


def test_pieces_stay_as_they_are_without_a_chunk_size():
    assert [ByteChunker().decode(piece) for piece in (b"ab", b"", b"c")] == [[b"ab"], [], [b"c"]]
    assert [TextChunker().decode(piece) for piece in ("ab", "", "c")] == [["ab"], [], ["c"]]
    assert ByteChunker().flush() == TextChunker().flush() == []


@pytest.mark.parametrize("size", [0, -1])
def test_chunk_size_is_at_least_one(size):
    for chunker in (ByteChunker, TextChunker):
        with pytest.raises(ValueError, match=f"expected a chunk_size of at least 1, got {size}"):
            chunker(size)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "shift-jis", "iso-8859-1", "ascii"])
def test_text_is_decoded_across_pieces(encoding):
    text = "plain" if encoding == "ascii" else "äé" if encoding == "iso-8859-1" else "日本語 plain"
    data = text.encode(encoding)
    decoder = TextDecoder(encoding)
    assert "".join(decoder.decode(data[i : i + 1]) for i in range(len(data))) + decoder.flush() == text


def test_text_that_is_not_valid_is_replaced():
    decoder = TextDecoder()
    assert decoder.decode(b"a\xffb\xe6\x97") == "a\ufffdb"
    assert decoder.flush() == "\ufffd"


def test_unknown_encoding_is_an_error():
    with pytest.raises(LookupError, match="unknown encoding: no-such-encoding"):
        TextDecoder("no-such-encoding")


def lines_of(decoder, pieces):
    return [line for piece in pieces for line in decoder.decode(piece)] + decoder.flush()


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([], []),
        ([""], []),
        (["a"], ["a"]),
        (["a\n"], ["a"]),
        (["a\n\nb\n"], ["a", "", "b"]),
        (["a\r\nb\rc"], ["a", "b", "c"]),
        (["a\r", "\nb"], ["a", "b"]),
        (["a\r", "b"], ["a", "b"]),
        (["a\r"], ["a"]),
        (["\r", "\r", "\n"], ["", ""]),
        (["a", "b", "c\nd"], ["abc", "d"]),
        (["a\u2028b\x85c"], ["a", "b", "c"]),
    ],
)
def test_lines(pieces, lines):
    assert lines_of(LineDecoder(), pieces) == lines


LINE_TEXT = st.lists(st.text(st.sampled_from("ab\r\n\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), max_size=6), max_size=8)


@given(LINE_TEXT)
def test_lines_are_those_of_splitlines_however_the_text_is_cut(pieces):
    assert lines_of(LineDecoder(), pieces) == "".join(pieces).splitlines()


def test_line_comes_as_soon_as_its_end():
    decoder = LineDecoder()
    assert decoder.decode("a\nb") == ["a"]
    assert decoder.decode("\n") == ["b"]
    assert decoder.decode("c\r") == []
    assert decoder.decode("d") == ["c"]
    assert decoder.flush() == ["d"]
    assert decoder.flush() == []
