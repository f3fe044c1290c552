"""Mounts and proxies: which transport a URL goes to."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response


def named(name):
    return httpx_fast.MockTransport(lambda request: Response(200, text=name))


@pytest.fixture
def environment(monkeypatch):
    """Sets the environment's proxies, and nothing else."""
    for name in (
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "no_proxy",
    ):
        monkeypatch.delenv(name, raising=False)

    def set_all(**values):
        for name, value in values.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.mark.parametrize(
    ("pattern", "url", "matches"),
    [
        ("all://", "http://a.test/", True),
        ("all://", "https://a.test:8443/", True),
        ("http://", "http://a.test/", True),
        ("http://", "https://a.test/", False),
        ("all://a.test", "https://a.test/", True),
        ("all://a.test", "https://www.a.test/", False),
        ("all://*.a.test", "https://www.a.test/", True),
        ("all://*.a.test", "https://a.test/", False),
        ("all://*a.test", "https://a.test/", True),
        ("all://*a.test", "https://www.a.test/", True),
        ("all://*a.test", "https://other-a.test/", False),
        ("https://a.test", "http://a.test/", False),
        ("http://a.test:8080", "http://a.test:8080/", True),
        ("http://a.test:8080", "http://a.test/", False),
        ("all://*:8080", "http://b.test:8080/", True),
        ("all://a.test:443", "https://a.test/", True),
        ("all://a.test:443", "wss://a.test/", True),
        ("all://a.test:443", "http://a.test/", False),
        ("all://[::1]:80", "http://[::1]/", True),
        ("all://*a.test", "http://www.a.test./", True),
        ("all://a.test.", "http://a.test/", True),
        ("all://192.168.0.0/16", "http://192.168.7.1/", True),
        ("all://192.168.0.0/16", "http://192.169.0.1/", False),
        ("all://192.168.0.0/16", "http://a.test/", False),
        ("all://[fe80::]/10", "http://[fe80::1]/", True),
        ("all://[fe80::]/10", "http://[::1]/", False),
        ("http://", "ws://a.test/", True),
        ("http://", "wss://a.test/", False),
        ("https://", "wss://a.test/", True),
        ("https://", "ws://a.test/", False),
        ("http://a.test:8080", "ws://a.test:8080/", True),
        ("http://*.a.test", "ws://www.a.test/", True),
        ("ws://", "ws://a.test/", True),
        ("ws://", "http://a.test/", False),
        ("wss://a.test", "wss://a.test/", True),
        ("wss://", "https://a.test/", False),
        ("all://", "wss://a.test/", True),
    ],
)
def test_pattern_decides(backend, pattern, url, matches):
    async def body():
        async with backend.client(transport=named("own"), mounts={pattern: named("mounted")}) as client:
            assert (await client.get(url)).text == ("mounted" if matches else "own")

    backend.run(body)


def test_most_specific_pattern_wins(backend):
    mounts = {
        "all://": named("all"),
        "http://": named("scheme"),
        "all://*a.test": named("wildcard"),
        "http://www.a.test": named("host"),
        "all://*:8080": named("port"),
    }
    expected = {
        "https://b.test/": "all",
        "http://b.test/": "scheme",
        "http://a.test/": "wildcard",
        "http://www.a.test/": "host",
        "http://b.test:8080/": "port",
    }

    async def body():
        async with backend.client(transport=named("own"), mounts=mounts) as client:
            for url, name in expected.items():
                assert (await client.get(url)).text == name

    backend.run(body)


@pytest.mark.parametrize("names", [1, -1])
def test_mounts_of_websockets_win_over_those_of_http_that_are_as_specific(backend, names):
    mounts = {
        "all://": named("all"),
        "http://": named("http"),
        "ws://": named("ws"),
        "https://": named("https"),
        "wss://b.test": named("wss b"),
        "http://a.test": named("http a"),
        "ws://c.test": named("ws c"),
        "http://c.test": named("http c"),
        "all://c.test": named("all c"),
        "https://*:8443": named("https 8443"),
    }
    expected = {
        "ws://x.test/": "ws",
        "http://x.test/": "http",
        "ws://a.test/": "http a",
        "ws://c.test/": "ws c",
        "http://c.test/": "http c",
        "wss://c.test/": "all c",
        "wss://x.test/": "https",
        "wss://b.test/": "wss b",
        "https://b.test/": "https",
        "wss://b.test:8443/": "https 8443",
        "ftp://x.test/": "all",
    }

    async def body():
        ordered = dict(list(mounts.items())[::names])
        async with backend.client(transport=named("own"), mounts=ordered) as client:
            assert {url: (await client.get(url)).text for url in expected} == expected

    backend.run(body)


def test_none_stands_for_the_clients_own_transport(backend):
    async def body():
        mounts = {"all://": named("all"), "all://a.test": None}
        async with backend.client(transport=named("own"), mounts=mounts) as client:
            assert (await client.get("http://a.test/")).text == "own"
            assert (await client.get("http://b.test/")).text == "all"

    backend.run(body)


def test_redirects_choose_their_transport_anew(backend):
    async def body():
        away = httpx_fast.MockTransport(lambda request: Response(302, headers={"location": "http://b.test/"}))
        async with backend.client(
            transport=named("own"), mounts={"all://a.test": away}, follow_redirects=True
        ) as client:
            assert (await client.get("http://a.test/")).text == "own"

    backend.run(body)


def test_pattern_without_a_colon_is_an_error():
    with pytest.raises(ValueError, match="http"):
        httpx_fast.Client(transport=named("own"), mounts={"http": named("mounted")})


class Proxied(httpx_fast.Client):
    """Remembers which proxies it was to make transports for."""

    def _init_transport(self, **settings):
        return named("direct")

    def _init_proxy_transport(self, proxy, **settings):
        return named(str(proxy.url))


def via(client, url):
    return client.get(url).text


def test_proxy_is_for_all_urls():
    client = Proxied(proxy="http://proxy.test:3128")
    assert via(client, "http://a.test/") == via(client, "https://a.test/") == "http://proxy.test:3128"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test/", "http://one.test"),
        ("https://a.test/", "http://two.test"),
        ("https://internal.test/", "direct"),
        ("https://www.internal.test/", "direct"),
        ("http://10.1.2.3/", "direct"),
        ("http://localhost:8000/", "direct"),
        ("http://11.1.2.3/", "http://one.test"),
        ("https://ported.test/", "direct"),
        ("http://ported.test/", "http://one.test"),
        ("http://www.dotted.test/", "direct"),
    ],
)
def test_proxies_of_the_environment_and_what_is_excepted(environment, url, expected):
    environment(
        HTTP_PROXY="http://one.test",
        HTTPS_PROXY="two.test",
        NO_PROXY="internal.test,10.0.0.0/8,localhost,ported.test:443,dotted.test.",
    )
    assert via(Proxied(), url) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://a.test/", "http://one.test"),
        ("wss://a.test/", "http://two.test"),
        ("wss://internal.test/", "direct"),
        ("ws://10.1.2.3/", "direct"),
        ("ws://localhost:8000/", "direct"),
        ("ws://plain.test/", "direct"),
        ("wss://plain.test/", "http://two.test"),
    ],
)
def test_proxies_of_the_environment_are_for_websockets_too(environment, url, expected):
    environment(
        HTTP_PROXY="http://one.test",
        HTTPS_PROXY="two.test",
        NO_PROXY="internal.test,10.0.0.0/8,localhost,http://plain.test",
    )
    assert via(Proxied(), url) == expected


@pytest.mark.parametrize(("url", "expected"), [("ws://a.test/", "direct"), ("wss://a.test/", "http://two.test")])
def test_only_the_proxy_of_the_scheme_that_it_begins_with_is_for_a_websocket(environment, url, expected):
    environment(HTTPS_PROXY="http://two.test")
    assert via(Proxied(), url) == expected


def test_environment_is_left_alone_if_told_so(environment):
    environment(ALL_PROXY="http://one.test")
    assert via(Proxied(), "http://a.test/") == "http://one.test"
    assert via(Proxied(trust_env=False), "http://a.test/") == "direct"
    assert via(Proxied(transport=named("own")), "http://a.test/") == "direct"
    assert via(Proxied(proxy="http://mine.test"), "http://a.test/") == "http://mine.test"


def test_mounts_win_over_the_environment(environment):
    environment(ALL_PROXY="http://one.test")
    assert via(Proxied(mounts={"all://": named("mounted")}), "http://a.test/") == "mounted"
