"""Requests that a client made before, ready to be made again: what costs in making one is done once.

A template is what method and URL text make with the client's settings. Requests with a body that is in memory, or with
fields of their own, are derived from one: its field lines, theirs in place of those of the same names, and what
describes the body. What is rare (a body's length that the user gives, names in another type than a dict) is left to
`Request`, which makes the same of it; `tests/client/test_templates.py` compares the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._models import Request
from .._models.headers import FieldLine, Headers, encoded
from .._models.request import from_template
from .._wire.events import RequestHead

if TYPE_CHECKING:
    from .._config import Timeout
    from .._urls import URL

MAX_TEMPLATES = 512  # templates that a client keeps; the oldest goes first
MAX_TEMPLATE_URL = 2048  # characters; longer URLs are seldom asked for twice

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_CHECKED = _FRAMING | {b"host"}  # what a request has at most once


class Template:
    """A request that was made of method and URL text alone."""

    __slots__ = ("_derived", "_names", "fields", "framed", "head", "method", "url")

    def __init__(self, request: Request) -> None:
        url = request.url
        headers = request.headers
        self.method = request.method
        self.url: URL = url
        self.fields = headers._share()
        self.head = self._derived = RequestHead(
            request.method.encode("ascii", "backslashreplace"), url.raw_scheme, url.netloc, url.raw_path, self.fields
        )
        self._names = headers._lower_names()
        # There are fields that announce a body, or none; or Host is not there once, so that no request can be sent.
        self.framed = not _FRAMING.isdisjoint(self._names) or self._names.count(b"host") != 1

    def again(self, timeout: Timeout | None) -> Request:
        """The same request."""
        return from_template(self.method, self.url, self.fields, self.head, timeout)

    def derive(
        self, method: str, headers: Any, body: bytes, content_type: bytes | None, timeout: Timeout | None
    ) -> Request | None:
        """The request with other headers, or a body too: then this is a template of GET, and `method` any other's.

        None where `Request` is to make it.
        """
        fields, names = self.fields, self._names
        if headers is not None:
            given = _lines(headers)
            if given is None:
                return None
            its = [line[0].lower() for line in given]
            if not _CHECKED.isdisjoint(its):
                return None
            if not set(its).isdisjoint(names):
                kept = [each for each in zip(names, fields, strict=True) if each[0] not in its]
                names, fields = [name for name, _ in kept], [line for _, line in kept]
            fields, names = fields + given, names + its
        if body:
            fields = [*fields, (b"Content-Length", b"%d" % len(body))]
            if content_type is not None and b"content-type" not in names:
                fields.append((b"Content-Type", content_type))
        first, before = self.head, self._derived
        verb = first.method if method == self.method else method.encode("ascii", "backslashreplace")
        head = RequestHead(verb, first.scheme, first.authority, first.target, fields)
        head.route = before.route  # which the one before knows since it was sent
        if body:
            head.announced = len(body)
        elif not self.framed:
            head.announced = None
        self._derived = head
        request = from_template(method, self.url, fields, head, timeout)
        request._content = body
        return request


class Table:
    """The templates of one state of the settings. Another state has another table, so no thread meets an old one."""

    __slots__ = ("base_url", "fields", "known", "params")

    def __init__(self, headers: Headers, params: Any, base_url: URL) -> None:
        self.fields = headers._share()
        self.params = params
        self.base_url = base_url
        self.known: dict[tuple[str, str], Template] = {}

    def keep(self, method: str, url: str, template: Template) -> None:
        if len(url) > MAX_TEMPLATE_URL:
            return
        known = self.known
        if len(known) >= MAX_TEMPLATES:
            try:
                del known[next(iter(known))]
            except (KeyError, RuntimeError):
                pass  # another thread has taken the same one
        known[method, url] = template


def _lines(headers: Any) -> list[FieldLine] | None:
    """The field lines of what users mostly give as headers; None for the rest."""
    if headers.__class__ is dict:
        return encoded(headers.items(), "ascii")
    return headers._field_lines if headers.__class__ is Headers else None
