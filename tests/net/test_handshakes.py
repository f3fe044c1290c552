"""How many TLS handshakes are under way at once: the queue by itself, and what a peer sees of it."""

from __future__ import annotations

import contextlib
import gc
import selectors
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterator
from typing import Any

import anyio
import pytest
from certificates import Authority
from runners import PATIENCE, RUNNERS, Runner

import httpx_fast
from httpx_fast._deadline import PhaseTimer
from httpx_fast._net import handshakes
from httpx_fast._net.handshakes import HandshakeQueue, Turn, handshakes_of
from httpx_fast._net.sync import SyncBackend

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


# The queue, with a clock that stands still and coroutines that are stepped by hand.


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Waiter:
    """Suspends its coroutine, and says what it waits for."""

    def __init__(self) -> None:
        self.at: float | None = None
        self.is_set = False

    def set(self) -> None:
        self.is_set = True

    def wait(self, at: float | None) -> Any:
        self.at = at
        return self

    def __await__(self) -> Generator[Waiter, None, bool]:
        yield self
        return self.is_set


class Waiting:
    """A handshake that waits for its turn."""

    def __init__(self, queue: HandshakeQueue, clock: Clock, budget: float | None = None) -> None:
        assert queue.begin() is None
        self.work = queue.wait(Waiter, PhaseTimer("connect", None, clock(), budget), "peer.example")
        self.waiter: Waiter = self.work.send(None)

    def goes_on(self) -> Turn | None:
        """Wakes it; the turn, if it has begun."""
        try:
            self.waiter = self.work.send(None)
        except StopIteration as end:
            return end.value
        return None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> HandshakeQueue:
    return HandshakeQueue(clock, 2)


def full(queue: HandshakeQueue) -> list[Turn]:
    turns = [queue.begin(), queue.begin()]
    assert None not in turns
    return [turn for turn in turns if turn is not None]


def test_turns_are_given_in_the_order_in_which_they_were_asked_for(queue: HandshakeQueue, clock: Clock):
    turns = full(queue)
    waiting = [Waiting(queue, clock) for _ in range(3)]
    queue.end(turns[1])
    assert [each.waiter.is_set for each in waiting] == [True, False, False]
    queue.end(turns[1])  # again: nothing
    assert [each.waiter.is_set for each in waiting] == [True, False, False]
    turns.append(waiting[0].goes_on())
    queue.end(turns[2])
    queue.end(turns[0])
    assert [each.waiter.is_set for each in waiting] == [True, True, True]
    assert queue.begin() is None
    queue.end(waiting[2].goes_on())
    assert queue.begin() is not None


def test_a_place_expires_for_those_who_wait(queue: HandshakeQueue, clock: Clock):
    turns = full(queue)
    clock.now += 0.4
    waiting = [Waiting(queue, clock, 30.0) for _ in range(3)]
    assert [each.waiter.at for each in waiting] == [101.0] * 3
    clock.now = 101.0
    assert waiting[2].goes_on() is None  # it was woken first, and is not first in line
    assert waiting[2].waiter.at == 102.0  # when those who begin now have had their time
    assert [each.waiter.is_set for each in waiting[:2]] == [True, True]
    begun = [each.goes_on() for each in waiting[:2]]
    for turn in turns:
        queue.end(turn)  # they end after all, and have no place to give
    assert not waiting[2].waiter.is_set
    queue.end(begun[0])
    assert waiting[2].waiter.is_set


def test_a_place_expires_for_those_who_come_later(queue: HandshakeQueue, clock: Clock):
    full(queue)
    clock.now += 1.0
    assert queue.begin() is not None
    assert queue.begin() is not None
    assert queue.begin() is None


def test_the_deadline_for_connecting_holds_for_the_wait(queue: HandshakeQueue, clock: Clock):
    turns = full(queue)
    late, next_one = Waiting(queue, clock, 0.5), Waiting(queue, clock)
    assert late.waiter.at == 100.5
    clock.now = 100.5
    text = (
        r"connect timed out after 0\.5 s of 0\.5 s: the TLS handshake with peer\.example waited for its turn, "
        r"2 may be under way at once"
    )
    with pytest.raises(httpx_fast.ConnectTimeout, match=text):
        late.goes_on()
    queue.end(turns[0])
    assert next_one.waiter.is_set


def test_who_is_cancelled_keeps_no_place(queue: HandshakeQueue, clock: Clock):
    turns = full(queue)
    waiting = [Waiting(queue, clock) for _ in range(3)]
    waiting[0].work.close()  # while it waits
    queue.end(turns[0])
    assert [each.waiter.is_set for each in waiting] == [False, True, False]
    waiting[1].work.close()  # its turn has come, and it does not know yet
    assert waiting[2].waiter.is_set


def test_queues_belong_to_loops_and_end_with_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(handshakes, "_queues", weakref.WeakKeyDictionary())

    class Loop:
        pass

    loop, other, backend = Loop(), Loop(), SyncBackend()
    queue = handshakes_of(loop, backend, backend.clock)
    assert queue is not None
    assert handshakes_of(loop, SyncBackend(), backend.clock) is queue
    assert handshakes_of(other, backend, backend.clock) is not queue
    del loop
    gc.collect()
    assert list(handshakes._queues) == [other]


def test_a_backend_with_a_clock_of_its_own_has_a_queue_of_its_own(clock: Clock):
    class Loop:
        pass

    loop, real, fake = Loop(), SyncBackend(), SyncBackend()
    fake.clock = clock  # type: ignore[method-assign]
    queue = handshakes_of(loop, fake, fake.clock)
    assert handshakes_of(loop, fake, fake.clock) is queue
    assert handshakes_of(loop, real, real.clock) is not queue


def test_a_loop_that_cannot_be_remembered_has_no_limit():
    assert handshakes_of(object(), SyncBackend(), time.monotonic) is None


# As a peer sees it.


class Counting:
    """Shakes hands with `wanted` connections at once, and counts those that are under way.

    It answers nobody before `before` have begun and all have connected.
    """

    def __init__(self, context: ssl.SSLContext, wanted: int, before: int) -> None:
        self._context = context
        self._wanted = wanted
        self._before = before
        self.most = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._listener.settimeout(PATIENCE)
        self.port = self._listener.getsockname()[1]
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._listener)
            try:
                sockets = [stack.enter_context(self._listener.accept()[0]) for _ in range(self._wanted)]
                self._serve(sockets)
            except BaseException as failure:
                self._failure = failure

    def _serve(self, sockets: list[socket.socket]) -> None:
        ends = {sock: End(sock, self._context) for sock in sockets}
        with selectors.DefaultSelector() as selector:
            for sock in sockets:
                sock.setblocking(False)
                selector.register(sock, selectors.EVENT_READ)
            while not all(end.answered for end in ends.values()):
                ready = [ends[key.fileobj] for key, _ in selector.select(PATIENCE)]  # type: ignore[index]
                assert ready, "nobody says anything"
                # One that ends does so before the one that begins in its place.
                for end in sorted(ready, key=lambda each: not each.began):
                    end.read()
                    self.most = max(self.most, sum(each.under_way for each in ends.values()))
                if sum(each.began for each in ends.values()) >= self._before:
                    for end in ends.values():
                        end.write()

    def close(self) -> None:
        self._thread.join(PATIENCE)
        if self._failure is not None:
            raise self._failure


class End:
    """The server's end of a connection, which answers one request."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.began = self._shaken = self.answered = False

    @property
    def under_way(self) -> bool:
        return self.began and not self._shaken

    def read(self) -> None:
        self.began = True
        self._incoming.write(self._sock.recv(65536))
        try:
            if not self._shaken:
                self._tls.do_handshake()
                self._shaken = True
            if self._tls.read(65536):
                self._tls.write(OK)
                self.answered = True
        except ssl.SSLWantReadError:
            pass

    def write(self) -> None:
        self._sock.sendall(self._outgoing.read())


@pytest.fixture
def counting(authority: Authority) -> Iterator[Callable[..., Counting]]:
    context = authority.server_context("127.0.0.1")
    with contextlib.ExitStack() as stack:
        yield lambda *numbers: stack.enter_context(contextlib.closing(Counting(context, *numbers)))


@pytest.fixture(params=[name for name in RUNNERS if name != "blocking"])
def runner(request: pytest.FixtureRequest) -> Runner:
    return RUNNERS[request.param]()


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A peer whose kernel accepts connections, and that never says anything."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        yield listener


def url_of(port: int) -> str:
    return f"https://127.0.0.1:{port}/"


@pytest.fixture
def verify(authority: Authority) -> ssl.SSLContext:
    authority.issue("127.0.0.1")
    return authority.client_context()


def test_no_more_than_the_limit_are_under_way_at_once(
    runner: Runner, counting: Callable[..., Counting], verify: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """Of two clients in one event loop together."""
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 3)
    monkeypatch.setattr(handshakes, "PATIENCE", float(PATIENCE))
    peer = counting(8, 3)

    async def body() -> None:
        async with runner.client(verify=verify) as one, runner.client(verify=verify) as other:
            get = [lambda client=client: client.get(url_of(peer.port)) for client in (one, other) * 4]
            assert [response.text for response in await runner.together(*get)] == ["ok"] * 8

    runner.run(body)
    assert peer.most == 3


def test_threads_have_no_limit(
    counting: Callable[..., Counting], verify: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """Each has one handshake under way at most, and their number is the program's own."""
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 1)
    runner = RUNNERS["blocking"]()
    peer = counting(4, 4)

    async def body() -> None:
        async with runner.client(verify=verify) as client:
            await runner.together(*[lambda: client.get(url_of(peer.port))] * 4)

    runner.run(body)
    assert peer.most == 4


def test_silent_peers_do_not_keep_others_waiting(
    runner: Runner,
    counting: Callable[..., Counting],
    silent: socket.socket,
    verify: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 2)
    monkeypatch.setattr(handshakes, "PATIENCE", 0.05)
    peer = counting(3, 1)

    async def body() -> None:
        async with runner.client(verify=verify, timeout=PATIENCE) as client, anyio.create_task_group() as tasks:
            for _ in range(2):
                tasks.start_soon(client.get, url_of(silent.getsockname()[1]))
            await anyio.wait_all_tasks_blocked()
            get = [lambda: client.get(url_of(peer.port))] * 3
            assert [response.text for response in await runner.together(*get)] == ["ok"] * 3
            tasks.cancel_scope.cancel()

    runner.run(body)


def test_a_timeout_says_that_it_waited_and_cancelling_gives_the_place_back(
    runner: Runner,
    counting: Callable[..., Counting],
    silent: socket.socket,
    verify: ssl.SSLContext,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(handshakes, "MAX_HANDSHAKES", 1)
    monkeypatch.setattr(handshakes, "PATIENCE", float(PATIENCE))
    nowhere = url_of(silent.getsockname()[1])
    peer = counting(1, 1)

    async def body() -> None:
        async with runner.client(verify=verify, timeout=PATIENCE) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, nowhere)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(client.get, nowhere)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(
                httpx_fast.ConnectTimeout, match=r"handshake with 127\.0\.0\.1 waited for its turn"
            ) as late:
                await client.get(nowhere, timeout=httpx_fast.Timeout(PATIENCE, connect=0.01))
            assert late.value.journey.phase == "tls"
            tasks.cancel_scope.cancel()
        async with runner.client(verify=verify, timeout=PATIENCE) as client:
            assert (await client.get(url_of(peer.port))).text == "ok"

    runner.run(body)
