"""Find out whether the peer's system received what was written, from the state of TCP that Linux reports for a socket.

A peer may close an idle connection while a request is on its way to it. The peer's FIN then tells how far it had
received our bytes (every segment carries an acknowledgment, RFC 9293 s.3.4). Bytes that it had not received when it
closed, no program on that side can have read, nor will: HTTP has it process nothing further (RFC 9112 s.9.6).

A reset proves nothing: it may come from a program that has read everything, and its acknowledgment is not used.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from typing import Any, Final

from .base import Stream

# struct tcp_info of Linux: the state first; tcpi_bytes_acked is there from 4.1 on.
_TCP_INFO: Final = getattr(socket, "TCP_INFO", None)
_BYTES_ACKED: Final = struct.Struct("=B119xQ")
_CLOSE: Final = 7  # states, as include/net/tcp_states.h counts them
_CLOSE_WAIT: Final = 8  # the peer's FIN came

#: PyPy makes a socket blocking that is made of a descriptor, and with it all that share the connection.
_MAKES_BLOCKING: Final = sys.implementation.name == "pypy"


def acknowledged(stream: Stream) -> int | None:
    """Count the bytes that the peer's system has acknowledged; None where this system does not say."""
    found = _look(stream.get_extra_info("socket"))
    return None if found is None else found[1]


def closed_untaken(stream: Stream, before: int, refused: BaseException | None) -> bool:
    """Tell whether the peer closed before its system took any of what was written since `before` was counted.

    To be asked once the end of the stream was read, before it is closed: after a reset that was read it would be wrong.
    `refused` is what writing failed with, if it did.
    """
    sock = stream.get_extra_info("socket")
    found = _look(sock)
    if found is None or found[1] != before:
        return False
    state = found[0]
    if state == _CLOSE_WAIT:
        return True
    # A reset followed. It is reported once, as EPIPE after a FIN and else as ECONNRESET; reading reports only the FIN.
    if state != _CLOSE or not _ended(sock):
        return False
    return refused is None or getattr(refused.__cause__, "errno", None) == errno.EPIPE


def _look(sock: Any) -> tuple[int, int] | None:
    """Return state and acknowledged bytes of a TCP connection; None if the system does not say."""
    if _TCP_INFO is None or sock is None:
        return None
    try:
        facts = sock.getsockopt(socket.IPPROTO_TCP, _TCP_INFO, _BYTES_ACKED.size)
    except (OSError, AttributeError):  # no TCP; closed
        return None
    if len(facts) < _BYTES_ACKED.size:
        return None
    state, count = _BYTES_ACKED.unpack(facts)
    return (state, count) if count else None  # the SYN was acknowledged, so 0 means that the system does not count


def _ended(sock: Any) -> bool:
    try:
        with duplicate(sock) as twin:
            return not twin.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:
        return False


def duplicate(sock: Any) -> socket.socket:
    """Return another socket of the same connection: asyncio and AnyIO give some out that cannot be read from."""
    number = os.dup(sock.fileno())
    blocking = _MAKES_BLOCKING and os.get_blocking(number)
    twin = socket.socket(fileno=number)
    if _MAKES_BLOCKING:
        os.set_blocking(number, blocking)
    return twin
