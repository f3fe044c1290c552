"""Event hooks: when they are called, with what, and what becomes of the response when one fails."""

from __future__ import annotations

import pytest
from peers import OK, always

import httpx_fast
from httpx_fast import Response


def hook(backend, function):
    """`function` as a hook of this world: an `async` one for asynchronous clients."""
    if not backend.asynchronous:
        return function

    async def waiting(argument):
        function(argument)

    return waiting


def handler(request):
    if request.url.path == "/start":
        return Response(302, headers={"location": "/end"})
    return Response(200, content=b"ok")


def test_hooks_see_requests_and_responses_of_each_hop(backend):
    seen = []

    async def body():
        hooks = {
            "request": [hook(backend, lambda request: seen.append(f"ask {request.url.path}"))],
            "response": [hook(backend, lambda response: seen.append(f"got {response.status_code}"))],
        }
        async with backend.client(
            transport=httpx_fast.MockTransport(handler), event_hooks=hooks, follow_redirects=True
        ) as client:
            await client.get("http://a.test/start")

    backend.run(body)
    assert seen == ["ask /start", "got 302", "ask /end", "got 200"]


def test_hooks_are_called_in_order_and_may_be_added_later(backend):
    seen = []

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            client.event_hooks["request"].append(hook(backend, lambda request: seen.append(1)))
            client.event_hooks["request"].append(hook(backend, lambda request: seen.append(2)))
            await client.get("http://a.test/")
            getattr(client, "blocking", client).event_hooks = {
                "response": [hook(backend, lambda response: seen.append(3))]
            }
            await client.get("http://a.test/")

    backend.run(body)
    assert seen == [1, 2, 3]


def test_lists_that_were_given_are_copied():
    given = {"request": []}
    client = httpx_fast.Client(event_hooks=given, transport=httpx_fast.MockTransport(handler))
    client.event_hooks["request"].append(print)
    assert given == {"request": []}
    assert client.event_hooks == {"request": [print], "response": []}


def test_what_a_hook_does_to_a_request_is_sent(backend):
    def sign(request):
        request.headers["X-Signed"] = "yes"

    def echo(request):
        return Response(200, text=request.headers["x-signed"])

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(echo), event_hooks={"request": [hook(backend, sign)]}
        ) as client:
            for _ in range(2):
                assert (await client.get("http://a.test/")).text == "yes"

    backend.run(body)


def test_hook_may_read_the_response(backend, make_body):
    answer = make_body(b"one", b"two")
    seen = []

    def blocking(response):
        seen.append(response.read())

    async def waiting(response):
        seen.append(await response.aread())

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer)),
            event_hooks={"response": [waiting if backend.asynchronous else blocking]},
        ) as client:
            assert (await client.get("http://a.test/")).content == b"onetwo"

    backend.run(body)
    assert seen == [b"onetwo"]
    assert answer.closed == 1


def test_hook_that_raises_closes_the_response(backend, make_body):
    answer = make_body(b"one")

    def fail(response):
        raise ValueError("not that one")

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer)),
            event_hooks={"response": [hook(backend, fail)]},
        ) as client:
            with pytest.raises(ValueError, match="not that one"):
                await client.get("http://a.test/")

    backend.run(body)
    assert answer.closed == 1


def test_raise_for_status_is_a_hook(backend):
    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(404)),
            event_hooks={"response": [hook(backend, lambda response: response.raise_for_status())]},
        ) as client:
            with pytest.raises(httpx_fast.HTTPStatusError, match="404"):
                await client.get("http://a.test/")

    backend.run(body)


def test_asynchronous_client_takes_plain_functions_too(backend):
    seen = []

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(handler), event_hooks={"request": [seen.append]}
        ) as client:
            await client.get("http://a.test/")

    backend.run(body)
    assert len(seen) == 1


@pytest.mark.parametrize("by", ["hook", "transport"])
def test_read_that_a_tool_replaces_is_called(backend, peer, by):
    """logfire records bodies so, from within the transport. The body has arrived whole by then."""
    server = peer(always(OK))
    seen = []

    def replace(response):
        name = "aread" if backend.asynchronous else "read"
        read = getattr(response, name)

        def reading():
            with pytest.raises(httpx_fast.ResponseNotRead):
                _ = response.content
            seen.append(response.status_code)
            return read()

        setattr(response, name, reading)

    def wrap(client):
        transport = getattr(client, "blocking", client)._transport
        name = "handle_async_request" if backend.asynchronous else "handle_request"
        handle = getattr(transport, name)

        def handling(request):
            response = handle(request)
            assert response.headers["content-length"] == "2"
            replace(response)
            return response

        async def waiting(request):
            response = await handle(request)
            assert response.headers["content-length"] == "2"
            replace(response)
            return response

        setattr(transport, name, waiting if backend.asynchronous else handling)

    async def body():
        hooks = {"response": [hook(backend, replace)]} if by == "hook" else {}
        async with backend.client(event_hooks=hooks) as client:
            if by == "transport":
                wrap(client)
            assert (await client.get(server.url())).text == "ok"
            async with client.stream("GET", server.url()) as response:
                assert await response.aread() == b"ok"
        assert seen == [200, 200]

    backend.run(body)
