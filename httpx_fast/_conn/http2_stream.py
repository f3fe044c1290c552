"""Exchange one request and response over an HTTP/2 connection.

A body is sent as the peer's windows allow. If it can go no further before the response is read, `next_chunk()` sends
on: so both run at once on one stream, whichever the peer waits for first.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from math import inf
from typing import Any, Protocol, TypeVar

from .._deadline import Deadline, PhaseTimer, RateCheck
from .._exceptions import LocalProtocolError, ReadTimeout, WriteTimeout
from .._journey import Journey
from .._kernel.constants import FIRST_INTERMEDIATE
from .._kernel.select import StreamState
from .._net.base import Buffer, Stream
from .._wire.framing import body_too_long
from .._wire.h2_stream import ENDED, HEAD
from .._wire.windows import STREAM_WINDOW
from .base import RequestTimeouts
from .http2_shared import SharedSession, WaitingStream

T = TypeVar("T")

# Answers to these have no body, or one that is a tunnel: they are read with more care.
_WITHOUT_CONTENT = (b"HEAD", b"CONNECT")


class StreamOwner(Protocol):
    """Name what a stream needs of its connection."""

    shared: SharedSession

    def exchange_ended(self, stream: Any, now: float) -> bool:
        """End an exchange; return whether the connection takes others."""
        ...


class Http2Stream(WaitingStream):
    """Exchange one request and response over one stream."""

    __slots__ = (
        "_asked",
        "_body_size",
        "_counted",
        "_owner",
        "_piece",
        "_rate_in",
        "_rate_out",
        "_shared",
        "_source",
        "_timeouts",
        "_took_at",
        "_unwanted",
    )

    def __init__(
        self,
        owner: StreamOwner,
        method: bytes,
        whole: bool,
        timeouts: RequestTimeouts,
        journey: Journey,
    ) -> None:
        # WaitingStream's and StreamReader's, without their calls.
        # `times` are set until the exchange is ended.
        StreamState.__init__(self, method, whole, STREAM_WINDOW, method not in _WITHOUT_CONTENT, journey)
        self._interim_size = 0
        self.timer = PhaseTimer("read", timeouts.deadline)
        self._owner = owner
        self._shared = owner.shared
        self._timeouts = timeouts
        self._source: AsyncIterator[bytes] | None = None  # of pieces of the body that were not asked for yet
        self._piece: Buffer | None = None  # what is left to send of the last piece
        self._body_size = 0  # bytes that the body has, or below 0 if unknown
        self._asked = 0  # bytes of the body that were sent, and are in `_piece`
        self._unwanted = False  # the response came before the body, for which it was waited
        self._rate_in: RateCheck | None = None
        self._rate_out: RateCheck | None = None
        self._counted = 0  # bytes of `pending` that `_rate_in` knows
        self._took_at = 0.0  # when the peer's windows last took something

    @property
    def complete(self) -> bool:
        """Return whether the response has ended and all of its body was claimed."""
        return self.state == ENDED and not self.chunks

    @property
    def upgraded(self) -> bool:
        """Return False: only tunnels are upgraded, HTTP/2 has no Upgrade (RFC 9113 s.8.6)."""
        return False

    def detach(self) -> tuple[Stream, bytes]:
        """Raise RuntimeError: only the stream of a tunnel can be taken over."""
        raise RuntimeError("this stream speaks HTTP")

    async def next_chunk(self) -> bytes:
        """Return the next piece of the body as it arrived; b"" after its end."""
        journey = self.times
        trace = None if journey is None else journey.trace
        if trace is None:
            return await self._next_chunk()
        if trace.idle:
            await trace.started("http2.receive_response_body")
        try:
            piece = await self._next_chunk()
        except BaseException as error:
            await trace.failed(error)
            raise
        if not piece or self.complete:
            await trace.complete()
        return piece

    def set_deadline(self, deadline: Deadline) -> None:
        """Limit what is left of the exchange to `deadline`, in place of the one that it had."""
        self.timer.set_hard(deadline.at, deadline.budget)

    async def _next_chunk(self) -> bytes:
        shared = self._shared
        while True:
            if self.state < ENDED:
                shared.check_deadline(self, "read")
            piece = shared.claim_piece(self)
            if piece:
                if self._rate_in is not None:
                    self._count(len(piece), self._rate_in)
                return piece
            if self.state >= ENDED:
                if self.error is not None:
                    raise self.error
                return b""
            if self.sending:
                await self._upload(patient=False)
                if self.chunks or self.state >= ENDED:  # it came meanwhile, and the upload took the news
                    continue
            if not self.has_news:
                self.moment = shared.clock()
            budget = self._timeouts.read
            self.timer.set("read", None if budget is None else self.moment + budget, budget)
            if self._timeouts.min_rate is None:
                await shared.wait_for_news(self)
            else:
                await self._wait_at_rate(*self._timeouts.min_rate)

    async def _wait_at_rate(self, least: float, window: float) -> None:
        """Wait for news, until the time of a window is up at the latest. Raises its timeout."""
        check, clock, timer = self._rate_in, self._shared.clock, self.timer
        if check is None:
            check = self._rate_in = RateCheck("read", least, window, self)
        until = check.begin(clock())
        if until < timer.at:
            timer.set("read", until, None)
        try:
            await self._shared.wait_for_news(self)
        except ReadTimeout as error:
            if not check.is_over(error, clock()):
                raise
        self._counted = self.pending
        failure = check.end(clock(), self.pending)
        if failure is not None:
            raise failure

    def _count(self, size: int, check: RateCheck) -> None:
        """Count what came while nobody waited."""
        known = min(size, self._counted)
        self._counted -= known
        check.add(size - known)

    def rest(self, now: float) -> bool:
        """End the exchange; return whether its connection takes others. Reset what has not ended, without waiting."""
        journey = self.times
        if journey is not None:
            self.times = None
            if journey.done is None:
                journey.stopped = now
            if journey.trace is not None:
                journey.trace.closed("http2", reusable=True)
        return self._owner.exchange_ended(self, now)

    # Told by the session.

    def head_arrived(self) -> None:
        if self.times is not None:
            self.times.first = self._shared.session.moment

    def message_ended(self) -> None:
        if self.times is not None:
            self.times.done = self._shared.session.moment

    # Sending the body.

    async def send_body(self, body: Buffer | AsyncIterable[bytes], length: int) -> None:
        """Send the body until it has ended, or cannot go on before the response is read: then `next_chunk()` sends on.

        `length` is the number of its bytes, below 0 if unknown.
        """
        if isinstance(body, (bytes, bytearray, memoryview)):
            self._piece = body
            self._body_size = self._asked = len(body)
        else:
            self._source = aiter(body)
            self._body_size = length
        if self._timeouts.expect is not None:
            await self._expect(self._timeouts.expect)
        self._took_at = self._shared.clock()
        await self._upload(patient=True)

    async def _expect(self, seconds: float) -> None:
        """Wait for 100 before the body is sent (RFC 9110 s.10.1.1); a final response instead has none sent."""
        journey, shared = self.times, self._shared
        assert journey is not None
        details = journey.detail()
        details.head_sent = began = shared.clock()
        self.timer.begin("first_byte", began, None if seconds == inf else seconds)
        try:
            while self.state == HEAD and not any(each.status == 100 for each in self.interim):
                await shared.wait_for_news(self)
        except ReadTimeout as error:
            if error.limit == "total":
                raise
        details.expected = shared.clock()
        self.has_news = True  # there may be more than was waited for
        if self.state != HEAD:
            details.body_sent = 0
            self._unwanted = True

    async def _upload(self, patient: bool) -> None:
        """Send the bytes that windows allow; if `patient`, wait for larger windows as long as that can help."""
        shared = self._shared
        budget = self._timeouts.write
        while self.sending and not self._declined:
            shared.check_deadline(self, "write")
            piece = self._piece
            if piece is None:
                piece = self._piece = await self._next_piece()
                self._took_at = shared.clock()
            last = self._source is None
            try:
                step = shared.send_some(self, piece, last, budget)
                sent = await (
                    step if self._timeouts.min_rate is None else self._at_rate(step, *self._timeouts.min_rate)
                )
            except WriteTimeout:
                if self.state != ENDED:
                    raise
                sent = 0
            if sent is None:
                continue
            if sent == len(piece):
                self._piece = None
                self._took_at = shared.clock()
                if last:
                    await shared.flush_body(self, budget)
                    return
            elif sent:
                self._piece = memoryview(piece)[sent:]
                self._took_at = shared.clock()
            elif self.state == ENDED:
                # RFC 9113 s.8.1: the peer has answered and does not want the rest.
                shared.abandon(self)
                return
            elif not patient or self._is_full():
                return
            else:
                self.timer.set("write", None if budget is None else self._took_at + budget, budget)
                news = shared.wait_for_news(self)
                await (news if self._timeouts.min_rate is None else self._at_rate(news, *self._timeouts.min_rate))

    async def _at_rate(self, step: Coroutine[Any, Any, T], least: float, window: float) -> T | None:
        """Await a step of sending, until the time of a window is up at the latest: None then. Raises its timeout."""
        check, clock, timer = self._rate_out, self._shared.clock, self.timer
        if check is None:
            check = self._rate_out = RateCheck("write", least, window, self)
        until = check.begin(clock())
        hard, hard_budget = timer.hard, timer.hard_budget
        if until < hard:
            timer.set_hard(until, window)
            timer.at = min(timer.at, until)
        result: T | None = None
        try:
            result = await step
        except WriteTimeout as error:
            if not check.is_over(error, clock()):
                raise
        finally:
            timer.set_hard(hard, hard_budget)
        failure = check.end(clock(), result if isinstance(result, int) else 0)
        if failure is not None:
            raise failure
        return result

    @property
    def _declined(self) -> bool:
        """Return whether the response says that the rest of the body is of no use; the stream is reset at its end."""
        return self._unwanted or (self.head is not None and self.head.status >= FIRST_INTERMEDIATE)

    def _is_full(self) -> bool:
        """Return whether the peer may wait for its response to be read, before it takes any more of the body."""
        return self.state != HEAD and self.pending >= self.granted >> 1

    async def _next_piece(self) -> Buffer:
        """Return the next piece of the body; an empty one ends it and sets `_source` to None."""
        source = self._source
        assert source is not None
        while True:
            try:
                piece = await source.__anext__()
            except StopAsyncIteration:
                self._source = None
                if self._asked < self._body_size:
                    raise LocalProtocolError(
                        f"the body ended after {self._asked} bytes, its Content-Length is {self._body_size}"
                    ) from None
                return b""
            if piece:
                break
        self._asked += len(piece)
        if self.times is not None:
            self.times.sent_of_body(self._asked)
        if 0 <= self._body_size < self._asked:
            raise body_too_long(self._body_size)
        return piece
