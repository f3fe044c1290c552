"""HTTP/2 with servers of two more families: Node's (nghttp2 in its own way) and hypercorn (h2, on asyncio)."""

from __future__ import annotations

import pytest

import httpx_fast

PATIENCE = 30
BYTES = bytes(range(256)) * 20_000  # 5 MB


@pytest.fixture(params=["node", "hypercorn"])
def server(request, node, hypercorn):
    return {"node": node, "hypercorn": hypercorn}[request.param]


@pytest.fixture
def options(authority):
    context = authority.client_context()
    return {"verify": context, "http2": True, "timeout": PATIENCE}


def test_requests_are_answered_on_one_connection(backend, server, options):
    async def body():
        async with backend.client(**options) as client:
            for nth in (1, 2):
                response = await client.get(server.url("/tiny"))
                assert (response.http_version, response.status_code, response.text) == ("HTTP/2", 200, "ok")
                assert response.journey.nth == nth
                assert response.extensions["stream_id"] == response.journey.stream_id == 2 * nth - 1

    backend.run(body)


@pytest.mark.parametrize("streamed", [False, True], ids=["data", "pieces"])
def test_what_is_sent_is_echoed(backend, server, options, streamed):
    async def body():
        content = backend.content([BYTES[:7], b"", BYTES[7:]]) if streamed else BYTES
        async with backend.client(**options) as client:
            response = await client.post(server.url("/echo"), content=content)
            assert response.content == BYTES

    backend.run(body)


def test_200_at_once_are_answered_and_none_is_refused(backend, server, options):
    async def body():
        async with backend.client(**options) as client:

            async def one():
                response = await client.get(server.url("/tiny"))
                assert response.text == "ok"
                return len(response.journey.attempts)

            assert sum(await backend.together(*[one] * 200)) == 0

    backend.run(body)


def test_a_body_that_breaks_off_is_an_error_and_the_connection_lives_on(backend, node, options):
    async def body():
        async with backend.client(**options) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="peer reset stream 1: INTERNAL_ERROR"):
                await client.get(node.url("/reset-in-body"))
            response = await client.get(node.url("/tiny"))
            assert (response.text, response.journey.nth) == ("ok", 2)

    backend.run(body)


def test_a_stream_that_the_server_resets_fails_alone(backend, node, options):
    async def body():
        async with backend.client(**options) as client:

            async def broken():
                with pytest.raises(httpx_fast.RemoteProtocolError, match=r"peer reset stream \d+: INTERNAL_ERROR"):
                    await client.get(node.url("/reset"))

            async def whole():
                assert (await client.get(node.url("/tiny"))).text == "ok"

            await client.get(node.url("/tiny"))
            await backend.together(*[broken, whole] * 5)
            assert [info.requests for info in client.pool.connections()] == [11]

    backend.run(body)


def test_trailers_and_early_hints_are_kept(backend, node, options):
    async def body():
        async with backend.client(**options) as client:
            response = await client.get(node.url("/trailers"))
            assert (response.text, response.trailers["x-checksum"]) == ("body", "abc")
            response = await client.get(node.url("/hints"))
            assert response.text == "ok"
            (hint,) = response.informational
            assert (hint.status_code, hint.headers["link"]) == (103, "</style.css>; rel=preload")

    backend.run(body)


def test_what_runs_goes_on_after_the_server_has_said_goodbye(backend, node, options):
    async def body():
        async with backend.client(**options, limits=httpx_fast.Limits(max_connections=1)) as client:
            async with client.stream("GET", node.url("/leave")) as response:
                pieces = response.aiter_bytes()
                assert await anext(pieces) == b"first"
                other = await client.get(node.url("/go-on"))
                assert (other.text, other.journey.nth) == ("ok", 1)
                assert await anext(pieces) == b" last"
            assert client.pool.stats().open == 1

    backend.run(body)


def test_goodbye_in_anger_tells_why(backend, node, options):
    async def body():
        async with backend.client(**options) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="ENHANCE_YOUR_CALM"):
                await client.post(node.url("/leave-in-anger"))
            assert (await client.get(node.url("/tiny"))).text == "ok"

    backend.run(body)


@pytest.mark.parametrize("way", ["goaway", "gone"])
def test_a_connection_that_the_server_closes_while_idle_is_replaced(backend, node, options, way):
    """The server says GOAWAY and waits for the end, or closes the socket at once; the next request comes after that."""

    async def body():
        async with backend.client(**options) as client, backend.client(**options) as observer:
            for _ in range(3):
                response = await client.get(node.url(f"/idle-{way}"))
                assert (response.text, response.journey.nth) == ("ok", 1)
                assert (await observer.get(node.url("/idle-over"))).text == "ok"

    backend.run(body)
