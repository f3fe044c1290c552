"""OpenTelemetry's instrumentation: by patched classes, by patched clients, and by its transports."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor, SyncOpenTelemetryTransport
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from httpx_fast.testing import Reply


@pytest.fixture
def spans():
    return InMemorySpanExporter()


@pytest.fixture
def provider(spans: InMemorySpanExporter):
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    yield provider
    provider.shutdown()


@pytest.fixture
def site(serve):
    return serve(lambda request: Reply(204, [("X-Got", "1")]))


async def asked(url: str, instrument=lambda client: None) -> None:
    async with httpx.AsyncClient() as client:
        instrument(client)
        await client.get(url)


def check(spans: InMemorySpanExporter, site) -> None:
    (span,) = spans.get_finished_spans()
    assert span.name == "GET"
    assert span.attributes["http.url"] == f"{site.url}/x"
    assert span.attributes["http.status_code"] == 204
    assert site.seen[0].field("traceparent") is not None


@pytest.fixture
def everywhere(provider: TracerProvider):
    HTTPXClientInstrumentor().instrument(tracer_provider=provider)
    yield
    HTTPXClientInstrumentor().uninstrument()


def test_all_blocking_clients(everywhere, spans: InMemorySpanExporter, site):
    with httpx.Client() as client:
        client.get(f"{site.url}/x")
    check(spans, site)


def test_all_asynchronous_clients(everywhere, spans: InMemorySpanExporter, site):
    asyncio.run(asked(f"{site.url}/x"))
    check(spans, site)


def test_one_blocking_client(provider: TracerProvider, spans: InMemorySpanExporter, site):
    with httpx.Client() as client:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)
        client.get(f"{site.url}/x")
        HTTPXClientInstrumentor.uninstrument_client(client)
        client.get(f"{site.url}/unseen")
    check(spans, site)


def test_one_asynchronous_client(provider: TracerProvider, spans: InMemorySpanExporter, site):
    def instrument(client: httpx.AsyncClient) -> None:
        HTTPXClientInstrumentor.instrument_client(client, tracer_provider=provider)

    asyncio.run(asked(f"{site.url}/x", instrument))
    check(spans, site)


def test_a_transport_around_ours(provider: TracerProvider, spans: InMemorySpanExporter, site):
    transport = SyncOpenTelemetryTransport(httpx.HTTPTransport(), tracer_provider=provider)
    with httpx.Client(transport=transport) as client:
        client.get(f"{site.url}/x")
    check(spans, site)
