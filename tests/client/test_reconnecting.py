"""WebSockets that are opened again: in every world, over HTTP/1.1 and HTTP/2; no pause here takes any time."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from either import done
from websocket_peers import Far

import httpx_fast
from httpx_fast import Reconnect
from httpx_fast.testing import Http2, Mute, ReadHead, Send, frames
from httpx_fast.websockets import (
    WebSocketDisconnect,
    WebSocketNetworkError,
    WebSocketUpgradeError,
    _reconnecting,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

AT_ONCE = Reconnect(backoff=0)


@contextlib.asynccontextmanager
async def entered(manager: Any) -> Any:
    if hasattr(manager, "__aenter__"):
        async with manager as it:
            yield it
    else:
        with manager as it:
            yield it


class each:  # noqa: N801 - a generator would have to be closed
    """Iterate in either way."""

    def __init__(self, items: Any) -> None:
        self._asynchronous = hasattr(items, "__aiter__")
        self._items = aiter(items) if self._asynchronous else iter(items)

    def __aiter__(self) -> Any:
        return self

    async def __anext__(self) -> Any:
        if self._asynchronous:
            return await anext(self._items)
        try:
            return next(self._items)
        except StopIteration:
            raise StopAsyncIteration from None


async def collect(client: Any, url: str, reconnect: Any = AT_ONCE, **options: Any) -> list[str]:
    """Return all messages of all sessions."""
    found = []
    async with entered(client.websocket_sessions(url, reconnect=reconnect, **options)) as sessions:
        async for session in each(sessions):
            async for message in each(session):
                found.append(message)
    return found


def saying(*texts: bytes, code: int | None = None) -> Any:
    """Say these, then close with `code`, or break off."""

    def script(dialogue: Any) -> None:
        far = Far(dialogue)
        for text in texts:
            far.send(1, text)
        if code is not None:
            far.end(code)

    return script


def answering(status: bytes, *fields: bytes) -> Any:
    def script(dialogue: Any) -> None:
        dialogue.read_request()
        dialogue.send(b"\r\n".join([b"HTTP/1.1 " + status, b"Content-Length: 0", *fields, b"", b""]))

    return script


def ws(at: Any) -> str:
    return at.url("/chat").replace("http", "ws")


def client_of(backend: Any, **options: Any) -> Any:
    return backend.client(timeout=30, trust_env=False, **options)


def test_sessions_follow_each_other_until_one_ends_properly(backend, peer):
    at = peer(
        saying(b"one"),
        answering(b"503 Busy", b"Retry-After: 0"),
        saying(b"two", b"three", code=1012),
        lambda dialogue: dialogue.read_request(),
        saying(code=1001),
        saying(b"four", code=1000),
    )

    async def body():
        async with client_of(backend) as client:
            assert await collect(client, ws(at)) == ["one", "two", "three", "four"]

    backend.run(body)
    assert at.accepted == 6


@pytest.mark.parametrize(("at_end", "expected"), [(True, ["one", "two"]), (None, ["one"]), (False, ["one"])])
def test_whether_the_end_of_a_session_is_that_of_all_can_be_set(backend, peer, at_end, expected):
    at = peer(saying(b"one", code=1000), saying(b"two", code=1008))

    async def body():
        async with client_of(backend) as client:
            found = []
            rule = Reconnect(backoff=0, at_end=at_end)
            with contextlib.suppress(WebSocketDisconnect):
                async with entered(client.websocket_sessions(ws(at), reconnect=rule)) as sessions:
                    async for session in each(sessions):
                        async for message in each(session):
                            found.append(message)
            assert found == expected

    backend.run(body)


def test_a_code_that_forbids_it_is_raised_by_the_session_and_by_the_loop(backend, peer):
    at = peer(saying(b"one", code=1008))

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(WebSocketDisconnect, match="code 1008"):
                await collect(client, ws(at))
            with pytest.raises(WebSocketDisconnect, match="code 1008"):
                async with entered(client.websocket_sessions(ws(at), reconnect=AT_ONCE)) as sessions:
                    async for session in each(sessions):
                        with pytest.raises(WebSocketDisconnect, match="code 1008"):
                            while True:
                                await done(session.receive(timeout=30))
            allowed = Reconnect(backoff=0, close_codes=[1008], attempts=2)
            with pytest.raises(WebSocketDisconnect, match="code 1008") as caught:
                await collect(client, ws(peer(saying(code=1008))), allowed)
            assert caught.value.__notes__ == [
                "The WebSocket was not opened again: 2 connections in a row brought no message."
            ]

    backend.run(body)
    assert at.accepted == 2


def test_an_answer_that_another_request_does_not_change_is_raised(backend, peer):
    at = peer(answering(b"403 Forbidden"))

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(WebSocketUpgradeError, match="answered 403"):
                await collect(client, ws(at))

    backend.run(body)
    assert at.accepted == 1


def test_connections_without_a_message_are_bounded_and_counted_anew_after_one(backend, peer):
    gone = lambda dialogue: dialogue.read_request()  # noqa: E731
    at = peer(gone, gone, saying(b"one"), gone)

    async def body():
        async with client_of(backend) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="without") as caught:
                await collect(client, ws(at), Reconnect(backoff=0, attempts=3))
            assert "3 connections in a row brought no message" in caught.value.__notes__[-1]

    backend.run(body)
    assert at.accepted == 3 + 3


def test_pauses_double_and_heed_the_server(backend, peer):
    busy = answering(b"429 Slow", b"Retry-After: 7")
    gone = lambda dialogue: dialogue.read_request()  # noqa: E731
    at = peer(gone, gone, busy, answering(b"503 Busy", b"Retry-After: 900"), saying(b"one"), saying(code=1000))
    pauses: list[float] = []

    async def body():
        async with client_of(backend) as client:
            inside = getattr(client, "blocking", client)
            kind = _reconnecting.AsyncWebSocketSessions if backend.asynchronous else _reconnecting.WebSocketSessions
            rule = Reconnect(backoff=1, backoff_max=3, retry_max=60)
            made = kind(inside, lambda: inside.websocket(ws(at)), ws(at), rule, chance=lambda: 1.0)

            async def pause(seconds: float) -> None:
                pauses.append(seconds)

            made._pause = pause
            async with entered(made) as sessions:
                async for session in each(sessions):
                    async for _ in each(session):
                        pass

    backend.run(body)
    assert pauses == [1, 2, 7, 60, 1]


def test_a_session_that_lasted_is_progress(backend, peer):
    at = peer(saying(), saying(), saying(), saying(code=1000))
    now = [0.0]

    async def body():
        async with client_of(backend) as client:
            inside = getattr(client, "blocking", client)
            kind = _reconnecting.AsyncWebSocketSessions if backend.asynchronous else _reconnecting.WebSocketSessions
            rule = Reconnect(backoff=0, attempts=1)
            made = kind(inside, lambda: inside.websocket(ws(at)), ws(at), rule, clock=lambda: now[0])
            async with entered(made) as sessions:
                async for session in each(sessions):
                    now[0] += 31  # more than backoff_max
                    async for _ in each(session):
                        pass

    backend.run(body)
    assert at.accepted == 4


def test_leaving_the_block_closes_the_last_session(backend, peer):
    closes: list[int] = []

    def script(dialogue):
        far = Far(dialogue)
        far.send(1, b"one")
        opcode, payload = far.read()
        closes.append(opcode)
        far.send(8, payload)

    at = peer(script)

    async def body():
        async with client_of(backend) as client:
            for leave in ("break", "continue", "raise"):
                with contextlib.suppress(KeyError):
                    count = 0
                    async with entered(client.websocket_sessions(ws(at), reconnect=AT_ONCE)) as sessions:
                        async for session in each(sessions):
                            count += 1
                            assert await done(session.receive_text(timeout=30)) == "one"
                            if leave == "raise":
                                raise KeyError
                            if leave == "break" or count == 2:
                                break
                    with pytest.raises(WebSocketDisconnect, match="code 1000"):
                        await done(session.receive())
            assert client._transport.pool.stats().leased == 0

    backend.run(body)
    assert closes == [8] * 4


def test_who_sends_opens_the_next_session_by_continue(backend, peer):
    def script(dialogue):
        far = Far(dialogue)
        assert far.read() == (1, b"mine")
        far.send(1, b"yours")
        far.end(1000)

    at = peer(saying(), script)

    async def body():
        found = []
        async with (
            client_of(backend) as client,
            entered(client.websocket_sessions(ws(at), reconnect=AT_ONCE)) as sessions,
        ):
            async for session in each(sessions):
                try:
                    await done(session.send_text("mine"))
                    found.append(await done(session.receive_text(timeout=30)))
                except WebSocketNetworkError:
                    continue
                with pytest.raises(WebSocketDisconnect, match="code 1000"):
                    await done(session.receive(timeout=30))
        assert found == ["yours"]

    backend.run(body)


def test_closing_the_client_ends_a_pause(backend, peer):
    at = peer(lambda dialogue: dialogue.read_request())

    async def body():
        client = client_of(backend)
        paused = backend.event()
        inside = getattr(client, "blocking", client)

        async def wait() -> None:
            sessions = client.websocket_sessions(ws(at), reconnect=Reconnect(backoff=1000, backoff_max=1000))
            sessions._chance = lambda: 1.0
            real = inside._retrier.pause

            async def pause(seconds: float) -> None:
                paused.set()
                await real(inside.build_request("GET", ws(at)), seconds, sessions._closings)

            sessions._pause = pause
            with pytest.raises(httpx_fast.ClientClosed, match="waited to be sent again"):
                async with entered(sessions):
                    async for _ in each(sessions):
                        raise AssertionError("no session was expected")

        async def close() -> None:
            await paused.wait()
            await client.aclose()

        await backend.together(wait, close)

    backend.run(body)


def test_sessions_on_one_connection_of_http2(backend, fault_lab):
    def frame(payload: bytes, opcode: int) -> bytes:
        return bytes([0x80 | opcode, len(payload)]) + payload

    def session(stream: int, text: bytes, code: int) -> list[Any]:
        closing = frame(code.to_bytes(2, "big"), 8)
        return [
            ReadHead(),
            Send(frames.headers(stream, (":status", "200"))),
            Send(frames.data(stream, frame(text, 1) + closing)),
        ]

    fault_lab.serve(Http2(enable_connect_protocol=1), *session(1, b"one", 1012), *session(3, b"two", 1000), Mute())

    async def body():
        async with client_of(backend, http1=False, http2=True) as client:
            assert await collect(client, fault_lab.url("/chat").replace("http", "ws")) == ["one", "two"]

    backend.run(body)


def test_what_makes_no_sense_is_refused(backend):
    async def body():
        async with client_of(backend) as client:
            for wrong in (False, None, 5, "yes"):
                with pytest.raises(TypeError, match=f"expected True or a Reconnect as reconnect, got {wrong!r}"):
                    client.websocket_sessions("ws://a.test", reconnect=wrong)
            with pytest.raises(RuntimeError, match="expected a `with` block around iterating over"):
                async for _ in each(client.websocket_sessions("ws://a.test")):
                    pass

    backend.run(body)
