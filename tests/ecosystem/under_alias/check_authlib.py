"""authlib: clients that are subclasses of ours, whose tokens and signatures are `Auth` flows."""

from __future__ import annotations

import asyncio
import json
import time

import httpx
import pytest
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuth1Client, OAuth2Client

from httpx_fast.testing import Reply, Request


def answer(request: Request) -> Reply:
    if request.target == "/token":
        token = {"access_token": "fresh", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "more"}
        return Reply(200, [("Content-Type", "application/json")], json.dumps(token).encode())
    return Reply(200, [], (request.field("Authorization") or "nothing").encode())


@pytest.fixture
def site(serve):
    return serve(answer)


def test_a_token_is_fetched_and_sent(site):
    with OAuth2Client("id", "secret") as client:
        token = client.fetch_token(f"{site.url}/token", grant_type="client_credentials")
        assert token["access_token"] == "fresh"
        response = client.get(f"{site.url}/me")
    assert isinstance(client, httpx.Client)
    assert response.text == "Bearer fresh"
    asked = site.seen[0]
    assert (asked.method, asked.body) == ("POST", b"grant_type=client_credentials")
    assert asked.field("Authorization") == "Basic aWQ6c2VjcmV0"


def test_an_expired_token_is_refreshed_on_the_way(site):
    kept = []
    old = {"access_token": "old", "refresh_token": "r", "expires_at": time.time() - 10, "token_type": "Bearer"}
    with OAuth2Client(
        "id",
        "secret",
        token=old,
        token_endpoint=f"{site.url}/token",
        update_token=lambda token, **_: kept.append(token),
    ) as client:
        assert client.post(f"{site.url}/me", json={}).text == "Bearer fresh"
    assert b"refresh_token=r" in site.seen[0].body
    assert kept[0]["access_token"] == "fresh"


def test_asynchronous_clients_do_the_same(site):
    async def ask() -> str:
        async with AsyncOAuth2Client("id", "secret", token_endpoint_auth_method="client_secret_post") as client:
            await client.fetch_token(f"{site.url}/token", grant_type="client_credentials")
            async with client.stream("GET", f"{site.url}/me") as response:
                return (await response.aread()).decode()

    assert asyncio.run(ask()) == "Bearer fresh"
    assert b"client_secret=secret" in site.seen[0].body


@pytest.mark.parametrize("kind", ["HEADER", "QUERY", "BODY"])
def test_requests_are_signed(site, kind: str):
    with OAuth1Client("key", "secret", token="t", token_secret="ts", signature_type=kind) as client:
        client.post(f"{site.url}/me?a=1", data={"b": "2"})
    (request,) = site.seen
    signed = {"HEADER": request.field("Authorization"), "QUERY": request.target, "BODY": request.body.decode()}[kind]
    assert "oauth_signature=" in signed
    assert request.body.startswith(b"b=2")
    assert request.field("Content-Length") == str(len(request.body))
