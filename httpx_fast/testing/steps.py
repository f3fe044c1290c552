"""What a scripted server does, step by step. A script is a sequence of steps for one connection.

    Read(), Send(response(b"hello"))                       answers one request, then closes
    Tls(), Repeat(Read(), Send(response()))                a good server, over TLS
    Read(), Send(response(bytes(100))[:60]), Reset()       resets the connection after byte 60
    Mute()                                                 accepts and says nothing; to https, TLS without a handshake
    Tls("h2"), Http2(), Repeat(Read(), Send(frames.response(b"hello")))   a good server of HTTP/2
    Http2(), ReadFrames("HEADERS 3"), Send(frames.goaway(1)), ReadFrames()     takes one of two requests, without TLS

Rules:

- A step ends when the peer goes away, and the script with it: peers may. After the last step the connection is closed.
- Nothing waits for time but `Delay`, whose clock is the lab's. `Hold` and `Drip` wait for the lab's `release()`.
- What arrives is written down by the steps that read requests or frames, and by no other.
- After `Http2` the steps that read requests read those of HTTP/2, each complete one in turn; `frames` has what to send.
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
    """Lets those who wait pass one by one, in the order in which they came, as often as it was told to."""

    def __init__(self) -> None:
        self._permits: float = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def let(self, count: float) -> None:
        """Lets `count` more pass, math.inf for all. To be called in the loop of those who wait."""
        self._permits += count
        while self._permits and self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                self._permits -= 1
                waiting.set_result(None)

    async def passed(self) -> None:
        """Waits for leave to pass, and uses it up."""
        if self._permits:
            self._permits -= 1
            return
        waiting = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        await waiting


class Dialogue:
    """One connection, and what its script knows of it."""

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
        self.context = context  # of the server side, for TLS that offers these protocols
        self.lines = lines  # of frames that were heard
        self.request: Request | None = None  # what was read last
        self.http2: Conversation | None = None  # once HTTP/2 is spoken
        self._nth = 0
        self._requests = requests

    async def read(self, *, body: bool = True) -> None:
        """Reads the next request, or its head only, and writes it down. Raises PeerClosed if there is none."""
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
        """Reads the body of the request whose head was read, and writes it down with that."""
        request = self.last_request()
        if self.http2 is not None:
            body = await self.http2.receive_body(request)
        else:
            body = await receive_body(self.connection, request)
        self.request = dataclasses.replace(request, body=body)
        self._requests[self._requests.index(request)] = self.request

    def last_request(self) -> Request:
        """What was read last. RuntimeError when nothing was."""
        if self.request is None:
            raise RuntimeError("this step needs a request: have the script read one before")
        return self.request


class Step(Protocol):
    """What a server does next; one object may serve any number of connections."""

    async def run(self, dialogue: Dialogue) -> None:
        """Does it. OSError and PeerClosed end the script quietly, any other exception fails the lab."""


class Read:
    """Reads a request with its body; says 100 Continue where that is expected."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read()


class ReadHead:
    """Reads the head of a request, to answer before its body."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read(body=False)


class ReadBody:
    """Reads the body of the request whose head was read."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.read_body()


class Send:
    """Sends bytes as they are, or those that a function gives for the request that was read last."""

    def __init__(self, data: bytes | Callable[[Request], bytes]) -> None:
        self._bytes = data

    async def run(self, dialogue: Dialogue) -> None:
        data = self._bytes
        await dialogue.connection.send(data if isinstance(data, bytes) else data(dialogue.last_request()))


class Drip:
    """Sends bytes in pieces, each when the lab releases it.

    `cuts` are the offsets at which pieces begin (0 is understood); None for one byte at a time.
    """

    def __init__(self, data: bytes, cuts: list[int] | None = None) -> None:
        self._bytes = data
        self._cuts = list(range(1, len(data))) if cuts is None else sorted(cuts)

    def pieces(self) -> Iterator[bytes]:
        """The bytes, cut; none of the pieces is empty."""
        for start, end in zip([0, *self._cuts], [*self._cuts, len(self._bytes)], strict=True):
            if start < end:
                yield self._bytes[start:end]

    async def run(self, dialogue: Dialogue) -> None:
        for piece in self.pieces():
            await dialogue.gate.passed()
            await dialogue.connection.send(piece)


class Hold:
    """Does nothing, and notices nothing, until the lab releases it."""

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.gate.passed()


class Delay:
    """Does nothing for `seconds` of the lab's clock."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.sleep(self._seconds)


class Receive:
    """Takes what comes next, at least one byte, whatever it is."""

    async def run(self, dialogue: Dialogue) -> None:
        if not await dialogue.connection.receive():
            raise PeerClosed("the peer closed instead of sending anything")


class Mute:
    """Takes whatever comes and says nothing, until the peer closes."""

    async def run(self, dialogue: Dialogue) -> None:
        while await dialogue.connection.receive():
            pass


class Tls:
    """Shakes hands as the TLS server; all that follows goes through TLS.

    `protocols` are those that it agrees to, the preferred one first (RFC 7301); with none it ignores the offer.
    """

    def __init__(self, *protocols: str) -> None:
        self._protocols = protocols

    async def run(self, dialogue: Dialogue) -> None:
        await dialogue.connection.start_tls(dialogue.context(self._protocols))


class Http2:
    """Begins HTTP/2: says these settings, and reads the client's preface and settings.

    What a server has to answer is answered while frames are read, unless `answers` is False: settings, pings, and DATA
    by credit. Settings are given as to `frames.settings()`.
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
    """Reads frames of HTTP/2 until these have come, in any order; with none, until the peer goes away.

    Each is told by the first words of its line, as `lab.frames()` has it: "HEADERS 1", "RST_STREAM 3 CANCEL". Frames
    that were read before do not count.
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
    """Says that nothing more comes (FIN; with close_notify, unless `notify` is False), and leaves the rest open."""

    def __init__(self, *, notify: bool = True) -> None:
        self._notify = notify

    async def run(self, dialogue: Dialogue) -> None:
        dialogue.connection.half_close(notify=self._notify)


class Close:
    """Closes the connection; without close_notify if `notify` is False.

    If the peer has sent what was not read the system makes a reset of it: the peer may lose what it has not read.
    `HalfClose(), Mute()` is how to close so that the answer arrives.
    """

    def __init__(self, *, notify: bool = True) -> None:
        self._notify = notify

    async def run(self, dialogue: Dialogue) -> None:
        if self._notify:
            dialogue.connection.close()
        else:
            dialogue.connection.cut()


class Reset:
    """Ends the connection with RST."""

    async def run(self, dialogue: Dialogue) -> None:
        dialogue.connection.reset()


class Tell:
    """Sets an event: the steps before it are done."""

    def __init__(self, event: threading.Event) -> None:
        self._event = event

    async def run(self, dialogue: Dialogue) -> None:
        self._event.set()


class Repeat:
    """Does its steps again and again: `times`, or None until the peer goes away."""

    def __init__(self, *steps: Step, times: int | None = None) -> None:
        self._steps = steps
        self._times = math.inf if times is None else times

    async def run(self, dialogue: Dialogue) -> None:
        done = 0
        while done < self._times:
            done += 1
            for step in self._steps:
                await step.run(dialogue)
            await asyncio.sleep(0)  # a socket that always takes more would let nobody else have a turn


# Bytes for `Send` and `Drip`.


def response(body: bytes = b"", *fields: Field, status: int = 200, length: int | None = None) -> bytes:
    """A response; `length` is what its Content-Length says, None for the truth."""
    size = len(body) if length is None else length
    return _head(status, *fields, ("Content-Length", str(size))) + body


def chunked(*pieces: bytes, fields: tuple[Field, ...] = (), status: int = 200) -> bytes:
    """A response with one chunk for each piece (RFC 9112 s.7.1)."""
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces if piece)
    return _head(status, *fields, ("Transfer-Encoding", "chunked")) + chunks + b"0\r\n\r\n"


def redirect(location: str, *fields: Field, status: int = 302) -> bytes:
    """A redirect without content."""
    return response(b"", ("Location", location), *fields, status=status)


def _head(status: int, *fields: Field) -> bytes:
    lines = [f"HTTP/1.1 {status} {reason(status)}", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
