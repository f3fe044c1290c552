"""Every response and every exception says which way the request went."""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
from peers import OK, Dialogue, answering, mute

import httpx_fast
from httpx_fast._net import base
from httpx_fast._transports import transport_core


def test_the_first_request_connects_and_the_second_reuses(backend, nginx, authority):
    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            return [(await client.get(nginx.url("/json", "https"))).journey for _ in range(2)]

    first, second = backend.run(body)
    assert (first.nth, first.reused, second.nth, second.reused) == (1, False, 2, True)
    assert first.connection is second.connection
    assert [name for name in first.phases() if name != "dns"] == ["pool", "tcp", "tls", "send", "wait", "receive"]
    assert list(second.phases()) == ["pool", "send", "wait", "receive"]
    assert second.idle > 0
    for journey in (first, second):
        assert all(span >= 0 for span in journey.phases().values())
        assert sum(journey.phases_ns().values()) == round(journey.total * 1e9)
        assert journey.phase == "done"
    assert first.connection.certificate.names
    assert first.connection.certificate.not_after > first.started_at
    assert first.connection.tls_version in {"TLSv1.2", "TLSv1.3"}
    assert first.connection.peer_address[1] == httpx_fast.URL(nginx.url("", "https")).port
    assert first.connection.requests == 2


def test_a_streamed_journey_ends_with_its_body(backend, nginx):
    async def body():
        async with backend.client() as client, client.stream("GET", nginx.url("/f100m")) as response:
            assert response.journey.phase == "receive"
            async for _ in response.aiter_bytes():
                pass
            assert response.journey.phase == "done"

    backend.run(body)


def test_an_exception_carries_the_journey_so_far(backend, peer):
    async def body():
        server = peer(answering(OK, b"nonsense\r\n\r\n"))
        async with backend.client() as client:
            await client.get(server.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense") as caught:
                await client.get(server.url())
        assert caught.value.journey.nth == 2
        assert caught.value.journey.phase == "wait"

    backend.run(body)


def test_a_timeout_carries_the_journey_so_far(backend, peer):
    async def body():
        async with backend.client(timeout=httpx_fast.Timeout(30, read=0.02)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match="read timed out") as caught:
                await client.get(peer(mute).url())
        journey = caught.value.journey
        assert journey.phase == "wait"
        assert set(journey.phases()) >= {"pool", "tcp", "send"}

    backend.run(body)


class Clock:
    """The clock of all backends, on which time passes where a test says so, and nowhere else."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        with self.lock:
            self.now += seconds


#: Seconds that each step is made to take.
DELAYS = {"dns": 0.3, "tcp": 0.4, "tls": 0.5, "send": 0.6, "wait": 0.7, "receive": 0.8, "reader": 0.9}
NEAR = 0.005


class Slow:
    """Makes each step of a request take its time: resolver, connecting, server and reader."""

    def __init__(self, clock: Clock, is_sent: threading.Event) -> None:
        self.delay = lambda name: clock.pass_by(DELAYS[name])
        self.is_sent = is_sent
        self.half_read = threading.Event()

    def resolve(self, host: str, port: int) -> list[str]:
        self.delay("dns")
        return ["127.0.0.1"]

    def connecting(self, connect: Callable[..., Any]) -> Callable[..., Any]:
        async def slowly(*arguments: Any, **options: Any) -> Any:
            stream = await connect(*arguments, **options)
            self.delay("tcp")
            return stream

        return slowly

    def greet(self, *told: object) -> None:
        """The server has the client's first message of TLS."""
        self.delay("tls")

    def answer(self, dialogue: Dialogue) -> None:
        dialogue.read_request()
        assert self.is_sent.wait(30)
        self.delay("wait")
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert self.half_read.wait(30)
        dialogue.send(b"cd")
        dialogue.wait_for_close()

    def watch(self, name: str, info: dict[str, Any]) -> None:
        if name.endswith("receive_response_body.started"):
            self.delay("receive")

    def content(self) -> Iterator[bytes]:
        yield b"a"
        self.delay("send")
        yield b"b"


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    clock, is_sent = Clock(), threading.Event()

    class Watched(httpx_fast.Journey):
        __slots__ = ()

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)
            if name == "sent" and value is not None:
                is_sent.set()

    monkeypatch.setattr(base.Backend, "clock", staticmethod(clock))
    monkeypatch.setattr(transport_core, "Journey", Watched)
    return Slow(clock, is_sent)


def test_scripted_delays_come_out_right(backend, peer, authority, slow, monkeypatch):
    context = authority.server_context("a.test")
    context.sni_callback = slow.greet
    url = httpx_fast.URL(peer(slow.answer, tls=context).url()).copy_with(host="a.test")

    async def body():
        kind = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        transport = kind(verify=authority.client_context(), resolver=slow.resolve)
        async with backend.client(transport=transport, timeout=60) as client:
            net = transport.pool.backend
            monkeypatch.setattr(net, "connect_tcp", slow.connecting(net.connect_tcp))
            asked: dict[str, Any] = {
                "content": backend.content(slow.content()),
                "headers": {"Content-Length": "2"},
                "extensions": {"trace": slow.watch},
            }
            pieces = []
            async with client.stream("POST", url, **asked) as response:
                async for piece in response.aiter_raw():
                    if not pieces:
                        slow.delay("reader")
                        slow.half_read.set()
                    pieces.append(piece)
            return response.journey, b"".join(pieces)

    journey, received = backend.run(body)
    assert received == b"abcd"
    phases = journey.phases()
    assert {name: seconds for name, seconds in phases.items() if abs(seconds - DELAYS.get(name, 0)) > NEAR} == {}
    assert set(phases) == {"pool", *DELAYS}
    assert sum(journey.phases_ns().values()) == round(journey.total * 1e9) == round(sum(DELAYS.values()) * 1e9)
    assert (journey.sizes.sent_body, journey.sizes.received_body) == (2, 4)


def test_waiting_for_a_connection_is_told_apart(backend, peer, slow, monkeypatch):
    def half(dialogue: Dialogue) -> None:
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        assert slow.half_read.wait(30)
        dialogue.send(b"cd")
        dialogue.read_request()
        dialogue.send(OK)

    async def body():
        server = peer(half)
        waits, limits = backend.event(), httpx_fast.Limits(max_connections=1)
        async with backend.client(limits=limits, trust_env=False) as client:
            queue = client.pool.leases.queue

            def queued(*arguments):
                waits.set()
                return queue(*arguments)

            monkeypatch.setattr(client.pool.leases, "queue", queued)

            async def first():
                async with client.stream("GET", server.url()) as response:
                    started.set()
                    await waits.wait()
                    slow.delay("wait")
                    slow.half_read.set()
                    await response.aread()

            async def second():
                await started.wait()
                return await client.get(server.url())

            started = backend.event()
            _, response = await backend.together(first, second)
            return response.journey

    assert backend.run(body).phases()["pool"] == pytest.approx(DELAYS["wait"])


def test_redirects_are_hops_of_one_journey(backend, nginx):
    async def body():
        async with backend.client(follow_redirects=True) as client:
            return await client.get(nginx.url("/redirect"))

    response = backend.run(body)
    journey = response.journey
    (hop,) = journey.hops
    assert hop is response.history[0].journey
    assert (hop.status, journey.status) == (302, 200)
    assert hop.url.endswith("/redirect")
    assert journey.url.endswith("/tiny")
    assert journey.overall >= hop.total + journey.total
    assert journey.overall < hop.total + journey.total + 1
    assert str(journey).startswith("Request 1 (GET http://")
    again = pickle.loads(pickle.dumps(getattr(response, "blocking", response)))
    assert again.journey.to_dict() == journey.to_dict()
    assert again.history[0].journey.phases_ns() == hop.phases_ns()


def test_a_failure_after_redirects_keeps_the_hops(backend, peer):
    async def body():
        moved = b"HTTP/1.1 302 Found\r\nLocation: /next?token=hunter2\r\nContent-Length: 0\r\n\r\n"
        async with backend.client(follow_redirects=True) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense") as caught:
                await client.get(peer(answering(moved, b"nonsense\r\n\r\n")).url())
        return caught.value

    error = backend.run(body)
    for each in (error, pickle.loads(pickle.dumps(error))):
        assert [hop.status for hop in each.journey.hops] == [302]
        assert each.journey.url.endswith("/next?token=[secure]")
        assert "hunter2" not in str(each.journey) + repr(each.journey.to_dict())
        assert each.journey.overall > each.journey.took


def test_too_many_redirects_keep_the_journey(backend, peer):
    async def body():
        moved = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"
        async with backend.client(follow_redirects=True, max_redirects=1) as client:
            with pytest.raises(httpx_fast.TooManyRedirects, match="max_redirects=1") as caught:
                await client.get(peer(answering(moved, moved, moved)).url())
        return caught.value

    journey = backend.run(body).journey
    assert (journey.status, len(journey.hops)) == (302, 1)


def test_sizes_are_those_of_the_wire(backend, nginx):
    async def body():
        async with backend.client(headers={"Accept-Encoding": "gzip"}) as client:
            packed = await client.get(nginx.url("/gzip.json"))
            echoed = await client.post(nginx.url("/echo"), content=b"x" * 5000)
            async with client.stream("GET", nginx.url("/gzip.json")) as streamed:
                read = [piece async for piece in streamed.aiter_bytes(100)]
            assert streamed.journey.sizes.decoded_body == len(b"".join(read)) == len(packed.content)
            assert streamed.journey.sizes.received_body == packed.num_bytes_downloaded
            return packed, echoed

    packed, echoed = backend.run(body)
    assert packed.journey.sizes.decoded_body == len(packed.content) > packed.journey.sizes.received_body
    assert packed.journey.sizes.received_body == packed.num_bytes_downloaded
    head = packed.journey.sizes.received_head
    assert head == len(b"HTTP/1.1 200 OK\r\n\r\n") + sum(
        len(name) + len(value) + 4 for name, value in packed.headers.raw
    )
    assert echoed.journey.sizes.sent_body == 5000
    assert echoed.journey.sizes.sent_head > 100


def test_journeys_of_http2_add_up_and_count(backend, nginx, authority):
    async def body():
        async with backend.client(http2=True, verify=authority.client_context()) as client:
            urls = [nginx.url("/json", "https")] * 3
            return await backend.together(*[partial(client.get, url) for url in urls])

    journeys = [response.journey for response in backend.run(body)]
    assert sum(not journey.reused for journey in journeys) >= 1
    for journey in journeys:
        assert sum(journey.phases_ns().values()) == round(journey.total * 1e9)
        assert ("tls" in journey.phases()) is not journey.reused
        assert journey.sizes.sent_head > 100
        assert journey.sizes.received_body == 1024
