"""Passwords, tokens and cookies are in no repr, message or log line of ours, whatever goes wrong."""

from __future__ import annotations

import gc
import inspect
import logging
import traceback

import pytest
from peers import answering

import httpx_fast
from httpx_fast import URL, Cookies, Headers, Proxy, Request, Response
from httpx_fast import _masking as masking
from httpx_fast._client import many

SECRET = "hunter2"
TEXT = f"http://user:{SECRET}@a.test:81/x"
TOKEN = f"http://{SECRET}@a.test/"


def netrc(folder):
    path = folder / "netrc"
    path.write_text(f"machine a.test login user password {SECRET}\n")
    path.chmod(0o600)
    return httpx_fast.NetRCAuth(str(path))


def cookies():
    found = Cookies({"own": SECRET})
    response = Response(200, headers={"Set-Cookie": f"a={SECRET}; Secure"}, request=Request("GET", "https://a.test/"))
    found.extract_cookies(response)
    return found


def digest():
    """Digest that has been challenged."""
    auth = httpx_fast.DigestAuth("user", SECRET)
    request = Request("GET", "http://a.test/")
    flow = auth.auth_flow(request)
    next(flow)
    flow.send(Response(401, headers={"WWW-Authenticate": 'Digest realm="r", nonce="n"'}, request=request))
    flow.close()
    return auth


FIELDS = dict.fromkeys(["Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"], SECRET)
BEHIND = {"proxy": Proxy(TEXT, headers=FIELDS), "verify": False}
CLIENT = {**BEHIND, "auth": ("user", SECRET), "base_url": TEXT, "cookies": {"a": SECRET}, "headers": FIELDS}
#: What makes an object of each public class that can hold a secret; None for those that cannot.
MADE = {
    "ASGITransport": None,
    "AddressFilter": None,
    "AsyncBaseTransport": None,
    "AsyncByteStream": None,
    "AsyncClient": [lambda folder: httpx_fast.AsyncClient(**CLIENT)],
    "AsyncHTTPTransport": [lambda folder: httpx_fast.AsyncHTTPTransport(**BEHIND)],
    "AsyncRetryTransport": [
        lambda folder: httpx_fast.AsyncRetryTransport(httpx_fast.AsyncHTTPTransport(**BEHIND)),
    ],
    "Auth": None,
    "BaseTransport": None,
    "BasicAuth": [lambda folder: httpx_fast.BasicAuth("user", SECRET)],
    "Breaker": None,
    "ByteStream": None,
    "CachingResolver": None,
    "Certificate": None,
    "Client": [lambda folder: httpx_fast.Client(**CLIENT)],
    "ConnectionFacts": None,
    "ConnectionInfo": None,
    "Cookies": [lambda folder: cookies(), lambda folder: cookies().jar, lambda folder: list(cookies().jar)],
    "DigestAuth": [lambda folder: digest()],
    "EventSource": [lambda folder: httpx_fast.EventSource(Response(200, request=Request("GET", TEXT)))],
    "Explanation": [lambda folder: httpx_fast.Client(**CLIENT).explain("GET", f"/?token={SECRET}")],
    "FunctionAuth": None,
    "Hedge": None,
    "HTTPTransport": [lambda folder: httpx_fast.HTTPTransport(**BEHIND)],
    "Headers": [lambda folder: Headers(FIELDS), lambda folder: Headers([(k.lower(), v) for k, v in FIELDS.items()])],
    "Journey": None,
    "Limits": None,
    "MockTransport": None,
    "NetRCAuth": [netrc],
    "Origin": [lambda folder: URL(TEXT).origin, lambda folder: httpx_fast.Origin(TEXT)],
    "Outcome": [lambda folder: many.Outcome(0, 0, TEXT, Response(200, request=Request("GET", TEXT)), None)],
    "Pool": None,
    "PoolStats": None,
    "Proxy": [
        lambda folder: Proxy(TEXT),
        lambda folder: Proxy(TOKEN),
        lambda folder: Proxy(f"http://{SECRET}:@a.test"),
        lambda folder: Proxy("http://a.test", auth=("user", SECRET), headers=FIELDS),
    ],
    "QueryParams": None,
    "Recording": None,
    "Request": [
        lambda folder: Request("GET", TEXT, headers=FIELDS),
        lambda folder: Request("GET", TOKEN, cookies={"a": SECRET}),
    ],
    "Resolver": None,
    "Reconnect": None,
    "Retry": None,
    "RetryStats": None,
    "RetryTransport": [lambda folder: httpx_fast.RetryTransport(httpx_fast.HTTPTransport(**BEHIND))],
    "Response": [lambda folder: Response(302, headers={"Location": TEXT, **FIELDS}, request=Request("GET", TEXT))],
    "ServerSentEvent": None,
    "Sizes": None,
    "StaticResolver": None,
    "SyncByteStream": None,
    "TCPKeepAlive": None,
    "Timeout": None,
    "URL": [
        lambda folder: URL(TEXT),
        lambda folder: URL(TOKEN),
        lambda folder: URL(f"//user:{SECRET}@a.test/"),
        lambda folder: URL(f"http://{SECRET}:@a.test/"),
        lambda folder: URL(f"http:/user:{SECRET}@a.test/"),
        lambda folder: URL(f"user:{SECRET}@a.test/"),
    ],
    "WSGITransport": None,
    "WaiterInfo": None,
    "codes": None,
}


def public_classes():
    found = ((name, getattr(httpx_fast, name)) for name in httpx_fast.__all__)
    return {name for name, each in found if inspect.isclass(each) and not issubclass(each, BaseException)}


def test_each_public_class_is_looked_at():
    assert set(MADE) == public_classes()


def settings_of(found, kinds):
    """The object, and what it is made of that is ours and describes itself."""
    shown, left = {}, [found]
    while left:
        each = left.pop()
        if id(each) in shown:
            continue
        shown[id(each)] = each
        for member in vars(each).values() if hasattr(each, "__dict__") else gc.get_referents(each):
            if type(member).__module__.startswith("httpx_fast") and type(member).__repr__ is not object.__repr__:
                left.append(member)
    return shown.values()


@pytest.mark.parametrize("name", sorted(name for name, makers in MADE.items() if makers))
def test_objects_do_not_show_what_they_hold(name, tmp_path):
    for make in MADE[name]:
        found = make(tmp_path)
        for each in settings_of(found, name):
            assert SECRET not in f"{each!r}", type(each)
        assert SECRET not in f"{[found]} {(found,)} { {'it': found} }"
        if name not in ("URL", "Headers"):  # of which the text is the content
            assert SECRET not in str(found)


def told(error):
    """All that a traceback would show of an exception."""
    return "".join(traceback.format_exception(error, limit=0)) + str(getattr(error, "journey", "")) + repr(error.args)


BAD = [
    f"http://user:{SECRET}@a.test:port/",
    f"http://user:{SECRET}@a.test:99999/",
    f"http://user:{SECRET}@[bad/",
    f"http://user:{SECRET}@a..test/",
    f"http://user:{SECRET}@a\x01b/",
    f"http://user:{SECRET}@xn--a/",
    f"http://user:{SECRET}@{'a' * 70}.test/",
    f"http://user:{SECRET}@1.2.3.999/",
    f"http://user:{SECRET}@/",
    f"http:/user:{SECRET}@a.test/",
    f"user:{SECRET}@a.test/",
    f"ftp://user:{SECRET}@a.test/",
    f"ftp://{SECRET}@a.test/",
    f"socks9://user:{SECRET}@a.test",
    f"socks4://user:{SECRET}@a.test",
    f"socks5://user:{SECRET * 50}@a.test",
]
#: Those that are names, for which DNS would be asked.
NAMES = ("@a..test/", "@xn--a/", f"{'a' * 70}.test/")
USES = {
    "URL": URL,
    "join": lambda text: URL("http://a.test/").join(text),
    "host": lambda text: URL("http://a.test/").copy_with(host=text),
    "netloc": lambda text: URL("http://a.test/").copy_with(netloc=text.encode()),
    "origin": lambda text: URL(text).origin,
    "base_url": lambda text: httpx_fast.Client(base_url=text),
    "proxy": lambda text: httpx_fast.Client(proxy=text),
    "transport": lambda text: httpx_fast.HTTPTransport(proxy=text),
    "mounts": lambda text: httpx_fast.Client(mounts={text: None}),
    "bytes": lambda text: URL(text.encode()),
    "Proxy of bytes": lambda text: Proxy(text.encode()),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("text", BAD)
def test_urls_that_are_refused_do_not_show_their_user_info(use, text):
    error = None
    try:
        USES[use](text)
    except Exception as refused:
        error = refused
    assert error is None or SECRET not in told(error)


@pytest.mark.parametrize("text", [each for each in BAD if not each.endswith(NAMES)])
def test_requests_that_cannot_be_sent_do_not_show_their_user_info(backend, text):
    async def body():
        async with backend.client(trust_env=False) as client:
            await client.get(text)

    with pytest.raises((httpx_fast.HTTPError, httpx_fast.InvalidURL), match=r"URL|host|scheme|port|IPv4") as caught:
        backend.run(body)
    assert SECRET not in told(caught.value)


@pytest.mark.parametrize("scheme", ["http", "https", "ws"])
@pytest.mark.parametrize("proxy", [None, "http", "https", "socks5", "socks4a"])
def test_failures_on_the_wire_show_no_credentials(backend, peer, scheme, proxy, caplog):
    """The peer answers with what nobody understands, as proxy and as origin; to TLS it says nothing."""
    server = peer(answering(b"nonsense\r\n\r\n", *[b"nonsense\r\n\r\n"] * 9))
    login = SECRET if proxy == "socks4a" else f"user:{SECRET}"
    options = {"proxy": f"{proxy}://{login}@127.0.0.1:{server.port}"} if proxy else {}

    async def body():
        async with backend.client(**options, trust_env=False, timeout=0.5, cookies={"a": SECRET}) as client:
            await client.get(f"{scheme}://user:{SECRET}@127.0.0.1:{server.port}/", headers=FIELDS)

    with caplog.at_level(logging.DEBUG, "httpx_fast"), pytest.raises(httpx_fast.HTTPError, match=r".") as caught:
        backend.run(body)
    error = caught.value
    while error is not None:
        assert SECRET not in told(error)
        error = error.__cause__ or error.__context__
    assert SECRET not in caplog.text
    assert SECRET not in repr(caught.value.request)


@pytest.mark.parametrize("status", [302, 401, 500])
@pytest.mark.parametrize("location", [TEXT, TOKEN, f"//u:p@ss:{SECRET}@a.test/"])
def test_status_errors_and_logs_show_no_user_info(backend, caplog, status, location):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(status, headers={"Location": location}))
        async with backend.client(transport=transport) as client:
            response = await client.get(TEXT)
            with pytest.raises(httpx_fast.HTTPStatusError, match=str(status)) as caught:
                response.raise_for_status()
            assert SECRET not in told(caught.value)

    with caplog.at_level(logging.DEBUG):
        backend.run(body)
    assert "HTTP Request: GET" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    "make",
    [
        lambda: httpx_fast.BasicAuth(SECRET, None),
        lambda: httpx_fast.Client(auth=SECRET),
        lambda: httpx_fast.Client(auth=(SECRET,)),
        lambda: Proxy("http://a.test", auth=("user", SECRET, SECRET)),
        lambda: Proxy("http://a.test", auth=SECRET),
        lambda: Cookies(SECRET),
        lambda: Cookies([("a", SECRET, SECRET)]),
        lambda: Cookies().set("a", [SECRET]),
        lambda: Headers([("Authorization", SECRET, SECRET)]),
        lambda: Headers({"Authorization": [SECRET]}),
        lambda: httpx_fast.Client(proxy=[SECRET]),
        lambda: httpx_fast.Client(headers={"Authorization": f"{SECRET}\n"}).get("http://127.0.0.1:9/"),
        lambda: httpx_fast.Client(headers={"Cookie": f"{SECRET}\0"}).get("http://127.0.0.1:9/"),
        lambda: httpx_fast.Client(cookies={"a": f"{SECRET}\0"}).get("http://127.0.0.1:9/"),
        lambda: httpx_fast.Client(
            proxy=Proxy("http://127.0.0.1:9", headers={"Proxy-Authorization": f"{SECRET}\n"})
        ).get("http://a.test/"),
    ],
)
def test_arguments_that_are_refused_are_not_shown(make):
    with pytest.raises((TypeError, ValueError, httpx_fast.LocalProtocolError), match=r".") as caught:
        make()
    assert SECRET not in told(caught.value)


def test_netrc_that_is_malformed_is_not_quoted(tmp_path):
    import netrc

    path = tmp_path / "netrc"
    path.write_text(f"machine a.test login user password\n{SECRET} {SECRET}\n")
    with pytest.raises(netrc.NetrcParseError, match="expected machine, login") as caught:
        httpx_fast.NetRCAuth(str(path))
    assert SECRET not in told(caught.value)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("text", [f"http://user:{SECRET}@[bad", f"{SECRET}9://user:{SECRET}@a.test"])
def test_proxy_of_the_environment_that_is_refused_is_not_shown(backend, monkeypatch, text):
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, text.replace(f"{SECRET}9", "gopher"))

    async def body():
        async with backend.client() as client:
            await client.get("http://a.test/")

    with pytest.raises(httpx_fast.ProxyError, match="environment's proxy") as caught:
        backend.run(body)
    assert SECRET not in told(caught.value)


def test_no_secret_of_a_query_is_logged_or_told(caplog, peer):
    """In the line of each request, the steps at DEBUG, messages, reprs and notes."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next?sig=hunter2\r\nContent-Length: 0\r\n\r\n"
    gone = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    url = peer(answering(moved, gone)).url("/x?token=hunter2&page=1")
    with caplog.at_level(logging.DEBUG), httpx_fast.Client(follow_redirects=True, trust_env=False) as client:
        response = client.get(url)
        with pytest.raises(httpx_fast.HTTPStatusError, match=r"sig=\[secure\]") as caught:
            response.raise_for_status()
        with pytest.raises(httpx_fast.UnsupportedProtocol, match=r"token=\[secure\]"):
            client.get(url.replace("http", "ftp"))
    assert "GET" in caplog.text
    assert "page=1" in caplog.text
    shown = [caplog.text, told(caught.value), repr(response.request), repr(response.history), repr(response.headers)]
    assert not any(SECRET in text for text in shown)


def test_names_of_secrets_can_be_added():
    url, headers = URL("http://a.test/?ticket=hunter2"), Headers({"X-Ticket": SECRET})
    assert SECRET in repr(url)
    before = masking._added
    try:
        httpx_fast.add_secret_names("Ticket", "x-ticket")
        assert SECRET not in repr(url) + repr(headers)
        assert SECRET in str(url)
    finally:
        masking._added = before
    with pytest.raises(TypeError, match="names as strings"):
        httpx_fast.add_secret_names(b"ticket")
