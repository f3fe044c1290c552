"""Records the steps of one request: when each ended, and over which connection it went.

Always on, so it is nothing but times: floats of the pool's clock (monotonic seconds), set by the code that ends a step.
Durations are computed when asked for. The rules:

1. Steps follow each other without a gap: each begins where the one before ended, so that they add up to the whole.
2. What few requests need is in `details`, which is made when the first of it is known.
3. It knows no model and no rendering: `_journey_drawing` and `_journey_html` draw it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from copy import copy
from typing import TYPE_CHECKING, Any

from ._journey_facts import ConnectionFacts, slots_of
from ._journey_parts import AGAIN, NEW, PHASES, Sizes, Span
from ._trace import Tracer

if TYPE_CHECKING:
    import datetime as dt


__all__ = ["AGAIN", "MAX_ATTEMPTS", "NEW", "NO_JOURNEY", "PHASES", "ConnectionFacts", "Journey", "Sizes", "Span"]

#: Attempts that a record keeps, the first and the last ones: a peer may give requests back as often as it likes.
MAX_ATTEMPTS = 32


class Details:
    """Hold what is known of few journeys, or only once somebody looks at one."""

    __slots__ = (
        "again",
        "attempts",
        "body_received",
        "body_sent",
        "cut",
        "expected",
        "failure",
        "head_sent",
        "hops",
        "measure",
        "method",
        "paced",
        "reader",
        "refusal",
        "sizes",
        "started_at",
        "status",
        "url",
    )

    def __init__(self) -> None:
        self.cut: bool = False  # it is not needed any more, and is not sent again
        self.failure: str | None = None  # of an attempt: why it was not the last, in words
        self.again: str | None = None  # the same as a code
        self.refusal: str | None = None  # why a retry rule allowed no further attempt
        self.reader: float = 0.0  # seconds between the first byte and the last in which nobody waited for the network
        self.paced: float | None = None  # when it had waited for its turn by `Limits(rate=)`, which counts as "pool"
        self.head_sent: float | None = None  # when waiting for 100 (Continue) began, and ended
        self.expected: float | None = None
        self.body_sent: int | None = None
        self.body_received: int | None = None
        self.attempts: tuple[Journey, ...] = ()
        self.hops: tuple[Journey, ...] = ()
        self.method: str | None = None
        self.url: str | None = None  # without secrets
        self.status: int | None = None
        self.started_at: dt.datetime | None = None
        self.sizes: Sizes | None = None  # as they were when the response was last asked
        self.measure: Callable[[], Sizes | None] | None = None  # asks the response, while it is there

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, slots_of(self) | {"measure": None}


class Journey:
    """Record the steps of one request. All durations are in seconds, None where the step did not happen (yet).

    A request that was sent again has the attempts before in `attempts`; what was sent before it because of redirects,
    authentication or a retry rule is in `hops`.
    """

    # Slots, and all set at once: CPython quickens no access to what an object has and its class has a default for, so
    # that one mark costs more than all of these.
    __slots__ = (
        "__weakref__",
        "_clock",
        "connection",
        "details",
        "dialled",
        "done",
        "first",
        "head",
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

    def __init__(self, started: float, clock: Callable[[], float], head: Any = None) -> None:
        nothing = None  # a local variable is assigned in two instructions, a constant in three
        self._clock = clock
        self.started: float = started
        self.head: Any = head  # of the request, as the wire knows it
        self.details: Details | None = nothing
        self.leased: float | None = nothing  # the pool gave a connection, or a slot to open one
        self.sending: float | None = nothing
        self.sent: float | None = nothing
        self.first: float | None = nothing  # first byte of the final response
        self.done: float | None = nothing
        self.stopped: float | None = nothing  # it failed, or was given up, before the end of the body
        self.connection: ConnectionFacts | None = nothing
        self.dialled: bool = False  # the connection was made for this request
        self.nth: int = 0  # this was the n-th request on its connection, counted from 1
        self.trace: Tracer | None = nothing  # gets each step; None without one
        self.stream_id: int | None = nothing  # of the stream that it had, on a connection of HTTP/2
        self.rested_since: float | None = nothing  # since then a reused connection had been idle

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        details = self.detail()
        details.started_at, details.sizes = self.started_at, self.sizes
        return None, slots_of(self) | {"_clock": time.monotonic, "trace": None, "head": None}

    # For the code that records.

    def detail(self) -> Details:
        """Return `details`, made if there are none yet."""
        details = self.details
        if details is None:
            details = self.details = Details()
        return details

    def begin_again(self, failure: str, again: str | None = None) -> None:
        """Move the attempt so far to `attempts`, and begin another; `again` is the reason as a code."""
        attempts, trace = self.followed(failure, again), self.trace
        attempts[-1].stopped = now = self._clock()
        self.__init__(now, self._clock, self.head)  # type: ignore[misc]
        self.detail().attempts = attempts
        self.trace = trace

    def followed(self, failure: str, again: str | None) -> tuple[Journey, ...]:
        """Return all attempts so far, this one as the last of them, with why another one follows it."""
        attempt = copy(self)
        attempt.details = details = copy(self.detail())
        details.failure, details.again, details.attempts = failure, again, ()
        if attempt.done is None and attempt.stopped is None:
            attempt.stopped = self._clock()
        return _first_and_last((*self.attempts, attempt))

    def follow_attempts(self, attempts: tuple[Journey, ...], refusal: str | None) -> None:
        """Note the attempts of a retry rule before this one; `refusal` says why it allowed none after this one."""
        if self.over_network and (attempts or refusal is not None):
            details = self.detail()
            details.attempts = _first_and_last((*attempts, *details.attempts))
            details.refusal = refusal

    @property
    def is_cut(self) -> bool:
        """Return whether the request was ended from outside, so that it is not sent again."""
        return self.details is not None and self.details.cut

    def dials(self, facts: ConnectionFacts) -> None:
        """Note that a connection is made for this request."""
        self.connection = facts
        facts.counted = True
        facts.trace = self.trace
        self.dialled = True

    def reader_had(self, since: float, until: float) -> None:
        """Note that from `since` to `until` nobody waited for the network: what was read was used."""
        end = until if self.done is None else min(until, self.done)
        if end > since:
            self.detail().reader += end - since

    def handed(self, count: int, since: float, until: float) -> None:
        """Note that so many bytes of the body were handed to its reader, and the same, in one call."""
        details = self.details or self.detail()
        details.body_received = (details.body_received or 0) + count
        done = self.done
        if done is not None and done < until:
            until = done
        if until > since:
            details.reader += until - since

    def sent_of_body(self, count: int) -> None:
        """Note that so many bytes of the body were taken to be sent, where that is not known beforehand."""
        self.detail().body_sent = count

    def describe(self, method: str, url: str, status: int | None, measure: Callable[[], Sizes | None] | None) -> None:
        """Note what was asked and what came of it; `measure` tells sizes for as long as the response is there."""
        if self.over_network:
            details = self.detail()
            details.method, details.url, details.status, details.measure = method, url, status, measure

    def keep_sizes(self, sizes: Sizes | None) -> None:
        """Note sizes that will not change."""
        if self.over_network:
            self.detail().sizes = sizes

    def follow(self, journeys: Iterable[Journey]) -> None:
        """Note what was sent before, and led to this request."""
        if self.over_network:
            self.detail().hops = tuple(each for each in journeys if each.over_network)

    # For who reads it.

    @property
    def over_network(self) -> bool:
        """Return whether a network was involved: no with mocks, ASGI and WSGI, whose journeys have no steps."""
        return self is not NO_JOURNEY

    @property
    def reused(self) -> bool:
        """Return whether the connection was there before: it was made for another request, or by `warm()`."""
        if self.dialled:
            return False
        facts = self.connection
        return self.nth > 1 or (facts is not None and facts.counted)

    @property
    def failure(self) -> str | None:
        """Return why this attempt was not the last one, in words."""
        return None if self.details is None else self.details.failure

    @property
    def why_again(self) -> str | None:
        """Return why the request was sent again after this attempt, as a code: one of `AGAIN`."""
        return None if self.details is None else self.details.again

    @property
    def refusal(self) -> str | None:
        """Return why a retry rule (see `Retry`) allowed no attempt after this one; None if it was not asked to."""
        return None if self.details is None else self.details.refusal

    @property
    def why_new(self) -> str | None:
        """Return why a connection was made for this request, as a code; None if one was reused."""
        return None if self.connection is None or self.reused else self.connection.new_reason

    @property
    def idle_lost(self) -> float | None:
        """Return how long the connection had been idle in whose place this one was made."""
        return None if self.connection is None or self.reused else self.connection.lost_idle

    @property
    def attempts(self) -> tuple[Journey, ...]:
        """Return what was tried before, and failed in a way that allows another try."""
        return () if self.details is None else self.details.attempts

    @property
    def hops(self) -> tuple[Journey, ...]:
        """Return the journeys of the requests that led to this one: redirects, authentication, retries."""
        return () if self.details is None else self.details.hops

    @property
    def method(self) -> str | None:
        """Return the request's method."""
        if self.details is not None and self.details.method is not None:
            return self.details.method
        return None if self.head is None else self.head.method.decode("ascii", "replace")

    @property
    def url(self) -> str | None:
        """Return the request's URL, with secrets masked; None where no response or exception was asked for it."""
        return None if self.details is None else self.details.url

    @property
    def status(self) -> int | None:
        """Return the status code of the response."""
        return None if self.details is None else self.details.status

    @property
    def started_at(self) -> dt.datetime:
        """Return when it started, by the clock on the wall (UTC)."""
        if self.details is not None and self.details.started_at is not None:
            return self.details.started_at
        from datetime import UTC, datetime, timedelta

        at = datetime.now(UTC) - timedelta(seconds=self._clock() - self.started)
        if self.over_network:
            self.detail().started_at = at  # the same for everybody who asks
        return at

    @property
    def sizes(self) -> Sizes:
        """Return the bytes of heads and bodies, both ways."""
        details = self.details
        if details is not None:
            measured = None if details.measure is None else details.measure()
            if measured is not None:
                details.sizes = measured
            if details.sizes is not None:
                return details.sizes
        return self.sizes_of(None, None, None)

    def sizes_of(self, received_head: int | None, received_body: int | None, decoded: int | None) -> Sizes:
        """Return sizes with these of a response."""
        head, details = self.head, self.details
        sent_head: int | None = None
        sent_body: int | None = None
        if head is not None and self.sending is not None:
            facts = self.connection
            is_http2 = facts is not None and facts.http_version == "HTTP/2"
            sent_head = head.http2_size if is_http2 else len(head.http1)
            if details is not None and details.body_sent is not None:
                sent_body = details.body_sent
            elif self.sent is not None:
                sent_body = max(head.framing or 0, 0)
        if received_body is None and details is not None:
            received_body = details.body_received
        return Sizes(sent_head, sent_body, received_head, received_body, decoded)

    @property
    def idle(self) -> float | None:
        """Return how long a reused connection had been idle."""
        since, until = self.rested_since, self.sending
        return None if since is None or until is None else until - since

    def spans(self) -> list[Span]:
        """Return the steps that were taken, each from where the one before ended; the last may be broken off."""
        cursor = self.started
        end = self.stopped if self.done is None else self.done
        broken_off = None if self.done is not None else self.phase
        found: list[Span] = []
        for name, mark in self._marks():
            broken = mark is None and name == broken_off
            until = end if broken else mark
            if until is None:
                continue
            if end is not None:
                until = min(until, end)
            until = max(until, cursor)
            if name == "receive":
                found += self._received(cursor, until, broken)
            else:
                found.append(Span(name, cursor, until, broken))
            cursor = until
        return found

    def _marks(self) -> list[tuple[str, float | None]]:
        """Return the steps in order, each with the time of its end, None if that is not known."""
        marks = self._marks_from_lease()
        details = self.details
        if details is not None and details.paced is not None:
            leased = marks[0][1]
            marks[0] = "pool", details.paced if leased is None else max(leased, details.paced)
        return marks

    def _marks_from_lease(self) -> list[tuple[str, float | None]]:
        facts = self.connection
        done = None if self.first is None else self.done
        rest = [("send", self.sent), ("wait", self.first), ("receive", done)]
        details = self.details
        if details is not None and details.head_sent is not None:
            rest = [("send", details.head_sent), ("expect", details.expected), *rest]
        if facts is None or self.reused:
            return [("pool", self.leased if self.sending is None else self.sending), *rest]
        failed_tries = [] if facts.retried is None else [("tcp", facts.retried)]
        return [
            ("pool", self.leased),
            *failed_tries,
            ("dns", facts.dns_done),
            ("tcp", facts.tcp_done),
            ("proxy", facts.proxy_done),
            ("tls", facts.tls_done),
            *rest,
        ]

    def _received(self, begin: float, end: float, broken: bool) -> list[Span]:
        """Return the step "receive" apart from "reader", which is drawn behind it."""
        reader = 0.0 if self.details is None else min(self.details.reader, end - begin)
        if not reader:
            return [Span("receive", begin, end, broken)]
        return [Span("receive", begin, end - reader, broken), Span("reader", end - reader, end)]

    def phases(self) -> dict[str, float]:
        """Return the steps that happened, in order, with their seconds; they add up to what the attempt took."""
        return {name: self._seconds_of(spans) for name, spans in self._by_name().items()}

    def phases_ns(self) -> dict[str, int]:
        """Return the same in whole nanoseconds, which add up exactly."""

        def rounded(moment: float) -> int:
            return round((moment - self.started) * 1e9)

        return {
            name: sum(rounded(span.end) - rounded(span.begin) for span in spans)
            for name, spans in self._by_name().items()
        }

    def _by_name(self) -> dict[str, list[Span]]:
        found: dict[str, list[Span]] = {}
        spans = self.spans()
        for name in PHASES:
            its = [span for span in spans if span.name == name]
            if its:
                found[name] = its
        return found

    def _seconds_of(self, spans: list[Span]) -> float:
        return sum(span.end - span.begin for span in spans)

    def _phase_seconds(self, name: str) -> float | None:
        spans = [span for span in self.spans() if span.name == name]
        return self._seconds_of(spans) if spans else None

    @property
    def pool(self) -> float | None:
        """Return the time of waiting for a connection, for a stream of one (HTTP/2), or for a slot to dial."""
        return self._phase_seconds("pool")

    @property
    def dns(self) -> float | None:
        """Return the time of resolving the host (near 0 for an address); None if reused and for Unix sockets."""
        return self._phase_seconds("dns")

    @property
    def tcp(self) -> float | None:
        """Return the time of connecting, with the tries that failed; None on a reused connection."""
        return self._phase_seconds("tcp")

    @property
    def proxy(self) -> float | None:
        """Return the time of TLS with the proxy, and of its permission to pass; None if reused, or neither is asked.

        A proxy that only forwards requests, without TLS, is asked for nothing.
        """
        return self._phase_seconds("proxy")

    @property
    def tls(self) -> float | None:
        """Return the time of the TLS handshake with the origin; None on a reused connection, and without TLS."""
        return self._phase_seconds("tls")

    @property
    def send(self) -> float | None:
        """Return the time of sending head and body."""
        return self._phase_seconds("send")

    @property
    def expect(self) -> float | None:
        """Return the time of waiting for 100 (Continue) before the body was sent; None where that was not asked for."""
        return self._phase_seconds("expect")

    @property
    def wait(self) -> float | None:
        """Return the time from the end of sending to the final response's first byte; 0 if it came while sending."""
        return self._phase_seconds("wait")

    @property
    def receive(self) -> float | None:
        """Return the time of receiving the response, without that of `reader`."""
        return self._phase_seconds("receive")

    @property
    def reader(self) -> float | None:
        """Return the time that the code which read the body in pieces took between them, before the last had come."""
        return self._phase_seconds("reader")

    @property
    def took(self) -> float:
        """Return the time of this attempt alone: to the end of the body, to where it stopped, or until now."""
        end = self.stopped if self.done is None else self.done
        return (self._clock() if end is None else end) - self.started

    @property
    def total(self) -> float:
        """Return the time from entering the transport to the end, all attempts included."""
        start = self.attempts[0].started if self.attempts else self.started
        return self.started - start + self.took

    @property
    def overall(self) -> float:
        """Return the time from the beginning of the first hop to the end."""
        hops = self.hops
        start = (hops[0].attempts or hops)[0].started if hops else self.started - self.total + self.took
        return self.started - start + self.took

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
        details = self.details
        if details is not None and details.head_sent is not None and details.expected is None:
            return "expect"
        if self.sending is not None:
            return "send"
        if self.leased is None or facts is None:
            return "pool"
        if facts.tcp_done is not None:
            return "proxy" if facts.proxy is not None and facts.proxy_done is None else "tls"
        return "dns" if facts.dns_done is None else "tcp"

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for `json.dumps`: times in nanoseconds, secrets masked."""
        from ._journey_json import as_dict

        return as_dict(self)

    def __repr__(self) -> str:
        from ._journey_drawing import tell_in_short

        return f"<Journey {tell_in_short(self)}>"

    def __str__(self) -> str:
        from ._journey_drawing import tell

        return tell(self)

    def _repr_html_(self) -> str:
        from ._journey_html import journeys_html

        return journeys_html([self])


def _first_and_last(attempts: tuple[Journey, ...]) -> tuple[Journey, ...]:
    return attempts if len(attempts) <= MAX_ATTEMPTS else (attempts[0], *attempts[1 - MAX_ATTEMPTS :])


#: The journey of requests without a network: it has no phases, and took no time.
NO_JOURNEY = Journey(0.0, float)
NO_JOURNEY.done = 0.0
