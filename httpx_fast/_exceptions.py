"""The exceptions that users catch.

* HTTPError
  x RequestError
    + TransportError
      - TimeoutException: ConnectTimeout, ReadTimeout, WriteTimeout, PoolTimeout
      - NetworkError: ConnectError (AddressDenied, TrustStoreError), ReadError (ClientClosed), WriteError, CloseError
      - ProtocolError: LocalProtocolError, RemoteProtocolError
      - ProxyError, UnsupportedProtocol, SSEError
    + DecodingError, TooManyRedirects
  x HTTPStatusError
* InvalidURL, CookieConflict
* StreamError: StreamConsumed, StreamClosed, ResponseNotRead, RequestNotRead

A message is never empty: it says what happened, in which phase, and what was granted. At most `MAX_SHOWN` bytes of
what a peer sent appear in one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from ._deadline import Total
from ._masking import without_userinfo

if TYPE_CHECKING:
    from ._journey import Journey
    from ._models import Request, Response

__all__ = [
    "AddressDenied",
    "ClientClosed",
    "CloseError",
    "ConnectError",
    "ConnectTimeout",
    "CookieConflict",
    "DecodingError",
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
    """The repr of at most `MAX_SHOWN` bytes."""
    piece = bytes(data[:MAX_SHOWN])
    return repr(piece) + ("..." if len(data) > MAX_SHOWN else "")


def _again(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    error = kind.__new__(kind, *arguments)
    error.args = arguments  # which OSError leaves to its __init__
    return error


def portable(self: BaseException) -> tuple[Any, ...]:
    """The `__reduce__` of exceptions that are made with other arguments than their message.

    As they are, they could not be pickled: a process pool breaks, or hangs, when a worker raises such a one.
    """
    return _again, (type(self), self.args), self.__dict__


class HTTPError(Exception):
    """Anything that can go wrong between calling a request method and `raise_for_status()`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self._request: Request | None = None
        #: What is known of the way the request went, up to where it failed; None before it started.
        self.journey: Journey | None = None

    __reduce__ = portable

    @property
    def request(self) -> Request:
        """The request that failed; RuntimeError where there was none yet."""
        if self._request is None:
            raise RuntimeError("this exception was raised before there was a request")
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request


class RequestError(HTTPError):
    """Anything that goes wrong while a request is sent and its response received."""

    #: Whether it is certain that the peer did nothing with the request (RFC 9113 s.8.7): so it may be sent again.
    unprocessed: bool = False

    def __init__(self, message: str, *, request: Request | None = None) -> None:
        super().__init__(message)
        self._request = request


class TransportError(RequestError):
    """Anything that goes wrong below the client: timeouts, network, protocol, proxy."""

    # httpcore's exceptions, which these stand for as well, can be raised without a message.
    def __init__(self, message: str = "", *, request: Request | None = None) -> None:
        super().__init__(message, request=request)


class TimeoutException(TransportError):
    """A granted time ran out: that of the phase, or that of the whole which the phase belongs to."""

    #: What was going on: "connect", "read", "write" or "pool"; None where nobody has said.
    phase: str | None = None
    #: Which of the timeouts ran out: that of the phase, "first_byte" or "total".
    limit: str | None = None
    #: Seconds that passed, and seconds that were granted.
    elapsed: float | None = None
    budget: float | None = None


class ConnectTimeout(TimeoutException):
    """DNS, TCP, TLS and every proxy hop together took longer than `timeout.connect`, or than was left of the total."""


class ReadTimeout(TimeoutException):
    """Nothing arrived for `timeout.read`, no response began in `timeout.first_byte`, or the total ran out meanwhile."""


class WriteTimeout(TimeoutException):
    """The peer took nothing for `timeout.write`, or the total ran out meanwhile."""


class PoolTimeout(TimeoutException):
    """No connection became free within `timeout.pool`, or within what was left of the total."""

    #: What the pool's `stats()` said then: how many connections there were, and who had one for longest.
    pool: Any = None


class NetworkError(TransportError):
    """The operating system or the peer ended what was going on."""

    #: Whether TLS says why, as an alert does: that is told rather than what the operating system says afterwards.
    from_tls: bool = False


class ConnectError(NetworkError):
    """No connection could be made: name not found, refused, unreachable, TLS handshake failed."""


class AddressDenied(ConnectError):
    """The address filter allows none of the addresses; nothing was sent to any of them."""


class TrustStoreError(ConnectError, OSError):
    """SSL_CERT_FILE or SSL_CERT_DIR holds no certificates; raised when a client is made or its first https request."""


class MissingTrustStore(TrustStoreError, FileNotFoundError):
    """What SSL_CERT_FILE or SSL_CERT_DIR names does not exist; as httpx raises it, a FileNotFoundError."""


class ReadError(NetworkError):
    """Receiving failed."""


class ClientClosed(ReadError):
    """The client was closed while the request waited, was sent, or its response was received.

    A ReadError, whatever was going on: that is what a reader gets elsewhere whose connection is closed under its hands.
    """


class WriteError(NetworkError):
    """Sending failed."""


class CloseError(NetworkError):
    """Closing failed."""


class ProxyError(TransportError):
    """A proxy refused to pass the connection on."""


class UnsupportedProtocol(TransportError):
    """The URL's scheme is none that can be spoken, or the server wants a version of HTTP that is ruled out."""


class ProtocolError(TransportError):
    """A message broke the protocol."""


class LocalProtocolError(ProtocolError):
    """What was to be sent breaks the protocol; nothing of it was sent."""


class RemoteProtocolError(ProtocolError):
    """What the peer sent breaks the protocol; the connection is closed."""


class SSEError(TransportError):
    """A response is no server-sent event stream, or breaks its format."""


class DecodingError(RequestError):
    """The content could not be decoded as Content-Encoding says."""


class TooManyRedirects(RequestError):
    """More redirects than `max_redirects`."""


class HTTPStatusError(HTTPError):
    """`raise_for_status()` met a response that is no success."""

    def __init__(self, message: str, *, request: Request, response: Response) -> None:
        super().__init__(message)
        self.request = request
        self.response = response


#: What `raise_for_status()` calls a response, by the first digit of its status code.
_STATUS_KINDS = {1: "Informational response", 3: "Redirect response", 4: "Client error", 5: "Server error"}


def status_message(status: int, reason: str, url: str, location: str | None) -> str:
    """Return what `HTTPStatusError` says, in httpx's words, which programs and tests compare with.

    `url` comes without its password; `location` is what a redirect names, None for any other response.
    """
    kind = _STATUS_KINDS.get(status // 100, "Invalid status code")
    lines = [f"{kind} '{status} {reason}' for url '{url}'"]
    if location is not None:
        lines.append(f"Redirect location: '{without_userinfo(location)}'")
    lines.append(f"For more information check: https://developer.mozilla.org/en-US/docs/Web/HTTP/Status/{status}")
    return "\n".join(lines)


class HTTPXDeprecationWarning(UserWarning):
    """A use of the interface that is going away; a UserWarning, so that it is seen without being asked for."""


class InvalidURL(Exception):
    """The URL cannot be parsed, or cannot be requested."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class CookieConflict(Exception):
    """Several cookies of that name exist; say domain and path."""

    def __init__(self, message: str) -> None:
        super().__init__(message)


class StreamError(RuntimeError):
    """A body was used in a way that is not open any more."""

    def __init__(self, message: str) -> None:
        super().__init__(message)

    __reduce__ = portable


class StreamConsumed(StreamError):
    """A body was to be read that has been read already, and is not kept."""

    def __init__(self) -> None:
        super().__init__(
            "the body was streamed before and not kept, so it cannot be read again; a redirect, an authentication "
            "round or a second iteration needs content that can be sent or read twice (bytes, or a file)"
        )


class StreamClosed(StreamError):
    """A body was to be read after the response was closed."""

    def __init__(self) -> None:
        super().__init__("the response was closed before its body was read")


class ResponseNotRead(StreamError):
    """`content` of a streamed response was asked for before `read()`."""

    def __init__(self) -> None:
        super().__init__("the response is streamed: call read() or aread() before using its content")


class RequestNotRead(StreamError):
    """`content` of a streamed request was asked for before `read()`."""

    def __init__(self) -> None:
        super().__init__("the request's body is a stream: call read() or aread() before using its content")


@contextlib.contextmanager
def request_context(request: Request | None = None, journey: Journey | None = None) -> Generator[None]:
    """Names `request` and `journey` in every `RequestError` that leaves the block without one."""
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
    """Raise exceptions of an installed httpcore as ours of the same name; under the alias they are ours already.

    For transports that others build on httpcore: nothing here raises such.
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


_TIMEOUTS: dict[str, tuple[str, type[TimeoutException], str]] = {
    "connect": ("connect", ConnectTimeout, "connecting"),
    "read": ("read", ReadTimeout, "reading"),
    "first_byte": ("read", ReadTimeout, "waiting for the response"),
    "write": ("write", WriteTimeout, "sending"),
    "pool": ("pool", PoolTimeout, "waiting for a connection"),
}


def timed_out(phase: str, elapsed: float, budget: float, detail: str) -> TimeoutException:
    """The exception of a phase ("connect", "read", "first_byte", "write", "pool"); times in seconds.

    Where `budget` is a `Total` it was not the phase's own time that ran out, but that of the whole request.
    """
    name, kind, doing = _TIMEOUTS[phase]
    whole = isinstance(budget, Total)
    limit = "total" if whole else phase
    meanwhile = f", while {doing}" if whole else ""
    failure = kind(f"{limit} timed out after {elapsed:.3g} s of {budget:.3g} s{meanwhile}: {detail}")
    failure.phase, failure.limit, failure.elapsed, failure.budget = name, limit, elapsed, float(budget)
    return failure


def retold(timeout: TimeoutException, message: str) -> TimeoutException:
    """The same timeout in other words."""
    told = type(timeout)(message)
    told.phase, told.limit = timeout.phase, timeout.limit
    told.elapsed, told.budget = timeout.elapsed, timeout.budget
    return told
