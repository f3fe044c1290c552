"""Requests made of method and URL text: as fast as a look-up, and never out of date."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response
from httpx_fast._client.templates import MAX_TEMPLATE_URL, MAX_TEMPLATES

URL = "http://a.test/x"


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(lambda request: Response(200))) as opened:
        yield opened


def test_second_request_shares_url_and_head_with_the_first(client):
    first, second = client.build_request("GET", URL), client.build_request("GET", URL)
    assert first is not second
    assert first.url is second.url
    assert first._dispatch is second._dispatch
    assert first._unchanged_head() is not None
    assert first.headers is not second.headers


def test_change_of_one_request_is_not_seen_by_the_next(client):
    first = client.build_request("GET", URL)
    first.headers["X"] = "1"
    first.extensions["mine"] = 1
    second = client.build_request("GET", URL)
    assert "X" not in second.headers
    assert "mine" not in second.extensions
    assert first._unchanged_head() is None
    assert second._unchanged_head() is not None


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.headers.update({"X": "1"}),
        lambda client: client.headers.__setitem__("X", "1"),
        lambda client: client.headers.pop("Accept"),
        lambda client: setattr(client, "headers", {"X": "1"}),
        lambda client: setattr(client, "params", {"a": "1"}),
        lambda client: setattr(client, "base_url", "http://b.test/"),
        lambda client: setattr(client, "_base_url", httpx_fast.URL("http://b.test/")),
        lambda client: client.cookies.set("a", "1"),
        lambda client: setattr(client, "cookies", {"a": "1"}),
        lambda client: setattr(client, "timeout", 1),
    ],
)
def test_change_of_a_setting_is_seen_by_the_next_request(client, change):
    def facts():
        request = client.build_request("GET", "x")
        return str(request.url), request.headers.multi_items(), request.extensions

    client.base_url = "http://a.test/"
    before = facts()
    assert facts() == before
    change(client)
    changed = facts()
    assert changed != before
    assert facts() == changed
    client.headers["Y"] = "2"
    assert facts() != changed


def test_setting_changed_twice_between_requests_is_seen(client):
    for value in "123":
        client.headers["X"] = value
        assert client.build_request("GET", URL).headers["X"] == value
        client.headers["X"] = value * 2
        assert client.build_request("GET", URL).headers["X"] == value * 2


@pytest.mark.parametrize("name", ["get", "Get", "GET"])
def test_method_is_in_capitals(client, name):
    assert client.build_request(name, URL).method == "GET"


def test_methods_do_not_share_templates(client):
    assert client.build_request("GET", URL).method == "GET"
    assert client.build_request("POST", URL).headers["Content-Length"] == "0"


def test_same_request_with_and_without_a_template(client):
    plain = client.build_request("GET", URL)
    other = client.build_request("GET", httpx_fast.URL(URL), headers={})
    assert plain.headers.raw == other.headers.raw
    assert plain.url == other.url
    assert plain.extensions == other.extensions
    assert plain.read() == other.read() == b""


def test_table_is_bounded(client):
    for number in range(MAX_TEMPLATES + 10):
        client.build_request("GET", f"http://a.test/{number}")
    assert len(client._table.known) == MAX_TEMPLATES
    assert ("GET", "http://a.test/9") not in client._table.known
    assert ("GET", f"http://a.test/{MAX_TEMPLATES + 9}") in client._table.known


@pytest.mark.parametrize(("length", "kept"), [(MAX_TEMPLATE_URL, 1), (MAX_TEMPLATE_URL + 1, 0)])
def test_long_urls_are_not_kept(client, length, kept):
    client.build_request("GET", "http://a.test/".ljust(length, "x"))
    assert len(client._table.known) == kept


def test_invalid_url_is_an_error_each_time(client):
    for _ in range(2):
        with pytest.raises(httpx_fast.InvalidURL, match="port"):
            client.build_request("GET", "http://a.test:port/")


@pytest.mark.parametrize("name", ["_merge_url", "_merge_headers", "_merge_queryparams"])
def test_subclass_with_its_own_merging_is_asked_each_time(name):
    calls = []

    def own(self, *arguments):
        calls.append(arguments)
        return getattr(httpx_fast.Client, name)(self, *arguments)

    client = type("Own", (httpx_fast.Client,), {name: own})(
        transport=httpx_fast.MockTransport(lambda request: Response(200))
    )
    client.build_request("GET", URL)
    client.build_request("GET", URL)
    assert len(calls) == 2


# What is derived from a template is what `Request` makes.

BODIES = [
    {},
    {"content": b"octets"},
    {"content": "täxt"},
    {"content": b""},
    {"content": ""},
    {"content": bytearray(b"octets")},
    {"json": {"a": [1, 2.5, None, "ü"]}},
    {"json": 0},
    {"json": {}, "data": {}},
    {"data": {"a": ["1", 2, None], "b": "x y"}},
    {"data": {}, "content": b"x"},
]
HEADERS = [
    None,
    {},
    {"X-One": "1", "x-one": "2"},
    {"Content-Type": "application/vnd.example+json", "Accept": "text/plain"},
    {"Host": "other.test"},
    {"Content-Length": "6"},
    {"transfer-encoding": "chunked"},
    {b"X-Octets": b"\xff", "accept": "a"},
    [("X-One", "1"), ("X-One", "2"), ("Accept", "a")],
    httpx_fast.Headers({"X-One": "1", "User-Agent": "me"}),
]


@pytest.mark.parametrize("headers", HEADERS, ids=repr)
@pytest.mark.parametrize("body", BODIES, ids=repr)
@pytest.mark.parametrize("method", ["GET", "POST", "delete"])
@pytest.mark.parametrize("own", [{}, {"Content-Type": "text/x", "Host": "own.test"}, {"Content-Length": "3"}], ids=repr)
def test_derived_request_is_the_one_that_is_made_without_a_template(client, own, method, body, headers):
    client.headers.update(own)
    for _ in range(2):
        derived = client.build_request(method, URL, **body, headers=headers)
        plain = client.build_request(method, httpx_fast.URL(URL), **body, headers=headers)
        assert derived.headers.raw == plain.headers.raw
        assert (derived.method, derived.url, derived.extensions) == (plain.method, plain.url, plain.extensions)
        assert derived.read() == plain.read()
        assert b"".join(derived.stream) == b"".join(plain.stream)


@pytest.mark.parametrize("headers", [{"X": 1}, {1: "x"}, {"X": "ü"}, 5, ["x"]], ids=repr)
def test_wrong_headers_are_the_same_error_with_and_without_a_template(client, headers):
    errors = []
    for url in (URL, httpx_fast.URL(URL)):
        with pytest.raises((TypeError, ValueError), match=r"header|expected") as caught:
            client.build_request("POST", url, json=1, headers=headers)
        errors.append((type(caught.value), str(caught.value)))
    assert errors[0] == errors[1]


def test_method_that_is_no_text_is_an_error_with_a_body_too(client):
    with pytest.raises(TypeError, match="expected a str as method"):
        client.build_request(b"POST", URL, json=1)


def test_change_of_a_derived_request_stays_with_it(client):
    first = client.build_request("POST", URL, json=1, headers={"X": "1"})
    first.headers["X"] = "2"
    first.headers["Y"] = "1"
    second = client.build_request("POST", URL, json=1, headers={"X": "1"})
    assert (second.headers["X"], "Y" in second.headers) == ("1", False)
    assert first._unchanged_head() is None
    assert second._unchanged_head() is not None


def test_headers_that_are_given_may_be_changed_afterwards(client):
    given = httpx_fast.Headers({"X": "1"})
    request = client.build_request("POST", URL, json=1, headers=given)
    given["X"] = "2"
    assert request.headers["X"] == "1"


def test_cookies_of_the_client_go_with_a_body_and_headers_too(client):
    client.cookies.set("a", "1")
    assert client.build_request("POST", URL, json=1, headers={"X": "1"}).headers["Cookie"] == "a=1"


def test_route_that_one_derived_request_found_serves_the_next(client):
    first = client.build_request("POST", URL, json=1)
    destination = first._dispatch.destination
    assert destination.route is None
    second = client.build_request("POST", URL, json=2, headers={"X": "1"})
    assert second._dispatch.destination is destination
    assert client.build_request("GET", URL)._dispatch.destination is destination
    assert client.build_request("GET", f"{URL}/")._dispatch.destination is not destination


# A URL never seen is made from the template of its origin.


@pytest.mark.parametrize("own", [{}, {"params": {"own": "1"}}, {"headers": {"Host": "own.test"}}], ids=repr)
@pytest.mark.parametrize("base", ["", "http://base.test/path/"])
@pytest.mark.parametrize("method", ["GET", "post"])
@pytest.mark.parametrize(
    "arguments", [{}, {"params": {"a": ["1", 2], "ü": None}}, {"params": {}}, {"json": [1]}], ids=repr
)
def test_new_url_makes_the_request_that_is_made_without_a_template(own, base, method, arguments):
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(lambda _: Response(200)), base_url=base, **own)
    urls = ["http://a.test/1", "http://a.test/2?x=y#z", "https://a.test/1", "http://a.test:8/1", "http://u:p@a.test/3"]
    urls += [
        "http://[fe80::1%25eth0]/",
        "http://[fe80::1%25eth1]/",
        "/4",
        "5?x",
        "http://b.test/ü?ü",
        "http://a.test/6",
    ]
    with client:
        for url in urls:
            made = client.build_request(method, url, **arguments)
            plain = client.build_request(method, httpx_fast.URL(url), **arguments)
            assert str(made.url) == str(plain.url)
            assert made.url.raw_path == plain.url.raw_path
            assert made.url._origin == plain.url._origin
            assert made.headers.raw == plain.headers.raw
            assert (made.method, made.read()) == (plain.method, plain.read())
            if "://" in url:
                head = made._unchanged_head()
                assert (head.scheme, head.authority) == (plain.url.raw_scheme, plain.url.netloc)
                assert (head.target, head.fields) == (plain.url.raw_path, plain.headers.raw)


def test_new_url_of_an_origin_shares_its_fields_and_goes_its_route(client):
    first = client.build_request("GET", "http://a.test/1")
    route = first._dispatch.destination.route = object()
    second = client.build_request("GET", "http://a.test/2")
    assert second._lines is first._lines
    assert second._dispatch.destination.route is route
    assert second._dispatch.head.target == b"/2"
    for other in ("https://a.test/1", "http://b.test/1", "http://a.test:8/1"):
        assert client.build_request("GET", other)._dispatch.destination.route is None


def test_table_of_origins_is_bounded(client):
    for number in range(MAX_TEMPLATES + 10):
        client.build_request("GET", f"http://a{number}.test/")
    assert len(client._table.origins) == MAX_TEMPLATES


def test_url_with_params_of_the_request_is_not_kept(client):
    request = client.build_request("GET", URL, params={"a": "1"})
    assert str(request.url) == f"{URL}?a=1"
    assert client._table.known == {}
    assert str(client.build_request("GET", URL).url) == URL


@pytest.mark.parametrize(
    "body",
    [
        {"data": {"a": []}},
        {"data": {}},
        {"data": {"a": ""}},
        {"json": {}},
        {"json": ""},
        {"content": ""},
        {"content": b""},
        {"content": "x"},
    ],
    ids=str,
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_body_is_sent_as_a_request_that_is_made_alone_sends_it(client, method, body):
    client.request(method, URL, **body)  # from now on there is a template
    sent = client.request(method, URL, **body).request
    alone = httpx_fast.Request(method, URL, headers=client.headers, **body)
    assert sorted(sent.headers.raw) == sorted(alone.headers.raw)
    assert sent.content == alone.read()
