"""Client CPU of HTTP/1.1 in bytes: both twins, and the parsers that other clients stand on. No sockets.

    python -m pytest bench/test_bench_kernels.py

A round of heads is a batch of 1,000, timed by the processor time of this process, so the table's milliseconds are
microseconds for each one; a round of bodies is one body. Ratios within one run are what may be compared. "+fields" asks
for the field lines too, as whoever reads a response's headers does.
"""

from __future__ import annotations

import http.client
import importlib
import io
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

h11 = pytest.importorskip("h11")
httptools = pytest.importorskip("httptools")

BATCH = 1000
READ = 65536  # bytes that a socket gives at once

PROCESSOR_TIME = pytest.mark.benchmark(timer=time.process_time, min_rounds=10, max_time=1, warmup=True)

FIELDS = [
    ("Server", "nginx/1.22.1"),
    ("Content-Length", "1024"),
    ("Date", "Sun, 22 Nov 2026 07:00:00 GMT"),
    ("Content-Type", "application/json; charset=utf-8"),
    ("Connection", "keep-alive"),
    ("Cache-Control", "no-cache, no-store, max-age=0, must-revalidate"),
    ("ETag", 'W/"5f3c-1a2b3c4d5e6f708192a3b4c5d6e7f809"'),
    ("X-Request-Id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("Strict-Transport-Security", "max-age=31536000; includeSubDomains"),
    ("Vary", "Accept-Encoding, Origin"),
    ("X-Content-Type-Options", "nosniff"),
    ("Set-Cookie", "session=9f86d081884c7d659a2feaa0c55ad015; Path=/; HttpOnly"),
]
CUSTOM = [(f"X-Custom-Header-{number}", "v" * 85) for number in range(28)]
REQUEST = [
    ("Host", "example.com"),
    ("Accept", "*/*"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    ("Connection", "keep-alive"),
    ("User-Agent", "python-client/1.0"),
    ("Authorization", "Bearer 0123456789abcdef"),
]


def response(fields: list[tuple[str, str]]) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + b"x" * 1024


RESPONSES = {
    "2 fields": response(FIELDS[:2]),
    "12 fields": response(FIELDS),
    "40 fields": response(FIELDS + CUSTOM),
}
CODED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "10 MiB in chunks of 4 KiB": (b"1000\r\n" + b"y" * 4096 + b"\r\n") * 2560 + b"0\r\n\r\n",
    "80 kB in chunks of 16 bytes": (b"10\r\n" + b"y" * 16 + b"\r\n") * 5000 + b"0\r\n\r\n",
}


def twin(name: str) -> tuple[ModuleType, ModuleType]:
    try:
        return tuple(importlib.import_module(f"httpx_fast._kernel.{kernel}_{name}") for kernel in ("http1", "buffer"))
    except ImportError as error:
        pytest.skip(str(error))


def by_twin(name: str, ask: bool) -> Callable[[bytes], Any]:
    parser = twin(name)[0].HeadParser()

    def read(data: bytes) -> bytes:
        head = parser.feed(data, 0, len(data))
        if ask:
            head.fields()
        size = head.size
        return data[size : size + head.content_length]

    return read


class Collector:
    """Collect what httptools passes to its callbacks."""

    def on_message_begin(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.body: list[bytes] = []
        self.done = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name, value))

    def on_body(self, body: bytes) -> None:
        self.body.append(body)

    def on_message_complete(self) -> None:
        self.done = True


def by_httptools() -> Callable[[bytes], Any]:
    return httptools.HttpResponseParser(Collector()).feed_data


def by_h11() -> Callable[[bytes], Any]:
    connection = h11.Connection(h11.CLIENT)
    request, end = h11.Request(method="GET", target="/", headers=[("Host", "x")]), h11.EndOfMessage()

    def read(data: bytes) -> None:
        connection.send(request)
        connection.send(end)
        connection.receive_data(data)
        while type(connection.next_event()) is not h11.EndOfMessage:
            pass
        connection.start_next_cycle()

    return read


def by_zttp() -> Callable[[bytes], Any]:
    zttp = pytest.importorskip("zttp")
    connection = zttp.Connection(zttp.CLIENT, zttp.HTTP1)

    def read(data: bytes) -> None:
        connection.send_request(b"GET", b"/", b"1.1", [(b"host", b"x")])
        connection.end_message()
        connection.data_to_send()
        list(connection.receive_event(data).headers)
        while type(connection.next_event()) is not zttp.EndOfMessage:
            pass
        connection.start_next_cycle()

    return read


class Canned:
    """Stand for the socket of http.client."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.data)


def by_http_client() -> Callable[[bytes], Any]:
    def read(data: bytes) -> bytes:
        answer = http.client.HTTPResponse(Canned(data))
        answer.begin()
        return answer.read()

    return read


READERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "c": lambda: by_twin("c", ask=False),
    "c+fields": lambda: by_twin("c", ask=True),
    "python": lambda: by_twin("py", ask=False),
    "python+fields": lambda: by_twin("py", ask=True),
    "httptools": by_httptools,
    "zttp": by_zttp,
    "h11": by_h11,
    "http.client": by_http_client,
}


@PROCESSOR_TIME
@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("size", RESPONSES)
def test_bench_response_of_1_kib(benchmark, size, reader):
    benchmark.group = f"1,000 responses of 1 KiB, {size}"
    read, data = READERS[reader](), RESPONSES[size]

    def batch():
        for _ in range(BATCH):
            read(data)

    benchmark(batch)


def chunks_by_twin(name: str) -> Callable[[bytes], Any]:
    decoder = twin(name)[0].ChunkedDecoder()

    def read(data: bytes) -> None:
        decoder.reset()
        view = memoryview(data)
        for start in range(0, len(view), READ):
            decoder.feed(view, start, min(start + READ, len(view)))
        assert decoder.done

    return read


def chunks_by_httptools() -> Callable[[bytes], Any]:
    collector = Collector()
    parser = httptools.HttpResponseParser(collector)

    def read(data: bytes) -> None:
        parser.feed_data(CODED)
        view = memoryview(data)
        for start in range(0, len(view), READ):
            parser.feed_data(view[start : start + READ])
        assert collector.done

    return read


def chunks_by_h11() -> Callable[[bytes], Any]:
    connection = h11.Connection(h11.CLIENT)
    request, end = h11.Request(method="GET", target="/", headers=[("Host", "x")]), h11.EndOfMessage()

    def read(data: bytes) -> None:
        connection.send(request)
        connection.send(end)
        connection.receive_data(CODED)
        for start in range(0, len(data), READ):
            connection.receive_data(data[start : start + READ])
            while connection.next_event() is not h11.NEED_DATA and connection.their_state is h11.SEND_BODY:
                pass
        connection.start_next_cycle()

    return read


def chunks_by_http_client() -> Callable[[bytes], Any]:
    read = by_http_client()
    return lambda data: read(CODED + data)


CHUNK_READERS: dict[str, Callable[[], Callable[[bytes], Any]]] = {
    "c": lambda: chunks_by_twin("c"),
    "python": lambda: chunks_by_twin("py"),
    "httptools": chunks_by_httptools,
    "h11": chunks_by_h11,
    "http.client": chunks_by_http_client,
}


@PROCESSOR_TIME
@pytest.mark.parametrize("reader", CHUNK_READERS)
@pytest.mark.parametrize("body", BODIES)
def test_bench_chunked_body(benchmark, body, reader):
    benchmark.group = body
    benchmark(CHUNK_READERS[reader](), BODIES[body])


def head_by_twin(name: str) -> Callable[[], bytes]:
    request_head = twin(name)[0].request_head
    fields = [(name.encode(), value.encode()) for name, value in REQUEST]
    return lambda: request_head(b"GET", b"/api/v1/items?limit=10", fields)


def head_by_h11() -> Callable[[], Any]:
    def write() -> Any:
        connection = h11.Connection(h11.CLIENT)
        return connection.send(h11.Request(method="GET", target="/api/v1/items?limit=10", headers=REQUEST))

    return write


def head_by_http_client() -> Callable[[], None]:
    connection = http.client.HTTPConnection("example.com")
    connection.send = lambda _bytes: None  # type: ignore[method-assign]

    def write() -> None:
        connection._HTTPConnection__state = "Idle"  # type: ignore[attr-defined]
        connection.putrequest("GET", "/api/v1/items?limit=10", skip_host=True, skip_accept_encoding=True)
        for name, value in REQUEST:
            connection.putheader(name, value)
        connection.endheaders()

    return write


WRITERS: dict[str, Callable[[], Callable[[], Any]]] = {
    "c": lambda: head_by_twin("c"),
    "python": lambda: head_by_twin("py"),
    "h11": head_by_h11,
    "http.client": head_by_http_client,
}


@PROCESSOR_TIME
@pytest.mark.parametrize("writer", WRITERS)
def test_bench_request_head_of_6_fields(benchmark, writer):
    benchmark.group = "1,000 request heads of 6 fields"
    write = WRITERS[writer]()

    def batch():
        for _ in range(BATCH):
            write()

    benchmark(batch)


def collected(name: str, body: memoryview) -> bytes:
    """Receive a body in pieces of 64 KiB, as `recv_into` writes them."""
    collector = twin(name)[1].BodyBuffer(len(body))
    at = 0
    while at < len(body):
        with memoryview(collector.view()) as view:
            size = min(READ, len(view))
            view[:size] = body[at : at + size]
        collector.buffer_updated(size)
        at += size
    return collector.finish()


def joined(body: memoryview) -> bytes:
    return b"".join([bytes(body[start : start + READ]) for start in range(0, len(body), READ)])


COLLECTORS: dict[str, Callable[[memoryview], bytes]] = {
    "c": lambda body: collected("c", body),
    "python": lambda body: collected("py", body),
    "list and join": joined,
}


@PROCESSOR_TIME
@pytest.mark.parametrize("collector", COLLECTORS)
@pytest.mark.parametrize("size", [65536, 1024 * 1024, 10 * 1024 * 1024], ids=["64 KiB", "1 MiB", "10 MiB"])
def test_bench_body_of_known_length(benchmark, size, collector):
    benchmark.group = f"body of {size >> 10} KiB"
    benchmark(COLLECTORS[collector], memoryview(b"z" * size))
