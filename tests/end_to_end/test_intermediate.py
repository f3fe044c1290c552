"""Responses that are not the last: redirects and authentication rounds are read up to a limit, then given up."""

from __future__ import annotations

import contextlib
import gzip
import itertools

import pytest
from peers import answering

import httpx_fast
from httpx_fast._kernel.constants import MAX_INTERMEDIATE

REDIRECT = "302 Found\r\nLocation: /end"
CHALLENGE = '401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'
DIGEST = httpx_fast.DigestAuth("user", "secret")
LAST = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlast"
#: What the first response is, and how the request is made that goes on from it.
KINDS = {"redirect": (REDIRECT, {"follow_redirects": True}), "challenge": (CHALLENGE, {"auth": DIGEST})}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


def whole(status, content, *fields):
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(content)}", "", ""]
    return "\r\n".join(lines).encode() + content


def chunked(status, content):
    chunk = f"{len(content):x}\r\n".encode() + content + b"\r\n" if content else b""
    return f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunk + b"0\r\n\r\n"


async def ask(client, url, options, *, stream=False):
    """The last response, and the one before it."""
    if stream:
        async with client.stream("GET", url, **options) as response:
            assert await response.aread() == b"last"
    else:
        response = await client.get(url, **options)
        assert response.content == b"last"
    assert response.status_code == 200
    assert not response.is_truncated
    (before,) = response.history
    return before


@pytest.mark.parametrize("make", [whole, chunked])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [0, 1000, MAX_INTERMEDIATE - 1, MAX_INTERMEDIATE])
def test_a_body_up_to_the_limit_is_kept_and_its_connection_too(backend, peer, kind, make, stream, size):
    status, options = kind
    server = peer(answering(make(status, b"m" * size), LAST))

    async def body():
        async with backend.client() as client:
            before = await ask(client, server.url(), options, stream=stream)
            assert before.content == b"m" * size
            assert not before.is_truncated
            assert before.is_closed

    backend.run(body)
    assert server.accepted == 1


@pytest.mark.parametrize("make", [whole, chunked])
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("size", [MAX_INTERMEDIATE + 1, 4 * MAX_INTERMEDIATE])
def test_a_longer_body_is_given_up_and_its_connection_too(backend, peer, kind, make, stream, size):
    status, options = kind
    server = peer(answering(make(status, b"m" * size)), answering(LAST))

    async def body():
        async with backend.client() as client:
            before = await ask(client, server.url(), options, stream=stream)
            assert before.content == b"m" * MAX_INTERMEDIATE
            assert before.is_truncated
            assert before.is_closed

    backend.run(body)
    assert server.accepted == 2


def test_a_body_that_never_ends_is_given_up(backend, peer, kind):
    status, options = kind

    def endless(dialogue):
        dialogue.read_request()
        dialogue.send(f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            for _ in itertools.count():
                dialogue.send(b"10000\r\n" + b"m" * 65536 + b"\r\n")

    server = peer(endless, answering(LAST))

    async def body():
        async with backend.client() as client:
            before = await ask(client, server.url(), options)
            assert before.is_truncated
            assert len(before.content) == MAX_INTERMEDIATE
        assert server.closed[0].wait(20)

    backend.run(body)


@pytest.mark.parametrize("repeated", [1, 20])
def test_the_limit_is_of_decoded_content(backend, peer, kind, repeated):
    status, options = kind
    bomb = gzip.compress(bytes(MAX_INTERMEDIATE + 1)) * repeated
    assert len(bomb) < 40_000
    server = peer(answering(whole(status, bomb, "Content-Encoding: gzip"), LAST), answering(LAST))

    async def body():
        async with backend.client() as client:
            before = await ask(client, server.url(), options)
            assert before.content == bytes(MAX_INTERMEDIATE)
            assert before.is_truncated

    backend.run(body)


def test_a_flow_that_wants_the_body_gets_all_of_it(backend, peer):
    class Wants(httpx_fast.Auth):
        requires_response_body = True

        def auth_flow(self, request):
            response = yield request
            assert len(response.content) == 3 * MAX_INTERMEDIATE
            assert not response.is_truncated
            yield request

    server = peer(answering(whole("403 Forbidden", b"m" * (3 * MAX_INTERMEDIATE)), LAST))

    async def body():
        async with backend.client() as client:
            await ask(client, server.url(), {"auth": Wants()})

    backend.run(body)
    assert server.accepted == 1


@pytest.mark.parametrize("make", [whole, chunked])
@pytest.mark.parametrize("status", [REDIRECT, CHALLENGE, "404 Not Found", "500 Oops"])
@pytest.mark.parametrize("size", [MAX_INTERMEDIATE - 1, 3 * MAX_INTERMEDIATE])
def test_the_last_response_is_read_whole_whatever_its_status(backend, peer, make, status, size):
    server = peer(answering(make(status, b"m" * size), LAST))

    async def body():
        async with backend.client() as client:
            response = await client.get(server.url())
            assert response.content == b"m" * size
            assert not response.is_truncated
            assert (await client.get(server.url())).content == b"last"

    backend.run(body)
    assert server.accepted == 1


@pytest.mark.parametrize(
    "size", [0, MAX_INTERMEDIATE - 1, MAX_INTERMEDIATE, MAX_INTERMEDIATE + 1, 32 * MAX_INTERMEDIATE]
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_stream_of_http2_is_reset_and_its_connection_lives_on(backend, hypercorn, authority, size, stream):
    async def body():
        async with backend.client(verify=authority.client_context(), http2=True) as client:
            for _ in range(2):
                request = client.build_request("GET", hypercorn.url(f"/moved/{size}"))
                response = await client.send(request, follow_redirects=True, stream=stream)
                await response.aread()
                assert response.content == b"ok"
                assert response.http_version == "HTTP/2"
                (before,) = response.history
                assert before.content == b"m" * min(size, MAX_INTERMEDIATE)
                assert before.is_truncated is (size > MAX_INTERMEDIATE)
                assert response.journey.connection is before.journey.connection

    backend.run(body)


def test_a_transport_of_the_users_is_read_no_further_either(backend):
    given = 0

    class Endless(httpx_fast.SyncByteStream, httpx_fast.AsyncByteStream):
        closed = False

        def __iter__(self):
            nonlocal given
            while True:
                given += 65536
                yield bytes(65536)

        async def __aiter__(self):
            for piece in self:
                yield piece

        def close(self):
            self.closed = True

        async def aclose(self):
            self.closed = True

    stream = Endless()

    def handler(request):
        if request.url.path == "/end":
            return httpx_fast.Response(200, content=b"last")
        return httpx_fast.Response(302, headers={"Location": "/end"}, stream=stream)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            before = await ask(client, "http://a.test/", {"follow_redirects": True})
            assert before.is_truncated
            assert len(before.content) == MAX_INTERMEDIATE

    backend.run(body)
    assert stream.closed
    assert given == MAX_INTERMEDIATE + 65536
