"""What only trio's streams and timers do: deadlines of reads without cancel scopes."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

trio = pytest.importorskip("trio")

from httpx_fast._exceptions import ReadTimeout  # noqa: E402
from httpx_fast._net.trio import TrioBackend, TrioTimer  # noqa: E402


def system_tasks() -> int:
    """Count the tasks of timers."""
    root = trio.lowlevel.current_root_task()
    return sum("TrioTimer" in task.name for nursery in root.child_nurseries for task in nursery.child_tasks)


def run(body: Callable[[], Any]) -> None:
    async def main() -> None:
        with trio.fail_after(30):
            await body()

    trio.run(main)


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():
        await trio.sleep(0)


def test_a_timer_calls_back_once_and_its_task_ends():
    async def body() -> None:
        called: list[int] = []
        timer = TrioTimer()
        timer.call_later(0.0, lambda: called.append(1))
        assert system_tasks() == 1
        await until(lambda: system_tasks() == 0)
        assert called == [1]

    run(body)


def test_a_later_call_takes_the_place_of_the_one_before():
    async def body() -> None:
        called: list[int] = []
        timer = TrioTimer()
        timer.call_later(1000.0, lambda: called.append(1))
        timer.call_later(0.0, lambda: called.append(2))
        assert system_tasks() == 1
        await until(lambda: system_tasks() == 0)
        assert called == [2]

    run(body)


def test_a_call_may_set_the_timer_again_and_needs_no_other_task():
    async def body() -> None:
        called: list[int] = []
        timer = TrioTimer()

        def call() -> None:
            called.append(system_tasks())
            if len(called) < 3:
                timer.call_later(0.0, call)

        timer.call_later(0.0, call)
        await until(lambda: system_tasks() == 0)
        assert called == [1, 1, 1]

    run(body)


def test_a_timer_that_is_cancelled_calls_nobody():
    async def body() -> None:
        called: list[int] = []
        timer = TrioTimer()
        timer.call_later(0.0, lambda: called.append(1)).cancel()
        await until(lambda: system_tasks() == 0)
        assert called == []

    run(body)


class Sink:
    pending = 0

    def get_buffer(self) -> None: ...
    def buffer_updated(self, nbytes: int) -> bool:
        raise AssertionError

    def data_received(self, data: memoryview) -> bool:
        return True

    def eof_received(self, clean: bool) -> bool:
        return True


def test_a_hundred_reads_leave_one_deadline_to_check(monkeypatch: pytest.MonkeyPatch):
    async def body() -> None:
        here, there = socket.socketpair()
        here.setblocking(False)
        backend = TrioBackend()
        stream: Any = await backend._stream(here, None)
        stream.attach(Sink())
        scopes: list[Any] = []
        monkeypatch.setattr(trio, "CancelScope", lambda *arguments, **options: scopes.append(1) or scope(**options))
        for _ in range(100):
            stream.set_deadline("read", time.monotonic() + 1000.0, 1000.0)
            assert stream.write(b"ask") is None
            there.send(b"answer")
            await stream.receive()
        assert len(backend._deadlines._entries) == 1
        assert len(scopes) == 1  # of the timer
        stream.set_deadline("read", time.monotonic() + 0.01, 0.01)
        with pytest.raises(ReadTimeout, match=r"of 0\.01 s: the peer sent nothing"):
            await stream.receive()
        there.send(b"late")
        stream.set_deadline("read", time.monotonic() + 1000.0, 1000.0)
        await stream.receive()  # the stream is whole
        stream.close()
        there.close()

    scope = trio.CancelScope
    run(body)
