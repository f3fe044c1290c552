"""Convert a request head for HTTP/2 (RFC 9113 s.8.2, s.8.3.1): pseudo fields first, names in lower case.

A request that asks for a WebSocket as in HTTP/1.1 becomes an extended CONNECT (RFC 8441 s.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._head import FieldLine
from .._kernel.h2_constants import CONNECTION_FIELDS
from .._kernel.select import lower_lines

#: Replaced by :authority (RFC 9113 s.8.3.1), or meant for the next hop of HTTP/1 only (s.8.2.2).
_DROPPED = CONNECTION_FIELDS | {b"host", b"http2-settings"}
#: RFC 8441 s.5: :protocol replaces them.
_DROPPED_OF_WEBSOCKETS = _DROPPED | {b"sec-websocket-key"}
#: What most requests do not have: fields that say what becomes of others, or of the request.
_DECIDING = frozenset({b"connection", b"te", b"upgrade"})
_HARMLESS = frozenset({(b"connection", b"keep-alive"), (b"connection", b"close")})
_SCHEMES = {b"ws": b"http", b"wss": b"https"}


def http2_fields(
    method: bytes, scheme: bytes, authority: bytes, target: bytes, fields: Sequence[FieldLine]
) -> tuple[FieldLine, ...]:
    """Return all fields of a request as a tuple of tuples, so that an encoder can remember the block made of it."""
    scheme = _SCHEMES.get(scheme, scheme)
    plain = None if method == b"CONNECT" else lower_lines(fields, _DROPPED, _DECIDING, _HARMLESS)
    if plain is not None:
        kept, host = plain
        authority = authority if host is None else host
        return (
            (b":method", method),
            (b":scheme", scheme),
            (b":authority", authority),
            (b":path", target),
            *kept,
        )
    names = [name.lower() for name, _ in fields]
    for name, (_, value) in zip(names, fields, strict=True):
        if name == b"host":
            authority = value
    dropped = _DROPPED
    if method == b"CONNECT":
        # RFC 9113 s.8.5: host and port to connect to, as in the authority-form of HTTP/1.1.
        pseudo = [(b":method", method), (b":authority", authority if target[:1] in (b"/", b"") else target)]
    elif b"upgrade" in names and _asks_for_websocket(method, names, fields):
        pseudo = [(b":method", b"CONNECT"), (b":protocol", b"websocket")]
        pseudo += [(b":scheme", scheme), (b":authority", authority), (b":path", target)]
        dropped = _DROPPED_OF_WEBSOCKETS
    else:
        pseudo = [(b":method", method), (b":scheme", scheme), (b":authority", authority), (b":path", target)]
    return (*pseudo, *_kept(names, fields, dropped))


def _asks_for_websocket(method: bytes, names: Sequence[bytes], fields: Sequence[FieldLine]) -> bool:
    return method == b"GET" and any(
        name == b"upgrade" and value.strip(b" \t").lower() == b"websocket"
        for name, (_, value) in zip(names, fields, strict=True)
    )


def _kept(names: Sequence[bytes], fields: Sequence[FieldLine], dropped: frozenset[bytes]) -> Iterator[FieldLine]:
    """Yield all fields but those of an HTTP/1 connection, by name or as Connection lists them (RFC 9110 s.7.6.1)."""
    nominated = {
        option.strip(b" \t").lower()
        for name, (_, value) in zip(names, fields, strict=True)
        if name == b"connection"
        for option in value.split(b",")
    }
    for name, (_, value) in zip(names, fields, strict=True):
        if name in dropped or name in nominated:
            continue
        # RFC 9113 s.8.2.2: TE may be sent, and say nothing but "trailers".
        if name == b"te":
            if any(option.strip(b" \t").lower() == b"trailers" for option in value.split(b",")):
                yield name, b"trailers"
            continue
        yield name, value
