from __future__ import annotations

from collections.abc import Sequence

import far_end
import pytest
from far_end import FarEnd
from kernels import KERNELS, speak_http1, speak_http2

from httpx_fast._wire import h2
from httpx_fast._wire.heads import WireHead


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The twin that the wire reads with."""
    speak_http1(request.param, monkeypatch)
    speak_http2(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def talk(kernel: str) -> Talk:
    """A session and the server's end of its connection, which has said its settings."""
    return Talk()


class Stream(h2.StreamReader):
    """Counts how often it is woken, and records what it is told."""

    def __init__(self, method: bytes, whole: bool) -> None:
        super().__init__(method, whole)
        self.woken = 0
        self.told: list[str] = []

    def wake(self) -> None:
        self.woken += 1

    def head_arrived(self) -> None:
        self.told.append("head")

    def message_ended(self) -> None:
        self.told.append("end")


class Talk:
    """A session that speaks with a server's end; `heard` is what the server has heard since it was last asked."""

    def __init__(self, *settings: tuple[int, int]) -> None:
        self.session = h2.Session()
        self.far = FarEnd()
        self.clock = 0.0
        self.say(far_end.settings(*settings))
        self.opening = self.heard()

    def head(self, method: bytes = b"GET", *fields: tuple[bytes, bytes]) -> WireHead:
        return WireHead(method, b"https", b"example.org", b"/", [(b"Host", b"example.org"), *fields])

    def open(
        self, method: bytes = b"GET", whole: bool = True, end: bool = True, head: WireHead | None = None
    ) -> Stream:
        """Begins a stream, which the server hears of."""
        stream = Stream(method, whole)
        self.session.open(stream, head or self.head(method), end)
        return stream

    def say(self, *raw: bytes) -> None:
        """The server says something, all of it at once."""
        self.clock += 1.0
        self.session.feed(b"".join(raw), self.clock)

    def respond(self, stream: Stream, *raw: bytes, fields: Sequence[tuple[str, str]] = (), status: str = "200") -> None:
        """A head, and DATA that ends the stream if there is any; the last frame ends it in any case."""
        head = self.far.head(stream.id, [(":status", status), *fields], end=not raw)
        frames = [far_end.data(stream.id, each, each is raw[-1]) for each in raw]
        self.say(head, *frames)

    def heard(self) -> list[str]:
        raw = b"".join(self.session.outgoing)
        self.session.outgoing.clear()
        return self.far.hear(raw)
