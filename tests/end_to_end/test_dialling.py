"""How connections are made: options of the socket, Unix sockets, TLS and its sessions, as the other end sees them."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from datetime import UTC, datetime, timedelta

import pytest
from peers import OK, PATIENCE, Dialogue, always
from proxies import HttpProxy, Socks5Proxy

import httpx_fast
from httpx_fast._net.tls import TLSStream
from httpx_fast.testing import Certificate

NONE_KEPT = httpx_fast.Limits(max_keepalive_connections=0)
KEEP_ALIVE_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", 0)


@pytest.fixture
def transport(backend):
    """Makes a transport of the world's kind."""
    return httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport


# TLS sessions.


@pytest.fixture(params=["TLSv1.2", "TLSv1.3"])
def only(request, authority, nginx):
    """A context that speaks one version of TLS."""
    context = authority.client_context()
    version = {"TLSv1.2": ssl.TLSVersion.TLSv1_2, "TLSv1.3": ssl.TLSVersion.TLSv1_3}[request.param]
    context.minimum_version = context.maximum_version = version
    return context


@pytest.mark.parametrize("way", ["direct", "forwarding proxy", "https proxy", "socks proxy"])
def test_a_second_connection_resumes_the_session_of_the_first(backend, nginx, peer, authority, only, way):
    tls = authority.server_context("127.0.0.1", "localhost") if way == "https proxy" else None
    proxy = None
    if way != "direct":
        port = peer(Socks5Proxy() if way == "socks proxy" else HttpProxy(), tls=tls).port
        scheme = {"https proxy": "https", "socks proxy": "socks5h"}.get(way, "http")
        proxy = httpx_fast.Proxy(f"{scheme}://127.0.0.1:{port}", ssl_context=authority.client_context())

    async def body():
        async with backend.client(verify=only, limits=NONE_KEPT, proxy=proxy) as client:
            return [await client.get(nginx.url("/tls", "https")) for _ in range(3)]

    responses = backend.run(body)
    told = [response.text.split()[1] for response in responses]
    assert told == [".", "r", "r"]
    facts = [response.journey.connection for response in responses]
    assert [each.tls_resumed for each in facts] == [False, True, True]
    assert {each.tls_version for each in facts} == {only.maximum_version.name.replace("_", ".")}
    assert all(each.requests == 1 for each in facts)


def test_connection_beside_one_in_use_resumes_its_session(backend, nginx, only):
    url = nginx.url("/tls", "https")

    async def body():
        async with backend.client(verify=only) as client:
            await client.get(url)
            async with client.stream("GET", nginx.url("/f100m", "https")) as response:
                beside = await client.get(url)
        return [(each.journey.nth, each.journey.connection.tls_resumed) for each in (response, beside)]

    assert backend.run(body) == [(2, False), (1, True)]


def test_session_of_a_connection_that_was_for_one_request_is_resumed(backend, nginx, only):
    async def body():
        async with backend.client(verify=only, headers={"Connection": "close"}) as client:
            responses = [await client.get(nginx.url("/tls", "https")) for _ in range(2)]
        return [(each.journey.nth, each.text.split()[1]) for each in responses]

    assert backend.run(body) == [(1, "."), (1, "r")]


def test_session_is_not_read_where_no_connection_follows(backend, nginx, only, monkeypatch):
    read = []
    monkeypatch.setattr(TLSStream, "session", property(lambda stream: read.append(stream)))

    async def body():
        async with backend.client(verify=only) as client:
            for _ in range(2):
                await client.get(nginx.url("/tls", "https"))
            assert not read
        async with backend.client(verify=only, limits=NONE_KEPT) as client:
            await client.get(nginx.url("/tls", "https"))

    backend.run(body)
    assert len(read) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_session_with_a_proxy_is_resumed_too(backend, nginx, peer, authority, only, scheme):
    proxying = HttpProxy()

    async def body():
        port = peer(proxying, tls=authority.server_context("127.0.0.1", "localhost")).port
        proxy = httpx_fast.Proxy(f"https://127.0.0.1:{port}", ssl_context=only)
        async with backend.client(verify=authority.client_context(), limits=NONE_KEPT, proxy=proxy) as client:
            for _ in range(3):
                assert (await client.get(nginx.url("/tiny", scheme))).text == "ok"

    backend.run(body)
    assert proxying.resumed == [False, True, True]


def test_sessions_are_not_shared_between_clients(backend, nginx, only):
    async def body():
        told = []
        for _ in range(2):
            async with backend.client(verify=only) as client:
                told.append((await client.get(nginx.url("/tls", "https"))).text.split()[1])
        return told

    assert backend.run(body) == [".", "."]


# Server names.


def test_connections_with_another_server_name_are_apart(backend, nginx, authority):
    url = nginx.url("/tls", "https")

    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            responses = [
                await client.get(url, extensions={} if name is None else {"sni_hostname": name})
                for name in (None, "localhost", None, b"localhost", "127.0.0.1")
            ]
        return [(response.journey.nth, response.text.split()[2:]) for response in responses]

    with nginx.counting() as accepted:
        # An address is never sent as a server name (RFC 6066 s.3).
        assert backend.run(body) == [(1, []), (1, ["localhost"]), (2, []), (2, ["localhost"]), (3, [])]
    assert accepted.connections == 2


def test_the_certificate_is_checked_for_the_server_name_that_was_sent(backend, nginx, authority):
    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            with pytest.raises(httpx_fast.ConnectError, match=r"TLS handshake with other\.test .*Hostname mismatch"):
                await client.get(nginx.url("/tls", "https"), extensions={"sni_hostname": "other.test"})

    backend.run(body)


# Certificates.

NOW = datetime.now(UTC)
FAULTS = {
    "expired": (
        {"not_before": NOW - timedelta(days=2), "not_after": NOW - timedelta(days=1)},
        "certificate has expired",
    ),
    "not yet valid": (
        {"not_before": NOW + timedelta(days=1), "not_after": NOW + timedelta(days=2)},
        "certificate is not yet valid",
    ),
    "of another host": ({"names": ["other.test"]}, "IP address mismatch"),
    "of nobody we know": (None, "self-signed certificate"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_of_a_certificate_is_named_and_verify_false_passes_over_it(backend, peer, fault):
    options, message = FAULTS[fault]
    certificate = Certificate(**(options or {}))
    verify = certificate.client_context() if options is not None else Certificate().client_context()

    async def body():
        server = peer(always(OK), tls=certificate.server_context())
        async with backend.client(verify=verify) as client:
            with pytest.raises(
                httpx_fast.ConnectError,
                match=rf"TLS handshake with 127\.0\.0\.1 at 127\.0\.0\.1:{server.port} failed: its certificate is not "
                rf"accepted: {re.escape(message)}",
            ) as caught:
                await client.get(server.url())
            assert caught.value.journey.phase == "tls"
        async with backend.client(verify=False) as client:
            assert (await client.get(server.url())).text == "ok"

    backend.run(body)


def test_a_failed_handshake_leaves_the_place_free(backend, peer, nginx, authority):
    async def body():
        server = peer(always(OK), tls=Certificate().server_context())
        limits = httpx_fast.Limits(max_connections=1)
        async with backend.client(verify=authority.client_context(), limits=limits) as client:
            for _ in range(2):
                with pytest.raises(httpx_fast.ConnectError, match="certificate is not accepted"):
                    await client.get(server.url())
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


# Sockets.


@pytest.mark.parametrize(
    ("keepalive", "idle"), [(None, 60), (True, 60), (False, None), (httpx_fast.TCPKeepAlive(idle=33), 33)]
)
def test_silent_connections_are_probed_unless_told_otherwise(backend, nginx, transport, keepalive, idle):
    options = {} if keepalive is None else {"keepalive": keepalive}

    async def body():
        async with (
            backend.client(transport=transport(**options)) as client,
            client.stream("GET", nginx.url("/tiny")) as response,
        ):
            sock = response.extensions["network_stream"].get_extra_info("socket")
            assert bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)) is (idle is not None)
            if idle is not None:
                assert sock.getsockopt(socket.IPPROTO_TCP, KEEP_ALIVE_IDLE) == idle

    backend.run(body)


def test_options_of_the_user_win_over_those_of_keepalive(backend, nginx, transport):
    options = [(socket.IPPROTO_TCP, KEEP_ALIVE_IDLE, 99)]

    async def body():
        async with (
            backend.client(transport=transport(socket_options=options)) as client,
            client.stream("GET", nginx.url("/tiny")) as response,
        ):
            sock = response.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket.IPPROTO_TCP, KEEP_ALIVE_IDLE) == 99

    backend.run(body)


def test_a_connection_comes_from_the_address_that_is_said(backend, transport, nginx):
    async def body():
        async with backend.client(transport=transport(local_address="127.0.0.7")) as client:
            return (await client.get(nginx.url("/tiny"))).journey.connection.local_address

    assert backend.run(body)[0] == "127.0.0.7"


def test_a_unix_socket_takes_the_place_of_the_host(backend, transport, nginx):
    async def body():
        async with backend.client(transport=transport(uds=str(nginx.uds))) as client:
            response = await client.get("http://name.that.nobody.resolves.invalid/tiny")
        assert response.text == "ok"
        assert response.journey.dns is None
        assert response.journey.connection.peer_address == str(nginx.uds)

    backend.run(body)


@pytest.mark.skipif(not hasattr(socket, "SO_PEERCRED"), reason="only Linux has abstract sockets")
def test_an_abstract_socket_is_a_path_that_begins_with_nul(backend, transport, tmp_path):
    path = f"\0httpx_fast-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        listener.settimeout(PATIENCE)

        def serve():
            connection, _ = listener.accept()
            with connection:
                always(OK)(Dialogue(connection, threading.Event()))

        thread = threading.Thread(target=serve)
        thread.start()

        async def body():
            async with backend.client(transport=transport(uds=path)) as client:
                assert (await client.get("http://anything.test/")).text == "ok"
            async with backend.client(transport=transport(uds=path + "-other")) as client:
                with pytest.raises(httpx_fast.ConnectError, match=r"unix socket '\\x00httpx_fast.*refused"):
                    await client.get("http://anything.test/")

        backend.run(body)
        thread.join(PATIENCE)


def test_connecting_is_tried_again_as_often_as_said(backend, transport):
    """Nobody listens; the first try again is at once, the next after half a second, which is more than is granted."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
    asked = []

    def resolver(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    async def body():
        timeout = httpx_fast.Timeout(30, connect=0.4)
        async with backend.client(transport=transport(resolver=resolver, retries=5), timeout=timeout) as client:
            with pytest.raises(httpx_fast.ConnectError, match=r"REFUSED|refused"):
                await client.get(f"http://name.test:{port}/")

    backend.run(body)
    assert len(asked) == 2
