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


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("localhost:8801/json", "http://localhost:8801/json"),
        ("myhost:8080", "http://myhost:8080"),
        ("example.org/x?q=1", "http://example.org/x?q=1"),
        ("127.0.0.1:80", "http://127.0.0.1:80"),
        ("localhost", "http://localhost"),
        ("example.org/x?token=hunter2", "http://example.org/x?token=[secure]"),
    ],
)
def test_a_host_without_a_scheme_is_understood_in_the_message(written: str, meant: str):
    with pytest.raises(httpx_fast.UnsupportedProtocol, match="no scheme") as caught:
        httpx_fast.get(written)
    assert str(caught.value).endswith(f"; expected http:// or https://, did you mean {meant}?")


@pytest.mark.parametrize(
    "written", ["/path", "//a.test/x", "path", "mailto:someone@a.test", "ftp://a.test/", "a.test:999999"]
)
def test_nothing_is_guessed_of_what_is_no_host(written: str):
    with pytest.raises(httpx_fast.UnsupportedProtocol, match=r"expected http:// or https://$"):
        httpx_fast.get(written)


def test_a_mock_is_given_relative_urls_as_before():
    def answer(request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(200, text=str(request.url))

    with httpx_fast.Client(transport=httpx_fast.MockTransport(answer)) as client:
        assert client.get("/x").text == "/x"
        assert client.get("x").text == "/x"
