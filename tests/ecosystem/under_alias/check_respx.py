"""respx, by both of its mockers: the one that takes httpcore's place, and the one that takes the transport's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
import respx
from respx.models import AllMockedAssertionError

import httpx_fast

URL = "https://api.example/items"


@pytest.fixture(params=["httpcore", "httpx"])
def mocked(request: pytest.FixtureRequest):
    with respx.mock(using=request.param, assert_all_called=False) as router:
        yield router


def blocking(method: str, url: str, **options) -> httpx.Response:
    with httpx.Client() as client:
        return client.request(method, url, **options)


def asynchronous(method: str, url: str, **options) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.request(method, url, **options)

    return asyncio.run(ask())


@pytest.fixture(params=[blocking, asynchronous])
def send(request: pytest.FixtureRequest) -> Callable[..., httpx.Response]:
    return request.param


def test_the_default_mocker_is_the_one_below_the_transport():
    with respx.mock:
        route = respx.get(URL).respond(json=[1])
        assert httpx_fast.get(URL).json() == [1]
        assert route.call_count == 1


def test_routes_match_by_method_params_headers_and_content(mocked, send):
    mocked.get(URL, params={"page": "2"}).respond(text="page")
    mocked.post(URL, json={"name": "x"}, headers={"X-Key": "k"}).respond(201, json={"id": 1}, headers={"X-Id": "1"})
    mocked.post(URL, data={"form": "1"}).respond(202)
    mocked.put(URL, files={"f": ("n.txt", b"octets")}).respond(203)
    assert send("GET", URL, params={"page": 2}).text == "page"
    created = send("POST", URL, json={"name": "x"}, headers={"X-Key": "k"})
    assert (created.status_code, created.json(), created.headers["x-id"]) == (201, {"id": 1}, "1")
    assert send("POST", URL, data={"form": "1"}).status_code == 202
    assert send("PUT", URL, files={"f": ("n.txt", b"octets")}).status_code == 203


def test_calls_are_kept_with_request_and_response(mocked, send):
    route = mocked.route(host="api.example", path__startswith="/it").mock(return_value=httpx.Response(204))
    send("POST", URL, content=b"body")
    request, response = route.calls.last
    assert (request.url, request.content, response.status_code) == (httpx.URL(URL), b"body", 204)


def test_what_no_route_matches_never_reaches_the_network(mocked, send):
    with pytest.raises(AllMockedAssertionError, match="not mocked"):
        send("GET", URL)


def test_errors_are_raised_with_the_request(mocked, send):
    mocked.get(URL).mock(side_effect=httpx.ConnectTimeout)
    with pytest.raises(httpx.ConnectTimeout) as caught:
        send("GET", URL)
    assert caught.value.request.url == URL


def test_a_route_may_let_requests_pass_through(mocked, send, serve):
    from httpx_fast.testing import Reply

    site = serve(lambda request: Reply(200, [], b"real"))
    mocked.route(host="127.0.0.1").pass_through()
    mocked.get(URL).respond(text="mocked")
    assert send("POST", site.url, content=b"sent").text == "real"
    assert send("GET", URL).text == "mocked"
    assert [request.body for request in site.seen] == [b"sent"]


def test_redirects_and_cookies_go_on_above_the_mock(mocked):
    mocked.get(URL).respond(302, headers=[("Location", "/other"), ("Set-Cookie", "seen=1; Path=/")])
    other = mocked.get("https://api.example/other").respond(text="there")
    with httpx.Client(follow_redirects=True) as client:
        response = client.get(URL)
    assert (response.text, len(response.history)) == ("there", 1)
    assert other.calls.last.request.headers["cookie"] == "seen=1"


def test_streams_are_mocked(mocked):
    mocked.get(URL).respond(content=b"a\nb\n")
    with httpx.Client() as client, client.stream("GET", URL) as response:
        assert list(response.iter_lines()) == ["a", "b"]
