"""One HTTP/1.1 connection: a stream, the reader of its responses, and one exchange at a time.

It speaks heads and bytes, never a `Request`. Rules:

- Between the first byte sent and the end of the message any exception, a cancellation included, closes the
  connection: nobody could say where the next message begins.
- It tells the pool nothing by itself except that it died while idle (`lost`); the pool looks at `reusable`.
- Times for the journey are taken where they happen: in the sink's callbacks.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from math import inf
from typing import ClassVar, Self

from .._deadline import Deadline
from .._exceptions import (
    LocalProtocolError,
    NetworkError,
    RemoteProtocolError,
    TimeoutException,
    WriteError,
    WriteTimeout,
    retold,
)
from .._journey import ConnectionFacts, Journey
from .._kernel.constants import HAS_KEEP_ALIVE
from .._kernel.select import chunk_head
from .._net.acknowledged import acknowledged, closed_untaken
from .._net.base import Stream
from .._origin import Route
from .._wire.events import FieldLine, RequestHead
from .._wire.framing import CHUNKED
from .._wire.h1 import DEAD, ENDED, HEAD, IDLE, TUNNEL, ResponseReader
from .base import Head, Owner, RequestTimeouts
from .keep_alive import MARGIN, keep_alive_limits

# A body up to this size is offered to the socket together with its head; a larger one in pieces of this size, so that
# the write deadline sees progress.
_PIECE = 1024 * 1024  # bytes
_JOINED = 16 * 1024  # bytes; a body up to this size is copied behind its head: two buffers cost the system more


class Http1Connection(ResponseReader):
    """A connection that speaks HTTP/1.1. Its owner is whoever leases it from the pool."""

    __slots__ = (
        "_bounded",
        "_broken",
        "_timeouts",
        "_clock",
        "_lost",
        "_pushes",
        "allowed",
        "facts",
        "idle_since",
        "journey",
        "mark",
        "route",
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
    # What is left of the request's body is never sent while the response is read.
    sending: bool = False

    def __init__(self, stream: Stream, route: Route, facts: ConnectionFacts, owner: Owner) -> None:
        super().__init__()
        backend = owner.backend
        self.stream = stream
        self.route = route
        self.facts = facts
        facts.stream = stream
        self.journey: Journey | None = None
        self.idle_since: float | None = None
        #: Bytes that the peer had acknowledged before a request that may not be repeated; None where nobody knows.
        self.mark: int | None = None
        self.allowed = inf  # count of requests that the peer takes, as far as it has said so
        self._clock = backend.clock
        self._pushes = backend.pushes  # an idle connection notices by itself that it is dead
        self._lost = owner.lost
        self._broken: NetworkError | RemoteProtocolError | None = None  # what came with a head instead of its body
        self._timeouts: RequestTimeouts | None = None
        self._bounded = False  # there is a deadline for all of this exchange
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
        """Send a request and wait for its response: for all of it if `whole`, else for the head.

        `body` is bytes (none at all are no body), or pieces of them; `framing` its length, or CHUNKED. With
        `timeouts.first_byte` the head is waited for, never `whole`. Raises what `_net` raises, RemoteProtocolError for
        a malformed response, and whatever `body` raises.
        """
        clock = self._clock
        facts = self.facts
        facts.requests = journey.nth = facts.requests + 1
        journey.connection = facts
        now = journey.sending
        if now is None:
            now = journey.sending = clock()
        journey.rested_since = self.idle_since
        self.journey = journey
        self._timeouts = timeouts
        self.begin(head.method, whole)
        stream = self.stream
        refused: WriteError | WriteTimeout | None = None
        trace = journey.trace
        try:
            if timeouts.deadline is not None:
                self._begin_bounded(timeouts.deadline)
            if trace is not None:
                await trace.started("http11.send_request_headers")
                if body or framing:  # it goes out with the head, or right after it
                    await trace.complete()
                    await trace.started("http11.send_request_body")
            if not body and not framing:
                try:
                    unsent = stream.write(head.http1)
                    if unsent is not None:
                        stream.set_deadline(
                            "write", None if timeouts.write is None else now + timeouts.write, timeouts.write
                        )
                        await unsent
                except WriteError as error:
                    refused = self._refused(error)
            else:
                refused = await self._send(head.http1, body, framing, timeouts.write)
            if trace is not None:
                if not body and not framing:
                    await trace.complete()
                    await trace.started("http11.send_request_body")
                await trace.complete()
                await trace.started("http11.receive_response_headers")
            journey.sent = now = clock()
            if timeouts.first_byte is None:
                read = timeouts.read
                stream.set_deadline("read", None if read is None else now + read, read)
            else:
                stream.set_deadline(*timeouts.until_head(now, now))
            if self.state == HEAD or not self.ready:
                # Cancelled here, the answer may still be on its way: the connection is closed below.
                await stream.receive()
            if trace is not None:
                await trace.complete(self._told_head())
        except (NetworkError, RemoteProtocolError) as error:
            state = self.state
            if self.mark is not None and not self.touched and isinstance(error, RemoteProtocolError):
                # The mark of an earlier request is below what its answer acknowledged, and so proves nothing.
                (refused or error).unprocessed = closed_untaken(stream, self.mark, refused)
            self.close()
            if not whole and self.head is not None and state not in (HEAD, TUNNEL):
                # It depends on the network alone whether both came at once: who reads the body meets it, as he would if
                # it came later.
                self._broken = error
                if trace is not None:
                    await trace.complete(self._told_head())
                return self
            if self.touched or getattr(error, "from_tls", False):
                refused = None  # the peer's own words tell more
            if trace is not None:
                await trace.failed(refused or error)
            if refused is not None:
                raise refused from None
            raise
        except BaseException as error:
            self.close()
            told = self._told_as_unanswered(error)
            if trace is not None:
                await trace.failed(told or error)
            if told is not None:
                raise told from None
            raise
        return self

    async def next_chunk(self) -> bytes:
        """Return the next piece of the body as it arrived; b"" after its end. Close the connection if that fails."""
        if self.state == TUNNEL:
            return b""
        journey = self.journey
        trace = None if journey is None else journey.trace
        if trace is not None and trace.idle:
            await trace.started("http11.receive_response_body")
        late = self._late("read", "the response had not ended") if self._bounded and self.state != ENDED else None
        piece = self.take() if late is None else b""
        if not piece and self.state != ENDED:
            timeouts = self._timeouts
            assert timeouts is not None
            read = timeouts.read
            try:
                if late is not None:
                    raise late
                while not piece and self.state != ENDED:
                    if self._broken is not None:
                        raise self._broken
                    self.stream.set_deadline("read", None if read is None else self._clock() + read, read)
                    await self.stream.receive()
                    piece = self.take()
            except BaseException as error:
                self.close()
                if isinstance(error, (NetworkError, RemoteProtocolError)) and (piece := self.take()):
                    # What came before it, in the same arrival, is read first: who reads on meets it.
                    self._broken = error
                    return piece
                if trace is not None:
                    await trace.failed(error)
                raise
        if trace is not None and (not piece or self.complete):
            await trace.complete()
        return piece

    def _told_head(self) -> tuple[bytes, int, bytes, list[FieldLine]]:
        head = self.head
        assert head is not None
        version = b"HTTP/1.0" if head.minor == 0 else b"HTTP/1.1"
        return version, head.status, head.reason, list(head.fields())

    @property
    def ended(self) -> bool:
        """Return whether the response has ended."""
        return self.state == ENDED

    @property
    def complete(self) -> bool:
        """Return whether the response has ended and all of its body was claimed."""
        return self.state == ENDED and not self.pending

    @property
    def upgraded(self) -> bool:
        """Return whether the connection no longer speaks HTTP (101, or 2xx to CONNECT)."""
        return self.state == TUNNEL

    def detach(self) -> tuple[Stream, bytes]:
        """The stream of an upgraded connection, and what came on it after the head; for its owner, until `rest()`."""
        self._unbind()  # what is said on it from now on is no part of the exchange
        return self.stream, self.take_whole()

    def rest(self, now: float) -> bool:
        """End the exchange; return whether the connection can serve another and is now idle, else close it."""
        reusable = self.state == ENDED and self.persistent
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
            self.chunks = self._piece = self._timeouts = None
            self.head = None  # a KB and more that an idle connection would hold
            self.state = IDLE
            self.idle_since = now
            return True
        self.close()
        return False

    def set_mark(self) -> None:
        """Before a request that may not be repeated: have its failure say whether the peer can have read of it."""
        self.mark = acknowledged(self.stream)

    def alive(self) -> bool:
        """Return whether the idle connection was neither closed nor spoken on by the peer, as far as is known."""
        if not self._pushes:
            self.stream.poll_idle()
        return self.state == IDLE

    def alive_now(self) -> bool:
        """Return the same after a look at what has arrived."""
        self.stream.poll_idle()
        return self.state == IDLE

    @property
    def sole_exchange(self) -> Self:
        """The connection itself."""
        return self

    def usable_until(self, head: Head | None, now: float) -> float:
        """Return when it is too late for another request, by what the peer's Keep-Alive fields say."""
        if head is None or not head.flags & HAS_KEEP_ALIVE:
            return inf
        seconds, requests = keep_alive_limits(head.get_all(b"keep-alive"))
        served = self.facts.requests
        # Apache counts down what is left, others repeat what they began with: the least that was meant is kept to, with
        # a margin of one request.
        self.allowed = min(self.allowed, served + requests - 1)
        return now if served >= self.allowed else now + max(seconds - MARGIN, 0.0)

    def users(self) -> tuple[Journey, ...]:
        """Return the journey of the exchange that is under way."""
        journey = self.journey
        return () if journey is None else (journey,)

    def left_unanswered(self, journey: Journey) -> bool:
        """Return whether nothing of an answer was seen."""
        return not self.touched

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

    def _told_as_unanswered(self, error: BaseException) -> TimeoutException | None:
        """The timeout of the whole where it came before the response did: the stream cannot tell."""
        if not isinstance(error, TimeoutException) or (error.limit, error.phase) != ("total", "read") or self.head:
            return None
        what = "the head of the response had not ended" if self.touched else "the response had not begun"
        return retold(error, f"{str(error).partition(': ')[0]}: {self.route.origin}: {what}")

    def _begin_bounded(self, deadline: Deadline) -> None:
        """No wait of this exchange goes beyond `deadline`. Raises its timeout if it has come already."""
        self._bounded = True
        self.stream.set_hard_deadline("connect", deadline.at, deadline.budget)
        self._check_deadline("the request was not sent yet")

    def _unbind(self) -> None:
        self._bounded = False
        self.stream.set_hard_deadline("connect", None, None)

    def _late(self, phase: str, detail: str) -> TimeoutException | None:
        """The timeout of a bounded exchange if that has come. Waits meet it by themselves; there may be none."""
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
        """The peer took no request without a body: it may have said why before, an alert of TLS or a 503."""
        if self.facts.requests > 1:
            # It was idle: what lies there answers nothing, and the request may be sent again.
            raise error
        self.persistent = False
        return error

    async def _send(
        self, data: bytes, body: bytes | AsyncIterable[bytes], framing: int, budget: float | None
    ) -> WriteError | WriteTimeout | None:
        """Sends head and body; the error if the peer stopped taking them, for it may have answered before (413, 401).

        One that only reads no more has to have answered by the end of the write timeout: else that is raised, as is
        what else goes wrong.
        """
        try:
            if not isinstance(body, bytes):
                await self._send_pieces(data, body, framing, budget)
            elif framing == CHUNKED:
                framed = (chunk_head(len(body)), body, b"\r\n0\r\n\r\n") if body else (b"0\r\n\r\n",)
                await self._write(budget, data, *framed)
            elif len(body) <= _JOINED:
                await self._write(budget, data + body)
            elif len(body) <= _PIECE:
                await self._write(budget, data, body)
            else:
                await self._write(budget, data)
                view = memoryview(body)
                for start in range(0, len(body), _PIECE):
                    await self._write(budget, view[start : start + _PIECE])
        except WriteError as error:
            self.persistent = False
            return error
        except WriteTimeout as error:
            self.stream.poll_idle()
            if self.head is None or error.limit == "total":
                raise
            self.persistent = False  # whatever the head says: half of a request is on its way
            return error
        return None

    async def _send_pieces(self, data: bytes, body: AsyncIterable[bytes], framing: int, budget: float | None) -> None:
        sent = 0
        first: bytes | None = data
        async for piece in body:
            if not piece:
                continue
            sent += len(piece)
            if self.journey is not None:
                self.journey.sent_of_body(sent)
            if framing != CHUNKED and sent > framing:
                raise LocalProtocolError(f"the body is longer than its Content-Length of {framing} bytes")
            framed = (chunk_head(len(piece)), piece, b"\r\n") if framing == CHUNKED else (piece,)
            await self._write(budget, *framed) if first is None else await self._write(budget, first, *framed)
            first = None
        last = (b"0\r\n\r\n",) if framing == CHUNKED else ()
        if framing != CHUNKED and sent < framing:
            raise LocalProtocolError(f"the body ended after {sent} bytes, its Content-Length is {framing}")
        if first is not None:
            await self._write(budget, first, *last)
        elif last:
            await self._write(budget, *last)

    async def _write(self, budget: float | None, *buffers: bytes | memoryview) -> None:
        if self._bounded:
            self._check_deadline("the request was not sent to its end")
        unsent = self.stream.write(*buffers)
        if unsent is not None:
            self.stream.set_deadline("write", None if budget is None else self._clock() + budget, budget)
            await unsent
