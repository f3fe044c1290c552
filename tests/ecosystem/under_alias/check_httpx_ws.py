"""httpx-ws: WebSockets over an application in this process."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from httpx_ws import WebSocketDisconnect, WebSocketUpgradeError, aconnect_ws
from httpx_ws.transport import ASGIWebSocketTransport
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket


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
