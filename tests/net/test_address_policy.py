"""Resolvers and address filters of users, in every world."""

from __future__ import annotations

import ipaddress
import re
import socket
from typing import Any

import pytest
from net_worlds import World

from httpx_fast._exceptions import AddressDenied, ConnectError, ConnectTimeout
from httpx_fast._net.address_policy import is_async, resolve


class Answers:
    def __init__(self, *answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, int]] = []

    def resolve(self, host: str, port: int) -> Any:
        self.asked.append((host, port))
        return self.answer


class AnswersLater(Answers):
    async def resolve(self, host: str, port: int) -> Any:
        return super().resolve(host, port)


class Knows(Answers):
    def known(self, host: str, port: int) -> Any:
        return ["192.0.2.1"] if host == "known.test" else None


def find(backend: World, host: str, resolver: Any, allows: Any = None) -> list[Any]:
    found: list[Any] = []

    async def body() -> None:
        found.extend(await resolve(backend.net, host, 80, backend.connecting(), resolver, allows))

    backend.run(body)
    return found


def public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return address.is_global


@pytest.mark.parametrize("kind", [Answers, AnswersLater])
def test_addresses_are_those_of_the_resolver_in_its_order(backend: World, kind: type[Answers]) -> None:
    if kind is AnswersLater and not backend.asynchronous:
        pytest.skip("an asynchronous resolver is for asynchronous clients")
    resolver = kind("192.0.2.2", ("192.0.2.1", 8080))
    assert [address[:2] for _, address in find(backend, "a.test", resolver)] == [
        ("192.0.2.2", 80),
        ("192.0.2.1", 8080),
    ]
    assert resolver.asked == [("a.test", 80)]


def test_what_is_known_or_an_address_is_not_asked_for(backend: World) -> None:
    resolver = Knows("192.0.2.9")
    assert [address[0] for _, address in find(backend, "known.test", resolver)] == ["192.0.2.1"]
    assert find(backend, "127.0.0.1", resolver) == [(socket.AF_INET, ("127.0.0.1", 80))]
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((), "the resolver knows no address of 'a.test'"),
        (("b.test",), "the resolver answered 'b.test' about 'a.test'; expected an IP address"),
        ((7,), "the resolver answered 7 about 'a.test'; expected an IP address"),
    ],
)
def test_useless_answer_is_a_connect_error(backend: World, answer: tuple[Any, ...], message: str) -> None:
    with pytest.raises(ConnectError, match=re.escape(message)):
        find(backend, "a.test", Answers(*answer))


def test_exception_of_the_resolver_is_a_connect_error(backend: World) -> None:
    def fail(host: str, port: int) -> Any:
        raise KeyError(host)

    with pytest.raises(ConnectError, match=r"a\.test") as caught:
        find(backend, "a.test", fail)
    assert isinstance(caught.value.__cause__, KeyError)


def test_asynchronous_resolver_ends_at_the_deadline(backend: World) -> None:
    if not backend.asynchronous:
        pytest.skip("an asynchronous resolver is for asynchronous clients")

    async def never(host: str, port: int) -> Any:
        await backend.net.waiter().wait(None)

    async def body() -> None:
        with pytest.raises(ConnectTimeout, match=r"no answer from the resolver about 'a\.test'"):
            await resolve(backend.net, "a.test", 80, backend.connecting(0.02), never)

    backend.run(body)


def test_filter_keeps_what_is_allowed_and_refuses_where_nothing_is_left(backend: World) -> None:
    found = find(backend, "a.test", Answers("10.0.0.1", "1.1.1.1"), public)
    assert [address[0] for _, address in found] == ["1.1.1.1"]
    with pytest.raises(AddressDenied, match=r"does not allow to connect to 'a\.test': 10\.0\.0\.1, 127\.0\.0\.1"):
        find(backend, "a.test", Answers("10.0.0.1", "::ffff:127.0.0.1"), public)


def test_resolver_that_passes_questions_on_says_whether_it_is_asynchronous() -> None:
    class Passes(Answers):
        asynchronous = True

    assert [is_async(each) for each in (Answers(), AnswersLater(), Passes())] == [False, True, True]
