"""Many requests through one client: `client.map()`.

A fixed number of workers take items from an iterable and put outcomes into a window, from which the caller takes them.
Rules:

1. Nothing is taken ahead of need: an item is taken when a worker is free and the window has room for its outcome. So a
   file of a million lines is never in memory, and a caller that stops to look stops everything.
2. What goes wrong with one item is the outcome of that item. What goes wrong with the iterable itself is raised, after
   the outcomes of all that it gave.
3. Workers do not refer to the object that the caller iterates over. When that is closed, cancelled or forgotten they
   are cancelled (threads end after the request that they are at), and nothing is left.
"""

from __future__ import annotations

import contextvars
import threading
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Container, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias, cast

from .._models import Request, Response
from .._urls import URL

if TYPE_CHECKING:
    from .base import BaseClient

__all__ = ["AsyncOutcomes", "MapItem", "Outcome", "Outcomes"]

#: A URL; a request; method and URL; or the arguments of `client.request()`, where "method" may be left out.
MapItem: TypeAlias = URL | str | Request | tuple[str, URL | str] | Mapping[str, Any]
Progress: TypeAlias = Callable[[int, int | None], object]

#: Outcomes that are kept for each worker until the caller takes them: enough for a slow one not to stop the others.
AHEAD: Final = 4
MAX_CONCURRENCY: Final = 100_000
_SENDING: Final = ("auth", "follow_redirects", "stream")


class Outcome:
    """Hold the result of one item of `client.map()`: a `response`, or the `error` raised instead.

    `index` counts the items from 0, `key` is what `key(item)` returned (else the item's index). True in a condition if
    there is a response, whatever its status.

    ```python
    for outcome in client.map(["https://www.example.org/"]):
        if outcome:
            print(outcome.item, outcome.response.status_code)
        else:
            print(outcome.item, outcome.error)
    ```
    """

    __slots__ = ("error", "index", "item", "key", "response")

    def __init__(self, index: int, key: Any, item: Any, response: Response | None, error: Exception | None) -> None:
        self.index: int = index
        self.key: Any = key
        self.item: Any = item
        self.response: Response | None = response
        self.error: Exception | None = error

    def __bool__(self) -> bool:
        return self.error is None

    def unwrap(self) -> Response:
        """Return the response. Raises the error if there is none."""
        if self.error is not None:
            raise self.error
        assert self.response is not None
        return self.response

    def __repr__(self) -> str:
        told = self.response if self.error is None else self.error
        return f"<Outcome {self.index} {told!r}>"


def check_concurrency(value: Any) -> int:
    """Return `concurrency`. Raises TypeError, ValueError."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected a number of requests as concurrency, got {value!r}")
    if not 1 <= value <= MAX_CONCURRENCY:
        raise ValueError(f"expected 1 to {MAX_CONCURRENCY} requests as concurrency, got {value!r}")
    return value


def request_of(client: BaseClient, item: Any) -> tuple[Request, dict[str, Any]]:
    """Return the request that an item stands for, and how to send it. Raises TypeError, and what building it raises."""
    if isinstance(item, (str, URL)):
        return client.build_request("GET", item), {}
    if isinstance(item, Request):
        return item, {}
    given: Any = item
    if isinstance(item, tuple) and len(given) == 2:
        return client.build_request(*given), {}
    if isinstance(item, Mapping):
        arguments: dict[str, Any] = {"method": "GET", **cast("Mapping[str, Any]", item)}
        if "stream" in arguments:
            raise TypeError("expected no 'stream' among the arguments of a request: map() reads each body")
        if "url" not in arguments:
            raise TypeError(f"expected 'url' among the arguments of a request, got {', '.join(sorted(arguments))}")
        sending: dict[str, Any] = {name: arguments.pop(name) for name in _SENDING if name in arguments}
        return client.build_request(**arguments), sending
    raise TypeError(
        f"expected a URL, a Request, a tuple of method and URL, or a mapping of arguments as a request, got {item!r}"
    )


class _Window:
    """Hold what was taken and what has come of it; without locks and waits."""

    def __init__(
        self,
        concurrency: int,
        ordered: bool,
        key: Callable[[Any], Any] | None,
        done: Container[Any] | None,
        progress: Progress | None,
        total: int | None,
    ) -> None:
        self._room = concurrency * (1 + AHEAD)
        self._ordered = ordered
        self._key = key
        self._done = done
        self._progress = progress
        self._total = total
        self._taken = 0  # items that a worker has or had
        self._given = 0  # outcomes that the caller has
        self._skipped = 0
        self._out_of_order: dict[int, Outcome] = {}
        self._ready: deque[Outcome] = deque()
        self.stopped: bool = False
        self.exhausted: bool = False
        self.failure: BaseException | None = None  # of the iterable

    @property
    def has_room(self) -> bool:
        return self._taken - self._given < self._room

    @property
    def over(self) -> bool:
        """Return whether the caller has all that there will be."""
        return self.exhausted and self._given == self._taken

    def begin(self, item: Any) -> tuple[int, Any] | None:
        """Return index and key for an item; None for one that is to be left out. Raises what `key` raises."""
        index = self._taken + self._skipped
        key = index if self._key is None else self._key(item)
        if self._done is not None and key in self._done:
            self._skipped += 1
            return None
        self._taken += 1
        return self._taken - 1, key

    def put(self, place: int, outcome: Outcome) -> None:
        if self._ordered:
            self._out_of_order[place] = outcome
        else:
            self._ready.append(outcome)

    def pop(self) -> Outcome | None:
        """Return the next outcome, if it is there."""
        if self._ordered:
            outcome = self._out_of_order.pop(self._given, None)
        else:
            outcome = self._ready.popleft() if self._ready else None
        if outcome is not None:
            self._given += 1
            if self._progress is not None:
                self._progress(self._given + self._skipped, self._total)
        return outcome

    def close_progress(self) -> None:
        progress, self._progress = self._progress, None
        close: Callable[[], object] | None = getattr(progress, "close", None)
        if close is not None:
            close()

    def end(self, failure: BaseException | None = None) -> None:
        self.exhausted = True
        self.failure = self.failure or failure


class _Bar:
    """Show progress with rich, or with tqdm; with neither if neither is installed."""

    def __init__(self, total: int | None) -> None:
        self._done = 0
        self._update: Callable[[int], object] = lambda more: None
        self.close: Callable[[], object] = lambda: None
        try:
            from rich.progress import Progress as RichProgress

            rich = RichProgress(transient=False)
            task = rich.add_task("requests", total=total)
            rich.start()
            self._update, self.close = lambda more: rich.advance(task, more), rich.stop
        except ImportError:
            try:
                from tqdm import tqdm  # type: ignore[import-untyped, unused-ignore]
            except ImportError:
                return
            bar: Any = tqdm(total=total, unit="request")
            self._update, self.close = bar.update, bar.close

    def __call__(self, done: int, total: int | None) -> None:
        self._update(done - self._done)
        self._done = done


def window_of(
    items: Any,
    concurrency: Any,
    ordered: bool,
    key: Any,
    done: Any,
    progress: Any,
    awaits: bool,
) -> tuple[int, _Window]:
    """Return how many workers there are to be, and their window. Raises TypeError, ValueError for bad arguments."""
    workers = check_concurrency(concurrency)
    if isinstance(items, (str, bytes, URL, Request)) or not (
        hasattr(items, "__iter__") or (awaits and hasattr(items, "__aiter__"))
    ):
        raise TypeError(f"expected an iterable of requests, got {items!r}")
    if key is not None and not callable(key):
        raise TypeError(f"expected a function of an item as key, got {key!r}")
    if done is not None and not hasattr(done, "__contains__"):
        raise TypeError(f"expected a container of keys as done, got {done!r}")
    if done is not None and key is None:
        raise TypeError("expected key=..., a function of an item, with done=...: it says which items are done")
    total = total_of(items)
    if progress is True:
        progress = _Bar(total)
    elif progress is not None and progress is not False and not callable(progress):
        raise TypeError(f"expected True, None or a function of counts as progress, got {progress!r}")
    window = _Window(workers, ordered, key, done, progress or None, total)
    return min(workers, max(total, 1)) if total is not None else workers, window


def total_of(items: Any) -> int | None:
    """Return how many items there are, if that can be asked without taking them."""
    try:
        return len(items)
    except TypeError:
        return None


class Outcomes:
    """Iterate over the outcomes of requests that threads send. `close()` it, or use it in `with`, to end early."""

    def __init__(self, client: Any, items: Iterable[MapItem], concurrency: int, window: _Window) -> None:
        self._shared = _Threads(client, iter(items), window)
        self._threads = [
            threading.Thread(target=self._shared.work, name=f"httpx_fast.map-{number}", daemon=True)
            for number in range(concurrency)
        ]
        self._started = 0

    def __iter__(self) -> Iterator[Outcome]:
        return self

    def __next__(self) -> Outcome:
        shared, window = self._shared, self._shared.window
        with shared.changed:
            if self._started < len(self._threads) and not window.exhausted and not window.stopped:
                self._begin_threads()
            while (outcome := window.pop()) is None:
                if window.over or window.stopped:
                    break
                shared.changed.wait()
            shared.changed.notify_all()
        if outcome is not None:
            return outcome
        self.close()
        failure, window.failure = window.failure, None
        if failure is not None:
            raise failure
        raise StopIteration

    def _take_ready(self) -> list[Outcome]:
        """Return the outcomes that are there, without waiting for more."""
        shared, ready = self._shared, list[Outcome]()
        with shared.changed:
            while (outcome := shared.window.pop()) is not None:
                ready.append(outcome)
            if ready:
                shared.changed.notify_all()
        return ready

    def _begin_threads(self) -> None:
        while self._started < len(self._threads):
            self._threads[self._started].start()
            self._started += 1

    def close(self) -> None:
        """End early: take no more items, and wait for the requests under way. May be repeated."""
        self._shared.stop()
        for thread in self._threads[: self._started]:
            if thread is not threading.current_thread():
                thread.join()
        self._shared.window.close_progress()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def __del__(self) -> None:
        shared = getattr(self, "_shared", None)
        if shared is not None:
            shared.stop()


class _Threads:
    """Hold the state that the threads of one `map()` share."""

    def __init__(self, client: Any, items: Iterator[Any], window: _Window) -> None:
        self.window = window
        self.changed = threading.Condition()
        self._client = client
        self._items = items
        self._taking = threading.Lock()  # an iterator bears one thread at a time

    def stop(self) -> None:
        with self.changed:
            self.window.stopped = True
            self.changed.notify_all()

    def work(self) -> None:
        """Send requests until there are no more."""
        while (taken := self._take()) is not None:
            place, key, item = taken
            response = error = None
            try:
                request, sending = request_of(self._client, item)
                response = self._client.send(request, **sending)
            except Exception as caught:  # noqa: BLE001 - an outcome
                error = caught
            with self.changed:
                self.window.put(place, Outcome(place, key, item, response, error))
                self.changed.notify_all()

    def _take(self) -> tuple[int, Any, Any] | None:
        window = self.window
        while True:
            with self._taking:
                with self.changed:
                    while not (window.has_room or window.stopped or window.exhausted):
                        self.changed.wait()
                    if window.stopped or window.exhausted:
                        return None
                try:
                    item = next(self._items)
                    with self.changed:
                        begun = window.begin(item)
                except Exception as failure:  # noqa: BLE001 - raised again for the caller
                    with self.changed:
                        window.end(None if isinstance(failure, StopIteration) else failure)
                        self.changed.notify_all()
                    return None
            if begun is not None:
                return *begun, item


class AsyncOutcomes:
    """Iterate over the outcomes of requests that tasks send. `aclose()` it, or use it in `async with`, to end early."""

    def __init__(
        self, client: Any, items: Iterable[MapItem] | AsyncIterable[MapItem], concurrency: int, window: _Window
    ) -> None:
        self._shared = _Tasks(client, items, window)
        self._concurrency = concurrency

    def __aiter__(self) -> AsyncIterator[Outcome]:
        return self

    async def __anext__(self) -> Outcome:
        shared, window = self._shared, self._shared.window
        try:
            if not shared.workers and not window.stopped:
                shared.begin(self._concurrency)
            while (outcome := window.pop()) is None:
                if window.over or window.stopped:
                    break
                await shared.wait_for_outcome()
        except BaseException:
            await self.aclose()
            raise
        if outcome is not None:
            shared.tell_room()
            return outcome
        await self.aclose()
        failure, window.failure = window.failure, None
        if failure is not None:
            raise failure
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """End early: cancel the requests under way. May be repeated."""
        await self._shared.stop()
        self._shared.window.close_progress()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    def __del__(self) -> None:
        shared = getattr(self, "_shared", None)
        if shared is not None:
            shared.cancel()


class _Tasks:
    """Hold the state that the tasks of one `map()` share."""

    def __init__(self, client: Any, items: Any, window: _Window) -> None:
        self.window = window
        self.workers: list[Any] = []
        self._client = client
        self._next: Callable[[], Any]
        self._awaits = hasattr(items, "__aiter__")
        self._next = aiter(items).__anext__ if self._awaits else iter(items).__next__
        self._taking: Any = None
        self._outcome: Any = None  # events, made when somebody waits
        self._space: Any = None

    def begin(self, concurrency: int) -> None:
        import anyio

        from .._net.auto import current_token

        self._taking = anyio.Lock(fast_acquire=True) if self._awaits else None
        spawn = _spawn_on_asyncio if not _is_trio(current_token()) else _spawn_on_trio
        for _ in range(concurrency):
            self.workers.append(spawn(self.work))

    def cancel(self) -> None:
        """Cancel the tasks, without waiting; also for an object that is collected, after its loop has ended."""
        self.window.stopped = True
        for worker in self.workers:
            worker.cancel()

    async def stop(self) -> None:
        """Cancel the tasks, and wait until they have ended."""
        import anyio

        self.cancel()
        with anyio.CancelScope(shield=True):
            for worker in self.workers:
                await worker.wait()
        self.workers.clear()

    async def wait_for_outcome(self) -> None:
        import anyio

        self._outcome = anyio.Event()
        await self._outcome.wait()

    def _tell_outcome(self) -> None:
        if self._outcome is not None:
            self._outcome.set()
            self._outcome = None

    def tell_room(self) -> None:
        if self._space is not None and self.window.has_room:
            self._space.set()
            self._space = None

    async def work(self) -> None:
        """Send requests until there are no more."""
        window, client = self.window, self._client
        while (taken := await self._take()) is not None:
            place, key, item = taken
            response = error = None
            try:
                request, sending = request_of(client, item)
                response = await client.send(request, **sending)
            except Exception as caught:  # noqa: BLE001 - an outcome
                error = caught
            window.put(place, Outcome(place, key, item, response, error))
            self._tell_outcome()

    async def _take(self) -> tuple[int, Any, Any] | None:
        import anyio

        window = self.window
        while True:
            while not (window.has_room or window.stopped or window.exhausted):
                if self._space is None:
                    self._space = anyio.Event()
                await self._space.wait()
            if window.stopped or window.exhausted:
                return None
            try:
                item = await self._take_awaited() if self._awaits else self._next()
                if window.exhausted:  # another task saw the end meanwhile
                    return None
                begun = window.begin(item)
            except (StopIteration, StopAsyncIteration):
                failure = None
            except Exception as caught:  # noqa: BLE001 - raised again for the caller
                failure = caught
            else:
                if begun is None:
                    continue
                return *begun, item
            window.end(failure)
            self._tell_outcome()
            self.tell_room()
            return None

    async def _take_awaited(self) -> Any:
        async with self._taking:
            if self.window.exhausted:
                raise StopAsyncIteration
            return await self._next()


def _is_trio(token: Any) -> bool:
    return type(token).__module__.startswith("trio")


class _AsyncioWorker:
    def __init__(self, task: Any) -> None:
        self._task = task

    def cancel(self) -> None:
        loop = self._task.get_loop()
        if not loop.is_closed() and not self._task.done():
            self._task.cancel()

    async def wait(self) -> None:
        import asyncio

        await asyncio.wait([self._task])


def _spawn_on_asyncio(work: Callable[[], Any]) -> _AsyncioWorker:
    import asyncio

    return _AsyncioWorker(asyncio.get_running_loop().create_task(work()))


class _TrioWorker:
    def __init__(self, scope: Any, ended: Any) -> None:
        self._scope = scope
        self._ended = ended

    def cancel(self) -> None:
        self._scope.cancel()

    async def wait(self) -> None:
        await self._ended.wait()


def _spawn_on_trio(work: Callable[[], Any]) -> _TrioWorker:
    import trio

    scope, ended = trio.CancelScope(), trio.Event()

    async def run() -> None:
        try:
            with scope:
                await work()
        finally:
            ended.set()

    # Not in a nursery, whose end would have to enclose the caller's loop; `AsyncOutcomes` ends it instead.
    trio.lowlevel.spawn_system_task(run, name="httpx_fast.map", context=contextvars.copy_context())
    return _TrioWorker(scope, ended)
