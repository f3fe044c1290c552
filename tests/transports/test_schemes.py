"""URLs of WebSockets are requested as those of HTTP: what comes of it is between the server and the user."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast.testing import LocalServer


@pytest.mark.parametrize(("scheme", "tls"), [("ws", False), ("wss", True)])
def test_a_websocket_begins_as_a_request(scheme: str, tls: bool):
    with LocalServer(tls=tls) as server:
        verify = server.client_context() if tls else True
        with httpx_fast.Client(verify=verify) as client:
            told = client.get(f"{scheme}://localhost:{server.port}/?chat").json()
            # The same origin, so the same connection.
            again = client.get(f"{'https' if tls else 'http'}://localhost:{server.port}/").json()
    assert (told["target"], told["headers"]["Host"]) == ("/?chat", f"localhost:{server.port}")
    assert (told["tls_version"] is not None) is tls
    assert (told["connection"], again["connection"]) == (1, 1)


def test_another_scheme_is_refused():
    with pytest.raises(httpx_fast.UnsupportedProtocol, match=r"has scheme 'ftp'; expected http:// or https://"):
        httpx_fast.get("ftp://localhost/")
