"""httpx-ws: WebSockets over connections of ours, and over an application in this process."""

from __future__ import annotations

import asyncio

import httpx
import pytest
import wsproto
from httpx_ws import WebSocketDisconnect, WebSocketUpgradeError, aconnect_ws, connect_ws
from httpx_ws.transport import ASGIWebSocketTransport
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from wsproto import events


async def echo(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text((await socket.receive_text())[::-1])
    await socket.close(4002, "enough")


async def plain(request: object) -> PlainTextResponse:
    return PlainTextResponse("no WebSocket here")


app = Starlette(routes=[WebSocketRoute("/echo", echo), Route("/plain", plain)])


def test_messages_go_both_ways_until_the_application_ends_it():
    async def talk() -> str:
        async with (
            httpx.AsyncClient(transport=ASGIWebSocketTransport(app)) as client,
            aconnect_ws("http://host/echo", client) as session,
        ):
            await session.send_text("hello")
            said = await session.receive_text()
            with pytest.raises(WebSocketDisconnect) as caught:
                await session.receive_text()
        assert (caught.value.code, caught.value.reason) == (4002, "enough")
        return said

    assert asyncio.run(talk()) == "olleh"


def test_other_requests_go_to_the_same_application():
    async def ask() -> str:
        async with httpx.AsyncClient(transport=ASGIWebSocketTransport(app)) as client:
            return (await client.get("http://host/plain")).text

    assert asyncio.run(ask()) == "no WebSocket here"
    assert issubclass(WebSocketUpgradeError, Exception)


def reversing(dialogue) -> None:
    """A WebSocket server: greets in the packet of its acceptance, then sends each message back in reverse."""
    server = wsproto.WSConnection(wsproto.ConnectionType.SERVER)
    message = ""
    while received := dialogue.connection.recv(65536):
        server.receive_data(received)
        for event in server.events():
            if isinstance(event, events.Request):
                greeting = events.TextMessage("welcome to " + event.target)
                accepted = events.AcceptConnection(subprotocol=next(iter(event.subprotocols), None))
                dialogue.send(server.send(accepted) + server.send(greeting))
            elif isinstance(event, events.TextMessage):
                message += event.data
                if event.message_finished:
                    dialogue.send(server.send(events.TextMessage(message[::-1])))
                    message = ""
            elif isinstance(event, events.Ping):
                dialogue.send(server.send(event.response()))
            elif isinstance(event, events.CloseConnection):
                dialogue.send(server.send(event.response()))
                return


def refusing(dialogue) -> None:
    dialogue.read_request()
    dialogue.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
    dialogue.wait_for_close()


def test_a_blocking_session_over_a_connection_of_ours(peer):
    url = f"ws://127.0.0.1:{peer(reversing).port}/chat?a=1"
    with httpx.Client() as client, connect_ws(url, client, subprotocols=["chat"]) as session:
        assert session.subprotocol == "chat"
        assert session.receive_text(timeout=20) == "welcome to /chat?a=1"
        for message in ("hello", "x" * 70_000):
            session.send_text(message)
            assert session.receive_text(timeout=20) == message[::-1]
        assert session.ping().wait(20)


def test_an_asynchronous_session_over_a_connection_of_ours(peer):
    url = f"ws://127.0.0.1:{peer(reversing).port}/chat"

    async def talk() -> list[str]:
        async with httpx.AsyncClient() as client, aconnect_ws(url, client) as session:
            said = [await session.receive_text()]
            for message in ("hello", "x" * 70_000):
                await session.send_text(message)
                said.append(await session.receive_text())
            await (await session.ping()).wait()
            return said

    assert asyncio.run(talk()) == ["welcome to /chat", "olleh", "x" * 70_000]


def test_a_refused_upgrade_is_told_with_its_response(peer):
    url = f"ws://127.0.0.1:{peer(refusing).port}/"
    with httpx.Client() as client, pytest.raises(WebSocketUpgradeError) as caught, connect_ws(url, client):
        pytest.fail("there is no session")
    assert caught.value.response.status_code == 403
