"""The pools of a client with several transports, as one to look into: each mount and proxy has its own.

It is made when it is asked for, and tells of what there is then. What is done to it is done to the first pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .pool import Pool
from .stats import ConnectionInfo, PoolStats, WaiterInfo

__all__ = ["PoolGroup"]


class PoolGroup(Pool):
    """Several pools; counts and limits are those of all together."""

    def __init__(self, pools: Sequence[Pool]) -> None:  # nothing is made: it has the parts of the first one
        self.__dict__.update(vars(pools[0]))
        #: The pools, that of the client's own transport first.
        self.pools: tuple[Pool, ...] = tuple(pools)

    def stats(self) -> PoolStats:
        """Return counts, as they are now."""
        every = [pool.stats() for pool in self.pools]
        longest = [each.longest for each in every if each.longest is not None]
        limits = [each.max_connections for each in every]
        per_host = [each.max_per_host for each in every]
        total = PoolStats(
            leased=sum(each.leased for each in every),
            idle=sum(each.idle for each in every),
            connecting=sum(each.connecting for each in every),
            waiting=sum(each.waiting for each in every),
            max_connections=None if None in limits else sum(each for each in limits if each is not None),
            max_per_host=None if None in per_host else max(each for each in per_host if each is not None),
            longest=max(longest, key=lambda info: info.leased or 0.0, default=None),
            learnt={origin: seconds for each in every for origin, seconds in each.learnt.items()},
            draining=sum(each.draining for each in every),
        )
        return total if self.retry_stats is None else replace(total, retries=self.retry_stats())

    def connections(self) -> list[ConnectionInfo]:
        """Describe every connection, and every one that is being made."""
        return [info for pool in self.pools for info in pool.connections()]

    def waiters(self) -> list[WaiterInfo]:
        """Describe the requests that wait for a connection, those that wait for longest first."""
        return sorted((each for pool in self.pools for each in pool.waiters()), key=lambda each: -each.age)
