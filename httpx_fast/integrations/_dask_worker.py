"""What runs in the worker processes of a Dask cluster, for `httpx_fast.integrations.dask`.

The driver is the process that calls `rows()` and the like. Rules:

1. A run has one client in each process, made of the pickled one. Runs with the same settings share it.
2. A request holds one of the `concurrency` slots of the run in this process from before it is begun until its row has
   reached the scheduler. So what is lost with the process was under way, and is never more than that.
3. Rows go to the driver through a queue of bounded length at the scheduler. If nobody takes them, no request is begun.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from importlib import import_module
from typing import Any, Final

from .. import _bulk
from .._client.client import Client

__all__ = ["give_back", "join", "leave", "send"]

MAX_CLIENTS: Final = 8  # clients that a process keeps, one for each configuration; the oldest goes first
MAX_RUNS: Final = 32  # runs that a process remembers: those of drivers that died are never left
PATIENCE: Final = 5.0  # seconds for a row to be taken by the scheduler, before looking whether the run is over


class Run:
    """Hold what the leases of one run share in this process: the client, slots and rate."""

    def __init__(self, settings: bytes, concurrency: int) -> None:
        self.token: Final = uuid.uuid4().hex  # tells this process from one that has its address later
        self.pace: Final = _bulk.Pace(None)
        self.settings: Final = settings
        self.concurrency: Final = concurrency
        self.leases: Final[dict[int, _Lines | None]] = {}  # None: given back before it was begun
        self._free = concurrency
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def stopped(self) -> bool:
        return self._stopped

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        self.pace.stop()

    def take_slot(self) -> bool:
        """Wait for a slot. Returns False once the run is over."""
        with self._changed:
            while not (self._free or self._stopped):
                self._changed.wait()
            if self._stopped:
                return False
            self._free -= 1
            return True

    def give_slots(self, count: int) -> None:
        with self._changed:
            self._free += count
            self._changed.notify_all()


class _Lines:
    """Iterate over the lines of a lease, each as soon as it may be sent."""

    def __init__(self, run: Run, batch: Iterable[tuple[int, str]]) -> None:
        self._run = run
        self._left = deque(batch)
        self.over = False

    def __iter__(self) -> Iterator[_bulk.Line]:
        return self

    def __next__(self) -> _bulk.Line:
        if self._left and self._run.take_slot() and self._run.pace.wait():
            with contextlib.suppress(IndexError):  # what was left was given back meanwhile
                return _bulk.Line.of(*self._left.popleft())
            self._run.give_slots(1)
        self.over = True
        raise StopIteration

    def give_back(self, everything: bool) -> list[int]:
        """Return the numbers of lines that are then not sent here: all that are left, or half of them."""
        given: list[int] = []
        with contextlib.suppress(IndexError):
            for _ in range(len(self._left) if everything else len(self._left) // 2):
                given.append(self._left.pop()[0])
        return given


_clients: dict[bytes, Client] = {}
_runs: dict[str, Run] = {}
_changing = threading.Lock()


def join(name: str, settings: bytes, concurrency: int, rate: float | None) -> str:
    """Take part in a run, or take another share of its rate. Returns what tells this process from others."""
    with _changing:
        run = _runs.get(name)
        if run is None:
            while len(_runs) >= MAX_RUNS:
                _runs.pop(next(iter(_runs))).stop()
            run = _runs[name] = Run(settings, concurrency)
    run.pace.rate = rate
    return run.token


def leave(name: str) -> None:
    """End a run: what is under way is finished, no more is begun."""
    with _changing:
        run = _runs.pop(name, None)
    if run is not None:
        run.stop()


def _client(settings: bytes) -> Client:
    with _changing:
        client = _clients.get(settings)
        if client is None:
            while len(_clients) >= MAX_CLIENTS:
                _clients.pop(next(iter(_clients))).drain(0)
            client = _clients[settings] = pickle.loads(settings)
        return client


def give_back(name: str, lease: int, everything: bool) -> list[int] | None:
    """Return lines of a lease that were not begun, for another worker; None for all of them."""
    run = _runs.get(name)
    if run is None:
        return []
    lines = run.leases.setdefault(lease, None)
    return None if lines is None else lines.give_back(everything)


def send(name: str, token: str, lease: int, batch: list[tuple[int, str]], body: str) -> None:
    """Send the requests of one lease, and put their rows into the queue of the run.

    Does nothing in a process that has not joined the run: one that was started at the address of another.
    """
    distributed: Any = import_module("distributed")
    worker, run = distributed.get_worker(), _runs.get(name)
    if run is None or run.token != token:
        return
    lines = _Lines(run, batch)
    if run.leases.setdefault(lease, lines) is not lines:
        return
    key, seceded = worker.get_current_task(), False
    with _client(run.settings).map(lines, concurrency=min(run.concurrency, len(batch)), ordered=False) as outcomes:
        for first in outcomes:
            rows = [_bulk.row_of(each, body) for each in (first, *outcomes._take_ready())]
            if not _put(worker, name, run, key, [lease, rows]):
                return
            run.give_slots(len(rows))
            if lines.over and not seceded:
                # The last requests need not all slots: the next lease begins, whatever threads the worker has.
                distributed.secede()
                seceded = True
    del run.leases[lease]


def _put(worker: Any, name: str, run: Run, key: str, message: list[Any]) -> bool:
    """Put a message into the queue at the scheduler, when it has room. Returns False if the run is over."""
    if run.stopped:
        return False
    putting = asyncio.run_coroutine_threadsafe(_queue_put(worker, name, message), worker.loop.asyncio_loop)
    while True:
        try:
            putting.result(PATIENCE)
            return True
        except TimeoutError:
            task = worker.state.tasks.get(key)
            if run.stopped or task is None or task.state not in ("executing", "long-running"):
                putting.cancel()  # the driver has gone, and its task was taken back
                leave(name)
                return False


async def _queue_put(worker: Any, name: str, message: list[Any]) -> None:
    await worker.scheduler.queue_put(name=name, data=message)
