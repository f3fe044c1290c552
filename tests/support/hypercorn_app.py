"""An application of ASGI for tests that hypercorn serves; it imports nothing, so any interpreter runs it."""

from __future__ import annotations

from typing import Any


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["type"] == "websocket":
        await echo_messages(scope, receive, send)
        return
    path = scope["path"]
    if path == "/echo":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        more = True
        while more:
            event = await receive()
            more = event.get("more_body", False)
            await send({"type": "http.response.body", "body": event.get("body", b""), "more_body": more})
        return
    if path.startswith("/moved/"):
        await move(int(path.rpartition("/")[2]), send)
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"ok"})


async def move(size: int, send: Any) -> None:
    """Redirects to `/`, with so many bytes of content, whose length is not announced."""
    await send({"type": "http.response.start", "status": 302, "headers": [(b"location", b"/")]})
    for start in range(0, size, 65536):
        await send({"type": "http.response.body", "body": b"m" * min(65536, size - start), "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def echo_messages(scope: Any, receive: Any, send: Any) -> None:
    """Speaks `chat`, says by which version of HTTP it was asked, and sends each message back."""
    await receive()
    version = (b"x-version", scope["http_version"].encode())
    await send({"type": "websocket.accept", "subprotocol": "chat", "headers": [version]})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})
