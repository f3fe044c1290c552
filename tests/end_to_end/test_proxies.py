"""Requests through proxies on loopback: what each party gets to see, and what becomes of a proxy's faults."""

from __future__ import annotations

import re
import socket
import threading
from functools import partial

import pytest
from peers import OK, PATIENCE, Dialogue, always, answering, mute
from proxies import BASIC, KINDS, HttpProxy, Socks4aProxy, Socks5Proxy

import httpx_fast

KEEP_ALIVE_IDLE = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", 0)


class Scene:
    """A proxy, and clients that go through it and trust every server of the tests."""

    def __init__(self, backend, peer, authority, kind, proxying, uds=None):
        self.backend = backend
        self.kind = kind
        self.proxying = proxying
        tls = authority.server_context("127.0.0.1", "localhost") if kind == "https" else None
        self.peer = peer(proxying, tls=tls)
        self.url = f"{kind}://127.0.0.1:{self.peer.port}"
        self.context = authority.client_context()

    def proxy(self, **options):
        return httpx_fast.Proxy(self.url, ssl_context=self.context, **options)

    def client(self, proxy=None, **options):
        return self.backend.client(proxy=proxy or self.proxy(), verify=self.context, **options)

    def client_with(self, **options):
        """A client whose transport has these options."""
        return self.backend.client(transport=self.transport(**options))

    def transport(self, **options):
        kind = httpx_fast.AsyncHTTPTransport if self.backend.asynchronous else httpx_fast.HTTPTransport
        return kind(**{"proxy": self.proxy(), "verify": self.context, **options})


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


@pytest.fixture
def stage(backend, peer, authority):
    """Makes the scene of a proxy; `proxying` instead of the usual one of its kind."""

    def make(kind, proxying=None, **options):
        return Scene(backend, peer, authority, kind, proxying or KINDS[kind](**options))

    return make


@pytest.fixture
def scene(stage, kind):
    """Makes the scene of a proxy, of each kind."""
    return partial(stage, kind)


def tunnels(kind, scheme):
    return scheme == "https" or kind not in ("http", "https")


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_requests_go_through_the_proxy_and_reuse_the_connection(backend, nginx, scene, kind, scheme):
    at = scene()

    async def body():
        async with at.client() as client:
            return [await client.get(nginx.url("/json", scheme)) for _ in range(2)]

    first, second = backend.run(body)
    assert len(first.content) == len(second.content) == 1024
    assert at.peer.accepted == 1
    assert second.journey.reused
    facts = first.journey.connection
    assert facts.proxy == at.url
    assert facts.peer_address == ("127.0.0.1", at.peer.port)
    assert (facts.tls_version is not None) is (scheme == "https")
    steps = ["pool", "dns", "tcp", "proxy", "tls", "send", "wait", "receive"]
    if scheme == "http":
        steps.remove("tls")
    if not tunnels(kind, scheme) and kind == "http":
        steps.remove("proxy")
    assert list(first.journey.phases()) == steps
    assert sum(first.journey.phases().values()) <= first.journey.total + 1e-9


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_content_goes_through_in_both_directions(backend, nginx, scene, scheme):
    at = scene()
    content = bytes(range(256)) * 8192

    async def body():
        async with at.client() as client:
            return (await client.post(nginx.url("/echo", scheme), content=content)).content

    assert backend.run(body) == content


def listening_origin(peer, authority, scheme, seen):
    """An origin that keeps the requests it is sent."""

    def script(dialogue):
        while request := dialogue.read_request():
            seen.append(request)
            dialogue.send(OK)

    return peer(script, tls=authority.server_context("127.0.0.1", "localhost") if scheme == "https" else None)


@pytest.mark.parametrize("kind", ["http", "https"], indirect=False)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_credentials_reach_only_those_whom_they_are_for(backend, peer, authority, scene, scheme):
    at = scene(login=("user", "secret"))
    seen = []

    async def body():
        origin = listening_origin(peer, authority, scheme, seen)
        proxy = at.proxy(auth=("user", "secret"), headers={"X-For-Proxy": "yes"})
        async with at.client(proxy) as client:
            response = await client.get(
                origin.url("/path?query"), auth=("me", "mine"), headers={"Cookie": "a=b", "X-For-Origin": "yes"}
            )
        assert response.text == "ok"
        return f"127.0.0.1:{origin.port}"

    authority_of_origin = backend.run(body)
    fields = at.proxying.fields[0]
    assert fields["proxy-authorization"] == BASIC
    assert fields["x-for-proxy"] == "yes"
    assert fields["host"] == authority_of_origin
    assert b"proxy-authorization" not in seen[0].lower()
    assert b"\r\nauthorization: " in seen[0].lower()
    if scheme == "https":
        assert at.proxying.asked == [f"CONNECT {authority_of_origin} HTTP/1.1"]
        assert set(fields) == {"host", "proxy-authorization", "x-for-proxy"}
        assert b"x-for-proxy" not in seen[0].lower()
    else:
        assert at.proxying.asked == [f"GET http://{authority_of_origin}/path?query HTTP/1.1"]
        assert fields["x-for-origin"] == "yes"
        assert seen[0].startswith(b"GET /path?query HTTP/1.1\r\n")


@pytest.mark.parametrize("given", ["url", "auth", "headers"])
def test_credentials_are_taken_from_where_they_are(backend, nginx, stage, given):
    at = stage("http", proxying=HttpProxy(login=("user", "secret")))
    proxy = {
        "url": at.url.replace("//", "//user:secret@"),
        "auth": httpx_fast.Proxy(at.url, auth=("user", "secret")),
        "headers": httpx_fast.Proxy(at.url, auth=("never", "sent"), headers={"Proxy-Authorization": BASIC}),
    }[given]

    async def body():
        async with at.client(proxy) as client:
            for scheme in ("http", "https"):
                assert (await client.get(nginx.url("/tiny", scheme))).text == "ok"

    backend.run(body)
    assert [fields["proxy-authorization"] for fields in at.proxying.fields] == [BASIC] * 2


def test_http_origins_share_connections_to_a_forwarding_proxy_and_tunnels_are_apart(backend, peer, nginx, stage):
    at = stage("http")

    async def body():
        one, two = peer(always(OK)), peer(always(OK))
        async with at.client() as client:
            for origin in (one, two, one):
                assert (await client.get(origin.url())).text == "ok"
            assert at.peer.accepted == 1
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"
            assert at.peer.accepted == 2
            return [one.url(), two.url()]

    one, two = backend.run(body)
    assert at.proxying.asked[:3] == [f"GET {url} HTTP/1.1" for url in (one, two, one)]


def test_a_request_goes_to_the_same_url_with_and_without_proxy(backend, nginx, stage):
    """What is kept of a request's head for one way must not be sent the other."""
    at = stage("http")

    async def body():
        async with at.client() as proxied, backend.client() as direct:
            request = direct.build_request("GET", nginx.url("/request-line"))
            clients = (direct, proxied, direct, proxied)
            return [(await client.send(request)).text for client in clients]

    assert backend.run(body) == ["GET /request-line HTTP/1.1"] * 4
    assert at.proxying.asked == [f"GET {nginx.url('/request-line')} HTTP/1.1"] * 2


def test_websocket_gets_a_tunnel_where_a_request_would_be_forwarded(backend, peer, stage):
    """RFC 6455 s.4.1: a proxy that forwards would not pass the upgrade on."""
    at = stage("http")
    switching = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n"

    async def body():
        origin = peer(answering(switching))
        fields = {"Upgrade": "websocket", "Connection": "upgrade"}
        async with at.client() as client, client.stream("GET", f"ws://127.0.0.1:{origin.port}/", headers=fields) as got:
            assert got.status_code == 101
        return origin.port

    port = backend.run(body)
    assert at.proxying.asked == [f"CONNECT 127.0.0.1:{port} HTTP/1.1"]


@pytest.mark.parametrize(
    ("method", "target", "sent"),
    [
        ("OPTIONS", b"*", "OPTIONS http://127.0.0.1:{} HTTP/1.1"),
        ("GET", b"http://other.test/", "GET http://other.test/ HTTP/1.1"),
    ],
)
def test_target_of_the_users_own_is_made_absolute_where_it_is_the_origins(backend, stage, method, target, sent):
    at = stage("http", proxying=answering(OK))
    asked = []

    def script(dialogue):
        asked.append(dialogue.read_request().partition(b"\r\n")[0].decode())
        dialogue.send(OK)

    at.peer._scripts = (script,)

    async def body():
        async with at.client() as client:
            await client.request(method, "http://127.0.0.1:8080/", extensions={"target": target})

    backend.run(body)
    assert asked == [sent.format(8080)]


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4a"], indirect=False)
def test_names_are_resolved_where_the_scheme_says(backend, nginx, scene, kind):
    at = scene(names={"origin.test": "127.0.0.1"})
    asked = []

    def resolver(host, port):
        asked.append(host)
        return ["127.0.0.1"]

    async def body():
        async with at.client_with(resolver=resolver) as client:
            response = await client.get(nginx.url("/tiny").replace("127.0.0.1", "origin.test"))
            assert response.text == "ok"

    backend.run(body)
    assert asked == (["origin.test"] if kind == "socks5" else [])
    assert at.proxying.asked[0][0] == ("127.0.0.1" if kind == "socks5" else "origin.test")


def test_socks5_proxy_is_asked_for_one_address_after_the_other(backend, nginx, stage):
    at = stage("socks5", proxying=Socks5Proxy(replies=(8, 4, 0)))
    resolver = httpx_fast.StaticResolver({"origin.test": ["::1", "127.0.0.2", "127.0.0.1"]})

    async def body():
        async with at.client_with(resolver=resolver) as client:
            assert (await client.get(nginx.url("/tiny").replace("127.0.0.1", "origin.test"))).text == "ok"

    backend.run(body)
    assert [host for host, _ in at.proxying.asked] == ["::1", "127.0.0.2", "127.0.0.1"]


def test_socks5_proxy_that_reaches_no_address_is_told(backend, nginx, stage):
    at = stage("socks5", proxying=Socks5Proxy(replies=(4, 5)))
    resolver = httpx_fast.StaticResolver({"origin.test": ["::1", "127.0.0.1"]})

    async def body():
        async with at.client_with(resolver=resolver) as client:
            with pytest.raises(httpx_fast.ProxyError, match=r"127\.0\.0\.1:\d+: connection refused \(reply 5\)"):
                await client.get(nginx.url("/tiny").replace("127.0.0.1", "origin.test"))

    backend.run(body)


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4a"], indirect=False)
def test_login_of_a_socks_proxy(backend, nginx, scene, kind):
    at = scene(login=("user", "" if kind == "socks4a" else "secret"))

    async def body():
        url = at.url.replace("//", "//user:wrong@" if kind != "socks4a" else "//nobody@")
        async with at.client(url) as client:
            with pytest.raises(httpx_fast.ProxyError, match=r"does not accept user name|identity does not match"):
                await client.get(nginx.url("/tiny"))
        url = at.url.replace("//", "//user:secret@" if kind != "socks4a" else "//user@")
        async with at.client(url) as client:
            assert (await client.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("socks5://:secret@h", r"user names of 1 to 255 bytes and passwords of at most 255, got 0 and 6"),
        (f"socks5://{'u' * 256}:p@h", r"user names of 1 to 255 bytes and passwords of at most 255, got 256 and 1"),
        (f"socks5h://u:{'p' * 256}@h", r"user names of 1 to 255 bytes and passwords of at most 255, got 1 and 256"),
        ("socks4a://user:secret@h", "SOCKS4 can be told a user name without NUL, and no password"),
    ],
)
def test_credentials_that_cannot_be_sent_are_refused_when_the_transport_is_made(url, message):
    with pytest.raises(ValueError, match=message):
        httpx_fast.HTTPTransport(proxy=url)


# What a proxy refuses.


def test_wrong_credentials_for_a_tunnel_are_a_proxy_error(backend, nginx, stage):
    at = stage("http", proxying=HttpProxy(login=("user", "secret")))

    async def body():
        for proxy, why in (
            (at.url, "it wants credentials and none are set"),
            (at.url.replace("//", "//user:wrong@"), "it does not accept the credentials"),
        ):
            async with at.client(proxy) as client:
                with pytest.raises(httpx_fast.ProxyError) as caught:
                    await client.get(nginx.url("/tiny", "https"))
            text = str(caught.value)
            assert re.search(rf"the proxy {at.url} does not connect to 127\.0\.0\.1:\d+: 407 Proxy Auth", text), text
            assert why in text
            assert 'Basic realm="test"' in text
            assert "wrong" not in text
            assert caught.value.journey.phase == "proxy"

    backend.run(body)


def test_wrong_credentials_for_a_forwarded_request_are_the_proxys_response(backend, nginx, stage):
    at = stage("http", proxying=HttpProxy(login=("user", "secret")))

    async def body():
        async with at.client() as client:
            response = await client.get(nginx.url("/tiny"))
            assert (response.status_code, response.text) == (407, "log in")

    backend.run(body)


ONE = httpx_fast.Limits(max_connections=1)  # a slot that leaked would be missed by the next request

REFUSALS = {
    "a status": (
        b"HTTP/1.1 403 Forbidden\r\nContent-Length: 4\r\n\r\nno!!",
        r"403 Forbidden, with the content b'no!!'",
    ),
    "a status without reason": (b"HTTP/1.0 502\r\n\r\n", r"connect to 127\.0\.0\.1:\d+: 502$"),
    "a redirect": (b"HTTP/1.1 302 Found\r\nLocation: http://a.test/\r\n\r\n", r"302 Found"),
    "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", r"101 Switching Protocols"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.9\r\n", r"its answer cannot be read: expected a status line .*SSH-2\.0"),
    "bytes after its leave": (b"HTTP/1.1 200 OK\r\n\r\n220 smtp", r"it sent more than its answer: b'220 smtp'"),
    "a refusal that never ends": (b"HTTP/1.1 500 Oops\r\n\r\n" + b"x" * 100_000, r"500 Oops, with the content b'xxx"),
}


@pytest.mark.parametrize("name", REFUSALS)
@pytest.mark.parametrize("kind", ["http", "https"], indirect=False)
def test_refusal_of_a_tunnel_is_a_proxy_error_and_the_pool_goes_on(backend, nginx, scene, name):
    data, why = REFUSALS[name]
    at = scene()
    usual = at.proxying
    at.peer._scripts = (answering(data), usual)

    async def body():
        async with at.client(limits=ONE) as client:
            with pytest.raises(httpx_fast.ProxyError, match=why) as caught:
                await client.get(nginx.url("/tiny", "https"))
            assert caught.value.request.method == "GET"
            assert len(str(caught.value)) < 300
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


def test_interim_responses_to_connect_are_passed_over(backend, nginx, stage):
    proxying = HttpProxy()
    proxying.leave = b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 204 Go\r\nContent-Length: 0\r\n\r\n"
    at = stage("http", proxying=proxying)

    async def body():
        async with at.client() as client:
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


@pytest.mark.parametrize("kind", ["socks5", "socks5h", "socks4a"], indirect=False)
def test_refusal_of_a_socks_proxy_is_a_proxy_error_and_the_pool_goes_on(backend, nginx, scene, kind):
    def refuses(dialogue):
        dialogue.connection.recv(100)
        dialogue.send(b"\x00\x5b" + bytes(6) if kind == "socks4a" else b"\x05\xff")

    at = scene()
    at.peer._scripts = (refuses, at.proxying)

    async def body():
        async with at.client(limits=ONE) as client:
            with pytest.raises(
                httpx_fast.ProxyError, match=rf"{at.url} does not connect to 127\.0\.0\.1:\d+: "
            ) as caught:
                await client.get(nginx.url("/tiny"))
            assert caught.value.journey.phase == "proxy"
            assert (await client.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)


# A proxy that cannot be reached, or that breaks off.


def leaves_at_once(dialogue):
    dialogue.connection.recv(1)


def test_a_proxy_that_closes_is_a_connect_error(backend, nginx, scene):
    at = scene()
    at.peer._scripts = (leaves_at_once, at.proxying)

    async def body():
        async with at.client(limits=ONE) as client:
            with pytest.raises(httpx_fast.ConnectError, match=rf"the proxy {at.url} broke off when it was asked for"):
                await client.get(nginx.url("/tiny", "https"))
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


def test_a_proxy_that_closes_is_tried_again_within_retries(backend, nginx, scene):
    at = scene()
    at.peer._scripts = (leaves_at_once, at.proxying)

    async def body():
        async with at.client_with(retries=1) as client:
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"
        assert at.peer.accepted == 2

    backend.run(body)


def test_a_refusal_is_not_tried_again(backend, nginx, stage):
    at = stage("http", proxying=answering(b"HTTP/1.1 403 Forbidden\r\n\r\n"))

    async def body():
        async with at.client_with(retries=3) as client:
            with pytest.raises(httpx_fast.ProxyError, match="403 Forbidden"):
                await client.get(nginx.url("/tiny", "https"))
        assert at.peer.accepted == 1

    backend.run(body)


def test_a_proxy_that_is_not_there_is_a_connect_error(backend, nginx, scene):
    at = scene()
    at.peer.close()

    async def body():
        async with at.client() as client:
            for scheme in ("http", "https"):
                with pytest.raises(
                    httpx_fast.ConnectError, match=rf"the proxy {at.url} was not reached: .*ECONNREFUSED"
                ):
                    await client.get(nginx.url("/tiny", scheme))

    backend.run(body)


def test_a_mute_proxy_is_a_connect_timeout(backend, nginx, scene):
    at = scene()
    at.peer._scripts = (mute, at.proxying)

    async def body():
        timeout = httpx_fast.Timeout(30, connect=0.3)
        async with at.client(limits=ONE) as client:
            with pytest.raises(
                httpx_fast.ConnectTimeout, match=r"connect timed out after [\d.]+ s of 0\.3 s: .*the proxy"
            ) as caught:
                await client.get(nginx.url("/tiny", "https"), timeout=timeout)
            assert caught.value.journey.phase == "proxy"
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


def test_a_proxy_that_drips_does_not_move_the_deadline(backend, nginx, stage):
    """The budget is one for all steps: what arrives in between grants no further time."""
    stop = threading.Event()

    def drips(dialogue):
        dialogue.read_request()
        for byte in b"HTTP/1.1 200 " + b"x" * 10_000:
            dialogue.send(bytes((byte,)))
            if stop.wait(0.01):
                return

    at = stage("http", proxying=drips)

    async def body():
        async with at.client(timeout=httpx_fast.Timeout(30, connect=0.2)) as client:
            with pytest.raises(httpx_fast.ConnectTimeout, match=r"after [\d.]+ s of 0\.2 s"):
                await client.get(nginx.url("/tiny", "https"))
        stop.set()

    backend.run(body)


def test_a_proxy_that_answers_in_pieces_is_understood(backend, nginx, scene):
    class Dripping(Dialogue):
        def send(self, data):
            for byte in data:
                super().send(bytes((byte,)))

    at = scene()
    usual = at.proxying

    def script(dialogue):
        dialogue.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        dripping = Dripping(dialogue.connection, dialogue._ended)
        usual(dripping)

    at.peer._scripts = (script,)

    async def body():
        async with at.client() as client:
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


def test_tls_with_the_origin_is_in_the_budget_behind_the_proxy(backend, peer, scene):
    at = scene()

    async def body():
        origin = peer(mute)
        async with at.client() as client:
            for connect in (0.1, 1.0, 10.0):  # on a busy machine the first may be over before the proxy has answered
                timeout = httpx_fast.Timeout(30, connect=connect)
                with pytest.raises(httpx_fast.ConnectTimeout, match=rf"of {connect:g} s") as caught:
                    await client.get(f"https://127.0.0.1:{origin.port}/", timeout=timeout)
                if caught.value.journey.phase == "tls":
                    break
            assert caught.value.journey.phase == "tls"

    backend.run(body)


def test_a_dial_that_is_cancelled_at_the_proxy_leaves_nothing(backend, nginx, scene):
    if not backend.asynchronous:
        pytest.skip("a thread cannot be cancelled")
    import anyio

    at = scene()
    arrived = threading.Event()

    def hears(dialogue):
        dialogue.connection.recv(1)
        arrived.set()
        dialogue.wait_for_close()

    at.peer._scripts = (hears, at.proxying)

    async def body():
        async with at.client(limits=ONE) as client:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, nginx.url("/tiny", "https"))
                await backend.hear(arrived)
                tasks.cancel_scope.cancel()
            await backend.hear(at.peer.closed[0])
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)


# Options, limits and TLS.


def test_pool_limits_hold_through_the_proxy(backend, nginx, scene):
    at = scene()

    async def body():
        async with at.client(limits=ONE, timeout=httpx_fast.Timeout(30, pool=0.05)) as client:
            async with client.stream("GET", nginx.url("/f100m", "https")):
                for scheme in ("http", "https"):
                    with pytest.raises(httpx_fast.PoolTimeout, match=r"1 of 1 connections"):
                        await client.get(nginx.url("/tiny", scheme))
            assert (await client.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_socket_options_hold_through_the_proxy(backend, nginx, scene, scheme):
    at = scene()
    options = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)]
    keepalive = httpx_fast.TCPKeepAlive(idle=77)

    async def body():
        async with (
            at.client_with(socket_options=options, local_address="127.0.0.3", keepalive=keepalive) as client,
            client.stream("GET", nginx.url("/tiny", scheme)) as response,
        ):
            sock = response.extensions["network_stream"].get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) in (65536, 131072)
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, KEEP_ALIVE_IDLE) == 77
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    backend.run(body)
    assert at.proxying.peers[0][0] == "127.0.0.3"


@pytest.mark.parametrize("place", ["file", "abstract"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_can_be_behind_a_unix_socket(backend, nginx, stage, tmp_path, place, scheme):
    if place == "abstract" and not hasattr(socket, "SO_PEERCRED"):
        pytest.skip("only Linux has abstract sockets")
    path = str(tmp_path / "proxy.sock") if place == "file" else f"\0httpx_fast-{tmp_path.name}"
    proxying = KINDS["socks5h"]() if scheme == "https" else HttpProxy()
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    listener.settimeout(PATIENCE)
    served = []

    def serve():
        connection, _ = listener.accept()
        with connection:
            served.append(True)
            proxying.serve(Dialogue(connection, threading.Event()))

    thread = threading.Thread(target=serve)
    thread.start()
    kind = "socks5h" if scheme == "https" else "http"
    at = stage(kind)

    async def body():
        async with at.client_with(uds=path, proxy=f"{kind}://proxy.test") as client:
            response = await client.get(nginx.url("/tiny", scheme))
            assert response.text == "ok"
            assert response.journey.dns is None

    with listener:
        backend.run(body)
        thread.join()
    assert served == [True]


def test_a_proxy_has_to_be_trusted_by_itself(backend, nginx, stage, authority):
    at = stage("https")

    async def body():
        # Neither a context for origins nor verify=False is about the proxy.
        for verify in (at.context, False):
            async with backend.client(proxy=at.url, verify=verify) as client:
                for scheme in ("http", "https"):
                    with pytest.raises(
                        httpx_fast.ConnectError, match=rf"the proxy {at.url} was not reached: TLS .*certificate"
                    ):
                        await client.get(nginx.url("/tiny", scheme))
        async with backend.client(proxy=at.proxy(), verify=False) as client:
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)
    assert at.proxying.asked != []


def test_settings_of_tls_that_turn_out_wrong_leave_nothing_open(backend, nginx, scene, monkeypatch, tmp_path):
    """What a context is built from is read when it is first wanted: with the connection open already."""
    at = scene()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "bundle.pem"))
    (tmp_path / "bundle.pem").write_text("nonsense")

    async def body():
        async with backend.client(proxy=at.proxy()) as client:
            with pytest.raises(httpx_fast.TrustStoreError, match=r"SSL_CERT_FILE says .* no certificate in PEM"):
                await client.get(nginx.url("/tiny", "https"))
            await backend.hear(at.peer.closed[0])

    backend.run(body)


def test_certificate_of_the_origin_counts_behind_the_proxy(backend, nginx, scene):
    at = scene()

    async def body():
        async with backend.client(proxy=at.proxy()) as client:
            with pytest.raises(httpx_fast.ConnectError, match=r"certificate is not accepted: self.signed") as caught:
                await client.get(nginx.url("/tiny", "https"))
            assert caught.value.journey.phase == "tls"

    backend.run(body)


# Which proxy.


@pytest.fixture
def environment(monkeypatch):
    """Sets the environment's proxies, and nothing else."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch.setenv


def test_proxies_of_the_environment_are_used(backend, nginx, stage, environment):
    forwarding, socks = stage("http"), stage("socks5h")
    environment("HTTP_PROXY", forwarding.url)
    environment("ALL_PROXY", socks.url)
    environment("NO_PROXY", "localhost")

    async def body():
        async with backend.client(verify=forwarding.context) as client:
            for scheme in ("http", "https"):
                assert (await client.get(nginx.url("/tiny", scheme))).text == "ok"
            direct = await client.get(nginx.url("/tiny").replace("127.0.0.1", "localhost"))
            assert direct.journey.connection.proxy is None
        async with backend.client(trust_env=False) as client:
            assert (await client.get(nginx.url("/tiny"))).journey.connection.proxy is None

    backend.run(body)
    assert len(forwarding.proxying.asked) == len(socks.proxying.asked) == 1


@pytest.mark.parametrize("url", ["ftp://proxy.test", "socks6://proxy.test", "http://", "http://[::bad"])
def test_a_bad_proxy_of_the_environment_is_an_error_where_it_would_be_used(backend, nginx, environment, url):
    environment("HTTPS_PROXY", url)

    async def body():
        async with backend.client() as client:
            assert (await client.get(nginx.url("/tiny"))).text == "ok"
            for ask in (client.get, client.warm):
                with pytest.raises(httpx_fast.ProxyError, match="environment's proxy for https:// URLs cannot be used"):
                    await ask("https://127.0.0.1:1/")
        with pytest.raises((ValueError, httpx_fast.InvalidURL), match=r"."):
            backend.client(proxy=url)

    backend.run(body)


@pytest.mark.parametrize(("scheme", "proxying"), [("socks", Socks5Proxy), ("socks4", Socks4aProxy)])
def test_other_names_of_socks_proxies_are_understood(backend, nginx, peer, environment, scheme, proxying):
    asked = proxying()
    server = peer(asked)
    environment("ALL_PROXY", f"{scheme}://127.0.0.1:{server.port}")

    async def body():
        async with backend.client() as client:
            url = nginx.url("/tiny").replace("127.0.0.1", "localhost")
            assert (await client.get(url)).text == "ok"

    backend.run(body)
    # SOCKS4 knows no names, so they are resolved here.
    assert [host for host, _ in asked.asked] == ["localhost" if scheme == "socks" else "127.0.0.1"]


def test_socks4_proxy_is_asked_for_no_ipv6_address(backend):
    async def body():
        transports = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport
        resolver = httpx_fast.StaticResolver({"six.test": "::1"})
        transport = transports(proxy="socks4://127.0.0.1:1", resolver=resolver)
        async with backend.client(transport=transport) as client:
            with pytest.raises(
                httpx_fast.ConnectError, match=r"six\.test has no IPv4 address, and the proxy socks4://"
            ):
                await client.get("http://six.test/")

    backend.run(body)


def test_a_mount_has_its_own_proxy(backend, nginx, scene):
    at = scene()

    async def body():
        mounts = {"all://localhost": at.transport()}
        async with backend.client(mounts=mounts, verify=at.context) as client:
            for scheme in ("http", "https"):
                url = nginx.url("/tiny", scheme)
                assert (await client.get(url)).journey.connection.proxy is None
                through = await client.get(url.replace("127.0.0.1", "localhost"))
                assert through.journey.connection.proxy == at.url

    backend.run(body)


def test_each_redirect_goes_through_the_proxy_as_its_url_wants(backend, nginx, peer, stage):
    at = stage("http")
    target = nginx.url("/tiny", "https")
    away = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n".encode()

    async def body():
        origin = peer(always(away))
        async with at.client(follow_redirects=True) as client:
            assert (await client.get(origin.url())).text == "ok"
        return origin.url()

    url = backend.run(body)
    assert at.proxying.asked == [f"GET {url} HTTP/1.1", f"CONNECT {httpx_fast.URL(target).netloc.decode()} HTTP/1.1"]
