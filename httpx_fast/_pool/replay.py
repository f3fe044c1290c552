"""Decides whether a request that failed is sent again: if it cannot have been processed, or may be processed twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, NamedTuple, Protocol

from .._conn.base import Connection
from .._exceptions import ReadError, RemoteProtocolError, RequestError, WriteError
from .._head import RequestHead
from .._journey import AGAIN, Journey
from .._wire.events import Http1Required
from .losses import DEAD_ON_USE, DRAINING, PEER_CLOSED

# Requests that the peer did nothing with are sent again for as long as connections make progress: a server that takes
# five requests on each connection, and is asked three hundred at once, gives most of them back many times. Over
# connections on which the peer has answered nothing at all they are sent again at most so many times: a peer that
# refuses everything (RFC 9113 s.8.7), or sends GOAWAY at once, must be an error some day.
MAX_REPLAYS: Final = 3

#: What a request meets whose connection ends.
BROKEN: Final = ReadError, WriteError, RemoteProtocolError

#: Why a connection was needed, if the peer had ended the one before.
ENDED_BEFORE: Final = DRAINING, PEER_CLOSED, DEAD_ON_USE


#: Why a request is sent again; `AGAIN` has the words.
UNPROCESSED: Final = "unprocessed"
HTTP1_REQUIRED: Final = "http1_required"
ENDED_BY_PEER: Final = "ended_by_peer"
DEAD: Final = "dead"


class Reason(NamedTuple):
    """Hold why a request is sent again: a code, and what went wrong."""

    code: str
    error: BaseException

    def __str__(self) -> str:
        return f"{AGAIN[self.code]}: {self.error}"


class Pieces(Protocol):
    """A body that is not one string of bytes. Iterated, it begins."""

    @property
    def again(self) -> bool:
        """Return whether it gives all of its bytes when it is iterated now."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


class Replays:
    """Count how often one request was sent again, by the reason for it."""

    __slots__ = ("_dead", "_given_up", "_http1", "_idle_rounds", "since")

    def __init__(self, since: float) -> None:
        #: When waiting for a connection began; later by the time that failed attempts took with theirs.
        self.since = since
        self._idle_rounds = 0  # tries on connections that made no progress
        self._dead = 0  # connections that turned out dead
        self._given_up = 0  # connections that the peer ended with this request under way
        self._http1 = 0

    def begin_again(self, journey: Journey, reason: Reason) -> None:
        """Begin another attempt. The pool timeout is for all waits together, and for nothing else."""
        leased = journey.leased
        journey.begin_again(str(reason), reason.code)
        if leased is not None:
            self.since += journey.started - leased

    def replay_reason(
        self, error: BaseException, connection: Connection, journey: Journey, head: RequestHead, replay: bool | None
    ) -> Reason | None:
        """Return why a request that failed is sent again; None if it is not."""
        if isinstance(error, RequestError) and error.unprocessed:
            return Reason(UNPROCESSED, error) if self._may_progress(connection, journey) else None
        if not (head.idempotent if replay is None else replay):
            return None
        if isinstance(error, Http1Required) and not self._http1:
            self._http1 += 1
            return Reason(HTTP1_REQUIRED, error)
        if not isinstance(error, BROKEN):
            return None
        if connection.ended_by_peer:
            # Nobody has seen anything of an answer that had begun: it was wanted whole, or would have been handed on.
            return self._after_end(error)
        ended_before = journey.attempts or connection.facts.new_reason in ENDED_BEFORE
        if ended_before and connection.draining and not journey.first:
            # A server that ends connections may be about to end itself, and drop new ones, too: Apache drops those that
            # its old processes accept while it is reloaded, without GOAWAY. (Over HTTP/1.1 `draining` is never set.)
            return self._after_end(error)
        # A server may close any time (RFC 9112 s.9.3.1). That nothing of an answer was seen does not prove that nothing
        # was done, hence `replay`. One further try is enough: it is sent over a connection that was looked at after
        # the failure.
        if not self._dead and journey.reused and connection.left_unanswered(journey):
            self._dead += 1
            return Reason(DEAD, error)
        return None

    def _after_end(self, error: BaseException) -> Reason | None:
        """Return why a request is sent again after the peer has ended its connection."""
        self._given_up += 1
        return Reason(ENDED_BY_PEER, error) if self._given_up <= MAX_REPLAYS else None

    def _may_progress(self, connection: Connection, journey: Journey) -> bool:
        """Return whether sending a request again that the peer did nothing with can end."""
        if connection.progressed:
            self._idle_rounds = 0
            return True
        if not journey.nth and not connection.draining:
            return True  # it was never sent, for want of a stream: the pool has it wait for one now
        self._idle_rounds += 1
        return self._idle_rounds <= MAX_REPLAYS
