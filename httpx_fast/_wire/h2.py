"""Speak HTTP/2 on one connection as a client (RFC 9113): bytes in, streams fed, bytes to send collected.

No socket, no clock, no lock: the owner of a session calls it from one thread at a time, passes the time with the bytes
that have arrived, and sends what `outgoing` holds soon. Rules:

1. A stream error resets that stream and never affects the others. A connection error sends GOAWAY and fails every
   stream; `broken` is the reason (s.5.4).
2. A session keeps no stream that has ended on both sides. It remembers the numbers of the last streams that we reset,
   since frames for them may still arrive (s.5.1); these are counted, credited and dropped.
3. After GOAWAY, or when stream numbers are used up, a session is `draining`: open streams continue (s.6.8). GOAWAY with
   an error code breaks the connection: peers close it then, some of them late or never.
4. A stream that the peer cannot have processed (above GOAWAY's last one, or refused) fails with `error.unprocessed`
   (s.8.7). `progressed` says whether the peer processes any, so that sending such requests again comes to an end.
5. A peer that refuses streams while others are open takes no more than these at once, whatever its settings say: more
   are tried one by one as it answers.
6. Everything that a peer may send without end is counted, per stretch of time (`begin_stretch`), against a named limit.

`windows` explains flow control, `h2_stream` messages, `h2_admission` how many streams there may be, `h2_limits` what is
counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from .._exceptions import LocalProtocolError, RemoteProtocolError, TransportError, shown
from .._head import RequestHead
from .._kernel.errors import RAISED_BY
from .._kernel.h2_constants import (
    ACK,
    CANCEL,
    DATA,
    DEFAULT_FRAME_SIZE,
    DEFAULT_WINDOW_SIZE,
    ENABLE_CONNECT_PROTOCOL,
    ENABLE_PUSH,
    END_STREAM,
    ERROR,
    FLOW_CONTROL_ERROR,
    GOAWAY,
    HEADER_TABLE_SIZE,
    HEADERS,
    HTTP_1_1_REQUIRED,
    INITIAL_WINDOW_SIZE,
    MAX_BLOCK_SIZE,
    MAX_CONCURRENT_STREAMS,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
    MAX_LIST_SIZE,
    MAX_STREAM_ID,
    MAX_WINDOW_SIZE,
    PING,
    PREFACE,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
)
from .._kernel.h2_control import (
    SETTINGS_ACK,
    goaway_frame,
    ping_frame,
    reset_frame,
    settings_frame,
    window_update_frame,
)
from .._kernel.h2_errors import Http2Error, SectionTooLarge
from .._kernel.select import FieldSection, FrameReader, HpackDecoder, HpackEncoder, data_head, deliver, headers_frames
from .events import Http1Required
from .h2_admission import StreamAdmission, error_name
from .h2_limits import UPDATES_PER_DATA, FloodGuard, ResetStreams, check_settings
from .h2_stream import ENDED, StreamReader
from .windows import CONNECTION_WINDOW, STREAM_WINDOW, give_back, grown

Buffer: TypeAlias = bytes | bytearray | memoryview

# Bytes of one frame that we take: as much as is read from a socket at once, so that it costs one object.
FRAME_SIZE: Final = 256 * 1024
# Bytes of DATA that one stream puts into `outgoing` at once: other streams send in between, and with the heads of
# the frames they fit what is written in one go.
BATCH: Final = 48 * 1024
# Bytes up to which all that has arrived is returned in one piece: what is read from a socket at once.
MAX_CLAIM: Final = 256 * 1024
# Streams that we begin before the peer has said how many it takes; s.6.5.2 advises it to take no fewer.
INITIAL_LIMIT: Final = 100


def _opening(max_head_size: int) -> bytes:
    """Return what a client sends first, with the size of the field sections that it takes."""
    settings = settings_frame(
        [
            (ENABLE_PUSH, 0),
            (INITIAL_WINDOW_SIZE, STREAM_WINDOW),
            (MAX_FRAME_SIZE, FRAME_SIZE),
            (MAX_HEADER_LIST_SIZE, max_head_size),
        ]
    )
    return PREFACE + settings + window_update_frame(0, CONNECTION_WINDOW - DEFAULT_WINDOW_SIZE)


_OPENING = _opening(MAX_LIST_SIZE)


class Session(StreamAdmission):
    """Hold the state of one connection and its open streams; a field section has at most `max_head_size` bytes."""

    __slots__ = (
        "_blocked",
        "_decode",
        "_decoder",
        "_encoder",
        "_flood",
        "_frame_size",
        "_frames",
        "_list_limit",
        "_resets",
        "_stream_window",
        "extended_connect",
        "opened_at",
        "outgoing",
        "pinged",
        "pinged_at",
        "rtt",
        "settled",
        "unsettled",
        "window_out",
    )

    def __init__(self, first_limit: int = INITIAL_LIMIT, max_head_size: int | None = None) -> None:
        super().__init__(first_limit)
        #: What is to be sent, in this order. The preface waits there for the first request.
        self.outgoing: list[Buffer] = [_OPENING if max_head_size is None else _opening(max_head_size)]
        self.window_out = DEFAULT_WINDOW_SIZE  # bytes that we may send now
        self.settled = False  # the peer has sent its settings
        self.unsettled: list[StreamReader] = []  # streams that wait for the settings before they begin
        self.extended_connect = False  # the peer takes CONNECT with a protocol: RFC 8441 s.3
        self.pinged = b""  # data of our PING that has not been answered
        self.pinged_at = 0.0
        self.opened_at = 0.0  # when our settings were sent; set by the owner
        # Seconds between our last PING and its answer; before one was sent, between our settings and their ACK.
        self.rtt: float | None = None
        if max_head_size is None:
            max_head_size = MAX_LIST_SIZE
        # Of a section that is above a small limit the block is read all the same: it costs a stream, no connection.
        self._frames = FrameReader(FRAME_SIZE, max(MAX_BLOCK_SIZE, 2 * max_head_size))
        self._decoder = HpackDecoder(max_list_size=max_head_size)
        self._decode = self._decoder.decode_response
        self._encoder = HpackEncoder()
        self._frame_size = DEFAULT_FRAME_SIZE  # bytes of a frame that the peer takes
        self._stream_window = DEFAULT_WINDOW_SIZE  # bytes that the peer takes first on a stream
        self._list_limit: int | None = None  # bytes of a field section that the peer takes
        self._blocked: dict[StreamReader, None] = {}  # streams that wait for the connection's window
        self._resets = ResetStreams()
        self._flood = FloodGuard()

    # Our side.

    def open(self, stream: StreamReader, head: RequestHead, end: bool) -> None:
        """Open a stream; `end` if the request has no body. LocalProtocolError if the head cannot be sent.

        An error with `unprocessed` if the connection takes no more streams (now).
        """
        streams = self.streams
        limit = self.peer_limit
        if self.draining or (limit is not None and len(streams) >= limit):
            raise self._refusal()
        fields = head.http2
        if self._list_limit is not None and head.http2_size > self._list_limit:
            raise LocalProtocolError(
                f"the field section has {head.http2_size} bytes, the peer takes {self._list_limit} (RFC 9113 s.6.5.2)"
            )
        block = self._encoder.encode(fields)
        stream_id = self.next_id
        self.next_id = stream_id + 2
        if stream_id + 2 > MAX_STREAM_ID:
            self.draining = True
        self.outgoing.append(headers_frames(stream_id, block, end, self._frame_size))
        stream.open(stream_id, not end, self._stream_window)
        streams[stream_id] = stream

    def send(self, stream: StreamReader, raw: Buffer, end: bool) -> int:
        """Send the bytes of `raw` that windows and BATCH allow; return their number. `end` if `raw` is the last.

        0 means that the stream is `blocked`: it is woken when a window has grown, or when it has failed (s.5.2).
        """
        size = len(raw)
        count = min(size, stream.window_out, self.window_out, BATCH) if size else 0
        if count <= 0 < size:
            stream.blocked = True
            if self.window_out <= 0:
                self._blocked[stream] = None
            return 0
        end = end and count == size
        if count == size <= self._frame_size:
            self.outgoing.append(data_head(stream.id, size, end))
            if size:
                self.outgoing.append(raw)
            self._flood.updates -= UPDATES_PER_DATA
        else:
            self._send_frames(stream.id, memoryview(raw)[:count], end)
        stream.window_out -= count
        self.window_out -= count
        if end:
            stream.sending = False
            if stream.state >= ENDED:
                self.streams.pop(stream.id, None)
        return count

    def _send_frames(self, stream_id: int, view: memoryview, end: bool) -> None:
        """Send DATA frames that the peer takes."""
        at, size = 0, len(view)
        while at < size:
            part = min(size - at, self._frame_size)
            self.outgoing.append(data_head(stream_id, part, end and at + part == size))
            self.outgoing.append(view[at : at + part])
            at += part
            self._flood.updates -= UPDATES_PER_DATA

    def claim(self, stream: StreamReader) -> bytes:
        """Remove and return the oldest bytes of body, and credit them to the peer; b"" if there are none."""
        chunks = stream.chunks
        if not chunks:
            return b""
        # Frames are small (nginx sends 8 KiB each): handing one on costs more than copying several that came together.
        if len(chunks) > 1 and stream.pending <= MAX_CLAIM:
            piece = b"".join(chunks)
            chunks.clear()
        else:
            piece = chunks.popleft()
        size = len(piece)
        stream.pending -= size
        if stream.state < ENDED:
            self.give_back(stream, size, not chunks)
        return piece

    def reset(self, stream: StreamReader, code: int = CANCEL) -> None:
        """Reset a stream unless it has ended on both sides (RFC 9113 s.6.4)."""
        if self.streams.pop(stream.id, None) is not None:
            self._unanswered += not stream.touched
            self._resets.add(stream.id)
            self._blocked.pop(stream, None)
            self.outgoing.append(reset_frame(stream.id, code))
            stream.sending = False

    def ping(self, raw: bytes, moment: float) -> None:
        """Send PING; the answer sets `rtt` and empties `pinged` (RFC 9113 s.6.7)."""
        self.pinged = raw
        self.pinged_at = moment
        self.outgoing.append(ping_frame(raw))

    def begin_stretch(self) -> None:
        """Reset the counters of what a peer may send per stretch of time."""
        self._flood.restart(self.next_id)

    def fail(self, error: TransportError) -> None:
        """Mark the connection as broken and fail all streams; GOAWAY tells the peer what it did wrong."""
        if self.broken is not None:
            return
        self.broken = error
        self.draining = True
        if isinstance(error, Http2Error):
            self.outgoing.append(goaway_frame(0, error.code, str(error).encode()))
        streams, self.streams = self.streams, {}
        self._unanswered += sum(not stream.touched for stream in streams.values())
        self._blocked.clear()
        for stream in (*streams.values(), *self.unsettled):
            stream.fail(self._for_stream(error))

    def end_of_file(self, clean: bool) -> None:
        """Fail the connection: the peer closed it."""
        how = "closed the connection" if clean else "ended TLS without close_notify"
        if self.farewell is not None:
            how += f" after {self.farewell}"
        kind = Http1Required if self.wants_http1 else RemoteProtocolError
        self.fail(kind(f"peer {how} before the response was complete"))

    # The peer's side.

    def feed(self, data: memoryview | bytes, moment: float) -> None:
        """Process bytes that have arrived. Never raises: see `broken`, and each stream's `error`."""
        self.moment = moment
        if self.broken is not None:
            return
        deliver(self, self._frames.feed(data, 0, len(data)), self._decode, CONNECTION_WINDOW >> 1)

    def handle_frame(self, kind: int, flags: int, stream_id: int, contents: Any, size: int) -> bool:
        """Process one frame, which may break any rule; return whether the connection is broken."""
        try:
            if kind == DATA:
                self._data(flags, stream_id, contents, size)
            elif kind == HEADERS:
                self._section(flags, stream_id, contents)
            elif kind == WINDOW_UPDATE:
                self._window_update(stream_id, contents)
            else:
                self._other(kind, flags, stream_id, contents)
        except Http2Error as error:
            if error.stream_id:
                self._refuse(error)
            else:
                self.fail(error)
        return self.broken is not None

    def _data(self, flags: int, stream_id: int, raw: bytes, size: int) -> None:
        room = self.room - size
        if room < CONNECTION_WINDOW >> 1:
            if room < 0:
                raise Http2Error(
                    f"DATA of {size} bytes is {-room} more than the connection's window (RFC 9113 s.6.9.1)",
                    FLOW_CONTROL_ERROR,
                )
            self.outgoing.append(window_update_frame(0, CONNECTION_WINDOW - room))
            room = CONNECTION_WINDOW
        self.room = room
        stream = self.streams.get(stream_id)
        if stream is None or stream.state >= ENDED:
            self._late("DATA", stream_id, stream)
            return
        left = stream.left - size
        stream.left = left
        if left < 0:
            raise Http2Error(
                f"DATA of {size} bytes is {-left} more than the window of stream {stream_id} (RFC 9113 s.6.9.1)",
                FLOW_CONTROL_ERROR,
                stream_id,
            )
        stream.moment = self.moment
        if raw:
            stream.take_data(raw)
        elif not flags & END_STREAM:
            self._flood.empty_data()
        if flags & END_STREAM:
            stream.end()
            if not stream.sending:
                del self.streams[stream_id]
        elif stream.whole:
            self.give_back(stream, size, True)
        elif size != len(raw):
            self.give_back(stream, size - len(raw), False)

    def give_back(self, stream: StreamReader, size: int, keeps_up: bool) -> None:
        """Credit bytes that were read, or are held for a reader who wants all, once that is due (RFC 9113 s.6.9)."""
        remaining = stream.remaining
        if 0 <= remaining <= stream.left:
            stream.owed += size  # all that is still to come fits into what the peer has
            return
        increment = give_back(stream, size, keeps_up)
        if increment:
            self.outgoing.append(window_update_frame(stream.id, increment))

    def _section(self, flags: int, stream_id: int, section: FieldSection | Http2Error) -> None:
        if isinstance(section, SectionTooLarge):
            self._known(stream_id)
            raise Http2Error(f"{section}{RAISED_BY}", section.code, stream_id) from None
        if isinstance(section, Http2Error):
            raise section
        stream = self.streams.get(stream_id)
        if stream is None or stream.state >= ENDED:
            self._late("HEADERS", stream_id, stream)
            return
        stream.moment = self.moment
        stream.take_section(section, flags & END_STREAM != 0)
        if stream.state == ENDED and not stream.sending:
            del self.streams[stream_id]

    def _late(self, what: str, stream_id: int, stream: StreamReader | None) -> None:
        """Handle a frame for a closed stream: an error unless we reset it and the peer may not know yet (s.5.1)."""
        self._known(stream_id)
        if stream is not None:
            raise Http2Error(
                f"{what} came after the end of stream {stream_id} (RFC 9113 s.5.1)", STREAM_CLOSED, stream_id
            )
        if stream_id not in self._resets:
            raise Http2Error(f"{what} came after the end of stream {stream_id} (RFC 9113 s.5.1)", STREAM_CLOSED)
        if what != "DATA":
            self._flood.control_frame(self.next_id)

    def _known(self, stream_id: int) -> None:
        if stream_id >= self.next_id or not stream_id & 1:
            raise Http2Error(f"a frame names stream {stream_id}, which was never begun (RFC 9113 s.5.1)")

    def _other(self, kind: int, flags: int, stream_id: int, contents: Any) -> None:
        self._flood.control_frame(self.next_id)
        if kind == SETTINGS:
            if not flags & ACK:
                self._settings(contents)
            elif self.rtt is None:
                self.rtt = self.moment - self.opened_at
        elif kind == PING:
            self._ping(flags, contents)
        elif kind == RST_STREAM:
            self._reset_by_peer(stream_id, contents)
        elif kind == GOAWAY:
            self._goaway(*contents)
        elif kind == ERROR:
            raise contents

    def _window_update(self, stream_id: int, increment: int) -> None:
        self._flood.window_update()
        if stream_id == 0:
            self.window_out = grown(self.window_out, increment, 0)
            if self._blocked:
                blocked, self._blocked = self._blocked, {}
                for each in blocked:
                    self._unblock(each)
            return
        stream = self.streams.get(stream_id)
        if stream is None:
            self._known(stream_id)
            return
        stream.window_out = grown(stream.window_out, increment, stream_id)
        if stream.blocked:
            self._unblock(stream)

    def _unblock(self, stream: StreamReader) -> None:
        stream.blocked = False
        stream.moment = self.moment
        stream.wake()

    def _settings(self, settings: Sequence[tuple[int, int]]) -> None:
        check_settings(len(settings))
        self.outgoing.append(SETTINGS_ACK)
        first_window = self._stream_window
        if not self.settled:
            self.settled = True
            self.peer_limit = None
            self._allowed = None
            for stream in self.unsettled:
                stream.wake()
        for setting, value in settings:
            if setting == HEADER_TABLE_SIZE:
                self._encoder.max_table_size = value
            elif setting == MAX_CONCURRENT_STREAMS:
                self.peer_limit = self._allowed = value
                self._raise_at = -1
            elif setting == INITIAL_WINDOW_SIZE:
                self._stream_window = value
            elif setting == MAX_FRAME_SIZE:
                self._frame_size = value
            elif setting == MAX_HEADER_LIST_SIZE:
                self._list_limit = value
            elif setting == ENABLE_CONNECT_PROTOCOL:
                self.extended_connect = value == 1
        if self._stream_window != first_window:
            self._move_windows(self._stream_window - first_window)

    def _move_windows(self, change: int) -> None:
        """Apply a change of the initial window to open streams, whose windows may fall below 0 (RFC 9113 s.6.9.2)."""
        for stream in self.streams.values():
            stream.window_out += change
            if stream.window_out > MAX_WINDOW_SIZE:
                raise Http2Error(
                    f"SETTINGS_INITIAL_WINDOW_SIZE makes the window of stream {stream.id} {stream.window_out} bytes, "
                    f"expected {MAX_WINDOW_SIZE} at most (RFC 9113 s.6.9.2)",
                    FLOW_CONTROL_ERROR,
                )
            if stream.blocked and stream.window_out > 0:
                self._unblock(stream)

    def _ping(self, flags: int, raw: bytes) -> None:
        if not flags & ACK:
            self.outgoing.append(ping_frame(raw, ack=True))
        elif raw == self.pinged:
            self.rtt = self.moment - self.pinged_at
            self.pinged = b""

    def _reset_by_peer(self, stream_id: int, code: int) -> None:
        stream = self.streams.pop(stream_id, None)
        if stream is None:
            self._known(stream_id)
            return
        self._blocked.pop(stream, None)
        kind = Http1Required if code == HTTP_1_1_REQUIRED else RemoteProtocolError
        error = kind(f"peer reset stream {stream_id}: {error_name(code)}")
        if code in (REFUSED_STREAM, HTTP_1_1_REQUIRED):
            error.unprocessed = True  # s.8.7; s.7
            self._unanswered += 1
            if code == REFUSED_STREAM and self.streams:
                self.peer_limit = len(self.streams)
                self._raise_at = self._answered() + self.peer_limit
        else:
            stream.touched = True  # it is an answer, if a poor one, and no sign of a dead connection
        stream.fail(error)

    def _goaway(self, last: int, code: int, debug: bytes) -> None:
        self.draining = True
        # An earlier GOAWAY stays true when a bare NO_ERROR follows, which Node sends before it closes.
        if code or debug or self.farewell is None:
            self.farewell = f"GOAWAY: {error_name(code)}" + (f" {shown(debug)}" if debug else "")
            self.wants_http1 = code == HTTP_1_1_REQUIRED
        kind = Http1Required if self.wants_http1 else RemoteProtocolError
        gone = [stream for stream_id, stream in self.streams.items() if stream_id > last]
        self._promised = len(gone) < len(self.streams)
        self._unanswered += len(gone)
        for stream in gone:
            del self.streams[stream.id]
            self._blocked.pop(stream, None)
            error = kind(f"peer does not process stream {stream.id}, its last one is {last}: {self.farewell}")
            error.unprocessed = True
            stream.fail(error)
        if code:
            self.fail(kind(f"peer ended the connection, its last stream is {last}: {self.farewell}"))

    def _refuse(self, error: Http2Error) -> None:
        """Reset and fail a stream on which the peer broke a rule, if it is still open."""
        stream = self.streams.get(error.stream_id)
        if stream is None:
            return
        self.reset(stream, error.code)
        stream.fail(self._for_stream(error))
