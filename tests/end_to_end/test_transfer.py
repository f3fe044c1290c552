"""What goes over the wire arrives whole, both ways, in every world."""

from __future__ import annotations

import json
import zlib

import pytest
from servers import BIG, JSON_BODY, MIB, Nginx

import httpx_fast

LISTENERS = pytest.mark.parametrize("listener", ["http", "https"])


@pytest.fixture(scope="module")
def checksum(nginx: Nginx) -> int:
    return zlib.crc32(nginx.big_file.read_bytes())


@pytest.fixture
def verify(authority):
    return authority.client_context()


@LISTENERS
def test_a_response_is_read_whole(backend, nginx, verify, listener):
    async def body():
        async with backend.client(verify=verify) as client:
            response = await client.get(nginx.url("/json", listener))
        assert response.status_code == 200
        assert response.http_version == "HTTP/1.1"
        assert response.content == JSON_BODY
        assert response.json() == json.loads(JSON_BODY)
        assert len(response.headers) == 12
        assert response.headers["X-Request-Id"] == "0f8fad5b-d9cb-469f-a165-70867728950e"
        assert response.is_closed

    backend.run(body)


@LISTENERS
def test_100_mib_are_read_at_once(backend, nginx, verify, checksum, listener):
    async def body():
        async with backend.client(verify=verify) as client:
            response = await client.get(nginx.url("/f100m", listener))
        assert len(response.content) == BIG * MIB
        assert zlib.crc32(response.content) == checksum

    backend.run(body)


@LISTENERS
def test_100_mib_are_streamed(backend, nginx, verify, checksum, listener):
    async def body():
        received, running, largest = 0, 0, 0
        async with (
            backend.client(verify=verify) as client,
            client.stream("GET", nginx.url("/f100m", listener)) as response,
        ):
            async for piece in response.aiter_bytes():
                received += len(piece)
                largest = max(largest, len(piece))
                running = zlib.crc32(piece, running)
        assert (received, running) == (BIG * MIB, checksum)
        assert largest < 8 * MIB  # streaming holds a part of it only

    backend.run(body)


def test_a_slow_reader_holds_the_server_up_and_misses_nothing(backend, peer):
    """More than sockets and high-water mark hold lies ready before the first piece is asked for."""
    content = bytes(range(256)) * (32 * MIB // 256)
    sent = []

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(content))
        for start in range(0, len(content), MIB):
            dialogue.send(content[start : start + MIB])
            sent.append(MIB)

    async def body():
        async with backend.client() as client, client.stream("GET", peer(script).url()) as response:
            pieces = response.aiter_raw()
            received = [await anext(pieces)]
            assert len(sent) < 32  # the peer is still at it
            received += [piece async for piece in pieces]
        assert b"".join(received) == content

    backend.run(body)


def test_a_chunked_response_is_joined(backend, nginx):
    async def body():
        async with backend.client() as client:
            response = await client.get(nginx.url("/chunked.json"))
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.content == JSON_BODY

    backend.run(body)


def test_gzip_is_decoded_and_raw_bytes_are_not(backend, nginx):
    async def body():
        async with backend.client() as client:
            response = await client.get(nginx.url("/gzip.json"))
            assert response.content == JSON_BODY * 10
            async with client.stream("GET", nginx.url("/gzip.json")) as response:
                raw = b"".join([piece async for piece in response.aiter_raw()])
        assert zlib.decompress(raw, 31) == JSON_BODY * 10

    backend.run(body)


@LISTENERS
@pytest.mark.parametrize("size", [0, 1, 65536, 20 * MIB])
def test_posted_bytes_arrive(backend, nginx, verify, listener, size):
    content = (bytes(range(256)) * (size // 256 + 1))[:size]

    async def body():
        async with backend.client(verify=verify) as client:
            response = await client.post(nginx.url("/echo", listener), content=content)
        assert response.status_code == 200
        assert response.content == content

    backend.run(body)


@LISTENERS
def test_a_posted_generator_arrives_chunked(backend, nginx, verify, listener):
    pieces = [b"one", b"", b"two" * 100_000, b"three"]

    async def body():
        async with backend.client(verify=verify) as client:
            response = await client.post(nginx.url("/echo", listener), content=backend.content(pieces))
        assert response.request.headers["Transfer-Encoding"] == "chunked"
        assert response.content == b"".join(pieces)

    backend.run(body)


def test_a_generator_with_a_known_length_is_sent_unchunked(backend, nginx):
    async def body():
        async with backend.client() as client:
            response = await client.post(
                nginx.url("/echo"), content=backend.content([b"ab", b"cd"]), headers={"Content-Length": "4"}
            )
        assert "Transfer-Encoding" not in response.request.headers
        assert response.content == b"abcd"

    backend.run(body)


def test_a_request_goes_through_a_unix_domain_socket(backend, nginx):
    async def body():
        transport = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        async with backend.client(transport=transport(uds=str(nginx.uds))) as client:
            response = await client.get("http://any.name/request-line?a=b")
        assert response.text == "GET /request-line?a=b HTTP/1.1"

    backend.run(body)


def test_a_head_response_has_no_content(backend, nginx):
    async def body():
        async with backend.client() as client:
            for _ in range(2):  # what follows on the connection is the next response
                response = await client.request("HEAD", nginx.url("/json"))
                assert (response.headers["Content-Length"], response.content) == ("1024", b"")

    backend.run(body)


def test_a_redirect_is_followed_when_asked_to(backend, nginx):
    async def body():
        async with backend.client() as client:
            response = await client.get(nginx.url("/redirect"))
            assert (response.status_code, response.is_redirect) == (302, True)
            response = await client.get(nginx.url("/redirect"), follow_redirects=True)
            assert (response.text, [each.status_code for each in response.history]) == ("ok", [302])

    backend.run(body)


def test_an_authority_that_is_not_trusted_is_refused(backend, nginx):
    async def body():
        async with backend.client() as client:
            with pytest.raises(httpx_fast.ConnectError, match=r"127\.0\.0\.1.*certificate is not accepted"):
                await client.get(nginx.url("/tiny", "https"))

    backend.run(body)
