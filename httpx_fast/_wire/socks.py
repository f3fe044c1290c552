"""Speak SOCKS as a client: what to send to a proxy, and what its answers mean. Bytes only, no I/O.

`Socks5` is RFC 1928 with user name and password (RFC 1929); `Socks4a` is version 4 as OpenSSH and Tor still speak it,
with names that the proxy resolves. Rules:

- `hello` is sent first; `feed` takes the bytes of the proxy, in any pieces, and returns the bytes to send next.
- An answer is checked as soon as enough bytes are there, so that no proxy can make its client wait for more.
- No answer may arrive before its question was sent.
- Nothing may follow the answer that ends a handshake: with TLS and HTTP the client sends first.

A refusal is a ProxyError, whose text gives the reason; the caller adds which proxy and which target.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from typing import Final

from .._exceptions import ProxyError, shown

MAX_TEXT: Final = 255  # bytes of a name, user name or password: its length is one byte (RFC 1928 s.5, RFC 1929 s.2)

_NO_LOGIN: Final = 0
_PASSWORD: Final = 2
_NONE_ACCEPTABLE: Final = 0xFF
_CONNECT: Final = 1
_IPV4, _NAME, _IPV6 = 1, 3, 4

_REPLIES: Final = {
    1: "general failure",
    2: "not allowed by its rules",
    3: "network unreachable",
    4: "host unreachable",
    5: "connection refused",
    6: "TTL expired",
    7: "it does not know the command",
    8: "it does not know this kind of address",
}
#: Replies after which another address of the same host may do.
_OF_THE_ADDRESS: Final = frozenset({1, 3, 4, 5, 6, 8})

_GRANTED_4: Final = 90
_REPLIES_4: Final = {
    91: "rejected or failed",
    92: "it cannot ask for the user's identity",
    93: "the user's identity does not match",
}


class Unreachable(ProxyError):
    """Report that the proxy could not reach the address that it was given; it may reach another one."""


class Handshake:
    """Ask a SOCKS proxy for one connection.

    What follows the proxy's answer is an error, unless `origin_speaks`: then those are the first bytes of the origin.
    """

    __slots__ = ("_heard", "_needed", "_next", "done", "hello", "origin_speaks")

    def __init__(self, hello: bytes, needed: int, read: Callable[[bytes], bytes]) -> None:
        self.hello = hello
        self.done = False
        self.origin_speaks = False
        self._heard = bytearray()
        self._needed = needed  # bytes that tell what comes next
        self._next = read

    def feed(self, data: bytes | memoryview) -> bytes:
        """Take bytes from the proxy; return the bytes to send, b"" for none. Raises ProxyError, Unreachable."""
        heard = self._heard
        heard += data
        said = b""
        while not self.done and len(heard) >= self._needed:
            answer = bytes(heard[: self._needed])
            del heard[: self._needed]
            said = self._next(answer)
            if said and heard:
                raise ProxyError(f"it answers before it is asked: {shown(heard)}")
        if self.done and heard and not self.origin_speaks:
            raise ProxyError(f"it sent more than its answer: {shown(heard)}")
        return said

    @property
    def surplus(self) -> bytes:
        """Return the bytes that arrived after the proxy's answer."""
        return bytes(self._heard)

    def _expect(self, needed: int, read: Callable[[bytes], bytes]) -> None:
        self._needed = needed
        self._next = read


class Socks5(Handshake):
    """Ask for a connection to `host`, an address or a name that the proxy is to resolve (RFC 1928)."""

    __slots__ = ("_login", "_request")

    def __init__(self, host: str, port: int, login: tuple[bytes, bytes] | None) -> None:
        self._login = login
        self._request = bytes((5, _CONNECT, 0)) + _place(host) + port.to_bytes(2)
        # Offering "no authentication" too saves a round trip with proxies that do not ask for a login (RFC 1928 s.3).
        ways = bytes((_NO_LOGIN,)) if login is None else bytes((_NO_LOGIN, _PASSWORD))
        super().__init__(bytes((5, len(ways))) + ways, 2, self._way_chosen)

    def _way_chosen(self, answer: bytes) -> bytes:
        version, way = answer
        if version != 5:
            raise ProxyError(f"what it says is no SOCKS5: {shown(answer + self._heard)}")
        if way == _NO_LOGIN:
            return self._ask()
        if way == _PASSWORD and self._login is not None:
            self._expect(2, self._login_answered)
            user, password = self._login
            return b"\x01" + _text(user) + _text(password)
        if way == _NONE_ACCEPTABLE:
            raise ProxyError(
                "it wants a login, and none is set"
                if self._login is None
                else "it wants neither no login nor one by user name and password"
            )
        raise ProxyError(f"it chose a way of login that was not offered ({way})")

    def _login_answered(self, answer: bytes) -> bytes:
        # Some proxies put their SOCKS version where RFC 1929 wants a 1; only the status counts.
        if answer[1]:
            raise ProxyError(f"it does not accept user name and password (status {answer[1]})")
        return self._ask()

    def _ask(self) -> bytes:
        self._expect(2, self._reply)
        return self._request

    def _reply(self, answer: bytes) -> bytes:
        version, reply = answer
        if version != 5:
            raise ProxyError(f"what it answers is no SOCKS5: {shown(answer + self._heard)}")
        if reply:
            text = f"{_REPLIES.get(reply, 'unknown reason')} (reply {reply})"
            raise Unreachable(text) if reply in _OF_THE_ADDRESS else ProxyError(text)
        self._expect(3, self._bound)
        return b""

    def _bound(self, answer: bytes) -> bytes:
        """Read kind and first byte of the proxy's own address, which is skipped (RFC 1928 s.6)."""
        _, kind, first = answer
        lengths = {_IPV4: 4 - 1, _IPV6: 16 - 1, _NAME: first}  # of what is left; a name tells its own
        if kind not in lengths:
            raise ProxyError(f"it answers with an address of an unknown kind ({kind})")
        self._expect(lengths[kind] + 2, self._end)
        return b""

    def _end(self, answer: bytes) -> bytes:
        self.done = True
        return b""


class Socks4a(Handshake):
    """Ask for a connection to `host`, an IPv4 address or a name that the proxy is to resolve."""

    __slots__ = ()

    def __init__(self, host: str, port: int, user: bytes) -> None:
        address = _address(host)
        if isinstance(address, ipaddress.IPv4Address):
            place, name = address.packed, b""
        else:
            place, name = b"\0\0\0\1", _name(host) + b"\0"  # an address that cannot be: a name follows the user's
        hello = bytes((4, _CONNECT)) + port.to_bytes(2) + place + user + b"\0" + name
        super().__init__(hello, 2, self._reply)

    def _reply(self, answer: bytes) -> bytes:
        version, reply = answer
        if version:
            raise ProxyError(f"what it answers is no SOCKS4: {shown(answer + self._heard)}")
        if reply != _GRANTED_4:
            raise ProxyError(f"{_REPLIES_4.get(reply, 'unknown reason')} (reply {reply})")
        self._expect(6, self._end)  # a port and an address of no use
        return b""

    def _end(self, answer: bytes) -> bytes:
        self.done = True
        return b""


def _place(host: str) -> bytes:
    """Return a host with its address type before it (RFC 1928 s.5)."""
    address = _address(host)
    if address is None:
        return bytes((_NAME,)) + _text(_name(host))
    return bytes((_IPV4 if address.version == 4 else _IPV6,)) + address.packed


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:  # a name
        return None


def _name(host: str) -> bytes:
    name = host.encode("ascii")
    if b":" in name:
        name = name.partition(b"%")[0]  # the zone of an address means nothing to the proxy (RFC 6874 s.4)
    if len(name) > MAX_TEXT:
        raise ProxyError(f"the name has {len(name)} bytes, SOCKS can carry {MAX_TEXT}")
    return name


def _text(data: bytes) -> bytes:
    return bytes((len(data),)) + data
