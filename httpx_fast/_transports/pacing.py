"""Send no more requests to an origin than it wants: `Limits(rate=..., burst=...)`, and Retry-After of 429 and 503.

One `Pacer` serves one pool. For each origin it keeps a bucket of `burst` permissions, filled at `rate` per second, and
a queue: requests go in the order in which they came. The one in front waits until a permission is there, the others
wait for it. An origin that answers 429 or 503 with Retry-After gets no request until then.

Waiting counts against `timeout.pool` and the total. Times are seconds on the clock of the pool.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from datetime import UTC
from email.utils import parsedate_to_datetime
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from .._deadline import PhaseTimer
from .._exceptions import PoolTimeout
from .._pool.closing import closed_while

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._deadline import RequestTimeouts
    from .._head import RequestHead
    from .._journey import Journey
    from .._net.base import Backend, Waiter
    from .._origin import Origin, Route
    from .._pool.pool import Reply

#: A server that asks for more is heeded for as long as this: no peer stops a client for a day.
MAX_PAUSE: Final = 60.0  # seconds
_PAUSING: Final = frozenset({429, 503})
#: Origins that are remembered; those that were asked least lately are forgotten, unless requests wait.
MAX_ORIGINS: Final = 1000
MAX_DIGITS: Final = 10  # of the seconds in Retry-After; what is longer is no time that anybody means


class PacedPool(Protocol):
    """Name what a pacer needs of its pool."""

    backend: Backend
    closed: bool

    def stats(self) -> Any: ...


class _Turn:
    """Hold a request that waits."""

    __slots__ = ("waiter", "wake")

    def __init__(self, backend: Backend) -> None:
        self.waiter: Waiter = backend.waiter()
        self.wake: Callable[[], object] = backend.from_any_thread(self.waiter.set)


class _Bucket:
    """Count the permissions of one origin (the generic cell rate algorithm), and queue those who wait for one."""

    __slots__ = ("full_at", "paused_until", "queue")

    def __init__(self) -> None:
        self.full_at = -inf  # when the bucket is full again
        self.paused_until = -inf
        self.queue: deque[_Turn] = deque()

    def next_at(self, slack: float) -> float:
        """Return when the next permission is there."""
        return max(self.full_at - slack, self.paused_until)


class Pacer:
    """Let requests of one pool begin at `rate` per second and origin, `burst` at once after a pause."""

    def __init__(self, pool: PacedPool, rate: float, burst: int) -> None:
        self._pool = pool
        self._backend = pool.backend
        self._clock = pool.backend.clock
        self._interval = 1.0 / rate
        self._slack = (burst - 1) * self._interval
        self._rate = rate
        self._lock = threading.Lock()
        self._buckets: dict[Origin, _Bucket] = {}

    async def exchange(
        self,
        exchange: Callable[..., Awaitable[Reply]],
        head: RequestHead,
        route: Route,
        body: Any,
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
        replay: bool | None,
    ) -> Reply:
        """Send a request by `exchange` when its turn has come. Raises PoolTimeout, ClientClosed."""
        bucket = self._bucket(route.origin)
        if not self._take(bucket, journey.started):
            await self._wait(bucket, route.origin, timeouts, journey)
        reply = await exchange(head, route, body, framing, timeouts, journey, whole, replay)
        if reply[0].status in _PAUSING:
            self._heed(bucket, reply[0])
        return reply

    def close(self) -> None:
        """Wake all who wait, since the pool is closed; from any thread."""
        with self._lock:
            waiting = [turn for bucket in self._buckets.values() for turn in bucket.queue]
        for turn in waiting:
            turn.wake()

    def _bucket(self, origin: Origin) -> _Bucket:
        with self._lock:
            bucket = self._buckets.pop(origin, None) or _Bucket()
            self._buckets[origin] = bucket  # as the one that was asked last
            if len(self._buckets) > MAX_ORIGINS:
                now = self._clock()
                for other, idle in self._buckets.items():
                    if not idle.queue and idle.next_at(0.0) <= now:
                        del self._buckets[other]
                        break
        return bucket

    def _take(self, bucket: _Bucket, now: float) -> bool:
        """Take a permission that is there now, if nobody waits for one."""
        with self._lock:
            if bucket.queue or bucket.next_at(self._slack) > now:
                return False
            bucket.full_at = max(bucket.full_at, now) + self._interval
        return True

    async def _wait(self, bucket: _Bucket, origin: Origin, timeouts: RequestTimeouts, journey: Journey) -> None:
        timer = PhaseTimer("pool", timeouts.deadline, journey.started, timeouts.pool)
        turn = _Turn(self._backend)
        with self._lock:
            bucket.queue.append(turn)
        try:
            while not self._granted(bucket, turn):
                if self._pool.closed:
                    raise closed_while(origin, journey)
                now = self._clock()
                if now >= timer.at:
                    raise self._expired(bucket, origin, timer, now)
                in_front = bucket.queue[0] is turn
                at = min(timer.at, bucket.next_at(self._slack)) if in_front else timer.at
                if await turn.waiter.wait(None if at == inf else at):
                    # It was woken, to be in front or because of the close; a waiter that is set stays so.
                    turn.waiter = self._backend.waiter()
                    turn.wake = self._backend.from_any_thread(turn.waiter.set)
        except BaseException as error:
            if isinstance(error, PoolTimeout):
                error.journey = journey
                journey.stopped = self._clock()
            raise
        finally:
            self._leave(bucket, turn)
        journey.detail().paced = self._clock()

    def _granted(self, bucket: _Bucket, turn: _Turn) -> bool:
        with self._lock:
            now = self._clock()
            if bucket.queue[0] is not turn or bucket.next_at(self._slack) > now or self._pool.closed:
                return False
            bucket.full_at = max(bucket.full_at, now) + self._interval
        return True

    def _leave(self, bucket: _Bucket, turn: _Turn) -> None:
        """Take a request out of the queue, and wake the one that is in front then."""
        with self._lock:
            bucket.queue.remove(turn)
            first = bucket.queue[0] if bucket.queue else None
        if first is not None:
            first.wake()

    def _expired(self, bucket: _Bucket, origin: Origin, timer: PhaseTimer, now: float) -> PoolTimeout:
        with self._lock:
            place = len(bucket.queue)
            paused = bucket.paused_until
        if paused > now:
            why = f"{origin} asked by Retry-After to be left alone for {paused - now:.3g} s more"
        else:
            why = f"{origin} gets {self._rate:g} requests per second, {place} wait"
        failure = timer.expired(now, why)
        assert isinstance(failure, PoolTimeout)
        failure.pool = self._pool.stats()
        return failure

    def _heed(self, bucket: _Bucket, head: Any) -> None:
        """Pause an origin for as long as its answer asks."""
        asked = next((value for name, value in head.fields() if name.lower() == b"retry-after"), None)
        if asked is None:
            return
        seconds = retry_after(asked.decode("latin-1"), time.time())
        if seconds is not None:
            with self._lock:
                bucket.paused_until = max(bucket.paused_until, self._clock() + min(seconds, MAX_PAUSE))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After field asks for (RFC 9110 s.10.2.3); None if it says nothing that is valid.

    `now` is the time of day, in seconds since 1970, for a date; one that has passed asks for 0 seconds.
    """
    if not value:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        date = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    if date.tzinfo is None:  # "-0000", which RFC 9110 has no use for, and servers that forget the zone: they mean GMT
        date = date.replace(tzinfo=UTC)
    try:
        return max(date.timestamp() - now, 0.0)
    except (OverflowError, ValueError):
        return None
