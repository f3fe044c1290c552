"""Use a stream of HTTP/2 like a connection: after 2xx to CONNECT, plain (RFC 9113 s.8.5) or extended (RFC 8441,
WebSockets).

- `TunnelExchange` is the exchange that leads there; unless it is `upgraded` it is one like any other.
- `Tunnel` has the interface of a stream, so that TLS and WebSockets run over it. Its flow control is the stream's:
  only `receive()` claims bytes from the peer.
- One task or thread may receive while another writes, so each side has its own wait.
- Closing it resets the stream. If a connection lies behind the peer, our side is ended first, as by FIN. WebSockets
  have close frames of their own, and some servers do not expect both (hypercorn loses all of the connection).
"""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Awaitable, Sequence
from typing import Any

from .._deadline import PHASES, PhaseTimer
from .._exceptions import NetworkError, ReadError, WriteError
from .._journey import Journey
from .._net.base import DONE, Buffer, Sink, Stream, Waiter
from .._net.tls import handshake
from .._wire.h2_stream import ENDED
from .base import RequestTimeouts
from .http2_shared import SharedSession
from .http2_stream import Http2Stream, StreamOwner

_CLOSED = "the tunnel was closed on this side"


class Writer:
    """Hold the wait of the task or thread that writes to a tunnel."""

    __slots__ = ("id", "moment", "timer", "has_news", "waiter")

    def __init__(self) -> None:
        self.id = 0
        self.timer = PhaseTimer("write")
        self.moment = 0.0
        self.has_news = False
        self.waiter: Waiter | None = None

    def wake(self) -> None:
        self.has_news = True
        waiter = self.waiter
        if waiter is not None:
            waiter.set()


class TunnelExchange(Http2Stream):
    """Exchange CONNECT and its response, then lead to a `Tunnel`."""

    __slots__ = ("_plain", "tunnel", "writer")

    def __init__(self, owner: StreamOwner, plain: bool, timeouts: RequestTimeouts, journey: Journey) -> None:
        self._plain = plain  # to a connection, and not to a WebSocket
        self.writer = Writer()
        super().__init__(owner, b"CONNECT", False, timeouts, journey)
        self.tunnel = Tunnel(owner.shared, self)

    @property
    def upgraded(self) -> bool:
        """Return whether the stream speaks HTTP no longer."""
        return self.tunnels

    @property
    def ends_before_reset(self) -> bool:
        return self._plain and self.upgraded

    @property
    def ended(self) -> bool:
        """Return whether the response has ended; False for a tunnel, whose end its reader sees."""
        return self.state == ENDED and not self.upgraded

    def detach(self) -> tuple[Stream, bytes]:
        self.tunnel.set_hard_deadline(
            "connect", None, None
        )  # what is said on it from now on is no part of the exchange
        return self.tunnel, b""

    def wake(self) -> None:
        super().wake()
        self.writer.wake()

    async def next_chunk(self) -> bytes:
        return b"" if self.upgraded else await super().next_chunk()


class Tunnel(Stream):
    """Carry the bytes of one stream of HTTP/2, like a connection of its own."""

    __slots__ = ("_closed", "_exchange", "_shared", "_sink", "_unsent")

    def __init__(self, shared: SharedSession, exchange: TunnelExchange) -> None:
        self._shared = shared
        self._exchange = exchange
        self._sink: Any = None
        self._closed = False
        self._unsent: deque[Buffer] = deque()

    def attach(self, sink: Sink) -> None:
        self._sink = sink

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        self._unsent.extend(buffer for buffer in buffers if buffer)
        self._send()
        return self.flush(False) if self.unsent else None

    @property
    def unsent(self) -> int:
        return sum(map(len, self._unsent))

    async def flush(self, reading: bool) -> None:
        shared, writer = self._shared, self._exchange.writer
        timer = writer.timer
        while self._unsent:
            if shared.stream.unsent:
                await shared.flush(writer, timer.at, timer.budget, timer.phase)
            if self._send():
                timer.postpone(shared.clock)
            elif self._unsent:
                await shared.wait_for_news(writer)
        if self._closed:
            raise WriteError(_CLOSED)

    def receive(self) -> Awaitable[None]:
        return DONE if self._push() else self._receive()

    def poll_idle(self) -> None:
        """Do nothing: the reader of the connection reads for this stream, too."""

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        kind = PHASES[phase]
        if kind.receiving:
            self._exchange.timer.set(phase, at, budget)
        if kind.sending:
            self._exchange.writer.timer.set(phase, at, budget)

    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        kind = PHASES[phase]
        if kind.receiving:
            self._exchange.timer.set_hard(at, budget)
        if kind.sending:
            self._exchange.writer.timer.set_hard(at, budget)

    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> Stream:
        return await handshake(self, context, server_hostname, session, alpn)

    def close(self) -> None:
        self._closed = True
        self._unsent.clear()
        self._shared.abandon(self._exchange)
        self._exchange.fail(ReadError(_CLOSED))

    def get_extra_info(self, name: str) -> Any:
        if name == "is_readable":
            return bool(self._exchange.chunks) or self._exchange.state >= ENDED
        return self._shared.stream.get_extra_info(name)

    # Inside.

    async def _receive(self) -> None:
        timer, clock = self._exchange.timer, self._shared.clock
        while True:
            await self._shared.wait_for_news(self._exchange)
            if self._push():
                return
            timer.postpone(clock)

    def _push(self) -> bool:
        """Push what has come into the sink; return whether it has what it wants."""
        exchange, sink = self._exchange, self._sink
        while piece := self._shared.claim_piece(exchange):
            if sink.data_received(memoryview(piece)):
                return True
        if exchange.state < ENDED:
            return False
        if exchange.error is not None:
            raise self._broken(ReadError, exchange.error)
        if not sink.eof_received(True):
            raise ReadError(f"peer ended stream {exchange.id}")
        return True

    def _send(self) -> int:
        """Send the bytes that windows allow, as long as the socket keeps up; return their number."""
        exchange, shared, unsent = self._exchange, self._shared, self._unsent
        total = 0
        while unsent and (not total or not shared.stream.unsent):
            count = shared.send_now(exchange, exchange.writer, unsent[0])
            if count < 0:
                unsent.clear()
                raise self._broken(WriteError, exchange.error)
            total += count
            if count == len(unsent[0]):
                unsent.popleft()
            elif count:
                unsent[0] = memoryview(unsent[0])[count:]
            else:
                break
        return total

    def _broken(self, kind: type[NetworkError], error: Exception | None) -> NetworkError:
        """Return the error that ended the stream as the end of a connection; a reset is one, too (RFC 8441 s.5)."""
        return kind(str(error) if error is not None else f"stream {self._exchange.id} has ended on this side")
