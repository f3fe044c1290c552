"""What who uses a pool is told when it is closed under his hands: ClientClosed, whatever was going on.

Closing wakes him by closing his connection, so what he meets first is an error of the network. It is replaced where it
leaves the pool.
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
    """The exception for a request on this journey."""
    doing = _DOING.get(journey.phase, "connecting")
    failure = ClientClosed(f"the client was closed, by close() or aclose(), while a request to {origin} was {doing}")
    failure.journey = journey
    return failure


def comes_of_closing(error: BaseException) -> bool:
    """Whether an exception that is met after closing is what closing does to connections, waits and dials.

    Others say something else that is true as well: a timeout, a message that breaks the protocol.
    """
    if isinstance(error, ClientClosed):
        return False
    return isinstance(error, (Aborted, NetworkError)) or (isinstance(error, RequestError) and error.unprocessed)
