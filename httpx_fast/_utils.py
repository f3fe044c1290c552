"""Helpers of the client's upper layers: proxies from the environment, URL patterns of mounts, lengths of files, text.

It reads the environment only in `get_environment_proxies`, and has no state.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from ._exceptions import InvalidURL
from ._kernel.select import primitive_value_to_str, urlencode
from ._urls import URL, primitive_values_to_str

if TYPE_CHECKING:
    import asyncio as asyncio_module
    from ipaddress import IPv4Network, IPv6Network

__all__ = [
    "URLPattern",
    "get_environment_proxies",
    "is_ipv4_hostname",
    "is_ipv6_hostname",
    "peek_filelike_length",
    "peek_filelike_remaining_length",
    "primitive_value_to_str",
    "primitive_values_to_str",
    "to_bytes",
    "to_bytes_or_str",
    "to_str",
    "unquote",
    "urlencode",
]


_T = TypeVar("_T")


def get_environment_proxies() -> dict[str, str | None]:
    """Return mount patterns with a proxy or None, from HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.

    If the environment names no proxy, the settings of Windows and macOS apply. Invalid entries of NO_PROXY are ignored,
    as in curl; "*" among them disables all proxies.
    """
    return {pattern: proxy for pattern, (proxy, _) in get_environment_rules().items()}


def get_environment_rules() -> dict[str, tuple[str | None, str]]:
    """Return the same, each with what says so: `HTTP_PROXY`, `the entry "a.test" of NO_PROXY`."""
    settings = _proxy_settings()
    if not settings:
        return {}
    mounts: dict[str, tuple[str | None, str]] = {}
    for scheme in ("http", "https", "all"):
        proxy, variable = settings.get(scheme, ("", ""))
        if proxy:
            mounts[f"{scheme}://"] = proxy if "://" in proxy else f"http://{proxy}", variable
    entries, variable = settings.get("no", ("", ""))
    for entry in entries.replace(",", " ").split():
        if entry == "*":
            return {}
        pattern = _no_proxy_pattern(entry)
        if pattern is not None:
            mounts[pattern] = None, f'the entry "{entry}" of {variable}'
    return mounts


def _proxy_settings() -> dict[str, tuple[str, str]]:
    """Return the settings by scheme, and "no", each with its variable; lower-case ones win, as in curl."""
    settings: dict[str, tuple[str, str]] = {}
    for name in ("http", "https", "all", "no"):
        variable = f"{name}_proxy"
        value = os.environ.get(variable)
        # A CGI script has the request's Proxy field in HTTP_PROXY, so any client could set it ("httpoxy").
        if value is None and not (name == "http" and "REQUEST_METHOD" in os.environ):
            variable = variable.upper()
            value = os.environ.get(variable)
        if value:
            settings[name] = value.strip(), variable
    if not settings and sys.platform in ("win32", "darwin"):
        import urllib.request

        return {name: (value, "the system's settings") for name, value in urllib.request.getproxies().items()}
    return settings


def _no_proxy_pattern(entry: str) -> str | None:
    """Return one entry of NO_PROXY as a mount pattern; None if it is invalid.

    ".example.com" and "*.example.com" match the subdomains, "example.com" matches that name and its subdomains.
    """
    if not entry:
        return None
    if "://" in entry:
        pattern = entry
    elif is_ipv4_hostname(entry) or entry.startswith("[") or entry.lower() == "localhost":
        pattern = f"all://{entry}"
    elif is_ipv6_hostname(entry):
        address, slash, prefix = entry.partition("/")
        pattern = f"all://[{address}]{slash}{prefix}"
    elif "/" in entry:
        return None
    else:
        pattern = f"all://{entry}" if entry.startswith("*.") else f"all://*{entry}"
    try:
        URLPattern(pattern)
    except (InvalidURL, ValueError):
        return None
    return pattern


class URLPattern:
    """Match URLs with a key of `mounts`, such as "all://", "https://", "all://*.example.com", "all://10.0.0.0/8".

    A port may follow, as in "http://example.com:1234"; "all://example.com:443" matches https URLs without one.
    "http://" matches ws URLs too, and "https://" wss URLs, unless an equally specific "ws://" or "wss://" does. They
    sort from the most to the least specific. Raises InvalidURL, and ValueError for a bare scheme.
    """

    __slots__ = ("_below", "_domain", "_also", "host", "network", "pattern", "port", "priority", "scheme")

    def __init__(self, pattern: str) -> None:
        if pattern and ":" not in pattern:
            raise ValueError(f"expected a pattern such as '{pattern}://' or 'all://{pattern}', got {pattern!r}")
        url = URL(pattern)
        host = url.host if url.host == "*." else url.host.removesuffix(".")
        self.pattern = pattern
        self.scheme = "" if url.scheme == "all" else url.scheme
        #: The scheme of WebSockets that begin as requests of `scheme` (RFC 6455 s.3).
        self._also = {"http": "ws", "https": "wss"}.get(self.scheme)
        self.host = "" if host == "*" else host
        self.port = url.port
        self.network = _network(url, pattern)
        #: The host to match, and the end of its subdomains; None for what does not match.
        self._domain: str | None = url._origin.host if ":" in host else host
        self._below: str | None = None
        if host.startswith("*."):
            self._domain, self._below = None, host[1:]
        elif host.startswith("*"):
            self._domain, self._below = host[1:], f".{host[1:]}"
        self.priority = self._priority()

    def __reduce__(self) -> tuple[Any, ...]:
        return URLPattern, (self.pattern,)

    def _priority(self) -> tuple[int, int, int, int, int, int]:
        """Return the sort key: port before none; name before network before any; small networks, then long names."""
        network = self.network
        return (
            0 if self.port is not None else 1,
            1 if network is not None else 0 if self.host else 2,
            0 if network is None else network.num_addresses,
            -len(self.host) if network is None else 0,
            0 if self.scheme in ("ws", "wss") else 1 if self.scheme else 2,
            -len(self.scheme),
        )

    def matches(self, other: URL) -> bool:
        """Return whether a request for `other` uses the transport mounted here."""
        scheme = other.scheme
        if self.scheme and self.scheme != scheme and self._also != scheme:
            return False
        if self.port is not None and self.port != other._origin.port:
            return False
        if self.network is not None:
            return self._contains(other.host)
        if not self.host:
            return True
        host = other.host.removesuffix(".")  # the dot of the root: the same name
        # One IPv6 address has many spellings.
        if (other._origin.host if ":" in host else host) == self._domain:
            return True
        below = self._below
        return below is not None and len(host) > len(below) and host.endswith(below)

    def _contains(self, host: str) -> bool:
        from ipaddress import ip_address

        try:
            address = ip_address(host)
        except ValueError:
            return False
        return self.network is not None and address in self.network

    def __hash__(self) -> int:
        return hash(self.pattern)

    def __lt__(self, other: URLPattern) -> bool:
        return self.priority < other.priority

    def __eq__(self, other: object) -> bool:
        return isinstance(other, URLPattern) and self.pattern == other.pattern

    def __repr__(self) -> str:
        return f"URLPattern({self.pattern!r})"


def _network(url: URL, pattern: str) -> IPv4Network | IPv6Network | None:
    """Return the network of a pattern such as "all://192.168.0.0/16" or "all://[fd00::]/8"."""
    prefix = url.path.removeprefix("/")
    host = url.host
    if not prefix or not (is_ipv4_hostname(host) or is_ipv6_hostname(host)):
        return None
    from ipaddress import ip_network

    try:
        # It must contain nothing else: userinfo, escapes, a zone, a port, a query.
        plain = f"[{host}]/{prefix}" if ":" in host else f"{host}/{prefix}"
        if not pattern.endswith(plain) or not prefix.isdigit() or "@" in pattern or "%" in pattern:
            raise ValueError("there is more, or less")
        return ip_network(f"{host}/{prefix}", strict=False)
    except ValueError as error:
        raise InvalidURL(f"expected an address, '/' and the length of a prefix in {pattern!r}: {error}") from error


def is_ipv4_hostname(hostname: str) -> bool:
    """Return whether this is an IPv4 address, or a network of them."""
    if not hostname[:1].isdigit():
        return False
    from ipaddress import IPv4Address

    try:
        IPv4Address(hostname.partition("/")[0])
    except ValueError:
        return False
    return True


def is_ipv6_hostname(hostname: str) -> bool:
    """Return whether this is an IPv6 address without brackets, or a network of them."""
    if ":" not in hostname:
        return False
    from ipaddress import IPv6Address

    try:
        IPv6Address(hostname.partition("/")[0])
    except ValueError:
        return False
    return True


def peek_filelike_length(stream: Any) -> int | None:
    """Return the whole length of a file in bytes, without reading it; None if it is unknown."""
    try:
        return os.fstat(stream.fileno()).st_size
    except (AttributeError, OSError):
        pass  # no file of the operating system, such as io.BytesIO
    try:
        position = stream.tell()
        length: int = stream.seek(0, os.SEEK_END)
        stream.seek(position)
    except (AttributeError, OSError):
        return None
    return length


def peek_filelike_remaining_length(stream: Any) -> int | None:
    """Return the bytes from the position of a file to its end; None if that is unknown."""
    try:
        position: int = stream.tell()
        length: int = stream.seek(0, os.SEEK_END)
        stream.seek(position)
    except (AttributeError, OSError):
        return None
    return max(0, length - position)


def as_piece(piece: Any, file: Any) -> bytes:
    """Return what `read()` of a file has returned. Raises TypeError for anything but bytes."""
    if type(piece) is bytes:
        return piece
    if isinstance(piece, (bytes, bytearray, memoryview)):
        return bytes(cast("bytes", piece))
    raise TypeError(f"read() of {type(file).__name__} returned {type(piece).__name__}; expected bytes")


async def read_in_thread(file: Any, size: int) -> Any:
    """Read from a blocking file without blocking the event loop; memory is read at once.

    A task that is cancelled meanwhile ends when `read()` has returned: a file that is read by a thread cannot be read
    again from another position.
    """
    if type(file) is io.BytesIO:
        return file.read(size)
    (piece,) = await in_thread(lambda: (file.read(size),))  # trio refuses functions that return coroutines
    return await piece if hasattr(piece, "__await__") else piece


async def in_thread(function: Callable[[], _T]) -> _T:
    """Return what a blocking function returns, without blocking the event loop; a cancellation waits for its end."""
    asyncio = sys.modules.get("asyncio")
    if asyncio is None or asyncio._get_running_loop() is None:
        from anyio import to_thread  # few programs send files

        return await to_thread.run_sync(function)
    # Not anyio's: a task that is cancelled as asyncio does it would leave the function running.
    running: asyncio_module.Future[_T] = asyncio.get_running_loop().run_in_executor(None, function)
    try:
        result: _T = await asyncio.shield(running)
        return result
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([running])
        raise


def to_bytes(value: str | bytes, encoding: str = "utf-8") -> bytes:
    """Return text as bytes; bytes are returned unchanged."""
    return value.encode(encoding) if isinstance(value, str) else value


def to_str(value: str | bytes, encoding: str = "utf-8") -> str:
    """Return bytes as text; text is returned unchanged."""
    return value if isinstance(value, str) else value.decode(encoding)


@overload
def to_bytes_or_str(value: str, match_type_of: str) -> str: ...
@overload
def to_bytes_or_str(value: str, match_type_of: bytes) -> bytes: ...
def to_bytes_or_str(value: str, match_type_of: str | bytes) -> str | bytes:
    """Return `value` as text or bytes, whichever the second argument is."""
    return value if isinstance(match_type_of, str) else value.encode()


def unquote(value: str) -> str:
    """Return `value` without the quotation marks around it, if it has them at both ends."""
    return value[1:-1] if len(value) >= 2 and value[0] == value[-1] == '"' else value
