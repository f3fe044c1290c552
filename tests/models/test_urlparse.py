"""The syntax of URLs, below the public class: parts, their escaping, references, and what messages show."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast import InvalidURL
from httpx_fast._exceptions import MAX_SHOWN
from httpx_fast._kernel.constants import MAX_URL_LENGTH
from httpx_fast._urlparse import (
    PLAIN_TARGET,
    ParseResult,
    decode_host,
    escape,
    masked,
    replaced,
    resolved,
    shown,
    urlparse,
    without_dot_segments,
)

PIECES = st.sampled_from([*"a.:/?#@%[] é~!$&'()*+,;=-_", "//", "..", "http:", "%41", "[::1]", "é", "☃", "1.2.3.4"])
TEXTS = st.lists(PIECES, max_size=10).map("".join)


def parsed(text: str) -> ParseResult | None:
    try:
        return urlparse(text)
    except InvalidURL:
        return None


@settings(max_examples=1500, deadline=None)
@given(TEXTS)
def test_text_of_parts_is_parsed_into_the_same_parts(text):
    parts = parsed(text)
    if parts is not None:
        assert urlparse(str(parts)) == parts
        assert str(parts).isascii()


@settings(max_examples=1500, deadline=None)
@given(TEXTS, TEXTS)
def test_resolved_reference_has_the_scheme_and_no_dot_segments(base, reference):
    start, target = parsed(base), parsed(reference)
    if start is None or target is None or not (start.scheme and start.host):
        return
    try:
        result = resolved(start, target)
    except InvalidURL:
        return
    assert result.scheme
    if result.host:
        assert not {".", ".."} & set(result.path.split("/"))
        assert resolved(result, urlparse("")) == result._replace(fragment=None)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("", ""),
        ("/", "/"),
        ("/a/b/c/./../../g", "/a/g"),
        ("mid/content=5/../6", "mid/6"),
        ("/..", "/"),
        ("/../../a", "/a"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/...", "/a/..."),
        ("/.a/a./a.b", "/.a/a./a.b"),
        ("/a//../b", "/a/b"),
        (".", ""),
    ],
)
def test_dot_segments_are_applied_and_removed(path, expected):
    assert without_dot_segments(path) == expected


def test_each_keyword_replaces_its_part():
    base = urlparse("http://u:p@a.test:8/b?c#d")
    assert str(replaced(base, scheme="https")) == "https://u:p@a.test:8/b?c#d"
    assert str(replaced(base, host="é.test")) == "http://u:p@xn--9ca.test:8/b?c#d"
    assert str(replaced(base, host="::1", port=None)) == "http://u:p@[::1]/b?c#d"
    assert str(replaced(base, netloc="b.test")) == "http://u:p@b.test/b?c#d"
    assert str(replaced(base, raw_path="/x?y")) == "http://u:p@a.test:8/x?y#d"
    assert str(replaced(base, raw_path="/x")) == "http://u:p@a.test:8/x#d"
    assert str(replaced(base, username="ü", password="@:")) == "http://%C3%BC:%40%3A@a.test:8/b?c#d"
    assert str(replaced(base, query=None, fragment=None, userinfo="")) == "http://a.test:8/b"


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("scheme", "1a", "a letter, then letters, digits, .* as the URL's scheme, got '1a'"),
        ("host", "a:b", "expected an IPv6 address in the brackets of the host"),
        ("path", "/a?b", r"expected neither '\?' nor '#' as the URL's path, got '/a\?b'"),
        ("query", "a#b", "expected no '#' as the URL's query, got 'a#b'"),
        ("port", "8x", "expected a number from 0 to 65535 as the URL's port, got '8x'"),
        ("netloc", "u@h", "as the URL's netloc, got userinfo too"),
        ("fragment", "a\n", r"expected printable characters in the URL's fragment, got '\\n' at position 1"),
        ("path", "/" * (MAX_URL_LENGTH + 1), f"the URL's path has {MAX_URL_LENGTH + 1} characters"),
        ("path", "/\ud800", "expected text that UTF-8 can encode"),
    ],
)
def test_part_that_is_wrong_says_what_was_expected(part, value, message):
    with pytest.raises(InvalidURL, match=message):
        urlparse("http://a.test", **{part: value})


def test_userinfo_that_is_wrong_is_not_shown():
    with pytest.raises(InvalidURL, match="expected no '@' as the URL's userinfo") as caught:
        urlparse("http://a.test", userinfo="secret@x")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://user:secret@", "http://[secure]@"),
        ("user:secret@host/path", "[secure]@host/path"),
        ("//u@h", "//[secure]@h"),
        ("[http://u:p@h]", "[http://[secure]@h]"),
        ("http://host/a@b", "http://host/a@b"),
        ("no userinfo", "no userinfo"),
    ],
)
def test_possible_userinfo_is_masked(text, expected):
    assert masked(text) == expected


def test_messages_show_a_beginning_without_userinfo():
    assert shown("a" * MAX_SHOWN) == repr("a" * MAX_SHOWN)
    assert shown("a" * (MAX_SHOWN + 1)) == repr("a" * MAX_SHOWN) + "..."
    assert "secret" not in shown("http://user:secret@host:x/")


def test_only_what_is_unsafe_is_escaped():
    unsafe = re.compile("[^a%]+")
    assert escape("a%aa", unsafe) == "a%aa"
    assert escape("aé☃b", unsafe) == "a%C3%A9%E2%98%83%62"


@pytest.mark.parametrize(
    ("host", "expected"),
    [("xn--mnchen-3ya.de", "münchen.de"), ("xn--a..xn--9ca", "xn--a..é"), ("a.b", "a.b")],
)
def test_labels_that_cannot_be_decoded_stay(host, expected):
    assert decode_host(host) == expected


@pytest.mark.parametrize("target", ["/", "/a?b", "/a?", "/%zz", "/a|b?{}^`"])
def test_plain_targets_are_those_that_need_no_escaping(target):
    match = PLAIN_TARGET.fullmatch(target)
    assert match is not None
    parts = urlparse("http://a.test", raw_path=target)
    assert match.groups() == (parts.path, parts.query)


@pytest.mark.parametrize("target", ["", "a", "/a b", "/é", "/a#b", "/a\n", "/`"])
def test_other_targets_are_left_to_the_parser(target):
    assert PLAIN_TARGET.fullmatch(target) is None
