"""Connections in httpcore's shape, over streams that they are given."""

from __future__ import annotations

import socket

import pytest

from httpx_fast._alias import httpcore
from httpx_fast.testing import LocalServer

BIG = "/bytes/3000000"


@pytest.fixture(params=["cleartext", "tls"])
def server(request: pytest.FixtureRequest):
    with LocalServer(tls=request.param == "tls") as running:
        yield running


def test_a_connection_speaks_over_a_stream_that_it_is_given(server: LocalServer):
    sock = socket.create_connection(("127.0.0.1", server.port))
    stream = httpcore.SyncStream(sock)
    if server.url.startswith("https"):
        stream = stream.start_tls(server.client_context(), "localhost")
    origin = httpcore.URL(server.url).origin
    connection = httpcore.HTTP11Connection(origin, stream, keepalive_expiry=30)
    assert (connection.is_available(), connection.is_idle(), connection.is_closed()) == (True, False, False)
    assert connection.can_handle_request(origin)
    request = httpcore.Request("GET", server.url + BIG, headers={"Host": "x"})
    response = connection.handle_request(request)
    assert (connection.is_available(), connection.is_idle()) == (False, False)
    with pytest.raises(httpcore.ConnectionNotAvailable):
        connection.handle_request(request)
    assert len(response.read()) == 3_000_000
    assert (connection.is_available(), connection.is_idle(), connection.has_expired()) == (True, True, False)
    assert "HTTP/1.1, IDLE, Request Count: 1" in repr(connection)
    connection.close()
    assert (connection.is_closed(), connection.is_available()) == (True, False)
    with pytest.raises(httpcore.ConnectionNotAvailable):
        connection.handle_request(request)
