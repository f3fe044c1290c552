"""`network_stream`: what it tells of any response, and a connection that was handed over, in every world."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest
from either import close, done

from httpx_fast import ConnectError, Limits, ReadError, ReadTimeout, RemoteProtocolError, WriteError, WriteTimeout

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def echo(first=b""):
    """Switches protocols, and sends back what it is sent."""

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(SWITCHING + first)
        with contextlib.suppress(ConnectionError):
            while data := dialogue.connection.recv(65536):
                dialogue.send(data)

    return script


def upgrading(client, peer):
    return client.stream("GET", peer.url(), headers={"Connection": "upgrade", "Upgrade": "echo"})


def test_it_tells_addresses_and_socket_of_any_response(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(OK), dialogue.read_request()])

    async def body():
        async with backend.client() as client:
            response = await client.get(server.url())
            network = response.extensions["network_stream"]
            assert network.get_extra_info("server_addr") == ("127.0.0.1", server.port)
            host, port = network.get_extra_info("client_addr")
            assert (host, port) == network.get_extra_info("socket").getsockname()
            assert network.get_extra_info("ssl_object") is None
            assert network.get_extra_info("is_readable") is False
            assert network.get_extra_info("no such thing") is None
        assert network.get_extra_info("is_readable") is True, "a read would fail at once"
        assert network.get_extra_info("client_addr") == (host, port)
        assert network.get_extra_info("server_addr") == ("127.0.0.1", server.port)

    backend.run(body)


def test_it_tells_the_certificate_after_the_response_was_read(backend, peer, authority):
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(OK)], tls=authority.server_context("127.0.0.1")
    )

    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            response = await client.get(server.url())
            tls = response.extensions["network_stream"].get_extra_info("ssl_object")
            assert tls.getpeercert()["subjectAltName"] == (("IP Address", "127.0.0.1"),)
            assert tls.version().startswith("TLSv1.")

    backend.run(body)


def test_timeouts_begin_by_the_clock_of_the_pool(backend, peer):
    server = peer(echo())

    async def body():
        async with backend.client() as client, upgrading(client, peer=server) as response:
            network = response.extensions["network_stream"]
            client._transport.pool.leases.clock = lambda: time.monotonic() + 3600
            await done(network.write(b"question"))
            assert await done(network.read(100, timeout=0)) == b"question"

    backend.run(body)


def test_a_connection_that_speaks_http_is_not_for_reading(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(OK)])

    async def body():
        async with backend.client() as client, client.stream("GET", server.url()) as response:
            network = response.extensions["network_stream"]
            with pytest.raises(RuntimeError, match=r"read\(\) is for connections that were handed over"):
                await done(network.read(1))
            with pytest.raises(RuntimeError, match=r"write\(\) is for connections that were handed over"):
                await done(network.write(b"x"))
            assert await response.aread() == b"ok"

    backend.run(body)


def test_closing_it_gives_up_a_body_that_is_unread(backend, peer):
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")]
    )

    async def body():
        async with backend.client() as client, client.stream("GET", server.url()) as response:
            await close(response.extensions["network_stream"])
            await backend.hear(server.closed[0])

    backend.run(body)


@pytest.mark.parametrize("first", [b"", b"early", b"e" * 300_000], ids=["nothing", "a little", "much"])
def test_what_came_after_the_head_is_read_first(backend, peer, first):
    server = peer(echo(first))

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            assert response.status_code == 101
            network = response.extensions["network_stream"]
            assert network is response.extensions["network_stream"]
            await done(network.write(b"late"))
            received = b""
            while len(received) < len(first) + 4:
                received += await done(network.read(1000, timeout=5))
            assert received == first + b"late"
            await close(network)

    backend.run(body)


def test_a_read_gives_at_most_what_it_is_asked_for(backend, peer):
    server = peer(echo(b"abcdefgh"))

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            assert network.get_extra_info("is_readable") is True
            assert [await done(network.read(size)) for size in (1, 3, 2, 9)] == [b"a", b"bcd", b"ef", b"gh"]
            with pytest.raises(ValueError, match="max_bytes is 0; expected at least 1"):
                await done(network.read(0))

    backend.run(body)


def test_the_end_is_an_empty_read_each_time(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(SWITCHING + b"bye")])

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            await backend.hear(server.closed[0])
            assert await done(network.read(100)) == b"bye"
            assert await done(network.read(100)) == b""
            assert await done(network.read(100)) == b""
            assert network.get_extra_info("is_readable") is True

    backend.run(body)


def test_connect_gives_a_tunnel(backend, peer):
    def script(dialogue):
        assert dialogue.read_request().startswith(b"CONNECT example.org:80 HTTP/1.1\r\n")
        dialogue.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        dialogue.send(dialogue.connection.recv(100))

    server = peer(script)

    async def body():
        async with (
            backend.client() as client,
            client.stream("CONNECT", server.url(), extensions={"target": b"example.org:80"}) as response,
        ):
            network = response.extensions["network_stream"]
            await done(network.write(b"ping", timeout=5))
            assert await done(network.read(100, timeout=5)) == b"ping"

    backend.run(body)


def test_reading_and_writing_go_on_at_once(backend, peer):
    """The peer sends back what it gets; who writes first and reads later would wait for ever."""
    server = peer(echo())
    data = bytes(range(256)) * 65536  # more than sockets keep

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            received = []

            async def read():
                while sum(map(len, received)) < len(data):
                    received.append(await done(network.read(65536, timeout=20)))

            async def write():
                await done(network.write(data, timeout=20))

            await backend.together(read, write)
            assert b"".join(received) == data

    backend.run(body)


def test_a_read_that_times_out_loses_nothing(backend, peer):
    go = threading.Event()

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(SWITCHING)
        go.wait(5)
        dialogue.send(b"late")

    server = peer(script)

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            with pytest.raises(ReadTimeout, match=r"^read timed out after [\d.]+ s of 0\.01 s"):
                await done(network.read(10, timeout=0.01))
            go.set()
            assert await done(network.read(10, timeout=5)) == b"late"

    backend.run(body)


def test_a_write_that_nobody_takes_times_out(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(SWITCHING), dialogue.hold()])

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            with pytest.raises(WriteTimeout, match=r"^write timed out after [\d.]+ s of 0\.02 s"):
                await done(network.write(bytes(16 * 1024 * 1024), timeout=0.02))

    backend.run(body)


def test_closing_ends_who_reads(backend, peer):
    server = peer(echo())

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            reading = backend.event()

            async def read():
                reading.set()
                # Either it had begun to wait, or it finds the stream closed.
                with pytest.raises(ReadError, match="closed on this side"):
                    await done(network.read(10))

            async def end():
                await done(reading.wait())
                await close(network)

            await backend.together(read, end)
            with pytest.raises((ReadError, WriteError), match="closed on this side"):
                await done(network.write(b"x"))

    backend.run(body)


@pytest.mark.parametrize("by", ["stream", "response"])
def test_closing_gives_the_place_in_the_pool_back(backend, peer, by):
    server = peer(echo())

    async def body():
        async with backend.client(limits=Limits(max_connections=1), timeout=5) as client:
            for _ in range(3):
                context = upgrading(client, server)
                response = await context.__aenter__()
                network = response.extensions["network_stream"]
                await done(network.write(b"x"))
                assert await done(network.read(1)) == b"x"
                if by == "stream":
                    await close(network)
                else:
                    await context.__aexit__(None, None, None)
                async with upgrading(client, server) as other:
                    assert other.status_code == 101
                await context.__aexit__(None, None, None)

    backend.run(body)


def test_the_body_of_a_response_that_hands_over_is_empty(backend, peer):
    server = peer(echo(b"not content"))

    async def body():
        async with backend.client() as client:
            response = await client.get(server.url(), headers={"Connection": "upgrade", "Upgrade": "echo"})
            assert response.content == b""
            assert response.journey.phase == "done"
            network = response.extensions["network_stream"]
            assert await done(network.read(100_000)) == b"not content"
            with pytest.raises(ReadError, match="closed on this side"):
                await done(network.read(100_000))

    backend.run(body)


def tunnel_to(context):
    """Says yes to CONNECT and shakes hands."""

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\n\r\n")
        with context.wrap_socket(dialogue.connection, server_side=True) as encrypted:
            encrypted.sendall(encrypted.recv(100).upper())
            with contextlib.suppress(ConnectionError):
                assert encrypted.recv(100) == b""

    return script


def test_tls_can_begin_in_a_tunnel(backend, peer, authority):
    server = peer(tunnel_to(authority.server_context("example.org")))

    async def body():
        async with backend.client() as client:
            async with client.stream("CONNECT", server.url(), extensions={"target": b"example.org:443"}) as response:
                plain = response.extensions["network_stream"]
                network = await done(plain.start_tls(authority.client_context(), "example.org", timeout=5))
                assert network.get_extra_info("ssl_object").version().startswith("TLSv1.")
                await done(network.write(b"shout", timeout=5))
                assert await done(network.read(100, timeout=5)) == b"SHOUT"
                await close(network)
            await backend.hear(server.closed[0])

    backend.run(body)


def test_bytes_before_the_handshake_are_not_taken_for_tls(backend, peer, authority):
    context = authority.client_context()
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(SWITCHING + b"injected"), dialogue.hold()])

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            with pytest.raises(RemoteProtocolError, match="8 bytes came before the TLS handshake"):
                await done(response.extensions["network_stream"].start_tls(context, "example.org"))

    backend.run(body)


def test_a_failed_handshake_closes_the_tunnel(backend, peer, authority):
    server = peer(
        lambda dialogue: [dialogue.read_request(), dialogue.send(SWITCHING), dialogue.send(b"no TLS\r\n\r\n")]
    )
    context = authority.client_context()

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            network = response.extensions["network_stream"]
            with pytest.raises((ConnectError, RemoteProtocolError), match="TLS handshake"):
                await done(network.start_tls(context, "example.org", timeout=5))
            await backend.hear(server.closed[0])

    backend.run(body)


def test_an_upgrade_that_is_refused_stays_an_ordinary_response(backend, peer):
    server = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(OK)])

    async def body():
        async with backend.client() as client, upgrading(client, server) as response:
            assert response.status_code == 200
            with pytest.raises(RuntimeError, match="handed over"):
                await done(response.extensions["network_stream"].read(1))

    backend.run(body)


def test_another_protocol_that_was_not_asked_for_is_an_error(backend, peer):
    server = peer(echo(), lambda dialogue: [dialogue.read_request(), dialogue.send(OK), dialogue.read_request()])

    async def body():
        async with backend.client(limits=Limits(max_connections=1)) as client:
            with pytest.raises(RemoteProtocolError, match="without an Upgrade field in the request") as caught:
                await client.get(server.url())
            assert caught.value.request.url == caught.value.journey.url == server.url()
            await backend.hear(server.closed[0])
            assert (await client.get(server.url())).text == "ok"

    backend.run(body)
