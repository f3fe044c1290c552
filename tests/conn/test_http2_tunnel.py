"""`network_stream` over HTTP/2: a stream that is the user's after 2xx to CONNECT, in every world."""

from __future__ import annotations

import contextlib
import ssl
import threading
from typing import Any

import pytest
from either import close, done
from kernels import KERNELS, speak_http2

import httpx_fast
from httpx_fast._deadline import NEVER
from httpx_fast.testing import FaultLab, Hold, Http2, Read, ReadFrames, ReadHead, Repeat, Send, Tell, frames

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

OK = (":status", "200")
MIB = 1024 * 1024
ONE = httpx_fast.Limits(max_connections=1)
OTHERS = [Repeat(Read(), Send(frames.response(b"good")))]


@pytest.fixture(params=KERNELS, autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    speak_http2(request.param, monkeypatch)
    return str(request.param)


class Accept:
    """Opens the tunnel, and sends back what comes until the client ends it; then it ends, too."""

    async def run(self, dialogue: Any) -> None:
        stream = dialogue.last_request().stream
        send = dialogue.connection.send
        await send(frames.headers(stream, OK))
        while raw := await dialogue.http2.receive_data(stream):
            await send(frames.data(stream, raw))
        await send(frames.data(stream, end=True))


async def read_exactly(network: Any, size: int) -> bytes:
    raw = b""
    while len(raw) < size:
        piece = await done(network.read(size - len(raw), timeout=20))
        assert piece, "the peer has ended"
        raw += piece
    return raw


@pytest.fixture
def new_client(backend: Any) -> Any:
    return lambda **options: backend.client(**{"http1": False, "http2": True, "timeout": 20, "limits": ONE, **options})


@contextlib.asynccontextmanager
async def tunnel(client: Any, lab: FaultLab) -> Any:
    async with client.stream("CONNECT", lab.url(), extensions={"target": b"example.org:443"}) as response:
        assert response.status_code == 200
        yield response.extensions["network_stream"]


def counts(client: Any) -> tuple[int, int]:
    stats = client._transport.pool.stats()
    return stats.leased, stats.idle


def test_a_tunnel_is_not_bound_by_the_total_of_its_request(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), ReadHead(), Accept(), *OTHERS)

    async def body():
        async with (
            new_client(timeout=httpx_fast.Timeout(20, total=20)) as client,
            tunnel(client, fault_lab) as network,
        ):
            exchange = network._stream._exchange
            assert exchange.timer.hard == exchange.writer.timer.hard == NEVER
            await done(network.write(b"x", timeout=20))
            assert await read_exactly(network, 1) == b"x"
            await close(network)

    backend.run(body)


def test_tls_over_a_tunnel_in_silence_fails_as_connecting(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), ReadHead(), Send(frames.headers(1, OK)), Hold())

    async def body():
        async with new_client() as client, tunnel(client, fault_lab) as network:
            with pytest.raises(
                httpx_fast.ConnectTimeout, match=r"^connect timed out after .* of 0\.02 s: peer sent nothing"
            ):
                await done(network.start_tls(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "example.org", timeout=0.02))

    backend.run(body)


def test_bytes_go_both_ways(backend, fault_lab, new_client):
    told = threading.Event()
    fault_lab.serve(Http2(), ReadHead(), Accept(), Tell(told), *OTHERS)

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                assert network.get_extra_info("server_addr") == ("127.0.0.1", fault_lab.port)
                assert network.get_extra_info("is_readable") is False
                for raw in (b"one", b"two" * 1000):
                    await done(network.write(raw))
                    assert await read_exactly(network, len(raw)) == raw
                await done(network.write(b"rest"))
                assert await done(network.read(1)) == b"r"
                assert network.get_extra_info("is_readable") is True
                assert await done(network.read(100)) == b"est"
                await close(network)
                await close(network)
            await backend.hear(told)
            assert counts(client) == (0, 1)
            assert (await client.get(fault_lab.url())).journey.nth == 2
        request = fault_lab.requests[0]
        assert request.fields[:2] == [(":method", "CONNECT"), (":authority", "example.org:443")]
        assert not [name for name, _ in request.fields[2:] if name.startswith(":")]
        lines = fault_lab.frames()
        assert "HEADERS 1" in lines
        assert lines.index("DATA 1 0 end") < lines.index("RST_STREAM 1 CANCEL")

    backend.run(body)


def test_the_end_of_either_side_is_the_end_of_that_side(backend, fault_lab, new_client):
    fault_lab.serve(
        Http2(),
        ReadHead(),
        Send(frames.headers(1, OK, ("content-length", "1")) + frames.data(1, b"last", end=True)),
        ReadFrames("DATA 1 5"),
        ReadFrames("DATA 1 0 end"),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                assert await done(network.read(100)) == b"last"
                for _ in range(2):
                    assert await done(network.read(100)) == b""
                await done(network.write(b"after"))
            assert (await client.get(fault_lab.url())).text == "good"
            assert counts(client) == (0, 1)
        assert not [line for line in fault_lab.frames() if line.startswith("RST_STREAM")]

    backend.run(body)


def test_a_reset_is_the_end_of_both_sides(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), ReadHead(), Send(frames.headers(1, OK) + frames.reset(1, "CONNECT_ERROR")), *OTHERS)

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                with pytest.raises(httpx_fast.ReadError, match="peer reset stream 1: CONNECT_ERROR"):
                    await done(network.read(100))
                with pytest.raises(httpx_fast.WriteError, match="peer reset stream 1: CONNECT_ERROR"):
                    await done(network.write(b"x"))
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_the_end_of_the_connection_is_told(backend, fault_lab, new_client):
    fault_lab.serve([Http2(), ReadHead(), Send(frames.headers(1, OK) + frames.data(1, b"last"))], [Http2(), *OTHERS])

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                assert await done(network.read(100)) == b"last"
                with pytest.raises(httpx_fast.ReadError, match="peer closed the connection"):
                    await done(network.read(100))
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


@pytest.mark.parametrize("status", ["200", "204", "299"])
def test_any_2xx_opens_it_and_a_section_in_it_is_a_fault(backend, fault_lab, new_client, status):
    head = frames.headers(1, (":status", status), ("content-length", "3"))
    trailers = frames.headers(1, ("x-sum", "1"), end=True)
    fault_lab.serve(
        Http2(),
        ReadHead(),
        Send(head + frames.data(1, b"more than three")),
        ReadFrames("DATA 1 2"),
        Send(trailers),
        ReadFrames("RST_STREAM 1 PROTOCOL_ERROR"),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with client.stream("CONNECT", fault_lab.url()) as response:
                assert response.status_code == int(status)
                network = response.extensions["network_stream"]
                assert await read_exactly(network, 15) == b"more than three"
                await done(network.write(b"go"))
                with pytest.raises(httpx_fast.ReadError, match="HEADERS came in a tunnel"):
                    await done(network.read(1))
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_a_refusal_is_a_response_like_any_other(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), ReadHead(), Send(frames.response(b"no such host", status=502)), *OTHERS)

    async def body():
        async with new_client() as client:
            async with client.stream("CONNECT", fault_lab.url()) as response:
                assert (response.status_code, await response.aread()) == (502, b"no such host")
                with pytest.raises(RuntimeError, match="speaks HTTP"):
                    await done(response.extensions["network_stream"].read(1))
            assert (await client.get(fault_lab.url())).text == "good"
            assert counts(client) == (0, 1)
        assert fault_lab.requests[0].target == f"127.0.0.1:{fault_lab.port}"

    backend.run(body)


def test_what_is_written_waits_for_the_window_of_the_stream_and_reading_goes_on(backend, fault_lab, new_client):
    raw = bytes(range(256)) * 800
    said: list[bytes] = []

    class Slow:
        """Gives credit for what was said only after the client has been told so much."""

        async def run(self, dialogue: Any) -> None:
            send = dialogue.connection.send
            while sum(map(len, said)) < len(raw):
                piece = await dialogue.http2.receive_data(1)
                said.append(piece)
                await send(frames.data(1, piece[:1]) + frames.window_update(0, len(piece)))
                await send(frames.window_update(1, len(piece)))
            await send(frames.data(1, end=True))

    fault_lab.serve(Http2(answers=False, initial_window_size=1000), ReadHead(), Send(frames.headers(1, OK)), Slow())

    async def body():
        async with new_client() as client, tunnel(client, fault_lab) as network:

            async def write():
                await done(network.write(raw, timeout=20))

            async def read():
                heard = b""
                while piece := await done(network.read(10, timeout=20)):
                    heard += piece
                return heard

            _, heard = await backend.together(write, read)
            assert len(heard) == len(said)
        assert b"".join(said) == raw

    backend.run(body)


def test_what_comes_is_credited_as_it_is_read(backend, fault_lab, new_client):
    full = frames.data(1, bytes(256 * 1024)) * 4
    fault_lab.serve(
        Http2(),
        ReadHead(),
        Send(frames.headers(1, OK) + full),
        ReadFrames("WINDOW_UPDATE 1"),
        Send(frames.data(1, bytes(1000), end=True)),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                await read_exactly(network, 1000)
                assert len(await read_exactly(network, MIB)) == MIB
                assert await done(network.read(1)) == b""
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_timeouts_lose_nothing(backend, fault_lab, new_client):
    fault_lab.serve(
        Http2(answers=False, initial_window_size=3),
        ReadHead(),
        Send(frames.headers(1, OK)),
        ReadFrames("DATA 1 3"),
        Hold(),
        Send(frames.window_update(1, 100) + frames.data(1, b"late")),
        ReadFrames("DATA 1 3", "DATA 1 3"),
        Send(frames.data(1, b"all")),
        *OTHERS,
    )

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                with pytest.raises(httpx_fast.ReadTimeout, match=r"^read timed out after \S+ s of 0\.02 s"):
                    await done(network.read(100, timeout=0.02))
                with pytest.raises(httpx_fast.WriteTimeout, match=r"^write timed out after \S+ s of 0\.02 s"):
                    await done(network.write(b"123456", timeout=0.02))
                fault_lab.release()
                assert await read_exactly(network, 4) == b"late"
                await done(network.write(b"789", timeout=20))
                assert await read_exactly(network, 3) == b"all"
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_closing_wakes_who_reads(backend, fault_lab, new_client):
    fault_lab.serve(Http2(), ReadHead(), Accept(), *OTHERS)

    async def body():
        async with new_client() as client, tunnel(client, fault_lab) as network:
            reading = backend.event()

            async def read():
                reading.set()
                with pytest.raises(httpx_fast.ReadError, match="was closed on this side"):
                    await done(network.read(100))

            async def leave():
                await reading.wait()
                await close(network)
                with pytest.raises(httpx_fast.WriteError, match="was closed on this side"):
                    await done(network.write(b"x"))

            await backend.together(read, leave)
            assert (await client.get(fault_lab.url())).text == "good"
            assert counts(client) == (0, 1)

    backend.run(body)


def test_tunnels_and_requests_share_a_connection(backend, fault_lab, new_client):
    class Serve:
        """Echoes on all tunnels, and answers what is none."""

        async def run(self, dialogue: Any) -> None:
            conversation, send = dialogue.http2, dialogue.connection.send
            while True:
                line = (await conversation.hear()).split()
                if line[0] == "HEADERS":
                    end = line[-1] == "end"
                    await send(frames.headers(int(line[1]), OK, end=end))
                elif line[0] == "DATA" and line[2] != "0":
                    stream = int(line[1])
                    await send(frames.data(stream, await conversation.receive_data(stream)))

    fault_lab.serve(Http2(), Serve())

    async def body():
        async with new_client() as client:
            await client.get(fault_lab.url())

            async def one():
                async with tunnel(client, fault_lab) as network:
                    for number in range(20):
                        raw = b"%d" % number * 100
                        await done(network.write(raw))
                        assert await read_exactly(network, len(raw)) == raw
                        assert (await client.get(fault_lab.url())).status_code == 200

            await backend.together(*[one] * 10)
            assert counts(client) == (0, 1)
        assert fault_lab.accepted == 1

    backend.run(body)


def test_tls_runs_through_a_tunnel(backend, fault_lab, new_client):
    class TlsEcho:
        """Shakes hands on the stream, and sends back what it is told."""

        async def run(self, dialogue: Any) -> None:
            conversation, send = dialogue.http2, dialogue.connection.send
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = dialogue.context(()).wrap_bio(incoming, outgoing, server_side=True)

            async def step(call: Any) -> Any:
                while True:
                    try:
                        result = call()
                        break
                    except ssl.SSLWantReadError:
                        await send(frames.data(1, outgoing.read()))
                        incoming.write(await conversation.receive_data(1))
                await send(frames.data(1, outgoing.read()))
                return result

            await step(tls.do_handshake)
            raw = await step(lambda: tls.read(100))
            await step(lambda: tls.write(raw))

    fault_lab.serve(Http2(), ReadHead(), Send(frames.headers(1, OK)), TlsEcho(), *OTHERS)

    async def body():
        async with new_client() as client:
            async with tunnel(client, fault_lab) as network:
                secret = await done(network.start_tls(fault_lab.client_context(), "localhost", timeout=20))
                assert secret.get_extra_info("ssl_object").version().startswith("TLSv1.")
                await done(secret.write(b"hello"))
                assert await done(secret.read(100, timeout=20)) == b"hello"
                await close(secret)
            assert (await client.get(fault_lab.url())).text == "good"
            assert counts(client) == (0, 1)

    backend.run(body)
