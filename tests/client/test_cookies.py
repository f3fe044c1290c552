"""Cookies of clients: what is sent, what is kept, and to whom."""

from __future__ import annotations

import http.cookiejar

import httpx_fast
from httpx_fast import Response


def echo(request):
    return Response(200, text=request.headers.get("cookie", ""))


def sets(*values, path="/set"):
    def handler(request):
        if request.url.path == path:
            return Response(200, headers=[("set-cookie", value) for value in values])
        return echo(request)

    return handler


def test_cookies_of_the_client_are_sent(site):
    assert site(echo).get("http://a.test/", client={"cookies": {"a": "1", "b": "2"}}).text in ("a=1; b=2", "b=2; a=1")


def test_cookies_that_a_response_sets_are_kept_and_sent(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(sets("a=1", "b=2; Path=/deep"))) as client:
            response = await client.get("http://a.test/set")
            assert response.cookies["a"] == client.cookies["a"] == "1"
            assert (await client.get("http://a.test/")).text == "a=1"
            assert (await client.get("http://a.test/deep/er")).text in ("a=1; b=2", "b=2; a=1")
            assert (await client.get("http://b.test/")).text == ""

    backend.run(body)


def test_cookie_can_be_deleted_by_the_server(backend):
    async def body():
        handler = sets("a=gone; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            client.cookies.set("a", "1", domain="a.test")
            assert (await client.get("http://a.test/")).text == "a=1"
            await client.get("http://a.test/set")
            assert (await client.get("http://a.test/")).text == ""

    backend.run(body)


def test_cookies_set_on_the_way_of_a_redirect_are_sent_to_its_end(backend):
    def handler(request):
        if request.url.path == "/login":
            return Response(302, headers=[("location", "/home"), ("set-cookie", "session=1")])
        return echo(request)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            assert (await client.get("http://a.test/login")).text == "session=1"

    backend.run(body)


def test_cookies_of_one_host_do_not_follow_a_redirect_to_another(backend):
    def handler(request):
        if request.url.host == "a.test":
            return Response(302, headers=[("location", "http://b.test/"), ("set-cookie", "session=1")])
        return echo(request)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            assert (await client.get("http://a.test/")).text == ""

    backend.run(body)


def test_secure_cookies_go_over_https_only(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(sets("a=1; Secure"))) as client:
            await client.get("https://a.test/set")
            assert (await client.get("https://a.test/")).text == "a=1"
            assert (await client.get("http://a.test/")).text == ""

    backend.run(body)


def test_cookie_field_of_the_user_is_left_alone(site):
    response = site(echo).get("http://a.test/", client={"cookies": {"a": "1"}}, headers={"Cookie": "mine=1"})
    assert response.text == "mine=1"


def test_jar_of_the_user_is_used_itself(backend):
    async def body():
        jar = http.cookiejar.CookieJar()
        async with backend.client(transport=httpx_fast.MockTransport(sets("a=1")), cookies=jar) as client:
            await client.get("http://a.test/set")
            assert [cookie.name for cookie in jar] == ["a"]
            assert (await client.get("http://a.test/")).text == "a=1"

    backend.run(body)


def test_cookies_can_be_replaced(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo), cookies={"a": "1"}) as client:
            getattr(client, "blocking", client).cookies = {"b": "2"}
            assert (await client.get("http://a.test/")).text == "b=2"
            client.cookies.clear()
            assert (await client.get("http://a.test/")).text == ""

    backend.run(body)


def test_cookie_that_could_not_be_sent_does_not_stop_later_requests(backend, peer):
    """The server's mistake is ignored; it used to fail all later requests to its domain."""
    fields = b"Set-Cookie: a=\x01\r\nSet-Cookie: b=2; Expires=Mon, 99 Foo 2099\r\nContent-Length: 0\r\n"
    head = b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n"
    heads = []

    def script(dialogue):
        while request := dialogue.read_request():
            heads.append(request)
            dialogue.send(head)

    server = peer(script)

    async def body():
        async with backend.client() as client:
            for _ in range(3):
                response = await client.get(server.url())
                assert dict(response.cookies) == {"b": "2"}

    backend.run(body)
    assert [b"Cookie: b=2\r\n" in request for request in heads] == [False, True, True]


def test_cookies_of_a_redirect_follow_the_rules(backend):
    def handler(request):
        if request.url.path == "/login":
            fields = [
                ("location", "http://sub.a.test/home"),
                ("set-cookie", "own=1"),
                ("set-cookie", "all=2; Domain=a.test"),
            ]
            return Response(302, headers=fields)
        return echo(request)

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            assert (await client.get("http://a.test/login")).text == "all=2"

    backend.run(body)
