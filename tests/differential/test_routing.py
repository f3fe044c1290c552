"""Which transport a URL goes to: by mounts, and by the environment's proxies."""

from __future__ import annotations

import itertools

import httpx2
import pytest

import httpx_fast

URLS = [
    "http://a.test/",
    "https://a.test/",
    "http://a.test:8080/",
    "https://www.a.test/",
    "http://xa.test/",
    "http://deep.www.a.test:8080/",
    "http://127.0.0.1/",
    "http://127.0.0.1:8080/",
    "http://10.1.2.3/",
    "http://192.168.1.1/",
    "http://[::1]/",
    "http://[fd00::1]:8080/",
    "http://localhost/",
    "https://LOCALHOST:8443/",
    "http://other.test/",
    "ftp://a.test/",
]
MOUNTS = [
    ["all://"],
    ["http://", "https://"],
    ["all://", "http://a.test", "https://a.test:443"],
    ["all://*.a.test", "all://*a.test", "all://a.test"],
    ["http://a.test:8080", "http://a.test", "all://*:8080"],
    ["all://10.0.0.0/8", "all://127.0.0.1", "http://[::1]", "all://[fd00::]/8"],
    ["all://*", "http://*.www.a.test", "http://*.a.test:8080"],
    ["https://localhost:8443", "all://localhost"],
]
PROXIES = [
    {"HTTP_PROXY": "http://p1.test:3128"},
    {"HTTPS_PROXY": "http://p2.test:3128", "ALL_PROXY": "socks5://p3.test"},
    {"http_proxy": "p4.test:8000", "HTTP_PROXY": "http://p1.test"},
    {"ALL_PROXY": "http://u:p@p5.test"},
]
NO_PROXY = [
    None,
    "",
    "*",
    "a.test",
    ".a.test",
    "*.a.test",
    "a.test:8080",
    "http://a.test",
    "127.0.0.1,localhost",
    "10.0.0.0/8,192.168.0.0/16",
    "::1",
    "[::1]",
    "fd00::/8",
    " a.test , other.test ",
    "www.a.test,,",
    "all://a.test",
]


def chosen_by_mounts(library, patterns):
    """For each URL the pattern of the transport that it goes to."""

    class Named(library.BaseTransport):
        def __init__(self, name):
            self.name = name

    mounts = {pattern: Named(pattern) for pattern in patterns}
    with library.Client(transport=Named("own"), mounts=mounts, trust_env=False) as client:
        return {url: client._transport_for_url(library.URL(url)).name for url in URLS}


@pytest.mark.parametrize("patterns", MOUNTS, ids=" ".join)
def test_mounts_are_chosen_alike_in_whatever_order_they_are_given(patterns):
    theirs = chosen_by_mounts(httpx2, patterns)
    for order in itertools.permutations(patterns):
        assert chosen_by_mounts(httpx_fast, order) == theirs


def chosen_by_environment(library):
    """For each URL the proxy that it goes through."""

    class Marked(library.Client):
        def _init_proxy_transport(self, proxy, **settings):
            transport = library.MockTransport(lambda request: None)
            transport.name = str(proxy.url), proxy.raw_auth
            return transport

    with Marked() as client:
        own = client._transport
        transports = {url: client._transport_for_url(library.URL(url)) for url in URLS}
        return {url: None if found is own else found.name for url, found in transports.items()}


@pytest.mark.parametrize("no_proxy", NO_PROXY)
@pytest.mark.parametrize("proxies", PROXIES, ids=lambda proxies: " ".join(proxies))
def test_proxies_of_the_environment_are_chosen_alike(monkeypatch, proxies, no_proxy):
    for name in ("http", "https", "all", "no"):
        monkeypatch.delenv(f"{name}_proxy", raising=False)
        monkeypatch.delenv(f"{name.upper()}_PROXY", raising=False)
    for name, value in proxies.items():
        monkeypatch.setenv(name, value)
    if no_proxy is not None:
        monkeypatch.setenv("NO_PROXY", no_proxy)
    assert chosen_by_environment(httpx_fast) == chosen_by_environment(httpx2)
