"""`extensions={"trace": ...}` and the DEBUG loggers: which events, in which order, and what goes with them."""

from __future__ import annotations

import contextlib
import gc
import logging
import logging.config
import socket
import threading

import pytest
from peers import always

import httpx_fast
from httpx_fast import (
    AsyncHTTPTransport,
    ConnectError,
    HTTPTransport,
    Limits,
    PoolTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
)
from httpx_fast._trace import LOGGERS, tracer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nSet-Cookie: key=sesame\r\n\r\nok"


def steps(*names):
    return [f"{name}.{end}" for name in names for end in ("started", "complete")]


EXCHANGE = steps(
    "http11.send_request_headers",
    "http11.send_request_body",
    "http11.receive_response_headers",
    "http11.receive_response_body",
    "http11.response_closed",
)
DIAL = steps("dns.resolve", "connection.connect_tcp")


class Watch:
    """Keeps what it is told; `kind` is how it is called."""

    def __init__(self, kind="plain"):
        self.events = []
        self.trace = getattr(self, kind)

    def plain(self, name, info):
        self.events.append((name, info))

    async def asynchronous(self, name, info):
        self.events.append((name, info))

    @property
    def names(self):
        return [name for name, _ in self.events]

    def __getitem__(self, name):
        return dict(self.events)[name]


@pytest.fixture(params=["plain", "asynchronous"])
def watch(request):
    return Watch(request.param)


def test_each_step_of_a_request_is_told_in_order(backend, peer, watch):
    server = peer(lambda dialogue: [dialogue.read_request() and dialogue.send(OK) for _ in range(2)])

    async def body():
        async with backend.client() as client:
            response = await client.get(server.url(), extensions={"trace": watch.trace})
            assert response.content == b"ok"
            assert watch.names == DIAL + EXCHANGE
            again = Watch()
            response = await client.post(server.url(), content=b"x", extensions={"trace": again.trace})
            assert response.journey.nth == 2
            assert again.names == EXCHANGE

    backend.run(body)
    assert watch["connection.connect_tcp.started"]["host"] == "127.0.0.1"
    assert watch["connection.connect_tcp.started"]["port"] == server.port
    assert watch["connection.connect_tcp.complete"]["return_value"].get_extra_info("socket") is not None
    assert watch["dns.resolve.started"] == {"host": "127.0.0.1", "port": server.port}
    assert watch["http11.send_request_headers.started"]["request"].url.port == server.port
    assert watch["http11.receive_response_headers.complete"]["return_value"] == (
        b"HTTP/1.1",
        200,
        b"OK",
        [(b"Content-Length", b"2"), (b"Set-Cookie", b"key=sesame")],
    )


def test_events_come_when_the_steps_happen(backend, peer):
    """The head is told before the body has come."""
    watch = Watch()
    told = threading.Event()

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")
        assert told.wait(10)
        dialogue.send(b"ok")

    def trace(name, info):
        watch.plain(name, info)
        if name == "http11.receive_response_headers.complete":
            told.set()

    server = peer(script)

    async def body():
        async with backend.client() as client:
            await client.get(server.url(), extensions={"trace": trace}, timeout=20)

    backend.run(body)
    assert watch.names[-6:] == EXCHANGE[-6:]


def test_tls_is_a_step(backend, peer, authority):
    watch = Watch()
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(OK)], tls=authority.server_context("127.0.0.1")
    )
    context = authority.client_context()

    async def body():
        async with backend.client(verify=context) as client:
            await client.get(server.url(), extensions={"trace": watch.trace})

    backend.run(body)
    assert watch.names[4:6] == steps("connection.start_tls")
    info = watch["connection.start_tls.started"]
    assert (info["ssl_context"], info["server_hostname"]) == (context, "127.0.0.1")
    assert watch["connection.start_tls.complete"]["return_value"].get_extra_info("ssl_object") is not None


def test_a_unix_socket_is_a_step(backend, tmp_path):
    watch = Watch()
    path = str(tmp_path / "socket")
    kind = AsyncHTTPTransport if backend.asynchronous else HTTPTransport

    async def body():
        async with backend.client(transport=kind(uds=path)) as client:
            with pytest.raises(ConnectError, match="unix socket"):
                await client.get("http://anywhere/", extensions={"trace": watch.trace})

    backend.run(body)
    assert watch.names == ["connection.connect_unix_socket.started", "connection.connect_unix_socket.failed"]
    assert watch["connection.connect_unix_socket.started"]["path"] == path


def test_a_step_that_fails_says_why(backend, peer, watch):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def body():
        async with backend.client() as client:
            with pytest.raises(ConnectError, match="could not connect") as failure:
                await client.get(f"http://127.0.0.1:{port}/", extensions={"trace": watch.trace})
            assert watch.names[-2:] == ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
            assert watch["connection.connect_tcp.failed"]["exception"] is failure.value

    backend.run(body)


def test_a_further_try_to_connect_is_told(backend):
    watch = Watch()
    kind = AsyncHTTPTransport if backend.asynchronous else HTTPTransport
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

    async def body():
        async with backend.client(transport=kind(retries=1)) as client:
            with pytest.raises(ConnectError, match="could not connect"):
                await client.get(f"http://127.0.0.1:{port}/", extensions={"trace": watch.trace})

    backend.run(body)
    failed = ["dns.resolve.started", "dns.resolve.complete"]
    failed += ["connection.connect_tcp.started", "connection.connect_tcp.failed"]
    assert watch.names == failed + steps("connection.retry") + failed


def test_a_response_that_never_comes_fails_its_step_and_closes_the_connection(backend, peer, watch):
    server = peer(lambda dialogue: dialogue.wait_for_close())

    async def body():
        async with backend.client(timeout=httpx_fast.Timeout(30, read=0.02)) as client:
            with pytest.raises(ReadTimeout, match="read timed out"):
                await client.get(
                    server.url(), timeout=httpx_fast.Timeout(30, read=0.02), extensions={"trace": watch.trace}
                )

    backend.run(body)
    assert watch.names[-5:] == [
        "http11.receive_response_headers.failed",
        "http11.response_closed.started",
        *steps("connection.close"),
        "http11.response_closed.complete",
    ]


def test_a_body_that_breaks_off_fails_its_step(backend, peer, watch):
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")]
    )

    async def body():
        async with backend.client() as client:
            with pytest.raises((ReadError, RemoteProtocolError), match="body incomplete"):
                await client.get(server.url(), extensions={"trace": watch.trace})

    backend.run(body)
    assert "http11.receive_response_body.failed" in watch.names
    assert watch.names[-1] == "http11.response_closed.complete"


def test_closing_early_is_told(backend, peer, watch):
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf")]
    )

    async def body():
        async with (
            backend.client() as client,
            client.stream("GET", server.url(), extensions={"trace": watch.trace}) as response,
        ):
            assert watch.names[-1] == "http11.receive_response_headers.complete"
            await response.aclose()
            assert watch.names[-1] == "http11.response_closed.complete"
            assert "connection.close.complete" in watch.names

    backend.run(body)


def test_waiting_for_the_pool_is_a_step(backend, peer, watch):
    go = threading.Event()

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(OK[:-2])
        assert go.wait(10)
        dialogue.send(OK[-2:])
        dialogue.read_request()
        dialogue.send(OK)

    server = peer(script)

    async def body():
        async with backend.client(limits=Limits(max_connections=1)) as client:
            async with client.stream("GET", server.url()) as response:
                with pytest.raises(PoolTimeout, match="pool timed out"):
                    await client.get(server.url(), timeout=0.02, extensions={"trace": watch.trace})
                assert watch.names == ["pool.wait.started", "pool.wait.failed"]
                assert isinstance(watch["pool.wait.failed"]["exception"], PoolTimeout)
                waited = Watch()
                started = backend.event()

                async def wait():
                    await client.get(server.url(), extensions={"trace": tell})

                def tell(name, info):
                    waited.plain(name, info)
                    started.set()

                async def end():
                    waiting = started.wait()
                    if waiting is not None:
                        await waiting
                    go.set()
                    await response.aread()

                await backend.together(wait, end)
            assert waited.names == steps("pool.wait") + EXCHANGE

    backend.run(body)


def test_what_a_watcher_raises_ends_the_request_and_leaves_nothing_open(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request() and dialogue.send(OK) for _ in range(2)])

    async def body():
        for stop in DIAL + EXCHANGE:

            def trace(name, info, stop=stop):
                if name == stop:
                    raise KeyError(stop)

            async with backend.client(limits=Limits(max_connections=1), timeout=5) as client:
                with pytest.raises(KeyError, match=stop):
                    await client.get(server.url(), extensions={"trace": trace})
                assert (await client.get(server.url())).content == b"ok"

    backend.run(body)


def test_nobody_watches_and_there_is_no_tracer(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(OK)])

    async def body():
        async with backend.client() as client:
            response = await client.get(server.url(), extensions={})
            assert response.journey.trace is None

    backend.run(body)


def test_loggers_tell_the_same_without_secrets(backend, peer, authority, caplog):
    caplog.set_level(logging.DEBUG, logger="httpx_fast")
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(OK)], tls=authority.server_context("127.0.0.1")
    )

    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            await client.get(server.url(), headers={"Authorization": "Bearer sesame"})

    backend.run(body)
    told = [(record.name, record.getMessage()) for record in caplog.records if record.levelno == logging.DEBUG]
    words = [f"{name.removeprefix('httpx_fast.')}.{message.split(' ')[0]}" for name, message in told]
    assert words == ["pool.new_connection", *DIAL, *steps("tls.start_tls"), *EXCHANGE]
    assert "reason=first" in caplog.text
    assert "sesame" not in caplog.text
    assert "200" in caplog.text


@pytest.mark.parametrize("name", sorted(LOGGERS))
def test_one_logger_alone_may_be_switched_on(name):
    logger = LOGGERS[name]
    assert tracer({"trace": None}, None) is None
    logger.setLevel(logging.DEBUG)
    try:
        assert tracer({}, None) is not None
    finally:
        logger.setLevel(logging.NOTSET)
    assert tracer({"trace": None}, None) is None


def test_a_configuration_that_names_one_logger_leaves_it_on():
    logging.config.dictConfig({"version": 1, "loggers": {"httpx_fast.pool": {"level": "DEBUG"}}})
    try:
        assert tracer({}, None) is not None
    finally:
        LOGGERS["pool"].setLevel(logging.NOTSET)
        for logger in [*LOGGERS.values(), *map(logging.getLogger, logging.root.manager.loggerDict)]:
            logger.disabled = False


def forget(held):
    held.clear()
    gc.collect()


@pytest.mark.parametrize("within", [False, True], ids=["", "within the pool's own lines"])
def test_a_watched_response_that_was_forgotten_is_told_of_outside_of_the_pools_lock(peer, within):
    """What loggers do is the user's business, sending a request over the same pool included."""

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(OK[:-1])
        dialogue.wait_for_close()

    server = peer(script, always(OK))
    logger = LOGGERS["http11"]
    locked = []

    class Handler(logging.Handler):
        def emit(self, record):
            if "response_closed" in record.getMessage():
                locked.append(client.pool.leases.lock.locked())

    handler = Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with httpx_fast.Client() as client:
            held = [client.send(client.build_request("GET", server.url()), stream=True)]
            with (
                client.pool.leases.lock if within else contextlib.nullcontext(),
                pytest.warns(ResourceWarning, match="read"),
            ):
                forget(held)
            assert bool(locked) is not within
            client.get(server.url())
            assert len(locked) == 4
            assert not any(locked)
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)
