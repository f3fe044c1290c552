"""respx answers requests of httpx_fast, without an alias."""

from __future__ import annotations

from typing import Any

import pytest
from libraries import needed

import httpx_fast
from httpx_fast.testing import LocalServer, Reply

URL = "https://api.example/items"


@pytest.fixture
def httpx() -> Any:
    return needed("httpx")


@pytest.fixture
def mocked() -> Any:
    respx = needed("respx")
    import httpx_fast.testing.respx_mocker  # noqa: F401

    with respx.mock(using="httpx_fast", assert_all_called=False) as router:
        yield router


def ask(backend: Any, method: str, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
    async def body() -> Any:
        async with backend.client(**(client or {})) as opened:
            return await opened.request(method, url, **options)

    return backend.run(body)


def test_routes_match_and_answers_are_ours(backend, mocked, httpx):
    mocked.get(URL, params={"page": "2"}).respond(text="page")
    mocked.post(URL, json={"a": 1}, headers={"X-Key": "k"}).respond(201, json={"id": 1}, headers={"X-Id": "1"})
    route = mocked.put(URL, content=b"body").mock(return_value=httpx.Response(204))
    assert ask(backend, "GET", URL, params={"page": 2}).text == "page"
    made = ask(backend, "POST", URL, json={"a": 1}, headers={"X-Key": "k"})
    assert (made.status_code, made.json(), made.headers["x-id"]) == (201, {"id": 1}, "1")
    assert isinstance(getattr(made, "blocking", made), httpx_fast.Response)
    assert ask(backend, "PUT", URL, content=backend.content([b"bo", b"dy"])).status_code == 204
    request, response = route.calls.last
    assert (str(request.url), request.content, response.status_code) == (URL, b"body", 204)


def test_what_no_route_matches_never_reaches_the_network(backend, mocked):
    with pytest.raises(AssertionError, match="not mocked"):
        ask(backend, "GET", URL)


@pytest.mark.parametrize("name", ["ConnectTimeout", "ReadError", "RemoteProtocolError"])
def test_exceptions_of_httpx_are_ours(backend, mocked, httpx, name):
    mocked.get(URL).mock(side_effect=getattr(httpx, name))
    with pytest.raises(getattr(httpx_fast, name), match="Mock Error") as caught:
        ask(backend, "GET", URL)
    assert caught.value.request.url == URL
    mocked.get(URL).mock(side_effect=getattr(httpx_fast, name)("ours"))
    with pytest.raises(getattr(httpx_fast, name), match="ours"):
        ask(backend, "GET", URL)


def test_a_route_may_let_requests_pass_through(backend, mocked):
    with LocalServer(tls=False, answer=lambda request: Reply(200, [], request.body)) as server:
        mocked.route(host="127.0.0.1").pass_through()
        mocked.get(URL).respond(text="mocked")
        url = f"http://127.0.0.1:{server.port}/"
        assert ask(backend, "POST", url, content=backend.content([b"se", b"nt"])).text == "sent"
        assert ask(backend, "GET", URL).text == "mocked"


def test_redirects_cookies_and_streams(backend, mocked):
    mocked.get(URL).respond(302, headers=[("Location", "/other"), ("Set-Cookie", "seen=1; Path=/")])
    other = mocked.get("https://api.example/other").respond(content=b"a\nb\n")

    async def body() -> None:
        async with (
            backend.client(follow_redirects=True) as client,
            client.stream("GET", URL) as response,
        ):
            assert [line async for line in response.aiter_lines()] == ["a", "b"]

    backend.run(body)
    assert other.calls.last.request.headers["cookie"] == "seen=1"
