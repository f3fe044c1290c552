from __future__ import annotations

import functools
import gc
import operator
import re

import pytest
import vectors

from httpx_fast._exceptions import RemoteProtocolError
from httpx_fast._kernel import constants

SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\n"

READ = vectors.read("heads")
REFUSED = vectors.read("heads_refused")


def feed(parser, data, way):
    """The head that comes of `bytes`, of which `way` says how many are there at each call."""
    for available in way:
        head = parser.feed(data, 0, available)
        if head is not None:
            return head
    return None


def flags_of(names):
    return functools.reduce(operator.or_, (getattr(constants, name) for name in names.split(",") if name), 0)


def test_documents_hold_cases():
    assert len(READ) >= 50
    assert len(REFUSED) > 40
    assert all(vector.error for vector in REFUSED)


@pytest.mark.parametrize("vector", READ, ids=str)
def test_head_is_read_however_it_comes(kernel, ways, vector):
    expected = {"status": "200", "minor": "1", "reason": "OK", "length": "-1", "flags": ""}
    expected.update(item.split("=", 1) for item in (vector.result or "").split())
    data = vector.data + vector.rest
    for way in ways(data):
        head = feed(kernel.HeadParser(), data, way)
        assert head.status == int(expected["status"])
        assert head.minor == int(expected["minor"])
        assert head.reason == vectors.unescaped(expected["reason"])
        assert head.content_length == int(expected["length"])
        assert head.flags == flags_of(expected["flags"])
        assert head.size == len(vector.data)
        assert head.count == len(vector.fields)
        assert head.fields() == vector.fields


@pytest.mark.parametrize("vector", READ, ids=str)
def test_head_is_complete_with_its_last_byte_and_not_before(kernel, vector):
    parser = kernel.HeadParser()
    assert feed(parser, vector.data, range(len(vector.data))) is None
    assert parser.feed(vector.data, 0, len(vector.data)).size == len(vector.data)


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_head_is_refused_however_it_comes(kernel, ways, vector):
    for way in ways(vector.data):
        with pytest.raises(RemoteProtocolError, match=re.escape(vector.error)):
            feed(kernel.HeadParser(), vector.data, way)


@pytest.mark.parametrize("vector", REFUSED, ids=str)
def test_refusal_shows_at_most_64_bytes(kernel, vector):
    with pytest.raises(RemoteProtocolError, match="b'") as caught:
        kernel.HeadParser().feed(vector.data, 0, len(vector.data))
    for shown in re.findall(r"b'(?:[^'\\]|\\.)*'", str(caught.value)):
        assert len(vectors.unescaped(shown[2:-1])) <= 64


@pytest.mark.parametrize(
    ("data", "meaning"),
    [
        (b"\x15\x03\x03\0\2\2\x46", "this is a TLS alert"),
        (b"\x16\x03\x01\2\0", "this is TLS"),
        (b"\0\0\x12\4\0\0\0\0\0", "this is HTTP/2"),
        (b"HTTP/2 200\r\n", "this version of HTTP"),
        (b"SSH-2.0-x\r\n", "this is SSH"),
        (b"220 ready\r\n", "this is FTP or SMTP"),
        (b"<html>", "a document without a head"),
        (b"\r\nHTTP/1.1 200 OK\r\n", "an empty line, maybe left over"),
    ],
)
def test_stranger_is_named(kernel, data, meaning):
    with pytest.raises(RemoteProtocolError, match=meaning):
        kernel.HeadParser().feed(data, 0, len(data))


def test_stranger_is_refused_before_its_line_ends(kernel):
    with pytest.raises(RemoteProtocolError, match=r"expected a status line like .*, got b'HTTQ'$"):
        kernel.HeadParser().feed(b"HTTQ", 0, 4)


@pytest.mark.parametrize("wrap", [bytes, bytearray, memoryview])
def test_bytes_come_in_any_buffer(kernel, wrap):
    assert kernel.HeadParser().feed(wrap(SMALL), 0, len(SMALL)).size == len(SMALL)


def test_head_begins_and_ends_where_the_caller_says(kernel):
    data = b"before" + SMALL + b"after"
    parser = kernel.HeadParser()
    assert parser.feed(data, 6, 6 + len(SMALL) - 1) is None
    assert parser.feed(data, 6, len(data)).size == len(SMALL)


def test_bytes_may_move_between_calls(kernel):
    parser = kernel.HeadParser()
    assert parser.feed(b"..." + SMALL[:25], 3, 28) is None
    assert parser.feed(bytearray(SMALL[:40]), 0, 40) is None
    assert parser.feed(b"." + SMALL, 1, len(SMALL) + 1).fields() == [(b"Content-Length", b"5"), (b"X-A", b"b")]


def test_head_outlives_the_bytes_it_came_in(kernel):
    data = bytearray(SMALL)
    head = kernel.HeadParser().feed(data, 0, len(data))
    data[:] = b"x" * len(data)
    gc.collect()  # PyPy lets go of views no sooner, which forbid what follows
    data.clear()
    assert head.reason == b"OK"
    assert head.fields() == [(b"Content-Length", b"5"), (b"X-A", b"b")]
    assert head.get_all(b"x-a") == [b"b"]


def test_parser_is_ready_for_the_next_head(kernel):
    data = b"HTTP/1.1 103 Early Hints\r\nA: b\r\n c\r\n\r\n" + SMALL
    parser = kernel.HeadParser()
    interim = parser.feed(data, 0, len(data))
    final = parser.feed(data, interim.size, len(data))
    assert (interim.status, interim.fields()) == (103, [(b"A", b"b c")])
    assert (final.status, final.count, final.content_length) == (200, 2, 5)
    assert (interim.status, interim.count, interim.content_length) == (103, 1, -1)


def test_reset_forgets_a_head_that_was_begun(kernel):
    parser = kernel.HeadParser()
    assert parser.feed(b"HTTP/1.1 404 Not Found\r\nA: b\r\nB", 0, 31) is None
    parser.reset()
    head = parser.feed(SMALL, 0, len(SMALL))
    assert (head.status, head.fields()) == (200, [(b"Content-Length", b"5"), (b"X-A", b"b")])


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (3, 2), (0, 11), (11, 11)])
def test_range_outside_of_the_buffer_is_an_error(kernel, start, end):
    with pytest.raises(ValueError, match=f"bytes {start} to {end} of 10 cannot be read"):
        kernel.HeadParser().feed(b"HTTP/1.1 2", start, end)


def test_fewer_bytes_than_before_are_an_error(kernel):
    parser = kernel.HeadParser()
    assert parser.feed(SMALL, 0, 20) is None
    with pytest.raises(ValueError, match="bytes 0 to 19 of 46 cannot be read, 20 were there before"):
        parser.feed(SMALL, 0, 19)


def test_what_is_no_buffer_is_an_error(kernel):
    with pytest.raises(TypeError, match="bytes-like"):
        kernel.HeadParser().feed("HTTP/1.1 200 OK\r\n\r\n", 0, 19)


@pytest.mark.parametrize("way", [[len(SMALL)], [20, len(SMALL)]], ids=["whole", "cut"])
def test_fields_are_made_once(kernel, way):
    head = feed(kernel.HeadParser(), SMALL, way)
    assert head.fields() is head.fields()


@pytest.mark.parametrize("name", [b"Content-Length", b"content-length", b"X-Request-ID"])
def test_common_names_are_one_object(kernel, name):
    data = b"HTTP/1.1 200 OK\r\n" + name + b": 1\r\n\r\n"
    first = kernel.HeadParser().feed(data, 0, len(data)).fields()[0][0]
    second = feed(kernel.HeadParser(), data, [20, len(data)]).fields()[0][0]
    assert first == name
    assert first is second


def test_all_common_names_are_read_as_they_are(kernel):
    data = b"HTTP/1.1 200 OK\r\n" + b"".join(name + b": 1\r\n" for name in constants.COMMON_NAMES) + b"\r\n"
    assert [name for name, _ in kernel.HeadParser().feed(data, 0, len(data)).fields()] == list(constants.COMMON_NAMES)


@pytest.mark.parametrize("fields_first", [False, True])
def test_get_all_finds_every_spelling_in_order(kernel, fields_first):
    data = b"HTTP/1.1 200 OK\r\nx-a: 1\r\nX-AB: 2\r\nX-A: 3\r\nx-A:\r\n 4\r\nB: x-a\r\n\r\n"
    head = kernel.HeadParser().feed(data, 0, len(data))
    if fields_first:
        head.fields()
    assert head.get_all(b"x-a") == [b"1", b"3", b"4"]
    assert head.get_all(b"b") == [b"x-a"]
    assert head.get_all(b"x") == []
    assert head.get_all(b"") == []


def test_get_all_changes_the_case_of_letters_only(kernel):
    data = b"HTTP/1.1 200 OK\r\nX_A: 1\r\nX-^: 2\r\n\r\n"
    head = kernel.HeadParser().feed(data, 0, len(data))
    assert head.get_all(b"x_a") == [b"1"]
    assert head.get_all(b"x-^") == [b"2"]
    assert head.get_all(b"x-~") == []


def head_of_size(size):
    """A head of `size` bytes, all but few in the value of its only field."""
    data = b"HTTP/1.1 200 OK\r\nA: \r\n\r\n"
    return data.replace(b"A: ", b"A: " + b"x" * (size - len(data)))


@pytest.mark.parametrize("size", [constants.MAX_HEAD_SIZE - 1, constants.MAX_HEAD_SIZE])
@pytest.mark.parametrize("cut", [0, 1, 50_000])
def test_head_up_to_the_largest_size_is_read(kernel, size, cut):
    data = head_of_size(size) + b"content"
    assert feed(kernel.HeadParser(), data, [cut, size - 1, len(data)]).size == size
    assert kernel.HeadParser().feed(data, 0, len(data)).size == size


@pytest.mark.parametrize("way", ["whole", "cut", "to the limit"])
def test_head_over_the_largest_size_is_refused(kernel, way):
    data = head_of_size(constants.MAX_HEAD_SIZE + 1)
    ways = {"whole": [len(data)], "cut": [70_000, len(data)], "to the limit": [constants.MAX_HEAD_SIZE]}
    with pytest.raises(RemoteProtocolError, match="the head has not ended after 102400 bytes"):
        feed(kernel.HeadParser(), data, ways[way])


@pytest.mark.parametrize("limit", [60, 9000, 200_000])
@pytest.mark.parametrize("cut", [0, 16, 40])
def test_largest_size_can_be_set(kernel, limit, cut):
    data = head_of_size(limit)
    way = [cut, limit - 1, limit]
    assert feed(kernel.HeadParser(limit), data, way).size == limit
    assert kernel.HeadParser(limit).feed(data + b"content", 0, limit + 7).size == limit
    for data in (head_of_size(limit + 1), b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * (limit // 6) + b"\r\n"):
        for way in ([len(data)], [cut, limit - 1, len(data)], [limit]):
            with pytest.raises(RemoteProtocolError, match=f"(head has not ended after {limit} bytes|1000 field lines)"):
                feed(kernel.HeadParser(max_size=limit), data, way)


@pytest.mark.parametrize("limit", [0, -1, constants.LARGEST_HEAD_SIZE + 1])
def test_limit_that_is_none_is_refused(kernel, limit):
    assert kernel.HeadParser(constants.LARGEST_HEAD_SIZE).feed(b"", 0, 0) is None
    for kind in (kernel.HeadParser, kernel.ChunkedDecoder):
        with pytest.raises(ValueError, match=f"expected 1 to 16777216 bytes as the size of a head, got {limit}"):
            kind(limit)


def test_unended_line_just_under_the_largest_size_is_waited_for(kernel):
    data = head_of_size(constants.MAX_HEAD_SIZE + 1)
    assert kernel.HeadParser().feed(data, 0, constants.MAX_HEAD_SIZE - 1) is None


def test_status_line_counts_towards_the_largest_size(kernel):
    data = b"HTTP/1.1 200 " + b"x" * constants.MAX_HEAD_SIZE
    with pytest.raises(RemoteProtocolError, match="the head has not ended after 102400 bytes"):
        kernel.HeadParser().feed(data, 0, len(data))


def test_fault_before_the_limit_is_reported_rather_than_the_limit(kernel):
    data = b"HTTP/1.1 200 OK\r\nA b\r\n" + b"x" * constants.MAX_HEAD_SIZE
    with pytest.raises(RemoteProtocolError, match="it has no colon"):
        kernel.HeadParser().feed(data, 0, len(data))


@pytest.mark.parametrize("count", [constants.MAX_FIELDS - 1, constants.MAX_FIELDS])
@pytest.mark.parametrize("line", [b"a:\r\n", b"X-Name-Of-Some-Length: value\r\n"])
@pytest.mark.parametrize("cut", [0, 2000])
def test_fields_up_to_the_highest_count_are_read(kernel, count, line, cut):
    data = b"HTTP/1.1 200 OK\r\n" + line * count + b"\r\n"
    head = feed(kernel.HeadParser(), data, [cut, len(data)])
    assert head.count == len(head.fields()) == count


@pytest.mark.parametrize("line", [b"a:\r\n", b"X-Name-Of-Some-Length: value\r\n"])
@pytest.mark.parametrize("cut", [0, 2000])
def test_field_over_the_highest_count_is_refused(kernel, line, cut):
    data = b"HTTP/1.1 200 OK\r\n" + line * (constants.MAX_FIELDS + 1) + b"\r\n"
    with pytest.raises(RemoteProtocolError, match="the head has more than 1000 field lines"):
        feed(kernel.HeadParser(), data, [cut, len(data)])


def test_folded_lines_are_no_fields_of_their_own(kernel):
    data = b"HTTP/1.1 200 OK\r\na: 0\r\n" + b" 1\r\n" * (constants.MAX_FIELDS + 1) + b"\r\n"
    head = kernel.HeadParser().feed(data, 0, len(data))
    assert head.count == 1
    assert head.fields()[0][1] == b"0" + b" 1" * (constants.MAX_FIELDS + 1)


def test_bytes_are_not_looked_at_again(kernel):
    # What was scanned turns into NUL, which a second look would refuse.
    data = bytearray(head_of_size(50_000))
    parser = kernel.HeadParser()
    for available in range(100, 49_000, 100):
        assert parser.feed(data, 0, available) is None
        data[22:available] = bytes(available - 22)
    assert parser.feed(data, 0, len(data)).size == 50_000


@pytest.mark.parametrize("line", [b"A: " + b"x" * 40_000, b"A: b\r\n" * 900, b"A: b\r\n" + b" c\r\n" * 10_000])
def test_pure_twin_scans_and_copies_in_linear_time(monkeypatch, line):
    from httpx_fast._kernel import http1_py

    scanned = 0
    search = http1_py._line_end

    def counting_search(data, start):
        nonlocal scanned
        match = search(data, start)
        scanned += (match.end() if match else len(data)) - start
        return match

    monkeypatch.setattr(http1_py, "_line_end", counting_search)
    data = b"HTTP/1.1 200 OK\r\n" + line.rstrip() + b"\r\n\r\n"
    assert feed(http1_py.HeadParser(), data, range(len(data) + 1)).size == len(data)
    assert scanned <= 2 * len(data)  # a CR at the end is looked at until its LF comes


def test_head_made_by_hand_is_empty_and_harmless(kernel):
    if kernel.name == "python":
        pytest.skip("the pure twin's constructor demands what a head has")
    head = type(kernel.HeadParser().feed(SMALL, 0, len(SMALL)))()
    assert (head.size, head.count, head.reason, head.fields(), head.get_all(b"a")) == (0, 0, b"", [], [])


@pytest.mark.parametrize(
    ("length", "behind", "rest"),
    [
        (b"3", b"abc", b"abc"),
        (b"0", b"", b""),
        (b"3", b"ab", None),
        (b"3", b"abcd", None),
        (b"3, 3", b"abc", None),
        (b"", b"", None),
    ],
)
def test_rest_is_given_once_if_it_is_just_what_the_length_says(kernel, length, behind, rest):
    data = b"before HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\n" + behind
    head = kernel.HeadParser().feed(data, 7, len(data))
    assert head.take_rest() == rest
    assert head.take_rest() is None
    without = b"HTTP/1.1 200 OK\r\n\r\n"
    assert kernel.HeadParser().feed(without, 0, len(without)).take_rest() is None
