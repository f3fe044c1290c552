"""What gunicorn and uvicorn serve in tests: any request is answered, and its query is written down first."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

_LOG = os.open(os.environ["SEEN_LOG"], os.O_WRONLY | os.O_APPEND)
_FIELDS = [("Content-Type", "text/plain"), ("Content-Length", "2")]


def _note(query: str) -> None:
    os.write(_LOG, f"{query}\n".encode())  # in one piece, whoever writes too


def wsgi(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    environ["wsgi.input"].read()
    _note(environ["QUERY_STRING"])
    start_response("200 OK", _FIELDS)
    return [b"ok"]


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    _note(scope["query_string"].decode())
    fields = [(name.lower().encode(), value.encode()) for name, value in _FIELDS]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"ok"})
