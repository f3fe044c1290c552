"""TLS over every stream: handshakes that succeed and fail in words, ends that are told apart, and the pump."""

from __future__ import annotations

import contextlib
import ctypes
import datetime as dt
import gc
import select
import shutil
import socket
import ssl
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from net_worlds import Listener, Sink, World, echo, receive, send
from scripted import ScriptedStream

from httpx_fast._drive import drive
from httpx_fast._exceptions import ConnectError, ConnectTimeout, ReadError, ReadTimeout, WriteError
from httpx_fast._net import tls
from httpx_fast._net.base import DONE, Stream
from httpx_fast._net.tls import TLSStream

BIG = 4 * 1024 * 1024  # bytes

VERSIONS = pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["1.2", "1.3"])


@pytest.fixture
def server(authority: Authority) -> ssl.SSLContext:
    return authority.server_context("localhost")


@pytest.fixture
def trusting(authority: Authority) -> ssl.SSLContext:
    return authority.client_context()


async def dial(
    backend: World,
    peer: Listener,
    context: ssl.SSLContext,
    name: str | None = "localhost",
    session: ssl.SSLSession | None = None,
) -> Stream:
    stream = await backend.connect(peer)
    backend.set_deadline(stream, "connect", 30)
    return await stream.start_tls(context, name, session)


@VERSIONS
def test_bytes_go_both_ways(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, version: ssl.TLSVersion
):
    server.maximum_version = version
    before = trusting.options, trusting.verify_mode, trusting.check_hostname, trusting.minimum_version

    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            for number in range(3):
                await send(stream, b"question", b" %d" % number)
                assert await receive(stream, sink, 10) == b"question %d" % number
            assert stream.get_extra_info("ssl_object").version() == f"TLSv1.{2 + (version == ssl.TLSVersion.TLSv1_3)}"
            assert stream.get_extra_info("server_addr")[:2] == peer.address
            assert before == (
                trusting.options,
                trusting.verify_mode,
                trusting.check_hostname,
                trusting.minimum_version,
            )

    backend.run(body)


@VERSIONS
def test_large_transfers_go_both_ways_at_once(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, version: ssl.TLSVersion
):
    server.maximum_version = version
    data = bytes(range(256)) * (BIG // 256)

    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink(wanted=0)
            pieces: list[bytes] = []

            def keep() -> None:
                pieces.append(sink.received)
                sink.received = b""

            sink.told = keep
            stream.attach(sink)
            backend.set_deadline(stream, "write", 30)

            async def write() -> None:
                await send(stream, data[:100], data[100:])

            async def read() -> None:
                while sum(map(len, pieces)) < BIG:
                    await stream.receive()

            await backend.together(write, read)
            assert b"".join(pieces) == data

    backend.run(body)


def test_a_sinks_own_buffer_is_decrypted_into(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    async def body() -> None:
        peer.serve(lambda connection: connection.sendall(b"0123456789"), server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink(buffer=bytearray(4))
            stream.attach(sink)
            assert await receive(stream, sink, 10) == b"0123456789"
            assert sink.pushes == 3

    backend.run(body)


def test_what_came_with_the_handshake_is_pushed_to_who_is_attached(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    async def body() -> None:
        done = peer.serve(lambda connection: connection.sendall(b"welcome"), server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            await backend.runner.hear(done)
            await backend.settle()
            sink = Sink()
            stream.attach(sink)
            if not sink.received:
                await receive(stream, sink, 7)
            else:
                assert sink.received == b"welcome"

    backend.run(body)


def test_a_sink_may_close_its_stream(backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext):
    async def body() -> None:
        def talk(connection: socket.socket) -> None:
            connection.sendall(b"one")
            with contextlib.suppress(OSError):
                connection.sendall(b"two")
                connection.recv(1)

        peer.serve(talk, server)
        stream = await dial(backend, peer, trusting)
        with contextlib.closing(stream):
            sink = Sink()
            pushed: list[bytes] = []

            def told() -> None:
                pushed.append(bytes(sink.received))
                stream.close()

            sink.told = told
            stream.attach(sink)
            if not sink.received:
                with contextlib.suppress(ReadError):  # closing ends the wait, or the push does
                    await stream.receive()
            assert pushed in ([b"one"], [b"onetwo"])  # both records may have come together
            with pytest.raises(ReadError, match="was closed on this side"):
                await stream.receive()
        await backend.settle()

    backend.run(body)


def test_nothing_can_be_written(backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext):
    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            await send(stream, b"")
            await send(stream, b"", b"")
            await send(stream, b"x")
            assert await receive(stream, sink, 1) == b"x"

    backend.run(body)


def test_an_end_with_close_notify_is_clean(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    async def body() -> None:
        def goodbye(connection: socket.socket) -> None:
            assert isinstance(connection, ssl.SSLSocket)
            connection.sendall(b"last")
            assert connection.recv(1) == b"x"
            with contextlib.suppress(OSError):
                connection.unwrap()

        peer.serve(goodbye, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            assert await receive(stream, sink, 4) == b"last"
            await send(stream, b"x")
            for _ in range(2):
                with pytest.raises(ReadError, match=r"127\.0\.0\.1:\d+ closed the connection"):
                    await stream.receive()
            assert sink.ends == [True]
            after = Sink()
            after.end_is_enough = True
            stream.attach(after)
            await stream.receive()
            assert after.ends == [True]

    backend.run(body)


@pytest.mark.parametrize("ignored", [False, True], ids=["told", "ignored by the context"])
def test_an_end_without_close_notify_is_not_clean(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, ignored: bool
):
    if ignored:
        trusting.options |= getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 1 << 7)

    async def body() -> None:
        def leave(connection: socket.socket) -> None:
            connection.sendall(b"all of it?")
            assert connection.recv(1) == b"x"
            connection.close()

        peer.serve(leave, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            assert await receive(stream, sink, 10) == b"all of it?"
            await send(stream, b"x")
            with pytest.raises(ReadError, match="closed the connection"):
                await stream.receive()
            assert sink.ends == [ignored]

    backend.run(body)


def test_closing_says_goodbye(backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext):
    if backend.by_anyio:
        pytest.skip("AnyIO's streams send by waiting only, and closing does not wait")

    async def body() -> None:
        ends: list[bytes] = []

        def listen(connection: socket.socket) -> None:
            assert isinstance(connection, ssl.SSLSocket)
            connection.suppress_ragged_eofs = False
            ends.append(connection.recv(1))

        done = peer.serve(listen, server)
        stream = await dial(backend, peer, trusting)
        stream.attach(Sink())
        stream.close()
        stream.close()
        await backend.runner.hear(done)
        assert ends == [b""]
        with pytest.raises(WriteError, match="closed on this side"):
            await send(stream, b"x")
        with pytest.raises(ReadError, match="closed on this side"):
            await stream.receive()

    backend.run(body)


def shake_and_fail(context: ssl.SSLContext) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        with pytest.raises(OSError, match=r"."), context.wrap_socket(connection, server_side=True) as encrypted:
            while encrypted.recv(100):  # with TLS 1.3 the refusal comes after the server's handshake
                pass
            raise ConnectionResetError("the client left")

    return script


def faulty(folder: Path, which: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """Contexts of a server whose certificate has a fault and of a client which would trust it without."""
    trustme = pytest.importorskip("trustme", reason="certificates with faults are made by trustme")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issuer = trustme.CA()
    client = ssl.create_default_context()
    if which == "self-signed":
        issuer.cert_pem.write_to_path(str(folder / "own.pem"))
        issuer.private_key_pem.write_to_path(str(folder / "own.key"))
        server.load_cert_chain(folder / "own.pem", folder / "own.key")
    elif which == "expired":
        past = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
        issuer.issue_cert("localhost", not_before=past, not_after=past).configure_cert(server)
        issuer.configure_trust(client)
    else:
        issuer.issue_cert("localhost").configure_cert(server)
    return server, client


@pytest.mark.parametrize(
    ("which", "fault"),
    [
        ("unknown issuer", "unable to get local issuer certificate"),
        ("expired", "certificate has expired"),
        ("self-signed", "self.signed certificate"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_named_with_its_fault(
    backend: World, peer: Listener, tmp_path: Path, which: str, fault: str
):
    server, trusting = faulty(tmp_path, which)

    async def body() -> None:
        peer.serve(shake_and_fail(server))
        pattern = (
            rf"^TLS handshake with localhost at 127\.0\.0\.1:\d+ failed: its certificate is not accepted: .*{fault}"
        )
        with pytest.raises(ConnectError, match=pattern) as caught:
            await dial(backend, peer, trusting)
        assert isinstance(caught.value.__cause__, ssl.SSLCertVerificationError)

    backend.run(body)


@pytest.mark.parametrize(("name", "said"), [("example.org", "example.org"), ("127.0.0.1", "127.0.0.1")])
def test_a_certificate_for_another_host_is_named_with_both(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, name: str, said: str
):
    async def body() -> None:
        peer.serve(shake_and_fail(server))
        pattern = rf"TLS handshake with {name} at .* failed: its certificate is not accepted: .*mismatch.*'{said}'"
        with pytest.raises(ConnectError, match=pattern):
            await dial(backend, peer, trusting, name)

    backend.run(body)


def test_a_certificate_that_is_refused_is_no_fault_of_other_connections(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, tmp_path: Path
):
    """OpenSSL keeps errors by thread. CPython forgets them before it asks for more; PyPy leaves that to us."""
    strange = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    strange.load_cert_chain(*Authority(tmp_path).issue("localhost"))

    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as older:
            assert isinstance(older, TLSStream)
            sink = Sink()
            older.attach(sink)

            async def goes_on() -> None:
                # As when less than a record has come: only who has to wait for more hears of errors.
                older.data_received(memoryview(b""))
                await send(older, b"question")
                assert await receive(older, sink, 8) == b"question"

            await goes_on()
            for _ in range(2):
                await refused()
                await goes_on()
            await refused()
            peer.serve(echo, server)
            with contextlib.closing(await dial(backend, peer, trusting)) as newer:
                await goes_on()
                other = Sink()
                newer.attach(other)
                await send(newer, b"answer")
                assert await receive(newer, other, 6) == b"answer"

    async def refused() -> None:
        peer.serve(shake_and_fail(strange))
        with pytest.raises(ConnectError, match="its certificate is not accepted"):
            await dial(backend, peer, trusting)

    backend.run(body)


def test_what_openssl_keeps_of_others_is_forgotten_before_bytes_are_touched(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
):
    """As on PyPy, where reading and writing look at the errors that other connections left."""
    forgotten: list[None] = []
    openssl = types.SimpleNamespace(ERR_clear_error=lambda: forgotten.append(None))
    monkeypatch.setattr(tls, "_openssl", openssl)

    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            before = len(forgotten)
            await send(stream, b"x")
            written = len(forgotten)
            assert written > before
            assert await receive(stream, sink, 1) == b"x"
            assert len(forgotten) > written

    backend.run(body)


def test_a_name_that_no_certificate_can_have_is_refused(backend: World, peer: Listener, trusting: ssl.SSLContext):
    async def body() -> None:
        with pytest.raises(ConnectError, match=r"TLS with \.example\.org at .* cannot begin: ."):
            await dial(backend, peer, trusting, ".example.org")
        with pytest.raises(ConnectError, match="cannot begin: its host is to be checked, and has no name"):
            await dial(backend, peer, trusting, None)

    backend.run(body)


def test_a_server_that_is_mute_costs_the_connect_timeout(backend: World, peer: Listener, trusting: ssl.SSLContext):
    async def body() -> None:
        stream = await backend.connect(peer)
        far = peer.accept()
        backend.set_deadline(stream, "connect", 0.02)
        pattern = (
            r"^connect timed out after [\d.]+ s of 0\.02 s: 127\.0\.0\.1:\d+ sent nothing, "
            r"in the TLS handshake with localhost at 127\.0\.0\.1:\d+$"
        )
        with pytest.raises(ConnectTimeout, match=pattern):
            await stream.start_tls(trusting, "localhost")
        await backend.settle()
        assert far.recv(1)  # the hello
        while far.recv(65536):  # and the end
            pass

    backend.run(body)


def test_a_server_that_hangs_up_is_a_connect_error(backend: World, peer: Listener, trusting: ssl.SSLContext):
    async def body() -> None:
        def hang_up(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.close()

        peer.serve(hang_up)
        with pytest.raises(ConnectError, match=r"TLS handshake with localhost at .* failed: .*closed the connection"):
            await dial(backend, peer, trusting)

    backend.run(body)


def test_a_server_that_does_not_speak_tls_is_told_so(backend: World, peer: Listener, trusting: ssl.SSLContext):
    async def body() -> None:
        def answer(connection: socket.socket) -> None:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        peer.serve(answer)
        with pytest.raises(ConnectError, match=r"failed: what it says is not TLS"):
            await dial(backend, peer, trusting)

    backend.run(body)


def test_no_version_in_common_is_told(backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext):
    server.maximum_version = ssl.TLSVersion.TLSv1_2
    trusting.minimum_version = ssl.TLSVersion.TLSv1_3

    async def body() -> None:
        peer.serve(shake_and_fail(server))
        with pytest.raises(ConnectError, match=r"failed: .*protocol version"):
            await dial(backend, peer, trusting)

    backend.run(body)


def test_a_cancelled_handshake_closes_the_connection(backend: World, peer: Listener, trusting: ssl.SSLContext):
    if not backend.asynchronous:
        pytest.skip("threads are not cancelled")

    async def body() -> None:
        stream = await backend.connect(peer)
        far = peer.accept()

        async def shake() -> None:
            await stream.start_tls(trusting, "localhost")

        await backend.cancel(shake)
        await backend.settle()
        while far.recv(65536):
            pass

    backend.run(body)


def test_the_protocol_is_what_the_context_offers(backend: World, peer: Listener, authority: Authority):
    context = authority.client_context()
    context.set_alpn_protocols(["h2", "http/1.1"])

    async def body() -> None:
        peer.serve(echo, authority.server_context("localhost", alpn=["http/1.1"]))
        with contextlib.closing(await dial(backend, peer, context)) as stream:
            assert stream.get_extra_info("ssl_object").selected_alpn_protocol() == "http/1.1"

    backend.run(body)


@VERSIONS
def test_a_session_can_be_resumed(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext, version: ssl.TLSVersion
):
    server.maximum_version = version

    async def visit(session: ssl.SSLSession | None) -> TLSStream:
        peer.serve(echo, server)
        stream = await dial(backend, peer, trusting, session=session)
        assert isinstance(stream, TLSStream)
        with contextlib.closing(stream):
            sink = Sink()
            stream.attach(sink)
            await send(stream, b"hello")
            await receive(stream, sink, 5)
        return stream

    async def body() -> None:
        first = await visit(None)
        assert not first.get_extra_info("ssl_object").session_reused
        second = await visit(first.session)
        assert second.get_extra_info("ssl_object").session_reused

    backend.run(body)


def test_a_session_of_another_context_is_not_used(
    backend: World, peer: Listener, server: ssl.SSLContext, authority: Authority
):
    async def visit(session: ssl.SSLSession | None) -> TLSStream:
        peer.serve(echo, server)
        stream = await dial(backend, peer, authority.client_context(), session=session)
        assert isinstance(stream, TLSStream)
        with contextlib.closing(stream):
            sink = Sink()
            stream.attach(sink)
            await send(stream, b"hello")
            await receive(stream, sink, 5)
        return stream

    async def body() -> None:
        first = await visit(None)
        second = await visit(first.session)
        assert not second.get_extra_info("ssl_object").session_reused

    backend.run(body)


def test_tickets_are_absorbed_while_idle(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    server.minimum_version = ssl.TLSVersion.TLSv1_3

    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            await backend.settle()
            stream.poll_idle()
            assert (sink.received, sink.ends) == (b"", [])
            await send(stream, b"still there?")
            assert await receive(stream, sink, 12) == b"still there?"

    backend.run(body)


def test_an_idle_connection_notices_the_end(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    if backend.by_anyio:
        pytest.skip("AnyIO's streams are read by waiting only")

    async def body() -> None:
        def answer_and_leave(connection: socket.socket) -> None:
            connection.sendall(connection.recv(100))
            assert connection.recv(1) == b"x"
            with contextlib.suppress(OSError):
                connection.unwrap()  # type: ignore[attr-defined]
            connection.close()

        done = peer.serve(answer_and_leave, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            await send(stream, b"hello")
            assert await receive(stream, sink, 5) == b"hello"
            await send(stream, b"x")
            while not sink.ends:
                await backend.settle()
                stream.poll_idle()
            assert sink.ends == [True]
            stream.close()
            await backend.runner.hear(done)

    backend.run(body)


def test_silence_is_a_read_timeout(backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext):
    async def body() -> None:
        peer.serve(echo, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            stream.attach(Sink())
            backend.set_deadline(stream, "read", 0.02)
            with pytest.raises(ReadTimeout, match=r"of 0\.02 s: 127\.0\.0\.1:\d+ sent nothing"):
                await stream.receive()

    backend.run(body)


def test_bytes_that_are_no_record_end_the_connection(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    async def body() -> None:
        def forge(connection: socket.socket) -> None:
            assert isinstance(connection, ssl.SSLSocket)
            assert connection.recv(1) == b"x"
            with socket.socket(fileno=connection.detach()) as raw:
                raw.settimeout(30)
                raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
                with contextlib.suppress(ConnectionResetError):
                    raw.recv(65536)

        peer.serve(forge, server)
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            stream.attach(Sink())
            await send(stream, b"x")
            for _ in range(2):
                with pytest.raises(
                    ReadError, match=r"TLS with localhost at .* failed while it was read: .*(mac|layer)"
                ):
                    await stream.receive()

    backend.run(body)


class Wire(Stream):
    """Keep what is written for the peer; `answer` is what the peer does when it is read."""

    def __init__(self) -> None:
        self.written = b""
        self.answer: Callable[[], None] = lambda: None

    def receive(self) -> Any:
        self.answer()
        return DONE

    def poll_idle(self) -> None: ...
    def set_hard_deadline(self, *arguments: Any) -> None: ...
    async def flush(self, reading: bool) -> None: ...
    async def start_tls(self, *arguments: Any) -> Any: ...

    def attach(self, sink: Any) -> None: ...
    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None: ...
    def close(self) -> None: ...
    def get_extra_info(self, name: str) -> Any: ...

    @property
    def unsent(self) -> int:
        return 0

    def write(self, *buffers: Any) -> None:
        self.written += b"".join(buffers)


class Pushes:
    """Note each push, and the end."""

    pending = 0

    def __init__(self) -> None:
        self.noted: list[Any] = []

    def get_buffer(self) -> None: ...

    def data_received(self, data: memoryview) -> bool:
        self.noted.append(bytes(data))
        return True

    def eof_received(self, clean: bool) -> bool:
        self.noted.append(clean)
        return True


@pytest.fixture
def in_memory(server: ssl.SSLContext, trusting: ssl.SSLContext) -> tuple[TLSStream, ssl.SSLObject, ssl.MemoryBIO]:
    """A stream that shook hands with a peer in memory, that peer, and what it has sent."""
    wire, coming, going = Wire(), ssl.MemoryBIO(), ssl.MemoryBIO()
    stream = TLSStream(wire, trusting, "localhost", None)
    peer = server.wrap_bio(coming, going, server_side=True)

    async def shake_hands() -> None:
        await stream.shake_hands()

    def answer() -> None:
        coming.write(wire.written)
        wire.written = b""
        with contextlib.suppress(ssl.SSLWantReadError):
            peer.do_handshake()
        stream.data_received(memoryview(going.read()))

    wire.answer = answer
    drive(shake_hands())
    coming.write(wire.written)
    peer.do_handshake()
    return stream, peer, going


@pytest.mark.parametrize(("size", "pushed"), [(3, [9]), (16384, [32768, 16384]), (16000, [32000, 16000])])
def test_records_that_came_together_are_pushed_together(in_memory: Any, size: int, pushed: list[int]):
    stream, peer, going = in_memory
    sink = Pushes()
    stream.attach(sink)
    for letter in (b"a", b"b", b"c"):
        peer.write(letter * size)
    data = going.read()
    assert stream._incoming.write(data) == len(data)
    assert stream._pump()
    assert b"".join(sink.noted) == b"a" * size + b"b" * size + b"c" * size
    assert list(map(len, sink.noted)) == pushed


def allocated() -> int:
    """Return the bytes that malloc has handed out, to OpenSSL above all."""
    mallinfo = getattr(ctypes.CDLL(None), "mallinfo2", None) if sys.platform == "linux" else None
    if mallinfo is None or sys.implementation.name != "cpython":
        pytest.skip("malloc cannot be asked: it is not that of glibc 2.33, or Python is not CPython")
    numbers = ctypes.c_size_t * 10  # arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, ...
    mallinfo.restype = type("Mallinfo", (ctypes.Structure,), {"_fields_": [("numbers", numbers)]})
    gc.collect()
    found: Any = mallinfo()
    return int(found.numbers[7] + found.numbers[4])


@pytest.mark.parametrize("response", [b"", b"ok"], ids=["tickets alone", "tickets and a response"])
def test_a_connection_that_has_read_tickets_keeps_no_buffer_for_records(in_memory: Any, response: bytes):
    # OpenSSL 3.0 allocates 16 KB for writing when it reads a ticket, and keeps them until something is written.
    stream, peer, going = in_memory
    sink = Pushes()
    stream.attach(sink)
    sent = stream._inner.written
    before = allocated()
    if response:
        peer.write(response)
    stream.data_received(memoryview(going.read()))
    if response:
        stream.free_buffers()  # as the end of the first response does
    assert allocated() - before < 8 * 1024
    assert stream._inner.written == sent
    assert sink.noted == ([response] if response else [])
    stream.close()
    stream.free_buffers()


def test_what_came_before_a_forged_record_or_the_end_is_pushed(in_memory: Any):
    stream, peer, going = in_memory
    sink = Pushes()
    stream.attach(sink)
    peer.write(b"one")
    first = going.read()
    peer.write(b"two")
    second = going.read()
    assert stream.data_received(memoryview(first + second[:7]))  # a part of a record waits for the rest
    assert sink.noted == [b"one"]
    with pytest.raises(ReadError, match=r"failed while it was read: .*(mac|layer)"):
        stream.data_received(memoryview(second[7:] + b"\x17\x03\x03\x00\x20" + bytes(32)))
    assert sink.noted == [b"one", b"two"]


def test_the_end_behind_data_is_told_after_it(in_memory: Any):
    stream, peer, going = in_memory
    sink = Pushes()
    stream.attach(sink)
    peer.write(b"one")
    with contextlib.suppress(ssl.SSLWantReadError):
        peer.unwrap()
    assert stream.data_received(memoryview(going.read()))
    assert sink.noted == [b"one", True]


def test_a_client_certificate_that_is_asked_for_is_named_as_missing(
    backend: World, peer: Listener, server: ssl.SSLContext, trusting: ssl.SSLContext
):
    server.verify_mode = ssl.CERT_REQUIRED
    server.minimum_version = ssl.TLSVersion.TLSv1_3

    async def body() -> None:
        peer.serve(shake_and_fail(server))
        with contextlib.closing(await dial(backend, peer, trusting)) as stream:
            stream.attach(Sink())
            with pytest.raises(ReadError, match=r"failed while it was read: .*certificate required"):
                await stream.receive()

    backend.run(body)


def relay(encrypted: ssl.SSLSocket, plain: socket.socket) -> None:
    """Bytes both ways until `encrypted` ends; by one thread, since an SSLSocket bears no two in every Python."""
    plain.setblocking(False)
    waiting = b""
    while True:
        readable, writable, _ = select.select([encrypted, plain], [plain] if waiting else [], [], 30)
        if encrypted in readable:
            data = encrypted.recv(65536)
            if not data:
                return
            waiting += data
            while encrypted.pending():
                waiting += encrypted.recv(65536)
        if plain in writable:
            waiting = waiting[plain.send(waiting) :]
        if plain in readable:
            encrypted.sendall(plain.recv(65536))


def test_tls_runs_inside_tls(backend: World, peer: Listener, server: ssl.SSLContext, authority: Authority):
    data = bytes(range(256)) * 4096
    inner = authority.server_context("inner.example")
    trusting = authority.client_context()

    async def body() -> None:
        def tunnel(connection: socket.socket) -> None:
            assert isinstance(connection, ssl.SSLSocket)
            near, far = socket.socketpair()

            def answer() -> None:
                with far, contextlib.suppress(OSError), inner.wrap_socket(far, server_side=True) as encrypted:
                    echo(encrypted)

            answering = threading.Thread(target=answer)
            answering.start()
            with near:
                relay(connection, near)
            answering.join(30)

        done = peer.serve(tunnel, server)
        outer = await dial(backend, peer, trusting)
        with contextlib.closing(await outer.start_tls(trusting, "inner.example")) as stream:
            sink = Sink()
            stream.attach(sink)
            backend.set_deadline(stream, "read", 30)

            async def write() -> None:
                await send(stream, data)

            async def read() -> None:
                assert await receive(stream, sink, len(data)) == data

            await backend.together(write, read)
            assert stream.get_extra_info("ssl_object") is not outer.get_extra_info("ssl_object")
            assert stream.get_extra_info("server_addr")[:2] == peer.address
        await backend.runner.hear(done)

    backend.run(body)


@pytest.fixture
def openssl(authority: Authority) -> Iterator[Callable[..., subprocess.Popen[bytes]]]:
    """Starts `openssl s_server`, which can be told to do what Python's server cannot."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command")
    started: list[subprocess.Popen[bytes]] = []

    def start(port: int, *options: str) -> subprocess.Popen[bytes]:
        cert, key = authority.issue("localhost")
        command = [
            "openssl",
            "s_server",
            "-accept",
            f"127.0.0.1:{port}",
            "-cert",
            str(cert),
            "-key",
            str(key),
            *options,
        ]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, bufsize=0
        )
        started.append(process)
        says(process, b"ACCEPT")
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def says(process: subprocess.Popen[bytes], words: bytes) -> None:
    """Reads what it prints until it has said `words`."""
    assert process.stdout is not None
    seen = b""
    while words not in seen:
        readable, _, _ = select.select([process.stdout], [], [], 10)
        data = process.stdout.read(1) if readable else b""
        assert data, f"it says no more than {seen!r}"
        seen += data


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


async def dial_port(backend: World, port: int, context: ssl.SSLContext) -> Stream:
    timer = backend.connecting(30)
    stream = await backend.net.connect_tcp([(socket.AF_INET, ("127.0.0.1", port))], timer)
    stream.set_deadline("connect", timer.at, 30)
    return await stream.start_tls(context, "localhost")


def test_renegotiation_is_refused(
    backend: World, openssl: Callable[..., subprocess.Popen[bytes]], trusting: ssl.SSLContext
):
    port = free_port()
    process = openssl(port, "-tls1_2")
    assert process.stdin is not None

    async def body() -> None:
        with contextlib.closing(await dial_port(backend, port, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            process.stdin.write(b"hello\n")
            assert await receive(stream, sink, 6) == b"hello\n"
            process.stdin.write(b"r\n")
            backend.set_deadline(stream, "read", 30)
            for _ in range(2):
                with pytest.raises(ReadError, match="asked to renegotiate TLS, which is refused"):
                    await stream.receive()

    backend.run(body)


@pytest.mark.parametrize(
    ("more", "seen"), [(0, "asked to renegotiate"), (1, "makes TLS answers wait and does not read")]
)
def test_answers_that_the_peer_does_not_read_are_bounded(more: int, seen: str):
    """Played with the one answer that can be made without a peer, which is refused."""
    inner = ScriptedStream([])
    inner.unsent = tls.MAX_ANSWERS + more
    stream = TLSStream(inner, ssl.create_default_context(), "localhost", None)
    assert not stream._step()
    with pytest.raises(ReadError, match=seen):
        stream._answer()


def test_a_key_update_is_answered(
    backend: World, openssl: Callable[..., subprocess.Popen[bytes]], trusting: ssl.SSLContext
):
    port = free_port()
    process = openssl(port, "-tls1_3", "-msg")
    assert process.stdin is not None

    async def body() -> None:
        with contextlib.closing(await dial_port(backend, port, trusting)) as stream:
            sink = Sink()
            stream.attach(sink)
            backend.set_deadline(stream, "read", 30)
            for _ in range(3):
                process.stdin.write(b"K\n")
                says(process, b"KeyUpdate")  # what else lies in its input by then is dropped
                process.stdin.write(b"hello\n")
                assert await receive(stream, sink, 6) == b"hello\n"
                await send(stream, b"answer\n")
                says(process, b"KeyUpdate")  # ours, which goes before what is written next
                says(process, b"answer\n")

    backend.run(body)
