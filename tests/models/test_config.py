"""Timeouts, limits, proxies, and the TLS contexts that settings lead to."""

from __future__ import annotations

import copy
import dataclasses
import decimal
import math
import pickle
import ssl

import pytest

from httpx_fast import URL, Limits, Proxy, Timeout
from httpx_fast._config import (
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT_CONFIG,
    UNSET,
)


def phases(timeout):
    return timeout.connect, timeout.read, timeout.write, timeout.pool


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        ((None,), {}, (None, None, None, None)),
        ((5,), {}, (5, 5, 5, 5)),
        ((0,), {}, (0, 0, 0, 0)),
        ((0.5,), {}, (0.5, 0.5, 0.5, 0.5)),
        ((5,), {"connect": 1}, (1, 5, 5, 5)),
        ((5,), {"pool": None}, (5, 5, 5, None)),
        ((None,), {"read": 2}, (None, 2, None, None)),
        ((), {"connect": 1, "read": 2, "write": 3, "pool": None}, (1, 2, 3, None)),
        (((1, 2),), {}, (1, 2, None, None)),
        (((1, 2, 3),), {}, (1, 2, 3, None)),
        (((1, 2, 3, 4),), {}, (1, 2, 3, 4)),
        (((1, None, 3, 4),), {"read": 9}, (1, 9, 3, 4)),
        ((Timeout(5, read=1),), {}, (5, 1, 5, 5)),
        ((Timeout(5),), {"read": 1}, (5, 1, 5, 5)),
        ((decimal.Decimal("1.5"),), {}, (1.5, 1.5, 1.5, 1.5)),
        ((math.inf,), {"read": 1}, (None, 1, None, None)),
    ],
)
def test_timeout_has_four_phases(arguments, keywords, expected):
    timeout = Timeout(*arguments, **keywords)
    assert phases(timeout) == expected
    assert timeout.as_dict() == dict(zip(("connect", "read", "write", "pool"), expected, strict=True))


@pytest.mark.parametrize(
    ("arguments", "keywords", "error", "message"),
    [
        ((), {}, ValueError, "connect, read, write and pool, or a total; some are missing"),
        ((), {"connect": 1, "read": 2, "write": 3}, ValueError, "some are missing"),
        ((UNSET,), {}, ValueError, "some are missing"),
        ((-1,), {}, ValueError, "expected 0 seconds or more, or None for no timeout, as timeout, got -1"),
        ((5,), {"read": -0.1}, ValueError, "as read, got -0.1"),
        ((math.nan,), {}, ValueError, "as timeout, got nan"),
        (((1, -2),), {}, ValueError, "as read, got -2"),
        ((("1", 2),), {}, TypeError, "expected seconds or None as connect, got '1'"),
        (("5",), {}, TypeError, "expected seconds or None as timeout, got '5'"),
        ((True,), {}, TypeError, "expected seconds or None as timeout, got True"),
        (([1, 2],), {}, TypeError, r"expected seconds or None as timeout, got \[1, 2\]"),
        ((), {"total": None}, ValueError, "or a total; some are missing"),
        ((), {"first_byte": 5}, ValueError, "some are missing"),
        ((5,), {"total": "5"}, TypeError, "expected seconds or None as total, got '5'"),
        ((5,), {"first_byte": -1}, ValueError, "as first_byte, got -1"),
        (((1, 2, 3, 4, 5, 6),), {}, ValueError, "expected a tuple of 2 to 4 timeouts"),
        (((1,),), {}, ValueError, r"expected a tuple of 2 to 4 timeouts .*, got \(1,\)"),
        (((1, 2, 3, 4, 5),), {}, ValueError, "expected a tuple of 2 to 4 timeouts"),
    ],
)
def test_timeout_refuses_what_is_no_time(arguments, keywords, error, message):
    with pytest.raises(error, match=message):
        Timeout(*arguments, **keywords)


def test_timeout_of_the_whole_and_of_the_first_byte():
    timeout = Timeout(5, total=30, first_byte=20)
    assert phases(timeout) == (5, 5, 5, 5)
    assert (timeout.total, timeout.first_byte) == (30, 20)
    assert timeout.as_dict() == Timeout(5).as_dict() | {"total": 30, "first_byte": 20}
    assert repr(timeout) == "Timeout(timeout=5, total=30, first_byte=20)"
    assert repr(Timeout(5, read=1, total=30)) == "Timeout(connect=5, read=1, write=5, pool=5, total=30)"
    assert timeout == Timeout(5, total=30.0, first_byte=20)
    assert timeout != Timeout(5)
    assert dataclasses.replace(timeout, read=1) == Timeout(5, read=1, total=30, first_byte=20)
    assert pickle.loads(pickle.dumps(timeout)) == timeout


@pytest.mark.parametrize(
    ("arguments", "keywords", "expected"),
    [
        ((5,), {}, (None, None)),
        (((1, 2, 3, 4),), {}, (None, None)),
        ((Timeout(5, total=30),), {}, (30, None)),
        ((Timeout(5, total=30),), {"total": 10, "first_byte": 2}, (10, 2)),
        ((Timeout(5, total=30, first_byte=2),), {"total": None}, (None, 2)),
        ((5,), {"total": math.inf, "first_byte": 0}, (None, 0)),
    ],
)
def test_timeout_takes_what_is_for_the_whole_by_keyword_or_from_another(arguments, keywords, expected):
    timeout = Timeout(*arguments, **keywords)
    assert (timeout.total, timeout.first_byte) == expected


def test_total_alone_bounds_all_phases():
    assert phases(Timeout(total=30)) == (None, None, None, None)
    assert phases(Timeout(total=30, read=5)) == (None, 5, None, None)
    assert phases(Timeout(None)) == (None, None, None, None)


def test_timeout_is_a_dataclass():
    timeout = Timeout(5, connect=1)
    assert timeout == Timeout(connect=1, read=5, write=5, pool=5)
    assert timeout != Timeout(5)
    assert timeout != 5
    assert dataclasses.asdict(timeout) == timeout.as_dict() | {
        "total": None,
        "first_byte": None,
        "expect_continue": 1.0,
        "min_rate": None,
        "rate_window": 30.0,
    }
    assert dataclasses.replace(timeout, read=2) == Timeout(5, connect=1, read=2)
    assert pickle.loads(pickle.dumps(timeout)) == timeout
    assert repr(Timeout(5.0)) == "Timeout(timeout=5.0)"
    assert repr(Timeout(None)) == "Timeout(timeout=None)"
    assert repr(timeout) == "Timeout(connect=1, read=5, write=5, pool=5)"
    assert repr(UNSET) == "UNSET"


def test_limits_are_a_dataclass():
    limits = Limits(max_connections=10)
    assert (limits.max_connections, limits.max_keepalive_connections, limits.keepalive_expiry) == (10, None, 5.0)
    assert limits == Limits(max_connections=10, keepalive_expiry=5)
    assert repr(limits) == "Limits(max_connections=10, max_keepalive_connections=None, keepalive_expiry=5.0)"
    assert dataclasses.replace(limits, max_connections=None) == Limits()
    with pytest.raises(TypeError, match="positional"):
        Limits(10)


@pytest.mark.parametrize(
    ("keywords", "error", "message"),
    [
        ({"max_connections": 0}, ValueError, "expected 1 or more, or None for no limit, as max_connections, got 0"),
        ({"max_keepalive_connections": -1}, ValueError, "expected 0 or more, .* as max_keepalive_connections, got -1"),
        ({"max_connections": 1.5}, TypeError, "expected a count, or None for no limit, as max_connections, got 1.5"),
        ({"max_connections": True}, TypeError, "expected a count, or None for no limit, as max_connections, got True"),
        ({"keepalive_expiry": -1}, ValueError, "expected 0 seconds or more, .* as keepalive_expiry, got -1"),
        ({"keepalive_expiry": "5"}, TypeError, "expected seconds or None as keepalive_expiry, got '5'"),
        ({"max_per_host": 0}, ValueError, "expected 1 or more, or None for no limit, as max_per_host, got 0"),
        ({"max_age": -1}, ValueError, "expected 0 seconds or more, .* as max_age, got -1"),
        ({"max_head_size": 0}, ValueError, "expected 1 to 16777216, or None for .* as max_head_size, got 0"),
        ({"max_head_size": 2**24 + 1}, ValueError, "expected 1 to 16777216, .* max_head_size, got 16777217"),
        (
            {"max_head_size": True},
            TypeError,
            "expected a number of bytes, or None for the default, as max_head_size, got True",
        ),
        (
            {"max_head_size": "1 MB"},
            TypeError,
            "expected a number of bytes, or None for the default, as max_head_size, got '1 MB'",
        ),
        ({"burst": True}, TypeError, "expected a count as burst, got True"),
        ({"burst": 1.0}, TypeError, "expected a count as burst, got 1.0"),
        ({"burst": 2}, ValueError, "expected a rate with burst=2, got none"),
    ],
)
def test_limits_refuse_what_is_no_count(keywords, error, message):
    with pytest.raises(error, match=message):
        Limits(**keywords)


def test_limits_of_ours_are_shown_where_they_are_set():
    limits = Limits(max_per_host=3, max_age=60)
    assert repr(limits).endswith("keepalive_expiry=5.0, max_per_host=3, max_age=60)")
    assert limits != Limits()


def test_a_size_of_heads_is_shown_compared_and_copied():
    limits = Limits(max_head_size=200_000)
    assert repr(limits).endswith("keepalive_expiry=5.0, max_head_size=200000)")
    assert limits != Limits()
    for twin in (pickle.loads(pickle.dumps(limits)), copy.copy(limits), copy.deepcopy(limits)):
        assert (twin, twin.max_head_size) == (limits, 200_000)
    assert Limits(max_head_size=2**24).max_head_size == 2**24
    assert Limits().max_head_size is None


def test_limits_may_keep_nothing():
    assert Limits(max_keepalive_connections=0, keepalive_expiry=0).max_keepalive_connections == 0
    assert Limits(keepalive_expiry=math.inf).keepalive_expiry is None


def test_defaults():
    assert Timeout(5.0) == DEFAULT_TIMEOUT_CONFIG
    assert Limits(max_connections=100, max_keepalive_connections=20, keepalive_expiry=5.0) == DEFAULT_LIMITS
    assert DEFAULT_MAX_REDIRECTS == 20


@pytest.mark.parametrize(
    ("proxy", "url", "auth"),
    [
        (Proxy("http://h:3128"), "http://h:3128", None),
        (Proxy(URL("https://h")), "https://h", None),
        (Proxy("socks5://h", auth=("u", "p")), "socks5://h", ("u", "p")),
        (Proxy("socks5h://jo%40x:p%3Aw@h"), "socks5h://h", ("jo@x", "p:w")),
        (Proxy("http://u@h", auth=("other", "one")), "http://h", ("u", "")),
    ],
)
def test_proxy_takes_credentials_out_of_its_url(proxy, url, auth):
    assert str(proxy.url) == url
    assert proxy.auth == auth
    assert proxy.raw_auth == (None if auth is None else (auth[0].encode(), auth[1].encode()))


def test_proxy_has_headers_and_a_context_of_its_own():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = Proxy("https://h", headers={"X-Name": "value"}, ssl_context=context)
    assert proxy.headers["x-name"] == "value"
    assert proxy.ssl_context is context
    assert Proxy("https://h").ssl_context is None


def test_secrets_of_a_proxy_do_not_show():
    assert repr(Proxy("http://h")) == "Proxy('http://h')"
    proxy = Proxy("http://u:secret@h", headers={"Proxy-Authorization": "secret", "X-Name": "value"})
    text = repr(proxy)
    assert text.startswith("Proxy('http://h', auth=('u', '********'), headers={")
    assert "value" in text
    assert "secret'" not in text
    assert "'[secure]'" in text


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (
            "ftp://u:secret@h",
            r"one of the schemes http, https, socks5, socks5h, socks, socks4, socks4a, got URL\('ftp://u:\[secure\]@h'\)",
        ),
        ("h:3128", "expected a proxy URL with one of the schemes"),
        ("http://", r"expected a proxy URL with a host, got URL\('http:'\)"),
    ],
)
def test_proxy_that_cannot_be_one_is_refused(url, message):
    with pytest.raises(ValueError, match=message):
        Proxy(url)
