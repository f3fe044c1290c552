"""What connections and the rooms above them say to each other, in HTTP's words and without I/O."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .._exceptions import RemoteProtocolError
from .._kernel.select import request_head
from .._origin import Route
from .framing import FieldLine, request_framing

__all__ = ["FieldLine", "Http1Required", "NoWebSockets", "RequestHead"]

_new = object.__new__

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY"})


class Http1Required(RemoteProtocolError):
    """The peer wants the request over HTTP/1.1 (RFC 9113 s.7)."""


class NoWebSockets(Http1Required):
    """A WebSocket was asked for over HTTP/2, and the peer takes none there; of other requests that says nothing."""


class RequestHead:
    """A request's head: made once at the transport's door, or kept by a template for many requests. Never changed.

    `fields` are all field lines, Host included. `scheme` and `authority` are for HTTP/2, which sends them apart.
    """

    __slots__ = (
        "_http1",
        "_http2",
        "_http2_size",
        "announced",
        "authority",
        "fields",
        "forwarded",
        "method",
        "once",
        "route",
        "scheme",
        "target",
    )

    def __init__(
        self, method: bytes, scheme: bytes, authority: bytes, target: bytes, fields: Sequence[FieldLine]
    ) -> None:
        self.method: bytes = method
        self.once: bool = method not in IDEMPOTENT  # whether a second time may do more, by the method alone
        self.scheme: bytes = scheme
        self.authority: bytes = authority
        self.target: bytes = target
        self.fields: Sequence[FieldLine] = fields
        self.route: Route | None = None  # kept here by the door for the next request from the same template
        self.forwarded: RequestHead | None = None  # likewise, as a proxy gets it
        self._http1: bytes | None = None
        self._http2: tuple[FieldLine, ...] | None = None
        self._http2_size: int | None = None
        self.announced: int | Literal[False] | None = False  # what `framing` is, once it was asked for

    def with_target(self, target: bytes, route: Route | None) -> RequestHead:
        """Return a head that differs in the target alone; `route` is that of its origin, if it is known."""
        head = _new(RequestHead)
        head.method = self.method
        head.once = self.once
        head.scheme = self.scheme
        head.authority = self.authority
        head.target = target
        head.fields = self.fields
        head.route = route
        head.forwarded = head._http1 = head._http2 = head._http2_size = None
        head.announced = self.announced
        return head

    @property
    def http1(self) -> bytes:
        """Request line and field section as HTTP/1.1 sends them (RFC 9112 s.3); LocalProtocolError if not sendable."""
        data = self._http1
        if data is None:
            data = self._http1 = request_head(self.method, self.target, self.fields)
        return data

    @property
    def http2(self) -> tuple[FieldLine, ...]:
        """All fields as HTTP/2 sends them; the same object each time, whose block an encoder remembers."""
        fields = self._http2
        if fields is None:
            from .h2_head import http2_fields  # who speaks HTTP/1 only never loads it

            fields = self._http2 = http2_fields(self.method, self.scheme, self.authority, self.target, self.fields)
        return fields

    @property
    def http2_size(self) -> int:
        """Bytes of `http2` as RFC 9113 s.6.5.2 counts them."""
        size = self._http2_size
        if size is None:
            size = self._http2_size = sum(len(name) + len(value) + 32 for name, value in self.http2)
        return size

    @property
    def idempotent(self) -> bool:
        """Whether sending it twice does no more than sending it once (RFC 9110 s.9.2.2), or its user vouches for that.

        Idempotency-Key is what payment and model services agree on: a repeated key is answered, not done again.
        """
        return not self.once or any(
            name.lower() in (b"idempotency-key", b"x-idempotency-key") for name, _ in self.fields
        )

    @property
    def framing(self) -> int | None:
        """How the fields announce a body: its length, `framing.CHUNKED`, or None; LocalProtocolError if ambiguous."""
        announced = self.announced
        if announced is False:
            announced = self.announced = request_framing(self.fields)
        return announced
