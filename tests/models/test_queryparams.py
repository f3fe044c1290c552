"""Query parameters: how they are read, written, copied and compared."""

from __future__ import annotations

import copy
import decimal
import pickle

import pytest

from httpx_fast import QueryParams


@pytest.mark.parametrize(
    "source",
    [
        "a=123&a=456&b=789",
        b"a=123&a=456&b=789",
        {"a": ["123", "456"], "b": 789},
        {"a": ("123", "456"), "b": "789"},
        [("a", "123"), ("a", "456"), ("b", "789")],
        (("a", "123"), ("a", "456"), ("b", "789")),
        QueryParams("a=123&a=456&b=789"),
    ],
)
def test_every_source_gives_the_same_params(source):
    params = QueryParams(source)
    assert "a" in params
    assert "A" not in params
    assert params["a"] == params.get("a") == "123"
    assert params.get_list("a") == ["123", "456"]
    assert params.get("x") is None
    assert params.get("x", "y") == "y"
    assert params.get_list("x") == []
    assert list(params) == list(params.keys()) == ["a", "b"]
    assert list(params.values()) == ["123", "789"]
    assert list(params.items()) == [("a", "123"), ("b", "789")]
    assert params.multi_items() == [("a", "123"), ("a", "456"), ("b", "789")]
    assert len(params) == 2
    assert dict(params) == {"a": "123", "b": "789"}
    assert str(params) == "a=123&a=456&b=789"
    assert repr(params) == "QueryParams('a=123&a=456&b=789')"


@pytest.mark.parametrize("source", [None, "", b"", {}, [], ()])
def test_no_params_are_false(source):
    params = QueryParams(source)
    assert not params
    assert len(params) == 0
    assert str(params) == ""


def test_keywords_are_params():
    assert str(QueryParams(a=1, b=["x", "y"])) == "a=1&b=x&b=y"


def test_more_than_one_source_is_refused():
    with pytest.raises(TypeError, match="expected one positional argument, or keywords, not both"):
        QueryParams("a=1", "b=2")
    with pytest.raises(TypeError, match="expected one positional argument, or keywords, not both"):
        QueryParams("a=1", b=2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "a="),
        (True, "a=true"),
        (False, "a=false"),
        (1, "a=1"),
        (1.5, "a=1.5"),
        (0, "a=0"),
        ("", "a="),
        ("b c", "a=b+c"),
        ("é&=+%", "a=%C3%A9%26%3D%2B%25"),
        ("a.b-c_d~e", "a=a.b-c_d~e"),
        ("/:@?", "a=%2F%3A%40%3F"),
        (decimal.Decimal("1.10"), "a=1.10"),
        ([], ""),
        ([None, True], "a=&a=true"),
    ],
)
def test_values_become_text(value, text):
    assert str(QueryParams({"a": value})) == text


def test_names_are_escaped_as_values_are():
    assert str(QueryParams({"a b": "c", 1: 2})) == "a+b=c&1=2"


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a=b+c%20d", [("a", "b c d")]),
        ("a", [("a", "")]),
        ("a=&b", [("a", ""), ("b", "")]),
        ("a=1&&b=2", [("a", "1"), ("b", "2")]),
        ("a=1;b=2", [("a", "1;b=2")]),
        ("a=%C3%A9%zz", [("a", "é%zz")]),
        ("a=b=c", [("a", "b=c")]),
    ],
)
def test_text_is_unescaped(text, items):
    assert QueryParams(text).multi_items() == items


def test_values_of_one_name_stand_together():
    assert str(QueryParams("a=1&b=2&a=3")) == "a=1&a=3&b=2"


def test_name_without_values_has_no_first_one():
    params = QueryParams({"a": [], "b": "1"})
    assert list(params.items()) == [("b", "1")]
    assert list(params.values()) == ["1"]
    assert params.get("a", "x") == "x"
    with pytest.raises(KeyError, match="a"):
        params["a"]


def test_copies_are_changed_and_the_original_is_not():
    params = QueryParams("a=1")
    assert str(params.set("a", 2)) == "a=2"
    assert str(params.set("b")) == "a=1&b="
    assert str(params.add("a", True)) == "a=1&a=true"
    assert str(params.add("b", 2).add("b", 3)) == "a=1&b=2&b=3"
    assert str(params.remove("a")) == ""
    assert str(params.remove("x")) == "a=1"
    assert str(params.merge({"b": 2})) == "a=1&b=2"
    assert str(params.merge("a=3&a=4&b=2")) == "a=3&a=4&b=2"
    assert str(params.merge(None)) == "a=1"
    assert str(params.merge({"a": []})) == ""
    assert str(params) == "a=1"


def test_a_list_that_was_given_out_is_a_copy():
    params = QueryParams("a=1")
    params.get_list("a").append("2")
    assert str(params) == "a=1"


def test_params_are_immutable():
    params = QueryParams("a=1")
    with pytest.raises(RuntimeError, match=r"immutable: use `params = params\.merge"):
        params.update({"a": 2})
    with pytest.raises(RuntimeError, match=r"immutable: use `params = params\.set"):
        params["a"] = "2"


def test_order_of_names_does_not_matter_for_equality():
    params = QueryParams("a=1&b=2")
    assert params == QueryParams("b=2&a=1")
    assert hash(params) == hash(QueryParams("b=2&a=1"))
    assert params != QueryParams("a=1&b=3")
    assert params != "a=1&b=2"


def test_params_can_be_pickled_and_copied():
    params = QueryParams("a=1&a=2")
    assert pickle.loads(pickle.dumps(params)) == params
    assert copy.deepcopy(params) == copy.copy(params) == params
