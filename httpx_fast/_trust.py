"""TLS contexts and the certificate authorities that they trust.

`verify=True` trusts SSL_CERT_FILE or SSL_CERT_DIR where the environment names one, else the store that HTTPX_FAST_TRUST
names ("certifi" or "system"), else certifi's bundle. `verify="system"` trusts SSL_CERT_FILE or SSL_CERT_DIR, else what
the operating system trusts.

A TLS context costs 26 ms, most of it for reading certifi's bundle, so `shared_ssl_context` builds one per process and
settings. A context of the user is not changed, except for the ALPN names of each handshake (see `_net/tls`).
"""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING, Any, TypeAlias

from ._caller import warn_caller
from ._exceptions import MissingTrustStore, TrustStoreError
from ._patterns import pattern
from ._trust_stores import OF_THE_USER, TrustStore, name_trust_store

if TYPE_CHECKING:
    import ssl

__all__ = ["create_ssl_context", "trusted_store"]

_ADVICE = (
    "; verify='system' or HTTPX_FAST_TRUST=system in the environment trusts the operating system's store instead, "
    "SSL_CERT_FILE a file"
)

#: Certificate and key, or both apart, or both and the key's password: paths of files, or bytes in PEM.
CertTypes: TypeAlias = str | bytes | tuple[str | bytes, str | bytes] | tuple[str | bytes, str | bytes, str]


def create_ssl_context(
    verify: ssl.SSLContext | str | bool = True,
    cert: CertTypes | None = None,
    trust_env: bool = True,
) -> ssl.SSLContext:
    """Return a new TLS context for clients; if `verify` is a context, return that.

    `verify` selects the trusted authorities: True for certifi's, "system" for those of the operating system, False to
    trust any peer. A path of a file or directory of authorities is deprecated, as is `cert`, a client certificate.
    With `trust_env`, SSL_CERT_FILE or SSL_CERT_DIR replaces the authorities, HTTPX_FAST_TRUST=system lets True mean
    "system", and SSLKEYLOGFILE is written to.
    Raises FileNotFoundError, TypeError, and ssl.SSLError for files that are no certificates; TrustStoreError for paths
    in the environment. Host names are matched with subject alternative names only (RFC 9525).
    """
    check_ssl_settings(verify, cert, trust_env)
    return new_context(verify, cert, trust_env) if isinstance(verify, (str, bool)) else verify


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
    if cert is not None and _cert_files(cert):
        warn_caller(
            "cert=... is deprecated, use verify=<ssl.SSLContext> and call load_cert_chain() on it", DeprecationWarning
        )


def _check(verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool) -> None:
    """Check the settings and that the files exist, since OpenSSL does not say which file is missing."""
    if not isinstance(verify, (str, bool)):
        import ssl  # no context was made without it, and most programs make none

        if not isinstance(verify, ssl.SSLContext):
            raise TypeError(f"expected True, False, 'system' or an ssl.SSLContext as verify, got {verify!r}")
    elif isinstance(verify, str) and verify != "system":
        _existing(verify, "verify")
    elif verify is True and trust_env:
        default_store(trust_env)
        _environment_authorities()
    if cert is not None:
        if not isinstance(verify, (str, bool)):
            raise TypeError("cert=... cannot go into the context given as verify=...: call load_cert_chain() on that")
        _check_cert(cert)
        for path in _cert_files(cert):
            _existing(path, "cert")


def default_store(trust_env: bool) -> str:
    """Return the store that `verify=True` stands for: "certifi", or "system" if HTTPX_FAST_TRUST says so.

    Raises TrustStoreError for other values.
    """
    store = os.environ.get("HTTPX_FAST_TRUST") if trust_env else None
    if store not in (None, "", "certifi", "system"):
        raise TrustStoreError(f"HTTPX_FAST_TRUST says {store!r}: expected 'system' or 'certifi'")
    return store or "certifi"


def trusted_store(verify: ssl.SSLContext | str | bool = True, trust_env: bool = True) -> str:
    """Say in words which authorities a client with these settings trusts. Raises what `create_ssl_context` raises."""
    if not isinstance(verify, (str, bool)):
        return OF_THE_USER.name
    if verify is False:
        return "anybody: certificates are not checked"
    if isinstance(verify, str) and verify != "system":
        return f"the path given as verify, {verify}"
    if trust_env:
        for name, path in _environment_authorities().items():
            return f"{_VARIABLES[name]}={path}"
    if verify is True and default_store(trust_env) == "certifi":
        return f"certifi's bundle, {_certifi_bundle()}"
    if sys.platform in ("win32", "darwin"):
        return "the operating system's store"
    return f"the operating system's store, {_system_bundle()}"


def _existing(path: str, name: str) -> str:
    if not os.path.exists(path):
        raise FileNotFoundError(f"{name} says {path!r}: there is no such file or directory")
    return path


def _check_cert(cert: Any) -> None:
    """Raise TypeError, without showing a key, for what is no client certificate."""
    given: Any = cert
    parts: tuple[Any, ...] = given if isinstance(cert, tuple) else (cert,)
    if not 1 <= len(parts) <= 3 or not all(isinstance(part, (str, bytes)) for part in parts):
        kinds = ", ".join(type(part).__name__ for part in parts)
        raise TypeError(
            "expected a path or bytes in PEM as cert, or a tuple of certificate, key and the key's password, "
            f"got {'a tuple of ' if isinstance(cert, tuple) else ''}{kinds}"
        )


def _cert_files(cert: CertTypes) -> tuple[str, ...]:
    """Return the paths among the parts of a client certificate."""
    parts = cert[:2] if isinstance(cert, tuple) else (cert,)
    return tuple(part for part in parts if isinstance(part, str))


def _load_client_cert(context: ssl.SSLContext, cert: CertTypes) -> None:
    """Have `context` show a client certificate.

    OpenSSL reads files only, as far as Python reaches: bytes are written to files that nobody else may read, which are
    gone when this returns.
    """
    import ssl

    parts: tuple[Any, ...] = cert if isinstance(cert, tuple) else (cert,)
    if not any(isinstance(part, bytes) for part in parts[:2]):
        context.load_cert_chain(*parts)
        return
    import tempfile  # few programs have certificates in memory

    with tempfile.TemporaryDirectory(prefix="httpx-fast-") as directory:  # mode 0700
        paths: list[str] = []
        for number, part in enumerate(parts[:2]):
            if isinstance(part, bytes):
                path = os.path.join(directory, f"{number}.pem")
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    file.write(part)
                paths.append(path)
            else:
                paths.append(part)
        try:
            context.load_cert_chain(
                paths[0], paths[1] if len(paths) > 1 else None, parts[2] if len(parts) > 2 else _no_password
            )
        except ssl.SSLError as error:
            error.add_note("cert=... is to hold a certificate and its private key, in PEM.")
            raise


def _no_password() -> str:
    raise ValueError("the private key of cert=... is encrypted; expected (certificate, key, password)")


#: The variables of the environment, by the arguments of `load_verify_locations`.
_VARIABLES = {"cafile": "SSL_CERT_FILE", "capath": "SSL_CERT_DIR"}


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
_HASHED = pattern(r"[0-9a-f]{8}\.[0-9]+")


def _load_environment_authorities(context: ssl.SSLContext) -> bool:
    """Load the authorities of SSL_CERT_FILE or SSL_CERT_DIR; return False if neither is set. Raises TrustStoreError."""
    import ssl

    named = _environment_authorities()
    path = named.get("cafile")
    if path is not None:
        try:
            context.load_verify_locations(cafile=path)
        except OSError as error:  # ssl.SSLError is a subclass
            if isinstance(error, ssl.SSLError):
                why = "it holds no certificate in PEM"
            else:
                why = os.strerror(error.errno) if error.errno else str(error)  # PyPy's own text is "" or "Error"
            raise TrustStoreError(f"SSL_CERT_FILE says {path!r}: {why} ({error})") from error
    path = named.get("capath")
    if path is not None:
        if not any(_HASHED.fullmatch(name) for folder in path.split(os.pathsep) for name in _names_in(folder)):
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


def new_context(verify: str | bool, cert: CertTypes | None, trust_env: bool) -> ssl.SSLContext:
    """Build a context for checked settings; `verify` is a path, "system" or a bool."""
    import ssl

    advice = _ADVICE if verify is True else ""
    if verify is True and default_store(trust_env) == "system":
        verify, advice = "system", ""
    # Not ssl.create_default_context(): it writes to SSLKEYLOGFILE even if `trust_env` is false.
    context = None
    if verify == "system" and not (trust_env and _environment_authorities()):
        context = _system_verifier()
    if context is None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        if ssl.HAS_NEVER_CHECK_COMMON_NAME:
            # RFC 9525 s.6.3: a certificate without subject alternative names matches no host.
            context.hostname_checks_common_name = False
        if sys.version_info >= (3, 13):
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
        _load_authorities(context, verify, trust_env)
    if context.minimum_version < ssl.TLSVersion.TLSv1_2:
        # Debian's Python leaves it to OpenSSL's configuration; RFC 8996 deprecates older versions.
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    name_trust_store(context, TrustStore(trusted_store(verify, trust_env), advice))
    if cert is not None:
        _load_client_cert(context, cert)
    if trust_env:
        key_log = os.environ.get("SSLKEYLOGFILE")
        if key_log and not sys.flags.ignore_environment:
            context.keylog_filename = key_log
    return context


def _load_authorities(context: ssl.SSLContext, verify: str | bool, trust_env: bool) -> None:
    """Let `context` trust the authorities that `verify` stands for."""
    import ssl

    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif isinstance(verify, str) and verify != "system":
        context.load_verify_locations(**_locations(verify))
    elif trust_env and _load_environment_authorities(context):
        pass
    elif verify is True:
        context.load_verify_locations(cafile=_certifi_bundle())
    elif sys.platform == "win32":
        context.load_default_certs()
    else:
        context.load_verify_locations(**_locations(_system_bundle()))


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


def _system_verifier() -> ssl.SSLContext | None:
    """Return a context that lets the operating system check certificates, where only it knows what it trusts.

    That is macOS, whose keychain no file contains, and Windows, if truststore is installed; without that Python still
    reads Windows' store. Raises TrustStoreError on macOS without truststore.
    """
    if sys.platform not in ("win32", "darwin"):
        return None
    try:
        import truststore
    except ImportError as error:
        if sys.platform == "win32":
            return None
        raise TrustStoreError(
            "verify='system' needs the package truststore on macOS: pip install 'httpx-fast[system]'"
        ) from error
    import ssl

    context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return context


def _system_bundle() -> str:
    """Return the file or directory with the operating system's authorities. Raises FileNotFoundError."""
    import ssl

    built_in = ssl.get_default_verify_paths()  # not load_default_certs(), which reads the environment
    candidates = (built_in.openssl_cafile, *_SYSTEM_BUNDLES, built_in.openssl_capath)
    path = next((candidate for candidate in candidates if os.path.exists(candidate)), None)
    if path is None:
        raise FileNotFoundError(f"verify='system': no authorities at {', '.join(candidates)}; install them")
    return path


MAX_SHARED_CONTEXTS = 32  # each takes some 100 to 1000 KiB; the oldest is evicted first
_shared: dict[tuple[Any, ...], ssl.SSLContext] = {}
_shared_lock = threading.RLock()  # reentrant: a finalizer that runs meanwhile may need a context, too


def _renew_lock() -> None:
    """Replace the lock in the child of a fork: the thread that held it may not exist there."""
    global _shared_lock
    _shared_lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


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
    if not isinstance(verify, (str, bool)):
        return verify
    key = settings_key(verify, cert, trust_env)
    # Held while building: other threads that need the same context would otherwise build it too.
    with _shared_lock:
        context = _shared.get(key)
        if context is None:
            context = new_context(verify, cert, trust_env)
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
    names = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE", "HTTPX_FAST_TRUST") if trust_env else ()
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
