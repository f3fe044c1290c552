"""Parts of plain URLs, and forms: the twins give the same, and what the full parser gives; they refuse the rest."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus
from urllib.parse import urlencode as reference

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast import InvalidURL
from httpx_fast._kernel import urls_py
from httpx_fast._kernel.constants import MAX_URL_LENGTH
from httpx_fast._origin import DEFAULT_PORTS
from httpx_fast._urlparse import urlparse

WORDS = r"""
    http:// https:// ws:// wss:// ftp:// HTTP:// http: http:/ // / /. /.. /./ /../ . .. a b.c a_b a-b A 1 0 9 25 256
    1.2.3.4 01.2.3.4 1.2.3 1.2.3.256 1.2.3.4.5 : :0 :1 :80 :443 :080 :65535 :65536 :99999 :123456 ? # ?? ## % %41 %zz &
    = + ; , ! ~ | ^ ` " < > { } [ ] \ @ * ( ) ' $ _ é ß ☃ 𝄞 x=1 a/../b
"""
PIECES = [*WORDS.split(), " ", "\t", "\n", "\0", "\x7f", "\x80", "\ud800", "\x1f"]
TEXTS = st.lists(st.sampled_from(PIECES), max_size=9).map("".join)


def full(text: str) -> Any:
    try:
        return urlparse(text)
    except InvalidURL:
        return None


def assert_as_the_full_parser(text: str, parts: Any) -> None:
    scheme, host, port, path, query, fragment, same, target = parts
    found = full(text)
    assert found is not None, text
    assert found == (scheme, "", host, None if port == DEFAULT_PORTS.get(scheme) else port, path, query, fragment)
    assert target == ((path or "/") + ("" if query is None else f"?{query}")).encode("ascii")
    if same is not None:
        assert same is text
        assert port == found.port or str(found) != text
    else:
        assert str(found) != text


@settings(max_examples=3000, deadline=None)
@given(TEXTS)
def test_python_twin_gives_what_the_full_parser_gives(text):
    parts = urls_py.split_url(text)
    if parts is not None:
        assert_as_the_full_parser(text, parts)


def test_twins_agree_on_any_text(twins):
    compiled, python = twins

    @settings(max_examples=4000, deadline=None)
    @given(st.one_of(TEXTS, st.text(max_size=30), st.text(max_size=30).map("http://a.test/".__add__)))
    def agree(text):
        assert compiled.split_url(text) == python.split_url(text)

    agree()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a.test", ("http", "a.test", None, "", None, None, "http://a.test", b"/")),
        ("https://a.test:8443/b?c=d#e", ("https", "a.test", 8443, "/b", "c=d", "e", "", b"/b?c=d")),
        ("http://a.test:80/", ("http", "a.test", 80, "/", None, None, "", b"/")),
        ("http://127.0.0.1?x", ("http", "127.0.0.1", None, "", "x", None, "", b"/?x")),
        ("wss://a/b c?d e#f g", ("wss", "a", None, "/b%20c", "d%20e", "f%20g", None, b"/b%20c?d%20e")),
        ("ws://a/é?é#é", ("ws", "a", None, "/%C3%A9", "%C3%A9", "%C3%A9", None, b"/%C3%A9?%C3%A9")),
        ("/a:b", ("", "", None, "/a:b", None, None, "", b"/a:b")),
        ("a/../b", ("", "", None, "a/../b", None, None, "", b"a/../b")),
        ("", ("", "", None, "", None, None, "", b"/")),
        ("?", ("", "", None, "", "", None, "", b"/?")),
        ("#", ("", "", None, "", None, "", "", b"/")),
        ("http://a/%zz%41", ("http", "a", None, "/%zz%41", None, None, "", b"/%zz%41")),
        ("http://a/.b/..c/...", ("http", "a", None, "/.b/..c/...", None, None, "", b"/.b/..c/...")),
        ("http://a/?/../b", ("http", "a", None, "/", "/../b", None, "", b"/?/../b")),
    ],
)
def test_parts_of_plain_urls(kernel, text, expected):
    same = text if expected[6] is not None else None
    assert kernel.split_url(text) == (*expected[:6], same, expected[7])


@pytest.mark.parametrize(
    "text",
    [
        *("http://", "http:///a", "http:/a", "http:a", "//a/b", "HTTP://a/", "ftp://a/", "http://A/", "http://u@a/"),
        *("http://[::1]/", "http://é/", "http://1a/", "http://1.2.3/", "http://1.2.3.256/", "http://01.2.3.4/"),
        *("http://a:/", "http://a:0/", "http://a:01/", "http://a:65536/", "http://a:123456/", "http://a:8x/"),
        *("http://a/b/../c", "http://a/.", "http://a/..", "http://a/./b", "http://a/.?x", "http://a/..#x"),
        *(
            "http://a/\n",
            "http://a/?\0",
            "http://a/#\x7f",
            "/\t",
            "http://a/\ud800",
            "a:b",
            "?a:b",
            ":a",
            "http://a\\b",
        ),
    ],
)
def test_any_other_text_is_left_to_the_full_parser(kernel, text):
    assert kernel.split_url(text) is None


@pytest.mark.parametrize("character", ["a", " ", "é"])
def test_longest_text(kernel, character):
    text = "http://a/".ljust(MAX_URL_LENGTH, character)
    parts = kernel.split_url(text)
    assert parts is not None
    assert len(parts[3]) == (MAX_URL_LENGTH - 8 - 1) * len(quote_plus(character).replace("+", "%20")) + 1
    assert kernel.split_url(text + character) is None


@pytest.mark.parametrize("value", [b"http://a/", None, 1])
def test_what_is_no_text_is_a_type_error(kernel, value):
    with pytest.raises(TypeError, match=r"str|expected|len\(\)"):
        kernel.split_url(value)


class Shown:
    def __str__(self) -> str:
        return "shown & é"


NAMES = st.text(max_size=8)
VALUES = st.one_of(st.text(max_size=8), st.booleans(), st.none(), st.integers(), st.floats(), st.just(Shown()))
PAIRS = st.lists(st.tuples(NAMES, st.one_of(VALUES, st.lists(VALUES, max_size=3), st.tuples(VALUES))), max_size=5)


def expected_of(pairs: list[tuple[str, Any]]) -> str:
    flat = [(name, each) for name, value in pairs for each in (value if isinstance(value, (list, tuple)) else [value])]
    words = {True: "true", False: "false", None: ""}
    return reference([(name, words[v] if isinstance(v, bool) or v is None else str(v)) for name, v in flat])


def test_forms_are_encoded_as_the_standard_library_does(kernel):
    @settings(max_examples=1500, deadline=None)
    @given(PAIRS)
    def encodes(pairs):
        assert kernel.urlencode(pairs) == expected_of(pairs)
        assert kernel.urlencode(dict(pairs).items()) == expected_of(list(dict(pairs).items()))

    encodes()


@pytest.mark.parametrize(
    ("pairs", "encoded"),
    [
        ([], ""),
        ([("", "")], "="),
        ([("a", [])], ""),
        ([("a", []), ("b", ())], ""),
        ([("a b", "c+d")], "a+b=c%2Bd"),
        ([("a", [True, False, None, 1, 2.5, "x"])], "a=true&a=false&a=&a=1&a=2.5&a=x"),
        ([("~", "*-._~'")], "~=%2A-._~%27"),
        ([("a", b"x")], "a=b%27x%27"),
        ([("n" * 1000, "é" * 1000)], "n" * 1000 + "=" + "%C3%A9" * 1000),
    ],
)
def test_encoded_pairs(kernel, pairs, encoded):
    assert kernel.urlencode(pairs) == encoded


@pytest.mark.parametrize("name", [1, b"a", None])
def test_name_that_is_no_text_is_left_to_the_caller(kernel, name):
    assert kernel.urlencode([("a", "b"), (name, "c")]) is None


class Sub(str):
    __slots__ = ()

    def __str__(self) -> str:
        return self


def test_value_whose_text_is_of_a_subclass(kernel):
    assert kernel.urlencode([("a", Sub("b c"))]) == "a=b+c"


@pytest.mark.parametrize("pair", [("\ud800", "a"), ("a", "\ud800")])
def test_text_that_utf8_cannot_encode(kernel, pair):
    with pytest.raises(UnicodeEncodeError, match="surrogates not allowed"):
        kernel.urlencode([pair])


class Broken:
    def __str__(self) -> str:
        raise RuntimeError("no text")


def test_exception_of_a_value_is_passed_on(kernel):
    with pytest.raises(RuntimeError, match="no text"):
        kernel.urlencode([("a", "x" * 1000), ("b", Broken())])


def test_what_is_no_pair(kernel):
    with pytest.raises((TypeError, ValueError), match=r"unpack|iterable"):
        kernel.urlencode([("a",)])


@pytest.mark.parametrize(
    ("value", "text"), [("a", "a"), (True, "true"), (False, "false"), (None, ""), (1, "1"), (1.5, "1.5")]
)
def test_primitive_values(kernel, value, text):
    assert kernel.primitive_value_to_str(value) == text
