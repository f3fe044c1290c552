"""What a request would do, as data that prints well. `explain.py` finds it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, Literal

from .._config import Limits
from .._origin import Route
from .._pool.stats import ConnectionInfo

__all__ = ["ExplainedCookie", "ExplainedField", "Explanation"]


@dataclass(frozen=True, slots=True)
class ExplainedField:
    """One field of the request, and where it comes from. The value is masked if it is a secret."""

    name: str
    value: str
    #: "the request", "the client", "the defaults", "the URL", "the body", "the cookies", "auth", "the proxy" or
    #: "expect_continue".
    source: str


@dataclass(frozen=True, slots=True)
class ExplainedCookie:
    """One cookie of the client, and whether it is sent."""

    name: str
    domain: str
    path: str
    sent: bool
    #: Why it is not sent; "" where it is.
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """Hold what would happen to a request, found without sending it. Secrets are masked."""

    method: str
    url: str
    fields: tuple[ExplainedField, ...] = ()
    #: "none", "12 bytes" or "a stream".
    body: str = "none"
    #: The class that authenticates, and what has said so: "the request", "the client" or "the URL".
    auth: str | None = None
    auth_source: str | None = None
    auth_note: str = ""
    cookies: tuple[ExplainedCookie, ...] = ()
    #: The pattern that matched, and what it comes from; None for the client's own transport.
    mount: str | None = None
    mount_source: str | None = None
    transport: str = ""
    #: The proxy's URL without credentials, and whether it is sent whole requests instead of opening tunnels.
    proxy: str | None = None
    forwards: bool = False
    #: What connections are shared by; None where the transport has no pool.
    route: Route | None = None
    #: "reuse", "connect", "wait" for one to become free, "closed"; "unknown" where the transport has no pool.
    connection: Literal["reuse", "connect", "wait", "closed", "unknown"] = "unknown"
    connection_info: ConnectionInfo | None = None
    #: The name that the certificate has to have; None without TLS.
    tls_server_name: str | None = None
    #: Which authorities are trusted, and whether a client certificate is shown.
    trust_store: str | None = None
    client_certificate: bool = False
    #: "http/1.1" and "h2", in the order in which TLS offers them.
    protocols: tuple[str, ...] = ()
    #: Seconds, None for no limit.
    timeouts: Mapping[str, float | None] = field(default_factory=dict[str, "float | None"])
    limits: Limits | None = None
    #: The rule by which it is sent again, None for no rule; and whether it may be replayed on a dead connection.
    retry: Any = None
    replay: bool | None = None
    #: Whether the server is asked before the body is sent if it wants it.
    expect_continue: bool = False
    follow_redirects: bool = False
    #: Count of event hooks that see it first, and may change it.
    request_hooks: int = 0
    #: The exception that sending it would raise.
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return all of it for `json.dumps`."""
        told: dict[str, Any] = {each.name: _plain(getattr(self, each.name)) for each in fields(self)}
        return told

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Route):
        return {"origin": str(value.origin), "server_name": value.server_name, "forward": value.forward}
    if isinstance(value, Limits):
        return _limits(value)
    if isinstance(value, Mapping):
        members: Mapping[Any, Any] = value  # pyright: ignore[reportUnknownVariableType]
        return {str(name): _plain(member) for name, member in members.items()}
    if isinstance(value, ConnectionInfo):
        return {"age": value.age, "idle": value.idle, "requests": value.requests, "http_version": value.http_version}
    if isinstance(value, (ExplainedField, ExplainedCookie)) and is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, (tuple, list)):
        elements: tuple[Any, ...] = tuple(value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        return [_plain(element) for element in elements]
    return repr(value)


def _limits(limits: Limits) -> dict[str, Any]:
    names: tuple[str, ...] = (
        "max_connections",
        "max_keepalive_connections",
        "keepalive_expiry",
        "max_per_host",
        "max_age",
    )
    if limits.max_head_size is not None:
        names += ("max_head_size",)
    if limits.rate is not None:
        names += ("rate", "burst")
    return {name: getattr(limits, name) for name in names}


def _lines(told: Explanation) -> list[str]:
    lines = [f"{told.method} {told.url}"]
    if told.error is not None:
        lines.append(f"  fails      {told.error}")
    lines += _pairs("field", [f"{each.name}: {each.value}  (from {each.source})" for each in told.fields])
    lines.append(f"  body       {told.body}{', once the server wants it' if told.expect_continue else ''}")
    if told.auth is not None:
        lines.append(
            f"  auth       {told.auth}, from {told.auth_source}{f'; {told.auth_note}' if told.auth_note else ''}"
        )
    lines += _pairs("cookie", [_cookie(each) for each in told.cookies])
    lines.append(f"  transport  {told.transport}, {_mount(told)}")
    if told.proxy is not None:
        lines.append(f"  proxy      {told.proxy}, {'which forwards requests' if told.forwards else 'through a tunnel'}")
    if told.route is not None:
        lines += [f"  pool key   {_route(told.route)}", f"  connection {_connection(told)}"]
    if told.trust_store is not None:
        shown = ", a client certificate is shown" if told.client_certificate else ""
        lines.append(f"  TLS        for {told.tls_server_name}, trusts {told.trust_store}{shown}")
    if told.protocols:
        lines.append(f"  offers     {', '.join(told.protocols)}")
    lines.append(f"  timeouts   {_words(told.timeouts)}")
    if told.limits is not None:
        lines.append(f"  limits     {_words(_limits(told.limits))}")
    lines.append(f"  retry      {'no rule' if told.retry is None else repr(told.retry)}")
    lines.append(f"  redirects  {'followed' if told.follow_redirects else 'not followed'}")
    if told.request_hooks:
        lines.append(f"  hooks      {told.request_hooks} see the request first, and may change it")
    return lines


def _pairs(name: str, values: list[str]) -> list[str]:
    return [f"  {name:<10} {value}" for value in values]


def _cookie(cookie: ExplainedCookie) -> str:
    place = f"{cookie.domain or 'any host'}{cookie.path}"
    return f"{cookie.name} for {place}: {'sent' if cookie.sent else f'not sent, {cookie.reason}'}"


def _mount(told: Explanation) -> str:
    return "the client's own" if told.mount is None else f"by the pattern {told.mount} of {told.mount_source}"


def _route(route: Route) -> str:
    words = [str(route.origin)]
    if route.server_name is not None:
        words.append(f"server name {route.server_name}")
    if route.forward:
        words.append("whose proxy forwards")
    return ", ".join(words)


def _connection(told: Explanation) -> str:
    info = told.connection_info
    if info is not None:
        return f"reused: {info!r}"
    return {
        "connect": "a new one is made",
        "wait": "none is free: it waits for one",
        "closed": "the pool is closed",
    }.get(told.connection, "unknown")


def _words(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {'no limit' if value is None else format(value, 'g')}" for name, value in values.items())
