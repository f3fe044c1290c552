"""The ASGI transport, on asyncio and trio: what the application sees, streaming both ways, and every way to end."""

from __future__ import annotations

import asyncio
import contextvars

import pytest
import trio

import httpx_fast
from httpx_fast import ASGITransport
from httpx_fast._transports import asgi


@pytest.fixture(autouse=True)
def only_asynchronous(backend):
    if not backend.asynchronous:
        pytest.skip("ASGI is for asynchronous clients")


@pytest.fixture
def serve(backend):
    """Runs a test body with a client of an application."""

    def run(app, test, **options):
        async def body():
            async with httpx_fast.AsyncClient(transport=ASGITransport(app, **options)) as client:
                return await test(client)

        return backend.run(body)

    return run


def start(status=200, headers=()):
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def part(body=b"", more=False):
    return {"type": "http.response.body", "body": body, "more_body": more}


async def hello(scope, receive, send):
    await send(start(200, [(b"content-type", b"text/plain")]))
    await send(part(b"hello"))


async def get(client):
    return await client.get("http://a.test/")


def test_answer_of_the_application(serve):
    response = serve(hello, get)
    assert (response.status_code, response.text) == (200, "hello")
    assert response.headers["content-type"] == "text/plain"
    assert response.elapsed.total_seconds() >= 0


def test_scope(serve):
    async def app(scope, receive, send):
        seen.update(scope)
        await hello(scope, receive, send)

    seen = {}

    async def test(client):
        await client.put("https://a.test:8443/p%C3%A4th/x?q=1", headers={"X-Mine": "1"}, content=b"x")

    serve(app, test, root_path="/sub", client=("1.2.3.4", 5))
    assert seen["type"] == "http"
    assert seen["asgi"]["version"] == "3.0"
    assert seen["http_version"] == "1.1"
    assert seen["method"] == "PUT"
    assert seen["scheme"] == "https"
    assert seen["path"] == "/päth/x"
    assert seen["raw_path"] == b"/p%C3%A4th/x"
    assert seen["query_string"] == b"q=1"
    assert seen["root_path"] == "/sub"
    assert seen["client"] == ("1.2.3.4", 5)
    assert seen["server"] == ("a.test", 8443)
    assert (b"x-mine", b"1") in seen["headers"]
    assert (b"host", b"a.test:8443") in seen["headers"]


async def echo(scope, receive, send):
    await send(start())
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send(part(message["body"], more))


def test_body_of_the_request_arrives(serve):
    async def test(client):
        return await client.post("http://a.test/", content=b"some content")

    assert serve(echo, test).content == b"some content"


def test_bodies_stream_both_ways_at_once(serve, backend):
    """The second piece of the request depends on the first piece of the response."""

    async def test(client):
        heard = backend.event()

        async def talk():
            yield b"one"
            await heard.wait()
            yield b"two"

        received = []
        async with client.stream("POST", "http://a.test/", content=talk()) as response:
            async for piece in response.aiter_raw():
                received.append(piece)
                heard.set()
        return received

    assert serve(echo, test) == [b"one", b"two"]


def test_response_is_there_before_its_body(serve, backend):
    async def test(client):
        go = backend.event()

        async def app(scope, receive, send):
            await send(start(201))
            await go.wait()
            await send(part(b"late"))

        client._transport.app = app
        async with client.stream("GET", "http://a.test/") as response:
            assert response.status_code == 201
            go.set()
            return await response.aread()

    assert serve(hello, test) == b"late"


def test_sending_waits_for_the_reader(serve):
    sent = []

    async def app(scope, receive, send):
        await send(start())
        for number in range(10):
            await send(part(b"x" * asgi.HIGH_WATER, more=True))
            sent.append(number)
        await send(part())

    async def test(client):
        async with client.stream("GET", "http://a.test/") as response:
            pieces = response.aiter_raw()
            for number in range(3):
                await anext(pieces)
                assert len(sent) <= number + 1
            return number + 3 + len([piece async for piece in pieces])

    assert serve(app, test) == 12
    assert len(sent) == 10


def test_small_parts_do_not_wait(serve):
    async def app(scope, receive, send):
        await send(start())
        for _ in range(100):
            await send(part(b"x", more=True))
        finished.append(True)
        await send(part())

    finished = []

    async def test(client):
        async with client.stream("GET", "http://a.test/") as response:
            assert finished == [True]
            return await response.aread()

    assert serve(app, test) == b"x" * 100


def test_head_has_no_body(serve):
    async def test(client):
        return await client.head("http://a.test/")

    assert serve(hello, test).content == b""


def test_reading_to_the_end_waits_for_the_application(serve, backend):
    done = []

    async def app(scope, receive, send):
        await hello(scope, receive, send)
        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        done.append(True)

    serve(app, get)
    assert done == [True]


def test_receive_after_the_request_waits_for_the_response(serve):
    seen = []

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await send(start())
        await send(part(b"x"))
        seen.append((await receive())["type"])

    serve(app, get)
    assert seen == ["http.disconnect"]


def test_closing_early_is_a_disconnect_for_receive(serve):
    seen = []

    async def app(scope, receive, send):
        while (await receive())["more_body"]:
            pass
        await send(start())
        await send(part(b"x", more=True))
        seen.append((await receive())["type"])

    async def test(client):
        async with client.stream("GET", "http://a.test/"):
            pass
        assert seen == ["http.disconnect"]

    serve(app, test)


def test_closing_early_is_an_error_for_send(serve):
    seen = []

    async def app(scope, receive, send):
        await send(start())
        try:
            while True:
                await send(part(b"x" * asgi.HIGH_WATER, more=True))
        except OSError as error:
            seen.append(str(error))
            raise

    async def test(client):
        async with client.stream("GET", "http://a.test/") as response:
            await anext(response.aiter_raw())
        assert seen == ["the client has closed the response"]

    serve(app, test)


def test_application_that_does_not_notice_is_cancelled(serve, backend, monkeypatch):
    monkeypatch.setattr(asgi, "GRACE", 0.01)
    ended = []

    async def app(scope, receive, send):
        try:
            await send(start())
            await backend.event().wait()
        finally:
            ended.append(True)

    async def test(client):
        async with client.stream("GET", "http://a.test/"):
            pass
        assert ended == [True]

    serve(app, test)


def test_cancelling_the_request_cancels_the_application(serve, backend):
    ended = []

    async def test(client):
        reached = backend.event()

        async def app(scope, receive, send):
            try:
                reached.set()
                await backend.event().wait()
            finally:
                ended.append(True)

        client._transport.app = app
        await cancelled(backend, client, reached)
        assert ended == [True]

    serve(hello, test)


def test_cancelling_while_the_body_is_read_cancels_the_application(serve, backend):
    ended = []

    async def test(client):
        reached = backend.event()

        async def app(scope, receive, send):
            try:
                await send(start())
                await send(part(b"x", more=True))
                reached.set()
                await backend.event().wait()
            finally:
                ended.append(True)

        client._transport.app = app
        await cancelled(backend, client, reached)
        assert ended == [True]

    serve(hello, test)


async def cancelled(backend, client, reached):
    """Sends a request and cancels it once `reached` is set."""
    if backend.name == "trio":
        async with trio.open_nursery() as nursery:
            nursery.start_soon(client.get, "http://a.test/")
            await reached.wait()
            nursery.cancel_scope.cancel()
        return
    task = asyncio.create_task(client.get("http://a.test/"))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def fails_before(scope, receive, send):
    raise ValueError("in the application")


async def fails_after_start(scope, receive, send):
    await send(start())
    raise ValueError("in the application")


async def fails_within(scope, receive, send):
    await send(start())
    await send(part(b"x" * asgi.HIGH_WATER, more=True))
    raise ValueError("in the application")


async def fails_after(scope, receive, send):
    await hello(scope, receive, send)
    raise ValueError("in the application")


@pytest.mark.parametrize("app", [fails_before, fails_after_start, fails_within, fails_after])
def test_exceptions_of_the_application_are_raised(serve, app):
    with pytest.raises(ValueError, match="in the application"):
        serve(app, get)


@pytest.mark.parametrize(
    ("app", "status", "length"),
    [(fails_before, 500, 0), (fails_after_start, 200, 0), (fails_within, 200, asgi.HIGH_WATER), (fails_after, 200, 5)],
)
def test_exceptions_of_the_application_end_the_response_if_told_so(serve, app, status, length):
    response = serve(app, get, raise_app_exceptions=False)
    assert (response.status_code, len(response.content)) == (status, length)


async def says_nothing(scope, receive, send):
    pass


async def starts_only(scope, receive, send):
    await send(start())


async def never_completes(scope, receive, send):
    await send(start())
    await send(part(b"x", more=True))


@pytest.mark.parametrize(
    ("app", "message"),
    [
        (says_nothing, "without starting its response"),
        (starts_only, "without completing its response"),
        (never_completes, "without completing its response"),
    ],
)
def test_application_that_returns_too_early_is_an_error(serve, app, message):
    with pytest.raises(httpx_fast.RemoteProtocolError, match=message) as caught:
        serve(app, get)
    assert caught.value.request.url == "http://a.test/"


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([start(), start()], "started its response twice"),
        ([part(b"x")], "sent a body before it started"),
        ([start(), part(b"x"), part(b"y")], "sent a body after it completed"),
        ([{"type": "http.response.pathsend"}], "'http.response.pathsend', which an HTTP response does not have"),
    ],
)
def test_messages_out_of_order_are_errors_of_the_application(serve, messages, complaint):
    async def app(scope, receive, send):
        for message in messages:
            await send(message)

    with pytest.raises(RuntimeError, match=complaint):
        serve(app, get)


def test_application_sees_the_callers_context(serve):
    variable = contextvars.ContextVar("variable", default="unset")
    seen = []

    async def app(scope, receive, send):
        seen.append(variable.get())
        await hello(scope, receive, send)

    async def test(client):
        variable.set("set")
        await client.get("http://a.test/")

    serve(app, test)
    assert seen == ["set"]


def test_requests_at_once_do_not_mix(serve, backend):
    async def test(client):
        async def one(number):
            response = await client.post("http://a.test/", content=b"%d" % number)
            assert response.content == b"%d" % number

        def body(number):
            return lambda: one(number)

        await backend.together(*(body(number) for number in range(20)))

    serve(echo, test)


def test_redirects_and_cookies_work_as_over_the_network(serve):
    async def app(scope, receive, send):
        if scope["path"] == "/start":
            await send(start(302, [(b"location", b"/end"), (b"set-cookie", b"a=1")]))
            await send(part())
        else:
            await send(start())
            await send(part(dict(scope["headers"])[b"cookie"]))

    async def test(client):
        return await client.get("http://a.test/start", follow_redirects=True)

    assert serve(app, test).text == "a=1"


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("starts", [False, True])
def test_the_total_of_a_request_ends_an_application_that_does_not(serve, starts, streamed):
    ended = []

    async def stalling(scope, receive, send):
        if starts:
            await send(start())
            await send(part(b"first", more=True))
        try:
            await asgi.Signal().wait()  # nobody notifies it
        finally:
            ended.append(scope["path"])

    async def attempt(client):
        missing = "its response had not ended" if starts else "its response had not started"
        for total in (0.02, 0.2, 2.0):  # on a busy machine the application may not have begun after the first of them
            timeout = httpx_fast.Timeout(None, total=total)
            ended.clear()
            with pytest.raises(httpx_fast.ReadTimeout, match=rf"^total timed out .* of {total:g} s") as caught:
                if streamed:
                    async with client.stream("GET", "http://a.test/late", timeout=timeout) as response:
                        await response.aread()
                else:
                    await client.get("http://a.test/late", timeout=timeout)
            assert (caught.value.phase, caught.value.limit, caught.value.budget) == ("read", "total", total)
            assert caught.value.request.url.path == "/late"
            if f"application: {missing}" in str(caught.value):
                break
        assert f"application: {missing}" in str(caught.value)
        assert ended == ["/late"]

    serve(stalling, attempt)


def test_an_application_that_answers_in_time_knows_nothing_of_the_total(serve):
    async def attempt(client):
        assert (await client.get("http://a.test/", timeout=httpx_fast.Timeout(None, total=60))).text == "hello"

    serve(hello, attempt)
