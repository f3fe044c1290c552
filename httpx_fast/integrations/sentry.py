"""Breadcrumbs and spans of requests for Sentry. Nothing is patched.

    sentry_sdk.init(dsn, integrations=[HTTPXFastIntegration()])

Needs `sentry-sdk` (the extra `sentry`). Each exchange is one breadcrumb, and one span where a trace is recorded:
redirects and rounds of authentication are exchanges. URLs are told without secrets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sentry_sdk
from sentry_sdk import tracing_utils
from sentry_sdk.integrations import Integration

from .._client.observing import observe_all
from .._journey import Journey
from .._masking import masked_url
from .._models import Request, Response

__all__ = ["HTTPXFastIntegration"]

# The SDK does not say of what type its clients are.
_utils: Any = tracing_utils
_should_propagate: Callable[[Any, str], bool] = _utils.should_propagate_trace
_stops: list[Callable[[], None]] = []


def stop() -> None:
    """Tell Sentry nothing of clients that are made from now on."""
    while _stops:
        _stops.pop()()


class HTTPXFastIntegration(Integration):
    """Report to Sentry the requests of all clients that are made after `sentry_sdk.init()`."""

    identifier = "httpx_fast"

    @staticmethod
    def setup_once() -> None:
        """Observe all clients; called by the SDK, once in a process."""
        _stops.append(observe_all(_Observer()))


class _Observer:
    def begins(self, request: Request) -> Any:
        """Begin a span, and have the request carry the trace."""
        client = sentry_sdk.get_client()
        if client.get_integration(HTTPXFastIntegration) is None:
            return None
        url = masked_url(str(request.url))
        span = sentry_sdk.start_span(op="http.client", name=f"{request.method} {url}", origin="auto.http.httpx_fast")
        span.set_data("http.request.method", request.method)
        span.set_data("url", url)
        if _should_propagate(client, str(request.url)):
            for name, value in sentry_sdk.get_current_scope().iter_trace_propagation_headers(span=span):
                if name.lower() == "baggage" and name in request.headers:
                    value = f"{request.headers[name]},{value}"
                request.headers[name] = value
        return span

    def ended(self, begun: Any, request: Request, response: Response | None, error: BaseException | None) -> None:
        """Leave a breadcrumb, and end the span."""
        if begun is None:
            return
        told: dict[str, Any] = {"method": request.method, "url": masked_url(str(request.url))}
        if response is not None:
            told |= {"status_code": response.status_code, "reason": response.reason_phrase}
            begun.set_http_status(response.status_code)
        else:
            told["reason"] = type(error).__name__
            begun.set_status("internal_error")
        journey = response.journey if response is not None else getattr(error, "journey", None)
        if isinstance(journey, Journey) and journey.over_network:
            for name, seconds in journey.phases().items():
                begun.set_data(f"httpx_fast.{name}", seconds)
            begun.set_data("httpx_fast.reused", journey.reused)
        begun.finish()
        level = "info" if response is not None and response.status_code < 500 else "warning"
        sentry_sdk.add_breadcrumb(type="http", category="httpx_fast", data=told, level=level)
