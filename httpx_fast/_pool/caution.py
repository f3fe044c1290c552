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
from .origin_hints import OriginHints, Verdict

# From the end of a response on. A proxy or server that closes after it does so within a tenth of this, if it is not
# very busy; and it is little beside a handshake.
GRACE: Final = 0.005  # seconds


async def fit(
    connection: Connection, hints: OriginHints, clock: Callable[[], float], deadline: Deadline | None
) -> bool:
    """Return whether a leased connection, of one request at a time, may carry one that may not be repeated.

    Cancelled here, the connection is as before, and is the caller's to release.
    """
    if not connection.alive_now():
        return False
    served, idle_since = connection.facts.requests, connection.idle_since
    if served and idle_since is not None:
        origin = connection.route.origin
        now = clock()
        facts = connection.facts
        verdict = hints.after(origin, served, facts.tls_done or facts.tcp_done or now, now)
        if verdict is Verdict.CLOSES:
            return False
        if verdict is Verdict.UNKNOWN:
            until = idle_since + GRACE
            if now < until and not await _stays(connection, until, deadline):
                return False
            hints.stayed(origin, served, clock())
    connection.set_mark()
    return True


async def _stays(connection: Connection, until: float, deadline: Deadline | None) -> bool:
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
