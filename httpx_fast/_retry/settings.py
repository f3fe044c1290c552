"""The settings of retries: `Retry`, with `Hedge` and `Breaker`. Checked when they are made, and never changed."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterable
from typing import Any, Final

from .._checks import checked_amount, checked_codes, checked_count, checked_items, checked_share
from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)

__all__ = ["Breaker", "Hedge", "Retry"]

#: Answers that say that the server, or one on the way to it, is not able to answer now.
STATUSES: Final = frozenset({429, 502, 503, 504})
#: What ends an exchange without an answer. No PoolTimeout: where connections are short, more requests do not help.
EXCEPTIONS: Final = (
    ConnectError,
    ConnectTimeout,
    ReadError,
    ReadTimeout,
    WriteError,
    WriteTimeout,
    RemoteProtocolError,
)
#: Methods for which a second request does no more than the first one (RFC 9110 s.9.2.2, and RFC 10008).
METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE", "QUERY"})
#: Fields by which a server recognizes a request that it has processed before.
IDEMPOTENCY_HEADERS: Final = frozenset({"idempotency-key", "x-idempotency-key"})

MAX_ATTEMPTS: Final = 100  # more is a loop that somebody wrote by mistake

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 s.5.6.2


@dataclasses.dataclass(frozen=True, kw_only=True)
class Hedge:
    """Send a second, identical request when the first one takes unusually long, and use the answer that comes first.

    Only requests that may be sent twice are hedged (see `Retry`), and only those whose body is in memory. The other
    request is reset (HTTP/2) or its connection is closed (HTTP/1.1). A hedge counts as an attempt and against the
    budget.

    - `percentile`: the share of an origin's answers that usually have come when the hedge is sent, as 0.95.
    - `samples`: how many answers have to be known before any request is hedged.
    - `least`: seconds; no hedge is sent sooner, however quick the origin is.
    """

    percentile: float = 0.95
    samples: int = 50
    least: float = 0.01

    def __post_init__(self) -> None:
        checked_share(self.percentile, "percentile", below_one=True)
        checked_count(self.samples, "samples", 1, most=1000)
        checked_amount(self.least, "least")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Breaker:
    """Send nothing to an origin while most of what it is sent fails; requests then raise `CircuitOpen` at once.

    - `failures`: the share of exchanges that fail, from which on the circuit opens.
    - `minimum`: how many exchanges there have to be within `window` before it can.
    - `window`: seconds that are looked back.
    - `open_for`: seconds for which nothing is sent. Then the circuit is half open: `probes` requests may go out at a
      time, and the next ones fail. When as many have succeeded the circuit closes; one that fails opens it again.
    - `statuses`: answers that count as failures. Timeouts and errors of the network always do.
    """

    failures: float = 0.5
    minimum: int = 20
    window: float = 10.0
    open_for: float = 5.0
    probes: int = 1
    statuses: Iterable[int] = frozenset({502, 503, 504})

    def __post_init__(self) -> None:
        checked_share(self.failures, "failures")
        checked_count(self.minimum, "minimum", 1)
        checked_amount(self.window, "window", positive=True)
        checked_amount(self.open_for, "open_for", positive=True)
        checked_count(self.probes, "probes", 1)
        object.__setattr__(self, "statuses", checked_statuses(self.statuses))


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False)
class Retry:
    """Send requests again that failed, where that does no harm. For `Client(retry=...)`, the extension "retry" of one
    request, and `RetryTransport`.

    What may have been processed is sent again only if the method is in `methods`, the request has one of
    `idempotency_headers`, or its extension "replay" is True ("replay": False rules it out). What cannot have been
    processed, since no connection was made or the peer said so, is sent again whatever the method is.

    - `attempts`: how often a request is sent at most, the first time and hedges included.
    - `statuses`: answers after which it is sent again. `exceptions`: exceptions after which it is.
    - `backoff`, `backoff_max`: before the n-th retry a random time between 0 and `backoff * 2 ** (n - 1)` seconds
      passes, at most `backoff_max`.
    - `retry_after_max`: the seconds, or the date, of the answer's Retry-After are waited for, but never longer than
      this; 0 ignores the field.
    - `budget`, `budget_floor`: the retries to an origin are at most this share of the requests of the last 10 seconds,
      and so many per second are always allowed. `budget=None` sets no limit.
    - `hedge`: see `Hedge`; None for no hedging. `breaker`: see `Breaker`; None for no circuit breaker.

    A retry that would begin after the end of `Timeout(total=...)` is not waited for: the last answer is returned, or
    the last exception raised. A body that can be read only once is not sent again after it was begun.

    ```python
    httpx.Client(retry=httpx.Retry(attempts=5), timeout=httpx.Timeout(5, total=60)).close()
    ```
    """

    attempts: int = 3
    statuses: Iterable[int] = STATUSES
    exceptions: tuple[type[Exception], ...] = EXCEPTIONS
    methods: Iterable[str] = METHODS
    idempotency_headers: Iterable[str] = IDEMPOTENCY_HEADERS
    backoff: float = 0.5
    backoff_max: float = 30.0
    retry_after_max: float = 60.0
    budget: float | None = 0.2
    budget_floor: float = 1.0
    hedge: Hedge | None = None
    breaker: Breaker | None = None

    def __post_init__(self) -> None:
        checked_count(self.attempts, "attempts", 1, most=MAX_ATTEMPTS)
        for name in ("backoff", "backoff_max", "retry_after_max"):
            checked_amount(getattr(self, name), name)
        checked_amount(self.budget_floor, "budget_floor", "retries per second")
        if self.budget is not None:
            checked_share(self.budget, "budget", zero=True)
        for name, kind in (("hedge", Hedge), ("breaker", Breaker)):
            value = getattr(self, name)
            if value is not None and not isinstance(value, kind):
                raise TypeError(f"expected a {kind.__name__} or None as {name}, got {value!r}")
        object.__setattr__(self, "statuses", checked_statuses(self.statuses))
        object.__setattr__(self, "exceptions", _exceptions(self.exceptions))
        object.__setattr__(self, "methods", frozenset(map(str.upper, _tokens(self.methods, "methods"))))
        names = _tokens(self.idempotency_headers, "idempotency_headers")
        object.__setattr__(self, "idempotency_headers", frozenset(map(str.lower, names)))

    def __repr__(self) -> str:
        # Only what differs from the defaults, as it would be written.
        told = [f"attempts={self.attempts}"]
        for field in dataclasses.fields(self)[1:]:
            value: Any = getattr(self, field.name)
            if value == field.default:
                continue
            if field.name == "exceptions":
                text = f"({''.join(f'{kind.__name__}, ' for kind in value)})"
            elif field.name in ("statuses", "methods", "idempotency_headers"):
                text = f"{{{', '.join(map(repr, sorted(value)))}}}" if value else "()"
            else:
                text = repr(value)
            told.append(f"{field.name}={text}")
        return f"{type(self).__name__}({', '.join(told)})"


def check_retry(retry: Any, name: str = "retry") -> Retry | None:
    """Return what a client or a transport was given as `retry`. Raises TypeError."""
    if retry is None or retry is False:
        return None
    if not isinstance(retry, Retry):
        hint = ""
        if isinstance(retry, int) and retry is not True:
            hint = (
                f"; {retry} tries are Retry(attempts={retry}), and retries={retry} of HTTPTransport is for connecting"
            )
        raise TypeError(f"expected a Retry, or None or False for none, as {name}, got {retry!r}{hint}")
    return retry


def checked_statuses(values: Any) -> frozenset[int]:
    """Return the status codes of errors that `statuses` names. Raises TypeError, ValueError."""
    return checked_codes(values, "statuses", "status codes", 300, 599)


def _exceptions(values: Any) -> tuple[type[Exception], ...]:
    if isinstance(values, type):
        values = (values,)
    for value in (found := checked_items(values, "exceptions", "exception classes")):
        if not (isinstance(value, type) and issubclass(value, Exception)):
            raise TypeError(f"expected classes of exceptions as exceptions, got {value!r} among them")
    return tuple(found)


def _tokens(values: Any, name: str) -> list[str]:
    what = "names of methods" if name == "methods" else "names of header fields"
    for value in (found := checked_items(values, name, what)):
        if not isinstance(value, str):
            raise TypeError(f"expected {what} as {name}, got {value!r} among them")
        if not _TOKEN.fullmatch(value):
            raise ValueError(f"expected {what} as {name}, got {value!r} among them")
    return found
