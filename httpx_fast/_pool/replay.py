"""Whether a request that failed is sent once more: only if it cannot have been processed, or may be processed twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final, Protocol

from .._conn.http1 import Http1Connection
from .._exceptions import ReadError, RemoteProtocolError, RequestError, WriteError
from .._journey import Journey
from .._wire.events import Http1Required, RequestHead
from .lease import Connection

# Requests that the peer did nothing with are sent again at most so many times: a peer that refuses every one of them
# (RFC 9113 s.8.7) must be an error some day.
MAX_REPLAYS: Final = 3


_BROKEN: Final = ReadError, WriteError, RemoteProtocolError


class Pieces(Protocol):
    """A body that is not one string of bytes. Iterated, it begins."""

    @property
    def again(self) -> bool:
        """Whether it gives all of its bytes when it is iterated now."""
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...


def why_again(
    error: BaseException, connection: Connection, journey: Journey, head: RequestHead, replay: bool | None
) -> str | None:
    """Why a request that failed is sent again; None if it is not."""
    if isinstance(error, RequestError) and error.unprocessed:
        return f"the peer did nothing with it: {error}" if len(journey.attempts) < MAX_REPLAYS else None
    if not (head.idempotent if replay is None else replay):
        return None
    if isinstance(error, Http1Required) and not journey.attempts:
        return f"the peer wants HTTP/1.1: {error}"
    if met_dead_connection(error, connection, journey):
        return f"the reused connection was dead: {error}"
    return None


def met_dead_connection(error: BaseException, connection: Connection, journey: Journey) -> bool:
    """Whether a request failed because the peer had closed, or was closing, the idle connection that it was given.

    A server may close any time (RFC 9112 s.9.3.1). That nothing of an answer was seen does not prove that nothing was
    done, hence `replay`. One further try is enough: it is sent over a connection that was looked at after the failure.
    """
    if journey.attempts:
        return False
    if isinstance(connection, Http1Connection):
        return left_unanswered(error, connection, journey)
    if not isinstance(error, _BROKEN) or not journey.reused:
        return False
    # A peer that resets a stream and goes on with the others is not dead.
    return connection.draining and not journey.first


def left_unanswered(error: BaseException, connection: Http1Connection, journey: Journey) -> bool:
    """Whether a reused connection ended before anything of the answer was seen."""
    return isinstance(error, _BROKEN) and journey.reused and not connection.touched
