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
from .._exceptions import LocalProtocolError
from .._models import Request
from .._models.headers import FieldLine
from .._urls import URL
from .._wire.events import RequestHead
from .default import request_route

MAX_HEADS: Final = 256  # heads that are kept, and URLs; the oldest goes first
MAX_TIMEOUTS: Final = 64  # combinations of timeouts that are kept

_PHASES: Final = frozenset({"connect", "read", "write", "pool"})


class RawURL(Protocol):
    """What is asked of another package's URL; `str()` gives its text."""

    @property
    def raw_scheme(self) -> bytes: ...
    @property
    def netloc(self) -> bytes: ...
    @property
    def raw_path(self) -> bytes: ...


class RawRequest(Request):
    """A request whose head is ready."""

    def _unchanged_head(self) -> Any:
        """Return the head: nobody but the transport holds this request, so nothing of it has changed."""
        return self._head


class RawRequests:
    """Makes requests of their raw parts, for one transport."""

    def __init__(self) -> None:
        self._heads: dict[tuple[Any, ...], tuple[RequestHead, URL]] = {}
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
        request = RawRequest.__new__(RawRequest)
        request._begin()
        request.method = method
        target, server_name = url.raw_path, None
        timeouts = extensions.get("timeout")
        if len(extensions) == 1 and timeouts is not None:
            request._timeout = self._timeout(timeouts)
        if extensions and request._timeout is None:
            request._extensions = dict(extensions)
            target, server_name = extensions.get("target", target), extensions.get("sni_hostname")
        key = (method, url.raw_scheme, url.netloc, target, server_name, *fields)
        known = self._heads.get(key)
        if known is None:
            known = self._keep(key, request, url, target, fields)
        request._head, request.url = known
        request._lines = known[0].fields  # type: ignore[assignment]  # the list that it was made of
        if isinstance(body, bytes):
            request._content = body
        else:
            request._stream = body
        return request

    def _keep(
        self, key: tuple[Any, ...], request: RawRequest, url: RawURL, target: bytes, fields: list[FieldLine]
    ) -> tuple[RequestHead, URL]:
        """Make the head of `request` and keep it under `key`."""
        request.url = self._url(str(url))
        try:
            method = request.method.encode("ascii")
        except UnicodeEncodeError:
            raise LocalProtocolError(f"method {request.method!r} is no token; expected letters like GET") from None
        head = RequestHead(method, key[1], key[2], target, fields)
        head.http1  # noqa: B018  # what cannot be sent is refused here, before a connection is leased
        head.route = request_route(request)
        if any(len(name) == 7 and name.lower() == b"upgrade" for name, _ in fields):
            # Who writes this field expects 101, which HTTP/2 does not have (RFC 9113 s.8.6).
            head.route = head.route._replace(http1=True)
        made = (head, request.url)
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
