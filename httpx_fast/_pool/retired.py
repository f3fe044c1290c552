"""Connections that serve no request after the one that they serve now, and the waiters for their end.

`drain()` retires connections. They are named by their facts, which each has from before it is dialled. Nothing is
decided or closed here. Everything is called under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._journey import ConnectionFacts
from .._net.base import Waiter


class RetiredConnections:
    """Hold the facts of connections that were there, or were being dialled, when the pool retired its connections."""

    __slots__ = ("_dials", "_left", "_waiters")

    def __init__(self) -> None:
        self._dials: set[ConnectionFacts] = set()  # of all that is dialled
        self._left: set[ConnectionFacts] = set()
        self._waiters: set[Waiter] = set()

    def __contains__(self, facts: ConnectionFacts) -> bool:
        return facts in self._left

    def __bool__(self) -> bool:
        return bool(self._left)

    def dial_begins(self, facts: ConnectionFacts) -> None:
        self._dials.add(facts)

    def dial_ends(self, facts: ConnectionFacts, connected: bool) -> None:
        self._dials.discard(facts)
        if not connected:
            self.gone((facts,))

    def begin(self, leased: Iterable[ConnectionFacts]) -> set[ConnectionFacts]:
        """Retire what is `leased` now, and what is being dialled; return all of that."""
        found = {*leased, *self._dials}
        self._left |= found
        return found

    def gone(self, closed: Iterable[ConnectionFacts]) -> None:
        """Note that these are closed, or were never made; wake the waiters if they were the last."""
        if not self._left:
            return
        self._left.difference_update(closed)
        if not self._left:
            for waiter in self._waiters:
                waiter.set()

    def left_of(self, found: set[ConnectionFacts]) -> int:
        """Return how many of those that `begin()` returned are still there."""
        return len(found & self._left)

    def wait(self, waiter: Waiter) -> None:
        """Have `waiter` set when nothing is left."""
        self._waiters.add(waiter)

    def give_up(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)
