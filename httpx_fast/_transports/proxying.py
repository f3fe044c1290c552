"""Makes of a `Proxy` what the layers below know: the hop that connections go through.

Credentials become what the wire carries here, once: Proxy-Authorization for http(s) proxies (RFC 7617), a login for
SOCKS.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from .._config import Proxy
from .._conn.options import ProxyHop
from .._exceptions import LocalProtocolError
from .._kernel.select import check_field
from .._origin import Origin, Route
from .._trust import shared_ssl_context
from .._wire.framing import request_framing
from .._wire.socks import MAX_TEXT

if TYPE_CHECKING:
    import ssl

    from .._config import ProxyTypes
    from .._head import FieldLine


def hop_of(proxy: ProxyTypes, verify: ssl.SSLContext | str | bool, trust_env: bool) -> ProxyHop:
    """Return the hop for a proxy. Raises ValueError for credentials that cannot be sent."""
    if not isinstance(proxy, Proxy):
        proxy = Proxy(proxy)
    origin = proxy.url._origin
    scheme = origin.scheme
    if scheme in ("http", "https"):
        tls = _proxy_tls(proxy, verify, trust_env) if scheme == "https" else None
        return ProxyHop(scheme, origin.host, origin.port, tls=tls, fields=_fields(proxy))
    scheme = "socks5h" if scheme == "socks" else scheme
    return ProxyHop(scheme, origin.host, origin.port, login=_login(scheme, proxy.raw_auth))


def _proxy_tls(proxy: Proxy, verify: ssl.SSLContext | str | bool, trust_env: bool) -> Callable[[], ssl.SSLContext]:
    """Return a maker of the TLS context for an https proxy: its own, else one with the transport's authorities.

    Neither the origins' client certificate nor their context, which may hold one, is shown to a proxy. verify=False is
    about origins: a proxy is sent credentials, so it has to be named itself to go unverified.
    """
    own = proxy.ssl_context
    if own is not None:
        return partial(shared_ssl_context, own, None, trust_env)
    authorities = verify if isinstance(verify, str) else True
    return partial(shared_ssl_context, authorities, None, trust_env)


def _fields(proxy: Proxy) -> tuple[FieldLine, ...]:
    """Return the field lines for an http(s) proxy. Raises ValueError for those that CONNECT cannot have."""
    from base64 import b64encode

    fields = list(proxy.headers.raw)
    own_host = any(name.lower() == b"host" for name, _ in fields)
    try:
        framing = request_framing(fields if own_host else [(b"Host", b""), *fields])
        for line in fields:
            check_field(*line)
    except LocalProtocolError as error:
        raise ValueError(f"the headers of a proxy cannot be sent: {error}") from None
    if framing:
        raise ValueError("the headers of a proxy announce a body, which CONNECT does not have")
    auth = proxy.raw_auth
    if auth is not None and "proxy-authorization" not in proxy.headers:
        fields.insert(0, (b"Proxy-Authorization", b"Basic " + b64encode(b":".join(auth))))
    return tuple(fields)


def _login(scheme: str, auth: tuple[bytes, bytes] | None) -> tuple[bytes, bytes] | None:
    if auth is None:
        return None
    user, password = auth
    if scheme in ("socks4", "socks4a"):
        if password or b"\0" in user:
            raise ValueError("SOCKS4 can be told a user name without NUL, and no password")
    elif not 1 <= len(user) <= MAX_TEXT or len(password) > MAX_TEXT:
        raise ValueError(
            f"SOCKS5 takes user names of 1 to {MAX_TEXT} bytes and passwords of at most {MAX_TEXT}, "
            f"got {len(user)} and {len(password)}"
        )
    return auth


def forward_route(hop: ProxyHop) -> Route | None:
    """Return the route of requests that the hop forwards; None if it forwards none."""
    return Route(Origin(hop.scheme, hop.host, hop.port), forward=True) if hop.forwards else None
