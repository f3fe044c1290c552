"""`Response`: a response as received.

An ordinary class, which users may subclass, patch and construct for tests. It keeps received data as it came: the
kernel's head, the body if it arrived at once, else a stream; headers, extensions, text and the like are made on first
access. `response_body` reads the body. `_flags` says what the head contains (`_kernel.constants`), so that most
responses need no search of their fields.
"""

from __future__ import annotations

import json as jsonlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakMethod

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._content import ByteStream, ResponseContent, UnattachedStream, encode_response
from .._exceptions import HTTPStatusError, shown, status_message
from .._head import FieldLine
from .._journey import NO_JOURNEY, Journey, Sizes
from .._kernel import select
from .._kernel.constants import FIELD_FLAGS, HAS_LOCATION, HAS_SET_COOKIE
from .._masking import masked_json_text
from .._urls import URL
from .cookies import Cookies
from .field_values import charset_of, links_of
from .headers import Headers, HeaderTypes
from .request import Request
from .response_body import ResponseBody

if TYPE_CHECKING:
    import datetime as dt

__all__ = ["Response"]

ResponseExtensions: TypeAlias = Mapping[str, Any]

MAX_BODY_SHOWN = 300  # characters of a body in the note of HTTPStatusError
MAX_JSON_SHOWN = 64 * 1024  # bytes of a JSON body that are looked through for secrets before it is shown

_new = object.__new__
#: PyPy has a parser of its own, behind `json.loads` alone.
_IS_PYPY = sys.implementation.name == "pypy"

#: RFC 9110 s.15.4: status codes of redirects that name their target in Location.
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
#: Attributes that are not pickled: those that belong to the connection, and those that can be computed again.
_UNPICKLED = (
    "_body",
    "_content_stage",
    "_cookies",
    "_decoder",
    "_extensions",
    "_head",
    "_informational",
    "_interim",
    "_json_loads",
    "_network",
    "_stream",
    "is_closed",
)


class Response(ResponseBody):
    """Represent a response, from a client or made by hand.

    `content` is a body as it is, `text`, `html` and `json` bodies of those types; fields that describe it are added
    unless `headers` has them. `stream` is a body that is used as it is. `default_encoding` is the codec of text
    whose Content-Type names none, or a function that returns one for the content (or None, for UTF-8).
    """

    is_closed: bool
    is_stream_consumed: bool

    # No defaults for what each response sets: CPython does not specialize access to what both object and class have.
    status_code: int
    default_encoding: str | Callable[[bytes], str | None]
    #: The request to send to follow a redirect that the client did not follow.
    next_request: Request | None = None

    # Attributes without a value are unset until they are known.
    _text: str
    _encoding: str
    _elapsed: dt.timedelta
    _cookies: Cookies
    _informational: tuple[Response, ...]
    _network: Any
    _extensions: dict[str, Any] | None = None
    _history: list[Response] | None = None
    _interim: Sequence[Any] | None = None  # heads of the preceding 1xx responses
    _trailers: Headers | None = None
    _json_loads: Callable[..., Any] | None = None  # the client's own, in place of the standard library's

    def __init__(
        self,
        status_code: int,
        *,
        headers: HeaderTypes | None = None,
        content: ResponseContent | None = None,
        text: str | None = None,
        html: str | None = None,
        json: Any = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        request: Request | None = None,
        extensions: ResponseExtensions | None = None,
        history: list[Response] | None = None,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
    ) -> None:
        self._begin()
        self.status_code = status_code
        self._headers = Headers(headers)
        self._request = request
        self.default_encoding = default_encoding
        self._extensions = {} if extensions is None else dict(extensions)
        if history is not None:
            self._history = list(history)
        if stream is not None:
            self._stream = stream
            return
        defaults, self._stream = encode_response(content, text, html, json)
        self._prepare(defaults)
        if not isinstance(self._stream, ByteStream):
            return
        if self._headers._has(b"content-encoding"):
            self.read()
            self._num_bytes_downloaded = 0
        else:
            self._content = self._stream._stream
            self.is_closed = self.is_stream_consumed = True

    def _begin(self) -> None:
        """Initialise the attributes of a response of which nothing is known."""
        self.is_closed = self.is_stream_consumed = False
        self.default_encoding = "utf-8"
        self._journey = self._request = None
        self._head = self._headers = self._body = self._stream = self._network = None
        self._num_bytes_downloaded = 0

    def _prepare(self, defaults: dict[str, str]) -> None:
        headers = self.headers
        names = headers._lower_names()
        sized = b"content-length" in names
        lines = [(name.encode("ascii"), value.encode()) for name, value in defaults.items()]
        headers._surround(
            [],
            [
                line
                for line, lower in [(line, line[0].lower()) for line in lines]
                if lower not in names and not (sized and lower == b"transfer-encoding")
            ],
        )

    @property
    def _flags(self) -> int:
        """Return the flags (`_kernel.constants`) of the fields that are present."""
        headers = self._headers
        # Headers drop their reference to the head when they are changed.
        if self._head is not None and (headers is None or headers._source is self._head):
            flags: int = self._head.flags
            return flags
        flags = 0
        for name in self.headers._lower_names():
            flags |= FIELD_FLAGS.get(name, 0)
        return flags

    @property
    def extensions(self) -> dict[str, Any]:
        """Return "http_version" and "reason_phrase" as bytes, "network_stream", "stream_id" (HTTP/2)."""
        extensions = self._extensions
        if extensions is None:
            version = self._version()
            extensions = self._extensions = {"http_version": version}
            if not version.startswith(b"HTTP/2"):
                extensions["reason_phrase"] = self._head.reason
            if self._journey is not None and self._journey.stream_id is not None:
                extensions["stream_id"] = self._journey.stream_id
            if self._network is not None:
                network = self._network(self)
                if network is not None:
                    extensions["network_stream"] = network
        return extensions

    @extensions.setter
    def extensions(self, extensions: dict[str, Any]) -> None:
        self._extensions = extensions

    def _add_sections(self, interim: Sequence[Any], trailers: Sequence[FieldLine]) -> None:
        """Add the heads of interim responses, and the trailer section, if there were any."""
        if interim:
            self._interim = interim
        if trailers:
            self._trailers = Headers(list(trailers))

    def _version(self) -> bytes:
        connection = None if self._journey is None else self._journey.connection
        if connection is not None and connection.http_version.startswith("HTTP/2"):
            return connection.http_version.encode("ascii")
        return b"HTTP/1.0" if self._head.minor == 0 else b"HTTP/1.1"

    @property
    def history(self) -> list[Response]:
        """Return the responses that led here, oldest first: redirects and authentication rounds."""
        history = self._history
        if history is None:
            history = self._history = []
        return history

    @history.setter
    def history(self, history: list[Response]) -> None:
        self._history = history

    @property
    def informational(self) -> tuple[Response, ...]:
        """Return the 1xx responses that preceded this one (103 Early Hints and the like), in order."""
        try:
            return self._informational
        except AttributeError:
            pass
        heads = self._interim or getattr(self._stream, "interim", None) or ()
        self._informational = tuple(
            received(head.status, head, self._request, None, body=b"", stream=None, network=None) for head in heads
        )
        return self._informational

    @property
    def trailers(self) -> Headers:
        """Return the trailer section; empty if there is none, and until the body's end."""
        trailers = self._trailers
        return Headers(getattr(self._stream, "trailers", None)) if trailers is None else trailers

    @property
    def journey(self) -> Journey:
        """Return the timed steps of the request.

        What mocks, ASGI and WSGI applications answer has one without steps, whose `over_network` is False.

        ```python
        response.journey.phases()  # {"pool": 0.00002, "dns": 0.0004, ...}, seconds
        ```
        """
        journey = self._journey
        if journey is None:
            return NO_JOURNEY
        request = self._request
        if journey.head is None:  # it was made elsewhere, and brought what it knows
            return journey
        if request is not None and (journey.status is None or not self.is_closed):
            measure = WeakMethod(self._sizes)
            journey.describe(request.method, request.url._masked(), self.status_code, lambda: _asked(measure))
        if self.is_closed:
            journey.keep_sizes(self._sizes())
        return journey

    @journey.setter
    def journey(self, journey: Journey) -> None:
        self._journey = journey

    def _sizes(self) -> Sizes | None:
        """Return the bytes that were sent and received, as far as they are known now."""
        journey, head = self._journey, self._head
        if journey is None:
            return None
        received_body = self._num_bytes_downloaded if self._body is None else len(self._body)
        content: bytes | None = None if self.is_truncated else self.__dict__.get("_content")
        stage = self.__dict__.get("_content_stage")
        decoded = len(content) if content is not None else None if stage is None else stage.count
        return journey.sizes_of(None if head is None else head.size, received_body, decoded)

    @property
    def elapsed(self) -> dt.timedelta:
        """Return the time from sending the request to the end of the body, or to closing before it."""
        try:
            return self._elapsed
        except AttributeError:
            pass
        journey = self._journey
        if journey is not None and (journey.done is not None or self.is_closed):
            from datetime import timedelta

            return timedelta(seconds=journey.total)
        measured: dt.timedelta | None = getattr(self._stream, "elapsed", None)
        if measured is None:
            raise RuntimeError("'elapsed' is known when the response has been read or closed")
        return measured

    @elapsed.setter
    def elapsed(self, elapsed: dt.timedelta) -> None:
        self._elapsed = elapsed

    @property
    def request(self) -> Request:
        """Return the request of this response. Raises RuntimeError if none was set."""
        if self._request is None:
            raise RuntimeError("the response was made without its request, and none was set since")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request

    @property
    def http_version(self) -> str:
        """Return "HTTP/1.1", "HTTP/2" or "HTTP/1.0"."""
        extensions = self._extensions
        version: bytes = self._version() if extensions is None else extensions.get("http_version", b"HTTP/1.1")
        return version.decode("ascii", "ignore")

    @property
    def reason_phrase(self) -> str:
        """Return the server's reason phrase, or the registered one of the status code (HTTP/2 sends none)."""
        reason: bytes | None = self.extensions.get("reason_phrase")
        if reason is not None:
            return reason.decode("ascii", "ignore")
        from .._status_codes import codes

        return codes.get_reason_phrase(self.status_code)

    @property
    def url(self) -> URL:
        """Return the URL that was requested."""
        return self.request.url

    @property
    def text(self) -> str:
        """Return the content as text, decoded by `encoding`; invalid input is replaced by U+FFFD."""
        try:
            return self._text
        except AttributeError:
            pass
        content = self.content
        self._text = content.decode(self.encoding or "utf-8", "replace") if content else ""
        return self._text

    @property
    def encoding(self) -> str | None:
        """Return the codec for text: the one that was set, else that of Content-Type, else the default.

        Content-Type may name any encoding of the WHATWG Encoding standard; any other name stands for the default.
        """
        try:
            return self._encoding
        except AttributeError:
            pass
        encoding = charset_of(self._content_type())[1]
        if encoding is None:
            default = self.default_encoding
            if isinstance(default, str):
                encoding = default
            elif "_content" in self.__dict__:
                encoding = default(self._content)
            else:
                # Not cached: the function is called with the content once it is read.
                return "utf-8"
        self._encoding = encoding or "utf-8"
        return self._encoding

    @encoding.setter
    def encoding(self, encoding: str) -> None:
        if "_text" in self.__dict__:
            raise ValueError("the content was decoded to text before: set the encoding before asking for 'text'")
        self._encoding = encoding

    @property
    def charset_encoding(self) -> str | None:
        """Return the charset parameter of Content-Type, in lower case."""
        return charset_of(self._content_type())[0]

    def _content_type(self) -> bytes:
        headers = self._headers
        return b", ".join(self._head.get_all(b"content-type") if headers is None else headers._find(b"content-type"))

    @property
    def is_informational(self) -> bool:
        """Return whether the status code is 1xx."""
        return 100 <= self.status_code <= 199

    @property
    def is_success(self) -> bool:
        """Return whether the status code is 2xx."""
        return 200 <= self.status_code <= 299

    @property
    def is_redirect(self) -> bool:
        """Return whether the status code is 3xx; `has_redirect_location` also requires a Location."""
        return 300 <= self.status_code <= 399

    @property
    def is_client_error(self) -> bool:
        """Return whether the status code is 4xx."""
        return 400 <= self.status_code <= 499

    @property
    def is_server_error(self) -> bool:
        """Return whether the status code is 5xx."""
        return 500 <= self.status_code <= 599

    @property
    def is_error(self) -> bool:
        """Return whether the status code is 4xx or 5xx."""
        return 400 <= self.status_code <= 599

    @property
    def has_redirect_location(self) -> bool:
        """Return whether this is a redirect with a Location to follow."""
        return self.status_code in _REDIRECTS and bool(self._flags & HAS_LOCATION)

    def raise_for_status(self) -> Response:
        """Return the response if the status code is 2xx. Raises HTTPStatusError otherwise.

        ```python
        text = client.get("/items").raise_for_status().text
        ```
        """
        request = self._request
        if request is None:
            raise RuntimeError("raise_for_status() names the request: set 'request' on a response made by hand")
        status = self.status_code
        if 200 <= status <= 299:
            return self
        location = self.headers["location"] if self.has_redirect_location else None
        message = status_message(status, self.reason_phrase, request.url._masked(), location)
        error = HTTPStatusError(message, request=request, response=self)
        error.add_note(f"The request's method was {request.method}.")
        shown = self._first_words()
        if shown:
            error.add_note(f"The body begins with: {shown}")
        error.journey = None if self._journey is None else self.journey
        raise error

    def _first_words(self) -> str:
        """Return the beginning of a body of text or JSON that was read, on one line, with secrets masked."""
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_json = kind == "application/json" or kind.endswith("+json")
        if "_content" not in self.__dict__ or not (is_json or kind.startswith("text/")):
            return ""
        text = self._content[: MAX_JSON_SHOWN if is_json else 4 * MAX_BODY_SHOWN].decode("utf-8", "replace")
        words = " ".join((masked_json_text(text) if is_json else text).split())
        printable = "".join(each if each.isprintable() else "\ufffd" for each in words[:MAX_BODY_SHOWN])
        return printable + ("..." if len(words) > MAX_BODY_SHOWN else "")

    def json(self, **kwargs: Any) -> Any:
        """Return the content parsed as JSON; arguments and exceptions are those of `json.loads`.

        If the client has a `json_loads`, it is called with the bytes in place of that.

        ```python
        names = [item["name"] for item in response.json()["items"]]
        ```
        """
        content = self.content
        if self._json_loads is not None:
            return self._parse_json(content, kwargs)
        try:
            # RFC 8259 s.8.1: it is UTF-8. Detecting the encoding costs half as much as parsing a small object.
            if content[:1] in (b"{", b"[") and content[1:2] != b"\0":
                if not kwargs and not _IS_PYPY:
                    try:
                        return select.parse_json(content)
                    except ValueError:  # `loads` says what is wrong, if anything is
                        pass
                try:
                    text = content.decode()
                except UnicodeDecodeError:
                    pass
                else:
                    return jsonlib.loads(text, **kwargs)
            return jsonlib.loads(content, **kwargs)
        except ValueError as error:
            error.add_note(self._note_on_content(content))
            raise

    def _parse_json(self, content: bytes, arguments: dict[str, Any]) -> Any:
        """Parse JSON by the function that the client was given."""
        assert self._json_loads is not None
        try:
            return self._json_loads(content, **arguments)
        except Exception as error:
            error.add_note(self._note_on_content(content))
            raise

    def _note_on_content(self, content: bytes) -> str:
        return f"The response is {self._told_type()}; its content begins with {shown(content)}."

    def _told_type(self) -> str:
        return f"{self.status_code}, Content-Type {self.headers.get('content-type', 'unknown')!r}"

    @property
    def cookies(self) -> Cookies:
        """Return the cookies that this response sets."""
        try:
            return self._cookies
        except AttributeError:
            pass
        self._cookies = Cookies()
        if self._flags & HAS_SET_COOKIE:
            self._cookies.extract_cookies(self)
        return self._cookies

    @property
    def links(self) -> dict[str | None, dict[str, str]]:
        """Return the links of the Link field (RFC 8288) by relation, or by URL if they name no relation.

        ```python
        following = response.links["next"]["url"]
        ```
        """
        value = self.headers.get("link")
        return {} if value is None else {link.get("rel") or link.get("url"): link for link in links_of(value)}

    def _repr_html_(self) -> str:
        """Return the status and a picture of the journey, for notebooks."""
        from html import escape

        from .._journey_html import journeys_html  # few look

        told = f"{self.status_code} {self.reason_phrase}"
        if self._request is not None:
            told = f"{self._request.method} {self._request.url._masked()}: {told}"
        return f"<div>{escape(told)}</div>{journeys_html([self.journey])}"

    def __repr__(self) -> str:
        return f"<Response [{self.status_code} {self.reason_phrase}]>"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _UNPICKLED}
        state["_headers"] = self.headers
        if self._journey is not None:
            state["_journey"] = self.journey
            if self.is_closed:
                state["_elapsed"] = self.elapsed
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin()
        self.__dict__.update(state)
        self.is_closed = True
        self._extensions = {}
        self._stream = UnattachedStream()


def _asked(measure: WeakMethod[Callable[[], Sizes | None]]) -> Sizes | None:
    method = measure()
    return None if method is None else method()


def received(
    status: int,
    head: Any,
    request: Request | None,
    journey: Journey | None,
    body: bytes | None,
    stream: Any,
    network: Any,
) -> Response:
    """Make the response of a received head, with its whole body or else the stream of it.

    `network` is a function of the response that gives its "network_stream", called on first access.
    """
    # From local variables attributes are set in two instructions each, from constants in three.
    self, no, nothing = _new(Response), False, None
    self.status_code = status
    self.is_closed = no
    self.is_stream_consumed = no
    self.default_encoding = "utf-8"
    self._journey = journey
    self._head = head
    self._headers = nothing
    self._request = request
    self._body = body
    self._stream = stream
    self._network = network
    self._num_bytes_downloaded = 0
    return self
