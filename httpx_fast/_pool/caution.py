"""Checks before a request that may not be repeated is given a connection that was used before.

A peer may close an idle connection at any time (RFC 9112 s.9.3.1). Other requests are sent again when they meet that;
of these nobody could say whether they were processed. So, in this order:

1. What the connection has received is looked at now, not when the event loop would.
2. A peer that closed connections after so many responses, twice running, is not given one that has served as many.
3. A peer of which it is not known what it does after so few responses, or that closed once after as many, or others
   just now, is given a moment: those that close after a response do so at once. A later request need not wait.
4. What the peer had acknowledged until now is noted (`Connection.set_mark`), which on Linux tells a request that
   crossed the peer's FIN from one that was read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .._conn.base import Connection
from .._deadline import Deadline
from .._exceptions import NetworkError, RemoteProtocolError, TimeoutException
from .leases import QueuedRequest
from .losses import DEAD_ON_USE, MAX_REQUESTS
from .origin_hints import WATCHED, OriginHints, Verdict
from .plan import Answer

# From the end of a response on. A proxy or server that closes after it does so within a tenth of this, if it is not
# very busy; and it is little beside a handshake.
GRACE: Final = 0.005  # seconds


#: What `objection()` says of a connection that is to be watched for a moment: `stays()`.
WATCH: Final = "watch"


def objection(found: Connection | Answer | QueuedRequest, hints: OriginHints, now: float) -> str | None:
    """Return why what the plan gave may not carry a request that may not be repeated: WATCH, or why it is replaced.

    None if it may. No coroutine: nearly all requests with a body that meet a connection need no more than this.
    """
    if not found.alive_now():
        return DEAD_ON_USE
    connection: Connection = found  # type: ignore[assignment]  # nothing else that it may be is alive
    if connection.multiplexed:
        return None
    facts = connection.facts
    served = facts.requests
    if served and (served <= WATCHED or hints.ends_seen):
        verdict = hints.after(connection.route.origin, served, facts.tls_done or facts.tcp_done or now, now)
        if verdict is not Verdict.KEEPS:
            idle_since = connection.idle_since
            if verdict is Verdict.CLOSES:
                return MAX_REQUESTS
            if idle_since is not None:
                if now < idle_since + GRACE:
                    return WATCH
                hints.stayed(connection.route.origin, served, now)
    connection.set_mark()
    return None


async def stays(
    connection: Connection, hints: OriginHints, clock: Callable[[], float], deadline: Deadline | None
) -> bool:
    """Return whether a leased connection, of one request at a time, is still open at the end of its grace.

    Cancelled here, the connection is as before, and is the caller's to release.
    """
    idle_since = connection.idle_since
    assert idle_since is not None
    if not await _is_silent(connection, idle_since + GRACE, deadline):
        return False
    hints.stayed(connection.route.origin, connection.facts.requests, clock())
    connection.set_mark()
    return True


async def _is_silent(connection: Connection, until: float, deadline: Deadline | None) -> bool:
    """Wait until then for the peer to close; return whether it did not."""
    stream = connection.stream
    if deadline is not None:
        until = min(until, deadline.at)
    stream.set_deadline("first_byte", until, GRACE)
    try:
        await stream.receive()
    except TimeoutException:
        pass
    except (NetworkError, RemoteProtocolError):
        return False
    return connection.alive()
