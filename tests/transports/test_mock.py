"""The mock transport: what its handler is given, and what it may give."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response


def test_body_is_read_before_the_handler_is_called(backend):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(200, content=request.content))
        async with backend.client(transport=transport) as client:
            content = backend.content([b"a", b"b"])
            assert (await client.post("http://a.test/", content=content)).content == b"ab"

    backend.run(body)


def test_what_took_no_way_has_a_journey_without_phases(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(lambda request: Response(200))) as client:
            response = await client.get("http://a.test/")
        assert (response.journey.phases(), response.journey.total, response.journey.connection) == ({}, 0.0, None)
        assert (response.journey.reused, response.journey.nth, response.journey.attempts) == (False, 0, ())
        assert "journey" in repr(response.journey).lower()
        assert response.elapsed.total_seconds() > 0  # which is measured around the transport
        given = Response(200)
        given.journey = response.journey
        assert given.journey is response.journey

    backend.run(body)


def test_async_handler_serves_the_asynchronous_client_only(backend):
    async def handler(request):
        return Response(201)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            if backend.asynchronous:
                assert (await client.get("http://a.test/")).status_code == 201
            else:
                with pytest.raises(TypeError, match="gave coroutine: a blocking client needs"):
                    await client.get("http://a.test/")

    backend.run(body)


def test_anything_but_a_response_is_an_error(backend):
    async def nothing(request):
        return None

    async def body():
        for handler in (lambda request: "ok", nothing) if backend.asynchronous else (lambda request: "ok",):
            async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
                with pytest.raises(TypeError, match=r"the mock handler gave (str|NoneType)"):
                    await client.get("http://a.test/")

    backend.run(body)


def test_what_the_handler_raises_is_raised(backend):
    def handler(request):
        raise KeyError("mine")

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            with pytest.raises(KeyError, match="mine"):
                await client.get("http://a.test/")

    backend.run(body)


def test_base_transports_say_what_is_missing():
    request = httpx_fast.Request("GET", "http://a.test/")
    with httpx_fast.BaseTransport() as transport, pytest.raises(NotImplementedError, match="BaseTransport does not"):
        transport.handle_request(request)


def test_asynchronous_base_transport_says_what_is_missing(backend):
    if not backend.asynchronous:
        pytest.skip("the blocking one has a test of its own")

    async def body():
        async with httpx_fast.AsyncBaseTransport() as transport:
            with pytest.raises(NotImplementedError, match="AsyncBaseTransport does not"):
                await transport.handle_async_request(httpx_fast.Request("GET", "http://a.test/"))

    backend.run(body)
