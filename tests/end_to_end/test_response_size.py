"""`Limits(max_response_size=...)`: bytes as received and as decoded, whole or streamed, in every world."""

from __future__ import annotations

import gzip
import zlib

import pytest
from servers import JSON_BODY

import httpx_fast
from httpx_fast import Limits, ResponseTooLarge

SIZE = 10_000
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def limited(size: int) -> dict[str, Limits]:
    return {"limits": Limits(max_response_size=size)}


def answers(*parts: bytes):
    def script(dialogue):
        dialogue.read_request()
        for part in parts:
            dialogue.send(part)

    return script


def with_length(content: bytes, fields: bytes = b"") -> bytes:
    return b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n%b" % (fields, len(content), content)


def chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


@pytest.mark.parametrize("message", [with_length(b"x" * SIZE), CHUNKED + chunk(b"x" * SIZE) + b"0\r\n\r\n"])
def test_body_of_exactly_the_limit_is_read(backend, peer, message):
    async def body():
        async with backend.client(**limited(SIZE)) as client:
            assert (await client.get(server.url("/"))).content == b"x" * SIZE

    server = peer(answers(message))
    backend.run(body)


@pytest.mark.parametrize(
    ("message", "seen"),
    [
        (with_length(b"x" * (SIZE + 1)), f"its Content-Length is {SIZE + 1}"),
        (CHUNKED + chunk(b"x" * (SIZE + 1)), rf"{SIZE + 1} were received"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (SIZE + 1), rf"{SIZE + 1} were received"),
        (
            with_length(gzip.compress(bytes(SIZE + 1)), b"Content-Encoding: gzip\r\n"),
            rf"{SIZE + 1} were decoded of the first \d\d",
        ),
    ],
    ids=["length", "chunked", "until close", "gzip"],
)
def test_longer_body_is_an_error_that_names_its_request(backend, peer, message, seen):
    async def body():
        async with backend.client(**limited(SIZE)) as client:
            with pytest.raises(ResponseTooLarge, match=f"more than max_response_size={SIZE} bytes: {seen}") as caught:
                await client.get(server.url("/"))
            assert str(caught.value.request.url) == server.url("/")

    server = peer(answers(message))
    backend.run(body)


def test_endless_body_is_given_up_at_the_limit(backend, peer):
    sent = []

    def endless(dialogue):
        dialogue.read_request()
        dialogue.send(CHUNKED)
        try:
            for _ in range(1000):
                dialogue.send(chunk(b"x" * 65536))
                sent.append(1)
        except OSError:
            pass

    async def body():
        async with backend.client(**limited(100_000)) as client:
            with pytest.raises(ResponseTooLarge, match="were received"):
                await client.get(server.url("/"))
            assert client.pool.connections() == []

    server = peer(endless)
    backend.run(body)
    assert len(sent) < 1000


def test_bomb_is_given_up_at_the_limit_whatever_it_would_become(backend, peer):
    bomb = zlib.compressobj(wbits=31)
    data = b"".join([*(bomb.compress(bytes(1 << 20)) for _ in range(100)), bomb.flush()])
    assert len(data) < 200_000

    async def body():
        async with backend.client(**limited(200_000)) as client:
            with pytest.raises(ResponseTooLarge, match="were decoded"):
                await client.get(server.url("/"))

    server = peer(answers(with_length(data, b"Content-Encoding: gzip\r\n")))
    backend.run(body)


@pytest.mark.parametrize("method", ["aiter_bytes", "aiter_raw", "aiter_lines", "aiter_text"])
def test_streamed_body_counts_too(backend, nginx, method):
    async def body():
        async with backend.client(**limited(len(JSON_BODY) - 1)) as client:
            async with client.stream("GET", nginx.url("/json")) as response:
                with pytest.raises(ResponseTooLarge, match="Content-Length is"):
                    async for _ in getattr(response, method)():
                        pass
            assert response.is_closed
        async with (
            backend.client(**limited(len(JSON_BODY))) as client,
            client.stream("GET", nginx.url("/json")) as response,
        ):
            assert [piece async for piece in getattr(response, method)()]

    backend.run(body)


def test_answer_to_head_has_no_body_whatever_it_announces(backend, nginx):
    async def body():
        async with backend.client(**limited(0)) as client:
            response = await client.request("HEAD", nginx.url("/json"))
            assert response.headers["Content-Length"] == str(len(JSON_BODY))
            assert response.content == b""
            with pytest.raises(ResponseTooLarge, match="max_response_size=0"):
                await client.get(nginx.url("/json"))

    backend.run(body)


def test_connection_is_used_again_after_a_body_within_the_limit(backend, nginx):
    async def body():
        async with backend.client(**limited(SIZE)) as client:
            for _ in range(3):
                assert (await client.get(nginx.url("/json"))).json()
            assert len(client.pool.connections()) == 1

    backend.run(body)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, ValueError, "expected 0 or more, or None for no limit, as max_response_size, got -1"),
        ("1 MB", TypeError, "expected a number of bytes, or None for no limit, as max_response_size, got '1 MB'"),
        (True, TypeError, "expected a number of bytes, or None for no limit, as max_response_size, got True"),
        (1.5, TypeError, "expected a number of bytes, or None for no limit, as max_response_size, got 1.5"),
    ],
)
def test_what_is_no_size_is_refused(value, error, message):
    with pytest.raises(error, match=message):
        Limits(max_response_size=value)


def test_repr_and_class():
    assert repr(Limits(max_response_size=5)).endswith("keepalive_expiry=5.0, max_response_size=5)")
    assert issubclass(ResponseTooLarge, httpx_fast.RequestError)
    assert not issubclass(ResponseTooLarge, httpx_fast.TransportError)
