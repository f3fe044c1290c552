"""Patterns that are compiled when they are used do what those of `re` do."""

from __future__ import annotations

import re

import pytest

from httpx_fast._patterns import pattern, unlike


@pytest.mark.parametrize("method", ["findall", "fullmatch", "match", "search", "split"])
def test_methods_are_those_of_re(method: str) -> None:
    text = "(?i)b+"
    late, now = pattern(text), re.compile(text)
    for subject in ("", "a", "abBc", "BB"):
        found, expected = getattr(late, method)(subject), getattr(now, method)(subject)
        assert str(found) == str(expected)


def test_nothing_is_compiled_before_a_method_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    real = re.compile
    monkeypatch.setattr(re, "compile", lambda text, flags: compiled.append(text) or real(text, flags))
    late = pattern(r"\d+")
    assert late.pattern == r"\d+"
    assert compiled == []
    assert late.sub("x", "a1b22") == "axbx"
    assert late.search("none") is None
    assert compiled == [r"\d+"]


def test_bytes_and_flags() -> None:
    assert pattern(rb"a.c", re.DOTALL).fullmatch(b"a\nc") is not None
    assert pattern(rb"a.c").fullmatch(b"a\nc") is None


def test_what_a_pattern_has_not_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="a pattern has no attribute 'groups'"):
        pattern("a").groups  # noqa: B018


def test_unlike_matches_what_is_not_listed() -> None:
    listed = r"a-z[]^\."
    assert unlike(listed).findall(r"ab-\cd^z]e[.") == ["b", "cd", "e"]
