"""One HTTP/2 connection: a stream of bytes, the session that is spoken over it, and any number of exchanges at once.

- What happens to one exchange (an error, its time running out, a cancellation, a reader who is slow or gone) resets its
  stream and leaves the others alone. What happens to the connection fails them all.
- The owner (the pool, which has a lock of its own) is told nothing under the session's lock. `Http2Stream.rest()` and
  `close()` may be called under the owner's lock, and by finalizers.
- While exchanges wait and nothing arrives the peer is pinged; one that does not answer is taken for dead.
- On an event loop, requests that begin in one turn go out in one write.

How tasks and threads share a session is in `http2_shared`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from math import inf
from typing import ClassVar, Final

from .._deadline import NEVER, PHASES
from .._exceptions import NetworkError, ReadError, TransportError
from .._journey import ConnectionFacts, Journey
from .._kernel.h2_constants import ENHANCE_YOUR_CALM
from .._kernel.h2_control import goaway_frame
from .._kernel.h2_errors import Http2Error
from .._net.base import Buffer, Stream
from .._origin import Route
from .._trace import Tracer
from .._wire.events import FieldLine, NoWebSockets, RequestHead
from .._wire.h2 import INITIAL_LIMIT
from .._wire.h2_stream import ENDED
from .base import Head, Owner, RequestTimeouts
from .http2_shared import SharedSession, StreamWaiter
from .http2_stream import Http2Stream

#: Seconds that a peer has to answer a PING.
PING_PATIENCE: Final = 15.0

#: Seconds that limits "per stretch" of the session are for.
STRETCH: Final = 1.0
# Bytes that wait for the socket to take them, answers to what the peer sends; a peer that asks and never reads.
MAX_BACKLOG: Final = 256 * 1024
# Frames that answer a server which speaks before the first request, with which they go out. Two or three are usual.
MAX_EARLY_ANSWERS: Final = 1000


class Http2Connection(SharedSession):
    """A connection that speaks HTTP/2.

    After `ping_after` seconds of silence, while exchanges wait, the peer is asked for a sign of life; None for never.
    `first_limit` is how many exchanges at once it is trusted to take before it has said so.
    """

    __slots__ = (
        "_backlog",
        "_busy_since",
        "_cancel_timer",
        "_careful_limit",
        "_closed",
        "_flush_due",
        "_owner",
        "_ping_after",
        "_pings",
        "_sleepers",
        "_call_soon",
        "_start_timer",
        "_stretch_ends",
        "_timer_at",
        "_draining_reported",
        "_reported_limit",
        "_users",
        "facts",
        "idle_since",
        "pending",
        "route",
    )

    multiplexed: ClassVar[bool] = True
    sole_exchange: None = None

    def __init__(
        self,
        stream: Stream,
        route: Route,
        facts: ConnectionFacts,
        owner: Owner,
        ping_after: float | None = None,
        first_limit: int = INITIAL_LIMIT,
    ) -> None:
        backend = owner.backend
        super().__init__(stream, backend, backend.clock, first_limit)
        # The windows of the streams bound what a connection holds; the socket is always read.
        self.pending = 0
        self.route = route
        self.facts = facts
        facts.stream = stream
        facts.http_version = "HTTP/2"
        self.idle_since: float | None = None
        self._owner = owner
        self._call_soon = backend.soon
        # Who waits until when, where a loop pushes: one timer wakes them all, set again only when it fires early.
        self._sleepers: dict[StreamWaiter, float] = {}
        self._start_timer = backend.timer() if backend.pushes else None
        self._cancel_timer: Callable[[], object] | None = None
        self._timer_at = NEVER
        self._ping_after = NEVER if ping_after is None else ping_after
        self._pings = 0
        self._busy_since = 0.0  # when the first of the exchanges began that are under way
        self._flush_due = False
        self._closed = False
        self._backlog = 0  # bytes of answers that were left unsent
        self._stretch_ends = 0.0
        self._reported_limit: int | None = -1
        self._careful_limit: int | None = -1  # told of a peer that refuses streams
        self._draining_reported = False
        self._users: dict[Http2Stream, Journey] = {}  # exchanges that are not ended, of which nothing may be left here
        stream.attach(self)

    async def exchange(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
    ) -> Http2Stream:
        """Send a request and wait for its response: for all of it if `whole`, else for the head.

        `body` is bytes (none at all are no body), or pieces of them; `framing` its length, or below 0. With
        `timeouts.first_byte` the head is waited for, never `whole`. Raises what `_net` raises, RemoteProtocolError for
        a malformed response or a stream that the peer resets, and whatever `body` raises. `error.unprocessed` says that
        the peer has done nothing with the request.
        """
        tunnels = head.http2[0][1] == b"CONNECT"
        stream = (
            self._tunnel(head, timeouts, journey)
            if tunnels
            else Http2Stream(self, head.method, whole, timeouts, journey)
        )
        no_body = isinstance(body, bytes) and not body
        trace = journey.trace
        self.check_deadline(stream, "write")
        self._users[stream] = journey
        try:
            if trace is not None:
                await self._trace_begin(trace)
            if tunnels:
                await self._check_tunnels(head, stream, timeouts)
            self._begin(stream, head, no_body and not tunnels, journey)
            if trace is not None:
                await trace.complete()
                await trace.started("http2.send_request_body")
            if not no_body:
                await stream.send_body(body, framing)
            journey.sent = stream.moment = self.clock()
            if trace is not None:
                await trace.complete()
                await trace.started("http2.receive_response_headers")
            while not stream.ready:
                stream.timer.set(*timeouts.until_head(journey.sent, stream.moment))
                await self.wait_for_news(stream)
            if stream.error is not None and (stream.whole or stream.head is None):
                raise stream.error
            if trace is not None:
                await trace.complete(_traced_head(stream))
        except BaseException as error:
            self.exchange_ended(stream, self.clock())
            if not stream.id:
                self._report_changes()  # it takes no more streams, which the owner cannot know yet
            if trace is not None:
                await trace.failed(error)
            raise
        return stream

    def alive(self) -> bool:
        """Return whether it takes exchanges; where arrivals are not pushed, after a look at what has arrived."""
        if not self.draining:
            self._poll_end()
        return not self.draining

    def alive_now(self) -> bool:
        """Return whether it takes exchanges, after a look at what has arrived."""
        if self._pushes:
            self.stream.poll_idle()
        return self.alive()

    def set_mark(self) -> None:
        """Do nothing: the peer says by GOAWAY and RST_STREAM what it has not processed."""

    def usable_until(self, head: Head | None, now: float) -> float:
        """Return infinity: HTTP/2 has no Keep-Alive field (RFC 9113 s.8.2.2), a peer that ends says GOAWAY."""
        return inf

    def users(self) -> list[Journey]:
        """Return the journeys of the exchanges that are not ended."""
        return list(self._users.values())

    @property
    def ended_by_peer(self) -> bool:
        """Return whether the peer has sent GOAWAY, and the connection has ended since."""
        return bool(self.farewell) and self.broken is not None

    @property
    def windows(self) -> tuple[int, int]:
        """Bytes that we may send now, and the peer, on all streams together."""
        return self.window_out, self.room

    def left_unanswered(self, journey: Journey) -> bool:
        """Return whether it ended before anything of the answer was seen.

        A peer that resets a stream and goes on with the others is not dead.
        """
        return self.draining and not journey.first

    def close(self) -> None:
        """Close the stream at once; what is under way fails. Repeatable."""
        if self._closed:
            return
        self._closed = True
        self.draining = True
        if self._cancel_timer is not None:
            self._cancel_timer()
            self._cancel_timer = None
        if self._lock.acquire(blocking=False):
            try:
                if self.broken is None:
                    if self.next_id > 1 and not self._write_closed:
                        self.outgoing.append(goaway_frame(0))
                    self.fail(ReadError("the connection was closed on this side"))
                self._write_out()
            finally:
                self._lock.release()
        self.stream.close()

    # For exchanges.

    async def wait_for_news(self, stream: StreamWaiter) -> None:
        """Wait until something happens to `stream` that it was not told yet. Raises the timeout of its timer."""
        timer = stream.timer
        while not stream.has_news:
            now = self.clock()
            if now >= timer.at and now >= timer.renewed(stream.moment):
                phase = timer.phase
                raise timer.expired(now, self._complaint(stream, phase), self._unfinished(stream, phase))
            wake_at = min(timer.at, self._check_alive(now))
            if self._pushes:
                waiter = stream.waiter = self._new_waiter()
                if wake_at != NEVER:
                    self._sleepers[stream] = wake_at
                    if wake_at < self._timer_at:
                        self._set_timer(wake_at, now)
                try:
                    await waiter.wait(None)
                finally:
                    stream.waiter = None
                    self._sleepers.pop(stream, None)
            else:
                await self.read_or_wait(stream, now, wake_at)
        stream.has_news = False

    def check_deadline(self, stream: StreamWaiter, phase: str) -> None:
        """Raise the timeout of all that an exchange is part of, if that has come: where nothing is waited for, too."""
        timer = stream.timer
        if timer.hard != NEVER and (now := self.clock()) >= timer.hard:
            raise timer.hard_expired(phase, now, self._unfinished(stream, phase))

    def claim_piece(self, stream: Http2Stream) -> bytes:
        """The oldest piece of a body that nobody has claimed; the peer gets its credit back."""
        if not stream.chunks:
            return b""
        with self._lock:
            piece = self.claim(stream)
            if self.outgoing:
                self._write_out()
        return piece

    async def send_some(self, stream: Http2Stream, raw: Buffer, last: bool, budget: float | None) -> int:
        """Sends of `bytes` what windows and the socket take; how many. 0 as `Session.send()` has it."""
        if self.stream.unsent:
            await self.flush(stream, NEVER if budget is None else self.clock() + budget, budget)
        with self._lock:
            if not stream.sending:
                return 0
            stream.has_news = False
            sent = self.send(stream, raw, last)
            if self.outgoing:
                self._write_out()
        return sent

    def send_now(self, stream: Http2Stream, writer: StreamWaiter, raw: Buffer) -> int:
        """Sends of `bytes` what windows allow; how many. 0 if `writer` is to be woken for more, below 0 at the end."""
        with self._lock:
            writer.has_news = False
            if not stream.sending:
                return -1
            sent = self.send(stream, raw, False)
            self._write_out()
        return sent

    async def flush_body(self, stream: Http2Stream, budget: float | None) -> None:
        """Wait until the last of a body is sent, on backends where nobody else does."""
        if not self._pushes and self.stream.unsent:
            await self.flush(stream, NEVER if budget is None else self.clock() + budget, budget)

    def exchange_ended(self, stream: Http2Stream, now: float) -> bool:
        """End an exchange; return whether the connection takes others."""
        self._users.pop(stream, None)
        if stream.sending or stream.state < ENDED:
            self.abandon(stream)
        stream.chunks.clear()
        stream.pending = 0
        self.idle_since = now
        if self.draining and not self.streams:
            self.close()
        return not self.draining

    # The sink.

    def get_buffer(self) -> None:
        """Frames are cut out of the stream's own buffer."""

    def buffer_updated(self, nbytes: int) -> bool:
        raise RuntimeError("no buffer was given")

    def data_received(self, data: memoryview) -> bool:
        now = self.clock()
        with self._lock:
            if now >= self._stretch_ends:
                self._stretch_ends = now + STRETCH
                self.begin_stretch()
            self.feed(data, now)
            # What answers a server that speaks first goes out with the first request.
            if self.outgoing:
                if self.next_id > 1 or self.broken is not None:
                    self._answer()
                elif len(self.outgoing) > MAX_EARLY_ANSWERS:
                    self.fail(
                        Http2Error(
                            f"peer asks for more than {MAX_EARLY_ANSWERS} answers before the first request",
                            ENHANCE_YOUR_CALM,
                        )
                    )
                    self._answer()
        self._report_changes()
        reader = self._reader
        return reader is not None and (reader.has_news or self.stream.unsent > 0)

    def eof_received(self, clean: bool) -> bool:
        with self._lock:
            self.end_of_file(clean)
        self._report_changes()
        return True

    def fault_received(self, error: NetworkError) -> None:
        """TLS has failed, or the peer has ended it by an alert: where arrivals are pushed nobody receives."""
        self._break(error)

    # Inside: sending.

    def _begin(self, stream: Http2Stream, head: RequestHead, end: bool, journey: Journey) -> None:
        now = self.clock()
        facts = journey.connection = self.facts
        with self._lock:
            alone = not self.streams
            self.open(stream, head, end)
            facts.requests = journey.nth = facts.requests + 1
            journey.stream_id = stream.id
            if alone:
                if self.opened_at == 0.0:
                    self.opened_at = now
                self._busy_since = now
                journey.rested_since = self.idle_since
            journey.sending = stream.moment = now
            if alone or not end or not self._pushes:
                self._write_out()
            elif not self._flush_due:
                # One write for all the requests that begin in this turn of the loop.
                self._flush_due = True
                self._call_soon(self._write_soon)
        self._report_changes()

    def _write_soon(self) -> None:
        with self._lock:
            self._flush_due = False
            self._write_out()
        self._report_changes()

    def _answer(self) -> None:
        """Under the lock: sends what came of an arrival, as far as the peer reads at all."""
        unsent = self.stream.unsent
        self._backlog = self._backlog + sum(map(len, self.outgoing)) if unsent else 0
        if self._backlog > MAX_BACKLOG:
            self.fail(
                Http2Error(
                    f"peer makes more than {MAX_BACKLOG} bytes of answers wait and does not read them",
                    ENHANCE_YOUR_CALM,
                )
            )
        self._write_out()

    # Inside: time, where a loop pushes.

    def _set_timer(self, at: float, now: float) -> None:
        assert self._start_timer is not None
        if self._cancel_timer is not None:
            self._cancel_timer()
        self._timer_at = at
        self._cancel_timer = self._start_timer(max(at - now, 0.0), self._on_time)

    def _on_time(self) -> None:
        """Wake the waiters whose deadline has passed."""
        self._cancel_timer = None
        self._timer_at = NEVER
        now = self.clock()
        further = NEVER
        for stream, at in self._sleepers.items():
            if at > now:
                further = min(further, at)
            elif stream.waiter is not None:
                stream.waiter.set()
        if further != NEVER:
            self._set_timer(further, now)

    # Inside: what concerns the connection.

    def _report_changes(self) -> None:
        """Not under the lock: tells the owner what has changed, and closes what is of no use."""
        if self._abandoned:
            self._reset_abandoned()
        if self.draining:
            if not self._draining_reported:
                self._draining_reported = True
                self._owner.draining(self)
                if not self.streams:
                    self._owner.lost(self)
            if self.broken is not None or not self.streams:
                self.close()
        elif self.peer_limit != self._reported_limit and self.settled:
            if self.careful:
                self._report_careful_limit()
                return
            self._reported_limit = self.peer_limit
            self._owner.limit_changed(self, self.peer_limit)

    def _report_careful_limit(self) -> None:
        """Tell the owner how many streams at once a peer takes that refuses some; that changes as it answers."""
        with self._lock:
            self.try_more()
            limit = self.peer_limit
        self._reported_limit = -1  # so that each arrival leads here
        if limit != self._careful_limit:
            self._careful_limit = limit
            self._owner.limit_changed(self, limit)

    def _break(self, error: TransportError) -> None:
        """The connection is of no use any more, and whoever waits is told why."""
        with self._lock:
            self.fail(error)
            self._write_out()
        self._report_changes()

    def _check_alive(self, now: float) -> float:
        """Sees to it that the peer is alive, while exchanges wait; when to look again."""
        heard = max(self.moment, self._busy_since)
        if self.pinged and self.pinged_at >= heard:
            due = self.pinged_at + PING_PATIENCE
            if now >= due:
                self._break(
                    ReadError(
                        f"the peer sent nothing for {now - heard:.3g} s and did not answer a PING within "
                        f"{PING_PATIENCE:.3g} s: the connection is dead"
                    )
                )
            return due
        due = heard + self._ping_after
        if now < due:
            return due
        with self._lock:
            self._pings += 1
            self.ping(self._pings.to_bytes(8, "big"), now)
            self._write_out()
        return now + min(PING_PATIENCE, self._ping_after)

    # Inside: tunnels.

    def _tunnel(self, head: RequestHead, timeouts: RequestTimeouts, journey: Journey) -> Http2Stream:
        from .http2_tunnel import TunnelExchange  # who needs none never loads it

        return TunnelExchange(self, head.method == b"CONNECT", timeouts, journey)

    async def _check_tunnels(self, head: RequestHead, stream: Http2Stream, timeouts: RequestTimeouts) -> None:
        """Sees to it that a CONNECT with a protocol may be sent: the peer has to say so first (RFC 8441 s.3)."""
        if head.method == b"CONNECT":
            return
        if not self.settled:
            await self._settle(stream, timeouts)
        if not self.extended_connect and self.broken is None:
            error = NoWebSockets("the peer takes no WebSockets over HTTP/2 (RFC 8441 s.3)")
            error.unprocessed = True
            raise error

    async def _settle(self, stream: Http2Stream, timeouts: RequestTimeouts) -> None:
        stream.moment = now = self.clock()
        read = timeouts.read
        with self._lock:
            if not self.streams:
                self._busy_since = now
            self.unsettled.append(stream)
            self._write_out()
        try:
            while not self.settled and self.broken is None:
                stream.timer.set("read", None if read is None else stream.moment + read, read)
                await self.wait_for_news(stream)
        finally:
            with self._lock:
                self.unsettled.remove(stream)

    async def _trace_begin(self, trace: Tracer) -> None:
        if self.next_id == 1:
            await trace.started("http2.send_connection_init")
            await trace.complete()
        await trace.started("http2.send_request_headers")

    def _complaint(self, stream: StreamWaiter, phase: str) -> str:
        if not stream.id:
            return "peer sent no settings"
        after = f" after {self.farewell}" if self.farewell is not None else ""
        silence = "gave no window for more of the body" if phase == "write" else PHASES[phase].silence
        return f"peer {silence} on stream {stream.id}{after}"

    def _unfinished(self, stream: StreamWaiter, phase: str) -> str:
        on = f"on stream {stream.id} of {self.route.origin}"
        if phase == "write":
            return f"the request {on} was not sent"
        ended = "ended" if getattr(stream, "head", stream) is not None else "begun"
        return f"the response {on} had not {ended}"


def _traced_head(stream: Http2Stream) -> tuple[int, list[FieldLine]]:
    head = stream.head
    assert head is not None
    return head.status, list(head.fields())
