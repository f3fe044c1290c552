"""Timeouts, limits and proxies: the same forms are taken, with the same meaning."""

from __future__ import annotations

import httpx2
import pytest

import httpx_fast

TIMEOUTS = [
    ((), {}),
    ((None,), {}),
    ((5,), {}),
    ((0,), {}),
    ((0.5,), {}),
    ((5,), {"connect": 1}),
    ((None,), {"read": 2.5}),
    ((), {"timeout": 3}),
    ((), {"connect": 1, "read": 2, "write": 3, "pool": 4}),
    ((), {"connect": 1, "read": 2}),
    ((), {"pool": None}),
    (((1, 2),), {}),
    (((1, 2, 3),), {}),
    (((1, 2, 3, 4),), {}),
    (((None, 2, None, 4),), {}),
    ((5,), {"everything": 1}),
]
LIMITS = [
    {},
    {"max_connections": 10},
    {"max_keepalive_connections": 0},
    {"keepalive_expiry": None},
    {"max_connections": 1, "max_keepalive_connections": 2, "keepalive_expiry": 3.5},
    {"connections": 1},
]
PROXIES = [
    (("http://p.test",), {}),
    (("https://p.test:8443/",), {}),
    (("socks5://u:p@p.test",), {}),
    (("socks5h://p.test:1",), {}),
    (("http://u%40x:p@p.test:3128",), {}),
    (("ftp://p.test",), {}),
    (("p.test:3128",), {}),
    (("http://p.test",), {"auth": ("u", "p")}),
    (("http://x:y@p.test",), {"auth": ("u", "p")}),
    (("http://p.test",), {"headers": {"X-P": "1"}}),
]
SETTINGS = [
    {"timeout": None},
    {"timeout": 3},
    {"timeout": (1, 2, 3, 4)},
    {"base_url": "http://a.test"},
    {"base_url": "http://a.test/x?q=1"},
    {"event_hooks": {"request": [print]}},
    {"auth": ("u", "p")},
    {"auth": 5},
    {"headers": {"X": "1"}},
    {"cookies": {"a": "1"}},
    {"params": {"a": 1}},
    {"max_redirects": 3, "follow_redirects": True},
    {"unknown": 1},
]


#: Forms that the two take differently: what they give here and there, and why.
TIMEOUT_DIFFERENCES = [
    (((1, 2),), {"read": 3}, (1, 3, None, None), (1, 2, None, None), "what is said of one phase holds"),
    (((1, 2, 3, 4, 5),), {}, "ValueError", (1, 2, 3, 4), "there is no fifth phase"),
    (("3",), {}, "TypeError", ("3", "3", "3", "3"), "it would fail on the first request"),
    ((-1,), {}, "ValueError", (-1, -1, -1, -1), "it would fail on the first request"),
]


def tried(make):
    try:
        return make()
    except Exception as error:
        return type(error).__name__


def timeout(library, arguments, options):
    made = library.Timeout(*arguments, **options)
    return made.as_dict(), made == library.Timeout(**made.as_dict()), made.connect, made.read, made.write, made.pool


@pytest.mark.parametrize(("arguments", "options"), TIMEOUTS)
def test_timeouts_are_taken_alike(arguments, options):
    theirs = tried(lambda: timeout(httpx2, arguments, options))
    assert tried(lambda: timeout(httpx_fast, arguments, options)) == theirs


@pytest.mark.parametrize(("arguments", "options", "ours", "theirs", "reason"), TIMEOUT_DIFFERENCES)
def test_named_difference_of_timeouts(arguments, options, ours, theirs, reason):
    def phases(library):
        return tuple(library.Timeout(*arguments, **options).as_dict().values())

    assert tried(lambda: phases(httpx_fast)) == ours, reason
    assert tried(lambda: phases(httpx2)) == theirs


def limits(library, options):
    made = library.Limits(**options)
    return made.max_connections, made.max_keepalive_connections, made.keepalive_expiry, repr(made)


@pytest.mark.parametrize("options", LIMITS)
def test_limits_are_taken_alike(options):
    assert tried(lambda: limits(httpx_fast, options)) == tried(lambda: limits(httpx2, options))


def proxy(library, arguments, options):
    made = library.Proxy(*arguments, **options)
    return str(made.url), made.auth, made.raw_auth, made.headers.raw, made.ssl_context


@pytest.mark.parametrize(("arguments", "options"), PROXIES)
def test_proxies_are_taken_alike(arguments, options):
    theirs = tried(lambda: proxy(httpx2, arguments, options))
    assert tried(lambda: proxy(httpx_fast, arguments, options)) == theirs


def settled(library, options):
    transport = library.MockTransport(lambda request: library.Response(200))
    with library.Client(transport=transport, **options) as client:
        own = {"user-agent", "accept-encoding"}
        return (
            client.timeout.as_dict(),
            str(client.base_url),
            client.event_hooks,
            type(client.auth).__name__,
            [line for line in client.headers.items() if line[0] not in own],
            dict(client.cookies),
            str(client.params),
            client.max_redirects,
            client.follow_redirects,
            client.trust_env,
        )


@pytest.mark.parametrize("options", SETTINGS, ids=str)
def test_clients_are_set_up_alike(options):
    assert tried(lambda: settled(httpx_fast, options)) == tried(lambda: settled(httpx2, options))
