"""The exceptions that users catch.

* HTTPError
  x RequestError
    + TransportError
      - TimeoutException: ConnectTimeout, ReadTimeout, WriteTimeout, PoolTimeout
      - NetworkError: ConnectError (AddressDenied, TrustStoreError), ReadError (ClientClosed), WriteError, CloseError
      - ProtocolError: LocalProtocolError, RemoteProtocolError
      - ProxyError, UnsupportedProtocol, SSEError, CircuitOpen
    + DecodingError, TooManyRedirects, ResponseTooLarge, DownloadError
  x HTTPStatusError
* InvalidURL, CookieConflict
* StreamError: StreamConsumed, StreamClosed, ResponseNotRead, RequestNotRead

A message is never empty: it says what happened, in which phase, and which timeout applied. It contains at most
`MAX_SHOWN` bytes of a peer's data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ._masking import masked_url

if TYPE_CHECKING:
    from ._journey import Journey
    from ._models import Request, Response

__all__ = [
    "AddressDenied",
    "CircuitOpen",
    "ClientClosed",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "DecodingError",
    "DownloadError",
    "HTTPError",
    "HTTPStatusError",
    "InvalidURL",
    "LocalProtocolError",
    "NetworkError",
    "PoolTimeout",
    "ProtocolError",
    "ProxyError",
    "ReadError",
    "ReadTimeout",
    "RemoteProtocolError",
    "RequestError",
    "RequestNotRead",
    "ResponseNotRead",
    "ResponseTooLarge",
    "SSEError",
    "StreamClosed",
    "StreamConsumed",
    "StreamError",
    "TimeoutException",
    "TooManyRedirects",
    "TransportError",
    "TrustStoreError",
    "UnsupportedProtocol",
    "WriteError",
    "WriteTimeout",
]

MAX_SHOWN = 64  # bytes of a peer's data in a message; more would turn logs into a copy of the attack


def shown(data: Any) -> str:
    """Return the repr of at most `MAX_SHOWN` bytes of `data`."""
    piece = bytes(data[:MAX_SHOWN])
    return repr(piece) + ("..." if len(data) > MAX_SHOWN else "")


def _again(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    error = kind.__new__(kind, *arguments)
    error.args = arguments  # OSError sets it in its __init__ only
    return error


def portable(self: BaseException) -> tuple[Any, ...]:
    """Implement `__reduce__` for exceptions whose constructor takes other arguments than the message.

    Without it they could not be pickled: a process pool breaks, or hangs, when a worker raises one.
    """
    return _again, (type(self), self.args), self.__dict__


class HTTPError(Exception):
    """Anything that can go wrong between calling a request method and `raise_for_status()`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._request: Request | None = None
        #: The timed steps of the request up to the failure; None before it started.
        self.journey: Journey | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return portable(self)

    @property
    def request(self) -> Request:
        """Return the request that failed. Raises RuntimeError if there was none yet."""
        if self._request is None:
            raise RuntimeError("this exception was raised before there was a request")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request


class RequestError(HTTPError):
    """Anything that goes wrong while a request is sent and its response received."""

    #: Whether the peer certainly did not process the request (RFC 9113 s.8.7), so that it may be sent again.
    unprocessed: bool = False

    def __init__(self, message: str, *, request: Request | None = None) -> None:
        super().__init__(message)
        self._request = request


class TransportError(RequestError):
    """Anything that goes wrong below the client: timeouts, network, protocol, proxy."""

    # These stand for httpcore's exceptions too, which can be raised without a message.
    def __init__(self, message: str = "", *, request: Request | None = None) -> None:
        super().__init__(message, request=request)


class TimeoutException(TransportError):
    """A timeout expired: that of the phase, or the total one of the request."""

    #: The phase: "connect", "read", "write" or "pool"; None if it is unknown.
    phase: str | None = None
    #: The timeout that expired: that of the phase, "first_byte" or "total".
    limit: str | None = None
    #: Seconds that passed, and seconds that were allowed.
    elapsed: float | None = None
    budget: float | None = None


class ConnectTimeout(TimeoutException):
    """DNS, TCP, TLS and every proxy hop together took longer than `timeout.connect`, or than was left of the total."""


class ReadTimeout(TimeoutException):
    """Nothing arrived for `timeout.read`, no response began in `timeout.first_byte`, or the total ran out meanwhile."""


class EventTimeout(ReadTimeout):
    """No event came on a stream of events for `stall_timeout`, though the connection may be alive."""


class WriteTimeout(TimeoutException):
    """The peer took nothing for `timeout.write`, or the total ran out meanwhile."""


class PoolTimeout(TimeoutException):
    """No connection became free within `timeout.pool`, or within what was left of the total."""

    #: The pool's `stats()` at that time: the number of connections, and the longest lease.
    pool: Any = None


class NetworkError(TransportError):
    """The operating system or the peer ended the communication."""

    #: Whether TLS gives the reason, as an alert does: it is reported in place of the operating system's later error.
    from_tls: bool = False


class ConnectError(NetworkError):
    """No connection could be made: name not found, refused, unreachable, TLS handshake failed."""


class AddressDenied(ConnectError):
    """The address filter allows none of the addresses; nothing was sent to any of them."""


class TrustStoreError(ConnectError, OSError):
    """SSL_CERT_FILE or SSL_CERT_DIR holds no certificates; raised when a client is made or its first https request."""


class MissingTrustStore(TrustStoreError, FileNotFoundError):
    """The path in SSL_CERT_FILE or SSL_CERT_DIR does not exist; a FileNotFoundError too, as in httpx."""


class ReadError(NetworkError):
    """Receiving failed."""


class ClientClosed(ReadError):
    """The client was closed while the request waited, was sent, or its response was received.

    A ReadError in every phase: httpx raises that when another thread or task closes the client during a request.
    """


class WriteError(NetworkError):
    """Sending failed."""


class CloseError(NetworkError):
    """Closing failed."""


class ProxyError(TransportError):
    """A proxy refused to pass the connection on."""


class UnsupportedProtocol(TransportError):
    """The URL's scheme is not supported, or the server requires an HTTP version that is disabled."""


class ProtocolError(TransportError):
    """A message broke the protocol."""


class LocalProtocolError(ProtocolError):
    """The message to be sent breaks the protocol; nothing of it was sent."""


class RemoteProtocolError(ProtocolError):
    """The peer's message breaks the protocol; the connection is closed."""


class SSEError(TransportError):
    """The response is no stream of server-sent events, or breaks their format."""


class CircuitOpen(TransportError):
    """Most of what was sent to this origin failed, so the circuit breaker let nothing out; see `Breaker`."""

    unprocessed = True
    #: Scheme, host and port, as `Origin`.
    origin: Any = None
    #: Seconds until a request is tried again.
    retry_in: float | None = None


class DecodingError(RequestError):
    """The content could not be decoded as Content-Encoding says."""


class TooManyRedirects(RequestError):
    """More redirects than `max_redirects`."""


class ResponseTooLarge(RequestError):
    """The body of a response has more bytes than `Limits(max_response_size=...)` allows, as received or decoded."""


class DownloadError(RequestError):
    """The received content is not the file, or not the rest of the file, that was requested."""


class HTTPStatusError(HTTPError):
    """`raise_for_status()` was called on a response whose status code is not 2xx."""

    def __init__(self, message: str, *, request: Request, response: Response) -> None:
        super().__init__(message)
        self.request = request
        self.response = response


#: The kind of response in the message of `raise_for_status()`, by the first digit of the status code.
_STATUS_KINDS = {1: "Informational response", 3: "Redirect response", 4: "Client error", 5: "Server error"}


def status_message(status: int, reason: str, url: str, location: str | None) -> str:
    """Return the message of `HTTPStatusError`, in httpx's words, which programs and tests compare with.

    `url` comes without its password; `location` is the target of a redirect, None for any other response.
    """
    kind = _STATUS_KINDS.get(status // 100, "Invalid status code")
    lines = [f"{kind} '{status} {reason}' for url '{url}'"]
    if location is not None:
        lines.append(f"Redirect location: '{masked_url(location)}'")
    lines.append(f"For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/{status}")
    return "\n".join(lines)


class HTTPXDeprecationWarning(UserWarning):
    """A deprecated use of the interface; a UserWarning, so that it is shown by default."""


class InvalidURL(Exception):
    """The URL cannot be parsed, or cannot be requested."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class CookieConflict(Exception):
    """Several cookies of that name exist; say domain and path."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class StreamError(RuntimeError):
    """A body was used in a way that is no longer possible."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        return portable(self)


class StreamConsumed(StreamError):
    """A body was read a second time, and was not kept in memory."""

    def __init__(self) -> None:
        super().__init__(
            "the body was streamed before and not kept, so it cannot be read again; a redirect, an authentication "
            "round or a second iteration needs content that can be sent or read twice (bytes, or a file)"
        )


class StreamClosed(StreamError):
    """A body was read after the response was closed."""

    def __init__(self) -> None:
        super().__init__("the response was closed before its body was read")


class ResponseNotRead(StreamError):
    """`content` of a streamed response was accessed before `read()`."""

    def __init__(self) -> None:
        super().__init__("the response is streamed: call read() or aread() before using its content")


class RequestNotRead(StreamError):
    """`content` of a streamed request was accessed before `read()`."""

    def __init__(self) -> None:
        super().__init__("the request's body is a stream: call read() or aread() before using its content")


@contextlib.contextmanager
def request_context(request: Request | None = None, journey: Journey | None = None) -> Generator[None]:
    """Set `request` and `journey` on every `RequestError` that leaves the block without them."""
    try:
        yield
    except RequestError as error:
        if request is not None and error._request is None:
            error._request = request
        if error.journey is None:
            error.journey = journey
        raise


@contextlib.contextmanager
def map_httpcore_exceptions() -> Generator[None]:
    """Raise httpcore's exceptions as ours of the same name; under the alias they are ours already.

    For transports that others build on httpcore: this package raises none of httpcore's.
    """
    try:
        yield
    except HTTPError:
        raise
    except Exception as error:
        for kind in type(error).__mro__:
            if kind.__module__.partition(".")[0] in ("httpcore", "httpcore2"):
                ours = globals().get(kind.__name__)
                if isinstance(ours, type) and issubclass(ours, TransportError):
                    raise ours(str(error)) from error
        raise


def retold(timeout: TimeoutException, message: str) -> TimeoutException:
    """Return the same timeout with another message."""
    told = type(timeout)(message)
    told.phase, told.limit = timeout.phase, timeout.limit
    told.elapsed, told.budget = timeout.elapsed, timeout.budget
    return told
