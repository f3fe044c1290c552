"""One HTTP/1.1 connection: a stream, the reader of its responses, and one exchange at a time.

It speaks heads and bytes, never a `Request`. Rules:

- Between the first byte sent and the end of the message any exception, a cancellation included, closes the
  connection: nobody could say where the next message begins.
- It reports to the pool only that it died while idle (`lost`); `rest()` returns whether it is reusable.
- Times for the journey are taken where they happen: in the sink's callbacks.
- An exchange that is traced has methods of its own; the others test for it once.
- While a body is sent the response is watched (RFC 9112 s.9.5). An answer that wants none of it ends sending; after any
  other head `next_chunk()` sends on, so that a peer that answers while it reads is neither kept waiting nor waits.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Coroutine
from math import inf
from typing import Any, ClassVar, Final, Self

from .._deadline import Deadline, RateCheck
from .._exceptions import (
    NetworkError,
    ReadTimeout,
    RemoteProtocolError,
    TimeoutException,
    WriteError,
    WriteTimeout,
    retold,
)
from .._head import FieldLine, RequestHead
from .._journey import ConnectionFacts, Journey
from .._kernel.constants import HAS_KEEP_ALIVE
from .._net.acknowledged import acknowledged, closed_untaken
from .._net.base import Stream
from .._net.gathering import LEAST
from .._origin import Route
from .._trace import Tracer
from .._wire.h1 import DEAD, ENDED, HEAD, IDLE, TUNNEL
from .base import Head, Owner, RequestTimeouts
from .http1_sending import RequestSender
from .keep_alive import MARGIN, keep_alive_limits

# A body is gauged while more than this is left of it, in steps: one that comes in this time, at 100 MB/s, is quick.
# Twice what a stream gathers, so that the end is never waited for.
_LONG: Final = 2 * LEAST
_GAUGED: Final = 1024 * 1024  # bytes
_QUICK: Final = 0.01  # seconds
_SLOW_READ: Final = 1.0  # seconds; a shorter `timeout.read` might end while arrivals are gathered


class Http1Connection(RequestSender):
    """Exchange requests over HTTP/1.1, one at a time, for the holder of the lease."""

    __slots__ = (
        "_broken",
        "_gauged_at",
        "_gauged_from",
        "_gathers",
        "_owner",
        "_pushes",
        "_rate_in",
        "allowed",
        "idle_since",
        "mark",
    )

    multiplexed: ClassVar[bool] = False
    # What `base.Connection` has for connections that several requests share.
    limit: None = None
    settled: bool = True
    draining: bool = False
    progressed: bool = False
    ended_by_peer: bool = False
    windows: None = None
    rtt: None = None

    def __init__(
        self, stream: Stream, route: Route, facts: ConnectionFacts, owner: Owner, max_head_size: int | None = None
    ) -> None:
        backend = owner.backend
        super().__init__(stream, route, facts, backend.clock, max_head_size)
        facts.stream = stream
        self.idle_since: float | None = None
        #: Bytes that the peer had acknowledged before a request that may not be repeated; None if unknown.
        self.mark: int | None = None
        self.allowed = inf  # count of requests that the peer takes, as far as it has said so
        self._pushes = backend.pushes  # an idle connection notices by itself that it is dead
        self._owner = owner
        self._broken: NetworkError | RemoteProtocolError | None = None  # what came with a head instead of its body
        self._rate_in: RateCheck | None = None  # of the last exchange that had a rate to keep
        # How quickly a long body comes: what was left of it at a time; 0 while that is not of interest.
        self._gauged_from = 0
        self._gauged_at = 0.0
        self._gathers = False  # it comes quickly: the stream gathers arrivals
        stream.attach(self)

    async def exchange(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
    ) -> Self:
        """Send a request and wait for its response: for all of it if `whole`, else for the head; see `Connection`."""
        facts = journey.connection = self.facts
        facts.requests = journey.nth = facts.requests + 1
        journey.sending = journey.sending or self._clock()
        journey.rested_since = self.idle_since
        self.journey = journey
        self._timeouts = timeouts
        self.begin(head.method, whole)
        if journey.trace is not None:
            return await self._exchange_traced(head, body, framing, timeouts, journey.trace, whole)
        stream = self.stream
        refused: WriteError | WriteTimeout | None = None
        try:
            if timeouts.deadline is not None:
                self._begin_bounded(timeouts.deadline)
            if body or framing:
                refused = await self._send(head.http1, body, framing, timeouts)
            else:
                try:
                    unsent = stream.write(head.http1)
                    if unsent is not None:
                        self._set_write_deadline(timeouts.write)
                        await unsent
                except WriteError as error:
                    refused = self._refused(error)
            journey.sent = now = self._clock()
            if timeouts.first_byte is None:  # the same as below, at a third of the cost
                read = timeouts.read
                stream.set_deadline("read", None if read is None else now + read, read)
            else:
                stream.set_deadline(*timeouts.until_head(now, now))
            if self.state == HEAD or not self.ready:
                await stream.receive()
        except BaseException as error:
            failure = self._exchange_failed(error, refused, whole)
            if failure is error:
                raise
            if failure is not None:
                raise failure from None
        return self

    async def _exchange_traced(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        trace: Tracer,
        whole: bool,
    ) -> Self:
        """Do the rest of `exchange()`, and report each step to the tracer of the journey."""
        journey = self.journey
        assert journey is not None
        refused: WriteError | WriteTimeout | None = None
        try:
            if timeouts.deadline is not None:
                self._begin_bounded(timeouts.deadline)
            await trace.started("http11.send_request_headers")
            if body or framing:  # it is sent with the head, or right after it
                await trace.complete()
                await trace.started("http11.send_request_body")
                refused = await self._send(head.http1, body, framing, timeouts)
            else:
                refused = await self._send_head(head.http1, timeouts.write)
                await trace.complete()
                await trace.started("http11.send_request_body")
            await trace.complete()
            await trace.started("http11.receive_response_headers")
            journey.sent = now = self._clock()
            self.stream.set_deadline(*timeouts.until_head(now, now))
            if self.state == HEAD or not self.ready:
                await self.stream.receive()
            await trace.complete(self._traced_head())
        except BaseException as error:
            failure = self._exchange_failed(error, refused, whole)
            if failure is None:
                await trace.complete(self._traced_head())
                return self
            await trace.failed(failure)
            if failure is error:
                raise
            raise failure from None
        return self

    def _exchange_failed(
        self, error: BaseException, refused: WriteError | WriteTimeout | None, whole: bool
    ) -> BaseException | None:
        """Close the connection; return the error to raise, or None if a head came before the error.

        After a cancellation, as after an error, the answer may still be on its way.
        `refused` is the error of sending, if that failed.
        """
        if not isinstance(error, (NetworkError, RemoteProtocolError)):
            self.close()
            return self._as_unanswered(error) or error
        state = self.state
        if self.mark is not None and not self.touched and isinstance(error, RemoteProtocolError):
            # The mark of an earlier request is below what its answer acknowledged, and so proves nothing.
            (refused or error).unprocessed = closed_untaken(self.stream, self.mark, refused)
        self.close()
        if not whole and self.head is not None and state not in (HEAD, TUNNEL):
            # It depends on the network alone whether both came at once: reading the body raises the error, as it would
            # if it came later.
            self._broken = error
            return None
        if refused is None or self.touched or getattr(error, "from_tls", False):
            return error  # what the peer sent tells more than the failure to send
        return refused

    def next_chunk(self) -> Coroutine[Any, Any, bytes]:
        """Return the next piece of the body as it arrived; b"" after its end. Close the connection if that fails."""
        journey = self.journey
        if journey is None or journey.trace is None:
            return self._next_chunk()
        return self._next_chunk_traced(journey.trace)

    async def _next_chunk_traced(self, trace: Tracer) -> bytes:
        if self.state == TUNNEL:
            return b""
        if trace.idle:
            await trace.started("http11.receive_response_body")
        try:
            piece = await self._next_chunk()
        except BaseException as error:
            await trace.failed(error)
            raise
        if not piece or self.complete:
            await trace.complete()
        return piece

    async def _next_chunk(self) -> bytes:
        if self.state == TUNNEL:
            return b""
        late = self._late("read", "the response had not ended") if self._bounded and not self.ended else None
        piece = self.take() if late is None else b""
        if piece and self._rate_in is not None:
            self._rate_in.add(len(piece))
        if piece or self.ended:
            return piece
        assert self._timeouts is not None
        read = self._timeouts.read
        try:
            if late is not None:
                raise late
            while not piece and not self.ended:
                if self._broken is not None:
                    raise self._broken
                if self.sending:
                    await self._send_on(self._timeouts.write, reading=True)
                elif self._timeouts.min_rate is not None:
                    piece = await self._receive_at_rate(self._timeouts)
                    continue
                else:
                    now = self._clock()
                    if self.left > _LONG or self._gauged_from:
                        self._gauge(now, read)
                    self.stream.set_deadline("read", None if read is None else now + read, read)
                    await self.stream.receive()
                piece = self.take()
        except BaseException as error:
            self.close()
            if isinstance(error, (NetworkError, RemoteProtocolError)) and (piece := self.take()):
                # What came before it, in the same arrival, is returned first; the next call raises the error.
                self._broken = error
                return piece
            raise
        return piece

    def _gauge(self, now: float, read: float | None) -> None:
        """Let the stream gather arrivals as long as much is left and comes quickly, and this reader waits for it."""
        left = self.left
        if left < _LONG:
            self._stop_gauging()
        elif self._gauged_from - left >= _GAUGED:
            quick = now - self._gauged_at <= _QUICK and (read is None or read >= _SLOW_READ)
            if self._gathers and not quick:
                self.stream.gather(0)
            self._gathers = quick
            self._gauged_from, self._gauged_at = left, now
        elif not self._gauged_from:
            self._gauged_from, self._gauged_at = left, now
        if self._gathers:
            self.stream.gather(LEAST)

    def _stop_gauging(self) -> None:
        self._gauged_from = 0
        if self._gathers:
            self._gathers = False
            self.stream.gather(0)

    async def _receive_at_rate(self, timeouts: RequestTimeouts) -> bytes:
        """Wait for the next piece, b"" if the time of a window was up before it came. Raises its timeout."""
        check = self._rate_in
        if check is None or check.of is not timeouts:
            assert timeouts.min_rate is not None
            check = self._rate_in = RateCheck("read", *timeouts.min_rate, timeouts)
        read, now = timeouts.read, self._clock()
        until = check.begin(now)
        if read is None or until < now + read:
            self.stream.set_deadline("read", until, None)
        else:
            self.stream.set_deadline("read", now + read, read)
        try:
            await self.stream.receive()
        except ReadTimeout as error:
            if not check.is_over(error, self._clock()):
                raise
        piece = self.take()
        failure = check.end(self._clock(), len(piece))
        if failure is not None:
            raise failure
        return piece

    def _traced_head(self) -> tuple[bytes, int, bytes, list[FieldLine]]:
        head = self.head
        assert head is not None
        version = b"HTTP/1.0" if head.minor == 0 else b"HTTP/1.1"
        return version, head.status, head.reason, list(head.fields())

    @property
    def ended(self) -> bool:
        """Return whether the response has ended, and nothing of the request is left to be sent."""
        return self.state == ENDED and not self.sending

    @property
    def complete(self) -> bool:
        """Return whether the response has ended and all of its body was claimed."""
        return self.state == ENDED and not self.pending and not self.sending

    @property
    def upgraded(self) -> bool:
        """Return whether the connection no longer speaks HTTP (101, or 2xx to CONNECT)."""
        return self.state == TUNNEL

    def detach(self) -> tuple[Stream, bytes]:
        """Return the stream of an upgraded connection, and what came on it after the head; valid until `rest()`."""
        self._unbind()  # what follows on it is no part of the exchange
        return self.stream, self.take_whole()

    def rest(self, now: float) -> bool:
        """End the exchange; return whether the connection can serve another and is now idle, else close it."""
        reusable = self.state == ENDED and self.persistent and not self.sending
        if self._bounded:
            self._unbind()
        journey = self.journey
        if journey is not None:
            self.journey = None
            if journey.done is None:
                journey.stopped = now
            if journey.trace is not None:
                journey.trace.closed("http11", reusable)
        if reusable:
            if self.pending:
                self.pending = 0
            self.chunks = self._piece = self._collected = self._timeouts = None
            self.head = None  # a KB and more that an idle connection would hold
            self.state = IDLE
            self.idle_since = now
            return True
        self._upload = None
        self.close()
        return False

    def set_mark(self) -> None:
        """Note what the peer has acknowledged, so that a failure shows whether it can have read any of the request."""
        self.mark = acknowledged(self.stream)

    def alive(self, now: float = inf) -> bool:
        """Return whether the peer has neither closed the idle connection nor sent on it, as far as is known."""
        if not self._pushes:
            self.stream.poll_idle()
        return self.state == IDLE

    def alive_now(self) -> bool:
        """Return the same after polling the socket."""
        self.stream.poll_idle()
        return self.state == IDLE

    @property
    def sole_exchange(self) -> Self:
        """Return the connection itself."""
        return self

    def usable_until(self, head: Head | None, now: float) -> float:
        """Return when it is too late for another request, by the peer's Keep-Alive fields."""
        if head is None or not head.flags & HAS_KEEP_ALIVE:
            return inf
        seconds, requests = keep_alive_limits(head.get_all(b"keep-alive"))
        served = self.facts.requests
        # Apache counts down the requests that are left, others repeat the first number: the lowest is used, with a
        # margin of one request.
        self.allowed = min(self.allowed, served + requests - 1)
        return now if served >= self.allowed else now + max(seconds - MARGIN, 0.0)

    def users(self) -> tuple[Journey, ...]:
        """Return the journey of the exchange that is under way."""
        journey = self.journey
        return () if journey is None else (journey,)

    def left_unanswered(self, journey: Journey) -> bool:
        """Return whether nothing of an answer was seen."""
        return not self.touched

    def cut(self, journey: Journey) -> None:
        """Close the stream if the exchange on this journey is under way."""
        if self.journey is journey:
            self.persistent = False
            self.stream.close()

    def close(self) -> None:
        """Close the stream at once; repeatable."""
        if self.state != ENDED:
            self.state = DEAD
        self.persistent = False
        self.stream.close()

    def head_arrived(self) -> None:
        if self.journey is not None:
            self.journey.first = self._clock()

    def message_ended(self) -> None:
        if self._gauged_from:
            self._stop_gauging()
        if self.journey is not None:
            self.journey.done = self._clock()

    def all_arrived(self) -> None:
        journey = self.journey
        if journey is not None:
            journey.first = journey.done = self._clock()

    def went_dead(self) -> None:
        self._owner.lost(self)

    def _as_unanswered(self, error: BaseException) -> TimeoutException | None:
        """Return a timeout of the whole request that says how much of the response has come; None for other errors."""
        if not isinstance(error, TimeoutException) or (error.limit, error.phase) != ("total", "read") or self.head:
            return None
        what = "the head of the response had not ended" if self.touched else "the response had not begun"
        return retold(error, f"{str(error).partition(': ')[0]}: {self.route.origin}: {what}")

    def _begin_bounded(self, deadline: Deadline) -> None:
        """Limit every wait of this exchange to `deadline`. Raises its timeout if it has passed already."""
        self._bounded = True
        self.stream.set_hard_deadline("connect", deadline.at, deadline.budget)
        self._check_deadline("the request was not sent yet")

    def set_deadline(self, deadline: Deadline) -> None:
        """Limit what is left of the exchange to `deadline`, in place of the one that it had."""
        if self._timeouts is not None and self.state != ENDED:
            self._timeouts = self._timeouts._replace(deadline=deadline)
            self._bounded = True
            self.stream.set_hard_deadline("connect", deadline.at, deadline.budget)

    def _unbind(self) -> None:
        self._bounded = False
        self.stream.set_hard_deadline("connect", None, None)
