"""`transport._pool`, and the pools and connections that stand for httpcore's: what tools read, replace and build on."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast import _exceptions
from httpx_fast._alias import httpcore
from httpx_fast.testing import LocalServer

BIG = "/bytes/3000000"


@pytest.fixture(params=["cleartext", "tls"])
def server(request: pytest.FixtureRequest):
    with LocalServer(tls=request.param == "tls") as running:
        yield running


def trust(server: LocalServer) -> ssl.SSLContext | bool:
    return server.client_context() if server.url.startswith("https") else True


KINDS = {
    None: ("ConnectionPool", None, [], None),
    "http://p.test": ("HTTPProxy", (b"http", b"p.test", None), [], None),
    "https://user:pw@p.test:8080": (
        "HTTPProxy",
        (b"https", b"p.test", 8080),
        [(b"Proxy-Authorization", b"Basic dXNlcjpwdw==")],
        None,
    ),
    "socks5h://user:pw@p.test": ("SOCKSProxy", (b"socks5h", b"p.test", 1080), [], (b"user", b"pw")),
}


@pytest.mark.parametrize("proxy", KINDS)
@pytest.mark.parametrize("prefix", ["", "Async"])
def test_the_pool_of_a_transport_says_what_it_goes_through(prefix, proxy):
    kind, url, fields, auth = KINDS[proxy]
    context = ssl.create_default_context()
    limits = httpx_fast.Limits(max_connections=7, max_keepalive_connections=3, keepalive_expiry=9)
    transport = getattr(httpx_fast, f"{prefix}HTTPTransport")(
        proxy=proxy, verify=context, limits=limits, http2=True, retries=2, local_address="127.0.0.1"
    )
    pool = transport._pool
    assert pool is transport._pool
    assert type(pool) is getattr(httpcore, prefix + kind)
    assert isinstance(pool, getattr(httpcore, f"{prefix}ConnectionPool"))
    found = pool._proxy_url
    assert (found and (found.scheme, found.host, found.port)) == url
    assert (pool._proxy_headers, pool._proxy_auth, pool._ssl_context) == (fields, auth, context)
    assert (pool._max_connections, pool._max_keepalive_connections, pool._keepalive_expiry) == (7, 3, 9)
    assert (pool._http1, pool._http2, pool._retries, pool._local_address) == (True, True, 2, "127.0.0.1")
    assert (pool._uds, pool._socket_options) == (None, [])
    assert (pool._connections, pool._requests) == ([], [])
    assert "Requests: 0 | Connections: 0" in repr(pool)


def test_a_context_that_a_tool_changes_is_no_other_transports(backend: Runner):
    """Programs turn verification off so; the context that clients share must not be the one that they change."""
    kind: Any = httpx_fast.AsyncHTTPTransport if backend.asynchronous else httpx_fast.HTTPTransport

    async def body(server: LocalServer) -> None:
        async with backend.client(transport=kind()) as careless, backend.client(transport=kind()) as careful:
            context = careless._transport._pool._ssl_context
            assert context is careless._transport._pool._ssl_context
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            assert (await careless.get(server.url)).status_code == 200
            for other in (careful, backend.client()):
                with pytest.raises(httpx_fast.ConnectError, match="certificate"):
                    await other.get(server.url)
            await other.aclose()
            assert careful._transport._pool._ssl_context.verify_mode == ssl.CERT_REQUIRED

    with LocalServer(tls=True) as server:
        backend.run(body, server)


def test_a_context_that_is_set_is_used_from_then_on(backend: Runner):
    async def body(server: LocalServer) -> None:
        async with backend.client() as client:
            pool = client._transport._pool
            with pytest.raises(httpx_fast.ConnectError, match="certificate"):
                await client.get(server.url)
            pool._ssl_context = trusting = server.client_context()
            assert pool._ssl_context is trusting
            assert (await client.get(server.url)).status_code == 200
            await client.drain()
            pool._ssl_context = None
            with pytest.raises(httpx_fast.ConnectError, match="certificate"):
                await client.get(server.url)

    with LocalServer(tls=True) as server:
        backend.run(body, server)


def test_the_pool_of_a_transport_shows_connections_and_requests(backend: Runner, server: LocalServer):
    async def body() -> None:
        async with backend.client(verify=trust(server)) as client:
            pool = client._transport._pool
            async with client.stream("GET", server.url + BIG):
                (connection,) = pool._connections
                assert (connection.is_idle(), connection.is_closed(), len(pool._requests)) == (False, False, 1)
                assert connection.can_handle_request(httpcore.URL(server.url).origin)
                assert not connection.can_handle_request(httpcore.Origin(b"http", b"other.test", 80))
                assert not pool._requests[0].is_queued()
            await client.get(server.url)
            (connection,) = pool.connections
            assert (connection.is_idle(), connection.has_expired(), pool._requests) == (True, False, [])
            assert "HTTP/1.1, IDLE, Request Count: 1" in repr(connection)
        assert pool._connections == []

    backend.run(body)


class AsyncPinned(httpcore.AutoBackend):
    def __init__(self):
        self.asked = []

    async def connect_tcp(self, host, port, **options):
        self.asked.append((host, port, options["timeout"] is not None))
        return await super().connect_tcp("127.0.0.1", port, **options)


def test_a_pool_of_ones_own_sends(server: LocalServer):
    with httpcore.ConnectionPool(ssl_context=server.client_context() if trust(server) is not True else None) as pool:
        response = pool.request("POST", server.url, headers={"X-A": "1"}, content=b"body")
        assert (response.status, response.content) == (200, response.read())
        streamed = pool.handle_request(httpcore.Request("GET", server.url + BIG, headers=[("Host", "x.test")]))
        assert len(b"".join(streamed.iter_stream())) == 3_000_000
        streamed.close()
        (connection,) = pool.connections
        assert connection.is_idle()
    assert pool.connections == []


def test_an_asynchronous_pool_of_ones_own_sends(backend: Runner, server: LocalServer):
    if not backend.asynchronous:
        pytest.skip("a pool of tasks")

    async def body() -> None:
        context = None if trust(server) is True else server.client_context()
        async with httpcore.AsyncConnectionPool(ssl_context=context, network_backend=AsyncPinned()) as pool:
            response = await pool.request("POST", server.url, content=b"body")
            assert response.status == 200
            with pytest.raises(NotImplementedError, match="makes its connections itself"):
                pool.create_connection(httpcore.Origin(b"http", b"a.test", 80))

    backend.run(body)


def test_a_proxied_pool_has_the_settings_of_its_proxy():
    pool = httpcore.HTTPProxy(
        proxy_url="http://p.test:8080/", proxy_auth=("user", "pw"), proxy_headers={"X-A": "1"}, max_connections=2
    )
    assert (pool._proxy_url.host, pool._proxy_url.port, pool._max_connections) == (b"p.test", 8080, 2)
    assert pool._proxy_headers == [(b"Proxy-Authorization", b"Basic dXNlcjpwdw=="), (b"X-A", b"1")]
    pool = httpcore.ConnectionPool(proxy=httpcore.Proxy("socks5://p.test", auth=(b"user", b"pw")))
    assert (pool._proxy_url.scheme, pool._proxy_auth) == (b"socks5", (b"user", b"pw"))


ERRORS = [
    each
    for each in vars(httpcore).values()
    if isinstance(each, type) and issubclass(each, Exception) and each is not httpcore.ConnectionNotAvailable
]


@pytest.mark.parametrize("error", ERRORS)
def test_exceptions_of_httpcore_can_be_made_without_arguments(error):
    assert str(error()) == ""
    assert str(error("said")) == "said"
    with pytest.raises(error):  # there is nothing to match
        raise error


def test_exceptions_of_an_installed_httpcore_become_ours():
    installed = pytest.importorskip("httpcore", reason="httpcore is not installed")
    transports = httpx_fast._transports.default
    for name in ("ReadTimeout", "ConnectError", "RemoteProtocolError", "PoolTimeout", "ProxyError"):
        with pytest.raises(getattr(httpx_fast, name), match="said") as caught, transports.map_httpcore_exceptions():
            raise getattr(installed, name)("said")
        assert type(caught.value) is getattr(httpx_fast, name)
    with pytest.raises(ValueError, match="other"), transports.map_httpcore_exceptions():
        raise ValueError("other")
    with pytest.raises(httpx_fast.ReadError, match="ours"), transports.map_httpcore_exceptions():
        raise _exceptions.ReadError("ours")


def test_bodies_of_other_pools_raise_ours():
    installed = pytest.importorskip("httpcore", reason="httpcore is not installed")
    closed = []

    class Source:
        def __iter__(self):
            yield b"piece"
            raise installed.ReadTimeout("said")

        def close(self):
            closed.append(True)

    stream = httpx_fast._transports.default.ResponseStream(Source())
    response = httpx_fast.Response(200, stream=stream, request=httpx_fast.Request("GET", "http://a.test/"))
    with pytest.raises(httpx_fast.ReadTimeout, match="said"):
        response.read()
    assert closed == [True]
