"""`FakeClock`: the pauses of one client pass at once, and are listed.

It takes the place of the pauses of a client's retrier, which reconnecting event streams use too, and of its clock.
Rules:

1. A pause takes no time. Its seconds count against the total timeout of its request, as if they had passed.
2. Circuit breakers and retry budgets see them pass, and what `advance()` adds.
3. Waits for sockets and for the pool stay real: it is the operating system and the event loop that end them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Self

from .._client.base import BaseClient
from .._config import deadline_of
from .._deadline import NEVER
from .._journey import Journey
from .._models import Request
from .._retry.retrier import Retrier, Sending

__all__ = ["FakeClock"]


class FakeClock:
    """Let the pauses of a client pass at once: between retries, and before an event stream is requested again.

        with LocalServer(tls=False, answer=lambda request: Reply(503, [("Retry-After", "20")])) as server:
            with httpx.Client(retry=httpx.Retry(attempts=3)) as client, FakeClock(client) as clock:
                assert client.get(server.url).status_code == 503
            assert [pause >= 20 for pause in clock.sleeps] == [True, True]

    A context manager, for a blocking or an asynchronous client, or a `RetryTransport`. `sleeps` lists the seconds of
    each pause in order. Their sum counts against total timeouts, and circuit breakers see it pass. Timeouts of single
    phases (connect, read, write, pool), `stall_timeout` and hedging still take real time. TypeError for anything else.
    """

    def __init__(self, client: Any) -> None:
        self.sleeps: list[float] = []
        self._lock = threading.Lock()
        self._skipped = 0.0
        self._retriers = _retriers_of(client)

    def time(self) -> float:
        """Return the seconds on this clock: those of `time.monotonic()`, and all that was skipped."""
        return time.monotonic() + self._skipped

    def advance(self, seconds: float) -> None:
        """Let time pass for circuit breakers and retry budgets. Raises ValueError for less than nothing."""
        if not seconds >= 0:
            raise ValueError(f"expected seconds that are not negative, got {seconds!r}")
        with self._lock:
            self._skipped += seconds

    def __enter__(self) -> Self:
        """Begin; pauses that are under way go on. Raises RuntimeError if another clock drives the client."""
        if any("pause" in vars(retrier) for retrier in self._retriers):
            raise RuntimeError("this client has a FakeClock already")
        for retrier in self._retriers:
            replaced: Any = retrier
            replaced.pause = self._pause_of(retrier)
            replaced._begin = self._begin_of(retrier)
            replaced._judge = self._judge_of(retrier)
            replaced._clock = self.time
        return self

    def __exit__(self, *exc_info: object) -> None:
        for retrier in self._retriers:
            replaced: Any = retrier
            del replaced.pause, replaced._begin, replaced._judge
            replaced._clock = time.monotonic

    def _pause_of(self, retrier: Retrier) -> Callable[..., Any]:
        pause_until = retrier.pause

        async def pause(request: Request, seconds: float, closings: int, earlier: Journey | None = None) -> None:
            with self._lock:
                self.sleeps.append(seconds)
                self._skipped += seconds
            deadline = request._dispatch.deadline
            if deadline is not None and deadline.at != NEVER:
                deadline.at -= seconds
            await pause_until(request, -self._skipped, closings, earlier)  # an instant that has passed

        return pause

    def _begin_of(self, retrier: Retrier) -> Callable[..., Any]:
        begin = retrier._begin

        def begin_here(transport: Any, request: Request, retry: Any) -> Any:
            # The deadline stands on the clock of sockets; how long attempts may go on, on this one.
            dispatch = request._dispatch
            if dispatch.deadline is not None or dispatch.sender is None:
                request._dispatch = dispatch.until(deadline_of(request, time.monotonic))
            sending = begin(transport, request, retry)
            sending.tries._until += self._skipped
            return sending

        return begin_here

    def _judge_of(self, retrier: Retrier) -> Callable[..., Any]:
        judge = retrier._judge

        def judge_here(sending: Sending, outcome: Any) -> Any:
            deadline = sending.request._dispatch.deadline
            with self._lock:  # pauses of other requests, which would pass at the same time, are none of this one's
                if deadline is not None:
                    sending.tries._until = deadline.at + self._skipped
                return judge(sending, outcome)

        return judge_here


def _retriers_of(client: Any) -> list[Retrier]:
    """Return what sends requests again for a client, or a transport. Raises TypeError."""
    found: list[Retrier] = []
    if isinstance(client, BaseClient):
        if client._retrier is None:
            client._retry_by(None)  # for what requests say themselves, and for event streams
        assert client._retrier is not None
        found.append(client._retrier)
        transports = client._all_transports()
    else:
        transports = [client]
    found += [each._retrier for each in transports if isinstance(getattr(each, "_retrier", None), Retrier)]
    if not found:
        raise TypeError(f"expected a client, or a transport that retries, got {client!r}")
    return found
