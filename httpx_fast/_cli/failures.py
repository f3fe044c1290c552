"""Which exit code an error has. The numbers are curl's where curl has the case (see `options.EXIT_CODES`).

They differ from curl's in two cases, to be distinct: whatever breaks the protocol is 8 (curl: 1 for a bad status line,
56 for a bad chunk), and any refusal of a proxy is 97 (curl: 56 for HTTP proxies).
"""

from __future__ import annotations

import socket
import ssl

from .. import _exceptions as errors
from .usage import UsageError

#: By class, from the special to the general.
_BY_CLASS: tuple[tuple[type[BaseException], int], ...] = (
    (errors.UnsupportedProtocol, 1),
    (errors.InvalidURL, 3),
    (errors.TimeoutException, 28),
    (errors.TooManyRedirects, 47),
    (errors.DecodingError, 61),
    (errors.ProxyError, 97),
    (errors.TrustStoreError, 77),
    (errors.WriteError, 55),
    (errors.ReadError, 56),
    (ssl.SSLError, 35),
    (BrokenPipeError, 23),
    (KeyboardInterrupt, 130),
)


def exit_code(error: BaseException) -> int:
    if isinstance(error, UsageError):
        return error.code
    if isinstance(error, errors.RemoteProtocolError):
        return _protocol_code(error)
    if isinstance(error, errors.ConnectError) and not isinstance(error, errors.TrustStoreError):
        return _connect_code(error)
    return next((code for kind, code in _BY_CLASS if isinstance(error, kind)), 1)


def _connect_code(error: errors.ConnectError) -> int:
    """Return why there is no connection: the cause says so, for a proxy the cause of the cause."""
    causes: list[BaseException] = [error]
    while causes[-1].__cause__ is not None:
        causes.append(causes[-1].__cause__)
    cause = causes[-1]
    if isinstance(cause, ssl.SSLCertVerificationError):
        return 60
    if isinstance(cause, ssl.SSLError):
        return 35
    if isinstance(cause, socket.gaierror):
        return 5 if len(causes) > 2 else 6
    return 35 if _phase(error) == "tls" else 7


def _protocol_code(error: errors.RemoteProtocolError) -> int:
    journey = error.journey
    if journey is not None and journey.connection is not None and journey.connection.http_version == "HTTP/2":
        return 16
    if "peer closed the connection" in str(error):
        return 18 if _phase(error) == "receive" else 52
    return 8


def _phase(error: errors.HTTPError) -> str | None:
    return None if error.journey is None else error.journey.phase
