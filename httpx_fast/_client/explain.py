"""`client.explain()`: finds out what a request would do, by the functions that send it, up to where I/O begins.

Nothing is sent, resolved or opened, and no user code runs but that of a subclass of the client.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from .._auth import Auth, BasicAuth, DigestAuth, FunctionAuth, NetRCAuth
from .._config import expect_from, granted, timeouts_of
from .._exceptions import HTTPError, InvalidURL
from .._masking import masked_field, masked_url
from .._models import Headers, Request
from .._models.cookies import request_face
from .._net.auto import current_token
from .._origin import Route
from .._transports.expecting import with_expectation
from .._transports.heads import complete, forwarded
from .._trust import trusted_store
from .defaults import USE_CLIENT_DEFAULT, default_headers
from .explanation import ExplainedCookie, ExplainedField, Explanation

__all__ = ["explain"]

_CONTENT = frozenset({"content-length", "content-type", "transfer-encoding"})


def explain(client: Any, request: Request, given: Any, auth: Any, follow_redirects: Any) -> Explanation:
    """Return what `client` would do with `request`, which it made, and which is nobody else's.

    `given` are the fields that the caller gave.
    """
    own_cookie = "cookie" in _names(given)
    scheme = client._build_request_auth(request, auth)
    told: dict[str, Any] = {
        "method": request.method,
        "follow_redirects": client.follow_redirects
        if follow_redirects is USE_CLIENT_DEFAULT
        else bool(follow_redirects),
        "request_hooks": len(client._event_hooks["request"]),
        "cookies": _cookies(client, request, own_cookie),
        "body": _body(request),
        "retry": _retry(client, request),
    }
    before = set(request.headers)
    told |= _auth(client, request, scheme, auth)
    told["url"] = request.url._masked()
    told |= _timeouts(client, request)
    told |= _transport(client, request)
    told["fields"] = _fields(client, request, given, before, told.pop("sent", request.headers.raw))
    return Explanation(**told)


def _names(headers: Any) -> set[str]:
    return set() if headers is None else {name.lower() for name in Headers(headers)}


def _cookies(client: Any, request: Request, own_field: bool) -> tuple[ExplainedCookie, ...]:
    if not client._cookies._has_any():
        return ()
    from .._models.cookie_jar import has_own_rules, judgements
    from .._models.cookie_rules import Place

    jar = client._cookies.jar
    if has_own_rules(jar):
        return tuple(
            ExplainedCookie(each.name, each.domain, each.path, False, "the jar has rules of its own") for each in jar
        )
    found: list[ExplainedCookie] = []
    for cookie, reason in judgements(jar, Place.of(request.url), request_face(request)):
        if own_field:
            reason = "the request has a Cookie field of its own"
        found.append(ExplainedCookie(cookie.name, cookie.domain, cookie.path, reason is None, reason or ""))
    return tuple(found)


def _body(request: Request) -> str:
    if request._body is None:
        return "a stream"
    return f"{len(request._body)} bytes" if request._body else "none"


def _retry(client: Any, request: Request) -> Any:
    extensions = request._extensions
    if client._retrier is not None:
        return client._retrier.rule(request)
    return None if extensions is None else extensions.get("retry")


def _auth(client: Any, request: Request, scheme: Auth | None, given: Any) -> dict[str, Any]:
    """Add the Authorization field of our own schemes that need no response first."""
    if scheme is None:
        return {}
    if given is not USE_CLIENT_DEFAULT and given is not None:
        source = "the request"
    else:
        source = "the client" if given is USE_CLIENT_DEFAULT and client._auth is not None else "the URL"
    note = ""
    if type(scheme) in (BasicAuth, NetRCAuth):
        next(scheme.auth_flow(request))
        if "authorization" not in request.headers:
            note = "it has nothing for this host"
    elif type(scheme) is DigestAuth:
        note = "it answers a challenge of the server"
    elif type(scheme) is FunctionAuth:
        note = "the function may change the request"
    else:
        note = "it decides when the request is sent"
    return {"auth": type(scheme).__name__, "auth_source": source, "auth_note": note}


def _timeouts(client: Any, request: Request) -> dict[str, Any]:
    if request._dispatch.timeout is None:
        client._set_timeout(request)
    given = timeouts_of(request)
    timeouts = {name: given.get(name) for name in ("connect", "read", "write", "pool")}
    timeouts |= {name: granted(request, name) for name in ("first_byte", "total")}
    return {"timeouts": timeouts | {name: given[name] for name in ("min_rate", "rate_window") if name in given}}


def _transport(client: Any, request: Request) -> dict[str, Any]:
    """Follow the request to its transport, and into that if it is one of ours."""
    pattern = client._mount_for_url(request.url)
    transport = client._transport_for_url(request.url)
    told: dict[str, Any] = {"transport": type(transport).__name__}
    if pattern is not None:
        told |= {"mount": pattern.pattern, "mount_source": client._mounted_by.get(pattern.pattern, "the client")}
    refusal = getattr(transport, "reason", None)
    if isinstance(refusal, str):
        told["error"] = f"ProxyError: {refusal}"
    options = getattr(transport, "_options", None)
    if options is None or not hasattr(transport, "_proxy_fields"):
        return told
    told["expect_continue"] = _expects(transport, request)
    told["replay"] = (request._extensions or {}).get("replay", transport._replay)
    told["limits"] = transport._limits
    if options.proxy is not None:
        told |= {"proxy": masked_url(str(options.proxy)), "forwards": transport._forward is not None}
    try:
        head, destination, route = complete(request, request._unchanged_head())
        if transport._forward is not None and head.scheme == b"http":
            head, route = forwarded(head, destination, transport._forward, transport._proxy_fields)
        if told["expect_continue"]:
            head = with_expectation(head)
    except (HTTPError, InvalidURL) as error:
        told["error"] = f"{type(error).__name__}: {error}"
        return told
    told |= {"route": route, "forwards": route.forward, "protocols": options.protocols(route)}
    told["sent"] = head.fields
    told |= _tls(route, options.tls)
    told["connection"], told["connection_info"] = _connection(transport, route)
    return told


def _expects(transport: Any, request: Request) -> bool:
    """Return whether the server is asked if it wants the body."""
    least = expect_from((request._extensions or {}).get("expect_continue", transport._expect_from))
    if least is None or request._body == b"":
        return False
    return request._body is None or len(request._body) >= least


def _tls(route: Route, tls: Any) -> dict[str, Any]:
    if route.origin.scheme != "https":
        return {}
    told: dict[str, Any] = {"tls_server_name": route.server_name or route.origin.host, "trust_store": "its own context"}
    if isinstance(tls, partial):
        verify, cert, trust_env = tls.args
        try:
            told["trust_store"] = trusted_store(verify, trust_env)
        except (HTTPError, OSError) as error:
            told |= {"trust_store": "nobody", "error": f"{type(error).__name__}: {error}"}
        told["client_certificate"] = cert is not None
    return told


def _connection(transport: Any, route: Route) -> tuple[str, Any]:
    """Ask the pool of the running event loop, if there is one yet."""
    pools = getattr(transport, "_pools", None)
    if pools is None:
        pool = transport.pool
    else:
        try:
            pool = pools.get(current_token())
        except RuntimeError:  # no event loop runs
            pool = None
    found: tuple[str, Any] = ("connect", None) if pool is None else pool.foresee(route)
    return found


def _fields(
    client: Any, request: Request, given: Any, before_auth: set[str], sent: Iterable[tuple[bytes, bytes]]
) -> tuple[ExplainedField, ...]:
    asked, own = _names(given), {name.lower(): value for name, value in client.headers.multi_items()}
    defaults = default_headers()
    found: list[ExplainedField] = []
    present = set(request.headers)
    for raw_name, raw_value in sent:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("utf-8", "backslashreplace")
        if name not in present:
            source = "expect_continue" if name == "expect" else "the proxy"
        elif name in asked:
            source = "the request"
        elif name not in before_auth:
            source = "auth"
        elif name in own:
            source = "the defaults" if defaults.get(name) == own[name] else "the client"
        elif name == "host":
            source = "the URL"
        elif name == "cookie":
            source = "the cookies"
        else:
            source = "the body" if name in _CONTENT else "the request"
        found.append(ExplainedField(name, masked_field(name, value), source))
    return tuple(found)
