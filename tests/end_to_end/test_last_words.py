"""What a peer says before it closes is told, and not that it has closed: answers, GOAWAY, resets, alerts of TLS."""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading

import pytest
from far_end import Server, goaway, reset
from peers import PATIENCE

import httpx_fast
from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._transports import http

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Linux keeps what came before a reset")

TRIES = 5  # the two ends race
HUGE = bytes(8 * 1024 * 1024)  # more than two sockets hold
TOO_LARGE = b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig"
LAYERS = {"cleartext": None, "TLS 1.2": ssl.TLSVersion.TLSv1_2, "TLS 1.3": ssl.TLSVersion.TLSv1_3}
ALERT = r"(sslv3 )?alert handshake failure|tlsv13 alert certificate required"


@pytest.fixture(params=[False, True], ids=["readers", "protocols"])
def world(request, backend, monkeypatch):
    """The runner's world; asyncio's with the transports of its loop, too."""
    if request.param:
        if backend.name != "asyncio":
            pytest.skip("only asyncio has both")
        monkeypatch.setattr(http, "backend_for", lambda token: AsyncioBackend(force_protocol=True))
    return backend


@pytest.fixture(params=LAYERS)
def layer(request):
    return LAYERS[request.param]


@pytest.fixture(params=["TLS 1.2", "TLS 1.3"])
def tls_version(request):
    return LAYERS[request.param]


@pytest.fixture
def trusting(authority):
    authority.issue("127.0.0.1")
    return authority.client_context()


def context_of(authority, version, alpn=()):
    if version is None:
        return None
    context = authority.server_context("127.0.0.1", alpn=alpn)
    context.minimum_version = context.maximum_version = version
    return context


def at_once(dialogue):
    """Nagle's algorithm keeps small answers back until earlier ones are acknowledged; a reset discards them."""
    dialogue.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def refuse(dialogue):
    at_once(dialogue)
    dialogue.connection.recv(100)
    dialogue.send(TOO_LARGE)  # closing with unread content resets the connection


def test_early_answer_to_a_large_body(world, peer, authority, trusting, layer):
    at = peer(refuse, tls=context_of(authority, layer))

    async def body():
        for _ in range(TRIES):
            async with world.client(verify=trusting, timeout=PATIENCE) as client:
                response = await client.post(at.url(), content=HUGE)
                assert (response.status_code, response.text) == (413, "big")

    world.run(body)


def test_answer_that_lies_there_when_the_next_piece_is_written(world, peer, authority, trusting, layer):
    """The connection is reset already, and nobody has read yet what came before."""
    gone = threading.Event()

    def script(dialogue):
        refuse(dialogue)
        with contextlib.suppress(OSError):
            socket.socket.shutdown(dialogue.connection, socket.SHUT_RD)
        socket.socket.close(dialogue.connection)
        gone.set()

    at = peer(script, tls=context_of(authority, layer))

    def pieces():
        yield b"a" * 100_000
        assert gone.wait(PATIENCE)
        gone.clear()
        for _ in range(100):
            yield b"b" * 100_000

    async def body():
        for _ in range(TRIES):
            async with world.client(verify=trusting, timeout=PATIENCE) as client:
                response = await client.post(at.url(), content=world.content(pieces()))
                assert (response.status_code, response.text) == (413, "big")

    world.run(body)


@pytest.mark.parametrize("size", [0, 1000, len(HUGE)])
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_alert_that_says_that_a_client_certificate_is_missing(
    world, peer, authority, trusting, tls_version, http2, size
):
    context = context_of(authority, tls_version, ["h2", "http/1.1"])
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(authority.path)
    at = peer(lambda dialogue: pytest.fail("the handshake succeeded"), tls=context)

    async def body():
        for _ in range(TRIES):
            async with world.client(verify=trusting, http2=http2, timeout=PATIENCE) as client:
                with pytest.raises(httpx_fast.NetworkError, match=ALERT) as caught:
                    await client.request("POST" if size else "GET", at.url(), content=HUGE[:size])
                assert caught.value.journey is not None

    world.run(body)


FAREWELLS = {
    "GOAWAY": ([goaway(0, 11, b"calm down")], r"GOAWAY: ENHANCE_YOUR_CALM b'calm down'"),
    "RST_STREAM": ([reset(1, 11)], r"peer reset stream 1: ENHANCE_YOUR_CALM"),
}


@pytest.mark.parametrize(("words", "seen"), FAREWELLS.values(), ids=FAREWELLS)
@pytest.mark.parametrize("size", [0, len(HUGE)])
def test_farewell_of_http2_before_a_reset(world, peer, authority, trusting, tls_version, words, seen, size):
    def script(dialogue):
        at_once(dialogue)
        server = Server(dialogue.connection)
        server.until("HEADERS 1")
        server.say(*words)

    at = peer(script, tls=context_of(authority, tls_version, ["h2"]))

    async def body():
        for _ in range(TRIES):
            made = httpx_fast.AsyncHTTPTransport if world.asynchronous else httpx_fast.HTTPTransport
            async with world.client(
                transport=made(verify=trusting, http2=True, replay=False), timeout=PATIENCE
            ) as client:
                with pytest.raises(httpx_fast.RemoteProtocolError, match=seen):
                    await client.request("POST" if size else "GET", at.url(), content=HUGE[:size])

    world.run(body)


def test_early_answer_over_http2_before_a_reset(world, peer, authority, trusting, tls_version):
    def script(dialogue):
        at_once(dialogue)
        server = Server(dialogue.connection)
        server.until("HEADERS 1")
        server.respond(1, b"big")
        server.say(reset(1, 0))

    at = peer(script, tls=context_of(authority, tls_version, ["h2"]))

    async def body():
        for _ in range(TRIES):
            async with world.client(verify=trusting, http2=True, timeout=PATIENCE) as client:
                assert (await client.post(at.url(), content=HUGE)).text == "big"

    world.run(body)
