"""Proxy-Authorization that the user put into the request's fields: it ends at a proxy, wherever redirects lead."""

from __future__ import annotations

import pytest
from proxies import BASIC, HttpProxy

import httpx_fast

USERS = {"Proxy-Authorization": BASIC}


class Origin:
    """Notes the heads that it gets, and answers each with `answer`."""

    def __init__(self, peer, tls=None):
        self.heads = []
        self.answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        self.peer = peer(self.serve, tls=tls)

    def serve(self, dialogue):
        while head := dialogue.read_request():
            self.heads.append(head.lower())
            dialogue.send(self.answer)

    def leads_to(self, other, path="/"):
        self.answer = (
            f"HTTP/1.1 307 X\r\nLocation: {other.peer.url(path)}\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n"
        ).encode()


@pytest.fixture
def tls(authority):
    return authority.server_context("127.0.0.1", "localhost")


def follow(backend, origin, **client):
    async def body():
        async with backend.client(follow_redirects=True, headers=USERS, **client) as opened:
            response = await opened.get(origin.peer.url("/"))
            assert response.text == "ok"

    backend.run(body)


def test_redirect_from_a_forwarding_proxy_into_a_tunnel(backend, peer, tls, authority):
    proxying = HttpProxy()
    first, second = Origin(peer), Origin(peer, tls)
    first.leads_to(second)
    follow(backend, first, proxy=f"http://127.0.0.1:{peer(proxying).port}", verify=authority.client_context())
    assert [fields.get("proxy-authorization") for fields in proxying.fields] == [BASIC, None]
    assert len(first.heads) == len(second.heads) == 1
    assert b"proxy-authorization" not in first.heads[0] + second.heads[0]


def test_redirect_to_an_origin_that_the_same_proxy_forwards_to(backend, peer):
    proxying = HttpProxy(login=("user", "secret"))
    first, second = Origin(peer), Origin(peer)
    first.leads_to(second)
    follow(backend, first, proxy=f"http://127.0.0.1:{peer(proxying).port}")
    assert [fields.get("proxy-authorization") for fields in proxying.fields] == [BASIC, BASIC]
    assert b"proxy-authorization" not in first.heads[0] + second.heads[0]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_redirect_to_an_origin_without_a_proxy(backend, peer, tls, authority, scheme):
    proxying = HttpProxy()
    first, second = Origin(peer), Origin(peer, tls if scheme == "https" else None)
    first.leads_to(second)
    kind = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
    mounts = {f"all://127.0.0.1:{first.peer.port}": kind(proxy=f"http://127.0.0.1:{peer(proxying).port}")}
    follow(backend, first, mounts=mounts, verify=authority.client_context())
    assert proxying.fields[0]["proxy-authorization"] == BASIC
    assert len(second.heads) == 1
    assert b"proxy-authorization" not in first.heads[0] + second.heads[0]


def test_redirect_without_any_proxy(backend, peer):
    first, second = Origin(peer), Origin(peer)
    first.leads_to(second)
    follow(backend, first)
    assert b"proxy-authorization" not in second.heads[0]
