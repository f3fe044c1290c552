"""The fault lab's HTTP/2, heard by the h2 package: what its frames say, and what it reads."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Iterator

import h2.connection
import h2.events
import pytest

from httpx_fast.testing import FaultLab, Http2, Read, ReadBody, ReadFrames, ReadHead, Repeat, Send, Tls, frames

PUT = [(":method", "PUT"), (":scheme", "http"), (":authority", "lab"), (":path", "/1")]

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]


class Talker:
    """A client made of h2 and a socket."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.events: Iterator[h2.events.Event] = iter(())
        self.state = h2.connection.H2Connection()
        self.state.initiate_connection()
        self.say()

    def say(self) -> None:
        self.connection.sendall(self.state.data_to_send())

    def ask(self, stream: int, *fields: tuple[str, str], body: bytes = b"", method: str = "GET") -> None:
        head = [(":method", method), (":scheme", "http"), (":authority", "lab"), (":path", f"/{stream}"), *fields]
        self.state.send_headers(stream, head, end_stream=not body)
        if body:
            self.state.send_data(stream, body, end_stream=True)
        self.say()

    def until(self, kind: type[h2.events.Event]) -> h2.events.Event:
        while True:
            for event in self.events:
                if isinstance(event, kind):
                    return event
            data = self.connection.recv(65536)
            assert data, "the lab closed"
            self.events = iter(self.state.receive_data(data))
            self.say()


@contextlib.contextmanager
def talking(lab: FaultLab, context: ssl.SSLContext | None = None):
    with socket.create_connection(("127.0.0.1", lab.port), 30) as connection:
        if context is None:
            yield Talker(connection)
        else:
            with context.wrap_socket(connection, server_hostname="localhost") as tls:
                assert tls.selected_alpn_protocol() == "h2"
                yield Talker(tls)


@pytest.mark.parametrize("secure", [False, True], ids=["cleartext", "tls"])
def test_requests_are_read_and_answered(fault_lab: FaultLab, secure: bool):
    answer = frames.response(b"hello", ("x-thing", "v" * 300), status=201, length=5, trailers=[("x-sum", "1")])
    fault_lab.serve(*([Tls("h2")] if secure else []), Http2(max_concurrent_streams=7), Repeat(Read(), Send(answer)))
    with talking(fault_lab, fault_lab.client_context("h2") if secure else None) as talker:
        talker.until(h2.events.RemoteSettingsChanged)
        assert talker.state.remote_settings.max_concurrent_streams == 7
        talker.ask(1, ("x-field", "value"), body=b"content", method="POST")
        head = talker.until(h2.events.ResponseReceived)
        assert head.headers == [
            (b":status", b"201"),
            (b"x-thing", b"v" * 300),
            (b"content-length", b"5"),
        ]
        assert talker.until(h2.events.TrailersReceived).stream_id == 1
        talker.ask(3)
        assert talker.until(h2.events.TrailersReceived).stream_id == 3
    first, second = fault_lab.requests
    assert (first.method, first.target, first.body, first.http_version) == ("POST", "/1", b"content", "HTTP/2")
    assert (first.stream, first.nth, first.field("x-field")) == (1, 1, "value")
    assert (first.tls_version is not None) == secure
    assert (second.stream, second.nth, second.target) == (3, 2, "/3")


def test_interleaved_requests_are_read_in_the_order_of_their_ends(fault_lab: FaultLab):
    fault_lab.serve(Http2(), Read(), Read(), Send(frames.ping()), ReadFrames())
    with talking(fault_lab) as talker:
        talker.state.send_headers(1, PUT)
        talker.state.send_data(1, b"fir")
        talker.ask(3)
        talker.state.send_data(1, b"st", end_stream=True)
        talker.say()
        talker.until(h2.events.PingReceived)
    assert [(each.stream, each.body) for each in fault_lab.requests] == [(3, b""), (1, b"first")]


def test_a_body_is_read_after_the_head_was_answered(fault_lab: FaultLab):
    fault_lab.serve(Http2(), ReadHead(), Send(frames.headers(1, (":status", "200"))), ReadBody(), Send(frames.ping()))
    with talking(fault_lab) as talker:
        talker.state.send_headers(1, PUT)
        talker.say()
        talker.until(h2.events.ResponseReceived)
        talker.state.send_data(1, b"late", end_stream=True)
        talker.say()
        talker.until(h2.events.PingReceived)
    assert [each.body for each in fault_lab.requests] == [b"late"]


def test_frames_are_told_in_lines(fault_lab: FaultLab):
    fault_lab.serve(Http2(), ReadFrames("GOAWAY 0 ENHANCE_YOUR_CALM"), Send(frames.ping()), ReadFrames())
    with talking(fault_lab) as talker:
        talker.state.send_headers(1, PUT)
        talker.state.send_data(1, b"12345", pad_length=3)
        talker.state.increment_flow_control_window(9)
        talker.state.ping(b"whoknows")
        talker.state.reset_stream(1, 8)
        talker.say()
        talker.connection.sendall(frames.goaway(0, "ENHANCE_YOUR_CALM") + frames.reset(3, 0x77))
        talker.until(h2.events.PingReceived)
    lines = fault_lab.frames()
    said = [line for line in lines if not line.startswith("SETTINGS")]
    assert lines[0].startswith("SETTINGS header_table_size=4096 enable_push=1 initial_window_size=65535")
    assert said[:6] == [
        "HEADERS 1",
        "DATA 1 5",
        "WINDOW_UPDATE 0 9",
        "PING 77686f6b6e6f7773",
        "RST_STREAM 1 CANCEL",
        "GOAWAY 0 ENHANCE_YOUR_CALM",
    ]
    assert fault_lab.frames(2) == []


def test_what_is_read_is_credited_and_answered_unless_the_script_does_that(fault_lab: FaultLab):
    fault_lab.serve(
        Http2(answers=False), ReadFrames("DATA 1 5 end"), Send(frames.settings(max_frame_size=20000)), ReadFrames()
    )
    with talking(fault_lab) as talker:
        talker.ask(1, body=b"12345")
        talker.state.ping(b"whoknows")
        talker.say()
        assert talker.until(h2.events.RemoteSettingsChanged).changed_settings == {}
        talker.until(h2.events.RemoteSettingsChanged)
        assert talker.state.outbound_flow_control_window == 65535 - 5
    fault_lab.serve(Http2(), ReadFrames())
    with talking(fault_lab) as talker:
        talker.ask(1, body=b"12345")
        talker.state.ping(b"whoknows")
        talker.say()
        talker.until(h2.events.PingAckReceived)
        assert talker.state.outbound_flow_control_window == 65535


def test_blocks_are_continued_and_indexed(fault_lab: FaultLab):
    indexed = frames.block(("x-thing", "value"), index=True)
    head = frames.headers(1, (":status", "200"), indexed, b"\xbe", end=True, cuts=(1, 9))
    fault_lab.serve(Http2(), Read(), Send(head), ReadFrames())
    with talking(fault_lab) as talker:
        talker.ask(1)
        event = talker.until(h2.events.ResponseReceived)
        assert event.headers == [(b":status", b"200"), (b"x-thing", b"value"), (b"x-thing", b"value")]


def test_a_name_that_is_no_setting_is_refused():
    with pytest.raises(TypeError, match="'initial_windows'; expected one of header_table_size, enable_push"):
        Http2(initial_windows=1)


@pytest.mark.parametrize(
    ("script", "error"),
    [([ReadFrames()], "have the script begin it with Http2"), ([Http2()], "expected the preface of HTTP/2, got b'GET")],
    ids=["no Http2", "no HTTP/2"],
)
def test_a_script_that_meets_something_else_fails(script, error):
    lab = FaultLab()
    lab.start()
    lab.serve(script)
    with socket.create_connection(("127.0.0.1", lab.port), 30) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
        while connection.recv(65536):
            pass
    with pytest.raises(Exception, match=error):
        lab.close()
