"""Connections that serve no request after the one that they serve now, and who waits until they are gone.

What `drain()` leaves behind: names of connections by their facts, which each has from before it is dialled. It decides
nothing and closes nothing. Everything is called under the pool's lock.
"""

from __future__ import annotations

from collections.abc import Iterable

from .._journey import ConnectionFacts
from .._net.base import Waiter


class RetiredConnections:
    """Facts of the connections that were there when the pool was drained, and of those that were being dialled then."""

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
        """What is `leased` now, and dialled, is outdated; all of that."""
        found = {*leased, *self._dials}
        self._left |= found
        return found

    def gone(self, closed: Iterable[ConnectionFacts]) -> None:
        """These are closed, or never came to be; wakes those who wait if they were the last."""
        if not self._left:
            return
        self._left.difference_update(closed)
        if not self._left:
            for waiter in self._waiters:
                waiter.set()

    def left_of(self, found: set[ConnectionFacts]) -> int:
        """How many of those that `begin()` gave are still there."""
        return len(found & self._left)

    def wait(self, waiter: Waiter) -> None:
        """Has `waiter` be set when nothing is left."""
        self._waiters.add(waiter)

    def give_up(self, waiter: Waiter) -> None:
        self._waiters.discard(waiter)
