"""Errors of requests whose pool is closed under them: ClientClosed, whatever was going on.

Closing wakes them by closing their connections, so what they meet first is an error of the network. It is replaced
where it leaves the pool.
"""

from __future__ import annotations

from typing import Final

from .._exceptions import ClientClosed, NetworkError, RequestError
from .._journey import Journey
from .._net.base import Aborted
from .._origin import Origin

#: What a request was doing, by the phase of its journey.
_DOING: Final = {
    "pool": "waiting for a connection",
    "send": "being sent",
    "wait": "waiting for its response",
    "receive": "receiving its response",
    "done": "receiving its response",
}


def closed_while(origin: Origin, journey: Journey) -> ClientClosed:
    """Return the exception for a request on this journey."""
    doing = _DOING.get(journey.phase, "connecting")
    return ClientClosed(f"the client was closed, by close() or aclose(), while a request to {origin} was {doing}")


def is_caused_by_closing(error: BaseException) -> bool:
    """Return whether an exception that is met after closing is what closing does to connections, waits and dials.

    Others say something else that is true as well: a timeout, a message that breaks the protocol.
    """
    if isinstance(error, ClientClosed):
        return False
    return isinstance(error, (Aborted, NetworkError)) or (isinstance(error, RequestError) and error.unprocessed)
