"""The fixture `httpx_fast_mock`: answers without a network, in every backend."""

from __future__ import annotations

import re
from typing import Any
from unittest.mock import ANY

import pytest
from libraries import needed

import httpx_fast
from httpx_fast.testing import LocalServer, Reply
from httpx_fast.testing.mocking import HTTPXFastMock, IteratorStream, mocked

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

URL = "https://api.example/items"


def ask(backend: Any, method: str, url: str, *, client: dict[str, Any] | None = None, **options: Any) -> Any:
    async def body() -> Any:
        async with backend.client(**(client or {})) as opened:
            return await opened.request(method, url, **options)

    return backend.run(body)


def test_an_answer_has_what_was_said(backend, httpx_fast_mock: HTTPXFastMock):
    httpx_fast_mock.add_response(201, "HTTP/2", {"X-Got": "1"}, json={"found": True}, url=URL, method="post")
    response = ask(backend, "POST", URL, json={"a": 1})
    assert (response.status_code, response.http_version, response.headers["x-got"]) == (201, "HTTP/2", "1")
    assert response.json() == {"found": True}
    request = httpx_fast_mock.get_request()
    assert request is not None
    assert (request.method, request.url, request.content) == ("POST", URL, b'{"a":1}')


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"content": b"bytes"}, "bytes"),
        ({"text": "text é"}, "text é"),
        ({"html": "<p>"}, "<p>"),
        ({"json": [1]}, "[1]"),
        ({"stream": IteratorStream([b"one ", b"two"])}, "one two"),
        ({}, ""),
    ],
)
def test_a_body_is_given_in_one_of_its_forms(backend, httpx_fast_mock: HTTPXFastMock, given, expected):
    httpx_fast_mock.add_response(**given)
    assert ask(backend, "GET", URL).text == expected


def test_a_body_can_be_streamed(backend, httpx_fast_mock: HTTPXFastMock):
    httpx_fast_mock.add_response(stream=IteratorStream([b"one", b"two"]))
    httpx_fast_mock.add_response(content=b"whole")

    async def body() -> None:
        async with backend.client() as client:
            async with client.stream("GET", URL) as response:
                assert [piece async for piece in response.aiter_raw()] == [b"one", b"two"]
            async with client.stream("GET", URL) as response:
                assert [piece async for piece in response.aiter_bytes()] == [b"whole"]

    backend.run(body)


MATCHING = {
    "url": ({"url": f"{URL}?b=2&a=1"}, {"params": {"a": "1", "b": "2"}}),
    "pattern": ({"url": re.compile(r"https://.*/items\?a=")}, {"params": {"a": "1"}}),
    "method": ({"method": "put"}, {"method": "PUT"}),
    "headers": ({"match_headers": {"X-Key": "k"}}, {"headers": {"x-key": "k"}}),
    "content": ({"match_content": b"body"}, {"content": b"body"}),
    "pieces": ({"match_content": b"body"}, {"content": None}),
    "json": ({"match_json": {"a": [1]}}, {"json": {"a": [1]}}),
    "files": (
        {"match_data": {"d": "1"}, "match_files": {"f": ("n.txt", b"content")}},
        {"data": {"d": "1"}, "files": {"f": ("n.txt", b"content")}},
    ),
    "any value of a parameter": (
        {"url": URL, "match_params": {"a": ["1", ANY], "b": ANY}},
        {"params": {"b": "3", "a": ["1", "2"]}},
    ),
    "params": ({"url": URL, "match_params": {"a": ["1", "2"], "b": "3"}}, {"params": {"b": "3", "a": ["1", "2"]}}),
    "extensions": ({"match_extensions": {"own": 1}}, {"extensions": {"own": 1}}),
}


@pytest.mark.parametrize("kind", MATCHING)
@pytest.mark.httpx_fast_mock(assert_all_requests_were_expected=False)
def test_a_request_is_matched_by(backend, httpx_fast_mock: HTTPXFastMock, kind: str):
    matchers, options = MATCHING[kind]
    options = {"method": "POST", **options}
    if kind == "pieces":
        options["content"] = backend.content([b"bo", b"dy"])
    httpx_fast_mock.add_response(418, **matchers)
    with pytest.raises(httpx_fast.TimeoutException, match="No response can be found for PATCH request on"):
        ask(backend, "PATCH", "https://other.example/", content=b"other")
    assert ask(backend, options.pop("method"), URL, **options).status_code == 418
    assert len(httpx_fast_mock.get_requests()) == 2
    found = httpx_fast_mock.get_request(**matchers)
    assert found is not None
    assert found.method != "PATCH"


@pytest.mark.parametrize(
    ("proxy", "same"),
    [
        ("http://user:secret@proxy.example:3128", True),
        ("socks5://user:secret@proxy.example:3128", False),
        ("http://proxy.example:3128", False),
        (None, False),
    ],
)
@pytest.mark.httpx_fast_mock(assert_all_responses_were_requested=False)
def test_a_request_is_matched_by_its_proxy(backend, httpx_fast_mock: HTTPXFastMock, proxy, same):
    httpx_fast_mock.add_response(204, proxy_url="http://user:secret@proxy.example:3128/")
    httpx_fast_mock.add_response(200, is_reusable=True)
    answer = ask(backend, "GET", URL, client={"proxy": proxy, "trust_env": False})
    assert answer.status_code == (204 if same else 200)


def test_answers_are_taken_in_order_and_the_last_again(backend, httpx_fast_mock: HTTPXFastMock):
    httpx_fast_mock.add_response(text="one")
    httpx_fast_mock.add_response(text="two", is_reusable=True)
    assert [ask(backend, "GET", URL).text for _ in range(3)] == ["one", "two", "two"]


def test_callbacks_may_look_at_the_request(backend, httpx_fast_mock: HTTPXFastMock):
    def reverse(request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(200, content=request.content[::-1])

    async def reverse_later(request: httpx_fast.Request) -> httpx_fast.Response:
        return reverse(request)

    httpx_fast_mock.add_callback(reverse_later if backend.asynchronous else reverse)
    assert ask(backend, "POST", URL, content=b"abc").content == b"cba"


def test_a_blocking_client_cannot_await(httpx_fast_mock: HTTPXFastMock):
    async def later(request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(200)

    httpx_fast_mock.add_callback(later)
    with pytest.raises(TypeError, match="expected a Response from the callback, for a blocking client"):
        httpx_fast.get(URL)


def test_exceptions_are_raised_with_their_request(backend, httpx_fast_mock: HTTPXFastMock):
    httpx_fast_mock.add_exception(httpx_fast.ReadTimeout("too late"))
    with pytest.raises(httpx_fast.ReadTimeout, match="too late") as caught:
        ask(backend, "GET", URL)
    assert caught.value.request.url == URL


def test_redirects_and_cookies_go_on_above(backend, httpx_fast_mock: HTTPXFastMock):
    headers = [("Location", "/other"), ("Set-Cookie", "seen=1; Path=/")]
    httpx_fast_mock.add_response(302, headers=headers, url=URL)
    httpx_fast_mock.add_response(text="there", match_headers={"Cookie": "seen=1"})
    answer = ask(backend, "GET", URL, client={"follow_redirects": True})
    assert (answer.text, len(answer.history)) == ("there", 1)


@pytest.mark.httpx_fast_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
def test_what_is_not_mocked_is_sent(backend, httpx_fast_mock: HTTPXFastMock):
    with LocalServer(tls=False, answer=lambda _: Reply(200, [], b"real")) as server:
        assert ask(backend, "GET", f"http://127.0.0.1:{server.port}/").text == "real"
    assert httpx_fast_mock.get_requests() == []


@pytest.mark.httpx_fast_mock(assert_all_requests_were_expected=False, can_send_already_matched_responses=True)
class TestSettings:
    @pytest.mark.httpx_fast_mock(can_send_already_matched_responses=False)
    def test_the_closest_marker_wins(self, httpx_fast_mock: HTTPXFastMock):
        httpx_fast_mock.add_response(is_optional=True)
        assert httpx_fast.get(URL).is_success
        with pytest.raises(httpx_fast.TimeoutException, match="used again only with is_reusable=True"):
            httpx_fast.get(URL)

    def test_the_marker_of_the_class_holds(self, httpx_fast_mock: HTTPXFastMock):
        httpx_fast_mock.add_response()
        assert [httpx_fast.get(URL).status_code for _ in range(2)] == [200, 200]


def test_a_missing_answer_says_what_there_was(httpx_fast_mock: HTTPXFastMock):
    httpx_fast_mock.add_response(url=f"{URL}/1", match_headers={"X-Key": "other"}, match_content=b"x", method="GET")
    with pytest.raises(httpx_fast.TimeoutException) as caught:
        httpx_fast.get(URL, headers={"X-Key": "k"})
    assert str(caught.value) == (
        f"No response can be found for GET request on {URL} with {{'X-Key': 'k'}} headers and b'' body amongst:\n"
        f"- Match GET request on {URL}/1 with {{'X-Key': 'other'}} headers and b'x' body"
    )
    with pytest.raises(AssertionError, match=re.escape(f"mocked but not requested:\n- Match GET request on {URL}/1")):
        httpx_fast_mock.verify()
    httpx_fast_mock.reset()


def test_unexpected_requests_fail_the_test():
    mock = HTTPXFastMock()
    with httpx_fast.HTTPTransport() as transport, pytest.raises(httpx_fast.TimeoutException, match="No response"):
        mock.handle(transport, httpx_fast.Request("GET", URL))
    with pytest.raises(AssertionError, match=re.escape(f"not expected:\n- GET request on {URL}")):
        mock.verify()
    HTTPXFastMock(assert_all_responses_were_requested=False).verify()


def test_mocking_ends_with_its_block_and_is_verified_then():
    with LocalServer(tls=False, answer=lambda _: Reply(200, [], b"real")) as server:
        url = f"http://127.0.0.1:{server.port}/"
        with pytest.raises(LookupError, match="the test's own"), mocked() as mock:
            mock.add_response()
            raise LookupError("the test's own")
        assert httpx_fast.get(url).text == "real"

        def forgotten() -> None:
            with mocked() as mock:
                mock.add_response()

        with pytest.raises(AssertionError, match="mocked but not requested"):
            forgotten()
        assert httpx_fast.get(url).text == "real"


def test_one_request_is_asked_for_and_there_are_two(httpx_fast_mock: HTTPXFastMock):
    assert httpx_fast_mock.get_request() is None
    httpx_fast_mock.add_response(is_reusable=True)
    httpx_fast.get(URL)
    httpx_fast.get(URL)
    with pytest.raises(AssertionError, match="2 requests match"):
        httpx_fast_mock.get_request(url=URL)


@pytest.mark.parametrize(
    ("matchers", "error", "seen"),
    [
        ({"match_content": b"", "match_json": 1}, ValueError, "at most one of"),
        ({"match_data": {"a": "1"}}, ValueError, "match_data goes with match_files"),
        ({"match_params": {"a": "1"}}, ValueError, "needs a URL without a query"),
        ({"match_params": {"a": "1"}, "url": re.compile("x")}, ValueError, "needs a URL without a query"),
        ({"match_params": {"a": "1"}, "url": f"{URL}?b=1"}, ValueError, "either in url or as match_params"),
        ({"matches": 1}, TypeError, "matches"),
    ],
)
def test_matchers_that_make_no_sense_are_refused(matchers, error, seen):
    with pytest.raises(error, match=seen):
        HTTPXFastMock().add_response(**matchers)


@pytest.mark.parametrize("name", ["httpx2", "httpx"])
def test_clients_of_other_packages_over_our_transports_are_answered_too(httpx_fast_mock: HTTPXFastMock, name: str):
    package = needed(name)
    fast = __import__(f"httpx_fast.integrations.{name}", fromlist=["FastClient"])
    httpx_fast_mock.add_response(201, text="mocked", headers={"X-A": "1"}, match_content=b"sent")
    httpx_fast_mock.add_exception(httpx_fast.ConnectTimeout("too late"))
    with fast.FastClient(trust_env=False) as client:
        answer = client.post(URL, content=b"sent")
        assert (type(answer), answer.status_code, answer.text) == (package.Response, 201, "mocked")
        assert answer.headers["x-a"] == "1"
        with pytest.raises(package.ConnectTimeout, match="too late"):
            client.get(URL)

    async def body() -> None:
        async with fast.AsyncFastClient(trust_env=False) as client:
            httpx_fast_mock.add_response(stream=IteratorStream([b"a", b"b"]))
            assert (await client.get(URL)).content == b"ab"

    import asyncio

    asyncio.run(body())


@pytest.mark.parametrize("params", [{"a": ["1"]}, {"a": 1}, {1: "1"}, {"a": ["1", ANY]}, {}])
@pytest.mark.httpx_fast_mock(assert_all_requests_were_expected=False, assert_all_responses_were_requested=False)
def test_values_of_parameters_are_compared_as_they_are(httpx_fast_mock: HTTPXFastMock, params):
    httpx_fast_mock.add_response(url=URL, match_params=params)
    with httpx_fast.Client() as client, pytest.raises(httpx_fast.TimeoutException, match="No response can be found"):
        client.get(URL, params={"a": "1"})
