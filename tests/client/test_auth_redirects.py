"""Authentication and redirects: who is given an answer to a challenge, and for which target."""

from __future__ import annotations

import hashlib
import itertools
import re
import threading

import pytest

import httpx_fast
from httpx_fast import Response

USER = ("user", "secret")


class Site:
    """Origins that protect targets by Digest, check answers by RFC 7616, and refuse a `uri` that is not the target."""

    def __init__(self, protected=(), redirects=(), extra=""):
        self.protected = set(protected)
        self.redirects = dict(redirects)
        self.extra = extra
        self.seen = []  # URL, and "open", "asked", "in" or what is wrong with the answer
        self.counts = {}
        self.nonces = {}
        self.requests = []

    def __call__(self, request):
        url = str(request.url)
        outcome = self.judge(request) if url in self.protected else "open"
        self.seen.append((url, outcome))
        self.requests.append(request)
        if outcome in ("open", "in"):
            if url in self.redirects:
                return Response(307, headers={"location": self.redirects[url]})
            return Response(200, text="here")
        if outcome == "asked":
            return Response(401, headers={"www-authenticate": self.challenge(request.url)})
        return Response(400, text=outcome)

    def nonce(self, url):
        origin = f"{url.scheme}://{url.netloc.decode()}"
        return self.nonces.get(origin, f"nonce of {origin}")

    def challenge(self, url):
        return f'Digest realm="{url.host}", nonce="{self.nonce(url)}", qop="auth"{self.extra}'

    def judge(self, request):
        sent = request.headers.get("authorization")
        if sent is None:
            return "asked"
        fields = dict(re.findall(r'(\w+)="([^"]*)"', sent))
        nc = re.search(r"nc=([0-9a-f]{8})", sent)[1]
        target = request.url.raw_path.decode()
        nonce = self.nonce(request.url)
        if fields["uri"] != target:
            return f"uri {fields['uri']}"
        if fields["nonce"] != nonce:
            return "asked"
        count = int(nc, 16)
        if count in self.counts.setdefault(nonce, set()):
            return f"nc {nc} again"
        self.counts[nonce].add(count)
        secret = _md5(f"user:{request.url.host}:secret")
        right = _md5(f"{secret}:{nonce}:{nc}:{fields['cnonce']}:auth:{_md5(f'{request.method}:{target}')}")
        return "in" if fields["response"] == right else "wrong"


def _md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def get(backend, server, *urls, client=None, **options):
    """The responses to requests of one client."""

    async def body():
        transport = httpx_fast.MockTransport(server)
        async with backend.client(transport=transport, follow_redirects=True, **(client or {})) as opened:
            return [await opened.get(url, **options) for url in urls]

    return backend.run(body)


A, B, OTHER = "http://a.test/a", "http://a.test/b?q=1", "http://b.test/"


def test_protected_target_that_redirects_to_another_one(backend):
    server = Site([A, B], {A: "/b?q=1"})
    (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
    assert server.seen == [(A, "asked"), (A, "in"), (B, "in")]
    assert response.status_code == 200
    assert [each.status_code for each in response.history] == [401, 307]


def test_open_target_that_redirects_to_a_protected_one(backend):
    server = Site([B], {A: "/b?q=1"})
    (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
    assert server.seen == [(A, "open"), (B, "asked"), (B, "in")]
    assert response.status_code == 200
    assert [each.status_code for each in response.history] == [307, 401]


@pytest.mark.parametrize("protected", [[OTHER], [A, OTHER]])
def test_another_origin_that_asks_is_not_answered(backend, protected):
    server = Site(protected, {A: OTHER})
    (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 401
    assert str(response.url) == OTHER
    assert [request.headers.get("authorization") for request in server.requests if request.url.host == "b.test"] == [
        None
    ]


def test_what_one_origin_asked_for_is_not_used_at_another(backend):
    server = Site([A, OTHER], {A: OTHER})
    auth = httpx_fast.DigestAuth(*USER)
    responses = get(backend, server, OTHER, A, A, client={"auth": auth})
    assert [each.status_code for each in responses] == [200, 401, 401]
    # The first request for it was the user's, and the others are the server's.
    assert server.seen == [
        (OTHER, "asked"),
        (OTHER, "in"),
        (A, "asked"),
        (A, "in"),
        (OTHER, "asked"),
        (A, "in"),
        (OTHER, "asked"),
    ]


def test_upgrade_to_https_is_answered(backend):
    secure = "https://a.test/b"
    server = Site([A, secure], {A: secure})
    (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 200
    assert server.seen == [(A, "asked"), (A, "in"), (secure, "asked"), (secure, "in")]


@pytest.mark.parametrize("end", ["http://a.test/b", "https://a.test:8443/b", "https://b.test/b"])
def test_downgrade_and_other_ports_and_hosts_are_not_answered(backend, end):
    start = "https://a.test/a"
    server = Site([start, end], {start: end})
    (response,) = get(backend, server, start, auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 401
    assert server.seen == [(start, "asked"), (start, "in"), (end, "asked")]


def test_each_target_of_a_chain_is_answered_once(backend):
    chain = [f"http://a.test/{number}" for number in range(5)]
    server = Site(chain, dict(itertools.pairwise(chain)))
    first, second = get(backend, server, chain[0], chain[0], client={"auth": httpx_fast.DigestAuth(*USER)})
    assert first.status_code == second.status_code == 200
    assert server.seen == [(chain[0], "asked")] + [(url, "in") for url in chain] * 2


def test_redirects_between_challenges_are_counted_together(backend):
    def handler(request):
        if "authorization" in request.headers:
            return Response(302, headers={"location": f"http://a.test/{len(asked)}"})
        asked.append(request)
        return Response(401, headers={"www-authenticate": f'Digest realm="r", nonce="{len(asked)}"'})

    class Forgets(httpx_fast.DigestAuth):
        def _redirected(self, request, following):
            pass

    asked = []
    with pytest.raises(httpx_fast.TooManyRedirects, match="max_redirects=3"):
        get(backend, handler, "http://a.test/", auth=Forgets(*USER), client={"max_redirects": 3})
    assert len(asked) == 4


def test_method_that_a_redirect_changes_is_the_one_of_the_answer(backend):
    server = Site([A, B], {})
    server.redirects = {A: B}
    methods = []

    def handler(request):
        response = server(request)
        methods.append(request.method)
        if response.status_code == 307:
            response.status_code = 303
        return response

    async def body():
        transport = httpx_fast.MockTransport(handler)
        async with backend.client(transport=transport, follow_redirects=True) as client:
            return await client.post(A, content=b"x", auth=httpx_fast.DigestAuth(*USER))

    assert backend.run(body).status_code == 200
    assert methods == ["POST", "POST", "GET"]


def test_next_request_does_not_carry_the_answer_for_another_target(backend):
    server = Site([A, B], {A: B})

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(server)) as client:
            auth = httpx_fast.DigestAuth(*USER)
            first = await client.get(A, auth=auth)
            assert "authorization" not in first.next_request.headers
            return await client.send(first.next_request, auth=auth)

    assert backend.run(body).status_code == 200
    assert server.seen == [(A, "asked"), (A, "in"), (B, "in")]


def test_flow_of_the_users_gets_the_last_response_and_begins_again_with_the_first_request(backend):
    class Mine(httpx_fast.Auth):
        def auth_flow(self, request):
            response = yield request
            given.append((str(response.request.url), [each.status_code for each in response.history]))
            request.headers["Authorization"] = "Token 1"
            yield request

    given = []

    def handler(request):
        if request.url.path == "/a":
            return Response(302, headers={"location": "/b"})
        return Response(200 if "authorization" in request.headers else 401)

    (response,) = get(backend, handler, A, auth=Mine())
    assert given == [("http://a.test/b", [302])]
    assert [each.status_code for each in response.history] == [401, 302]
    assert response.status_code == 200


def test_flow_that_wraps_digest_is_right_too(backend):
    class Wraps(httpx_fast.Auth):
        digest = httpx_fast.DigestAuth(*USER)

        def auth_flow(self, request):
            yield from self.digest.auth_flow(request)

    server = Site([A, B], {A: "/b?q=1"})
    (response,) = get(backend, server, A, auth=Wraps())
    assert response.status_code == 200
    assert all(outcome in ("asked", "in") for _, outcome in server.seen)


@pytest.mark.parametrize("end", ["http://b.test/end", "http://a.test:8080/end"])
@pytest.mark.parametrize("kind", ["basic", "netrc", "url", "client"])
def test_no_credentials_go_to_another_origin(backend, tmp_path, kind, end):
    path = tmp_path / "netrc"
    path.write_text("machine a.test login user password secret\nmachine b.test login other password word\n")
    path.chmod(0o600)
    start = "http://user:secret@a.test/a" if kind == "url" else "http://a.test/a"
    auth = {"basic": USER, "netrc": httpx_fast.NetRCAuth(str(path)), "client": None, "url": None}[kind]
    seen = []

    def handler(request):
        seen.append((request.url.netloc, request.headers.get("authorization")))
        if request.url.path == "/a":
            return Response(302, headers={"location": end})
        return Response(401, headers={"www-authenticate": 'Basic realm="r"'})

    options = {} if auth is None else {"auth": auth}
    client = {"auth": USER} if kind == "client" else {}
    (response,) = get(backend, handler, start, client=client, **options)
    assert response.status_code == 401
    assert seen[0][1].startswith("Basic ")
    assert seen[1][1] is None
    assert len(seen) == 2
    assert not response.request.url.userinfo


def test_user_info_in_a_location_makes_no_credentials(backend):
    def handler(request):
        if request.url.path == "/a":
            return Response(302, headers={"location": "http://eve:word@a.test/b"})
        return Response(200, text=str(request.headers.get("authorization")))

    assert get(backend, handler, A)[0].text == "None"


def test_stale_nonce_is_replaced_once(backend):
    class Stale(Site):
        def judge(self, request):
            outcome = super().judge(request)
            self.extra = ", stale=true" if "authorization" in request.headers else ""
            if outcome == "in" and self.left:
                self.left -= 1
                self.nonces["http://a.test"] = f"nonce {self.left}"
                return "asked"
            return outcome

    for stale, status in ((1, 200), (2, 401)):
        server = Stale([A])
        server.left = stale
        (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
        assert response.status_code == status
        assert len(server.seen) == 3


def test_password_that_is_refused_is_not_tried_again(backend):
    server = Site([A])
    server.judge = lambda request: "asked"
    (response,) = get(backend, server, A, auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 401
    assert len(server.seen) == 2


def test_next_nonce_is_used_for_the_next_request(backend):
    server = Site([A])

    def handler(request):
        response = server(request)
        if response.status_code == 200:
            server.nonces["http://a.test"] = f"next {len(server.seen)}"
            response.headers["Authentication-Info"] = f'rspauth="x", nextnonce="next {len(server.seen)}", qop=auth'
        return response

    get(backend, handler, A, A, A, client={"auth": httpx_fast.DigestAuth(*USER)})
    assert [outcome for _, outcome in server.seen] == ["asked", "in", "in", "in"]
    assert all(counts == {1} for counts in server.counts.values())


def test_next_nonce_of_a_request_without_digest_is_not_taken(backend):
    server = Site([A])

    def handler(request):
        response = server(request)
        if request.url.path == "/other":
            response.headers["Authentication-Info"] = 'nextnonce="evil"'
        return response

    async def body():
        auth = httpx_fast.DigestAuth(*USER)
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            await client.get(A, auth=auth)
            await client.get("http://a.test/other")
            await client.get(A, auth=auth)

    backend.run(body)
    assert [outcome for _, outcome in server.seen] == ["asked", "in", "open", "in"]


def test_threads_that_are_given_the_same_nonce_share_its_count():
    everybody = threading.Barrier(4)
    lock = threading.Lock()
    server = Site([A])

    def handler(request):
        if "authorization" not in request.headers:
            everybody.wait(30)
        with lock:
            return server(request)

    auth = httpx_fast.DigestAuth(*USER)
    statuses = []

    def one():
        with httpx_fast.Client(transport=httpx_fast.MockTransport(handler), auth=auth) as client:
            statuses.append(client.get(A).status_code)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    assert server.counts == {"nonce of http://a.test": {1, 2, 3, 4}}


@pytest.mark.parametrize("name", ["realm", "nonce", "opaque"])
@pytest.mark.parametrize("control", ["\0", "\n", "\r", "\x01", "\x7f"])
def test_challenge_that_could_not_be_answered_is_the_servers_fault(backend, name, control):
    fields = {"realm": "r", "nonce": "n", "opaque": "o"}
    fields[name] = f"a\\{control}b"
    challenge = "Digest " + ", ".join(f'{key}="{value}"' for key, value in fields.items())

    def handler(request):
        response = Response(401)
        response.headers = httpx_fast.Headers([(b"WWW-Authenticate", challenge.encode())])
        return response

    with pytest.raises(httpx_fast.RemoteProtocolError, match=f"its {name} has a control character"):
        get(backend, handler, A, auth=httpx_fast.DigestAuth(*USER))
