"""The steps of a scripted server. A script is a sequence of steps for one connection.

    Read(), Send(response(b"hello"))                       answers one request, then closes
    Tls(), Repeat(Read(), Send(response()))                a good server, over TLS
    Read(), Send(response(bytes(100))[:60]), Reset()       resets the connection after byte 60
    Mute()                                                 accepts and sends nothing; https: TLS without a handshake
    Tls("h2"), Http2(), Repeat(Read(), Send(frames.response(b"hello")))   a good server of HTTP/2
    Http2(), ReadFrames("HEADERS 3"), Send(frames.goaway(1)), ReadFrames()     takes one of two requests, without TLS

Rules:

- When the peer closes, the step and its script end without an error. After the last step the connection is closed.
- Only `Delay` waits for time, on the lab's clock. `Hold` and `Drip` wait for the lab's `release()`.
- Only the steps that read requests or frames record what arrives.
- After `Http2` the steps that read requests read those of HTTP/2, in the order of their completion; `frames` builds
  what to send.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Protocol

from . import frames
from .connection import Connection, PeerClosed
from .conversation import Conversation
from .messages import receive, receive_body, receive_head
from .replies import Field, Request, reason


class Gate:
    """Let waiting tasks continue one by one, in the order of their arrival, as often as `let()` permits."""

    def __init__(self) -> None:
        self._permits: float = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def let(self, count: float) -> None:
        """Let `count` more tasks continue, math.inf for all. Call it in the event loop of the tasks."""
        self._permits += count
        while self._permits and self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._permits -= 1
                waiting.set_result(None)

    async def passed(self) -> None:
        """Wait for a permission to continue, and take it."""
        if self._permits:
            self._permits -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


class Dialogue:
    """Hold one connection and the state of its script."""

    def __init__(
        self,
        connection: Connection,
        requests: list[Request],
        gate: Gate,
        sleep: Callable[[float], Awaitable[object]],
        context: Callable[[tuple[str, ...]], ssl.SSLContext],
        lines: list[str],
    ) -> None:
        self.connection = connection
        self.gate = gate
        self.sleep = sleep
        self.context = context  # returns the server's TLS context that agrees to these protocols
        self.lines = lines  # one for each frame that was read
        self.request: Request | None = None  # the last one that was read
        self.http2: Conversation | None = None  # after the step `Http2`
        self._nth = 0
        self._requests = requests

    async def read(self, *, body: bool = True) -> None:
        """Read the next request, or its head only, and record it. Raises PeerClosed if there is none."""
        request: Request | None
        if self.http2 is not None:
            request = await self.http2.receive(self._nth + 1, body=body)
        else:
            request = await (receive if body else receive_head)(self.connection, self._nth + 1)
        if request is None:
            raise PeerClosed("the peer closed instead of sending a request")
        self._nth += 1
        self.request = request
        self._requests.append(request)

    async def read_body(self) -> None:
        """Read the body of the request whose head was read, and record it."""
        request = self.last_request()
        if self.http2 is not None:
            body = await self.http2.receive_body(request)
        else:
            body = await receive_body(self.connection, request)
        self.request = dataclasses.replace(request, body=body)
        self._requests[self._requests.index(request)] = self.request

    def last_request(self) -> Request:
        """Return the request that was read last. RuntimeError if there is none."""
        if self.request is None:
            raise RuntimeError("this step needs a request: have the script read one before")
        return self.request


class Step(Protocol):
    """Describe a step of a script. One object may run for any number of connections at once."""

    async def run(self, dialogue: Dialogue) -> None:
        """Run the step. OSError and PeerClosed end the script; any other exception is raised by `lab.close()`."""


class Read:
    """Read a request with its body into `lab.requests`; send 100 Continue if the request expects it."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read()


class ReadHead:
    """Read the head of a request, to answer before its body arrives."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read(body=False)


class ReadBody:
    """Read the body of the request whose head was read. RuntimeError if none was."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read_body()


class Send:
    """Send bytes as they are, or those that a function returns for the request that was read last.

    Send(response(b"hello"))                          a complete response
    Send(response(bytes(100))[:60])                   one that is cut after 60 bytes
    Send(lambda request: response(request.body))      one that depends on the request
    """

    def __init__(self, data: bytes | Callable[[Request], bytes]) -> None:
        self._bytes = data

    async def run(self, dialogue: Dialogue) -> None:
        data = self._bytes
        await dialogue.connection.send(data if isinstance(data, bytes) else data(dialogue.last_request()))


class Drip:
    """Send bytes in pieces, each when `lab.release()` permits it.

    `cuts` are the offsets at which pieces begin (0 is implied); None for one byte at a time.
    """

    def __init__(self, data: bytes, cuts: list[int] | None = None) -> None:
        self._bytes = data
        self._cuts = list(range(1, len(data))) if cuts is None else sorted(cuts)

    def pieces(self) -> Iterator[bytes]:
        """Yield the pieces; none of them is empty."""
        for start, end in zip([0, *self._cuts], [*self._cuts, len(self._bytes)], strict=True):
            if start < end:
                yield self._bytes[start:end]

    async def run(self, dialogue: Dialogue) -> None:
        for piece in self.pieces():
            await dialogue.gate.passed()
            await dialogue.connection.send(piece)


class Hold:
    """Wait until `lab.release()` is called, without reading or noticing what the peer does."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.gate.passed()


class Delay:
    """Wait for `seconds` of the lab's clock, its argument `sleep`."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.sleep(self._seconds)


class Receive:
    """Read and drop the next bytes, at least one."""

    async def run(self, dialogue: Dialogue) -> None:
        if not await dialogue.connection.receive():
            raise PeerClosed("the peer closed instead of sending anything")


class Mute:
    """Read and drop everything, and send nothing, until the peer closes."""

    async def run(self, dialogue: Dialogue) -> None:
        while await dialogue.connection.receive():
            pass


class Tls:
    """Do the TLS handshake as the server; later steps go through TLS.

    `protocols` are those that the server accepts by ALPN, the preferred one first (RFC 7301); with none it ignores the
    client's offer.
    """

    def __init__(self, *protocols: str) -> None:
        self._protocols = protocols

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.connection.start_tls(dialogue.context(self._protocols))


class Http2:
    """Begin HTTP/2: send these settings, and read the client's preface and settings (RFC 9113 s.3.4).

    While frames are read, SETTINGS and PING are acknowledged and DATA is credited, unless `answers` is False. Settings
    are given as to `frames.settings()`.
    """

    def __init__(self, *pairs: tuple[int, int], answers: bool = True, **named: int) -> None:
        self._settings = frames.settings(*pairs, **named)
        self._answers = answers
        self._table_size = named.get("header_table_size")

    async def run(self, dialogue: Dialogue) -> None:
        sizes = () if self._table_size is None else (self._table_size,)
        dialogue.http2 = Conversation(dialogue.connection, dialogue.lines, self._answers, *sizes)
        await dialogue.http2.begin(self._settings)


class ReadFrames:
    """Read HTTP/2 frames until the wanted ones have arrived, in any order; with none, until the peer closes.

    A frame is given by the first words of its line in `lab.frames()`: "HEADERS 1", "RST_STREAM 3 CANCEL". Frames that
    were read before do not count. RuntimeError without `Http2` before.
    """

    def __init__(self, *wanted: str) -> None:
        self._wanted = [each.split() for each in wanted]

    async def run(self, dialogue: Dialogue) -> None:
        conversation = dialogue.http2
        if conversation is None:
            raise RuntimeError("this step needs HTTP/2: have the script begin it with Http2()")
        missing = list(self._wanted)
        while missing or not self._wanted:
            words = (await conversation.hear()).split()
            met = next((each for each in missing if words[: len(each)] == each), None)
            if met is not None:
                missing.remove(met)


class HalfClose:
    """Send FIN, with TLS after close_notify unless `notify` is False, and stay open for reading."""

    def __init__(self, *, notify: bool = True) -> None:
        self._notify = notify

    async def run(self, dialogue: Dialogue) -> None:
        dialogue.connection.half_close(notify=self._notify)


class Close:
    """Close the connection; without close_notify if `notify` is False.

    If bytes of the peer were not read, the system sends RST: the peer may lose data that it has not read.
    `HalfClose(), Mute()` closes such that the response arrives.
    """

    def __init__(self, *, notify: bool = True) -> None:
        self._notify = notify

    async def run(self, dialogue: Dialogue) -> None:
        if self._notify:
            dialogue.connection.close()
        else:
            dialogue.connection.cut()


class Reset:
    """Close the connection with RST."""

    async def run(self, dialogue: Dialogue) -> None:
        dialogue.connection.reset()


class Tell:
    """Set a `threading.Event`, so that a test can wait until the steps before it are done."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    async def run(self, dialogue: Dialogue) -> None:
        self._event.set()


class Repeat:
    """Repeat its steps `times` times, with None until the peer closes."""

    def __init__(self, *steps: Step, times: int | None = None) -> None:
        self._steps = steps
        self._times = math.inf if times is None else times

    async def run(self, dialogue: Dialogue) -> None:
        done = 0
        while done < self._times:
            done += 1
            for step in self._steps:
                await step.run(dialogue)
            await asyncio.sleep(0)  # a socket that is always writable would keep other tasks from running


# Bytes for `Send` and `Drip`.


def response(body: bytes = b"", *fields: Field, status: int = 200, length: int | None = None) -> bytes:
    """Return a response as bytes; `length` is the value of Content-Length, None for the true one."""
    size = len(body) if length is None else length
    return _head(status, *fields, ("Content-Length", str(size))) + body


def chunked(*pieces: bytes, fields: tuple[Field, ...] = (), status: int = 200) -> bytes:
    """Return a response as bytes, with one chunk for each piece (RFC 9112 s.7.1)."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return _head(status, *fields, ("Transfer-Encoding", "chunked")) + chunks + b"0\r\n\r\n"


def redirect(location: str, *fields: Field, status: int = 302) -> bytes:
    """Return a redirect without content as bytes."""
    return response(b"", ("Location", location), *fields, status=status)


def _head(status: int, *fields: Field) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
