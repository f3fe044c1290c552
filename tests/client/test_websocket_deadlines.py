"""WebSockets whose peer asks and does not read: no call waits for longer than it was granted."""

from __future__ import annotations

import socket
import time
from typing import Any

import pytest
from either import done, opened

import httpx_fast
from httpx_fast._wire import websocket as wire
from httpx_fast.testing import Hold, Http2, Mute, ReadFrames, ReadHead, Receive, Repeat, Send, Tls, frames
from httpx_fast.websockets import BytesMessage, WebSocketDisconnect, WebSocketNetworkError, _asgi, _session

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

PING = b"\x89\x7d" + b"p" * 125
PINGS = PING * 512
LONG = 15.0  # seconds; a call that hangs takes more, and what is granted below is a small part of it
WRITE = 0.3
BRIEF = httpx_fast.Timeout(20, write=WRITE)
PATIENT = httpx_fast.Timeout(20, write=60)
WINDOW = 1000  # bytes that the peer of an HTTP/2 stream takes
HUGE = bytes(64 * 1024 * 1024)  # more than any socket takes unread


def accept(request: Any) -> bytes:
    token = wire.accept_for(request.field("sec-websocket-key")).encode()
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
        + token
        + b"\r\n\r\n"
    )


class Room:
    """The lab with a server that has accepted a WebSocket, and does `steps` then."""

    def __init__(self, lab: Any, backend: Any, protocol: str) -> None:
        self._lab = lab
        self._backend = backend
        self._protocol = protocol
        self.options: dict[str, Any] = {"timeout": BRIEF}
        self.url = lab.url("/chat").replace("http", "ws")
        if protocol == "h2":
            self.options |= {"http1": False, "http2": True}
        if protocol == "tls":
            self.options["verify"] = lab.client_context()
            self.url = lab.tls_url("/chat").replace("http", "ws")

    def serve(self, *steps: Any) -> None:
        first: dict[str, list[Any]] = {
            "cleartext": [ReadHead(), Send(accept)],
            "tls": [Tls(), ReadHead(), Send(accept)],
            "h2": [
                Http2(enable_connect_protocol=1, initial_window_size=WINDOW),
                ReadHead(),
                Send(frames.headers(1, (":status", "200"))),
            ],
        }
        self._lab.serve(*first[self._protocol], *steps)

    def said(self, raw: bytes) -> Send:
        return Send(frames.data(1, raw) if self._protocol == "h2" else raw)

    def flood(self, count: int | None) -> Repeat:
        """Pings, more than any socket takes answers; with HTTP/2 as many as our window takes unread."""
        return Repeat(self.said(PINGS), times=8 if self._protocol == "h2" else count)

    def heard(self) -> Any:
        """A step that waits until something has come."""
        return ReadFrames("DATA 1") if self._protocol == "h2" else Receive()

    def release(self) -> None:
        self._lab.release()

    def client(self, **options: Any) -> Any:
        return self._backend.client(**{**self.options, **options})


@pytest.fixture(params=["cleartext", "tls", "h2"])
def room(request: pytest.FixtureRequest, fault_lab: Any, backend: Any) -> Room:
    return Room(fault_lab, backend, request.param)


class Within:
    """Fails if a block takes as long as one that hangs."""

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *exc_info: object) -> None:
        assert time.monotonic() - self._began < LONG


def test_a_flood_of_pings_does_not_hold_who_receives(backend: Any, room: Room) -> None:
    room.serve(room.flood(None), Hold())

    async def body() -> None:
        async with room.client(timeout=PATIENT) as client, opened(client, room.url) as session:
            for _ in range(2):
                with Within(), pytest.raises(TimeoutError, match=r"no message came within 0\.4 s"):
                    await done(session.receive(timeout=0.4))
            assert len(session._owed) <= _session.MAX_OWED
            with Within():
                await done(session.close())

    backend.run(body)


def test_a_message_behind_pings_that_nobody_wants_answered_is_received(backend: Any, room: Room) -> None:
    """More than any socket takes: the peer reads nothing, and answers that are out of date are left out."""
    room.serve(room.flood(128), room.said(b"\x82\x05hello"), Mute())

    async def body() -> None:
        async with room.client(timeout=PATIENT) as client, opened(client, room.url) as session:
            with Within():
                assert await done(session.receive(timeout=LONG)) == BytesMessage(b"hello")

    backend.run(body)


def test_what_the_peer_does_not_take_ends_the_session(backend: Any, room: Room) -> None:
    room.serve(room.said(PING), Hold())

    async def body() -> None:
        async with room.client() as client, opened(client, room.url) as session:
            with Within():
                said = rf"a message of 67108864 bytes was not sent: frame timed out after .* of {WRITE:.3g} s"
                with pytest.raises(WebSocketNetworkError, match=said):
                    await done(session.send_bytes(HUGE))
                with pytest.raises(WebSocketNetworkError, match="frame timed out"):
                    await done(session.send_bytes(b"more"))
                with pytest.raises(WebSocketNetworkError, match="frame timed out"):
                    await done(session.receive())
                await done(session.close())

    backend.run(body)


def test_pongs_that_the_peer_does_not_take_in_time_end_the_session(backend: Any, room: Room) -> None:
    room.serve(room.flood(None), Hold())

    async def body() -> None:
        async with room.client() as client, opened(client, room.url) as session:
            # So little is taken by a socket whose peer reads nothing.
            session.stream.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            said = rf"a pong was not sent: frame timed out after .* of {WRITE:.3g} s: the peer did not take all"
            with Within(), pytest.raises(WebSocketNetworkError, match=said) as caught:
                await done(session.receive(timeout=LONG))
            assert isinstance(caught.value.__cause__, httpx_fast.WriteTimeout)
            assert caught.value.__cause__.budget == WRITE
            assert len(session._owed) <= _session.MAX_OWED

    backend.run(body)


def test_a_ping_of_ours_that_the_peer_does_not_take_in_time_ends_the_session(backend: Any, room: Room) -> None:
    room.serve(Hold())

    async def body() -> None:
        brief = {"keepalive_ping_interval_seconds": 0.05, "keepalive_ping_timeout_seconds": LONG * 2}
        async with room.client() as client, opened(client, room.url, **brief) as session:

            async def put(raw: Any, timeout: float | None) -> None:
                raise httpx_fast.WriteTimeout("the peer took nothing")

            session._put = put
            with Within(), pytest.raises(WebSocketNetworkError, match="a ping was not sent: frame timed out"):
                await done(session.receive(timeout=LONG))
            room.release()

    backend.run(body)


def test_a_message_that_is_taken_slowly_has_a_budget_for_each_slice(backend: Any, room: Room) -> None:
    """All of it takes longer than one budget, and no slice does."""
    room.serve(Hold())

    async def body() -> None:
        async with room.client() as client, opened(client, room.url) as session:
            sizes: list[int] = []

            async def put(raw: Any, timeout: float | None) -> None:
                assert timeout == WRITE
                sizes.append(len(raw))

            real, session._put = session._put, put
            await done(session.send_bytes(bytes(200_000)))
            assert sizes == [_session.SLICE] * 3 + [200_000 + 14 - 3 * _session.SLICE]
            session._put = real
            room.release()

    backend.run(body)


def test_a_cancelled_message_goes_out_whole_before_the_next(backend: Any, room: Room) -> None:
    """A slice that was not written yet is part of a frame whose head the peer has."""
    room.serve(Hold())

    async def body() -> None:
        async with room.client() as client, opened(client, room.url) as session:
            sent = bytearray()

            async def put(raw: Any, timeout: float | None) -> None:
                sent.extend(raw)  # as a stream, which keeps what it has begun to write
                if len(sent) == 2 * _session.SLICE:
                    raise KeyboardInterrupt("now")

            real, session._put = session._put, put
            with pytest.raises(KeyboardInterrupt, match="now"):
                await done(session.send_bytes(bytes(200_000)))
            await done(session.send_bytes(b"next"))
            reader = wire.MessageReader(1 << 20)
            got, fault = reader.feed(_unmasked(bytes(sent)))
            assert fault is None
            assert [len(event.data) for event in got] == [200_000, 4]
            session._put = real
            room.release()

    backend.run(body)


def _unmasked(raw: bytes) -> bytes:
    """Return frames as a server sends them."""
    return b"".join(_asgi._frame(opcode, payload) for opcode, payload in _asgi._frames(raw))


def test_closing_waits_a_second_for_all_of_it(backend: Any, room: Room) -> None:
    """Half of a message is on its way when the session is closed by another task."""
    room.serve(Hold())

    async def body() -> None:
        async with room.client(timeout=None) as client, opened(client, room.url) as session:
            began = backend.event()

            async def send() -> None:
                began.set()
                with pytest.raises((WebSocketNetworkError, WebSocketDisconnect)):
                    await done(session.send_bytes(HUGE))

            async def close() -> None:
                await began.wait()
                with Within():
                    await done(session.close())

            await backend.together(send, close)

    backend.run(body)


def test_answers_go_out_when_the_peer_reads_again(backend: Any, room: Room) -> None:
    """It says nothing more, so that only a look of our own can tell."""
    room.serve(Hold(), room.said(PING), room.heard(), room.said(b"\x82\x02ok"), Mute())

    async def body() -> None:
        async with room.client() as client, opened(client, room.url) as session:
            put = session._put
            left: list[bytes] = []

            async def put_later(raw: bytes, timeout: float | None) -> None:
                """As a stream whose socket takes nothing the first time."""
                if not left:
                    left.append(raw)
                    raise httpx_fast.WriteTimeout("the peer took nothing")
                assert (raw, timeout) == (b"", 0.0)
                await put(left[0], timeout)
                session._put = put

            session._put = put_later
            room.release()
            with Within():
                assert await done(session.receive(timeout=LONG)) == BytesMessage(b"ok")

    backend.run(body)


def test_the_default_write_timeout_is_that_of_the_request(backend: Any, room: Room) -> None:
    room.serve(Mute())

    async def body() -> None:
        for timeout, seconds in ((BRIEF, WRITE), (None, None)):
            async with room.client(timeout=timeout) as client, opened(client, room.url) as session:
                assert session._write_timeout == seconds

    backend.run(body)
    assert _session._write_timeout(None) == 5.0
    assert _session._write_timeout(httpx_fast.Response(101)) == 5.0
