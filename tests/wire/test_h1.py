"""The reader of responses: cases from tests/vectors/responses.md, and what a table cannot say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from httpx_fast._exceptions import RemoteProtocolError
from httpx_fast._wire import h1

VECTORS = Path(__file__).parent.parent / "vectors" / "responses.md"


class Case(NamedTuple):
    name: str
    method: bytes
    data: bytes
    end: str  # "", "EOF" or "TRUNCATED"
    facts: str
    error: str


def cases() -> list[Case]:
    found = []
    for section in VECTORS.read_text().split("\n## ")[1:]:
        name, *lines = section.splitlines()
        lines = [line.removeprefix("    ") for line in lines if line.startswith("    ")]
        told = {mark: [line[2:] for line in lines if line.startswith(mark + " ")] for mark in "<>!"}
        end = next((line for line in lines if line in ("EOF", "TRUNCATED")), "")
        data = unescaped("".join(told["<"]))
        found.append(Case(name, lines[0].encode(), data, end, "".join(told[">"]), "".join(told["!"])))
    return found


def unescaped(text: str) -> bytes:
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


class Reader(h1.ResponseReader):
    """Records what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def head_arrived(self) -> None:
        self.told.append("head")

    def message_ended(self) -> None:
        self.told.append("end")

    def went_dead(self) -> None:
        self.told.append("dead")


def feed(reader: h1.ResponseReader, data: bytes, cut: list[int]) -> list[bool]:
    """Pushes `bytes` in pieces that end at `cut`, as a stream does: into the reader's own buffer if it gives one."""
    answers = []
    for start, stop in zip([0, *cut], [*cut, len(data)], strict=True):
        while start < stop:
            own = reader.get_buffer()
            if own is None:
                answers.append(reader.data_received(memoryview(data)[start:stop]))
                break
            view = memoryview(own)
            size = min(len(view), stop - start)
            view[:size] = data[start : start + size]
            view.release()
            del own
            answers.append(reader.buffer_updated(size))
            start += size
    return answers


def outcome(case: Case, cut: list[int], whole: bool) -> str:
    """The facts of a case, in the vectors' words."""
    reader = Reader()
    reader.begin(case.method, whole)
    feed(reader, case.data, cut)
    if case.end:
        reader.eof_received(case.end == "EOF")
    assert reader.head is not None
    words = [str(reader.head.status), "body=" + reader.take_whole().decode("latin-1")]
    ended = reader.state == h1.ENDED
    words += (
        ["ended"] * ended + ["persistent"] * (ended and reader.persistent) + ["tunnel"] * (reader.state == h1.TUNNEL)
    )
    if reader.interim:
        words.append("interim=" + ",".join(str(head.status) for head in reader.interim))
    if reader.trailers:
        words.append("trailers=" + ",".join(f"{name.decode()}:{value.decode()}" for name, value in reader.trailers))
    assert reader.told == ["head"] + ["end"] * (ended or reader.state == h1.TUNNEL)
    assert reader.pending == 0
    return " ".join(words)


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "streamed"])
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_vectors(kernel: str, case: Case, whole: bool) -> None:
    size = len(case.data)
    cuts = [[], list(range(1, size)), *([at] for at in range(1, size))]
    for cut in cuts:
        if case.error:
            with pytest.raises(RemoteProtocolError, match=case.error if "\\" in case.error else re.escape(case.error)):
                outcome(case, cut, whole)
        else:
            expected = case.facts.encode("latin-1").decode("unicode_escape")
            assert outcome(case, cut, whole) == expected, f"cut at {cut}"


@pytest.mark.parametrize("size", [10, 4096, 3_000_000])
def test_whole_body_wakes_once_at_its_end(kernel: str, size: int) -> None:
    reader = Reader()
    reader.begin(b"GET", True)
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    data = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body
    answers = feed(reader, data, list(range(3, len(data), 65536)))
    assert answers[-1] is True
    assert not any(answers[:-1])
    assert reader.take_whole() == body


def test_streamed_body_wakes_at_the_head_and_at_each_arrival(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", False)
    assert not reader.ready
    assert feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", []) == [True]
    assert reader.ready
    assert reader.take() == b""
    assert feed(reader, b"abc", []) == [True]
    assert reader.pending == 3
    assert feed(reader, b"def", []) == [True]
    assert (reader.take(), reader.take(), reader.take()) == (b"abc", b"def", b"")
    assert reader.state == h1.ENDED


def test_next_exchange_starts_afresh(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", True)
    feed(reader, b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", [])
    assert reader.trailers
    first = reader.interim
    reader.begin(b"GET", True)
    assert not reader.ready
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", [])
    assert (list(reader.interim), list(reader.trailers), reader.take_whole()) == ([], [], b"x")
    assert [head.status for head in first] == [100]


def test_bytes_while_idle_kill_the_connection(kernel: str) -> None:
    reader = Reader()
    assert not reader.data_received(memoryview(b"HTTP/1.1 408 Request Timeout\r\n\r\n"))
    assert (reader.state, reader.told) == (h1.DEAD, ["dead"])
    assert not reader.data_received(memoryview(b"more"))
    assert reader.told == ["dead"]


def test_end_of_file_while_idle_kills_the_connection(kernel: str) -> None:
    reader = Reader()
    assert reader.eof_received(True)
    assert (reader.state, reader.told) == (h1.DEAD, ["dead"])


@pytest.mark.parametrize("clean", [True, False])
def test_end_of_file_after_closing_is_not_what_a_request_waits_for(kernel: str, clean: bool) -> None:
    """Another thread may close the connection while one reads: the answer to its close_notify is no response."""
    reader = Reader()
    reader.begin(b"GET", True)
    reader.state = h1.DEAD
    assert not reader.eof_received(clean)
    assert reader.head is None


def test_end_of_file_in_a_tunnel_is_no_end_of_a_message(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"CONNECT", True)
    assert feed(reader, b"HTTP/1.1 200 OK\r\n\r\n", []) == [True]
    assert feed(reader, b"anything", []) == [True]
    assert reader.eof_received(True)
    assert (reader.take(), reader.state) == (b"anything", h1.TUNNEL)


PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"


def hints(size: int) -> bytes:
    """An interim response of that many bytes."""
    head = b"HTTP/1.1 103 Early Hints\r\nLink: %b\r\n\r\n"
    return head % (b"x" * (size - len(head) + 2))


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_interim_responses_are_bounded_by_their_bytes(kernel: str, over: int) -> None:
    assert h1.MAX_INTERIM_SIZE == 262144
    reader = Reader()
    first = PROCESSING * 1000
    left = h1.MAX_INTERIM_SIZE + over - len(first)
    data = [first, hints(left // 3), hints(left // 3), hints(left - 2 * (left // 3))]
    for _ in range(2):  # each request begins anew
        reader.begin(b"GET", True)
        for each in data[:-1]:
            assert feed(reader, each, []) == [False]
        if over > 0:
            with pytest.raises(RemoteProtocolError, match=r"interim responses of more than 262144 bytes.* is 103"):
                feed(reader, data[-1], [])
            return
        assert feed(reader, data[-1] + b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", []) == [True]
        assert [head.status for head in reader.interim] == [102] * 1000 + [103] * 3


def taken(reader: h1.ResponseReader) -> list[bytes]:
    return list(iter(reader.take, b""))


@pytest.mark.parametrize("sizes", [[300_000, 300_000, 300_000], [70_000, 10, 500_000, 400_000], [999_999, 1], [10**6]])
def test_large_pieces_of_a_streamed_body_are_received_where_they_stay(kernel: str, sizes: list[int]) -> None:
    reader = Reader()
    reader.begin(b"GET", False)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"
    body = bytes(number % 251 for number in range(1000)) * 1000
    assert feed(reader, head, []) == [True]
    given, start = b"", 0
    for size in [*sizes, 10**6]:
        assert all(feed(reader, body[start : start + size], []))
        given += b"".join(taken(reader))
        start += size
        assert given == body[:start]
    assert (reader.state == h1.ENDED, reader.persistent, reader.pending) == (True, True, 0)
    assert reader.get_buffer() is None


def test_who_streams_small_pieces_holds_no_buffer(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", False)
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", [])
    for size, direct in ((100, False), (65_535, False), (65_536, True), (100, False)):
        feed(reader, bytes(size), [])
        assert sum(map(len, taken(reader))) == size
        assert (reader.get_buffer() is not None) is direct


def test_records_that_come_together_are_one_piece(kernel: str) -> None:
    """TLS delivers 16 KB at once, many times before the task that reads runs again."""
    reader = Reader()
    reader.begin(b"GET", False)
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", [])
    body = bytes(number % 251 for number in range(1000)) * 1000
    given = b""
    for turn in range(4):
        for _ in range(14):
            start = len(given) + reader.pending
            assert feed(reader, body[start : start + 16_384], []) == [True]
        pieces = taken(reader)
        assert len(pieces) == (5 if turn == 0 else 1)  # four before it is clear that much comes
        given += b"".join(pieces)
        assert reader.pending == 0
    assert given == body[: len(given)]


def test_lent_bytes_follow_those_that_wait_in_the_own_buffer(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", False)
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + b"a" * 70_000, [])
    feed(reader, b"b" * 10_000, [])
    assert reader.data_received(memoryview(b"c" * 20_000))
    assert reader.pending == 100_000
    assert b"".join(taken(reader)) == b"a" * 70_000 + b"b" * 10_000 + b"c" * 20_000
    feed(reader, b"d" * 100_000, [])
    assert b"".join(taken(reader)) == b"d" * 100_000
    assert (reader.state == h1.ENDED, reader.persistent, reader.pending) == (True, True, 0)


def test_bytes_after_a_streamed_body_poison_its_connection(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", False)
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + bytes(100_000), [])
    feed(reader, bytes(100_001), [])
    assert sum(map(len, taken(reader))) == 200_000
    assert not reader.persistent


def test_hostile_length_allocates_nothing(kernel: str) -> None:
    reader = Reader()
    reader.begin(b"GET", True)
    feed(reader, b"HTTP/1.1 200 OK\r\nContent-Length: 900000000000000000\r\n\r\nx", [])
    own = reader.get_buffer()
    assert own is not None
    assert len(memoryview(own)) <= 2 * 1024 * 1024


@pytest.mark.parametrize("count", [1, 2, h1._MANY - 1, h1._MANY, h1._MANY + 1, 5 * h1._MANY])
@pytest.mark.parametrize("coded", [True, False])
def test_a_long_body_of_unknown_length_is_whole(kernel: str, count: int, coded: bool) -> None:
    pieces = [b"%04d" % number * 1000 for number in range(count)]
    reader = Reader()
    reader.begin(b"GET", True)
    coding = b"Transfer-Encoding: chunked\r\n" if coded else b""
    assert not reader.data_received(memoryview(b"HTTP/1.1 200 OK\r\n" + coding + b"\r\n"))
    for piece in pieces:
        framed = b"%x\r\n%b\r\n" % (len(piece), piece) if coded else piece
        assert not reader.data_received(memoryview(framed))
    assert reader.data_received(memoryview(b"0\r\n\r\n")) if coded else reader.eof_received(True)
    assert reader.take_whole() == b"".join(pieces)
    reader.begin(b"GET", True)
    assert reader.data_received(memoryview(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"))
    assert reader.take_whole() == b"x"
