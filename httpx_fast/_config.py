"""The settings of a client: timeouts, limits, proxies and TLS.

Values are checked in the constructors, so that a mistake raises where it was made and not in the middle of a request.

A TLS context costs 26 ms, most of it for reading certifi's bundle, so `shared_ssl_context` builds one per process and
settings. A context of the user is not changed, except for the ALPN names of each handshake (see `_net/tls`).
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import socket
import ssl
import sys
import threading
from collections.abc import Mapping
from typing import Any, TypeAlias, Union, cast

from ._caller import warn_caller
from ._exceptions import MissingTrustStore, TrustStoreError
from ._models.headers import Headers, HeaderTypes
from ._urls import URL

__all__ = ["Limits", "Proxy", "TCPKeepAlive", "Timeout", "create_ssl_context"]

#: Seconds for all phases, or for connect, read, write and pool.
TimeoutTypes: TypeAlias = Union["Timeout", tuple[float | None, float | None, float | None, float | None], float, None]
ProxyTypes: TypeAlias = Union["URL", str, "Proxy"]
#: A file of certificate and key, or two files, or two files and the key's password.
CertTypes: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


class UnsetType:
    """Mark an argument as not given (`UNSET`); None stands for "no timeout"."""

    def __repr__(self) -> str:
        return "UNSET"


UNSET = UnsetType()

_Seconds: TypeAlias = float | None


@dataclasses.dataclass(init=False, repr=False)
class Timeout:
    """Set how long to wait, in seconds, in each phase of a request; None waits without limit.

    - `connect`: DNS, TCP, TLS and every proxy hop together.
    - `read`: for the next bytes of the response.
    - `write`: for the peer to take the next bytes of the request.
    - `pool`: for a connection to become free.
    - `first_byte`: from the end of sending to the head of the final response; `read` then applies after that head.
    - `total`: for the whole of a `send()`: all phases, redirects, authentication, retries, and the body to its
      last byte, streamed or not. It limits the others, and nothing restarts it.

    The first argument is for the four phases, or a tuple of two to four in that order (None for those left out), or
    another Timeout. Keywords override it. Without it all four phases are required, unless `total` is given: then only
    that limits the missing ones. Raises TypeError, ValueError.
    """

    connect: float | None
    read: float | None
    write: float | None
    pool: float | None
    # The repr is httpx's where these are not set. No defaults here: see `Request`.
    total: float | None
    first_byte: float | None

    def __init__(
        self,
        timeout: TimeoutTypes | UnsetType = UNSET,
        *,
        connect: float | UnsetType | None = UNSET,
        read: float | UnsetType | None = UNSET,
        write: float | UnsetType | None = UNSET,
        pool: float | UnsetType | None = UNSET,
        total: float | UnsetType | None = UNSET,
        first_byte: float | UnsetType | None = UNSET,
    ) -> None:
        self.total = self.first_byte = None
        # The common case first: each request may come with a timeout.
        if timeout.__class__ is float or timeout.__class__ is int:
            self.connect = self.read = self.write = self.pool = _seconds(timeout, "timeout")
        elif isinstance(timeout, UnsetType):
            if UNSET in (connect, read, write, pool):
                if total is UNSET or total is None:
                    raise ValueError(
                        "expected a timeout for all phases, or connect, read, write and pool, or a total; some are "
                        "missing"
                    )
                self.connect = self.read = self.write = self.pool = None
        else:
            self.connect, self.read, self.write, self.pool = _for_phases(timeout)
            if isinstance(timeout, Timeout):
                self.total, self.first_byte = timeout.total, timeout.first_byte
        if not isinstance(connect, UnsetType):
            self.connect = _seconds(connect, "connect")
        if not isinstance(read, UnsetType):
            self.read = _seconds(read, "read")
        if not isinstance(write, UnsetType):
            self.write = _seconds(write, "write")
        if not isinstance(pool, UnsetType):
            self.pool = _seconds(pool, "pool")
        if not isinstance(total, UnsetType):
            self.total = _seconds(total, "total")
        if not isinstance(first_byte, UnsetType):
            self.first_byte = _seconds(first_byte, "first_byte")

    def as_dict(self) -> dict[str, float | None]:
        """Return the seconds by phase, as a request's extensions contain them; `total` and `first_byte` if set."""
        return {"connect": self.connect, "read": self.read, "write": self.write, "pool": self.pool} | self._beyond()

    def _beyond(self) -> dict[str, float | None]:
        """Return the settings that httpx does not have, if set."""
        granted = {"total": self.total, "first_byte": self.first_byte}
        return {name: seconds for name, seconds in granted.items() if seconds is not None}

    def __repr__(self) -> str:
        if self.connect == self.read == self.write == self.pool:
            granted = f"timeout={self.connect}"
        else:
            granted = f"connect={self.connect}, read={self.read}, write={self.write}, pool={self.pool}"
        beyond = "".join(f", {name}={seconds}" for name, seconds in self._beyond().items())
        return f"{type(self).__name__}({granted}{beyond})"


def granted(request: Any, name: str) -> float | None:
    """Return one of a request's timeouts, checked, since extensions may hold anything. Raises TypeError, ValueError."""
    return _seconds(timeouts_of(request).get(name), name)


def timeouts_of(request: Any) -> Mapping[str, Any]:
    """Return a request's timeouts by name, those that are present. Raises TypeError."""
    own: Timeout | None = request._timeout
    if own is not None:
        return own.as_dict()
    extensions: dict[str, Any] = request._extensions or {}
    timeouts = cast("Mapping[str, Any]", extensions.get("timeout") or {})
    if not hasattr(timeouts, "get"):
        raise TypeError(f"expected a mapping of phases to seconds as extension 'timeout', got {timeouts!r}")
    return timeouts


def _for_phases(timeout: TimeoutTypes) -> tuple[_Seconds, _Seconds, _Seconds, _Seconds]:
    """Return the value of each phase that the first argument of `Timeout` sets."""
    if isinstance(timeout, Timeout):
        return timeout.connect, timeout.read, timeout.write, timeout.pool
    if isinstance(timeout, tuple):
        if not 2 <= len(timeout) <= 4:
            raise ValueError(f"expected a tuple of 2 to 4 timeouts (connect, read, write, pool), got {timeout!r}")
        connect, read, write, pool = (*timeout, None, None)[:4]
        return _seconds(connect, "connect"), _seconds(read, "read"), _seconds(write, "write"), _seconds(pool, "pool")
    seconds = _seconds(timeout, "timeout")
    return seconds, seconds, seconds, seconds


def _seconds(value: Any, name: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, (bool, str, bytes)) or not hasattr(value, "__float__"):
        raise TypeError(f"expected seconds or None as {name}, got {value!r}")
    if not value >= 0:
        raise ValueError(f"expected 0 seconds or more, or None for no timeout, as {name}, got {value!r}")
    if value == math.inf:
        return None
    return value if isinstance(value, (int, float)) else float(value)


def ping_after(value: Any) -> float | None:
    """Check `http2_ping_after` and return it."""
    seconds = _seconds(value, "http2_ping_after")
    if seconds == 0:
        raise ValueError("expected more than 0 seconds, or None for never, as http2_ping_after, got 0")
    return seconds


@dataclasses.dataclass(kw_only=True)
class Limits:
    """Set how many connections a pool may hold. None sets no limit.

    - `max_connections`: connections that are open at the same time.
    - `max_keepalive_connections`: idle connections that are kept.
    - `keepalive_expiry`: seconds for which an idle connection is kept.
    - `max_per_host`: connections to one origin that are open at the same time.
    - `max_age`: seconds after which a connection serves no further request.
    """

    max_connections: int | None = None
    max_keepalive_connections: int | None = None
    keepalive_expiry: float | None = 5.0
    # The repr is httpx's, so it omits these two if they set no limit.
    max_per_host: int | None = None
    max_age: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("max_connections", 1), ("max_keepalive_connections", 0), ("max_per_host", 1)):
            value = getattr(self, name)
            if value is None:
                continue
            if isinstance(value, bool) or not hasattr(value, "__index__"):
                raise TypeError(f"expected a count or None as {name}, got {value!r}")
            if value < least:
                raise ValueError(f"expected {least} or more, or None for no limit, as {name}, got {value!r}")
        self.keepalive_expiry = _seconds(self.keepalive_expiry, "keepalive_expiry")
        self.max_age = _seconds(self.max_age, "max_age")

    def __repr__(self) -> str:
        text = (
            f"{type(self).__name__}(max_connections={self.max_connections}, "
            f"max_keepalive_connections={self.max_keepalive_connections}, keepalive_expiry={self.keepalive_expiry}"
        )
        if self.max_per_host is not None:
            text += f", max_per_host={self.max_per_host}"
        if self.max_age is not None:
            text += f", max_age={self.max_age}"
        return f"{text})"


@dataclasses.dataclass(frozen=True, kw_only=True)
class TCPKeepAlive:
    """Probe silent connections, so that a NAT or firewall on the path does not forget them.

    Cloud networks forget a connection after 240 to 600 s of silence, without notice: a slow response never arrives.
    After `idle` seconds a probe is sent every `interval` seconds; `count` probes without an answer end the connection.
    """

    idle: int = 60
    interval: int = 15
    count: int = 4

    def __post_init__(self) -> None:
        for name, most in (("idle", 32767), ("interval", 32767), ("count", 127)):  # the maximum of Linux
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int):
                raise TypeError(f"expected an int as {name}, got {value!r}")
            if not 1 <= value <= most:
                raise ValueError(f"expected 1 to {most} as {name}, got {value!r}")

    def socket_options(self) -> list[tuple[int, int, int]]:
        """Return arguments of `socket.setsockopt`, those that the system supports."""
        options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
        # macOS has its own name for the first; systems without the others use their own times.
        idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
        numbers = (idle, getattr(socket, "TCP_KEEPINTVL", None), getattr(socket, "TCP_KEEPCNT", None))
        values = (self.idle, self.interval, self.count)
        return options + [
            (socket.IPPROTO_TCP, number, value) for number, value in zip(numbers, values, strict=True) if number
        ]


# Desktops write "socks" into the environment for SOCKS5; only curl takes it for SOCKS4.
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h", "socks", "socks4", "socks4a")


class Proxy:
    """Configure a proxy server. Credentials in `url` win over `auth`, and are removed from it.

    The scheme selects the protocol: http and https (TLS to the proxy) forward requests for http URLs and tunnel to
    https ones; socks5 and socks4 (IPv4 only) tunnel to addresses that this client resolves, socks5h (or socks) and
    socks4a to names that the proxy resolves.

    `ssl_context` is for the connection to an https proxy; without it the authorities of `verify` apply to the proxy.
    `headers` are sent to http and https proxies with CONNECT, and with each request that they forward. Raises
    ValueError for other schemes.
    """

    def __init__(
        self,
        url: URL | str,
        *,
        ssl_context: ssl.SSLContext | None = None,
        auth: tuple[str, str] | None = None,
        headers: HeaderTypes | None = None,
    ) -> None:
        if isinstance(url, Mapping):
            raise TypeError(
                "expected one proxy URL, got a mapping: for one proxy per scheme or host give the client "
                "mounts={'https://': HTTPTransport(proxy=...)}"
            )
        url = URL(url)
        if url.scheme not in _PROXY_SCHEMES:
            raise ValueError(f"expected a proxy URL with one of the schemes {', '.join(_PROXY_SCHEMES)}, got {url!r}")
        if not url.host:
            raise ValueError(f"expected a proxy URL with a host, got {url!r}")
        if url.userinfo:
            auth = (url.username, url.password)
            url = url.copy_with(username=None, password=None)
        if auth is not None and not (isinstance(auth, (tuple, list)) and len(auth) == 2):
            kind = f"tuple of {len(auth)}" if isinstance(auth, tuple) else type(auth).__name__
            raise TypeError(f"expected a tuple of user name and password as auth, got {kind}")
        self.url = url
        self.auth = auth
        self.headers: Headers = Headers(headers)
        self.ssl_context = ssl_context

    @property
    def raw_auth(self) -> tuple[bytes, bytes] | None:
        """Return user name and password as bytes."""
        return None if self.auth is None else (self.auth[0].encode("utf-8"), self.auth[1].encode("utf-8"))

    def __repr__(self) -> str:
        text = repr(str(self.url))
        if self.auth:
            # A user name without a password is a token.
            text += f", auth={(self.auth[0] if self.auth[1] else '********', '********')!r}"
        if self.headers:
            text += f", headers={dict(self.headers._shown_items())!r}"
        return f"{type(self).__name__}({text})"


DEFAULT_TIMEOUT_CONFIG = Timeout(timeout=5.0)
DEFAULT_LIMITS = Limits(max_connections=100, max_keepalive_connections=20)
DEFAULT_MAX_REDIRECTS = 20

DEFAULT_MAX_EVENT_SIZE_BYTES = 1024 * 1024

DEFAULT_MAX_MESSAGE_SIZE_BYTES = 65_536
DEFAULT_QUEUE_SIZE = 512
# Half the time after which many NATs and load balancers forget a silent connection.
DEFAULT_HTTP2_PING_AFTER_SECONDS = 30.0
DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS = 20.0
DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS = 20.0


def create_ssl_context(
    verify: ssl.SSLContext | str | bool = True,
    cert: CertTypes | None = None,
    trust_env: bool = True,
) -> ssl.SSLContext:
    """Return a new TLS context for clients; if `verify` is a context, return that.

    `verify` selects the trusted authorities: True for certifi's, "system" for those of the operating system, False to
    trust any peer. A path of a file or directory of authorities is deprecated, as is `cert`, a client certificate.
    With `trust_env`, SSL_CERT_FILE or SSL_CERT_DIR replaces the authorities, and SSLKEYLOGFILE is written to.
    Raises FileNotFoundError, TypeError, and ssl.SSLError for files that are no certificates; TrustStoreError for paths
    in the environment. Host names are matched with subject alternative names only (RFC 9525).
    """
    check_ssl_settings(verify, cert, trust_env)
    return verify if isinstance(verify, ssl.SSLContext) else _new_context(verify, cert, trust_env)


def check_ssl_settings(
    verify: ssl.SSLContext | str | bool,
    cert: CertTypes | None,
    trust_env: bool,
) -> None:
    """Raise for settings that no context can be built from, and warn of deprecated or useless ones.

    Builds no context. Raises what `create_ssl_context` raises, except for errors in the contents of files.
    """
    _check(verify, cert, trust_env)
    if isinstance(verify, str) and verify != "system":
        warn_caller(
            "verify=<path> is deprecated, use verify=ssl.create_default_context(cafile=...), or capath=...",
            DeprecationWarning,
        )
    if cert is not None:
        warn_caller(
            "cert=... is deprecated, use verify=<ssl.SSLContext> and call load_cert_chain() on it", DeprecationWarning
        )


def _check(verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool) -> None:
    """Check the settings and that the files exist, since OpenSSL does not say which file is missing."""
    if not isinstance(verify, (ssl.SSLContext, str, bool)):
        raise TypeError(f"expected True, False, 'system' or an ssl.SSLContext as verify, got {verify!r}")
    if isinstance(verify, str) and verify != "system":
        _existing(verify, "verify")
    elif verify is True and trust_env:
        _environment_authorities()
    if cert is not None:
        if isinstance(verify, ssl.SSLContext):
            raise TypeError("cert=... cannot go into the context given as verify=...: call load_cert_chain() on that")
        for path in _cert_files(cert):
            _existing(path, "cert")


def _existing(path: str, name: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(f"{name} says {path!r}: there is no such file or directory")
    return path


def _cert_files(cert: CertTypes) -> tuple[str, ...]:
    return (cert,) if isinstance(cert, str) else cert[:2]


def _environment_authorities() -> dict[str, str]:
    """Return the arguments of `load_verify_locations` for SSL_CERT_FILE or else SSL_CERT_DIR (may list several).

    Raises TrustStoreError for unusable paths, as far as that shows without reading certificates.
    """
    path = os.environ.get("SSL_CERT_FILE")
    if path:
        if not os.path.exists(path):
            raise MissingTrustStore(f"SSL_CERT_FILE says {path!r}: there is no such file")
        if os.path.isdir(path):
            raise TrustStoreError(f"SSL_CERT_FILE says {path!r}: that is a directory, which SSL_CERT_DIR is for")
        return {"cafile": path}
    path = os.environ.get("SSL_CERT_DIR")
    if path:
        if any(os.path.isdir(folder) for folder in path.split(os.pathsep)):
            return {"capath": path}
        if not any(os.path.exists(each) for each in path.split(os.pathsep)):
            raise MissingTrustStore(f"SSL_CERT_DIR says {path!r}: there is no such directory")
        raise TrustStoreError(f"SSL_CERT_DIR says {path!r}: that is no directory; SSL_CERT_FILE is for files")
    return {}


#: OpenSSL finds a certificate in a directory by a hash of its subject in the file name (`openssl rehash`).
_is_hashed = re.compile(r"[0-9a-f]{8}\.[0-9]+").fullmatch


def _load_environment_authorities(context: ssl.SSLContext) -> bool:
    """Load the authorities of SSL_CERT_FILE or SSL_CERT_DIR; return False if neither is set. Raises TrustStoreError."""
    named = _environment_authorities()
    path = named.get("cafile")
    if path is not None:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is a subclass
            why = "it holds no certificate in PEM" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
            raise TrustStoreError(f"SSL_CERT_FILE says {path!r}: {why} ({error})") from error
    path = named.get("capath")
    if path is not None:
        if not any(_is_hashed(name) for folder in path.split(os.pathsep) for name in _names_in(folder)):
            raise TrustStoreError(
                f"SSL_CERT_DIR says {path!r}: no file there is named by its hash, as `openssl rehash` does it, so "
                "OpenSSL would find no certificate"
            )
        context.load_verify_locations(capath=path)
    return bool(named)


def _names_in(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _new_context(verify: str | bool, cert: CertTypes | None, trust_env: bool) -> ssl.SSLContext:
    # Not ssl.create_default_context(): it writes to SSLKEYLOGFILE even if `trust_env` is false.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ssl.HAS_NEVER_CHECK_COMMON_NAME:
        # RFC 9525 s.6.3: a certificate without subject alternative names matches no host.
        context.hostname_checks_common_name = False
    if sys.version_info >= (3, 13):
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        # Debian's Python leaves it to OpenSSL's configuration; RFC 8996 deprecates older versions.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif verify == "system":
        context = _trusting_system(context, trust_env)
    else:
        if isinstance(verify, str):
            context.load_verify_locations(**_locations(verify))
        elif not (trust_env and _load_environment_authorities(context)):
            context.load_verify_locations(cafile=_certifi_bundle())
    if cert is not None:
        context.load_cert_chain(cert) if isinstance(cert, str) else context.load_cert_chain(*cert)
    if trust_env:
        key_log = os.environ.get("SSLKEYLOGFILE")
        if key_log and not sys.flags.ignore_environment:
            context.keylog_filename = key_log
    return context


def _certifi_bundle() -> str:
    import certifi

    return certifi.where()


def _locations(path: str) -> dict[str, str]:
    return {"capath" if os.path.isdir(path) else "cafile": path}


# The bundles of Linux distributions, for Pythons whose OpenSSL was built with other paths.
_SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Arch
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora, RHEL
    "/etc/ssl/ca-bundle.pem",  # openSUSE
    "/etc/ssl/cert.pem",  # Alpine, BSD, macOS
)


def _trusting_system(context: ssl.SSLContext, trust_env: bool) -> ssl.SSLContext:
    """Return `context`, or another one, that trusts the authorities of the operating system."""
    if sys.platform in ("win32", "darwin"):
        try:
            import truststore
        except ImportError:
            context.load_default_certs()
            return context
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # type: ignore[no-any-return]
    if trust_env and _load_environment_authorities(context):
        return context
    built_in = ssl.get_default_verify_paths()  # not load_default_certs(), which reads the environment
    candidates = (built_in.openssl_cafile, *_SYSTEM_BUNDLES, built_in.openssl_capath)
    path = next((candidate for candidate in candidates if os.path.exists(candidate)), None)
    if path is None:
        raise FileNotFoundError(f"verify='system': no authorities at {', '.join(candidates)}; install them")
    context.load_verify_locations(**_locations(path))
    return context


MAX_SHARED_CONTEXTS = 32  # each takes some 100 to 1000 KiB; the oldest is evicted first
_shared: dict[tuple[Any, ...], ssl.SSLContext] = {}
_shared_lock = threading.Lock()


def shared_ssl_context(
    verify: ssl.SSLContext | str | bool,
    cert: CertTypes | None,
    trust_env: bool,
) -> ssl.SSLContext:
    """Return the process's context for these settings, built on first use.

    Only the ALPN names of a handshake may be changed. A context given as `verify` is returned as it is. Raises what
    `create_ssl_context` raises, without warnings.
    """
    _check(verify, cert, trust_env)
    if isinstance(verify, ssl.SSLContext):
        return verify
    key = settings_key(verify, cert, trust_env)
    # Held while building: other threads that need the same context would otherwise build it too.
    with _shared_lock:
        context = _shared.get(key)
        if context is None:
            context = _new_context(verify, cert, trust_env)
            while len(_shared) >= MAX_SHARED_CONTEXTS:
                del _shared[next(iter(_shared))]
            _shared[key] = context
    return context


def trust_is_named(verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool) -> bool:
    """Return whether files with certificates are named, by arguments or by SSL_CERT_FILE or SSL_CERT_DIR."""
    if isinstance(verify, str) or cert is not None:
        return True
    return verify is True and trust_env and any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))


def settings_key(verify: str | bool, cert: CertTypes | None, trust_env: bool) -> tuple[Any, ...]:
    """Return all settings that a context is built from, and the times of change of its files."""
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE") if trust_env else ()
    environment = tuple([os.environ.get(name) for name in names])
    files = [verify] if isinstance(verify, str) and verify != "system" else []
    if cert is not None:
        files += _cert_files(cert)
    files += [path for path in environment[:2] if path]
    return verify, cert, environment, tuple([_time_of_change(path) for path in files])


def _time_of_change(path: str) -> int | None:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return None
