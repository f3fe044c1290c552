"""Names: numeric ones are nobody's business, others are looked up where a deadline can abandon them."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest
from net_worlds import World

from httpx_fast._exceptions import ConnectError, ConnectTimeout
from httpx_fast._net import getaddrinfo as resolver


class Resolver:
    """In place of the system's: answers when it is let, and counts."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answers = threading.Event()
        self.begun = threading.Event()
        self.threads: list[threading.Thread] = []

    def getaddrinfo(self, host: Any, port: Any, *arguments: Any, **options: Any) -> list[Any]:
        name = host.decode() if isinstance(host, bytes) else host
        self.asked.append(name)
        self.threads.append(threading.current_thread())
        self.begun.set()
        assert self.answers.wait(30), "nobody let it answer"
        if name.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        kinds = (socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        six = (socket.AF_INET6, *kinds, ("::1", port, 0, 0))
        four = (socket.AF_INET, *kinds, ("127.0.0.1", port))
        return [six, four, six]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch):
    system = Resolver()
    system.answers.set()
    monkeypatch.setattr(socket, "getaddrinfo", system.getaddrinfo)
    yield system
    system.answers.set()
    for thread in system.threads:
        if thread is not threading.current_thread() and thread.daemon and "resolves" in thread.name:
            thread.join(30)


def resolve(backend: World, host: str, budget: float = 30) -> Any:
    return backend.net.resolve(host, 80, backend.connecting(budget))


def test_a_name_becomes_its_addresses_in_the_systems_order(backend: World, names: Resolver):
    async def body() -> None:
        found = await resolve(backend, "server.example")
        # AnyIO leaves flow and scope out.
        short = [(family, address[:2]) for family, address in found]
        assert short == [(socket.AF_INET6, ("::1", 80)), (socket.AF_INET, ("127.0.0.1", 80))]

    backend.run(body)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("127.0.0.1", (socket.AF_INET, ("127.0.0.1", 80))),
        ("::1", (socket.AF_INET6, ("::1", 80, 0, 0))),
        ("2001:db8::a", (socket.AF_INET6, ("2001:db8::a", 80, 0, 0))),
    ],
)
def test_a_numeric_address_asks_nobody(
    backend: World, monkeypatch: pytest.MonkeyPatch, host: str, address: tuple[Any, Any]
):
    def no_threads(*arguments: Any, **options: Any) -> None:
        raise AssertionError("a lookup was started")

    monkeypatch.setattr(resolver, "Lookup", no_threads)

    async def body() -> None:
        assert list(await resolve(backend, host)) == [address]

    backend.run(body)


def test_a_name_that_ends_in_a_digit_is_still_a_name(names: Resolver):
    assert resolver.numeric("server1", 80) is not None or names.asked == ["server1"]
    assert resolver.numeric("server", 80) is None


def test_a_name_that_is_not_known_is_named_with_what_the_resolver_said(backend: World, names: Resolver):
    async def body() -> None:
        pattern = r"^the name 'nobody\.invalid' could not be resolved: Name or service not known$"
        with pytest.raises(ConnectError, match=pattern) as caught:
            await resolve(backend, "nobody.invalid")
        assert isinstance(caught.value.__cause__, socket.gaierror)

    backend.run(body)


def test_whatever_the_real_resolver_says_is_a_connect_error(backend: World):
    async def body() -> None:
        with pytest.raises(ConnectError, match=r"the name 'nobody\.invalid' could not be resolved: .+"):
            await resolve(backend, "nobody.invalid")

    backend.run(body)


@pytest.mark.parametrize("host", ["a" * 64 + ".example", "with\0nul", "two..dots"])
def test_a_name_that_cannot_be_asked_for_is_a_connect_error(backend: World, host: str):
    async def body() -> None:
        with pytest.raises(ConnectError, match=r"could not be resolved: .+"):
            await resolve(backend, host)

    backend.run(body)


def test_a_resolver_that_does_not_answer_is_abandoned(backend: World, names: Resolver):
    names.answers.clear()

    async def body() -> None:
        if backend.by_anyio:
            pytest.skip("AnyIO's own threads are waited for")
        pattern = r"^connect timed out after [\d.]+ s of 0\.02 s: no answer from the resolver about 'slow\.example'$"
        with pytest.raises(ConnectTimeout, match=pattern):
            await resolve(backend, "slow.example", 0.02)
        # The thread does not keep the program from ending.
        assert all(thread.daemon for thread in names.threads)

    backend.run(body)


def test_a_cancelled_lookup_leaves_no_trace(backend: World, names: Resolver):
    if not backend.asynchronous or backend.by_anyio:
        pytest.skip("threads are not cancelled, and AnyIO's own are waited for")
    names.answers.clear()

    async def body() -> None:
        async def ask() -> None:
            await resolve(backend, "slow.example")

        await backend.cancel(ask)
        names.answers.set()

    backend.run(body)
    for thread in names.threads:
        thread.join(30)
    assert not resolver._flying


def test_lookups_of_one_name_at_the_same_time_are_one(names: Resolver):
    names.answers.clear()
    answered: list[int] = []
    lookups = [resolver.lookup("busy.example", 80, lambda: answered.append(1)) for _ in range(10)]
    other = resolver.lookup("other.example", 80, lambda: answered.append(1))
    names.answers.set()
    for thread in [each for each in threading.enumerate() if "resolves" in each.name]:
        thread.join(30)
    assert sorted(names.asked) == ["busy.example", "other.example"]
    assert len(answered) == 11
    assert len({id(each) for each in lookups}) == 1
    assert other is not lookups[0]


def test_a_later_lookup_asks_again(names: Resolver):
    for _ in range(2):
        told = threading.Event()
        resolver.lookup("again.example", 80, told.set)
        assert told.wait(30)
        for thread in names.threads:
            thread.join(30)
    assert names.asked == ["again.example"] * 2


def test_a_listener_whose_loop_has_ended_does_not_silence_the_others(names: Resolver):
    names.answers.clear()
    told = threading.Event()

    def ended() -> None:
        raise RuntimeError("Event loop is closed")

    resolver.lookup("shared.example", 80, ended)
    resolver.lookup("shared.example", 80, told.set)
    names.answers.set()
    assert told.wait(30)


def test_where_no_thread_can_start_the_lookup_is_made_at_once(names: Resolver, monkeypatch: pytest.MonkeyPatch):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't create new thread at interpreter shutdown")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    told: list[int] = []
    resolver.lookup("last.example", 80, lambda: told.append(1))
    assert told == [1]
    assert names.threads == [threading.current_thread()]


def test_a_forked_child_asks_for_itself(names: Resolver):
    names.answers.clear()
    resolver.lookup("before.example", 80, lambda: None)
    assert resolver._flying
    flying = dict(resolver._flying)
    resolver._forget()
    assert not resolver._flying
    resolver._flying.update(flying)


@pytest.mark.skipif(not socket.has_ipv6, reason="zones belong to IPv6")
@pytest.mark.parametrize("sign", ["%", "%25"])
def test_the_zone_of_a_link_local_address_is_read_as_urls_write_it(sign):
    number, name = socket.if_nameindex()[0]
    [(family, address)] = resolver.numeric(f"fe80::1{sign}{name}", 80) or ()
    assert (family, address[1], address[3]) == (socket.AF_INET6, 80, number)
