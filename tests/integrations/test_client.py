"""What a client of httpx2 or httpx is told holds over our connections: proxies, mounts, limits, trust, HTTP/2."""

from __future__ import annotations

import inspect
import json
import ssl
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from proxies import HttpProxy, Socks5Proxy
from servers import Hypercorn, Nginx, Node

import httpx_fast
from httpx_fast.integrations._bridge import OWN_OPTIONS
from httpx_fast.testing import LocalServer, Reply, Request

CREDENTIALS = "user:secret"


def told(request: Request) -> Reply:
    return Reply(200, [("Content-Type", "text/plain")], request.target.encode())


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(tls=False, answer=told) as started:
        yield started


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[LocalServer]:
    with LocalServer(answer=told) as started:
        assert started.certificate is not None
        (tmp_path / "authority.pem").write_text(started.certificate.pem)
        yield started


# Proxies and mounts.


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_proxies_of_the_environment_are_used(library, backend, peer, server, secure, monkeypatch, scheme):
    proxy = HttpProxy(login=("user", "secret"))
    port = peer(proxy).port
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{CREDENTIALS}@127.0.0.1:{port}")
    url = f"http://127.0.0.1:{server.port}" if scheme == "http" else secure.url

    async def body() -> None:
        async with library.client(backend, trust_env=True, verify=secure.client_context()) as client:
            assert (await client.get(f"{url}/a")).text == "/a"

    backend.run(body)
    assert len(proxy.asked) == 1
    assert proxy.asked[0].startswith("GET http://127.0.0.1" if scheme == "http" else "CONNECT localhost:")


@pytest.mark.parametrize("given", ["text", "url", "theirs", "ours"])
def test_a_proxy_may_be_given_in_every_form(library, backend, peer, server, given):
    proxy = HttpProxy(login=("user", "secret"))
    text = f"http://{CREDENTIALS}@127.0.0.1:{peer(proxy).port}"
    forms = {
        "text": text,
        "url": library.package.URL(text),
        "theirs": library.package.Proxy(text, headers={"X-Proxy": "1"}),
        "ours": httpx_fast.Proxy(text, headers={"X-Proxy": "1"}),
    }

    async def body() -> None:
        transport = library.transport(backend, proxy=forms[given])
        async with library.client(backend, transport=transport) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/a")).text == "/a"

    backend.run(body)
    assert proxy.fields[0].get("x-proxy") == (None if given in ("text", "url") else "1")


def test_socks_needs_no_other_package(library, backend, peer, server, monkeypatch):
    monkeypatch.setitem(sys.modules, "socksio", None)
    proxy = Socks5Proxy(login=("user", "secret"))
    url = f"socks5h://{CREDENTIALS}@127.0.0.1:{peer(proxy).port}"

    async def body() -> None:
        async with library.client(backend, proxy=url) as client:
            assert (await client.get(f"http://127.0.0.1:{server.port}/a")).text == "/a"

    backend.run(body)
    assert len(proxy.asked) == 1


def test_a_proxy_that_wants_credentials(library, backend, peer, secure):
    url = f"http://127.0.0.1:{peer(HttpProxy(login=('user', 'secret'))).port}"

    async def body() -> None:
        async with library.client(backend, proxy=url, verify=secure.client_context()) as client:
            with pytest.raises(library.package.ProxyError, match="407"):
                await client.get(secure.url)

    backend.run(body)


def test_mounts_hold(library, backend, server):
    package = library.package

    def mocked(request: Any) -> Any:
        return package.Response(418)

    async def body() -> None:
        mounts = {"http://mocked.example": package.MockTransport(mocked), "https://": None}
        async with library.client(backend, mounts=mounts) as client:
            assert (await client.get("http://mocked.example/")).status_code == 418
            assert (await client.get(f"http://127.0.0.1:{server.port}/a")).text == "/a"

    backend.run(body)


def test_the_transports_are_made_with_what_the_client_was_told(library):
    package, fast = library.package, library.fast
    limits = package.Limits(max_connections=7, max_keepalive_connections=3, keepalive_expiry=2)
    with fast.FastClient(limits=limits, proxy="http://127.0.0.1:1", http2=True, trust_env=False) as client:
        mounted = next(iter(client._mounts.values()))
        for transport in (client._transport, mounted):
            assert isinstance(transport, fast.FastTransport)
            assert isinstance(transport, package.BaseTransport)
            own = transport._transport
            assert own._limits == httpx_fast.Limits(max_connections=7, max_keepalive_connections=3, keepalive_expiry=2)
            assert own._options.http2
        assert client._transport._transport._options.proxy is None
        assert mounted._transport._options.proxy is not None
        assert client.pool.stats().max_connections == 7


# Arguments.


def test_arguments_of_transports_stand_where_the_package_has_them(library):
    for fast, theirs in [
        (library.fast.FastTransport, library.package.HTTPTransport),
        (library.fast.AsyncFastTransport, library.package.AsyncHTTPTransport),
    ]:
        ours = list(inspect.signature(fast).parameters)
        assert ours[:-1] == list(inspect.signature(theirs).parameters)


def test_a_client_takes_what_our_transports_take_beyond_that(library):
    own = inspect.signature(httpx_fast.HTTPTransport).parameters.keys()
    assert set(OWN_OPTIONS) == own - inspect.signature(library.package.Client).parameters.keys()


def test_our_own_arguments_reach_the_transports(library, backend, server):
    resolver = httpx_fast.StaticResolver({"host.example": "127.0.0.1"})
    limits = httpx_fast.Limits(max_per_host=1)

    async def body() -> None:
        async with library.client(backend, resolver=resolver, limits=limits, replay=False) as client:
            assert (await client.get(f"http://host.example:{server.port}/a")).text == "/a"
            assert client.pool.stats().max_per_host == 1
            denied = library.client(backend, address_filter=lambda address: False)
            async with denied:
                with pytest.raises(library.package.ConnectError, match=r"denied|filter|allow") as caught:
                    await denied.get(f"http://127.0.0.1:{server.port}/")
                assert isinstance(caught.value.__cause__, httpx_fast.AddressDenied)

    backend.run(body)


@pytest.mark.parametrize(
    ("options", "seen"),
    [
        ({"verify": 5}, "expected True, False, 'system' or an ssl.SSLContext as verify, got 5"),
        ({"limits": 5}, "expected Limits as limits, got 5"),
        ({"nothing": 5}, "nothing"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(library, options, seen):
    for kind in (library.fast.FastTransport, library.fast.AsyncFastTransport, library.fast.FastClient):
        with pytest.raises(TypeError, match=seen):
            kind(**options)


# Trust.


def test_authorities_that_nobody_named_are_not_trusted(library, backend, secure):
    async def body() -> None:
        async with library.client(backend) as client:
            with pytest.raises(library.package.ConnectError, match="certificate"):
                await client.get(secure.url)

    backend.run(body)


@pytest.mark.filterwarnings("ignore:.verify=<str>. is deprecated:DeprecationWarning")
@pytest.mark.parametrize("named", ["context", "path", "environment", "none"])
def test_trust_is_given_as_the_package_takes_it(library, backend, secure, tmp_path, monkeypatch, named):
    path = str(tmp_path / "authority.pem")
    if named == "environment":
        monkeypatch.setenv("SSL_CERT_FILE", path)
    given = {"context": secure.client_context(), "path": path, "environment": True, "none": False}[named]

    async def body() -> None:
        async with library.client(backend, verify=given, trust_env=named == "environment") as client:
            assert (await client.get(f"{secure.url}/a")).text == "/a"

    backend.run(body)


def test_files_that_are_missing_are_told_at_once(library, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file.pem")
    with pytest.raises(FileNotFoundError):
        library.fast.FastClient()
    library.fast.FastClient(trust_env=False).close()
    library.fast.FastClient(verify=False).close()


@pytest.mark.parametrize("verify", [True, False])
def test_the_context_is_what_the_package_makes_and_is_made_once(library, verify):
    def authorities(context: ssl.SSLContext) -> set[bytes]:
        return set(context.get_ca_certs(binary_form=True))

    contexts = []
    for _ in range(2):
        with library.fast.FastTransport(verify=verify, trust_env=False) as transport:
            contexts.append(transport._transport._options.tls())
    theirs = library.package.create_ssl_context(verify=verify, trust_env=False)
    assert contexts[0] is contexts[1]
    assert authorities(contexts[0]) == authorities(theirs)
    assert contexts[0].verify_mode == theirs.verify_mode
    assert contexts[0].verify_flags == theirs.verify_flags


def test_a_client_certificate(library, backend, secure, tmp_path):
    trustme = pytest.importorskip("trustme")
    issued = trustme.CA()
    mine = issued.issue_cert("client.example")
    file = tmp_path / "client.pem"
    file.write_bytes(mine.private_key_and_cert_chain_pem.bytes())
    secure._context.verify_mode = ssl.CERT_REQUIRED
    issued.configure_trust(secure._context)

    async def body() -> None:
        async with library.client(backend, verify=secure.client_context()) as client:
            with pytest.raises(library.package.TransportError, match="certificate"):
                await client.get(secure.url)
        with pytest.warns(DeprecationWarning, match=r"`cert=\.\.\.` is deprecated"):
            client = library.client(backend, verify=secure.client_context(), cert=str(file))
        async with client:
            assert (await client.get(f"{secure.url}/a")).text == "/a"

    backend.run(body)


# HTTP/2.


def test_http2_needs_no_other_package(library, backend, node: Node, authority: Authority, monkeypatch):
    monkeypatch.setitem(sys.modules, "h2", None)

    async def body() -> None:
        async with library.client(backend, http2=True, verify=authority.client_context()) as client:
            answer = await client.post(node.url("/echo"), content=b"x" * 100_000)
            assert (answer.http_version, answer.content) == ("HTTP/2", b"x" * 100_000)
            assert answer.reason_phrase == "OK"
            assert isinstance(answer.extensions["stream_id"], int)
            assert "reason_phrase" not in answer.extensions

    backend.run(body)


def test_many_threads_share_one_blocking_client_with_http2(library, node: Node, authority: Authority):
    threads, each = 40, 50
    failures: list[BaseException] = []
    right = []

    with library.fast.FastClient(http2=True, verify=authority.client_context(), timeout=60) as client:

        def ask(number: int) -> None:
            try:
                for count in range(each):
                    sent = f"{number}-{count} ".encode() * 20
                    answer = client.post(node.url("/echo"), content=sent)
                    assert (answer.status_code, answer.http_version, answer.content) == (200, "HTTP/2", sent)
                    right.append(number)
            except BaseException as error:
                failures.append(error)

        asking = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        assert failures == []
        assert len(right) == threads * each
        assert client.pool.stats().open <= 2


def test_a_download_of_some_size(library, backend, nginx: Nginx, authority: Authority):
    size = 5 * 1024 * 1024
    (nginx.folder / "www" / "f5m").write_bytes(bytes(size))

    async def body() -> None:
        for listener, http2 in (("http", False), ("http2", True)):
            async with library.client(backend, http2=http2, verify=authority.client_context()) as client:
                async with client.stream("GET", nginx.url("/f5m", listener)) as answer:
                    received = sum([len(piece) async for piece in answer.aiter_raw()])
                assert received == size

    backend.run(body)


# Event streams and WebSockets: httpx2 has both.


def test_server_sent_events(backend):
    library = _httpx2()
    pieces = [b"data: one\n\n", b"event: e\nda", b"ta: two\n\n"]
    with LocalServer(tls=False, answer=lambda _: Reply(200, [("Content-Type", "text/event-stream")], pieces)) as server:
        url = f"http://127.0.0.1:{server.port}/"

        async def body() -> None:
            if not backend.asynchronous:
                with library.FastClient() as client, client.sse(url) as events:
                    assert [(event.event, event.data) for event in events] == [("message", "one"), ("e", "two")]
                return
            async with library.AsyncFastClient() as client, client.sse(url) as events:
                assert [(event.event, event.data) async for event in events] == [("message", "one"), ("e", "two")]

        backend.run(body)


@pytest.mark.parametrize("http2", [False, True])
def test_websockets(backend, hypercorn: Hypercorn, authority: Authority, http2):
    pytest.importorskip("wsproto")
    library = _httpx2()
    url = hypercorn.url("/").replace("https://", "wss://")
    options = {"http2": http2, "verify": authority.client_context(), "timeout": 30}

    async def body() -> None:
        if not backend.asynchronous:
            with library.FastClient(**options) as client:
                client.get(hypercorn.url("/"))
                with client.websocket(url, subprotocols=["chat"]) as session:
                    session.send_text("hello")
                    assert session.receive_text() == "hello"
            return
        async with library.AsyncFastClient(**options) as client:
            await client.get(hypercorn.url("/"))
            async with client.websocket(url, subprotocols=["chat"]) as session:
                await session.send_json({"a": 1})
                assert json.loads(await session.receive_text()) == {"a": 1}

    backend.run(body)


def _httpx2() -> Any:
    pytest.importorskip("httpx2", reason="httpx2 has event streams and WebSockets, httpx has none")
    from httpx_fast.integrations import httpx2

    return httpx2
