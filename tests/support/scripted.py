"""A stream in memory that plays a script: what a socket cannot be made to do at a chosen moment."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Sequence
from typing import Any

from httpx_fast._exceptions import ReadError, ReadTimeout, WriteError
from httpx_fast._net.base import Buffer, Sink, Stream
from httpx_fast._wire.h1 import IDLE, ResponseReader


class Clock:
    """Moves on by one second at each look."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


class ScriptedStream(Stream):
    """Each `receive()` plays the next entry of `script`: bytes, None for EOF, or an exception."""

    def __init__(self, script: list[bytes | BaseException | None]) -> None:
        self.script = script
        self.sent: list[bytes] = []
        self.armed: list[tuple[str, float | None, float | None]] = []
        self.bounds: list[tuple[str, float | None, float | None]] = []
        self.closed = 0
        self.refuses_after: int | None = None
        self.sink: Sink | None = None
        self.idle: list[bytes | None] = []
        self.info: dict[str, Any] = {}

    def attach(self, sink: Sink) -> None:
        self.sink = sink

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if self.refuses_after is not None and len(self.sent) >= self.refuses_after:
            raise WriteError("the peer took no more")
        self.sent.append(b"".join(buffers))
        return None

    unsent = 0

    async def flush(self, reading: bool) -> None:
        """All is sent at once."""

    async def receive(self) -> None:
        assert self.sink is not None
        if isinstance(self.sink, ResponseReader) and self.sink.state == IDLE:
            # A script says what comes after a request. Who waits without one is to see the peer close, if it does.
            self.poll_idle()
            if self.sink.state == IDLE:
                raise ReadTimeout("nothing came")
            return
        while True:
            step = self.script.pop(0) if self.script else ReadError("the script is over")
            if isinstance(step, BaseException):
                raise step
            if self.push(step):
                return
            if step is None:
                raise ReadError("closed")

    def push(self, step: bytes | None) -> bool:
        assert self.sink is not None
        if step is None:
            return self.sink.eof_received(True)
        own = self.sink.get_buffer()
        if own is None:
            return self.sink.data_received(memoryview(step))
        memoryview(own)[: len(step)] = step
        return self.sink.buffer_updated(len(step))

    def poll_idle(self) -> None:
        while self.idle:
            self.push(self.idle.pop(0))

    def set_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        self.armed.append((phase, at, budget))

    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        self.bounds.append((phase, at, budget))

    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> Stream:
        return self

    def close(self) -> None:
        self.closed += 1

    def get_extra_info(self, name: str) -> Any:
        return self.info.get(name)
