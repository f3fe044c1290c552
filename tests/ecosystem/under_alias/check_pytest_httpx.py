"""pytest-httpx: its fixture patches the transports and reads the pool of each."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from pytest_httpx import HTTPXMock, IteratorStream

from httpx_fast.testing import Reply

URL = "https://api.example/items"


def test_blocking_requests_are_answered_and_kept(httpx_mock: HTTPXMock):
    httpx_mock.add_response(url=f"{URL}?a=1", method="GET", json={"found": True}, headers={"X-Got": "1"})
    response = httpx.get(URL, params={"a": 1})
    assert (response.json(), response.headers["x-got"], response.http_version) == ({"found": True}, "1", "HTTP/1.1")
    assert httpx_mock.get_request().url == f"{URL}?a=1"


def test_asynchronous_requests_are_answered(httpx_mock: HTTPXMock):
    httpx_mock.add_response(match_json={"a": 1}, match_headers={"X-Key": "k"}, status_code=201, text="made")

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.post(URL, json={"a": 1}, headers={"X-Key": "k"})

    assert asyncio.run(ask()).text == "made"


def test_forms_are_matched_byte_by_byte(httpx_mock: HTTPXMock):
    httpx_mock.add_response(match_data={"a": "1"}, match_files={"f": ("n.txt", b"octets")})
    assert httpx.post(URL, data={"a": "1"}, files={"f": ("n.txt", b"octets")}).is_success


def test_errors_are_raised(httpx_mock: HTTPXMock):
    httpx_mock.add_exception(httpx.ReadTimeout("too late"))
    with pytest.raises(httpx.ReadTimeout, match="too late"):
        httpx.get(URL)


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
def test_an_unexpected_request_times_out_and_says_what_was_expected(httpx_mock: HTTPXMock):
    httpx_mock.add_response(url=f"{URL}/1", is_optional=True)
    with pytest.raises(httpx.TimeoutException, match=r"No response can be found for GET request on .*items"):
        httpx.get(URL)


def test_callbacks_are_asked(httpx_mock: HTTPXMock):
    httpx_mock.add_callback(lambda request: httpx.Response(200, content=request.read()[::-1]))
    assert httpx.post(URL, content=b"abc").content == b"cba"


def test_streams_are_answered_piece_by_piece(httpx_mock: HTTPXMock):
    httpx_mock.add_response(stream=IteratorStream([b"part 1", b"part 2"]))
    with httpx.Client() as client, client.stream("GET", URL) as response:
        assert list(response.iter_raw()) == [b"part 1", b"part 2"]


@pytest.mark.httpx_mock(should_mock=lambda request: request.url.host != "127.0.0.1")
def test_requests_that_are_not_mocked_are_sent(httpx_mock: HTTPXMock, serve):
    site = serve(lambda request: Reply(200, [], b"real"))
    assert httpx.get(site.url).text == "real"


PROXY = "http://user:secret@proxy.example:3128/"


@pytest.mark.parametrize("kind", ["http", "https", "socks5"])
def test_the_proxy_of_a_request_is_matched(httpx_mock: HTTPXMock, kind: str):
    proxy = PROXY.replace("http", kind)
    if kind != "socks5":  # which pytest-httpx does not look for
        httpx_mock.add_response(proxy_url=proxy, text="through the proxy")
    else:
        httpx_mock.add_response(text="through the proxy")
    with httpx.Client(proxy=proxy) as client:
        assert client.get(URL).text == "through the proxy"


@pytest.mark.httpx_mock(assert_all_requests_were_expected=False)
def test_another_proxy_is_not_matched(httpx_mock: HTTPXMock):
    httpx_mock.add_response(proxy_url="http://another.example", is_optional=True)
    for proxy in (None, PROXY):
        with (
            httpx.Client(proxy=proxy) as client,
            pytest.raises(httpx.TimeoutException, match="No response can be found"),
        ):
            client.get(URL)


def test_header_names_are_shown_as_they_were_written(httpx_mock: HTTPXMock):
    httpx_mock.add_response(match_headers={"X-Key": "other"}, is_optional=True)
    httpx_mock.add_response(match_headers={"X-Key": "k"})
    httpx.get(URL, headers={"X-Key": "k"})
