"""The time that the blocking world gives to the kernel is one that the kernel takes."""

from __future__ import annotations

import socket

import pytest

from httpx_fast._net.sync import SyncStream


class Collecting:
    """A sink that is content with anything."""

    pending = 0

    def __init__(self) -> None:
        self.received = b""

    def get_buffer(self) -> None:
        return None

    def data_received(self, data: memoryview) -> bool:
        self.received += bytes(data)
        return True

    def eof_received(self, clean: bool) -> bool:
        return True


# Linux refuses a million microseconds (EDOM): what a microsecond is added to must not become that.
@pytest.mark.parametrize("left", [0.0, 1e-9, 0.5, 0.9999989, 0.999999, 0.9999999, 1.0, 4.9999999, 5.0, 1e5, 1e9])
def test_any_time_that_is_left_can_be_waited_for(left: float):
    ours, theirs = socket.socketpair()
    with theirs:
        stream = SyncStream(ours, "peer", lambda: 0.0)
        try:
            sink = Collecting()
            stream.attach(sink)
            stream.set_deadline("read", left, left)
            theirs.sendall(b"x")
            stream.receive()
            assert sink.received == b"x"
        finally:
            stream.close()
