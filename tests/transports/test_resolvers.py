"""Caches, overrides and address filters by themselves; tests/end_to_end/test_resolving.py connects by them."""

from __future__ import annotations

import asyncio
import ipaddress

import pytest

from httpx_fast import AddressFilter, CachingResolver, StaticResolver


class Inner:
    """Counts what it is asked."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.asked = []

    def resolve(self, host, port):
        self.asked.append((host, port))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class AsyncInner(Inner):
    async def resolve(self, host, port):
        return super().resolve(host, port)


class Clock:
    now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture(params=[Inner, AsyncInner], ids=["blocking", "async"])
def inner(request):
    return request.param


def ask(resolver, host="a.test", port=80):
    """What a resolver says, however it says it."""
    answer = resolver.resolve(host, port)
    return asyncio.run(answer) if resolver.asynchronous else answer


def test_cache_answers_until_its_time_is_over(inner):
    clock = Clock()
    asked = inner(["192.0.2.1"], ["192.0.2.2"])
    cache = CachingResolver(asked, ttl=30, clock=clock)
    assert cache.known("a.test", 80) is None
    assert list(ask(cache)) == ["192.0.2.1"]
    clock.now += 29.9
    assert list(ask(cache)) == list(cache.known("A.Test", 80)) == ["192.0.2.1"]
    clock.now += 0.1
    assert cache.known("a.test", 80) is None
    assert list(ask(cache)) == ["192.0.2.2"]
    assert asked.asked == [("a.test", 80)] * 2


def test_cache_that_forgets_asks_again(inner):
    cache = CachingResolver(inner(["192.0.2.1"], ["192.0.2.2"]))
    ask(cache)
    cache.forget()
    assert list(ask(cache)) == ["192.0.2.2"]


def test_cache_keeps_hosts_and_ports_apart_and_the_newest(inner):
    asked = inner(["192.0.2.1"], ["192.0.2.2"], ["192.0.2.3"])
    cache = CachingResolver(asked, max_entries=2)
    for host, port in (("a.test", 80), ("a.test", 81), ("b.test", 80)):
        ask(cache, host, port)
    assert cache.known("a.test", 80) is None
    assert list(cache.known("a.test", 81)) == ["192.0.2.2"]
    assert list(cache.known("b.test", 80)) == ["192.0.2.3"]


def test_failure_is_not_kept(inner):
    cache = CachingResolver(inner(OSError("no such name"), ["192.0.2.1"]))
    with pytest.raises(OSError, match="no such name"):
        ask(cache)
    assert list(ask(cache)) == ["192.0.2.1"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ttl": 0}, "expected more than 0 seconds, or None for no limit, as ttl, got 0"),
        ({"max_entries": 0}, "1 or more as max_entries, got 0"),
    ],
)
def test_cache_that_could_keep_nothing_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        CachingResolver(**options)


def test_system_is_asked_where_no_other_resolver_is_given():
    cache = CachingResolver()
    assert not cache.asynchronous
    found = cache.resolve("localhost", 80)
    assert set(found) <= {"127.0.0.1", "::1"}
    assert cache.known("localhost", 80) == found


def test_fixed_addresses_are_known_and_the_rest_is_asked_for(inner):
    asked = inner(["192.0.2.9"])
    fixed = StaticResolver({"A.test": "192.0.2.1", "b.test": ["::1", ("192.0.2.2", 8080)]}, otherwise=asked)
    assert list(fixed.known("a.TEST", 80)) == list(ask(fixed)) == ["192.0.2.1"]
    assert list(ask(fixed, "b.test")) == ["::1", ("192.0.2.2", 8080)]
    assert fixed.known("c.test", 80) is None
    assert asked.asked == []
    assert list(ask(fixed, "c.test")) == ["192.0.2.9"]


@pytest.mark.parametrize("found", ["example.org", ["192.0.2.1", "x"], [("x", 80)], []])
def test_fixed_address_that_is_none_is_refused(found):
    with pytest.raises(ValueError, match=r"expected (IP addresses|an IP address) for 'a\.test', got"):
        StaticResolver({"a.test": found})


def test_wrappers_wrap_each_other(inner):
    asked = inner(["192.0.2.9"])
    both = StaticResolver({"a.test": "192.0.2.1"}, otherwise=CachingResolver(asked))
    assert both.known("b.test", 80) is None
    ask(both, "b.test")
    assert list(both.known("b.test", 80)) == ["192.0.2.9"]


PUBLIC = ["1.1.1.1", "93.184.216.34", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00::1", "64:ff9b::101:101"]
DENIED = {
    "private": [
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "100.64.0.1",
        "fc00::1",
        "fd12::1",
        "fec0::1",
    ],
    "loopback": ["127.0.0.1", "127.255.0.1", "::1"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "reserved": ["192.0.0.1", "192.0.2.1", "198.18.0.1", "203.0.113.5", "240.0.0.1", "255.255.255.255", "2001:db8::1"],
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_internet_is_allowed(address):
    assert AddressFilter()(ipaddress.ip_address(address))


@pytest.mark.parametrize(("kind", "address"), [(kind, each) for kind, listed in DENIED.items() for each in listed])
def test_kinds_are_denied_by_default_and_one_by_one(kind, address):
    address = ipaddress.ip_address(address)
    assert not AddressFilter()(address)
    assert not AddressFilter(deny=[kind])(address)
    others = [other for other in DENIED if other != kind]
    assert AddressFilter(deny=others)(address)
    assert AddressFilter(allow=[kind])(address)


@pytest.mark.parametrize(
    "address", ["::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "2002:a00:1::", "::10.0.0.1", "64:ff9b:1::808:808"]
)
def test_address_that_leads_to_a_denied_one_is_denied(address):
    assert not AddressFilter(deny=["private"])(ipaddress.ip_address(address))


def test_networks_are_listed_beside_kinds_and_allowed_ones_win():
    judge = AddressFilter(deny=["private", "1.1.1.0/24", ipaddress.ip_network("2606::/16")], allow=["10.7.0.0/16"])
    judged = {
        each: judge(ipaddress.ip_address(each)) for each in ("10.7.1.1", "10.8.1.1", "1.1.1.1", "2606::1", "8.8.8.8")
    }
    assert judged == {"10.7.1.1": True, "10.8.1.1": False, "1.1.1.1": False, "2606::1": False, "8.8.8.8": True}


@pytest.mark.parametrize(
    ("listed", "error"), [("private", TypeError), (["public"], ValueError), (["1.1.1.1/8"], ValueError)]
)
def test_what_is_no_network_is_refused(listed, error):
    for name in ("deny", "allow"):
        with pytest.raises(error, match=rf"expected .*{name}, got"):
            AddressFilter(**{name: listed})
