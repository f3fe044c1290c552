"""Proxies on loopback, as scripts for `peers.Peer`: HTTP (forwarding and CONNECT), SOCKS5 and SOCKS4a.

They keep what they were asked, so that a test can tell what went to the proxy and what behind it.
"""

from __future__ import annotations

import base64
import select
import socket
import ssl
from collections.abc import Mapping
from typing import Any

from peers import PATIENCE, Dialogue

BASIC = "Basic " + base64.b64encode(b"user:secret").decode()


class Proxying:
    """What all of them share. `names` are hosts that only the proxy knows; `login` is wanted from who connects."""

    def __init__(self, names: Mapping[str, str] | None = None, login: tuple[str, str] | None = None) -> None:
        self.names = dict(names or {})
        self.login = login
        #: Of each request: the request line, its target, or host and port as SOCKS says them.
        self.asked: list[Any] = []
        #: Of each request to an HTTP proxy: its field lines, with names in lower case.
        self.fields: list[dict[str, str]] = []
        self.peers: list[Any] = []  # where connections came from
        self.resumed: list[bool | None] = []  # whether their TLS sessions were resumed; None without TLS

    def __call__(self, dialogue: Dialogue) -> None:
        self.peers.append(dialogue.connection.getpeername())
        self.resumed.append(getattr(dialogue.connection, "session_reused", None))
        self.serve(dialogue)

    def serve(self, dialogue: Dialogue) -> None:
        raise NotImplementedError

    def connect(self, host: str, port: int) -> socket.socket:
        return socket.create_connection((self.names.get(host, host), port), PATIENCE)


class HttpProxy(Proxying):
    """Answers CONNECT with `leave`, and forwards everything else."""

    leave = b"HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"

    def serve(self, dialogue: Dialogue) -> None:
        while request := dialogue.read_request():
            head, _, content = request.partition(b"\r\n\r\n")
            line, *lines = head.decode("latin-1").split("\r\n")
            fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            self.asked.append(line)
            self.fields.append(fields)
            method, target, _ = line.split()
            if self.login is not None and fields.get("proxy-authorization") != BASIC:
                dialogue.send(
                    b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                    b'Proxy-Authenticate: Basic realm="test"\r\nContent-Length: 6\r\n\r\nlog in'
                )
            elif method == "CONNECT":
                host, _, port = target.rpartition(":")
                with self.connect(host.strip("[]"), int(port)) as origin:
                    dialogue.send(self.leave)
                    relay(dialogue.connection, origin)
                return
            else:
                self.forward(dialogue, method, target, fields, content)

    def forward(self, dialogue: Dialogue, method: str, target: str, fields: Mapping[str, str], content: bytes) -> None:
        """One exchange with an origin, over a connection of its own."""
        assert target.startswith("http://"), target
        authority, _, path = target.removeprefix("http://").partition("/")
        assert fields["host"] == authority
        host, _, port = authority.partition(":")
        passed = {name: value for name, value in fields.items() if name not in ("proxy-authorization", "connection")}
        lines = [f"{method} /{path} HTTP/1.1", *(f"{name}: {value}" for name, value in passed.items())]
        with self.connect(host, int(port or 80)) as upstream:
            origin = Dialogue(upstream, dialogue._ended)
            origin.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content)
            response = origin.read_request()  # a head with as much content as its Content-Length says
            if b"\r\ntransfer-encoding: chunked\r\n" in response.lower():
                response += origin._read_until(b"\r\n0\r\n\r\n")
            dialogue.send(response)


class Socks5Proxy(Proxying):
    """`replies` are given to requests in turn, the last one to all later ones."""

    def __init__(
        self,
        names: Mapping[str, str] | None = None,
        login: tuple[str, str] | None = None,
        replies: tuple[int, ...] = (0,),
    ) -> None:
        super().__init__(names, login)
        self.replies = replies

    def serve(self, dialogue: Dialogue) -> None:
        read = dialogue._read_exactly
        version, count = read(2)
        assert version == 5
        ways = read(count)
        way = 0 if self.login is None else 2
        if way not in ways:
            dialogue.send(b"\x05\xff")
            return
        dialogue.send(bytes((5, way)))
        if way == 2 and not self._lets_in(dialogue):
            return
        version, command, _, kind = read(4)
        assert (version, command) == (5, 1)
        if kind == 3:
            host = read(read(1)[0]).decode()
        else:
            family = socket.AF_INET if kind == 1 else socket.AF_INET6
            host = socket.inet_ntop(family, read(4 if kind == 1 else 16))
        port = int.from_bytes(read(2))
        reply = self.replies[min(len(self.asked), len(self.replies) - 1)]
        self.asked.append((host, port))
        if reply:
            dialogue.send(bytes((5, reply, 0, 1)) + bytes(6))
            return
        with self.connect(host, port) as origin:
            dialogue.send(b"\x05\x00\x00\x03\x04gate\x04\x38")
            relay(dialogue.connection, origin)

    def _lets_in(self, dialogue: Dialogue) -> bool:
        read = dialogue._read_exactly
        assert read(1) == b"\x01"
        login = tuple(read(read(1)[0]).decode() for _ in range(2))
        dialogue.send(b"\x01\x00" if login == self.login else b"\x01\x01")
        return login == self.login


class Socks4aProxy(Proxying):
    def serve(self, dialogue: Dialogue) -> None:
        read = dialogue._read_exactly
        version, command = read(2)
        assert (version, command) == (4, 1)
        port = int.from_bytes(read(2))
        address = read(4)
        user = dialogue._read_until(b"\0")[:-1].decode()
        host = socket.inet_ntoa(address)
        if address[:3] == b"\0\0\0":
            host = dialogue._read_until(b"\0")[:-1].decode()
        self.asked.append((host, port))
        if self.login is not None and user != self.login[0]:
            dialogue.send(b"\x00\x5d" + bytes(6))
            return
        with self.connect(host, port) as origin:
            dialogue.send(b"\x00\x5a" + bytes(6))
            relay(dialogue.connection, origin)


def relay(client: socket.socket, origin: socket.socket) -> None:
    """Passes bytes on in both directions until one side ends."""
    others = {client: origin, origin: client}
    while True:
        waiting = [each for each in others if isinstance(each, ssl.SSLSocket) and each.pending()]
        readable = waiting or select.select([*others], [], [], PATIENCE)[0]
        assert readable, "nothing is said any more, and nobody closes"
        for each in readable:
            data = each.recv(65536)
            if not data:
                return
            others[each].sendall(data)


KINDS = {
    "http": HttpProxy,
    "https": HttpProxy,
    "socks5": Socks5Proxy,
    "socks5h": Socks5Proxy,
    "socks4a": Socks4aProxy,
}
