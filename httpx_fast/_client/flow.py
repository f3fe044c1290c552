"""What happens between a client's `send()` and its transports: written once, for both clients.

Authentication goes around redirects, redirects go around single exchanges; hooks, cookies and the log line belong to a
single exchange. `ClientIO` is all that blocking and asynchronous clients differ in; the blocking one never suspends, so
`_drive` runs these coroutines to their end. Rules:

1. Whatever leaves here as an exception, no response is left open behind it: cancellation too.
2. Every RequestError that leaves here names its request.
3. What a request does not use costs one test.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from importlib import import_module
from time import perf_counter
from typing import Any

from .._auth import Auth
from .._byte_streams import AsyncByteStream, SyncByteStream
from .._config import granted
from .._deadline import Deadline
from .._decoders import load_decoders
from .._encodings import load_codecs
from .._exceptions import RemoteProtocolError, RequestError, TooManyRedirects
from .._kernel import select
from .._kernel.constants import HAS_SET_COOKIE
from .._masking import masked_url
from .._models import Request, Response
from .._trace import answers_of
from .._urlparse import load_idna
from .base import BaseClient, ClientState, logger
from .client_io import ClientIO
from .defaults import USE_CLIENT_DEFAULT, UseClientDefault
from .lifecycle import begin

INFO = logging.INFO
#: Whether `logger` is enabled for a level, if it has been asked before; only False saves asking it.
logs = answers_of(logger)
_CLOSED, _OPENED = ClientState.CLOSED, ClientState.OPENED


#: What functions import that may be called with a response.
_LATE = ("datetime", "ipaddress", "urllib.parse")
_prepared = False


def _prepare() -> None:
    """Import what a response with cookies needs, before the first request of the process is sent.

    Once a response is there the interpreter may be shutting down, or no file can be opened any more.
    """
    global _prepared
    # Takes too long to import with this package; the list of public suffixes, if it is there, is read with it.
    import_module(".._models.cookie_jar", __package__)
    import_module(".._models.cookie_rules", __package__).is_public_suffix("example.org")
    load_decoders()
    load_codecs()  # before the journey of the first request begins
    for name in _LATE:
        import_module(name)
    import_module(".._status_codes", __package__)
    _ = select.parse_json  # a kernel that is imported when it is asked for
    _prepared = True


def send(
    client: BaseClient,
    request: Request,
    stream: bool,
    auth: Any,
    follow_redirects: bool | UseClientDefault,
) -> Coroutine[Any, Any, Response]:
    """Send `request` and its authentication and redirect requests; return the last response, read unless `stream`."""
    if client._state is not _OPENED:
        begin(client)
    if follow_redirects is USE_CLIENT_DEFAULT or isinstance(follow_redirects, UseClientDefault):
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
        return _redirecting(client, request, follow_redirects, (), not stream, None)
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
    """Send the requests that the flow of `auth` yields; return its last response."""
    io: ClientIO = client._io
    history: list[Response] = []
    steps = io.steps(auth, request)
    dispatch = request._dispatch
    try:
        following = await io.step(steps, None)
        if following is None:
            raise RuntimeError(f"the flow of {type(auth).__name__} ended before it gave a request to send")
        while True:
            if following._dispatch.timeout is None:
                # The flow may have made it by itself, to fetch a token say; it waits no longer than others either.
                client._set_timeout(following)
            following._dispatch = following._dispatch.following(dispatch)
            response = await _redirecting(client, following, follow_redirects, history, False, auth)
            try:
                following = await io.step(steps, response)
                if following is None:
                    if read:
                        await io.read(response)
                    return response
                await io.read_intermediate(response)
            except BaseException:
                await io.close(response)
                raise
            # A flow that goes on from where redirects led to has them behind it; one that begins again has not.
            history = [*(response.history if following is response._request else history), response]
    finally:
        await io.stop(steps)


async def _redirecting(
    client: BaseClient, request: Request, follow: bool, history: Sequence[Response], read: bool, auth: Auth | None
) -> Response:
    """Send `request`, and follow redirects if `follow`; read the last response if `read`. `history` came before."""
    hooks = client._event_hooks
    while True:
        if hooks["request"]:
            await _call_each(client._io, hooks["request"], request)
        if request._stream is not None:
            _check_body(client, request._stream)
        transport = client._transport_for_url(request.url)
        started = perf_counter()
        response: Any = request  # which no transport gives: it stands for nothing yet
        try:
            response = client._exchange(transport, request)
            if not isinstance(response, Response):
                response = await response
        except (RequestError, TypeError) as error:
            _explain(error, transport, request, response, history)
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
                await _call_each(client._io, hooks["response"], response)
                _ = response.headers  # a hook may have replaced `read()`: only with these it is looked for
            if history:
                response.history = list(history)
                response.journey.follow(each.journey for each in history)
            if (
                response.status_code < 300
                or not response.has_redirect_location
                or (following := _following(client, request, response, history if follow else None, auth)) is None
            ):
                # A body that is there already needs nobody to wait for it.
                if read and ((body := response._body) is None or not response._take(body)):
                    await client._io.read(response)
                return response  # type: ignore[no-any-return]
            await client._io.read_intermediate(response)
        except BaseException as error:
            await _abandon(client._io, transport, response, error)
            raise
        history = [*history, response]
        request = following


async def _call_each(io: ClientIO, hooks: list[Any], argument: Any) -> None:
    """Call event hooks in order."""
    for hook in hooks:
        await io.call(hook, argument)


def _explain(
    error: RequestError | TypeError, transport: Any, request: Request, response: Any, history: Sequence[Response]
) -> None:
    """Name the request in an error, and what came before it in the error's journey.

    Raise TypeError if `response`, which the transport gave, is none.
    """
    if not isinstance(error, RequestError):
        if response is not request and not hasattr(response, "__await__"):
            raise _no_response(transport, response) from None
        return
    if error._request is None:
        error._request = request
    if error.journey is not None:
        error.journey.describe(request.method, request.url._masked(), None, None)
        error.journey.follow(each.journey for each in history)


def _following(
    client: BaseClient, request: Request, response: Response, history: Sequence[Response] | None, auth: Auth | None
) -> Request | None:
    """Return the request that follows a redirect; None if `history`, the responses before, is None.

    Then the response offers it to the user. `auth` is asked about the request. Raises TooManyRedirects.
    """
    if history is None:
        response.next_request = _next_request(client, request, response)
        return None
    if sum(each.has_redirect_location for each in history) >= client.max_redirects:
        raise TooManyRedirects(f"redirected more than max_redirects={client.max_redirects} times", request=request)
    following = client._build_redirect_request(request, response)
    if auth is not None:
        auth._redirected(request, following)
    following._dispatch = following._dispatch.following(request._dispatch)
    return following


async def _abandon(io: ClientIO, transport: Any, response: Any, error: BaseException) -> None:
    """Close a response that is not handed on because of `error`. Raises TypeError for what is no response."""
    if not isinstance(response, Response):
        raise _no_response(transport, response) from None
    if isinstance(error, RequestError) and error.journey is None:
        error.journey = response.journey
    with suppress(RuntimeError):  # of a body that is not for this client, which is what `error` says
        await io.close(response)


def _no_response(transport: Any, given: object) -> TypeError:
    kind = type(given)
    return TypeError(
        f"{type(transport).__name__} gave {kind.__module__}.{kind.__qualname__} for a response; expected a "
        f"{Response.__module__}.Response"
    )


def _next_request(client: BaseClient, request: Request, response: Response) -> Request | None:
    """Return the request that would follow `response`; None if there is none or its Location is bad."""
    try:
        return client._build_redirect_request(request, response)
    except RemoteProtocolError:
        return None


def _check_body(client: BaseClient, body: Any) -> None:
    """Raise RuntimeError if a sync client gets an async body, or an async client a sync one."""
    if not isinstance(body, client._io.body_type):
        raise RuntimeError(
            f"the request's body is {type(body).__name__}, which this client cannot read: Client sends iterables, "
            "AsyncClient asynchronous iterables"
        )


def _arrived(client: BaseClient, request: Request, response: Response, started: float) -> None:
    """Store the cookies of a response and set its request, before the caller sees it."""
    if response._journey is None:
        _measure(client._io, response, started)
    if response._flags & HAS_SET_COOKIE:
        client.cookies.extract_cookies(response)
    if logger.isEnabledFor(INFO):
        _log(request, response)


def _measure(io: ClientIO, response: Response, started: float) -> None:
    """Set the elapsed time of a response without a journey."""
    if "_content" in response.__dict__:
        from datetime import timedelta

        response.elapsed = timedelta(seconds=perf_counter() - started)
        return
    stream = response.stream
    if isinstance(stream, io.body_type):
        response.stream = io.timed(stream, started)
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
