"""The asynchronous client: signatures and words. What they do is in `base.py` and `flow.py`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
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
from .._models import Request, Response
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._multipart import RequestData, RequestFiles
from .._transports.base import AsyncBaseTransport
from .._trust import CertTypes
from .._urls import URL, QueryParamTypes
from . import flow, lifecycle
from .async_extras import AsyncExtras
from .base import BaseClient, EventHook, warn_of_cookies
from .client_io import ASYNCHRONOUS
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault

if TYPE_CHECKING:
    import ssl

    from .._retry.settings import Retry
    from .middleware import AsyncMiddleware


class AsyncClient(BaseClient, AsyncExtras):
    """An HTTP client for asyncio and trio, with a connection pool. Tasks may share it.

    It opens nothing when it is made; `aclose()` or leaving `async with` closes all connections. Parameters are those
    of `Client`; hooks may be `async` functions.

    ```python
    async with httpx.AsyncClient(base_url="https://api.example.org") as client:
        items = (await client.get("/items")).raise_for_status().json()
    ```
    """

    _io = ASYNCHRONOUS

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
        http1: bool = True,
        http2: bool = False,
        proxy: ProxyTypes | None = None,
        mounts: Mapping[str, AsyncBaseTransport | None] | None = None,
        timeout: TimeoutTypes = DEFAULT_TIMEOUT_CONFIG,
        follow_redirects: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        max_redirects: int = DEFAULT_MAX_REDIRECTS,
        event_hooks: Mapping[str, list[EventHook]] | None = None,
        base_url: URL | str = "",
        transport: AsyncBaseTransport | None = None,
        trust_env: bool = True,
        default_encoding: str | Callable[[bytes], str | None] = "utf-8",
        http2_ping_after: float | None = DEFAULT_HTTP2_PING_AFTER_SECONDS,
        retry: Retry | None = None,
        json_dumps: Callable[[Any], bytes | str] | None = None,
        json_loads: Callable[[bytes], Any] | None = None,
        middlewares: Sequence[AsyncMiddleware] = (),
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

    async def request(
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

        `content` is text, bytes or an asynchronous iterable of bytes; `data` a form; `files` the parts of a
        multipart form; `json` what is sent as JSON. `auth`, `follow_redirects` and `timeout` take the place of the
        client's; `params` and `headers` are merged with them. `extensions` are for the transport. Raises InvalidURL,
        RequestError.
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
        return await self.send(request, auth=auth, follow_redirects=follow_redirects)

    @asynccontextmanager
    async def stream(
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
    ) -> AsyncGenerator[Response]:
        """Send a request, for `async with`: yield the response before its body, and close it after the block.

        ```python
        async with client.stream("GET", "/large") as response:
            async for piece in response.aiter_bytes():
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
        response = await self.send(request, auth=auth, follow_redirects=follow_redirects, stream=True)
        try:
            yield response
        finally:
            await response.aclose()

    async def send(
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
        """
        return await flow.send(self, request, stream, auth, follow_redirects)

    async def get(
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
        response = await client.get("/items", params={"page": 2})
        ```
        """
        return await self.request(
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

    async def options(
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
        return await self.request(
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

    async def head(
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
        return await self.request(
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

    async def post(
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
        response = await client.post("/items", json={"name": "pen"})
        ```
        """
        return await self.request(
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

    async def put(
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
        """Send a PUT request; arguments and exceptions are those of `request()`."""
        return await self.request(
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

    async def patch(
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
        return await self.request(
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

    async def delete(
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
        return await self.request(
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

    async def query(
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
        return await self.request(
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

    async def warm(
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
        They are opened at once. `timeout.connect` bounds each; `timeout` and `extensions` are as for a
        request. Raises ConnectError, ConnectTimeout; what was opened stays open. 0 where a transport opens none.
        """
        request = self.build_request("GET", url, timeout=timeout, extensions=extensions)
        return await lifecycle.warm(self, request, n)

    async def drain(self, timeout: float | None = None) -> int:
        """Retire all connections that are open now, without refusing requests.

        Idle ones are closed at once. Those in use serve the responses that they were given for, and are closed then;
        they are waited for, `timeout` seconds at most (None for ever): the responses that the caller holds open, too.
        Return how many are in use still. Requests that begin meanwhile or later connect anew: so they find what the
        name stands for now. To end a service in peace: `drain()`, then `aclose()`.

        Connections of other event loops are let go of as well, and neither waited for nor counted.
        """
        return await lifecycle.drain(self, timeout)

    async def aclose(self) -> None:
        """Close all connections, those of mounts too: idle ones, those in use, those being opened.

        Whoever waits, sends or reads in another task gets ClientClosed, a ReadError, at once; so does who reads a
        response later that had not arrived. Connections of other event loops are closed by those, in their next turn.
        The client cannot be used again. `drain()` lets what runs end before.
        """
        await lifecycle.close(self)

    async def __aenter__(self) -> Self:
        await lifecycle.enter(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        await lifecycle.leave(self, exc_type, exc_value, traceback)
