"""What `Client` sends beyond single requests: event streams, WebSockets, many requests, downloads."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Container, Generator, Iterable
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from .._auth import AuthTypes
from .._config import (
    DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
    DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
    DEFAULT_MAX_EVENT_SIZE_BYTES,
    DEFAULT_MAX_MESSAGE_SIZE_BYTES,
    DEFAULT_QUEUE_SIZE,
    TimeoutTypes,
)
from .._content import RequestContent
from .._models.cookies import CookieTypes
from .._models.headers import HeaderTypes
from .._models.request import RequestExtensions
from .._multipart import RequestData, RequestFiles
from .._urls import URL, QueryParamTypes
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault

if TYPE_CHECKING:
    from pathlib import Path

    from .._models.saving import Progress
    from .._sse import EventSource
    from ..websockets._client import WebSocketSession
    from ..websockets._reconnecting import WebSocketSessions
    from .many import MapItem, Outcomes
    from .reconnect import Reconnect

__all__ = ["Extras"]


class Extras:
    """Methods of `Client` that stand on its `stream()`, `send()` and `build_request()`."""

    @contextmanager
    def sse(
        self,
        url: URL | str,
        *,
        method: str = "GET",
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
        max_event_size: int | None = DEFAULT_MAX_EVENT_SIZE_BYTES,
        reconnect: bool | Reconnect = False,
        stall_timeout: float | None = None,
        pings: Collection[str] = ("ping",),
    ) -> Generator[EventSource]:
        """Request a stream of server-sent events, for `with`: yield the source to iterate over.

        An event may have at most `max_event_size` bytes; None for no limit. Iterating raises SSEError for a larger
        one, and for a response that is no event stream. `timeout.total` is for the whole stream of events.

        With `reconnect` (True, or a `Reconnect`) the stream is requested again when its connection ends, and goes on
        after the last event that was returned. `stall_timeout` is the seconds within which an event has to come, else
        EventTimeout is raised, or the stream is requested again; comments, and events named in `pings`, are none.

        ```python
        with client.sse("/events") as events:
            for event in events:
                print(event.event, event.data)
        ```
        """
        from .event_requests import event_request, source_of

        client: Any = self
        body = (content, data, files, json)
        request = event_request(client, method, url, body, params, headers, cookies, timeout, extensions)
        lasting = (max_event_size, reconnect, stall_timeout, pings)
        make = source_of(client, False, auth, follow_redirects, *lasting)
        source = make(client.send(request, auth=auth, follow_redirects=follow_redirects, stream=True))
        try:
            yield source
        finally:
            source.response.close()

    @contextmanager
    def websocket(
        self,
        url: URL | str,
        *,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Generator[WebSocketSession]:
        """Open a WebSocket, for `with`: yield the session, and close it after the block.

        A message may have at most `max_message_size_bytes`, fragments together; a larger one closes the session with
        code 1009. At most `queue_size` messages are kept that nobody has received. A ping is sent each
        `keepalive_ping_interval_seconds` (None for never), and has to be answered within
        `keepalive_ping_timeout_seconds`. The other arguments are for the handshake, `timeout.total` too. Raises
        WebSocketUpgradeError.

        ```python
        with client.websocket("wss://chat.example.org/") as session:
            session.send_text("hello")
            answer = session.receive_text(timeout=5)
        ```
        """
        from ..websockets._client import WebSocketClient

        client: Any = self
        opener: WebSocketClient[WebSocketSession] = WebSocketClient(
            client,
            max_message_size_bytes=max_message_size_bytes,
            queue_size=queue_size,
            keepalive_ping_interval_seconds=keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds=keepalive_ping_timeout_seconds,
        )
        sent: Any = {"params": params, "headers": headers, "cookies": cookies, "auth": auth, "timeout": timeout}
        with opener.connect(
            str(url),
            subprotocols=subprotocols,
            follow_redirects=follow_redirects,
            extensions=extensions,
            **sent,
        ) as session:
            yield session

    def websocket_sessions(
        self,
        url: URL | str,
        *,
        reconnect: Literal[True] | Reconnect = True,
        max_message_size_bytes: int = DEFAULT_MAX_MESSAGE_SIZE_BYTES,
        queue_size: int = DEFAULT_QUEUE_SIZE,
        keepalive_ping_interval_seconds: float | None = DEFAULT_KEEPALIVE_PING_INTERVAL_SECONDS,
        keepalive_ping_timeout_seconds: float | None = DEFAULT_KEEPALIVE_PING_TIMEOUT_SECONDS,
        subprotocols: list[str] | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> WebSocketSessions[WebSocketSession]:
        """Open a WebSocket again whenever it ends, for `with`: yield sessions, one after the other.

        `reconnect` is True or a `Reconnect`: what leads to another session, how often, how long to wait. The other
        arguments are those of `websocket()`, for each handshake. `for message in session` just ends when another
        session follows; where another call raises, `continue` opens it.

        ```python
        with client.websocket_sessions("wss://chat.example.org/") as sessions:
            for session in sessions:
                print(session.receive_text())
                break
        ```
        """
        from ..websockets._reconnecting import WebSocketSessions

        client: Any = self
        connect = partial(
            client.websocket,
            url,
            max_message_size_bytes=max_message_size_bytes,
            queue_size=queue_size,
            keepalive_ping_interval_seconds=keepalive_ping_interval_seconds,
            keepalive_ping_timeout_seconds=keepalive_ping_timeout_seconds,
            subprotocols=subprotocols,
            params=params,
            headers=headers,
            cookies=cookies,
            auth=auth,
            follow_redirects=follow_redirects,
            timeout=timeout,
            extensions=extensions,
        )
        return WebSocketSessions(client, connect, url, reconnect)

    def map(
        self,
        requests: Iterable[MapItem],
        *,
        concurrency: int = 100,
        ordered: bool = True,
        key: Callable[[Any], Any] | None = None,
        done: Container[Any] | None = None,
        progress: bool | Callable[[int, int | None], object] | None = None,
    ) -> Outcomes:
        """Send many requests, at most `concurrency` at once, and yield an `Outcome` for each.

        An item is a URL, a `Request`, a tuple of method and URL, or a mapping of the arguments of `request()`. Items
        are taken as they are needed. An item that cannot be sent, and a request that fails, has its `error`; nothing is
        raised but what the iterable itself raises. Outcomes come in the order of the items, or with `ordered=False` as
        they are there.

        To resume, `key(item)` names an item, and items whose name is in `done` are left out. `progress` is True for a
        bar of rich or tqdm, if one is installed, or a function of the number done and of all (None if not known).

        ```python
        urls = [f"https://www.example.org/{number}" for number in range(3)]
        for outcome in client.map(urls, concurrency=2):
            print(outcome.item, outcome.unwrap().status_code if outcome else outcome.error)
        ```
        """
        from .many import Outcomes, window_of

        workers, window = window_of(requests, concurrency, ordered, key, done, progress, False)
        return Outcomes(self, requests, workers, window)

    def download(
        self,
        url: URL | str,
        path: str | os.PathLike[str],
        *,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
        resume: bool = False,
        progress: Progress | None = None,
        checksum: str | None = None,
    ) -> Path:
        """GET a URL and write the content to a file, which gets its name when it is whole; return its path.

        With `resume`, what came before an error is kept in `FILE.part`, and the next call asks for the rest of it if it
        is still the same version. `progress` is called with the bytes that are there, and with all that are expected or
        None. `checksum` is "sha256:" (or another algorithm of hashlib) and a hexadecimal digest. Raises HTTPStatusError
        for an error of the server, DownloadError for content that is not what was asked for.

        ```python
        client.download("/data.zip", "data.zip", resume=True)
        ```
        """
        from .downloading import download  # few programs write files

        arguments = {
            "params": params,
            "auth": auth,
            "follow_redirects": follow_redirects,
            "timeout": timeout,
            "extensions": extensions,
        }
        return download(self, url, path, headers, resume, progress, checksum, arguments)
