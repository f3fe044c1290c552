"""One HTTP/2 connection: a session over a stream of bytes, and any number of exchanges at once.

- An event of one exchange (an error, a timeout, a cancellation, a reader that is slow or gone) resets its stream and
  leaves the others alone. A failure of the connection fails them all.
- A connection that leaves an exchange unanswered, over which nothing at all has arrived for a while, takes no more of
  them: it may be dead, and others would wait for it in vain.
- The owner (the pool, which has a lock of its own) is never called under the session's lock. `Http2Stream.rest()` and
  `close()` may be called under the owner's lock, and by finalizers.
- On an event loop, requests that begin in one iteration of the loop are sent in one write, with their bodies if these
  are small: each write is a record of TLS and a call of the system.

How tasks and threads share the session is in `http2_shared`.
"""

from __future__ import annotations

from collections.abc import AsyncIterable
from math import inf
from typing import ClassVar, Final

from .._head import FieldLine, RequestHead
from .._journey import ConnectionFacts, Journey
from .._net.base import Stream
from .._origin import Route
from .._trace import Tracer
from .._wire.events import NoWebSockets
from .._wire.h2 import INITIAL_LIMIT, Session
from .base import Head, Owner, RequestTimeouts
from .http2_shared import SharedSession
from .http2_stream import Http2Stream

# Seconds after an exchange within which a socket is not polled for a request that may be repeated. Requests that follow
# one another at once save a system call each; a peer that ends a connection has hardly done so by then. What it says
# is read with the next answer, for which none of it can be taken, as it could with HTTP/1.1.
TRUSTED_FOR: Final = 0.001


class Http2Connection:
    """Speak HTTP/2 over one stream of bytes.

    After `ping_after` seconds of silence, while exchanges wait, the peer is pinged; None for never. `first_limit` is
    the number of exchanges at once that it is trusted to take before it has sent its settings.
    """

    __slots__ = (
        "_call_soon",
        "_careful_limit",
        "_draining_reported",
        "_flush_due",
        "_owner",
        "_polled",
        "_silent",
        "_users",
        "facts",
        "idle_since",
        "route",
        "session",
        "shared",
        "stream",
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
        max_head_size: int | None = None,
    ) -> None:
        backend = owner.backend
        self.stream = stream
        self.route = route
        self.facts = facts
        facts.stream = stream
        facts.http_version = "HTTP/2"
        self.idle_since: float | None = None
        self._owner = owner
        self._call_soon = backend.soon
        self._flush_due = False
        self._polled = False  # in this iteration of the loop
        self._careful_limit: int | None = -1  # reported of a peer that refuses streams
        self._draining_reported = False
        self._silent = False  # it was given up, since the peer sends nothing
        self._users: dict[Http2Stream, Journey] = {}  # exchanges that are not ended
        self.session = Session(first_limit, max_head_size)
        self.shared = SharedSession(stream, self.session, backend, route.origin, self._report_changes, ping_after)
        stream.attach(self.shared)

    async def exchange(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
    ) -> Http2Stream:
        """Send a request and wait for its response: for all of it if `whole`, else for the head; see `Connection`.

        A stream that the peer resets raises RemoteProtocolError.
        """
        if journey.trace is not None:
            return await self._exchange_traced(head, body, framing, timeouts, journey, whole)
        stream = self._new_stream(head, timeouts, journey, whole)
        shared = self.shared
        try:
            if stream.method == b"CONNECT":
                await self._check_tunnels(head, stream, timeouts)
                journey.sending = None
            if isinstance(body, bytes) and timeouts.expect is None:
                sent = self._begin(stream, head, not body, body, journey)
                if sent < len(body):
                    await stream.send_body(memoryview(body)[sent:], framing)
                elif sent and shared.clogged:
                    await shared.flush_body(stream, timeouts.write)
            else:
                self._begin(stream, head, False, b"", journey)
                await stream.send_body(body, framing)
            now: float | None
            journey.sent = sent_at = stream.moment = now = shared.clock()
            # `_receive_head()`, without a coroutine more for each request.
            while not stream.ready:
                if timeouts.first_byte is None:
                    stream.timer.begin("read", stream.moment, timeouts.read)
                else:
                    stream.timer.set(*timeouts.until_head(sent_at, stream.moment))
                await shared.wait_for_news(stream, now)
                now = None
            if stream.error is not None and (stream.whole or stream.head is None):
                raise stream.error
        except BaseException:
            self._exchange_failed(stream)
            raise
        return stream

    async def _exchange_traced(
        self,
        head: RequestHead,
        body: bytes | AsyncIterable[bytes],
        framing: int,
        timeouts: RequestTimeouts,
        journey: Journey,
        whole: bool,
    ) -> Http2Stream:
        """Do the same as `exchange()`, and report each step to the tracer of the journey."""
        trace = journey.trace
        assert trace is not None
        stream = self._new_stream(head, timeouts, journey, whole)
        no_body = isinstance(body, bytes) and not body
        try:
            await self._trace_begin(trace)
            if stream.method == b"CONNECT":
                await self._check_tunnels(head, stream, timeouts)
            journey.sending = None
            self._begin(stream, head, no_body, b"", journey)
            await trace.complete()
            await trace.started("http2.send_request_body")
            if not no_body:
                await stream.send_body(body, framing)
            journey.sent = stream.moment = self.shared.clock()
            await trace.complete()
            await trace.started("http2.receive_response_headers")
            await self._receive_head(stream, timeouts, journey)
            await trace.complete(_traced_head(stream))
        except BaseException as error:
            self._exchange_failed(stream)
            await trace.failed(error)
            raise
        return stream

    # State, for the pool.

    @property
    def draining(self) -> bool:
        """Return whether it takes no more exchanges, for good."""
        return self.session.draining

    @property
    def limit(self) -> int | None:
        """Return how many exchanges it takes at once now; None for any number (RFC 9113 s.5.1.2)."""
        return self.session.limit

    @property
    def settled(self) -> bool:
        """Return whether the peer has sent its settings."""
        return self.session.settled

    @property
    def progressed(self) -> bool:
        """Return whether the peer has answered an exchange, or says by GOAWAY that it processes one."""
        return self.session.progressed

    @property
    def ended_by_peer(self) -> bool:
        """Return whether the peer has sent GOAWAY, and the connection has ended since."""
        return bool(self.session.farewell) and self.session.broken is not None

    @property
    def windows(self) -> tuple[int, int]:
        """Return the bytes that we may send now, and the peer, on all streams together."""
        return self.session.window_out, self.session.room

    @property
    def rtt(self) -> float | None:
        """Return the seconds of a round trip, by the last PING or the peer's settings."""
        return self.session.rtt

    def alive(self, now: float = inf) -> bool:
        """Return whether it takes exchanges; where arrivals are not pushed, after polling the socket.

        The socket is not polled if it was used within the last TRUSTED_FOR seconds before `now`.
        """
        shared = self.shared
        if not shared.pushes and ((used := self.idle_since) is None or now - used > TRUSTED_FOR):
            if self.session.draining:
                return False
            shared.poll_end()
        return not self.session.draining

    def alive_now(self) -> bool:
        """Return whether it takes exchanges, after polling the socket, once per iteration of the loop while it is used.

        50 requests that begin together would poll it 50 times for 1.5 us each.
        """
        if self.shared.pushes and not self._polled:
            self.stream.poll_idle()
            if self.session.streams:
                self._polled = True
                self._write_later()
        return self.alive()

    def set_mark(self) -> None:
        """Do nothing: the peer says by GOAWAY and RST_STREAM what it has not processed."""

    def usable_until(self, head: Head | None, now: float) -> float:
        """Return infinity: HTTP/2 has no Keep-Alive field (RFC 9113 s.8.2.2), a peer that ends sends GOAWAY."""
        return inf

    def users(self) -> list[Journey]:
        """Return the journeys of the exchanges that are not ended."""
        return list(self._users.values())

    def left_unanswered(self, journey: Journey) -> bool:
        """Return whether it ended before anything of the answer was seen.

        A peer that resets a stream and goes on with the others is not dead.
        """
        session = self.session
        ended = session.broken is not None if self._silent else session.draining
        return ended and not journey.first

    def cut(self, journey: Journey) -> None:
        """Fail and reset the stream of the exchange on this journey; whoever waits for it is woken."""
        for stream, users in list(self._users.items()):
            if users is journey:
                self.shared.cut(stream)

    def close(self) -> None:
        """Close the stream at once; what is under way fails. Repeatable."""
        self.shared.close()

    def exchange_ended(self, stream: Http2Stream, now: float) -> bool:
        """End an exchange; return whether the connection takes others."""
        self._users.pop(stream, None)
        session = self.session
        if not stream.let_go():
            if stream.id and stream.head is None and self.shared.peer.given_up(now):
                self._silent = session.draining = True
            self.shared.abandon(stream)
        self.idle_since = now
        if not session.draining:
            return True
        if not session.streams:
            self.close()
        return False

    # Inside: the steps of an exchange.

    def _new_stream(self, head: RequestHead, timeouts: RequestTimeouts, journey: Journey, whole: bool) -> Http2Stream:
        """Return the stream of an exchange that begins now. Raises the timeout of the whole request if that is over."""
        stream: Http2Stream
        if head.http2[0][1] == b"CONNECT":
            from .http2_tunnel import TunnelExchange  # a connection without tunnels never loads it

            stream = TunnelExchange(self, head.method == b"CONNECT", timeouts, journey)
        else:
            stream = Http2Stream(self, head.method, whole, timeouts, journey)
        if timeouts.deadline is not None:
            self.shared.check_deadline(stream, "write")
        self._users[stream] = journey
        return stream

    def _begin(self, stream: Http2Stream, head: RequestHead, no_body: bool, body: bytes, journey: Journey) -> int:
        """Open the stream and send its head, and `body` as far as windows allow; return how much of it is sent.

        A request that is sent whole is written at the latest at the end of this iteration of the loop.
        """
        shared, session = self.shared, self.session
        sent = 0
        now = journey.sending
        if now is None:
            now = shared.clock()
        facts = journey.connection = self.facts
        with shared.lock:
            alone = not session.streams
            session.open(stream, head, no_body and stream.method != b"CONNECT")
            if body and not shared.is_clogged():
                sent = session.send(stream, body, stream.method != b"CONNECT")
            facts.requests = journey.nth = facts.requests + 1
            journey.stream_id = stream.id
            if alone:
                if session.opened_at == 0.0:
                    session.opened_at = now
                shared.peer.busy_since = now
                journey.rested_since = self.idle_since
            journey.sending = stream.moment = now
            if alone or stream.sending or not shared.pushes:
                shared.write_out()
            else:
                self._write_later()
        if session.draining or session.peer_limit != shared.reported_limit or shared.abandoned:
            self._report_changes()
        return sent

    def _write_later(self) -> None:
        """Have one write for all the requests that begin in this iteration of the loop."""
        if not self._flush_due:
            self._flush_due = True
            self._call_soon(self._write_soon)

    def _write_soon(self) -> None:
        with self.shared.lock:
            self._flush_due = self._polled = False
            self.shared.write_out()
        self._report_changes()

    async def _receive_head(self, stream: Http2Stream, timeouts: RequestTimeouts, journey: Journey) -> None:
        """Wait for the head of the response, or for all of it if the stream is `whole`. Raises the stream's error."""
        sent = journey.sent
        assert sent is not None
        while not stream.ready:
            stream.timer.set(*timeouts.until_head(sent, stream.moment))
            await self.shared.wait_for_news(stream)
        if stream.error is not None and (stream.whole or stream.head is None):
            raise stream.error

    def _exchange_failed(self, stream: Http2Stream) -> None:
        self.exchange_ended(stream, self.shared.clock())
        if not stream.id or self._silent:
            self._report_changes()  # it takes no more streams, which the owner cannot know yet

    async def _check_tunnels(self, head: RequestHead, stream: Http2Stream, timeouts: RequestTimeouts) -> None:
        """Wait until a CONNECT with a protocol may be sent: the peer has to allow it first (RFC 8441 s.3)."""
        if head.method == b"CONNECT":
            return
        session = self.session
        if not session.settled:
            await self._settle(stream, timeouts)
        if not session.extended_connect and session.broken is None:
            error = NoWebSockets("the peer takes no WebSockets over HTTP/2 (RFC 8441 s.3)")
            error.unprocessed = True
            raise error

    async def _settle(self, stream: Http2Stream, timeouts: RequestTimeouts) -> None:
        """Wait for the settings of the peer."""
        shared, session = self.shared, self.session
        stream.moment = now = shared.clock()
        with shared.lock:
            if not session.streams:
                shared.peer.busy_since = now
            session.unsettled.append(stream)
            shared.write_out()
        try:
            while not session.settled and session.broken is None:
                stream.timer.begin("read", stream.moment, timeouts.read)
                await shared.wait_for_news(stream)
        finally:
            with shared.lock:
                session.unsettled.remove(stream)

    async def _trace_begin(self, trace: Tracer) -> None:
        if self.session.next_id == 1:
            await trace.started("http2.send_connection_init")
            await trace.complete()
        await trace.started("http2.send_request_headers")

    # Inside: reports to the owner.

    def _report_changes(self) -> None:
        """Report to the owner what has changed, and close the connection if it is of no use; not under the lock."""
        session, shared = self.session, self.shared
        if shared.abandoned:
            shared.reset_abandoned()
        if session.draining:
            if not self._draining_reported:
                self._draining_reported = True
                self._owner.draining(self)
                if not session.streams:
                    self._owner.lost(self)
            if session.broken is not None or not session.streams:
                self.close()
        elif session.peer_limit != shared.reported_limit and session.settled:
            if session.careful:
                self._report_careful_limit()
                return
            shared.reported_limit = session.peer_limit
            self._owner.limit_changed(self, session.peer_limit)

    def _report_careful_limit(self) -> None:
        """Report how many streams at once a peer takes that refuses some; that changes as it answers."""
        with self.shared.lock:
            self.session.try_more()
            limit = self.session.peer_limit
        self.shared.reported_limit = -1  # so that each arrival leads here
        if limit != self._careful_limit:
            self._careful_limit = limit
            self._owner.limit_changed(self, limit)


def _traced_head(stream: Http2Stream) -> tuple[int, list[FieldLine]]:
    head = stream.head
    assert head is not None
    return head.status, list(head.fields())
