"""How a host is named to its peer: final dots, and zones of IPv6 addresses, which mean nothing elsewhere."""

from __future__ import annotations

import json
import socket

import pytest
from far_end import Server
from net_worlds import Listener
from peers import OK
from proxies import HttpProxy

import httpx_fast
from httpx_fast import Response, StaticResolver

PATIENCE = 30


# A final dot says that a name is complete; SNI and certificates have none (RFC 6066 s.3).


class Asked:
    """A script that keeps the head of each request; the context that keeps the name that each handshake asks for."""

    def __init__(self, authority, alpn=()):
        self.heads = []
        self.names = []
        self.context = authority.server_context("localhost", alpn=alpn)
        self.context.sni_callback = lambda tls, name, context: self.names.append(name)

    def __call__(self, dialogue):
        if dialogue.connection.selected_alpn_protocol() == "h2":
            server = Server(dialogue.connection)
            server.until("HEADERS 1 end")
            self.heads.append(dict(server.requests[1]))
            server.respond(1)
            server.until_closed()
            return
        while head := dialogue.read_request():
            self.heads.append(head)
            dialogue.send(OK)


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_final_dot_is_in_the_host_field_and_not_in_tls(backend, peer, authority, http2):
    asked = Asked(authority, ["h2"] if http2 else [])
    at = peer(asked, tls=asked.context)

    async def body():
        transport = (httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport)(
            verify=authority.client_context(), http2=http2, resolver=StaticResolver({"localhost.": "127.0.0.1"})
        )
        async with backend.client(transport=transport, timeout=PATIENCE) as client:
            response = await client.get(f"https://localhost.:{at.port}/")
            assert (response.text, str(response.url)) == ("ok", f"https://localhost.:{at.port}/")

    backend.run(body)
    assert asked.names == ["localhost"]
    (head,) = asked.heads
    if http2:
        assert head[b":authority"] == f"localhost.:{at.port}".encode()
    else:
        assert f"\r\nHost: localhost.:{at.port}\r\n".encode() in head


def test_final_dot_of_a_server_name_and_of_a_proxy_is_not_in_tls(backend, nginx, peer, authority):
    asked = Asked(authority)
    proxying = HttpProxy()
    origin, proxy = peer(asked, tls=asked.context), peer(proxying, tls=asked.context)

    async def body():
        context = authority.client_context()
        async with backend.client(verify=context, timeout=PATIENCE) as client:
            await client.get(f"https://127.0.0.1:{origin.port}/", extensions={"sni_hostname": "localhost."})
        url = f"https://localhost.:{proxy.port}"
        transport = (httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport)(
            proxy=httpx_fast.Proxy(url, ssl_context=context), resolver=StaticResolver({"localhost.": "127.0.0.1"})
        )
        async with backend.client(transport=transport, timeout=PATIENCE) as client:
            assert (await client.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)
    assert asked.names == ["localhost", "localhost"]


# Zones (RFC 6874 s.4).


@pytest.fixture
def listener():
    try:
        socket.getaddrinfo("::1%1", 80, flags=socket.AI_NUMERICHOST)
        found = Listener(host="::1")
    except OSError:
        pytest.skip("this system has no IPv6, or no zones for its loopback address")
    yield found
    found.close()


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_zone_leads_to_the_connection_and_is_not_told_to_the_peer(backend, listener, authority, http2):
    heads = []
    names = []
    tls = authority.server_context("::1", alpn=["h2"] if http2 else [])
    tls.sni_callback = lambda tls, name, context: names.append(name)

    def script(connection):
        if http2:
            server = Server(connection)
            server.until("HEADERS 1 end")
            heads.append(dict(server.requests[1])[b":authority"])
            server.respond(1)
            server.until_closed()
        else:
            head = connection.recv(65536)
            heads.append(head.partition(b"\r\nHost: ")[2].partition(b"\r\n")[0])
            connection.sendall(OK)
            assert connection.recv(1) == b""

    listener.serve(script, tls)

    async def body():
        async with backend.client(verify=authority.client_context(), http2=http2, timeout=PATIENCE) as client:
            response = await client.get(f"https://[::1%251]:{listener.port}/")
            assert response.text == "ok"
            assert response.journey.connection.peer_address[3] == 1

    backend.run(body)
    assert heads == [f"[::1]:{listener.port}".encode()]
    assert names == [None]  # an address is no server name


def test_zone_is_not_told_to_a_proxy(backend, peer):
    asked = []

    def refuse(dialogue):
        asked.append(dialogue.read_request())
        dialogue.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    def forward(dialogue):
        asked.append(dialogue.read_request())
        dialogue.send(OK)

    at = peer(refuse, forward)

    async def body():
        async with backend.client(proxy=f"http://127.0.0.1:{at.port}", timeout=PATIENCE) as client:
            with pytest.raises(httpx_fast.ProxyError, match=r"does not connect to \[fe80::1\]:443: 403"):
                await client.get("https://[fe80::1%25eth0]/")
            assert (await client.get("http://[fe80::1%25eth0]:81/a")).text == "ok"

    backend.run(body)
    assert asked[0].startswith(b"CONNECT [fe80::1]:443 HTTP/1.1\r\nHost: [fe80::1]:443\r\n")
    assert asked[1].startswith(b"GET http://[fe80::1]:81/a HTTP/1.1\r\nHost: [fe80::1]:81\r\n")


@pytest.mark.parametrize(
    ("location", "url", "host"),
    [
        ("/end", "http://[fe80::1%25eth0]/end", "[fe80::1]"),
        ("//[fe80::1]:81/end", "http://[fe80::1%25eth0]:81/end", "[fe80::1]:81"),
        ("http://[fe80::2]/end", "http://[fe80::2%25eth0]/end", "[fe80::2]"),
        ("http://[fe80::2%25eth7]/end", "http://[fe80::2%25eth0]/end", "[fe80::2]"),
        ("http://[2001:db8::1%25eth7]/end", "http://[2001:db8::1]/end", "[2001:db8::1]"),
        ("http://b.test/end", "http://b.test/end", "b.test"),
    ],
)
def test_redirects_stay_on_the_link_and_tell_no_zone(backend, location, url, host):
    """A zone that a peer names is one of its own; a link-local address without any is on the link that it came over."""

    def handler(request):
        if request.url.path == "/start":
            return Response(302, headers={"Location": location})
        return Response(200, json=[str(request.url), request.headers["Host"]])

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            response = await client.get("http://[fe80::1%25eth0]/start")
            assert json.loads(response.text) == [url, host]

    backend.run(body)


def test_zone_of_a_location_is_not_ours_to_connect_to(backend):
    def handler(request):
        if request.url.path == "/start":
            return Response(302, headers={"Location": "http://[fe80::1%25lo]/end"})
        return Response(200, text=str(request.url))

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            assert (await client.get("http://a.test/start")).text == "http://[fe80::1]/end"

    backend.run(body)


def test_url_keeps_the_zone_and_its_authority_as_the_peer_sees_it_does_not():
    url = httpx_fast.URL("http://[fe80::1%25eth0]:81/a")
    assert (str(url), url.host, url.netloc) == ("http://[fe80::1%25eth0]:81/a", "fe80::1%25eth0", b"[fe80::1]:81")
    assert httpx_fast.Request("GET", url).headers["Host"] == "[fe80::1]:81"
    assert url.join("b") == "http://[fe80::1%25eth0]:81/b"
