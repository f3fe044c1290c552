"""What the models cost without a network, beside httpx2's: Headers, requests, responses, cookies.

    pytest bench/test_bench_models.py --benchmark-group-by=func --benchmark-columns=min,median,iqr

Requests and responses are made as a client and its transport make them: here from a template and a received head,
there by the constructors, since httpx2 has no other way.
"""

from __future__ import annotations

import httpx2
import pytest

import httpx_fast
from httpx_fast._kernel.select import HeadParser
from httpx_fast._models.dispatch import Destination, Dispatch
from httpx_fast._models.request import from_template
from httpx_fast._models.response import received
from httpx_fast._wire.heads import WireHead

LIBRARIES = [httpx_fast, httpx2]
DEFAULTS = {"Accept": "*/*", "Accept-Encoding": "gzip", "Connection": "keep-alive", "User-Agent": "bench"}
BODY = b'{"id": 1, "name": "a name"}'
RAW = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Type: application/json\r\n"
    b"Content-Length: 27\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\nCache-Control: no-cache\r\n"
    b'ETag: "0123456789"\r\nX-Request-Id: 0123456789\r\nX-Frame-Options: DENY\r\n'
    b"Strict-Transport-Security: max-age=31536000\r\nX-Content-Type-Options: nosniff\r\n\r\n"
)


@pytest.fixture(params=LIBRARIES, ids=lambda library: library.__name__)
def library(request):
    return request.param


@pytest.fixture
def make_request(library):
    """Build the GET of a client with default headers."""
    url = library.URL("https://example.org/path?a=1")
    if library is httpx2:
        merged = httpx2.Headers(DEFAULTS)
        timeout = httpx2.Timeout(5.0)
        return lambda: httpx2.Request("GET", url, headers=merged, extensions={"timeout": timeout.as_dict()})
    timeout = httpx_fast.Timeout(5.0)
    fields = httpx_fast.Request("GET", url, headers=DEFAULTS).headers._share()
    head = WireHead(b"GET", b"https", b"example.org", b"/path?a=1", fields)
    dispatch = Dispatch(head, "GET", Destination(url), timeout)
    return lambda: from_template("GET", url, fields, dispatch)


@pytest.fixture
def make_response(library, make_request):
    """Build a response of 12 fields with its whole body."""
    request = make_request()
    head = HeadParser().feed(RAW, 0, len(RAW))
    if library is httpx_fast:
        return lambda: received(200, head, request, None, body=BODY, stream=None, network=None)
    fields = list(head.fields())
    extensions = {"http_version": b"HTTP/1.1", "reason_phrase": b"OK", "network_stream": None}
    return lambda: httpx2.Response(
        200, headers=fields, stream=httpx2.ByteStream(BODY), request=request, extensions=extensions
    )


def test_headers_of_a_dict(benchmark, library):
    assert len(benchmark(library.Headers, DEFAULTS)) == 4


def test_headers_copy_and_update(benchmark, library):
    headers = library.Headers(DEFAULTS)

    def merge():
        merged = library.Headers(headers)
        merged.update({"Accept": "text/html", "X-Id": "1"})
        return merged

    assert len(benchmark(merge)) == 5


def test_headers_lookup(benchmark, library):
    headers = library.Headers(HeadParser().feed(RAW, 0, len(RAW)).fields())
    assert benchmark(headers.get, "etag") == '"0123456789"'


def test_request_get(benchmark, make_request):
    assert benchmark(make_request).headers["host"] == "example.org"


def test_request_post_json(benchmark, library):
    url = library.URL("https://example.org/path")
    headers = library.Headers(DEFAULTS)
    request = benchmark(lambda: library.Request("POST", url, headers=headers, json={"id": 1}))
    assert request.content == b'{"id":1}'


def test_response_read(benchmark, make_response):
    assert benchmark(lambda: make_response().read()) == BODY


def test_response_json(benchmark, make_response):
    def parsed():
        response = make_response()
        response.read()
        return response.json()

    assert benchmark(parsed)["id"] == 1


def test_response_text(benchmark, make_response):
    def text():
        response = make_response()
        response.read()
        return response.text

    assert benchmark(text) == BODY.decode()


def test_response_one_field(benchmark, make_response):
    assert benchmark(lambda: make_response().headers["content-type"]) == "application/json"


def test_response_all_fields(benchmark, make_response):
    assert len(benchmark(lambda: make_response().headers.multi_items())) == 12


def test_request_and_response(benchmark, make_request, make_response):
    def exchange():
        make_request()
        response = make_response()
        response.read()
        return response.raise_for_status().content

    assert benchmark(exchange) == BODY


@pytest.mark.parametrize("host", ["example.com", "host7.example.org"])
def test_cookies_1000_of_others(benchmark, library, host):
    cookies = library.Cookies()
    for number in range(1000):
        cookies.set("name", "value", domain=f"host{number}.example.org")
    url = library.URL(f"https://{host}/")

    def request():
        request = library.Request("GET", url)
        cookies.set_cookie_header(request)
        return request

    assert ("cookie" in benchmark(request).headers) is (host != "example.com")
