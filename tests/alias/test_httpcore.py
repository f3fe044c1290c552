"""The module that stands at httpcore's name: patching its pools reaches the transports, as patching httpcore does."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest

import httpx_fast
from httpx_fast._alias import httpcore
from httpx_fast.testing import LocalServer

URL = "http://host.example:81/path?q=1"


def reply(request: httpcore.Request) -> httpcore.Response:
    told = (request.method, bytes(request.url), dict(request.headers)[b"X-Sent"], request.extensions["timeout"]["read"])
    return httpcore.Response(201, headers={"X-Got": "1"}, content=repr(told).encode(), extensions={"mark": 1})


def test_a_patched_pool_is_asked_instead_of_the_network():
    with mock.patch.object(httpcore.ConnectionPool, "handle_request", lambda self, request: reply(request)):
        response = httpx_fast.post(URL, headers={"X-Sent": "yes"}, content=b"body", timeout=3.0)
    assert (response.status_code, response.headers["X-Got"], response.extensions["mark"]) == (201, "1", 1)
    assert response.text == repr((b"POST", URL.encode(), b"yes", 3.0))


def test_a_patched_asynchronous_pool_is_asked_instead_of_the_network():
    async def handle(self: object, request: httpcore.Request) -> httpcore.Response:
        return reply(request)

    async def ask() -> httpx_fast.Response:
        async with httpx_fast.AsyncClient() as client:
            return await client.post(URL, headers={"X-Sent": "yes"}, content=b"body", timeout=3.0)

    with mock.patch.object(httpcore.AsyncConnectionPool, "handle_async_request", handle):
        response = asyncio.run(ask())
    assert response.text == repr((b"POST", URL.encode(), b"yes", 3.0))


@pytest.mark.parametrize("method", ["handle_request", "handle_async_request"])
def test_a_patch_ends_where_it_ends(method: str):
    pool, transport = {
        "handle_request": (httpcore.ConnectionPool, httpx_fast.HTTPTransport),
        "handle_async_request": (httpcore.AsyncConnectionPool, httpx_fast.AsyncHTTPTransport),
    }[method]
    before = getattr(transport, method)
    with mock.patch.object(pool, method, None):
        assert getattr(transport, method) is not before
        with mock.patch.object(pool, method, None):
            pass
        assert getattr(transport, method) is not before
    assert getattr(transport, method) is before


def test_a_patch_of_the_transport_inside_of_one_of_the_pool_is_kept():
    def handle(transport: object, request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(204)

    before = httpx_fast.HTTPTransport.handle_request
    try:
        with mock.patch.object(httpcore.ConnectionPool, "handle_request", None):
            httpx_fast.HTTPTransport.handle_request = handle
        assert httpx_fast.get(URL).status_code == 204
    finally:
        httpx_fast.HTTPTransport.handle_request = before


def test_the_method_that_was_patched_sends_for_real():
    original = httpcore.ConnectionPool.handle_request
    seen = []

    def handle(self: httpcore.ConnectionPool, request: httpcore.Request) -> httpcore.Response:
        seen.append(bytes(request.url))
        return original(self, request)

    with LocalServer(tls=False) as server, mock.patch.object(httpcore.ConnectionPool, "handle_request", handle):
        response = httpx_fast.post(f"{server.url}/?q=1", content=b"body")
        streamed = httpx_fast.post(server.url, content=iter([b"pie", b"ces"]))
    assert (response.json()["target"], response.json()["body"], response.http_version) == ("/?q=1", "body", "HTTP/1.1")
    assert streamed.json()["body"] == "pieces"
    assert response.journey is not None
    assert seen == [f"{server.url}/?q=1".encode(), f"{server.url}/".encode()]


def test_urls_are_taken_apart():
    url = httpcore.URL("https://[::1]:8443/a?b")
    assert (url.scheme, url.host, url.port, url.target) == (b"https", b"::1", 8443, b"/a?b")
    assert url == httpcore.URL(scheme=b"https", host=b"::1", port=8443, target=b"/a?b")
    assert repr(url) == "URL(scheme=b'https', host=b'::1', port=8443, target=b'/a?b')"
