"""Requests by a browser's `fetch`, where Python runs in WebAssembly (Pyodide) and has no sockets.

    from httpx_fast.integrations.fetch import FetchTransport

    async with httpx_fast.AsyncClient(transport=FetchTransport()) as client:
        response = await client.get("https://www.example.org/")

JavaScript decides what a request may be: it keeps connections, decodes content, follows redirects, stores cookies, and
drops fields that pages may not set. So there is no pool, no `http2=`, no proxy and no `verify=` here, and a journey has
no phases. Responses are streamed; request bodies are sent whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from importlib import import_module
from typing import Any, Literal

from .._byte_streams import AsyncByteStream
from .._exceptions import ConnectError, ReadError, ReadTimeout
from .._models import Request, Response
from .._transports import AsyncBaseTransport

__all__ = ["FetchTransport"]

#: What fetch sets by itself, or refuses.
_ITS_OWN = {"host", "connection", "content-length", "transfer-encoding", "accept-encoding"}
#: What describes the body before fetch decoded it.
_DECODED = {"content-encoding", "content-length", "transfer-encoding"}


class FetchTransport(AsyncBaseTransport):
    """Send requests of an `AsyncClient` by JavaScript's `fetch`.

    `redirect` and `credentials` are those of fetch: browsers show a redirect that they do not follow to nobody, so
    "follow" is the default ("manual" works in Node). `credentials` says to whom cookies are sent: "same-origin",
    "include" or "omit". Raises ImportError outside of Pyodide.
    """

    def __init__(
        self,
        redirect: Literal["follow", "error", "manual"] = "follow",
        credentials: Literal["same-origin", "include", "omit"] = "same-origin",
    ) -> None:
        try:
            self._js: Any = import_module("js")
            self._ffi: Any = import_module("pyodide.ffi")
        except ImportError as error:
            raise ImportError("FetchTransport works in Pyodide only: there is no JavaScript here") from error
        self._redirect = redirect
        self._credentials = credentials

    async def handle_async_request(self, request: Request) -> Response:
        """Send a request. Raises ConnectError where fetch fails: it does not say why."""
        control = self._js.AbortController.new()
        timeouts = request.extensions.get("timeout", {})
        given = [timeouts.get(name) for name in ("connect", "read")]
        budget = None if None in given else sum(given)
        found = await self._within(
            budget, control, self._js.fetch(str(request.url), await self._init(request, control))
        )
        fields = [(str(pair[0]), str(pair[1])) for pair in found.headers.entries()]
        if any(name.lower() == "content-encoding" for name, _ in fields):
            fields = [(name, value) for name, value in fields if name.lower() not in _DECODED]
        body = _FetchedBody(self, found, control, timeouts.get("read"))
        extensions = {"reason_phrase": str(found.statusText).encode("latin-1", "replace"), "url": str(found.url)}
        return Response(found.status, headers=fields, stream=body, extensions=extensions)

    async def _init(self, request: Request, control: Any) -> Any:
        """Return the options of a call of fetch."""
        content = await request.aread()
        fields = [[name, value] for name, value in request.headers.multi_items() if name.lower() not in _ITS_OWN]
        options: dict[str, Any] = {
            "method": request.method,
            "headers": fields,
            "redirect": self._redirect,
            "credentials": self._credentials,
            "signal": control.signal,
        }
        if content:
            options["body"] = content
        return self._ffi.to_js(options, dict_converter=self._js.Object.fromEntries)

    async def _within(self, budget: float | None, control: Any, promise: Awaitable[Any]) -> Any:
        """Return what a promise gives. Raises ReadTimeout after `budget` seconds, and ConnectError if it fails."""
        try:
            async with asyncio.timeout(budget):
                return await promise
        except TimeoutError:
            control.abort()
            raise ReadTimeout(f"fetch gave no answer within {budget:g} s") from None
        except self._ffi.JsException as error:
            raise ConnectError(f"fetch failed: {error}") from error
        except asyncio.CancelledError:
            control.abort()
            raise


class _FetchedBody(AsyncByteStream):
    """The content of a response, decoded by fetch, as it comes."""

    def __init__(self, transport: FetchTransport, found: Any, control: Any, patience: float | None) -> None:
        self._transport = transport
        self._reader = found.body.getReader() if found.body else None
        self._control = control
        self._patience = patience

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._reader is not None:
            try:
                step = await self._transport._within(self._patience, self._control, self._reader.read())
            except ConnectError as error:
                raise ReadError(str(error)) from error
            if step.done:
                self._reader = None
                return
            yield step.value.to_bytes()

    async def aclose(self) -> None:
        """Give up what has not been read."""
        if self._reader is not None:
            self._reader = None
            self._control.abort()
