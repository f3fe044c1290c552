"""One HTTP/1.1 connection over a stream that plays a script."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from scripted import ScriptedStream

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._conn.http1 import Http1Connection
from httpx_fast._deadline import Deadline, Total, timed_out
from httpx_fast._drive import drive
from httpx_fast._exceptions import (
    LocalProtocolError,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    WriteError,
    WriteTimeout,
)
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast._net.gathering import LEAST
from httpx_fast._net.sync import SyncBackend
from httpx_fast._origin import Origin, Route
from httpx_fast._wire.heads import WireHead

ROUTE = Route(Origin("http", "example.org", 80))
TIMEOUTS = RequestTimeouts(connect=1.0, read=5.0, write=7.0, pool=2.0)
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
GET = b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n"


class Backend(SyncBackend):
    """One with a clock of the test's own."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock  # type: ignore[method-assign]


class Owner:
    """Notes which connections it is told that it has lost."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.backend = Backend(clock)
        self.was_lost: list[Any] = []

    def lost(self, connection: Any) -> None:
        self.was_lost.append(connection)

    def limit_changed(self, connection: Any, limit: int | None) -> None:
        raise AssertionError("a connection of HTTP/1.1 has no limit that changes")

    def draining(self, connection: Any) -> None:
        raise AssertionError("a connection of HTTP/1.1 is lost at once")


class Scene:
    """A connection, its stream, and the journey of its current request."""

    def __init__(self, stream: Any, clock: Callable[[], float]) -> None:
        self.stream = stream
        self.clock = clock
        self.owner = Owner(clock)
        self.connection = Http1Connection(stream, ROUTE, ConnectionFacts(), self.owner)
        self.journey = Journey(0.0, clock)

    def exchange(
        self,
        *fields: tuple[bytes, bytes],
        method: bytes = b"GET",
        body: Any = b"",
        whole: bool = True,
        timeouts: RequestTimeouts = TIMEOUTS,
    ) -> bytes | None:
        """Runs one exchange; the body if it is whole."""
        head = WireHead(method, b"http", b"example.org", b"/", [(b"Host", b"example.org"), *fields])
        self.journey = Journey(0.0, self.clock)
        drive(self.connection.exchange(head, body, head.framing or 0, timeouts, self.journey, whole))
        return self.connection.take_whole() if whole else None


@pytest.fixture
def scene(scripted: Any, clock: Callable[[], float]) -> Callable[..., Scene]:
    return lambda *script: Scene(scripted(list(script)), clock)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for each in data:
        yield each


def test_get_sends_its_head_in_one_write(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    assert at.exchange() == b"ok"
    assert at.stream.sent == [GET]
    assert at.connection.rest(at.clock())
    assert not at.stream.closed


def test_head_and_bytes_go_out_together(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    at.exchange((b"Content-Length", b"3"), method=b"POST", body=b"abc")
    assert at.stream.sent == [b"POST / HTTP/1.1\r\nHost: example.org\r\nContent-Length: 3\r\n\r\nabc"]


@pytest.mark.parametrize(("body", "coded"), [(b"abc", b"3\r\nabc\r\n0\r\n\r\n"), (b"", b"0\r\n\r\n")])
def test_bytes_are_chunked_where_the_fields_say_so(scene: Callable[..., Scene], body: bytes, coded: bytes) -> None:
    at = scene(OK)
    at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=body)
    assert at.stream.sent[0].partition(b"\r\n\r\n")[2] == coded


def test_large_bytes_go_out_in_pieces(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    body = bytes(2_500_000)
    at.exchange((b"Content-Length", b"2500000"), method=b"POST", body=body)
    assert b"".join(at.stream.sent).endswith(b"\r\n\r\n" + body)
    assert max(map(len, at.stream.sent)) == 1024 * 1024


def test_pieces_are_chunked(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=pieces(b"a", b"", b"bc"))
    assert b"".join(at.stream.sent).partition(b"\r\n\r\n")[2] == b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"


def test_no_pieces_are_an_empty_body(scene: Callable[..., Scene]) -> None:
    at = scene(OK, OK)
    at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=pieces())
    assert at.stream.sent[0].partition(b"\r\n\r\n")[2] == b"0\r\n\r\n"
    at.connection.rest(at.clock())
    at.exchange((b"Content-Length", b"0"), method=b"POST", body=pieces())
    assert at.stream.sent[1].partition(b"\r\n\r\n")[2] == b""


@pytest.mark.parametrize(
    ("sent", "error"),
    [
        ([b"abc", b"d"], "the body is longer than its Content-Length of 3 bytes"),
        ([b"ab"], "the body ended after 2 bytes, its Content-Length is 3"),
    ],
)
def test_pieces_must_be_as_long_as_announced(scene: Callable[..., Scene], sent: list[bytes], error: str) -> None:
    at = scene(OK)
    with pytest.raises(LocalProtocolError, match=error):
        at.exchange((b"Content-Length", b"3"), method=b"POST", body=pieces(*sent))
    assert at.stream.closed
    assert not at.connection.rest(at.clock())


def test_an_exception_of_the_body_closes_the_connection(scene: Callable[..., Scene]) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise ValueError("no more")

    at = scene(OK)
    with pytest.raises(ValueError, match="no more"):
        at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=broken())
    assert at.stream.closed


def test_answer_of_a_peer_that_refused_the_body_is_given(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
    at.stream.refuses_after = 1
    body = at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=pieces(b"a", b"b", b"c"))
    assert at.connection.head is not None
    assert (at.connection.head.status, body) == (413, b"no")
    assert not at.connection.rest(at.clock())
    assert at.stream.closed


@pytest.mark.parametrize("end", [None, ReadError("reset")])
def test_refused_body_without_an_answer_is_a_write_error(scene: Callable[..., Scene], end: Any) -> None:
    at = scene(end)
    at.stream.refuses_after = 1
    with pytest.raises(WriteError, match="the peer took no more"):
        at.exchange((b"Transfer-Encoding", b"chunked"), method=b"POST", body=pieces(b"a", b"b"))
    assert at.stream.closed


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), ReadError("reset")])
def test_whatever_ends_the_wait_closes_the_connection(scene: Callable[..., Scene], failure: BaseException) -> None:
    at = scene(b"HTTP/1.1 200", failure)
    with pytest.raises(type(failure)):
        at.exchange()
    assert at.stream.closed
    assert not at.connection.rest(at.clock())


def test_malformed_response_closes_the_connection(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 abc\r\n\r\n")
    with pytest.raises(RemoteProtocolError, match=re.escape("HTTP/1.1 abc")):
        at.exchange()
    assert at.stream.closed


def test_streamed_body_comes_as_it_arrives(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"abc", b"def")
    at.exchange(whole=False)
    assert not at.connection.complete
    assert [drive(at.connection.next_chunk()) for _ in range(3)] == [b"abc", b"def", b""]
    assert at.connection.complete
    assert at.connection.rest(at.clock())


def test_unread_rest_of_a_body_closes_the_connection(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n", b"abc")
    at.exchange(whole=False)
    drive(at.connection.next_chunk())
    assert not at.connection.rest(at.clock())
    assert at.stream.closed


def test_failure_while_streaming_closes_the_connection(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc", None)
    at.exchange(whole=False)
    assert drive(at.connection.next_chunk()) == b"abc"
    with pytest.raises(RemoteProtocolError, match="received 3 bytes, expected 6"):
        drive(at.connection.next_chunk())
    assert at.stream.closed


def test_a_body_that_breaks_together_with_its_head_is_the_readers_to_meet(scene: Callable[..., Scene]) -> None:
    """It depends on the network alone whether the two come at once."""
    at = scene(b"HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n")
    at.exchange(whole=False)
    assert at.connection.head is not None
    assert at.connection.head.status == 404
    for _ in range(2):
        with pytest.raises(RemoteProtocolError, match="no size"):
            drive(at.connection.next_chunk())
    assert at.stream.closed
    assert not at.connection.rest(at.clock())


def test_a_head_that_does_not_say_where_its_body_ends_is_no_answer(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok")
    with pytest.raises(RemoteProtocolError, match="Content-Length"):
        at.exchange(whole=False)
    assert at.stream.closed


def test_second_request_on_the_connection_is_reuse(scene: Callable[..., Scene]) -> None:
    at = scene(OK, OK)
    at.exchange()
    assert (at.journey.nth, at.journey.reused, at.journey.idle) == (1, False, None)
    at.connection.rest(at.clock())
    at.exchange()
    assert (at.journey.nth, at.journey.reused) == (2, True)
    assert at.journey.idle is not None
    assert at.journey.idle > 0


def test_journey_marks_are_in_order(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    at.exchange()
    journey = at.journey
    assert journey.sending is not None
    assert journey.sent is not None
    assert journey.first is not None
    assert journey.done is not None
    assert journey.sending < journey.sent < journey.first <= journey.done
    assert journey.phase == "done"
    assert list(journey.phases()) == ["send", "wait", "receive"]


def test_journey_of_a_response_given_up_stops(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc")
    at.exchange(whole=False)
    at.connection.rest(at.clock())
    assert at.journey.done is None
    assert at.journey.phase == "receive"
    assert at.journey.total == at.journey.total


def test_deadlines_are_absolute(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    at.exchange()
    assert at.stream.armed == [("read", at.journey.sent + TIMEOUTS.read, TIMEOUTS.read)]


def test_the_deadline_of_all_bounds_the_stream_until_rest(scene: Callable[..., Scene]) -> None:
    at = scene(OK, OK)
    deadline = Deadline(60.0).on(at.clock)
    at.exchange(timeouts=TIMEOUTS._replace(deadline=deadline))
    assert at.stream.bounds == [("connect", deadline.at, 60.0)]
    assert at.connection.rest(at.clock())
    assert at.stream.bounds[1:] == [("connect", None, None)]
    at.exchange()
    assert at.connection.rest(at.clock())
    assert len(at.stream.bounds) == 2


def test_nothing_is_sent_once_the_deadline_of_all_has_come(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    deadline = Deadline(0.0).on(at.clock)
    with pytest.raises(WriteTimeout, match=r"^total timed out .* while sending: http://example\.org: .* not sent yet$"):
        at.exchange(timeouts=TIMEOUTS._replace(deadline=deadline))
    assert at.stream.sent == []
    assert at.stream.closed


def test_an_answer_that_lies_there_when_a_first_request_cannot_be_sent_is_read(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy")
    at.stream.refuses_after = 0
    assert at.exchange() == b"busy"
    assert not at.connection.rest(at.clock())


def test_what_lies_on_an_idle_connection_is_no_answer_to_a_request_that_cannot_be_sent(
    scene: Callable[..., Scene],
) -> None:
    at = scene(OK, b"HTTP/1.1 408 Late\r\nContent-Length: 4\r\n\r\nlate")
    at.exchange()
    assert at.connection.rest(at.clock())
    at.stream.refuses_after = 1
    with pytest.raises(WriteError, match="the peer took no more"):
        at.exchange()
    assert not at.connection.touched


@pytest.mark.parametrize("body", [b"", b"content"])
def test_alert_is_told_in_place_of_the_write_that_failed_and_the_end_is_not(
    scene: Callable[..., Scene], body: bytes
) -> None:
    fields = [(b"Content-Length", b"%d" % len(body))] if body else []
    alert = ReadError("TLS failed: certificate required")
    alert.from_tls = True
    for script, kind, seen in (
        ([alert], ReadError, "certificate required"),
        ([None], WriteError, "the peer took no more"),
        ([ReadError("reset")], WriteError, "the peer took no more"),
        ([b"SSH-2.0-x\r\n", None], RemoteProtocolError, "SSH-2"),
    ):
        at = scene(*script)
        at.stream.refuses_after = 0
        with pytest.raises(kind, match=seen):
            at.exchange(*fields, body=body)
        assert at.stream.closed


@pytest.mark.parametrize(
    ("script", "what"),
    [([], "the response had not begun"), ([b"HTTP/1.1 20"], "the head of the response had not ended")],
)
@pytest.mark.parametrize("first_byte", [None, 60.0])
def test_a_deadline_of_all_that_comes_before_the_response_says_so(
    scene: Callable[..., Scene], script: list[bytes], what: str, first_byte: float | None
) -> None:
    late = timed_out("read", 5.0, Total(5.0), "127.0.0.1:80 had more to send")
    at = scene(*script, late)
    with pytest.raises(
        ReadTimeout, match=rf"^total timed out after 5 s of 5 s, while reading: http://example\.org: {what}$"
    ) as caught:
        at.exchange(timeouts=TIMEOUTS._replace(deadline=Deadline(20.0).on(at.clock), first_byte=first_byte))
    assert (caught.value.phase, caught.value.limit, caught.value.budget) == ("read", "total", 5.0)
    assert at.stream.closed


def test_a_body_that_is_there_may_be_read_after_the_deadline_of_all(scene: Callable[..., Scene]) -> None:
    at = scene(OK)
    at.exchange(whole=False, timeouts=TIMEOUTS._replace(deadline=Deadline(20.0).on(at.clock)))
    at.clock.now += 100
    assert drive(at.connection.next_chunk()) == b"ok"


def test_a_body_that_has_not_ended_is_given_up_when_the_deadline_of_all_has_come(scene: Callable[..., Scene]) -> None:
    at = scene(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nten octets")
    at.exchange(whole=False, timeouts=TIMEOUTS._replace(deadline=Deadline(20.0).on(at.clock)))
    at.clock.now += 100
    with pytest.raises(ReadTimeout, match=r"^total timed out .* while reading: .* the response had not ended$"):
        drive(at.connection.next_chunk())
    assert at.stream.closed


def test_the_head_has_its_own_deadline_and_the_body_the_one_of_reading(scene: Callable[..., Scene]) -> None:
    at = scene(OK[:-2], b"ok")
    at.exchange(whole=False, timeouts=TIMEOUTS._replace(first_byte=60.0))
    assert at.stream.armed == [("first_byte", at.journey.sent + 60.0, 60.0)]
    assert drive(at.connection.next_chunk()) == b"ok"
    phase, _, budget = at.stream.armed[-1]
    assert (phase, budget) == ("read", TIMEOUTS.read)


@pytest.mark.parametrize("idle", [None, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_idle_connection_that_the_peer_ended_is_noticed(scene: Callable[..., Scene], idle: bytes | None) -> None:
    at = scene(OK)
    at.exchange()
    at.connection.rest(at.clock())
    assert at.connection.alive()
    at.stream.idle.append(idle)
    assert not at.connection.alive()
    assert at.owner.was_lost == [at.connection]


def test_a_body_that_nobody_took_is_no_part_of_the_next(scene: Callable[..., Scene]) -> None:
    head, end = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\n\r\n"
    at = scene(*(part for letter in b"ab" for part in (head, *[b"1\r\n%c\r\n" % letter] * 40, end)))
    request = WireHead(b"GET", b"http", b"example.org", b"/", [(b"Host", b"example.org")])
    drive(at.connection.exchange(request, b"", 0, TIMEOUTS, Journey(0.0, at.clock), True))
    assert at.connection.rest(at.clock())
    assert at.exchange() == b"b" * 40


MIB = 1024 * 1024


class GatheringStream(ScriptedStream):
    """Notes what it is asked to gather, and lets the time pass that an arrival takes."""

    def __init__(self, script: list[bytes | BaseException | None]) -> None:
        super().__init__(script)
        self.now = 0.0
        self.seconds = 0.0  # that a piece takes
        self.gathered: list[int] = []

    def gather(self, size: int) -> None:
        self.gathered.append(size)

    async def receive(self) -> None:
        self.now += self.seconds
        await super().receive()


def streamed(
    size: int, seconds: float, timeouts: RequestTimeouts = TIMEOUTS
) -> tuple[GatheringStream, Http1Connection]:
    """Reads a body of `size` bytes that comes in pieces of 64 KiB, each in so many seconds; returns what did."""
    piece = bytes(65536)
    stream = GatheringStream([b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size, *[piece] * (size // len(piece))])
    at = Scene(stream, lambda: stream.now)
    at.exchange(whole=False, timeouts=timeouts)
    stream.seconds = seconds
    received = 0
    while data := drive(at.connection.next_chunk()):
        received += len(data)
    assert received == size
    return stream, at.connection


def test_a_long_body_that_comes_quickly_is_gathered_but_for_its_end() -> None:
    stream, connection = streamed(8 * MIB, 0.0005)
    # The first MiB shows how quickly it comes, and of the last 512 KiB every arrival is wanted at once.
    assert 80 < len(stream.gathered) <= (8 * MIB - MIB - LEAST) // 65536
    assert stream.gathered[:-1] == [LEAST] * (len(stream.gathered) - 1)
    assert stream.gathered[-1] == 0
    assert connection.rest(stream.now)


@pytest.mark.parametrize(
    ("size", "seconds", "read"),
    [(8 * MIB, 0.001, 5.0), (8 * MIB, 0.0005, 0.5), (MIB, 0.0, 5.0)],
    ids=["slow", "a short timeout", "not long"],
)
def test_other_bodies_are_not_gathered(size: int, seconds: float, read: float) -> None:
    stream, _ = streamed(size, seconds, TIMEOUTS._replace(read=read))
    assert not any(stream.gathered)


def test_a_body_that_turns_slow_is_no_longer_gathered() -> None:
    piece = bytes(65536)
    stream = GatheringStream([b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n", *[piece] * 128])
    at = Scene(stream, lambda: stream.now)
    at.exchange(whole=False)
    for _ in range(40):
        assert drive(at.connection.next_chunk())
    assert stream.gathered[-1] == LEAST
    stream.seconds = 0.01
    for _ in range(40):
        assert drive(at.connection.next_chunk())
    assert stream.gathered[-1] == 0


def test_the_connection_does_not_gather_for_the_next_response() -> None:
    pieces_of_body = [bytes(65536)] * 40
    stream = GatheringStream([b"HTTP/1.1 200 OK\r\nContent-Length: 2621440\r\n\r\n", *pieces_of_body, OK])
    at = Scene(stream, lambda: stream.now)
    at.exchange(whole=False)
    for _ in range(24):
        assert drive(at.connection.next_chunk())
    assert stream.gathered[-1] == LEAST
    for _ in range(16):
        stream.push(stream.script.pop(0))  # all of the rest, while nobody waits
    assert stream.gathered[-1] == 0
    received = 0
    while piece := drive(at.connection.next_chunk()):
        received += len(piece)
    assert received == 16 * 65536
    assert at.connection.rest(stream.now)
    assert at.exchange() == b"ok"
    assert stream.gathered[-1] == 0
