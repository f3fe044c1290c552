"""HTTP/2: windows, control frames, faults and floods of one connection."""

from __future__ import annotations

from typing import Any

import pytest
from far_end import SETTINGS_ACK, data, frame, goaway, ping, reset, settings, window_update

from httpx_fast._exceptions import LocalProtocolError, RemoteProtocolError
from httpx_fast._kernel.h2_constants import MAX_STREAM_ID, MAX_WINDOW_SIZE
from httpx_fast._wire import h2, h2_limits
from httpx_fast._wire.windows import CONNECTION_WINDOW, MAX_STREAM_WINDOW, STREAM_WINDOW

FRAME = h2.FRAME_SIZE
HALF = CONNECTION_WINDOW // 2


# What we send.


def test_a_body_goes_out_as_windows_and_frames_allow(talk: Any):
    stream = talk.open(b"POST", end=False)
    body = bytes(100_000)
    assert talk.session.send(stream, body, True) == h2.BATCH
    assert talk.heard() == ["HEADERS 1", *["DATA 1 16384"] * 3]
    assert talk.session.send(stream, body[h2.BATCH :], True) == 65535 - h2.BATCH
    assert talk.heard() == ["DATA 1 16383"]
    assert talk.session.send(stream, body[65535:], True) == 0
    assert (stream.blocked, stream.woken) == (True, 0)
    talk.say(window_update(1, 5))
    assert talk.session.send(stream, body[65535:], True) == 0  # the connection has none yet
    talk.say(window_update(0, 7))
    assert (stream.blocked, stream.woken) == (False, 2)
    assert talk.session.send(stream, body[65535:], True) == 5
    talk.say(window_update(1, 100_000), window_update(0, 100_000))
    assert talk.session.send(stream, body[65540:], True) == 34460
    assert talk.heard() == ["DATA 1 5", "DATA 1 16384", "DATA 1 16384", "DATA 1 1692 end"]
    assert not stream.sending
    talk.respond(stream)
    assert talk.session.streams == {}


def test_an_empty_end_needs_no_window(talk: Any):
    stream = talk.open(b"POST", end=False)
    while talk.session.send(stream, bytes(70_000), False):
        pass
    talk.heard()
    assert talk.session.send(stream, b"", True) == 0
    assert talk.heard() == ["DATA 1 0 end"]
    assert not stream.sending


def test_frames_are_as_large_as_the_peer_takes_them(talk: Any):
    talk.say(settings((5, 40_000), (4, 1_000_000)), window_update(0, 1_000_000))
    stream = talk.open(b"POST", end=False, head=talk.head(b"POST", (b"a", b"\x7f" * 0 + bytes(range(33, 127)) * 400)))
    assert talk.session.send(stream, bytes(100_000), False) == h2.BATCH
    assert talk.heard() == ["SETTINGS ack", "HEADERS 1", "DATA 1 40000", f"DATA 1 {h2.BATCH - 40_000}"]


def test_settings_move_the_windows_of_streams_below_zero_and_back(talk: Any):
    stream = talk.open(b"POST", end=False)
    assert talk.session.send(stream, bytes(1000), False) == 1000
    talk.say(settings((4, 600)))
    assert stream.window_out == -400
    assert talk.session.send(stream, b"x", False) == 0
    talk.say(window_update(1, 400))
    assert talk.session.send(stream, b"x", False) == 0
    talk.say(settings((4, 700)))
    assert (stream.window_out, stream.woken) == (100, 2)
    assert talk.session.send(stream, bytes(1000), False) == 100
    assert talk.open(b"POST", end=False).window_out == 700


def test_of_several_first_windows_the_last_one_counts(talk: Any):
    stream = talk.open(b"POST", end=False)
    talk.say(settings((4, MAX_WINDOW_SIZE), (4, 0), (4, 100)))
    assert stream.window_out == 100


def test_who_waits_for_the_window_of_the_connection_gets_turns_in_order(talk: Any):
    talk.say(settings((4, 1_000_000)))
    streams = [talk.open(b"POST", end=False) for _ in range(3)]
    while talk.session.send(streams[0], bytes(100_000), False):
        pass
    for stream in streams[1:]:
        assert talk.session.send(stream, b"x", False) == 0
    order: list[int] = []
    for stream in streams:
        stream.__class__ = type(
            "Noting", (type(stream),), {"__slots__": (), "wake": lambda self: order.append(self.id)}
        )
    talk.say(window_update(0, 10))
    assert order == [1, 3, 5]


def test_a_reset_takes_back_a_stream_and_its_window_is_not_missed(talk: Any):
    stream = talk.open(b"POST", end=False)
    talk.session.send(stream, bytes(1000), False)
    talk.session.reset(stream)
    assert talk.heard() == ["HEADERS 1", "DATA 1 1000", "RST_STREAM 1 8"]
    talk.session.reset(stream)
    assert talk.heard() == []
    assert talk.session.window_out == 64535
    talk.say(window_update(1, 5), reset(1, 5), data(1, b"late"), talk.far.head(1))
    assert talk.session.broken is None


def test_the_peer_may_refuse_the_rest_of_a_body(talk: Any):
    stream = talk.open(b"POST", end=False)
    talk.respond(stream, b"no")
    assert (stream.ended, stream.sending) == (True, True)
    talk.say(reset(1, 0))
    assert (stream.ended, stream.sending, stream.error) == (True, False, None)
    assert talk.session.streams == {}


def test_a_head_above_what_the_peer_takes_is_not_sent(talk: Any):
    talk.say(settings((6, 300)))
    with pytest.raises(LocalProtocolError, match=r"the field section has 3\d\d bytes, the peer takes 300"):
        talk.open(head=talk.head(b"GET", (b"a", b"b" * 120)))
    talk.open(head=talk.head(b"GET", (b"a", b"b" * 20)))
    assert talk.heard() == ["SETTINGS ack", "HEADERS 1 end"]


def test_the_size_of_the_table_is_the_peers(talk: Any):
    talk.say(settings((1, 0)))
    for _ in range(2):
        talk.open(head=talk.head(b"GET", (b"a", b"b")))
        assert talk.heard()[-1].startswith("HEADERS")
    assert talk.session._encoder.table_size == 0


# What we receive.


def test_credit_of_the_connection_is_given_when_bytes_arrive(talk: Any):
    """By half a window at a time, though nobody claims any of it."""
    streams = [talk.open(whole=False) for _ in range(HALF // STREAM_WINDOW + 1)]
    talk.heard()
    for stream in streams[:-1]:
        talk.say(talk.far.head(stream.id), *(data(stream.id, bytes(FRAME)) for _ in range(4)))
    assert talk.heard() == []
    assert talk.session.room == HALF
    talk.say(talk.far.head(streams[-1].id), data(streams[-1].id, b"x"))
    assert talk.heard() == [f"WINDOW_UPDATE 0 {HALF + 1}"]
    assert talk.session.room == CONNECTION_WINDOW


def test_credit_of_a_stream_is_given_when_bytes_are_claimed(talk: Any):
    stream = talk.open(whole=False)
    talk.say(talk.far.head(1), *(data(1, bytes(FRAME)) for _ in range(4)))
    talk.heard()
    assert stream.left == 0
    talk.session.claim(stream)
    assert talk.heard() == []
    talk.session.claim(stream)
    assert talk.heard() == [f"WINDOW_UPDATE 1 {STREAM_WINDOW // 2}"]
    assert stream.granted == STREAM_WINDOW
    assert stream.left + stream.owed + stream.pending == stream.granted


def test_the_window_of_a_stream_grows_while_its_reader_keeps_up(talk: Any):
    stream = talk.open()
    talk.say(talk.far.head(1))
    talk.heard()
    sizes = []
    while sum(sizes) < 40 * MAX_STREAM_WINDOW:
        talk.say(*(data(1, bytes(FRAME)) for _ in range(2)))
        sizes += [int(line.split()[2]) for line in talk.heard() if line.startswith("WINDOW_UPDATE 1")]
        assert stream.left + stream.owed == stream.granted
    assert stream.granted == MAX_STREAM_WINDOW
    assert sizes[:2] == [STREAM_WINDOW + STREAM_WINDOW // 2, 2 * STREAM_WINDOW + STREAM_WINDOW]
    assert sizes[-1] == MAX_STREAM_WINDOW // 2


def test_no_credit_is_given_that_a_known_length_has_no_use_for(talk: Any):
    stream = talk.open()
    talk.say(talk.far.head(1, [(":status", "200"), ("content-length", str(STREAM_WINDOW))]))
    talk.heard()
    talk.say(*(data(1, bytes(FRAME)) for _ in range(4)))
    assert talk.heard() == []
    talk.say(data(1, b"", end=True))
    assert len(stream.take_whole()) == STREAM_WINDOW


def test_padding_and_dropped_bytes_are_credited(talk: Any):
    stream = talk.open(whole=False)
    gone = talk.open(whole=False)
    talk.session.reset(gone)
    talk.say(talk.far.head(1), talk.far.head(3), *(data(1, b"", padding=255) for _ in range(8)), data(3, bytes(1000)))
    assert stream.owed == 8 * 256
    assert stream.left + stream.owed + stream.pending == stream.granted
    assert CONNECTION_WINDOW - talk.session.room == 8 * 256 + 1000


@pytest.mark.parametrize("over", [0, 1])
def test_a_stream_has_to_keep_within_its_window(talk: Any, over: int):
    stream = talk.open(whole=False)
    talk.say(talk.far.head(1), *(data(1, bytes(FRAME)) for _ in range(4)))
    talk.heard()
    if not over:
        assert (stream.left, stream.error) == (0, None)
        return
    talk.say(data(1, b"x"))
    assert "DATA of 1 bytes is 1 more than the window of stream 1" in str(stream.error)
    assert talk.heard() == ["RST_STREAM 1 3"]
    assert len(stream.take_whole()) == STREAM_WINDOW
    assert talk.session.broken is None


def test_the_connection_has_to_keep_within_its_window(talk: Any):
    stream = talk.open(whole=False)
    talk.session.room = 3
    talk.say(talk.far.head(1), data(1, b"xxxx"))
    assert "DATA of 4 bytes is 1 more than the connection's window" in str(stream.error)
    assert talk.heard()[-1] == "GOAWAY 0 3"


# Control frames.


def test_ping_is_answered(talk: Any):
    talk.say(ping(b"12345678"))
    assert talk.heard() == ["PING ack 3132333435363738"]


def test_ping_of_ours_measures_the_round_trip(talk: Any):
    talk.session.ping(b"abcdefgh", talk.clock)
    assert talk.heard() == ["PING 6162636465666768"]
    talk.say(ping(b"otherone", ack=True))
    assert (talk.session.pinged, talk.session.rtt) == (b"abcdefgh", None)
    talk.say(ping(b"abcdefgh", ack=True))
    assert (talk.session.pinged, talk.session.rtt) == (b"", 2.0)


def test_settings_are_acknowledged_and_acknowledgements_are_not(talk: Any):
    talk.say(SETTINGS_ACK, settings(), settings((0xF000, 7)))
    assert talk.heard() == ["SETTINGS ack", "SETTINGS ack"]


def test_streams_at_once_are_limited_by_the_peer(kernel: str):
    session = h2.Session()
    assert session.limit == h2.INITIAL_LIMIT
    session.feed(settings(), 1.0)
    assert session.limit is None
    session.feed(settings((3, 0)), 2.0)
    assert session.limit == 0
    session.feed(settings((3, 7)), 2.0)
    session.feed(settings((4, 7)), 2.0)
    assert session.limit == 7


def test_no_stream_is_begun_beyond_the_limit(talk: Any):
    talk.say(settings((3, 1)))
    stream = talk.open()
    with pytest.raises(RemoteProtocolError, match="the peer takes 1 streams at once, 1 are open") as caught:
        talk.open()
    assert caught.value.unprocessed
    talk.respond(stream)
    talk.open()
    talk.say(settings((3, 0)))
    with pytest.raises(RemoteProtocolError, match="the peer takes 0 streams at once, 1 are open"):
        talk.open()
    assert talk.heard() == ["SETTINGS ack", "HEADERS 1 end", "HEADERS 3 end", "SETTINGS ack"]


def test_a_refused_stream_was_not_processed(talk: Any):
    refused, failed = talk.open(), talk.open()
    talk.say(reset(1, 7), reset(3, 2))
    assert str(refused.error) == "peer reset stream 1: REFUSED_STREAM"
    assert (refused.error.unprocessed, refused.touched) == (True, False)
    assert str(failed.error) == "peer reset stream 3: INTERNAL_ERROR"
    assert (failed.error.unprocessed, failed.touched) == (False, True)


def test_unknown_codes_are_shown_as_numbers(talk: Any):
    stream = talk.open()
    talk.say(reset(1, 0xABC))
    assert str(stream.error) == "peer reset stream 1: error 0xabc"


def test_goaway_lets_streams_end_that_the_peer_has_seen(talk: Any):
    first, second = talk.open(), talk.open()
    talk.say(goaway(MAX_STREAM_ID))
    assert (second.error, talk.session.draining, talk.session.limit) == (None, True, 0)
    assert talk.session.progressed
    talk.say(goaway(1, 0, b"enough"))
    error = second.error
    assert str(error) == "peer does not process stream 3, its last one is 1: GOAWAY: NO_ERROR b'enough'"
    assert error.unprocessed
    with pytest.raises(RemoteProtocolError, match="the connection takes no more streams: GOAWAY: NO_ERROR") as caught:
        talk.open()
    assert caught.value.unprocessed
    talk.respond(first, b"ok")
    assert first.take_whole() == b"ok"
    assert talk.session.progressed


@pytest.mark.parametrize(("code", "name"), [(11, "ENHANCE_YOUR_CALM"), (0xFFFFFC7A, "error 0xfffffc7a")])
def test_goaway_with_an_error_code_fails_all_streams_at_once(talk: Any, code: int, name: str):
    talk.respond(talk.open(), b"ok")
    seen, unseen = talk.open(), talk.open()
    talk.say(goaway(3, code, b"x" * 65), ping(b"no more."))
    shown = f"GOAWAY: {name} {b'x' * 64!r}..."
    assert str(seen.error) == f"peer ended the connection, its last stream is 3: {shown}"
    assert str(unseen.error) == f"peer does not process stream 5, its last one is 3: {shown}"
    assert (seen.error.unprocessed, unseen.error.unprocessed) == (False, True)
    assert talk.heard()[-1] == "HEADERS 5 end"
    with pytest.raises(RemoteProtocolError, match="the connection takes no more streams: GOAWAY") as caught:
        talk.open()
    assert caught.value.unprocessed


def test_a_connection_makes_progress_when_a_stream_is_answered(talk: Any):
    assert not talk.session.progressed
    refused, cancelled, answered = talk.open(), talk.open(), talk.open()
    talk.say(reset(refused.id, 7))
    talk.session.reset(cancelled)
    assert not talk.session.progressed
    talk.respond(answered)
    assert talk.session.progressed


@pytest.mark.parametrize("last", [0, 1, MAX_STREAM_ID])
def test_goaway_makes_progress_only_with_a_stream_that_is_processed(talk: Any, last: int):
    talk.say(goaway(last))
    assert not talk.session.progressed
    talk.session.draining = False
    streams = [talk.open(), talk.open()]
    talk.say(goaway(last))
    assert talk.session.progressed == (last > 0)
    talk.say(goaway(0))
    assert not talk.session.progressed
    assert all(stream.error.unprocessed for stream in streams)


def test_a_peer_that_refuses_streams_is_given_no_more_than_it_takes(talk: Any):
    talk.say(settings((3, 100)))
    streams = [talk.open() for _ in range(5)]
    assert not talk.session.careful
    talk.say(*(reset(stream.id, 7) for stream in streams[2:]))
    assert (talk.session.limit, talk.session.careful) == (2, True)
    with pytest.raises(RemoteProtocolError, match="the peer takes 2 streams at once, 2 are open"):
        talk.open()
    for stream in streams[:2]:
        talk.session.try_more()
        assert talk.session.limit == 2
        talk.respond(stream)
    talk.session.try_more()
    assert talk.session.limit == 3
    talk.say(settings((3, 4)))
    assert (talk.session.limit, talk.session.careful) == (4, False)


def test_what_the_peer_says_is_tried_again_in_the_end(talk: Any):
    talk.say(settings((3, 3)))
    first, second = talk.open(), talk.open()
    talk.say(reset(second.id, 7))
    talk.respond(first)
    limits = []
    while talk.session.careful:
        talk.session.try_more()
        limits.append(talk.session.limit)
        talk.respond(talk.open())
    assert limits == [2, 2, 3, 3, 3, 3]
    assert talk.session.limit == 3


def test_resets_of_streams_that_were_begun_are_no_flood(talk: Any):
    """Servers that answer before they have read a request reset its stream then, thousands of times per second."""
    for _ in range(3 * h2_limits.MAX_CONTROL_FRAMES):
        stream = talk.open()
        talk.respond(stream)
        talk.say(reset(stream.id, 0))
    assert talk.session.broken is None
    talk.session.begin_stretch()
    talk.say(*[ping(bytes(8))] * h2_limits.MAX_CONTROL_FRAMES)
    assert talk.session.broken is None
    talk.say(ping(bytes(8)))
    assert "more than 2000 control frames" in str(talk.session.broken)


def test_after_the_last_number_no_stream_begins(talk: Any):
    talk.session.next_id = MAX_STREAM_ID - 2
    talk.open()
    assert not talk.session.draining
    stream = talk.open()
    assert (stream.id, talk.session.draining) == (MAX_STREAM_ID, True)
    with pytest.raises(RemoteProtocolError, match="the connection takes no more streams: numbers are used up"):
        talk.open()
    talk.respond(stream, b"ok")
    assert stream.take_whole() == b"ok"


@pytest.mark.parametrize(
    ("clean", "farewell", "error"),
    [
        (True, b"", "peer closed the connection before the response was complete"),
        (False, b"", "peer ended TLS without close_notify before the response was complete"),
        (True, goaway(1, 0, b"oops"), "peer closed the connection after GOAWAY: NO_ERROR b'oops' before the"),
    ],
)
def test_the_end_of_the_connection_fails_its_streams(talk: Any, clean: bool, farewell: bytes, error: str):
    streams = [talk.open()]
    talk.say(farewell)
    talk.session.end_of_file(clean)
    assert error in str(streams[0].error)
    assert not streams[0].error.unprocessed
    assert talk.session.broken is not None
    talk.say(ping(b"12345678"))
    assert talk.heard() == ["HEADERS 1 end"]


def test_each_stream_fails_with_an_exception_of_its_own(talk: Any):
    streams = [talk.open() for _ in range(3)]
    talk.say(frame(5, 4, 1, bytes(8)))
    errors = [stream.error for stream in streams]
    assert len({id(error) for error in errors}) == 3
    assert {type(error) for error in errors} == {RemoteProtocolError}


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        ([frame(5, 4, 1, bytes(8))], 1, "PUSH_PROMISE came, though push is switched off"),
        ([data(5, b"x")], 1, "a frame names stream 5, which was never begun"),
        ([data(2, b"x")], 1, "a frame names stream 2, which was never begun"),
        ([frame(1, 5, 9, b"\x88")], 1, "a frame names stream 9, which was never begun"),
        ([window_update(7, 1)], 1, "a frame names stream 7, which was never begun"),
        ([reset(7, 1)], 1, "a frame names stream 7, which was never begun"),
        ([frame(1, 5, 3, b"\x88"), data(3, b"x")], 5, "DATA came after the end of stream 3"),
        ([frame(1, 5, 3, b"\x88"), frame(1, 5, 3, b"\x88")], 5, "HEADERS came after the end of stream 3"),
        ([frame(1, 5, 1, b"\xff\xff\xff\x7f")], 9, "the field block cannot be decoded"),
        ([data(0, b"x")], 1, "DATA names stream 0"),
        ([frame(4, 0, 0, bytes(5))], 6, "SETTINGS has 5 bytes"),
        ([settings((4, 2**31))], 3, "setting 0x4 is 2147483648"),
        ([settings((5, 16383))], 1, "setting 0x5 is 16383"),
        ([settings((2, 1))], 1, "setting 0x2 is 1"),
        ([frame(0, 0, 1, bytes(FRAME + 1))], 6, "DATA of 262145 bytes is above the limit of 262144"),
        ([window_update(0, 0)], 1, "WINDOW_UPDATE on stream 0 adds nothing"),
        ([window_update(0, MAX_WINDOW_SIZE)], 3, "the window of the connection would have 2147549182 bytes"),
        ([window_update(3, MAX_WINDOW_SIZE - 65535), settings((4, 65536))], 3, "makes the window of stream 3"),
        ([frame(1, 1, 1, b"\x88"), ping(bytes(8))], 1, "expected CONTINUATION on stream 1"),
        ([frame(9, 4, 1, b"\x88")], 1, "CONTINUATION on stream 1 continues nothing"),
    ],
)
def test_what_breaks_the_connection_fails_it_with_goaway(talk: Any, said: list[bytes], code: int, error: str):
    streams = [talk.open(whole=False), talk.open(whole=False)]
    talk.heard()
    talk.say(*said, ping(b"no more."))
    assert error in str(talk.session.broken)
    assert talk.heard()[-1] == f"GOAWAY 0 {code}"
    assert error in str(streams[0].error)
    assert talk.session.draining
    with pytest.raises(RemoteProtocolError) as caught:
        talk.open()
    assert caught.value.unprocessed
    assert error in str(caught.value)


@pytest.mark.parametrize(
    ("said", "code", "error"),
    [
        (window_update(1, 0), 1, "WINDOW_UPDATE on stream 1 adds nothing"),
        (window_update(1, MAX_WINDOW_SIZE), 3, "the window of stream 1 would have"),
        (frame(2, 0, 1, b"abc"), 6, "PRIORITY has 3 bytes"),
    ],
)
def test_what_breaks_a_stream_resets_it(talk: Any, said: bytes, code: int, error: str):
    stream, sibling = talk.open(), talk.open()
    talk.heard()
    talk.say(said)
    assert error in str(stream.error)
    assert talk.heard() == [f"RST_STREAM 1 {code}"]
    talk.say(said)
    assert talk.heard() == []
    talk.respond(sibling, b"ok")
    assert sibling.take_whole() == b"ok"


def test_bytes_after_the_end_of_a_response_reset_what_is_left_of_the_request(talk: Any):
    stream = talk.open(b"POST", end=False)
    talk.respond(stream, b"ok")
    talk.heard()
    talk.say(data(1, b"more"))
    assert talk.heard() == ["RST_STREAM 1 5"]
    assert (stream.take_whole(), stream.sending, stream.error) == (b"ok", False, None)


def test_priority_and_unknown_frames_mean_nothing(talk: Any):
    stream = talk.open()
    raw = talk.far.block([(":status", "200")])
    talk.say(frame(2, 0, 1, bytes(5)), frame(2, 0, 99, bytes(5)), frame(0x77, 0xFF, 5, b"what"))
    talk.say(frame(1, 0x25, 1, bytes(5) + raw))
    assert stream.ended


# Floods.


@pytest.mark.parametrize(
    "said",
    [
        settings(),
        ping(bytes(8)),
        SETTINGS_ACK,
        reset(1, 0),
        frame(2, 0, 1, bytes(5)),
        frame(0x99, 0, 0),
        goaway(MAX_STREAM_ID),
        frame(1, 5, 1, b"\x88"),
    ],
    ids=["settings", "ping", "ack", "reset", "priority", "unknown", "goaway", "late heads"],
)
def test_control_frames_are_limited_per_stretch(talk: Any, said: bytes):
    talk.session.reset(talk.open())
    talk.session.begin_stretch()
    sibling = talk.open()
    for _ in range(2):
        talk.say(said * h2_limits.MAX_CONTROL_FRAMES)
        assert talk.session.broken is None
        talk.session.begin_stretch()
    talk.say(said * (h2_limits.MAX_CONTROL_FRAMES + 1))
    assert str(sibling.error) == (
        "peer sent more than 2000 control frames beyond 2 for each stream in a short time, the most that is taken"
    )
    talk.session.outgoing[:] = talk.session.outgoing[-1:]
    assert talk.heard()[-1] == "GOAWAY 0 11"


def test_empty_data_is_limited_per_stretch(talk: Any):
    stream = talk.open()
    talk.say(talk.far.head(1))
    for empty in (data(1), data(1, padding=0)):
        talk.session.begin_stretch()
        talk.say(empty * h2_limits.MAX_EMPTY_DATA)
        assert talk.session.broken is None
    talk.say(data(1))
    assert "more than 1000 empty DATA frames" in str(stream.error)


def test_window_updates_are_limited_by_what_is_sent(talk: Any):
    stream = talk.open(b"POST", end=False)
    talk.say(settings((4, 1_000_000)), window_update(1, 1) * h2_limits.MAX_WINDOW_UPDATES)
    assert talk.session.broken is None
    assert talk.session.send(stream, b"x", False) == 1
    talk.say(window_update(1, 1) * h2_limits.UPDATES_PER_DATA)
    assert talk.session.broken is None
    talk.say(window_update(0, 1))
    assert "more than 2000 WINDOW_UPDATE frames beyond 8 for each DATA" in str(stream.error)


@pytest.mark.parametrize("count", [h2_limits.MAX_SETTINGS, h2_limits.MAX_SETTINGS + 1])
def test_settings_of_one_frame_are_limited(talk: Any, count: int):
    talk.say(settings(*((0xFF00, 1),) * count))
    assert (talk.session.broken is not None) is (count > h2_limits.MAX_SETTINGS)
    if talk.session.broken:
        assert "more than 64 settings in one frame" in str(talk.session.broken)


@pytest.mark.parametrize("count", [64, 65])
def test_continuations_are_limited(talk: Any, count: int):
    stream = talk.open()
    raw = talk.far.block([(":status", "200")])
    talk.say(frame(1, 1, 1, raw), frame(9, 0, 1) * (count - 1), frame(9, 4, 1))
    assert stream.ended is (count == 64)
    if count > 64:
        assert "64 CONTINUATION frames, the most that is read" in str(stream.error)


def test_of_resets_only_the_last_ones_are_remembered(talk: Any):
    for _ in range(h2_limits.MAX_RESETS_KEPT + 10):
        talk.session.reset(talk.open())
        talk.session.outgoing.clear()
    assert len(talk.session._resets) == h2_limits.MAX_RESETS_KEPT
    talk.say(data(1, b"very late"), data(2 * h2_limits.MAX_RESETS_KEPT + 1, b"late"))
    assert talk.session.broken is None
    talk.respond(talk.open())
    talk.say(data(talk.session.next_id - 2, b"wrong"))
    assert talk.session.broken is not None


def test_a_stream_leaves_nothing_behind(talk: Any):
    head = talk.head()
    response = talk.far.block([(":status", "200")])
    for number in range(1, 20_001, 2):
        stream = talk.open(head=head)
        talk.say(frame(1, 4, number, response), data(number, b"ok", end=True))
        assert stream.take_whole() == b"ok"
        talk.session.outgoing.clear()
    session = talk.session
    assert (len(session.streams), len(session._resets), len(session._blocked)) == (0, 0, 0)
