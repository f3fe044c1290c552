"""JSON: the twins return what `json.loads` does, or leave it to that."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast._kernel import json_py

VALUES: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
WORDS = r"""
    { } [ ] : , " \ \" \\ \n \u00e9 \ud83d\ude00 \ud800 \x é ☃ 𝄞 0 1 -1 -0 01 1.5 -0.0 1e5 1E-5 1e 1. .5 - + 1e999 true
    false null tru NaN Infinity -Infinity 123456789012345678 1234567890123456789 "a" "name" {"a":1} [1,2] aaaaaaaaaaa
"""
TEXTS = st.lists(st.sampled_from([*WORDS.split(), " ", "\t", "\r", "\n", "\0", "\x1f", "\x7f", "\x0b"]), max_size=9)

#: Texts that are JSON for certain, which neither twin may leave to `json.loads`.
PLAIN = [
    *("{}", "[]", '""', '"a"', '"é"', "0", "-0", "1.5", "-1.5e+3", "1E9", "1e-7", "1e999", "true", "false", "null"),
    *(" [ ] ", '\t{ "a" : 1 ,\r\n"b" : [ true , null ] }\n', '{"a":1,"a":2}', '{"":""}', "[[],{},[{}]]"),
    *(r'"\"\\\/\b\f\n\r\t\u0041\u00e9\ud83d\ude00\ud800"', '"0123456789\\n0123456789é0123456789"', '"\x7f"'),
    *("999999999999999999", "-999999999999999999", "1000000000000000000", "9" * 40, "-" + "9" * 40, "0.1" + "1" * 40),
    '{"' + "n" * 32 + '":1,"' + "n" * 33 + '":2,"' + "n" * 32 + '":3}',
    "[" * 100 + "]" * 100,
    json.dumps({"items": [{"id": number, "name": f"user-{number}", "active": True} for number in range(200)]}),
    json.dumps({f"name {number}": number / 7 for number in range(500)}),
    *(json.dumps("x" * size + "\n" + "é" * size, ensure_ascii=False) for size in range(20)),
]
WRONG = [
    *("", " ", "{", "[", '"', "[1", "[1,", "[1,]", "[,1]", "[1 2]", '{"a"}', '{"a":}', '{"a":1,}', "{a:1}", "{1:2}"),
    *('{"a" 1}', "tru", "nul", "fals", "truefalse", "01", "-", "+1", ".5", "1.", "1e", "1e+", "1.e1", "0x10", "1_0"),
    *(
        '"a',
        '"a\\"',
        '"\\',
        '"\\x"',
        '"\\u12"',
        '"\n"',
        '"\0"',
        "{}{}",
        "[] x",
        "'a'",
        "[\xa0]",
        "\x0b[]",
        "/**/1",
        "]",
    ),
]


def same(left: Any, right: Any) -> bool:
    """Return whether both are equal, of the same types, in the same order, with the same signs of zero."""
    if type(left) is not type(right):
        return False
    if isinstance(left, dict):
        return list(left) == list(right) and all(same(left[name], right[name]) for name in left)
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, float):
        return left == right and math.copysign(1, left) == math.copysign(1, right)
    return bool(left == right)


def refuses(kernel: SimpleNamespace, content: bytes) -> bool:
    try:
        kernel.parse_json(content)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("text", PLAIN)
def test_plain_texts_are_parsed(kernel: SimpleNamespace, text: str):
    assert same(kernel.parse_json(text.encode()), json.loads(text))


@pytest.mark.parametrize("text", WRONG)
def test_what_is_wrong_is_refused(kernel: SimpleNamespace, text: str):
    assert refuses(kernel, text.encode())


@pytest.mark.parametrize(
    "content",
    [
        b'"\xff"',
        b'"\xc3"',
        b'{"\xed\xa0\x80":1}',
        b"\xef\xbb\xbf{}",
        b"NaN",
        b"[-Infinity]",
        '{"a":1}'.encode("utf-16"),
    ],
)
def test_what_json_loads_may_know_better_is_refused(kernel: SimpleNamespace, content: bytes):
    assert refuses(kernel, content)


def test_endless_nesting_and_endless_digits_are_refused(kernel: SimpleNamespace):
    for text in (b"[" * 200_000, b'{"a":' * 200_000, b"9" * 5000):
        assert refuses(kernel, text)


def test_each_cut_of_a_text_is_refused(kernel: SimpleNamespace):
    text = rb'{"name": ["a long text of ASCII", "\u00e9 \n", -1.5e3, true, null, {"b": 12}]}'
    for end in range(len(text)):
        assert refuses(kernel, text[:end])


def test_names_are_shared_within_a_text(compiled: SimpleNamespace):
    first, second = compiled.parse_json(b'[{"some name": 1}, {"some name": 2}]')
    assert next(iter(first)) is next(iter(second))


def test_other_types_are_refused(compiled: SimpleNamespace):
    with pytest.raises(TypeError, match="bytes"):
        compiled.parse_json("{}")


@given(VALUES, st.booleans(), st.sampled_from([None, 1]))
@settings(max_examples=100)
def test_the_twins_parse_what_json_writes(value: Any, ascii_only: bool, indent: int | None):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    try:
        content = text.encode()
    except UnicodeEncodeError:  # surrogates
        return
    for parse in parsers():
        assert same(parse(content), json.loads(text))


@given(TEXTS)
@settings(max_examples=300)
def test_the_twins_agree_on_any_text(pieces: list[str]):
    content = "".join(pieces).encode("utf-8", "surrogatepass")
    outcomes = []
    for parse in parsers():
        try:
            outcomes.append(parse(content))
        except ValueError:
            outcomes.append(ValueError)
    assert all(same(outcome, outcomes[0]) for outcome in outcomes)
    if outcomes[0] is not ValueError:
        assert same(outcomes[0], json.loads(content))


def parsers() -> list[Any]:
    try:
        from httpx_fast._kernel import json_c
    except ImportError:
        return [json_py.parse_json]
    return [json_py.parse_json, json_c.parse_json]
