"""WebSockets over HTTP/2 (RFC 8441) in every world, against a frame peer and against hypercorn."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from either import done, opened
from kernels import KERNELS, speak_http2

import httpx_fast
from httpx_fast._wire import websocket as wire
from httpx_fast.testing import Hold, Http2, Mute, Read, ReadFrames, ReadHead, Repeat, Send, Tls, frames
from httpx_fast.websockets import WebSocketNetworkError, WebSocketUpgradeError

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

OK = (":status", "200")
ONE = httpx_fast.Limits(max_connections=1)
OTHERS = [Repeat(Read(), Send(frames.response(b"good")))]


@pytest.fixture(params=KERNELS, autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    speak_http2(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def new_client(backend: Any) -> Any:
    return lambda **options: backend.client(**{"http1": False, "http2": True, "timeout": 20, "limits": ONE, **options})


class Echo:
    """Accepts, and sends each message back, the closing one included."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self._fields = fields

    async def run(self, dialogue: Any) -> None:
        stream, send = dialogue.last_request().stream, dialogue.connection.send
        await send(frames.headers(stream, OK, *self._fields))
        heard = b""
        opcode = 0
        while opcode != 8:
            while len(heard) < 6 or len(heard) < 6 + (heard[1] & 0x7F):
                raw = await dialogue.http2.receive_data(stream)
                if not raw:
                    return
                heard += raw
            opcode, size = heard[0] & 0x0F, heard[1] & 0x7F
            assert size < 126
            payload = wire.mask(heard[6 : 6 + size], heard[2:6])
            heard = heard[6 + size :]
            await send(frames.data(stream, bytes((0x80 | opcode, size)) + payload, end=opcode == 8))


def url(lab: Any) -> str:
    return f"ws://127.0.0.1:{lab.port}/chat?room=1"


def test_messages_go_both_ways_on_a_stream_beside_requests(backend, fault_lab, new_client):
    fault_lab.serve(
        Http2(enable_connect_protocol=1),
        ReadHead(),
        Echo(("sec-websocket-protocol", "chat")),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with opened(
                client, url(fault_lab), subprotocols=["chat", "talk"], headers={"X-Thing": "1"}
            ) as session:
                assert session.subprotocol == "chat"
                assert (session.response.status_code, session.response.http_version) == (200, "HTTP/2")
                await done(session.send_text("grüß"))
                assert await done(session.receive_text(timeout=20)) == "grüß"
                await done(session.send_bytes(b"octets"))
                assert await done(session.receive_bytes(timeout=20)) == b"octets"
            assert (await client.get(fault_lab.url())).journey.nth == 2
            assert client._transport.pool.stats().idle == 1
        asked = fault_lab.requests[0].fields
        assert asked[:5] == [
            (":method", "CONNECT"),
            (":protocol", "websocket"),
            (":scheme", "http"),
            (":authority", f"127.0.0.1:{fault_lab.port}"),
            (":path", "/chat?room=1"),
        ]
        fields = dict(asked)
        assert (fields["sec-websocket-version"], fields["x-thing"]) == ("13", "1")
        assert fields["sec-websocket-protocol"] == "chat, talk"
        assert not {"connection", "upgrade", "sec-websocket-key", "host"} & fields.keys()
        # Closed by the handshake of WebSockets, there is nothing more to say on the stream.
        assert "RST_STREAM 1 CANCEL" in fault_lab.frames()
        assert "DATA 1 0 end" not in fault_lab.frames()

    backend.run(body)


def test_nothing_is_asked_before_the_settings_are_there(backend, fault_lab, new_client):
    """The first bytes of the server come late; the client has sent no more than its preface till then."""

    class Late:
        async def run(self, dialogue: Any) -> None:
            first = await dialogue.connection.receive()
            assert b"\x00\x00\x00\x01\x01" not in first  # the length and type of no HEADERS
            dialogue.connection._unread[:0] = first

    fault_lab.serve(Late(), Http2(enable_connect_protocol=1), ReadHead(), Echo(), *OTHERS)

    async def body():
        async with new_client() as client, opened(client, url(fault_lab)) as session:
            await done(session.send_text("hello"))
            assert await done(session.receive_text(timeout=20)) == "hello"
        assert fault_lab.frames()[-1] != "HEADERS 1"

    backend.run(body)


def test_a_peer_that_says_no_settings_is_a_read_timeout(backend, fault_lab, new_client):
    fault_lab.serve(Hold())

    async def body():
        async with new_client(timeout=httpx_fast.Timeout(20, read=0.05)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match="peer sent no settings"):
                async with opened(client, url(fault_lab)):
                    pass
            stats = client._transport.pool.stats()
            assert stats.leased == 0

    backend.run(body)


@pytest.mark.parametrize("own", [True, False], ids=["a context of the user", "a context of ours"])
def test_where_the_peer_takes_none_they_go_over_http1(backend, fault_lab, tmp_path, monkeypatch, own):
    """Only they: what else is asked stays on the connection of HTTP/2."""

    def accepted(request: Any) -> bytes:
        accept = wire.accept_for(request.field("Sec-WebSocket-Key"))
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept.encode() + b"\r\n\r\n\x81\x05hello\x88\x02\x03\xe8"
        )

    trusted = tmp_path / "lab.pem"
    trusted.write_text(fault_lab.certificate.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    good = [Tls("h2", "http/1.1"), Http2(), *OTHERS]
    upgrading = [Tls("h2", "http/1.1"), ReadHead(), Send(accepted), Mute()]
    fault_lab.serve(good, upgrading)

    async def body():
        verify = fault_lab.client_context() if own else True
        async with backend.client(http2=True, verify=verify, timeout=20) as client:
            for number in (2, 3):
                async with opened(client, fault_lab.tls_url("/chat").replace("https", "wss")) as session:
                    assert session.response.http_version == "HTTP/1.1"
                    assert await done(session.receive_text(timeout=20)) == "hello"
                    (attempt,) = session.response.journey.attempts
                    assert "takes no WebSockets over HTTP/2" in attempt.failure
                answer = await client.get(fault_lab.tls_url())
                assert (answer.text, answer.http_version) == ("good", "HTTP/2")
                assert fault_lab.accepted == number
            assert client._transport.pool.stats().leased == 0

    backend.run(body)


def test_where_nothing_else_may_be_spoken_the_error_says_so(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), *OTHERS)
    seen = "which http1=False rules out: the peer takes no WebSockets over HTTP/2"

    async def body():
        async with new_client() as client:
            with pytest.raises(httpx_fast.UnsupportedProtocol, match=seen):
                async with opened(client, url(fault_lab)):
                    pass
            stats = client._transport.pool.stats()
            assert (stats.leased, stats.idle) == (0, 1)
            assert (await client.get(fault_lab.url())).text == "good"
            assert fault_lab.accepted == 1

    backend.run(body)


def test_a_refusal_tells_the_response(backend, fault_lab, new_client):
    fault_lab.serve(Http2(enable_connect_protocol=1), ReadHead(), Send(frames.response(b"no", status=403)), *OTHERS)

    async def body():
        async with new_client() as client:
            with pytest.raises(WebSocketUpgradeError, match="the server answered 403, expected 200") as caught:
                async with opened(client, url(fault_lab)):
                    pass
            assert caught.value.response.status_code == 403
            assert (await client.get(fault_lab.url())).journey.nth == 2

    backend.run(body)


def test_a_subprotocol_that_was_not_offered_is_refused(backend, fault_lab, new_client):
    accept = Send(frames.headers(1, OK, ("sec-websocket-protocol", "other")))
    fault_lab.serve(Http2(enable_connect_protocol=1), ReadHead(), accept, *OTHERS)

    async def body():
        async with new_client() as client:
            with pytest.raises(WebSocketUpgradeError, match="'other' was not offered"):
                async with opened(client, url(fault_lab), subprotocols=["chat"]):
                    pass
            assert (await client.get(fault_lab.url())).journey.nth == 2

    backend.run(body)


def test_a_reset_breaks_the_session_and_not_the_connection(backend, fault_lab, new_client):
    fault_lab.serve(
        Http2(enable_connect_protocol=1),
        ReadHead(),
        Send(frames.headers(1, OK)),
        ReadFrames("DATA 1"),
        Send(frames.reset(1, "CANCEL")),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with opened(client, url(fault_lab)) as session:
                await done(session.send_text("hello"))
                with pytest.raises(WebSocketNetworkError, match="peer reset stream 1: CANCEL"):
                    await done(session.receive_text(timeout=20))
            assert (await client.get(fault_lab.url())).journey.nth == 2

    backend.run(body)


def test_hypercorn_is_spoken_to(backend, hypercorn, authority):
    context = authority.client_context()
    chat = hypercorn.url("/chat").replace("https", "wss")

    async def body():
        async with backend.client(http2=True, verify=context, timeout=20, limits=ONE) as client:

            async def one(name: str) -> None:
                async with opened(client, chat, subprotocols=["chat"]) as session:
                    assert (session.subprotocol, session.response.headers["x-version"]) == ("chat", "2")
                    for size in (0, 1, 125, 126, 60_000):
                        await done(session.send_text(name * size))
                        assert await done(session.receive_text(timeout=20)) == name * size
                    await done(session.send_bytes(b"octets"))
                    assert await done(session.receive_bytes(timeout=20)) == b"octets"
                    answer = await client.get(hypercorn.url("/"))
                    assert (answer.text, answer.http_version) == ("ok", "HTTP/2")

            await client.get(hypercorn.url("/"))
            await backend.together(*(partial(one, letter) for letter in "abcdefgh"))
            stats = client._transport.pool.stats()
            assert (stats.leased, stats.idle) == (0, 1)

    backend.run(body)
