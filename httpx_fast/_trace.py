"""Reports the steps of a request: to `extensions={"trace": callable}` and to the DEBUG loggers.

Event names and what goes with them are httpcore's, where it has such an event: `connection.connect_tcp.started`, then
`.complete` with `{"return_value": ...}` or `.failed` with `{"exception": ...}`. Beyond that `pool.wait` and
`dns.resolve`. The rules:

1. A request that is not traced has no tracer: `journey.trace` is None, and that is all it costs.
2. The callable runs where the request's own code runs, never in a callback of an event loop, and may be `async`: what
   cannot be awaited where it happens is noted, and told, in order, when the request goes on.
3. Whether anybody listens to the loggers is asked once per request.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, cast

from ._masking import masked_field

T = TypeVar("T")


PACKAGE = "httpx_fast"
#: The logger for each first word of an event's name, but for TLS, which has its own.
LOGGERS = {
    name: logging.getLogger(f"{PACKAGE}.{name}")
    for name in ("connection", "dns", "http11", "http2", "pool", "proxy", "tls")
}
_TLS = "start_tls"


def answers_of(logger: logging.Logger) -> Callable[[int], bool | None]:
    """Return what `logger.isEnabledFor` said of a level, as the logger remembers it; None: it has to be asked.

    Loggers forget what they said when any level changes. Asking costs a request as much as ten look-ups; a logger that
    was disabled by itself may still be remembered as enabled, so only a False is the answer.
    """
    remembered: dict[int, bool] = getattr(logger, "_cache", {})
    return remembered.get


class _AnyLogger(logging.Logger):
    """Hold a level that is enabled if one of `LOGGERS` enables it; look again only after some level was changed."""

    # Set for loggers that a configuration does not name; it may name one of ours and not this.
    disabled = cast("bool", property(lambda self: False, lambda self, value: None))  # what it is to who asks a logger

    def getEffectiveLevel(self) -> int:  # noqa: N802
        return min(logger.getEffectiveLevel() for logger in LOGGERS.values())


_any_logger = logging.getLogger(f"{PACKAGE}.trace")
_any_logger.__class__ = _AnyLogger
#: Of a level; asked once per request that somebody may watch.
any_logger_listens = _any_logger.isEnabledFor
any_logger_answered = answers_of(_any_logger)


class Tracer:
    """Report the steps of one request. Of those that `started` begins one is open at a time."""

    __slots__ = ("_call", "_logs", "_noted", "_open", "request")

    def __init__(self, call: Callable[[str, dict[str, Any]], Any] | None, request: Any, logs: bool) -> None:
        #: What `started` events of a message carry as "request".
        self.request: Any = request
        self._call = call
        self._logs = logs
        self._noted: deque[tuple[str, dict[str, Any]]] = deque()
        self._open: str | None = None

    @property
    def idle(self) -> bool:
        """Return whether no step is open."""
        return self._open is None

    def note(self, name: str, info: dict[str, Any] | None = None) -> None:
        """Note an event, which is delivered when the request goes on: `deliver()`."""
        info = {} if info is None else info
        if self._logs:
            _log(name, info)
        if self._call is not None:
            self._noted.append((name, info))

    async def deliver(self) -> None:
        """Call the callable with what was noted."""
        noted, call = self._noted, self._call
        assert call is not None or not noted
        while noted:
            name, info = noted.popleft()
            told = call(name, info)  # type: ignore[misc]
            if told is not None and hasattr(told, "__await__"):
                await told

    async def started(self, name: str, info: dict[str, Any] | None = None) -> None:
        """Begin a step; `complete` or `failed` ends it."""
        self._open = name
        self.note(f"{name}.started", {"request": self.request} if info is None else info)
        await self.deliver()

    def ended(self, value: Any = None, error: BaseException | None = None) -> None:
        """End the open step, if there is one; that is delivered when the request goes on."""
        name, self._open = self._open, None
        if name is None:
            return
        if error is None:
            self.note(f"{name}.complete", {"return_value": value})
        else:
            self.note(f"{name}.failed", {"exception": error})

    async def complete(self, value: Any = None) -> None:
        """End the open step, and deliver."""
        self.ended(value)
        await self.deliver()

    async def failed(self, error: BaseException) -> None:
        """End the open step, if there is one, with an exception, and deliver."""
        self.ended(error=error)
        await self.deliver()

    def closed(self, protocol: str, reusable: bool) -> None:
        """Note the end of the response, and of its connection unless it is `reusable`."""
        self._open = None
        self.note(f"{protocol}.response_closed.started", {"request": self.request})
        if not reusable:
            self.note("connection.close.started")
            self.note("connection.close.complete", {"return_value": None})
        self.note(f"{protocol}.response_closed.complete", {"return_value": None})

    async def step(self, name: str, info: dict[str, Any], do: Callable[[], Awaitable[T]]) -> T:
        """Await `do()` as a step, which may have others in it; its result is the event's "return_value".

        The end is delivered with what comes next: the value would be lost if delivering was cancelled.
        """
        self.note(f"{name}.started", info)
        await self.deliver()
        try:
            value = await do()
        except BaseException as error:
            self.note(f"{name}.failed", {"exception": error})
            await self.deliver()
            raise
        self.note(f"{name}.complete", {"return_value": value})
        return value


def tracer(extensions: dict[str, Any] | None, request: Any) -> Tracer | None:
    """Return the tracer of a request with these extensions; None if it is not traced."""
    if extensions is None or extensions.get("trace") is None:
        return Tracer(None, request, True) if any_logger_listens(logging.DEBUG) else None
    return Tracer(extensions["trace"], request, any_logger_listens(logging.DEBUG))


def _log(name: str, info: dict[str, Any]) -> None:
    room, _, event = name.partition(".")
    logger = LOGGERS.get("tls" if event.startswith(_TLS) else room, _any_logger)
    if logger.isEnabledFor(logging.DEBUG):
        words = "".join(f" {key}={_shown(value)}" for key, value in info.items() if value is not None)
        logger.debug("%s%s", event, words)


def _shown(value: object) -> str:
    """Return the repr; of a response's head without what is secret in its fields."""
    parts = cast("tuple[object, ...]", value) if isinstance(value, tuple) else ()
    if parts and isinstance(parts[-1], list):
        lines = cast("list[tuple[bytes, bytes]]", parts[-1])
        fields = [(name, _masked(name.lower(), field)) for name, field in lines]
        return repr((*parts[:-1], fields))
    return f"{value!r}"


def _masked(name: bytes, value: bytes) -> bytes:
    return masked_field(name.decode("latin-1"), value.decode("latin-1")).encode("latin-1")
