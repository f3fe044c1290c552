"""The part of a pool's connection that is lent to the reader of one response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._conn.base import Connection, Exchange
from .._deadline import Deadline
from .._head import FieldLine
from .._journey import Journey
from .._net.base import Stream
from .._trace import Tracer
from .callers import caller, warn_of_leak
from .leases import Leases


class Lease:
    """The right to read the rest of one response, and to nothing else of its connection."""

    __slots__ = ("_exchange", "_given_at", "connection", "journey", "made_at", "pool", "trailers", "unsent")

    def __init__(self, pool: Leases, connection: Connection, exchange: Exchange, journey: Journey) -> None:
        self.pool: Leases = pool
        self.connection: Connection = connection
        self.journey: Journey = journey
        self._exchange: Exchange | None = exchange
        self._given_at = pool.clock()  # when the reader was given something
        self.made_at: str = caller(2)
        pool.held[journey] = self.made_at
        #: A body of a request, to be ended with `aclose()`, that is sent while the response is read.
        self.unsent: Any = None
        self.trailers: Sequence[FieldLine] = ()

    async def next_chunk(self) -> bytes:
        """Return the next piece of the body; b"" after its end, when the lease has ended by itself."""
        exchange = self._exchange
        if exchange is None:
            return b""
        clock, given_at = self.pool.clock, self._given_at
        asked_at = clock()
        try:
            piece = await exchange.next_chunk()
        except BaseException as caught:
            self.journey.reader_had(given_at, asked_at)
            error = self.explain(caught)
            self.close()
            if error is not caught:
                raise error from caught
            raise
        self.journey.handed(len(piece), given_at, asked_at)
        self._given_at = clock()
        if not piece or exchange.complete:
            self.trailers = exchange.trailers
            self.close()
        return piece

    def set_deadline(self, deadline: Deadline) -> None:
        """Limit what is left of the response to `deadline`, in place of the one that it had."""
        if self._exchange is not None:
            self._exchange.set_deadline(deadline.on(self.pool.clock))

    def explain(self, error: BaseException) -> BaseException:
        """Return `error`, or what to raise in its place if it came of closing the client."""
        return self.pool.explain(error, self.connection.route.origin, self.journey)

    @property
    def trace(self) -> Tracer | None:
        """Return the tracer that gets the steps at the response's end; None if there is none."""
        return self.journey.trace

    @property
    def sending(self) -> bool:
        """Return whether the request's body is sent while the response is read."""
        exchange = self._exchange
        return exchange is not None and exchange.sending

    def tunnel(self) -> tuple[Stream, bytes] | None:
        """Return stream and first bytes of a connection that no longer speaks HTTP, for its user; else None."""
        exchange = self._exchange
        return exchange.detach() if exchange is not None and exchange.upgraded else None

    def close(self) -> None:
        """End the lease; the connection is closed if the body was not read to its end. Repeatable.

        May be called by finalizers, in any thread.
        """
        exchange, self._exchange = self._exchange, None
        if exchange is not None:
            self.pool.release_from_finalizer(self.connection, exchange, self.journey)

    def __del__(self) -> None:
        # In a cycle the reader's finalizer may come later, and close this lease once more: `close()` is repeatable.
        if self._exchange is None:
            return
        self.close()
        warn_of_leak(
            f"a response of {self.connection.route.origin} was neither read to its end nor closed; it was requested at "
            f"{self.made_at}",
            self.made_at,
            self,
        )


class TracedLease(Lease):
    """The same for a request that is traced: the end of the body delivers what it brought about."""

    __slots__ = ()

    async def next_chunk(self) -> bytes:
        if self._exchange is None:
            return b""
        piece = await super().next_chunk()
        trace = self.trace
        if trace is not None:
            await trace.deliver()
        return piece
