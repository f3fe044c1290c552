"""Many requests on the workers of a Dask cluster; the extra `dask` brings what this needs.

Dask moves the work, this package sends the requests. URLs are leased to the workers in small partitions, a few at a
time for each, and each result is sent here when it is there. So what was finished when a worker dies is kept; what is
left of its partitions goes to others. No request is sent twice unless it was under way then.

```python
from distributed import Client as Scheduler
from httpx_fast.integrations.dask import dataframe

with Scheduler("tcp://scheduler:8786") as scheduler:
    frame = dataframe(scheduler, urls, concurrency=50, rate=500)
```

How it works:

1. A task of Dask is one partition, for one worker: Dask must not send it to another on its own, since only this side
   knows which of its requests are done.
2. Rows come through a `distributed.Queue` with room for `QUEUED` messages. If they are not taken here, workers wait.
3. A partition whose worker has gone is leased again after the queue was emptied once: what the worker had reported is
   in there.
4. Workers that come and go are seen within `LOOK` seconds, and the rate is divided anew.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, Self

from .. import _bulk
from .._client.client import Client
from .._client.many import check_concurrency
from .._config import Limits
from . import _dask_worker

__all__ = ["dataframe", "rows", "to_parquet"]

#: Partitions that each worker has or waits for: enough for it never to be without.
AHEAD: Final = 3
#: Messages that wait at the scheduler, each of the rows that a worker had at once: at most `concurrency`.
QUEUED: Final = 16
LOOK: Final = 1.0  # seconds between two looks at which workers there are


def rows(
    scheduler: Any,
    urls: Iterable[Any],
    *,
    client: Client | None = None,
    partition: int = 50,
    concurrency: int = 50,
    rate: float | None = None,
    body: str = "text",
) -> Iterator[dict[str, Any]]:
    """Send a GET for each URL on the workers of `scheduler`, and yield the results as they come.

    `scheduler` is a `distributed.Client`; `client` is sent to the workers as configuration. `concurrency` is the number
    of requests that each worker process has under way, `rate` (requests in a second) is divided among them. `body` is
    "text", "base64" or "none". `line` of a result is the URL's place, from 1. URLs are taken as they are needed.
    What was under way on a worker that died is sent by another. Raises `distributed.scheduler.KilledWorker` if a
    partition has ended as many workers as Dask allows a task to, and what a worker raises when it cannot begin.

    ```python
    for row in rows(scheduler, urls):
        print(row["url"], row["status"] or row["error"])
    ```
    """
    with _Run(scheduler, urls, client, partition, concurrency, rate, body) as run:
        for _, found in run.results():
            yield from found


def dataframe(scheduler: Any, urls: Iterable[Any], **options: Any) -> Any:
    """Return the results as a dataframe of pandas, in the order of the URLs. Options are those of `rows()`."""
    found = sorted(rows(scheduler, urls, **options), key=lambda row: row["line"])
    return _bulk.arrow_table(found).to_pandas()


def to_parquet(
    scheduler: Any,
    urls: Iterable[Any],
    path: str | Path,
    *,
    client: Client | None = None,
    partition: int = 50,
    concurrency: int = 50,
    rate: float | None = None,
    body: str = "text",
) -> int:
    """Write the results into the directory `path`, one file for each partition as soon as it is done.

    The directory must be new or empty: FileExistsError. Returns the number of results. Options are those of `rows()`.
    """
    directory, count = Path(path), 0
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise FileExistsError(f"expected a new or an empty directory, got {str(directory)!r}")
    unfinished: dict[int, list[dict[str, Any]]] = {}
    with _Run(scheduler, urls, client, partition, concurrency, rate, body) as run:
        for part, found in run.results():
            kept = unfinished.setdefault(part.number, [])
            kept += found
            count += len(found)
            if not part.missing:
                _bulk.write(directory / f"part-{part.number:06}.parquet", unfinished.pop(part.number))
    return count


class _Partition:
    """URLs that belong together: of one file, where files are written."""

    def __init__(self, number: int, size: int) -> None:
        self.number: Final = number
        self.missing = size  # rows


class _Lease:
    """A partition, or what is left of one, and the worker that has it."""

    def __init__(self, partition: _Partition, left: dict[int, str]) -> None:
        self.partition: Final = partition
        self.left: Final = left  # URLs without a result, by line
        self.losses = 0
        self.address = ""
        self.token = ""
        self.future: Any = None
        self.asked = False  # whether to give back some of it


class _Worker:
    """Hold what is known of the process of a worker."""

    def __init__(self) -> None:
        self.token = ""  # of the process; empty until it has joined
        self.share: float | None = None  # of the rate, that it was told last
        self.joining: Any = None  # the answer that is awaited


class _Run:
    """Lease partitions to workers, and take their rows. A context manager: at its end the workers stop."""

    def __init__(
        self,
        scheduler: Any,
        urls: Iterable[Any],
        client: Client | None,
        partition: int,
        concurrency: int,
        rate: float | None,
        body: str,
    ) -> None:
        check_concurrency(concurrency)
        _check(client, partition, rate, body)
        self._scheduler = scheduler
        self._name = f"httpx_fast-{uuid.uuid4().hex}"
        self._settings = _pickled(client, concurrency)
        self._concurrency = concurrency
        self._rate = rate
        self._body = body
        self._batches = _batches(urls, partition)
        self._waiting: deque[_Lease] = deque()  # for a worker
        self._leases: dict[int, _Lease] = {}
        self._names = itertools.count()  # of leases
        self._giving_back: Any = None  # the answer that is awaited
        self._asked = 0  # which lease that is of
        self._workers: dict[str, _Worker] = {}  # by address
        self._looked = 0.0
        self._getting: Any = None
        dask: Any = import_module("dask")
        self._allowed: int = dask.config.get("distributed.scheduler.allowed-failures", 3)
        self._queue: Any = import_module("distributed").Queue(self._name, client=scheduler, maxsize=QUEUED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._scheduler.status != "running":
            return
        for lease in self._leases.values():
            lease.future.cancel()
        leaving = [
            self._in_loop(self._scheduler._run(_dask_worker.leave, self._name, workers=[each], on_error="ignore"))
            for each in self._workers
        ]
        wait(leaving, LOOK)
        self._messages(everything=True)  # workers wait for room
        self._queue.close()

    def results(self) -> Iterator[tuple[_Partition, list[dict[str, Any]]]]:
        """Yield rows as they come, each time of one partition, of which none is missing after its last."""
        while True:
            self._look()
            self._give()
            if not self._leases and not self._has_more():
                return
            ended = self._ended()
            for name, found in self._messages(everything=bool(ended)):
                lease = self._leases.get(name)
                if lease is None:
                    continue
                # What was leased twice may have been reported twice.
                fresh = [row for row in found if lease.left.pop(row["line"], None) is not None]
                if not lease.left:
                    self._end(name)
                if fresh:
                    lease.partition.missing -= len(fresh)
                    yield lease.partition, fresh
            for name in ended:
                if name in self._leases:
                    self._end(name)

    def _messages(self, everything: bool = False) -> list[Any]:
        """Return the messages that are there, after waiting for the first, but not for long: workers come and go.

        With `everything` it ends with a mark of its own: what a worker has put before that is then here. One `get` is
        kept waiting meanwhile: the scheduler would log each one that ends without a message.
        """
        if everything:
            self._in_loop(self._queue._put(None))
        found: list[Any] = []
        while True:
            self._getting = self._getting or self._in_loop(self._queue._get())
            joining = [] if everything else self._awaited()
            wait([self._getting, *joining], None if everything else LOOK, FIRST_COMPLETED)
            if self._getting.done():
                found.append(self._getting.result())
                self._getting = None
                found += self._queue.get(batch=True)
            if not everything or None in found:
                return [message for message in found if message is not None]

    def _awaited(self) -> list[Any]:
        """Return the answers of workers that are awaited."""
        found = [each.joining for each in self._workers.values()]
        return [each for each in (self._giving_back, *found) if each is not None]

    def _in_loop(self, coroutine: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._scheduler.loop.asyncio_loop)

    def _look(self) -> None:
        """See which workers there are, and tell each its share of the rate when that has changed.

        Without waiting for an answer: it can take the scheduler half a minute to find that a worker has gone.
        """
        if time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            found: dict[str, Any] = self._scheduler.scheduler_info(n_workers=-1)["workers"]
            # A worker that is paused, or about to end, keeps what it has, and its share.
            there = [each for each in found if found[each]["status"] == "running" or each in self._workers]
            self._workers = {address: self._workers.get(address) or _Worker() for address in there}
        share = None if self._rate is None else self._rate / max(len(self._workers), 1)
        for address, worker in self._workers.items():
            if worker.joining is not None and worker.joining.done():
                told, worker.joining = worker.joining.result().get(address, OSError()), None
                if isinstance(told, str):
                    worker.token = told
                elif not isinstance(told, OSError):  # that of a worker that has gone meanwhile
                    raise told
            if worker.joining is None and (not worker.token or worker.share != share):
                worker.share = share
                given = (self._name, self._settings, self._concurrency, share)
                worker.joining = self._in_loop(
                    self._scheduler._run(_dask_worker.join, *given, workers=[address], on_error="return")
                )

    def _holds(self, lease: _Lease) -> bool:
        """Return whether the process that a partition was leased to is there, as far as is known."""
        worker = self._workers.get(lease.address)
        return worker is not None and worker.token == lease.token

    def _give(self) -> None:
        """Lease partitions to workers that have few; without any, have one of another worker given back."""
        load = Counter(lease.address for lease in self._leases.values())
        for count in range(AHEAD):
            for address, worker in self._workers.items():
                if load[address] > count or not worker.token:
                    continue
                if not self._has_more():
                    if count == 0:
                        self._take_back(load)
                    return
                load[address] += 1
                self._lease(self._waiting.popleft(), address, worker.token)

    def _lease(self, lease: _Lease, address: str, token: str) -> None:
        name = next(self._names)
        lease.address, lease.token, lease.asked = address, token, False
        self._leases[name] = lease
        given = (self._name, token, name, list(lease.left.items()), self._body)
        lease.future = self._scheduler.submit(
            _dask_worker.send, *given, workers=[address], allow_other_workers=False, retries=0, pure=False
        )

    def _take_back(self, load: Counter[str]) -> None:
        """Have a worker give back what it has not begun of its latest lease, since another has nothing to do."""
        if self._giving_back is not None:
            if not self._giving_back.done():
                return
            self._given_back(self._giving_back.result())
            return
        asked = {name: each for name, each in self._leases.items() if not each.asked and self._holds(each)}
        if not asked:
            return
        name = max(asked, key=lambda name: (load[asked[name].address], name))
        lease = asked[name]
        lease.asked = True
        self._asked = name
        given = (self._name, name, load[lease.address] > 1)
        self._giving_back = self._in_loop(
            self._scheduler._run(_dask_worker.give_back, *given, workers=[lease.address], on_error="return")
        )

    def _given_back(self, answers: dict[str, Any]) -> None:
        lease, self._giving_back = self._leases.get(self._asked), None
        if lease is None:
            return
        lines = answers.get(lease.address, OSError())
        if isinstance(lines, Exception):  # of a worker that has gone
            return
        taken = list(lease.left) if lines is None else lines
        if taken:
            self._waiting.append(_Lease(lease.partition, {line: lease.left.pop(line) for line in sorted(taken)}))
        if not lease.left:
            self._end(self._asked)

    def _has_more(self) -> bool:
        """Return whether a partition waits for a worker; take one if none does."""
        if not self._waiting:
            self._waiting.extend(itertools.islice(self._batches, 1))
        return bool(self._waiting)

    def _ended(self) -> list[int]:
        """Return the leases of which no more rows come. Raises what a worker raised."""
        ended: list[int] = []
        for name, lease in self._leases.items():
            if lease.future.status == "error":
                lease.future.result()
            if lease.future.status != "pending" or not self._holds(lease):
                ended.append(name)
        return ended

    def _end(self, name: int) -> None:
        """Forget a lease that is done; what another has left waits for a worker again."""
        lease = self._leases.pop(name)
        if lease.left and lease.future.status == "pending":
            lease.future.cancel()
        lease.future.release()
        if not lease.left:
            return
        if self._holds(lease):  # another process has this address: it has to join
            self._workers[lease.address] = _Worker()
        lease.losses += 1
        if lease.losses > self._allowed:
            killed: Any = import_module("distributed.scheduler").KilledWorker
            raise killed(lease.future.key, SimpleNamespace(address=lease.address), self._allowed)
        self._waiting.append(lease)


def _check(client: Any, partition: Any, rate: Any, body: Any) -> None:
    if client is not None and not isinstance(client, Client):
        raise TypeError(f"expected a Client, whose settings the workers are to have, got {client!r}")
    if isinstance(partition, bool) or not isinstance(partition, int) or partition < 1:
        raise ValueError(f"expected a number of URLs, 1 or more, as partition, got {partition!r}")
    if rate is not None and not rate > 0:
        raise ValueError(f"expected requests in a second, more than 0, or None as rate, got {rate!r}")
    if body not in _bulk.BODIES:
        raise ValueError(f"expected one of {', '.join(_bulk.BODIES)} as body, got {body!r}")


def _pickled(client: Client | None, concurrency: int) -> bytes:
    """Return the client as configuration; cloudpickle, which Dask has, takes lambdas too."""
    cloudpickle: Any = import_module("cloudpickle")
    if client is not None:
        return bytes(cloudpickle.dumps(client))
    with Client(limits=Limits(max_connections=concurrency, max_keepalive_connections=concurrency)) as made:
        return bytes(cloudpickle.dumps(made))


def _batches(urls: Iterable[Any], size: int) -> Iterator[_Lease]:
    numbered = ((getattr(url, "number", place), str(url)) for place, url in enumerate(urls, 1))
    for number in itertools.count():
        batch = dict(itertools.islice(numbered, size))
        if not batch:
            return
        yield _Lease(_Partition(number, len(batch)), batch)
