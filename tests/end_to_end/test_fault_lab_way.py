"""What goes wrong on the way to a server: names, addresses and proxies; in every world, named with its place."""

from __future__ import annotations

import sys
import threading
from typing import Any, NamedTuple

import pytest

import httpx_fast
from httpx_fast.testing import (
    Close,
    FakeClock,
    FaultLab,
    Held,
    Mute,
    Read,
    Receive,
    Repeat,
    Reset,
    ScriptedResolver,
    Send,
    Socks4,
    Socks5,
    Tell,
    Tls,
    established,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

ONE = httpx_fast.Limits(max_connections=1)  # a place that leaked would be missed by the next request
WHILE = 900  # seconds that a fake clock lets pass
SOON = 0.05  # seconds; when a peer that says nothing is given up
NAME = "origin.test"
GOOD = Repeat(Read(), Send(response(b"good")))


def client_with(backend: Any, **options: Any) -> Any:
    transports = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
    return backend.client(transport=transports(limits=ONE, **options), timeout=30)


async def fails(client: Any, url: str, error: type[Exception], seen: str, phase: str, **options: Any) -> None:
    with pytest.raises(error, match=seen) as caught:
        await client.get(url, **options)
    assert caught.value.journey.phase == phase
    assert caught.value.request.url == url
    assert client.pool.stats().open == 0


# Names and addresses.


@pytest.mark.parametrize(
    ("answer", "seen"), [(OSError("SERVFAIL"), rf"{NAME}.*SERVFAIL"), ([], NAME)], ids=["failure", "no address"]
)
def test_a_name_without_addresses_is_a_connect_error(backend, fault_lab, answer, seen):
    fault_lab.serve(GOOD)

    async def body():
        with ScriptedResolver(answer, "127.0.0.1") as resolver:
            async with client_with(backend, resolver=resolver) as client:
                url = f"http://{NAME}:{fault_lab.port}/"
                await fails(client, url, httpx_fast.ConnectError, seen, "dns")
                assert (await client.get(url)).text == "good"
            assert resolver.asked == [(NAME, fault_lab.port)] * 2

    backend.run(body)


def test_a_name_that_is_resolved_late_is_a_connect_timeout(backend, fault_lab):
    fault_lab.serve(GOOD)

    async def body():
        with ScriptedResolver(Held("127.0.0.1"), "127.0.0.1") as resolver:
            async with client_with(backend, resolver=resolver) as client:
                url = f"http://{NAME}:{fault_lab.port}/"
                granted = httpx_fast.Timeout(30, connect=SOON)
                seen = rf"^connect timed out after \S+ s of {SOON} s"
                await fails(client, url, httpx_fast.ConnectTimeout, seen, "dns", timeout=granted)
                resolver.release()  # one question is asked for all who want the same name meanwhile
                assert (await client.get(url)).text == "good"

    backend.run(body)


def test_a_name_may_be_resolved_when_the_resolver_is_released(backend, fault_lab):
    fault_lab.serve(GOOD)
    asked = threading.Event()

    class Telling(ScriptedResolver):
        def resolve(self, host: str, port: int) -> Any:
            asked.set()
            return super().resolve(host, port)

    async def body():
        with Telling(Held("127.0.0.1")) as resolver:
            async with client_with(backend, resolver=resolver) as client:

                async def release() -> None:
                    await backend.hear(asked)
                    assert client.pool.stats().connecting == 1
                    resolver.release()

                async def get() -> None:
                    assert (await client.get(f"http://{NAME}:{fault_lab.port}/")).text == "good"

                await backend.together(get, release)

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_an_address_that_does_not_answer_is_passed_by(backend, fault_lab):
    fault_lab.serve(GOOD)

    async def body():
        hole = httpx_fast.URL(fault_lab.black_hole()).port
        assert hole is not None
        with ScriptedResolver([("127.0.0.1", hole), ("127.0.0.1", fault_lab.port)]) as resolver:
            async with client_with(backend, resolver=resolver) as client:
                assert (await client.get(f"http://{NAME}/")).text == "good"

    backend.run(body)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_addresses_that_all_do_not_answer_are_a_connect_timeout(backend, fault_lab):
    fault_lab.serve(GOOD)

    async def body():
        hole = httpx_fast.URL(fault_lab.black_hole()).port
        assert hole is not None
        with ScriptedResolver([("127.0.0.1", hole)] * 2, [("127.0.0.1", fault_lab.port)]) as resolver:
            async with client_with(backend, resolver=resolver) as client:
                granted = httpx_fast.Timeout(30, connect=SOON)
                seen = rf"^connect timed out after \S+ s of {SOON} s.*127\.0\.0\.1"
                await fails(client, f"http://{NAME}/", httpx_fast.ConnectTimeout, seen, "tcp", timeout=granted)
                assert (await client.get(f"http://{NAME}/")).text == "good"

    backend.run(body)


# Proxies.


class Fault(NamedTuple):
    """What the proxy does, and what the client makes of it."""

    steps: list[Any]
    error: type[httpx_fast.TransportError]
    seen: str
    patient: bool = True


OF_HTTP = {
    "403": Fault([Read(), Send(response(b"no", status=403))], httpx_fast.ProxyError, "403 Forbidden"),
    "407": Fault(
        [Read(), Send(response(b"", ("Proxy-Authenticate", "Basic"), status=407))],
        httpx_fast.ProxyError,
        "407 .*wants credentials and none are set.*Basic",
    ),
    "502": Fault([Read(), Send(response(b"", status=502))], httpx_fast.ProxyError, "502 Bad Gateway"),
    "mute": Fault([Read(), Mute()], httpx_fast.ConnectTimeout, rf"connect timed out after \S+ s of {WHILE} s", False),
    "mute within its answer": Fault(
        [Read(), Send(established()[:20]), Mute()],
        httpx_fast.ConnectTimeout,
        rf"connect timed out after \S+ s of {WHILE} s",
        False,
    ),
    "closed": Fault([Read(), Close()], httpx_fast.ConnectError, "broke off"),
    "reset": Fault([Read(), Reset()], httpx_fast.ConnectError, "broke off.*ECONNRESET"),
    "reset within its answer": Fault(
        [Read(), Send(established()[:20]), Reset()], httpx_fast.ConnectError, "broke off.*ECONNRESET"
    ),
    "garbage": Fault(
        [Read(), Send(b"220 mail ESMTP\r\n\r\n"), Mute()], httpx_fast.ProxyError, "expected a status line.*220 mail"
    ),
    "more than its answer": Fault(
        [Read(), Send(established() + b"HTTP/1.1 200 OK\r\n"), Mute()], httpx_fast.ProxyError, "more than its answer"
    ),
}
OF_SOCKS5 = {
    **{
        f"reply {reply}": Fault([Socks5(reply), Mute()], httpx_fast.ProxyError, rf"{text} \(reply {reply}\)")
        for reply, text in {
            1: "general failure",
            2: "not allowed by its rules",
            3: "network unreachable",
            4: "host unreachable",
            5: "connection refused",
            6: "TTL expired",
            7: "does not know the command",
            8: "does not know this kind of address",
            9: "unknown reason",
        }.items()
    },
    "a login is wanted": Fault([Socks5(way=2), Mute()], httpx_fast.ProxyError, "way of login that was not offered"),
    "no way in": Fault([Socks5(way=255), Mute()], httpx_fast.ProxyError, "wants a login, and none is set"),
    "reset within its answer": Fault([Socks5(cut=3), Reset()], httpx_fast.ConnectError, "broke off"),
    "closed within its answer": Fault([Socks5(cut=8), Close()], httpx_fast.ConnectError, "broke off"),
    "mute within its answer": Fault([Socks5(cut=1), Mute()], httpx_fast.ConnectTimeout, f"of {WHILE} s", False),
    "garbage": Fault([Receive(), Send(b"HTTP/1.1 400\r\n"), Mute()], httpx_fast.ProxyError, "no SOCKS5.*HTTP"),
}
OF_SOCKS4 = {
    **{
        f"reply {reply}": Fault([Socks4(reply), Mute()], httpx_fast.ProxyError, rf"{text} \(reply {reply}\)")
        for reply, text in {
            91: "rejected or failed",
            92: "cannot ask for the user's identity",
            93: "does not match",
            94: "unknown reason",
        }.items()
    },
    "reset within its answer": Fault([Socks4(cut=1), Reset()], httpx_fast.ConnectError, "broke off"),
    "mute within its answer": Fault([Socks4(cut=4), Mute()], httpx_fast.ConnectTimeout, f"of {WHILE} s", False),
    "garbage": Fault([Receive(), Send(b"HTTP/1.1 400\r\n"), Mute()], httpx_fast.ProxyError, "no SOCKS4.*HTTP"),
}
FAULTS = {
    **{("http", name): fault for name, fault in OF_HTTP.items()},
    **{("https", name): fault._replace(steps=[Tls(), *fault.steps]) for name, fault in OF_HTTP.items()},
    **{("socks5h", name): fault for name, fault in OF_SOCKS5.items()},
    **{("socks4a", name): fault for name, fault in OF_SOCKS4.items()},
}
#: What a proxy does that is well; the lab speaks no TLS within TLS, so an https proxy is asked to forward.
GOOD_WAY = {
    "http": [Read(), Send(established()), Tls(), GOOD],
    "https": [Tls(), GOOD],
    "socks5h": [Socks5(), Tls(), GOOD],
    "socks4a": [Socks4(), Tls(), GOOD],
}
GOOD_URL = {scheme: "http://localhost/" if scheme == "https" else "https://localhost/" for scheme in GOOD_WAY}


def through(backend: Any, lab: FaultLab, scheme: str) -> Any:
    """A client of all that is behind the lab, which is its proxy and trusted as such and as any origin."""
    proxy = httpx_fast.Proxy(f"{scheme}://127.0.0.1:{lab.port}", ssl_context=lab.client_context())
    return client_with(backend, proxy=proxy, verify=lab.client_context())


@pytest.mark.parametrize(("scheme", "name"), FAULTS)
def test_a_fault_of_a_proxy_is_named_and_the_pool_is_whole(backend, fault_lab, scheme, name):
    fault = FAULTS[scheme, name]
    *steps, last = fault.steps
    said = threading.Event()
    fault_lab.serve([*steps, Tell(said), last], GOOD_WAY[scheme])

    async def body():
        async with through(backend, fault_lab, scheme) as client:
            granted = httpx_fast.Timeout(30, connect=30 if fault.patient else WHILE)
            named = rf"the proxy {scheme}://127\.0\.0\.1:{fault_lab.port}\b"
            seen = rf"(?s)(?=.*{fault.seen})(?=.*{named})(?=.*localhost:443)"

            async def fail():
                await fails(client, "https://localhost/", fault.error, seen, "proxy", timeout=granted)

            async def let_time_pass():
                await backend.hear(said)
                clock.advance(WHILE)

            if fault.patient:
                await fail()
            else:
                with FakeClock(getattr(client, "blocking", client)) as clock:
                    await backend.together(fail, let_time_pass)
            assert (await client.get(GOOD_URL[scheme])).text == "good"

    backend.run(body)


TLS_FAULTS = {
    "reset": ([Receive(), Reset()], httpx_fast.ConnectError, "."),
    "closed": ([Receive(), Close()], httpx_fast.ConnectError, "."),
    "no TLS": ([Receive(), Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Mute()], httpx_fast.ConnectError, "."),
    "mute": ([Mute()], httpx_fast.ConnectTimeout, f"of {SOON} s"),
}


@pytest.mark.parametrize("name", TLS_FAULTS)
def test_a_fault_in_tls_with_the_proxy_names_the_proxy(backend, fault_lab, name):
    steps, error, seen = TLS_FAULTS[name]
    fault_lab.serve(steps, GOOD_WAY["https"])

    async def body():
        async with through(backend, fault_lab, "https") as client:
            granted = httpx_fast.Timeout(30, connect=SOON if name == "mute" else 30)
            told = rf"^the proxy https://127\.0\.0\.1:{fault_lab.port} was not reached: .*{seen}"
            await fails(client, "https://localhost/", error, told, "proxy", timeout=granted)
            assert (await client.get(GOOD_URL["https"])).text == "good"

    backend.run(body)


@pytest.mark.parametrize("name", [name for name in TLS_FAULTS if name != "mute"])
def test_a_fault_in_tls_behind_the_proxy_is_the_origins(backend, fault_lab, name):
    steps, error, _ = TLS_FAULTS[name]
    fault_lab.serve([Read(), Send(established()), *steps], GOOD_WAY["http"])

    async def body():
        async with through(backend, fault_lab, "http") as client:
            await fails(client, "https://localhost/", error, "TLS handshake with localhost", "tls")
            assert (await client.get("https://localhost/")).text == "good"

    backend.run(body)
