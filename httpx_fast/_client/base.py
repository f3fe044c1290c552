"""What both clients share that waits for nothing: their settings, and how settings and arguments become a request.

It never sends. `flow.py` does that for both, and asks here how a request is redirected and authenticated. Rules:

1. A request's own arguments win over the client's, field by field; `params` and `cookies` are merged.
2. A request made of method and URL text alone comes from a template, which is made once and used while the settings
   that it came from are the same objects as then. So it costs a look-up, and no setting can be missed.
3. Credentials, cookies and what belongs to one host stay there when a redirect leads elsewhere.
"""

from __future__ import annotations

import enum
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from operator import attrgetter
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import ref

from .._auth import Auth, AuthTypes, BasicAuth, FunctionAuth
from .._byte_streams import SyncByteStream
from .._caller import warn_caller
from .._checks import checked_count
from .._config import (
    DEFAULT_HTTP2_PING_AFTER_SECONDS,
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT_CONFIG,
    Limits,
    Proxy,
    ProxyTypes,
    Timeout,
    TimeoutTypes,
)
from .._content import JSONValue, RequestContent, in_memory
from .._models import Cookies, Headers, Request, Response
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._multipart import RequestData, RequestFiles
from .._trust import CertTypes
from .._urls import URL, QueryParams, QueryParamTypes
from .._utils import URLPattern, get_environment_proxies, get_environment_rules
from .copies import CopiedClient
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault, default_headers
from .inspection import Inspection
from .middleware import around, checked, checked_hooks
from .observing import first_exchange, replace_exchange
from .redirects import Redirects
from .templates import Table, Template

if TYPE_CHECKING:
    import ssl

    from .._origin import Origin
    from .._pool.pool import Pool
    from .._retry.origins import RetryStats
    from .._retry.retrier import Retrier
    from .._retry.settings import Retry

logger = logging.getLogger("httpx_fast")

EventHook = Callable[..., Any]


class ClientState(enum.Enum):
    """States of a client."""

    UNOPENED = 1  # made, and nothing sent yet
    OPENED = 2  # entered, or has sent a request
    CLOSED = 3


def warn_of_cookies() -> None:
    """Warn, at the caller's line, that cookies were given to a single request."""
    warn_caller(
        "cookies=... for a single request is deprecated, since it leaves open whether they are kept: set them on the "
        "client",
        DeprecationWarning,
    )


#: What stands behind templates; a subclass that overrides one of these gets a new request each time.
_templated = attrgetter(
    "_merge_url",
    "_merge_headers",
    "_merge_queryparams",
    "_merge_cookies",
    "headers",
    "params",
    "base_url",
    "cookies",
    "timeout",
)


class BaseClient(Redirects, Inspection, CopiedClient):
    """Settings of a client, and the requests that are made with them."""

    #: What the transport's body type must be, and how this client waits; see `ClientIO`.
    _io: ClassVar[Any]
    #: What event streams count their time by; a fake clock replaces it.
    _clock: Callable[[], float] = staticmethod(monotonic)
    _transport: Any
    _mounts: dict[URLPattern, Any]
    #: What each pattern of `_mounts` comes from, in words.
    _mounted_by: dict[str, str]

    def __init__(
        self,
        *,
        auth: AuthTypes | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT_CONFIG,
        follow_redirects: bool = False,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[EventHook]] | None = None,
        base_url: URL | str = "",
        trust_env: bool = True,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        http2_ping_after: float | None = DEFAULT_HTTP2_PING_AFTER_SECONDS,
        retry: Retry | None = None,
        json_dumps: Callable[[Any], bytes | str] | None = None,
        json_loads: Callable[[bytes], Any] | None = None,
        middlewares: Sequence[Any] = (),
        expect_continue: bool | int = False,
    ) -> None:
        for name, given in (("json_dumps", json_dumps), ("json_loads", json_loads)):
            if given is not None and not callable(given):
                raise TypeError(f"expected a callable or None as {name}, got {given!r}")
        self._json_dumps = json_dumps
        self._json_loads = json_loads
        self._middlewares: tuple[Any, ...] = checked(middlewares)
        self._begin(retry)
        self._uses_templates = _templated(type(self)) == _templated(BaseClient)
        self._base_url = self._enforce_trailing_slash(URL(base_url))
        self._auth = self._build_auth(auth)
        self._params = QueryParams(params)
        self.headers = Headers(headers)
        self._cookies = Cookies(cookies)
        self._timeout = Timeout(timeout)
        self.follow_redirects = follow_redirects
        self.max_redirects: int = checked_count(max_redirects, "max_redirects")
        self._event_hooks: dict[str, list[Any]] = (
            {"request": [], "response": []} if event_hooks is None else checked_hooks(event_hooks)
        )
        self._trust_env = trust_env
        self._default_encoding = default_encoding
        # Kept for the methods that make transports, which others override with httpx's parameters.
        self._http2_ping_after = http2_ping_after
        self._expect_continue = expect_continue

    def _begin(self, retry: Retry | None) -> None:
        """Set what is no setting, for a client that is made, or is the copy of another."""
        self._state = ClientState.UNOPENED
        #: Exchanges a request for a response with a transport: `_io`'s function, or the retrier's.
        self._exchange: Callable[[Any, Request], Response | Awaitable[Response]] = first_exchange(
            self, around(self, self._io.exchange)
        )
        self._retrier: Retrier | None = None  # sends requests again; None as long as none may be
        if retry is not None:
            self._retry_by(retry)
        self._table: Table | None = None
        self._last_timeout: tuple[TimeoutTypes, Timeout] = (None, Timeout(None))
        self._reference = ref(self)

    def _set_up_transports(
        self,
        transport: Any,
        mounts: Mapping[str, Any] | None,
        proxy: ProxyTypes | None,
        **settings: Any,
    ) -> None:
        """Set `_transport` and `_mounts`; with a transport of the user's own the environment's proxies are not used."""
        self._transport = self._init_transport(**settings, transport=transport)
        from_environment = proxy is None and settings["trust_env"] and transport is None
        proxies = self._get_proxy_map(proxy, settings["trust_env"] and transport is None)
        self._mounted_by = dict.fromkeys(proxies, "the environment" if from_environment else "the argument proxy")
        self._mounted_by.update(dict.fromkeys(mounts or (), "the argument mounts"))
        if from_environment and proxies:
            self._mounted_by.update({pattern: rule for pattern, (_, rule) in get_environment_rules().items()})
        found = {
            URLPattern(pattern): self._init_proxy_transport(each, **settings) if isinstance(each, Proxy) else each
            for pattern, each in proxies.items()
        }
        found.update({URLPattern(pattern): mounted for pattern, mounted in (mounts or {}).items()})
        self._mounts = dict(sorted(found.items()))
        for each in (self._transport, *self._mounts.values()):
            self._io.check(each)

    def _init_transport(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        transport: Any = None,
    ) -> Any:
        if transport is not None:
            return transport
        return self._io.http_transport(
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=limits,
            http2_ping_after=self._http2_ping_after,
            expect_continue=self._expect_continue,
        )

    def _init_proxy_transport(
        self,
        proxy: Proxy,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
    ) -> Any:
        return self._io.http_transport(
            verify=verify,
            cert=cert,
            trust_env=trust_env,
            http1=http1,
            http2=http2,
            limits=limits,
            proxy=proxy,
            http2_ping_after=self._http2_ping_after,
            expect_continue=self._expect_continue,
        )

    def _get_proxy_map(self, proxy: ProxyTypes | None, allow_env_proxies: bool) -> dict[str, Any]:
        """Return, by URL pattern, a Proxy, None for no proxy, or a transport that refuses a bad one."""
        if proxy is not None:
            return {"all://": proxy if isinstance(proxy, Proxy) else Proxy(url=proxy)}
        found = get_environment_proxies() if allow_env_proxies else {}
        if not found:
            return {}
        from .._transports.refusing import of_environment

        return {pattern: None if url is None else of_environment(pattern, url) for pattern, url in found.items()}

    def _transport_for_url(self, url: URL) -> Any:
        """Return the transport of the most specific mount that matches, else the client's own."""
        if self._mounts:
            found = self._mount_for_url(url)
            if found is not None:
                transport = self._mounts[found]
                return self._transport if transport is None else transport
        return self._transport

    def _mount_for_url(self, url: URL) -> URLPattern | None:
        """Return the most specific pattern of the mounts that matches."""
        return next((pattern for pattern in self._mounts if pattern.matches(url)), None)

    def _open(self) -> None:
        """Note that the client is entered."""
        if self._state is not ClientState.UNOPENED:
            raise RuntimeError(
                "the client has been closed and cannot be opened again: make a new one"
                if self._state is ClientState.CLOSED
                else "the client is open already: enter it once, before the first request"
            )
        self._state = ClientState.OPENED

    def _all_transports(self) -> list[Any]:
        return [self._transport, *(transport for transport in self._mounts.values() if transport is not None)]

    @property
    def pool(self) -> Pool:
        """Return the connection pool, to inspect it: `stats()`, `connections()`, `waiters()`.

        Of all its transports, mounts and proxies too, and of the running event loop. AttributeError if none has one.

        ```python
        print(client.pool.stats())  # 1 of 100 connections are open ...
        ```
        """
        pool = self._pool_of_all() if self._mounts else self._transport.pool
        if self._retrier is not None:
            pool.retry_stats = self.retry_stats
        return pool

    def _pool_of_all(self) -> Pool:
        """Return the pools of all transports that a URL can lead to."""
        mounted = [each for each in self._mounts.values() if each is not None]
        everything_is_mounted = any(pattern.pattern == "all://" for pattern in self._mounts) and None not in (
            self._mounts.values()
        )
        reachable = mounted if everything_is_mounted else [self._transport, *mounted]
        pools = list(dict.fromkeys(each.pool for each in reachable if hasattr(each, "pool")))
        if len(pools) > 1:
            from .._pool.group import PoolGroup  # most clients have one pool

            return PoolGroup(pools)
        pool: Pool = pools[0] if pools else self._transport.pool
        return pool

    def retry_stats(self) -> Mapping[Origin, RetryStats]:
        """Return what is counted of the retries to each origin, and their budgets: what `pool.stats()` shows too."""
        retries: Callable[[], Mapping[Origin, RetryStats]] | None = getattr(self._transport, "retry_stats", None)
        if retries is None and self._retrier is not None:
            retries = self._retrier.stats
        return {} if retries is None else retries()

    def _retry_by(self, retry: Retry | None) -> None:
        """Begin to send requests again as `retry` says; None for those alone whose extension "retry" says how."""
        from .._retry.retrier import Retrier
        from .._retry.settings import check_retry
        from .._retry.waits import AsyncWaits, BlockingWaits

        waits = BlockingWaits() if self._io.body_type is SyncByteStream else AsyncWaits()
        self._retrier = Retrier(check_retry(retry), waits)
        replace_exchange(self, around(self, self._retrier.exchange))

    @property
    def is_closed(self) -> bool:
        """Return whether the client has been closed."""
        return self._state is ClientState.CLOSED

    @property
    def trust_env(self) -> bool:
        """Return whether proxies and certificates of the environment are used."""
        return self._trust_env

    @property
    def timeout(self) -> Timeout:
        """Return the timeouts of requests without their own."""
        return self._timeout

    @timeout.setter
    def timeout(self, timeout: TimeoutTypes) -> None:
        self._timeout = Timeout(timeout)

    @property
    def event_hooks(self) -> dict[str, list[EventHook]]:
        """Return the functions called with each request ("request") and with each response ("response").

        Each redirect and each round of authentication counts. Bodies of responses are unread at that time.

        ```python
        client.event_hooks = {"response": [lambda response: response.raise_for_status()]}
        ```
        """
        return self._event_hooks

    @event_hooks.setter
    def event_hooks(self, event_hooks: Mapping[str, list[EventHook]]) -> None:
        self._event_hooks = checked_hooks(event_hooks)

    @property
    def auth(self) -> Auth | None:
        """Return the authentication of requests without their own."""
        return self._auth

    @auth.setter
    def auth(self, auth: AuthTypes | None) -> None:
        self._auth = self._build_auth(auth)

    @property
    def base_url(self) -> URL:
        """Return the URL that relative URLs are appended to; its path ends with a slash."""
        return self._base_url

    @base_url.setter
    def base_url(self, url: URL | str) -> None:
        self._base_url = self._enforce_trailing_slash(URL(url))

    @property
    def headers(self) -> Headers:
        """Return the fields of each request, defaults included; fields of the request itself replace them."""
        return self._headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        merged = default_headers()
        if type(headers) is not Headers or headers:
            merged.update(headers)
        self._headers = merged

    @property
    def cookies(self) -> Cookies:
        """Return the cookies that are sent, to which those of responses are added."""
        return self._cookies

    @cookies.setter
    def cookies(self, cookies: CookieTypes) -> None:
        self._cookies = Cookies(cookies)

    @property
    def params(self) -> QueryParams:
        """Return the query parameters of each request; those of the request itself are merged into them."""
        return self._params

    @params.setter
    def params(self, params: QueryParamTypes) -> None:
        self._params = QueryParams(params)

    def build_request(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Request:
        """Return a request made from the client's settings and these arguments, without sending it.

        A relative `url` is appended to `base_url`. Raises InvalidURL.

        ```python
        request = client.build_request("POST", "/items", json={"name": "pen"})
        request.headers["X-Signature"] = "..."
        ```
        """
        if json is not None and self._json_dumps is not None:
            json = JSONValue(json, self._json_dumps)
        if type(url) is str and self._uses_templates and files is None and cookies is None and extensions is None:
            granted = self._timeout if isinstance(timeout, UseClientDefault) else self._granted(timeout)
            # Nearly all that is only got. One test after the other costs half of a chain of them.
            if content is None and json is None and headers is None and data is None and params is None:
                request = self._template(method, url).again(granted)
                if self._cookies._has_any():
                    self._cookies.set_cookie_header(request)
                return request
            # Cookies stand before what describes the body.
            if not self._cookies._has_any():
                derived = self._derive(method, url, params, content, data, json, headers, granted)
                if derived is not None:
                    return derived
        merged_url = self._merge_url(url)
        params = self._merge_queryparams(params)
        granted = self.timeout if isinstance(timeout, UseClientDefault) else self._granted(timeout)
        jar = self._merge_cookies(cookies)
        body: Any = {"content": content, "data": data, "files": files, "json": json}
        fields = self._merge_headers(headers)
        request = Request(method, merged_url, params=params, headers=fields, cookies=jar, extensions=extensions, **body)
        _grant(request, granted)
        return request

    def _granted(self, timeout: TimeoutTypes) -> Timeout:
        """Return the timeouts of one request; a value that is used again and again is parsed once."""
        if isinstance(timeout, Timeout):
            return timeout
        asked, granted = self._last_timeout
        if asked is not timeout:
            self._last_timeout = _, granted = timeout, Timeout(timeout)
        return granted

    def _template(self, method: str, url: str, params: QueryParamTypes | None = None) -> Template:
        """Return what `build_request(method, url)` makes, from the table if nothing has changed since.

        With `params` it is always a new one.
        """
        table = self._table
        if (
            table is None
            or table.fields is not self._headers._lines
            or table.params is not self._params
            or table.base_url is not self._base_url
        ):
            table = self._table = Table(self._headers, self._params, self._base_url, self._reference)
        if params is not None:
            return self._new_template(table, method, url, params)
        try:
            # `get` takes the lock of the table without the GIL, and takes it twice where another thread made the key:
            # CPython 3.13 waits for itself then, for as long as the whole request takes.
            return table.known[method, url]
        except KeyError:
            pass  # below, an error does not have this one, which shows the URL, for its context
        template = self._new_template(table, method, url, None)
        table.keep(method, url, template)
        return template

    def _new_template(self, table: Table, method: str, url: str, params: QueryParamTypes | None) -> Template:
        """Return a template of a URL that has none yet, with the client's params and these in its query."""
        merged = self._merge_queryparams(params)
        if merged is None:
            made = self._merge_url(url)
        else:
            made = URL(url, params=merged)
            if not (made._scheme and made._host):
                made = URL(self._merge_url(url), params=merged)
        return table.make(method, made, self._headers)

    def _derive(
        self,
        method: str,
        url: str,
        params: QueryParamTypes | None,
        content: RequestContent | None,
        data: RequestData | None,
        json: Any | None,
        headers: HeaderTypes | None,
        timeout: Timeout | None,
    ) -> Request | None:
        """Return a request with a body in memory or own headers, made from a template; None if that is not enough.

        Of a method with a body the template says that there is none: what has one comes from the template of GET.
        """
        body = in_memory(content, data, json)
        if body is None or type(method) is not str:
            return None
        raw, content_type = body
        template = self._template("GET" if raw else method, url, params)
        if raw and template.framed:
            return None
        return template.derive(method.upper(), headers, raw, content_type, timeout)

    def _enforce_trailing_slash(self, url: URL) -> URL:
        path = url.raw_path
        return url if path.endswith(b"/") else url.copy_with(raw_path=path + b"/")

    def _merge_url(self, url: URL | str) -> URL:
        merged = url if type(url) is URL else URL(url)
        if merged.is_absolute_url:
            return merged
        base = self.base_url
        if merged._scheme and not base._host:
            return merged  # "localhost:8000/path", which has to be refused as it was written
        return base.copy_with(raw_path=base.raw_path + merged.raw_path.lstrip(b"/"))

    def _merge_cookies(self, cookies: CookieTypes | None = None) -> Cookies:
        if not cookies:
            return self.cookies
        merged = Cookies(self.cookies)
        merged.update(cookies)
        return merged

    def _merge_headers(self, headers: HeaderTypes | None = None) -> Headers:
        merged = Headers(self.headers)
        if headers is not None:
            merged.update(headers)
        return merged

    def _merge_queryparams(self, params: QueryParamTypes | None = None) -> QueryParamTypes | None:
        own = self.params
        if not own:
            return params
        return own.merge(params) if params else own

    def _build_auth(self, auth: AuthTypes | None) -> Auth | None:
        if auth is None or isinstance(auth, Auth):
            return auth
        if callable(auth):
            return FunctionAuth(func=auth)
        if isinstance(auth, tuple) and len(auth) > 1:
            return BasicAuth(username=auth[0], password=auth[1])
        kind = f"tuple of {len(auth)}" if isinstance(auth, tuple) else type(auth).__name__
        raise TypeError(f"auth is {kind}; expected a tuple of user name and password, an Auth, or a callable")

    def _build_request_auth(
        self, request: Request, auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT
    ) -> Auth | None:
        """Return how `request` is authenticated: by argument, client or URL, in this order; None for not at all."""
        found = self._auth if isinstance(auth, UseClientDefault) else self._build_auth(auth)
        if found is not None:
            return found
        url = request.url
        if url._userinfo and (url.username or url.password):
            return BasicAuth(username=url.username, password=url.password)
        return None

    def _set_timeout(self, request: Request) -> None:
        """Set the client's timeouts on a request that was made without the client."""
        _grant(request, self.timeout)


def _grant(request: Request, timeout: Timeout) -> None:
    """Set the timeouts of a request, unless it has some of its own."""
    extensions = request._extensions
    if extensions is None:
        request._dispatch = request._dispatch.granted(timeout)
    elif "timeout" not in extensions:
        extensions["timeout"] = timeout.as_dict()
