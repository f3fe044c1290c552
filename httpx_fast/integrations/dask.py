"""Many requests on the workers of a Dask cluster; the extra `dask` brings what this needs.

Dask moves the work, this package sends the requests. URLs go to the workers in small partitions, a few at a time for
each worker, and the results of a partition are here when it is done. So what was finished when a worker dies is kept,
and Dask gives the partitions that it was at to another one. A worker has one client, made of the pickled one, in
each of its processes.

```python
from distributed import Client as Scheduler
from httpx_fast.integrations.dask import dataframe

with Scheduler("tcp://scheduler:8786") as scheduler:
    frame = dataframe(scheduler, urls, concurrency=50, rate=500)
```
"""

from __future__ import annotations

import itertools
import pickle
import threading
import time
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from .. import _bulk
from .._client.client import Client
from .._client.many import check_concurrency
from .._config import Limits

__all__ = ["dataframe", "rows", "to_parquet"]

#: Partitions that each worker has or waits for: enough for it never to be without.
AHEAD: Final = 3
MAX_CLIENTS: Final = 8  # clients that a worker keeps, one for each configuration; the oldest goes first


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
    """Send a GET for each URL on the workers of `scheduler`, and yield the results as partitions are done.

    `scheduler` is a `distributed.Client`; `client` is sent to the workers as configuration. `concurrency` is of each
    worker, `rate` (requests in a second) is divided among them. `body` is "text", "base64" or "none". `line` of a
    result is the URL's place, from 1. URLs are taken as they are needed. Raises what Dask raises if a partition cannot
    be done, as `distributed.KilledWorker` if it ended several workers.

    ```python
    for row in rows(scheduler, urls):
        print(row["url"], row["status"] or row["error"])
    ```
    """
    for _, done in _partitions(scheduler, urls, client, partition, concurrency, rate, body):
        yield from done


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
    for number, done in _partitions(scheduler, urls, client, partition, concurrency, rate, body):
        _bulk.write(directory / f"part-{number:06}.parquet", done)
        count += len(done)
    return count


def _partitions(
    scheduler: Any,
    urls: Iterable[Any],
    client: Client | None,
    partition: int,
    concurrency: int,
    rate: float | None,
    body: str,
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Yield number and results of each partition, as they are done."""
    check_concurrency(concurrency)
    _check(client, partition, rate, body)
    settings = _pickled(client, concurrency)
    waiting = enumerate(_batches(urls, partition))
    done: Any = import_module("distributed").as_completed(loop=scheduler.loop)
    numbers: dict[str, int] = {}
    try:
        while True:
            workers = max(len(scheduler.scheduler_info(n_workers=-1)["workers"]), 1)
            share = None if rate is None else rate / workers
            for number, batch in itertools.islice(waiting, max(workers * AHEAD - len(numbers), 0)):
                # Not pure: the same URL may be asked twice, and is then to be sent twice.
                future = scheduler.submit(_send, settings, batch, concurrency, share, body, pure=False)
                numbers[future.key] = number
                done.add(future)
            if not numbers:
                return
            future = next(done)
            yield numbers.pop(future.key), future.result()
            future.release()
    finally:
        for future in list(done.futures):
            future.cancel()


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


def _batches(urls: Iterable[Any], size: int) -> Iterator[list[tuple[int, str]]]:
    numbered = ((getattr(url, "number", place), str(url)) for place, url in enumerate(urls, 1))
    while batch := list(itertools.islice(numbered, size)):
        yield batch


class _Sender:
    """The client of a worker's process, and when its next request may begin."""

    def __init__(self, settings: bytes) -> None:
        self.client: Client = pickle.loads(settings)
        self._lock = threading.Lock()
        self._next = 0.0

    def paced(self, lines: Iterable[_bulk.Line], rate: float | None) -> Iterator[_bulk.Line]:
        """Yield lines no faster than `rate`, which all partitions of this process share."""
        for line in lines:
            if rate is not None:
                with self._lock:
                    begin = max(self._next, time.monotonic())
                    self._next = begin + 1 / rate
                time.sleep(max(begin - time.monotonic(), 0))
            yield line


_senders: dict[bytes, _Sender] = {}
_making = threading.Lock()


def _sender(settings: bytes) -> _Sender:
    with _making:
        sender = _senders.get(settings)
        if sender is None:
            while len(_senders) >= MAX_CLIENTS:
                _senders.pop(next(iter(_senders))).client.drain(0)
            sender = _senders[settings] = _Sender(settings)
        return sender


def _send(
    settings: bytes, batch: list[tuple[int, str]], concurrency: int, rate: float | None, body: str
) -> list[dict[str, Any]]:
    """Send the requests of one partition, on a worker."""
    sender = _sender(settings)
    lines = sender.paced((_bulk.Line.of(number, url) for number, url in batch), rate)
    return list(_bulk.rows_of(sender.client, lines, concurrency, body))
