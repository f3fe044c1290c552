"""Fields for a proxy: those that CONNECT cannot have are refused."""

from __future__ import annotations

from typing import Any

import pytest

import httpx_fast


def hosts(request: bytes) -> list[bytes]:
    return [line for line in request.split(b"\r\n") if line.lower().startswith(b"host:")]


@pytest.mark.parametrize("headers", [{"Content-Length": "5"}, {"Transfer-Encoding": "gzip"}, {"X-A": "b\0"}])
def test_headers_of_a_proxy_that_no_connect_can_have_are_refused(headers: dict[str, str]) -> None:
    proxy = httpx_fast.Proxy("http://127.0.0.1:1", headers=headers)
    with pytest.raises(ValueError, match="the headers of a proxy"):
        httpx_fast.HTTPTransport(proxy=proxy)


def test_host_among_the_headers_of_a_proxy_takes_the_place_of_ours(backend: Any, peer: Any) -> None:
    seen: list[bytes] = []

    def script(dialogue: Any) -> None:
        seen.append(dialogue.read_request())
        dialogue.send(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

    proxy = httpx_fast.Proxy(f"http://127.0.0.1:{peer(script).port}", headers={"Host": "gate.example"})

    async def body() -> None:
        async with backend.client(proxy=proxy) as client:
            with pytest.raises(httpx_fast.ProxyError, match="502"):
                await client.get("https://origin.example/")

    backend.run(body)
    assert seen[0].startswith(b"CONNECT origin.example:443 HTTP/1.1\r\n")
    assert hosts(seen[0]) == [b"Host: gate.example"]
