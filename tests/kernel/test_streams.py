"""What a stream makes of the frames of its response, and how tasks that wait are resumed; test_h2 and test_h2_fuzz have
whole conversations, with both kernels, with streams that are plain and those that are not."""

from __future__ import annotations

import asyncio
import contextvars
import random
from types import SimpleNamespace

import pytest

from httpx_fast._kernel.constants import HAS_CONTENT_LENGTH
from httpx_fast._kernel.h2_constants import DATA, END_STREAM, HEADERS, PING, SMALL_PIECE
from httpx_fast._kernel.h2_errors import Http2Error

LEAST = 1000


def section(status=200, length=None, offences=0):
    return SimpleNamespace(
        status=status,
        offences=offences,
        flags=0 if length is None else HAS_CONTENT_LENGTH,
        content_length=-1 if length is None else length,
    )


class Waiter:
    woken = 0

    def set(self):
        self.woken += 1


def table_of(kernel):
    """A table with one plain stream, 1, and what was given to the owner of the table."""

    class Table(kernel.StreamTable):
        def handle_frame(self, kind, flags, stream_id, contents, size):
            asked.append((kind, flags, stream_id, contents, size))
            return kind == PING

        def give_back(self, stream, size, keeps_up):
            asked.append((stream.id, size, keeps_up))

    asked = []
    table = Table(100_000)
    table.moment = 5.0
    stream = kernel.StreamState(b"GET", True, 20_000)
    stream.id, stream.plain, stream.sending = 1, True, False
    stream.times, stream.waiter = SimpleNamespace(first=None, done=None), Waiter()
    table.streams[1] = stream
    return table, stream, asked


def deliver(kernel, table, *frames):
    kernel.deliver(table, list(frames), lambda block: block, LEAST)


def data(raw, end=False, size=None, stream_id=1):
    return DATA, END_STREAM if end else 0, stream_id, raw, len(raw) if size is None else size


def head(said, end=False):
    return HEADERS, END_STREAM if end else 0, 1, said, 10


def test_a_response_is_read_and_its_reader_is_woken_once(kernel):
    table, stream, asked = table_of(kernel)
    answer = section(200, 600)
    deliver(kernel, table, head(answer), data(b"x" * 400), data(b"y" * 200, end=True))
    assert not asked
    assert (stream.head, stream.ready, stream.state) == (answer, True, 2)
    assert (stream.times.first, stream.times.done, stream.waiter.woken) == (5.0, 5.0, 1)
    assert stream.take_whole() == b"x" * 400 + b"y" * 200
    assert stream.take_whole() == b""
    assert table.room == 100_000 - 600
    assert not table.streams


@pytest.mark.parametrize("length", [None, 900_000])
@pytest.mark.parametrize("size", [1, 100, 16_384])
def test_a_long_body_that_is_wanted_whole_is_joined_as_it_comes(kernel, length, size):
    table, stream, _ = table_of(kernel)
    table.room = stream.left = stream.granted = 10**9
    answer = section(200, length)
    body = random.Random(size).randbytes(900_000)
    pieces = [body[at : at + size] for at in range(0, 290_000, size)]
    rest = body[sum(map(len, pieces)) :]
    deliver(kernel, table, head(answer), *map(data, pieces), data(rest[:-1]))
    assert not stream.ready
    assert not stream.chunks
    deliver(kernel, table, data(rest[-1:], end=True))
    assert (stream.ready, list(stream.chunks), stream.pending) == (True, [body], 0)
    assert stream.take_whole() == body
    assert stream.take_whole() == b""


def test_what_was_joined_is_dropped_with_the_stream(kernel):
    table, stream, _ = table_of(kernel)
    table.room = stream.left = stream.granted = 10**9
    deliver(kernel, table, head(section()), data(bytes(300_000)))
    assert stream.let_go() is False
    deliver(kernel, table, data(b"more", end=True))
    assert stream.take_whole() == b"more"


def test_a_reader_of_pieces_is_woken_by_each_and_a_stream_that_sends_stays(kernel):
    table, stream, asked = table_of(kernel)
    stream.whole, stream.sending = False, True
    deliver(kernel, table, head(section()))
    assert (stream.ready, stream.waiter.woken, stream.pending) == (True, 1, 0)
    deliver(kernel, table, data(b"x" * 400), data(b"", end=True))
    assert (stream.waiter.woken, stream.pending, stream.left, stream.owed) == (3, 400, 19_600, 0)
    assert table.streams == {1: stream}
    assert not asked


def test_bytes_for_a_reader_of_all_are_credited_by_the_owner_once_half_of_the_window_is_due(kernel):
    table, stream, asked = table_of(kernel)
    deliver(kernel, table, head(section()), data(b"x" * 6000), data(b"x" * 3999))
    assert (stream.owed, asked) == (9999, [])
    deliver(kernel, table, data(b"x"))
    assert asked == [(1, 1, True)]


@pytest.mark.parametrize(
    "frame",
    [
        head(section(103)),
        head(section(204)),
        head(section(304)),
        head(section(200, offences=1)),
        head(section(200, -2)),
        head(section(200, 5), end=True),
        head(section(301)),
        head(section(404, 2**30)),
        data(b"too early"),
        data(b"", end=True),
        (PING, 0, 0, bytes(8), 8),
        data(b"x", stream_id=3),
    ],
)
def test_a_frame_that_is_not_common_is_for_the_owner(kernel, frame):
    table, stream, asked = table_of(kernel)
    deliver(kernel, table, frame)
    assert asked == [frame]
    assert (stream.state, stream.head, stream.waiter.woken, table.room) == (0, None, 0, 100_000)


@pytest.mark.parametrize(
    "frame",
    [
        data(b"x" * 11),
        data(b"x" * 9, end=True),
        data(b""),
        data(b"padded", size=9),
        data(b"x", size=20_001, end=True),
        data(b"x", size=99_001, end=True),
        head(section()),
    ],
)
def test_data_that_may_break_a_rule_is_for_the_owner(kernel, frame):
    table, stream, asked = table_of(kernel)
    deliver(kernel, table, head(section(200, 10)), frame)
    assert asked == [frame]
    assert (stream.remaining, len(stream.chunks), table.room, stream.left) == (10, 0, 100_000, 20_000)


def test_streams_that_are_not_plain_are_for_the_owner(kernel):
    table, stream, asked = table_of(kernel)
    stream.plain = False
    table.streams[3] = object()
    frames = [head(section()), data(b"x"), data(b"x", stream_id=1)]
    deliver(kernel, table, *frames)
    assert asked == frames


def test_nothing_is_read_after_a_frame_that_broke_the_connection(kernel):
    table, stream, asked = table_of(kernel)
    deliver(kernel, table, (PING, 0, 0, bytes(8), 8), head(section()))
    assert len(asked) == 1
    assert stream.head is None


def test_a_block_that_cannot_be_decoded_comes_as_its_error(kernel):
    def decode(block):
        raise error

    table, _, asked = table_of(kernel)
    error = Http2Error("broken")
    kernel.deliver(table, [head(b"block")], decode, LEAST)
    assert asked == [head(error)]


def test_many_small_pieces_become_one(kernel):
    table, stream, _ = table_of(kernel)
    deliver(kernel, table, head(section()), *[data(b"x" * (number % 3 + 1)) for number in range(3000)])
    assert len(stream.chunks) < 300
    assert len(stream.take_whole()) == 6000
    deliver(kernel, table, data(b"x" * SMALL_PIECE))
    assert (stream.small, len(stream.chunks)) == (0, 1)


def test_wrong_types_are_errors(kernel):
    table, _, _ = table_of(kernel)
    deliver(kernel, table, head(section()))
    for frame in [(DATA, 0, 1, None, 5), (DATA, "0", 1, b"", 5), (DATA, 0, 1)]:
        with pytest.raises((TypeError, ValueError)):
            deliver(kernel, table, frame)


# Waits of tasks.


@pytest.fixture
def waits(kernel):
    """Returns what makes waits of the running loop."""
    return lambda: kernel.WakeList(asyncio.get_running_loop()).waiter


def test_all_that_are_woken_in_one_iteration_are_resumed_in_order_in_their_own_contexts(waits):
    name = contextvars.ContextVar("name")

    async def wait(number, waiter):
        name.set(number)
        assert await waiter.wait(None) is True
        resumed.append((number, name.get()))

    async def run():
        new = waits()
        waiters = [new() for _ in range(50)]
        tasks = [asyncio.create_task(wait(number, waiter)) for number, waiter in enumerate(waiters)]
        await asyncio.sleep(0)
        for waiter in waiters:
            waiter.set()
            waiter.set()
            assert waiter.done()
        assert not resumed
        await asyncio.gather(*tasks)

    resumed = []
    asyncio.run(run())
    assert resumed == [(number, number) for number in range(50)]


def test_a_wait_that_was_set_before_is_over_at_once(waits):
    async def run():
        new = waits()
        waiter = new()
        waiter.set()
        assert await waiter is True
        assert waiter.result() is True
        assert not waiter.cancel()
        assert not waiter.cancelled()

    asyncio.run(run())


def test_a_wait_can_be_cancelled_and_an_event_that_came_before_is_not_lost(waits):
    async def wait(waiter):
        try:
            await waiter
        except asyncio.CancelledError as error:
            ended.append(error.args)
            raise

    async def run():
        new = waits()
        waiter, woken = new(), new()
        task, other = asyncio.create_task(wait(waiter)), asyncio.create_task(wait(woken))
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="the wait is not over"):
            waiter.result()
        task.cancel("enough")
        assert waiter.cancelled()
        waiter.set()
        woken.set()
        other.cancel()
        assert (woken.cancelled(), woken.result()) == (False, True)
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            await other
        with pytest.raises(asyncio.CancelledError):
            waiter.result()

    ended = []
    asyncio.run(run())
    assert len(ended) == 2


def test_deadlines_of_others_end_a_wait(waits):
    async def run():
        new = waits()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(_awaiting(new()), 0)
        with pytest.raises(ValueError, match="has no deadline"):
            new().wait(1.0)

    async def _awaiting(waiter):
        await waiter

    asyncio.run(run())


def test_one_task_waits_for_it_and_may_be_forgotten(waits):
    def note(waiter):
        noted.append(waiter)

    async def run():
        new = waits()
        waiter = new()
        context = contextvars.copy_context()
        waiter.add_done_callback(note, context=context)
        with pytest.raises(RuntimeError, match="one task waits"):
            waiter.add_done_callback(note, context=context)
        assert waiter.remove_done_callback(print) == 0
        assert waiter.remove_done_callback(note) == 1
        waiter.set()
        await asyncio.sleep(0)
        assert not noted
        waiter.add_done_callback(note, context=context)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert noted == [waiter]

    noted = []
    asyncio.run(run())


def test_what_ends_the_loop_leaves_the_rest_to_be_resumed(waits):
    def end(waiter):
        raise KeyboardInterrupt

    async def run():
        new = waits()
        waiters = [new() for _ in range(3)]
        for waiter, call in zip(waiters, (end, seen.append, seen.append), strict=True):
            waiter.add_done_callback(call, context=contextvars.copy_context())
            waiter.set()
        await asyncio.sleep(0)

    seen = []
    loop = asyncio.new_event_loop()
    task = loop.create_task(run())
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(task)
    assert not seen
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(task)
    loop.close()
    assert len(seen) == 2


def test_a_task_that_runs_the_loop_inside_itself_has_the_others_resumed(kernel):
    class Loop:
        calls = []

        def call_soon(self, call, *, context):
            self.calls.append(call)

    def run_the_loop(waiter):
        loop.calls.pop()()
        assert resumed == waiters[1:]

    loop, resumed = Loop(), []
    wakes = kernel.WakeList(loop)
    waiters = [wakes.waiter() for _ in range(3)]
    for waiter, call in zip(waiters, (run_the_loop, resumed.append, resumed.append), strict=True):
        waiter.add_done_callback(call, context=contextvars.copy_context())
        waiter.set()
    assert len(loop.calls) == 1
    while loop.calls:
        loop.calls.pop()()
    assert resumed == waiters[1:]


def test_tasks_that_are_woken_and_cancelled_at_random_all_end(waits):
    chance = random.Random(5)

    async def wait(waiter):
        try:
            await waiter
        except asyncio.CancelledError:
            return "cancelled"
        return "woken"

    async def run():
        new = waits()
        ended = {"cancelled": 0, "woken": 0}
        for _ in range(200):
            waiters = [new() for _ in range(5)]
            tasks = [asyncio.create_task(wait(waiter)) for waiter in waiters]
            if chance.random() < 0.8:
                await asyncio.sleep(0)
            for waiter, task in zip(waiters, tasks, strict=True):
                chance.choice((waiter.set, task.cancel))()
                waiter.set()
            for each in await asyncio.gather(*tasks, return_exceptions=True):
                ended[each if isinstance(each, str) else "cancelled"] += 1
        assert sum(ended.values()) == 1000
        assert min(ended.values()) > 200

    asyncio.run(run())
