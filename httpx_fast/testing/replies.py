"""Answer requests of the local server. No sockets here: a request in, a reply out.

`answer` is the default; a test passes a function of its own with the same signature to the server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from http import HTTPStatus

MAX_BYTES = 64 * 1024 * 1024  # bytes that /bytes/N makes: they are held in memory
MAX_REDIRECTS = 100  # count, of /redirect/N
CHUNKS = 5  # count, of /chunked

Field = tuple[str, str]

HELP = """\
/            this request, as JSON
/bytes/N     N bytes
/chunked     a few chunks of text, one after the other
/redirect/N  N redirects that end at /
/status/N    an empty reply with this status code
"""


@dataclass(frozen=True)
class Request:
    """Hold a request that a client sent. `connection` and `nth` count from 1: the n-th request on that connection."""

    method: str
    target: str
    http_version: str
    fields: list[Field]
    body: bytes
    connection: int
    nth: int
    tls_version: str | None
    stream: int = 0  #: number of the HTTP/2 stream, whose `fields` begin with the pseudo fields; 0 for HTTP/1.1

    def field(self, name: str) -> str | None:
        """Return the value of the first field line with this name in any case, None if there is none."""
        return next((value for each, value in self.fields if each.lower() == name.lower()), None)


@dataclass(frozen=True)
class Reply:
    """Hold a reply for the server to send. A body of several pieces is sent chunked, one chunk for each."""

    status: int = 200
    fields: list[Field] = field(default_factory=list[Field])
    body: bytes | Iterable[bytes] = b""


def text(status: int, content: str) -> Reply:
    return Reply(status, [("Content-Type", "text/plain; charset=utf-8")], content.encode())


def answer(request: Request) -> Reply:
    """Return the default reply to a request, chosen by its path: `HELP` lists the paths. Others get `HELP` with 404."""
    path = request.target.partition("?")[0]
    kind, _, argument = path.removeprefix("/").partition("/")
    if path == "/":
        return _greeting(request)
    if path == "/chunked":
        pieces = [f"chunk {number} of {CHUNKS}\n".encode() for number in range(1, CHUNKS + 1)]
        return Reply(200, [("Content-Type", "text/plain; charset=utf-8")], pieces)
    if kind in _COUNTED:
        lowest, highest, reply = _COUNTED[kind]
        if argument.isascii() and argument.isdigit() and lowest <= int(argument[:12]) <= highest:
            return reply(int(argument))
        return text(400, f"/{kind}/N takes a number from {lowest} to {highest}, not {argument[:64]!r}\n")
    return text(404, HELP)


def _greeting(request: Request) -> Reply:
    told = {
        "message": "Hello from the local server of httpx-fast.",
        "method": request.method,
        "target": request.target,
        "http_version": request.http_version,
        "tls_version": request.tls_version,
        "headers": {name: ", ".join(v for n, v in request.fields if n == name) for name, _ in request.fields},
        "body": request.body.decode("utf-8", "backslashreplace"),
        "connection": request.connection,
        "request_on_connection": request.nth,
    }
    return Reply(200, [("Content-Type", "application/json")], json.dumps(told).encode())


def _bytes(size: int) -> Reply:
    return Reply(200, [("Content-Type", "application/octet-stream")], (bytes(range(256)) * (size // 256 + 1))[:size])


def _redirect(times: int) -> Reply:
    target = f"/redirect/{times - 1}" if times > 1 else "/"
    return Reply(302, [("Location", target)])


# Statuses below 200 announce a reply and are none.
_COUNTED = {
    "bytes": (0, MAX_BYTES, _bytes),
    "redirect": (1, MAX_REDIRECTS, _redirect),
    "status": (200, 599, Reply),
}


def reason(status: int) -> str:
    """Return the reason phrase of a status, "" for an unknown one."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
