"""The blocking client: signatures and words. What they do is in `base.py` and `flow.py`."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from .._argument_names import names_explained
from .._auth import AuthTypes
from .._config import (
    DEFAULT_HTTP2_PING_AFTER_SECONDS,
    DEFAULT_LIMITS,
    DEFAULT_MAX_REDIRECTS,
    DEFAULT_TIMEOUT_CONFIG,
    Limits,
    ProxyTypes,
    TimeoutTypes,
)
from .._content import RequestContent
from .._drive import drive
from .._models import Request, Response
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._multipart import RequestData, RequestFiles
from .._transports.base import BaseTransport
from .._trust import CertTypes
from .._urls import URL, QueryParamTypes
from . import flow, lifecycle
from .base import BaseClient, EventHook, warn_of_cookies
from .client_io import BLOCKING
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault
from .extras import Extras

if TYPE_CHECKING:
    import ssl

    from .._retry.settings import Retry
    from .middleware import Middleware


class Client(BaseClient, Extras):
    """An HTTP client with a connection pool. Threads may share it.

    It opens nothing when it is made; `close()` or leaving `with` closes all connections.

    - `auth`: tuple of user name and password, an `Auth`, or a callable that is given the request and returns one.
    - `params`, `headers`, `cookies`: for all requests.
    - `verify`: whether servers must prove who they are; an `ssl.SSLContext` for settings of your own.
    - `trust_env`: whether proxies and certificates that environment variables name are used.
    - `http1`, `http2`: which versions may be spoken; with both, TLS negotiates.
    - `proxy`: where all requests go. `mounts`: transports by URL pattern, the most specific one wins; None stands for
      the client's own transport.
    - `timeout`: seconds, a `Timeout`, or None for no limit. `limits`: bounds of the connection pool.
    - `follow_redirects`, `max_redirects`: whether redirects are followed, and how many for one request.
    - `event_hooks`: see the property.
    - `base_url`: what relative URLs are appended to.
    - `transport`: sends instead of the connection pool; then the environment's proxies are not used.
    - `default_encoding`: encoding of text whose charset the server does not name, or a callable that is given the
      content and returns it.
    - `http2_ping_after`: seconds of silence, while requests wait on a connection of HTTP/2, after which the server is
      asked for a sign of life (PING); None for never. One that gives none within 15 s is taken for dead.
    - `retry`: when requests are sent again, see `Retry`; None for not at all. The extension "retry" of a request wins.
    - `middlewares`: functions around each exchange, the first one outermost. Each is given the request and
      `call_next`, which sends it and returns the response.
    - `expect_continue`: True, or from how many bytes of body on a request asks first whether the server wants its body.
      It waits for the answer for the seconds of `Timeout(expect_continue=)`. The extension "expect_continue" wins.
    - `json_dumps`, `json_loads`: functions of another JSON library, for `json=` and `Response.json()`.

    ```python
    with httpx.Client(base_url="https://api.example.org", timeout=httpx.Timeout(5, total=30)) as client:
        items = client.get("/items").raise_for_status().json()
    ```
    """

    _io = BLOCKING

    @names_explained
    def __init__(
        self,
        *,
        auth: AuthTypes | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        proxy: ProxyTypes | None = None,
        mounts: Mapping[str, BaseTransport | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT_CONFIG,
        follow_redirects: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[EventHook]] | None = None,
        base_url: URL | str = "",
        transport: BaseTransport | None = None,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        http2_ping_after: float | None = DEFAULT_HTTP2_PING_AFTER_SECONDS,
        retry: Retry | None = None,
        json_dumps: Callable[[Any], bytes | str] | None = None,
        json_loads: Callable[[bytes], Any] | None = None,
        middlewares: Sequence[Middleware] = (),
        expect_continue: bool | int = False,
    ) -> None:
        super().__init__(
            auth=auth,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            follow_redirects=follow_redirects,
            max_redirects=max_redirects,
            event_hooks=event_hooks,
            base_url=base_url,
            trust_env=trust_env,
            default_encoding=default_encoding,
            http2_ping_after=http2_ping_after,
            retry=retry,
            json_dumps=json_dumps,
            json_loads=json_loads,
            middlewares=middlewares,
            expect_continue=expect_continue,
        )
        settings = {"verify": verify, "cert": cert, "trust_env": trust_env, "http1": http1, "http2": http2}
        self._set_up_transports(transport, mounts, proxy, **settings, limits=limits)

    def request(
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
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Build a request, send it and return the response with its content.

        `content` is text, bytes or an iterable of bytes; `data` a form; `files` the parts of a
        multipart form; `json` what is sent as JSON. `auth`, `follow_redirects` and `timeout` take the place of the
        client's; `params` and `headers` are merged with them. `extensions` are for the transport. Raises InvalidURL,
        RequestError.

        ```python
        client.request("PATCH", "/items/1", json={"name": "pencil"}, timeout=2)
        ```
        """
        if cookies is not None:
            warn_of_cookies()
        request = self.build_request(
            method=method,
            url=url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        return self.send(request, auth=auth, follow_redirects=follow_redirects)

    @contextmanager
    def stream(
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
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Generator[Response]:
        """Send a request, for `with`: yield the response before its body, and close it after the block.

        ```python
        with client.stream("GET", "/large") as response:
            for piece in response.iter_bytes():
                ...
        ```
        """
        request = self.build_request(
            method=method,
            url=url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        response = self.send(request, auth=auth, follow_redirects=follow_redirects, stream=True)
        try:
            yield response
        finally:
            response.close()

    def send(
        self,
        request: Request,
        *,
        stream: bool = False,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
    ) -> Response:
        """Send a request as it is: of the client's settings only timeout, auth and redirects apply.

        With `stream=True` the response's body is not read, and the caller closes the response. Raises RequestError;
        RuntimeError once the client is closed.

        ```python
        request = client.build_request("GET", "/items")
        response = client.send(request, follow_redirects=True)
        ```
        """
        return drive(flow.send(self, request, stream, auth, follow_redirects))

    def get(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a GET request; arguments and exceptions are those of `request()`.

        ```python
        response = client.get("/items", params={"page": 2}, headers={"Accept": "application/json"})
        ```
        """
        return self.request(
            "GET",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def options(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send an OPTIONS request; arguments and exceptions are those of `request()`."""
        return self.request(
            "OPTIONS",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def head(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a HEAD request; arguments and exceptions are those of `request()`."""
        return self.request(
            "HEAD",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def post(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a POST request; arguments and exceptions are those of `request()`.

        ```python
        client.post("/items", json={"name": "pen"})
        client.post("/echo", data={"user": "jo"}, files={"photo": ("a.png", b"...", "image/png")})
        ```
        """
        return self.request(
            "POST",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def put(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a PUT request; arguments and exceptions are those of `request()`.

        ```python
        client.put("/items/1", json={"name": "pencil"}, headers={"If-Match": '"7"'})
        ```
        """
        return self.request(
            "PUT",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def patch(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a PATCH request; arguments and exceptions are those of `request()`."""
        return self.request(
            "PATCH",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def delete(
        self,
        url: URL | str,
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a DELETE request; arguments and exceptions are those of `request()`."""
        return self.request(
            "DELETE",
            url,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def query(
        self,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Response:
        """Send a QUERY request: a safe method with content (RFC 10008)."""
        return self.request(
            "QUERY",
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )

    def warm(
        self,
        url: URL | str,
        n: int = 1,
        *,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> int:
        """Open connections to the URL's origin ahead of requests, up to `n`; return how many there are then.

        Those that are in use count too; one that speaks HTTP/2 is enough for any `n`. It never waits for a place and
        takes none from another origin: with `limits` used up, or `max_keepalive_connections` idle, there will be fewer.
        They are opened one after the other. `timeout.connect` bounds each; `timeout` and `extensions` are as for a
        request. Raises ConnectError, ConnectTimeout; what was opened stays open. 0 where a transport opens none.

        ```python
        client.warm("https://api.example.org/", 5)
        ```
        """
        request = self.build_request("GET", url, timeout=timeout, extensions=extensions)
        return drive(lifecycle.warm(self, request, n))

    def drain(self, timeout: float | None = None) -> int:
        """Retire all connections that are open now, without refusing requests.

        Idle ones are closed at once. Those in use serve the responses that they were given for, and are closed then;
        they are waited for, `timeout` seconds at most (None for ever): the responses that the caller holds open, too.
        Return how many are in use still. Requests that begin meanwhile or later connect anew: so they find what the
        name stands for now. To end a service in peace: `drain()`, then `close()`.

        ```python
        client.drain(timeout=20)
        client.close()
        ```
        """
        return drive(lifecycle.drain(self, timeout))

    def close(self) -> None:
        """Close all connections, those of mounts too: idle ones, those in use, those being opened.

        Whoever waits, sends or reads in another thread gets ClientClosed, a ReadError, at once; so does who reads a
        response later that had not arrived. The client cannot be used again. `drain()` lets what runs end before.
        """
        drive(lifecycle.close(self))

    def __enter__(self) -> Self:
        drive(lifecycle.enter(self))
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        drive(lifecycle.leave(self, exc_type, exc_value, traceback))
