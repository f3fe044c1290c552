"""The jar below `Cookies`: as urllib uses it, and its limits at the limit, one under and one over."""

from __future__ import annotations

import pickle
import threading
import urllib.request
from email.message import Message
from http.cookiejar import Cookie, CookieJar, DefaultCookiePolicy
from types import SimpleNamespace

import pytest

from httpx_fast._models import cookie_jar
from httpx_fast._models.cookie_jar import (
    MAX_COOKIES,
    MAX_DOMAIN_COOKIES,
    MAX_FIELD,
    IndexedCookieJar,
    field_value,
    has_own_rules,
    judgements,
    receive,
)
from httpx_fast._models.cookie_rules import Place

HTTPS, HTTP = Place("https", "a.test", "/", "443"), Place("http", "a.test", "/", "80")


@pytest.fixture
def clock(monkeypatch):
    """The time of day, which a test moves."""
    clock = SimpleNamespace(now=1_700_000_000.0)
    monkeypatch.setattr(cookie_jar.time, "time", lambda: clock.now)
    return clock


def jar_of(*values: str, place: Place = HTTPS) -> IndexedCookieJar:
    jar = IndexedCookieJar()
    receive(jar, values, place, None)
    return jar


def own(name: str, domain: str = "", expires: int | None = None) -> Cookie:
    """A cookie that the user set."""
    return Cookie(
        0, name, "1", None, False, domain, True, False, "/", True, False, expires, expires is None, None, None, {}
    )


def names(jar: CookieJar) -> list[str]:
    return sorted(cookie.name for cookie in jar)


def urllib_response(*values: str) -> SimpleNamespace:
    message = Message()
    for value in values:
        message["Set-Cookie"] = value
    return SimpleNamespace(info=lambda: message)


def test_urllib_can_use_the_jar():
    jar = IndexedCookieJar()
    request = urllib.request.Request("https://a.test/x/y?z")
    jar.extract_cookies(urllib_response("a=1; Path=/", "b=2; Domain=b.test", "c=3"), request)
    assert names(jar) == ["a", "c"]
    jar.add_cookie_header(request)
    assert request.get_header("Cookie") == "c=3; a=1"
    other = urllib.request.Request("https://a.test/", headers={"Cookie": "own=1"})
    jar.add_cookie_header(other)
    assert other.get_header("Cookie") == "own=1"
    empty = urllib.request.Request("http://[::1]:8080/")
    jar.add_cookie_header(empty)
    assert not empty.has_header("Cookie")
    assert [each.name for each in jar.make_cookies(urllib_response("d=4", "e=5; Domain=b.test"), request)] == ["d"]


@pytest.mark.parametrize("count", [MAX_DOMAIN_COOKIES - 1, MAX_DOMAIN_COOKIES, MAX_DOMAIN_COOKIES + 1])
def test_a_domain_keeps_the_cookies_that_were_used_last(count):
    jar = jar_of("old=1; Path=/old", *(f"n{number}=1" for number in range(MAX_DOMAIN_COOKIES - 2)))
    field_value(jar, HTTPS, None)  # uses all but the first
    receive(jar, [f"m{number}=1" for number in range(count - MAX_DOMAIN_COOKIES + 1)], HTTPS, None)
    assert len(jar) == min(count, MAX_DOMAIN_COOKIES)
    assert ("old" in names(jar)) == (count <= MAX_DOMAIN_COOKIES)


@pytest.mark.parametrize("more", [0, 1])
def test_a_jar_keeps_so_many_cookies(more):
    jar = IndexedCookieJar()
    hosts, rest = divmod(MAX_COOKIES + more, MAX_DOMAIN_COOKIES)
    for host in range(hosts + (rest > 0)):
        count = MAX_DOMAIN_COOKIES if host < hosts else rest
        receive(jar, [f"n{number}=1" for number in range(count)], Place("https", f"h{host}.test", "/", "443"), None)
    assert len(jar) == MAX_COOKIES


def test_cookies_of_the_user_are_never_evicted():
    jar = IndexedCookieJar()
    for number in range(MAX_DOMAIN_COOKIES + 5):
        jar.set_cookie(own(f"own{number}", "a.test"))
    receive(jar, [f"n{number}=1" for number in range(MAX_DOMAIN_COOKIES + 1)], HTTPS, None)
    assert len([name for name in names(jar) if name.startswith("own")]) == MAX_DOMAIN_COOKIES + 5
    assert len([name for name in names(jar) if name.startswith("n")]) == MAX_DOMAIN_COOKIES


def test_a_response_without_tls_evicts_no_secure_cookie():
    jar = jar_of(*(f"s{number}=1; Secure" for number in range(MAX_DOMAIN_COOKIES)))
    receive(jar, ["plain=1"], HTTP, None)
    assert "plain" not in names(jar)
    assert len(jar) == MAX_DOMAIN_COOKIES


def test_expired_cookies_go_before_others_are_evicted(clock):
    jar = jar_of(*(f"old{number}=1; Max-Age=10" for number in range(MAX_DOMAIN_COOKIES)))
    clock.now += 11
    receive(jar, ["new=1"], HTTPS, None)
    assert names(jar) == ["new"]


def test_expiry_is_looked_for_when_the_first_one_is_due(clock, monkeypatch):
    jar = jar_of("a=1; Max-Age=10", "b=1; Max-Age=20", "c=1")
    looked = []
    usual = CookieJar.clear_expired_cookies
    monkeypatch.setattr(CookieJar, "clear_expired_cookies", lambda self: (looked.append(clock.now), usual(self)))
    jar.clear_expired_cookies()
    assert looked == []
    clock.now += 11
    assert field_value(jar, HTTPS, None) == "b=1; c=1"
    assert len(looked) == 1
    jar.clear_expired_cookies()
    assert len(looked) == 1
    clock.now += 10
    assert field_value(jar, HTTPS, None) == "c=1"


def test_a_cookie_that_is_expired_when_it_comes_deletes_the_old_one():
    jar = jar_of("a=1", "b=1")
    receive(jar, ["a=; Max-Age=0", "never=1; Max-Age=0"], HTTPS, None)
    assert names(jar) == ["b"]


def test_a_cookie_that_is_set_again_keeps_its_place(clock):
    jar = jar_of("a=1", "b=1")
    receive(jar, ["a=2"], HTTPS, None)
    assert field_value(jar, HTTPS, None) == "a=2; b=1"


@pytest.mark.parametrize("size", [MAX_FIELD, MAX_FIELD + 1])
def test_received_cookies_fill_a_field_only_so_far(size):
    jar = IndexedCookieJar()
    sizes = [4000] * (size // 4002)
    sizes.append(size - sum(each + 2 for each in sizes))
    for number, each in enumerate(sizes):
        receive(jar, [f"n{number:02}=".ljust(each, "x")], HTTPS, None)
    assert len(field_value(jar, HTTPS, None)) <= MAX_FIELD
    assert len(field_value(jar, HTTPS, None).split("; ")) == len(sizes) - (size > MAX_FIELD)


def test_copy_by_pickle_has_a_lock_of_its_own():
    jar = jar_of("a=1; Max-Age=1000", "b=2")
    copy = pickle.loads(pickle.dumps(jar))
    assert field_value(copy, HTTPS, None) == "a=1; b=2"
    assert copy._cookies_lock is not jar._cookies_lock
    receive(copy, ["c=3"], HTTPS, None)
    assert names(jar) == ["a", "b"]


def test_threads_can_share_a_jar():
    jar = IndexedCookieJar()

    def work(number: int) -> None:
        place = Place("https", f"h{number}.test", "/", "443")
        for round in range(50):
            receive(jar, [f"n{round % 7}={round}"], place, None)
            field_value(jar, place, None)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(jar) == 4 * 7


def test_only_jars_with_methods_of_their_own_have_rules_of_their_own():
    class Quiet(CookieJar):
        def __repr__(self) -> str:
            return "Quiet"

    class Judging(CookieJar):
        def make_cookies(self, response: object, request: object) -> list[Cookie]:
            return []

    assert [has_own_rules(kind()) for kind in (CookieJar, IndexedCookieJar, Quiet, Judging)] == [False] * 3 + [True]


def test_each_cookie_is_judged_with_a_reason():
    jar = jar_of("a=1", "b=1; Secure", "c=1; Path=/deep")
    receive(jar, ["d=1"], Place("https", "b.test", "/", "443"), None)
    reasons = {cookie.name: reason for cookie, reason in judgements(jar, HTTP, None)}
    assert reasons["a"] is None
    assert reasons["d"] == "it is for another host"
    assert all(reasons[name] for name in "bc")
    assert field_value(jar, HTTP, None) == "a=1"


def test_policy_of_the_user_is_asked():
    class No(DefaultCookiePolicy):
        def set_ok(self, cookie: Cookie, request: object) -> bool:
            return cookie.name != "a"

        def return_ok(self, cookie: Cookie, request: object) -> bool:
            return cookie.name != "b"

    jar = CookieJar(No())
    request = urllib.request.Request("https://a.test/")
    receive(jar, ["a=1", "b=1", "c=1"], HTTPS, request)
    assert names(jar) == ["b", "c"]
    assert field_value(jar, HTTPS, request) == "c=1"
    assert {cookie.name: reason for cookie, reason in judgements(jar, HTTPS, request)} == {
        "b": "the jar's policy says no",
        "c": None,
    }
