"""Clients, transports and settings are pickled and copied as configuration; the copy opens its own connections."""

from __future__ import annotations

import copy
import pickle
import ssl
import subprocess
import sys

import pytest
from peers import OK, always
from runners import BlockingClient

import httpx_fast
from httpx_fast import Limits, Retry, Timeout

PROTOCOLS = range(pickle.HIGHEST_PROTOCOL + 1)


def pickled(value, protocol=pickle.HIGHEST_PROTOCOL):
    return pickle.loads(pickle.dumps(value, protocol))


def hook(request):
    request.headers["X-Hook"] = "yes"


async def async_hook(request):
    hook(request)


def signed(request):
    request.headers["X-Signed"] = "yes"
    return request


def allowed(address):
    return True


def answer(request):
    return httpx_fast.Response(200, json=dict(request.headers))


def real(client):
    """Return the client itself, where the backend has wrapped it."""
    return getattr(client, "blocking", client)


def wrapped(backend, client):
    return client if backend.asynchronous else BlockingClient(client)


class Service(httpx_fast.Client):
    """As libraries make them: a constructor of its own, and attributes."""

    def __init__(self, token: str) -> None:
        super().__init__(headers={"Authorization": f"Bearer {token}"}, base_url="http://a.test/v1")
        self.token = token


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "value",
    [
        Timeout(5, connect=1, total=9),
        Limits(max_connections=3, max_per_host=2),
        httpx_fast.TCPKeepAlive(idle=5),
        httpx_fast.QueryParams("a=1&a=2&b="),
        httpx_fast.URL("http://u:p@a.test/?b=1"),
        Retry(attempts=7),
        httpx_fast.Headers([("A", "1"), ("a", "2")]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_settings_are_equal_after_pickling(value, protocol):
    assert pickled(value, protocol) == value


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_client_is_pickled_with_its_settings_and_with_what_was_changed(backend, protocol):
    client = real(
        backend.client(
            base_url="http://a.test/v1",
            params={"q": "1"},
            cookies={"session": "secret"},
            timeout=Timeout(7, total=9),
            retry=Retry(attempts=4),
            event_hooks={"request": [async_hook if backend.asynchronous else hook]},
            mounts={"http://*.b.test:81": httpx_fast.MockTransport(answer), "https://": None},
            max_redirects=3,
        )
    )
    client.headers["X-Later"] = "yes"
    client.follow_redirects = True
    client.auth = ("user", "password")
    twin = pickled(client, protocol)
    assert type(twin) is type(client)
    for name in ("base_url", "params", "headers", "timeout", "max_redirects", "follow_redirects", "event_hooks"):
        assert getattr(twin, name) == getattr(client, name), name
    assert dict(twin.cookies) == dict(client.cookies)
    assert twin._retrier.retry == Retry(attempts=4)
    assert twin._retrier is not client._retrier

    async def body():
        async with wrapped(backend, twin) as twin_client:
            return (await twin_client.get("http://x.b.test:81/")).json()

    sent = backend.run(body)
    assert sent["x-later"] == sent["x-hook"] == "yes"
    assert sent["authorization"].startswith("Basic ")
    assert sent["cookie"] == "session=secret"
    assert not client.is_closed


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
def test_the_copy_of_a_client_has_connections_of_its_own(backend, peer, make):
    at = peer(always(OK))

    async def body():
        async with backend.client(limits=Limits(max_connections=3), trust_env=False) as client:
            await client.get(at.url())
            twin = wrapped(backend, make(real(client)))
            assert twin.pool is not client.pool
            assert len(twin.pool.connections()) == 0
            async with twin:
                await twin.get(at.url())
                assert len(twin.pool.connections()) == 1
            assert twin.is_closed
            await client.get(at.url())
            assert len(client.pool.connections()) == 1

    backend.run(body)


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
def test_a_change_to_a_copy_leaves_the_original(make):
    client = httpx_fast.Client(headers={"A": "1"}, cookies={"c": "1"}, event_hooks={"request": [hook]})
    twin = make(client)
    twin.headers["A"] = "2"
    twin.cookies.set("c", "2")
    twin.event_hooks["request"].clear()
    assert client.headers["A"] == "1"
    assert client.cookies["c"] == "1"
    assert client.event_hooks["request"] == [hook]


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
def test_the_copy_of_a_closed_client_is_open(make):
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(answer))
    client.close()
    with make(client) as twin:
        assert twin.get("http://a.test/").status_code == 200


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
def test_a_subclass_with_a_constructor_of_its_own(make):
    twin = make(Service("secret"))
    assert (type(twin), twin.token, twin.headers["Authorization"]) == (Service, "secret", "Bearer secret")
    assert twin.base_url == "http://a.test/v1/"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("kind", [httpx_fast.HTTPTransport, httpx_fast.AsyncHTTPTransport])
def test_a_transport_is_pickled_with_its_settings(kind, protocol):
    transport = kind(
        http2=True,
        limits=Limits(max_connections=3, max_head_size=200_000),
        proxy="https://u:p@127.0.0.1:1",
        local_address="127.0.0.1",
        retries=2,
        address_filter=allowed,
        resolver=httpx_fast.StaticResolver({"a.test": "127.0.0.1"}),
    )
    twin = pickled(transport, protocol)
    assert twin._limits == transport._limits
    for name in ("http1", "http2", "local_address", "retries", "allows", "keepalive", "ping_after", "max_head_size"):
        assert getattr(twin._options, name) == getattr(transport._options, name), name
    assert twin._options.proxy.fields == transport._options.proxy.fields
    assert twin._options.sessions is not transport._options.sessions


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize("kind", [httpx_fast.RetryTransport, httpx_fast.AsyncRetryTransport])
def test_a_retry_transport_has_its_rule_and_a_pool_of_its_own(kind, make):
    transport = kind(retry=Retry(attempts=6))
    twin = make(transport)
    assert twin._retrier.retry == Retry(attempts=6)
    assert twin._retrier is not transport._retrier
    assert twin._transport is not transport._transport


@pytest.mark.parametrize("make", [pickled, copy.copy, copy.deepcopy])
@pytest.mark.parametrize(
    "auth",
    [
        httpx_fast.BasicAuth("u", "p"),
        httpx_fast.DigestAuth("u", "p"),
        httpx_fast.FunctionAuth(signed),
    ],
    ids=lambda auth: type(auth).__name__,
)
def test_authentication_is_copied_after_it_was_used(auth, make):
    def challenge(request):
        if "Authorization" in request.headers:
            return httpx_fast.Response(200)
        return httpx_fast.Response(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'})

    with httpx_fast.Client(transport=httpx_fast.MockTransport(challenge), auth=auth) as client:
        client.get("http://a.test/")
        twin = make(auth)
        response = client.get("http://a.test/", auth=twin)
    assert response.status_code == (401 if isinstance(auth, httpx_fast.FunctionAuth) else 200)
    assert twin is not auth
    if isinstance(auth, httpx_fast.DigestAuth):
        assert "nc=00000001" in response.request.headers["Authorization"].replace('"', "")


def test_netrc_credentials_are_pickled(tmp_path):
    (tmp_path / "netrc").write_text("machine a.test login user password secret\n")
    (tmp_path / "netrc").chmod(0o600)
    twin = pickled(httpx_fast.NetRCAuth(str(tmp_path / "netrc")))
    request = next(twin.auth_flow(httpx_fast.Request("GET", "http://a.test/")))
    assert request.headers["Authorization"].startswith("Basic ")


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: httpx_fast.Client(verify=CONTEXT), r'verify is an ssl\.SSLContext.*use verify="system"'),
        (lambda: httpx_fast.AsyncHTTPTransport(verify=CONTEXT), r'verify is an ssl\.SSLContext.*use verify="system"'),
        (
            lambda: httpx_fast.Client(proxy=httpx_fast.Proxy("https://a.test:1", ssl_context=CONTEXT)),
            r"ssl_context of its proxy is an ssl\.SSLContext",
        ),
        (
            lambda: httpx_fast.Client(event_hooks={"request": [lambda request: None]}),
            "cannot pickle Client: its event_hooks cannot be pickled .* top level of a module",
        ),
        (lambda: httpx_fast.AsyncClient(auth=lambda request: request), "cannot pickle AsyncClient: its auth"),
        (lambda: httpx_fast.Client(json_loads=lambda text: {}), "cannot pickle Client: its json_loads"),
        (lambda: httpx_fast.HTTPTransport(address_filter=lambda at: True), "its address_filter cannot be pickled"),
        (
            lambda: httpx_fast.Client(transport=httpx_fast.MockTransport(lambda request: None)),
            "cannot pickle Client: its transport",
        ),
    ],
)
def test_what_cannot_be_pickled_is_named(make, message):
    original = make()
    with pytest.raises(pickle.PicklingError, match=message):
        pickle.dumps(original)
    assert type(copy.copy(original)) is type(copy.deepcopy(original)) is type(original)


def test_copies_share_the_tls_context():
    client = httpx_fast.Client(verify=CONTEXT)
    for twin in (copy.copy(client), copy.deepcopy(client)):
        assert twin._transport._options.tls() is CONTEXT


def test_a_pickler_that_takes_functions_by_value_may_have_lambdas():
    cloudpickle = pytest.importorskip("cloudpickle")
    client = httpx_fast.Client(
        transport=httpx_fast.MockTransport(answer), event_hooks={"request": [lambda request: hook(request)]}
    )
    with pickle.loads(cloudpickle.dumps(client)) as twin:
        assert twin.get("http://a.test/").json()["x-hook"] == "yes"
    with pytest.raises(pickle.PicklingError, match="verify is an ssl"):
        cloudpickle.dumps(httpx_fast.Client(verify=CONTEXT))


IN_ANOTHER_PROCESS = """
import pickle, sys
with pickle.load(sys.stdin.buffer) as client:
    print(client.get(sys.argv[1]).status_code, len(client.pool.connections()))
"""


def test_the_copy_sends_requests_in_another_process(peer):
    at = peer(always(OK))
    with httpx_fast.Client(retry=Retry(), headers={"A": "1"}, trust_env=False) as client:
        client.get(at.url())
        done = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS, str(at.url())],
            input=pickle.dumps(client),
            capture_output=True,
            check=True,
            timeout=60,
        )
    assert done.stdout.split() == [b"200", b"1"], done.stderr
