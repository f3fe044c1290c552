"""Opens the connections of a pool: dials, and makes a connection of what came of it, in the protocol that is spoken."""

from __future__ import annotations

from functools import partial
from logging import DEBUG
from typing import Final

from .._conn.base import Connection, Owner
from .._conn.dial import Dialled, dial
from .._conn.options import DialOptions
from .._conn.protocols import PROTOCOLS
from .._deadline import Deadline
from .._journey import ConnectionFacts, Journey
from .._net.base import Abortable
from .._origin import Route
from .._trace import LOGGERS
from .closing import closed_while
from .leases import Leases
from .losses import ALL_BUSY, FIRST, REPLAYED, Loss
from .state import GOING_AWAY, UNLIMITED

# Requests that go out at once to a peer of which nothing is known, before it has said how many it takes; that comes
# with its first bytes, one round trip later, and the others wait for it. Most servers take 100 and more, some take 30
# or 10; what is above that they refuse, and it goes out a second time.
FIRST_STREAMS: Final = 10

_logger: Final = LOGGERS["pool"]


class Dialler:
    """Open connections for the requests of a pool; they report to `owner`."""

    __slots__ = ("_dials", "_leases", "_options", "_owner")

    def __init__(self, leases: Leases, options: DialOptions, owner: Owner) -> None:
        self._leases = leases
        self._options = options
        self._owner = owner
        self._dials: set[Abortable[Dialled]] = set()

    async def dial(
        self, route: Route, budget: float | None, journey: Journey, deadline: Deadline | None = None
    ) -> Connection:
        """Open a connection and lease it; the caller was granted a place for it, which a failure gives back.

        Cancelled here, the place is given back. Nothing is awaited between the end of dialling and the lease.
        """
        leases = self._leases
        facts = ConnectionFacts()
        journey.dials(facts)
        dialled = leases.backend.abortable(partial(dial, leases.backend, route, self._options, budget, facts, deadline))
        with leases.lock:
            if leases.closed:
                raise closed_while(route.origin, journey)
            self._dials.add(dialled)
            leases.retired.dial_begins(facts)
            loss = leases.why_new(route)
        self._note_reason(loss, route, journey)
        try:
            connection = self.make_connection(await dialled.run(), route, facts)
        except BaseException as error:
            with leases.lock:
                self._dials.discard(dialled)
                leases.retired.dial_ends(facts, connected=False)
                if loss.reason not in (FIRST, ALL_BUSY):
                    leases.plan.losses.add(route, *loss)  # it is not made up for
                leases.plan.dial_failed(route)
                decided = leases.decided()
            leases.carry_out(*decided)
            raised = leases.explain(error, route.origin, journey)
            if raised is not error:
                raise raised from error
            raise
        facts.trace = None
        limit, settled = self._streams_of(connection)
        with leases.lock:
            self._dials.discard(dialled)
            leases.retired.dial_ends(facts, connected=True)
            if facts.dial_started is not None:
                now = leases.clock()
                leases.hints.learn_dial(route.origin, now - facts.dial_started, now)
            if limit is not None and facts in leases.retired:
                limit = GOING_AWAY  # the requests that wait for a stream of it get a connection that is dialled now
            leases.plan.connected(route, connection, limit, settled)
            decided = leases.decided()
        leases.carry_out(*decided)
        if leases.closed:
            raise closed_while(route.origin, journey)
        return connection

    def _note_reason(self, loss: Loss, route: Route, journey: Journey) -> None:
        """Record, and log, why a connection is new."""
        facts = journey.connection
        assert facts is not None
        facts.new_reason, facts.lost_idle = loss
        if journey.attempts:
            facts.new_reason, facts.lost_idle = REPLAYED, journey.attempts[-1].idle
        if _logger.isEnabledFor(DEBUG):
            idle = "" if facts.lost_idle is None else f" idle={facts.lost_idle:.3f}s"
            _logger.debug("new_connection origin=%s reason=%s%s", route.origin, facts.new_reason, idle)

    def abort(self) -> None:
        """End what is dialled, from any thread: the requests that it is for get Aborted."""
        with self._leases.lock:
            dials = list(self._dials)
        for dialled in dials:
            dialled.abort()

    def forget(self) -> None:
        """Forget what is dialled, in the child of a fork."""
        self._dials.clear()

    def make_connection(self, dialled: Dialled, route: Route, facts: ConnectionFacts) -> Connection:
        """Return a connection in the protocol that `dial()` found to be spoken."""
        leases, make = self._leases, PROTOCOLS[dialled.protocol]
        first_limit = leases.hints.streams(route.origin, leases.clock()) or FIRST_STREAMS
        options = self._options
        return make(dialled.opened, route, facts, self._owner, options.ping_after, first_limit, options.max_head_size)

    def _streams_of(self, connection: Connection) -> tuple[int | None, bool]:
        """Return how many requests may share a new connection, None if it is for one; and whether its peer said so."""
        if not connection.multiplexed:
            return None, True
        leases = self._leases
        settled = connection.settled or leases.hints.streams(connection.route.origin, leases.clock()) is not None
        # What came while it was made may have broken it: the plan, which did not know it then, is not told again.
        if connection.draining:
            return GOING_AWAY, settled
        return UNLIMITED if connection.limit is None else connection.limit, settled
