"""Steps of a scripted server that is a proxy. The steps after them in a script are those of the origin.

Read(), Send(established()), Tls(), Read(), Send(response())     an http proxy that tunnels to an https origin
Tls(), Read(), Send(response(status=407))                        an https proxy that wants credentials
Socks5(), Read(), Send(response(b"hello"))                       a SOCKS5 proxy
Socks5(reply=5), Mute()                                          one that could not connect to the origin
Socks5(cut=3), Reset()                                           one that is reset within its answer
"""

from __future__ import annotations

from .steps import Dialogue

_LOGIN = 2  # authentication by user name and password (RFC 1929)
_NAME, _LENGTHS = 3, {1: 4, 4: 16}  # address types, and their length in bytes (RFC 1928 s.5)


def established() -> bytes:
    """Return the response with which an http(s) proxy opens a tunnel (RFC 9110 s.9.3.6), for `Send`."""
    return b"HTTP/1.1 200 Connection established\r\n\r\n"


class Socks5:
    """Answer as a SOCKS5 proxy (RFC 1928).

    `way` is the authentication method (0: none, 2: user name and password, RFC 1929; after any other nothing more is
    read), `login` the status of the authentication, `reply` the reply to the request; 0 is success for both. `cut` is
    the number of bytes that the last answer is cut to.
    """

    def __init__(self, reply: int = 0, *, way: int = 0, login: int = 0, cut: int | None = None) -> None:
        self._reply = reply
        self._way = way
        self._login = login
        self._cut = cut

    async def run(self, dialogue: Dialogue) -> None:
        connection = dialogue.connection
        _, count = await connection.read_exactly(2)
        await connection.read_exactly(count)
        await connection.send(bytes((5, self._way)))
        if self._way == _LOGIN:
            _, size = await connection.read_exactly(2)
            await connection.read_exactly(size)
            await connection.read_exactly(*await connection.read_exactly(1))
            await connection.send(bytes((1, self._login)))
        if self._way not in (0, _LOGIN) or self._login:
            return
        *_, kind = await connection.read_exactly(4)
        length = (await connection.read_exactly(1))[0] if kind == _NAME else _LENGTHS[kind]
        await connection.read_exactly(length + 2)
        await connection.send((bytes((5, self._reply, 0, 1)) + bytes(6))[: self._cut])


class Socks4:
    """Answer as a SOCKS4 or SOCKS4a proxy. `reply` 90 grants the connection; `cut` is as with `Socks5`."""

    def __init__(self, reply: int = 90, *, cut: int | None = None) -> None:
        self._reply = reply
        self._cut = cut

    async def run(self, dialogue: Dialogue) -> None:
        connection = dialogue.connection
        address = (await connection.read_exactly(8))[4:]
        await connection.read_until(b"\0", 256)
        if address[:3] == bytes(3) and address[3]:  # the name comes behind
            await connection.read_until(b"\0", 256)
        await connection.send((bytes((0, self._reply)) + bytes(6))[: self._cut])
