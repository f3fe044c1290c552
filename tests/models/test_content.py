from __future__ import annotations

import asyncio
import io
import os

import anyio
import httpx2
import pytest

import httpx_fast
from httpx_fast import ByteStream, StreamClosed, StreamConsumed
from httpx_fast._content import (
    AsyncIteratorByteStream,
    IteratorByteStream,
    UnattachedStream,
    encode_json,
    encode_request,
    encode_response,
)


class AsyncFile:
    """A file that is read asynchronously, in no thread: without `wrapped` nobody can look for its length."""

    def __init__(self, content: bytes, *, name: str = "read") -> None:
        self.inner = io.BytesIO(content)
        if name == "aread":
            self.aread = self._read
        else:
            self.read = self._read

    async def _read(self, size: int) -> bytes:
        return self.inner.read(size)

    async def seek(self, offset: int) -> None:
        self.inner.seek(offset)

    def __aiter__(self):
        raise AssertionError("a file is read, not iterated")


async def collected(stream) -> list[bytes]:
    return [piece async for piece in stream]


REQUESTS = {
    "nothing": {},
    "raw": {"content": b"abc"},
    "no bytes": {"content": b""},
    "text": {"content": "ä☃"},
    "bytes in pieces": {"content": [b"a", b"b"]},
    "form": {"data": {"a": "1", "b": [2, 3], "c": ("x", None), "d": True, "e": 1.5, "ä ": "&="}},
    "empty form": {"data": {}},
    "json": {"json": {"ä": [1, None, True, 1.5], "b": "☃"}},
    "falsy json": {"json": 0},
    "empty form and json": {"data": {}, "json": []},
}
RESPONSES = {
    "nothing": {},
    "raw": {"content": b"abc"},
    "text": {"text": "ä"},
    "html": {"html": "<p>ä"},
    "json": {"json": {"a": None}},
    "empty text": {"text": ""},
    "content before text": {"content": b"a", "text": "b"},
}


@pytest.mark.filterwarnings("ignore:json will not be sent")
@pytest.mark.parametrize("case", REQUESTS)
def test_a_request_body_is_encoded_as_in_httpx2(case):
    headers, stream = encode_request(**REQUESTS[case])
    theirs, their_stream = httpx2._content.encode_request(**REQUESTS[case])
    assert list(headers.items()) == list(theirs.items())
    assert list(stream) == list(their_stream)


@pytest.mark.parametrize("case", RESPONSES)
def test_a_response_body_is_encoded_as_in_httpx2(case):
    headers, stream = encode_response(**RESPONSES[case])
    theirs, their_stream = httpx2._content.encode_response(**RESPONSES[case])
    assert list(headers.items()) == list(theirs.items())
    assert list(stream) == list(their_stream)


@pytest.mark.parametrize("content", [bytearray(b"abc"), memoryview(b"abc")])
def test_other_bytes_are_bytes(content):
    headers, stream = encode_request(content=content)
    assert headers == {"Content-Length": "3"}
    assert isinstance(stream, ByteStream)
    assert list(stream) == [b"abc"]


@pytest.mark.parametrize("content", [1, {"a": "b"}, object()])
def test_content_of_another_type_is_refused(content):
    with pytest.raises(TypeError, match=f"'content' is {type(content).__name__}; expected str, bytes"):
        encode_request(content=content)


def test_data_that_is_no_form_warns_and_is_content():
    with pytest.warns(DeprecationWarning, match="give text and bytes as 'content'"):
        headers, stream = encode_request(data=b"abc")
    assert headers == {"Content-Length": "3"}
    assert list(stream) == [b"abc"]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_json_has_no_words_for_what_is_no_number(value):
    with pytest.raises(ValueError, match="Out of range float values"):
        encode_json(value)


def test_bytes_can_be_read_again_both_ways(backend):
    stream = ByteStream(b"abc")
    for _ in range(2):
        assert list(stream) == [b"abc"]
        assert backend.run(collected, stream) == [b"abc"]


def test_pieces_of_unknown_length_are_chunked():
    headers, stream = encode_request(content=(piece for piece in (b"a", b"b")))
    assert headers == {"Transfer-Encoding": "chunked"}
    assert isinstance(stream, IteratorByteStream)
    assert isinstance(stream, httpx_fast.SyncByteStream)
    assert not isinstance(stream, httpx_fast.AsyncByteStream)
    assert list(stream) == [b"a", b"b"]


@pytest.mark.parametrize(
    "once", [lambda: (piece for piece in [b"a"]), lambda: iter([b"a"]), lambda: map(bytes, [b"a"])]
)
def test_what_gives_its_pieces_once_is_not_sent_twice(once):
    stream = IteratorByteStream(once())
    assert list(stream) == [b"a"]
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        list(stream)


def test_what_can_give_its_pieces_again_is_sent_again():
    stream = IteratorByteStream([b"a", b"b"])
    assert list(stream) == list(stream) == [b"a", b"b"]
    assert list(IteratorByteStream([])) == []


@pytest.mark.parametrize("start", [0, 2])
def test_a_file_is_sent_from_where_it_stands_as_often_as_needed(start):
    file = io.BytesIO(b"x" * 70_000)
    file.seek(start)
    headers, stream = encode_request(content=file)
    assert headers == {"Content-Length": str(70_000 - start)}
    assert file.tell() == start
    for _ in range(2):
        assert [len(piece) for piece in stream] == [65_536, 70_000 - 65_536 - start]


def test_an_empty_file_can_be_sent_twice():
    headers, stream = encode_request(content=io.BytesIO())
    assert headers == {"Content-Length": "0"}
    assert list(stream) == list(stream) == []


def test_a_pipe_has_no_length_and_is_sent_once():
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(b"abc")
    with open(reading, "rb") as file:
        headers, stream = encode_request(content=file)
        assert headers == {"Transfer-Encoding": "chunked"}
        assert list(stream) == [b"abc"]
        with pytest.raises(StreamConsumed, match="cannot be read again"):
            list(stream)


def test_asynchronous_pieces_are_chunked_and_sent_once(backend):
    async def pieces():
        yield b"a"
        yield b"b"

    headers, stream = encode_request(content=pieces())
    assert headers == {"Transfer-Encoding": "chunked"}
    assert isinstance(stream, AsyncIteratorByteStream)
    assert not isinstance(stream, httpx_fast.SyncByteStream)
    assert backend.run(collected, stream) == [b"a", b"b"]
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        backend.run(collected, stream)


def test_asynchronous_pieces_that_start_again_are_sent_again(backend):
    class Pieces:
        def __init__(self, *given: bytes) -> None:
            self.given = given

        async def __aiter__(self):
            for piece in self.given:
                yield piece

    class Once(Pieces):
        async def __aiter__(self):
            for piece in self.given:
                yield piece
            self.given = ()

    stream = AsyncIteratorByteStream(Pieces(b"a"))
    assert backend.run(collected, stream) == backend.run(collected, stream) == [b"a"]
    stream = AsyncIteratorByteStream(Once(b"a"))
    assert backend.run(collected, stream) == [b"a"]
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        backend.run(collected, stream)


@pytest.mark.parametrize("name", ["read", "aread"])
def test_an_asynchronous_file_is_read_in_large_pieces(backend, name):
    headers, stream = encode_request(content=AsyncFile(b"x" * 70_000, name=name))
    assert headers == {"Transfer-Encoding": "chunked"}
    assert [len(piece) for piece in backend.run(collected, stream)] == [65_536, 70_000 - 65_536]


def test_a_file_of_anyio_has_a_length_and_can_be_sent_again(backend, tmp_path):
    if not backend.asynchronous:
        pytest.skip("anyio needs a loop")
    (tmp_path / "file").write_bytes(b"a\nbc\n")

    async def body():
        async with await anyio.open_file(tmp_path / "file", "rb") as file:
            await file.seek(2)
            headers, stream = encode_request(content=file)
            assert headers == {"Content-Length": "3"}
            assert await collected(stream) == await collected(stream) == [b"bc\n"]

    backend.run(body)


def test_stopping_early_ends_the_users_generator(backend):
    ended = []

    async def pieces():
        try:
            yield b"a"
            yield b"b"
        finally:
            ended.append(True)

    async def body():
        stream = AsyncIteratorByteStream(pieces()).__aiter__()
        assert await anext(stream) == b"a"
        await stream.aclose()
        assert ended == [True]

    backend.run(body)


def test_the_body_of_an_unpickled_message_is_gone(backend):
    with pytest.raises(StreamClosed, match="closed"):
        list(UnattachedStream())
    with pytest.raises(StreamClosed, match="closed"):
        backend.run(collected, UnattachedStream())


def test_a_body_in_memory_is_sent_on_by_clients_of_either_kind(backend):
    """A response's `stream` is one when its body has come with its head, which the network decides."""
    sent = []

    def answer(request):
        sent.append((request.content, request.headers.get("Content-Length"), "Transfer-Encoding" in request.headers))
        return httpx_fast.Response(200)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(answer)) as client:
            await client.post("http://a.test/", content=httpx_fast.Response(200, content=b"whole").stream)

    backend.run(body)
    assert sent == [(b"whole", "5", False)]


@pytest.mark.parametrize("item", ["text", ("a", "b"), None, 5])
def test_item_of_an_asynchronous_body_that_gives_no_bytes_is_named(item):
    async def pieces():
        yield bytearray(b"a")
        yield memoryview(b"b")
        yield item

    async def read():
        return [bytes(piece) async for piece in AsyncIteratorByteStream(pieces())]

    with pytest.raises(TypeError, match=f"^an item of the body is {type(item).__name__}; expected bytes"):
        asyncio.run(read())
