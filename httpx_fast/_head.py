"""Types of a request's head: what clients, transports, the pool and connections know of it.

The class that implements it is `_wire.heads.WireHead`. Nobody assigns to a head once it is made, so requests and
threads may share one; where it is sent (`Route`) is kept beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

__all__ = ["FieldLine", "RequestHead"]

#: Name as the user wrote it, and value.
FieldLine: TypeAlias = tuple[bytes, bytes]


class RequestHead(Protocol):
    """A request's head as it will be sent: `fields` are all field lines, Host included."""

    @property
    def method(self) -> bytes: ...

    @property
    def scheme(self) -> bytes:
        """Return the scheme, which HTTP/2 sends apart from the target."""
        ...

    @property
    def authority(self) -> bytes:
        """Return host and port, which HTTP/2 sends apart from the target."""
        ...

    @property
    def target(self) -> bytes: ...

    @property
    def fields(self) -> Sequence[FieldLine]: ...

    @property
    def once(self) -> bool:
        """Return whether a second time may do more than the first, by the method alone."""
        ...

    @property
    def idempotent(self) -> bool:
        """Return whether sending it twice does no more than sending it once (RFC 9110 s.9.2.2), or its user says so."""
        ...

    @property
    def announced(self) -> int | Literal[False] | None:
        """Return `framing` if it was known when the head was made; False if it was not."""
        ...

    @property
    def framing(self) -> int | None:
        """Return the length of the body that the fields announce, CHUNKED, or None. Raises LocalProtocolError."""
        ...

    def with_target(self, target: bytes) -> RequestHead:
        """Return a head that differs in the target alone."""
        ...

    @property
    def http1(self) -> bytes:
        """Return request line and field section for HTTP/1.1 (RFC 9112 s.3). Raises LocalProtocolError."""
        ...

    @property
    def http2(self) -> tuple[FieldLine, ...]:
        """Return all fields as HTTP/2 sends them; the same object each time, whose block an encoder remembers."""
        ...

    @property
    def http2_size(self) -> int:
        """Return the size of `http2` in bytes, as RFC 9113 s.6.5.2 counts them."""
        ...
