"""Frame a request for HTTP/1.1, its head and its body (RFC 9112 s.6, s.7.1), and send it, one write after another.

Buffers are joined, or written separately, as costs least. `Upload` may be left between two writes and continued later,
so that `RequestSender` can read the response meanwhile.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable
from math import inf
from typing import Final

from .._deadline import RateCheck
from .._exceptions import LocalProtocolError, ReadTimeout, TimeoutException, WriteError, WriteTimeout
from .._journey import ConnectionFacts, Journey
from .._kernel.constants import FIRST_INTERMEDIATE
from .._kernel.select import chunk_head
from .._net.base import Buffer, Stream, forget
from .._origin import Route
from .._wire.framing import CHUNKED, body_too_long
from .._wire.h1 import DEAD, ENDED, HEAD, TUNNEL, ResponseReader
from .base import RequestTimeouts

# A body up to this size is offered to the socket together with its head; a larger one in pieces of this size, so that
# the write deadline sees progress.
_PIECE: Final = 1024 * 1024  # bytes
_UNSENT: Final = "the request was not sent to its end"
_JOINED: Final = 16 * 1024  # bytes; a body up to this size is copied behind its head: two buffers cost the system more


def in_one_write(head: bytes, body: bytes | AsyncIterable[bytes], framing: int) -> tuple[Buffer, ...] | None:
    """Return the buffers of a request that is written at once; None if it is for `Upload`."""
    if not isinstance(body, bytes):
        return None
    if framing == CHUNKED:
        return (head, chunk_head(len(body)), body, b"\r\n0\r\n\r\n") if body else (head, b"0\r\n\r\n")
    if len(body) <= _JOINED:
        return (head + body,)
    return (head, body) if len(body) <= _PIECE else None


class Upload:
    """Give the writes of a request whose body is large, or comes in pieces. `framing` is its length, or CHUNKED.

    `head` is sent with the first piece; none (b"") if it was sent before. `journey` counts a body of pieces.
    """

    __slots__ = ("_framing", "_head", "_journey", "_place", "_sent", "_source", "_view")

    def __init__(
        self, head: bytes, body: bytes | AsyncIterable[bytes], framing: int, journey: Journey | None = None
    ) -> None:
        self._head = head
        self._framing = framing
        self._journey = journey
        self._sent = 0  # bytes of the body
        self._place = 0  # in `_view`
        self._source: AsyncIterator[bytes] | None = None
        self._view: memoryview | None = None
        if isinstance(body, bytes):
            self._view = memoryview(body)
        else:
            self._source = aiter(body)

    @property
    def given(self) -> bool:
        """Return whether all bytes of a body of known length were given, though its end was not asked for."""
        return self._sent == self._framing if self._view is None else self._place >= len(self._view)

    async def next_write(self) -> tuple[Buffer, ...]:
        """Return the buffers of the next write; none after the last one.

        Raises what the body raises, and LocalProtocolError if its pieces do not have the length that was announced.
        """
        if self._view is not None:
            return self._next_of_bytes(self._view)
        source = self._source
        if source is None:
            return ()
        while True:
            try:
                piece = await source.__anext__()
            except StopAsyncIteration:
                self._source = None
                return self._end()
            if piece:
                break
        self._sent += len(piece)
        if self._journey is not None:
            self._journey.sent_of_body(self._sent)
        if self._framing == CHUNKED:
            return (*self._first(), chunk_head(len(piece)), piece, b"\r\n")
        if self._sent > self._framing:
            raise body_too_long(self._framing)
        return (*self._first(), piece)

    def _next_of_bytes(self, view: memoryview) -> tuple[Buffer, ...]:
        first = self._first()
        if first:
            return first
        begin, self._place = self._place, self._place + _PIECE
        piece = view[begin : self._place]
        return (piece,) if piece else ()

    def _first(self) -> tuple[Buffer, ...]:
        head, self._head = self._head, b""
        return (head,) if head else ()

    def _end(self) -> tuple[Buffer, ...]:
        if self._framing == CHUNKED:
            return (*self._first(), b"0\r\n\r\n")
        if self._sent < self._framing:
            raise LocalProtocolError(f"the body ended after {self._sent} bytes, its Content-Length is {self._framing}")
        return self._first()


class RequestSender(ResponseReader):
    """Send the requests of one connection, and read the responses meanwhile (RFC 9112 s.9.5).

    An answer that wants none of the body ends sending. `Http1Connection` begins and ends exchanges.
    """

    __slots__ = (
        "_bounded",
        "_clock",
        "_rate_out",
        "_timeouts",
        "_upload",
        "facts",
        "journey",
        "route",
        "sending",
        "stream",
    )

    def __init__(
        self,
        stream: Stream,
        route: Route,
        facts: ConnectionFacts,
        clock: Callable[[], float],
        max_head_size: int | None,
    ) -> None:
        super().__init__(max_head_size)
        self.stream = stream
        self.route = route
        self.facts = facts
        self.journey: Journey | None = None
        self._clock = clock
        self._timeouts: RequestTimeouts | None = None
        self._bounded = False  # there is a deadline for all of this exchange
        self.sending = False  # a part of the request is left to be sent
        self._rate_out: RateCheck | None = None  # of the last exchange that had a rate to keep
        self._upload: Upload | None = None  # what was not yet given to the stream of that part

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
            if not check.is_over(error, self._clock()):
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
