"""Resolve names to addresses, by the system's resolver (`socket.getaddrinfo`, looked up when it is called) or another.

Numeric addresses are answered at once. A name is looked up in a daemon thread that is abandoned when its deadline
comes: it cannot be interrupted, must not keep the program from exiting, and must not occupy a thread of a loop's
executor. Lookups of one name at the same time are one lookup, so that a hundred connections that are opened at once
cost one thread. Addresses keep the order that the system gives (RFC 6724).
"""

from __future__ import annotations

import functools
import os
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from .base import Address
from .errors import resolve_failed

#: What blocks until it knows the addresses of a host and port.
Ask: TypeAlias = Callable[[str, int], Any]

_flying: dict[tuple[Ask, str, int], Lookup] = {}
_lock = threading.Lock()


class Lookup:
    """Ask the resolver once, for all callers that ask the same while it is under way."""

    __slots__ = ("_answer", "_failure", "_listeners", "_question")

    def __init__(self, ask: Ask, host: str, port: int) -> None:
        self._question = ask, host, port
        self._answer: Any = None
        self._failure: Exception | None = None
        self._listeners: list[Callable[[], object]] | None = []  # None once there is an answer

    def answer(self) -> Any:
        """Return the resolver's answer, after the listener was called. Raises ConnectError."""
        failure = self._failure
        if failure is not None:
            raise resolve_failed(self._question[1], failure) from failure
        return self._answer

    def run(self) -> None:
        ask, host, port = self._question
        try:
            self._answer = ask(host, port)
        except Exception as failure:  # noqa: BLE001  # whatever a patched resolver raises is the askers' business
            self._failure = failure
        with _lock:
            listeners, self._listeners = self._listeners, None
            if _flying.get(self._question) is self:
                del _flying[self._question]
        for tell in listeners or ():
            try:
                tell()
            except RuntimeError:  # the event loop that asked has ended meanwhile
                continue


def lookup(host: str, port: int, tell: Callable[[], object], ask: Ask | None = None) -> Lookup:
    """Start a lookup, or join one; `tell` is called, from any thread, when its answer is there.

    By default the system is asked, and answers a list of `Address`.
    """
    question = ask or ask_system, host, port
    with _lock:
        flying = _flying.get(question)
        if flying is not None and flying._listeners is not None:
            flying._listeners.append(tell)
            return flying
        flying = _flying[question] = Lookup(*question)
        assert flying._listeners is not None
        flying._listeners.append(tell)
    try:
        threading.Thread(target=flying.run, name=f"httpx_fast resolves {host}", daemon=True).start()
    except RuntimeError:  # no thread starts while the interpreter shuts down
        flying.run()
    return flying


def numeric(host: str, port: int) -> Sequence[Address] | None:
    """Return the address that `host` is, without a lookup; None if it is a name."""
    if not (":" in host or host[-1:].isdigit()):
        return None
    try:
        if "%" not in host:
            return _read(host, port)
        # The number that a zone's name stands for changes with the interfaces. In a URL "%" is "%25" (RFC 6874 s.2).
        address, _, zone = host.partition("%")
        zone = zone.removeprefix("25") or zone
        return ask_system(f"{address}%{zone}", port, socket.AI_NUMERICHOST)
    except (OSError, ValueError):
        return None


@functools.lru_cache(maxsize=256)  # a thousand connections to one address then also hold it once
def _read(host: str, port: int) -> Sequence[Address]:
    return tuple(ask_system(host, port, socket.AI_NUMERICHOST))


def ask_system(host: str, port: int, flags: int = 0) -> list[Address]:
    """Return the system's addresses of a name; blocks until they are there. Raises OSError."""
    return distinct(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags))


def distinct(found: Iterable[tuple[Any, Any, Any, Any, Any]]) -> list[Address]:
    """Return the addresses of a `getaddrinfo` once each; some systems repeat them for each protocol."""
    return list(dict.fromkeys((family, address) for family, _, _, _, address in found))


def _forget() -> None:
    """Forget all lookups, in the child of a fork: it has none of the threads that would answer."""
    global _lock
    _lock = threading.Lock()
    _flying.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
