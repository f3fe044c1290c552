from __future__ import annotations

import gc
import re

import pytest
import vectors

from httpx_fast._exceptions import RemoteProtocolError
from httpx_fast._kernel import constants

READ = vectors.read("chunks")
REFUSED = vectors.read("chunks_refused")


def decode(decoder, data, way):
    """Content, and the position after the last byte that was consumed."""
    content, at = b"", 0
    for available in way:
        piece, at = decoder.feed(data, at, available)
        content += piece
        if decoder.done:
            break
        assert at == available
    return content, at


def test_documents_hold_cases():
    assert len(READ) > 10
    assert len(REFUSED) > 30
    assert all(vector.error for vector in REFUSED)


@pytest.mark.parametrize("vector", READ, ids=str)
def test_body_is_decoded_however_it_comes(kernel, ways, vector):
    data = vector.data + vector.rest
    for way in ways(data):
        decoder = kernel.ChunkedDecoder()
        assert decode(decoder, data, way) == (vector.content, len(vector.data))
        assert decoder.done
        assert decoder.trailers == vector.fields


@pytest.mark.parametrize("vector", READ, ids=str)
def test_body_is_done_with_its_last_byte_and_not_before(kernel, vector):
    decoder = kernel.ChunkedDecoder()
    before = len(vector.data) - 1
    assert decoder.feed(vector.data, 0, before)[1] == before
    assert not decoder.done
    assert decoder.trailers == []
    assert decoder.feed(vector.data, before, before + 1)[1] == before + 1
    assert decoder.done


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_body_is_refused_however_it_comes(kernel, ways, vector):
    for way in ways(vector.data):
        with pytest.raises(RemoteProtocolError, match=re.escape(vector.error)):
            decode(kernel.ChunkedDecoder(), vector.data, way)


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_content_before_a_fault_is_given_out(kernel, vector):
    decoder, content = kernel.ChunkedDecoder(), b""
    with pytest.raises(RemoteProtocolError, match=re.escape(vector.error)):
        for at in range(len(vector.data)):
            content += decoder.feed(vector.data, at, at + 1)[0]
    assert content == vector.content


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_content_before_a_fault_in_the_same_bytes_is_salvaged(kernel, vector):
    decoder = kernel.ChunkedDecoder()
    assert decoder.salvaged == b""
    with pytest.raises(RemoteProtocolError, match=re.escape(vector.error)):
        decoder.feed(vector.data, 0, len(vector.data))
    assert decoder.salvaged == vector.content
    decoder.reset()
    assert decoder.salvaged == b""


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes_come_in_any_buffer(kernel, wrap):
    assert kernel.ChunkedDecoder().feed(wrap(b"..1\r\nx\r\n0\r\n\r\n.."), 2, 15) == (b"x", 13)


def test_content_outlives_the_bytes_it_came_in(kernel):
    data = bytearray(b"3\r\nabc\r\n3\r\ndef")
    content, _ = kernel.ChunkedDecoder().feed(data, 0, len(data))
    data[:] = b"." * len(data)
    gc.collect()  # PyPy lets go of views no sooner, which forbid what follows
    data.clear()
    assert content == b"abcdef"


def test_nothing_is_decoded_from_nothing(kernel):
    decoder = kernel.ChunkedDecoder()
    assert decoder.feed(b"", 0, 0) == (b"", 0)
    assert decoder.feed(b"5\r\nhello", 8, 8) == (b"", 8)


def test_nothing_is_consumed_after_the_end(kernel):
    decoder = kernel.ChunkedDecoder()
    assert decoder.feed(b"0\r\n\r\n5\r\nhello", 0, 13) == (b"", 5)
    assert decoder.feed(b"0\r\n\r\n5\r\nhello", 5, 13) == (b"", 5)


def test_reset_begins_a_new_body(kernel):
    decoder = kernel.ChunkedDecoder()
    first = b"1;" + b"a" * constants.MAX_CHUNK_EXTENSION
    decoder.feed(first[:-1], 0, len(first) - 1)
    decoder.reset()
    whole = b"1;" + b"a" * 100 + b"\r\nx\r\n0\r\nA: b\r\n\r\n"
    assert decoder.feed(whole, 0, len(whole))[0] == b"x"
    trailers = decoder.trailers
    decoder.reset()
    assert (decoder.done, decoder.trailers, trailers) == (False, [], [(b"A", b"b")])
    assert decoder.feed(b"2\r\nxy\r\n0\r\n\r\n", 0, 12) == (b"xy", 12)
    assert decoder.trailers == []


@pytest.mark.parametrize(
    "unended", [b"5", b"5\r", b"5;a", b'5;a="', b"5\r\nhe", b"5\r\nhello\r", b"0\r\n", b"0\r\nA: b\r"]
)
def test_reset_forgets_where_a_body_stood(kernel, unended):
    decoder = kernel.ChunkedDecoder()
    decoder.feed(unended, 0, len(unended))
    decoder.reset()
    assert decoder.feed(b"1\r\nx\r\n0\r\n\r\n", 0, 11) == (b"x", 11)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2), (0, 6), (6, 6)])
def test_range_outside_of_the_buffer_is_an_error(kernel, start, end):
    with pytest.raises(ValueError, match=f"bytes {start} to {end} of 5 cannot be read"):
        kernel.ChunkedDecoder().feed(b"0\r\n\r\n", start, end)


def test_what_is_no_buffer_is_an_error(kernel):
    with pytest.raises(TypeError, match="bytes-like"):
        kernel.ChunkedDecoder().feed("0\r\n\r\n", 0, 5)


@pytest.mark.parametrize("count", [1, 2, 3, 100])
def test_large_chunks_come_out_as_they_went_in(kernel, count):
    chunk = bytes(range(256)) * 257
    data = (b"%x\r\n%b\r\n" % (len(chunk), chunk)) * count + b"0\r\n\r\n"
    decoder = kernel.ChunkedDecoder()
    assert decode(decoder, data, [*range(0, len(data), 65536), len(data)]) == (chunk * count, len(data))
    assert kernel.ChunkedDecoder().feed(data, 0, len(data)) == (chunk * count, len(data))


@pytest.mark.parametrize("size", [2**63 - 1, 2**63, 2**64 - 1])
def test_largest_chunk_sizes_are_taken_at_their_word(kernel, size):
    data = b"%x\r\nabc" % size
    decoder = kernel.ChunkedDecoder()
    assert decoder.feed(data, 0, len(data)) == (b"abc", len(data))
    assert decoder.feed(b"\r\n0\r\n\r\n", 0, 7) == (b"\r\n0\r\n\r\n", 7)


@pytest.mark.parametrize("way", ["whole", "data"])
@pytest.mark.parametrize("digits", [constants.MAX_CHUNK_SIZE_DIGITS - 1, constants.MAX_CHUNK_SIZE_DIGITS])
def test_chunk_size_up_to_16_digits_is_read(kernel, digits, way):
    data = b"1".rjust(digits, b"0") + b"\r\nx\r\n0\r\n\r\n"
    cuts = range(len(data) + 1) if way == "data" else [len(data)]
    assert decode(kernel.ChunkedDecoder(), data, cuts) == (b"x", len(data))


@pytest.mark.parametrize("size", [b"0" * 16 + b"1", b"1" + b"0" * 16, b"f" * 17])
def test_chunk_size_over_16_digits_is_rejected(kernel, size):
    with pytest.raises(RemoteProtocolError, match="a chunk size has more than 16 digits"):
        kernel.ChunkedDecoder().feed(size + b"\r\n", 0, 19)


@pytest.mark.parametrize("size", [constants.MAX_CHUNK_EXTENSION - 1, constants.MAX_CHUNK_EXTENSION])
def test_extension_up_to_the_limit_is_skipped(kernel, size):
    data = b"1" + b";".ljust(size, b"a") + b"\r\nx\r\n0\r\n\r\n"
    assert kernel.ChunkedDecoder().feed(data, 0, len(data)) == (b"x", len(data))


@pytest.mark.parametrize("start", [b";a", b" \t", b';a="'])
def test_extension_over_the_limit_is_refused(kernel, start):
    data = b"1" + start.ljust(constants.MAX_CHUNK_EXTENSION + 1, b" ")
    assert kernel.ChunkedDecoder().feed(data, 0, len(data) - 1) == (b"", len(data) - 1)
    with pytest.raises(RemoteProtocolError, match="the chunk extensions of this message take more than 16384 bytes"):
        kernel.ChunkedDecoder().feed(data, 0, len(data))


@pytest.mark.parametrize("extension", [b";abcdefghijklmno", b" " * 16, b';a="bcdefghijkl"'])
def test_extensions_count_over_the_whole_message(kernel, extension):
    chunks = (b"1" + extension + b"\r\nx\r\n") * (constants.MAX_CHUNK_EXTENSION // 16)
    last = chunks + b"0\r\n\r\n"
    assert kernel.ChunkedDecoder().feed(last, 0, len(last)) == (b"x" * 1024, len(last))
    with pytest.raises(RemoteProtocolError, match="the chunk extensions of this message take more than 16384 bytes"):
        kernel.ChunkedDecoder().feed(chunks + b"0 ", 0, len(chunks) + 2)


def trailers_of_size(size):
    return b"A: ".ljust(size - 4, b"x") + b"\r\n\r\n"


@pytest.mark.parametrize("size", [constants.MAX_HEAD_SIZE - 1, constants.MAX_HEAD_SIZE])
@pytest.mark.parametrize("cut", [3, 4, 40_000])
def test_trailer_section_up_to_the_largest_size_is_read(kernel, size, cut):
    data = b"0\r\n" + trailers_of_size(size) + b"rest"
    decoder = kernel.ChunkedDecoder()
    assert decode(decoder, data, [cut, len(data)]) == (b"", 3 + size)
    assert len(decoder.trailers) == 1


@pytest.mark.parametrize("way", ["whole", "cut", "to the limit"])
def test_trailer_section_over_the_largest_size_is_refused(kernel, way):
    data = b"0\r\n" + trailers_of_size(constants.MAX_HEAD_SIZE + 1)
    ways = {"whole": [len(data)], "cut": [40_000, len(data)], "to the limit": [3 + constants.MAX_HEAD_SIZE]}
    with pytest.raises(RemoteProtocolError, match="the trailer section has not ended after 102400 bytes"):
        decode(kernel.ChunkedDecoder(), data, ways[way])


@pytest.mark.parametrize("limit", [60, 9000, 200_000])
@pytest.mark.parametrize("cut", [0, 3, 40])
def test_largest_size_of_a_trailer_section_can_be_set(kernel, limit, cut):
    decoder = kernel.ChunkedDecoder(limit)
    for _ in range(2):
        data = b"0\r\n" + trailers_of_size(limit) + b"rest"
        assert decode(decoder, data, [cut, len(data)]) == (b"", 3 + limit)
        decoder.reset()
    data = b"0\r\n" + trailers_of_size(limit + 1)
    for way in ([len(data)], [cut, len(data)], [3 + limit]):
        with pytest.raises(RemoteProtocolError, match=f"the trailer section has not ended after {limit} bytes"):
            decode(kernel.ChunkedDecoder(max_trailers=limit), data, way)


@pytest.mark.parametrize("count", [constants.MAX_FIELDS - 1, constants.MAX_FIELDS])
def test_trailers_up_to_the_highest_count_are_read(kernel, count):
    data = b"0\r\n" + b"a: b\r\n" * count + b"\r\n"
    decoder = kernel.ChunkedDecoder()
    assert decoder.feed(data, 0, len(data)) == (b"", len(data))
    assert decoder.trailers == [(b"a", b"b")] * count


def test_trailer_over_the_highest_count_is_refused(kernel):
    data = b"0\r\n" + b"a: b\r\n" * (constants.MAX_FIELDS + 1) + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="the trailer section has more than 1000 field lines"):
        kernel.ChunkedDecoder().feed(data, 0, len(data))


def test_refusal_shows_at_most_64_bytes(kernel):
    with pytest.raises(RemoteProtocolError, match=re.escape(f"got {b'z' * 64!r}...") + "$"):
        kernel.ChunkedDecoder().feed(b"z" * 65, 0, 65)
    with pytest.raises(RemoteProtocolError, match=re.escape(f"got {b'z' * 64!r}") + "$"):
        kernel.ChunkedDecoder().feed(b"z" * 64, 0, 64)
