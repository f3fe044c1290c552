"""What `opentelemetry-instrument` loads: it observes all clients that the program makes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from opentelemetry.instrumentation import instrumentor

from .opentelemetry import instrument_all

__all__ = ["HTTPXFastInstrumentor"]

_Base: Any = instrumentor.BaseInstrumentor  # type: ignore[attr-defined]  # the module says that it has no types


class HTTPXFastInstrumentor(_Base):  # type: ignore[misc]
    """Instrument every client; only one instrumentor at a time."""

    _stop: Callable[[], None] | None = None

    def instrumentation_dependencies(self) -> Collection[str]:
        """Return nothing: what it needs is the package that it is part of."""
        return ()

    def _instrument(self, **kwargs: Any) -> None:
        names = ("tracer_provider", "meter_provider", "phases", "propagates", "request_hook", "response_hook")
        self._stop = instrument_all(**{name: kwargs[name] for name in names if name in kwargs})

    def _uninstrument(self, **kwargs: Any) -> None:
        if self._stop is not None:
            self._stop()
            self._stop = None
