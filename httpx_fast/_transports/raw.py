"""Requests whose parts are bytes already, as another package's client hands them to its transport.

Nothing of them is parsed or serialised twice: the target and the field lines go to the wire as they came, and the head
that was made of them is kept for the next request that has the same parts. The rules:

1. A head is kept under everything that it was made of. It never changes, so two requests may share it.
2. Field lines and target win over the URL, which tells scheme, host and port only.
3. A request that is made here goes to `handle_request()` of our transports like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Protocol

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._config import Timeout
from .._head import FieldLine, RequestHead
from .._models import Request
from .._models.dispatch import Destination, Dispatch
from .._models.request import from_template
from .._urls import URL
from .heads import make_head, method_bytes, route_of

MAX_HEADS: Final = 256  # heads that are kept, and URLs; the oldest goes first
MAX_TIMEOUTS: Final = 64  # combinations of timeouts that are kept

_PHASES: Final = frozenset({"connect", "read", "write", "pool"})


class RawURL(Protocol):
    """Hold what is needed of another package's URL; `str()` gives its text."""

    @property
    def raw_scheme(self) -> bytes: ...
    @property
    def netloc(self) -> bytes: ...
    @property
    def raw_path(self) -> bytes: ...


class RawRequest(Request):
    """A request whose head is ready."""

    def _unchanged_head(self) -> RequestHead | None:
        """Return the head: nobody but the transport holds this request, so nothing of it has changed."""
        return self._dispatch.head


class RawRequests:
    """Make requests from their raw parts, for one transport."""

    def __init__(self) -> None:
        self._heads: dict[tuple[Any, ...], Dispatch] = {}
        self._urls: dict[str, URL] = {}
        self._timeouts: dict[tuple[Any, ...], Timeout] = {}

    def make(
        self,
        method: str,
        url: RawURL,
        fields: list[FieldLine],
        body: bytes | SyncByteStream | AsyncByteStream,
        extensions: Mapping[str, Any],
    ) -> Request:
        """Return a request with this method, target of `url`, field lines, body and extensions.

        Raises InvalidURL, UnsupportedProtocol and LocalProtocolError for what cannot be sent.
        """
        timeouts = extensions.get("timeout")
        timeout = self._timeout(timeouts) if len(extensions) == 1 and timeouts is not None else None
        own = dict(extensions) if extensions and timeout is None else None
        target, server_name = url.raw_path, None
        if own is not None:
            target, server_name = own.get("target", target), own.get("sni_hostname")
        key = (method, url.raw_scheme, url.netloc, target, server_name, *fields)
        known = self._heads.get(key)
        if known is None:
            known = self._keep(key, fields, self._url(str(url)), own)
        if known.timeout is not timeout:
            known = self._heads[key] = known.granted(timeout)
        location = known.destination.url
        assert location is not None
        # A head keeps the list that it was made of, so a request may look for changes of it.
        request = from_template(method, location, known.head.fields, known, RawRequest)  # type: ignore[arg-type, union-attr]
        request._extensions = own
        if isinstance(body, bytes):
            request._content = body
        else:
            del request._content
            request._stream = body
        return request

    def _keep(
        self, key: tuple[Any, ...], fields: list[FieldLine], url: URL, extensions: dict[str, Any] | None
    ) -> Dispatch:
        """Make the head of a request and keep it under `key`."""
        method, scheme, authority, target, *_ = key
        destination = Destination(url)
        head = make_head(method_bytes(method), scheme, authority, target, fields)
        head.http1  # noqa: B018  # what cannot be sent is refused here, before a connection is leased
        route = route_of(url, extensions)
        if any(len(name) == 7 and name.lower() == b"upgrade" for name, _ in fields):
            # A client that writes this field expects 101, which HTTP/2 does not have (RFC 9113 s.8.6).
            route = route._replace(http1=True)
        destination.route = route
        made = Dispatch(head, method, destination)
        while len(self._heads) >= MAX_HEADS:
            _forget_oldest(self._heads)
        self._heads[key] = made
        return made

    def _url(self, text: str) -> URL:
        """Return the URL of this text; it is the same for many requests whose field lines differ."""
        known = self._urls.get(text)
        if known is None:
            known = URL(text)
            while len(self._urls) >= MAX_HEADS:
                _forget_oldest(self._urls)
            self._urls[text] = known
        return known

    def _timeout(self, timeouts: Any) -> Timeout | None:
        """Return what the extension "timeout" says, if it names nothing but the four phases; else None."""
        try:
            key = (timeouts["connect"], timeouts["read"], timeouts["write"], timeouts["pool"])
            known = self._timeouts.get(key)
        except (KeyError, TypeError):
            return None
        if len(timeouts) != len(_PHASES):
            return None
        if known is None:
            connect, read, write, pool = key
            known = Timeout(connect=connect, read=read, write=write, pool=pool)
            while len(self._timeouts) >= MAX_TIMEOUTS:
                _forget_oldest(self._timeouts)
            self._timeouts[key] = known
        return known


def _forget_oldest(known: dict[Any, Any]) -> None:
    try:
        del known[next(iter(known))]
    except (KeyError, RuntimeError, StopIteration):
        pass  # another thread has taken the same one
