"""Field lines made of names and values: the twins give the same, error for error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

REFUSED = frozenset({b"host", b"content-length"})


class OwnText(str):
    __slots__ = ()

    def encode(self, *arguments: Any) -> bytes:  # type: ignore[override]
        return b"own"


class OwnBytes(bytes):
    __slots__ = ()


@pytest.mark.parametrize(
    ("pairs", "lines"),
    [
        ([], []),
        ({"A": "b"}.items(), [(b"A", b"b")]),
        ([("A", b"\xff"), (b"B", "c")], [(b"A", b"\xff"), (b"B", b"c")]),
        ([(OwnText("a"), OwnText("b"))], [(b"own", b"own")]),
        ([["a", "b"]], [(b"a", b"b")]),
    ],
)
def test_lines(kernel, pairs, lines):
    assert kernel.encode_lines(pairs, "ascii") == lines


@pytest.mark.parametrize("encoding", ["ascii", "utf-8", "iso-8859-1", "utf-16", "cp500"])
def test_ascii_text_in_any_codec(kernel, encoding):
    assert kernel.encode_lines([("a", "b")], encoding) == [("a".encode(encoding), "b".encode(encoding))]


def test_other_text_in_its_codec(kernel):
    assert kernel.encode_lines([("ä", "ö")], "utf-8") == [("ä".encode(), "ö".encode())]
    assert kernel.encode_lines([("ä", "ö")], "iso-8859-1") == [(b"\xe4", b"\xf6")]


@pytest.mark.parametrize(
    ("pair", "error", "message"),
    [
        ((1, "a"), TypeError, "^a header name is str or bytes, not int: 1$"),
        (("a", 1), TypeError, "^the value of header 'a' is to be str or bytes, not int$"),
        (("a", None), TypeError, "^the value of header 'a' is to be str or bytes, not NoneType$"),
        (("ä", "a"), UnicodeEncodeError, "in a header name: give bytes, or Headers with an encoding"),
        (("a", "ä"), UnicodeEncodeError, "in the value of header 'a': give bytes, or Headers with an encoding"),
    ],
)
def test_wrong_names_and_values(kernel, pair, error, message):
    with pytest.raises(error, match=message):
        kernel.encode_lines([pair], "ascii")
    with pytest.raises(error, match=message):
        kernel.merge_lines([], [], [pair], REFUSED)


@pytest.mark.parametrize("pairs", [[("a",)], [("a", "b", "c")], [1], 5])
def test_what_is_no_pair(kernel, pairs):
    with pytest.raises((TypeError, ValueError), match=r"unpack|iterable"):
        kernel.encode_lines(pairs, "ascii")


def test_given_lines_take_the_place_of_those_with_their_names(kernel):
    lines = [(b"Host", b"a"), (b"Accept", b"1"), (b"X", b"2"), (b"accept", b"3")]
    names = [b"host", b"accept", b"x", b"accept"]
    merged = kernel.merge_lines(lines, names, {"ACCEPT": "4", "Y": "5"}.items(), REFUSED)
    expected = [(b"Host", b"a"), (b"X", b"2"), (b"ACCEPT", b"4"), (b"Y", b"5")]
    assert merged == (expected, [b"host", b"x", b"accept", b"y"])
    assert len(lines) == len(names) == 4


@pytest.mark.parametrize("name", ["Host", "CONTENT-LENGTH", b"host"])
def test_refused_name(kernel, name):
    assert kernel.merge_lines([(b"a", b"b")], [b"a"], [("x", "y"), (name, "1")], REFUSED) is None


def test_names_of_a_subclass_of_bytes(kernel):
    assert kernel.merge_lines([], [], [(OwnBytes(b"A"), b"b")], REFUSED) == ([(b"A", b"b")], [b"a"])


DROPPED, DECIDING = frozenset({b"host", b"connection"}), frozenset({b"connection", b"te"})
HARMLESS = frozenset({(b"connection", b"keep-alive")})


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([], ([], None)),
        ([(b"HOST", b"a"), (b"X-Y", b"Z"), (b"host", b"b")], ([(b"x-y", b"Z")], b"b")),
        ([(b"Connection", b"keep-alive"), (b"a", b"")], ([(b"a", b"")], None)),
        ([(b"Connection", b"Keep-Alive")], None),
        ([(b"a", b"b"), (b"TE", b"trailers")], None),
        ([(OwnBytes(b"A"), b"b")], ([(b"a", b"b")], None)),
    ],
)
def test_lines_in_lower_case(kernel, lines, expected):
    assert kernel.lower_lines(lines, DROPPED, DECIDING, HARMLESS) == expected
    assert kernel.lower_lines(tuple(lines), DROPPED, DECIDING, HARMLESS) == expected


NAMES = st.sampled_from(["a", "A", "b", "B-c", "Host", "content-Length", b"a", b"B-C", "ä", b"\xff\xdd", 1])
PAIRS = st.lists(st.tuples(NAMES, st.one_of(st.text(max_size=4), st.binary(max_size=4), st.integers())), max_size=5)
OWN = st.lists(st.sampled_from([b"A", b"b", b"B-C", b"c"]), max_size=5)


def outcome(call: Any, *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (TypeError, UnicodeEncodeError) as error:
        return type(error), str(error)


def test_twins_agree(twins):
    compiled, python = twins

    @settings(max_examples=2000, deadline=None)
    @given(OWN, PAIRS, st.sampled_from(["ascii", "utf-8", "iso-8859-1", "utf-16"]))
    def agree(own, pairs, encoding):
        assert outcome(compiled.encode_lines, pairs, encoding) == outcome(python.encode_lines, pairs, encoding)
        lines, names = [(name, b"1") for name in own], [name.lower() for name in own]
        given_pairs = (lines, names, pairs, REFUSED)
        assert outcome(compiled.merge_lines, *given_pairs) == outcome(python.merge_lines, *given_pairs)
        sets = (frozenset({b"a"}), frozenset({b"b"}), frozenset({(b"b", b"1")}))
        assert compiled.lower_lines(lines, *sets) == python.lower_lines(lines, *sets)

    agree()
