"""Authentication: where credentials come from, what each scheme sends, and how a flow runs."""

from __future__ import annotations

import base64
import hashlib
import re
import threading

import pytest

import httpx_fast
from httpx_fast import Response
from httpx_fast._auth import _digest_challenges


def echo(request):
    return Response(200, json={"auth": request.headers.get("authorization"), "url": str(request.url)})


def basic(userpass):
    return "Basic " + base64.b64encode(userpass.encode()).decode()


@pytest.mark.parametrize(
    ("client", "request_auth", "url", "sent"),
    [
        ({}, ("user", "pass"), "http://a.test/", "user:pass"),
        ({"auth": ("user", "pass")}, None, "http://a.test/", None),
        ({}, None, "http://u%40s:p%3A@a.test/", "u@s:p:"),
        ({"auth": ("user", "pass")}, "unset", "http://url:word@a.test/", "user:pass"),
        ({"auth": ("user", "pass")}, ("other", "word"), "http://a.test/", "other:word"),
        ({"auth": ("user", "pass")}, None, "http://url:word@a.test/", "url:word"),
        ({}, (b"user", b"p\xc3\xa9"), "http://a.test/", "user:pé"),
        ({}, "unset", "http://only@a.test/", "only:"),
        ({}, "unset", "http://@a.test/", None),
        ({}, "unset", "http://a.test/", None),
    ],
)
def test_credentials_come_from_the_request_then_the_client_then_the_url(site, client, request_auth, url, sent):
    options = {} if request_auth == "unset" else {"auth": request_auth}
    answer = site(echo).get(url, client=client, **options).json()
    assert answer["auth"] == (None if sent is None else basic(sent))


def test_auth_of_the_client_can_be_set_later(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo)) as client:
            getattr(client, "blocking", client).auth = ("user", "pass")
            assert (await client.get("http://a.test/")).json()["auth"] == basic("user:pass")

    backend.run(body)


def test_client_auth_property_reads_what_was_set():
    auth = httpx_fast.BasicAuth("a", "b")
    client = httpx_fast.Client(auth=auth, transport=httpx_fast.MockTransport(echo))
    assert client.auth is auth
    client.auth = None
    assert client.auth is None


def test_callable_may_change_the_request(site):
    def sign(request):
        request.headers["Authorization"] = "Token 1"
        return request

    assert site(echo).get("http://a.test/", auth=sign).json()["auth"] == "Token 1"


def test_anything_else_is_no_auth():
    with pytest.raises(TypeError, match="auth is str; expected a tuple"):
        httpx_fast.Client(auth="user:pass", transport=httpx_fast.MockTransport(echo))


class TwoRounds(httpx_fast.Auth):
    """Asks, and answers with a token of what it was told."""

    def __init__(self, rounds=1):
        self.rounds = rounds

    def auth_flow(self, request):
        token = ""
        for _ in range(self.rounds):
            response = yield request
            if response.status_code != 401:
                return
            token += response.headers["www-authenticate"]
            request.headers["Authorization"] = token
        yield request


def ask(request):
    if len(request.headers.get("authorization", "")) < 2:
        return Response(401, headers={"www-authenticate": "x"})
    return echo(request)


def test_rounds_of_a_flow_are_the_history(site):
    server = site(ask)
    response = server.get("http://a.test/", auth=TwoRounds(2))
    assert response.json()["auth"] == "xx"
    assert [each.status_code for each in response.history] == [401, 401]
    assert [len(each.history) for each in response.history] == [0, 1]


def test_flow_that_ends_early_gives_the_last_response(site):
    response = site(ask).get("http://a.test/", auth=TwoRounds(1))
    assert response.status_code == 401
    assert len(response.history) == 1


def test_rounds_go_around_redirects(site):
    def handler(request):
        if request.url.path == "/start":
            return Response(302, headers={"location": "/end"})
        return ask(request)

    server = site(handler)
    response = server.get("http://a.test/start", auth=TwoRounds(1), client={"follow_redirects": True})
    assert [each.url.path for each in server.requests] == ["/start", "/end", "/start", "/end"]
    assert [each.status_code for each in response.history] == [401, 302]
    assert [each.status_code for each in response.history[0].history] == [302]


def test_bodies_are_read_for_the_flow_that_says_so(backend, make_body):
    class Bodies(httpx_fast.Auth):
        requires_request_body = True
        requires_response_body = True

        def auth_flow(self, request):
            seen.append(request.content)
            response = yield request
            seen.append(response.content)

    seen = []

    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(200, stream=make_body(b"an", b"swer")))
        async with backend.client(transport=transport) as client:
            request = client.build_request("POST", "http://a.test/", content=backend.content([b"ask", b"ing"]))
            await client.send(request, auth=Bodies(), stream=True)

    backend.run(body)
    assert seen == [b"asking", b"answer"]


def test_request_that_a_flow_makes_by_itself_has_the_clients_timeouts(site):
    class Token(httpx_fast.Auth):
        def auth_flow(self, request):
            yield httpx_fast.Request("POST", "http://tokens.test/")
            yield request

    server = site(echo)
    server.get("http://a.test/", client={"auth": Token(), "timeout": 7})
    assert [each.url.host for each in server.requests] == ["tokens.test", "a.test"]
    assert [each.extensions["timeout"]["read"] for each in server.requests] == [7, 7]


def test_flow_that_raises_closes_the_response(backend, make_body):
    class Raises(httpx_fast.Auth):
        def auth_flow(self, request):
            yield request
            raise ValueError("not like that")

    answer = make_body(b"x")

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(lambda request: Response(200, stream=answer)), auth=Raises()
        ) as client:
            with pytest.raises(ValueError, match="not like that"):
                await client.get("http://a.test/")

    backend.run(body)
    assert answer.closed == 1


def test_flow_is_closed_when_sending_fails(backend):
    ended = []

    class Watches(httpx_fast.Auth):
        def auth_flow(self, request):
            try:
                yield request
            finally:
                ended.append(True)

    def fail(request):
        raise httpx_fast.ConnectError("refused")

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(fail), auth=Watches()) as client:
            with pytest.raises(httpx_fast.ConnectError, match="refused"):
                await client.get("http://a.test/")
            assert ended == [True]

    backend.run(body)


def test_flows_of_their_own_are_driven_by_their_own_client(backend):
    class Both(httpx_fast.Auth):
        def sync_auth_flow(self, request):
            request.headers["Authorization"] = "sync"
            yield request

        async def async_auth_flow(self, request):
            request.headers["Authorization"] = "async"
            yield request

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(echo), auth=Both()) as client:
            sent = (await client.get("http://a.test/")).json()["auth"]
        assert sent == ("async" if backend.asynchronous else "sync")

    backend.run(body)


def test_netrc_gives_what_it_has_for_the_host(site, tmp_path):
    path = tmp_path / "netrc"
    path.write_text("machine a.test login user password secret\nmachine b.test login nobody\n")
    path.chmod(0o600)
    auth = httpx_fast.NetRCAuth(str(path))
    assert site(echo).get("http://a.test/", auth=auth).json()["auth"] == basic("user:secret")
    assert site(echo).get("http://b.test/", auth=auth).json()["auth"] is None
    assert site(echo).get("http://c.test/", auth=auth).json()["auth"] is None


def test_netrc_that_is_not_there_is_an_error():
    with pytest.raises(FileNotFoundError, match="nowhere"):
        httpx_fast.NetRCAuth("/nowhere/netrc")


class Digest:
    """A server that checks digests by RFC 7616, as the other half of the client's."""

    HASHES = {"MD5": "md5", "SHA": "sha1", "SHA-256": "sha256", "SHA-512": "sha512", "SHA-512-256": "sha512_256"}

    def __init__(self, algorithm="MD5", qop="auth", realm="the realm", extra="", nonce="n0nce=="):
        self.algorithm, self.qop, self.realm, self.extra, self.nonce = algorithm, qop, realm, extra, nonce
        self.counts = []

    def challenge(self):
        qop = f', qop="{self.qop}"' if self.qop else ""
        algorithm = f", algorithm={self.algorithm}" if self.algorithm else ""
        return f'Digest realm="{self.realm}", nonce="{self.nonce}"{qop}{algorithm}, opaque="op aque"{self.extra}'

    def hash(self, text):
        name = self.HASHES[re.sub("-SESS$", "", (self.algorithm or "MD5").upper())]
        data = text if isinstance(text, bytes) else text.encode()
        return hashlib.new(name, data).hexdigest()

    def __call__(self, request):
        sent = request.headers.get("authorization")
        if sent is None:
            return Response(401, headers={"www-authenticate": self.challenge()})
        assert sent.startswith("Digest ")
        fields = dict(re.findall(r'(\w+)=(?:"((?:[^"\\]|\\.)*)"|[^,\s]+)', sent))
        plain = dict(re.findall(r"(\w+)=([^\",\s]+)", sent))
        user, realm = "user", self.realm.replace('\\"', '"')
        secret = self.hash(f"{user}:{realm}:secret")
        if (self.algorithm or "").upper().endswith("-SESS"):
            secret = self.hash(f"{secret}:{self.nonce}:{fields['cnonce']}")
        what = f"{request.method}:{fields['uri']}"
        if plain.get("qop") == "auth-int":
            what += ":" + self.hash(request.content)
        if self.qop:
            self.counts.append(int(plain["nc"], 16))
            middle = f"{self.nonce}:{plain['nc']}:{fields['cnonce']}:{plain['qop']}"
        else:
            assert "qop" not in plain
            assert "nc" not in plain
            middle = self.nonce
        right = self.hash(f"{secret}:{middle}:{self.hash(what)}")
        assert fields["uri"] == request.url.raw_path.decode()
        assert fields["opaque"] == "op aque"
        return Response(200 if fields["response"] == right else 403, json={"fields": fields, "plain": plain})


USER = ("user", "secret")


@pytest.mark.parametrize("session", ["", "-sess", "-SESS"])
@pytest.mark.parametrize("algorithm", ["MD5", "SHA", "SHA-256", "SHA-512", "SHA-512-256"])
@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int, auth", "AUTH"])
def test_digest_is_right_with_each_algorithm(site, algorithm, session, qop):
    server = site(Digest(algorithm + session, qop))
    response = server.request("POST", "http://a.test/x?y=1", content=b"body", auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 200
    assert response.json()["plain"]["algorithm"] == algorithm + session
    assert response.json()["plain"]["qop"] == ("auth-int" if qop == "auth-int" else "auth")
    assert [each.status_code for each in response.history] == [401]


def test_digest_without_qop_and_algorithm_follows_rfc_2069(site):
    response = site(Digest(None, None)).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 200


def test_digest_of_rfc_7616_section_3_9_1(monkeypatch):
    challenge = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )
    expected = {
        "MD5": "8ca523f5e9506fed4657c9700eebdbec",
        "SHA-256": "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    }
    for algorithm, response in expected.items():
        auth = httpx_fast.DigestAuth("Mufasa", "Circle of Life")
        monkeypatch.setattr(
            auth, "_get_client_nonce", lambda count, nonce: b"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        )
        request = httpx_fast.Request("GET", "http://www.example.org/dir/index.html")
        flow = auth.sync_auth_flow(request)
        next(flow)
        sent = flow.send(Response(401, headers={"www-authenticate": challenge.format(algorithm)}, request=request))
        assert f'response="{response}"' in sent.headers["authorization"]
        assert 'uri="/dir/index.html"' in sent.headers["authorization"]
        assert "nc=00000001" in sent.headers["authorization"]


def test_digest_answers_again_without_being_asked_and_counts(backend):
    server = Digest()

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(server), auth=httpx_fast.DigestAuth(*USER)
        ) as client:
            first = await client.get("http://a.test/1")
            second = await client.get("http://a.test/2")
            assert len(first.history) == 1
            assert second.status_code == 200
            assert len(second.history) == 0

    backend.run(body)
    assert server.counts == [1, 2]


def test_digest_takes_a_new_nonce_and_counts_from_one(backend):
    server = Digest()

    def handler(request):
        sent = request.headers.get("authorization", "")
        if f'nonce="{server.nonce}"' not in sent:
            return Response(401, headers={"www-authenticate": server.challenge()})
        return server(request)

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(handler), auth=httpx_fast.DigestAuth(*USER)
        ) as client:
            await client.get("http://a.test/")
            server.nonce = "another"
            assert (await client.get("http://a.test/")).status_code == 200

    backend.run(body)
    assert server.counts == [1, 1]


def test_digest_does_not_answer_one_origin_with_the_challenge_of_another(backend):
    seen = []
    server = Digest()

    def handler(request):
        seen.append((request.url.host, "authorization" in request.headers))
        return server(request)

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(handler), auth=httpx_fast.DigestAuth(*USER)
        ) as client:
            await client.get("http://a.test/")
            await client.get("http://b.test/")

    backend.run(body)
    assert seen == [("a.test", False), ("a.test", True), ("b.test", False), ("b.test", True)]


def test_digest_never_uses_a_count_twice_in_threads():
    server = Digest()
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(server), auth=httpx_fast.DigestAuth(*USER))
    client.get("http://a.test/")
    threads = [threading.Thread(target=lambda: [client.get("http://a.test/") for _ in range(50)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(server.counts) == list(range(1, 202))


def test_digest_with_wrong_password_asks_once(site):
    def handler(request):
        return Response(401, headers={"www-authenticate": 'Digest realm="r", nonce="n", qop="auth"'})

    server = site(handler)
    response = server.get("http://a.test/", auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 401
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "challenge",
    [
        'digest realm="the realm", nonce="n0nce==", opaque="op aque", qop="auth"',
        'DIGEST realm = "the realm" ,nonce= "n0nce==",  opaque ="op aque", qop="auth",',
        'Digest realm="the realm",nonce=n0nce==,opaque="op aque",qop=auth,stale,algorithm="MD5"',
        'Basic realm="other", Digest realm="the realm", nonce="n0nce==", opaque="op aque", qop="auth"',
        'Digest realm="the realm", nonce="n0nce==", opaque="op aque", qop="auth", Basic realm="other"',
        'Negotiate, Digest realm="the realm", nonce="n0nce==", opaque="op aque", qop="auth"',
    ],
)
def test_digest_challenges_are_read_as_servers_write_them(site, challenge):
    server = Digest()
    server.challenge = lambda: challenge
    assert site(server).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER)).status_code == 200


@pytest.mark.parametrize("filler", [" ", ",", "=", '"', " =", "a ", 'a="', "a=,", '\\"', "Digest "])
def test_hostile_challenges_cost_linear_time(filler):
    challenge = "Digest " + filler * 50_000
    assert all("nonce" not in parameters for parameters in _digest_challenges([challenge]))


def test_digest_takes_the_first_challenge_that_it_knows(site):
    server = Digest("SHA-256")

    def handler(request):
        response = server(request)
        if response.status_code == 401:
            values = [
                'Digest realm="r", nonce="x", algorithm=NEWER-1',
                server.challenge(),
                'Digest realm="r", nonce="y"',
            ]
            response.headers = httpx_fast.Headers([("www-authenticate", value) for value in values])
        return response

    assert site(handler).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER)).status_code == 200


def test_quotes_are_escaped_both_ways(site):
    server = Digest(realm='say \\"hi\\"')
    assert site(server).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER)).status_code == 200


def test_username_is_hashed_when_the_server_wants_it(site):
    server = Digest("SHA-256", extra=", userhash=true")
    answer = site(server).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER)).json()
    assert answer["fields"]["username"] == server.hash("user:the realm")
    assert answer["plain"]["userhash"] == "true"


@pytest.mark.parametrize("header", [None, 'Basic realm="r"', "Negotiate", "Digestive realm=r"])
def test_digest_leaves_other_challenges_alone(site, header):
    server = site(lambda request: Response(401, headers={"www-authenticate": header} if header else {}))
    response = server.get("http://a.test/", auth=httpx_fast.DigestAuth(*USER))
    assert response.status_code == 401
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ('Digest realm="r"', "no nonce"),
        ('Digest nonce="n"', "no realm"),
        ('Digest realm="r", nonce="n", algorithm=ROT13', "algorithm b'ROT13'"),
        ('Digest realm="r", nonce="n", qop="never"', "qop b'never'"),
    ],
)
def test_digest_challenges_that_cannot_be_answered_are_errors(site, header, message):
    server = site(lambda request: Response(401, headers={"www-authenticate": header}))
    with pytest.raises(httpx_fast.ProtocolError, match=message) as caught:
        server.get("http://a.test/", auth=httpx_fast.DigestAuth(*USER))
    assert caught.value.request.url.host == "a.test"


def test_digest_sends_the_cookies_that_came_with_the_challenge(site):
    server = Digest()

    def handler(request):
        response = server(request)
        if response.status_code == 401:
            response.headers["set-cookie"] = "session=1"
        else:
            assert request.headers["cookie"] == "session=1"
        return response

    assert site(handler).get("http://a.test/", auth=httpx_fast.DigestAuth(*USER)).status_code == 200
