from __future__ import annotations

import copy
import pickle
from unittest.mock import patch

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from httpx_fast import Headers
from httpx_fast._kernel.select import HeadParser

RAW = b"HTTP/1.1 200 OK\r\nServer: x\r\nSet-Cookie: a=1\r\nContent-Type: text/html\r\nset-cookie: b=2\r\n\r\n"


@pytest.fixture
def head():
    return HeadParser().feed(RAW, 0, len(RAW))


class Source:
    """A head that counts how often all of its fields were asked for."""

    def __init__(self, *lines: tuple[bytes, bytes]) -> None:
        self.lines = list(lines)
        self.listed = 0

    def fields(self) -> list[tuple[bytes, bytes]]:
        self.listed += 1
        return self.lines

    def get_all(self, name: bytes) -> list[bytes]:
        return [value for each, value in self.lines if each.lower() == name]


def test_names_ignore_case_and_keep_how_they_were_written():
    headers = Headers({"X-Thing": "1"})
    assert headers["x-thing"] == headers["X-THING"] == "1"
    assert "X-thing" in headers
    assert list(headers) == ["x-thing"]
    assert headers.raw == [(b"X-Thing", b"1")]


def test_repeated_lines_are_joined_by_commas_and_listed_apart():
    headers = Headers([("a", "1"), ("B", "2"), ("A", "3, 4")])
    assert headers["a"] == headers.get("A") == "1, 3, 4"
    assert headers.get_list("a") == ["1", "3, 4"]
    assert headers.get_list("a", split_commas=True) == ["1", "3", "4"]
    assert headers.multi_items() == [("a", "1"), ("b", "2"), ("a", "3, 4")]
    assert dict(headers.items()) == dict(headers) == {"a": "1, 3, 4", "b": "2"}
    assert list(headers.values()) == ["1, 3, 4", "2"]
    assert len(headers) == 3


def test_a_missing_field_is_none_a_default_or_a_key_error():
    headers = Headers()
    assert headers.get("a") is None
    assert headers.get("a", "b") == "b"
    assert headers.get_list("a") == []
    assert "a" not in headers
    assert 1 not in headers
    with pytest.raises(KeyError, match="'A'"):
        headers["A"]
    with pytest.raises(KeyError, match="'A'"):
        del headers["A"]


def test_setting_takes_the_place_of_the_first_line_and_drops_the_others():
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
    headers["A"] = "4"
    assert headers.raw == [(b"A", b"4"), (b"b", b"2")]
    headers["c"] = "5"
    assert headers.raw == [(b"A", b"4"), (b"b", b"2"), (b"c", b"5")]


def test_deleting_drops_all_lines_of_a_name():
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
    del headers["a"]
    assert headers.raw == [(b"b", b"2")]


def test_update_replaces_names_and_appends_their_lines():
    headers = Headers([("a", "1"), ("b", "2"), ("A", "3")])
    headers.update([("a", "4"), ("C", "5"), ("a", "6")])
    assert headers.raw == [(b"b", b"2"), (b"a", b"4"), (b"C", b"5"), (b"a", b"6")]
    headers.update(headers)
    assert headers.raw == [(b"b", b"2"), (b"a", b"4"), (b"C", b"5"), (b"a", b"6")]
    headers.update(None)
    assert len(headers) == 4


def test_union_makes_new_headers_and_in_place_union_changes_them():
    headers = Headers({"a": "1"})
    assert (headers | {"A": "2", "b": "3"}).raw == [(b"A", b"2"), (b"b", b"3")]
    assert ({"a": "2", "b": "3"} | headers).raw == [(b"b", b"3"), (b"a", b"1")]
    assert headers.raw == [(b"a", b"1")]
    same = headers
    headers |= [("c", "4")]
    assert same.raw == [(b"a", b"1"), (b"c", b"4")]
    with pytest.raises(TypeError, match="unsupported operand"):
        headers | "a"
    with pytest.raises(TypeError, match="unsupported operand"):
        "a" | headers


@pytest.mark.parametrize("value", [1, None, ["a"], 1.5])
def test_a_value_of_another_type_is_refused_by_the_name_of_its_field(value):
    with pytest.raises(TypeError, match=f"'X-Id' is to be str or bytes, not {type(value).__name__}"):
        Headers({"X-Id": value})
    headers = Headers()
    with pytest.raises(TypeError, match="'X-Id' is to be str or bytes"):
        headers["X-Id"] = value
    assert not headers


def test_a_name_of_another_type_is_refused():
    with pytest.raises(TypeError, match="a header name is str or bytes, not int: 1"):
        Headers({1: "a"})


def test_bytes_are_taken_as_they_are():
    headers = Headers({b"X-A": b"\xff"})
    headers[b"X-B"] = b"\xfe"
    assert headers.raw == [(b"X-A", b"\xff"), (b"X-B", b"\xfe")]


@pytest.mark.parametrize(
    ("value", "encoding", "text"),
    [
        (b"abc", "ascii", "abc"),
        ("ä☃".encode(), "utf-8", "ä☃"),
        (b"\xe4", "iso-8859-1", "ä"),
    ],
)
def test_the_encoding_is_the_first_that_fits_all_fields(value, encoding, text):
    headers = Headers([(b"a", b"1"), (b"b", value)])
    assert headers.encoding == encoding
    assert headers["b"] == text
    assert headers.get_list("b") == [text]
    assert headers.multi_items()[1] == ("b", text)
    assert list(headers.values()) == ["1", text]
    assert headers["a"] == "1"


def test_one_field_in_latin_1_makes_all_latin_1():
    headers = Headers([(b"a", "ä".encode()), (b"b", b"\xe4")])
    assert headers.encoding == "iso-8859-1"
    assert headers["a"] == "Ã¤"


def test_an_encoding_that_is_set_is_used():
    headers = Headers([(b"a", "ä".encode())])
    headers.encoding = "iso-8859-1"
    assert headers["a"] == "Ã¤"
    assert Headers({"a": "ä"}, encoding="utf-8").raw == [(b"a", "ä".encode())]
    assert Headers({"a": "1"}, "utf-8").copy().encoding == "utf-8"


def test_text_outside_ascii_needs_an_encoding_but_can_be_set():
    with pytest.raises(UnicodeEncodeError, match="ascii"):
        Headers({"a": "ä"})
    headers = Headers({"b": "1"})
    assert headers["b"] == "1"
    headers["a"] = "ä"
    assert headers.raw == [(b"b", b"1"), (b"a", "ä".encode())]


def test_names_outside_ascii_are_found_in_the_encoding_of_the_fields():
    assert Headers([("ä".encode(), b"1")])["ä"] == "1"
    assert Headers([(b"\xe4", b"1")])["ä"] == "1"
    assert "ä" not in Headers({"a": "1"})
    assert "☃" not in Headers([(b"\xe4", b"1")])


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "Cookie", "SET-COOKIE"])
def test_credentials_are_not_shown(name):
    headers = Headers({name: "s3cret", "b": "2"})
    assert "s3cret" not in repr(headers)
    assert repr(headers) == f"Headers({{{name.lower()!r}: '[secure]', 'b': '2'}})"


def test_repr_shows_repeated_lines_and_an_encoding_that_is_not_ascii():
    assert repr(Headers([("a", "1"), ("a", "2")])) == "Headers([('a', '1'), ('a', '2')])"
    assert repr(Headers({"a": "ä".encode()})) == "Headers({'a': 'ä'}, encoding='utf-8')"


def test_equality_ignores_case_and_order():
    headers = Headers([("a", "1"), ("B", "2")])
    assert headers == [(b"b", b"2"), (b"A", b"1")]
    assert headers == {"A": "1", "b": "2"}
    assert headers == Headers(headers)
    assert headers != {"a": "1"}
    assert headers != 5
    assert headers != [("a", "1"), ("b", "ä")]
    with pytest.raises(TypeError, match="unhashable"):
        hash(headers)


def test_a_copy_shares_its_lines_until_one_of_both_changes():
    headers = Headers({"a": "1"})
    other = Headers(headers)
    assert other._field_lines is headers._field_lines
    other["b"] = "2"
    assert headers.raw == [(b"a", b"1")]
    third = headers.copy()
    headers["c"] = "3"
    assert third.raw == [(b"a", b"1")]
    assert other.raw == [(b"a", b"1"), (b"b", b"2")]


CHANGES = {
    "set": lambda headers: headers.__setitem__("a", "9"),
    "set new": lambda headers: headers.__setitem__("z", "9"),
    "delete": lambda headers: headers.__delitem__("a"),
    "update": lambda headers: headers.update({"z": "9"}),
    "clear": lambda headers: headers.clear(),
    "pop": lambda headers: headers.pop("a"),
    "setdefault": lambda headers: headers.setdefault("z", "9"),
    "union": lambda headers: headers.__ior__({"z": "9"}),
    "surround": lambda headers: headers._surround([(b"z", b"9")], []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_list_is_another_list_when_others_hold_it(change):
    lines = [(b"a", b"1"), (b"b", b"2")]
    headers = Headers._from_list(lines)
    assert headers["a"] == "1"
    assert headers._field_lines is lines
    CHANGES[change](headers)
    assert headers._field_lines is not lines
    assert lines == [(b"a", b"1"), (b"b", b"2")]
    assert headers._lower_names() == [name.lower() for name, _ in headers._field_lines]


@pytest.mark.parametrize("change", CHANGES)
def test_a_list_that_was_handed_out_is_not_changed(change):
    headers = Headers({"a": "1", "b": "2"})
    held = headers._share()
    CHANGES[change](headers)
    assert held == [(b"a", b"1"), (b"b", b"2")]
    assert headers._field_lines is not held


@pytest.mark.parametrize("make", [lambda lines: Headers(lines), lambda lines: Headers._lazy(Source(*lines))])
def test_the_private_list_has_the_shape_of_httpx_s(make):
    lines = [(b"X-A", b"1"), (b"x-a", b"2"), (b"Date", b"\xff")]
    headers = make(lines)
    assert headers._list == httpx2.Headers(lines)._list == [(name, name.lower(), value) for name, value in lines]
    headers._list = [*headers._list, (b"X-B", b"x-b", b"3")]
    assert headers["x-b"] == "3"
    assert headers.raw == [*lines, (b"X-B", b"3")]
    assert headers.get_list("X-A") == ["1", "2"]


def test_setting_the_private_list_leaves_copies_alone():
    headers = Headers({"a": "1"})
    other = headers.copy()
    headers._list = []
    assert (headers.raw, other.raw) == ([], [(b"a", b"1")])


def test_the_raw_list_is_a_copy():
    headers = Headers({"a": "1"})
    headers.raw.clear()
    assert headers.raw == [(b"a", b"1")]


def test_a_received_field_is_asked_of_the_head_without_listing_all():
    source = Source((b"A", b"1"), (b"b", b"2"))
    headers = Headers._lazy(source)
    assert headers["a"] == "1"
    assert headers.get("c") is None
    assert "B" in headers
    assert "c" not in headers
    assert headers.get_list("b") == ["2"]
    assert source.listed == 0
    assert headers.raw == [(b"A", b"1"), (b"b", b"2")]
    assert headers["a"] == "1"
    assert headers.multi_items() == [("a", "1"), ("b", "2")]
    assert source.listed == 1


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_leaves_the_head_alone_and_lets_go_of_it(change):
    source = Source((b"a", b"1"), (b"b", b"2"))
    headers = Headers._lazy(source)
    CHANGES[change](headers)
    assert headers._source is None
    assert source.lines == [(b"a", b"1"), (b"b", b"2")]
    assert headers.raw != source.lines


def test_received_fields_outside_ascii_are_read_in_the_encoding_of_all():
    headers = Headers._lazy(Source((b"a", "ä".encode()), (b"b", b"\xe4")))
    assert headers["a"] == "Ã¤"


def test_received_fields_read_like_those_made_by_hand(head):
    lazy, made = Headers._lazy(head), Headers(head.fields())
    assert lazy == made
    assert lazy["set-cookie"] == made["set-cookie"] == "a=1, b=2"
    assert Headers(lazy).raw == made.raw
    assert repr(lazy) == repr(made)


@pytest.mark.parametrize("duplicate", [lambda headers: pickle.loads(pickle.dumps(headers)), copy.copy, copy.deepcopy])
def test_headers_can_be_pickled_and_copied(duplicate, head):
    class Sub(Headers):
        pass

    for headers in (Headers({"a": "1"}, "utf-8"), Headers._lazy(head), Headers._from_list([(b"a", b"1")])):
        again = duplicate(headers)
        assert again == headers
        assert again.encoding == headers.encoding
        again["z"] = "9"
        assert "z" not in headers
    mine = copy.copy(Sub({"a": "1"}))
    assert type(mine) is Sub


def test_the_standard_library_can_patch_headers_like_a_dict():
    headers = Headers([("a", "1"), ("b", "2"), ("b", "3")])
    with patch.dict(headers, {"b": ""}):
        assert headers["b"] == ""
    assert headers.multi_items() == [("a", "1"), ("b", "2"), ("b", "3")]


NAMES = st.sampled_from(["a", "A", "b", "B-c", "b-C", "authorization", "x"])
VALUES = st.sampled_from(["", "1", "2, 3", "ä", "☃", " x"])
LINES = st.lists(st.tuples(NAMES, VALUES).map(lambda line: (line[0].encode(), line[1].encode())), max_size=6)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("__setitem__"), NAMES, VALUES),
        st.tuples(st.just("__delitem__"), NAMES),
        st.tuples(st.just("update"), LINES),
        # What is not ASCII cannot be set there after a lookup.
        st.tuples(st.just("setdefault"), NAMES, VALUES.filter(str.isascii)),
        st.tuples(st.just("pop"), NAMES, st.none()),
        st.tuples(st.just("copy")),
    ),
    max_size=6,
)


@given(LINES, STEPS)
def test_any_changes_end_as_in_httpx2(lines, steps):
    ours, theirs = Headers(lines), httpx2.Headers(lines)
    kept = ours._share()
    for name, *arguments in steps:
        results = []
        for headers in (ours, theirs):
            theirs._encoding = None  # a lookup fixes it there
            try:
                results.append(getattr(headers, name)(*arguments))
            except KeyError:
                results.append(KeyError)
        if name == "copy":
            ours, theirs = results
            theirs._encoding = None
        else:
            assert results[0] == results[1]
    theirs._encoding = None
    assert ours.raw == theirs.raw
    assert ours.multi_items() == theirs.multi_items()
    assert list(ours.items()) == list(theirs.items())
    assert list(ours) == list(theirs)
    assert list(ours.values()) == list(theirs.values())
    assert len(ours) == len(theirs)
    assert ours.encoding == theirs.encoding
    assert all(ours[name] == theirs[name] for name in theirs)
    assert kept == lines
