"""The same URLs through httpx2: equal in every property, except where `DIFFERENCES` says what differs and why."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast import URL, InvalidURL, QueryParams

httpx2 = pytest.importorskip("httpx2")

REFUSED = "refused"


def words(text: str) -> list[str]:
    return text.split()


PROPERTIES = words("""
    scheme raw_scheme userinfo username password host raw_host port netloc path query raw_path fragment
    is_absolute_url is_relative_url
""")

#: Name of each difference, with the reason for it, how to tell from the text that it may be met, and what it changes.
DIFFERENCES: dict[str, tuple[str, Callable[[str], Any], set[str]]] = {
    "port": (
        "int() takes signs, blanks, underscores, other scripts' digits and any size; a port is a number up to 65535",
        re.compile(r"^[^/]*//[^/?#]*:(?![0-9]{0,4}([/?#]|$))").search,
        {REFUSED},
    ),
    "brackets": (
        "brackets enclose an IPv6 address and nothing else (RFC 3986 s.3.2.2)",
        re.compile(r"^[^/]*//[^/?#]*[\[\]]").search,
        {REFUSED},
    ),
    "path taken for a host": (
        "the URL's text was read with the path as its host: 'http:/.//a' became 'http://a', 'file:////a' 'file://a'",
        re.compile(r"^([a-zA-Z+.]*:)?(//(?=/)|/\.{0,2}/)").search,
        {REFUSED, "str", "repr"},
    ),
    "colon": (
        "a relative reference cannot begin with ':', which was dropped (RFC 3986 s.4.2)",
        re.compile(r"^:(?!//)").search,
        {REFUSED},
    ),
    "last dot segment": (
        "'/a/b/..' is the folder '/a/', not the file '/a' (RFC 3986 s.5.2.4)",
        re.compile(r"(^|[/:])\.{1,2}([?#]|$)").search,
        {"path", "raw_path", "str", "repr"},
    ),
    "default port of an upper-case scheme": (
        "'HTTPS://h:443' is the same URL as 'https://h'",
        re.compile(r"^[a-z]*[A-Z]").search,
        {"port", "netloc", "str", "repr"},
    ),
    "host that cannot be decoded": (
        "reading `host` of 'xn--a..' raised IDNAError; the label is left as it is",
        re.compile(r"xn--.*\.\.", re.IGNORECASE).search,
        {"host"},
    ),
}


def seen(url_class: Any, refusal: type[Exception], make: Callable[[Any], Any]) -> Any:
    """All properties of a URL, or that it was refused."""
    try:
        url = make(url_class)
    except (refusal, UnicodeError):
        return REFUSED
    values = {name: tried(url, name) for name in PROPERTIES}
    # A user without a password may be a token, as may be what looks like a user in a URL without a host: neither shows
    # here.
    shown = "" if "@" in str(url) else repr(url)
    return {**values, "str": str(url), "repr": shown, "params": str(url.params)}


def tried(url: Any, name: str) -> Any:
    try:
        return getattr(url, name)
    except UnicodeError as error:
        return type(error).__name__


def both(make: Callable[[Any], Any]) -> tuple[Any, Any]:
    return seen(URL, InvalidURL, make), seen(httpx2.URL, httpx2.InvalidURL, make)


def named(text: str) -> list[str]:
    return [name for name, (_, applies, _) in DIFFERENCES.items() if applies(text)]


def assert_equal_but_for_named_differences(text: str) -> None:
    ours, theirs = both(lambda url_class: url_class(text))
    if ours == theirs:
        return
    assert theirs != REFUSED
    differing = {REFUSED} if ours == REFUSED else {name for name in ours if ours[name] != theirs[name]}
    assert differing <= set().union(*(DIFFERENCES[name][2] for name in named(text)))


SCHEMES = ["http:", "https:", "HTTP:", "ws:", "ftp:", "foo:", "a+b:", "", ":", "1x:"]
USERINFOS = ["", "", "", "u@", "u:p@", ":p@", "@", "u@v@", "a b:c d@", "u:p:q@", "ü@", "%41:%zz@", "a;b=c@", "a^|\\@"]
HOSTS = [
    "",
    "a b",
    *words(r"""
        example.com EXAMPLE.com a_b.c 1.2.3.4 1.2.3.444 01.2.3.4 [::1] [::FFFF:1.2.3.4] [zz] [::1 münchen.de ☃.com
        xn--mnchen-3ya.de xn--a xn--a. a%41b h|x a"b a.b. 1password.com fe80::1 {x} a^b a<b *.x * a\b faß.de
        XN--FA-HIA.de
    """),
]
PORTS = ["", "", *words(": :80 :443 :8080 :0 :0080 :65535 :65536 :-1 :+8 :8_0 :x :٣"), ": 8"]
PATHS = [
    "",
    "/a b",
    "/a\tb",
    "/a\x7fb",
    "/\x85",
    *words(r"""
        / /a /a/b /ü /%41%zz% /./a /a/.. /a/../b /a/. /.. /../.. /a//b // //a /a/./b/ /.a /a. /... /%2e%2e/a /a:b@c
        /a"<>`{}|\^ /;x=1,2!$&'()*+ /~ a a/b ../x /* /.//a :x
    """),
]
QUERIES = ["", "", "?", "?a=1", "?a=b c&d=é", "?a=%zz%41", "?a=\"<>'`{}|\\^[]", "?/../x", "??", "?a=1&b=2&a=3&=&c"]
FRAGMENTS = ["", "", "", "#", "#f", '#a b"<>`', "#é", "##"]


@st.composite
def urls(draw: Any) -> str:
    authority = "".join(draw(st.tuples(*map(st.sampled_from, (USERINFOS, HOSTS, PORTS)))))
    rest = "".join(draw(st.tuples(*map(st.sampled_from, (PATHS, QUERIES, FRAGMENTS)))))
    return draw(st.sampled_from(SCHEMES)) + draw(st.sampled_from(["//" + authority, "//" + authority, ""])) + rest


@settings(max_examples=1500, deadline=None)
@given(urls())
def test_urls_are_seen_as_httpx2_sees_them(text):
    assert_equal_but_for_named_differences(text)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_any_text_is_seen_as_httpx2_sees_it(text):
    for start in ("", "http://h/", "http://h?", "http://h#", "http://"):
        assert_equal_but_for_named_differences(start + text)


@pytest.mark.parametrize(
    ("name", "text", "ours", "theirs"),
    [
        ("port", "http://h:65536/", REFUSED, 65536),
        ("port", "http://h:-1/", REFUSED, -1),
        ("port", "http://h:8_0/", REFUSED, None),
        ("brackets", "http://a[b]/", REFUSED, None),
        ("brackets", "http://[::1]80/", REFUSED, None),
        ("path taken for a host", "http:/.//evil.example/", REFUSED, None),
        ("colon", ":path", REFUSED, None),
        ("default port of an upper-case scheme", "HTTPS://h:443/", None, 443),
    ],
)
def test_named_difference_in_what_is_taken(name, text, ours, theirs):
    assert name in named(text)
    for result, expected in zip(both(lambda url_class: url_class(text)), (ours, theirs), strict=True):
        assert (result if result == REFUSED else result["port"]) == expected


def test_named_difference_of_the_last_dot_segment():
    ours, theirs = both(lambda url_class: url_class("http://h/a/b/.."))
    assert (ours["path"], theirs["path"]) == ("/a/", "/a")


def test_named_difference_of_a_host_that_cannot_be_decoded():
    ours, theirs = both(lambda url_class: url_class("http://xn--a../"))
    assert (ours["host"], theirs["host"]) == ("xn--a..", "IDNAError")


KEYWORDS: list[dict[str, Any]] = [
    {"scheme": "HTTP"},
    {"scheme": "1"},
    {"scheme": None},
    {"host": "B.com"},
    {"host": "::1"},
    {"host": "[::1]"},
    {"host": "a:b"},
    {"host": "a/b@c"},
    {"host": ""},
    {"port": 80},
    {"port": 443},
    {"port": None},
    {"netloc": b"x:1"},
    {"netloc": b""},
    {"path": "/x y"},
    {"path": "x"},
    {"path": "//x"},
    {"path": ":x"},
    {"path": "/a/../b"},
    {"path": None},
    {"path": "/a\n"},
    {"query": b"a b"},
    {"query": b"a#b"},
    {"query": None},
    {"query": b""},
    {"raw_path": b"/a?b?c"},
    {"raw_path": b"/a"},
    {"raw_path": b"/a#"},
    {"raw_path": b"/a/../b?/../c"},
    {"raw_path": b"/a b?c d"},
    {"raw_path": b""},
    {"raw_path": b"?a"},
    {"raw_path": b"//a"},
    {"raw_path": None},
    {"raw_path": b"/\x00"},
    {"fragment": "a b"},
    {"fragment": None},
    {"params": {"a": "b c", "d": ["1", "2"], "e": None, "f": True, "g": 1.5}},
    {"params": {}},
    {"params": None},
    {"params": "a=1&b"},
    {"params": b"x=1"},
    {"params": [("a", 1), ("b", 2), ("a", 3)]},
    {"username": "u:@ü", "password": "p/% %41"},
    {"username": "u"},
    {"password": "p"},
    {"username": None, "password": None},
    {"userinfo": b"a:b"},
    {"userinfo": b"a@b"},
]
BASES = ["", "http://h/p?q#f", "https://u:p@[::1]:80/x", "http://u@h:443/", "/rel?x"]


@pytest.mark.parametrize("keywords", KEYWORDS, ids=str)
@pytest.mark.parametrize("base", BASES)
def test_keywords_are_taken_as_httpx2_takes_them(base, keywords):
    if keywords == {"scheme": "HTTP"} and ":80" in base:
        pytest.skip("default port of an upper-case scheme")
    for make in (lambda cls: cls(base, **keywords), lambda cls: cls(base).copy_with(**keywords)):
        ours, theirs = both(make)
        assert ours == theirs


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(BASES), st.sampled_from(PATHS), st.sampled_from(QUERIES))
def test_request_targets_are_taken_as_httpx2_takes_them(base, path, query):
    target = (path + query).partition("#")[0]
    if not target.isascii() or "last dot segment" in named(target):
        return
    ours, theirs = both(lambda url_class: url_class(base).copy_with(raw_path=target.encode()))
    assert ours == theirs or (ours == REFUSED and target.startswith(("//", "/./")) and not httpx2.URL(base).host)


LINKS = words("""
    g ./g ../g ../../../g ?y #s g?y/../x //g //g:443 http:g http:../g ;x . .. /a/./b/../c /../x g;x=1/../y mailto:a@b
    http: ../ ?y#s http://g:80/ //u@g/ a:b 1:2
""")


@pytest.mark.parametrize(
    "base", ["http://a/b/c/d;p?q", "http://a", "http://a?x", "https://h:8443/p/", "http://u:p@h/p"]
)
def test_links_are_joined_as_httpx2_joins_them(base):
    for link in [*LINKS, ""]:
        ours, theirs = both(lambda url_class, link=link: url_class(base).join(link))
        assert ours == theirs


@pytest.mark.parametrize(
    ("base", "link", "ours", "theirs", "reason"),
    [
        ("http://a/p?q", "?", "http://a/p?", "http://a/p?q", "an empty query is a query (RFC 3986 s.5.2.2)"),
        ("http://a/p", "#", "http://a/p#", "http://a/p", "an empty fragment is a fragment"),
        ("http://a/p#f", "", "http://a/p", "http://a/p#f", "the base's fragment is never taken over"),
        ("/x/y", "/../x", "/x", "x", "a path that begins with '/' keeps it"),
        ("a+b://h/x/y", "../z", "a+b://h/z", "../z", "every scheme with a host is hierarchical"),
    ],
)
def test_named_difference_in_joining(base, link, ours, theirs, reason):
    here, there = both(lambda url_class: url_class(base).join(link))
    assert here["str"] == ours, reason
    assert there["str"] in (theirs, ours)  # urllib has learnt the first two with 3.14


QUERY_SOURCES = [
    "a=123&a=456&b=789",
    b"a=1",
    "",
    None,
    "a",
    "a=&b",
    "&&a=1",
    "a=1;b=2",
    "a=%C3%A9%zz+x",
    "a=b=c&a",
    {"a": [None, True, 1.5], "b": ("x", "y z"), "é": "&"},
    {"a": []},
    [("a", 1), ("b", 2), ("a", 3)],
    {1: 2},
]


@pytest.mark.parametrize("source", QUERY_SOURCES, ids=str)
def test_query_params_are_seen_as_httpx2_sees_them(source):
    ours, theirs = QueryParams(source), httpx2.QueryParams(source)
    assert str(ours) == str(theirs)
    assert repr(ours) == repr(theirs)
    assert ours.multi_items() == theirs.multi_items()
    assert (list(ours), len(ours), bool(ours)) == (list(theirs), len(theirs), bool(theirs))
    for change in (
        lambda params: params.set("a", "x"),
        lambda params: params.add("a", None),
        lambda params: params.remove("a"),
        lambda params: params.merge({"a": "x", "c": ["1", "2"]}),
    ):
        assert str(change(ours)) == str(change(theirs))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.lists(st.text(st.characters(codec="utf-8")))))
def test_query_params_are_written_as_httpx2_writes_them(source):
    assert str(QueryParams(source)) == str(httpx2.QueryParams(source))
    assert QueryParams(str(QueryParams(source))) == QueryParams({k: v for k, v in source.items() if v})


@pytest.mark.parametrize(("ours", "theirs"), [(URL, httpx2.URL), (QueryParams, httpx2.QueryParams)])
def test_every_member_of_httpx2_is_there(ours, theirs):
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(ours))
