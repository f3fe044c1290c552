"""Where a `FakeTime` takes the place of the real one: in the pools of transports, and where a hedge is waited for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from .._net.auto import current_token, has_ended
from .._net.base import Backend
from .._pool.pool import Pool
from .._retry.race import ThreadRacing
from .._transports.http import AsyncHTTPTransport, HTTPTransport
from ._fake_time import FakeTime


class Place(Protocol):
    """Name what is done with a transport."""

    @property
    def taken(self) -> bool:
        """Return whether a fake time drives it."""
        ...

    def take(self) -> None:
        """Give it pools that wait by the fake time."""

    def restore(self) -> None:
        """Close these, and give it the pools that it had before."""


def places_of(transports: Sequence[Any], now: FakeTime) -> list[Place]:
    """Return the places of transports."""
    return [
        _Blocking(each, now) if isinstance(each, HTTPTransport) else _Asynchronous(each, now) for each in transports
    ]


class _Transport:
    """Have a transport make pools whose backend waits by a fake time."""

    def __init__(self, transport: Any, now: FakeTime) -> None:
        self._transport = transport
        self._now = now

    @property
    def taken(self) -> bool:
        return "_make_pool" in vars(self._transport)

    def take(self) -> None:
        make: Callable[[Backend], Pool] = self._transport._make_pool
        self._set_aside()

        def make_pool(backend: Backend) -> Pool:
            return make(faked(backend, self._now))

        self._transport._make_pool = make_pool

    def restore(self) -> None:
        del self._transport._make_pool
        self._put_back()

    def _set_aside(self) -> None:
        raise NotImplementedError

    def _put_back(self) -> None:
        raise NotImplementedError


class _Blocking(_Transport):
    _transport: HTTPTransport
    _before: Pool | None = None

    def _set_aside(self) -> None:
        self._before, self._transport._made = self._transport._made, None

    def _put_back(self) -> None:
        used, self._transport._made = self._transport._made, None
        if used is not None:
            used.close()
        before, self._before = self._before, None
        if before is not None:
            self._transport._made = before
            if self._transport._closed:
                before.close()


class _Asynchronous(_Transport):
    _transport: AsyncHTTPTransport
    _before: dict[object, Pool]

    def _set_aside(self) -> None:
        transport = self._transport
        with transport._pools_lock:
            self._before, transport._pools = transport._pools, {}
            transport._last = (None, None)

    def _put_back(self) -> None:
        transport = self._transport
        with transport._pools_lock:
            used = list(transport._pools.items())
            transport._pools, self._before = self._before, {}
            transport._last = (None, None)
            if transport._closed:
                used += transport._pools.items()
                transport._pools = {}
        for token, pool in used:
            _close(token, pool)


def _close(token: Any, pool: Pool) -> None:
    """Close a pool, by its loop if that is another one that still runs."""
    try:
        here: object = current_token()
    except RuntimeError:
        here = None
    if token is here or has_ended(token):
        pool.close()
    else:
        pool.close_soon()


def first_of(waits: Any, now: FakeTime) -> Callable[..., Any]:
    """Return what waits, by a fake time, for the first of two attempts while it is alone; see `_retry.race`."""

    def in_thread(condition: threading.Condition, has_news: Callable[[], bool], seconds: float) -> None:
        at = now() + seconds
        while not condition.wait_for(has_news, now.nap(at)) and now() < at:
            pass

    async def in_task(news: Any, seconds: float) -> None:
        import anyio

        at = now() + seconds
        while not news.is_set() and now() < at:
            with anyio.move_on_after(now.nap(at)):
                await news.wait()

    return in_thread if isinstance(waits, ThreadRacing) else in_task


def faked(backend: Backend, now: FakeTime) -> Backend:
    """Return a backend that waits as `backend` does, by the time `now`."""
    if backend.name == "blocking":
        from ._fake_sync import FakeSyncBackend

        return FakeSyncBackend(now)
    if backend.name == "asyncio":
        from ._fake_asyncio import FakeAsyncioBackend

        return FakeAsyncioBackend(now)
    from ._fake_trio import FakeTrioBackend

    return FakeTrioBackend(now)
