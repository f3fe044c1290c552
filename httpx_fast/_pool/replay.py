"""Whether a request that failed is sent once more: only if it cannot have been processed, or may be processed twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

from .._conn.http1 import Http1Connection
from .._exceptions import ReadError, RemoteProtocolError, RequestError, WriteError
from .._journey import Journey
from .._wire.events import Http1Required, RequestHead
from .lease import Connection

# Requests that the peer did nothing with are sent again for as long as connections make progress: a server that takes
# five requests on each connection, and is asked three hundred at once, gives most of them back many times. Over
# connections on which the peer has answered nothing at all they are sent again at most so many times: a peer that
# refuses everything (RFC 9113 s.8.7), or says GOAWAY at once, must be an error some day.
MAX_REPLAYS: Final = 3

_BROKEN: Final = ReadError, WriteError, RemoteProtocolError


class Pieces(Protocol):
    """A body that is not one string of bytes. Iterated, it begins."""

    @property
    def again(self) -> bool:
        """Whether it gives all of its bytes when it is iterated now."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Replays:
    """Counts how often one request was sent again, by the reason for it."""

    __slots__ = ("_dead", "_given_up", "_http1", "_idle_rounds")

    def __init__(self) -> None:
        self._idle_rounds = 0  # tries on connections that made no progress
        self._dead = 0  # connections that turned out dead
        self._given_up = 0  # connections that the peer ended with this request under way
        self._http1 = 0

    def reason(
        self, error: BaseException, connection: Connection, journey: Journey, head: RequestHead, replay: bool | None
    ) -> str | None:
        """Return why a request that failed is sent again; None if it is not."""
        if isinstance(error, RequestError) and error.unprocessed:
            return f"the peer did nothing with it: {error}" if self._may_progress(connection, journey) else None
        if not (head.idempotent if replay is None else replay):
            return None
        if isinstance(error, Http1Required) and not self._http1:
            self._http1 += 1
            return f"the peer wants HTTP/1.1: {error}"
        if not isinstance(error, _BROKEN):
            return None
        if not isinstance(connection, Http1Connection) and connection.farewell and connection.broken is not None:
            # Nobody has seen anything of an answer that had begun: it was wanted whole, or would have been handed on.
            return self._after_end(error)
        if (
            journey.attempts
            and not isinstance(connection, Http1Connection)
            and connection.draining
            and not journey.first
        ):
            # A server that sends connections away may be about to end, and drop new ones, too.
            return self._after_end(error)
        if not self._dead and met_dead_connection(error, connection, journey):
            self._dead += 1
            return f"the reused connection was dead: {error}"
        return None

    def _after_end(self, error: BaseException) -> str | None:
        """Return why a request is sent again after the peer has ended its connection."""
        self._given_up += 1
        return f"the peer ended the connection: {error}" if self._given_up <= MAX_REPLAYS else None

    def _may_progress(self, connection: Connection, journey: Journey) -> bool:
        """Return whether sending a request again that the peer did nothing with can end."""
        if not isinstance(connection, Http1Connection):
            if connection.progressed:
                self._idle_rounds = 0
                return True
            if not journey.nth and not connection.draining:
                return True  # it was never sent, for want of a stream: the pool has it wait for one now
        self._idle_rounds += 1
        return self._idle_rounds <= MAX_REPLAYS


def met_dead_connection(error: BaseException, connection: Connection, journey: Journey) -> bool:
    """Return whether a request failed because the peer had closed, or was closing, the idle connection it was given.

    A server may close any time (RFC 9112 s.9.3.1). That nothing of an answer was seen does not prove that nothing was
    done, hence `replay`. One further try is enough: it is sent over a connection that was looked at after the failure.
    """
    if isinstance(connection, Http1Connection):
        return left_unanswered(error, connection, journey)
    # A peer that resets a stream and goes on with the others is not dead.
    return isinstance(error, _BROKEN) and journey.reused and connection.draining and not journey.first


def left_unanswered(error: BaseException, connection: Http1Connection, journey: Journey) -> bool:
    """Whether a reused connection ended before anything of the answer was seen."""
    return isinstance(error, _BROKEN) and journey.reused and not connection.touched
