"""Has the child of a fork forget the connections of its parent.

Both hold the same sockets, and two processes that use one connection read each other's answers. So the child closes
its descriptors, without sending anything to the peers, and begins anew. Nothing else runs in it yet, so locks that
other threads of the parent held are replaced, not taken.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class Forkable(Protocol):
    def begin_anew(self) -> None:
        """Forget all connections; called in the child of a fork before anything else."""


_known: WeakSet[Forkable] = WeakSet()


def watch(pool: Forkable) -> None:
    """Have `pool` begin anew in children from now on."""
    _known.add(pool)


def _in_child() -> None:
    for pool in list(_known):
        pool.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
