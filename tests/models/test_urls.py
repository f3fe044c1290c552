"""What URLs are made of, what is escaped in them, and what is refused."""

from __future__ import annotations

import copy
import pickle
import weakref

import pytest

import httpx_fast
from httpx_fast import URL, InvalidURL, Origin
from httpx_fast._exceptions import HTTPXDeprecationWarning
from httpx_fast._kernel.select import split_url
from httpx_fast._origin import Origin as Endpoint
from httpx_fast._urlparse import MAX_URL_LENGTH, ParseResult, urlparse

PLAIN = "https://api.example.com:8443/v1/items/42?limit=10&x=y#top"
LONG_WAY = "https://jo%40example.org:a%20secret@Example.com:8443/p%20q?a=b%20c#f%20g"


def test_plain_url_has_all_parts():
    url = URL(PLAIN)
    assert split_url(PLAIN) is not None
    assert (url.scheme, url.raw_scheme) == ("https", b"https")
    assert (url.host, url.raw_host, url.port) == ("api.example.com", b"api.example.com", 8443)
    assert url.netloc == b"api.example.com:8443"
    assert (url.path, url.raw_path) == ("/v1/items/42", b"/v1/items/42?limit=10&x=y")
    assert (url.query, url.fragment) == (b"limit=10&x=y", "top")
    assert dict(url.params) == {"limit": "10", "x": "y"}
    assert (url.userinfo, url.username, url.password) == (b"", "", "")
    assert url.is_absolute_url
    assert not url.is_relative_url
    assert str(url) == PLAIN


def test_parts_of_any_other_url_are_unescaped_where_they_are_text():
    url = URL(LONG_WAY)
    assert (url.username, url.password) == ("jo@example.org", "a secret")
    assert url.userinfo == b"jo%40example.org:a%20secret"
    assert (url.path, url.raw_path) == ("/p q", b"/p%20q?a=b%20c")
    assert (url.query, url.fragment) == (b"a=b%20c", "f g")
    assert url.netloc == b"example.com:8443"


@pytest.mark.parametrize("text", [PLAIN, LONG_WAY, "https://example.com", "http://[::1]/x", "/p?q", ""])
def test_parsing_the_text_of_a_url_gives_the_same_url(text):
    url = URL(text)
    assert URL(str(url)) == url
    assert str(URL(str(url))) == str(url)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.com", (None, b"/", "https://example.com")),
        ("https://example.com:443/", (None, b"/", "https://example.com/")),
        ("http://example.com:80/", (None, b"/", "http://example.com/")),
        ("HTTP://example.com:80/", (None, b"/", "http://example.com/")),
        ("ws://example.com:80/", (None, b"/", "ws://example.com/")),
        ("wss://example.com:443/", (None, b"/", "wss://example.com/")),
        ("ftp://example.com:21/", (None, b"/", "ftp://example.com/")),
        ("http://example.com:443/", (443, b"/", "http://example.com:443/")),
        ("foo://example.com:80/", (80, b"/", "foo://example.com:80/")),
        ("http://example.com:/", (None, b"/", "http://example.com/")),
        ("http://example.com:00080/", (None, b"/", "http://example.com/")),
        ("http://example.com:0/", (0, b"/", "http://example.com:0/")),
        ("http://example.com:65535/", (65535, b"/", "http://example.com:65535/")),
        ("https://example.com?", (None, b"/?", "https://example.com?")),
    ],
)
def test_default_port_is_left_out_and_an_empty_query_is_not(text, expected):
    url = URL(text)
    assert (url.port, url.raw_path, str(url)) == expected


@pytest.mark.parametrize("port", ["65536", "-1", "+8", "%208", "8_0", "abc", "٣", "9" * 5000, "1:2"])
@pytest.mark.parametrize("start", ["https://example.com", "https://u@[::1]"])
def test_port_that_is_no_number_up_to_65535_is_refused(start, port):
    with pytest.raises(InvalidURL, match=r"expected (a number from 0 to 65535 as the URL's port|a host)"):
        URL(f"{start}:{port}/")


@pytest.mark.parametrize(
    ("part", "escaped"),
    [
        ('/ "#', "/%20%22#"),
        ('/<>`{}|\\^[]"', "/%3C%3E%60%7B%7D|\\^[]%22"),
        ("/%41%zz%", "/%41%zz%"),
        ("/ü€😀", "/%C3%BC%E2%82%AC%F0%9F%98%80"),
        ("/\x85", "/%C2%85"),
        ("/?a=\"<> '`{}|\\^[]", "/?a=%22%3C%3E%20'`{}|\\^[]"),
        ("/?ü", "/?%C3%BC"),
        ("/?a=/../b/./c", "/?a=/../b/./c"),
        ('/#a b"<>`{}', "/#a%20b%22%3C%3E%60{}"),
        ("/!$&'()*+,;=:@-._~", "/!$&'()*+,;=:@-._~"),
    ],
)
def test_each_part_escapes_its_own_characters_and_never_a_percent_sign(part, escaped):
    assert str(URL(f"http://h{part}")) == f"http://h{escaped}"


def test_signed_query_arrives_byte_for_byte():
    query = "X-Sig=a%2Fb%2fc+d%20e==&empty&x=[1]&y=é".replace("é", "%c3%a9")
    assert URL(f"https://bucket.example.com/key?{query}").query == query.encode()
    assert URL(f"https://u@bucket.example.com/key?{query}").raw_path == f"/key?{query}".encode()


def test_userinfo_escapes_what_would_end_it():
    url = URL("http://u@v:p:q;=[]@h/")
    assert url.userinfo == b"u%40v:p:q%3B%3D%5B%5D"
    assert (url.username, url.password) == ("u@v", "p:q;=[]")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/..", "/"),
        ("/a/.", "/a/"),
        ("/a/b/..", "/a/"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a//../b", "/a/b"),
        ("/.a/..b/c./d..", "/.a/..b/c./d.."),
        ("/.well-known/x", "/.well-known/x"),
        ("/...", "/..."),
        ("/%2e%2e/a", "/%2e%2e/a"),
    ],
)
def test_dot_segments_are_carried_out(path, expected):
    assert str(URL(f"http://h{path}?/../x")) == f"http://h{expected}?/../x"


@pytest.mark.parametrize(
    ("given", "host", "raw_host"),
    [
        ("EXAMPLE.org", "example.org", b"example.org"),
        ("a_b.example", "a_b.example", b"a_b.example"),
        ("1password.com", "1password.com", b"1password.com"),
        ("exam ple", "exam%20ple", b"exam%20ple"),
        ("1.2.3.4", "1.2.3.4", b"1.2.3.4"),
        ("[::1]", "::1", b"::1"),
        ("[::ffff:192.168.0.1]", "::ffff:192.168.0.1", b"::ffff:192.168.0.1"),
        ("中国.icom.museum", "中国.icom.museum", b"xn--fiqs8s.icom.museum"),
        ("xn--fiqs8s.icom.museum", "中国.icom.museum", b"xn--fiqs8s.icom.museum"),
        ("Königsgäßchen.de", "königsgäßchen.de", b"xn--knigsgchen-b4a3dun.de"),
        ("xn--a.xn--fiqs8s", "xn--a.中国", b"xn--a.xn--fiqs8s"),
        ("xn--fiqs8s..", "中国..", b"xn--fiqs8s.."),
    ],
)
def test_host_is_lower_case_and_idna_on_the_wire(given, host, raw_host):
    url = URL(f"http://{given}/")
    assert (url.host, url.raw_host) == (host, raw_host)


@pytest.mark.parametrize("text", ["file:////server/share", "web+demo:////a", "x://///", "file:////one/two?a=1#b"])
def test_a_path_of_two_slashes_stays_a_path_where_no_host_is_needed(text):
    url = URL(text)
    assert (url.host, str(url), str(URL(str(url)))) == ("", text, text)
    assert url.path.startswith("//")
    assert str(url.join("/c")) == f"{url.scheme}:/c"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("http://999.1.1.1/", "expected an IPv4 address of four numbers from 0 to 255 as host, got '999.1.1.1'"),
        ("http://01.2.3.4/", "expected an IPv4 address"),
        ("http://[::zz]/", r"expected an IPv6 address in the brackets of the host, got '\[::zz\]'"),
        ("http://[]/", "expected an IPv6 address"),
        ("http://[fe80::1%é]/", "expected an IPv6 address"),
        ("http://[::1/", r"expected a host, or a host, ':' and a port, in the URL, got '\[::1'"),
        ("http://[::1]80/", "expected a host, or a host, ':' and a port"),
        ("http://u:hidden@a[b]/", r"expected a host, or a host, ':' and a port, in the URL, got 'a\[b\]'"),
        ("http://☃.com/", r"expected an internationalised host name \(IDNA 2008\), got '☃.com'"),
        ("http://example.com/\n", r"expected printable characters in the URL, got '\\n' at position 19"),
        ("http://exa\x00mple.com/", r"got '\\x00' at position 10"),
        ("http://example.com/\x7f", r"got '\\x7f' at position 19"),
        ("http://example.com/\ud800", r"expected text that UTF-8 can encode in the URL, got '\\ud800'"),
        ("////evil.example/", "expected a host, or a path that does not begin with '//'"),
        ("http:////evil.example/", "expected a host, or a path that does not begin with '//'"),
        ("http:/.//evil.example/", "expected a host, or a path that does not begin with '//'"),
        (":path", "expected a relative path that does not begin with ':'"),
    ],
)
def test_refusal_says_what_was_seen_and_what_was_expected(text, message):
    with pytest.raises(InvalidURL, match=message) as caught:
        URL(text)
    assert "hidden" not in str(caught.value)


def test_refusal_shows_little_of_long_text():
    with pytest.raises(InvalidURL, match=r"got 'x{64}'[.]{3}$"):
        URL("http://h:" + "x" * 1000)


@pytest.mark.parametrize("start", ["https://example.com/", "https://u@example.com/"])
def test_length_is_limited(start):
    longest = start + "a" * (MAX_URL_LENGTH - len(start))
    assert len(str(URL(longest))) == MAX_URL_LENGTH
    with pytest.raises(InvalidURL, match="the URL has 65537 characters, the limit is 65536"):
        URL(longest + "a")
    with pytest.raises(InvalidURL, match="the URL's path has 65537 characters, the limit is 65536"):
        URL("https://example.com", path="/" + "a" * MAX_URL_LENGTH)
    with pytest.raises(InvalidURL, match="the URL's query has 65538 characters, the limit is 65536"):
        URL("https://example.com", params={"a": "a" * MAX_URL_LENGTH})
    with pytest.raises(InvalidURL, match="the URL's path has 65537 characters, the limit is 65536"):
        URL("https://example.com").copy_with(raw_path=b"/" + b"a" * MAX_URL_LENGTH)


@pytest.mark.parametrize("text", ["/p", "//h/p", "", "?q", "#f", "p/../q", "mailto:jo", "http:///p"])
def test_url_without_scheme_or_host_is_relative(text):
    assert URL(text).is_relative_url
    assert not URL(text).is_absolute_url


def test_empty_scheme_before_a_host_stands_for_any():
    url = URL("://example.com")
    assert (url.scheme, url.host) == ("", "example.com")


def test_dot_segments_of_a_relative_url_wait_for_a_base():
    assert str(URL("../a/./b")) == "../a/./b"


def test_url_of_a_url_is_equal():
    url = URL(PLAIN)
    assert URL(url) == url
    assert str(URL(url)) == PLAIN


@pytest.mark.parametrize("value", [None, 1, b"http://example.com", object()])
def test_what_is_no_text_is_no_url(value):
    with pytest.raises(TypeError, match="expected a str or a URL, got"):
        URL(value)


def test_urls_compare_by_their_normal_text():
    assert URL("HTTPS://Example.com:443/a") == URL("https://example.com/a")
    assert URL("https://example.com/a") == "HTTPS://Example.com:443/a"
    assert URL("https://example.com/a") != "https://example.com/b"
    assert URL("https://example.com/a") != "https://[/"
    assert URL("https://example.com/a") != 1
    assert len({URL("https://example.com:443/"), URL("https://example.com/")}) == 1
    assert hash(URL("https://example.com/")) == hash("https://example.com/")


def test_password_does_not_show():
    assert repr(URL("https://jo:secret@example.com:8443/p?q#f")) == "URL('https://jo:[secure]@example.com:8443/p?q#f')"
    assert (
        repr(URL("https://jo@example.com/"))
        == repr(URL("https://jo:@example.com/"))
        == "URL('https://[secure]@example.com/')"
    )
    assert repr(URL("https://:secret@[::1]/")) == "URL('https://:[secure]@[::1]/')"
    assert repr(URL("https://jo:se:cret@example.com/")) == "URL('https://jo:[secure]@example.com/')"


def test_url_cannot_be_changed():
    url = URL(PLAIN)
    for name in ("scheme", "host", "port", "path", "query", "anything"):
        with pytest.raises(AttributeError, match=name):
            setattr(url, name, "x")


@pytest.mark.parametrize("text", [PLAIN, LONG_WAY, "/relative?x"])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_url_can_be_pickled_and_copied(text, protocol):
    url = URL(text)
    hash(url), url.netloc, url.raw_path
    loaded = pickle.loads(pickle.dumps(url, protocol))
    assert loaded == url
    assert (loaded.netloc, loaded.raw_path) == (url.netloc, url.raw_path)
    assert copy.deepcopy(url) == copy.copy(url) == url


def test_url_can_be_referred_to_weakly():
    url = URL(PLAIN)
    assert weakref.ref(url)() is url


def test_subclass_takes_the_same_way():
    class Mine(URL):
        def extra(self) -> str:
            return self.host

    assert Mine(PLAIN).extra() == "api.example.com"
    assert repr(Mine("http://h/")) == "Mine('http://h/')"
    assert isinstance(pickle.loads(pickle.dumps(URL(PLAIN))), URL)


def test_what_the_transport_asks_for_is_worked_out_once():
    url = URL(PLAIN)
    assert url._origin is url._origin
    assert url.netloc is url.netloc
    assert url.raw_path is url.raw_path


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("https://example.com/", ("https", "example.com", 443)),
        ("http://example.com:8080/", ("http", "example.com", 8080)),
        ("http://中国/", ("http", "xn--fiqs8s", 80)),
        ("http://[0:0::1]/", ("http", "::1", 80)),
        ("http://[2001:DB8::A]/", ("http", "2001:db8::a", 80)),
        ("wss://example.com/", ("wss", "example.com", 443)),
        ("socks5://example.com", ("socks5", "example.com", 1080)),
        ("foo://example.com", ("foo", "example.com", 0)),
    ],
)
def test_endpoint_is_what_connections_are_made_to(text, endpoint):
    assert URL(text)._origin == Endpoint(*endpoint)


def test_origin_is_scheme_host_and_port():
    origin = URL("HTTPS://jo:secret@中国.icom.museum/p?q").origin
    assert (origin.scheme, origin.host, origin.port) == ("https", "中国.icom.museum", 443)
    assert origin == Origin("https://xn--fiqs8s.icom.museum:443/other")
    assert len({origin, Origin("https://中国.icom.museum")}) == 1
    assert Origin("http://[0:0::1]") == Origin("http://[::1]:80")
    assert repr(Origin("http://h:81")) == "Origin(scheme='http', host='h', port=81)"
    assert str(Origin("http://[::1]:81")) == "http://[::1]:81"
    assert pickle.loads(pickle.dumps(origin)) == origin
    assert copy.copy(origin) == origin
    assert isinstance(copy.deepcopy(origin), Origin)
    with pytest.raises(AttributeError):
        origin.port = 1


def test_relative_url_has_no_origin():
    with pytest.raises(ValueError, match=r"expected an absolute URL, which has an origin, got URL\('/p'\)"):
        Origin("/p")


def test_raw_is_deprecated():
    with pytest.warns(HTTPXDeprecationWarning, match=r"URL\.raw is deprecated") as caught:
        raw = URL("https://example.com/p?q").raw
    assert raw == (b"https", b"example.com", None, b"/p?q")
    assert raw.raw_path == b"/p?q"
    assert caught[0].filename == __file__


# RFC 3986 s.5.4, with "http" taken as relative to http URLs, as s.5.4.2 allows.
@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("g:h", "g:h"),
        ("g", "http://a/b/c/g"),
        ("./g", "http://a/b/c/g"),
        ("g/", "http://a/b/c/g/"),
        ("/g", "http://a/g"),
        ("//g", "http://g"),
        ("?y", "http://a/b/c/d;p?y"),
        ("g?y", "http://a/b/c/g?y"),
        ("#s", "http://a/b/c/d;p?q#s"),
        ("g#s", "http://a/b/c/g#s"),
        ("g?y#s", "http://a/b/c/g?y#s"),
        (";x", "http://a/b/c/;x"),
        ("g;x?y#s", "http://a/b/c/g;x?y#s"),
        ("", "http://a/b/c/d;p?q"),
        (".", "http://a/b/c/"),
        ("./", "http://a/b/c/"),
        ("..", "http://a/b/"),
        ("../", "http://a/b/"),
        ("../g", "http://a/b/g"),
        ("../..", "http://a/"),
        ("../../g", "http://a/g"),
        ("../../../../g", "http://a/g"),
        ("/./g", "http://a/g"),
        ("/../g", "http://a/g"),
        ("g.", "http://a/b/c/g."),
        ("..g", "http://a/b/c/..g"),
        ("./g/.", "http://a/b/c/g/"),
        ("g;x=1/../y", "http://a/b/c/y"),
        ("g?y/../x", "http://a/b/c/g?y/../x"),
        ("g#s/../x", "http://a/b/c/g#s/../x"),
        ("http:g", "http://a/b/c/g"),
        ("?", "http://a/b/c/d;p?"),
        ("//g:80/", "http://g/"),
        ("https://z/x/..", "https://z/"),
        ("//u:p@g/", "http://u:p@g/"),
    ],
)
def test_link_is_resolved(link, target):
    base = URL("http://a/b/c/d;p?q#old")
    assert str(base.join(link)) == target
    assert base.join(URL(link)) == target


@pytest.mark.parametrize(
    ("base", "link"),
    [
        ("data:text/plain,a", "data:text/html,b"),
        ("urn:a:b/c", "urn:d"),
        ("localhost:8000/a", "localhost:8000/b"),
        ("mailto:a@b.test", "mailto:c@d.test"),
    ],
)
def test_a_link_with_its_own_scheme_is_relative_for_schemes_of_hosts_only(base, link):
    assert URL(base).join(link) == link
    assert URL("http://a/b/c").join("http:d") == "http://a/b/d"


def test_link_is_resolved_from_an_empty_path_and_from_relative_urls():
    assert str(URL("http://a").join("g")) == "http://a/g"
    assert str(URL("http://a?x").join("?y")) == "http://a?y"
    assert str(URL("/path/to/somewhere").join("../else")) == "/path/else"
    assert str(URL("/path").join("../../else")) == "/else"
    assert str(URL("http+unix://sock/a/b").join("../c")) == "http+unix://sock/c"
    assert str(URL("https://u:p@h:8443/a").join("b")) == "https://u:p@h:8443/b"


@pytest.mark.parametrize("link", ["http:////evil.example", "/.//evil.example"])
def test_link_never_turns_a_path_into_a_host(link):
    try:
        target = URL("http://a/b").join(link)
    except InvalidURL:
        return
    assert target.host == "a"
    assert URL(str(target)).host == "a"


def test_parts_are_replaced_by_keyword():
    url = URL("https://jo:secret@example.com:8443/p?q#f")
    assert str(url.copy_with(scheme="http")) == "http://jo:secret@example.com:8443/p?q#f"
    assert str(url.copy_with(host="h")) == "https://jo:secret@h:8443/p?q#f"
    assert str(url.copy_with(host="::1", port=443)) == "https://jo:secret@[::1]/p?q#f"
    assert str(url.copy_with(port=None)) == "https://jo:secret@example.com/p?q#f"
    assert str(url.copy_with(netloc=b"h:1")) == "https://jo:secret@h:1/p?q#f"
    assert str(url.copy_with(netloc=b"[::1]:1")) == "https://jo:secret@[::1]:1/p?q#f"
    assert str(url.copy_with(username="a@b", password="c/d :")) == "https://a%40b:c%2Fd%20%3A@example.com:8443/p?q#f"
    assert str(url.copy_with(username=None, password=None)) == "https://example.com:8443/p?q#f"
    assert str(url.copy_with(userinfo=b"x:y")) == "https://x:y@example.com:8443/p?q#f"
    assert str(url.copy_with(path="/a b")) == "https://jo:secret@example.com:8443/a%20b?q#f"
    assert str(url.copy_with(query=None, fragment=None)) == "https://jo:secret@example.com:8443/p"
    assert str(url.copy_with(query=b"a=b c")) == "https://jo:secret@example.com:8443/p?a=b%20c#f"
    assert str(url.copy_with(raw_path=b"/a?b?c", fragment="")) == "https://jo:secret@example.com:8443/a?b?c#"
    assert str(url.copy_with(raw_path=b"/a")) == "https://jo:secret@example.com:8443/a#f"
    assert str(url.copy_with(params={"a": "b c"})) == "https://jo:secret@example.com:8443/p?a=b+c#f"
    assert str(url.copy_with(params={"a": 1}, fragment=None)) == "https://jo:secret@example.com:8443/p?a=1"
    assert str(url.copy_with(params=None, path="/x")) == "https://jo:secret@example.com:8443/x#f"
    assert str(url.copy_with(params={})) == "https://jo:secret@example.com:8443/p#f"
    assert str(url.copy_with()) == str(url)
    assert str(URL("http://[::1]/a").copy_with(path="/b")) == "http://[::1]/b"


def test_url_is_made_of_keywords_alone():
    assert str(URL(scheme="https", host="h", port=8443, path="/p", query=b"q")) == "https://h:8443/p?q"


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"scheme": "1http"}, "expected a letter, then letters, digits, .* as the URL's scheme, got '1http'"),
        ({"scheme": "http://x"}, "as the URL's scheme"),
        ({"host": "a:b"}, r"expected an IPv6 address in the brackets of the host, got '\[a:b\]'"),
        ({"host": "[::1]:80"}, "as the URL's host"),
        ({"port": 65536}, "expected a number from 0 to 65535 as the URL's port, got '65536'"),
        ({"port": -1}, "expected a number from 0 to 65535"),
        ({"netloc": b"u@h"}, "as the URL's netloc, got userinfo too"),
        ({"netloc": b"\xff"}, "expected ASCII bytes as the URL's netloc"),
        ({"userinfo": b"a@b"}, "expected no '@' as the URL's userinfo$"),
        ({"path": "p"}, "expected a path that begins with '/' in a URL with a host, got 'p'"),
        ({"path": "/a?b"}, r"expected neither '\?' nor '#' as the URL's path, got '/a\?b'"),
        ({"query": b"a#b"}, "expected no '#' as the URL's query, got 'a#b'"),
        ({"raw_path": b"/a#b"}, r"expected neither '\?' nor '#' as the URL's path"),
        ({"fragment": "a\nb"}, r"expected printable characters in the URL's fragment, got '\\n' at position 1"),
        ({"path": "/a\rb"}, r"in the URL's path, got '\\r' at position 2"),
    ],
)
def test_keyword_cannot_spill_into_another_part(keywords, message):
    with pytest.raises(InvalidURL, match=message):
        URL("https://example.com/p", **keywords)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"pathh": "/"}, "'pathh' is no part of a URL; expected one of scheme, username"),
        ({"path": b"/"}, "expected str for the URL's path, got bytes"),
        ({"userinfo": "a"}, "expected bytes for the URL's userinfo, got str"),
        ({"port": "80"}, "expected int for the URL's port, got str"),
    ],
)
def test_keyword_of_the_wrong_type_is_refused(keywords, message):
    with pytest.raises(TypeError, match=message):
        URL("https://example.com/p", **keywords)


def test_params_of_a_url_are_replaced_one_by_one():
    url = URL("https://example.com/p?a=1&b=2#f")
    assert str(url.copy_set_param("a", 3)) == "https://example.com/p?a=3&b=2#f"
    assert str(url.copy_add_param("a", True)) == "https://example.com/p?a=1&a=true&b=2#f"
    assert str(url.copy_remove_param("a")) == "https://example.com/p?b=2#f"
    assert str(URL("https://example.com/?a=1").copy_remove_param("a")) == "https://example.com/"
    assert str(url.copy_merge_params({"b": "x", "c": None})) == "https://example.com/p?a=1&b=x&c=#f"


def test_parse_result_is_what_older_code_looks_into():
    parts = URL("https://jo@[::1]:8443/p")._uri_reference
    assert parts == ParseResult("https", "jo", "::1", 8443, "/p", None, None)
    assert str(parts) == "https://jo@[::1]:8443/p"
    assert urlparse("https://jo@[::1]:8443/p") == parts


def test_public_classes_say_that_they_are_public():
    assert httpx_fast.URL is URL
    assert httpx_fast.Origin is Origin
