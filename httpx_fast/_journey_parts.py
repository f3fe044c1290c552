"""The parts that journeys are told in, and what those who draw them know of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    import datetime as dt

    from ._journey_certificate import Certificate

#: The steps, in order. "expect" is the wait for 100 (Continue) between head and body, where that is asked for. "reader"
#: is the time that the code which read the body in pieces took between them.
PHASES = ("pool", "dns", "tcp", "proxy", "tls", "send", "expect", "wait", "receive", "reader")

#: Why a request was sent again, as codes, with the words for them.
AGAIN = {
    "unprocessed": "the peer did nothing with it",
    "http1_required": "the peer wants HTTP/1.1",
    "ended_by_peer": "the peer ended the connection",
    "dead": "the reused connection was dead",
    "retry": "a retry rule said so",
    "expectation_failed": "the server takes no Expect: 100-continue",
    "hedged": "another one beside it was answered first",
}

#: Why a connection was made, as codes, with the words for them.
NEW = {
    "first": "the first to this origin",
    "all_busy": "all others were in use",
    "expired": "the one before had been idle for too long",
    "peer_closed": "the peer had closed the one before",
    "max_age": "the one before was too old",
    "max_requests": "the peer took no more requests on the one before",
    "draining": "the one before took no more requests",
    "limit": "an idle one had been closed to make room",
    "dead_on_use": "the one before was dead when it was used",
    "fork": "those from before the fork are the parent's",
    "other_loop": "those of another event loop cannot be used",
    "replayed": "the request was sent again",
    "given_up": "the response on the one before was not read to its end",
}


class Sizes(NamedTuple):
    """Count the bytes of one request and its response; None for what is not known.

    Heads of HTTP/2 are counted before compression, as RFC 9113 s.6.5.2 counts them.
    """

    sent_head: int | None = None
    #: Without the framing of chunks.
    sent_body: int | None = None
    received_head: int | None = None
    #: As it came, before decoding and without the framing of chunks.
    received_body: int | None = None
    #: After decoding.
    decoded_body: int | None = None


class Span(NamedTuple):
    """One step of a journey: monotonic seconds of begin and end, and whether a failure ended it."""

    name: str
    begin: float
    end: float
    broken: bool = False


class Facts(Protocol):
    """Hold what drawings show of a connection."""

    @property
    def peer_address(self) -> Any: ...
    @property
    def local_address(self) -> Any: ...
    @property
    def proxy(self) -> str | None: ...
    @property
    def http_version(self) -> str: ...
    @property
    def tls_version(self) -> str | None: ...
    @property
    def cipher(self) -> str | None: ...
    @property
    def tls_resumed(self) -> bool | None: ...
    @property
    def certificate(self) -> Certificate | None: ...
    @property
    def requests(self) -> int: ...
    @property
    def dns_done(self) -> float | None: ...
    @property
    def tcp_done(self) -> float | None: ...
    @property
    def proxy_done(self) -> float | None: ...
    @property
    def tls_done(self) -> float | None: ...


class Record(Protocol):
    """Hold what drawings show of a journey."""

    @property
    def started(self) -> float: ...
    @property
    def done(self) -> float | None: ...
    @property
    def stopped(self) -> float | None: ...
    @property
    def nth(self) -> int: ...
    @property
    def stream_id(self) -> int | None: ...
    @property
    def connection(self) -> Facts | None: ...
    @property
    def reused(self) -> bool: ...
    @property
    def idle(self) -> float | None: ...
    @property
    def why_new(self) -> str | None: ...
    @property
    def idle_lost(self) -> float | None: ...
    @property
    def why_again(self) -> str | None: ...
    @property
    def refusal(self) -> str | None: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def method(self) -> str | None: ...
    @property
    def url(self) -> str | None: ...
    @property
    def status(self) -> int | None: ...
    @property
    def started_at(self) -> dt.datetime: ...
    @property
    def sizes(self) -> Sizes: ...
    @property
    def phase(self) -> str: ...
    @property
    def took(self) -> float: ...
    @property
    def total(self) -> float: ...
    @property
    def overall(self) -> float: ...
    @property
    def over_network(self) -> bool: ...
    @property
    def attempts(self) -> tuple[Record, ...]: ...
    @property
    def hops(self) -> tuple[Record, ...]: ...
    def spans(self) -> list[Span]: ...
    def phases(self) -> dict[str, float]: ...
    def phases_ns(self) -> dict[str, int]: ...
