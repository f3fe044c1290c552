"""`ConnectionFacts`, what a journey knows of its connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._trace import Tracer

if TYPE_CHECKING:
    from ._journey_certificate import Certificate

__all__ = ["ConnectionFacts"]


def slots_of(record: object) -> dict[str, Any]:
    """Return what can be pickled of a record, so that exceptions which carry one can be; sockets cannot."""
    return {name: getattr(record, name) for name in type(record).__slots__ if name != "__weakref__"}  # type: ignore[attr-defined]


class ConnectionFacts:
    """Describe one connection: when each step of opening it ended, and the result."""

    __slots__ = (
        "certificate_der",
        "cipher",
        "counted",
        "dial_started",
        "dns_done",
        "early",
        "http_version",
        "local_address",
        "lost_idle",
        "new_reason",
        "peer_address",
        "proxy",
        "proxy_done",
        "requests",
        "retried",
        "stream",
        "tcp_done",
        "tls_done",
        "tls_resumed",
        "tls_version",
        "trace",
        "warmed",
    )

    def __init__(self) -> None:
        self.dial_started: float | None = None
        self.retried: float | None = None  # when the last of several tries to connect began
        self.dns_done: float | None = None
        self.tcp_done: float | None = None
        self.proxy_done: float | None = None  # TLS with the proxy, and its answer to CONNECT; None without either
        self.tls_done: float | None = None
        self.requests: int = 0  # count of requests that were given this connection so far
        self.stream: Any = None  # the open connection itself, for `response.extensions["network_stream"]`
        self.peer_address: Any = None  # of whom we are connected to: the proxy, where there is one
        self.local_address: Any = None
        self.proxy: str | None = None  # its URL, without credentials
        self.http_version: str = "HTTP/1.1"
        self.tls_version: str | None = None
        self.tls_resumed: bool | None = None
        self.cipher: str | None = None
        self.certificate_der: bytes | None = None  # of the origin
        self.early: bytes = b""  # what the origin said while a proxy still answered
        self.trace: Tracer | None = None  # of the request that it is dialled for, while it is
        self.warmed: bool = False  # it was made for no request, but ahead of them
        #: Why it was made, a code of `NEW`; and how long the one had been idle that it replaces, if any.
        self.new_reason: str | None = None
        self.lost_idle: float | None = None
        self.counted: bool = False  # the journey of the request that it was dialled for says so

    @property
    def certificate(self) -> Certificate | None:
        """Return the origin's `Certificate`: subject, names, from when until when it holds. None without TLS."""
        from ._journey_certificate import read_certificate  # few ask

        return None if self.certificate_der is None else read_certificate(self.certificate_der)

    def __repr__(self) -> str:
        from ._journey_drawing import tell_facts

        return f"<ConnectionFacts {tell_facts(self)}, {self.requests} requests>"

    def __getstate__(self) -> tuple[None, dict[str, Any]]:
        return None, slots_of(self) | {"stream": None, "trace": None}
