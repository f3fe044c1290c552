"""The rules for cookies by RFC 6265bis: what is taken, with what meaning, what is sent, and what goes when it is full.

Each of them holds in our jar and in those of the standard library.
"""

from __future__ import annotations

import copy
import http.cookiejar
import logging
import pickle
import sys
import threading
import time
import urllib.request
from http.cookiejar import CookieJar, DefaultCookiePolicy, LWPCookieJar, MozillaCookieJar

import pytest

from httpx_fast import Cookies, Headers, Request, Response
from httpx_fast._models import cookie_jar as jars
from httpx_fast._models import cookie_rules as rules
from httpx_fast._models.cookie_jar import MAX_COOKIES, MAX_DOMAIN_COOKIES, MAX_FIELD
from httpx_fast._models.cookie_rules import MAX_ATTRIBUTE, MAX_PAIR, ReceivedCookie, parse_date


@pytest.fixture(params=[None, CookieJar, MozillaCookieJar, LWPCookieJar])
def cookies(request):
    """Cookies in a jar of our own, and in those of users."""
    return Cookies() if request.param is None else Cookies(request.param())


@pytest.fixture(autouse=True)
def the_rule_of_one_label(monkeypatch):
    """Whatever is installed."""
    monkeypatch.setattr(rules, "_listed", lambda: lambda domain: False)


def receive(cookies, url, *values):
    response = Response(200, request=Request("GET", url))
    response.headers = Headers(
        [(b"Set-Cookie", value if isinstance(value, bytes) else value.encode()) for value in values]
    )
    cookies.extract_cookies(response)
    return cookies


def sent(cookies, url):
    request = Request("GET", url)
    cookies.set_cookie_header(request)
    return request.headers.get("cookie")


def the(cookies):
    (cookie,) = cookies.jar
    return cookie


SITE = "https://www.example.org/docs/page"


@pytest.mark.parametrize("control", ["\0", "\x01", "\n", "\r", "\x1f", "\x7f", "\x0b"])
@pytest.mark.parametrize("place", ["a{}=1", "a=x{}y", "a=1; Path=/{}", "a=1; X={}"])
def test_value_with_a_control_character_is_ignored(cookies, control, place):
    receive(cookies, SITE, place.format(control), "b=2")
    assert sent(cookies, SITE) == "b=2"


def test_tab_is_no_control_character(cookies):
    receive(cookies, SITE, "a=x\ty\t;\tPath\t=\t/\t")
    assert sent(cookies, SITE) == "a=x\ty"


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("a=1", "a=1"),
        (" a = 1 ; Secure", "a=1"),
        ("a=", "a="),
        ("a", "a"),
        ('a="x; y"', 'a="x'),
        ('a="x y"', 'a="x y"'),
        ("a='x'", "a='x'"),
        (r'a="x\"y"', r'a="x\"y"'),
        ("a=b=c==", "a=b=c=="),
        ("a=1,b=2", "a=1,b=2"),
        ("a=ü".encode(), "a=ü"),
        ("=1", None),
        ("=__Host-a=1", None),
        ("", None),
        (";", None),
        ("=", None),
        ("; Path=/", None),
    ],
)
def test_name_and_value_are_kept_as_they_were_sent(cookies, value, field):
    receive(cookies, SITE, value)
    assert sent(cookies, SITE) == field


@pytest.mark.parametrize(("length", "is_kept"), [(MAX_PAIR - 1, True), (MAX_PAIR, True), (MAX_PAIR + 1, False)])
@pytest.mark.parametrize("letter", ["x", "ü"])
def test_name_and_value_have_a_limit_in_bytes(length, is_kept, letter):
    value = letter * ((length - 3) // len(letter.encode()))
    name = "n" * (length - len(value.encode()))
    assert bool(receive(Cookies(), SITE, f" {name} = {value} ")) == is_kept
    assert bool(receive(Cookies(), SITE, "n" * length)) == is_kept


@pytest.mark.parametrize(("length", "is_read"), [(MAX_ATTRIBUTE, True), (MAX_ATTRIBUTE + 1, False)])
def test_attribute_that_is_too_long_is_ignored(length, is_read):
    cookie = the(receive(Cookies(), SITE, "a=1; Path=" + "/x".ljust(length, "x")))
    assert cookie.path_specified == is_read


def test_last_of_an_attribute_counts(cookies):
    cookie = the(receive(cookies, SITE, "a=1; Path=/x; path=/y; Domain=www.example.org; Domain=example.org"))
    assert (cookie.path, cookie.domain) == ("/y", ".example.org")


def test_other_attributes_are_kept_and_ignored(cookies):
    cookie = the(
        receive(cookies, SITE, "a=1; SameSite=Strict; HttpOnly; Partitioned; Priority=High; Port=1; Version=1")
    )
    assert cookie.get_nonstandard_attr("SameSite") == "Strict"
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert sent(cookies, "http://www.example.org/docs/") == "a=1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("06 Nov 94 08:49:37", 784111777),
        ("1994 nov 6 8:49:37", 784111777),
        ("06-November-1994 08:49:37 UTC+0300", 784111777),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31-Dec-9999 23:59:59 GMT", 253402300799),
        ("Mon, 01 Jan 69 00:00:00 GMT", 3124224000),
        ("Thu, 01 Jan 70 00:00:00 GMT", 0),
        ("01 Jan 1601 00:00:00", -11644473600),
        ("08:49:37x 06y Nov 1994z", 784111777),
        ("01 Jan 1600 00:00:00", None),
        ("30 Feb 2024 00:00:00", None),
        ("00 Jan 2024 00:00:00", None),
        ("32 Jan 2024 00:00:00", None),
        ("01 Jan 2024 24:00:00", None),
        ("01 Jan 2024 00:60:00", None),
        ("01 Jan 2024 00:00:60", None),
        ("01 Jan 2024 00:00", None),
        ("01 Jan 2024 00:00:000", None),
        ("01 Jan 20245 00:00:00", None),
        ("01 Foo 2024 00:00:00", None),
        ("2024-01-01T00:00:00Z", None),
        ("0", None),
        ("-1", None),
        ("", None),
        ("Session", None),
        ("31 Dec 99999999999999999999 23:59:59", None),
    ],
)
def test_dates_are_read_as_browsers_read_them(text, expected):
    assert parse_date(text) == expected


@pytest.mark.parametrize("date", ["Tue, 99 Foo 2099 99:99:99 GMT", "99999999999999999999", "", "-1", "1e400", "\u0665"])
def test_bad_date_drops_the_attribute_and_nothing_else(cookies, date, recwarn):
    receive(cookies, SITE, "a=1", f"b=2; Expires={date}", "c=3")
    assert sent(cookies, SITE) == "a=1; b=2; c=3"
    assert [cookie.expires for cookie in cookies.jar] == [None] * 3
    assert not recwarn


@pytest.mark.parametrize(
    ("attribute", "lifetime"),
    [
        ("Max-Age=60", 60),
        ("max-age = 60", 60),
        ('Max-Age="60"', 60),
        ("Max-Age=+60", 60),
        ("Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 60),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=60", 60),
        ("Max-Age=0", 0),
        ("Max-Age=-1", 0),
        ("Max-Age=-99999999999999999999999", 0),
        ("Max-Age=0; Expires=Fri, 31-Dec-9999 23:59:59 GMT", 0),
        ("Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Expires=Mon, 01 Jan 1601 00:00:00 GMT", 0),
        ("Max-Age=", None),
        ("Max-Age", None),
        ("Max-Age=soon", None),
        ("Max-Age=1_000", None),
        ("Max-Age=1.5", None),
        ("Max-Age=\u0665", None),
        ("Max-Age=--1", None),
        ("Max-Age=soon; Expires=Thu, 01 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_lifetime(cookies, attribute, lifetime):
    receive(cookies, SITE, "a=0; Path=/", f"a=1; Path=/; {attribute}")
    if lifetime == 0:
        assert len(cookies) == 0
        return
    cookie = the(cookies)
    assert cookie.value == "1"
    assert cookie.discard == (lifetime is None)
    if lifetime is None:
        assert cookie.expires is None
    else:
        assert lifetime - 60 <= cookie.expires - time.time() <= lifetime


def test_lifetime_of_any_length_ends_with_the_year_9999(cookies):
    receive(cookies, SITE, "a=1; Max-Age=" + "9" * 1000)
    assert the(cookies).expires == 253402300799


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", "/"),
        ("/x", "/x"),
        ('"/x"', "/x"),
        ("/x/", "/x/"),
        ("/é x", "/%C3%A9%20x"),
        ("/%e9", "/%E9"),
        ("", "/docs"),
        ("x", "/docs"),
        ('""', "/docs"),
        ("http://www.example.org/x", "/docs"),
    ],
)
def test_path_of_a_cookie(cookies, path, expected):
    assert the(receive(cookies, SITE, f"a=1; Path={path}")).path == expected


@pytest.mark.parametrize(
    ("url", "expected"), [("https://a.test", "/"), ("https://a.test/x", "/"), ("https://a.test/x/?y=/z/", "/x")]
)
def test_default_path(cookies, url, expected):
    assert the(receive(cookies, url, "a=1")).path == expected


@pytest.mark.parametrize(
    ("path", "requested"),
    [
        ("/docs", ["/docs", "/docs/", "/docs/x", "/docs?q"]),
        ("/docs/", ["/docs/", "/docs/x"]),
        ("/é", ["/é", "/%C3%A9", "/%c3%a9/x"]),
        ("/", ["/", "/docs", "/documents", "/docs/", "/docs/x", "/docs?q", "/é", "/%C3%A9", "/%c3%a9/x"]),
    ],
)
def test_path_is_matched_by_whole_segments(cookies, path, requested):
    receive(cookies, SITE, f"a=1; Path={path}")
    every = ["/", "/docs", "/documents", "/docs/", "/docs/x", "/docs?q", "/é", "/%C3%A9", "/%c3%a9/x"]
    assert [each for each in every if sent(cookies, f"https://www.example.org{each}")] == requested


def test_cookie_without_a_domain_stays_with_its_host(cookies):
    receive(cookies, "https://example.org/", "a=1", "b=2; Domain=", "c=3; Domain=.")
    assert sent(cookies, "https://example.org/") == "a=1; b=2; c=3"
    assert sent(cookies, "https://www.example.org/") is None
    assert [cookie.domain_specified for cookie in cookies.jar] == [False] * 3


def test_domain_may_begin_with_a_dot_and_be_in_any_spelling(cookies):
    receive(cookies, "https://www.bücher.example/", "a=1; Domain=Bücher.example", "b=2; Domain=.XN--BCHER-KVA.example")
    assert sent(cookies, "https://bücher.example/") == "a=1; b=2"
    assert sent(cookies, "https://x.xn--bcher-kva.example/") == "a=1; b=2"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[2001:db8::1]", "10.0.0.255"])
def test_address_is_a_domain_of_its_own(cookies, host):
    url = f"http://{host}:8000/"
    receive(cookies, url, "a=1", f"b=2; Domain={host}", "c=3; Domain=0.0.1", "d=4; Domain=.1", "e=5; Domain=::1")
    assert sent(cookies, url) == "a=1; b=2"
    assert [cookie.domain_specified for cookie in cookies.jar] == [False] * 2
    receive(cookies, url, "a=; Max-Age=0", f"b=; Max-Age=0; Domain={host}")
    assert len(cookies) == 0


def test_the_local_name_of_a_host_without_a_dot_is_its_own():
    cookies = Cookies()
    request = Request("GET", "http://testserver/")
    fields = [("Set-Cookie", "a=1; Domain=testserver.local"), ("Set-Cookie", "b=2; Domain=other.local")]
    cookies.extract_cookies(Response(200, headers=fields, request=request))
    assert dict(cookies) == {"a": "1"}
    for host, sent in (("testserver", "a=1"), ("other", None)):
        later = Request("GET", f"http://{host}/", cookies=cookies)
        assert later.headers.get("Cookie") == sent


@pytest.mark.parametrize("host", ["localhost", "intranet", "org"])
def test_host_without_a_dot_is_a_domain_of_its_own(cookies, host):
    url = f"http://{host}:8000/"
    receive(cookies, url, "a=1", f"b=2; Domain={host}", f"c=3; Domain=.{host}", "d=4; Domain=local")
    assert sent(cookies, url) == "a=1; b=2; c=3"
    assert sent(cookies, f"http://sub.{host}/") is None
    cookies.set("mine", "1", domain=host)
    assert "mine=1" in sent(cookies, url)


@pytest.mark.parametrize(
    "domain", ["org", ".org", "other.org", "www2.example.org", "w.example.org", "ample.org", "..example.org", "x..org"]
)
def test_domain_that_is_not_the_hosts_is_refused(cookies, domain):
    assert not receive(cookies, SITE, f"a=1; Domain={domain}")


def test_names_below_a_public_suffix_are_strangers(cookies, monkeypatch):
    package = pytest.importorskip("publicsuffixlist", reason="what knows that co.uk is one")
    suffixes = package.PublicSuffixList()
    monkeypatch.setattr(rules, "_listed", lambda: suffixes.is_public)
    receive(cookies, "https://a.co.uk/", "a=1; Domain=co.uk", "b=2; Domain=a.co.uk")
    assert sent(cookies, "https://b.co.uk/") is None
    assert sent(cookies, "https://x.a.co.uk/") == "b=2"
    receive(cookies, "https://github.io/", "c=3; Domain=github.io")
    assert sent(cookies, "https://github.io/") == "c=3"
    assert sent(cookies, "https://a.github.io/") is None


def test_list_of_public_suffixes_is_found_if_it_is_installed(monkeypatch):
    monkeypatch.undo()
    rules._listed.cache_clear()
    try:
        assert rules.is_public_suffix("test")
        assert not rules.is_public_suffix("example.org")
        monkeypatch.setitem(sys.modules, "publicsuffixlist", None)
        rules._listed.cache_clear()
        assert not rules.is_public_suffix("co.uk")
    finally:
        rules._listed.cache_clear()


@pytest.mark.parametrize(
    ("url", "value", "is_kept"),
    [
        (SITE, "__Host-a=1; Secure; Path=/", True),
        (SITE, "__host-a=1; Secure; Path=/", True),
        (SITE, "__Host-a=1; Secure; Path=/; Domain=", True),
        (SITE, "__Host-a=1; Path=/", False),
        (SITE, "__Host-a=1; Secure", False),
        ("https://www.example.org/", "__Host-a=1; Secure", False),
        (SITE, "__Host-a=1; Secure; Path=/docs", False),
        (SITE, "__Host-a=1; Secure; Path=/; Domain=www.example.org", False),
        (SITE, "__HOST-a=1; Secure; Path=/; Domain=example.org", False),
        ("http://www.example.org/", "__Host-a=1; Secure; Path=/", False),
        (SITE, "__Secure-a=1; Secure", True),
        (SITE, "__Secure-a=1; Secure; Domain=example.org; Path=/x", True),
        (SITE, "__SECURE-a=1", False),
        ("http://www.example.org/", "__Secure-a=1; Secure", False),
        (SITE, "__Host-a", False),
        (SITE, "__Secure-a; Secure", False),
        ("http://localhost:8000/", "__Host-a=1; Secure; Path=/", True),
        ("http://127.0.0.1/", "__Secure-a=1; Secure", True),
        ("http://127.example.org/", "__Secure-a=1; Secure", False),
    ],
)
def test_prefixes_of_names_are_promises(cookies, url, value, is_kept):
    assert bool(receive(cookies, url, value)) == is_kept


@pytest.mark.parametrize(
    ("url", "is_sent"),
    [
        ("http://localhost:8000/", True),
        ("http://app.localhost/", True),
        ("http://127.0.0.1:8000/", True),
        ("http://[::1]:8000/", True),
        ("http://www.example.org/", False),
        ("http://127.example.org/", False),
        ("http://192.168.0.1/", False),
    ],
)
def test_secure_cookie_is_sent_without_tls_to_this_machine_only(cookies, url, is_sent):
    receive(cookies, url, "a=1; Secure", "b=2")
    assert sent(cookies, url) == ("a=1; b=2" if is_sent else "b=2")


def test_secure_cookie_is_not_overwritten_from_an_insecure_place(cookies):
    receive(cookies, "https://www.example.org/x/", "a=1; Secure; Path=/x", "b=1; Path=/x")
    for url in ("http://www.example.org/x/", "http://evil.example.org/x/"):
        for domain in ("", "; Domain=example.org"):
            for path in ("/x", "/x/y"):
                receive(cookies, url, f"a=evil{domain}; Path={path}", f"a=gone; Max-Age=0{domain}; Path={path}")
    # On the same host without Domain, or for the whole domain, it would be mistaken for the secure one.
    assert sent(cookies, "https://www.example.org/x/y") == "a=1; b=1"
    receive(cookies, "http://www.example.org/x/", "b=2; Path=/x", "a=other; Path=/z")
    assert sent(cookies, "https://www.example.org/x/") == "a=1; b=2"
    assert sent(cookies, "https://www.example.org/z/") == "a=other"
    receive(cookies, "https://www.example.org/x/", "a=3; Path=/x")
    assert sent(cookies, "http://www.example.org/x/") == "a=3; b=2"


def test_secure_cookie_of_a_test_server_without_tls_can_be_looked_at():
    cookies = receive(Cookies(), "http://testserver/", "session=1; Secure")
    assert cookies["session"] == "1"
    assert sent(cookies, "http://testserver/") is None
    assert sent(cookies, "https://testserver/") == "session=1"


def test_longer_paths_and_older_cookies_come_first(cookies):
    receive(cookies, "https://www.example.org/", "a=1; Path=/", "b=2; Domain=example.org; Path=/", "c=3; Path=/x/y")
    receive(cookies, "https://www.example.org/", "d=4; Path=/x", "e=5; Path=/", "f=6; Domain=example.org; Path=/x")
    assert sent(cookies, "https://www.example.org/x/y") == "c=3; d=4; f=6; a=1; b=2; e=5"
    # A cookie that is set again keeps its place (RFC 6265bis s.5.7 step 22).
    receive(cookies, "https://www.example.org/", "a=7; Path=/")
    assert sent(cookies, "https://www.example.org/") == "a=7; b=2; e=5"


def test_domain_has_a_limit_and_the_least_recently_used_go(cookies):
    cookies.set("mine", "1", domain="example.org")
    receive(cookies, "https://example.org/", *(f"n{number}=1; Path=/{number}" for number in range(MAX_DOMAIN_COOKIES)))
    assert len(cookies) == MAX_DOMAIN_COOKIES + 1
    assert "n0=1" in sent(cookies, "https://example.org/0")
    receive(cookies, "https://example.org/", "new=1", "newer=1; Domain=example.org")
    names = set(cookies)
    assert len(cookies) == MAX_DOMAIN_COOKIES + 1
    assert {"mine", "n0", "n3", "new", "newer"} <= names
    assert not {"n1", "n2"} & names


def test_what_has_expired_goes_first(cookies):
    now = int(time.time())
    receive(cookies, "https://example.org/", *(f"n{number}=1; Max-Age=60" for number in range(MAX_DOMAIN_COOKIES)))
    for cookie in cookies.jar:
        if cookie.name == "n7":
            cookie.expires = now - 1
            getattr(cookies.jar, "set_cookie")(cookie)  # noqa: B009  # which tells a jar of ours when to look
    receive(cookies, "https://example.org/", "new=1")
    assert "n7" not in list(cookies)
    assert len(cookies) == MAX_DOMAIN_COOKIES


def test_what_comes_without_tls_does_not_drive_out_what_is_secure(cookies):
    receive(cookies, "https://example.org/", "login=1; Secure")
    receive(cookies, "http://example.org/", *(f"n{number}=1" for number in range(2 * MAX_DOMAIN_COOKIES)))
    assert "login" in list(cookies)
    assert len(cookies) == MAX_DOMAIN_COOKIES


@pytest.mark.parametrize("limit", [10])
def test_jar_has_a_limit(cookies, limit, monkeypatch):
    monkeypatch.setattr(jars, "MAX_COOKIES", limit)
    assert limit < MAX_COOKIES
    for number in range(limit):
        receive(cookies, f"https://{number}.test/", "a=1")
    assert len(cookies) == limit
    assert sent(cookies, "https://0.test/") == "a=1"
    receive(cookies, "https://new.test/", "a=1")
    assert len(cookies) == limit
    assert sent(cookies, "https://0.test/") == sent(cookies, "https://new.test/") == "a=1"
    assert sent(cookies, "https://1.test/") is None


def test_cookies_of_the_user_are_never_evicted(cookies, monkeypatch):
    monkeypatch.setattr(jars, "MAX_COOKIES", 3)
    for number in range(2 * MAX_DOMAIN_COOKIES):
        cookies.set(f"mine{number}", "1", domain="example.org")
    receive(cookies, "https://example.org/", "a=1", "b=1", "c=1", "d=1")
    assert len(cookies) == 2 * MAX_DOMAIN_COOKIES + 3
    assert sent(cookies, "https://example.org/").count("mine") == 2 * MAX_DOMAIN_COOKIES


def test_field_has_a_limit_for_what_servers_set(cookies):
    values = [f"n{number}={'x' * 4000}" for number in range(20)]
    receive(cookies, "https://example.org/", *values)
    field = sent(cookies, "https://example.org/")
    assert MAX_FIELD - 4100 < len(field) <= MAX_FIELD
    assert field.startswith("n0=")
    mine = Cookies({"mine": "x" * (MAX_FIELD + 1)})
    assert len(sent(mine, "https://example.org/")) == MAX_FIELD + len("mine=") + 1


def test_cookies_that_filled_three_heads_of_4_kib_go_back(cookies):
    values = [f"auth{number}={'x' * 4050}" for number in range(3)]
    receive(cookies, "https://example.org/", *values)
    assert sent(cookies, "https://example.org/") == "; ".join(values)


def test_own_jar_is_pickled_and_copied():
    cookies = receive(Cookies(), SITE, "a=1; Max-Age=60", "b=2")
    for jar in (pickle.loads(pickle.dumps(cookies.jar)), copy.deepcopy(cookies.jar)):
        assert sent(Cookies(jar), SITE) == "a=1; b=2"
        receive(Cookies(jar), SITE, "c=3")
        assert sent(Cookies(jar), SITE) == "a=1; b=2; c=3"
    assert len(cookies) == 2


@pytest.mark.parametrize("kind", [MozillaCookieJar, LWPCookieJar])
def test_jars_of_files_keep_what_hosts_they_are_for(kind, tmp_path):
    path = str(tmp_path / "jar")
    cookies = Cookies(kind(path))
    receive(cookies, "https://example.org/", "a=1; Max-Age=60", "b=2; Max-Age=60; Domain=example.org")
    cookies.jar.save()
    jar = kind(path)
    jar.load()
    assert sorted(sent(Cookies(jar), "https://example.org/").split("; ")) == ["a=1", "b=2"]
    assert sent(Cookies(jar), "https://www.example.org/") == "b=2"


def test_settings_of_the_standard_policy_are_obeyed():
    policy = DefaultCookiePolicy(blocked_domains=["ads.example.org", ".ads.example.org"])
    cookies = Cookies(CookieJar(policy))
    receive(cookies, "https://ads.example.org/", "a=1", "b=1; Domain=example.org", "c\n=1")
    receive(cookies, "https://www.example.org/", "d=1", "e=1; Domain=example.org", "f=1; Expires=never")
    assert sorted(cookies) == ["b", "d", "e", "f"]
    assert sent(cookies, "https://www.example.org/") == "b=1; d=1; e=1; f=1"
    own = Cookies({"x": "1"})
    own.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    assert not receive(Cookies(own.jar), SITE, "a=1").get("a")


class BlockAll(http.cookiejar.CookiePolicy):
    netscape = True
    rfc2965 = hide_cookie2 = False

    def set_ok(self, cookie, request):
        return False

    return_ok = domain_return_ok = path_return_ok = set_ok


def test_policy_that_refuses_all_is_obeyed():
    cookies = Cookies(CookieJar(BlockAll()))
    assert not receive(cookies, SITE, "a=1")
    cookies.set("a", "1")
    assert sent(cookies, SITE) is None


class Lax(DefaultCookiePolicy):
    def set_ok(self, cookie, request):
        return True

    def return_ok(self, cookie, request):
        return True

    domain_return_ok = path_return_ok = return_ok


def test_policy_of_the_users_judges_in_place_of_the_rules():
    cookies = Cookies(CookieJar(Lax()))
    receive(cookies, SITE, "a=1; Domain=other.org", "b=\0", "c=3; Expires=bad")
    assert sent(cookies, "http://third.org/") in ("a=1; c=3", "c=3; a=1")


class OwnJar(CookieJar):
    def extract_cookies(self, response, request):
        self.seen = response.info().get_all("Set-Cookie"), request.get_full_url()

    def add_cookie_header(self, request):
        request.add_unredirected_header("Cookie", "own=1")


def test_jar_with_methods_of_its_own_is_asked():
    cookies = Cookies(OwnJar())
    receive(cookies, SITE, "a=1", "b=\x01", "c=3")
    assert cookies.jar.seen == (["a=1", "c=3"], SITE)
    assert sent(cookies, SITE) == "own=1"


def test_own_jar_serves_urllib():
    jar = Cookies().jar

    class Answer:
        def info(self):
            return self

        def get_all(self, name, default=None):
            return ["a=1; Path=/", "b=2; Domain=other.org", "c=\x01"] if name == "Set-Cookie" else default

    request = urllib.request.Request("http://user@WWW.example.org:8080/x?y")
    assert [cookie.name for cookie in jar.make_cookies(Answer(), request)] == ["a"]
    jar.extract_cookies(Answer(), request)
    assert isinstance(the(Cookies(jar)), ReceivedCookie)
    jar.add_cookie_header(request)
    assert request.get_header("Cookie") == "a=1"
    other = urllib.request.Request("http://[::1]/", headers={"Cookie": "mine=1"})
    jar.add_cookie_header(other)
    assert other.get_header("Cookie") == "mine=1"


def test_values_are_in_no_repr():
    cookies = receive(Cookies({"own": "secret-1"}), SITE, "a=secret-2; Path=/", "secret-3")
    shown = [repr(cookies), str(cookies), repr(cookies.jar), str(cookies.jar)]
    shown += [f"{cookie!r} {cookie}" for cookie in cookies.jar]
    assert not any("secret-1" in each or "secret-2" in each for each in shown)
    assert "<Cookie a=[secure] for www.example.org />" in repr(cookies)


@pytest.mark.parametrize(
    "filler",
    ["a", "=", ";", "; ", " ", "\t", '"', "; Path=/x", "; Domain=a.b", "; Expires=1 2 3", "; Max-Age=1", "é", "%"],
)
def test_hostile_values_cost_linear_time(filler):
    def cost(size):
        value = "a=1; Expires=" + filler * (size // len(filler))
        began = time.process_time()
        for _ in range(20):
            receive(Cookies(), SITE, value, value[:5] + filler * (size // len(filler)))
        return time.process_time() - began

    cost(1000)
    small, large = min(cost(20_000) for _ in range(3)), min(cost(80_000) for _ in range(3))
    assert large < 12 * small + 0.1


def test_threads_share_a_jar(cookies):
    failures = []

    def work(number):
        try:
            for turn in range(100):
                receive(cookies, f"https://{number}.test/", f"a{turn}=1", f"b{turn}=1; Max-Age=0")
                sent(cookies, f"https://{number}.test/")
                repr(cookies)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert len(cookies) == 4 * MAX_DOMAIN_COOKIES


def test_nothing_is_logged_by_the_standard_library(cookies, caplog, recwarn):
    with caplog.at_level(logging.DEBUG):
        receive(cookies, SITE, "a=1; Expires=\u0665", "b=1; Max-Age=x; Version=y; Port=z", "c=\0")
    assert not recwarn
    assert not caplog.records
