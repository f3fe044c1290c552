"""The fields that every client sends, unless told otherwise."""

from __future__ import annotations

import pytest

import httpx_fast
from httpx_fast import Response


def echo(request):
    return Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "headers": request.headers.multi_items(),
            "content": request.content.decode(),
        },
    )


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(echo)) as opened:
        yield opened


def test_default_fields_and_their_order(client):
    headers = client.get("http://a.test:8080/").json()["headers"]
    assert [name for name, _ in headers] == ["host", "accept", "accept-encoding", "connection", "user-agent"]
    assert dict(headers)["host"] == "a.test:8080"
    assert dict(headers)["accept"] == "*/*"
    assert dict(headers)["accept-encoding"].startswith("gzip, deflate")
    assert dict(headers)["connection"] == "keep-alive"
    assert dict(headers)["user-agent"] == f"python-httpx_fast/{httpx_fast.__version__}"


def test_fields_of_the_request_take_the_place_of_the_clients(client):
    client.headers = {"X-One": "1", "User-Agent": "mine"}
    sent = dict(client.get("http://a.test/", headers={"x-one": "2", "Accept": "text/html"}).json()["headers"])
    assert (sent["x-one"], sent["accept"], sent["user-agent"]) == ("2", "text/html", "mine")
    assert dict(client.get("http://a.test/").json()["headers"])["x-one"] == "1"
