"""HTTP/2 with the origin, through proxies: the tunnel is asked for in HTTP/1.1 or SOCKS, and TLS agrees inside it."""

from __future__ import annotations

import zlib

import pytest
from proxies import KINDS
from servers import JSON_BODY

import httpx_fast

PATIENCE = 30


@pytest.fixture(params=KINDS)
def proxy(request, peer, authority):
    """A proxy of each kind that tunnels, and the options of a client that goes through it."""
    proxying = KINDS[request.param]()
    tls = authority.server_context("127.0.0.1") if request.param == "https" else None
    at = peer(proxying, tls=tls)
    at.proxying = proxying
    hop = authority.client_context()
    origin = authority.client_context()
    url = f"{request.param}://127.0.0.1:{at.port}"
    at.options = {
        "proxy": httpx_fast.Proxy(url, ssl_context=hop if tls else None),
        "verify": origin,
        "http2": True,
        "timeout": PATIENCE,
    }
    return at


def test_one_tunnel_serves_all_requests_to_nginx(backend, nginx, proxy):
    data = bytes(range(256)) * 4000

    async def body():
        async with backend.client(**proxy.options) as client:
            await client.get(nginx.url("/tiny", "http2"))

            async def one():
                response = await client.get(nginx.url("/json", "http2"))
                assert (response.http_version, response.content) == ("HTTP/2", JSON_BODY)

            await backend.together(*[one] * 50)
            response = await client.post(nginx.url("/echo", "http2"), content=data)
            assert (response.http_version, response.content) == ("HTTP/2", data)
            assert response.journey.connection.proxy is not None
            assert response.journey.nth == 52

    backend.run(body)
    assert len(proxy.proxying.asked) == proxy.accepted == 1


def test_nghttpd_is_spoken_to_by_agreement_and_by_knowing_it_before(backend, nghttpd, nginx, proxy):
    """Cleartext goes through a tunnel of SOCKS; an HTTP proxy forwards what is not encrypted, in HTTP/1.1."""
    tls = nghttpd.url("").startswith("https")
    if not tls and "http" in str(proxy.options["proxy"].url.scheme):
        pytest.skip("an HTTP proxy is not asked for a tunnel without TLS")
    checksum = zlib.crc32(nginx.big_file.read_bytes())

    async def body():
        async with backend.client(**{**proxy.options, "http1": tls}) as client:
            response = await client.get(nghttpd.url("/f100m"))
            assert response.http_version == "HTTP/2"
            assert zlib.crc32(response.content) == checksum

    backend.run(body)


@pytest.mark.parametrize("own", [True, False], ids=["one context of the user for both", "a context of ours"])
def test_a_proxy_that_would_speak_http2_itself_is_told_http1(backend, nginx, peer, authority, monkeypatch, own):
    """A proxy is offered HTTP/1.1 alone, and the origin behind it both, by the same context."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    context = authority.client_context() if own else None
    if context is not None:
        context.set_alpn_protocols(["h2"])  # what was set before does not count
    tls = authority.server_context("127.0.0.1")
    tls.set_alpn_protocols(["h2", "http/1.1"])
    proxying = KINDS["https"]()
    at = peer(proxying, tls=tls)

    async def body():
        proxy = httpx_fast.Proxy(f"https://127.0.0.1:{at.port}", ssl_context=context)
        async with backend.client(proxy=proxy, verify=context or True, http2=True, timeout=PATIENCE) as client:
            assert (await client.get(nginx.url("/tiny", "http2"))).http_version == "HTTP/2"
            if own:
                assert (await client.get(nginx.url("/tiny"))).text == "ok"  # forwarded

    backend.run(body)
