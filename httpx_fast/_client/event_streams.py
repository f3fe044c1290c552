"""Event streams that go on where a connection ended, and that notice when no events come.

Written once for blocking and asynchronous clients. Rules:

1. An event is returned once: what a connection's end cut off is dropped by the parser, the next request names the id of
   the last whole block (Last-Event-ID), and an id that was returned before is not returned again by a later connection.
2. Only events are progress. Comments and the events that are called pings keep a connection alive, for `timeout.read`;
   the stall timer goes on. The time that the reader spends between two events is not counted.
3. What a server refuses for good is an error: another status than 200, another type of content. 204 ends the stream.
"""

from __future__ import annotations

import random
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any, Final

from .._checks import checked_amount
from .._config import timeouts_of
from .._deadline import NEVER, Deadline
from .._drive import drive
from .._exceptions import (
    EventTimeout,
    ReadTimeout,
    SSEError,
    TimeoutException,
    TransportError,
)
from .._models import Request, Response
from .._retry.backoff import retry_after
from .._retry.retrier import can_be_repeated
from .._sse import EventParser, EventSource, ServerSentEvent, check_events
from .reconnect import FINAL_ERRORS, Reconnect, check_reconnect

__all__ = ["lasting_source"]

MAX_REMEMBERED_IDS: Final = 1024  # of events, to recognize those that a server sends again; a server chooses their size
MAX_ID_SIZE: Final = 1024  # bytes of an id that is sent back; a longer one would be no header field that servers take


def check_stall(timeout: Any, pings: Any) -> tuple[float | None, frozenset[str]]:
    """Return the checked settings of the stall timer. Raises TypeError, ValueError."""
    names: Any = pings
    if isinstance(pings, str) or not isinstance(pings, Collection):
        raise TypeError(f"expected names of events as pings, got {names!r}")
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"expected names of events as pings, got {pings!r}")
    if timeout is not None:
        checked_amount(timeout, "stall_timeout", positive=True)
    return timeout, frozenset(names)


class BlockingIo:
    """Do for `Client` what depends on how a client waits; nothing of it suspends."""

    def __init__(self, client: Any, auth: Any, follow_redirects: Any) -> None:
        self.client = client
        self._auth = auth
        self._follow_redirects = follow_redirects

    async def send(self, request: Request) -> Response:
        response: Response = self.client.send(
            request, auth=self._auth, follow_redirects=self._follow_redirects, stream=True
        )
        return response

    def pieces(self, response: Response) -> Any:
        return response.iter_bytes()

    async def piece(self, pieces: Any) -> bytes:
        return next(pieces, b"")

    async def close(self, response: Response) -> None:
        response.close()


class AsyncIo(BlockingIo):
    """Do the same for `AsyncClient`."""

    async def send(self, request: Request) -> Response:
        response: Response = await self.client.send(
            request, auth=self._auth, follow_redirects=self._follow_redirects, stream=True
        )
        return response

    def pieces(self, response: Response) -> Any:
        return response.aiter_bytes()

    async def piece(self, pieces: Any) -> bytes:
        return await anext(pieces, b"")

    async def close(self, response: Response) -> None:
        await response.aclose()


class LastingEventSource(EventSource):
    """Iterate over the events of one connection after the other, once. `response` is the one that is read now."""

    def __init__(
        self,
        response: Response,
        io: BlockingIo,
        max_event_size: int | None,
        reconnect: Reconnect | None,
        stall_timeout: float | None,
        pings: frozenset[str],
        *,
        clock: Callable[[], float] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(response, max_event_size)
        self._io = io
        self._reconnect = reconnect
        self._stall = stall_timeout
        self._pings = pings
        self._clock = io.client._clock if clock is None else clock
        self._chance = chance
        self._request = request = response.request
        self._total: Deadline | None = request._dispatch.deadline
        client: Any = io.client
        if client._retrier is None:
            client._retry_by(None)  # it lets time pass, and is woken by close()
        retrier: Any = io.client._retrier
        self._closings: int = retrier.closings
        self._reader = EventParser(max_event_size)
        self._pieces: Any = None  # of this connection, once it is read
        self._ready: Iterator[ServerSentEvent] = iter(())
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._later = False  # the connection is not the first one
        self._fruitless = 0  # connections in a row without an event
        self._server_asks: float | None = None  # seconds, from `retry`
        self._given_at = self._stall_at = NEVER
        self._over = False

    def __iter__(self) -> Iterator[ServerSentEvent]:
        check_events(self._response)
        return _Events(self)

    def __aiter__(self) -> AsyncIterator[ServerSentEvent]:
        check_events(self._response)
        return _Events(self)

    async def close(self) -> None:
        """Close the response that is read now."""
        self._over = True
        await self._io.close(self._response)

    async def next_event(self) -> ServerSentEvent | None:
        """Return the next event; None after the last one."""
        if self._given_at != NEVER:
            self._stall_at += self._clock() - self._given_at
        while not self._over:
            error: TransportError | None = None
            try:
                event = await self._next_of_connection()
            except TransportError as caught:
                self._check_lasting(caught)
                event, error = None, caught
            if event is not None:
                if self._is_new(event):
                    self._given_at = self._clock()
                    return event
            elif not await self._go_on(error):
                self._over = True
        return None

    async def _next_of_connection(self) -> ServerSentEvent | None:
        """Return the next event of this connection; None when the server ended the response."""
        if self._pieces is None:
            self._pieces = self._io.pieces(self._response)
            self._restart_stall_timer()
        parser = self._reader
        while True:
            try:
                event = next(self._ready, None)
            except SSEError as error:
                error._request = self._request
                raise
            finally:
                if parser.reconnect_after is not None:
                    self._server_asks = parser.reconnect_after / 1000
            if event is not None:
                return event
            if self._clock() >= self._stall_at:
                raise self._stalled()
            self._limit_wait()
            try:
                piece = await self._io.piece(self._pieces)
            except ReadTimeout as error:
                if error.limit == "total" and self._clock() >= self._stall_at:
                    raise self._stalled() from error
                raise
            if not piece:
                return None
            self._ready = parser.feed(piece)

    def _is_new(self, event: ServerSentEvent) -> bool:
        """Note an event; return False for one that an earlier connection brought."""
        if self._reader.own_id and event.id and self._reconnect is not None:
            if self._later and event.id in self._seen:
                return False
            self._seen[event.id] = None
            if len(self._seen) > MAX_REMEMBERED_IDS:
                self._seen.popitem(last=False)
        if event.event not in self._pings:
            self._fruitless = 0
            self._restart_stall_timer()
        if self._reconnect is not None and event.data == self._reconnect.final:
            self._over = True
        return True

    def _restart_stall_timer(self) -> None:
        if self._stall is not None:
            self._stall_at = self._clock() + self._stall

    def _limit_wait(self) -> None:
        """Have the network end a wait for bytes when the stall timer does; other transports know no such limit."""
        limit: Callable[[Deadline], None] | None = getattr(self._response.stream, "set_deadline", None)
        if self._stall is None or limit is None:
            return
        total = self._total
        if total is not None and total.on(self._clock).at <= self._stall_at:
            limit(total)
        else:
            limit(Deadline(self._stall_at - self._clock()))

    def _stalled(self) -> EventTimeout:
        """Return the error of a stream on which no event came in time."""
        assert self._stall is not None
        waited = self._clock() - self._stall_at + self._stall
        error = EventTimeout(
            f"no event came from {self._request.url._origin} in {waited:.3g} s of stall_timeout={self._stall:.3g} s",
            request=self._request,
        )
        error.phase = error.limit = "event"
        error.elapsed, error.budget = waited, self._stall
        error.journey = self._response.journey
        return error

    def _check_lasting(self, error: TransportError) -> None:
        """Raise an error that another connection does not mend."""
        if self._reconnect is None or isinstance(error, (*FINAL_ERRORS, SSEError)):
            raise error
        self._check_total(0.0, error)

    def _check_total(self, seconds: float, error: TransportError | None) -> None:
        """Raise the timeout of the whole if it comes within `seconds`."""
        total = self._total
        if total is None or self._clock() + seconds < total.on(self._clock).at:
            return
        if isinstance(error, TimeoutException) and error.limit == "total":
            raise error
        timeout = total.expired("read", total.at, f"{self._request.url._origin}: the stream of events had not ended")
        timeout._request, timeout.journey = self._request, self._response.journey
        raise timeout from error

    async def _go_on(self, error: TransportError | None) -> bool:
        """Request the stream once more; return False if it is over. Raises `error` if that is not to be done."""
        rule = self._reconnect
        await self._io.close(self._response)
        at_end = rule is not None and (self._request.method == "GET" if rule.at_end is None else rule.at_end)
        if rule is None or (error is None and not at_end):
            return False
        if not can_be_repeated(self._request):
            return _give_up(error, "its body can be read only once")
        self._reader, self._ready = EventParser(self._max_event_size, self._reader.last_id), iter(())
        self._pieces = None
        asked: float | None = None
        while True:
            self._fruitless += 1
            if rule.attempts is not None and self._fruitless > rule.attempts:
                return _give_up(error, f"{rule.attempts} connections in a row brought no event")
            await self._pause(rule, asked, error)
            try:
                response = await self._io.send(self._next_request())
            except TransportError as caught:
                self._check_lasting(caught)
                error, asked = caught, None
                continue
            if response.status_code in rule.statuses:
                asked = retry_after(response.headers.get("retry-after"), time.time())
                await self._io.close(response)
                error = SSEError(
                    f"the server answered {response.status_code} to a request for further events", request=self._request
                )
                error.journey = response.journey
                continue
            self._response, self._later = response, True
            if response.status_code == 204:  # as the HTML standard has it: do not come back
                await self._io.close(response)
                return False
            try:
                check_events(response)
            except SSEError:
                await self._io.close(response)
                raise
            return True

    async def _pause(self, rule: Reconnect, asked: float | None, error: TransportError | None) -> None:
        """Wait before the next request. Raises ClientClosed; ReadTimeout if the total would run out meanwhile."""
        seconds = rule.pause(self._fruitless, self._chance(), self._server_asks, asked)
        self._check_total(seconds, error)
        if seconds:
            self._request._dispatch = self._request._dispatch.until(self._total)  # what the pause counts against
            await self._io.client._retrier.pause(self._request, seconds, self._closings, self._response.journey)

    def _next_request(self) -> Request:
        """Return the request for what comes after the last event, with what is left of the total."""
        request = self._request
        last = self._reader.last_id
        if last and len(last.encode()) <= MAX_ID_SIZE:
            request.headers.update({b"Last-Event-ID": last.encode()})
        if self._total is not None:
            left = max(self._total.on(self._clock).at - self._clock(), 0.001)
            timeouts = {**timeouts_of(request), "total": left}
            request.extensions = {**request.extensions, "timeout": timeouts}
        return request


class _Events:
    """Iterate without a generator, for the reason that `body_iterators.AsyncPieces` gives."""

    def __init__(self, source: LastingEventSource) -> None:
        self._source = source

    def __iter__(self) -> _Events:
        return self

    def __aiter__(self) -> _Events:
        return self

    def __next__(self) -> ServerSentEvent:
        event = drive(self._source.next_event())
        if event is None:
            raise StopIteration
        return event

    async def __anext__(self) -> ServerSentEvent:
        event = await self._source.next_event()
        if event is None:
            raise StopAsyncIteration
        return event


def lasting_source(
    io: BlockingIo, max_event_size: int | None, reconnect: Any, stall_timeout: Any, pings: Any
) -> Callable[[Response], LastingEventSource]:
    """Check the settings, and return what makes the source of a response. Raises TypeError, ValueError."""
    rule = check_reconnect(reconnect)
    stall, names = check_stall(stall_timeout, pings)

    def source(response: Response) -> LastingEventSource:
        return LastingEventSource(response, io, max_event_size, rule, stall, names)

    return source


def _give_up(error: TransportError | None, why: str) -> bool:
    """Raise `error` with a note; return False if the stream just ended."""
    if error is None:
        return False
    error.add_note(f"The stream of events was not requested again: {why}.")
    raise error
