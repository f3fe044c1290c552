"""Cookies from one response to the next request: the same ones are sent, in the same order."""

from __future__ import annotations

import pytest

COOKIES = {
    "plain": ["a=1", "b=2; Path=/"],
    "for a path": ["a=1; Path=/docs", "b=2; Path=/docs/", "c=3; Path=/other"],
    "for a domain": ["a=1; Domain=a.test", "b=2; Domain=.a.test", "c=3; Domain=www.a.test", "d=4; Domain=test"],
    "for TLS": ["a=1; Secure", "b=2; HttpOnly", "c=3; SameSite=Lax"],
    "that ended": ["a=1; Max-Age=0", "b=2; Max-Age=60", "c=3; Expires=Thu, 01 Jan 1970 00:00:00 GMT"],
    "replaced": ["a=1", "a=2", "a=; Max-Age=0", "a=3"],
    "odd": ["a", "=1", "b=", 'c="x y"', "d=x=y", "e=1,f=2", "g=1; ; Path=/"],
}
LATER = [
    "http://www.a.test/docs/page",
    "https://www.a.test/docs",
    "http://a.test/",
    "http://other.test/",
]


@pytest.mark.parametrize("own", [None, {"own": "1", "a": "0"}])
@pytest.mark.parametrize("name", COOKIES)
def test_cookies_are_kept_and_sent_alike(both, name, own):
    def answer(library, request):
        fields = [("Set-Cookie", cookie) for cookie in COOKIES[name]] if request.url.path == "/docs/set" else []
        return library.Response(200, headers=fields)

    def scenario(library, client):
        response = client.get("http://www.a.test/docs/set")
        for url in LATER:
            client.get(url)
        kept = [(each.name, each.value, each.domain, each.path, each.secure) for each in client.cookies.jar]
        got = [(each.name, each.value) for each in response.cookies.jar]
        return sorted(kept, key=str), sorted(got, key=str)

    theirs, ours = both(scenario, answer, lambda library: {"cookies": own})
    assert ours == theirs


def test_cookies_without_a_domain_stay_with_their_host(both):
    """RFC 6265bis s.5.8.3: the standard library sends them to hosts below as well."""

    def answer(library, request):
        return library.Response(200, headers=[("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Domain=a.test")])

    def scenario(library, client):
        client.get("http://a.test/")
        client.get("http://sub.a.test/")

    def cookie(played):
        return dict(played["sent"][1][2])[b"Cookie"]

    theirs, ours = both(scenario, answer)
    assert cookie(theirs) in (b"a=1; b=2", b"b=2; a=1")
    assert cookie(ours) == b"b=2"


def test_cookies_of_one_request_and_of_the_client_are_merged_alike(both):
    def scenario(library, client):
        client.cookies.set("far", "1", domain="other.test")
        with pytest.warns(DeprecationWarning, match="cookies"):
            client.get("http://a.test/", cookies={"one": "2", "own": "3"})
        client.get("http://a.test/", headers={"Cookie": "by=hand"})
        client.get("http://a.test/")

    theirs, ours = both(
        scenario, lambda library, request: library.Response(200), lambda library: {"cookies": {"own": "1"}}
    )
    assert ours == theirs
