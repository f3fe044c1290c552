"""Sentry's integration: spans around `send`, and trace headers on requests.

It has one for httpx and one for httpx2, which patch the same classes here: a request would be told of twice, so an
application leaves one of them out.
"""

from __future__ import annotations

import asyncio

import httpx
import pytest
import sentry_sdk
from sentry_sdk.integrations.httpx2 import Httpx2Integration
from sentry_sdk.transport import Transport

from httpx_fast.testing import Reply


class Kept(Transport):
    """Keeps what would be sent to Sentry."""

    def __init__(self, options: dict) -> None:
        super().__init__(options)
        self.events: list[dict] = []

    def capture_envelope(self, envelope) -> None:
        self.events += [item.payload.json for item in envelope.items if item.payload.json is not None]


@pytest.fixture
def kept():
    with sentry_sdk.isolation_scope():
        sentry_sdk.init(
            dsn="http://key@127.0.0.1:1/1",
            transport=Kept,
            traces_sample_rate=1.0,
            disabled_integrations=[Httpx2Integration],
            enable_backpressure_handling=False,  # no thread of its own
        )
        yield sentry_sdk.get_client().transport
        sentry_sdk.get_client().close()


def check(kept: Kept, site) -> None:
    (event,) = [event for event in kept.events if event.get("type") == "transaction"]
    (span,) = [span for span in event["spans"] if span["op"] == "http.client"]
    assert span["description"].startswith(f"GET {site.url}/")
    assert span["data"]["http.response.status_code"] == 200
    assert site.seen[0].field("sentry-trace") is not None


def test_blocking(kept: Kept, serve):
    site = serve(lambda request: Reply(200))
    with sentry_sdk.start_transaction(name="t"):
        httpx.get(f"{site.url}/")
    check(kept, site)


def test_asynchronous(kept: Kept, serve):
    site = serve(lambda request: Reply(200))

    async def ask() -> None:
        async with httpx.AsyncClient() as client:
            await client.get(f"{site.url}/")

    with sentry_sdk.start_transaction(name="t"):
        asyncio.run(ask())
    check(kept, site)
