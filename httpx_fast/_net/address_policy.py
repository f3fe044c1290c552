"""Resolve a name by a user's resolver, and drop the addresses that a user's filter refuses.

The filter is applied to the very addresses that are connected to, so a name that answers differently the next time
gains nothing. Addresses written out in a URL are filtered, too.

A resolver is a function of host and port, or an object whose `resolve` is one. It may block (then it runs in a thread
that is abandoned at the deadline, as the system's does) or be `async` (then it is awaited here, under the deadline). An
object that has `known` is asked there first, without waiting.
"""

from __future__ import annotations

import inspect
import ipaddress
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias, cast

from .._deadline import NEVER, PhaseTimer
from .._exceptions import AddressDenied, ConnectError, RequestError
from .base import Address, Backend
from .errors import resolve_failed
from .getaddrinfo import lookup, numeric

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
#: What a resolver answers: IP addresses as text; with a port, where it is another than was asked for.
Found: TypeAlias = Iterable[str | tuple[str, int]]


async def resolve(
    backend: Backend,
    host: str,
    port: int,
    timer: PhaseTimer,
    resolver: Any = None,
    allows: Callable[[IPAddress], bool] | None = None,
) -> Sequence[Address]:
    """Return the addresses to connect to, in order. Raises ConnectError, AddressDenied, ConnectTimeout."""
    addresses: Sequence[Address] | None
    if resolver is None:
        addresses = await backend.resolve(host, port, timer)
    else:
        addresses = numeric(host, port)
        if addresses is None:
            addresses = _addresses(host, port, await _ask(backend, host, port, timer, resolver))
    return addresses if allows is None else _allowed(host, addresses, allows)


def is_async(resolver: Any) -> bool:
    """Return whether a resolver is to be awaited; one that only passes questions on says so by its `asynchronous`."""
    told = getattr(resolver, "asynchronous", None)
    if told is not None:
        return bool(told)
    return inspect.iscoroutinefunction(resolver) or inspect.iscoroutinefunction(_question(resolver))


def _question(resolver: Any) -> Callable[[str, int], Any]:
    """Return the function to call, hashable and equal for the same resolver."""
    asked: Callable[[str, int], Any] = getattr(resolver, "resolve", None) or resolver.__call__
    return asked


async def _ask(backend: Backend, host: str, port: int, timer: PhaseTimer, resolver: Any) -> Any:
    """Return the answer of a user's resolver. Its exceptions become ConnectError, unless they are RequestErrors."""
    try:
        known = getattr(resolver, "known", None)
        found = None if known is None else known(host, port)
        if found is not None:
            return found
        if is_async(resolver):
            return await _within(backend, _question(resolver)(host, port), timer, host)
    except RequestError:
        raise
    except Exception as error:
        raise resolve_failed(host, error) from error
    waiter = backend.waiter()
    asked = lookup(host, port, backend.from_any_thread(waiter.set), _question(resolver))
    # Cancelled here, the lookup ends by itself and sets a waiter that is no longer used.
    if not await waiter.wait(timer.until):
        raise _too_late(backend, timer, host)
    return asked.answer()


async def _within(backend: Backend, answer: Awaitable[Any], timer: PhaseTimer, host: str) -> Any:
    """Await an answer until the deadline. On the blocking backend it cannot suspend and needs no bound."""
    if timer.at == NEVER or backend.name == "blocking":
        return await answer
    import anyio

    with anyio.move_on_after(timer.left(backend.clock())):
        return await answer
    raise _too_late(backend, timer, host)


def _too_late(backend: Backend, timer: PhaseTimer, host: str) -> Exception:
    return timer.expired(backend.clock(), f"no answer from the resolver about {host!r}")


def _addresses(host: str, port: int, found: Any) -> list[Address]:
    """Convert the answer of a user's resolver to addresses."""
    addresses: list[Address] = []
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise ConnectError(f"the resolver answered {found!r} about {host!r}; expected a list of IP addresses")
    for each in cast("Iterable[object]", found):
        text, at_port = cast("tuple[object, int]", each) if isinstance(each, tuple) else (each, port)
        known = numeric(text, at_port) if isinstance(text, str) else None
        if known is None:
            raise ConnectError(f"the resolver answered {each!r} about {host!r}; expected an IP address")
        addresses += known
    if not addresses:
        raise ConnectError(f"the resolver knows no address of {host!r}")
    return addresses


def _allowed(host: str, addresses: Sequence[Address], allows: Callable[[IPAddress], bool]) -> Sequence[Address]:
    allowed = [address for address in addresses if allows(_ip_address(address))]
    if addresses and not allowed:
        denied = ", ".join(str(_ip_address(address)) for address in addresses)
        raise AddressDenied(f"the address filter does not allow to connect to {host!r}: {denied}")
    return allowed


def _ip_address(address: Address) -> IPAddress:
    """Return the IP address that is really connected to: of a mapped address (RFC 4291 s.2.5.5.2) its IPv4 address."""
    found = ipaddress.ip_address(address[1][0])
    return getattr(found, "ipv4_mapped", None) or found
