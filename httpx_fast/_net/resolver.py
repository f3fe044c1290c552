"""Names to addresses, by the system's resolver (`socket.getaddrinfo`, looked up when it is called).

Numeric addresses are answered at once. A name is looked up in a daemon thread that is abandoned when its deadline
comes: it cannot be interrupted, must not keep the program from exiting, and must not hold a place in a loop's executor.
Lookups of one name at the same time are one lookup, so that a hundred connections that are opened at once cost one
thread. Addresses keep the order that the system gives (RFC 6724).
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

from .base import Address
from .faults import resolve_failed

_flying: dict[tuple[str, int], Lookup] = {}
_lock = threading.Lock()


class Lookup:
    """One question to the resolver, shared by all who ask it while it is under way."""

    __slots__ = ("_addresses", "_failure", "_host", "_listeners", "_port")

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._addresses: list[Address] = []
        self._failure: Exception | None = None
        self._listeners: list[Callable[[], object]] | None = []  # None once there is an answer

    def addresses(self) -> list[Address]:
        """The answer; to be asked for after the listener was called. Raises ConnectError."""
        if self._failure is not None:
            raise resolve_failed(self._host, self._failure) from self._failure
        return self._addresses

    def run(self) -> None:
        try:
            self._addresses = _ask(self._host, self._port)
        except Exception as failure:  # noqa: BLE001  # whatever a patched resolver raises is the askers' business
            self._failure = failure
        with _lock:
            listeners, self._listeners = self._listeners, None
            if _flying.get((self._host, self._port)) is self:
                del _flying[self._host, self._port]
        for tell in listeners or ():
            try:
                tell()
            except RuntimeError:  # the event loop that asked has ended meanwhile
                continue


def lookup(host: str, port: int, tell: Callable[[], object]) -> Lookup:
    """Starts a lookup, or joins one; `tell` is called, from any thread, when its answer is there."""
    with _lock:
        flying = _flying.get((host, port))
        if flying is not None and flying._listeners is not None:
            flying._listeners.append(tell)
            return flying
        flying = _flying[host, port] = Lookup(host, port)
        assert flying._listeners is not None
        flying._listeners.append(tell)
    try:
        threading.Thread(target=flying.run, name=f"httpx_fast resolves {host}", daemon=True).start()
    except RuntimeError:  # no thread starts while the interpreter shuts down
        flying.run()
    return flying


def numeric(host: str, port: int) -> list[Address] | None:
    """The address that `host` is, without asking anybody; None if it is a name."""
    if not (":" in host or host[-1:].isdigit()):
        return None
    try:
        return _ask(host, port, socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None


def _ask(host: str, port: int, flags: int = 0) -> list[Address]:
    return distinct(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


def distinct(found: Iterable[tuple[Any, Any, Any, Any, Any]]) -> list[Address]:
    """The addresses of a `getaddrinfo`; some systems answer once per protocol although one kind was asked for."""
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _forget() -> None:
    """The child of a fork has none of the threads that would answer."""
    global _lock
    _lock = threading.Lock()
    _flying.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
