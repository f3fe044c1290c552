"""TLS contexts as another package makes them, so that it trusts the same certificates with our connections.

A context is built on the first https connection and kept for the process, as ours are; where files with certificates
are named, it is built when the transport is made, which shows at once what is wrong with them.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from .._trust import default_store, settings_key, shared_ssl_context, trust_is_named
from ._package import Package

if TYPE_CHECKING:
    from .._trust import CertTypes

__all__ = ["shared_context", "tls_for"]

MAX_CONTEXTS: Final = 32  # TLS contexts that are kept; each holds some 100 to 1000 KiB; the oldest goes first

_contexts: dict[tuple[Any, ...], ssl.SSLContext] = {}
_contexts_lock = threading.Lock()


def shared_context(
    package: Package, verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool
) -> ssl.SSLContext:
    """Return the process's context for these settings, as the package makes it; built when it is first asked for."""
    if isinstance(verify, ssl.SSLContext):
        return verify
    key = (package.name, *settings_key(verify, cert, trust_env))
    # Held while building, so that others that need the same context do not build it too.
    with _contexts_lock:
        context = _contexts.get(key)
        if context is None:
            context = package.create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
            while len(_contexts) >= MAX_CONTEXTS:
                del _contexts[next(iter(_contexts))]
            _contexts[key] = context
    return context


def tls_for(
    package: Package, verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool
) -> Callable[[], ssl.SSLContext]:
    """Return a function that gives the TLS context for these settings. What is wrong in named files is raised now."""
    if not isinstance(verify, (ssl.SSLContext, str, bool)):
        raise TypeError(f"expected True, False, 'system' or an ssl.SSLContext as verify, got {verify!r}")
    if verify == "system" or (verify is True and default_store(trust_env) == "system"):
        return partial(shared_ssl_context, verify, cert, trust_env)
    if isinstance(verify, ssl.SSLContext) and cert is not None:
        verify = package.create_ssl_context(verify=verify, cert=cert, trust_env=trust_env)
    tls = partial(shared_context, package, verify, cert, trust_env)
    if trust_is_named(verify, cert, trust_env):
        tls()
    return tls
