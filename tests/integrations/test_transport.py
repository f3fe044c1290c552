"""Requests and responses of httpx2 and httpx over our connections: what goes out, what comes back, what goes wrong."""

from __future__ import annotations

import contextlib
import gc
import gzip
import io
import re
import ssl
import sys
import threading
from typing import Any

import anyio
import pytest

import httpx_fast
from httpx_fast.testing import (
    Certificate,
    FaultLab,
    HalfClose,
    Hold,
    LocalServer,
    Mute,
    Read,
    ReadHead,
    Repeat,
    Reply,
    Request,
    Reset,
    Send,
    Tell,
    chunked,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

SOON = 0.05  # seconds; when a peer that says nothing is given up


def echo(request: Request) -> Reply:
    """Says what was asked, and sends the body back."""
    fields = [
        ("X-Target", request.target),
        ("X-Method", request.method),
        ("X-Names", " ".join(n for n, _ in request.fields)),
    ]
    return Reply(200, [*fields, ("Content-Type", "text/plain")], request.body)


@pytest.fixture
def server():
    with LocalServer(tls=False, answer=echo) as started:
        yield started


def address(server: LocalServer, path: str = "/") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def test_a_client_is_the_package_s_own_and_so_is_its_response(library, backend, server):
    async def body() -> None:
        async with library.client(backend) as client:
            inner = getattr(client, "blocking", client)
            assert isinstance(inner, library.package.AsyncClient if backend.asynchronous else library.package.Client)
            answer = await client.get(address(server))
            assert isinstance(getattr(answer, "blocking", answer), library.package.Response)
            assert (answer.status_code, answer.reason_phrase, answer.http_version) == (200, "OK", "HTTP/1.1")
            assert answer.headers["x-target"] == "/"
            assert answer.elapsed.total_seconds() > 0
            assert isinstance(answer.extensions["journey"], httpx_fast._journey.Journey)
            again = await client.get(address(server))
            assert again.extensions["journey"].reused
            assert again.extensions["network_stream"].get_extra_info("server_addr") == ("127.0.0.1", server.port)
            assert client.pool.stats().open == 1

    backend.run(body)


@pytest.mark.parametrize("path", ["/%2f%41?q=%20+%zz", "/a%7Eb;c?x=[1]", "/", "/?", "//x"])
def test_the_target_is_what_the_package_makes_of_the_url(library, server, path):
    with library.fast.FastClient() as client:
        answer = client.get(address(server, path))
    assert answer.headers["x-target"] == library.package.URL(address(server, path)).raw_path.decode()


def test_field_lines_go_out_as_they_are(library, server):
    fields = [("X-A", "1"), ("x-b", "2"), ("X-A", "3"), ("Cookie", "a=b")]
    with library.fast.FastClient() as client:
        request = client.build_request("GET", address(server), headers=fields)
        answer = client.send(request)
    names = [name.decode() for name, _ in request.headers.raw]
    assert answer.headers["x-names"].split() == names
    assert names.count("X-A") == 2


def test_a_target_of_the_extensions_wins(library, backend, server):
    async def body() -> None:
        async with library.client(backend) as client:
            for _ in range(2):
                answer = await client.request("OPTIONS", address(server), extensions={"target": b"*"})
                assert (answer.headers["x-method"], answer.headers["x-target"]) == ("OPTIONS", "*")
            assert (await client.request("OPTIONS", address(server))).headers["x-target"] == "/"

    backend.run(body)


def test_the_server_name_of_the_extensions_is_asked_for(library, backend):
    certificate = Certificate(["name.example"])
    with LocalServer(tls=certificate) as server:

        async def body() -> None:
            async with library.client(backend, verify=certificate.client_context()) as client:
                url = f"https://127.0.0.1:{server.port}/"
                assert (await client.get(url, extensions={"sni_hostname": "name.example"})).status_code == 200
                with pytest.raises(library.package.ConnectError, match=r"127\.0\.0\.1"):
                    await client.get(url)

        backend.run(body)


def test_what_is_traced_is_told_under_the_same_names(library, backend, server):
    told: list[str] = []

    def note(name: str, info: dict[str, Any]) -> None:
        told.append(name)

    async def note_later(name: str, info: dict[str, Any]) -> None:
        told.append(name)

    async def body() -> None:
        async with library.client(backend) as client:
            trace = note_later if backend.asynchronous else note
            await client.get(address(server), extensions={"trace": trace})

    backend.run(body)
    assert {
        "connection.connect_tcp.started",
        "connection.connect_tcp.complete",
        "http11.send_request_headers.complete",
        "http11.receive_response_headers.complete",
        "http11.receive_response_body.complete",
        "http11.response_closed.complete",
    } <= set(told)


# Bodies.


def test_a_coded_body_comes_undecoded_and_the_package_decodes_it(library, backend):
    coded = gzip.compress(b"content" * 1000)
    with LocalServer(tls=False, answer=lambda _: Reply(200, [("Content-Encoding", "gzip")], coded)) as server:

        async def body() -> None:
            async with library.client(backend) as client:
                assert (await client.get(address(server))).content == b"content" * 1000
                async with client.stream("GET", address(server)) as answer:
                    raw = [piece async for piece in answer.aiter_raw()]
                assert b"".join(raw) == coded
                assert answer.num_bytes_downloaded == len(coded)

        backend.run(body)


def test_trailers_and_informational_responses_are_handed_through(library, backend, fault_lab: FaultLab):
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </style>\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n"
    fault_lab.serve(Read(), Send(hints + head + b"4\r\nbody\r\n0\r\nX-Sum: 45\r\n\r\n"), Mute())

    async def body() -> None:
        async with library.client(backend) as client:
            async with client.stream("GET", fault_lab.url()) as answer:
                assert await answer.aread() == b"body"
            own = answer.extensions["httpx_fast"]
            assert [(each.status_code, each.headers["link"]) for each in own.informational] == [(103, "</style>")]
            assert own.trailers["x-sum"] == "45"

    backend.run(body)


def test_pieces_arrive_one_by_one(library, backend, fault_lab: FaultLab):
    gate = Hold()
    first, second = chunked(b"one").removesuffix(b"0\r\n\r\n"), b"3\r\ntwo\r\n0\r\n\r\n"
    fault_lab.serve(Read(), Send(first), gate, Send(second))

    async def body() -> None:
        async with library.client(backend) as client, client.stream("GET", fault_lab.url()) as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"one"
            fault_lab.release()
            assert [piece async for piece in pieces] == [b"two"]

    backend.run(body)


@pytest.mark.parametrize("kind", ["bytes", "iterable", "file", "form", "multipart", "json", "nothing"])
def test_uploads(library, backend, server, kind):
    big = bytes(range(256)) * 1000

    async def later() -> Any:
        yield big[:1000]
        yield big[1000:]

    def sent() -> dict[str, Any]:
        given: dict[str, dict[str, Any]] = {
            "bytes": {"content": big},
            "iterable": {"content": later() if backend.asynchronous else iter([big[:1000], big[1000:]])},
            "file": {"content": later() if backend.asynchronous else io.BytesIO(big)},
            "form": {"data": {"a": "1"}},
            "multipart": {"files": {"f": ("n", io.BytesIO(big))}},
            "json": {"json": {"a": [1]}},
            "nothing": {},
        }
        return given[kind]

    async def body() -> None:
        async with library.client(backend) as client:
            content = (await client.post(address(server), **sent())).content
            if kind in ("bytes", "iterable", "file"):
                assert content == big
            elif kind == "multipart":
                assert big in content
            else:
                assert content == {"form": b"a=1", "json": b'{"a":[1]}', "nothing": b""}[kind]
            assert client.pool.stats().idle == 1

    backend.run(body)


def test_a_body_that_fails_fails_as_it_is(library, backend, server):
    def broken() -> Any:
        yield b"some"
        raise LookupError("no more")

    async def broken_later() -> Any:
        yield b"some"
        raise LookupError("no more")

    async def body() -> None:
        async with library.client(backend) as client:
            content = broken_later() if backend.asynchronous else broken()
            with pytest.raises(LookupError, match="no more"):
                await client.post(address(server), content=content)
            assert client.pool.stats().open == 0

    backend.run(body)


def test_a_body_for_the_other_kind_of_transport_is_refused(library):
    async def later() -> Any:
        yield b"x"

    request = library.package.Request("POST", "http://127.0.0.1:1/", content=later())
    with library.fast.FastTransport() as transport, pytest.raises(RuntimeError, match="expected a body of type SyncBy"):
        transport.handle_request(request)


def test_a_redirect_sends_the_body_again(library, backend):
    def answer(request: Request) -> Reply:
        return Reply(307, [("Location", "/there")]) if request.target == "/" else echo(request)

    with LocalServer(tls=False, answer=answer) as server:

        async def body() -> None:
            async with library.client(backend, follow_redirects=True) as client:
                answered = await client.post(address(server), content=b"again")
                assert (answered.content, len(answered.history)) == (b"again", 1)
                assert answered.extensions["journey"].reused

        backend.run(body)


# What goes wrong.

FAULTS = {
    "reset without an answer": ([Read(), Reset()], "ReadError"),
    "closed without an answer": ([Read(), HalfClose(), Mute()], "RemoteProtocolError"),
    "no HTTP": ([Read(), Send(b"SSH-2.0-x\r\n\r\n"), Mute()], "RemoteProtocolError"),
    "closed in the body": ([Read(), Send(response(b"x" * 20)[:-1]), HalfClose(), Mute()], "RemoteProtocolError"),
    "reset in the body": ([Read(), Send(response(b"x" * 20)[:-1]), Reset()], "ReadError"),
    "no answer in time": ([Mute()], "ReadTimeout"),
    "no end in time": ([Read(), Send(response(b"x" * 20)[:-1]), Mute()], "ReadTimeout"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_a_server_does_wrong_is_the_package_s_exception(library, backend, fault_lab: FaultLab, fault: str):
    steps, name = FAULTS[fault]
    fault_lab.serve(steps, [Repeat(Read(), Send(response(b"good")))])

    async def body() -> None:
        limits = library.package.Limits(max_connections=1)
        timeout = library.package.Timeout(30, read=SOON if name == "ReadTimeout" else 30)
        async with library.client(backend, limits=limits, timeout=timeout) as client:
            with pytest.raises(library.package.TransportError, match=r".") as caught:
                await client.get(fault_lab.url())
            assert type(caught.value) is getattr(library.package, name)
            assert isinstance(caught.value.__cause__, getattr(httpx_fast, name))
            assert caught.value.journey is caught.value.__cause__.journey
            assert str(caught.value.request.url) == fault_lab.url()
            assert (await client.get(fault_lab.url(), timeout=30)).text == "good"

    backend.run(body)


def test_a_refused_connection(library, backend):
    async def body() -> None:
        async with library.client(backend) as client:
            with pytest.raises(library.package.ConnectError, match="ECONNREFUSED"):
                await client.get("http://127.0.0.1:1/")

    backend.run(body)


def test_timeouts_of_the_queue(library, backend, fault_lab: FaultLab):
    fault_lab.serve(Read(), Send(response(b"x" * 20)[:-1]), Mute())
    package = library.package

    async def body() -> None:
        options = {"limits": package.Limits(max_connections=1), "timeout": package.Timeout(30, pool=SOON)}
        async with library.client(backend, **options) as client, client.stream("GET", fault_lab.url()):
            with pytest.raises(package.PoolTimeout, match="pool timed out"):
                await client.get(fault_lab.url())

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="nothing else has ports that do not answer")
def test_timeouts_of_connecting(library, backend, fault_lab: FaultLab):
    fault_lab.serve(Read(), Send(response(b"good")))
    package = library.package

    async def body() -> None:
        async with library.client(backend) as client:
            with pytest.raises(package.ConnectTimeout, match="connect timed out"):
                await client.get(fault_lab.black_hole(), timeout=package.Timeout(30, connect=SOON))
            assert (await client.get(fault_lab.url(), timeout=30)).text == "good"

    backend.run(body)


def test_a_budget_for_the_whole_may_stand_in_the_extensions(library, backend, fault_lab: FaultLab):
    fault_lab.serve(Read(), Send(response(b"good")), Mute())
    budgets = {"connect": 30, "read": 30, "write": 30, "pool": 30, "total": 4 * SOON}

    async def body() -> None:
        async with library.client(backend) as client:
            await client.get(fault_lab.url())
            with pytest.raises(library.package.ReadTimeout, match="total timed out"):
                await client.get(fault_lab.url(), extensions={"timeout": budgets})

    backend.run(body)


@pytest.mark.parametrize(
    ("method", "url", "fields", "name"),
    [
        ("GET", "ftp://host.example/", {}, "UnsupportedProtocol"),
        ("GET", "http:///path", {}, "UnsupportedProtocol"),
        ("GET", "http://127.0.0.1:1/", {"X-A": "a\r\nb"}, "LocalProtocolError"),
        ("G T", "http://127.0.0.1:1/", {}, "LocalProtocolError"),
        ("GÉT", "http://127.0.0.1:1/", {}, "LocalProtocolError"),
        ("GET", "http://127.0.0.1:1/", {"Content-Length": "5"}, "LocalProtocolError"),
    ],
)
def test_what_cannot_be_sent_is_refused(library, method: str, url: str, fields: dict[str, str], name: str):
    with library.fast.FastClient() as client, pytest.raises(library.package.TransportError, match=r".") as caught:
        client.request(method, url, headers=fields)
    assert type(caught.value) is getattr(library.package, name)


def test_a_response_that_is_left_early_gives_its_connection_back(library, backend, fault_lab: FaultLab):
    if (library.name, backend.name) == ("httpx", "trio"):
        pytest.skip("httpx leaves a generator of its own behind there, of which trio warns")
    fault_lab.serve(
        [Read(), Send(response(b"x" * 20, length=10**6)), Mute()], [Repeat(Read(), Send(response(b"good")))]
    )

    async def body() -> None:
        async with library.client(backend, limits=library.package.Limits(max_connections=1)) as client:
            async with (
                client.stream("GET", fault_lab.url()) as answer,
                contextlib.aclosing(answer.aiter_raw()) as pieces,
            ):
                assert await anext(pieces) == b"x" * 20
            assert answer.is_closed
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_a_cancelled_request_leaves_nothing(library, backend, fault_lab: FaultLab):
    if not backend.asynchronous:
        pytest.skip("nothing is cancelled in blocking code")
    heard = threading.Event()
    fault_lab.serve([Read(), Tell(heard), Mute()], [Repeat(Read(), Send(response(b"good")))])

    async def body() -> None:
        async with library.client(backend, limits=library.package.Limits(max_connections=1)) as client:
            async with anyio.create_task_group() as group:
                group.start_soon(client.get, fault_lab.url())
                await backend.hear(heard)
                group.cancel_scope.cancel()
            assert client.pool.stats().open == 0
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def let_go(holder: list[Any]) -> None:
    holder.clear()
    gc.collect()


def test_a_response_that_is_neither_read_nor_closed_is_reported_with_the_user_s_line(library, fault_lab: FaultLab):
    fault_lab.serve(Read(), Send(response(b"x" * 20, length=10**6)), Mute())
    with library.fast.FastClient() as client:
        answer = client.send(client.build_request("GET", fault_lab.url()), stream=True)
        holder = [answer]
        del answer
        with pytest.warns(ResourceWarning, match=re.escape(f"requested at {__file__}:")):
            let_go(holder)
        assert client.pool.stats().leased == 0


def test_a_client_that_is_not_closed_is_reported_with_the_user_s_line(library, server):
    holder = [library.fast.FastClient()]
    holder[0].get(address(server))
    with pytest.warns(ResourceWarning, match=re.escape(f"it was made at {__file__}:")):
        let_go(holder)


def test_closing_ends_what_is_under_way(library, backend, fault_lab: FaultLab):
    heard = threading.Event()
    fault_lab.serve(Read(), Tell(heard), Mute())

    async def body() -> None:
        client = library.client(backend)

        async def ask() -> None:
            with pytest.raises(library.package.ReadError, match="the client was closed"):
                await client.get(fault_lab.url())

        async def close() -> None:
            await backend.hear(heard)
            await client.aclose()

        await backend.together(ask, close)

    backend.run(body)


# Connections that are handed over.


def test_a_connection_that_speaks_http_no_longer(library, backend, fault_lab: FaultLab):
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nfirst"
    fault_lab.serve(ReadHead(), Send(switching), Read(), Send(b"second"), Mute())

    async def body() -> None:
        async with library.client(backend) as client:
            fields = {"Connection": "Upgrade", "Upgrade": "echo"}
            async with client.stream("GET", fault_lab.url(), headers=fields) as answer:
                assert answer.status_code == 101
                stream = Awaited(answer.extensions["network_stream"], backend.asynchronous)
                assert await stream.read(100) == b"first"
                await stream.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", timeout=30)
                assert await stream.read(100, timeout=30) == b"second"
                core = pytest.importorskip("httpcore2" if library.name == "httpx2" else "httpcore")
                with pytest.raises(core.ReadTimeout, match="read timed out"):
                    await stream.read(100, timeout=SOON)
            assert client.pool.stats().open == 0

    backend.run(body)


class Awaited:
    """A network stream with methods to await, in every backend."""

    def __init__(self, stream: Any, asynchronous: bool) -> None:
        self.stream = stream
        self.asynchronous = asynchronous

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **options: Any) -> Any:
            called = getattr(self.stream, name)(*arguments, **options)
            return await called if self.asynchronous else called

        return call


def test_tls_over_a_tunnel(library, backend, fault_lab: FaultLab):
    from httpx_fast.testing import Tls, established

    fault_lab.serve(ReadHead(), Send(established()), Tls(), Read(), Send(response(b"inside")), Mute())

    async def body() -> None:
        async with library.client(backend) as client:
            request = client.build_request("CONNECT", fault_lab.url(), extensions={"target": b"host.example:443"})
            answer = await client.send(request, stream=True)
            stream = answer.extensions["network_stream"]
            encrypted = await Awaited(stream, backend.asynchronous).start_tls(
                fault_lab.client_context(), server_hostname="localhost", timeout=30
            )
            assert isinstance(encrypted.get_extra_info("ssl_object"), ssl.SSLObject)
            await Awaited(encrypted, backend.asynchronous).write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert b"inside" in await Awaited(encrypted, backend.asynchronous).read(1000)
            with contextlib.suppress(Exception):
                await answer.aclose()

    backend.run(body)
