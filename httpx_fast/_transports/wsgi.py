"""A transport that calls a WSGI application in this process (PEP 3333): no network, the caller's own thread.

The response's body is what the application's iterable yields, when it yields it; the iterable is closed with the
response. A request body of known length is read as the application asks for it; one of unknown length is read before,
since applications trust CONTENT_LENGTH alone.
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, TextIO
from urllib.parse import unquote_to_bytes

from .._byte_streams import SyncByteStream
from .._exceptions import RemoteProtocolError
from .._models import Request, Response
from .._origin import DEFAULT_PORTS
from .base import BaseTransport

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import WSGIApplication

__all__ = ["WSGITransport"]


class WSGITransport(BaseTransport):
    """Send requests to the WSGI application `app`.

    With `raise_app_exceptions=False` an application that fails before its response starts answers with status 500.
    `script_name` is the path under which it is mounted, `remote_addr` the client's address that it sees, and
    `wsgi_errors` where it writes errors; None for `sys.stderr`. Timeouts of requests do not hold: the application runs
    in the caller's thread, where nothing can end it.
    """

    def __init__(
        self,
        app: WSGIApplication,
        raise_app_exceptions: bool = True,
        script_name: str = "",
        remote_addr: str = "127.0.0.1",
        wsgi_errors: TextIO | None = None,
    ) -> None:
        self.app = app
        self.raise_app_exceptions = raise_app_exceptions
        self.script_name = script_name
        self.remote_addr = remote_addr
        self.wsgi_errors = wsgi_errors

    def handle_request(self, request: Request) -> Response:
        start = _Start()
        try:
            stream = _BodyStream(self.app(self._environ(request), start), start)
        except Exception:
            if self.raise_app_exceptions:
                raise
            return Response(500)
        error = start.error
        if error is not None and self.raise_app_exceptions:
            stream.close()
            raise error
        if start.status is None:
            stream.close()
            raise RemoteProtocolError("the WSGI application ended without calling start_response()", request=request)
        headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in start.headers]
        reason = start.status[4:].encode("latin-1")
        return Response(int(start.status[:3]), headers=headers, stream=stream, extensions={"reason_phrase": reason})

    def _environ(self, request: Request) -> dict[str, Any]:
        url = request.url
        environ: dict[str, Any] = {
            "REQUEST_METHOD": request.method,
            "SCRIPT_NAME": self.script_name,
            # PEP 3333 wants the path's bytes as latin-1 text; applications undo that.
            "PATH_INFO": unquote_to_bytes(url.raw_path.partition(b"?")[0]).decode("latin-1"),
            "QUERY_STRING": url.query.decode("ascii"),
            "SERVER_NAME": url.host,
            "SERVER_PORT": str(url.port or DEFAULT_PORTS.get(url.scheme, 80)),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.remote_addr,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url.scheme,
            "wsgi.errors": self.wsgi_errors or sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        if "Content-Length" in request.headers:
            environ["wsgi.input"] = io.BufferedReader(_Input(request))
        else:
            content = request.read()
            environ["wsgi.input"] = io.BytesIO(content)
            if content:
                environ["CONTENT_LENGTH"] = str(len(content))
        for name, value in request.headers.raw:
            _add_field(environ, name, value.decode("latin-1"))
        return environ


def _add_field(environ: dict[str, Any], name: bytes, value: str) -> None:
    key = name.decode("latin-1").upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = "HTTP_" + key
    earlier = environ.get(key)
    if earlier is not None:
        # RFC 9110 s.5.3, and RFC 6265 s.5.4 for the one field that commas would spoil.
        value = earlier + ("; " if key == "HTTP_COOKIE" else ", ") + value
    environ[key] = value


class _Start:
    """The callable that applications know as start_response."""

    def __init__(self) -> None:
        self.status: str | None = None
        self.headers: list[tuple[str, str]] = []
        self.error: BaseException | None = None
        self.written: list[bytes] = []

    def __call__(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Callable[[bytes], Any]:
        self.status = status
        self.headers = headers
        self.error = exc_info[1] if exc_info else None
        return self.written.append


class _Input(io.RawIOBase):
    """A request body as a file, read from the request's stream as the application asks for it."""

    def __init__(self, request: Request) -> None:
        if not isinstance(request.stream, SyncByteStream):
            raise RuntimeError("a blocking client cannot send a request whose body is an asynchronous stream")
        self._chunks = iter(request.stream)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            try:
                self._rest = next(self._chunks)
            except StopIteration:
                return 0
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


class _BodyStream(SyncByteStream):
    """Yield what was given to write(), then the application's iterable; close the iterable."""

    def __init__(self, result: Iterable[bytes], start: _Start) -> None:
        self._result = result
        chunks = iter(result)
        first: tuple[bytes, ...] = ()
        # A generator calls start_response() when it is asked for its first chunk (PEP 3333), and may yield empty ones.
        try:
            for chunk in chunks:
                if chunk:
                    first = (chunk,)
                    break
        except BaseException:
            self.close()
            raise
        self._chunks = itertools.chain(start.written, first, chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        close = getattr(self._result, "close", None)
        if close is not None:
            close()
