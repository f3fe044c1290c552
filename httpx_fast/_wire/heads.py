"""Convert the head of a request to what each protocol sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from .._head import FieldLine
from .._kernel.select import request_head
from .framing import request_framing

_new = object.__new__

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"TRACE", b"PUT", b"DELETE", b"QUERY"})


class WireHead:
    """Implement `RequestHead`. What each protocol sends is made when it is first asked for, and kept.

    `announced` is `framing`, if who makes the head knows it.
    """

    __slots__ = (
        "_framing",
        "_http1",
        "_http2",
        "_http2_size",
        "announced",
        "authority",
        "fields",
        "method",
        "once",
        "scheme",
        "target",
    )

    def __init__(
        self,
        method: bytes,
        scheme: bytes,
        authority: bytes,
        target: bytes,
        fields: Sequence[FieldLine],
        announced: int | Literal[False] | None = False,
    ) -> None:
        self.method: bytes = method
        self.once: bool = method not in IDEMPOTENT
        self.scheme: bytes = scheme
        self.authority: bytes = authority
        self.target: bytes = target
        self.fields: Sequence[FieldLine] = fields
        self.announced: int | Literal[False] | None = announced
        self._framing = announced
        self._http1: bytes | None = None
        self._http2: tuple[FieldLine, ...] | None = None
        self._http2_size: int | None = None

    def with_target(self, target: bytes) -> WireHead:
        head = _new(WireHead)
        head.method = self.method
        head.once = self.once
        head.scheme = self.scheme
        head.authority = self.authority
        head.target = target
        head.fields = self.fields
        head.announced = self.announced
        head._framing = self._framing
        head._http1 = head._http2 = head._http2_size = None
        return head

    @property
    def http1(self) -> bytes:
        data = self._http1
        if data is None:
            fields = self.fields
            if fields and fields[0][0] != b"Host":
                fields = _host_first(fields)
            data = self._http1 = request_head(self.method, self.target, fields)
        return data

    @property
    def http2(self) -> tuple[FieldLine, ...]:
        fields = self._http2
        if fields is None:
            from .h2_head import http2_fields  # clients that speak HTTP/1.1 only never load it

            fields = self._http2 = http2_fields(self.method, self.scheme, self.authority, self.target, self.fields)
        return fields

    @property
    def http2_size(self) -> int:
        size = self._http2_size
        if size is None:
            size = self._http2_size = sum(len(name) + len(value) + 32 for name, value in self.http2)
        return size

    @property
    def idempotent(self) -> bool:
        # Payment and model services agree on Idempotency-Key: a repeated key is answered, not processed again.
        return not self.once or any(
            name.lower() in (b"idempotency-key", b"x-idempotency-key") for name, _ in self.fields
        )

    @property
    def framing(self) -> int | None:
        framing = self._framing
        if framing is False:
            framing = self._framing = request_framing(self.fields)
        return framing


def _host_first(fields: Sequence[FieldLine]) -> Sequence[FieldLine]:
    """Return the fields with Host as the first one, wherever the user put it (RFC 9110 s.7.2)."""
    for index, line in enumerate(fields):
        if line[0].lower() == b"host":
            return [line, *fields[:index], *fields[index + 1 :]]
    return fields
