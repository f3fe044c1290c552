"""A session against the h2 package as the server: whatever happens, both ends' windows agree with a model."""

from __future__ import annotations

import random
from typing import Any

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import h2.settings
import pytest

from httpx_fast._wire import h2 as wire
from httpx_fast._wire.h2_stream import ENDED, FAILED, StreamReader
from httpx_fast._wire.heads import WireHead
from httpx_fast._wire.windows import CONNECTION_WINDOW

HEAD = WireHead(b"POST", b"https", b"example.org", b"/", [(b"Host", b"example.org"), (b"X-Thing", b"value")])
STEPS = 14_000  # of a conversation; a quarter of them begins a stream, most of which are cancelled at some time


class Conversation:
    """Both ends, what is on its way between them, and what each has sent and claimed by our own count."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.session = wire.Session()
        self.server = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self.server.initiate_connection()
        self.to_client: list[bytes] = []
        self.to_server: list[bytes] = []
        self.streams: dict[int, StreamReader] = {}
        self.uploads: dict[int, bytes] = {}  # what is left to send
        self.received: dict[int, bytearray] = {}  # by the client
        self.sent: dict[int, bytearray] = {}  # by the server
        self.taken: dict[int, bytearray] = {}  # by the server
        self.sent_up: dict[int, bytearray] = {}  # by the client
        self.answering: dict[int, int] = {}  # bytes that the server still has to send
        self.ended = self.cancelled = self.refused = 0

    # The client.

    def begin(self) -> None:
        stream = StreamReader(b"POST", self.dice.random() < 0.5)
        size = self.dice.choice((0, 0, 10, 5000, 100_000))
        self.session.open(stream, HEAD, not size)
        self.streams[stream.id] = stream
        if size:
            self.uploads[stream.id] = self.dice.randbytes(size)
        self.received[stream.id] = bytearray()
        self.sent_up[stream.id] = bytearray()

    def upload(self) -> None:
        for stream_id in self.some(self.uploads):
            stream, raw = self.streams[stream_id], self.uploads[stream_id]
            if not stream.sending:
                del self.uploads[stream_id]
                continue
            count = self.session.send(stream, raw, True)
            self.sent_up[stream_id] += raw[:count]
            self.uploads[stream_id] = raw[count:]
            if count == len(raw):
                del self.uploads[stream_id]

    def claim(self) -> None:
        for stream_id in self.some(self.streams):
            stream = self.streams[stream_id]
            if not stream.whole:
                self.received[stream_id] += self.session.claim(stream)

    def cancel(self) -> None:
        for stream_id in self.some(self.streams):
            if self.dice.random() < 0.5:
                self.session.reset(self.streams.pop(stream_id))
                self.uploads.pop(stream_id, None)
                self.cancelled += 1

    def finish(self) -> None:
        """Looks at streams that have ended: nothing may be missing."""
        for stream_id, stream in list(self.streams.items()):
            if stream.state == FAILED:
                assert "peer reset stream" in str(stream.error)
                del self.streams[stream_id]
                self.uploads.pop(stream_id, None)
            elif stream.state == ENDED and not stream.sending:
                self.received[stream_id] += stream.take_whole()
                assert self.received[stream_id] == self.sent[stream_id]
                del self.streams[stream_id]
                self.ended += 1

    # The server.

    def answer(self) -> None:
        for stream_id in self.some(self.answering):
            left = self.answering[stream_id]
            try:
                count = min(left, self.server.local_flow_control_window(stream_id), self.dice.choice((1, 1000, 16384)))
                if count <= 0 < left:
                    continue
                raw = self.dice.randbytes(count)
                padding = self.dice.choice((None, None, 0, 9))
                if padding is not None and count + padding + 1 > self.server.local_flow_control_window(stream_id):
                    padding = None
                self.server.send_data(stream_id, raw, end_stream=count == left, pad_length=padding)
            except (h2.exceptions.StreamClosedError, h2.exceptions.NoSuchStreamError):
                del self.answering[stream_id]
                continue
            self.sent[stream_id] += raw
            self.answering[stream_id] = left - count
            if count == left:
                del self.answering[stream_id]

    def refuse(self) -> None:
        for stream_id in self.some(self.answering):
            if self.dice.random() < 0.05:
                del self.answering[stream_id]
                self.server.reset_stream(stream_id, 7)
                self.refused += 1

    def resize(self) -> None:
        if self.dice.random() < 0.1:
            size = self.dice.choice((0, 100, 65535, 200_000))
            self.server.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: size})
            self.server.update_settings({h2.settings.SettingCodes.HEADER_TABLE_SIZE: self.dice.choice((0, 100, 4096))})

    def take(self, events: list[Any]) -> None:
        gone = {event.stream_id for event in events if isinstance(event, h2.events.StreamReset)}
        for event in events:
            if isinstance(event, h2.events.RequestReceived) and event.stream_id in gone:
                self.taken[event.stream_id] = bytearray()
            elif isinstance(event, h2.events.RequestReceived):
                stream_id = event.stream_id
                self.taken[stream_id] = bytearray()
                self.sent[stream_id] = bytearray()
                size = self.dice.choice((0, 1, 3000, 50_000, 2_000_000))
                fields = [(":status", "200"), ("x-number", str(stream_id))]
                self.server.send_headers(stream_id, fields, end_stream=not size)
                if size:
                    self.answering[stream_id] = size
            elif isinstance(event, h2.events.DataReceived):
                self.taken[event.stream_id] += event.data
                self.server.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, h2.events.StreamReset):
                self.answering.pop(event.stream_id, None)

    # The way between them.

    def carry(self) -> None:
        """Some of what is on its way arrives, in pieces."""
        self.to_server.append(b"".join(self.session.outgoing))
        self.session.outgoing.clear()
        self.to_client.append(self.server.data_to_send())
        if self.dice.random() < 0.7:
            raw = b"".join(self.to_server)
            self.to_server.clear()
            self.take(self.server.receive_data(raw))
        if self.dice.random() < 0.7:
            raw = b"".join(self.to_client)
            self.to_client.clear()
            cut = self.dice.randrange(len(raw) + 1)
            for part in (raw[:cut], raw[cut:]):
                self.session.begin_stretch()
                self.session.feed(part, 0.0)
        assert self.session.broken is None

    def settle(self) -> None:
        """All that is on its way arrives, and what comes of it."""
        while True:
            up = b"".join(self.to_server) + b"".join(self.session.outgoing)
            self.to_server.clear()
            self.session.outgoing.clear()
            self.take(self.server.receive_data(up))
            down = b"".join(self.to_client) + self.server.data_to_send()
            self.to_client.clear()
            self.session.feed(down, 0.0)
            if not (up or down):
                return

    def some(self, among: dict[int, Any]) -> list[int]:
        return self.dice.sample(list(among), min(len(among), 3))

    def check(self) -> None:
        session, server = self.session, self.server
        for stream_id, stream in self.streams.items():
            assert stream.left + stream.owed + stream.pending == stream.granted or stream.state >= ENDED
            assert self.sent_up[stream_id].startswith(self.taken.get(stream_id, b""))
        assert 0 <= session.room <= CONNECTION_WINDOW
        if self.dice.random() < 0.2:
            self.settle()
            # Nothing is on its way: what the one may send is what the other takes.
            assert session.room == server.outbound_flow_control_window
            assert session.window_out == server.inbound_flow_control_window
            for stream_id, stream in session.streams.items():
                if stream.state < ENDED:
                    assert stream.left >= server.local_flow_control_window(stream_id)


@pytest.mark.parametrize("seed", range(3))
def test_windows_agree_whatever_is_cancelled(kernel: str, seed: int):
    talk = Conversation(seed)
    dice = talk.dice
    steps = [talk.upload, talk.claim, talk.answer, talk.answer, talk.resize, talk.refuse]
    talk.carry()
    for _ in range(STEPS):
        talk.session.try_more()  # it takes fewer at once after each stream that the peer refuses
        if dice.random() < 0.25 and len(talk.session.streams) < min(60, talk.session.limit or 60):
            talk.begin()
        if dice.random() < 0.25:
            talk.cancel()
        dice.choice(steps)()
        talk.carry()
        talk.finish()
        talk.check()
    assert talk.refused > 50
    assert talk.cancelled > 2000
    assert talk.ended > 50


@pytest.mark.parametrize("seed", range(2))
def test_what_is_left_ends_byte_for_byte(kernel: str, seed: int):
    talk = Conversation(seed)
    talk.carry()
    for _ in range(100):
        talk.begin()
        talk.carry()
    for _ in range(100_000):
        if not talk.streams:
            break
        talk.upload()
        talk.claim()
        talk.answer()
        talk.carry()
        talk.finish()
    assert talk.ended == 100
    assert all(talk.taken[stream_id] == raw for stream_id, raw in talk.sent_up.items())
