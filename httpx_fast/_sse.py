"""Server-sent events: a parser from bytes to events, and the object that `client.sse()` yields.

The format is that of the WHATWG HTML standard, section "Server-sent events": UTF-8 whatever Content-Type says, lines
that end by LF, CR or CR LF, an event at each empty line; an incomplete event at the end is dropped. The rules:

1. An event is returned as soon as its last byte is there: a CR ends a line before it is known whether LF follows.
2. Each byte is examined once, however small the pieces are, and the memory of an event is limited.
3. A block without data is no event: its `id` and `retry` count, and nothing is returned. So `event.json()` always has
   something to parse. httpx2 returns such blocks, whose `json()` then fails.
"""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from ._checks import checked_count
from ._config import DEFAULT_MAX_EVENT_SIZE_BYTES
from ._exceptions import SSEError, shown
from ._models import Headers, Response
from ._models.headers import HeaderTypes

__all__ = ["EventSource", "SSEError", "ServerSentEvent"]

_LINE_END = re.compile(rb"\r\n|\n|\r")
# The standard says NUL; an id with one of these could not be sent back either.
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class ServerSentEvent:
    """Represent one event.

    `id` is the last one of the stream, set by this or an earlier event; `retry` is milliseconds, if the event set it.

    ```python
    event = ServerSentEvent(event="price", data='{"eur": 12}')
    assert event.json() == {"eur": 12}
    ```
    """

    event: str = "message"
    data: str = ""
    id: str = ""
    retry: int | None = None

    def json(self) -> object:
        """Return the data parsed as JSON; exceptions are those of `json.loads`."""
        return jsonlib.loads(self.data)


class EventParser:
    """Parse one stream. `max_event_size` limits the bytes of an event's lines; None for no limit.

    `last_id` is the last one, of a block that has ended; give it to the parser of a stream that goes on. `own_id` says
    whether the last event is the first with its id, `reconnect_after` is the last `retry`, in milliseconds.
    """

    def __init__(self, max_event_size: int | None = None, last_id: str = "") -> None:
        self.last_id = last_id
        self.own_id = False
        self.reconnect_after: int | None = None
        self._limit: int | None = checked_count(max_event_size, "max_event_size", 1, "no limit")
        self._started = False
        self._after_cr = False  # a following LF belongs to the CR before it
        self._line: list[bytes] = []  # an incomplete line
        self._line_size = 0
        self._size = 0  # bytes of the event's complete lines
        self._event = ""
        self._data: list[str] = []
        self._id: str | None = None
        self._new_id = False  # since the last event
        self._retry: int | None = None

    def feed(self, data: bytes) -> Iterator[ServerSentEvent]:
        """Yield the events that `data` completes. Exhaust the iterator. Raises SSEError for too large events."""
        if self._after_cr and data:
            self._after_cr = False
            if data[:1] == b"\n":
                data = data[1:]
        if not data:
            return
        self._after_cr = data[-1:] == b"\r"
        *lines, rest = _LINE_END.split(data)
        if lines and self._line:
            lines[0] = b"".join([*self._line, lines[0]])
            self._line = []
            self._line_size = 0
        for line in lines:
            if not self._started:
                self._started = True
                line = line.removeprefix(_BOM)
            if line:
                self._read(line)
            elif (event := self._end_block()) is not None:
                yield event
        if rest:
            self._line.append(rest)
            self._line_size += len(rest)
            self._check(self._size + self._line_size)

    def _end_block(self) -> ServerSentEvent | None:
        """Return the event that an empty line ends; None if the block has no data."""
        event = None
        if self._id is not None:
            self.last_id = self._id
            self._new_id = True
        if self._data:
            self.own_id, self._new_id = self._new_id, False
            event = ServerSentEvent(self._event or "message", "\n".join(self._data), self.last_id, self._retry)
            self._data = []
        self._event = ""
        self._id = self._retry = None
        self._size = 0
        return event

    def _read(self, line: bytes) -> None:
        """Process a line that is not empty."""
        if line[:1] == b":":  # a comment, which keeps the connection open
            return
        self._size += len(line)
        self._check(self._size)
        raw, _, field = line.partition(b":")
        value = field[field[:1] == b" " :].decode("utf-8", "replace")
        if raw == b"data":
            self._data.append(value)
        elif raw == b"event":
            self._event = value
        elif raw == b"id" and not _CONTROLS.search(value):
            # It is sent back as Last-Event-ID; blanks at the ends are no part of a field value (RFC 9110 s.5.5).
            self._id = value.strip(" \t")
        elif raw == b"retry" and value.isascii() and value.isdigit():
            self._retry = self.reconnect_after = _milliseconds(value)

    def _check(self, size: int) -> None:
        if self._limit is not None and size > self._limit:
            raise SSEError(f"a server-sent event has more than max_event_size={self._limit} bytes")


def _milliseconds(digits: str) -> int:
    # A longer number has no practical meaning, and parsing it would cost quadratic time.
    return int(digits[:18])


class EventSource:
    """Iterate over the events of a response with `for` or `async for`, once."""

    def __init__(self, response: Response, max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE_BYTES) -> None:
        self._response = response
        self._max_event_size: int | None = checked_count(max_event_size, "max_event_size", 1, "no limit")

    @property
    def response(self) -> Response:
        """Return the response whose body contains the events."""
        return self._response

    def __iter__(self) -> Iterator[ServerSentEvent]:
        return _Events(self._parser(), self._response)

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        return _AsyncEvents(self._parser(), self._response)

    def _parser(self) -> EventParser:
        """Return a parser. Raises SSEError for a response that is no stream of events."""
        check_events(self._response)
        return EventParser(self._max_event_size)


def check_events(response: Response) -> None:
    """Raise SSEError for a response that is no stream of events."""
    content_type = response.headers.get("content-type", "")
    if content_type.partition(";")[0].strip().lower() != "text/event-stream":
        seen = f"Content-Type {shown(content_type.encode())}" if content_type else "no Content-Type"
        raise SSEError(
            f"the response ({response.status_code}) has {seen}; expected text/event-stream",
            request=response._request,
        )


class _Source:
    """Hold the events of the last piece, and the source of further pieces."""

    def __init__(self, parser: EventParser, response: Response) -> None:
        self._parser = parser
        self._response = response
        self._ready: Iterator[ServerSentEvent] = iter(())

    def _next_ready(self) -> ServerSentEvent | None:
        try:
            return next(self._ready, None)
        except SSEError as error:
            error._request = self._response._request
            raise


class _Events(_Source):
    def __init__(self, parser: EventParser, response: Response) -> None:
        super().__init__(parser, response)
        self._pieces = response.iter_bytes()

    def __iter__(self) -> _Events:
        return self

    def __next__(self) -> ServerSentEvent:
        while (event := self._next_ready()) is None:
            self._ready = self._parser.feed(next(self._pieces))
        return event


class _AsyncEvents(_Source):
    """Iterate without a generator, for the reason that `body_iterators.AsyncPieces` gives."""

    def __init__(self, parser: EventParser, response: Response) -> None:
        super().__init__(parser, response)
        self._pieces = response.aiter_bytes()

    def __aiter__(self) -> _AsyncEvents:
        return self

    async def __anext__(self) -> ServerSentEvent:
        while (event := self._next_ready()) is None:
            self._ready = self._parser.feed(await anext(self._pieces))
        return event

    async def aclose(self) -> None:
        """Close the source; the remaining events are lost."""
        await self._pieces.aclose()


def request_headers(headers: HeaderTypes | None) -> Any:
    """Return `headers` with the fields that a request for events adds."""
    return Headers({"Accept": "text/event-stream", "Cache-Control": "no-store"}) | Headers(headers)
