"""`Request`: a request to be sent.

An ordinary class, which users may subclass and patch; rarely used attributes are made on first access. The rules:

1. A request from a template shares the template's field lines until `headers` is first read, and has no stream until
   `stream` is first read: None stands for the content in memory.
2. `_dispatch` says how it is sent. It has the granted timeouts until somebody asks for `extensions`; from then on the
   dict there has them.
3. Clients and transports read `_dispatch`, `_extensions`, `_stream`, `_body` and `_unchanged_head()`, and nothing else
   that begins with an underscore.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._content import ByteStream, RequestContent, UnattachedStream, encode_request
from .._exceptions import RequestNotRead
from .._multipart import RequestData, RequestFiles, get_multipart_boundary_from_content_type
from .._urls import URL, QueryParamTypes
from .cookies import Cookies, CookieTypes
from .dispatch import UNSENT, Destination, Dispatch
from .headers import Headers, HeaderTypes

if TYPE_CHECKING:
    from .._head import FieldLine, RequestHead

__all__ = ["Request"]

RequestExtensions: TypeAlias = Mapping[str, Any]

_new = object.__new__

#: Methods that define a meaning for content, so that no content is sent as a length of 0 (RFC 9110 s.8.6).
_WITH_CONTENT = frozenset({"POST", "PUT", "PATCH", "QUERY"})
#: Attributes that are not pickled, since they belong to the sending of the request.
_UNPICKLED = ("_dispatch", "_extensions", "_lines", "_stream")


class Request:
    """Represent a request, to be sent by a client.

    `content` is a body as it is (text, bytes, an iterable or a file, asynchronous ones too), `data` a form, `files`
    make it a multipart form, `json` is any value that the module `json` can serialize; fields that describe the body
    are added unless `headers` has them. `stream` is a body that is used as it is, without adding fields.

    ```python
    request = httpx.Request("POST", "https://api.example.org/items", json={"name": "pen"})
    ```
    """

    method: str
    url: URL
    # No defaults here: CPython does not specialize access to an attribute for which the class has a default.
    _content: bytes  # unset until it is in memory
    _headers: Headers | None
    _lines: list[FieldLine]
    _stream: SyncByteStream | AsyncByteStream | None
    _extensions: dict[str, Any] | None
    _dispatch: Dispatch

    def __init__(
        self,
        method: str,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        extensions: RequestExtensions | None = None,
    ) -> None:
        self._begin()
        try:
            self.method = str.upper(method)
        except TypeError:
            raise TypeError(f"expected a str as method, got {type(method).__name__}: {method!r}") from None
        if params is not None:
            self.url = URL(url, params=params)
        else:
            self.url = url if type(url) is URL else URL(url)
        self._headers = Headers(headers)
        if extensions is not None:
            try:
                self._extensions = dict(extensions)
            except (TypeError, ValueError):
                raise TypeError(f"expected a mapping as extensions, got {type(extensions).__name__}") from None
        if cookies:
            (cookies if isinstance(cookies, Cookies) else Cookies(cookies)).set_cookie_header(self)
        if stream is not None:
            self._stream = stream
        elif content is None and data is None and json is None and not files:
            self._content = b""
            self._prepare({})
        else:
            boundary = None
            if files:
                content_type = self._headers._find(b"content-type")
                boundary = get_multipart_boundary_from_content_type(content_type[0] if content_type else None)
            defaults, self._stream = encode_request(content, data, files, json, boundary)
            if isinstance(self._stream, ByteStream):
                self._content = self._stream._stream
            self._prepare(defaults)
        if extensions is not None and self._stream is not None and "upload_progress" in extensions:
            from .upload_progress import told  # few programs ask for it

            self._stream = told(self._stream, extensions["upload_progress"], self.headers.get("Content-Length"))

    def _begin(self) -> None:
        """Initialise the attributes that have no argument."""
        self._headers = None
        self._stream = None
        self._extensions = None
        self._dispatch = UNSENT

    def _prepare(self, defaults: dict[str, str]) -> None:
        """Add Host and the fields of the body, unless the user has given them."""
        headers = self.headers
        names = headers._lower_names()
        first: list[FieldLine] = []
        last: list[FieldLine] = []
        sized = b"content-length" in names
        coded = b"transfer-encoding" in names
        for name, value in defaults.items():
            line = (name.encode("ascii"), value.encode())
            lower = line[0].lower()
            if lower in names:
                continue
            # RFC 9112 s.6.2: a message has only one of the two, and the user has chosen.
            if (coded and lower == b"content-length") or (sized and lower == b"transfer-encoding"):
                continue
            last.append(line)
        if b"host" not in names and self.url.host:
            first.append((b"Host", self.url.netloc))
        if self.method in _WITH_CONTENT and not (sized or coded or last):
            first.append((b"Content-Length", b"0"))
        headers._surround(first, last)

    @property
    def headers(self) -> Headers:
        """Return the field lines of the request, which can be changed until it is sent."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers._from_list(self._lines)
        return headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)

    @property
    def stream(self) -> SyncByteStream | AsyncByteStream:
        """Return the body as it will be sent."""
        stream = self._stream
        if stream is None:
            stream = self._stream = ByteStream(self._content)
        return stream

    @stream.setter
    def stream(self, stream: SyncByteStream | AsyncByteStream) -> None:
        self._stream = stream

    @property
    def extensions(self) -> dict[str, Any]:
        """Return the settings of this request alone: "timeout", "trace", "target", "upload_progress" and others."""
        extensions = self._extensions
        timeout = self._dispatch.timeout
        if extensions is None:
            extensions = self._extensions = {}
        if timeout is not None:
            self._dispatch = self._dispatch.granted(None)
            extensions.setdefault("timeout", timeout.as_dict())
        return extensions

    @extensions.setter
    def extensions(self, extensions: dict[str, Any]) -> None:
        self._extensions = extensions
        if self._dispatch.timeout is not None:
            self._dispatch = self._dispatch.granted(None)

    @property
    def content(self) -> bytes:
        """Return the body's bytes. Raises RequestNotRead for a stream that was not read."""
        try:
            return self._content
        except AttributeError:
            raise RequestNotRead from None

    def read(self) -> bytes:
        """Load the body and return its bytes; afterwards the request can be sent again."""
        if not hasattr(self, "_content"):
            stream = self.stream
            if not isinstance(stream, Iterable):
                raise RuntimeError("the request's body is an asynchronous stream: call aread()")
            self._keep(b"".join(stream))
        return self._content

    async def aread(self) -> bytes:
        """Load the body and return its bytes; afterwards the request can be sent again."""
        if not hasattr(self, "_content"):
            stream = self.stream
            if not isinstance(stream, AsyncIterable):
                raise RuntimeError("the request's body is a blocking stream: call read()")
            self._keep(b"".join([piece async for piece in stream]))
        return self._content

    def _keep(self, content: bytes) -> None:
        self._content = content
        if not isinstance(self._stream, ByteStream):
            self._stream = None

    @property
    def _body(self) -> bytes | None:
        """Return the bytes of the whole body; None if it must be read from `stream`."""
        stream = self._stream
        if stream is None:
            return self._content
        return stream._stream if type(stream) is ByteStream else None

    def _unchanged_head(self) -> RequestHead | None:
        """Return the head that was made of this request before, if it still says what is to be sent."""
        dispatch = self._dispatch
        head = dispatch.head
        if head is None or self.method is not dispatch.method or self.url is not dispatch.destination.url:
            return None
        extensions = self._extensions
        if extensions is not None and ("target" in extensions or "sni_hostname" in extensions):
            return None
        headers = self._headers
        return head if (self._lines if headers is None else headers._lines) is head.fields else None

    def _keep_head(self, head: RequestHead, destination: Destination) -> None:
        """Keep a head whose `fields` are `headers._field_lines`, for the next time that this request is sent."""
        self._dispatch = self._dispatch.headed(head, self.method, destination)
        self.headers._shared = True

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.method!r}, {self.url._masked()!r})>"

    def __getstate__(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in _UNPICKLED}
        state["_headers"] = self.headers
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin()
        self.__dict__.update(state)
        self._stream = UnattachedStream()


def from_template(
    method: str, url: URL, lines: list[FieldLine], dispatch: Dispatch, kind: type[Request] = Request
) -> Request:
    """Return a request without content whose field lines and dispatch others hold too."""
    self = _new(kind)
    self.method = method
    self.url = url
    self._headers = None
    self._lines = lines
    self._content = b""
    self._stream = None
    self._extensions = None
    self._dispatch = dispatch
    return self
