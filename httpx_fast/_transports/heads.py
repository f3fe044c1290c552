"""Makes what goes over the wire of a `Request`: its head, where that is sent, and how its body is framed.

Nothing of it does I/O. A head is made here and nowhere else, whoever keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from .._exceptions import LocalProtocolError, UnsupportedProtocol
from .._head import FieldLine, RequestHead
from .._models import Request
from .._models.dispatch import Destination
from .._origin import Route
from .._patterns import pattern
from .._urls import URL
from .._wire.heads import WireHead

#: A WebSocket begins as a request of these (RFC 6455 s.3); default ports are the same.
_WEBSOCKET = {"ws": "http", "wss": "https"}
#: A host, with a port perhaps, that somebody wrote without a scheme; and one that looks like a scheme by its port.
_HOST = pattern(r"(localhost|[\w-]+(\.[\w-]+)+)(:\d{1,5})?(?=[/?#]|$)")
_HOST_AND_PORT = pattern(r"[\w.-]+:\d{1,5}(?=[/?#]|$)")


def make_head(
    method: bytes,
    scheme: bytes,
    authority: bytes,
    target: bytes,
    fields: Sequence[FieldLine],
    announced: int | Literal[False] | None = False,
) -> RequestHead:
    """Return the head with these parts; `announced` is the framing that `fields` say, if it is known."""
    return WireHead(method, scheme, authority, target, fields, announced)


def derived_head(
    head: RequestHead, method: bytes, target: bytes, fields: Sequence[FieldLine], announced: int | Literal[False] | None
) -> RequestHead:
    """Return a head for the scheme and the authority of another."""
    return WireHead(method, head.scheme, head.authority, target, fields, announced)


def head_of(request: Request) -> RequestHead:
    """Return the head of a request. Raises LocalProtocolError for a method that cannot be sent."""
    url = request.url
    extensions = request._extensions
    target = url.raw_path if extensions is None else extensions.get("target", url.raw_path)
    return make_head(method_bytes(request.method), url.raw_scheme, url.netloc, target, request.headers._field_lines)


def method_bytes(method: str) -> bytes:
    """Return a method as it is sent. Raises LocalProtocolError."""
    try:
        return method.encode("ascii")
    except UnicodeEncodeError:
        raise LocalProtocolError(f"method {method!r} is no token; expected letters like GET") from None


def complete(request: Request, head: RequestHead | None) -> tuple[RequestHead, Destination, Route]:
    """Return `head`, or a new one if it is None, and where it is sent. Raises what makes it impossible to send it."""
    if head is None:
        head, destination = head_of(request), Destination(request.url)
        if request._extensions is None:
            request._keep_head(head, destination)
    else:
        destination = request._dispatch.destination
    head.http1  # noqa: B018  # what cannot be sent is refused here, before a connection is leased
    route = destination.route = route_of(request.url, request._extensions)
    return head, destination, route


def route_of(url: URL, extensions: Mapping[str, Any] | None) -> Route:
    """Return the route that a request with these extensions is sent on. Raises UnsupportedProtocol."""
    origin = url._origin
    spoken = _WEBSOCKET.get(origin.scheme)
    if spoken is not None:
        origin = origin._replace(scheme=spoken)
    elif origin.scheme not in ("http", "https"):
        meant = _meant_url(url)
        seen = f"scheme {origin.scheme!r}" if origin.scheme and meant is None else "no scheme"
        message = f"the URL {url._masked()!r} has {seen}; expected http:// or https://"
        raise UnsupportedProtocol(message if meant is None else f"{message}, did you mean {meant}?")
    if not origin.host:
        raise UnsupportedProtocol(f"the URL {url._masked()!r} has no host; expected http://host/ or https://host/")
    server_name = None if extensions is None else extensions.get("sni_hostname")
    if isinstance(server_name, bytes):
        server_name = server_name.decode("ascii")
    return Route(origin, server_name if server_name != origin.host else None)


def _meant_url(url: URL) -> str | None:
    """Return the URL that may have been meant by one without a scheme or host, None if it looks like none."""
    if url._host:
        return None
    text = url._masked()
    written = text if url._scheme else text.lstrip("/")
    found = (_HOST_AND_PORT if url._scheme else _HOST).match(written)
    return None if found is None else f"http://{written}"


def forwarded(
    head: RequestHead, destination: Destination, route: Route, fields: tuple[FieldLine, ...]
) -> tuple[RequestHead, Route]:
    """Return the head that a forwarding proxy is sent, and the route to it.

    It has the whole target (RFC 9112 s.3.2.2) and the fields for the proxy; those of the request win over them. A
    request for a WebSocket goes through a tunnel instead (RFC 6455 s.4.1): its head and route are returned as they are.
    A target that is none of the origin's, as that of CONNECT, stays as it is.
    """
    known = destination.forwarded
    if known is not None and known[0] is head and known[1] is route:
        return known[2], route
    if _asks_for_websocket(head):
        assert destination.route is not None
        return head, destination.route
    target = head.target
    if target == b"*":
        target = b""  # s.3.2.4: the last proxy makes an asterisk of it
    if target[:1] in (b"", b"/"):
        target = head.scheme + b"://" + head.authority + target
    own = {name.lower() for name, _ in head.fields}
    lines = [*head.fields, *(line for line in fields if line[0].lower() not in own)]
    made = derived_head(head, head.method, target, lines, False)
    made.http1  # noqa: B018  # what cannot be sent is refused here, before a connection is leased
    destination.forwarded = head, route, made
    return made, route


def _asks_for_websocket(head: RequestHead) -> bool:
    return head.method == b"GET" and any(
        len(name) == 7 and name.lower() == b"upgrade" and value.strip(b" \t").lower() == b"websocket"
        for name, value in head.fields
    )


def framing_of(head: RequestHead, body: bytes | None) -> int:
    """Return the framing of a request's body (None: a stream). Raises LocalProtocolError if the fields say another."""
    framing = head.framing
    if framing is None:
        # No field announces a body (RFC 9112 s.6.3). A stream may give none all the same, as caches wrap that of a GET;
        # bytes that it gives are refused when they come, before the head is sent.
        if not body:
            return 0
        raise LocalProtocolError("the request has a body, but neither Content-Length nor Transfer-Encoding: chunked")
    if framing >= 0 and body is not None and framing != len(body):
        raise LocalProtocolError(f"the body has {len(body)} bytes, its Content-Length is {framing}")
    return framing
