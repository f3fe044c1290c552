"""Many requests through one client: bounded, in order or as they come, with errors as values."""

from __future__ import annotations

import gc
import itertools
import re
import threading

import pytest
from peers import OK, always

import httpx_fast
from httpx_fast import Request, Response
from httpx_fast._client import many

PATIENCE = 30


class Counting:
    """Answers with a request's path, and counts how many are under way."""

    def __init__(self) -> None:
        self.now = self.most = self.all = 0
        self._lock = threading.Lock()

    def begin(self) -> None:
        with self._lock:
            self.now += 1
            self.all += 1
            self.most = max(self.most, self.now)

    def end(self) -> None:
        with self._lock:
            self.now -= 1


@pytest.fixture
def gate(backend):
    """Return a client whose requests wait until the gate lets them, and the gate."""
    return Gate(backend)


class Gate(Counting):
    def __init__(self, backend) -> None:
        super().__init__()
        self.backend = backend
        self.held: list[str] = []
        self.opened = threading.Event()
        self.hold = False

    def client(self):
        if self.backend.asynchronous:
            return self.backend.client(transport=httpx_fast.MockTransport(self.answer_later))
        return self.backend.client(transport=httpx_fast.MockTransport(self.answer))

    def answer(self, request: Request) -> Response:
        self.begin()
        try:
            if self.hold:
                assert self.opened.wait(PATIENCE)
            return self.response(request)
        finally:
            self.end()

    async def answer_later(self, request: Request) -> Response:
        self.begin()
        try:
            if self.hold:
                await self.backend.event().wait()
            return self.response(request)
        finally:
            self.end()

    def response(self, request: Request) -> Response:
        if request.url.path == "/broken":
            raise httpx_fast.ReadError("broken", request=request)
        return Response(200, text=request.url.path)


async def outcomes(backend, client, items, stop=None, **options):
    found = []
    if backend.asynchronous:
        async with client.map(items, **options) as outcomes:
            async for outcome in outcomes:
                found.append(outcome)
                if len(found) == stop:
                    break
    else:
        with client.map(items, **options) as outcomes:
            for outcome in outcomes:
                found.append(outcome)
                if len(found) == stop:
                    break
    return found


def urls(count):
    return [f"http://a.test/{number}" for number in range(count)]


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_each_item_has_its_outcome(backend, gate, ordered, concurrency):
    async def body():
        async with gate.client() as client:
            return await outcomes(backend, client, urls(40), ordered=ordered, concurrency=concurrency)

    found = backend.run(body)
    assert all(found)
    if ordered:
        assert [outcome.index for outcome in found] == list(range(40))
    assert sorted(outcome.index for outcome in found) == list(range(40))
    assert all(outcome.unwrap().text == f"/{outcome.index}" for outcome in found)
    assert all(outcome.key == outcome.index for outcome in found)
    assert gate.most <= concurrency


def test_requests_over_real_connections(backend, peer):
    at = peer(always(OK))

    async def body():
        async with backend.client(trust_env=False, timeout=PATIENCE) as client:
            found = await outcomes(backend, client, [at.url(f"/{number}") for number in range(200)], concurrency=4)
            assert [outcome.unwrap().text for outcome in found] == ["ok"] * 200

    backend.run(body)
    assert at.accepted <= 4


def test_items_may_be_written_in_many_ways(backend, gate):
    async def body():
        async with gate.client() as client:
            items = [
                "http://a.test/text",
                httpx_fast.URL("http://a.test/url"),
                client.build_request("PUT", "http://a.test/request"),
                ("POST", "http://a.test/tuple"),
                {"url": "http://a.test/mapping", "params": {"a": "b"}, "follow_redirects": True},
                {"method": "PATCH", "url": "http://a.test/patch", "json": {"a": 1}},
            ]
            return await outcomes(backend, client, items)

    found = [outcome.unwrap().request for outcome in backend.run(body)]
    assert [(each.method, each.url.raw_path.decode()) for each in found] == [
        ("GET", "/text"),
        ("GET", "/url"),
        ("PUT", "/request"),
        ("POST", "/tuple"),
        ("GET", "/mapping?a=b"),
        ("PATCH", "/patch"),
    ]


def test_what_goes_wrong_is_the_outcome_of_its_item(backend, gate):
    items = [
        "http://a.test/1",
        "http://a.test/broken",
        "http://[",
        7,
        {"method": "GET"},
        {"url": "http://a.test/", "stream": True},
        {"url": "http://a.test/", "parms": {}},
        "http://a.test/2",
    ]

    async def body():
        async with gate.client() as client:
            return await outcomes(backend, client, items, concurrency=2)

    found = backend.run(body)
    assert [bool(outcome) for outcome in found] == [True, *[False] * 6, True]
    kinds = [type(outcome.error) for outcome in found[1:-1]]
    assert kinds[0] is httpx_fast.ReadError
    assert kinds[1] is httpx_fast.InvalidURL
    assert kinds[2:] == [TypeError] * 4
    assert "expected a URL, a Request, a tuple" in str(found[3].error)
    assert "expected 'url' among the arguments" in str(found[4].error)
    assert repr(found[1]) == "<Outcome 1 ReadError('broken')>"
    with pytest.raises(httpx_fast.ReadError, match="broken"):
        found[1].unwrap()


def test_lines_that_are_no_urls_are_refused_one_by_one(backend):
    async def body():
        async with backend.client() as client:
            found = await outcomes(backend, client, ["no url", "", "ftp://a.test/"])
            assert [type(outcome.error) for outcome in found] == [httpx_fast.UnsupportedProtocol] * 3

    backend.run(body)


def test_items_are_taken_as_they_are_needed(backend, gate):
    taken = []

    def endless():
        for number in itertools.count():
            taken.append(number)
            yield f"http://a.test/{number}"

    async def body():
        async with gate.client() as client:
            found = await outcomes(backend, client, endless(), stop=10, concurrency=3)
            assert [outcome.index for outcome in found] == list(range(10))

    backend.run(body)
    assert len(taken) <= 10 + 3 * (1 + many.AHEAD) + 3


def test_failure_of_the_iterable_comes_after_what_it_gave(backend, gate):
    def failing():
        yield from urls(5)
        raise ZeroDivisionError("of the iterable")

    async def body():
        async with gate.client() as client:
            found = []
            with pytest.raises(ZeroDivisionError, match="of the iterable"):
                if backend.asynchronous:
                    async for outcome in client.map(failing(), concurrency=2):
                        found.append(outcome)
                else:
                    found.extend(client.map(failing(), concurrency=2))
            assert [outcome.index for outcome in found] == list(range(5))

    backend.run(body)


def test_asynchronous_iterables_are_taken_one_at_a_time(backend, gate):
    if not backend.asynchronous:
        pytest.skip("a Client takes no asynchronous iterable")
    inside = []

    async def items():
        for url in urls(20):
            inside.append(url)
            await backend.hear(opened)
            assert len(inside) == 1
            inside.clear()
            yield url

    opened = threading.Event()
    opened.set()

    async def body():
        async with gate.client() as client:
            return await outcomes(backend, client, items(), concurrency=5)

    assert [outcome.index for outcome in backend.run(body)] == list(range(20))


def test_what_was_done_is_left_out(backend, gate):
    done = {"http://a.test/1", "http://a.test/3"}
    counts = []

    async def body():
        async with gate.client() as client:
            return await outcomes(
                backend,
                client,
                urls(5),
                key=str,
                done=done,
                progress=lambda *told: counts.append(told),
                concurrency=1,
            )

    found = backend.run(body)
    assert [outcome.key for outcome in found] == ["http://a.test/0", "http://a.test/2", "http://a.test/4"]
    assert gate.all == 3
    assert counts[-1] == (5, 5)


def test_progress_bar_is_drawn_where_there_is_one(backend, gate, capsys):
    async def body():
        async with gate.client() as client:
            await outcomes(backend, client, urls(3), progress=True)

    backend.run(body)
    assert "100%" in capsys.readouterr().out


def test_leaving_early_ends_the_requests_under_way(backend, gate):
    """Tasks are cancelled; threads end after the request that they are at."""

    async def body():
        async with gate.client() as client:
            assert len(await outcomes(backend, client, urls(100), stop=1, concurrency=4)) == 1
            assert gate.now == 0
            assert gate.all < 100

    backend.run(body)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("httpx_fast.map")]


def test_cancelled_caller_ends_the_tasks(backend, gate):
    if not backend.asynchronous:
        pytest.skip("threads are not cancelled")
    import anyio

    gate.hold = True

    async def body():
        async with gate.client() as client:
            with anyio.move_on_after(0.05) as scope:
                async for _ in client.map(urls(10), concurrency=3):
                    raise AssertionError("nothing is answered")
            assert scope.cancelled_caught
            assert gate.now == 0
            assert gate.all == 3

    backend.run(body)


def test_forgotten_iterator_ends_its_workers(backend, gate):
    async def body():
        async with gate.client() as client:
            iterator = client.map(itertools.cycle(urls(3)), concurrency=2)
            if backend.asynchronous:
                await anext(iterator)
            else:
                next(iterator)
            workers = iterator._shared.workers if backend.asynchronous else iterator._threads
            del iterator
            gc.collect()
            for worker in workers:
                if backend.asynchronous:
                    await worker.wait()
                else:
                    worker.join(PATIENCE)
                    assert not worker.is_alive()

    backend.run(body)


@pytest.mark.parametrize(
    ("items", "options", "kind", "message"),
    [
        ("http://a.test", {}, TypeError, "expected an iterable of requests, got 'http://a.test'"),
        (7, {}, TypeError, "expected an iterable of requests, got 7"),
        ([], {"concurrency": 0}, ValueError, "expected 1 to 100000 requests as concurrency, got 0"),
        ([], {"concurrency": 1.5}, TypeError, "expected a number of requests as concurrency, got 1.5"),
        ([], {"key": "url"}, TypeError, "expected a function of an item as key, got 'url'"),
        ([], {"done": set()}, TypeError, "expected key=..., a function of an item, with done=..."),
        ([], {"key": str, "done": 3}, TypeError, "expected a container of keys as done, got 3"),
        ([], {"progress": 3}, TypeError, "expected True, None or a function of counts as progress, got 3"),
    ],
)
def test_wrong_arguments_are_refused_at_once(items, options, kind, message):
    for client in (httpx_fast.Client(), httpx_fast.AsyncClient()):
        with pytest.raises(kind, match=re.escape(message)):
            client.map(items, **options)
    client = httpx_fast.Client()
    with client, pytest.raises(TypeError, match="expected an iterable of requests"):
        client.map(aiter_of_nothing())  # type: ignore[arg-type]


async def aiter_of_nothing():
    return
    yield
