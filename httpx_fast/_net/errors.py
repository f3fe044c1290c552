"""Map OSError to the exceptions of `_exceptions`, with a message; nothing else does.

An address is a `getsockname()`: a tuple for TCP, a path for Unix sockets, None if it is not known.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Any

from .._exceptions import ConnectError, ReadError, WriteError


def peer_name(address: tuple[Any, ...] | str | bytes | None) -> str:
    """Return an address as people write it: `127.0.0.1:80`, `[::1]:80`, or the path of a Unix socket."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    if isinstance(address, bytes):
        address = os.fsdecode(address)
    return f"unix socket {address!r}" if address else "the peer"


def reason(error: BaseException) -> str:
    """Return the reason of an error, never empty: the system's text and the name of its error number."""
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    number = error.errno if isinstance(error, OSError) else None
    name = errno.errorcode.get(number) if number is not None and number > 0 else None
    return f"{text} ({name})" if name else text


def read_failed(address: Any, error: OSError) -> ReadError:
    failure = ReadError(f"reading from {peer_name(address)} failed: {reason(error)}")
    failure.__cause__ = error
    return failure


def write_failed(address: Any, error: OSError) -> WriteError:
    failure = WriteError(f"writing to {peer_name(address)} failed: {reason(error)}")
    failure.__cause__ = error
    return failure


def peer_closed(address: Any) -> ReadError:
    return ReadError(f"{peer_name(address)} closed the connection")


def closed_here(address: Any, doing: str) -> str:
    """Return the message for the use of, or a wait on, a stream that was closed on this side."""
    return f"the connection to {peer_name(address)} was closed on this side {doing}"


def resolve_failed(host: str, error: Exception) -> ConnectError:
    return ConnectError(f"the name {host!r} could not be resolved: {reason(error)}")


def connect_failed(faults: Sequence[tuple[Any, OSError]]) -> ConnectError:
    """Return the error when no address answered, with the reason of each that was tried."""
    if not faults:
        return ConnectError("could not connect: the name has no address")
    each = "; ".join(f"{peer_name(address)}: {reason(error)}" for address, error in faults)
    failure = ConnectError(f"could not connect to {each}")
    failure.__cause__ = faults[-1][1]
    return failure
