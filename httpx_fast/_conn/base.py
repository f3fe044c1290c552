"""Define the interface between a connection and the pool, whatever protocol the connection speaks.

- A pool knows `Connection`, `Exchange` and `Owner`, and no class that implements them. `protocols.py` names the class
  of each protocol.
- A connection never calls its owner while it holds a lock of its own. `Exchange.rest()` and `Connection.close()` may be
  called under the owner's lock and by finalizers, so they never wait.
- What the pool reads for each request is a plain attribute.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Coroutine, Sequence
from math import inf
from typing import Any, ClassVar, Protocol, TypeAlias

from .._deadline import Deadline, RequestTimeouts
from .._head import FieldLine, RequestHead
from .._journey import ConnectionFacts, Journey
from .._kernel.select import FieldSection, ResponseHead
from .._net.base import Backend, Stream
from .._origin import Route

__all__ = ["Connection", "Exchange", "Head", "MakeConnection", "Owner", "RequestTimeouts"]

#: The head of a response, as the kernel of its protocol gives it.
Head: TypeAlias = ResponseHead | FieldSection


class Owner(Protocol):
    """Receive reports of the connections of a pool, which leases their exchanges."""

    @property
    def backend(self) -> Backend: ...

    def lost(self, connection: Any) -> None:
        """Note that it died, or that the peer wants it closed; if it is idle, nobody will release it.

        A connection that several requests share calls `draining()` before.
        """

    def limit_changed(self, connection: Any, limit: int | None) -> None:
        """Note how many exchanges it takes at once from now on, None for any number."""

    def draining(self, connection: Any) -> None:
        """Note that it takes no more exchanges; those that are under way go on, or have failed."""


class Exchange(Protocol):
    """Describe one request and its response; with HTTP/1.1 this is the connection itself."""

    @property
    def head(self) -> Any:
        """Return the final head of the response (`Head`), None until it has arrived."""

    @property
    def interim(self) -> Sequence[Any]:
        """Return the heads of interim responses."""
        ...

    @property
    def trailers(self) -> Sequence[FieldLine]:
        """Return the field lines of the trailer section."""
        ...

    @property
    def ended(self) -> bool:
        """Return whether the response has ended."""
        ...

    @property
    def complete(self) -> bool:
        """Return whether the response has ended and all of its body was claimed."""
        ...

    @property
    def whole(self) -> bool:
        """Return whether the body is collected, for `take_whole()`."""
        ...

    @property
    def sending(self) -> bool:
        """Return whether the request's body is sent while the response is read."""
        ...

    @property
    def upgraded(self) -> bool:
        """Return whether the stream no longer speaks HTTP (101, or 2xx to CONNECT)."""
        ...

    def take_whole(self) -> bytes:
        """Return all of the body that was not claimed yet."""
        ...

    def next_chunk(self) -> Coroutine[Any, Any, bytes]:
        """Return the next piece of the body as it arrived; b"" after its end."""
        ...

    def set_deadline(self, deadline: Deadline) -> None:
        """Limit what is left of the exchange to `deadline`, in place of the one that it had."""

    def rest(self, now: float) -> bool:
        """End the exchange, without waiting; return whether its connection takes others."""
        ...

    def detach(self) -> tuple[Stream, bytes]:
        """Return the stream of an exchange that is `upgraded`, and the first bytes that came on it."""
        ...


class Connection(Protocol):
    """Describe a connection to a peer, over which requests are exchanged."""

    #: Whether several requests may share it. If not, `limit` is None and `sole_exchange` is not.
    multiplexed: ClassVar[bool]
    stream: Stream
    route: Route
    facts: ConnectionFacts
    idle_since: float | None  # when its last exchange ended

    @property
    def limit(self) -> int | None:
        """Return how many exchanges a multiplexed connection takes at once; None for any number."""

    @property
    def settled(self) -> bool:
        """Return whether the peer itself has set that limit."""
        ...

    @property
    def draining(self) -> bool:
        """Return whether a multiplexed connection takes no more exchanges, for good."""
        ...

    @property
    def progressed(self) -> bool:
        """Return whether the peer of a multiplexed connection has answered an exchange, or promises to process one."""
        ...

    @property
    def ended_by_peer(self) -> bool:
        """Return whether the peer announced the end of the connection (GOAWAY), which then came."""
        ...

    @property
    def windows(self) -> tuple[int, int] | None:
        """Return the bytes that flow control lets us send now, and the peer; None without such flow control."""

    @property
    def rtt(self) -> float | None:
        """Return the seconds of a round trip, if the protocol measures it."""

    @property
    def sole_exchange(self) -> Exchange | None:
        """Return the exchange of a connection that serves one request at a time; None if multiplexed.

        It is also returned when it has failed. `exchange()` itself ends a failed one of a multiplexed connection.
        """

    async def exchange(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
    ) -> Exchange:
        """Send a request and wait for its response: for all of it if `whole`, else for the head.

        `body` is bytes (none at all are no body), or pieces of them; `framing` its length, or CHUNKED. With
        `timeouts.first_byte` the head is waited for, never `whole`. Raises what `_net` raises, RemoteProtocolError for
        a malformed response, and whatever `body` raises; `error.unprocessed` says that the peer has done nothing with
        the request.
        """
        ...

    def alive(self, now: float = inf) -> bool:
        """Return whether it takes exchanges, without waiting; where arrivals are pushed this is one comparison.

        Elsewhere the socket is polled, but where the protocol allows to ask for an answer over a connection that may
        have ended, and that was used a moment before `now`.
        """
        ...

    def alive_now(self) -> bool:
        """Return whether it takes exchanges, after a look at what the socket has received (one system call)."""
        ...

    def set_mark(self) -> None:
        """Note, before a request that may not be repeated, how far the peer had acknowledged what was sent."""

    def usable_until(self, head: Head | None, now: float) -> float:
        """Return until when the peer promises to take another request; `head` is that of the last response."""
        ...

    def users(self) -> Sequence[Journey]:
        """Return the journeys of the exchanges that are not ended."""
        ...

    def left_unanswered(self, journey: Journey) -> bool:
        """Return whether it ended before anything of the answer to the request on this journey was seen."""
        ...

    def cut(self, journey: Journey) -> None:
        """End the exchange on this journey, if it is under way; from any thread. What waits for it fails."""

    def close(self) -> None:
        """Close the stream at once; what is under way fails. Repeatable."""


#: Makes a connection of what was opened: over it, on this route, with these facts, for this owner; `ping_after` and the
#: first limit are for multiplexed ones, see `Http2Connection`; the last one is `DialOptions.max_head_size`.
MakeConnection: TypeAlias = Callable[[Any, Route, ConnectionFacts, Owner, float | None, int, int | None], Connection]
