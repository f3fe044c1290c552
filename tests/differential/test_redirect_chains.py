"""Chains of redirects with bodies, credentials and cookies on the way: the same requests and the same history."""

from __future__ import annotations

import itertools

import pytest

STATUSES = [301, 302, 303, 307, 308]
#: Where each hop of a chain leads.
CHAINS = {
    "on one host": ["/b", "c?x=1", "../d"],
    "there and back": ["http://other.test/b", "http://a.test/c"],
    "to TLS and on": ["https://a.test/b", "https://a.test/c", "https://other.test/d"],
    "to TLS of another host": ["https://other.test/b"],
    "from port to port": ["http://a.test:8080/b", "http://a.test/c"],
    "below the host": ["http://sub.a.test/b", "http://a.test/c"],
    "with a fragment": ["/b#one", "/c", "/d#two"],
    "with userinfo": ["http://u:p@a.test/b", "http://a.test/c", "http://v:q@other.test/d"],
    "to nowhere": ["/b", "http://a.test:port/"],
    "to another scheme": ["ftp://a.test/b"],
}
BODIES = {
    "none": {},
    "data": {"content": b"body"},
    "form": {"data": {"a": "1"}},
    "json": {"json": {"a": 1}},
}


def chain(locations, status):
    """Answers the n-th request with a redirect to the n-th location, and a cookie for its host."""
    left = iter(locations)
    numbers = itertools.count()

    def answer(library, request):
        location = next(left, None)
        fields = [("Set-Cookie", f"c{next(numbers)}={request.url.host}; Path=/")]
        if location is None:
            return library.Response(200, headers=fields, text="end")
        return library.Response(status, headers=[*fields, ("Location", location)], text="moved")

    return answer


def ended(response):
    history = [(each.status_code, str(each.url), each.text) for each in response.history]
    return response.status_code, str(response.url), response.text, history, dict(response.cookies)


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("name", CHAINS)
def test_chains_are_followed_alike(both, name, status, body):
    for method in ("GET", "POST", "HEAD", "QUERY"):

        def scenario(library, client, method=method):
            headers = {"Authorization": "Basic b3du", "X-Own": "1", "Content-Language": "de"}
            first = client.request(method, "http://a.test/a#top", headers=headers, **BODIES[body])
            jar = sorted((cookie.name, cookie.domain, cookie.path) for cookie in client.cookies.jar)
            return ended(first), jar

        theirs, ours = both(scenario, Chain(name, status), lambda library: {"follow_redirects": True})
        sent = theirs["sent"]
        if method != sent[-1][0]:
            # Fields that describe content go with it here, all of them (RFC 9110 s.15.4).
            sent[1:] = [without(b"Content-", each) for each in sent[1:]]
        if name == "with userinfo":
            # There user and password pass for a part of the host when cookies are stored and looked for.
            for played in (ours, theirs):
                played["sent"] = [without(b"Cookie", each) for each in played["sent"]]
                played["result"] = played["result"][0]
        assert ours == without_leaks(theirs), method


class Chain:
    """A chain that begins anew for each library."""

    def __init__(self, name, status):
        self.name, self.status = name, status
        self.answers = {}

    def __call__(self, library, request):
        if library not in self.answers:
            self.answers[library] = chain(CHAINS[self.name], self.status)
        return self.answers[library](library, request)


def without(prefix, told):
    method, url, lines, body = told
    return method, url, [line for line in lines if not line[0].startswith(prefix)], body


def without_leaks(played):
    """Without the cookies of a.test that the standard library sends to hosts below it (RFC 6265bis s.5.8.3)."""
    played["sent"] = [without(b"Cookie", each) if "//sub." in each[1] else each for each in played["sent"]]
    return played


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
def test_too_many_redirects_are_counted_alike(both, limit):
    def scenario(library, client):
        return ended(client.get("http://a.test/"))

    theirs, ours = both(
        scenario, Chain("on one host", 302), lambda library: {"follow_redirects": True, "max_redirects": limit}
    )
    assert ours == theirs
    assert (ours["error"] == "TooManyRedirects") is (limit < 3)


@pytest.mark.parametrize("name", sorted(set(CHAINS) - {"with userinfo"}))
def test_chains_that_are_followed_by_hand_lead_to_the_same_requests(both, name):
    def scenario(library, client):
        response = client.post("http://a.test/a", content=b"body")
        passed = []
        while response.next_request is not None:
            passed.append((response.status_code, response.has_redirect_location, response.is_redirect))
            response = client.send(response.next_request)
        return passed, response.status_code

    theirs, ours = both(scenario, Chain(name, 307))
    assert ours == without_leaks(theirs)


def test_a_stream_that_was_sent_cannot_be_sent_again(both):
    def scenario(library, client):
        return ended(client.post("http://a.test/a", content=iter([b"a", b"b"])))

    theirs, ours = both(scenario, Chain("on one host", 307), lambda library: {"follow_redirects": True})
    assert (ours["error"], ours["sent"][:1]) == (theirs["error"], theirs["sent"][:1])
