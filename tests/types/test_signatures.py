"""The public interface is httpx2's: the same names, members, parameters, kinds and defaults.

What differs is listed in DIFFERENCES, by name and with its reason; what is listed there and does not differ any more
fails as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cached_property
from types import ModuleType
from typing import Any

import pytest

import httpx_fast

httpx2 = pytest.importorskip("httpx2", reason="httpx2 is what the interface is compared with")

_JOURNEY = "how the request went"
_DIALLING = "resolver, address_filter and keepalive of transports"
_REQUEST_ERRORS = [
    name
    for name, each in vars(httpx_fast).items()
    if isinstance(each, type) and issubclass(each, httpx_fast.RequestError) and hasattr(httpx2, name)
]
_NETWORK_ERRORS = [name for name in _REQUEST_ERRORS if issubclass(vars(httpx_fast)[name], httpx_fast.NetworkError)]
_TRANSPORT_ERRORS = [name for name in _REQUEST_ERRORS if issubclass(vars(httpx_fast)[name], httpx_fast.TransportError)]
_PING = "http2_ping_after and retry at the end"
_TRANSPORT = "replay, resolver, address_filter, keepalive, http2_ping_after and expect_continue at the end"
_BEYOND = "budgets for the whole, and for the time until the response's head"
_TIMEOUT = "what ran out, when, and of how much"
_TIMEOUTS = ("ConnectTimeout", "PoolTimeout", "ReadTimeout", "TimeoutException", "WriteTimeout")
_SIZE = "bounds the bodies of responses"
_FILES = "writes content to files"
_LASTING = "event streams that go on after a cut connection, and notice when no events come"
_RETRY = "sending requests again"
_POOL = "shows the connection pool, which httpx keeps private"
_LIFE = "connections ahead of requests, and without those that there are"
_SHOWING = [
    f"httpx_fast.{name}"
    for name in (
        *(
            "har",
            "Certificate",
            "Explanation",
            "Recording",
            "ConnectionFacts",
            "ConnectionInfo",
            "Journey",
            "Pool",
            "PoolStats",
            "Sizes",
            "WaiterInfo",
            "report",
        ),
    )
]
DIFFERENCES = {
    **dict.fromkeys(_SHOWING, "shows how requests went, and what connections there are"),
    **{f"{name}.record": "keeps what a block of code sends" for name in ("Client", "AsyncClient")},
    **{f"{name}.explain": "says what a request would do" for name in ("Client", "AsyncClient")},
    "httpx_fast.debug": "records who waits for connections",
    "httpx_fast.add_secret_names": "masks the values of further names",
    "httpx_fast.AddressDenied": _DIALLING,
    "httpx_fast.AddressFilter": _DIALLING,
    **{
        f"httpx_fast.{name}": _RETRY
        for name in ("AsyncRetryTransport", "Breaker", "CircuitOpen", "Hedge", "Retry", "RetryStats", "RetryTransport")
    },
    **{f"{name}.retry_stats": _RETRY for name in ("Client", "AsyncClient")},
    **dict.fromkeys(("httpx_fast.Outcome", "Client.map", "AsyncClient.map"), "sends many requests, so many at once"),
    **dict.fromkeys(("httpx_fast.Reconnect", "httpx_fast.EventTimeout", "Client.sse", "AsyncClient.sse"), _LASTING),
    **dict.fromkeys(("Client.websocket_sessions", "AsyncClient.websocket_sessions"), "opens a WebSocket again"),
    "httpx_fast.CachingResolver": _DIALLING,
    "httpx_fast.ResponseTooLarge": _SIZE,
    "httpx_fast.DownloadError": _FILES,
    "Limits.max_response_size": _SIZE,
    "Limits.max_head_size": "bytes of a head, which have a limit of their own",
    **{f"{name}.download": _FILES for name in ("Client", "AsyncClient")},
    "Response.save": _FILES,
    "Response.asave": _FILES,
    "httpx_fast.ClientClosed": "what requests are told that the client was closed under",
    "httpx_fast.Resolver": _DIALLING,
    "httpx_fast.StaticResolver": _DIALLING,
    "httpx_fast.TCPKeepAlive": _DIALLING,
    "httpx_fast.TrustStoreError": "SSL_CERT_FILE and SSL_CERT_DIR that cannot be used",
    "httpx_fast.alias": "replaces httpx2 as well",
    "ASGITransport.__init__": "lifespan, by keyword",
    "AsyncClient.__init__": _PING,
    "AsyncClient.pool": _POOL,
    "AsyncHTTPTransport.pool": _POOL,
    "Client.__init__": _PING,
    "Client.pool": _POOL,
    "HTTPTransport.pool": _POOL,
    "AsyncHTTPTransport.__init__": _TRANSPORT,
    "HTTPStatusError.journey": _JOURNEY,
    "HTTPTransport.__init__": _TRANSPORT,
    "Limits.__init__": "max_per_host, max_age, max_response_size, max_head_size, rate and burst",
    "Limits.burst": "how many requests begin at once",
    "Limits.rate": "how many requests begin in a second",
    "Limits.max_age": "when a connection is too old to serve",
    "Limits.max_per_host": "connections of one origin",
    "Origin.count": "it is a tuple as well",
    "Origin.index": "it is a tuple as well",
    "PoolTimeout.pool": "who had the connections",
    "ReadTimeout.journey": _JOURNEY,
    "Timeout.__init__": _BEYOND,
    "Timeout.expect_continue": "the wait for 100 (Continue)",
    "Timeout.first_byte": _BEYOND,
    "Timeout.min_rate": "how slow a transfer may be",
    "Timeout.rate_window": "over how long",
    "Timeout.total": _BEYOND,
    **{f"{name}.{member}": _TIMEOUT for name in _TIMEOUTS for member in ("phase", "limit", "elapsed", "budget")},
    "Response.informational": "1xx responses are kept",
    "Response.is_truncated": "bodies of redirects and authentication rounds are read up to a limit",
    "Response.journey": _JOURNEY,
    "Response.trailers": "trailers are kept",
    **{f"{name}.{member}": _LIFE for name in ("Client", "AsyncClient") for member in ("warm", "drain")},
    **{
        f"{name}.{prefix}{member}": _LIFE
        for prefix, base in (("", httpx_fast.BaseTransport), ("a", httpx_fast.AsyncBaseTransport))
        for name in httpx_fast.__all__
        if hasattr(httpx2, name) and isinstance(each := getattr(httpx_fast, name), type) and issubclass(each, base)
        for member in ("warm", "drain")
    },
    **{f"{name}.__init__": "no message is needed, as for httpcore's" for name in _TRANSPORT_ERRORS},
    **{f"{name}.from_tls": "whether TLS says why" for name in _NETWORK_ERRORS},
    **{f"{name}.unprocessed": "whether the peer did nothing with the request" for name in _REQUEST_ERRORS},
}

#: Instances, for the attributes that only they have.
SAMPLES: dict[str, Callable[[ModuleType], Any]] = {
    "AsyncClient": lambda module: module.AsyncClient(trust_env=False),
    "Client": lambda module: module.Client(trust_env=False),
    "Cookies": lambda module: module.Cookies(),
    "HTTPStatusError": lambda module: module.HTTPStatusError(
        "wrong", request=module.Request("GET", "http://host/"), response=module.Response(400)
    ),
    "Headers": lambda module: module.Headers(),
    "Limits": lambda module: module.Limits(),
    "MockTransport": lambda module: module.MockTransport(lambda request: module.Response(200)),
    "Origin": lambda module: module.URL("http://host/").origin,
    "Proxy": lambda module: module.Proxy("http://host/"),
    "QueryParams": lambda module: module.QueryParams(),
    "ReadTimeout": lambda module: module.ReadTimeout("late"),
    "Request": lambda module: module.Request("GET", "http://host/"),
    "Response": lambda module: module.Response(200),
    "Timeout": lambda module: module.Timeout(1),
    "URL": lambda module: module.URL("http://host/"),
}


def test_the_same_names_are_public():
    theirs, ours = set(httpx2.__all__), set(httpx_fast.__all__)
    assert theirs - ours == named("httpx2."), "missing"
    assert ours - theirs == named("httpx_fast."), "more than httpx2 has"
    for name in ours - {"__description__", "__title__", "__version__"}:
        assert getattr(httpx_fast, name) is not None


def named(prefix: str) -> set[str]:
    return {name.removeprefix(prefix) for name in DIFFERENCES if name.startswith(prefix)}


COMMON = sorted(set(httpx2.__all__) & set(httpx_fast.__all__))
CLASSES = [name for name in COMMON if inspect.isclass(getattr(httpx2, name))]
FUNCTIONS = [name for name in COMMON if inspect.isfunction(getattr(httpx2, name))]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_take_the_same(name: str):
    assert ({name} if shape(httpx2, name) != shape(httpx_fast, name) else set()) == {name} & set(DIFFERENCES)


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_same_members_which_take_the_same(name: str):
    theirs, ours = members(httpx2, name), members(httpx_fast, name)
    differing = {f"{name}.{member}" for member in theirs | ours if theirs.get(member) != ours.get(member)}
    listed = {each for each in DIFFERENCES if each.startswith(f"{name}.")}
    assert {each: (theirs.get(each.split(".")[1]), ours.get(each.split(".")[1])) for each in differing - listed} == {}
    assert listed - differing == set()


@pytest.mark.parametrize("name", CLASSES)
def test_classes_have_the_same_bases(name: str):
    bases = [
        [base.__name__ for base in getattr(module, name).__mro__ if base is getattr(module, base.__name__, None)]
        for module in (httpx2, httpx_fast)
    ]
    assert bases[0] == bases[1]


def members(module: ModuleType, name: str) -> dict[str, Any]:
    """The public members of a class, and what each takes."""
    cls = getattr(module, name)
    found = {"__init__": shape(module, name)}
    visible = set(dir(SAMPLES[name](module))) | set(dir(cls)) if name in SAMPLES else set(dir(cls))
    for member in visible:
        if not member.startswith("_") and not hasattr(BaseException, member):
            found[member] = kind(module, cls, member)
    return found


def kind(module: ModuleType, cls: type, member: str) -> Any:
    """How a member is used: a method with what it takes, or an attribute that can or cannot be set."""
    found = inspect.getattr_static(cls, member, None)
    if isinstance(found, property) and not issubclass(cls, tuple):  # PyPy makes named tuples of properties
        return "attribute" if found.fset is not None else "read-only attribute"
    if inspect.isroutine(getattr(cls, member, None)) and not isinstance(found, cached_property):
        return shape(module, f"{cls.__name__}.{member}")
    return "attribute"


def shape(module: ModuleType, path: str) -> Any:
    """What a function takes and whether it is awaited."""
    function: Any = module
    for part in path.split("."):
        function = getattr(function, part)
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # what object has, or C
        return "unknown"
    return inspect.iscoroutinefunction(function), [
        (each.name, each.kind.name, plain(module, each.default)) for each in parameters
    ]


def plain(module: ModuleType, default: Any) -> Any:
    """A default, so that those of two packages can be compared."""
    if default is module._client.USE_CLIENT_DEFAULT:
        return "USE_CLIENT_DEFAULT"
    if default is module._config.UNSET:
        return "UNSET"
    return default if default is inspect.Parameter.empty else repr(default)


def test_differences_name_things_that_exist():
    unknown = {name for name in DIFFERENCES if name.split(".")[0] not in {*CLASSES, *FUNCTIONS, "httpx2", "httpx_fast"}}
    assert unknown == set()


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_samples_are_of_the_class_that_they_stand_for(name: str) -> None:
    assert all(type(SAMPLES[name](module)).__name__ == name for module in (httpx2, httpx_fast))
