"""What the blocking and the asynchronous transport share: settings, and what a request needs before it is sent.

A `Request` becomes a head, a route and timeouts here; per-request settings (timeouts, server name, target) are read
here, once. The layers below know no model, those above no connection.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from logging import DEBUG
from typing import TYPE_CHECKING, Any

from .._argument_names import names_explained
from .._checks import checked_count
from .._config import (
    DEFAULT_HTTP2_PING_AFTER_SECONDS,
    DEFAULT_LIMITS,
    Limits,
    ProxyTypes,
    TCPKeepAlive,
    as_timeouts,
    check_dialing,
    check_socket_options,
    check_source,
    expect_from,
    expect_seconds,
    granted,
    ping_after,
    request_timeouts,
)
from .._conn.options import DialOptions, ProxyHop
from .._copying import Copied
from .._deadline import Deadline, RequestTimeouts
from .._exceptions import ClientClosed
from .._journey import Journey
from .._models import Request
from .._origin import Route
from .._pool.callers import caller, warn_of_leak
from .._trace import any_logger_answered, tracer
from .._trust import CertTypes, check_ssl_settings, shared_ssl_context
from .base import TELL_JOURNEY
from .expecting import expecting
from .heads import complete, forwarded, framing_of
from .outgoing import Outgoing

if TYPE_CHECKING:
    import ssl

    from .._head import FieldLine
    from .._net.address_policy import IPAddress
    from .._net.base import Backend, SocketOption
    from .._pool.pool import Pool, Reply
    from .._resolvers import ResolverTypes


#: Before the names of dial options, among the attributes of a transport that is copied.
_OPTION = "option "


def _context_of(tls: Callable[[], ssl.SSLContext] | None) -> Any:
    """Return what was given as `verify` to a function that gives the TLS context."""
    return tls.args[0] if isinstance(tls, partial) else None


class TransportCore(Copied):
    """Hold the settings of a transport, and prepare its requests for the pool."""

    #: What the copy of a transport makes anew.
    _NOT_COPIED = frozenset({"_closed", "_last", "_made", "_make_pool", "_pools", "_pools_lock"})
    _ARGUMENTS = {f"{_OPTION}allows": "address_filter", f"{_OPTION}resolver": "resolver", f"{_OPTION}proxy": "proxy"}

    #: The pool in httpcore's shape, for tools that read it; ours is `pool`. Set by `default.py`, which knows both.
    _pool: Any
    #: What sends the requests in place of the own pool once `_pool` was set (core/given.py).
    _given_pool: Any = None

    @names_explained
    def __init__(
        self,
        verify: ssl.SSLContext | str | bool = True,
        cert: CertTypes | None = None,
        trust_env: bool = True,
        http1: bool = True,
        http2: bool = False,
        limits: Limits = DEFAULT_LIMITS,
        proxy: ProxyTypes | None = None,
        uds: str | None = None,
        local_address: str | None = None,
        retries: int = 0,
        socket_options: Iterable[SocketOption] | None = None,
        replay: bool | None = None,
        resolver: ResolverTypes | None = None,
        address_filter: Callable[[IPAddress], bool] | None = None,
        keepalive: TCPKeepAlive | bool = True,
        http2_ping_after: float | None = DEFAULT_HTTP2_PING_AFTER_SECONDS,
        expect_continue: bool | int = False,
    ) -> None:
        if not (http1 or http2):
            raise ValueError("http1=False and http2=False leave no protocol to speak")
        hop = self._go_through(proxy, verify, trust_env)
        if not isinstance(limits, Limits):
            raise TypeError(f"expected Limits as limits, got {limits!r}")
        checked_count(retries, "retries", what="a number of tries")
        uds, local_address = check_source(uds, local_address)
        check_dialing(resolver, address_filter, keepalive, replay)
        self._limits = limits
        self._max_size = limits.max_response_size
        self._expect_from = expect_from(expect_continue)
        #: Requests are sent as they are, and answers read whole, unless a request says otherwise.
        self._plain: bool = self._forward is None and self._max_size is None and self._expect_from is None
        self._options = DialOptions(
            tls=self._tls(verify, cert, trust_env),
            uds=uds,
            local_address=local_address,
            socket_options=check_socket_options(socket_options),
            retries=retries,
            http1=http1,
            http2=http2,
            ping_after=ping_after(http2_ping_after),
            max_head_size=limits.max_head_size,
            proxy=hop,
            resolver=resolver,
            allows=address_filter,
            keepalive=None if not keepalive else TCPKeepAlive() if keepalive is True else keepalive,
        )
        self._replay = replay
        self._made_at = caller(2)
        self._open()

    def _go_through(
        self, proxy: ProxyTypes | None, verify: ssl.SSLContext | str | bool, trust_env: bool
    ) -> ProxyHop | None:
        """Return how the proxy is reached, None without one; keep what requests that it forwards need."""
        self._forward: Route | None = None
        self._proxy_fields: tuple[FieldLine, ...] = ()
        if proxy is None:
            return None
        from .proxying import forward_route, hop_of

        hop = hop_of(proxy, verify, trust_env)
        self._forward = forward_route(hop)
        self._proxy_fields = hop.fields
        return hop

    def _tls(
        self, verify: ssl.SSLContext | str | bool, cert: CertTypes | None, trust_env: bool
    ) -> Callable[[], ssl.SSLContext]:
        """Return a function that gives the TLS context for these settings, which is called on https connections."""
        check_ssl_settings(verify, cert, trust_env)
        tls = partial(shared_ssl_context, verify, cert, trust_env)
        if isinstance(verify, str) or cert is not None:
            tls()  # what is wrong in files that were named shows now, not on the first request
        return tls

    def _configuration(self) -> dict[str, Any]:
        state = {name: value for name, value in self.__dict__.items() if name not in self._NOT_COPIED}
        options: DialOptions = state.pop("_options")
        settings = {name: getattr(options, name) for name in options.SETTINGS}
        return state | {f"{_OPTION}{name}": value for name, value in settings.items()}

    def _configure(self, state: dict[str, Any]) -> None:
        settings = {name: state.pop(name) for name in list(state) if name.startswith(_OPTION)}
        self.__dict__.update(state)
        self._options = DialOptions(**{name.removeprefix(_OPTION): value for name, value in settings.items()})
        self._open()

    def __getstate__(self) -> dict[str, Any]:
        from .._pickling import refuse_context

        options, name = self._options, type(self).__name__
        refuse_context(name, "verify", _context_of(options.tls))
        if options.proxy is not None:
            refuse_context(name, "ssl_context of its proxy", _context_of(options.proxy.tls))
        return super().__getstate__()

    def _deep(self, name: str, value: Any, memo: dict[int, Any]) -> Any:
        return value if name.startswith(_OPTION) else super()._deep(name, value, memo)

    def _open(self) -> None:
        """Make what the transport needs to send requests."""
        raise NotImplementedError

    def _pools_left(self) -> list[Pool]:
        """Return the pools that may have connections."""
        raise NotImplementedError

    def _pieces(self, stream: Any, deadline: Deadline | None, clock: Callable[[], float]) -> Outgoing:
        """Return the body that `stream` gives. Raises RuntimeError if this transport cannot read it."""
        raise NotImplementedError

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        # At the interpreter's end the system closes what is open, and half of what this needs is gone: on free-threaded
        # CPython even the names of this module.
        if is_finalizing() or not hasattr(self, "_made_at"):
            return
        left = sum(pool.close_from_finalizer() for pool in self._pools_left())
        if left:
            warn_of_leak(
                f"a client (or transport) was collected without being closed, while {left} of its connections were "
                f"open; it was made at {self._made_at}",
                self._made_at,
                self,
            )

    def _make_pool(self, backend: Backend) -> Pool:
        from .._pool.pool import Pool  # with all that connecting needs

        limits = self._limits
        pool = Pool(
            backend,
            self._options,
            limits.max_connections,
            limits.max_keepalive_connections,
            limits.keepalive_expiry,
            limits.max_per_host,
            limits.max_age,
        )
        if limits.rate is not None:
            from .pacing import Pacer  # few clients have a rate

            pool.pacer = Pacer(pool, limits.rate, limits.burst)
        return pool

    def _prepare(self, request: Request, pool: Pool) -> Coroutine[Any, Any, Reply]:
        """Return the coroutine that exchanges a request for a reply.

        Everything that can be refused is, before a connection is leased. The coroutine is to be begun at once.
        """
        dispatch, timeout = request._dispatch, request._dispatch.timeout
        head, destination = dispatch.head, dispatch.destination
        # Nearly all requests of a client: made from a template, and nobody has touched them. What follows does the
        # same in twice as many steps.
        if (
            self._plain
            and head is not None
            and (route := destination.route) is not None
            and request._extensions is None
            and request._headers is None
            and request._lines is head.fields
            and request.method is dispatch.method
            and request.url is destination.url
            and request._stream is None
            and timeout is not None
            and timeout.total is None
            and timeout.min_rate is None
            and dispatch.deadline is None
            and pool.pacer is None
            and any_logger_answered(DEBUG) is False
        ):
            clock = pool.clock
            content = request._content
            framing = 0 if head.announced is None and not content else framing_of(head, content)
            seconds = (timeout.connect, timeout.read, timeout.write, timeout.pool, timeout.first_byte, None, None, None)
            timeouts = as_timeouts(RequestTimeouts, seconds)
            journey = Journey(clock(), clock, head)
            return pool.request(head, route, content, framing, timeouts, journey, dispatch.whole, self._replay)
        return self._prepare_any(request, pool)

    def _prepare_any(self, request: Request, pool: Pool) -> Coroutine[Any, Any, Reply]:
        """Do the same for any request."""
        dispatch = request._dispatch
        destination = dispatch.destination
        head, route = request._unchanged_head(), destination.route
        if head is None or route is None:
            head, destination, route = complete(request, head)
        if self._forward is not None and head.scheme == b"http":
            head, route = forwarded(head, destination, self._forward, self._proxy_fields)
        clock = pool.clock
        journey = Journey(clock(), clock, head)
        extensions, replay = request._extensions, self._replay
        if extensions is not None:
            replay = extensions.get("replay", replay)
            if TELL_JOURNEY in extensions:
                extensions[TELL_JOURNEY](journey)
        if extensions is not None or any_logger_answered(DEBUG) is not False:
            watcher = tracer(extensions, request)
            if watcher is not None:
                journey.trace = watcher
        exchange = pool.request
        data = request._content if request._stream is None else request._body
        framing = 0 if data == b"" and head.announced is None else framing_of(head, data)
        timeouts = request_timeouts(request, clock)
        # A body that may be too large, or too slow, is not collected, but read piece by piece.
        whole = dispatch.whole and self._max_size is None and timeouts.min_rate is None
        if framing and (self._expect_from is not None or extensions is not None):
            least = self._expect_from
            if extensions is not None and "expect_continue" in extensions:
                least = expect_from(extensions["expect_continue"])
            if least is not None and not 0 <= framing < least:
                exchange = partial(expecting, exchange, expect_seconds(request))
        if pool.pacer is not None:
            exchange = partial(pool.pacer.exchange, exchange)
        if data is not None:
            return exchange(head, route, data, framing, timeouts, journey, whole, replay)
        pieces = self._pieces(request.stream, timeouts.deadline, clock)
        sending = exchange(head, route, pieces, framing, timeouts, journey, whole, replay)
        return _ended_with(pieces, sending)

    def _route_and_timeout(self, request: Request) -> tuple[Route, float | None]:
        """Return the route of the connections that serve this request, and the seconds to make one."""
        head, _, route = complete(request, request._unchanged_head())
        if self._forward is not None and head.scheme == b"http":
            route = self._forward
        return route, granted(request, "connect")


async def _ended_with(pieces: Outgoing, sending: Coroutine[Any, Any, Reply]) -> Reply:
    """Exchange a request whose body is streamed, and end the body when nothing more of it is sent."""
    try:
        reply = await sending
    except BaseException:
        await pieces.aclose()
        raise
    lease = reply[4]
    if lease is None or not lease.sending:
        await pieces.aclose()
    else:
        lease.unsent = pieces
    return reply


def check_sender(request: Request) -> None:
    """Raise ClientClosed for a request of a client that was closed: its transport may serve another client by now.

    It has passed its client's own check if it is of a redirect, or of a retry, or was overtaken by `close()`.
    """
    sender = request._dispatch.sender
    client = None if sender is None else sender()
    if client is not None and client.is_closed:
        raise ClientClosed(
            f"the client was closed, by close() or aclose(), before a request to {request.url._masked()} was sent"
        )
