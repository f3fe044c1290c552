"""Resolvers of users and address filters, where connections are made."""

from __future__ import annotations

import socket
import threading

import pytest
from peers import OK, always
from proxies import HttpProxy, Socks5Proxy

import httpx_fast
from httpx_fast import AddressDenied, AddressFilter, CachingResolver, ConnectError, ConnectTimeout, StaticResolver


@pytest.fixture
def client(backend):
    """Makes clients whose transport has the options given."""

    def make(timeout=30, follow_redirects=False, **options):
        kind = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        return backend.client(transport=kind(**options), timeout=timeout, follow_redirects=follow_redirects)

    return make


class Asked:
    """A resolver that answers with what it was made with."""

    def __init__(self, *answer):
        self.answer = answer
        self.asked = []

    def resolve(self, host, port):
        self.asked.append((host, port))
        return self.answer


class AsyncAsked(Asked):
    async def resolve(self, host, port):
        return super().resolve(host, port)


@pytest.mark.parametrize("kind", [Asked, AsyncAsked])
@pytest.mark.parametrize("given", ["object", "function"])
def test_a_resolver_says_where_a_host_is(backend, client, peer, kind, given):
    resolver = kind("127.0.0.1")

    async def body():
        server = peer(always(OK))
        async with client(resolver=resolver if given == "object" else resolver.resolve) as asking:
            response = await asking.get(f"http://name.test:{server.port}/")
        assert response.text == "ok"
        assert response.journey.dns is not None
        return server.port

    port = backend.run(body)
    assert resolver.asked == [("name.test", port)]


def test_an_object_that_is_called_is_a_resolver(backend, client, peer):
    class Called:
        __hash__ = None

        def __call__(self, host, port):
            return [("127.0.0.1", self.port)]

    resolver = Called()

    async def body():
        resolver.port = peer(always(OK)).port
        async with client(resolver=resolver) as asking:
            assert (await asking.get("http://name.test/")).text == "ok"

    backend.run(body)


def test_an_address_in_the_url_is_not_asked_for(backend, client, peer):
    resolver = Asked("192.0.2.1")

    async def body():
        server = peer(always(OK))
        async with client(resolver=resolver) as asking:
            assert (await asking.get(server.url())).text == "ok"

    backend.run(body)
    assert resolver.asked == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([], "the resolver knows no address of 'name.test'"),
        (["not.an.address"], "answered 'not.an.address' about 'name.test'; expected an IP address"),
        ([7], "answered 7 about 'name.test'; expected an IP address"),
        ("127.0.0.1", "answered '127.0.0.1' about 'name.test'; expected a list"),
        (None, "answered None about 'name.test'; expected a list"),
    ],
)
def test_a_useless_answer_is_a_connect_error(backend, client, answer, message):
    async def body():
        async with client(resolver=lambda host, port: answer) as asking:
            with pytest.raises(ConnectError, match=message):
                await asking.get("http://name.test/")

    backend.run(body)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_what_a_resolver_raises_is_a_connect_error(backend, client, asynchronous):
    def fails(host, port):
        raise LookupError("no such thing")

    async def fails_later(host, port):
        fails(host, port)

    async def body():
        async with client(resolver=fails_later if asynchronous else fails) as asking:
            with pytest.raises(ConnectError, match=r"'name\.test' could not be resolved: .*no such thing") as caught:
                await asking.get("http://name.test/")
        assert isinstance(caught.value.__cause__, LookupError)
        assert caught.value.journey.phase == "dns"

    backend.run(body)


def test_a_blocking_resolver_is_abandoned_at_the_deadline(backend, client):
    let_go = threading.Event()

    def hangs(host, port):
        let_go.wait(30)
        return []

    async def body():
        async with client(resolver=hangs, timeout=httpx_fast.Timeout(30, connect=0.05)) as asking:
            with pytest.raises(ConnectTimeout, match=r"of 0\.05 s: no answer from the resolver about 'name\.test'"):
                await asking.get("http://name.test/")
        let_go.set()

    backend.run(body)


def test_an_async_resolver_is_cancelled_at_the_deadline(backend, client):
    if not backend.asynchronous:
        pytest.skip("nothing can be awaited for long in blocking code")
    import anyio

    ended = []

    async def hangs(host, port):
        try:
            await anyio.sleep_forever()
        finally:
            ended.append(host)

    async def body():
        async with client(resolver=hangs, timeout=httpx_fast.Timeout(30, connect=0.05)) as asking:
            with pytest.raises(ConnectTimeout, match=r"of 0\.05 s: no answer from the resolver about 'name\.test'"):
                await asking.get("http://name.test/")

    backend.run(body)
    assert ended == ["name.test"]


@pytest.mark.parametrize("kind", [Asked, AsyncAsked])
def test_a_cache_saves_further_questions(backend, client, peer, kind):
    resolver = kind("127.0.0.1")
    cache = CachingResolver(resolver)

    async def body():
        server = peer(always(OK))
        for _ in range(3):
            async with client(resolver=cache) as asking:
                assert (await asking.get(f"http://name.test:{server.port}/")).text == "ok"
        assert server.accepted == 3

    backend.run(body)
    assert len(resolver.asked) == 1


def test_certificates_are_asked_for_the_name_and_not_the_address(backend, client, nginx, authority):
    resolver = StaticResolver({"localhost": "127.0.0.1", "other.test": "127.0.0.1"})
    url = nginx.url("/tiny", "https")

    async def body():
        async with client(resolver=resolver, verify=authority.client_context()) as asking:
            assert (await asking.get(url.replace("127.0.0.1", "localhost"))).text == "ok"
            with pytest.raises(ConnectError, match=r"certificate is not accepted: Hostname mismatch.*other\.test"):
                await asking.get(url.replace("127.0.0.1", "other.test"))

    backend.run(body)


# The filter.


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "127.1", "0.0.0.0"],
)
@pytest.mark.parametrize("own", [False, True], ids=["system", "resolver"])
def test_a_denied_address_is_not_connected_to_however_it_is_written(backend, client, peer, host, own):
    resolver = StaticResolver({"localhost": ["::ffff:127.0.0.1", "127.0.0.1"]}) if own else None

    async def body():
        server = peer(always(OK))
        async with client(address_filter=AddressFilter(), retries=2, resolver=resolver) as asking:
            with pytest.raises(AddressDenied, match=r"the address filter does not allow to connect to .*"):
                await asking.get(f"http://{host}:{server.port}/")
        assert server.accepted == 0

    backend.run(body)


def test_addresses_that_are_allowed_are_used_in_their_order(backend, client, peer):
    asked = []

    def allows(address):
        asked.append(str(address))
        return str(address) != "127.0.0.2"

    resolver = StaticResolver({"name.test": ["127.0.0.2", "127.0.0.1", "127.0.0.3"]})

    async def body():
        server = peer(always(OK))
        async with client(resolver=resolver, address_filter=allows) as asking:
            response = await asking.get(f"http://name.test:{server.port}/")
        assert response.journey.connection.peer_address == ("127.0.0.1", server.port)

    backend.run(body)
    assert asked == ["127.0.0.2", "127.0.0.1", "127.0.0.3"]


def test_each_redirect_leads_through_the_filter(backend, client, peer):
    async def body():
        secret = peer(always(OK))
        moved = f"HTTP/1.1 302 Found\r\nLocation: {secret.url()}\r\nContent-Length: 0\r\n\r\n".encode()
        resolver = StaticResolver({"public.test": "127.0.0.9"})
        judge = AddressFilter(allow=["127.0.0.9/32"])
        door = socket.create_server(("127.0.0.9", 0))
        port = door.getsockname()[1]

        def pass_on():
            connection, _ = door.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(moved)
                connection.recv(1)

        thread = threading.Thread(target=pass_on)
        thread.start()
        async with client(resolver=resolver, address_filter=judge, follow_redirects=True) as asking:
            with pytest.raises(AddressDenied, match=r"127\.0\.0\.1") as caught:
                await asking.get(f"http://public.test:{port}/")
            assert str(caught.value.request.url) == secret.url()
        thread.join(5)
        door.close()
        assert secret.accepted == 0

    backend.run(body)


def test_a_proxy_passes_the_filter_as_what_is_connected_to(backend, client, nginx, peer):
    proxying = HttpProxy()

    async def body():
        url = f"http://127.0.0.1:{peer(proxying).port}"
        async with client(proxy=url, address_filter=AddressFilter()) as asking:
            with pytest.raises(AddressDenied, match=rf"the proxy {url} was not reached: the address filter"):
                await asking.get(nginx.url("/tiny"))
        async with client(proxy=url, address_filter=AddressFilter(allow=["loopback"])) as asking:
            assert (await asking.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)
    assert len(proxying.asked) == 1


def test_addresses_given_to_a_socks5_proxy_pass_the_filter(backend, client, peer):
    proxying = Socks5Proxy()

    async def body():
        url = f"socks5://127.0.0.1:{peer(proxying).port}"
        judge = AddressFilter(deny=["private"])
        async with client(proxy=url, address_filter=judge) as asking:
            with pytest.raises(AddressDenied, match=r"connect to '10\.0\.0\.1'"):
                await asking.get("http://10.0.0.1/")

    backend.run(body)
    assert proxying.asked == []
