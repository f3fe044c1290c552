"""HTTP/2 through the client, with servers that were not made for these tests."""

from __future__ import annotations

import zlib

import pytest
from servers import BIG, JSON_BODY, MIB

import httpx_fast


@pytest.fixture
def verify(authority):
    return authority.client_context()


@pytest.fixture
def options(verify):
    return {"verify": verify, "http2": True, "timeout": 30}


@pytest.fixture(scope="module")
def checksum(nginx):
    return zlib.crc32(nginx.big_file.read_bytes())


def test_a_response_is_read_whole(backend, nginx, options):
    async def body():
        async with backend.client(**options) as client:
            for _ in range(2):
                response = await client.get(nginx.url("/json", "http2"))
                assert (response.status_code, response.http_version) == (200, "HTTP/2")
                assert response.content == JSON_BODY
                assert response.reason_phrase == "OK"
                assert response.headers["X-Frame-Options"] == "DENY"
                assert response.is_closed
            assert response.journey.reused
            response = await client.get(nginx.url("/request-line", "http2"))
            assert response.text == "GET /request-line HTTP/2.0"

    backend.run(body)


def test_one_connection_serves_all(backend, nginx, options):
    async def body():
        async with backend.client(**options) as client:
            await client.get(nginx.url("/tiny", "http2"))

            async def one():
                assert (await client.get(nginx.url("/tiny", "http2"))).text == "ok"

            await backend.together(*[one] * 100)

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 1


def test_http1_is_spoken_where_the_server_does_not_agree(backend, nginx, options):
    async def body():
        async with backend.client(**options) as client:
            response = await client.get(nginx.url("/tiny", "https"))
            assert (response.text, response.http_version) == ("ok", "HTTP/1.1")
            response = await client.get(nginx.url("/tiny"))
            assert (response.text, response.http_version) == ("ok", "HTTP/1.1")

    backend.run(body)


def test_100_mib_are_read_and_streamed(backend, nginx, options, checksum):
    async def body():
        async with backend.client(**options) as client:
            response = await client.get(nginx.url("/f100m", "http2"))
            assert (len(response.content), zlib.crc32(response.content)) == (BIG * MIB, checksum)
            running = 0
            async with client.stream("GET", nginx.url("/f100m", "http2")) as response:
                async for piece in response.aiter_bytes():
                    running = zlib.crc32(piece, running)
            assert running == checksum

    backend.run(body)


@pytest.mark.parametrize("streamed", [False, True], ids=["data", "pieces"])
def test_what_is_sent_is_echoed(backend, nginx, options, streamed):
    data = bytes(range(256)) * 20_000

    async def body():
        content = backend.content([data[:3], b"", data[3:]]) if streamed else data
        async with backend.client(**options) as client:
            response = await client.post(nginx.url("/echo", "http2"), content=content)
            assert response.http_version == "HTTP/2"
            assert response.content == data

    backend.run(body)


def test_a_response_that_is_left_early_leaves_the_connection(backend, nginx, options):
    async def body():
        async with backend.client(**options) as client:
            for _ in range(3):
                async with client.stream("GET", nginx.url("/f100m", "http2")) as response:
                    async for _ in response.aiter_bytes():
                        break
            response = await client.get(nginx.url("/tiny", "http2"))
            assert response.text == "ok"
            assert response.journey.nth == 4

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 1


def test_slow_and_fast_readers_share_a_connection(backend, nginx, options, checksum):
    """One stops reading in the middle, and reads the rest when the others have all of theirs."""

    async def body():
        async with (
            backend.client(**options) as client,
            client.stream("GET", nginx.url("/f100m", "http2")) as slow,
        ):
            pieces = slow.aiter_bytes()
            running = zlib.crc32(await anext(pieces))
            whole = await client.get(nginx.url("/f100m", "http2"))
            assert zlib.crc32(whole.content) == checksum
            assert whole.journey.nth == 2
            async for piece in pieces:
                running = zlib.crc32(piece, running)
            assert running == checksum

    backend.run(body)


def test_nghttpd_is_spoken_to(backend, nghttpd, nginx, verify, checksum):
    """Over TLS by agreement, and in clear text by knowing it before."""
    tls = nghttpd.url("").startswith("https")

    async def body():
        async with backend.client(verify=verify, http1=tls, http2=True, timeout=30) as client:
            response = await client.get(nghttpd.url("/f100m"))
            assert response.http_version == "HTTP/2"
            assert zlib.crc32(response.content) == checksum

            async def one():
                response = await client.get(nghttpd.url("/chunked.json"))
                assert response.content == JSON_BODY

            await backend.together(*[one] * 150)
            response = await client.get(nghttpd.url("/nothing"))
            assert response.status_code == 404

    backend.run(body)


def test_own_contexts_of_the_client_offer_http2(nginx, authority, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    with httpx_fast.Client(http2=True) as client:
        assert client.get(nginx.url("/tiny", "http2")).http_version == "HTTP/2"


def test_no_protocol_at_all_is_refused():
    with pytest.raises(ValueError, match="http1=False and http2=False leave no protocol to speak"):
        httpx_fast.HTTPTransport(http1=False, http2=False)
