"""What happens between a client's `send()` and its transports: written once, for both clients.

Authentication goes around redirects, redirects go around single exchanges; hooks, cookies and the log line belong to a
single exchange. A `Side` is all that blocking and asynchronous clients differ in; the blocking one never suspends, so
`_drive` runs these coroutines to their end. Rules:

1. Whatever leaves here as an exception, no response is left open behind it: cancellation too.
2. Every RequestError that leaves here names its request.
3. What a request does not use costs one test.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from datetime import timedelta
from importlib import import_module
from types import CoroutineType
from typing import Any, Protocol

from .._auth import Auth
from .._byte_streams import AsyncByteStream, SyncByteStream
from .._config import granted
from .._deadline import Deadline
from .._encodings import load_codecs
from .._exceptions import RemoteProtocolError, RequestError, TooManyRedirects
from .._kernel.constants import HAS_SET_COOKIE
from .._masking import masked_url
from .._models import Request, Response
from .._trace import answers_of
from .._urlparse import load_idna
from .base import BaseClient, ClientState, logger
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault

INFO = logging.INFO
#: Whether `logger` is enabled for a level, if it has been asked before; only False saves asking it.
logs = answers_of(logger)
_CLOSED, _OPENED = ClientState.CLOSED, ClientState.OPENED


class Side(Protocol):
    """How a client waits. On the blocking side nothing of it suspends."""

    #: What bodies of requests have to be.
    @property
    def body_type(self) -> type: ...

    def timed(self, stream: Any, started: float) -> Any:
        """A body that measures the time until it is closed."""

    def check(self, transport: Any) -> None:
        """TypeError for what is no transport of this side; None stands for the client's own."""
        ...

    def exchange(self, transport: Any, request: Request) -> Response | Awaitable[Response]:
        """Asks the transport; its response, or what to await for that."""
        ...

    def call(self, hook: Callable[..., Any], argument: Any) -> Awaitable[None]:
        """Calls an event hook."""
        ...

    def read(self, response: Response) -> Awaitable[bytes]:
        """Reads the body to its end."""
        ...

    def read_intermediate(self, response: Response) -> Awaitable[None]:
        """Reads the body of a response that others follow, or the beginning of a long one, and closes it."""
        ...

    def close(self, response: Response) -> Awaitable[None]:
        """Closes the response."""
        ...

    def steps(self, auth: Auth, request: Request) -> Any:
        """The flow of `auth`; what `step` and `stop` take."""

    def step(self, steps: Any, response: Response | None) -> Awaitable[Request | None]:
        """What the flow wants sent after `response`, or first; None when it has ended."""
        ...

    def stop(self, steps: Any) -> Awaitable[None]:
        """Ends the flow."""
        ...

    def enter(self, transport: Any) -> Awaitable[object]:
        """Enters the transport's context."""
        ...

    def leave(self, transport: Any, *exc_info: Any) -> Awaitable[object]:
        """Leaves the transport's context."""
        ...

    def shut(self, transport: Any) -> Awaitable[None]:
        """Closes the transport."""
        ...

    def warm(self, transport: Any, request: Request, n: int) -> Awaitable[int]:
        """Has the transport open connections for requests like this one."""
        ...

    def drain(self, transport: Any, timeout: float | None) -> Awaitable[int]:
        """Has the transport use new connections from now on."""
        ...


class _Timed:
    """A body that knows when it was closed, counted from `started`."""

    def __init__(self, stream: Any, started: float) -> None:
        self._stream = stream
        self._started = started
        self.elapsed: timedelta | None = None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._stream, name)

    def _stop(self) -> None:
        self.elapsed = timedelta(seconds=time.perf_counter() - self._started)


class BoundSyncStream(_Timed, SyncByteStream):
    """The body of a response that a transport of the user's gave to `Client`."""

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._stream)

    def close(self) -> None:
        self._stop()
        self._stream.close()


class BoundAsyncStream(_Timed, AsyncByteStream):
    """The body of a response that a transport of the user's gave to `AsyncClient`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)

    async def aclose(self) -> None:
        self._stop()
        await self._stream.aclose()


class _BlockingSide:
    body_type = SyncByteStream
    timed = BoundSyncStream

    def exchange(self, transport: Any, request: Request) -> Response:
        response: Response = transport.handle_request(request)
        return response

    def check(self, transport: Any) -> None:
        if transport is not None and not hasattr(transport, "handle_request"):
            raise TypeError(f"{type(transport).__name__} has no handle_request(); Client takes a BaseTransport")

    async def call(self, hook: Callable[..., Any], argument: Any) -> None:
        waiting = hook(argument)
        if isinstance(waiting, CoroutineType):
            waiting.close()
            raise TypeError(f"event hook {hook!r} is asynchronous; Client calls hooks, AsyncClient awaits them")

    async def read(self, response: Response) -> bytes:
        return response.read()

    async def read_intermediate(self, response: Response) -> None:
        response._read_intermediate()

    async def close(self, response: Response) -> None:
        response.close()

    def steps(self, auth: Auth, request: Request) -> Generator[Request, Response, None]:
        return auth.sync_auth_flow(request)

    async def step(self, steps: Generator[Request, Response, None], response: Response | None) -> Request | None:
        try:
            return next(steps) if response is None else steps.send(response)
        except StopIteration:
            return None

    async def stop(self, steps: Generator[Request, Response, None]) -> None:
        steps.close()

    async def enter(self, transport: Any) -> object:
        return transport.__enter__()

    async def leave(self, transport: Any, *exc_info: Any) -> object:
        return transport.__exit__(*exc_info)

    async def shut(self, transport: Any) -> None:
        transport.close()

    async def warm(self, transport: Any, request: Request, n: int) -> int:
        opened: int = transport.warm(request, n)
        return opened

    async def drain(self, transport: Any, timeout: float | None) -> int:
        left: int = transport.drain(timeout)
        return left


class _AsynchronousSide:
    body_type = AsyncByteStream
    timed = BoundAsyncStream

    def exchange(self, transport: Any, request: Request) -> Awaitable[Response]:
        waiting: Awaitable[Response] = transport.handle_async_request(request)
        return waiting

    def check(self, transport: Any) -> None:
        if transport is not None and not hasattr(transport, "handle_async_request"):
            raise TypeError(
                f"{type(transport).__name__} has no handle_async_request(); AsyncClient takes an AsyncBaseTransport"
            )

    async def call(self, hook: Callable[..., Any], argument: Any) -> None:
        waiting = hook(argument)
        if waiting is not None:
            await waiting

    def read(self, response: Response) -> Awaitable[bytes]:
        return response.aread()

    def read_intermediate(self, response: Response) -> Awaitable[None]:
        return response._aread_intermediate()

    def close(self, response: Response) -> Awaitable[None]:
        return response.aclose()

    def steps(self, auth: Auth, request: Request) -> AsyncGenerator[Request, Response]:
        return auth.async_auth_flow(request)

    async def step(self, steps: AsyncGenerator[Request, Response], response: Response | None) -> Request | None:
        try:
            return await (anext(steps) if response is None else steps.asend(response))
        except StopAsyncIteration:
            return None

    def stop(self, steps: AsyncGenerator[Request, Response]) -> Awaitable[None]:
        return steps.aclose()

    def enter(self, transport: Any) -> Awaitable[object]:
        entering: Awaitable[object] = transport.__aenter__()
        return entering

    def leave(self, transport: Any, *exc_info: Any) -> Awaitable[object]:
        leaving: Awaitable[object] = transport.__aexit__(*exc_info)
        return leaving

    def shut(self, transport: Any) -> Awaitable[None]:
        closing: Awaitable[None] = transport.aclose()
        return closing

    def warm(self, transport: Any, request: Request, n: int) -> Awaitable[int]:
        opening: Awaitable[int] = transport.awarm(request, n)
        return opening

    def drain(self, transport: Any, timeout: float | None) -> Awaitable[int]:
        draining: Awaitable[int] = transport.adrain(timeout)
        return draining


BLOCKING: Side = _BlockingSide()
ASYNCHRONOUS: Side = _AsynchronousSide()


async def enter(client: BaseClient) -> None:
    """Opens the client for a `with` block."""
    client._open()
    side: Side = client._side
    entered: list[Any] = []
    try:
        for transport in client._all_transports():
            await side.enter(transport)
            entered.append(transport)
    except BaseException:
        client._state = _CLOSED
        await _each(entered, side.shut)
        raise


async def leave(client: BaseClient, *exc_info: Any) -> None:
    """Closes the client at the end of its `with` block."""
    _shut(client)
    side: Side = client._side
    await _each(client._all_transports(), lambda transport: side.leave(transport, *exc_info))


async def close(client: BaseClient) -> None:
    """Closes the client."""
    if client._state is not _CLOSED:
        _shut(client)
        side: Side = client._side
        await _each(client._all_transports(), side.shut)


def _shut(client: BaseClient) -> None:
    """Let no further request out, nor those that wait to be sent again."""
    client._state = _CLOSED
    if client._retrier is not None:
        client._retrier.close()


async def warm(client: BaseClient, request: Request, n: int) -> int:
    """Opens connections for requests like this one; how many there are."""
    if n < 0:
        raise ValueError(f"expected a number of connections, 0 or more, as n, got {n}")
    _begin(client)
    if request._dispatch.timeout is None:
        client._set_timeout(request)
    request._dispatch = request._dispatch.sent(client._reference, False, None)
    side: Side = client._side
    try:
        return await side.warm(client._transport_for_url(request.url), request, n)
    except RequestError as error:
        if error._request is None:
            error._request = request
        raise


async def drain(client: BaseClient, timeout: float | None) -> int:
    """Lets all that is idle go, and what is in use with its requests; how much is left after `timeout` seconds."""
    until = None if timeout is None else time.monotonic() + timeout
    side: Side = client._side
    transports = client._all_transports()
    if len(transports) > 1:
        # None keeps old connections because another one is waited for.
        transports = [each for each in transports if await side.drain(each, 0)]
    left = 0
    for transport in transports:
        left += await side.drain(transport, None if until is None else max(until - time.monotonic(), 0))
    return left


def _begin(client: BaseClient) -> None:
    """The client is in use from now on. RuntimeError if it was closed."""
    if client._state is _CLOSED:
        raise RuntimeError("the client has been closed: it sends no more requests")
    client._state = _OPENED


async def _each(transports: list[Any], action: Callable[[Any], Awaitable[object]]) -> None:
    """Does it to all of them, and then raises the first exception that there was."""
    failure: BaseException | None = None
    for transport in transports:
        try:
            await action(transport)
        except BaseException as error:  # noqa: BLE001 - raised below, once all have had their turn
            failure = failure or error
    if failure is not None:
        raise failure


_prepared = False


def _prepare() -> None:
    """Imports what a response with cookies needs, before the first request of the process is sent.

    Once a response is there the interpreter may be shutting down, or no file can be opened any more.
    """
    global _prepared
    # Takes too long to import with this package; the list of public suffixes, if it is there, is read with it.
    import_module(".._models.cookie_jar", __package__)
    import_module(".._models.cookie_rules", __package__).is_public_suffix("example.org")
    load_codecs()  # before the journey of the first request begins
    _prepared = True


def send(
    client: BaseClient,
    request: Request,
    stream: bool,
    auth: Any,
    follow_redirects: bool | UseClientDefault,
) -> Coroutine[Any, Any, Response]:
    """Sends `request` and what follows from it; the last response, read unless `stream`."""
    if client._state is not _OPENED:
        _begin(client)
    if isinstance(follow_redirects, UseClientDefault):
        follow_redirects = client.follow_redirects
    if not _prepared:
        _prepare()
    if follow_redirects:
        load_idna()
    try:
        dispatch = request._dispatch
        timeout = dispatch.timeout
        if timeout is None or timeout.total is not None:
            _grant(client, request, not stream)
        elif stream or not dispatch.whole or dispatch.sender is not client._reference:
            request._dispatch = dispatch.sent(client._reference, not stream, None)
    except AttributeError:
        if isinstance(request, Request):
            raise
        raise TypeError(f"expected a Request, as build_request() makes them, got {type(request).__name__}") from None
    if auth is USE_CLIENT_DEFAULT and client._auth is None and not request.url._userinfo:
        scheme = None
    else:
        scheme = client._build_request_auth(request, auth)
    # No coroutine of its own for what every request goes through.
    if scheme is None:
        return _redirecting(client, request, follow_redirects, [], not stream)
    return _authenticating(client, request, scheme, follow_redirects, not stream)


def _grant(client: BaseClient, request: Request, whole: bool) -> None:
    """Give a request the client's timeouts if it has none, and the whole `send()` its end if it has one."""
    if request._dispatch.timeout is None:
        client._set_timeout(request)
    if client._retrier is None and "retry" in (request._extensions or ()):
        client._retry_by(None)
    total = granted(request, "total")
    request._dispatch = request._dispatch.sent(client._reference, whole, None if total is None else Deadline(total))


async def _authenticating(
    client: BaseClient, request: Request, auth: Auth, follow_redirects: bool, read: bool
) -> Response:
    """Sends what the flow of `auth` wants sent; the response that it ends with."""
    side: Side = client._side
    history: list[Response] = []
    steps = side.steps(auth, request)
    dispatch = request._dispatch
    try:
        following = await side.step(steps, None)
        if following is None:
            raise RuntimeError(f"the flow of {type(auth).__name__} ended before it gave a request to send")
        while True:
            if following._dispatch.timeout is None:
                # The flow may have made it by itself, to fetch a token say; it waits no longer than others either.
                client._set_timeout(following)
            following._dispatch = following._dispatch.following(dispatch)
            response = await _redirecting(client, following, follow_redirects, history, False, auth)
            try:
                following = await side.step(steps, response)
                if following is None:
                    if read:
                        await side.read(response)
                    return response
                await side.read_intermediate(response)
            except BaseException:
                await side.close(response)
                raise
            # A flow that goes on from where redirects led to has them behind it; one that begins again has not.
            history = [*(response.history if following is response._request else history), response]
    finally:
        await side.stop(steps)


async def _redirecting(
    client: BaseClient,
    request: Request,
    follow_redirects: bool,
    history: list[Response],
    read: bool,
    auth: Auth | None = None,
) -> Response:
    """Sends `request` and, if wanted, what its responses redirect to; `history` is what went before.

    With `read` the last response is read. `auth` is asked about each request that follows.
    """
    side: Side = client._side
    hooks = client._event_hooks
    redirects = sum(each.has_redirect_location for each in history) if history else 0
    while True:
        if hooks["request"]:  # a loop over nothing costs more than this
            for hook in hooks["request"]:
                await side.call(hook, request)
        if request._stream is not None:
            _check_body(client, request._stream)
        transport = client._transport_for_url(request.url)
        started = time.perf_counter()
        try:
            response = client._exchange(transport, request)
            if not isinstance(response, Response):
                try:
                    response = await response
                except TypeError:
                    if hasattr(response, "__await__"):
                        raise
                    raise _no_response(transport, response) from None
        except RequestError as error:
            if error._request is None:
                error._request = request
            if error.journey is not None:
                error.journey.describe(request.method, request.url._masked(), None, None)
                error.journey.follow(each.journey for each in history)
            raise
        try:
            response._request = request
            response.default_encoding = client._default_encoding
            if client._json_loads is not None:
                response._json_loads = client._json_loads
            head = response._head
            # A response as the wire gave it, that brings no cookie, while nobody logs: most of them.
            if head is None or response._headers is not None or head.flags & HAS_SET_COOKIE or logs(INFO) is not False:
                _arrived(client, request, response, started)
            if hooks["response"]:
                for hook in hooks["response"]:
                    await side.call(hook, response)
            if history:
                response.history = list(history)
                response.journey.follow(each.journey for each in history)
            redirected = 300 <= response.status_code < 400 and response.has_redirect_location
            if redirected and not follow_redirects:
                response.next_request = _next_request(client, request, response)
                redirected = False
            if not redirected:
                # A body that is there already needs nobody to wait for it.
                if read and ((body := response._body) is None or not response._take(body)):
                    await side.read(response)
                return response
            if redirects >= client.max_redirects:
                raise TooManyRedirects(
                    f"redirected more than max_redirects={client.max_redirects} times", request=request
                )
            following = client._build_redirect_request(request, response)
            if auth is not None:
                auth._redirected(request, following)
            await side.read_intermediate(response)
        except BaseException as error:
            if not isinstance(response, Response):
                raise _no_response(transport, response) from None
            if isinstance(error, RequestError) and error.journey is None:
                error.journey = response.journey
            with suppress(RuntimeError):  # of a body that is not for this client, which is what `error` says
                await side.close(response)
            raise
        following._dispatch = following._dispatch.following(request._dispatch)
        redirects += 1
        history = [*history, response]
        request = following


def _no_response(transport: Any, given: object) -> TypeError:
    kind = type(given)
    return TypeError(
        f"{type(transport).__name__} gave {kind.__module__}.{kind.__qualname__} for a response; expected a "
        f"{Response.__module__}.Response"
    )


def _next_request(client: BaseClient, request: Request, response: Response) -> Request | None:
    """What a user may send to follow `response`. A bad Location is an error for those who follow it only."""
    try:
        return client._build_redirect_request(request, response)
    except RemoteProtocolError:
        return None


def _check_body(client: BaseClient, body: Any) -> None:
    """RuntimeError if the body of a request is of the other world."""
    if not isinstance(body, client._side.body_type):
        raise RuntimeError(
            f"the request's body is {type(body).__name__}, which this client cannot read: Client sends iterables, "
            "AsyncClient asynchronous iterables"
        )


def _arrived(client: BaseClient, request: Request, response: Response, started: float) -> None:
    """Takes in what a response brings beyond itself, before anybody sees it."""
    if response._journey is None:
        _measure(client._side, response, started)
    if response._flags & HAS_SET_COOKIE:
        client.cookies.extract_cookies(response)
    if logger.isEnabledFor(INFO):
        _log(request, response)


def _measure(side: Side, response: Response, started: float) -> None:
    """Has a response that knows nothing of its way tell the time that it took."""
    if "_content" in response.__dict__:
        response.elapsed = timedelta(seconds=time.perf_counter() - started)
        return
    stream = response.stream
    if isinstance(stream, side.body_type):
        response.stream = side.timed(stream, started)
    elif isinstance(stream, (SyncByteStream, AsyncByteStream)):
        raise RuntimeError(
            f"the transport's response has the body {type(stream).__name__}, which this client cannot read: Client "
            "reads iterables, AsyncClient asynchronous iterables"
        )


def _log(request: Request, response: Response) -> None:
    logger.info(
        'HTTP Request: %s %s "%s %d %s"',
        request.method,
        masked_url(str(request.url)),  # the user's name goes too: it is where tokens are put
        response.http_version,
        response.status_code,
        response.reason_phrase,
    )
