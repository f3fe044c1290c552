"""WebSockets with an ASGI application in this process, and the names that httpx2 has."""

from __future__ import annotations

import inspect

import pytest

import httpx_fast
from httpx_fast import websockets
from httpx_fast.websockets import ASGIWebSocketTransport, WebSocketDisconnect, WebSocketUpgradeError


@pytest.fixture
def world(backend):
    if not backend.asynchronous:
        pytest.skip("ASGI is asynchronous")
    return backend


def connected(world, app, talk, **options):
    """Runs `talk` with a session of `app`."""
    arguments = options.pop("arguments", {})

    async def body():
        transport = ASGIWebSocketTransport(app, **options)
        async with (
            world.client(transport=transport) as client,
            client.websocket("ws://host/chat?a=b", **arguments) as session,
        ):
            await talk(session)

    world.run(body)


async def echo(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": "chat", "headers": [(b"x-path", scope["raw_path"])]})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            echo.left = (message["code"], message["reason"])
            return
        await send({**message, "type": "websocket.send"})


def test_messages_go_both_ways(world):
    async def talk(session):
        assert (session.subprotocol, session.response.headers["x-path"]) == ("chat", "/chat")
        for size in (0, 1, 125, 126, 65535, 65536, 300_000):
            await session.send_text("ü" * size)
            assert await session.receive_text(timeout=5) == "ü" * size
            await session.send_bytes(bytes(size))
            assert await session.receive_bytes(timeout=5) == bytes(size)
        await (await session.ping()).wait()
        await session.close(4000, "bye")

    connected(world, echo, talk, arguments={"subprotocols": ["chat"], "max_message_size_bytes": 1_000_000})
    assert echo.left == (4000, "bye")


def test_the_application_is_told_what_was_asked(world):
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await receive()
        await send({"type": "websocket.accept"})
        await receive()

    async def talk(session):
        assert session.subprotocol is None

    connected(world, app, talk, arguments={"subprotocols": ["a", "b"]}, root_path="/root", client=("1.2.3.4", 5))
    assert (seen["type"], seen["scheme"], seen["path"], seen["query_string"]) == ("websocket", "ws", "/chat", b"a=b")
    assert (seen["subprotocols"], seen["root_path"], seen["client"]) == (["a", "b"], "/root", ("1.2.3.4", 5))


def test_the_application_closes_with_its_code(world):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": "last"})
        await send({"type": "websocket.close", "code": 4001, "reason": "enough"})

    async def talk(session):
        assert await session.receive_text() == "last"
        with pytest.raises(WebSocketDisconnect, match="4001: enough"):
            await session.receive()

    connected(world, app, talk)


async def never(session):
    pytest.fail("it opened")


def test_a_refusal_is_a_disconnect(world):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.close", "code": 4003})

    with pytest.raises(WebSocketDisconnect, match="4003"):
        connected(world, app, never)


def test_a_denial_is_a_response(world):
    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.http.response.start", "status": 403, "headers": [(b"x-a", b"b")]})
        await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
        await send({"type": "websocket.http.response.body", "body": b"you"})

    with pytest.raises(WebSocketUpgradeError, match="answered 403") as failure:
        connected(world, app, never)
    response = failure.value.response
    assert (response.status_code, response.headers["x-a"], response.content) == (403, "b", b"not you")


def test_an_application_that_does_not_answer_is_given_up(world):
    async def app(scope, receive, send):
        while (await receive())["type"] != "websocket.disconnect":
            pass

    with pytest.raises(RuntimeError, match=r"did not accept the WebSocket within 0\.02 s"):
        connected(world, app, never, initial_receive_timeout=0.02)


async def fails(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await receive()
    raise KeyError("own")


def test_what_the_application_raises_is_raised_where_the_session_receives(world):
    async def talk(session):
        await session.send_text("x")
        with pytest.raises(KeyError, match="own"):
            await session.receive()

    connected(world, fails, talk)


def test_what_the_application_raises_can_be_a_close_code(world):
    async def talk(session):
        await session.send_text("x")
        with pytest.raises(WebSocketDisconnect, match="1011"):
            await session.receive()

    connected(world, fails, talk, raise_app_exceptions=False)


def test_other_requests_are_ordinary_ones(world):
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await send({"type": "http.response.start", "status": 204})
        await send({"type": "http.response.body"})

    async def body():
        async with world.client(transport=ASGIWebSocketTransport(app)) as client:
            assert (await client.get("http://host/")).status_code == 204

    world.run(body)


def test_all_names_of_httpx2_are_there():
    pytest.importorskip("wsproto")
    theirs = pytest.importorskip("httpx2.websockets")
    assert set(theirs.__all__) <= set(websockets.__all__)
    assert httpx_fast.Client.websocket is not None


@pytest.mark.parametrize(
    "owner",
    ["WebSocketSession", "AsyncWebSocketSession", "WebSocketClient", "AsyncWebSocketClient", "ASGIWebSocketTransport"],
)
def test_signatures_are_those_of_httpx2(owner):
    pytest.importorskip("wsproto")
    theirs = getattr(pytest.importorskip("httpx2.websockets"), owner)

    def shape(function):
        return [(each.name, each.kind) for each in inspect.signature(function).parameters.values()]

    for name, function in inspect.getmembers(theirs, inspect.isfunction):
        if not name.startswith("_") or name == "__init__":
            assert shape(getattr(getattr(websockets, owner), name)) == shape(function), name
