"""Make our loggers handle the names of the loggers that `alias()` replaces.

A program that configures `logging.getLogger("httpx")` means the client that it imports as httpx. So with the alias:

1. A record carries the replaced name, reaches the handlers of both names, and each handler once.
2. The level of our own logger counts, then that of the replaced one, then the root's. Filters of both apply.
3. A disabled logger silences ours, unless the other one is enabled and was configured: `dictConfig` disables all
   loggers that it does not name.
4. DEBUG records belong to httpcore's loggers. A level of `httpx` alone can silence them too, but not cause them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any, cast

from .._trace import LOGGERS, PACKAGE

__all__ = ["answer_to"]

#: httpcore's names of our loggers, where they differ.
_CORE_NAMES = {"tls": "connection"}


def answer_to(name: str, core: str | None) -> None:
    """Make our loggers handle `name` ("httpx"), and those of DEBUG records `core` ("httpcore"), if given."""
    _aliased(logging.getLogger(PACKAGE))._add(logging.getLogger(name), None)
    for room, logger in LOGGERS.items():
        named = None if core is None else logging.getLogger(f"{core}.{_CORE_NAMES.get(room, room)}")
        _aliased(logger)._add(named, logging.getLogger(name))
    # Cached levels are no longer valid.
    cast("Any", logging.Logger.manager)._clear_cache()


class AliasedLogger(logging.Logger):
    """Log under the names of others, too. `answer_to` changes an existing logger to this class."""

    _others: tuple[logging.Logger, ...] = ()
    #: Loggers whose level silences this one if it has no level of its own.
    _louder: tuple[logging.Logger, ...] = ()
    _disabled = False

    def _add(self, other: logging.Logger | None, louder: logging.Logger | None) -> None:
        if other is not None and other not in self._others:
            self._others += (other,)
        if louder is not None and louder not in self._louder:
            self._louder += (louder,)

    def _is_disabled(self) -> bool:
        states = [(self._disabled, self), *((other.disabled, other) for other in self._others)]
        return any(off for off, _ in states) and not any(
            not off and (each.handlers or each.level or each.filters) for off, each in states
        )

    def _set_disabled(self, value: bool) -> None:
        self._disabled = bool(value)

    disabled = cast("bool", property(_is_disabled, _set_disabled))  # the value that other code sees

    def getEffectiveLevel(self) -> int:  # noqa: N802
        for start in (self, *self._others):
            for logger in _up_from(start):
                if logger.level:
                    return logger.level
        return max(self.root.level, *(logger.level for logger in self._louder), 0)

    def filter(self, record: logging.LogRecord) -> Any:
        passed: Any = super().filter(record)
        for other in self._others:
            if not passed:
                break
            # From Python 3.12 on a filter may replace the record.
            record = passed if isinstance(passed, logging.LogRecord) else record
            passed = other.filter(record)
        return passed

    def makeRecord(self, name: str, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: N802
        return super().makeRecord(self._others[0].name if self._others else name, *args, **kwargs)

    def hasHandlers(self) -> bool:  # noqa: N802
        return bool(self._all_handlers())

    def callHandlers(self, record: logging.LogRecord) -> None:  # noqa: N802
        found = self._all_handlers()
        if not found and (last_resort := logging.lastResort) is not None:
            found = [last_resort]
        for handler in found:
            if record.levelno >= handler.level:
                handler.handle(record)

    def _all_handlers(self) -> list[logging.Handler]:
        """Return the handlers of a record, each once."""
        found: dict[int, logging.Handler] = {}
        propagates = True
        for start in (self, *self._others):
            for logger in _up_from(start):
                found.update((id(handler), handler) for handler in logger.handlers)
                if not logger.propagate:
                    propagates = False
                    break
            if start is self and not propagates:
                break
        if propagates:
            found.update((id(handler), handler) for handler in self.root.handlers)
        return list(found.values())


def _up_from(logger: logging.Logger) -> Iterator[logging.Logger]:
    """Yield a logger and its parents, except for the root."""
    while logger.parent is not None:
        yield logger
        logger = logger.parent


def _aliased(logger: logging.Logger) -> AliasedLogger:
    """Return the same logger with other names; its own class, which the program may have chosen, stays a base."""
    if not isinstance(logger, AliasedLogger):
        disabled = logger.__dict__.pop("disabled", False)
        kind = type(logger)
        logger.__class__ = AliasedLogger if kind is logging.Logger else type(kind.__name__, (AliasedLogger, kind), {})
        logger.disabled = disabled
    return cast("AliasedLogger", logger)
