"""What `client.sse()` of both clients does besides sending: the request, and the choice of the source of events."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from .._checks import checked_count
from .._models import Request, Response
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._sse import EventSource, request_headers
from .._urls import URL, QueryParamTypes

__all__ = ["event_request", "source_of"]


def event_request(
    client: Any,
    method: str,
    url: URL | str,
    body: tuple[Any, Any, Any, Any],
    params: QueryParamTypes | None,
    headers: HeaderTypes | None,
    cookies: CookieTypes | None,
    timeout: Any,
    extensions: RequestExtensions | None,
) -> Request:
    """Return a request for events; `body` is content, data, files and json, as `build_request()` takes them."""
    content, data, files, json = body
    request: Request = client.build_request(
        method=method,
        url=url,
        content=content,
        data=data,
        files=files,
        json=json,
        params=params,
        headers=request_headers(headers),
        cookies=cookies,
        timeout=timeout,
        extensions=extensions,
    )
    return request


def source_of(
    client: Any,
    asynchronous: bool,
    auth: Any,
    follow_redirects: Any,
    max_event_size: int | None,
    reconnect: Any,
    stall_timeout: float | None,
    pings: Any,
) -> Callable[[Response], EventSource]:
    """Check the settings, and return what makes the source of a response. Raises TypeError, ValueError."""
    checked_count(max_event_size, "max_event_size", 1, "no limit")  # before anything is sent
    if reconnect is False and stall_timeout is None:
        if pings != ("ping",):
            from .event_streams import check_stall

            check_stall(None, pings)
        return partial(EventSource, max_event_size=max_event_size)
    from .event_streams import AsyncIo, BlockingIo, lasting_source  # few streams are requested again

    io = (AsyncIo if asynchronous else BlockingIo)(client, auth, follow_redirects)
    return lasting_source(io, max_event_size, reconnect, stall_timeout, pings)
