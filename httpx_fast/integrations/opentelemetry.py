"""Spans and metrics of a client's requests, by OpenTelemetry's semantic conventions for HTTP. Nothing is patched.

    from httpx_fast.integrations.opentelemetry import instrument

    stop = instrument(client)

Needs `opentelemetry-api` (the extra `otel`). The rules:

1. Each exchange is one client span; redirects and rounds of authentication are exchanges. One that was sent again has a
   client span below it for each attempt.
2. The steps of an attempt are events of its span, or spans below it.
3. What is told is what the journey has: nothing is timed twice, and secrets are masked.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple
from weakref import WeakSet

from opentelemetry import context, metrics, propagate, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider

from ..__version__ import __version__
from .._client.base import BaseClient
from .._client.observing import observe, observe_all
from .._exceptions import HTTPError
from .._journey import Journey
from .._masking import masked_url
from .._models import Request, Response
from .._pool.pool import Pool

__all__ = ["Telemetry", "instrument", "instrument_all"]

_NAME = "httpx_fast"
_SCHEMA = "https://opentelemetry.io/schemas/1.37.0"
#: What is told as "_OTHER" if it is none of these.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"})
#: What other instrumentation sets to keep this one quiet.
_SUPPRESSED = ("suppress_instrumentation", "suppress_http_instrumentation")
#: Advised for `http.client.request.duration`.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

Hook = Callable[[Span, Request], None]
ResponseHook = Callable[[Span, Request, Response], None]


class _Begun(NamedTuple):
    """A request that is under way, with the same moment by both clocks."""

    span: Span
    attributes: dict[str, Any]
    wall: int  # nanoseconds
    monotonic: float

    def at(self, moment: float) -> int:
        """Return a moment of the journey's clock as nanoseconds of the clock on the wall."""
        return self.wall + round((moment - self.monotonic) * 1e9)


class Telemetry:
    """Observe exchanges, and report them to OpenTelemetry."""

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        *,
        phases: Literal["events", "spans"] | None = "events",
        propagates: bool = True,
        request_hook: Hook | None = None,
        response_hook: ResponseHook | None = None,
    ) -> None:
        if phases not in ("events", "spans", None):
            raise ValueError(f"expected 'events', 'spans' or None as phases, got {phases!r}")
        self.active: bool = True
        self.clients: WeakSet[BaseClient] = WeakSet()
        self._phases = phases
        self._propagates = propagates
        self._request_hook = request_hook
        self._response_hook = response_hook
        self._tracer = trace.get_tracer(_NAME, __version__, tracer_provider, schema_url=_SCHEMA)
        meter = metrics.get_meter(_NAME, __version__, meter_provider, schema_url=_SCHEMA)
        self._duration = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._queue = meter.create_histogram(
            "httpx_fast.client.queue.duration",
            "s",
            "Time that requests waited for a connection.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._sent = meter.create_histogram(
            "http.client.request.body.size", "By", "Size of HTTP client request bodies."
        )
        self._received = meter.create_histogram(
            "http.client.response.body.size", "By", "Size of HTTP client response bodies."
        )
        meter.create_observable_up_down_counter(
            "http.client.open_connections", [self._connections], "{connection}", "Number of open connections by state."
        )

    def begins(self, request: Request) -> _Begun | None:
        """Begin a span, and have the request carry it."""
        if not self.active or any(context.get_value(key) for key in _SUPPRESSED):
            return None
        attributes = _asked(request)
        method = attributes["http.request.method"]
        wall, monotonic = time.time_ns(), time.monotonic()
        span = self._tracer.start_span(
            "HTTP" if method == "_OTHER" else method,
            kind=SpanKind.CLIENT,
            attributes=attributes | {"url.full": masked_url(str(request.url))},
            start_time=wall,
        )
        if method == "_OTHER":
            span.set_attribute("http.request.method_original", request.method)
        if self._request_hook is not None:
            self._request_hook(span, request)
        if self._propagates:
            propagate.inject(request.headers, trace.set_span_in_context(span))
        return _Begun(span, attributes, wall, monotonic)

    def ended(
        self, begun: _Begun | None, request: Request, response: Response | None, error: BaseException | None
    ) -> None:
        """End the span, and count what came of the request."""
        if begun is None:
            return
        span = begun.span
        journey = _journey_of(response, error)
        outcome = _came(response, error, journey)
        if span.is_recording():
            span.set_attributes(outcome | _peer(journey))
            if "error.type" in outcome:
                span.set_status(Status(StatusCode.ERROR, None if error is None else str(error)))
            if error is not None:
                span.record_exception(error)
            if journey is not None:
                self._tell_attempts(begun, journey)
            if self._response_hook is not None and response is not None:
                self._response_hook(span, request, response)
        seconds = time.monotonic() - begun.monotonic
        span.end(begun.wall + round(seconds * 1e9))
        self._count(begun.attributes | outcome, seconds, journey)

    def _count(self, attributes: dict[str, Any], seconds: float, journey: Journey | None) -> None:
        self._duration.record(seconds, attributes)
        if journey is None:
            return
        if journey.pool is not None:
            self._queue.record(journey.pool, attributes)
        sizes = journey.sizes
        if sizes.sent_body is not None:
            self._sent.record(sizes.sent_body, attributes)
        if sizes.received_body is not None:
            self._received.record(sizes.received_body, attributes)

    def _tell_attempts(self, begun: _Begun, journey: Journey) -> None:
        if not journey.attempts:
            self._tell_phases(begun, begun.span, journey)
            return
        begun.span.set_attribute("http.request.resend_count", len(journey.attempts))
        parent = trace.set_span_in_context(begun.span)
        for number, attempt in enumerate((*journey.attempts, journey)):
            attributes = begun.attributes | _peer(attempt)
            if number:
                attributes["http.request.resend_count"] = number
            span = self._tracer.start_span(
                begun.attributes["http.request.method"],
                parent,
                SpanKind.CLIENT,
                attributes,
                start_time=begun.at(attempt.started),
            )
            if attempt is not journey:
                span.set_attribute("error.type", attempt.why_again or "_OTHER")
                span.set_status(Status(StatusCode.ERROR, attempt.failure))
            self._tell_phases(begun, span, attempt)
            span.end(begun.at(attempt.started + attempt.took))

    def _tell_phases(self, begun: _Begun, span: Span, journey: Journey) -> None:
        if self._phases is None:
            return
        parent = trace.set_span_in_context(span)
        for each in journey.spans():
            if self._phases == "events":
                attributes = {"httpx_fast.phase.duration": each.end - each.begin}
                span.add_event(f"httpx_fast.{each.name}", attributes, begun.at(each.begin))
            else:
                phase = self._tracer.start_span(each.name, parent, start_time=begun.at(each.begin))
                phase.end(begun.at(each.end))

    def _connections(self, options: CallbackOptions) -> Iterable[Observation]:
        """Count the connections of all clients, by server and state."""
        counts: dict[tuple[str, int, str], int] = {}
        for client in list(self.clients) if self.active else ():
            for transport in client._all_transports():
                pools: Callable[[], list[Pool]] = getattr(transport, "_pools_left", _no_pools)
                for pool in pools():
                    for info in pool.connections():
                        state = "idle" if info.state == "idle" else "active"
                        key = (info.origin.host, info.origin.port, state)
                        counts[key] = counts.get(key, 0) + 1
        return [
            Observation(count, {"server.address": host, "server.port": port, "http.connection.state": state})
            for (host, port, state), count in counts.items()
        ]


def _no_pools() -> list[Pool]:
    """Stand for a transport without pools."""
    return []


def _asked(request: Request) -> dict[str, Any]:
    url = request.url
    origin = url._origin
    return {
        "http.request.method": request.method if request.method in _METHODS else "_OTHER",
        "server.address": origin.host,
        "server.port": origin.port,
        "url.scheme": origin.scheme,
    }


def _journey_of(response: Response | None, error: BaseException | None) -> Journey | None:
    journey = response.journey if response is not None else getattr(error, "journey", None)
    return journey if isinstance(journey, Journey) and journey.over_network else None


def _came(response: Response | None, error: BaseException | None, journey: Journey | None) -> dict[str, Any]:
    told: dict[str, Any] = {}
    facts = None if journey is None else journey.connection
    if facts is not None:
        told["network.protocol.version"] = facts.http_version.removeprefix("HTTP/")
    if response is not None:
        told["http.response.status_code"] = response.status_code
        if response.status_code >= 400:
            told["error.type"] = str(response.status_code)
    elif error is not None:
        kind = type(error)
        told["error.type"] = (
            f"{kind.__module__}.{kind.__qualname__}" if not isinstance(error, HTTPError) else kind.__name__
        )
    return told


def _peer(journey: Journey | None) -> dict[str, Any]:
    address = None if journey is None or journey.connection is None else journey.connection.peer_address
    if not isinstance(address, tuple) or len(address) < 2:  # pyright: ignore[reportUnknownArgumentType]
        return {}
    return {"network.peer.address": str(address[0]), "network.peer.port": int(address[1])}  # pyright: ignore[reportUnknownArgumentType]


def instrument(
    client: BaseClient,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    phases: Literal["events", "spans"] | None = "events",
    propagates: bool = True,
    request_hook: Hook | None = None,
    response_hook: ResponseHook | None = None,
) -> Callable[[], None]:
    """Tell OpenTelemetry of what `client` sends from now on; return a function that ends it.

    `phases` says what the steps of a request are: events of its span, spans below it, or nothing. `propagates` has
    requests carry the trace's context. The hooks may add attributes to the span; the body of a response is not read
    yet. A streamed response ends its span when its head has come.
    """
    telemetry = Telemetry(
        tracer_provider,
        meter_provider,
        phases=phases,
        propagates=propagates,
        request_hook=request_hook,
        response_hook=response_hook,
    )
    telemetry.clients.add(client)
    end = observe(client, telemetry)

    def stop() -> None:
        telemetry.active = False
        end()

    return stop


def instrument_all(**settings: Any) -> Callable[[], None]:
    """Do the same for all clients that are made from now on, until the function is called that it returns."""
    telemetry = Telemetry(**settings)
    end = observe_all(telemetry, telemetry.clients.add)

    def stop() -> None:
        telemetry.active = False
        end()

    return stop
