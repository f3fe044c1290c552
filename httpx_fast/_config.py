"""The settings of a client: timeouts, limits and proxies. TLS contexts are made in `_trust`.

Values are checked in the constructors, so that a mistake raises where it was made and not in the middle of a request.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeAlias, Union, cast

from ._checks import checked_amount, checked_count, checked_interval, checked_items, checked_seconds
from ._deadline import Deadline, RequestTimeouts
from ._kernel.constants import LARGEST_HEAD_SIZE
from ._late_fields import LateFields
from ._models.headers import Headers, HeaderTypes
from ._tcp_keepalive import TCPKeepAlive
from ._trust import create_ssl_context
from ._urls import URL

if TYPE_CHECKING:
    import ssl
    from dataclasses import Field

__all__ = ["Limits", "Proxy", "TCPKeepAlive", "Timeout", "create_ssl_context"]

#: Seconds for all phases, or for connect, read, write and pool.
TimeoutTypes: TypeAlias = Union["Timeout", tuple[float | None, float | None, float | None, float | None], float, None]
ProxyTypes: TypeAlias = Union["URL", str, "Proxy"]


#: Seconds for which a client waits for 100 (Continue), if it asks for that, before it sends the body all the same.
DEFAULT_EXPECT_CONTINUE_SECONDS = 1.0
#: Seconds over which the bytes of `Timeout(min_rate=)` are counted, unless set.
DEFAULT_RATE_WINDOW_SECONDS = 30.0


class UnsetType:
    """Mark an argument as not given (`UNSET`); None stands for "no timeout"."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = UnsetType()

_Seconds: TypeAlias = float | None


def _settings_of(settings: object) -> dict[str, Any]:
    """Return what was set, without what others put into an object: SDKs give `__module__` to all that they export."""
    return {name: value for name, value in settings.__dict__.items() if name[:1] != "_"}


class Timeout:
    """Set how long to wait, in seconds, in each phase of a request; None waits without limit.

    - `connect`: DNS, TCP, TLS and every proxy hop together.
    - `read`: for the next bytes of the response.
    - `write`: for the peer to take the next bytes of the request.
    - `pool`: for a connection to become free.
    - `first_byte`: from the end of sending to the head of the final response; `read` then applies after that head.
    - `total`: for the whole of a `send()`: all phases, redirects, authentication, retries, and the body to its
      last byte, streamed or not. It limits the others, and nothing restarts it.
    - `min_rate`: no seconds, but bytes per second, which a body has to come or go with at least: `ReadTimeout` or
      `WriteTimeout` once it was slower over `rate_window` seconds of waiting for the peer, 30 unless set.
    - `expect_continue`: for 100 (Continue), where a client asks for it; the body is sent after that all the same.

    The first argument is for the four phases, or a tuple of two to four in that order (None for those left out), or
    another Timeout. Keywords override it. Without it all four phases are required, unless `total` is given: then only
    that limits the missing ones. Raises TypeError, ValueError.

    ```python
    httpx.Timeout(5, connect=2, total=30)
    ```
    """

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    # The repr is httpx's where these are not set. No defaults here: see `Request`.
    total: float | None
    first_byte: float | None
    expect_continue: float | None
    min_rate: float | None
    rate_window: float

    __match_args__ = ("connect", "read", "write", "pool", "total", "first_byte")
    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = LateFields()
        __dataclass_params__ = LateFields()

    def __init__(
        self,
        timeout: TimeoutTypes | UnsetType = UNSET,
        *,
        connect: float | UnsetType | None = UNSET,
        read: float | UnsetType | None = UNSET,
        write: float | UnsetType | None = UNSET,
        pool: float | UnsetType | None = UNSET,
        total: float | UnsetType | None = UNSET,
        first_byte: float | UnsetType | None = UNSET,
        expect_continue: float | UnsetType | None = UNSET,
        min_rate: float | UnsetType | None = UNSET,
        rate_window: float | UnsetType = UNSET,
    ) -> None:
        self.total = self.first_byte = None
        self.expect_continue = DEFAULT_EXPECT_CONTINUE_SECONDS
        self.min_rate = None
        self.rate_window = DEFAULT_RATE_WINDOW_SECONDS
        # The common case first: each request may come with a timeout.
        if timeout.__class__ is float or timeout.__class__ is int:
            self.connect = self.read = self.write = self.pool = checked_seconds(timeout, "timeout")
        elif isinstance(timeout, UnsetType):
            if UNSET in (connect, read, write, pool):
                if total is UNSET or total is None:
                    raise ValueError(
                        "expected a timeout for all phases, or connect, read, write and pool, or a total; some are "
                        "missing"
                    )
                self.connect = self.read = self.write = self.pool = None
        else:
            self.connect, self.read, self.write, self.pool = _for_phases(timeout)
            if isinstance(timeout, Timeout):
                self.total, self.first_byte = timeout.total, timeout.first_byte
                self.expect_continue = timeout.expect_continue
                self.min_rate, self.rate_window = timeout.min_rate, timeout.rate_window
        if not isinstance(connect, UnsetType):
            self.connect = checked_seconds(connect, "connect")
        if not isinstance(read, UnsetType):
            self.read = checked_seconds(read, "read")
        if not isinstance(write, UnsetType):
            self.write = checked_seconds(write, "write")
        if not isinstance(pool, UnsetType):
            self.pool = checked_seconds(pool, "pool")
        if not isinstance(total, UnsetType):
            self.total = checked_seconds(total, "total")
        if not isinstance(first_byte, UnsetType):
            self.first_byte = checked_seconds(first_byte, "first_byte")
        if not isinstance(expect_continue, UnsetType):
            self.expect_continue = checked_seconds(expect_continue, "expect_continue")
        if min_rate is not UNSET or rate_window is not UNSET:
            self._set_rate(min_rate, rate_window)

    def _set_rate(self, least: Any, window: Any) -> None:
        if least is not UNSET:
            self.min_rate = _rate(least)
            if self.min_rate is None:
                self.rate_window = DEFAULT_RATE_WINDOW_SECONDS
        if window is not UNSET:
            if self.min_rate is None and window != DEFAULT_RATE_WINDOW_SECONDS:
                raise ValueError(f"expected a min_rate with rate_window={window!r}, got none")
            self.rate_window = _window(window)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _settings_of(self) == _settings_of(other)

    def as_dict(self) -> dict[str, float | None]:
        """Return the seconds by phase, as a request's extensions contain them; the others that httpx lacks if set."""
        return {"connect": self.connect, "read": self.read, "write": self.write, "pool": self.pool} | self._beyond()

    def _beyond(self) -> dict[str, float | None]:
        """Return the settings that httpx does not have, if set."""
        granted: dict[str, float | None] = {"total": self.total, "first_byte": self.first_byte}
        found: dict[str, float | None] = {name: value for name, value in granted.items() if value is not None}
        if self.expect_continue != DEFAULT_EXPECT_CONTINUE_SECONDS:
            found["expect_continue"] = self.expect_continue
        if self.min_rate is not None:
            found |= {"min_rate": self.min_rate, "rate_window": self.rate_window}
        return found

    def __repr__(self) -> str:
        if self.connect == self.read == self.write == self.pool:
            granted = f"timeout={self.connect}"
        else:
            granted = f"connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool}"
        beyond = "".join(f", {name}={seconds}" for name, seconds in self._beyond().items())
        return f"{type(self).__name__}({granted}{beyond})"


def granted(request: Any, name: str) -> float | None:
    """Return one of a request's timeouts, checked, since extensions may hold anything. Raises TypeError, ValueError."""
    return checked_seconds(timeouts_of(request).get(name), name)


def request_timeouts(request: Any, clock: Callable[[], float]) -> RequestTimeouts:
    """Return the timeouts of a request, read once, with the deadline of its `send()` on this clock."""
    dispatch = request._dispatch
    own: Timeout | None = dispatch.timeout
    if own is not None and own.total is None and dispatch.deadline is None and own.min_rate is None:
        return as_timeouts(
            RequestTimeouts, (own.connect, own.read, own.write, own.pool, own.first_byte, None, None, None)
        )
    timeout = timeouts_of(request)
    return RequestTimeouts(
        timeout.get("connect"),
        timeout.get("read"),
        timeout.get("write"),
        timeout.get("pool"),
        granted(request, "first_byte"),
        deadline_of(request, clock),
        _min_rate_of(timeout),
    )


def deadline_of(request: Any, clock: Callable[[], float]) -> Deadline | None:
    """Return the deadline of the `send()` that a request belongs to, on this clock; None if there is none.

    The client sets it. A request that was passed to a transport directly has the total of its own timeouts.
    """
    deadline: Deadline | None = request._dispatch.deadline
    if deadline is None:
        total = granted(request, "total")
        if total is None:
            return None
        deadline = Deadline(total)
    return deadline.on(clock)


_tuple: type[tuple[float | None, ...]] = tuple
as_timeouts = _tuple.__new__  # a named tuple's own constructor costs twice as much


def timeouts_of(request: Any) -> Mapping[str, Any]:
    """Return a request's timeouts by name, those that are present. Raises TypeError."""
    own: Timeout | None = request._dispatch.timeout
    if own is not None:
        return own.as_dict()
    extensions: dict[str, Any] = request._extensions or {}
    timeouts = cast("Mapping[str, Any]", extensions.get("timeout") or {})
    if not hasattr(timeouts, "get"):
        raise TypeError(f"expected a mapping of phases to seconds as extension 'timeout', got {timeouts!r}")
    return timeouts


def _for_phases(timeout: TimeoutTypes) -> tuple[_Seconds, _Seconds, _Seconds, _Seconds]:
    """Return the value of each phase that the first argument of `Timeout` sets."""
    if isinstance(timeout, Timeout):
        return timeout.connect, timeout.read, timeout.write, timeout.pool
    if isinstance(timeout, tuple):
        if not 2 <= len(timeout) <= 4:
            raise ValueError(f"expected a tuple of 2 to 4 timeouts (connect, read, write, pool), got {timeout!r}")
        names = ("connect", "read", "write", "pool")
        # PyPy says of an error that an iterator raises while it is unpacked that it is no iterator.
        connect, read, write, pool = list(map(checked_seconds, (*timeout, None, None)[:4], names))
        return connect, read, write, pool
    seconds = checked_seconds(timeout, "timeout")
    return seconds, seconds, seconds, seconds


def expect_seconds(request: Any) -> float:
    """Return for how long a request waits for 100 (Continue), infinity for no limit. Raises TypeError, ValueError."""
    own: Timeout | None = request._dispatch.timeout
    seconds: float | None
    if own is not None:
        seconds = own.expect_continue
    else:
        seconds = checked_seconds(
            timeouts_of(request).get("expect_continue", DEFAULT_EXPECT_CONTINUE_SECONDS), "expect_continue"
        )
    return math.inf if seconds is None else seconds


def expect_from(value: Any) -> int | None:
    """Check an `expect_continue`; return the size of body that waits for 100 (Continue), None for none."""
    if value is False or value is None:
        return None
    if value is True:
        return 0
    if not isinstance(value, int):
        raise TypeError(f"expected True, False, or a number of bytes as expect_continue, got {value!r}")
    if value < 0:
        raise ValueError(f"expected 0 bytes or more as expect_continue, got {value!r}")
    return value


def _min_rate_of(timeout: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return bytes per second, and the seconds over which they are counted, of a request's timeouts."""
    least = _rate(timeout.get("min_rate"))
    return None if least is None else (least, _window(timeout.get("rate_window", DEFAULT_RATE_WINDOW_SECONDS)))


def _rate(value: Any) -> float | None:
    rate = checked_amount(value, "min_rate", "bytes per second", positive=True, none="no limit")
    return None if rate is None else float(rate)


def _window(value: Any) -> float:
    return float(checked_amount(value, "rate_window", positive=True))


def ping_after(value: Any) -> float | None:
    """Check `http2_ping_after` and return it."""
    return checked_interval(value, "http2_ping_after", "never")


#: The smallest value of each limit that is a whole number.
_COUNTS = (("max_connections", 1), ("max_keepalive_connections", 0), ("max_per_host", 1))
_BYTES = "a number of bytes"


class Limits:
    """Set how many connections a pool may hold. None sets no limit.

    - `max_connections`: connections that are open at the same time.
    - `max_keepalive_connections`: idle connections that are kept.
    - `keepalive_expiry`: seconds for which an idle connection is kept.
    - `max_per_host`: connections to one origin that are open at the same time.
    - `max_age`: seconds after which a connection serves no further request.
    - `max_response_size`: bytes of a response's body, as received and as decoded; one more raises `ResponseTooLarge`,
      and the rest is not received.
    - `max_head_size`: bytes of a response's head, and of its trailer section; a larger one raises
      `RemoteProtocolError`. None, the default, sets what the protocol has: 102,400 bytes in HTTP/1.1, 65,536 in HTTP/2,
      where each field counts 32 bytes more. It may be 16 MiB at most.
    - `rate`: requests per second that begin to one origin; `burst` of them begin at once after a pause, 1 unless set.
      More wait in the order in which they came, for `timeout.pool` at most. An origin that answers 429 or 503 with
      Retry-After gets none until then, for 60 s at most.

    ```python
    httpx.Limits(max_connections=100, max_keepalive_connections=20, max_per_host=10)
    ```
    """

    max_connections: int | None
    max_keepalive_connections: int | None
    keepalive_expiry: float | None
    max_per_host: int | None
    max_age: float | None
    max_response_size: int | None
    max_head_size: int | None
    rate: float | None
    burst: int

    if TYPE_CHECKING:
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
    else:
        __dataclass_fields__ = LateFields(kw_only=True)
        __dataclass_params__ = LateFields(kw_only=True)

    def __init__(
        self,
        *,
        max_connections: int | None = None,
        max_keepalive_connections: int | None = None,
        keepalive_expiry: float | None = 5.0,
        max_per_host: int | None = None,
        max_age: float | None = None,
        max_response_size: int | None = None,
        max_head_size: int | None = None,
        rate: float | None = None,
        burst: int = 1,
    ) -> None:
        self.max_connections = max_connections
        self.max_keepalive_connections = max_keepalive_connections
        self.keepalive_expiry = checked_seconds(keepalive_expiry, "keepalive_expiry")
        self.max_per_host = max_per_host
        self.max_age = checked_seconds(max_age, "max_age")
        self.max_response_size = max_response_size
        self.max_head_size = max_head_size
        self.rate = rate
        self.burst = burst
        for name, least in _COUNTS:
            checked_count(getattr(self, name), name, least, "no limit")
        if max_response_size is not None:
            checked_count(max_response_size, "max_response_size", 0, "no limit", what=_BYTES)
        if max_head_size is not None:
            checked_count(max_head_size, "max_head_size", 1, "the default", most=LARGEST_HEAD_SIZE, what=_BYTES)
        if rate is not None:
            checked_amount(rate, "rate", "requests per second", positive=True, none="no limit")
        checked_count(burst, "burst", 1)
        if rate is None and burst != 1:
            raise ValueError(f"expected a rate with burst={burst!r}, got none")

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return _settings_of(self) == _settings_of(other)

    def __repr__(self) -> str:
        # httpx's, so it omits what httpx has not, unless it sets a limit.
        text = (
            f"{type(self).__name__}(max_connections={self.max_connections}, "
            f"max_keepalive_connections={self.max_keepalive_connections}, keepalive_expiry={self.keepalive_expiry}"
        )
        if self.max_per_host is not None:
            text += f", max_per_host={self.max_per_host}"
        if self.max_age is not None:
            text += f", max_age={self.max_age}"
        if self.max_response_size is not None:
            text += f", max_response_size={self.max_response_size}"
        if self.max_head_size is not None:
            text += f", max_head_size={self.max_head_size}"
        if self.rate is not None:
            text += f", rate={self.rate}, burst={self.burst}"
        return f"{text})"


def check_resolver(resolver: Any, name: str = "resolver") -> Any:
    """Return a resolver. Raises TypeError."""
    if not callable(getattr(resolver, "resolve", resolver)):
        raise TypeError(
            f"expected a function of host and port, or an object with resolve(), as {name}, got {resolver!r}"
        )
    return resolver


def check_source(uds: Any, local_address: Any) -> tuple[str | None, str | None]:
    """Return the path of a Unix domain socket, and the address to connect from. Raises TypeError."""
    if isinstance(uds, os.PathLike):
        uds = os.fspath(cast("os.PathLike[str]", uds))
    if uds is not None and not isinstance(uds, str):
        raise TypeError(f"expected the path of a Unix domain socket, or None, as uds, got {uds!r}")
    if local_address is not None and not isinstance(local_address, str):
        raise TypeError(f"expected an IP address of this machine, or None, as local_address, got {local_address!r}")
    return uds, local_address


def check_socket_options(options: Any) -> tuple[Any, ...]:
    """Return arguments of `socket.setsockopt`, one tuple for each call. Raises TypeError, ValueError."""
    if options is None:
        return ()
    what = "tuples of level, option and value, as socket.setsockopt takes them,"
    found = checked_items(options, "socket_options", what)
    for option in found:
        if not isinstance(option, (tuple, list)):
            raise TypeError(f"expected {what} as socket_options, got {option!r} among them")
        parts = cast("tuple[Any, ...]", option)
        if len(parts) not in (3, 4) or not all(isinstance(number, int) for number in parts[:2]):
            raise ValueError(f"expected {what} as socket_options, got {option!r} among them")
    return tuple(map(tuple, found))


def check_dialing(resolver: Any, address_filter: Any, keepalive: Any, replay: Any) -> None:
    """Check the arguments of a transport that say how to connect, and whether again. Raises TypeError."""
    if resolver is not None:
        check_resolver(resolver)
    if address_filter is not None and not callable(address_filter):
        raise TypeError(
            f"expected a function of an address, as AddressFilter is, as address_filter, got {address_filter!r}"
        )
    if not isinstance(keepalive, (bool, TCPKeepAlive, type(None))):
        raise TypeError(f"expected a TCPKeepAlive, True or False as keepalive, got {keepalive!r}")
    if replay is not None and not isinstance(replay, bool):
        raise TypeError(f"expected True, False or None as replay, got {replay!r}")


# Desktops write "socks" into the environment for SOCKS5; only curl takes it for SOCKS4.
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks", "socks4", "socks4a")


class Proxy:
    """Configure a proxy server. Credentials in `url` win over `auth`, and are removed from it.

    The scheme selects the protocol: http and https (TLS to the proxy) forward requests for http URLs and tunnel to
    https ones; socks5 and socks4 (IPv4 only) tunnel to addresses that this client resolves, socks5h (or socks) and
    socks4a to names that the proxy resolves.

    `ssl_context` is for the connection to an https proxy; without it the authorities of `verify` apply to the proxy.
    `headers` are sent to http and https proxies with CONNECT, and with each request that they forward. Raises
    ValueError for other schemes.

    ```python
    httpx.Proxy("http://proxy.example.org:3128", auth=("user", "secret"))
    ```
    """

    def __init__(
        self,
        url: URL | str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        headers: HeaderTypes | None = None,
    ) -> None:
        if isinstance(url, Mapping):
            raise TypeError(
                "expected one proxy URL, got a mapping: for one proxy per scheme or host give the client "
                "mounts={'https://': HTTPTransport(proxy=...)}"
            )
        url = URL(url)
        if url.scheme not in _PROXY_SCHEMES:
            raise ValueError(f"expected a proxy URL with one of the schemes {', '.join(_PROXY_SCHEMES)}, got {url!r}")
        if not url.host:
            raise ValueError(f"expected a proxy URL with a host, got {url!r}")
        if url.userinfo:
            auth = (url.username, url.password)
            url = url.copy_with(username=None, password=None)
        if auth is not None and not (isinstance(auth, (tuple, list)) and len(auth) == 2):
            kind = f"tuple of {len(auth)}" if isinstance(auth, tuple) else type(auth).__name__
            raise TypeError(f"expected a tuple of user name and password as auth, got {kind}")
        self.url = url
        self.auth = auth
        self.headers: Headers = Headers(headers)
        self.ssl_context = ssl_context

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        """Return user name and password as bytes."""
        return None if self.auth is None else (self.auth[0].encode("utf-8"), self.auth[1].encode("utf-8"))

    def __repr__(self) -> str:
        text = repr(str(self.url))
        if self.auth:
            # A user name without a password is a token.
            text += f", auth={(self.auth[0] if self.auth[1] else '********', '********')!r}"
        if self.headers:
            text += f", headers={dict(self.headers._shown_items())!r}"
        return f"{type(self).__name__}({text})"


DEFAULT_TIMEOUT_CONFIG = Timeout(timeout=5.0)
DEFAULT_LIMITS = Limits(max_connections=100, max_keepalive_connections=20)
DEFAULT_MAX_REDIRECTS = 20

DEFAULT_MAX_EVENT_SIZE_BYTES = 1024 * 1024

DEFAULT_MAX_MESSAGE_SIZE_BYTES = 65_536
DEFAULT_QUEUE_SIZE = 512
# Half the time after which many NATs and load balancers forget a silent connection.
DEFAULT_HTTP2_PING_AFTER_SECONDS = 30.0
DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS = 20.0
DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS = 20.0
