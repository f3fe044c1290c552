"""Probes of silent connections, as a setting."""

from __future__ import annotations

import socket

import pytest

from httpx_fast import TCPKeepAlive


def test_tcp_keep_alive_is_told_in_the_words_of_the_system():
    options = TCPKeepAlive(idle=7, interval=3, count=2).socket_options()
    with socket.socket() as sock:
        for option in options:
            sock.setsockopt(*option)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for (_, number, value), told in zip(options[1:], (7, 3, 2), strict=True):
            assert sock.getsockopt(socket.IPPROTO_TCP, number) == value == told


@pytest.mark.parametrize("name", ["idle", "interval", "count"])
@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (0, ValueError, "expected 1 to"),
        (32768, ValueError, "expected 1 to"),
        (1.5, TypeError, "expected an int as"),
        (True, TypeError, "expected an int as"),
    ],
)
def test_tcp_keep_alive_refuses_what_systems_refuse(name, value, error, message):
    with pytest.raises(error, match=rf"{message}.*{name}, got {value!r}"):
        TCPKeepAlive(**{name: value})
