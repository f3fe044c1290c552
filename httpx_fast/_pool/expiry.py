"""Expiry of idle connections: what limits their time, and the timer that closes them.

asyncio has timers that are neither task nor thread. trio and blocking code have none: there the next request closes
what has expired, whatever its route.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Final
from weakref import WeakMethod

from .._conn.base import Connection, Head
from .._conn.keep_alive import MARGIN, keep_alive_limits
from .._kernel.constants import HAS_KEEP_ALIVE
from .._net.base import Backend
from .losses import DRAINING, EXPIRED, MAX_AGE, MAX_REQUESTS, Ending
from .origin_hints import OriginHints
from .plan import Plan
from .retired import RetiredConnections

_LATE: Final = 0.001  # seconds; a timer may come a little before what it was set for


class Expiry:
    """Decide until when a connection is used again; call `expire` when an idle one has expired."""

    __slots__ = (
        "_cancel_timer",
        "_expire",
        "_hints",
        "_max_age",
        "_plan",
        "_retired",
        "_start_timer",
        "_timer_at",
        "needs_timer",
        "watchful",
    )

    def __init__(
        self,
        backend: Backend,
        hints: OriginHints,
        max_age: float | None,
        expire: WeakMethod[Callable[[], None]],
    ) -> None:
        self._hints = hints
        self._max_age = max_age
        self._expire = expire
        #: Connections may have less time than `keepalive_expiry` gives, without their peers having said so.
        self.watchful: bool = max_age is not None
        self._start_timer = backend.timer()

    def begin(self, plan: Plan[Connection], retired: RetiredConnections) -> None:
        """Look after the connections of `plan` from now on; nothing is idle yet."""
        self._plan = plan
        self._retired = retired
        #: The timer is to be set as soon as something is idle.
        self.needs_timer: bool = self._start_timer is not None
        self._timer_at = inf  # what expires sooner needs the timer to be set anew
        self._cancel_timer: Callable[[], object] | None = None

    def ending(self, connection: Connection, head: Head | None, now: float) -> Ending:
        """Return when a connection is too old to be used again, or likely to be closed by its peer, and why then.

        `head` is that of its last response.
        """
        facts = connection.facts
        if facts in self._retired:
            return Ending(now, DRAINING)
        until, reason = connection.usable_until(head, now), EXPIRED
        if until <= now and head is not None and head.flags & HAS_KEEP_ALIVE:
            seconds, _ = keep_alive_limits(head.get_all(b"keep-alive"))
            if seconds > MARGIN:
                reason = MAX_REQUESTS
        if self._max_age is not None:
            oldest = (facts.tls_done or facts.tcp_done or now) + self._max_age
            if oldest < until:
                until, reason = oldest, MAX_AGE
        learnt = self._hints.expiry(connection.route.origin, now)
        return Ending(until, reason) if learnt is None or now + learnt >= until else Ending(now + learnt, EXPIRED)

    def look_again(self, now: float) -> None:
        """Note that no retired connection is left."""
        self.watchful = self._max_age is not None or bool(self._hints.learnt(now))

    # The timer: everything below is called under the pool's lock.

    def set_timer(self, now: float) -> None:
        """Have the next idle connection closed when its time has come."""
        if self._start_timer is None:
            return
        at = self._plan.next_expiry()
        if at is None or at >= self._timer_at:
            return
        if self._cancel_timer is not None:
            self._cancel_timer()
        self._timer_at = at
        self.needs_timer = False
        expire = self._expire()
        if expire is None:
            return  # its owner is gone, and the connections with it
        try:
            self._cancel_timer = self._start_timer(max(at - now, 0.0) + _LATE, expire)
        except RuntimeError:  # the loop has ended, and nothing happens in it any more
            self._cancel_timer = None

    def stop_timer(self) -> None:
        """Cancel the timer: nothing will be idle any more."""
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None

    def timer_fired(self, now: float) -> None:
        """Have the plan close what has expired, and set the timer for the next."""
        self._cancel_timer = None
        self._timer_at = inf
        self.needs_timer = self._start_timer is not None
        self._plan.expire(now)
        self.set_timer(now)
