"""Clients: what their settings put into a request, and how long they live."""

from __future__ import annotations

import logging
import pickle
import ssl
import threading

import pytest

import httpx_fast
from httpx_fast import Response


def echo(request):
    return Response(
        200,
        json={
            "method": request.method,
            "url": str(request.url),
            "headers": request.headers.multi_items(),
            "content": request.content.decode(),
        },
    )


def ok(request):
    return Response(200, content=b"ok")


@pytest.fixture
def client():
    with httpx_fast.Client(transport=httpx_fast.MockTransport(echo)) as opened:
        yield opened


@pytest.mark.parametrize("method", ["get", "options", "head", "delete"])
def test_methods_without_content(backend, method):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo)) as opened:
            client = getattr(opened, "blocking", opened)
            response = getattr(client, method)("http://a.test/x", params={"a": "1"}, headers={"X": "y"})
            if backend.asynchronous:
                response = await response
            assert response.json()["method"] == method.upper()
            assert response.json()["url"] == "http://a.test/x?a=1"
            assert ["x", "y"] in response.json()["headers"]
            assert "content-length" not in dict(response.json()["headers"])

    backend.run(body)


@pytest.mark.parametrize("method", ["post", "put", "patch", "query"])
def test_methods_with_content(backend, method):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo)) as opened:
            client = getattr(opened, "blocking", opened)
            response = getattr(client, method)("http://a.test/", json={"a": 1})
            empty = getattr(client, method)("http://a.test/")
            if backend.asynchronous:
                response, empty = await response, await empty
            assert response.json()["method"] == method.upper()
            assert response.json()["content"] == '{"a":1}'
            assert dict(response.json()["headers"])["content-type"] == "application/json"
            assert dict(empty.json()["headers"])["content-length"] == "0"

    backend.run(body)


def test_repeated_fields_are_kept(client):
    headers = client.get("http://a.test/", headers=[("X", "1"), ("X", "2")]).json()["headers"]
    assert [value for name, value in headers if name == "x"] == ["1", "2"]


@pytest.mark.parametrize(
    ("base", "url", "merged"),
    [
        ("http://a.test", "/x", "http://a.test/x"),
        ("http://a.test/api", "/x", "http://a.test/api/x"),
        ("http://a.test/api/", "x", "http://a.test/api/x"),
        ("http://a.test/api/", "../x", "http://a.test/api/../x"),
        ("http://a.test/api", "", "http://a.test/api/"),
        ("http://a.test/api", "?q=1", "http://a.test/api/?q=1"),
        ("http://a.test/api", "http://b.test/y", "http://b.test/y"),
        ("", "http://b.test/y", "http://b.test/y"),
    ],
)
def test_base_url_is_put_before_relative_urls(base, url, merged):
    with httpx_fast.Client(base_url=base, transport=httpx_fast.MockTransport(echo)) as client:
        request = client.build_request("GET", url)
        assert request.url.host == httpx_fast.URL(merged).host
        if ".." not in url:
            assert str(request.url) == merged


def test_base_url_ends_in_a_slash():
    client = httpx_fast.Client(base_url="http://a.test/api", transport=httpx_fast.MockTransport(ok))
    assert client.base_url == httpx_fast.URL("http://a.test/api/")
    client.base_url = "http://b.test/v2"
    assert str(client.base_url) == "http://b.test/v2/"


def test_params_are_merged(client):
    client.params = {"a": "1", "b": "2"}
    assert client.get("http://a.test/").json()["url"] == "http://a.test/?a=1&b=2"
    assert client.get("http://a.test/", params={"b": "3"}).json()["url"] == "http://a.test/?a=1&b=3"
    assert client.get("http://a.test/", params={}).json()["url"] == "http://a.test/?a=1&b=2"


def test_timeout_of_the_request_takes_the_place_of_the_clients(client):
    assert client.build_request("GET", "http://a.test/").extensions["timeout"]["read"] == 5.0
    client.timeout = 3
    assert client.build_request("GET", "http://a.test/").extensions["timeout"]["read"] == 3
    assert client.build_request("GET", "http://a.test/", timeout=None).extensions["timeout"]["read"] is None
    given = {"timeout": {"read": 1}, "mine": 2}
    assert client.build_request("GET", "http://a.test/", timeout=9, extensions=given).extensions == given


def test_timeouts_of_requests_in_turn_do_not_mix(client):
    def read_timeout(timeout):
        return client.build_request("GET", "http://a.test/", timeout=timeout).extensions["timeout"]["read"]

    given = [3.0, 3.0, None, 4, httpx_fast.Timeout(5), (1, 2), 3.0]
    assert [read_timeout(timeout) for timeout in given] == [3.0, 3.0, None, 4, 5, 2, 3.0]


def test_extensions_that_were_given_are_not_changed(client):
    given = {"mine": 1}
    request = client.build_request("GET", "http://a.test/", extensions=given)
    assert request.extensions["mine"] == 1
    assert request.extensions["timeout"]["connect"] == 5.0
    assert given == {"mine": 1}


def test_request_made_without_the_client_gets_its_timeouts(backend):
    seen = []

    async def body():
        transport = httpx_fast.MockTransport(lambda request: seen.append(request.extensions) or Response(200))
        async with backend.client(transport=transport, timeout=4) as client:
            await client.send(httpx_fast.Request("GET", "http://a.test/"))
            await client.send(httpx_fast.Request("GET", "http://a.test/", extensions={"timeout": {"read": 1}}))

    backend.run(body)
    assert seen[0]["timeout"] == {"connect": 4, "read": 4, "write": 4, "pool": 4}
    assert seen[1] == {"timeout": {"read": 1}}


def test_default_encoding_is_for_text_without_a_charset(site):
    server = site(lambda request: Response(200, content="€".encode("cp1252"), headers={"content-type": "text/plain"}))
    assert server.get("http://a.test/", client={"default_encoding": "cp1252"}).text == "€"
    assert server.get("http://a.test/", client={"default_encoding": lambda content: "cp1252"}).text == "€"


def test_response_knows_its_request(site):
    server = site(ok)
    response = server.get("http://a.test/x")
    assert response.request is server.requests[0]
    assert response.url == "http://a.test/x"
    assert response.elapsed.total_seconds() >= 0


def test_elapsed_is_known_once_the_body_is_read_or_closed(backend, make_body):
    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(200, stream=make_body(b"a")))
        async with backend.client(transport=transport) as client:
            async with client.stream("GET", "http://a.test/") as response:
                with pytest.raises(RuntimeError, match="elapsed"):
                    response.elapsed  # noqa: B018 - what is asked for is raised
            assert response.elapsed.total_seconds() >= 0
            assert (await client.get("http://a.test/")).elapsed.total_seconds() >= 0

    backend.run(body)


def test_stream_gives_the_response_before_its_body(backend, make_body):
    answer = make_body(b"one", b"two")

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer))
        ) as client:
            async with client.stream("POST", "http://a.test/", content=b"x") as response:
                assert not response.is_closed
                with pytest.raises(httpx_fast.ResponseNotRead, match="read"):
                    response.content  # noqa: B018 - what is asked for is raised
                assert [piece async for piece in response.aiter_raw()] == [b"one", b"two"]
            assert response.is_closed

    backend.run(body)
    assert answer.closed == 1


def test_stream_closes_the_response_when_its_block_fails(backend, make_body):
    answer = make_body(b"one")

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer))
        ) as client:
            with pytest.raises(ValueError, match="in the block"):
                async with client.stream("GET", "http://a.test/"):
                    raise ValueError("in the block")

    backend.run(body)
    assert answer.closed == 1


def test_exception_names_its_request(backend):
    def fail(request):
        raise httpx_fast.ReadTimeout("too late")

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(fail)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match="too late") as caught:
                await client.get("http://a.test/x")
            assert caught.value.request.url.path == "/x"

    backend.run(body)


def test_exception_while_reading_names_its_request_and_closes_the_response(backend, make_body):
    answer = make_body(b"one", fails=httpx_fast.ReadError("cut off"))

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer))
        ) as client:
            with pytest.raises(httpx_fast.ReadError, match="cut off") as caught:
                await client.get("http://a.test/x")
            assert caught.value.request.url.path == "/x"

    backend.run(body)
    assert answer.closed == 1


def test_body_of_the_other_world_is_refused_before_it_is_sent(backend):
    async def pieces():
        yield b"a"

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(ok)) as client:
            content = iter([b"a"]) if backend.asynchronous else pieces()
            with pytest.raises(RuntimeError, match="which this client cannot read"):
                await client.post("http://a.test/", content=content)

    backend.run(body)


def test_cookies_of_a_single_request_are_deprecated_in_the_callers_code(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo)) as client:
            with pytest.warns(DeprecationWarning, match="cookies=... for a single request") as caught:
                response = await client.request("GET", "http://a.test/", cookies={"a": "1"})
            assert ["cookie", "a=1"] in response.json()["headers"]
            if backend.asynchronous:
                assert caught[0].filename == __file__
            assert not client.cookies

    backend.run(body)


def test_logs_one_line_for_each_response(site, caplog):
    caplog.set_level(logging.INFO, logger="httpx_fast")
    site(ok).get("http://a.test/x?y=1")
    assert [(record.name, record.levelname, record.getMessage()) for record in caplog.records] == [
        ("httpx_fast", "INFO", 'HTTP Request: GET http://a.test/x?y=1 "HTTP/1.1 200 OK"')
    ]


def test_log_keeps_credentials_of_the_url_to_itself(site, caplog):
    caplog.set_level(logging.INFO, logger="httpx_fast")
    site(ok).get("http://user:pass@a.test/")
    assert caplog.messages == ['HTTP Request: GET http://[secure]@a.test/ "HTTP/1.1 200 OK"']


def test_logs_nothing_below_info(site, caplog):
    caplog.set_level(logging.WARNING, logger="httpx_fast")
    site(ok).get("http://a.test/")
    assert caplog.messages == []


def test_overridden_methods_are_all_called(backend):
    calls = []

    def noting(name, own):
        def method(self, *arguments, **options):
            calls.append(name)
            return getattr(super(own, self), name)(*arguments, **options)

        return method

    kind = httpx_fast.AsyncClient if backend.asynchronous else httpx_fast.Client
    own = type("Own", (kind,), {})
    for name in ("request", "build_request", "send", "_transport_for_url", "_merge_url", "_merge_headers"):
        setattr(own, name, noting(name, own))

    async def body():
        client = own(transport=httpx_fast.MockTransport(ok))
        for _ in range(2):
            waiting = client.get("http://a.test/")
            if backend.asynchronous:
                await waiting
        await client.aclose() if backend.asynchronous else client.close()

    backend.run(body)
    expected = ["request", "build_request", "_merge_url", "_merge_headers", "send", "_transport_for_url"]
    assert sorted(calls) == sorted(expected * 2)
    assert calls[0] == "request"


@pytest.mark.parametrize("name", ["send", "_transport_for_url", "build_request", "request"])
def test_methods_patched_on_the_class_are_called(backend, monkeypatch, name):
    kind = httpx_fast.AsyncClient if backend.asynchronous else httpx_fast.Client
    original = getattr(kind, name)
    calls = []

    def patched(*arguments, **options):
        calls.append(name)
        return original(*arguments, **options)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(ok)) as client:
            await client.get("http://a.test/")
            monkeypatch.setattr(kind, name, patched)
            await client.get("http://a.test/")
            monkeypatch.undo()

    backend.run(body)
    assert calls == [name]


def test_transport_of_an_instance_can_be_replaced(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(ok)) as client:
            await client.get("http://a.test/")
            opened = getattr(client, "blocking", client)
            opened._transport = httpx_fast.MockTransport(lambda request: Response(201))
            assert (await client.get("http://a.test/")).status_code == 201

    backend.run(body)


def test_transport_is_made_by_init_transport():
    made = []

    class Own(httpx_fast.Client):
        def _init_transport(self, **settings):
            made.append(settings)
            return httpx_fast.MockTransport(ok)

    client = Own(http2=False, verify=False)
    assert client.get("http://a.test/").content == b"ok"
    assert made[0]["verify"] is False
    assert made[0]["transport"] is None


def test_making_a_client_opens_nothing_and_builds_no_tls_context(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("a TLS context was built")

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", refuse)
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", refuse)
    httpx_fast.Client().close()


def test_threads_may_share_a_client():
    failures = []
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(echo), headers={"X": "0"})

    def work(number):
        for turn in range(200):
            url = f"http://a.test/{number}/{turn % 7}"
            if turn % 50 == 0:
                client.headers["X"] = str(number)
            if client.get(url).json()["url"] != url:
                failures.append(url)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_use_client_default_says_what_it_is():
    assert repr(httpx_fast.USE_CLIENT_DEFAULT) == "USE_CLIENT_DEFAULT"


def test_public_names_say_that_they_live_in_the_package():
    for name in httpx_fast.__all__:
        if not name.startswith("__"):
            assert getattr(httpx_fast, name).__module__ == "httpx_fast", name
    assert pickle.loads(pickle.dumps(httpx_fast.URL("http://a.test/"))) == "http://a.test/"
    assert {*httpx_fast.__all__, "main"} == set(dir(httpx_fast))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        httpx_fast.nothing  # noqa: B018 - what is asked for is raised
