"""Ask a server whether it wants a body before it is sent: `Expect: 100-continue` (RFC 9110 s.10.1.1).

The connection waits for the answer. Here the field is added, and a request whose expectation the server refuses (417)
is sent once more without it, if its body can be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._journey import AGAIN
from .heads import derived_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .._conn.base import RequestTimeouts
    from .._head import FieldLine, RequestHead
    from .._journey import Journey
    from .._origin import Route
    from .._pool.pool import Reply
    from .._pool.replay import Pieces

EXPECT: Final[FieldLine] = (b"Expect", b"100-continue")
_REFUSED: Final = 417  # Expectation Failed
_AGAIN: Final = "expectation_failed"


def with_expectation(head: RequestHead) -> RequestHead:
    """Return a head with the field; the same if it has one of that name, which is the user's."""
    if any(name.lower() == b"expect" for name, _ in head.fields):
        return head
    return derived_head(head, head.method, head.target, [*head.fields, EXPECT], head.announced)


async def expecting(
    exchange: Callable[..., Awaitable[Reply]],
    seconds: float,
    head: RequestHead,
    route: Route,
    body: bytes | Pieces,
    framing: int,
    timeouts: RequestTimeouts,
    journey: Journey,
    whole: bool,
    replay: bool | None,
) -> Reply:
    """Send a request by `exchange`, whose connection waits so many seconds for 100 before it sends the body."""
    asking, patient = with_expectation(head), timeouts._replace(expect=seconds)
    reply = await exchange(asking, route, body, framing, patient, journey, whole, replay)
    if reply[0].status != _REFUSED or asking is head or not (isinstance(body, bytes) or body.again):
        return reply
    lease = reply[4]
    if lease is not None:
        lease.close()
    journey.begin_again(AGAIN[_AGAIN], _AGAIN)
    return await exchange(head, route, body, framing, timeouts, journey, whole, replay)
