"""Requests that a client made before, ready to be made again: what costs in making one is done once.

A template is what method and URL text make with the client's settings. Requests with a body that is in memory, or with
fields of their own, are derived from one: its field lines, theirs in place of those of the same names, and what
describes the body. What is rare (a body's length that the user gives, names in another type than a dict) is left to
`Request`, which makes the same of it; `tests/client/test_templates.py` compares the two.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from .._kernel.select import merge_lines
from .._models import Request
from .._models.dispatch import Destination, Dispatch
from .._models.headers import Headers
from .._models.request import from_template
from .._transports.heads import derived_head, make_head

if TYPE_CHECKING:
    from collections.abc import Callable

    from .._config import Timeout
    from .._urls import URL

MAX_TEMPLATES = 512  # templates that a client keeps; the oldest goes first
MAX_TEMPLATE_URL = 2048  # characters; longer URLs are seldom asked for twice

_new = object.__new__

_FRAMING = frozenset({b"content-length", b"transfer-encoding"})
_CHECKED = _FRAMING | {b"host"}  # what a request has at most once


class Template:
    """A request that was made of method and URL text alone."""

    __slots__ = ("_dispatch", "_names", "fields", "framed", "head", "method", "url")

    def __init__(self, request: Request, sender: Callable[[], Any]) -> None:
        url = request.url
        headers = request.headers
        self.method = request.method
        self.url: URL = url
        self.fields = headers._share()
        self._names = headers._lower_names()
        # There are fields that announce a body, or none; or Host is not there once, so that no request can be sent.
        self.framed = not _FRAMING.isdisjoint(self._names) or self._names.count(b"host") != 1
        self.head = make_head(
            request.method.encode("ascii", "backslashreplace"),
            url.raw_scheme,
            url.netloc,
            url.raw_path,
            self.fields,
            False if self.framed else None,
        )
        # Of the request that came last: most have the same timeouts, and are sent by the same client, whole.
        self._dispatch = Dispatch(self.head, self.method, Destination(url), None, sender, True)

    def of_url(self, url: URL) -> Template:
        """Return the template of another URL of the same origin, whose field lines are the same."""
        template = _new(Template)
        template.method = self.method
        template.url = url
        template.fields = self.fields
        template._names = self._names
        template.framed = self.framed
        head = template.head = self.head.with_target(url.raw_path)
        last, destination = self._dispatch, Destination(url)
        destination.route = last.destination.route  # None until a request of the origin was sent
        template._dispatch = Dispatch(head, self.method, destination, last.timeout, last.sender, True)
        return template

    def again(self, timeout: Timeout | None) -> Request:
        """Return a new request equal to the template's."""
        dispatch = self._dispatch
        if dispatch.timeout is not timeout:
            dispatch = self._dispatch = dispatch.granted(timeout)
        # What `from_template` does, without calling it: most requests come from here.
        request, nothing = _new(Request), None
        request.method = self.method
        request.url = self.url
        request._headers = nothing
        request._lines = self.fields
        request._content = b""
        request._stream = nothing
        request._extensions = nothing
        request._dispatch = dispatch
        return request

    def derive(
        self, method: str, headers: Any, body: bytes, content_type: bytes | None, timeout: Timeout | None
    ) -> Request | None:
        """Return the request with other headers, or with a body: then this is a template of GET, and `method` differs.

        None where `Request` is to make it.
        """
        fields, names = self.fields, self._names
        if headers is not None:
            if headers.__class__ is dict:
                given: Iterable[tuple[Any, Any]] = headers.items()
            elif headers.__class__ is Headers:
                given = headers._field_lines
            else:
                return None
            merged = merge_lines(fields, names, given, _CHECKED)
            if merged is None:
                return None
            fields, names = merged
        if body:
            fields = [*fields, (b"Content-Length", b"%d" % len(body))]
            if content_type is not None and b"content-type" not in names:
                fields.append((b"Content-Type", content_type))
        first, dispatch = self.head, self._dispatch
        verb = first.method if method == self.method else method.encode("ascii", "backslashreplace")
        announced = len(body) if body else first.announced
        head = derived_head(first, verb, first.target, fields, announced)
        request = from_template(
            method, self.url, fields, Dispatch(head, method, dispatch.destination, timeout, dispatch.sender, True)
        )
        request._content = body
        return request


class Table:
    """The templates of one state of the settings. Another state has another table, so no thread meets an old one."""

    __slots__ = ("_sender", "base_url", "fields", "known", "origins", "params")

    def __init__(self, headers: Headers, params: Any, base_url: URL, sender: Callable[[], Any]) -> None:
        self._sender = sender
        self.fields = headers._share()
        self.params = params
        self.base_url = base_url
        self.known: dict[tuple[str, str], Template] = {}
        #: The last template of each method and origin, from which that of a URL never seen is made.
        self.origins: dict[tuple[str, str, str, int | None], Template] = {}

    def make(self, method: str, url: URL, headers: Headers) -> Template:
        """Return a template for a URL that has none, from the last one of its origin if there is one."""
        origin = (method, url._scheme, url._host, url._port)
        last = self.origins.get(origin)
        if last is None:
            _make_room(self.origins)
            template = Template(Request(method, url, headers=headers), self._sender)
        else:
            template = last.of_url(url)
        self.origins[origin] = template
        return template

    def keep(self, method: str, url: str, template: Template) -> None:
        """Find `template` for this method and URL text from now on."""
        if len(url) <= MAX_TEMPLATE_URL:
            _make_room(self.known)
            self.known[method, url] = template


def _make_room(table: dict[Any, Template]) -> None:
    """Remove the oldest template of a full table."""
    if len(table) >= MAX_TEMPLATES:
        try:
            del table[next(iter(table))]
        except (KeyError, RuntimeError):
            pass  # another thread has taken the same one
