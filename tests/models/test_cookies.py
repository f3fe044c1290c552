from __future__ import annotations

import time
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpx_fast import CookieConflict, Cookies, Headers, Request, Response
from httpx_fast._models.cookie_jar import _MAX_HOST, MAX_DOMAIN_COOKIES, IndexedCookieJar


def received(url: str, *values: str, into: Cookies | None = None) -> Cookies:
    """The cookies after a response from `url` that sets `values`."""
    cookies = Cookies() if into is None else into
    headers = [("Set-Cookie", value) for value in values]
    cookies.extract_cookies(Response(200, headers=headers, request=Request("GET", url)))
    return cookies


def sent(cookies: Cookies, url: str) -> str | None:
    """The Cookie field of a request to `url`."""
    request = Request("GET", url)
    cookies.set_cookie_header(request)
    return request.headers.get("cookie")


def cookie(name: str, domain: str, expires: int | None = None) -> Cookie:
    return Cookie(
        0, name, "1", None, False, domain, True, False, "/", True, False, expires, expires is None, None, None, {}
    )


@pytest.mark.parametrize("given_as", [dict, list, Cookies, "jar"])
def test_cookies_can_be_made_of_what_users_have(given_as):
    pairs = [("a", "1"), ("b", "2")]
    if given_as == "jar":
        jar = CookieJar()
        jar.set_cookie(cookie("a", ""))
        assert Cookies(jar).jar is jar
        assert dict(Cookies(jar)) == {"a": "1"}
    else:
        first = given_as(pairs)
        cookies = Cookies(first)
        assert dict(cookies) == {"a": "1", "b": "2"}
        cookies["a"] = "3"
        assert dict(Cookies(given_as(pairs))) == {"a": "1", "b": "2"}


def test_cookies_are_a_mapping():
    cookies = Cookies({"a": "1"})
    cookies["b"] = "2"
    assert cookies["b"] == "2"
    assert len(cookies) == 2
    assert list(cookies) == ["a", "b"]
    assert "a" in cookies
    del cookies["a"]
    assert "a" not in cookies
    with pytest.raises(KeyError, match="'a'"):
        cookies["a"]
    assert cookies.get("a", "x") == "x"
    assert repr(cookies) == "<Cookies[<Cookie b=[secure] for  />]>"


def test_cookies_of_one_name_are_told_apart_by_domain_and_path():
    cookies = Cookies()
    cookies.set("a", "1", domain="one.org", path="/")
    cookies.set("a", "2", domain="two.org", path="/x")
    with pytest.raises(CookieConflict, match="2 cookies are named 'a'"):
        cookies["a"]
    assert cookies.get("a", domain="one.org") == "1"
    assert cookies.get("a", path="/x") == "2"
    assert cookies.get("a", domain="one.org", path="/x") is None
    cookies.delete("a", domain="one.org")
    assert cookies["a"] == "2"
    cookies.delete("a", domain="two.org", path="/x")
    assert not cookies
    cookies.delete("a")
    with pytest.raises(KeyError):
        cookies.delete("a", domain="two.org", path="/x")


def test_all_cookies_or_those_of_a_domain_or_path_can_be_cleared():
    cookies = Cookies()
    for domain in ("one.org", "two.org"):
        for path in ("/x", "/y"):
            cookies.set("a", "1", domain=domain, path=path)
    cookies.clear(domain="one.org", path="/x")
    assert len(cookies) == 3
    cookies.clear(domain="two.org")
    assert len(cookies) == 1
    with pytest.raises(ValueError, match="path '/x' was given without a domain"):
        cookies.clear(path="/x")
    cookies.clear()
    assert len(cookies) == 0


def test_update_takes_what_the_constructor_takes():
    cookies = Cookies({"a": "1", "b": "2"})
    cookies.update({"b": "3"})
    cookies.update([("c", "4")])
    cookies.update(Cookies({"d": "5"}))
    cookies.update(None)
    assert dict(cookies) == {"a": "1", "b": "3", "c": "4", "d": "5"}


def test_an_empty_jar_is_false_however_it_became_empty():
    cookies = Cookies()
    assert not cookies
    cookies.set("a", "1", domain="one.org")
    assert cookies
    cookies.delete("a")
    assert cookies.jar._cookies  # the standard library leaves empty dictionaries behind
    assert not cookies
    assert not Cookies(CookieJar())


def test_received_cookies_go_back_to_where_they_came_from():
    cookies = received("https://a.example.org/x/y", "a=1", "b=2; Domain=example.org; Path=/", "c=3; Path=/x; Secure")
    assert sent(cookies, "https://a.example.org/x/z") == "a=1; c=3; b=2"
    assert sent(cookies, "https://b.example.org/x") == "b=2"
    assert sent(cookies, "http://a.example.org/x/z") == "a=1; b=2"
    assert sent(cookies, "https://example.com/") is None
    assert sent(cookies, "https://b.example.org.evil.com/") is None
    assert sent(cookies, "https://evilexample.org/") is None


@pytest.mark.parametrize("domain", ["other.org", "org", ".org", "b.example.org"])
def test_a_host_cannot_set_cookies_for_others(domain):
    assert not received("https://a.example.org/", f"a=1; Domain={domain}")


def test_a_cookie_that_is_set_without_a_domain_goes_everywhere():
    cookies = Cookies({"a": "1"})
    for url in (
        "https://example.org/",
        "http://127.0.0.1:8000/x",
        "http://[::1]/",
        "http://localhost/",
        "http://é.org/",
    ):
        assert sent(cookies, url) == "a=1"


@pytest.mark.parametrize("url", ["http://localhost:8000/", "http://127.0.0.1/", "http://[::1]:1/", "http://é.org/"])
def test_hosts_of_every_kind_get_their_cookies_back(url):
    cookies = received(url, "a=1")
    assert sent(cookies, url) == "a=1"
    assert sent(cookies, "http://example.org/") is None


def test_userinfo_is_no_part_of_the_host():
    cookies = received("http://user:password@example.org/", "a=1")
    assert sent(cookies, "http://example.org/") == "a=1"
    assert "password" not in repr(cookies)


def test_a_cookie_field_that_is_there_is_left_alone():
    request = Request("GET", "https://example.org/", headers={"Cookie": "mine=1"}, cookies={"a": "1"})
    assert request.headers.get_list("cookie") == ["mine=1"]


def test_a_response_without_cookies_needs_no_request():
    Cookies().extract_cookies(Response(200))
    with pytest.raises(RuntimeError, match="without its request"):
        Cookies().extract_cookies(Response(200, headers={"Set-Cookie": "a=1"}))


def test_expired_cookies_are_neither_sent_nor_kept():
    cookies = received("https://example.org/", "a=1; Max-Age=1000", "b=2; Max-Age=2000", "c=3")
    assert sent(cookies, "https://example.org/") == "a=1; b=2; c=3"
    cookies.jar.set_cookie(cookie("gone", "example.org", expires=int(time.time()) - 1))
    assert len(cookies) == 4
    assert sent(cookies, "https://other.org/") is None
    assert list(cookies) == ["a", "b", "c"]
    received("https://example.org/", "a=; Max-Age=0", into=cookies)
    assert list(cookies) == ["b", "c"]


class Counting(DefaultCookiePolicy):
    """A policy of a user's; it says which domains it was asked about."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def domain_return_ok(self, domain, request):
        self.asked.append(domain)
        return super().domain_return_ok(domain, request)


def test_a_policy_of_the_users_is_asked_about_every_domain():
    cookies = received("https://one.org/", "a=1")
    cookies.set("b", "2", domain="two.org")
    policy = Counting()
    cookies.jar.set_policy(policy)
    assert sent(cookies, "https://one.org/") == "a=1"
    assert set(policy.asked) == {"one.org", "two.org"}


@pytest.mark.parametrize("length", [_MAX_HOST, _MAX_HOST + 1])
def test_a_host_of_any_length_gets_its_cookies(length):
    host = ("a." * _MAX_HOST)[: length - 4].strip(".").ljust(length - 4, "b") + ".org"
    assert len(host) == length
    jar = IndexedCookieJar()
    jar.set_cookie(cookie("a", host))
    jar.set_cookie(cookie("b", "other.org"))

    data = host.encode()
    url = SimpleNamespace(scheme="http", netloc=data, raw_host=data, raw_path=b"/", port=None)
    request = SimpleNamespace(url=url, headers=Headers())
    Cookies(jar).set_cookie_header(request)
    assert request.headers == {"Cookie": "a=1"}


@pytest.mark.parametrize(("count", "kept"), [(49, 49), (MAX_DOMAIN_COOKIES, 50), (51, 50), (1000, 50)])
def test_a_server_cannot_fill_the_jar(count, kept):
    cookies = Cookies()
    cookies.set("mine", "1", domain="example.com")
    received("https://example.org/a/b", *[f"n{number}=1; Path=/{number % 3}" for number in range(count)], into=cookies)
    assert len(cookies) == kept + 1
    assert "mine" in cookies
    assert f"n{count - 1}" in cookies
    assert ("n0" in cookies) is (count == kept)


HOSTS = st.sampled_from(["example.org", "a.example.org", "b.a.example.org", "localhost", "127.0.0.1", "0.0.1", "org"])
DOMAINS = st.sampled_from(
    ["", "example.org", ".example.org", "a.example.org", "org", "localhost", "local", "127.0.0.1"]
)
PATHS = st.sampled_from(["/", "/x", "/x/", "/x/y", "/xy"])
SET_COOKIES = st.tuples(st.sampled_from("abc"), DOMAINS, st.one_of(st.none(), PATHS), st.booleans())


class Browser:
    """The same rules, written down without a thought for cost: a list of cookies, each looked at each time."""

    def __init__(self):
        self.cookies = {}  # insertion keeps the order of creation

    def receive(self, secure, host, path, name, domain, cookie_path, wants_secure, value):
        domain = domain.lstrip(".")
        is_address = host[-1].isdigit()
        if domain and (is_address or "." not in domain):
            if domain != host:
                return
            domain = ""
        if domain and host != domain and not host.endswith("." + domain):
            return
        path = cookie_path or path[: path.rindex("/")] or "/"
        only, domain = (True, host) if not domain else (False, domain)
        if not secure:
            for (other, their_domain, _, their_path), (_, is_secure) in self.cookies.items():
                related = any(
                    one == two or ("." in two and one.endswith("." + two))
                    for one, two in ((domain, their_domain), (their_domain, domain))
                )
                if is_secure and other == name and related and self.path_fits(their_path, path):
                    return
        key = (name, domain, only, path)
        self.cookies[key] = (value, wants_secure)

    def path_fits(self, path, requested):
        return requested == path or requested.startswith(path if path.endswith("/") else path + "/")

    def send(self, secure, host, path):
        chosen = [
            (their_path, f"{name}={value}")
            for (name, domain, only, their_path), (value, is_secure) in self.cookies.items()
            if (host == domain or (not only and host.endswith("." + domain)))
            and self.path_fits(their_path, path)
            and (secure or not is_secure or host in ("localhost", "127.0.0.1"))
        ]
        chosen.sort(key=lambda each: -len(each[0]))
        return "; ".join(text for _, text in chosen) or None


@given(st.lists(st.tuples(st.booleans(), HOSTS, PATHS, SET_COOKIES), max_size=8), st.booleans(), HOSTS, PATHS)
def test_the_same_cookies_are_kept_and_sent_as_by_the_rules(responses, secure, host, path):
    ours, theirs = Cookies(), Browser()
    for value, (is_tls, sender, where, (name, domain, cookie_path, wants_secure)) in enumerate(responses):
        line = f"{name}={value}" + (f"; Domain={domain}" if domain else "")
        line += (f"; Path={cookie_path}" if cookie_path else "") + ("; Secure" if wants_secure else "")
        received(f"{'https' if is_tls else 'http'}://{sender}{where}", line, into=ours)
        theirs.receive(is_tls, sender, where, name, domain, cookie_path, wants_secure, value)
    assert sent(ours, f"{'https' if secure else 'http'}://{host}{path}") == theirs.send(secure, host, path)
