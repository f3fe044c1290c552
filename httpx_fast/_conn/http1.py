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
from .._kernel.constants import FIRST_INTERMEDIATE, HAS_KEEP_ALIVE
from .._net.acknowledged import acknowledged, closed_untaken
from .._net.base import Stream, forget
from .._origin import Route
from .._trace import Tracer
from .._wire.h1 import DEAD, ENDED, HEAD, IDLE, TUNNEL, ResponseReader
from .base import Head, Owner, RequestTimeouts
from .http1_sending import Upload, in_one_write
from .keep_alive import MARGIN, keep_alive_limits

_UNSENT: Final = "the request was not sent to its end"


class Http1Connection(ResponseReader):
    """Exchange requests over HTTP/1.1, one at a time, for the holder of the lease."""

    __slots__ = (
        "_bounded",
        "_broken",
        "_timeouts",
        "_clock",
        "_lost",
        "_pushes",
        "_rate_in",
        "_rate_out",
        "_upload",
        "allowed",
        "facts",
        "idle_since",
        "journey",
        "mark",
        "route",
        "sending",
        "stream",
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
        super().__init__(max_head_size)
        backend = owner.backend
        self.stream = stream
        self.route = route
        self.facts = facts
        facts.stream = stream
        self.journey: Journey | None = None
        self.idle_since: float | None = None
        #: Bytes that the peer had acknowledged before a request that may not be repeated; None if unknown.
        self.mark: int | None = None
        self.allowed = inf  # count of requests that the peer takes, as far as it has said so
        self._clock = backend.clock
        self._pushes = backend.pushes  # an idle connection notices by itself that it is dead
        self._lost = owner.lost
        self._broken: NetworkError | RemoteProtocolError | None = None  # what came with a head instead of its body
        self._timeouts: RequestTimeouts | None = None
        self._bounded = False  # there is a deadline for all of this exchange
        self.sending = False  # a part of the request is left to be sent
        self._rate_in: RateCheck | None = None  # of the last exchange that had a rate to keep
        self._rate_out: RateCheck | None = None
        self._upload: Upload | None = None  # what was not yet given to the stream of that part
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
                    self.stream.set_deadline("read", None if read is None else self._clock() + read, read)
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
            if error.limit == "total" or self._clock() < until:
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

    def alive(self) -> bool:
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
        if self.journey is not None:
            self.journey.done = self._clock()

    def all_arrived(self) -> None:
        journey = self.journey
        if journey is not None:
            journey.first = journey.done = self._clock()

    def went_dead(self) -> None:
        self._lost(self)

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

    def _late(self, phase: str, detail: str) -> TimeoutException | None:
        """Return the timeout of a bounded exchange if it has passed, for steps that may not wait; else None."""
        timeouts = self._timeouts
        assert timeouts is not None
        deadline, now = timeouts.deadline, self._clock()
        assert deadline is not None
        if now < deadline.at:
            return None
        return deadline.expired(phase, now, f"{self.route.origin}: {detail}")

    def _check_deadline(self, detail: str) -> None:
        late = self._late("write", detail)
        if late is not None:
            raise late

    def _refused(self, error: WriteError) -> WriteError:
        """Return the error of sending a request without a body: the peer may have sent the reason, an alert or a 503.

        Raises it on a connection that was idle before: what arrived there answers nothing.
        """
        if self.facts.requests > 1:
            raise error
        self.persistent = False
        return error

    async def _send_head(self, data: bytes, budget: float | None) -> WriteError | None:
        """Send a request without a body; return the error if the peer stopped taking it, see `_send()`."""
        try:
            await self._write(budget, data)
        except WriteError as error:
            return self._refused(error)
        return None

    async def _send(
        self, data: bytes, body: bytes | AsyncIterable[bytes], framing: int, timeouts: RequestTimeouts
    ) -> WriteError | WriteTimeout | None:
        """Send head and body, or what of them is sent when the head of the response arrives.

        Return the error if the peer stopped taking them, for it may have answered (413, 401). A peer that only stops
        reading has to have answered by the end of the write timeout. Raises that timeout if it has not, and every other
        error.
        """
        try:
            if timeouts.expect is not None:
                if not await self._expect(data, timeouts.expect, timeouts.write):
                    return None
                data = b""
            buffers = in_one_write(data, body, framing)
            if buffers is None:
                self._upload = Upload(data, body, framing, self.journey)
            else:
                if self._bounded:
                    self._check_deadline(_UNSENT)
                unsent = self.stream.write(*buffers)
                if unsent is None:
                    return None
                forget(unsent)
        except WriteError as error:
            self.persistent = False
            return error
        self.sending = True
        whole, self.whole = self.whole, False  # so that the head is heard of before the message has ended
        try:
            return await self._send_on(timeouts.write, reading=False)
        finally:
            if self.state == HEAD:
                self.whole = whole

    async def _expect(self, data: bytes, seconds: float, budget: float | None) -> bool:
        """Send the head alone, and wait for 100 (RFC 9110 s.10.1.1); return whether the body is to be sent now.

        It is not if the final response has come: nothing else may follow on this connection then.
        """
        journey, stream = self.journey, self.stream
        assert journey is not None
        await self._write(budget, data)
        details, now = journey.detail(), self._clock()
        details.head_sent = now
        whole, self.whole = self.whole, False
        self.wants_interim = True
        stream.set_deadline("first_byte", None if seconds == inf else now + seconds, seconds)
        try:
            while self.state == HEAD and not any(each.status == 100 for each in self.interim):
                await stream.receive()
        except ReadTimeout as error:
            if error.limit == "total":
                raise
        finally:
            self.wants_interim = False
            if self.state == HEAD:
                self.whole = whole
        details.expected = self._clock()
        if self.state == HEAD:
            return True
        details.body_sent = 0
        self.persistent = False
        return False

    async def _send_on(self, budget: float | None, reading: bool) -> WriteError | WriteTimeout | None:
        """Send what is left of the request, until there is news of the response: its head, or `reading` a piece.

        Return the error, and send no more, if the peer takes nothing; it may have answered before.
        """
        try:
            await self._send_until_news(budget, reading)
        except WriteError as error:
            self._stop_sending()
            return error
        except WriteTimeout as error:
            self.stream.poll_idle()
            if self.head is None or error.limit == "total":
                raise
            self._stop_sending()
            return error
        return None

    async def _send_until_news(self, budget: float | None, reading: bool) -> None:
        stream = self.stream
        looks = False
        while self._goes_on(reading):
            if self._bounded:
                self._check_deadline(_UNSENT)
            if stream.unsent:
                await self._flush(budget)
                continue
            buffers = () if self._upload is None else await self._upload.next_write()
            if not buffers:
                self._upload = None
                self.sending = False
                return
            unsent = stream.write(*buffers)
            if unsent is not None:
                forget(unsent)
            elif looks:
                stream.poll_idle()  # a peer that takes all of it at once may have answered
            looks = True

    def _goes_on(self, reading: bool) -> bool:
        """Return whether to send on now; end sending if the response says that the peer wants no more."""
        state = self.state
        if state == HEAD or state == TUNNEL:
            return self.sending
        if state == DEAD:  # the next `receive()` says why
            self._stop_sending()
            return False
        head = self.head
        assert head is not None
        # A server that closes after a response of success may read on until that ends, as one that echoes does.
        if head.status >= FIRST_INTERMEDIATE or (state == ENDED and not self.persistent):
            if self._upload is not None and self._upload.given and not self.stream.unsent:
                self.sending = False
            else:
                self._stop_sending()
            return False
        return self.sending and reading and not self.pending

    def _stop_sending(self) -> None:
        """Send no more: the connection serves no further request, since half of one was sent."""
        self._upload = None
        self.sending = self.persistent = False

    async def _flush(self, budget: float | None) -> None:
        """Wait until the stream has sent what it was given, or the response has news."""
        self._set_write_deadline(budget)
        timeouts = self._timeouts
        assert timeouts is not None
        if timeouts.min_rate is not None:
            await self._flush_at_rate(timeouts)
        elif self.state == ENDED:
            await self.stream.flush(False)
        else:
            self.stream.set_deadline("read", None, None)
            await self.stream.flush(True)

    async def _flush_at_rate(self, timeouts: RequestTimeouts) -> None:
        """Do the same, until the time of a window is up at the latest. Raises its timeout."""
        stream, check = self.stream, self._rate_out
        if check is None or check.of is not timeouts:
            assert timeouts.min_rate is not None
            check = self._rate_out = RateCheck("write", *timeouts.min_rate, timeouts)
        deadline, left, now = timeouts.deadline, stream.unsent, self._clock()
        until = check.begin(now)
        is_window = deadline is None or until < deadline.at
        if is_window:
            stream.set_hard_deadline("write", until, check.window)
            write = timeouts.write
            stream.set_deadline("write", None if write is None else now + write, write)
        stream.set_deadline("read", None, None)
        try:
            await stream.flush(self.state != ENDED)
        except WriteTimeout as error:
            if error.limit == "total" or self._clock() < until:
                raise
        finally:
            if is_window:
                stream.set_hard_deadline(
                    "write", *((None, None) if deadline is None else (deadline.at, deadline.budget))
                )
        failure = check.end(self._clock(), left - stream.unsent)
        if failure is not None:
            raise failure

    async def _write(self, budget: float | None, *buffers: bytes | memoryview) -> None:
        if self._bounded:
            self._check_deadline(_UNSENT)
        unsent = self.stream.write(*buffers)
        if unsent is not None:
            self._set_write_deadline(budget)
            await unsent

    def _set_write_deadline(self, budget: float | None) -> None:
        self.stream.set_deadline("write", None if budget is None else self._clock() + budget, budget)
