"""The side of a server in a WebSocket over HTTP/1.1, for scripts of `peers`."""

from __future__ import annotations

from httpx_fast._wire import websocket as wire


def server(opcode, payload=b"", final=True):
    """A frame as a server sends it."""
    size = len(payload)
    length = bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big")
    return bytes([(0x80 if final else 0) | opcode]) + length + payload


class Far:
    """The server's side of a WebSocket, in the words of a script."""

    def __init__(self, dialogue, fields=b"", first=b""):
        self.dialogue = dialogue
        self.head = dialogue.read_request()
        key = next(
            line.split(b":")[1].strip()
            for line in self.head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        dialogue.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + wire.accept_for(key.decode()).encode()
            + b"\r\n"
            + fields
            + b"\r\n"
            + first
        )

    def send(self, opcode, payload=b"", final=True):
        self.dialogue.send(server(opcode, payload, final))

    def read(self):
        """Opcode and payload of the next frame."""
        first, length = self._exactly(2)
        assert length & 0x80, "a client's frame is masked"
        length &= 0x7F
        if length == 126:
            length = int.from_bytes(self._exactly(2), "big")
        elif length == 127:
            length = int.from_bytes(self._exactly(8), "big")
        key = self._exactly(4)
        return first & 0x0F, wire.mask(self._exactly(length), key)

    def _exactly(self, size):
        return self.dialogue._read_exactly(size)

    def end(self, code=1000, reason=b""):
        """The closing handshake, begun here."""
        self.send(8, code.to_bytes(2, "big") + reason)
        assert self.read()[0] == 8

    def answer_close(self):
        opcode, payload = self.read()
        while opcode == 9:
            self.send(10, payload)
            opcode, payload = self.read()
        assert opcode == 8
        self.send(8, payload)
        return payload
