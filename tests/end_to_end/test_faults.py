"""Peers that break the rules, peers that say nothing, and requests that must never be sent."""

from __future__ import annotations

import pytest
from peers import OK, Dialogue, always, answering, mute

import httpx_fast

ONE = httpx_fast.Limits(max_connections=1)  # a slot that leaked would be missed by the next request

MALFORMED = {
    "no HTTP at all": (b"SSH-2.0-OpenSSH_9.9\r\n\r\n", "SSH-2.0"),
    "an unknown version": (b"HTTP/3.0 200 OK\r\n\r\n", "HTTP/3.0"),
    "a status code of two digits": (b"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 20 OK"),
    "a space before the colon": (b"HTTP/1.1 200 OK\r\nName : x\r\n\r\n", "Name "),
    "a bare CR in a field value": (b"HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n", "CR|\\\\r"),
    "a NUL in a field value": (b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", "NUL|\\\\x00"),
    "two lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok", "Content-Length"),
    "a negative length": (b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", "Content-Length"),
    "a chunk size of letters": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", "chunk"),
    "a chunk that does not end": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nokay\r\n", "chunk"),
    "an end in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", "closed|end"),
    "an end in the content": (b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort", "closed|end"),
    "an end between chunks": (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n", "closed|end"),
    "an end without an answer": (b"", "closed|end"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_response_is_refused_and_the_pool_goes_on(backend, peer, name):
    data, seen = MALFORMED[name]

    async def body():
        server = peer(answering(data), always(OK))
        async with backend.client(limits=ONE) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match=seen) as caught:
                await client.post(server.url(), content=b"not to be sent twice")
            assert caught.value.request.method == "POST"
            assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)


def test_a_length_beside_chunks_is_ignored_and_the_connection_is_not_reused(backend, peer):
    """RFC 9112 s.6.3: it might be an attempt to smuggle a response."""
    data = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"

    async def body():
        server = peer(always(data))
        async with backend.client(limits=ONE) as client:
            for _ in range(2):
                assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)


def test_bytes_after_a_response_are_never_the_next_response(backend, peer):
    async def body():
        server = peer(answering(OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", OK), always(OK))
        async with backend.client(limits=ONE) as client:
            assert (await client.get(server.url())).text == "ok"
            assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)


def test_a_reset_connection_is_a_read_error_and_the_pool_goes_on(backend, peer):
    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort")
        dialogue.reset()

    async def body():
        server = peer(script, always(OK))
        async with backend.client(limits=ONE) as client:
            with pytest.raises((httpx_fast.ReadError, httpx_fast.RemoteProtocolError), match=r"."):
                await client.get(server.url())
            assert (await client.get(server.url())).text == "ok"

    backend.run(body)


@pytest.mark.parametrize("bad", ["\r", "\n", "\0"], ids=["CR", "LF", "NUL"])
@pytest.mark.parametrize("place", ["method", "target", "name", "value"])
def test_what_could_split_a_request_is_refused_before_anything_is_sent(backend, peer, place, bad):
    method = f"GET{bad}X" if place == "method" else "GET"
    headers = (
        {f"X-{bad}Name": "v"} if place == "name" else {"X-Name": f"v{bad}Injected: yes"} if place == "value" else {}
    )
    extensions = {"target": f"/a{bad}b".encode()} if place == "target" else {}

    async def body():
        server = peer(always(OK))
        async with backend.client(limits=ONE) as client:
            with pytest.raises(httpx_fast.LocalProtocolError, match=r"."):
                await client.request(method, server.url(), headers=headers, extensions=extensions)
            assert server.accepted == 0
            assert (await client.get(server.url())).text == "ok"

    backend.run(body)


@pytest.mark.parametrize("bad", ["\r", "\n", "\0"], ids=["CR", "LF", "NUL"])
def test_a_control_character_in_a_url_is_refused(backend, peer, bad):
    async def body():
        server = peer(always(OK))
        async with backend.client() as client:
            with pytest.raises(httpx_fast.InvalidURL, match=r"."):
                await client.get(server.url(f"/a{bad}b"))
        assert server.accepted == 0

    backend.run(body)


def test_silence_after_the_request_is_a_read_timeout(backend, peer):
    async def body():
        server = peer(mute, always(OK))
        async with backend.client(limits=ONE, timeout=httpx_fast.Timeout(30, read=0.05)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match=r"read timed out after [\d.]+ s of 0\.05 s") as caught:
                await client.get(server.url())
            assert caught.value.journey.phase == "wait"
            assert (await client.get(server.url(), timeout=30)).text == "ok"

    backend.run(body)


def test_silence_in_the_content_is_a_read_timeout(backend, peer):
    def script(dialogue):
        dialogue.read_request()
        dialogue.send(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nshort")
        dialogue.wait_for_close()

    async def body():
        server = peer(script, always(OK))
        async with backend.client(limits=ONE, timeout=httpx_fast.Timeout(30, read=0.05)) as client:
            async with client.stream("GET", server.url()) as response:
                with pytest.raises(httpx_fast.ReadTimeout, match=r"of 0\.05 s") as caught:
                    await response.aread()
            assert caught.value.journey.phase == "receive"
            assert (await client.get(server.url(), timeout=30)).text == "ok"

    backend.run(body)


def test_a_tls_handshake_without_an_answer_is_a_connect_timeout(backend, peer):
    async def body():
        server = peer(mute)
        async with backend.client(limits=ONE) as client:
            for connect in (0.05, 0.5, 5.0):  # on a busy machine the first may be over before the handshake begins
                timeout, pattern = (
                    httpx_fast.Timeout(30, connect=connect),
                    rf"connect timed out after \S+ s of {connect:g} s",
                )
                with pytest.raises(httpx_fast.ConnectTimeout, match=pattern) as caught:
                    await client.get(f"https://127.0.0.1:{server.port}/", timeout=timeout)
                if caught.value.journey.phase == "tls":
                    break
            assert caught.value.journey.phase == "tls"
            assert (await client.get(peer(always(OK)).url())).text == "ok"

    backend.run(body)


def test_a_peer_that_takes_nothing_is_a_write_timeout(backend, peer):
    async def body():
        server = peer(Dialogue.hold)
        async with backend.client(timeout=httpx_fast.Timeout(30, write=0.05)) as client:
            with pytest.raises(httpx_fast.WriteTimeout, match=r"of 0\.05 s"):
                await client.post(server.url(), content=bytes(64 * 1024 * 1024))

    backend.run(body)


def test_a_certificate_that_is_refused_is_no_fault_of_other_connections(backend, peer, authority):
    """OpenSSL keeps errors by thread, and PyPy's ssl leaves them there."""

    async def body():
        server = peer(always(OK), tls=authority.server_context("127.0.0.1"))
        async with backend.client(verify=authority.client_context()) as client, backend.client() as distrustful:
            assert (await client.get(server.url())).text == "ok"
            with pytest.raises(httpx_fast.ConnectError, match="certificate is not accepted"):
                await distrustful.get(server.url())
            for _ in range(3):
                assert (await client.get(server.url())).journey.reused

    backend.run(body)


def test_a_refused_connection_says_where(backend, peer):
    server = peer(mute)
    server.close()

    async def body():
        async with backend.client(limits=ONE) as client:
            for _ in range(2):
                with pytest.raises(httpx_fast.ConnectError, match=str(server.port)):
                    await client.get(server.url())

    backend.run(body)
