"""A program for a fresh interpreter: makes a request, and tells which modules were looked for after it was sent.

Its arguments are a runner's name, a JSON object of lists of a program's name, a URL and a certificate to trust or "",
and it prints one of lists of modules.
"""

from __future__ import annotations

import json
import socket
import ssl
import sys
from typing import Any

from runners import RUNNERS

import httpx_fast

sent = False
sought: list[str] = []


class Sentinel:
    """The first that is asked for a module that is not there yet."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if sent:
            sought.append(name)


def watched(send: Any) -> Any:
    def and_mark(sock: socket.socket, *arguments: Any) -> Any:
        global sent
        result = send(sock, *arguments)
        if sock.family == socket.AF_INET:  # event loops wake themselves by others
            sent = True
        return result

    return and_mark


async def plain(client: Any, url: str) -> None:
    response = await client.get(url)
    response.raise_for_status()
    assert response.text, response
    assert response.http_version == ("HTTP/2" if url.startswith("https") else "HTTP/1.1")
    assert response.encoding, response
    assert "next" in (response.links or {"next": {}})
    assert response.elapsed
    assert response.headers["content-type"]
    assert repr(response)


async def lines(client: Any, url: str) -> None:
    async with client.stream("GET", url) as response:
        assert [line async for line in response.aiter_lines()] == ["a", "ä"]


async def as_json(client: Any, url: str) -> None:
    assert (await client.get(url)).json() == {"a": "ä"}


async def events(client: Any, url: str) -> None:
    if hasattr(client, "blocking"):
        with client.blocking.sse(url) as source:
            assert [event.data for event in source] == ["a"]
    else:
        async with client.sse(url) as source:
            assert [event.data async for event in source] == ["a"]


async def redirect(client: Any, url: str) -> None:
    response = await client.get(url, follow_redirects=True)
    assert [each.status_code for each in response.history] == [302]
    assert response.text


async def far_redirect(client: Any, url: str) -> None:
    try:
        await client.get(url, follow_redirects=True)
    except httpx_fast.TooManyRedirects as caught:
        error = caught
    assert error.request.url.host == "bücher.test"


async def next_request(client: Any, url: str) -> None:
    response = await client.get(url)
    assert response.next_request.url.path == "/end"


async def cookie(client: Any, url: str) -> None:
    await client.get(url)
    assert dict(client.cookies) == {"a": "1"}
    await client.get(url)


async def digest(client: Any, url: str) -> None:
    response = await client.get(url, auth=httpx_fast.DigestAuth("user", "secret"))
    assert [each.status_code for each in response.history] == [401]


async def fails(client: Any, url: str) -> None:
    try:
        await client.get(url)
    except httpx_fast.HTTPError as caught:
        error = caught
    assert str(error)


async def status(client: Any, url: str) -> None:
    try:
        (await client.get(url)).raise_for_status()
    except httpx_fast.HTTPStatusError as caught:
        error = caught
    assert str(error)


PROGRAMS = {
    program.__name__: program
    for program in (
        plain, lines, as_json, events, redirect, far_redirect, next_request, cookie, digest, fails, status
    )
}  # fmt: skip


def client_for(backend: Any, certificate: str) -> Any:
    options: dict[str, Any] = {"resolver": httpx_fast.StaticResolver({"xn--bcher-kva.test": "127.0.0.1"})}
    if certificate:
        options.update(verify=ssl.create_default_context(cafile=certificate), http2=True)
    make = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
    return backend.client(transport=make(**options), timeout=20, max_redirects=1)


def main(runner: str, cases: str) -> None:
    backend = RUNNERS[runner]()
    for name in ("send", "sendmsg"):
        setattr(socket.socket, name, watched(getattr(socket.socket, name)))
    sys.meta_path.insert(0, Sentinel())  # type: ignore[arg-type]

    async def body(program: str, url: str, certificate: str) -> list[str]:
        global sent
        async with client_for(backend, certificate) as client:
            if certificate:
                assert await client.warm(url) == 1
                sent = False  # that was TLS, and the protocol that it agreed to was imported
                sought.clear()
            await PROGRAMS[program](client, url)
            sent = False
        found = sought.copy()
        sought.clear()
        return found

    print(json.dumps({name: backend.run(body, *case) for name, case in json.loads(cases).items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
