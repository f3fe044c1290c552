"""Compress WebSocket messages (RFC 7692, permessage-deflate): the negotiation, and messages in and out.

It is used when the user offers it, by the field Sec-WebSocket-Extensions of the handshake, and the server accepts it.
Rules: our messages are compressed independently, so that they can be built in any order; the decompressed size of a
message is bounded, and it is never decompressed in one step.
"""

from __future__ import annotations

import zlib
from typing import Final

from .websocket import PROTOCOL_ERROR, TOO_BIG, WebSocketProtocolError

_NAME = "permessage-deflate"
_TAIL = b"\x00\x00\xff\xff"  # ends each message, and is not sent (s.7.2.1)
_SMALLEST_WINDOW: Final = 9  # bits of a window that zlib can write with
WORTHWHILE: Final = 64  # bytes; what is shorter seldom gets shorter still


class Deflate:
    """Compress and decompress messages as one connection agreed; keep the state of the server's compression."""

    def __init__(self, forgets: bool = False, window_bits: int = 15) -> None:
        self._forgets = forgets  # the server compresses messages independently (server_no_context_takeover)
        # Of what we send. zlib makes no raw stream with a window of 2**8 bytes. With 2**9 it refers to at most
        # 2**9 - 262 = 250 bytes back (its MIN_LOOKAHEAD), so a peer with the smaller window can read that.
        self._window_bits = max(window_bits, _SMALLEST_WINDOW)
        self._inflater = zlib.decompressobj(-15)

    def compress(self, payload: bytes) -> bytes:
        """Return a message's payload, compressed (s.7.2.1)."""
        deflater = zlib.compressobj(wbits=-self._window_bits)
        return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH))[: -len(_TAIL)]

    def inflate(self, piece: bytes, ends: bool, limit: int) -> bytes:
        """Return `piece` of a message decompressed, at most `limit` bytes (s.7.2.2). Raises WebSocketProtocolError."""
        waiting = piece + _TAIL if ends else piece
        found: list[bytes] = []
        try:
            while waiting:
                data = self._inflater.decompress(waiting, limit + 1)
                found.append(data)
                limit -= len(data)
                if limit < 0:
                    raise WebSocketProtocolError(TOO_BIG, "a compressed message has more than max_message_size_bytes")
                waiting = self._inflater.unconsumed_tail
                if self._inflater.eof:  # a final block may come within a message (s.7.2.3.4)
                    waiting = self._inflater.unused_data
                    self._inflater = zlib.decompressobj(-15)
        except zlib.error as error:
            raise WebSocketProtocolError(PROTOCOL_ERROR, f"a compressed message cannot be inflated: {error}") from None
        if ends and self._forgets:
            self._inflater = zlib.decompressobj(-15)
        return b"".join(found)


def agreed(offered: str, answered: str) -> Deflate | None:
    """Return what the two Sec-WebSocket-Extensions fields agree on (s.7.1), None for no compression.

    Raises WebSocketProtocolError.
    """
    if not answered.strip():
        return None
    name, parameters = _parsed(answered)
    if "," in answered or name != _NAME or _NAME not in offered:
        raise WebSocketProtocolError(PROTOCOL_ERROR, f"the extension {answered[:64]!r} was not offered")
    forgets, bits = False, 15
    for parameter, value in parameters.items():
        if parameter in ("server_no_context_takeover", "client_no_context_takeover") and not value:
            forgets = forgets or parameter.startswith("server")
        elif parameter == "server_max_window_bits" and value in _BITS:
            continue  # the largest window reads all smaller ones
        elif parameter == "client_max_window_bits" and value in _BITS and parameter in offered:
            bits = int(value)
        else:
            raise WebSocketProtocolError(
                PROTOCOL_ERROR, f"the extension {answered[:64]!r} has the parameter {parameter!r}"
            )
    return Deflate(forgets, bits)


_BITS = [str(bits) for bits in range(8, 16)]


def _parsed(field: str) -> tuple[str, dict[str, str]]:
    """Return name and parameters of an extension; WebSocketProtocolError for a parameter that is repeated."""
    name, *rest = [part.strip() for part in field.split(";")]
    parameters: dict[str, str] = {}
    for part in rest:
        parameter, _, value = (each.strip() for each in part.partition("="))
        if parameter in parameters:
            raise WebSocketProtocolError(
                PROTOCOL_ERROR, f"the extension {field[:64]!r} has the parameter {parameter!r} twice"
            )
        parameters[parameter] = value.strip('"')
    return name.lower(), parameters
