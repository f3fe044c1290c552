"""What of a pool's connection is lent to the reader of one response."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import TYPE_CHECKING, TypeAlias

from .._conn.http1 import Http1Connection
from .._exceptions import RequestError
from .._journey import Journey
from .._kernel.select import ResponseHead
from .._net.base import Stream
from .._trace import Tracer
from .._wire.events import FieldLine

if TYPE_CHECKING:
    from .._conn.http2 import Http2Connection
    from .._conn.http2_stream import Http2Stream
    from .._kernel.select import FieldSection
    from .pool import Pool

Connection: TypeAlias = "Http1Connection | Http2Connection"
#: A response's head, as the kernel of its protocol gives it.
Head: TypeAlias = "ResponseHead | FieldSection"
#: One request and its response: with HTTP/1.1 the connection itself.
Exchange: TypeAlias = "Http1Connection | Http2Stream"


class Lease:
    """The right to read the rest of one response, and to nothing else of its connection."""

    __slots__ = ("_exchange", "connection", "journey", "made_at", "pool", "trailers")

    def __init__(self, pool: Pool, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        self.pool = pool
        self.connection = connection
        self.journey = journey
        self._exchange: Exchange | None = exchange
        self.made_at = pool.held[journey] = caller(2)
        self.trailers: Sequence[FieldLine] = ()

    async def next_chunk(self) -> bytes:
        """The next piece of the body; b"" after its end, when the lease has ended by itself."""
        exchange = self._exchange
        if exchange is None:
            return b""
        try:
            piece = await exchange.next_chunk()
        except BaseException as caught:
            error = self.told(caught)
            if isinstance(error, RequestError):
                error.journey = self.journey
            self.close()
            if error is not caught:
                raise error from caught
            raise
        if not piece or exchange.complete:
            self.trailers = exchange.trailers
            self.close()
            if self.trace is not None:
                await self.trace.deliver()
        return piece

    def told(self, error: BaseException) -> BaseException:
        """`error`, or what to raise in its place if it came of closing the client."""
        return self.pool.told(error, self.connection.route.origin, self.journey)

    @property
    def trace(self) -> Tracer | None:
        """Who is told of what the response's end brought about."""
        return self.journey.trace

    @property
    def sending(self) -> bool:
        """Whether the request's body is sent while the response is read."""
        exchange = self._exchange
        return exchange is not None and not isinstance(exchange, Http1Connection) and exchange.sending

    def tunnel(self) -> tuple[Stream, bytes] | None:
        """Stream and first bytes of a connection that speaks HTTP no longer, for the lease's owner; else None."""
        exchange = self._exchange
        return exchange.detach() if exchange is not None and exchange.upgraded else None

    def close(self) -> None:
        """Gives the connection back; it is closed if the body was not read to its end. Repeatable."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.pool.release_from_finalizer(self.connection, exchange, self.journey)

    def abandon(self) -> None:
        """As `close()`, for the finalizer of who reads, which may run in any thread."""
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.pool.abandon(self.connection, exchange, self.journey)

    def __del__(self) -> None:
        # Taken, as others do: in a cycle the reader's finalizer may come later, and close this lease once more.
        exchange, self._exchange = self._exchange, None
        if exchange is None:
            return
        self.pool.drop(self.connection, exchange, self.journey)
        warnings.warn(
            f"a response of {self.connection.route.origin} was neither read to its end nor closed; it was requested at "
            f"{self.made_at}",
            ResourceWarning,
            source=self,
            stacklevel=2,
        )


_PACKAGE = os.path.dirname(os.path.dirname(__file__))

#: Packages whose code stands between users and this one: contextlib is what `with client.stream(...)` runs in.
NOT_USERS = {"contextlib"}


def caller(depth: int) -> str:
    """Return file and line of the innermost code of users that is at work, `depth` calls above or further."""
    frame: FrameType | None = sys._getframe(depth)
    while frame is not None and (
        frame.f_code.co_filename.startswith(_PACKAGE)
        or frame.f_globals.get("__name__", "").partition(".")[0] in NOT_USERS
    ):
        frame = frame.f_back
    return "an unknown place" if frame is None else f"{frame.f_code.co_filename}:{frame.f_lineno}"
