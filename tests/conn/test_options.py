"""Settings of a pool's connections."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from httpx_fast import TCPKeepAlive
from httpx_fast._conn.options import DialOptions, ProxyHop
from httpx_fast._origin import Origin, Route

ROUTE = Route(Origin("https", "a.test", 443))


def options(**settings: Any) -> DialOptions:
    def no_context() -> Any:
        raise AssertionError("no context was asked for")

    return DialOptions(no_context, **settings)


@pytest.mark.parametrize(
    ("settings", "route", "expected"),
    [
        ({}, ROUTE, ("http/1.1",)),
        ({"http2": True}, ROUTE, ("h2", "http/1.1")),
        ({"http1": False, "http2": True}, ROUTE, ("h2",)),
        ({"http2": True}, ROUTE._replace(http1=True), ("http/1.1",)),
    ],
)
def test_names_that_tls_offers(settings: dict[str, Any], route: Route, expected: tuple[str, ...]) -> None:
    assert options(**settings).protocols(route) == expected


def test_options_of_the_user_come_after_the_probes() -> None:
    own = (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
    probes = TCPKeepAlive().socket_options()
    assert options(keepalive=TCPKeepAlive(), socket_options=(own,)).tcp_options() == [*probes, own]
    assert options(socket_options=(own,)).tcp_options() == [own]


def test_each_pool_has_sessions_of_its_own() -> None:
    assert options().sessions is not options().sessions
    assert "sessions" not in DialOptions.SETTINGS


def test_a_proxy_is_shown_without_its_secrets() -> None:
    hop = ProxyHop("http", "::1", 3128, fields=((b"Proxy-Authorization", b"Basic c2VjcmV0"),), login=(b"u", b"secret"))
    assert repr(hop) == "<ProxyHop http://[::1]:3128>"
    assert str(hop) == "http://[::1]:3128"
    assert hop.forwards
    assert not ProxyHop("socks5", "a.test", 1080).resolves
