"""Resolvers of host names and filters of addresses, for the arguments `resolver` and `address_filter`.

A resolver is anything that is called with host and port and gives IP addresses as text: a function, or an object with a
method `resolve`, blocking or async. Blocking ones run in a thread that is abandoned at the deadline. The classes here
wrap others, so they can be nested: `CachingResolver(StaticResolver({"example.org": "127.0.0.1"}))`.

An address filter is called with each address between resolving and connecting, and with addresses in URLs.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from ._checks import checked_count, checked_interval
from ._config import check_resolver
from ._deadline import NEVER
from ._net.address_policy import Found, IPAddress, is_async
from ._net.getaddrinfo import ask_system

__all__ = ["AddressFilter", "CachingResolver", "Resolver", "StaticResolver"]


class Resolver(Protocol):
    """Declare the interface of an object that resolves host names."""

    def resolve(self, host: str, port: int) -> Found | Awaitable[Found]:
        """Return IP addresses as text, in the order to try them; pairs with a port if it differs from `port`."""
        ...


ResolverTypes: TypeAlias = Resolver | Callable[[str, int], Found | Awaitable[Found]]
_Answer: TypeAlias = Sequence[str | tuple[str, int]]


def _system(host: str, port: int) -> list[str]:
    """Return the addresses of `socket.getaddrinfo`; an IPv6 address with its zone."""
    return [address[0] if len(address) == 2 else _with_zone(address) for _, address in ask_system(host, port)]


def _with_zone(address: tuple[str, int, int, int]) -> str:
    text, zone = address[0], address[3]
    return f"{text}%{zone}" if zone and "%" not in text else text


class _Wrapper:
    """Wrap another resolver, by default the system's."""

    def __init__(self, resolver: ResolverTypes | None) -> None:
        inner: Any = _system if resolver is None else check_resolver(resolver)
        self._inner = inner
        self._question: Callable[[str, int], Any] = getattr(inner, "resolve", inner)
        self._known = getattr(inner, "known", None)

    @property
    def asynchronous(self) -> bool:
        """Return whether `resolve` returns an awaitable, as that of the wrapped resolver does."""
        return is_async(self._inner)

    def known(self, host: str, port: int) -> _Answer | None:
        """Return the answer that needs no call of the wrapped resolver."""
        return None if self._known is None else self._known(host, port)

    def resolve(self, host: str, port: int) -> Any:
        """Return IP addresses as text, in the order to try them; an awaitable if the wrapped resolver is async."""
        known = self.known(host, port)
        if self.asynchronous:
            return self._await(host, port, known)
        return self._keep(host, port, self._question(host, port)) if known is None else known

    async def _await(self, host: str, port: int, known: _Answer | None) -> _Answer:
        return self._keep(host, port, await self._question(host, port)) if known is None else known

    def _keep(self, host: str, port: int, found: Found) -> _Answer:
        return tuple(found)


class StaticResolver(_Wrapper):
    """Resolve some hosts to fixed addresses, like /etc/hosts; `otherwise` resolves the rest.

    `addresses` names hosts as URLs spell them, in lower case and ASCII. Each has an IP address as text, or several in
    the order to try them; a pair of address and port goes to another port.

    ```python
    resolver = httpx.StaticResolver({"db.example.org": "192.0.2.7"})
    httpx.HTTPTransport(resolver=resolver).close()
    ```
    """

    def __init__(
        self, addresses: Mapping[str, str | Sequence[str | tuple[str, int]]], otherwise: ResolverTypes | None = None
    ) -> None:
        super().__init__(otherwise)
        if not isinstance(addresses, Mapping):
            raise TypeError(f"expected a mapping of hosts to addresses, got {addresses!r}")
        self._fixed = {host.lower(): _checked(host, found) for host, found in addresses.items()}

    def known(self, host: str, port: int) -> _Answer | None:
        fixed = self._fixed.get(host.lower())
        return super().known(host, port) if fixed is None else fixed


def _checked(host: str, found: str | Sequence[str | tuple[str, int]]) -> _Answer:
    answer = (found,) if isinstance(found, str) else tuple(found)
    for each in answer:
        try:
            ipaddress.ip_address(each[0] if isinstance(each, tuple) else each)
        except ValueError:
            raise ValueError(f"expected IP addresses for {host!r}, got {each!r}") from None
    if not answer:
        raise ValueError(f"expected an IP address for {host!r}, got none")
    return answer


class CachingResolver(_Wrapper):
    """Keep the answers of another resolver for `ttl` seconds, for at most `max_entries` hosts. Safe to share.


    The system does not report how long its answers are valid, so `ttl` limits the time until a moved service is found;
    None sets no limit.
    Failures are not kept.
    """

    def __init__(
        self,
        resolver: ResolverTypes | None = None,
        *,
        ttl: float | None = 60.0,
        max_entries: int = 1024,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(resolver)
        seconds = checked_interval(ttl, "ttl", "no limit")
        self._ttl = NEVER if seconds is None else seconds
        self._max_entries: int = checked_count(max_entries, "max_entries", 1)
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, int], tuple[float, _Answer]] = {}  # oldest first

    def known(self, host: str, port: int) -> _Answer | None:
        with self._lock:
            kept = self._kept.get((host.lower(), port))
        if kept is not None and self._clock() < kept[0]:
            return kept[1]
        return super().known(host, port)

    def forget(self) -> None:
        """Discard all answers, for example after the network changed."""
        with self._lock:
            self._kept.clear()

    def _keep(self, host: str, port: int, found: Found) -> _Answer:
        answer = tuple(found)
        until = self._clock() + self._ttl
        key = (host.lower(), port)
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = until, answer
            if len(self._kept) > self._max_entries:
                del self._kept[next(iter(self._kept))]
        return answer


#: Networks that are not the public Internet, by kind: the IANA special-purpose address registries, multicast, and
#: unallocated networks. Some rows of 192.0.0.0/24 and 2001::/23 are globally reachable; no web server is there.
KINDS: dict[str, tuple[str, ...]] = {
    # A provider and its customers share 100.64/10 (RFC 6598); 64:ff9b:1::/48 leads into a local network (RFC 8215).
    "private": (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10", "64:ff9b:1::/48",
    ),
    "loopback": ("127.0.0.0/8", "::1/128"),
    # Clouds serve their metadata here, credentials included.
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    # Linux connects 0.0.0.0 to the machine itself.
    "unspecified": ("0.0.0.0/8", "::/128"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": (
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
        "240.0.0.0/4", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
        # Outside of 2000::/3 nothing else is allocated (IANA IPv6 address space); mesh networks use these addresses.
        "100::/8", "200::/7", "400::/6", "800::/5", "1000::/4", "4000::/2", "8000::/2", "c000::/3", "e000::/4",
        "f000::/5", "f800::/6", "fe00::/9",
    ),
}  # fmt: skip

#: IPv6 networks whose addresses contain the IPv4 address that they lead to: its first bit, from the left.
_EMBEDDING = tuple(
    (ipaddress.IPv6Network(network), start)
    for network, start in (
        ("::/96", 96),  # IPv4-compatible (RFC 4291 s.2.5.5.1)
        ("::ffff:0:0/96", 96),  # IPv4-mapped (s.2.5.5.2)
        ("::ffff:0:0:0/96", 96),  # IPv4-translated (RFC 2765 s.2.1)
        ("64:ff9b::/96", 96),  # NAT64 (RFC 6052 s.2.1)
        ("64:ff9b:1::/48", 96),  # NAT64 of a local network (RFC 8215), with a prefix of 96 bits
        ("2002::/16", 16),  # 6to4 (RFC 3056 s.2)
        ("2001::/32", 32),  # the server of Teredo (RFC 4380 s.4)
    )
)
_TEREDO = ipaddress.IPv6Network("2001::/32")
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_NO_EMBEDDING = (ipaddress.IPv6Address("::"), ipaddress.IPv6Address("::1"))
_LOW_32 = 0xFFFFFFFF

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


class AddressFilter:
    """Decide which addresses may be connected to: all except those in `deny`, and always those in `allow`.

    Both list networks ("10.0.0.0/8") and kinds: "private", "loopback", "link-local", "unspecified", "multicast",
    "reserved". By default all kinds are denied, so that only the public Internet is allowed. A service that fetches
    URLs of strangers needs that; each redirect passes the filter as well.

    An IPv6 address that leads to an IPv4 address is checked as both: IPv4-mapped, IPv4-compatible and IPv4-translated
    ones, those of NAT64, 6to4, Teredo and ISATAP. If one of them is denied, and not in `allow`, so is the address.

    It checks the addresses that this client connects to. With a proxy that is the proxy's, which must be allowed; the
    proxy decides where it connects to. Only `socks5` proxies receive addresses that have passed the filter.

    ```python
    httpx.HTTPTransport(address_filter=httpx.AddressFilter(allow=["10.1.0.0/16"])).close()
    ```
    """

    def __init__(
        self,
        deny: Iterable[str | _Network] = tuple(KINDS),
        allow: Iterable[str | _Network] = (),
    ) -> None:
        self._deny = _networks(deny, "deny")
        self._allow = _networks(allow, "allow")

    def __call__(self, address: IPAddress) -> bool:
        """Return whether `address` may be connected to."""
        return _within(address, self._allow) or not any(
            _within(each, self._deny) and not _within(each, self._allow) for each in (address, *_embedded(address))
        )


def _within(address: IPAddress, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)


def _networks(listed: Iterable[str | _Network], name: str) -> tuple[_Network, ...]:
    if isinstance(listed, (str, bytes)) or not isinstance(listed, Iterable):
        raise TypeError(f"expected a list of networks and kinds as {name}, got {listed!r}")
    found: list[_Network] = []
    for each in listed:
        for text in KINDS.get(each, (each,)) if isinstance(each, str) else (each,):
            try:
                if not isinstance(text, (str, ipaddress.IPv4Network, ipaddress.IPv6Network)):
                    raise ValueError("it is neither text nor a network")
                network = ipaddress.ip_network(text)
            except ValueError as error:
                kinds = ", ".join(KINDS)
                raise ValueError(f"expected a network or one of {kinds} in {name}, got {each!r}: {error}") from None
            found.append(network)
            # A connection to a mapped address is one to the IPv4 address, and is checked as that.
            mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
            if mapped is not None and network.prefixlen >= 96:
                found.append(ipaddress.IPv4Network((mapped, network.prefixlen - 96)))
    return tuple(found)


def _embedded(address: IPAddress) -> list[ipaddress.IPv4Address]:
    """Return the IPv4 addresses that an IPv6 address may lead to."""
    if isinstance(address, ipaddress.IPv4Address) or address in _NO_EMBEDDING:
        return []
    number = int(address)
    found = [number >> 96 - start & _LOW_32 for network, start in _EMBEDDING if address in network]
    if address in _TEREDO:
        found.append(~number & _LOW_32)  # the client, whose bits are inverted
    if number >> 32 & 0xFCFFFFFF == 0x5EFE:
        found.append(number & _LOW_32)  # ISATAP (RFC 5214 s.6.1), behind any prefix
    if address in _LOCAL_NAT64:
        # The operator may use a longer prefix within it; bits 64 to 71 are skipped (RFC 6052 s.2.2). A part of an
        # address behind 96 bits reads as one of 0.0.0.0/8, to which no translator leads.
        low = number & 0xFFFFFFFFFFFFFFFF
        joined = number >> 64 << 56 | low & 0xFFFFFFFFFFFFFF
        found += [read for start in (48, 56, 64) if (read := joined >> 88 - start & _LOW_32) & 0xFF000000]
    return [ipaddress.IPv4Address(each) for each in found]
