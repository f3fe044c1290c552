"""Race connects to the addresses of one peer (Happy Eyeballs, RFC 8305), written once for all backends.

An address gets a head start of `ATTEMPT_DELAY` before the next one is tried beside it; the next one starts at once when
it fails. So a black-holed address costs a quarter of a second and never the whole deadline. The families alternate
(s.4). However the race ends, sockets that did not win are closed.

Each backend has a `Connector`: how to begin a connect and how to wait for several.
"""

from __future__ import annotations

import errno
import os
import socket
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Protocol

from .._deadline import PhaseTimer
from .base import Address, SocketOption
from .errors import connect_failed, peer_name

ATTEMPT_DELAY = 0.25  # seconds; what RFC 8305 s.8 recommends
_QUEUE_PAUSE = 0.01  # seconds; how soon to ask a Unix socket again whose queue is full: there is nothing to wait for
_IN_PROGRESS = {errno.EINPROGRESS, errno.EALREADY, errno.EINTR, getattr(errno, "WSAEWOULDBLOCK", errno.EINPROGRESS)}


class Connector(Protocol):
    """Connect non-blocking sockets, as one backend does it."""

    def begin(self, sock: socket.socket, address: Any) -> int:
        """Start connecting; return the error number, 0 if it is connected already."""
        ...

    async def wait(self, sockets: Collection[socket.socket], until: float) -> Iterable[socket.socket]:
        """Return sockets whose connect has ended, once there is one; none if `until` (on the clock) comes first."""
        ...

    def outcome(self, sock: socket.socket) -> OSError | None:
        """Return why a connect that has ended failed; None if it is connected."""

    def drop(self, sock: socket.socket) -> None:
        """Close a socket that lost."""


def open_socket(
    socket_options: Sequence[SocketOption], local_address: str | None, family: socket.AddressFamily
) -> socket.socket:
    """Return a non-blocking stream socket, ready to connect."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family in (socket.AF_INET, socket.AF_INET6):
            # Heads and bodies are written whole: waiting for more to send only delays them.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option in socket_options:
            if len(option) == 3:
                level, name, value = option
                sock.setsockopt(level, name, value)
            else:
                sock.setsockopt(*option)  # no value, and how long it would be
        if local_address is not None:
            try:
                sock.bind((local_address, 0))
            except OSError as error:
                raise OSError(error.errno, f"{error.strerror} for the local address {local_address!r}") from error
    except BaseException:
        sock.close()
        raise
    return sock


class Race:
    """Try to reach a peer at any of its addresses, until the deadline of `timer`."""

    __slots__ = ("_clock", "_connector", "_faults", "_next_at", "_open", "_running", "_timer", "_waiting")

    def __init__(
        self,
        connector: Connector,
        clock: Callable[[], float],
        addresses: Sequence[Address],
        timer: PhaseTimer,
        opener: Callable[[socket.AddressFamily], socket.socket],
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._waiting = _taking_turns(addresses)[::-1]  # the next one is the last
        self._timer = timer
        self._open = opener
        self._next_at = 0.0  # when the next address may start
        self._running: dict[socket.socket, Address] = {}
        self._faults: list[tuple[Any, OSError]] | None = None

    async def run(self) -> tuple[socket.socket, Any]:
        """Return the socket that won and its address. Raises ConnectError, ConnectTimeout."""
        try:
            while self._running or self._waiting:
                if self._waiting and self._may_start():
                    winner = self._start()
                else:
                    until = min(self._timer.at, self._next_at) if self._waiting else self._timer.at
                    winner = self._first_of(await self._connector.wait(self._running, until))
                if winner is not None:
                    return winner, self._running.pop(winner)[1]
            raise connect_failed(self._faults or ())
        finally:
            for sock in self._running:
                self._connector.drop(sock)

    def _may_start(self) -> bool:
        return self._next_at <= self._clock()

    def _start(self) -> socket.socket | None:
        address = self._waiting.pop()
        family, place = address
        self._next_at = self._clock() + ATTEMPT_DELAY
        try:
            sock = self._open(family)
        except OSError as error:
            self._failed(place, error)
            return None
        self._running[sock] = address
        try:
            code = self._connector.begin(sock, place)
        except OSError as error:  # an address that no connect can be begun for: too long, of another family
            self._lost(sock, error)
            return None
        if code == 0:
            return sock
        if code == errno.EAGAIN and family == getattr(socket, "AF_UNIX", None):
            del self._running[sock]
            self._connector.drop(sock)
            self._waiting.append(address)
            self._next_at = self._clock() + _QUEUE_PAUSE
        elif code not in _IN_PROGRESS:
            self._lost(sock, OSError(code, os.strerror(code)))
        return None

    def _first_of(self, ended: Iterable[socket.socket]) -> socket.socket | None:
        """Return a socket that is connected, of those whose connect has ended. Raises ConnectTimeout."""
        for sock in list(ended):
            error = self._connector.outcome(sock)
            if error is None:
                return sock
            self._lost(sock, error)
        now = self._clock()
        if now >= self._timer.at:
            tried = ", ".join(peer_name(place) for _, place in self._running.values()) or "no address"
            raise self._timer.expired(now, f"no answer from {tried}")
        return None

    def _lost(self, sock: socket.socket, error: OSError) -> None:
        _, place = self._running.pop(sock)
        self._connector.drop(sock)
        self._failed(place, error)

    def _failed(self, place: Any, error: OSError) -> None:
        self._faults = [*(self._faults or ()), (place, error)]
        self._next_at = 0.0


def begin_connect(sock: socket.socket, address: Any) -> int:
    """Start connecting; return the error number as `connect_ex()` does.

    By `connect()`, since that is what tools replace which forbid tests the network: pytest-socket, for one.
    """
    try:
        sock.connect(address)
    except OSError as error:
        if not error.errno or isinstance(error, socket.gaierror):
            raise
        return error.errno
    return 0


def connect_error(sock: socket.socket) -> OSError | None:
    """Return the system's error of a connect that has ended; None if it is connected."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    return OSError(code, os.strerror(code)) if code else None


def _taking_turns(addresses: Sequence[Address]) -> list[Address]:
    """Return the addresses with their families alternating, the first one's first (RFC 8305 s.4)."""
    if len(addresses) == 1:
        return list(addresses)
    families: dict[socket.AddressFamily, deque[Address]] = {}
    for address in addresses:
        families.setdefault(address[0], deque()).append(address)
    turns: list[Address] = []
    while families:
        for family in list(families):
            turns.append(families[family].popleft())
            if not families[family]:
                del families[family]
    return turns
