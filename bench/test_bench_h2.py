"""A whole exchange in the protocol layer: HEADERS out, HEADERS and 1 KB of DATA in. h2 and zttp are measured, too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from httpx_fast._wire import h2 as wire
from httpx_fast._wire.heads import WireHead

FIELDS = [
    ("content-type", "application/json; charset=utf-8"),
    ("date", "Mon, 01 Jan 2024 00:00:00 GMT"),
    ("server", "nginx"),
    ("cache-control", "no-cache, no-store, max-age=0, must-revalidate"),
    ("etag", 'W/"5f3c-1a2b3c4d5e6f708192a3b4c5d6e7f809"'),
    ("x-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
    ("strict-transport-security", "max-age=31536000; includeSubDomains"),
    ("vary", "Accept-Encoding, Origin"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("content-length", "1024"),
]
REQUEST = [
    ("user-agent", "python-httpx/0.28.1"),
    ("accept", "*/*"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
]
COUNT = 200  # exchanges of a round; the answers are made before


def answers(first: int) -> list[bytes]:
    """Return what a server sends for `COUNT` streams from `first` on; its table is warm after the first one."""
    hpack = pytest.importorskip("hpack")
    encoder = hpack.Encoder()
    fields = [(":status", "200"), *FIELDS]
    cold, block = encoder.encode(fields), encoder.encode(fields)
    raw = []
    for number in range(COUNT):
        stream_id = (first + 2 * number).to_bytes(4, "big")
        head = block if first > 1 or number else cold
        frames = len(head).to_bytes(3, "big") + b"\x01\x04" + stream_id + head
        raw.append(frames + (1024).to_bytes(3, "big") + b"\x00\x01" + stream_id + bytes(1024))
    return raw


def rounds(setup: Callable[[], Callable[[bytes, int], Any]]) -> Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Return the arguments for each round: the same connection continues."""
    exchange = setup()
    first = 1

    def make() -> tuple[tuple[Any, ...], dict[str, Any]]:
        nonlocal first
        raw = answers(first)
        first += 2 * COUNT
        return (exchange, raw), {}

    return make


def run(exchange: Callable[[bytes, int], Any], raw: list[bytes]) -> None:
    for each in raw:
        exchange(each, 0)


def ours() -> Callable[[bytes, int], Any]:
    session = wire.Session()
    session.feed(b"\0\0\0\x04\0\0\0\0\0", 0.0)
    fields = [(name.encode(), value.encode()) for name, value in REQUEST]
    head = WireHead(b"GET", b"https", b"example.org", b"/things", fields)
    reader = wire.StreamReader

    def exchange(raw: bytes, moment: float) -> None:
        stream = reader(b"GET", True)
        session.open(stream, head, True)
        session.outgoing.clear()
        session.feed(raw, moment)
        assert len(stream.take_whole()) == 1024

    return exchange


def theirs() -> Callable[[bytes, int], Any]:
    connection = pytest.importorskip("h2.connection")
    events = pytest.importorskip("h2.events")
    config = pytest.importorskip("h2.config")
    peer = connection.H2Connection(config.H2Configuration(client_side=True, header_encoding=None))
    peer.initiate_connection()
    peer.receive_data(b"\0\0\0\x04\0\0\0\0\0")
    fields = [(":method", "GET"), (":scheme", "https"), (":authority", "example.org"), (":path", "/things"), *REQUEST]

    def exchange(raw: bytes, moment: float) -> None:
        stream_id = peer.get_next_available_stream_id()
        peer.send_headers(stream_id, fields, end_stream=True)
        peer.data_to_send()
        for event in peer.receive_data(raw):
            if isinstance(event, events.DataReceived):
                peer.acknowledge_received_data(event.flow_controlled_length, stream_id)
                assert len(event.data) == 1024
        peer.data_to_send()

    return exchange


def of_zttp() -> Callable[[bytes, int], Any]:
    zttp = pytest.importorskip("zttp")
    peer = zttp.Connection(zttp.CLIENT, zttp.HTTP2)
    peer.initiate_connection()
    peer.receive_data(b"\0\0\0\x04\0\0\0\0\0")
    fields = [(name.encode(), value.encode()) for name, value in [("host", "example.org"), *REQUEST]]

    def exchange(raw: bytes, moment: float) -> None:
        peer.send_request(b"GET", b"/things", b"2", fields).end_message()
        peer.data_to_send()
        peer.receive_data(raw)
        received = 0
        while type(event := peer.next_event()) is not zttp.EndOfMessage:
            if type(event) is zttp.Data:
                received += len(event.data)
        assert received == 1024
        peer.data_to_send()

    return exchange


@pytest.mark.parametrize("which", [ours, theirs, of_zttp], ids=["httpx_fast", "h2", "zttp"])
def test_an_exchange_in_the_protocol_layer(benchmark: Any, which: Callable[[], Any]):
    benchmark.pedantic(run, setup=rounds(which), rounds=20)


@pytest.mark.parametrize("before", [0, 100_000], ids=["first", "after 100,000"])
def test_an_exchange_costs_the_same_after_many(benchmark: Any, before: int):
    def aged() -> Callable[[bytes, int], Any]:
        exchange = ours()
        first = 1
        for _ in range(before // COUNT):
            run(exchange, answers(first))
            first += 2 * COUNT
        return exchange

    make = rounds(aged)
    for _ in range(before // COUNT):
        make()
    benchmark.pedantic(run, setup=make, rounds=20)
