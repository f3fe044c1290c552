"""Requests made of method and URL text: as fast as a look-up, and never out of date."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response
from httpx_fast._client.base import MAX_TEMPLATE_URL, MAX_TEMPLATES

URL = "http://a.test/x"


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(lambda request: Response(200))) as opened:
        yield opened


def test_second_request_shares_url_and_head_with_the_first(client):
    first, second = client.build_request("GET", URL), client.build_request("GET", URL)
    assert first is not second
    assert first.url is second.url
    assert first._head is second._head
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
