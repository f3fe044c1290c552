"""What makes no sense as an argument is refused in words: what was seen, and what was expected; secrets stay unseen."""

from __future__ import annotations

import inspect
import io
import pathlib
import warnings

import pytest

import httpx_fast
from httpx_fast import AsyncHTTPTransport, Client, HTTPTransport, Limits, MockTransport, Proxy, Response

URL = "http://host.test/"


def post(**options):
    with Client(transport=MockTransport(lambda request: Response(200))) as client:
        return client.post(URL, **options)


def ask(method):
    with Client(transport=MockTransport(lambda request: Response(200))) as client:
        return client.request(method, URL)


def send(request):
    with Client(transport=MockTransport(lambda request: Response(200))) as client:
        return client.send(request)


async def later(request):
    """A hook of an async client."""


def hooked(hook):
    transport = MockTransport(lambda request: Response(200))
    with Client(transport=transport, event_hooks={"request": hook}) as client:
        client.get(URL)


def reach(**settings):
    with Client(transport=HTTPTransport(**settings)) as client:
        client.get("http://127.0.0.1:1/")


def granted(timeout):
    with Client(transport=HTTPTransport()) as client:
        client.get("http://127.0.0.1:1/", extensions={"timeout": timeout})


PAIRS = "expected a mapping, or pairs of name and value"
CASES = [
    (lambda: post(headers=5), TypeError, f"headers is int; {PAIRS}"),
    (lambda: post(headers="X: a"), ValueError, f"headers is str; {PAIRS}"),
    (
        lambda: post(headers=[("X", "a"), ("Authorization", "secret", 1)]),
        ValueError,
        "headers has tuple of 3 at index 1",
    ),
    (lambda: post(headers=["X: a"]), ValueError, "headers has str at index 0"),
    (lambda: post(headers=[5]), ValueError, "headers has int at index 0"),
    (lambda: post(headers={"X-Name": "\u00e9"}), UnicodeEncodeError, "in the value of header 'X-Name': give bytes"),
    (lambda: post(headers={"\u00e9": "a"}), UnicodeEncodeError, "in a header name"),
    (lambda: post(params=5), TypeError, f"params is int; {PAIRS}"),
    (lambda: post(params=["a"]), ValueError, "params has str at index 0"),
    (lambda: post(params=[("a", "b", "c")]), ValueError, "params has tuple of 3 at index 0"),
    (lambda: Client(cookies=5), TypeError, f"cookies is int; {PAIRS}"),
    (lambda: Client(cookies="a=b"), ValueError, f"cookies is str; {PAIRS}"),
    (lambda: Client(cookies={"a": 5}), TypeError, "the value of cookie 'a' is int; expected str"),
    (lambda: post(files=5), TypeError, f"files is int; {PAIRS}"),
    (lambda: post(files=[("a",)]), ValueError, "files has tuple of 1 at index 0"),
    (lambda: post(files={"a": None}), TypeError, "form file 'a' is NoneType; expected bytes, str, or an open binary"),
    (lambda: post(files={"a": ("name", 5)}), TypeError, "form file 'a' is int"),
    (lambda: post(files={5: b"x"}), TypeError, "the name of a form file is str, not int: 5"),
    (
        lambda: post(content=["a"]).request.read(),
        TypeError,
        r"an item of the body is str; expected bytes \(encode it\)",
    ),
    (
        lambda: post(content=[("a", "b")]).request.read(),
        TypeError,
        r"is tuple; expected bytes \(a form is a dict, given",
    ),
    (lambda: post(content=iter([b"a", None])).request.read(), TypeError, "is NoneType; expected bytes$"),
    (lambda: post(files={"a": io.StringIO("x")}), TypeError, "form file 'a' is StringIO, which gives text"),
    (
        lambda: post(files={"a": ("name", b"x", 5)}).request.read(),
        TypeError,
        "header 'Content-Type' is int; expected str",
    ),
    (lambda: post(auth=("secret",)), TypeError, "auth is tuple of 1; expected a tuple of user name and password"),
    (lambda: post(auth=("user", 5)), TypeError, "the password is int; expected str or bytes"),
    (lambda: post(auth=(None, "secret")), TypeError, "the user name is NoneType; expected str or bytes"),
    (lambda: post(extensions=5), TypeError, "expected a mapping as extensions, got int"),
    (lambda: granted(5), TypeError, "expected a mapping of phases to seconds as extension 'timeout', got 5"),
    (lambda: ask(5), TypeError, "expected a str as method, got int: 5"),
    (lambda: ask(None), TypeError, "expected a str as method, got NoneType"),
    (lambda: ask(b"GET"), TypeError, "expected a str as method, got bytes: b'GET'"),
    (lambda: send(URL), TypeError, r"expected a Request, as build_request\(\) makes them, got str"),
    (lambda: Client(limits=5), TypeError, "expected Limits as limits, got 5"),
    (
        lambda: Client(limits=Limits(max_connections="5")),
        TypeError,
        "expected a count, or None for no limit, as max_connections, got '5'",
    ),
    (lambda: Client(transport=5), TypeError, r"int has no handle_request\(\); Client takes a BaseTransport"),
    (lambda: Client(transport=AsyncHTTPTransport()), TypeError, r"AsyncHTTPTransport has no handle_request\(\)"),
    (lambda: Client(mounts={"all://": 5}), TypeError, r"int has no handle_request\(\)"),
    (
        lambda: httpx_fast.AsyncClient(transport=HTTPTransport()),
        TypeError,
        r"HTTPTransport has no handle_async_request\(\); AsyncClient takes an AsyncBaseTransport",
    ),
    (lambda: HTTPTransport(retries="2"), TypeError, "expected a number of tries as retries, got '2'"),
    (lambda: HTTPTransport(retries=-1), ValueError, "expected 0 or more as retries, got -1"),
    (
        lambda: reach(local_address="192.0.2.1"),
        httpx_fast.ConnectError,
        r"could not connect to 127\.0\.0\.1:1: .* for the local address '192\.0\.2\.1'",
    ),
    (lambda: hooked(print), TypeError, r"expected a list of callables as event_hooks\['request'\], got <built-in"),
    (lambda: hooked([5]), TypeError, r"expected a list of callables as event_hooks\['request'\], got \[5\]"),
    (lambda: hooked([later]), TypeError, "event hook <function later .* is asynchronous; Client calls hooks"),
    (lambda: Proxy("http://p.test", auth=5), TypeError, "expected a tuple of user name and password as auth, got int"),
    (lambda: Proxy("http://p.test", auth=("secret",)), TypeError, "as auth, got tuple of 1"),
    (lambda: list(Response(200, content=b"x").iter_bytes("2")), TypeError, "as chunk_size, got '2'"),
    (
        lambda: post(files={"a": pathlib.Path(__file__)}),
        TypeError,
        r"or an open binary file, as open\(path, 'rb'\) gives",
    ),
    (lambda: httpx_fast.get(URL, allow_redirects=True), TypeError, r"get\(\) .*'allow_redirects'; .*follow_redirects="),
    (
        lambda: httpx_fast.stream("GET", URL, proxies={}),
        TypeError,
        r"stream\(\) .*'proxies'; here it is proxy=.*mounts=",
    ),
    (
        lambda: Client(proxies={"all://": "http://u:secret@p.test"}),
        TypeError,
        r"Client\.__init__\(\) .*'proxies'; .*mounts=",
    ),
    (lambda: Client(app=print), TypeError, r"'app'; here it is transport=ASGITransport\(app=...\) or WSGITransport"),
    (lambda: httpx_fast.AsyncClient(allow_redirects=True), TypeError, "here it is follow_redirects="),
    (
        lambda: httpx_fast.AsyncClient(retries=1),
        TypeError,
        r"or for connecting alone transport=HTTPTransport\(retries=",
    ),
    (lambda: Client(event_hooks={"requests": []}), ValueError, "'requests', which nothing calls; expected 'request'"),
    (
        lambda: setattr(Client(), "event_hooks", {"on_error": [], "error": [], "response": []}),
        ValueError,
        "event_hooks has 'error', 'on_error', which nothing calls",
    ),
    (lambda: Client(middlewares=print), TypeError, "expected a list of callables as middlewares, got <built-in"),
    (lambda: Client(middlewares="ab"), TypeError, "expected a list of callables as middlewares, got 'ab'"),
    (lambda: httpx_fast.AsyncClient(middlewares=[1]), TypeError, "expected callables as middlewares, got 1"),
    (lambda: HTTPTransport(proxies={}), TypeError, "'proxies'; here it is proxy="),
    (lambda: AsyncHTTPTransport(proxies={}), TypeError, "'proxies'; here it is proxy="),
    (
        lambda: Client(proxy={"all://": "http://u:secret@p.test"}),
        TypeError,
        "expected one proxy URL, got a mapping: .*mounts=",
    ),
    (lambda: Client(unheard_of=1), TypeError, "unexpected keyword argument 'unheard_of'"),
]


@pytest.mark.parametrize(("call", "error", "said"), CASES, ids=[said for _, _, said in CASES])
def test_bad_arguments_are_refused_in_words(call, error, said):
    with pytest.raises(error, match=said) as caught:
        call()
    assert "secret" not in str(caught.value)


TWO_BODIES = [
    ({"data": {"a": "1"}, "json": {"b": 2}}, "data and json"),
    ({"data": {"a": "1"}, "json": 0}, "data and json"),
    ({"data": b"1", "json": {"b": 2}}, "data and json"),
    ({"content": b"1", "json": {"b": 2}}, "content and json"),
    ({"content": iter([b"1"]), "json": {"b": 2}}, "content and json"),
    ({"content": b"", "data": {"b": 2}}, "content and data"),
    ({"content": b"1", "files": {"f": b""}}, "content and files"),
    ({"content": b"1", "data": {"a": 1}, "files": {"f": b""}, "json": []}, "content, data, files and json"),
]


@pytest.mark.parametrize(("bodies", "seen"), TWO_BODIES)
def test_two_bodies_are_refused(bodies, seen):
    said = f"^expected one body, got {seen}; only data and files go together$"
    with pytest.raises(TypeError, match=said):
        post(**bodies)
    with pytest.raises(TypeError, match=said):
        httpx_fast.Request("POST", URL, **bodies)
    with httpx_fast.Client() as client, pytest.raises(TypeError, match=said):
        client.build_request("POST", URL, **bodies)


WARNED = [
    (lambda: post(files={"f": b""}, json=[]), "json will not be sent: .* that of files"),
    (lambda: post(data={"a": 1}, files={"f": b""}, json=[]), "json will not be sent: .* that of data and files"),
    (lambda: post(files={"f": __file__}), r"form file 'f' is a str, .* a file of that name: .* open\(path, 'rb'\)"),
    (lambda: post(files={"f": ("name", __file__)}), "form file 'f' is a str, which is sent as the content"),
]


@pytest.mark.parametrize(("call", "said"), WARNED, ids=[said for _, said in WARNED])
def test_what_would_go_unheeded_is_warned_of_where_it_is_written(call, said):
    with pytest.warns(UserWarning, match=said) as caught:
        call()
    assert [each.filename for each in caught] == [__file__]


def test_bodies_that_say_one_thing_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for options in (
            {"data": {}, "json": {"a": 1}},
            {"data": {"a": 1}, "json": None},
            {"data": {"a": 1}, "files": {"f": b""}},
            {"data": {"a": 1}, "files": {}},
            {"content": b""},
            {"json": None},
            {"files": {"f": "a text"}},
            {"files": {"f": ""}},
            {"files": {"f": "of\nlines"}},
            {"files": {"f": "\0"}},
        ):
            post(**options)


def test_explained_names_leave_the_signature_as_it_is():
    for function in (httpx_fast.get, httpx_fast.stream, Client.__init__, HTTPTransport.__init__):
        assert (
            "follow_redirects" in inspect.signature(function).parameters
            or "proxy" in inspect.signature(function).parameters
        )
        assert not [each for each in inspect.signature(function).parameters.values() if each.kind is each.VAR_KEYWORD]


def test_what_was_consumed_is_not_looked_at_again():
    with pytest.raises(ValueError, match=r"not enough values|need more than 1 value"):
        httpx_fast.Headers(iter([("X",)]))


def test_a_method_that_is_no_token_is_shown():
    with (
        Client(transport=HTTPTransport()) as client,
        pytest.raises(httpx_fast.LocalProtocolError, match=r"token.*xc9"),
    ):
        client.request("\u00c9", "http://127.0.0.1:1/")


@pytest.mark.parametrize("content", [b"<html>", b"", b'{"a": 1', b"[" + b"1" * 100])
def test_what_is_no_json_is_shown_beside_the_error(content):
    response = Response(502, headers={"Content-Type": "text/html"}, content=content)
    with pytest.raises(ValueError, match=r"char \d+") as caught:
        response.json()
    begin = repr(content[:64]) + ("..." if len(content) > 64 else "")
    assert caught.value.__notes__ == [
        f"The response is 502, Content-Type 'text/html'; its content begins with {begin}."
    ]


class Giving(httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport):
    """A transport that answers with what it was made with."""

    def __init__(self, given):
        self.given = given

    def handle_request(self, request):
        return self.given

    async def handle_async_request(self, request):
        return self.given


class Hasty(Giving):
    """One that forgot `async`."""

    def handle_async_request(self, request):
        return self.given


class Foreign:
    """The response of another library."""


@pytest.mark.parametrize("kind", [Giving, Hasty])
@pytest.mark.parametrize(
    ("given", "seen"), [(None, r"builtins\.NoneType"), (5, r"builtins\.int"), (Foreign(), "Foreign")]
)
def test_a_transport_that_gives_no_response_is_named(backend, kind, given, seen):
    client = backend.client(transport=kind(given))

    async def body():
        with pytest.raises(TypeError, match=rf"{kind.__name__} gave .*{seen} for a response; expected a httpx_fast\."):
            await client.get(URL)

    backend.run(body)


def test_a_type_error_within_a_transport_stays_what_it_is(backend):
    def answer(request):
        raise TypeError("mine")

    client = backend.client(transport=MockTransport(answer))

    async def body():
        with pytest.raises(TypeError, match="mine"):
            await client.get(URL)

    backend.run(body)


@pytest.mark.parametrize("stream", [False, True])
def test_a_body_of_the_other_world_is_refused_in_words(backend, stream):
    async def later():
        yield b"x"

    def now():
        yield b"x"

    content = now() if backend.asynchronous else later()
    client = backend.client(transport=MockTransport(lambda request: Response(200, content=content)))

    async def body():
        with pytest.raises(
            RuntimeError, match=r"the transport's response has the body .*ByteStream, which this client"
        ):
            await client.send(client.build_request("GET", URL), stream=stream)

    backend.run(body)


def refuse(**options):
    """Open an event stream, or a WebSocket, where the arguments have to be wrong before anything is sent."""
    with Client(transport=MockTransport(lambda request: pytest.fail("it was sent"))) as client:
        kind = (
            client.sse
            if options.keys() & {"max_event_size", "stall_timeout", "pings", "reconnect"}
            else client.websocket
        )
        with kind("http://host.test/", **options):
            pass


NUMBERS = (True, "5", b"5", [1], object(), float("nan"), -1)
COUNTS = (*NUMBERS, 1.5, float("inf"))
LISTS = ("abc", b"abc", 5, [True], [None], ["503"], [-1], [5.5])
TRUTHS = ("yes", 1, 0.5)
#: The maker, and of each of its arguments what makes no sense as that.
NONSENSE = {
    httpx_fast.Retry: {
        "attempts": (*COUNTS, 0, None),
        **dict.fromkeys(("backoff", "backoff_max", "retry_after_max", "budget_floor"), (*NUMBERS, None)),
        "budget": (*NUMBERS, 1.5),
        "statuses": (*LISTS, None),
        "exceptions": (*LISTS, None),
        "methods": ("GET", b"GET", 5, [True], [None], ["A B"]),
        "idempotency_headers": ("Key", b"Key", 5, [True], [None], ["A B"]),
        "hedge": (True, 1, httpx_fast.Breaker()),
        "breaker": (True, 1, httpx_fast.Hedge()),
    },
    httpx_fast.Reconnect: {
        "attempts": (*COUNTS, 0),
        **dict.fromkeys(("backoff", "backoff_max", "retry_max"), (*NUMBERS, None)),
        "statuses": (*LISTS, None),
        "close_codes": (*LISTS, None, [503]),
        "at_end": TRUTHS,
        "final": (True, 5, b"[DONE]"),
    },
    httpx_fast.Hedge: {
        "percentile": (*NUMBERS, 0, 1),
        "samples": (*COUNTS, 0, 10_000),
        "least": NUMBERS,
    },
    httpx_fast.Breaker: {
        "failures": (*NUMBERS, 0, 1.5),
        "minimum": (*COUNTS, 0),
        "window": (*NUMBERS, 0),
        "open_for": (*NUMBERS, 0),
        "probes": (*COUNTS, 0),
        "statuses": (*LISTS, None),
    },
    Limits: {
        **dict.fromkeys(("max_connections", "max_per_host"), (*COUNTS, 0)),
        **dict.fromkeys(("max_keepalive_connections", "max_response_size"), COUNTS),
        **dict.fromkeys(("keepalive_expiry", "max_age"), NUMBERS),
        **dict.fromkeys(("rate",), (*NUMBERS, 0)),
        "max_head_size": (*COUNTS, 0, 16 * 1024 * 1024 + 1),
        "burst": (*COUNTS, 0),
    },
    httpx_fast.Timeout: {"timeout": NUMBERS, **dict.fromkeys(("total",), NUMBERS)},
    httpx_fast.TCPKeepAlive: dict.fromkeys(("idle", "interval", "count"), (*COUNTS, 0, None)),
    HTTPTransport: {
        "retries": COUNTS,
        "uds": (True, 5, b"/run/a.sock", ["/run/a.sock"]),
        "local_address": (True, 5, b"127.0.0.1", ("127.0.0.1", 0)),
        "socket_options": ("abc", 5, [5], ["abc"], (6, 1, 1), [(6, 1)], [(6, 1, 1, 1, 1)], [("6", 1, 1)]),
        "replay": (*TRUTHS, 0),
        "http2_ping_after": (*NUMBERS, 0),
        "keepalive": (5, "yes", 0.5),
        "resolver": (True, 5, "8.8.8.8"),
        "address_filter": (True, 5, "private"),
    },
    Client: {
        "max_redirects": (*COUNTS, None),
        "http2_ping_after": (*NUMBERS, 0),
        "event_hooks": ("abc", b"abc", 5, True, [print], print, {"request": "abc"}, {"response": [5]}),
    },
    httpx_fast.CachingResolver: {
        "resolver": (True, 5, "8.8.8.8"),
        "ttl": (*NUMBERS, 0),
        "max_entries": (*COUNTS, 0),
    },
    httpx_fast.StaticResolver: {"addresses": (5, "a", [("a", "127.0.0.1")], {"a": "b"}, {"a": []})},
    httpx_fast.AddressFilter: dict.fromkeys(("deny", "allow"), ("private", b"private", 5, [True], [5], ["a"])),
    refuse: {
        "max_event_size": (*COUNTS, 0),
        "stall_timeout": (*NUMBERS, 0),
        "pings": ("ping", b"ping", 5, [5]),
        "reconnect": (1, "yes", httpx_fast.Retry()),
        "max_message_size_bytes": (*COUNTS, 0),
        "queue_size": (*COUNTS, 0),
        "keepalive_ping_interval_seconds": (*NUMBERS, 0),
        "keepalive_ping_timeout_seconds": (*NUMBERS, 0),
        "subprotocols": ("chat", b"chat"),
    },
}
CASES_OF_NONSENSE = [
    (make, name, value)
    for make, arguments in NONSENSE.items()
    for name, values in arguments.items()
    for value in values
]


@pytest.mark.parametrize(
    ("make", "name", "value"),
    CASES_OF_NONSENSE,
    ids=[f"{make.__name__}-{name}-{type(value).__name__}" for make, name, value in CASES_OF_NONSENSE],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(make, name, value):
    with pytest.raises((TypeError, ValueError), match=r"^expected .*got ") as caught:
        make(**{name: value})
    assert name in str(caught.value) or make is httpx_fast.StaticResolver


@pytest.mark.parametrize("make", [httpx_fast.Retry, httpx_fast.Reconnect, httpx_fast.Hedge, httpx_fast.Breaker, Limits])
def test_every_argument_is_in_the_table(make):
    assert NONSENSE[make].keys() == inspect.signature(make).parameters.keys()


@pytest.mark.parametrize("make", [httpx_fast.Timeout, lambda seconds: Limits(max_age=seconds)])
def test_settings_are_compared_by_what_was_set(make):
    """SDKs write `__module__` into each object that they export, a default timeout for one."""
    exported = make(5)
    exported.__module__ = "an.sdk"
    assert exported == make(5)
    assert exported != make(6)
