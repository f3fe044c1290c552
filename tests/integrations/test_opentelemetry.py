"""Spans and metrics by OpenTelemetry's conventions: what the journey has, and nothing is patched."""

from __future__ import annotations

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from peers import OK, answering

import httpx_fast

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is what collects spans")

from opentelemetry import context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from httpx_fast.integrations.opentelemetry import instrument, instrument_all

MOVED = b"HTTP/1.1 302 Found\r\nLocation: /next?token=hunter2\r\nContent-Length: 0\r\n\r\n"


class Collected:
    """What is told to OpenTelemetry, kept in memory."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider(shutdown_on_exit=False)
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader], shutdown_on_exit=False)
        self.settings: dict[str, Any] = {"tracer_provider": self.tracers, "meter_provider": self.meters}

    @property
    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def points(self, name: str) -> list[Any]:
        data = self.reader.get_metrics_data()
        scopes = [
            scope for resource in ([] if data is None else data.resource_metrics) for scope in resource.scope_metrics
        ]
        return [
            point
            for scope in scopes
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]


@pytest.fixture
def collected():
    found = Collected()
    yield found
    found.tracers.shutdown()
    found.meters.shutdown()


def inner(client):
    return getattr(client, "blocking", client)


def test_one_client_span_per_exchange_with_its_steps(backend, nginx, authority, collected):
    async def body():
        async with backend.client(verify=authority.client_context(), follow_redirects=True) as client:
            instrument(inner(client), **collected.settings)
            response = await client.get(nginx.url("/redirect", "https"), params={"api_key": "hunter2"})
            return response, dict(client.pool.stats().learnt)

    response, _ = backend.run(body)
    first, second = collected.spans
    for span, journey in ((first, response.journey.hops[0]), (second, response.journey)):
        assert (span.name, span.kind) == ("GET", SpanKind.CLIENT)
        assert span.attributes["http.request.method"] == "GET"
        assert span.attributes["http.response.status_code"] == journey.status
        assert span.attributes["server.address"] == "127.0.0.1"
        assert span.attributes["server.port"] == response.url.port
        assert span.attributes["network.protocol.version"] == "1.1"
        assert span.attributes["network.peer.address"] == "127.0.0.1"
        assert span.status.status_code is StatusCode.UNSET
        assert [event.name for event in span.events] == [f"httpx_fast.{step.name}" for step in journey.spans()]
        assert [event.attributes["httpx_fast.phase.duration"] for event in span.events] == [
            step.end - step.begin for step in journey.spans()
        ]
        moments = [span.start_time, *[event.timestamp for event in span.events], span.end_time]
        assert moments == sorted(moments)
    assert first.attributes["url.full"].endswith("/redirect?api_key=[secure]")
    assert "hunter2" not in str([span.to_json() for span in collected.spans])


def test_the_context_goes_along_and_hooks_are_called(backend, peer, collected):
    seen: list[bytes] = []

    def script(dialogue):
        seen.append(dialogue.read_request())
        dialogue.send(OK)

    async def body():
        async with backend.client(trust_env=False) as client:
            instrument(
                inner(client),
                request_hook=lambda span, request: span.set_attribute("asked", str(request.url.path)),
                response_hook=lambda span, request, response: span.set_attribute("said", response.reason_phrase),
                **collected.settings,
            )
            with collected.tracers.get_tracer("test").start_as_current_span("parent"):
                await client.get(peer(script).url("/path"))

    backend.run(body)
    span, parent = collected.spans
    assert span.parent.span_id == parent.context.span_id
    wanted = f"traceparent: 00-{span.context.trace_id:032x}-{span.context.span_id:016x}-"
    assert wanted in seen[0].decode().lower()
    assert (span.attributes["asked"], span.attributes["said"]) == ("/path", "OK")


def test_a_failure_and_a_bad_status_are_errors(backend, peer, collected):
    async def body():
        server = peer(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", b"nonsense\r\n\r\n"))
        async with backend.client(trust_env=False) as client:
            instrument(inner(client), **collected.settings)
            await client.get(server.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense"):
                await client.get(server.url())

    backend.run(body)
    busy, broken = collected.spans
    assert (busy.attributes["error.type"], busy.status.status_code) == ("503", StatusCode.ERROR)
    assert broken.attributes["error.type"] == "RemoteProtocolError"
    assert "http.response.status_code" not in broken.attributes
    assert broken.status.status_code is StatusCode.ERROR
    assert "exception" in [event.name for event in broken.events]
    points = collected.points("http.client.request.duration")
    assert {point.attributes.get("error.type") for point in points} == {"503", "RemoteProtocolError"}
    assert points[0].explicit_bounds[0] == 0.005


def test_what_was_sent_again_has_a_span_per_attempt(backend, peer, collected):
    async def body():
        server = peer(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OK))
        retry = httpx_fast.Retry(attempts=2, backoff=0.0)
        async with backend.client(trust_env=False, retry=retry) as client:
            instrument(inner(client), phases="spans", **collected.settings)
            return await client.get(server.url())

    journey = backend.run(body).journey
    clients = [span for span in collected.spans if span.kind is SpanKind.CLIENT]
    *attempts, whole = clients
    assert len(attempts) == 2
    assert all(span.parent.span_id == whole.context.span_id for span in attempts)
    assert attempts[0].attributes["error.type"] == "retry"
    assert attempts[1].attributes["http.request.resend_count"] == 1
    assert whole.attributes["http.request.resend_count"] == 1
    assert whole.start_time <= attempts[0].start_time <= attempts[0].end_time <= attempts[1].start_time
    assert attempts[1].end_time <= whole.end_time
    steps = [span for span in collected.spans if span.parent and span.parent.span_id == attempts[1].context.span_id]
    assert [span.name for span in steps] == list(journey.phases())
    assert [span.end_time - span.start_time for span in steps] == pytest.approx(
        list(journey.phases_ns().values()), abs=2
    )


def test_metrics_count_queue_sizes_and_connections(backend, nginx, collected):
    async def body():
        async with backend.client() as client:
            instrument(inner(client), phases=None, **collected.settings)
            await client.post(nginx.url("/echo"), content=b"12345")
            async with client.stream("GET", nginx.url("/f100m")):
                return collected.points("http.client.open_connections")

    connections = backend.run(body)
    assert [(point.value, point.attributes["http.connection.state"]) for point in connections] == [(1, "active")]
    (point,) = [
        each
        for each in collected.points("http.client.request.body.size")
        if each.attributes["http.request.method"] == "POST"
    ]
    assert (point.sum, point.count) == (5, 1)
    assert sum(each.count for each in collected.points("httpx_fast.client.queue.duration")) == 2
    assert collected.spans[0].events == ()


def test_what_is_not_instrumented_costs_nothing(backend, nginx, collected):
    async def body():
        async with backend.client() as client:
            exchange = inner(client)._exchange
            stop = instrument(inner(client), **collected.settings)
            token = context.attach(context.set_value("suppress_instrumentation", True))
            try:
                await client.get(nginx.url("/tiny"))
            finally:
                context.detach(token)
            stop()
            await client.get(nginx.url("/tiny"))
            return inner(client)._exchange == exchange

    assert backend.run(body)
    assert collected.spans == []


def test_all_clients_that_are_made_can_be_instrumented(backend, nginx, collected):
    stop = instrument_all(**collected.settings)

    async def body():
        async with backend.client() as client:
            return await client.get(nginx.url("/tiny"))

    try:
        backend.run(body)
    finally:
        stop()
    backend.run(body)
    assert [span.name for span in collected.spans] == ["GET"]


def test_unknown_methods_are_told_apart(backend, collected):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
        async with backend.client(transport=transport) as client:
            instrument(inner(client), **collected.settings)
            await client.request("PURGE", "http://a.test/")

    backend.run(body)
    (span,) = collected.spans
    assert span.name == "HTTP"
    assert span.attributes["http.request.method"] == "_OTHER"
    assert span.attributes["http.request.method_original"] == "PURGE"


def test_the_instrumentor_is_an_entry_point(collected):
    pytest.importorskip(
        "opentelemetry.instrumentation.instrumentor", reason="it is part of opentelemetry-instrumentation"
    )
    from httpx_fast.integrations._opentelemetry_instrumentor import HTTPXFastInstrumentor

    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    module, _, name = project["entry-points"]["opentelemetry_instrumentor"]["httpx_fast"].partition(":")
    assert getattr(import_module(module), name) is HTTPXFastInstrumentor
    instrumentor = HTTPXFastInstrumentor()
    instrumentor.instrument(**collected.settings)
    transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
    try:
        with httpx_fast.Client(transport=transport) as client:
            client.get("http://a.test/")
    finally:
        instrumentor.uninstrument()
    with httpx_fast.Client(transport=transport) as client:
        client.get("http://a.test/")
    assert len(collected.spans) == 1
    assert trace.get_current_span() is trace.INVALID_SPAN


def test_wrong_phases_are_refused():
    with httpx_fast.Client() as client, pytest.raises(ValueError, match="'events', 'spans' or None"):
        instrument(client, phases="all")  # type: ignore[arg-type]
