"""Backends in httpcore's shape: a pool that was given none has one that tools can wrap, as guards against SSRF do."""

from __future__ import annotations

import pytest
from runners import Runner

import httpx_fast
from httpx_fast._alias import httpcore
from httpx_fast.testing import LocalServer


class Guard(httpcore.NetworkBackend):
    """Asks `allowed`, then the backend that it wraps."""

    def __init__(self, inner, allowed):
        assert inner is not None
        self.inner = inner
        self.allowed = allowed

    def connect_tcp(self, host, port, **options):
        self.allowed(host)
        return self.inner.connect_tcp("127.0.0.1", port, **options)


class AsyncGuard(httpcore.AsyncNetworkBackend):
    def __init__(self, inner, allowed):
        assert inner is not None
        self.inner = inner
        self.allowed = allowed

    async def connect_tcp(self, host, port, **options):
        self.allowed(host)
        return await self.inner.connect_tcp("127.0.0.1", port, **options)


@pytest.mark.parametrize("tls", [False, True], ids=["cleartext", "tls"])
def test_the_backend_of_a_pool_can_be_wrapped(backend: Runner, tls: bool):
    asked = []

    def allowed(host):
        asked.append(host)
        if host == "inside.test":
            raise httpcore.ConnectError("inside.test is not for you")

    async def body(server: LocalServer) -> None:
        verify = server.client_context() if tls else True
        async with backend.client(verify=verify) as client:
            pool = client._transport._pool
            pool._network_backend = (AsyncGuard if backend.asynchronous else Guard)(pool._network_backend, allowed)
            url = f"{server.url.replace('localhost', 'outside.test')}/bytes/100000"
            for _ in range(2):
                response = await client.get(url, extensions={"sni_hostname": "localhost"})
                assert len(response.content) == 100_000
            with pytest.raises(httpx_fast.ConnectError, match="not for you"):
                await client.get(server.url.replace("localhost", "inside.test"))

    with LocalServer(tls=tls) as server:
        backend.run(body, server)
    assert asked == ["outside.test", "inside.test"]


@pytest.mark.parametrize(
    ("transport", "kind"),
    [(httpx_fast.HTTPTransport, httpcore.SyncBackend), (httpx_fast.AsyncHTTPTransport, httpcore.AutoBackend)],
)
def test_what_tools_look_for_before_they_wrap(transport, kind):
    pool = transport()._pool
    assert type(pool._network_backend) is kind
    assert pool._proxy is None
    assert transport(proxy="http://p.test")._pool._proxy is not None
