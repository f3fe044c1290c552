"""Proxies of the environment that cannot be used: an error of requests, not of clients."""

from __future__ import annotations

from typing import Any

import pytest

import httpx_fast
from httpx_fast._transports.refusing import RefusingTransport, of_environment

BAD = "http://proxy.test:port"


def test_proxy_that_can_be_used_is_one() -> None:
    proxy = of_environment("http://", "http://user:secret@proxy.test:3128")
    assert isinstance(proxy, httpx_fast.Proxy)
    assert (proxy.url.host, proxy.url.port, proxy.raw_auth) == ("proxy.test", 3128, (b"user", b"secret"))


@pytest.mark.parametrize("url", [BAD, "gopher://proxy.test"])
def test_proxy_that_cannot_be_used_is_a_transport_that_refuses(url: str) -> None:
    refusing = of_environment("http://", url)
    assert isinstance(refusing, RefusingTransport)
    request = httpx_fast.Request("GET", "http://a.test/")
    with pytest.raises(
        httpx_fast.ProxyError, match="the environment's proxy for http:// URLs cannot be used"
    ) as caught:
        refusing.handle_request(request)
    assert caught.value.request is request
    with pytest.raises(httpx_fast.ProxyError, match="cannot be used"):
        refusing.warm(request)


def test_client_is_made_and_only_requests_for_the_proxy_fail(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", BAD)

    async def body() -> None:
        async with backend.client() as client:
            with pytest.raises(httpx_fast.ProxyError, match="the environment's proxy for http:// URLs cannot be used"):
                await client.get("http://a.test/")

    backend.run(body)
