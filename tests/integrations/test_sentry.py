"""Breadcrumbs and spans for Sentry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from peers import OK

import httpx_fast

pytest.importorskip("sentry_sdk", reason="sentry-sdk is what is told of requests")

import sentry_sdk
from sentry_sdk import integrations
from sentry_sdk.transport import Transport

from httpx_fast.integrations.sentry import HTTPXFastIntegration, stop


class Kept(Transport):
    """Keeps what would be sent to Sentry."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[dict[str, Any]] = []

    def capture_envelope(self, envelope: Any) -> None:
        self.events += [item.payload.json for item in envelope.items if item.type in ("event", "transaction")]


@pytest.fixture
def kept() -> Iterator[Kept]:
    transport = Kept()
    sentry_sdk.init(
        "http://key@sentry.test/1",
        transport=transport,
        integrations=[HTTPXFastIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=1.0,
        enable_backpressure_handling=False,  # else a thread is left
    )
    yield transport
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    stop()
    for known in (integrations._processed_integrations, integrations._installed_integrations):
        known.discard(HTTPXFastIntegration.identifier)


def test_requests_are_spans_and_breadcrumbs(backend, peer, kept):
    seen: list[bytes] = []

    def script(dialogue):
        seen.append(dialogue.read_request())
        dialogue.send(OK)

    async def body():
        with sentry_sdk.start_transaction(name="work"):
            async with backend.client(trust_env=False) as client:
                await client.get(peer(script).url("/x?token=hunter2"))
        sentry_sdk.capture_message("done")

    backend.run(body)
    sentry_sdk.flush()
    transaction = next(event for event in kept.events if event.get("type") == "transaction")
    (span,) = transaction["spans"]
    assert span["op"] == "http.client"
    assert span["data"]["http.response.status_code"] == 200
    assert span["data"]["httpx_fast.wait"] > 0
    message = next(event for event in kept.events if event.get("type") != "transaction")
    crumb = message["breadcrumbs"]["values"][-1]
    assert (crumb["type"], crumb["data"]["status_code"]) == ("http", 200)
    assert crumb["data"]["url"].endswith("/x?token=[secure]")
    assert "hunter2" not in str(kept.events)
    assert b"sentry-trace: " in seen[0].lower()


def test_failures_leave_a_breadcrumb(backend, kept):
    async def body():
        def fail(request):
            raise httpx_fast.ConnectError("nobody there")

        async with backend.client(transport=httpx_fast.MockTransport(fail)) as client:
            with pytest.raises(httpx_fast.ConnectError, match="nobody there"):
                await client.get("http://a.test/")
        sentry_sdk.capture_message("done")

    backend.run(body)
    sentry_sdk.flush()
    crumb = kept.events[-1]["breadcrumbs"]["values"][-1]
    assert (crumb["level"], crumb["data"]["reason"]) == ("warning", "ConnectError")
