"""Redirects: which request follows, what it carries, when it stops."""

from __future__ import annotations

import pytest
from peers import answering

import httpx_fast
from httpx_fast import Response


def moved(status, location, **routes):
    """Answers the first path with a redirect and everything else with an echo of what came."""

    def handler(request):
        if request.url.path == "/start":
            return Response(status, headers={"location": location})
        return Response(
            200,
            json={
                "method": request.method,
                "url": str(request.url),
                "headers": dict(request.headers),
                "content": request.content.decode(),
            },
        )

    return handler


FOLLOW = {"follow_redirects": True}


@pytest.mark.parametrize(
    ("status", "method", "following"),
    [
        (301, "GET", "GET"),
        (301, "HEAD", "HEAD"),
        (301, "POST", "GET"),
        (301, "PUT", "PUT"),
        (302, "GET", "GET"),
        (302, "HEAD", "HEAD"),
        (302, "POST", "GET"),
        (302, "PUT", "GET"),
        (302, "QUERY", "QUERY"),
        (303, "GET", "GET"),
        (303, "HEAD", "HEAD"),
        (303, "POST", "GET"),
        (303, "QUERY", "GET"),
        (307, "POST", "POST"),
        (307, "DELETE", "DELETE"),
        (308, "POST", "POST"),
        (308, "PATCH", "PATCH"),
    ],
)
def test_method_after_a_redirect(site, status, method, following):
    server = site(moved(status, "/end"))
    response = server.request(method, "http://a.test/start", client=FOLLOW)
    assert server.requests[-1].method == following
    assert [each.status_code for each in response.history] == [status]


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/end", "http://a.test/end"),
        ("end", "http://a.test/end"),
        ("?q=1", "http://a.test/start?q=1"),
        ("//b.test/end", "http://b.test/end"),
        ("https://b.test/end", "https://b.test/end"),
        ("https:///end", "https://a.test/end"),
        ("/end#there", "http://a.test/end#there"),
        ("/énd", "http://a.test/%C3%A9nd"),
    ],
)
def test_location_is_resolved_against_the_request(site, location, url):
    def handler(request):
        if len(server.requests) == 1:
            return Response(302, headers=[(b"location", location.encode())])
        return Response(200)

    server = site(handler)
    assert str(server.get("http://a.test/start", client=FOLLOW).url) == url


@pytest.mark.parametrize(
    ("start", "location", "url"),
    [
        ("http://a.test:8080/d/start", "http:///x", "http://a.test:8080/x"),
        ("http://a.test:8080/d/start", "http:/x?q=1", "http://a.test:8080/x?q=1"),
        ("http://a.test:8080/d/start", "http:x", "http://a.test:8080/d/x"),
        ("https://[::1]:8443/start", "https:///x", "https://[::1]:8443/x"),
        ("http://a.test:8080/start", "https:///x", "https://a.test/x"),
        ("https://a.test:8443/start", "http:/x", "http://a.test/x"),
        ("http://a.test/start", "/a\tb", "http://a.test/ab"),
        ("http://a.test/start", "/a\r\n b", "http://a.test/a%20b"),
        ("http://a.test/start", "\x01 http://b\t.test/x \t", "http://b.test/x"),
    ],
)
def test_location_is_read_as_browsers_read_it(site, start, location, url):
    def handler(request):
        if len(server.requests) == 1:
            response = Response(302)
            response.headers = httpx_fast.Headers([(b"location", location.encode())])
            return response
        return Response(200)

    server = site(handler)
    assert str(server.get(start, client=FOLLOW).url) == url


def test_locations_that_differ_are_an_error_for_those_who_follow(site):
    def handler(request):
        if request.url.path == "/start":
            return Response(302, headers=[("Location", each) for each in locations])
        return Response(200)

    locations = ["/one", "/two"]
    server = site(handler)
    with pytest.raises(httpx_fast.RemoteProtocolError, match="2 Location fields that differ") as caught:
        server.get("http://a.test/start", client=FOLLOW)
    assert caught.value.request.url.path == "/start"
    response = server.get("http://a.test/start")
    assert response.next_request is None
    assert response.headers["location"] == "/one, /two"
    locations = ["/one", "/one"]
    assert server.get("http://a.test/start", client=FOLLOW).url.path == "/one"


@pytest.mark.parametrize(
    ("location", "error"),
    [
        ("mailto:a@b.test", httpx_fast.RemoteProtocolError),
        ("data:,x", httpx_fast.RemoteProtocolError),
        ("javascript:alert(1)", httpx_fast.RemoteProtocolError),
        ("file:///etc/passwd", httpx_fast.UnsupportedProtocol),
    ],
)
def test_location_of_another_scheme_is_not_sent_anywhere(backend, peer, location, error):
    kept = peer(answering(f"HTTP/1.1 302 X\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()))

    async def body():
        async with backend.client(follow_redirects=True) as client:
            with pytest.raises(error, match=location.partition(":")[0]):
                await client.get(kept.url())

    backend.run(body)


def test_fragment_is_kept_unless_location_has_its_own(site):
    server = site(moved(302, "/end"))
    assert server.get("http://a.test/start#part", client=FOLLOW).url.fragment == "part"
    server = site(moved(302, "/end#other"))
    assert server.get("http://a.test/start#part", client=FOLLOW).url.fragment == "other"


def test_redirect_to_another_origin_drops_credentials_and_cookies(site):
    server = site(moved(302, "https://b.test/end"))
    secret = {"Authorization": "Bearer x", "Proxy-Authorization": "Basic y", "Cookie": "a=b", "X-Mine": "1"}
    headers = server.get("https://a.test/start", client=FOLLOW, headers=secret).json()["headers"]
    assert headers["host"] == "b.test"
    assert headers["x-mine"] == "1"
    assert not {"authorization", "proxy-authorization", "cookie"} & headers.keys()


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("https://a.test/start", "http://a.test/end"),
        ("https://a.test/start", "https://a.test:8443/end"),
        ("http://a.test:8080/start", "https://a.test/end"),
        ("http://a.test/start", "https://b.test/end"),
    ],
)
def test_other_scheme_host_or_port_is_another_origin(site, start, end):
    server = site(moved(302, end))
    headers = server.get(start, client=FOLLOW, headers={"Authorization": "Bearer x"}).json()["headers"]
    assert "authorization" not in headers


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("http://a.test/start", "/end"),
        ("http://a.test/start", "https://a.test/end"),
        ("http://a.test/start", "http://a.test:80/end"),
    ],
)
def test_credentials_stay_on_the_origin_and_on_its_upgrade_to_https(site, start, end):
    server = site(moved(302, end))
    headers = server.get(start, client=FOLLOW, headers={"Authorization": "Bearer x"}).json()["headers"]
    assert headers["authorization"] == "Bearer x"


def test_host_field_of_the_user_stays_on_the_same_origin_only(site):
    server = site(moved(302, "/end"))
    assert (
        server.get("http://a.test/start", client=FOLLOW, headers={"Host": "virtual"}).json()["headers"]["host"]
        == "virtual"
    )
    server = site(moved(302, "http://b.test/end"))
    assert (
        server.get("http://a.test/start", client=FOLLOW, headers={"Host": "virtual"}).json()["headers"]["host"]
        == "b.test"
    )


def test_content_and_what_describes_it_are_dropped_when_the_method_becomes_get(site):
    server = site(moved(303, "/end"))
    described = dict.fromkeys(
        ("content-md5", "content-digest", "repr-digest", "digest", "content-range"), "of the content"
    )
    headers = {"last-modified": "Sun, 29 Nov 2026 12:00:00 GMT", "x-mine": "1", **described}
    echo = server.request("POST", "http://a.test/start", client=FOLLOW, json={"a": 1}, headers=headers).json()
    assert echo["content"] == ""
    assert (
        not {"content-length", "content-type", "transfer-encoding", "last-modified", *described}
        & echo["headers"].keys()
    )
    assert echo["headers"]["x-mine"] == "1"


def test_content_is_sent_again_when_the_method_stays(site):
    server = site(moved(308, "/end"))
    echo = server.request("POST", "http://a.test/start", client=FOLLOW, content=b"hello").json()
    assert echo["content"] == "hello"
    assert echo["headers"]["content-length"] == "5"


def test_content_in_memory_is_known_of_the_request_that_follows(site):
    server = site(moved(308, "/end"))
    response = server.request("POST", "http://a.test/start", content=b"hello")
    assert response.next_request.content == b"hello"
    assert server.get("http://a.test/start").next_request.content == b""


def test_content_that_can_be_read_once_is_not_sent_twice(backend):
    class Reader(httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport):
        def handle_request(self, request):
            b"".join(request.stream)
            return Response(308, headers={"location": "/end"})

        async def handle_async_request(self, request):
            async for _ in request.stream:
                pass
            return Response(308, headers={"location": "/end"})

    async def body():
        async with backend.client(transport=Reader(), follow_redirects=True) as client:
            with pytest.raises(httpx_fast.StreamConsumed, match="cannot be read again"):
                await client.post("http://a.test/start", content=backend.content([b"a", b"b"]))

    backend.run(body)


def test_max_redirects_counts_redirects(site):
    def endless(request):
        return Response(302, headers={"location": "/next"})

    server = site(endless)
    with pytest.raises(httpx_fast.TooManyRedirects, match="more than max_redirects=3 times") as caught:
        server.get("http://a.test/", client={"follow_redirects": True, "max_redirects": 3})
    assert len(server.requests) == 4
    assert caught.value.request.url.host == "a.test"


def test_max_redirects_does_not_count_authentication(site):
    def handler(request):
        if "authorization" not in request.headers:
            return Response(401, headers={"www-authenticate": 'Digest realm="r", nonce="n"'})
        return Response(200)

    server = site(handler)
    auth = httpx_fast.DigestAuth("user", "secret")
    assert (
        server.get("http://a.test/", client={"follow_redirects": True, "max_redirects": 0}, auth=auth).status_code
        == 200
    )


def test_history_grows_with_each_redirect(site):
    def handler(request):
        left = int(request.url.path[1:])
        return Response(302, headers={"location": f"/{left - 1}"}) if left else Response(200)

    response = site(handler).get("http://a.test/3", client=FOLLOW)
    assert [each.url.path for each in response.history] == ["/3", "/2", "/1"]
    assert [len(each.history) for each in response.history] == [0, 1, 2]
    assert all(each.is_closed or each.content == b"" for each in response.history)


def test_next_request_is_what_would_follow(site):
    server = site(moved(303, "/end"))
    response = server.request("POST", "http://a.test/start", content=b"x")
    assert response.status_code == 303
    assert response.next_request.method == "GET"
    assert str(response.next_request.url) == "http://a.test/end"
    assert "content-length" not in response.next_request.headers


def test_next_request_can_be_sent(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(moved(302, "/end"))) as client:
            first = await client.get("http://a.test/start")
            second = await client.send(first.next_request)
            assert second.json()["url"] == "http://a.test/end"

    backend.run(body)


def test_bad_location_is_an_error_only_for_those_who_follow(site):
    server = site(moved(302, "http://[bad/"))
    response = server.get("http://a.test/start")
    assert response.status_code == 302
    assert response.next_request is None
    with pytest.raises(httpx_fast.RemoteProtocolError, match="Location is no URL") as caught:
        server.get("http://a.test/start", client=FOLLOW)
    assert caught.value.request.url.path == "/start"


@pytest.mark.parametrize("status", [300, 304, 305, 200, 404])
def test_location_of_other_statuses_is_not_followed(site, status):
    response = site(moved(status, "/end")).get("http://a.test/start", client=FOLLOW)
    assert response.status_code == status
    assert response.history == []


def test_redirect_status_without_location_is_the_answer(site):
    response = site(lambda request: Response(302)).get("http://a.test/", client=FOLLOW)
    assert response.status_code == 302
    assert response.next_request is None


def test_follow_redirects_of_the_request_wins_over_the_client(site):
    server = site(moved(302, "/end"))
    assert server.get("http://a.test/start", follow_redirects=True).status_code == 200
    assert server.get("http://a.test/start", client=FOLLOW, follow_redirects=False).status_code == 302


def test_timeouts_follow_and_request_target_and_server_name_do_not(site):
    server = site(moved(302, "http://b.test/end"))
    extensions = {"timeout": {"read": 3.0}, "target": b"/start?", "sni_hostname": "a.test", "mine": 1}
    server.get("http://a.test/start", client=FOLLOW, extensions=extensions)
    assert server.requests[-1].extensions == {"timeout": {"read": 3.0}, "mine": 1}


def test_settings_of_the_client_survive_a_redirect(site):
    server = site(moved(302, "/end"))
    server.get("http://a.test/start", client={"follow_redirects": True, "timeout": 7})
    assert [each.extensions["timeout"]["read"] for each in server.requests] == [7, 7]


def test_responses_on_the_way_are_read_and_closed(backend, make_body):
    bodies = []

    def handler(request):
        bodies.append(make_body(b"a", b"b"))
        if request.url.path == "/start":
            return Response(302, headers={"location": "/end"}, stream=bodies[-1])
        return Response(200, stream=bodies[-1])

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            async with client.stream("GET", "http://a.test/start") as response:
                assert response.history[0].content == b"ab"
                assert [each.closed for each in bodies] == [1, 0]
            assert [each.closed for each in bodies] == [1, 1]

    backend.run(body)


def test_unsupported_scheme_of_a_redirect_is_named(backend):
    def handler(request):
        if request.url.scheme != "http":
            raise httpx_fast.UnsupportedProtocol("no such scheme")
        return Response(302, headers={"location": "ftp://a.test/end"})

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler), follow_redirects=True) as client:
            with pytest.raises(httpx_fast.UnsupportedProtocol, match="no such scheme") as caught:
                await client.get("http://a.test/start")
            assert caught.value.request.url.scheme == "ftp"

    backend.run(body)
