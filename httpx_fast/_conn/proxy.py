"""Connect through a proxy: a stream to the proxy becomes one to the origin, or stays one to a proxy that forwards.

- http(s) proxies forward requests for http origins, which name their whole target, and tunnel to https origins by
  CONNECT (RFC 9110 s.9.3.6). SOCKS proxies tunnel to any origin.
- Settings for the proxy are sent to it and to no other peer: CONNECT carries no field line of a request.
- A refusal is a ProxyError that names the proxy and its reason. A proxy that closes the connection is a ConnectError,
  since another try may succeed; silence is a ConnectTimeout of the one budget of dialling.
- No byte may follow the proxy's answer before something was sent through the tunnel: with TLS and HTTP the client sends
  first, so such bytes are the proxy's, and would be taken for the origin's.

TLS with an https proxy comes before. The caller closes the stream when any of it fails.
"""

from __future__ import annotations

from collections.abc import Callable

from .._exceptions import (
    ConnectError,
    ConnectTimeout,
    NetworkError,
    ProtocolError,
    ProxyError,
    WriteError,
    retold,
    shown,
)
from .._kernel.select import request_head
from .._net.base import Stream
from .._wire.h1 import TUNNEL, ResponseReader
from .._wire.socks import Handshake, Socks4a, Socks5
from .options import ProxyHop


async def tunnel(
    stream: Stream,
    hop: ProxyHop,
    host: str,
    port: int,
    origin_speaks: bool = False,
    max_head_size: int | None = None,
) -> bytes:
    """Have the proxy `hop` connect `stream` to host and port. Raises ProxyError, ConnectError, ConnectTimeout.

    Return the bytes that the origin has sent already; they are an error unless `origin_speaks`: it may send first. The
    head of the proxy's answer has at most `max_head_size` bytes.
    """
    there = _authority(host, port)
    try:
        if hop.forwards:
            await _connect(stream, hop, there, max_head_size)
            return b""
        handshake = _handshake(hop, host, port)
        handshake.origin_speaks = origin_speaks
        await _socks(stream, handshake)
        return handshake.surplus
    except ConnectTimeout as timeout:
        raise retold(timeout, f"{timeout}, when the proxy {hop} was asked for {there}") from None
    except NetworkError as error:
        raise ConnectError(f"the proxy {hop} broke off when it was asked for {there}: {error}") from error
    except ProtocolError as error:
        raise ProxyError(f"the proxy {hop} was asked for {there}, its answer cannot be read: {error}") from error
    except ProxyError as error:
        raise type(error)(f"the proxy {hop} does not connect to {there}: {error}") from error


def _authority(host: str, port: int) -> str:
    # The zone of an IPv6 address means nothing elsewhere (RFC 6874 s.4).
    return f"[{host.partition('%')[0]}]:{port}" if ":" in host else f"{host}:{port}"


async def _ask(stream: Stream, raw: bytes, answered: Callable[[], bool]) -> None:
    """Send `raw` and receive once, unless there is an answer; one that came before a failure to send counts."""
    refused = None
    try:
        unsent = stream.write(raw)
        if unsent is not None:
            await unsent
    except WriteError as error:
        refused = error
    if answered():
        return
    try:
        await stream.receive()
    except NetworkError as error:
        raise error if refused is None or error.from_tls else refused from None


# CONNECT.


class _Answers(ResponseReader):
    """Read the answer of a proxy to CONNECT; an end before it is an error of the network, not of the protocol."""

    __slots__ = ()

    def eof_received(self, clean: bool) -> bool:
        return self.head is not None  # TLS may give both at once


async def _connect(stream: Stream, hop: ProxyHop, there: str, max_head_size: int | None) -> None:
    reader = _Answers(max_head_size)
    reader.begin(b"CONNECT", whole=False)
    stream.attach(reader)
    target = there.encode("ascii")
    fields = list(hop.fields)
    if not any(name.lower() == b"host" for name, _ in fields):
        fields.insert(0, (b"Host", target))
    await _ask(stream, request_head(b"CONNECT", target, fields), lambda: reader.head is not None)
    head = reader.head
    assert head is not None
    if not 200 <= head.status < 300:
        raise ProxyError(_refusal(reader, hop))
    assert reader.state == TUNNEL
    surplus = reader.take_whole()
    if surplus:
        raise ProxyError(f"it sent more than its answer: {shown(surplus)}")


def _refusal(reader: ResponseReader, hop: ProxyHop) -> str:
    """Return status and reason of a refusal, and the content that came with them."""
    head = reader.head
    assert head is not None
    text = f"{head.status} {head.reason.decode('ascii', 'replace')}".rstrip()
    if head.status == 407:
        wanted = b", ".join(head.get_all(b"proxy-authenticate"))
        has_login = any(name.lower() == b"proxy-authorization" for name, _ in hop.fields)
        text += ", it does not accept the credentials" if has_login else ", it wants credentials and none are set"
        text += f" (Proxy-Authenticate: {shown(wanted)})" if wanted else ""
    elif content := reader.take():
        text += f", with the content {shown(content)}"
    return text


# SOCKS.


def _handshake(hop: ProxyHop, host: str, port: int) -> Handshake:
    if hop.scheme in ("socks4", "socks4a"):
        return Socks4a(host, port, hop.login[0] if hop.login else b"")
    return Socks5(host, port, hop.login)


class _SocksSink:
    """Feed a handshake with the bytes that arrive."""

    __slots__ = ("_handshake", "pending", "said")

    def __init__(self, handshake: Handshake) -> None:
        self._handshake = handshake
        self.pending = 0
        self.said = b""  # to be sent

    def get_buffer(self) -> None:
        """Return None: answers are small."""

    def buffer_updated(self, nbytes: int) -> bool:
        raise RuntimeError("no buffer was given")

    def data_received(self, data: memoryview) -> bool:
        self.said += self._handshake.feed(data)
        return bool(self.said) or self._handshake.done

    def eof_received(self, clean: bool) -> bool:
        return False


async def _socks(stream: Stream, handshake: Handshake) -> None:
    sink = _SocksSink(handshake)
    stream.attach(sink)
    said = handshake.hello
    while True:
        await _ask(stream, said, lambda: bool(sink.said) or handshake.done)
        said, sink.said = sink.said, b""
        if handshake.done:
            return
