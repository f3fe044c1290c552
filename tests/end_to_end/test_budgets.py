"""Every timeout is a budget: whatever the peer does, it is over when the time is, and says which time it was.

A fault of ours would be late in every try, a busy machine is in some: so the best of several tries counts, and each is
short. All tries of a test share one client with one place, which a place that leaked would be missed by.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import re
import ssl
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pytest
from far_end import Server, data, window_update
from peers import Dialogue, mute
from runners import PATIENCE, RUNNERS, Runner

import httpx_fast
from httpx_fast import testing
from httpx_fast._net.anyio import AnyIOBackend
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._transports import http
from httpx_fast.testing import (
    Delay,
    Hold,
    Mute,
    Read,
    ReadHead,
    Repeat,
    Send,
    Tls,
    chunked,
    redirect,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

BUDGET = 0.06  # seconds that are meant to run out
ALLOWED = 0.05  # seconds after that
TRIES = 8
A_WHILE = 0.01  # seconds between what a peer drips
LONG = 60.0  # seconds; a budget that is not meant to run out
ONE = httpx_fast.Limits(max_connections=1)
NOTHING = threading.Event()  # never set: to wait on

#: Worlds, and what stands in them for the network floor where it is not the usual one.
WORLDS: dict[str, tuple[str, Callable[[], Any] | None]] = {
    **{name: (name, None) for name in RUNNERS},
    "asyncio-protocol": ("asyncio", lambda: AsyncioBackend(force_protocol=True)),
    "anyio-asyncio": ("asyncio", AnyIOBackend),
    "anyio-trio": ("trio", AnyIOBackend),
}


@pytest.fixture(params=WORLDS)
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Runner:
    name, floor = WORLDS[request.param]
    if floor is not None:
        monkeypatch.setattr(http, "backend_for", lambda token: floor())
    return RUNNERS[name]()


@pytest.fixture
def transport(backend: Runner) -> Callable[..., Any]:
    kind = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
    return partial(kind, limits=ONE, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))


@pytest.fixture
def in_time(backend: Runner, record_property: Callable[[str, object], None]) -> Callable[..., Any]:
    """Sees to it that `attempt(client)` ends when its budget is used up, and not before; the last timeout."""

    async def measure(
        client: Any,
        attempt: Callable[[Any], Any],
        kind: type | tuple[type, ...],
        limit: str,
        says: str,
        since: Callable[[], float] | None = None,
    ) -> Any:
        late: list[float] = []
        async with client:
            while len(late) < TRIES:
                began = time.monotonic()
                with pytest.raises(
                    httpx_fast.TimeoutException, match=rf"{limit} timed out after .* of 0\.06 s"
                ) as caught:
                    await attempt(client)
                failure = caught.value
                # Only the stream knows when the socket took the last byte that it had room for.
                elapsed = (
                    failure.elapsed if limit == "write" else time.monotonic() - (began if since is None else since())
                )
                if limit in ("read", "first_byte") and failure.journey is not None:
                    # These begin with the wait for the response: a busy machine may take long for handshakes before.
                    phases = failure.journey.phases()
                    elapsed -= sum(phases.get(name) or 0.0 for name in ("dns", "tcp", "tls"))
                late.append(elapsed - BUDGET)
                assert (failure.limit, failure.budget) == (limit, BUDGET)
                assert failure.phase == type(failure).__name__.removesuffix("Timeout").lower()
                assert failure.elapsed >= BUDGET - 0.001
                assert failure.journey is not None
                # On a busy machine the step before may use up the budget.
                if isinstance(failure, kind) and re.search(says, str(failure)) and late[-1] <= ALLOWED:
                    break
            await settle(backend)
        record_property("overshoot", " ".join(f"{each:.4f}" for each in late))
        assert isinstance(failure, kind)
        assert re.search(says, str(failure))
        assert min(late) >= -0.002, "it gave up too early"
        assert min(late) <= ALLOWED, f"{TRIES} tries were all late: {late}"
        return failure

    return lambda *arguments: backend.run(measure, *arguments)


async def settle(backend: Runner) -> None:
    """Lets tasks end that were cancelled."""
    now = threading.Event()
    now.set()
    await backend.hear(now)


class Fault(NamedTuple):
    """What a server does, and what becomes of a request to it."""

    steps: tuple[Any, ...]
    kind: type[httpx_fast.TimeoutException]
    says: str = r"127\.0\.0\.1"
    tls: bool = False
    request: dict[str, Any] = {}
    limits: tuple[str, ...] = ("total",)


HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: 1000000000\r\n\r\n"
DRIPPED_HEAD = (Read(), Send(HEAD), Repeat(Send(b"X: y\r\n"), Delay(A_WHILE)))
INTERIM = (Read(), Repeat(Send(b"HTTP/1.1 102 Processing\r\n\r\n"), Delay(A_WHILE)))
DRIPPED_BODY = (Read(), Send(HEAD + LENGTH), Repeat(Send(b"x"), Delay(A_WHILE)))
DRIPPED_CHUNKS = (
    Read(),
    Send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n"),
    Repeat(Send(b"1\r\nx\r\n"), Delay(A_WHILE)),
)
TORRENT = (Read(), Send(HEAD + LENGTH), Repeat(Send(bytes(65536))))
LARGE = {"method": "POST", "content": bytes(64 * 1024 * 1024)}

FAULTS = {
    "mute TLS": Fault((Mute(),), httpx_fast.ConnectTimeout, "TLS handshake", True, limits=("total", "connect")),
    "write stall": Fault((Hold(),), httpx_fast.WriteTimeout, request=LARGE, limits=("total", "write")),
    "write stall after the head": Fault(
        (ReadHead(), Hold()), httpx_fast.WriteTimeout, request=LARGE, limits=("total", "write")
    ),
    "write stall over TLS": Fault((Tls(), Hold()), httpx_fast.WriteTimeout, "", True, LARGE, ("total", "write")),
    "mute server": Fault((Read(), Mute()), httpx_fast.ReadTimeout, limits=("total", "read", "first_byte")),
    "mute server over TLS": Fault(
        (Tls(), Read(), Mute()), httpx_fast.ReadTimeout, "", True, limits=("total", "read", "first_byte")
    ),
    "dripped head": Fault(DRIPPED_HEAD, httpx_fast.ReadTimeout, limits=("total", "first_byte")),
    "interim responses": Fault(INTERIM, httpx_fast.ReadTimeout, limits=("total", "first_byte")),
    "dripped body": Fault(DRIPPED_BODY, httpx_fast.ReadTimeout),
    "dripped body over TLS": Fault((Tls(), *DRIPPED_BODY), httpx_fast.ReadTimeout, "", True),
    "dripped chunks": Fault(DRIPPED_CHUNKS, httpx_fast.ReadTimeout),
    "torrent": Fault(TORRENT, httpx_fast.ReadTimeout),
}


def granted(limit: str) -> httpx_fast.Timeout:
    return httpx_fast.Timeout(LONG, **{limit: BUDGET})


@pytest.mark.parametrize(("name", "limit"), [(name, limit) for name, fault in FAULTS.items() for limit in fault.limits])
def test_a_server_that_goes_wrong_costs_no_more_than_was_granted(backend, fault_lab, in_time, name, limit):
    fault = FAULTS[name]
    fault_lab.serve(*fault.steps)
    url = fault_lab.tls_url() if fault.tls else fault_lab.url()
    verify = fault_lab.client_context() if fault.tls else True
    client = backend.client(timeout=granted(limit), limits=ONE, verify=verify, trust_env=False)
    in_time(
        client,
        lambda client: client.request(**{"method": "GET", "url": url, **fault.request}),
        fault.kind,
        limit,
        fault.says,
    )


@pytest.mark.parametrize("name", ["dripped body", "dripped chunks", "torrent"])
def test_a_streamed_body_ends_with_the_total(backend, fault_lab, in_time, name):
    fault_lab.serve(*FAULTS[name].steps)

    async def attempt(client):
        async with client.stream("GET", fault_lab.url()) as streamed:
            async for piece in streamed.aiter_raw():
                assert piece

    client = backend.client(timeout=granted("total"), limits=ONE, trust_env=False)
    failure = in_time(client, attempt, httpx_fast.ReadTimeout, "total", r"127\.0\.0\.1")
    assert failure.journey.phase == "receive"


@pytest.mark.parametrize("limit", ["total", "connect"])
def test_a_resolver_that_does_not_answer(backend, transport, in_time, limit):
    answer = threading.Event()

    def resolver(host, port):
        assert answer.wait(PATIENCE)
        return ["127.0.0.1"]

    client = backend.client(transport=transport(resolver=resolver), timeout=granted(limit))
    try:
        in_time(
            client,
            lambda client: client.get("http://slow.test/"),
            httpx_fast.ConnectTimeout,
            limit,
            "resolver about 'slow.test'",
        )
    finally:
        answer.set()  # each of the threads that were abandoned ends


@pytest.mark.parametrize("limit", ["total", "connect"])
def test_a_host_that_answers_no_attempt_to_connect(backend, fault_lab, in_time, limit):
    hole = fault_lab.black_hole()
    client = backend.client(timeout=granted(limit), trust_env=False)
    in_time(client, lambda client: client.get(hole), httpx_fast.ConnectTimeout, limit, r"no answer from 127\.0\.0\.1")


@pytest.mark.parametrize("limit", ["total", "connect"])
@pytest.mark.parametrize("scheme", ["http", "https", "socks5h", "socks4a"])
def test_a_proxy_that_says_nothing(backend, fault_lab, in_time, scheme, limit):
    fault_lab.serve(Mute())
    proxy = f"{scheme}://127.0.0.1:{fault_lab.port}"
    client = backend.client(timeout=granted(limit), limits=ONE, proxy=proxy, trust_env=False)
    in_time(
        client,
        lambda client: client.get("https://origin.test/"),
        httpx_fast.ConnectTimeout,
        limit,
        f"the proxy {proxy}|TLS handshake",
    )


@pytest.mark.parametrize("limit", ["total", "pool"])
def test_a_pool_that_has_nothing_left_says_who_has_it(backend, fault_lab, in_time, limit):
    fault_lab.serve(Read(), Send(HEAD + LENGTH), Mute())

    async def attempt(client):
        async with client.stream("GET", fault_lab.url(), timeout=LONG):
            nonlocal began
            began = time.monotonic()
            await client.get(fault_lab.url())

    began = 0.0
    client = backend.client(timeout=granted(limit), limits=ONE, trust_env=False)
    failure = in_time(client, attempt, httpx_fast.PoolTimeout, limit, "1 of 1 connections are open", lambda: began)
    assert failure.pool.leased == 1


BETWEEN = (httpx_fast.ReadTimeout, httpx_fast.WriteTimeout)  # it may run out while nothing of the next request is sent


def test_a_chain_of_redirects_has_one_total(backend, fault_lab, in_time):
    fault_lab.serve(Repeat(Read(), Delay(2 * A_WHILE), Send(redirect("/"))))
    client = backend.client(
        timeout=granted("total"), limits=ONE, follow_redirects=True, max_redirects=1000, trust_env=False
    )
    in_time(client, lambda client: client.get(fault_lab.url()), BETWEEN, "total", r"127\.0\.0\.1")


class Insistent(httpx_fast.Auth):
    """Asks again and again, each time with a request of its own."""

    def auth_flow(self, request):
        while True:
            yield httpx_fast.Request("GET", request.url)


def test_rounds_of_authentication_have_one_total(backend, fault_lab, in_time):
    fault_lab.serve(Repeat(Read(), Delay(2 * A_WHILE), Send(response(status=401))))
    client = backend.client(timeout=granted("total"), limits=ONE, auth=Insistent(), trust_env=False)
    in_time(client, lambda client: client.get(fault_lab.url()), BETWEEN, "total", r"127\.0\.0\.1")


def test_a_request_that_is_sent_again_has_one_total(backend, peer, in_time):
    """The reused connection is closed instead of an answer, and the next one is mute."""

    def script(dialogue):
        if b" /first " in dialogue.read_request():
            dialogue.send(response())
            dialogue.read_request()
            NOTHING.wait(3 * A_WHILE)
        else:
            dialogue.wait_for_close()

    at = peer(script)

    async def attempt(client):
        nonlocal began
        for _ in range(TRIES):
            await client.get(at.url("/first"), timeout=LONG)
            began = time.monotonic()
            try:
                await client.get(at.url())
            except httpx_fast.TimeoutException as failure:
                if failure.journey.attempts:  # on a busy machine the first connection may use up the total
                    raise

    began = 0.0
    client = backend.client(timeout=granted("total"), limits=ONE, trust_env=False)
    failure = in_time(client, attempt, httpx_fast.ReadTimeout, "total", r"127\.0\.0\.1", lambda: began)
    assert len(failure.journey.attempts) == 1


def test_connecting_again_waits_no_longer_than_the_total_allows(backend, transport, peer):
    gone = peer(mute)
    gone.close()
    kinds = set()

    async def body():
        async with backend.client(transport=transport(retries=100), timeout=granted("total")) as client:
            began = time.monotonic()
            # On a busy machine the total may end within a try instead of between two.
            expected = (httpx_fast.ConnectError, httpx_fast.ConnectTimeout)
            with pytest.raises(expected, match=r"could not connect to|no answer from") as caught:
                await client.get(gone.url())
            kinds.add(caught.type)
            return time.monotonic() - began

    assert min(backend.run(body) for _ in range(TRIES)) <= BUDGET + ALLOWED
    assert httpx_fast.ConnectError in kinds


def test_a_body_whose_pieces_do_not_come_is_waited_for_no_longer(backend, fault_lab, in_time):
    """Nothing can interrupt blocking code, which is asked for its next piece: there the total ends it after that."""
    fault_lab.serve(Mute())

    async def pieces():
        yield b"first"
        await backend.event().wait()

    def blocking_pieces():
        for _ in range(30):
            NOTHING.wait(A_WHILE)
            yield b"piece"

    client = backend.client(timeout=granted("total"), limits=ONE, trust_env=False)
    in_time(
        client,
        lambda client: client.post(fault_lab.url(), content=pieces() if backend.asynchronous else blocking_pieces()),
        httpx_fast.WriteTimeout,
        "total",
        "sending",
    )


def test_without_a_pause_of_the_peer_time_runs_out_between_two_pieces(backend, fault_lab, in_time):
    """The connection takes whatever it is given, so that nothing is ever waited for."""
    fault_lab.serve(Mute())
    client = backend.client(timeout=granted("total"), limits=ONE, trust_env=False)
    in_time(
        client,
        lambda client: client.post(fault_lab.url(), content=backend.content(itertools.repeat(bytes(65536)))),
        httpx_fast.WriteTimeout,
        "total",
        r"the request was not sent to its end|had more to take",
    )


# What lives longer than a response.


def test_a_stream_of_events_ends_with_the_total(backend, fault_lab, in_time):
    head = HEAD + b"Content-Type: text/event-stream\r\n\r\n"
    fault_lab.serve(Read(), Send(head), Repeat(Send(b"data: more\n\n"), Delay(A_WHILE)))
    seen = []

    async def listen(client):
        if backend.asynchronous:
            async with client.sse(fault_lab.url()) as source:
                async for event in source:
                    seen.append(event.data)
        else:
            with client.sse(fault_lab.url()) as source:
                for event in source:
                    seen.append(event.data)  # extend() may append nothing when the source raises

    async def attempt(client):
        nonlocal began
        for _ in range(TRIES):
            began = time.monotonic()
            try:
                await listen(client)
            except httpx_fast.TimeoutException:
                if seen:  # on a busy machine the total may be over before the first event is there
                    raise

    began = 0.0
    client = backend.client(timeout=granted("total"), limits=ONE, trust_env=False)
    in_time(client, attempt, httpx_fast.ReadTimeout, "total", "127", lambda: began)
    assert set(seen) == {"more"}


def test_a_connection_that_was_handed_over_is_not_bound_any_more(backend, fault_lab):
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n"
    fault_lab.serve(Read(), Send(switching), Send(b"still here"), Mute())
    total = httpx_fast.Timeout(LONG, total=LONG)

    async def body():
        async with backend.client(limits=ONE, trust_env=False) as client:
            fields = {"Connection": "Upgrade", "Upgrade": "other"}
            async with client.stream("GET", fault_lab.url(), headers=fields, timeout=total) as upgraded:
                network = upgraded.extensions["network_stream"]
                assert network._stream._read_timer.hard == network._stream._write_timer.hard == math.inf
                assert await read(network, LONG) == b"still here"
                with pytest.raises(httpx_fast.ReadTimeout, match=r"^read timed out after .* of 0\.01 s"):
                    await read(network, A_WHILE)

    async def read(network, timeout):
        return await network.read(100, timeout) if backend.asynchronous else network.read(100, timeout)

    backend.run(body)


# HTTP/2: what runs out is the time of one exchange, and its connection lives on.


class Http2(Server):
    """A server that says something to each request after the other until that is reset."""

    def __init__(self, dialogue: Dialogue, says: Callable[[Server, int], bytes]) -> None:
        super().__init__(dialogue.connection)
        self._says = says

    def serve(self, pause: float) -> None:
        for stream_id in itertools.count(1, 2):
            self.connection.settimeout(PATIENCE)
            while stream_id not in self.requests:
                if not self.listen():
                    return
            self.connection.settimeout(pause)
            while not any(line.startswith(f"RST_STREAM {stream_id} ") for line in self.lines):
                try:
                    if not self.listen():
                        return
                except (TimeoutError, BlockingIOError):
                    self.connection.settimeout(PATIENCE)
                    self.say(self._says(self, stream_id))
                    self.connection.settimeout(pause)

    def listen(self) -> bool:
        """Hears what comes next; False at the end."""
        raw = self.connection.recv(65536)
        self.lines += self.hear(raw)
        return bool(raw)


def nothing(server: Server, stream_id: int) -> bytes:
    return b""


def an_interim_response(server: Server, stream_id: int) -> bytes:
    return server.head(stream_id, [(":status", "102")])


def a_body(server: Server, stream_id: int) -> bytes:
    head = b"" if stream_id in server.bodies else server.head(stream_id)
    server.bodies[stream_id] = bytearray()
    return head + data(stream_id, b"xyz") * 10


class Http2Error(NamedTuple):
    """What a server of HTTP/2 says, after each pause, and what becomes of a request to it."""

    says: Callable[[Server, int], bytes]
    pause: float
    kind: type[httpx_fast.TimeoutException] = httpx_fast.ReadTimeout
    request: dict[str, Any] = {}
    limits: tuple[str, ...] = ("total",)


HTTP2_FAULTS = {
    "mute": Http2Error(nothing, 1, limits=("total", "read", "first_byte")),
    "interim responses": Http2Error(an_interim_response, A_WHILE, limits=("total", "first_byte")),
    "dripped body": Http2Error(a_body, A_WHILE),
    "torrent": Http2Error(a_body, 0),
    "window stays shut": Http2Error(
        nothing, 1, httpx_fast.WriteTimeout, {"method": "POST", "content": bytes(100_000)}, ("total", "write")
    ),
}


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("name", "limit"), [(name, limit) for name, fault in HTTP2_FAULTS.items() for limit in fault.limits]
)
def test_an_exchange_of_http2_costs_no_more_than_was_granted(backend, transport, peer, in_time, name, limit, streamed):
    fault = HTTP2_FAULTS[name]
    server = peer(lambda dialogue: Http2(dialogue, fault.says).serve(fault.pause))
    client = backend.client(transport=transport(http1=False, http2=True), timeout=granted(limit))

    async def attempt(client):
        request = {"method": "GET", "url": server.url(), **fault.request}
        if not streamed:
            await client.request(**request)
            return
        async with client.stream(**request) as response:
            async for piece in response.aiter_raw():
                assert piece

    in_time(client, attempt, fault.kind, limit, "stream")
    assert server.accepted == 1


@pytest.mark.parametrize("limit", ["total", "write"])
def test_a_socket_that_takes_nothing_more_of_http2(backend, transport, peer, in_time, limit):
    def script(dialogue):
        server = Server(dialogue.connection, (4, 2**31 - 1))
        server.say(window_update(0, 2**31 - 1 - 65535))
        dialogue.hold()

    server = peer(script)
    client = backend.client(transport=transport(http1=False, http2=True), timeout=granted(limit))
    in_time(
        client,
        lambda client: client.request(url=server.url(), **LARGE),
        httpx_fast.WriteTimeout,
        limit,
        "",
    )


def test_the_end_of_one_exchange_is_none_of_its_neighbours(backend, transport, peer):
    def script(dialogue):
        server = Server(dialogue.connection)
        server.respond(server.find("/first"), b"connected")
        late, patient = server.find("/late"), server.find("/patient")
        server.until(f"RST_STREAM {late} 8")
        server.respond(patient, b"here")
        server.until_closed()

    server = peer(script)

    async def body():
        async with backend.client(transport=transport(http1=False, http2=True), timeout=LONG) as client:
            await client.get(server.url("/first"))

            async def late():
                with pytest.raises(httpx_fast.ReadTimeout, match=r"^total timed out after .* of 0\.3 s"):
                    await client.get(server.url("/late"), timeout=httpx_fast.Timeout(LONG, total=0.3))

            async def patient():
                assert (await client.get(server.url("/patient"))).text == "here"

            await backend.together(late, patient)
        assert server.accepted == 1

    backend.run(body)


# What the limits mean to each other.


def test_the_first_byte_has_a_time_of_its_own_and_silence_counts_from_there(backend, fault_lab, in_time):
    """A model may think for a minute, but then it must not stall."""
    thinking = (Read(), Delay(4 * A_WHILE), Send(HEAD + LENGTH))
    fault_lab.serve([Read(), Delay(4 * A_WHILE), Send(response(b"thought"))], [*thinking, Mute()])
    patient = httpx_fast.Timeout(LONG, read=A_WHILE, first_byte=LONG)
    client = backend.client(timeout=patient, limits=ONE, trust_env=False)

    async def body():
        async with client:
            assert (await client.get(fault_lab.url())).text == "thought"
            for read in (client.get, partial(stream_all, client)):
                with pytest.raises(httpx_fast.ReadTimeout, match=r"^read timed out after .* of 0\.01 s") as caught:
                    await read(fault_lab.url())
                assert caught.value.limit == caught.value.phase == "read"
                assert caught.value.journey.phase == "receive"

    backend.run(body)


async def stream_all(client, url):
    async with client.stream("GET", url) as streamed:
        await streamed.aread()


@pytest.mark.parametrize("where", ["client", "request", "extensions"])
def test_a_total_holds_wherever_it_is_set(backend, fault_lab, in_time, where):
    fault_lab.serve(Read(), Mute())
    options = {
        "client": {},
        "request": {"timeout": httpx_fast.Timeout(total=BUDGET)},
        "extensions": {"extensions": {"timeout": {"read": LONG, "total": BUDGET}}},
    }[where]
    client = backend.client(timeout=granted("total") if where == "client" else None, limits=ONE, trust_env=False)
    in_time(
        client,
        lambda client: client.get(fault_lab.url(), **options),
        httpx_fast.ReadTimeout,
        "total",
        "the response had not begun$",
    )


def test_a_total_over_http2_says_that_nothing_came(backend, fault_lab):
    fault_lab.serve(testing.Http2(), Read(), Mute())

    async def body():
        async with backend.client(http1=False, http2=True) as client:
            for total in (BUDGET, 1.0, 10.0):  # on a busy machine connecting may use up the first of them
                with pytest.raises(
                    httpx_fast.TimeoutException, match=rf"^total timed out after .* of {total:g} s"
                ) as caught:
                    await client.get(fault_lab.url(), timeout=httpx_fast.Timeout(None, total=total))
                if caught.type is httpx_fast.ReadTimeout:
                    break
            assert re.search(r"the response on stream \d+ of http://.* had not begun$", str(caught.value))

    backend.run(body)


def test_a_transport_that_is_asked_directly_keeps_the_total(backend, fault_lab, in_time):
    fault_lab.serve(Read(), Mute())
    made = httpx_fast.Client().build_request("GET", fault_lab.url(), timeout=granted("total"))

    async def attempt(client):
        if backend.asynchronous:
            await client._transport.handle_async_request(made)
        else:
            client._transport.handle_request(made)

    client = backend.client(limits=ONE, trust_env=False)
    in_time(client, attempt, httpx_fast.ReadTimeout, "total", "the response had not begun$")


@pytest.mark.parametrize("value", ["1", True, -1])
@pytest.mark.parametrize("name", ["total", "first_byte"])
def test_what_is_no_time_is_refused_in_extensions_too(backend, fault_lab, name, value):
    async def body():
        async with backend.client(trust_env=False) as client:
            with pytest.raises((TypeError, ValueError), match=f"as {name}, got {value!r}"):
                await client.get(fault_lab.url(), extensions={"timeout": {name: value}})

    backend.run(body)
    assert not fault_lab.requests


def test_nothing_of_a_total_is_left_on_the_connection(backend, fault_lab):
    """The next request over it has all the time that it was granted, and so has a request that is sent again."""
    fault_lab.serve(Repeat(Read(), Delay(3 * A_WHILE), Send(response(b"good"))))
    total = httpx_fast.Timeout(LONG, total=6 * A_WHILE, first_byte=5 * A_WHILE)

    async def body():
        async with backend.client(limits=ONE, trust_env=False) as client:
            request = client.build_request("GET", fault_lab.url(), timeout=total)
            for _ in range(2):
                # On a busy machine it may be too little; what counts is that nothing of it is left for what follows.
                with contextlib.suppress(httpx_fast.ReadTimeout):
                    await client.send(request)
            response = await client.get(fault_lab.url(), timeout=LONG)
            assert response.text == "good"

    backend.run(body)


def test_a_response_that_comes_in_time_is_as_without_limits(backend, fault_lab):
    pieces = [b"one", b"two", b"three"]
    fault_lab.serve(Repeat(Read(), Send(chunked(*pieces))))
    limits = httpx_fast.Timeout(LONG, total=LONG, first_byte=LONG)

    async def body():
        async with backend.client(timeout=limits, limits=ONE, trust_env=False) as client:
            for _ in range(3):
                assert (await client.get(fault_lab.url())).content == b"".join(pieces)
                async with client.stream("GET", fault_lab.url()) as streamed:
                    assert [piece async for piece in streamed.aiter_raw()]
                sent = await client.post(fault_lab.url(), content=backend.content(pieces))
            assert sent.journey.nth == 9
        assert fault_lab.requests[-1].body == b"".join(pieces)

    backend.run(body)
