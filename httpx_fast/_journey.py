"""Records the steps of one request: when each ended, and over which connection it went.

Always on, so it is nothing but times: floats of the pool's clock (monotonic seconds), set by the code that ends a step.
Durations are computed when asked for. It knows no rendering; `_cli` draws it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import copy
from typing import Any

from ._trace import Tracer

#: Attempts that a record keeps, the first and the last ones: a peer may give requests back as often as it likes.
MAX_ATTEMPTS = 32

PHASES = ("pool", "dns", "tcp", "proxy", "tls", "send", "wait", "receive")


def _span(start: float | None, end: float | None) -> float | None:
    return None if start is None or end is None else end - start


def _slots_of(record: object) -> dict[str, Any]:
    """Return what can be pickled of a record, so that exceptions which carry one can be; sockets cannot."""
    return {name: getattr(record, name) for name in type(record).__slots__ if name != "__weakref__"}  # type: ignore[attr-defined]


class ConnectionFacts:
    """Holds what is known of one connection: when each step of dialling ended, and the result."""

    __slots__ = (
        "cipher",
        "dial_started",
        "dns_done",
        "early",
        "http_version",
        "local_address",
        "peer_address",
        "proxy",
        "proxy_done",
        "requests",
        "stream",
        "tcp_done",
        "tls_done",
        "tls_resumed",
        "tls_version",
        "trace",
        "warmed",
    )

    def __init__(self) -> None:
        self.dial_started: float | None = None
        self.dns_done: float | None = None
        self.tcp_done: float | None = None
        self.proxy_done: float | None = None  # TLS with the proxy, and its leave to pass through; None without either
        self.tls_done: float | None = None
        self.requests: int = 0  # count of requests that were given this connection so far
        self.stream: Any = None  # the open connection itself, for who asks the response for it
        self.peer_address: Any = None  # of whom we are connected to: the proxy, where there is one
        self.local_address: Any = None
        self.proxy: str | None = None  # its URL, without credentials
        self.http_version: str = "HTTP/1.1"
        self.tls_version: str | None = None
        self.tls_resumed: bool | None = None
        self.cipher: str | None = None
        self.early: bytes = b""  # what the origin said while a proxy still answered
        self.trace: Tracer | None = None  # of the request that it is dialled for, while it is
        self.warmed: bool = False  # it was made for no request, but ahead of them

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, _slots_of(self) | {"stream": None, "trace": None}


class Journey:
    """Records the steps of one request. All durations are in seconds, None where the step did not happen (yet)."""

    # Slots, and all set at once: CPython quickens no access to what an object has and its class has a default for, so
    # that one mark costs more than all of these.
    __slots__ = (
        "__weakref__",
        "_clock",
        "attempts",
        "connection",
        "done",
        "failure",
        "first",
        "leased",
        "nth",
        "rested_since",
        "sending",
        "sent",
        "started",
        "stopped",
        "stream_id",
        "trace",
    )

    def __init__(self, started: float, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.started: float = started
        self.attempts: tuple[Journey, ...] = ()  # what was tried before, and failed in a way that allows another try
        self.failure: str | None = None  # of an attempt: why it was not the last
        self.leased: float | None = None  # the pool gave a connection, or leave to dial one
        self.sending: float | None = None
        self.sent: float | None = None
        self.first: float | None = None  # first byte of the final response
        self.done: float | None = None
        self.stopped: float | None = None  # it failed, or was given up, before the end of the body
        self.connection: ConnectionFacts | None = None
        self.nth: int = 0  # this was the n-th request on its connection, counted from 1
        self.trace: Tracer | None = None  # who is told of each step; None where nobody watches
        self.stream_id: int | None = None  # of the stream that it had, on a connection of HTTP/2
        self.rested_since: float | None = None  # since then a reused connection had been idle

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, _slots_of(self) | {"_clock": time.monotonic, "trace": None}

    def begin_again(self, failure: str) -> None:
        """Move the attempt so far to `attempts`, and begin another."""
        attempt = copy(self)
        attempt.attempts = ()
        attempt.failure = failure
        attempt.stopped = now = self._clock()
        earlier, trace = self.attempts, self.trace
        if len(earlier) >= MAX_ATTEMPTS:
            earlier = (earlier[0], *earlier[2:])
        self.__init__(now, self._clock)  # type: ignore[misc]
        self.attempts = (*earlier, attempt)
        self.trace = trace

    @property
    def reused(self) -> bool:
        """Return whether the connection was there before: it had served a request, or `warm()` had opened it."""
        facts = self.connection
        return self.nth > 1 or (facts is not None and facts.warmed and self.nth == 1)

    @property
    def idle(self) -> float | None:
        """Return how long a reused connection had been idle."""
        return _span(self.rested_since, self.sending)

    @property
    def pool(self) -> float | None:
        """Return the time of waiting for a connection, for a stream of one (HTTP/2), or for a slot to dial."""
        return _span(self.started, self.leased)

    @property
    def dns(self) -> float | None:
        """Return the time of resolving the host (near 0 for an address); None if reused and for Unix sockets."""
        facts = self.connection
        if facts is None or self.reused:
            return None
        return _span(facts.dial_started, facts.dns_done)

    @property
    def tcp(self) -> float | None:
        """Return the time of connecting; None on a reused connection."""
        facts = self.connection
        if facts is None or self.reused:
            return None
        return _span(facts.dial_started if facts.dns_done is None else facts.dns_done, facts.tcp_done)

    @property
    def proxy(self) -> float | None:
        """Return the time of TLS with the proxy, and of its permission to pass; None if reused, or neither is asked.

        A proxy that only forwards requests, without TLS, is asked for nothing.
        """
        facts = self.connection
        if facts is None or self.reused:
            return None
        return _span(facts.tcp_done, facts.proxy_done)

    @property
    def tls(self) -> float | None:
        """Return the time of the TLS handshake with the origin; None on a reused connection, and without TLS."""
        facts = self.connection
        if facts is None or self.reused:
            return None
        return _span(facts.tcp_done if facts.proxy_done is None else facts.proxy_done, facts.tls_done)

    @property
    def send(self) -> float | None:
        """Return the time of sending head and body."""
        return _span(self.sending, self.sent)

    @property
    def wait(self) -> float | None:
        """Return the time from the end of sending to the final response's first byte; 0 if it came while sending."""
        waited = _span(self.sent, self.first)
        return None if waited is None else max(waited, 0.0)

    @property
    def receive(self) -> float | None:
        """Return the time from the first byte of the final response to the end of its body."""
        return _span(self.first, self.done)

    @property
    def total(self) -> float:
        """Return the time from entering the transport to the end of the body, to where it stopped, or until now."""
        end = self.stopped if self.done is None else self.done
        start = self.attempts[0].started if self.attempts else self.started
        return (self._clock() if end is None else end) - start

    @property
    def phase(self) -> str:
        """Return the step that is going on, or that a failure ended: one of `PHASES`, or "done"."""
        facts = self.connection
        if self.done is not None:
            return "done"
        if self.first is not None:
            return "receive"
        if self.sent is not None:
            return "wait"
        if self.sending is not None:
            return "send"
        if self.leased is None or facts is None:
            return "pool"
        if facts.tcp_done is not None:
            return "proxy" if facts.proxy is not None and facts.proxy_done is None else "tls"
        return "dns" if facts.dns_done is None else "tcp"

    def phases(self) -> dict[str, float]:
        """Return the steps that happened, in order, with their seconds."""
        spans = ((name, getattr(self, name)) for name in PHASES)
        return {name: span for name, span in spans if span is not None}

    def __repr__(self) -> str:
        steps = " ".join(f"{name}={span * 1000:.2f}ms" for name, span in self.phases().items())
        return f"<Journey {self.phase} request {self.nth} of its connection {steps}>"


#: The way of requests that no network was involved in: it has no phases, and took no time.
NO_JOURNEY = Journey(0.0, float)
NO_JOURNEY.stopped = 0.0
