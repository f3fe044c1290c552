"""`FakeClock`: tests of timeouts and pauses that need no waiting.

It takes the place of the clock of one client: of its pools, its retrier and its event streams. Rules:

1. `advance()` moves the time, and what was waited for until then ends. Without it time goes on as it really does.
2. A pause between attempts takes no time. Its seconds count against the total timeout of its request, as if they had
   passed, and not against other requests: those would wait at the same time. Circuit breakers and retry budgets see
   them pass.
3. Connections belong to a clock. While a fake one drives a client, it uses none that was opened before, and those that
   were opened meanwhile are closed afterwards.
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
from .._transports.http import AsyncHTTPTransport, HTTPTransport
from ._fake_places import Place, first_of, places_of
from ._fake_time import FakeTime

__all__ = ["FakeClock"]

_GRACE = 0.1  # seconds


class FakeClock:
    """Drive the time of one client, so that a test of a timeout or a pause need not wait for it.

        with FaultLab() as lab, httpx.Client(timeout=httpx.Timeout(None, read=30)) as client:
            lab.serve(Read(), Mute())
            with FakeClock(client, auto=True) as clock:
                before = clock.time()
                with pytest.raises(httpx.ReadTimeout, match="read timed out after 30"):
                    client.get(lab.url())
                assert clock.time() >= before + 30

    A context manager, for a blocking or an asynchronous client, or one of our transports that use the network (also in
    a `RetryTransport`). TypeError for anything else.

    `advance()` moves the time, and every wait that was to end by then ends: timeouts of connect, read, first byte,
    write, pool and total, `min_rate`, `expect_continue`, `stall_timeout`, `Limits(rate=)`, keep-alive expiry, and the
    start of a hedge. Call it while the client waits: from another task, or from another thread. With `auto` that is
    done for you: when a wait has gone on for `grace` real seconds, the time jumps to the first deadline that is waited
    for. So an answer that takes longer than `grace` to come from a local server is too late for that deadline.

    Pauses between attempts, and before an event stream is requested again, pass at once; `sleeps` lists the seconds of
    each in order. Their sum counts against total timeouts, and circuit breakers see it pass.

    Real time is still waited for by `ASGITransport`, `WSGITransport` and `MockTransport`, WebSockets, user code
    (resolvers and request bodies that are `async`), and `drain()` and `aclose()`.
    """

    def __init__(self, client: Any, *, auto: bool = False, grace: float = _GRACE) -> None:
        if not grace > 0:
            raise ValueError(f"expected a positive number of seconds as grace, got {grace!r}")
        self.sleeps: list[float] = []
        self._lock = threading.Lock()
        self._skipped = 0.0
        self._now = FakeTime(grace if auto else None)
        self._client = client
        self._retriers, transports = _driven(client)
        self._places: list[Place] = places_of(transports, self._now)

    def time(self) -> float:
        """Return the seconds on this clock: those of `time.monotonic()`, what it was moved by, and all pauses."""
        return self._now() + self._skipped

    def advance(self, seconds: float) -> None:
        """Let time pass; from any thread. Waits notice within milliseconds. Raises ValueError if it is negative."""
        if not seconds >= 0:
            raise ValueError(f"expected seconds that are not negative, got {seconds!r}")
        self._now.move(seconds)

    def __enter__(self) -> Self:
        """Begin; what is under way keeps the real clock. Raises RuntimeError if another one drives the client."""
        if any("pause" in vars(retrier) for retrier in self._retriers) or any(place.taken for place in self._places):
            raise RuntimeError("this client has a FakeClock already")
        for retrier in self._retriers:
            replaced: Any = retrier
            replaced.pause = self._pause_of(retrier)
            replaced._begin = self._begin_of(retrier)
            replaced._judge = self._judge_of(retrier)
            replaced._clock = self.time
            replaced._waits._first = first_of(replaced._waits, self._now)
        for place in self._places:
            place.take()
        if isinstance(self._client, BaseClient):
            self._client._clock = self._now
        return self

    def __exit__(self, *exc_info: object) -> None:
        for retrier in self._retriers:
            replaced: Any = retrier
            del replaced.pause, replaced._begin, replaced._judge, replaced._waits._first
            replaced._clock = time.monotonic
        for place in self._places:
            place.restore()
        if isinstance(self._client, BaseClient):
            del self._client._clock

    def _pause_of(self, retrier: Retrier) -> Callable[..., Any]:
        pause_until = retrier.pause

        async def pause(request: Request, seconds: float, closings: int, earlier: Journey | None = None) -> None:
            with self._lock:
                self.sleeps.append(seconds)
                self._skipped += seconds
            deadline = request._dispatch.deadline
            if deadline is not None and deadline.at != NEVER:
                deadline.at -= seconds
            await pause_until(request, -self.time(), closings, earlier)  # until an instant that has passed

        return pause

    def _begin_of(self, retrier: Retrier) -> Callable[..., Any]:
        begin = retrier._begin

        def begin_here(transport: Any, request: Request, retry: Any) -> Any:
            # The deadline stands on the clock of sockets; how long attempts may go on, on this one.
            dispatch = request._dispatch
            if dispatch.deadline is not None or dispatch.sender is None:
                request._dispatch = dispatch.until(deadline_of(request, self._now))
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


def _driven(client: Any) -> tuple[list[Retrier], list[Any]]:
    """Return what sends requests again for a client or transport, and its network transports. Raises TypeError."""
    retriers: list[Retrier] = []
    if isinstance(client, BaseClient):
        if client._retrier is None:
            client._retry_by(None)  # for what requests say themselves, and for event streams
        assert client._retrier is not None
        retriers.append(client._retrier)
        transports = client._all_transports()
    else:
        transports = [client]
    found: list[Any] = []
    for transport in transports:
        each = transport
        while isinstance(getattr(each, "_retrier", None), Retrier):
            retriers.append(each._retrier)
            each = each._transport
        if isinstance(each, (HTTPTransport, AsyncHTTPTransport)) and each not in found:
            found.append(each)
    if not (retriers or found):
        raise TypeError(f"expected a client, or a transport that uses the network, got {client!r}")
    return retriers, found
