"""The settings by which event streams and WebSockets are opened again, and how long to wait before that.

One vocabulary for both: what differs is what counts as progress, and what ends a connection properly.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from .._checks import checked_amount, checked_codes, checked_count
from .._exceptions import ClientClosed, PoolTimeout, UnsupportedProtocol
from .._retry.backoff import backoff
from .._retry.settings import STATUSES, checked_statuses

__all__ = ["Reconnect", "check_reconnect"]

#: Errors that another connection does not mend, or that the user asked for.
FINAL_ERRORS: Final = (ClientClosed, PoolTimeout, UnsupportedProtocol)
#: Codes with which a server closes a WebSocket that may be opened again (RFC 6455 s.7.4.1, and IANA's registry): it
#: goes away, met an error, is restarted, is overloaded, or a gateway has lost it.
CLOSE_CODES: Final = frozenset({1001, 1011, 1012, 1013, 1014})
_DOUBLINGS: Final = 16  # of what the server asked for; more is beyond `backoff_max` anyway


@dataclass(frozen=True, kw_only=True)
class Reconnect:
    """Say how `client.sse(reconnect=...)` and `client.websocket_sessions(...)` go on after a connection has ended.

    - `attempts`: connections in a row that bring no event or message, after which the last error is raised; None for no
      limit.
    - `backoff`, `backoff_max`: before the n-th of them a random time between 0 and `backoff * 2 ** (n - 1)` seconds
      passes, at most `backoff_max`. Once the server of an event stream has sent `retry`, that many milliseconds pass
      instead, doubled each time.
    - `retry_max`: seconds; a server's `retry` or Retry-After that asks for more is taken for this.
    - `statuses`: answers to a new request after which it is sent again.
    - `at_end`: whether to go on when the server ended the stream properly, or closed the WebSocket with code 1000 or
      none. None for "if the method is GET" of an event stream: that of a POST is the answer to one question; and for no
      with a WebSocket.
    - `final`: the data of the event after which nothing is expected, as "[DONE]"; that event is returned too. For event
      streams only.
    - `close_codes`: codes with which a WebSocket may be closed that is opened again. A connection that broke always is.
    """

    attempts: int | None = 10
    backoff: float = 1.0
    backoff_max: float = 30.0
    retry_max: float = 60.0
    statuses: Collection[int] = STATUSES
    at_end: bool | None = None
    final: str | None = None
    close_codes: Collection[int] = CLOSE_CODES

    def __post_init__(self) -> None:
        checked_count(self.attempts, "attempts", 1, "no limit")
        for name in ("backoff", "backoff_max", "retry_max"):
            checked_amount(getattr(self, name), name)
        if self.at_end is not None and not isinstance(self.at_end, bool):
            raise TypeError(f"expected True, False or None as at_end, got {self.at_end!r}")
        if self.final is not None and not isinstance(self.final, str):
            raise TypeError(f"expected the data of an event or None as final, got {self.final!r}")
        object.__setattr__(self, "statuses", checked_statuses(self.statuses))
        object.__setattr__(
            self, "close_codes", checked_codes(self.close_codes, "close_codes", "close codes", 1000, 4999)
        )

    def pause(self, nth: int, chance: float, server_asks: float | None = None, asked: float | None = None) -> float:
        """Return the seconds before the n-th connection in a row; `chance` is a random number from 0 to 1.

        `server_asks` are the seconds of an event stream's `retry`, `asked` those of Retry-After.
        """
        if server_asks is None:
            seconds = backoff(nth, self.backoff, self.backoff_max, chance)
        else:
            least = min(server_asks, self.retry_max)
            seconds = min(least * 2.0 ** min(nth - 1, _DOUBLINGS), max(self.backoff_max, least))
        return seconds if asked is None else max(seconds, min(asked, self.retry_max))


def check_reconnect(value: Any) -> Reconnect | None:
    """Return the settings that `reconnect` stands for; None if there is nothing to do. Raises TypeError."""
    if value is None or value is False:
        return None
    if value is True:
        return Reconnect()
    if not isinstance(value, Reconnect):
        raise TypeError(f"expected True, False or a Reconnect as reconnect, got {value!r}")
    return value
