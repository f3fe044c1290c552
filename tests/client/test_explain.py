"""`client.explain()` says what is sent then: compared with what arrives at the pool, for many settings."""

from __future__ import annotations

import json
import ssl
from typing import Any

import pytest

import httpx_fast
from httpx_fast._masking import masked_field

ENVIRONMENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
URL = "http://a.test/x"
COOKIES = httpx_fast.Cookies({"own": "hunter2"})
COOKIES.set("sub", "hunter2", domain="a.test")
COOKIES.set("deep", "hunter2", domain="a.test", path="/deep")
COOKIES.set("other", "hunter2", domain="b.test")
PROXY = "http://user:hunter2@proxy.test:3128"
FORM = "multipart/form-data"
RETRY = httpx_fast.Retry(attempts=3)


def received(*lines: str, url: str = "https://a.test/") -> httpx_fast.Cookies:
    cookies = httpx_fast.Cookies()
    request = httpx_fast.Request("GET", url)
    fields = [("Set-Cookie", line) for line in lines]
    cookies.extract_cookies(httpx_fast.Response(200, headers=fields, request=request))
    return cookies


def case(
    url: str = URL,
    method: str = "GET",
    environment: dict[str, str] | None = None,
    asked: dict[str, Any] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    return {
        "url": url, "method": method, "environment": environment or {}, "asked": asked or {}, "settings": settings,
    }  # fmt: skip


CASES = {
    "plain": case(),
    "https": case("https://a.test/x"),
    "port": case("http://a.test:8080/x"),
    "default port": case("https://a.test:443/x"),
    "ipv6": case("http://[::1]:8080/"),
    "userinfo": case("http://user:hunter2@a.test/"),
    "token as userinfo": case("http://hunter2@a.test/"),
    "websocket scheme": case("ws://a.test/chat"),
    "secure websocket scheme": case("wss://a.test/chat"),
    "international host": case("http://bücher.test/"),
    "fragment": case("http://a.test/x#part"),
    "secret in query": case("http://a.test/x?api_key=hunter2&page=1"),
    "base url": case("items/1", base_url="https://a.test/v1"),
    "base url and absolute url": case("http://b.test/", base_url="https://a.test/v1"),
    "params of client": case(params={"a": "1"}),
    "params of both": case(params={"a": "1"}, asked={"params": {"b": "2"}}),
    "params in url": case("http://a.test/?a=1", asked={"params": {"b": "2"}}),
    "headers of client": case(headers={"X-Own": "1", "Authorization": "Bearer hunter2"}),
    "headers of request": case(asked={"headers": {"X-Own": "1", "X-Api-Key": "hunter2"}}),
    "headers of both": case(headers={"X-Own": "1"}, asked={"headers": {"x-own": "2"}}),
    "defaults replaced": case(headers={"User-Agent": "me", "Accept": "text/html"}),
    "host given": case(asked={"headers": {"Host": "b.test"}}),
    "repeated fields": case(asked={"headers": [("X", "1"), ("X", "2")]}),
    "json": case(method="POST", asked={"json": {"a": 1}}),
    "form": case(method="POST", asked={"data": {"a": "1"}}),
    "files": case(method="POST", asked={"files": {"a": b"123"}, "headers": {"Content-Type": f"{FORM}; boundary=b"}}),
    "content": case(method="PUT", asked={"content": b"abc"}),
    "content with a type": case(method="PUT", asked={"content": b"abc", "headers": {"Content-Type": "text/plain"}}),
    "empty post": case(method="POST"),
    "delete": case(method="DELETE"),
    "odd method": case(method="PURGE"),
    "basic auth of client": case(auth=("me", "hunter2")),
    "basic auth of request": case(auth=("me", "x"), asked={"auth": ("you", "hunter2")}),
    "auth switched off": case(auth=("me", "hunter2"), asked={"auth": None}),
    "auth off, userinfo on": case("http://u:hunter2@a.test/", auth=("me", "x"), asked={"auth": None}),
    "digest": case(auth=httpx_fast.DigestAuth("me", "hunter2")),
    "function": case(auth=lambda request: request),
    "cookies": case(cookies=COOKIES),
    "cookies of a path": case("http://a.test/deep/x", cookies=COOKIES),
    "cookies of another host": case("http://b.test/", cookies=COOKIES),
    "cookies of a subdomain": case("http://sub.a.test/", cookies=COOKIES),
    "cookie field given": case(cookies=COOKIES, asked={"headers": {"Cookie": "mine=hunter2"}}),
    "secure cookies": case(cookies=received("a=hunter2; Secure", "b=hunter2")),
    "secure cookies over tls": case("https://a.test/", cookies=received("a=hunter2; Secure", "b=hunter2")),
    "host cookies on a subdomain": case(
        "https://sub.a.test/", cookies=received("a=hunter2", "b=hunter2; Domain=a.test")
    ),
    "paths of cookies": case("https://a.test/a/b", cookies=received("a=1; Path=/a", "b=2; Path=/b", "c=3; Path=/a/b")),
    "http2": case("https://a.test/", http2=True),
    "http2 alone": case("https://a.test/", http2=True, http1=False),
    "http2 in cleartext": case(http2=True, http1=False),
    "server name": case("https://a.test/", asked={"extensions": {"sni_hostname": "b.test"}}),
    "target": case(asked={"extensions": {"target": b"*"}}, method="OPTIONS"),
    "not verified": case("https://a.test/", verify=False),
    "system store": case("https://a.test/", verify="system"),
    "own context": case("https://a.test/", verify=ssl.create_default_context()),
    "proxy tunnels": case("https://a.test/", proxy=PROXY),
    "proxy forwards": case(proxy=PROXY),
    "proxy with fields": case(proxy=httpx_fast.Proxy("http://proxy.test", headers={"X-Proxy": "1"})),
    "websocket through a proxy": case(proxy=PROXY, asked={"headers": {"Upgrade": "websocket"}}),
    "socks": case("https://a.test/", proxy="socks5://user:hunter2@proxy.test"),
    "proxy of the environment": case(environment={"HTTP_PROXY": PROXY}),
    "proxy of the environment for https only": case(environment={"HTTPS_PROXY": PROXY}),
    "proxy of the environment for all": case("https://a.test/", environment={"ALL_PROXY": PROXY}),
    "no proxy": case(environment={"ALL_PROXY": PROXY, "NO_PROXY": "a.test"}),
    "no proxy for a subdomain": case("http://x.a.test/", environment={"ALL_PROXY": PROXY, "NO_PROXY": ".a.test"}),
    "no proxy for a network": case("http://10.1.2.3/", environment={"ALL_PROXY": PROXY, "NO_PROXY": "10.0.0.0/8"}),
    "no proxy at all": case(environment={"ALL_PROXY": PROXY, "NO_PROXY": "*"}),
    "environment not trusted": case(environment={"ALL_PROXY": PROXY}, trust_env=False),
    "environment and argument": case(environment={"ALL_PROXY": PROXY}, proxy="http://other.test"),
    "bad proxy of the environment": case(environment={"ALL_PROXY": "ftp://proxy.test"}),
    "timeouts": case(timeout=httpx_fast.Timeout(3, read=7, total=20, first_byte=2)),
    "timeouts of the request": case(timeout=3, asked={"timeout": 9}),
    "no timeouts": case(asked={"timeout": None}),
    "timeouts as an extension": case(asked={"extensions": {"timeout": {"connect": 1.0}}}),
    "limits": case(limits=httpx_fast.Limits(max_connections=3, max_per_host=2, max_head_size=5000)),
    "retry": case(retry=RETRY),
    "retry of the request": case(asked={"extensions": {"retry": RETRY}}),
    "no replay": case(asked={"extensions": {"replay": False}}),
    "redirects": case(follow_redirects=True),
    "redirects of the request": case(follow_redirects=True, asked={"follow_redirects": False}),
    "hooks": case(event_hooks={"request": []}),
    "no scheme": case("/x"),
    "host without a scheme": case("localhost:8080/x"),
    "unknown scheme": case("ftp://a.test/"),
}  # fmt: skip


class Captured(httpx_fast.ConnectError):
    """What a pool was asked for."""

    def __init__(self, head: Any, route: Any, timeouts: Any, options: Any) -> None:
        super().__init__("captured")
        self.head, self.route, self.timeouts, self.options = head, route, timeouts, options


def capture(transport: Any) -> None:
    """Have the transport's pool raise what it is asked for."""

    async def request(head, route, body, framing, timeouts, journey, whole, replay=None):
        raise Captured(head, route, timeouts, transport._options)

    if hasattr(transport, "_options"):
        transport.pool.request = request


async def dispatched(client: Any, given: dict[str, Any]) -> BaseException:
    inner = getattr(client, "blocking", client)
    for transport in inner._all_transports():
        capture(transport)
    try:
        await client.request(given["method"], given["url"], **given["asked"])
    except httpx_fast.HTTPError as error:
        return error
    raise AssertionError("it was sent")


@pytest.mark.parametrize("name", CASES)
def test_it_says_what_is_sent_then(backend, name, monkeypatch):
    given = CASES[name]
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    for variable, value in given["environment"].items():
        monkeypatch.setenv(variable, value)

    async def body():
        async with backend.client(**given["settings"]) as client:
            told = client.explain(given["method"], given["url"], **given["asked"])
            again = client.explain(given["method"], given["url"], **given["asked"])
            retry = getattr(client, "blocking", client)._retrier
            error = await dispatched(client, given)
            return told, again, error, retry

    told, again, error, _ = backend.run(body)
    assert "hunter2" not in str(told) + repr(told) + json.dumps(told.to_dict())
    assert str(again) == str(told)
    assert (told.method, told.url) == (error.request.method, error.request.url._masked())
    if not isinstance(error, Captured):
        assert told.error == f"{type(error).__name__}: {error}"
        return
    assert told.error is None
    sent = [(name.decode().lower(), value.decode()) for name, value in error.head.fields]
    assert [(field.name, field.value) for field in told.fields] == [
        (name, masked_field(name, value)) for name, value in sent
    ]
    assert told.route == error.route
    wanted = {each: getattr(error.timeouts, each) for each in ("connect", "read", "write", "pool", "first_byte")}
    assert {each: told.timeouts[each] for each in wanted} == wanted
    assert (told.timeouts["total"] is not None) is (error.timeouts.deadline is not None)
    assert told.protocols == error.options.protocols(error.route)
    proxy = error.options.proxy
    assert (told.proxy, told.forwards) == (None if proxy is None else str(proxy), error.route.forward)
    names = {pair.partition("=")[0] for name, value in sent if name == "cookie" for pair in value.split("; ")}
    if not any(field.name == "cookie" and field.source == "the request" for field in told.fields):
        assert {cookie.name for cookie in told.cookies if cookie.sent} == names
    assert all(cookie.reason for cookie in told.cookies if not cookie.sent)


def explained(name: str, monkeypatch: pytest.MonkeyPatch) -> httpx_fast.Explanation:
    given = CASES[name]
    for variable in ENVIRONMENT:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in given["environment"].items():
        monkeypatch.setenv(variable, value)
    with httpx_fast.Client(**given["settings"]) as client:
        return client.explain(given["method"], given["url"], **given["asked"])


@pytest.mark.parametrize(
    ("name", "mount", "source"),
    [
        ("plain", None, None),
        ("proxy forwards", "all://", "the argument proxy"),
        ("proxy of the environment", "http://", "HTTP_PROXY"),
        ("proxy of the environment for https only", None, None),
        ("no proxy", "all://*a.test", 'the entry "a.test" of NO_PROXY'),
        ("no proxy for a network", "all://10.0.0.0/8", 'the entry "10.0.0.0/8" of NO_PROXY'),
        ("environment and argument", "all://", "the argument proxy"),
    ],
)
def test_it_names_the_rule_that_decided(name, mount, source, monkeypatch):
    told = explained(name, monkeypatch)
    assert (told.mount, told.mount_source) == (mount, source)
    assert mount is None or mount in str(told)


@pytest.mark.parametrize(
    ("name", "field", "source"),
    [
        ("plain", "host", "the URL"),
        ("plain", "user-agent", "the defaults"),
        ("defaults replaced", "user-agent", "the client"),
        ("headers of both", "x-own", "the request"),
        ("headers of client", "x-own", "the client"),
        ("host given", "host", "the request"),
        ("json", "content-type", "the body"),
        ("json", "content-length", "the body"),
        ("content with a type", "content-type", "the request"),
        ("cookies", "cookie", "the cookies"),
        ("basic auth of client", "authorization", "auth"),
        ("userinfo", "authorization", "auth"),
        ("headers of client", "authorization", "the client"),
        ("proxy forwards", "proxy-authorization", "the proxy"),
        ("proxy with fields", "x-proxy", "the proxy"),
    ],
)
def test_it_says_where_a_field_comes_from(name, field, source, monkeypatch):
    assert [each.source for each in explained(name, monkeypatch).fields if each.name == field] == [source]


@pytest.mark.parametrize(
    ("name", "cookie", "reason"),
    [
        ("cookies", "deep", "it is for another path"),
        ("cookies", "other", "it is for another host"),
        ("secure cookies", "a", "it is for https only"),
        ("host cookies on a subdomain", "a", "it is for the host that set it, not for its subdomains"),
        ("cookie field given", "own", "the request has a Cookie field of its own"),
    ],
)
def test_it_says_why_a_cookie_is_not_sent(name, cookie, reason, monkeypatch):
    told = explained(name, monkeypatch)
    assert [each.reason for each in told.cookies if each.name == cookie] == [reason]
    assert f"not sent, {reason}" in str(told)


@pytest.mark.parametrize(
    ("name", "auth", "source"),
    [
        ("plain", None, None),
        ("basic auth of client", "BasicAuth", "the client"),
        ("basic auth of request", "BasicAuth", "the request"),
        ("auth switched off", None, None),
        ("auth off, userinfo on", "BasicAuth", "the URL"),
        ("digest", "DigestAuth", "the client"),
        ("function", "FunctionAuth", "the client"),
    ],
)
def test_it_says_how_a_request_is_authenticated(name, auth, source, monkeypatch):
    told = explained(name, monkeypatch)
    assert (told.auth, told.auth_source) == (auth, source)


def test_it_says_what_is_trusted(monkeypatch):
    assert explained("not verified", monkeypatch).trust_store == "anybody: certificates are not checked"
    assert explained("own context", monkeypatch).trust_store == "the SSLContext that was given"
    assert explained("plain", monkeypatch).trust_store is None
    assert explained("server name", monkeypatch).tls_server_name == "b.test"
    assert explained("retry", monkeypatch).retry is RETRY
    assert explained("redirects", monkeypatch).follow_redirects
    limits = explained("limits", monkeypatch)
    assert (limits.limits.max_per_host, limits.to_dict()["limits"]["max_head_size"]) == (2, 5000)


def test_it_says_which_connection_would_be_reused(backend, nginx, authority):
    async def body():
        async with backend.client(
            verify=authority.client_context(), limits=httpx_fast.Limits(max_connections=1)
        ) as client:
            url = nginx.url("/json", "https")
            fresh = client.explain("GET", url)
            first = await client.get(url)
            warm = client.explain("GET", url)
            second = await client.get(url)
            other = client.explain("GET", nginx.url("/json"))
            async with client.stream("GET", nginx.url("/f100m", "https")):
                busy = client.explain("GET", url)
        closed = client.explain("GET", url)
        return fresh, first, warm, second, other, busy, closed

    fresh, first, warm, second, other, busy, closed = backend.run(body)
    assert (fresh.connection, first.journey.reused) == ("connect", False)
    assert (warm.connection, second.journey.reused) == ("reuse", True)
    assert warm.connection_info.local_address == second.journey.connection.local_address
    assert warm.connection_info.requests == 1
    assert "reused: <ConnectionInfo https://" in str(warm)
    assert other.connection == "connect"  # the idle one is closed for it
    assert busy.connection == "wait"
    assert closed.connection in ("closed", "connect")


def test_a_shared_connection_would_be_used_by_both(backend, nghttpd, authority):
    async def body():
        async with backend.client(http1=False, http2=True, verify=authority.client_context()) as client:
            url = nghttpd.url("/f100m")
            async with client.stream("GET", url) as response:
                told = client.explain("GET", url)
                async with client.stream("GET", url) as again:
                    return told, response.journey.connection is again.journey.connection

    told, shared = backend.run(body)
    assert (told.connection, shared) == ("reuse", True)
    assert told.connection_info.http_version == "HTTP/2"


def test_an_idle_connection_that_has_expired_would_not_be_reused(backend, nginx, monkeypatch):
    async def body():
        async with backend.client(limits=httpx_fast.Limits(keepalive_expiry=5)) as client:
            await client.get(nginx.url("/tiny"))
            before = client.explain("GET", nginx.url("/tiny")).connection
            clock = client.pool.clock
            client.pool.clock = lambda: clock() + 6
            return before, client.explain("GET", nginx.url("/tiny")).connection, client.pool.stats().idle

    assert backend.run(body) == ("reuse", "connect", 1)


def test_other_transports_are_named(backend):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(200))
        async with backend.client(transport=transport, mounts={"all://b.test": None}) as client:
            return client.explain("GET", "http://a.test/"), client.explain("GET", "http://b.test/")

    own, mounted = backend.run(body)
    assert (own.transport, own.route, own.connection) == ("MockTransport", None, "unknown")
    assert (mounted.mount, mounted.mount_source) == ("all://b.test", "the argument mounts")


def test_a_bad_url_raises_as_a_request_does():
    with httpx_fast.Client() as client, pytest.raises(httpx_fast.InvalidURL, match="port"):
        client.explain("GET", "http://a.test:port/")


def test_without_an_event_loop_there_is_no_connection_to_reuse():
    client = httpx_fast.AsyncClient(trust_env=False)
    assert client.explain("GET", URL).connection == "connect"


def test_an_explanation_is_not_counted_as_a_request(backend, nginx):
    async def body():
        async with backend.client() as client:
            await client.get(nginx.url("/tiny"))
            before = [(info.requests, info.state) for info in client.pool.connections()]
            for _ in range(3):
                client.explain("GET", nginx.url("/tiny"))
            return before, [(info.requests, info.state) for info in client.pool.connections()]

    before, after = backend.run(body)
    assert before == after == [(1, "idle")]
