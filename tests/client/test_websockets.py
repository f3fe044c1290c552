"""WebSocket sessions in every world, against scripted peers and against the server of the `websockets` package."""

from __future__ import annotations

import contextlib
import threading

import anyio
import pytest
from either import done, opened
from websocket_peers import Far, server

import httpx_fast
from httpx_fast._wire import websocket as wire
from httpx_fast.websockets import (
    BytesMessage,
    CloseConnection,
    HTTPXWSException,
    Ping,
    TextMessage,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketUpgradeError,
)


def far(talk, **options):
    """A script that accepts the WebSocket, talks, and keeps what talking gave."""

    def script(dialogue):
        script.result = talk(Far(dialogue, **options))
        dialogue.wait_for_close()

    return script


def url(peer):
    return f"ws://127.0.0.1:{peer.port}/chat"


def test_messages_go_both_ways(backend, peer):
    def talk(far):
        said = [far.read() for _ in range(4)]
        far.send(1, "grüß".encode())
        far.send(2, b"\0\xff")
        far.send(1, b'{"a": 1}')
        far.send(2, b"[2]")
        far.answer_close()
        return said

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            await done(session.send_text("été"))
            await done(session.send_bytes(b"\x00\x01"))
            await done(session.send_json({"b": None}))
            await done(session.send_json([1], mode="binary"))
            assert await done(session.receive_text()) == "grüß"
            assert await done(session.receive_bytes()) == b"\0\xff"
            assert await done(session.receive_json()) == {"a": 1}
            assert await done(session.receive_json(mode="binary")) == [2]
            assert session.response.status_code == 101
            assert session.subprotocol is None

    backend.run(body)
    there.close()
    assert script.result == [(1, "été".encode()), (2, b"\x00\x01"), (1, b'{"b": null}'), (2, b"[1]")]


def test_the_handshake_asks_as_the_rfc_says(backend, peer):
    def talk(far):
        far.answer_close()
        return far.head.lower()

    script = far(talk, fields=b"Sec-WebSocket-Protocol: chat\r\n")
    there = peer(script)

    async def body():
        async with (
            backend.client() as client,
            opened(client, url(there), subprotocols=["super", "chat"], headers={"X-A": "b"}) as session,
        ):
            assert session.subprotocol == "chat"

    backend.run(body)
    there.close()
    for line in (
        b"get /chat http/1.1\r\n", b"\r\nconnection: upgrade\r\n", b"\r\nupgrade: websocket\r\n", b"\r\nx-a: b\r\n",
        b"\r\nsec-websocket-version: 13\r\n", b"\r\nsec-websocket-protocol: super, chat\r\n",
    ):  # fmt: skip
        assert line in script.result


ACCEPT = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "the server answered 404, expected 101"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "the server answered 200, expected 101"),
        (
            b"HTTP/1.1 101 S\r\n" + ACCEPT + b"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
            "did not accept the WebSocket: Sec-WebSocket-Accept is 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=', which answers",
        ),
        (b"HTTP/1.1 101 S\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "Upgrade is 'h2c'"),
    ],
)
def test_an_answer_that_is_no_acceptance_is_an_error_with_the_response(backend, peer, answer, complaint):
    there = peer(lambda dialogue: [dialogue.read_request(), dialogue.send(answer), dialogue.wait_for_close()])

    async def body():
        async with backend.client() as client:
            with pytest.raises(WebSocketUpgradeError, match=complaint) as failure:
                async with opened(client, url(there)):
                    pytest.fail("it opened")
            assert failure.value.response.status_code in (404, 200, 101)
        await backend.hear(there.closed[0])

    backend.run(body)


def test_what_came_with_the_acceptance_is_the_first_message(backend, peer):
    there = peer(far(lambda far: far.answer_close(), first=server(1, b"early")))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            assert await done(session.receive()) == TextMessage("early")

    backend.run(body)


def test_messages_before_the_close_are_given_and_then_its_code(backend, peer):
    def talk(far):
        far.send(1, b"a", final=False)
        far.send(0, b"b")
        far.send(2, b"c")
        far.end(4001, b"enough")

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            assert await done(session.receive()) == TextMessage("ab")
            assert await done(session.receive()) == BytesMessage(b"c")
            for _ in range(2):
                with pytest.raises(WebSocketDisconnect, match="closed with code 4001: enough") as failure:
                    await done(session.receive())
                assert (failure.value.code, failure.value.reason) == (4001, "enough")
            with pytest.raises(WebSocketDisconnect, match="4001"):
                await done(session.send_text("too late"))

    backend.run(body)


@pytest.mark.parametrize("code", [1000, 1001, 1011])
def test_iterating_gives_the_data_of_messages_until_the_session_is_closed(backend, peer, code):
    def script(dialogue):
        far = Far(dialogue)
        far.send(wire.TEXT, "grüß".encode())
        far.send(wire.BINARY, b"\x00\x01")
        far.send(wire.CLOSE, code.to_bytes(2, "big") + b"why")
        dialogue.wait_for_close()

    at = peer(script)

    async def body():
        seen = []
        unwell = pytest.raises(WebSocketDisconnect, match="code 1011: why")
        async with backend.client() as client:
            with unwell if code == 1011 else contextlib.nullcontext():
                if backend.asynchronous:
                    async with client.websocket(at.url()) as session:
                        async for message in session:
                            seen.append(message)
                else:
                    with client.websocket(at.url()) as session:
                        seen.extend(session)
        assert seen == ["grüß", b"\x00\x01"]

    backend.run(body)


def test_a_message_of_the_other_type_is_an_error_that_has_it(backend, peer):
    def talk(far):
        far.send(1, b"text")
        far.send(2, b"octets")
        far.answer_close()

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            with pytest.raises(WebSocketInvalidTypeReceived, match="TextMessage") as failure:
                await done(session.receive_bytes())
            assert failure.value.event == TextMessage("text")
            with pytest.raises(WebSocketInvalidTypeReceived, match="BytesMessage"):
                await done(session.receive_text())
            with pytest.raises(ValueError, match="mode is 'xml'; expected 'text' or 'binary'"):
                await done(session.send_json(1, mode="xml"))

    backend.run(body)


def test_nothing_within_the_timeout_is_an_error_and_loses_nothing(backend, peer):
    go = threading.Event()

    def talk(far):
        assert go.wait(10)
        far.send(1, b"late")
        far.answer_close()

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            with pytest.raises(TimeoutError, match=r"no message came within 0\.02 s"):
                await done(session.receive(timeout=0.02))
            go.set()
            assert await done(session.receive_text(timeout=10)) == "late"

    backend.run(body)


def test_pings_of_the_peer_are_answered_while_somebody_receives(backend, peer):
    def talk(far):
        far.send(9, b"there?")
        answer = far.read()
        far.send(1, b"good")
        far.answer_close()
        return answer

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            assert await done(session.receive_text(timeout=10)) == "good"

    backend.run(body)
    there.close()
    assert script.result == (10, b"there?")


def test_a_ping_can_be_waited_for_and_messages_are_kept_meanwhile(backend, peer):
    def talk(far):
        for _ in range(2):
            opcode, payload = far.read()
            assert opcode == 9
            far.send(1, b"message")
            far.send(10, b"of nobody")
            far.send(10, payload)
        far.answer_close()
        return payload

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            pong = await done(session.ping())
            assert not pong.is_set()
            await done(pong.wait())
            assert pong.is_set()
            await done((await done(session.ping(b"own"))).wait())
            assert [await done(session.receive_text()) for _ in range(2)] == ["message"] * 2

    backend.run(body)
    there.close()
    assert script.result == b"own"


def test_a_pong_that_never_comes_ends_with_the_session(backend, peer):
    def talk(far):
        far.read()
        far.end(1001)

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            pong = await done(session.ping())
            with pytest.raises(WebSocketDisconnect, match="1001"):
                await done(pong.wait())

    backend.run(body)


def test_a_blocking_pong_has_a_timeout(peer):
    there = peer(far(lambda far: [far.read(), far.answer_close()]))
    with httpx_fast.Client() as client, client.websocket(url(there)) as session:
        assert session.ping().wait(0.02) is False


def test_a_peer_that_answers_no_pings_is_given_up(backend, peer):
    there = peer(far(lambda far: far.read()))

    async def body():
        async with (
            backend.client() as client,
            opened(
                client, url(there), keepalive_ping_interval_seconds=0.02, keepalive_ping_timeout_seconds=0.02
            ) as session,
        ):
            with pytest.raises(WebSocketNetworkError, match=r"did not answer a ping within 0\.02 s"):
                await done(session.receive())

    backend.run(body)


def test_a_peer_that_answers_pings_is_kept(backend, peer):
    def talk(far):
        for _ in range(5):
            opcode, payload = far.read()
            assert opcode == 9
            far.send(10, payload)
        far.send(1, b"still here")
        far.answer_close()

    there = peer(far(talk))

    async def body():
        async with (
            backend.client() as client,
            opened(
                client, url(there), keepalive_ping_interval_seconds=0.01, keepalive_ping_timeout_seconds=10
            ) as session,
        ):
            assert await done(session.receive_text(timeout=10)) == "still here"

    backend.run(body)


def test_pings_are_answered_and_sent_while_nobody_receives(backend, peer):
    if not backend.asynchronous:
        pytest.skip("of a blocking session nothing happens between two calls")
    heard = threading.Event()

    def talk(far):
        far.send(9, b"anybody?")
        frames = [far.read(), far.read()]
        heard.set()
        far.send(1, b"kept")
        far.answer_close()
        return frames

    script = far(talk)
    there = peer(script)

    async def body():
        async with (
            backend.client() as client,
            opened(
                client, url(there), keepalive_ping_interval_seconds=0.1, keepalive_ping_timeout_seconds=9
            ) as session,
        ):
            await backend.hear(heard)
            assert await session.receive_text() == "kept"

    backend.run(body)
    there.close()
    assert script.result[0] == (10, b"anybody?")
    assert script.result[1][0] == 9


def test_a_connection_that_breaks_is_told(backend, peer):
    there = peer(lambda dialogue: Far(dialogue, first=server(1, b"last words")))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            assert await done(session.receive_text()) == "last words"
            with pytest.raises(WebSocketNetworkError, match="closed the connection without a close frame"):
                await done(session.receive())
            with pytest.raises(HTTPXWSException, match="without a close frame"):
                await done(session.send_text("x"))

    backend.run(body)


def test_a_message_that_is_too_large_ends_the_session(backend, peer):
    def talk(far):
        far.send(1, b"x" * 10)
        far.send(1, b"x" * 11)
        return far.read()

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there), max_message_size_bytes=10) as session:
            assert await done(session.receive_text()) == "x" * 10
            with pytest.raises(WebSocketDisconnect, match="max_message_size_bytes=10") as failure:
                await done(session.receive())
            assert failure.value.code == 1009

    backend.run(body)
    there.close()
    opcode, payload = script.result
    assert (opcode, payload[:2]) == (8, (1009).to_bytes(2, "big"))


def test_a_peer_that_breaks_the_protocol_is_told_so(backend, peer):
    def talk(far):
        far.dialogue.send(b"\x83\x00")
        return far.read()

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            with pytest.raises(WebSocketDisconnect, match="1002: a frame has the unknown opcode 3"):
                await done(session.receive())

    backend.run(body)
    there.close()
    assert script.result[1][:2] == (1002).to_bytes(2, "big")


def test_closing_says_why_and_waits_for_the_answer(backend, peer):
    def talk(far):
        return far.answer_close()

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            await done(session.close(4002, "bye"))
            await done(session.close())
            with pytest.raises(WebSocketDisconnect, match="4002: "):
                await done(session.receive())
            with pytest.raises(WebSocketDisconnect, match="4002"):
                await done(session.send_bytes(b""))

    backend.run(body)
    there.close()
    assert script.result == (4002).to_bytes(2, "big") + b"bye"


def test_closing_ends_who_receives(backend, peer):
    there = peer(far(lambda far: far.answer_close()))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            begun = backend.event()

            async def receive():
                begun.set()
                with pytest.raises(WebSocketDisconnect, match="1000"):
                    await done(session.receive())

            async def close():
                await done(begun.wait())
                await done(session.close())

            await backend.together(receive, close)

    backend.run(body)


def test_events_are_sent_as_they_are_and_those_of_wsproto_too(backend, peer):
    wsproto = pytest.importorskip("wsproto.events")
    events = [
        TextMessage("a"),
        BytesMessage(b"b"),
        Ping(b"c"),
        wsproto.TextMessage("d"),
        wsproto.BytesMessage(b"e"),
        wsproto.Pong(b"f"),
        CloseConnection(4003, "g"),
    ]

    def talk(far):
        heard = [far.read() for _ in events]
        far.send(8, heard[-1][1])
        return heard

    script = far(talk)
    there = peer(script)

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            for event in events:
                await done(session.send(event))
            with pytest.raises(WebSocketDisconnect, match="a close frame was sent before"):
                await done(session.send_text("x"))
            with pytest.raises(TypeError, match="'x' is no event"):
                await done(session.send("x"))

    backend.run(body)
    there.close()
    assert script.result == [
        (1, b"a"), (2, b"b"), (9, b"c"), (1, b"d"), (2, b"e"), (10, b"f"), (8, (4003).to_bytes(2, "big") + b"g"),
    ]  # fmt: skip


def test_what_the_block_raises_leaves_it_as_it_is_and_closes(backend, peer):
    there = peer(far(lambda far: far.answer_close()))

    async def body():
        async with backend.client() as client:
            with pytest.raises(KeyError, match="own"):
                async with opened(client, url(there)):
                    raise KeyError("own")
            await backend.hear(there.closed[0])

    backend.run(body)


def test_who_is_cancelled_says_goodbye(backend, peer):
    if not backend.asynchronous:
        pytest.skip("nobody cancels a thread")
    there = peer(far(lambda far: far.answer_close()))

    async def body():
        async with backend.client() as client:
            with anyio.move_on_after(30) as scope:
                async with opened(client, url(there)) as session:
                    # The deadline is passed in the middle of waiting.
                    scope.deadline = anyio.current_time() + 0.05
                    await session.receive()
            assert scope.cancelled_caught
        await backend.hear(there.closed[0])

    backend.run(body)


def test_a_receive_that_is_cancelled_loses_nothing(backend, peer):
    if not backend.asynchronous:
        pytest.skip("nobody cancels a thread")
    go = threading.Event()

    def talk(far):
        far.dialogue.send(server(1, b"in two")[:4])
        assert go.wait(10)
        far.dialogue.send(server(1, b"in two")[4:])
        far.answer_close()

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:
            with anyio.move_on_after(0.05) as scope:
                await session.receive()
            assert scope.cancelled_caught
            go.set()
            assert await session.receive_text(timeout=10) == "in two"

    backend.run(body)


def test_several_who_receive_get_a_message_each(backend, peer):
    def talk(far):
        for number in range(3):
            far.send(1, b"%d" % number)
        far.answer_close()

    there = peer(far(talk))

    async def body():
        async with backend.client() as client, opened(client, url(there)) as session:

            async def receive():
                return await done(session.receive_text(timeout=10))

            assert sorted(await backend.together(receive, receive, receive)) == ["0", "1", "2"]

    backend.run(body)


def test_who_does_not_receive_holds_no_more_than_the_queue(backend, peer):
    if not backend.asynchronous:
        pytest.skip("a blocking session reads nothing by itself")
    sent = threading.Event()

    def talk(far):
        for number in range(20):
            far.send(1, b"%d" % number)
        sent.set()
        for _ in range(20):
            opcode, code = far.read()
            if opcode == 8:
                far.send(8, code)
                return
        pytest.fail("more than twenty pings")

    there = peer(far(talk))

    async def body():
        async with (
            backend.client() as client,
            opened(client, url(there), queue_size=2, keepalive_ping_interval_seconds=0.08) as session,
        ):
            await backend.hear(sent)
            assert [await session.receive_text() for _ in range(20)] == [str(number) for number in range(20)]

    backend.run(body)


@pytest.fixture
def real(authority):
    """Starts servers of the `websockets` package."""
    serving = pytest.importorskip("websockets.sync.server")
    with contextlib.ExitStack() as started:

        def start(handler, **options):
            options = {"max_size": None, "compression": None, **options}
            server = started.enter_context(serving.serve(handler, "127.0.0.1", 0, **options))
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            started.callback(thread.join, 10)
            started.callback(server.shutdown)
            return server.socket.getsockname()[1]

        yield start


def echo(connection):
    for message in connection:
        connection.send(message)


@pytest.mark.parametrize("offer", [None, "permessage-deflate", "permessage-deflate; client_max_window_bits"])
def test_a_real_server_echoes_messages_of_all_sizes(backend, real, offer):
    port = real(echo, compression="deflate")
    headers = None if offer is None else {"Sec-WebSocket-Extensions": offer}
    sizes = [0, 1, 125, 126, 127, 65535, 65536, 1_000_000]

    async def body():
        async with (
            backend.client() as client,
            opened(client, f"ws://127.0.0.1:{port}/", max_message_size_bytes=4_000_000, headers=headers) as session,
        ):
            assert ("permessage-deflate" in session.response.headers.get("sec-websocket-extensions", "")) == bool(offer)
            for size in sizes:
                data = bytes(range(256)) * (size // 256 + 1)
                await done(session.send_bytes(data[:size]))
                assert await done(session.receive_bytes(timeout=20)) == data[:size]
                await done(session.send_text("ü" * size))
                assert await done(session.receive_text(timeout=20)) == "ü" * size
            await done((await done(session.ping())).wait())

    backend.run(body)


def test_a_real_server_over_tls(backend, real, authority):
    port = real(echo, ssl=authority.server_context("127.0.0.1"))

    async def body():
        async with (
            backend.client(verify=authority.client_context()) as client,
            opened(client, f"wss://127.0.0.1:{port}/", subprotocols=None) as session,
        ):
            await done(session.send_text("secret"))
            assert await done(session.receive_text(timeout=10)) == "secret"

    backend.run(body)


def test_many_messages_go_both_ways_at_once(backend, real):
    port = real(echo)

    async def body():
        async with backend.client() as client, opened(client, f"ws://127.0.0.1:{port}/") as session:
            received = []

            async def send():
                for number in range(500):
                    await done(session.send_text(f"{number} " + "x" * 5000))

            async def receive():
                while len(received) < 500:
                    received.append((await done(session.receive_text(timeout=20))).split()[0])

            await backend.together(send, receive)
            assert received == [str(number) for number in range(500)]

    backend.run(body)


def test_the_function_opens_a_session_with_a_client_of_its_own(real):
    port = real(echo)
    with httpx_fast.websocket(f"ws://127.0.0.1:{port}/") as session:
        session.send_text("hello")
        assert session.receive_text(timeout=10) == "hello"


def test_a_real_server_ends_with_its_code(backend, real):
    def leave(connection):
        connection.close(4004, "gone")

    port = real(leave)

    async def body():
        async with backend.client() as client, opened(client, f"ws://127.0.0.1:{port}/") as session:
            with pytest.raises(WebSocketDisconnect, match="4004: gone"):
                await done(session.receive(timeout=10))

    backend.run(body)
