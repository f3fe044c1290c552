"""Authentication as clients do it: the same requests, with the same answers to challenges."""

from __future__ import annotations

import re
import time

import pytest

CHALLENGES = {
    "plain": 'Digest realm="r", nonce="n"',
    "auth": 'Digest realm="r", nonce="n", qop="auth", opaque="o", algorithm=MD5',
    "auth or auth-int": 'Digest realm="r", nonce="n", qop="auth,auth-int"',
    "auth or auth-int, spaced": 'Digest realm="r", nonce="n", qop="auth, auth-int"',
    "auth-int": 'Digest realm="r", nonce="n", qop="auth-int"',
    "MD5-sess": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess',
    "SHA": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA',
    "SHA-sess": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-sess',
    "SHA-256": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256',
    "SHA-256-sess": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256-sess',
    "SHA-512": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512',
    "SHA-512-sess": 'Digest realm="r", nonce="n", qop="auth", algorithm=SHA-512-sess',
    "quoted algorithm": 'Digest realm="r", nonce="n", qop=auth, algorithm="SHA-256"',
    "spaced": 'digest  realm = "r" ,nonce = "n" , qop = "auth"',
    "unknown algorithm": 'Digest realm="r", nonce="n", qop="auth", algorithm=MD6',
    "no realm": 'Digest nonce="n", qop="auth"',
    "no nonce": 'Digest realm="r", qop="auth"',
    "another scheme": 'Basic realm="r"',
    "comma in the realm": 'Digest realm="a, b", nonce="n", qop="auth"',
    "umlaut in the realm": 'Digest realm="\u00fc", nonce="n", qop="auth"'.encode(),
}
#: Challenges that the two answer differently, why, and how it ends here.
DIFFERENCES = {
    "auth-int": ("it is implemented here", (200, "in", [401])),
    "no nonce": ("the error says whose fault it is", "RemoteProtocolError"),
    "no realm": ("the error says whose fault it is", "RemoteProtocolError"),
    "umlaut in the realm": ("RFC 7616 s.4: it is UTF-8; there it cannot be sent", (200, "in", [401])),
    "unknown algorithm": ("the error says whose fault it is", "RemoteProtocolError"),
}
USERS = [("user", "password"), ("us:er", ""), ("\u00fcser", "p\u00e4ss"), (b"user", b"p:w")]


def told(played):
    """Without what is made of random bytes and the time, and of these."""
    random = re.compile(rb'(?:cnonce|response)="?[0-9a-f]+"?')
    sent = []
    for method, url, lines, body in played["sent"]:
        sent.append((method, url, [(name, random.sub(b"random", value)) for name, value in lines], body))
    return sent, played["result"], played["error"]


def answers(played):
    """The values of `response` in what was sent."""
    found = [value for _, _, lines, _ in played["sent"] for name, value in lines if name == b"Authorization"]
    return [re.search(rb'response="([0-9a-f]+)"', value) for value in found]


def challenging(challenge):
    data = challenge if isinstance(challenge, bytes) else challenge.encode()

    def answer(library, request):
        if "Authorization" in request.headers:
            return library.Response(200, text="in")
        return library.Response(401, headers=[(b"WWW-Authenticate", data)], text="out")

    return answer


def ended(response):
    return response.status_code, response.text, [each.status_code for each in response.history]


@pytest.mark.parametrize("name", CHALLENGES)
def test_digest_challenges_are_answered_alike(both, name, monkeypatch):
    # What goes into the client's nonce beside random bytes.
    monkeypatch.setattr(time, "ctime", lambda: "now")

    def scenario(library, client):
        first = client.get("http://a.test/path?q=1", auth=library.DigestAuth("user", "password"))
        return ended(first)

    theirs, ours = both(scenario, challenging(CHALLENGES[name]))
    if name in DIFFERENCES:
        assert (ours["result"] or ours["error"]) == DIFFERENCES[name][1]
        assert told(ours) != told(theirs)
    else:
        assert told(ours) == told(theirs)


@pytest.mark.parametrize("name", ["plain", "auth", "SHA-256", "MD5-sess"])
def test_digest_answers_are_equal_byte_by_byte(both, name, monkeypatch):
    def scenario(library, client):
        monkeypatch.setattr(library.DigestAuth, "_get_client_nonce", lambda self, count, nonce: b"0123456789abcdef")
        auth = library.DigestAuth("user", "password")
        return [ended(client.request(method, "http://a.test/p?q=1", auth=auth)) for method in ("GET", "POST", "GET")]

    theirs, ours = both(scenario, challenging(CHALLENGES[name]))
    assert all(answers(ours))
    assert ours == theirs


@pytest.mark.parametrize("user", USERS)
def test_basic_credentials_are_sent_alike(both, user):
    def scenario(library, client):
        return [
            ended(client.get("http://a.test/", auth=user)),
            ended(client.get("http://a.test/", auth=library.BasicAuth(*user))),
        ]

    theirs, ours = both(scenario, challenging("Basic"))
    assert ours == theirs


def test_credentials_are_taken_in_the_same_order(both):
    def scenario(library, client):
        def own(request):
            request.headers["Authorization"] = "own"
            return request

        client.get("http://u:p@a.test/")
        client.auth = ("client", "c")
        client.get("http://u:p@a.test/")
        client.get("http://a.test/", auth=own)
        client.get("http://a.test/", auth=None)
        client.get("http://u%40x:p%3A@a.test/", auth=None)

    theirs, ours = both(scenario, challenging("Basic"))
    assert ours == theirs


def test_a_custom_flow_with_bodies_sends_the_same(both):
    def scenario(library, client):
        class Signed(library.Auth):
            requires_request_body = True
            requires_response_body = True

            def auth_flow(self, request):
                request.headers["X-Length"] = str(len(request.content))
                response = yield request
                if response.status_code == 401:
                    request.headers["Authorization"] = response.text
                    yield request

        return ended(client.post("http://a.test/", content=iter([b"a", b"b"]), auth=Signed()))

    theirs, ours = both(scenario, challenging("own"))
    assert ours == theirs


@pytest.mark.parametrize("follow", [True, False])
def test_digest_goes_on_after_redirects(both, follow, monkeypatch):
    def answer(library, request):
        if request.url.path == "/old":
            return library.Response(307, headers={"Location": "/new"})
        return challenging(CHALLENGES["auth"])(library, request)

    def scenario(library, client):
        monkeypatch.setattr(library.DigestAuth, "_get_client_nonce", lambda self, count, nonce: b"0123456789abcdef")
        auth = library.DigestAuth("user", "password")
        return ended(client.post("http://a.test/old", content=b"body", auth=auth, follow_redirects=follow))

    theirs, ours = both(scenario, answer)
    if not follow:
        assert ours == theirs
        return
    # There the answer is for /old, and a server that looks at it refuses it.
    assert theirs["result"] == (200, "in", [401, 307])
    assert [url for _, url, _, _ in theirs["sent"]] == [
        f"http://a.test/{each}" for each in ("old", "new", "old", "new")
    ]
    assert b'uri="/old"' in dict(theirs["sent"][-1][2])[b"Authorization"]
    assert ours["result"] == (200, "in", [307, 401])
    assert [url for _, url, _, _ in ours["sent"]] == [f"http://a.test/{each}" for each in ("old", "new", "new")]
    assert b'uri="/new"' in dict(ours["sent"][-1][2])[b"Authorization"]
    assert all(content == b"body" for *_, content in ours["sent"])


NETRC = "machine a.test login one password first\ndefault login other password second\n"


@pytest.mark.parametrize("url", ["http://a.test/", "http://b.test/", "http://u:p@a.test/"])
def test_netrc_is_read_alike(both, tmp_path, url):
    path = tmp_path / "netrc"
    path.write_text(NETRC)
    path.chmod(0o600)

    def scenario(library, client):
        client.get(url, auth=library.NetRCAuth(str(path)))

    theirs, ours = both(scenario, challenging("Basic"))
    assert ours == theirs
