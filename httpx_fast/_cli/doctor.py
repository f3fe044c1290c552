"""What this installation is made of, for error reports and for the question why it is slow.

Tells what is found, and where something is missing how to get it. It looks, and changes nothing.
"""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
import sys
from importlib import metadata

from ..__version__ import __version__
from .._decoders import SUPPORTED_DECODERS
from .._kernel.select import IMPLEMENTATION, REASON
from .._trust import create_ssl_context, trusted_store

#: Content codings that need a package, and the extra that brings it.
_CODINGS = {"br": "brotli", "zstd": "zstd"}
_REQUIRED = ("anyio", "certifi", "idna")
_OPTIONAL = {
    "trio": "trio",
    "winloop" if sys.platform == "win32" else "uvloop": "uvloop",
    "pygments": "cli",
    "rich": "cli",
}
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_TRUST = ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPX_FAST_TRUST", "SSLKEYLOGFILE", "HTTPX_FAST_IMPL")


def report() -> list[str]:
    """Return one line for each fact, ready to be shown. No secrets: of proxies only that they are set."""
    facts = {
        "httpx-fast": __version__,
        "kernel": f"{'compiled' if IMPLEMENTATION == 'c' else 'pure Python'}: {REASON}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}{_build()}, {sys.executable}",
        "platform": platform.platform(),
        "HTTP": "HTTP/1.1, HTTP/2",
        "TLS": ssl.OPENSSL_VERSION,
        "trust": _trust(),
        "event loop": _event_loop(),
        **{name: _version(name) or "missing, and required" for name in _REQUIRED},
        **{name: _version(name) or _how_to_get(extra) for name, extra in _OPTIONAL.items()},
        **{f"coding {name}": _coding(name, extra) for name, extra in _CODINGS.items()},
        "environment": _environment(),
    }
    width = max(map(len, facts))
    return [f"{name:<{width}}  {fact}" for name, fact in facts.items()]


def _build() -> str:
    """Return what is special about this build of the interpreter."""
    free_threaded = not getattr(sys, "_is_gil_enabled", lambda: True)()
    return " (free-threaded)" if free_threaded else ""


def _trust() -> str:
    """Return the authorities that a client trusts if it is not told otherwise."""
    store = None
    try:
        store = trusted_store()
        count = create_ssl_context().cert_store_stats()["x509_ca"]
    except (ImportError, OSError) as error:  # ssl.SSLError is an OSError
        return f"{store or 'nothing'}: {error}"
    return f"{store}, {count} authorities"


def _event_loop() -> str:
    """Return what `asyncio.run()` would run on."""
    loop = asyncio.new_event_loop()
    loop.close()
    return f"{type(loop).__module__}.{type(loop).__qualname__}"


def _coding(name: str, extra: str) -> str:
    return "can be decoded" if name in SUPPORTED_DECODERS else _how_to_get(extra)


def _how_to_get(extra: str) -> str:
    return f"missing; pip install 'httpx-fast[{extra}]'"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _environment() -> str:
    """Return the variables that a client reads. Proxies are shown by name only: their URLs may hold passwords."""
    told = [f"{name}={os.environ[name]}" for name in _TRUST if os.environ.get(name)]
    told += [f"{name} is set" for name in _PROXIES if os.environ.get(name) or os.environ.get(name.lower())]
    return ", ".join(told) or "nothing set that matters"
