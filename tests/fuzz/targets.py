"""Fuzz targets: what must hold of the kernels and parsers, whatever bytes come. AssertionError where it does not.

A target takes bytes of any kind. Where the way that they are cut matters, the first byte says how. Each compares the
compiled twin with the Python one; some compare with h11, h2's frames and hpack, on input that nobody disputes.
"""

from __future__ import annotations

import asyncio
import contextvars
import importlib
import json
import random
import re
import urllib.parse
from collections.abc import Callable, Iterator
from typing import Any

import h11
import hpack
import hyperframe.exceptions
import hyperframe.frame
import vectors

import httpx_fast
from httpx_fast._kernel import constants, h2_constants
from httpx_fast._models.cookie_rules import Place, parse

Target = Callable[[bytes], None]


def twins(name: str) -> tuple[Any, Any]:
    return tuple(importlib.import_module(f"httpx_fast._kernel.{name}_{kind}") for kind in ("c", "py"))  # type: ignore[return-value]


HTTP1, HPACK, ENCODER, FRAMES = (twins(name) for name in ("http1", "hpack", "hpack_encoder", "frames"))
BUFFER, DRIVE, FIELDS, JSON, URLS = (twins(name) for name in ("buffer", "drive", "fields", "json", "urls"))
STREAMS = twins("streams")


def cuts(way: int, size: int) -> list[int]:
    """Where input ends at each call: all at once, byte by byte, or in three pieces."""
    if way % 3 == 0:
        return [size]
    if way % 3 == 1:
        return list(range(min(size, 1), size + 1))
    first = way * size // 256
    return [first, (first + size) // 2, size]


def outcome(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except (httpx_fast.TransportError, httpx_fast.InvalidURL, RecursionError, UnicodeError, ValueError) as error:
        return type(error), str(error), getattr(error, "code", None)


# HTTP/1.1


def read_head(kernel: Any, data: bytes, ends: list[int]) -> Any:
    parser = kernel.HeadParser()
    for call, end in enumerate(ends):
        head = parser.feed(data, 0, end)
        if head is not None:
            every = {name.lower(): head.get_all(name.lower()) for name, _ in head.fields()}
            facts = (head.status, head.minor, head.reason, head.size, head.flags, head.content_length, head.count)
            return call, facts, head.fields(), every
    return None


def head(data: bytes) -> None:
    """Response heads: the twins agree; a head that h11 reads too has the same fields for both."""
    if not data:
        return
    raw = data[1:]
    ends = cuts(data[0], len(raw))
    found = outcome(read_head, HTTP1[0], raw, ends)
    assert found == outcome(read_head, HTTP1[1], raw, ends), (found, raw)
    if found is None or isinstance(found[0], type):
        return
    _, facts, fields, _ = found
    theirs = read_by_h11(raw[: facts[3]])
    if theirs is not None and theirs[0] == facts[0]:
        assert theirs[1] == as_h11_gives(fields), (theirs, fields, raw)


def as_h11_gives(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return field lines with those values in lower case that h11 writes so."""
    return [(name, text.lower() if name.lower() == b"transfer-encoding" else text) for name, text in fields]


def read_by_h11(raw: bytes) -> tuple[int, list[tuple[bytes, bytes]]] | None:
    """Status and fields; None for what h11 refuses, or reads otherwise on purpose (obsolete folding)."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return None
    if not isinstance(event, h11.Response | h11.InformationalResponse):
        return None
    # h11 makes of several equal Content-Length values one.
    fields = [(bytes(name), bytes(text)) for name, text in event.headers.raw_items()]
    if sum(name.lower() == b"content-length" for name, _ in fields) or b"\n " in raw or b"\n\t" in raw:
        return None
    return event.status_code, fields


def read_chunks(kernel: Any, data: bytes, ends: list[int]) -> dict[str, Any]:
    decoder, at = kernel.ChunkedDecoder(), 0
    found: dict[str, Any] = {"content": b"", "calls": [], "error": None}
    for end in ends:
        try:
            piece, at = decoder.feed(data, at, end)
        except httpx_fast.RemoteProtocolError as error:
            found["error"] = str(error)
            break
        found["content"] += piece
        found["calls"].append(at)
        if decoder.done:
            break
    return found | {"done": decoder.done, "trailers": decoder.trailers}


def chunks(data: bytes) -> None:
    """Chunked bodies: the twins agree; how a body is cut changes neither content nor trailers, nor if it is refused."""
    if not data:
        return
    raw = data[1:]
    ends = cuts(data[0], len(raw))
    found = read_chunks(HTTP1[0], raw, ends)
    assert found == read_chunks(HTTP1[1], raw, ends), (found, raw)
    whole = read_chunks(HTTP1[0], raw, [len(raw)])
    assert (whole["error"] is None) == (found["error"] is None), (whole, found, raw)
    if whole["error"] is None:  # the content before an error is not given out by the call that finds it
        for name in ("content", "done", "trailers"):
            assert whole[name] == found[name], (whole, found, raw)


def request(data: bytes) -> None:
    """Request heads: the twins agree; what they write has no line more than was asked for, and h11 reads the same."""
    line, *rest = data.split(b"\n")
    method, _, target = line.partition(b" ")
    fields = [(name, text) for name, _, text in (each.partition(b":") for each in rest)]
    written = outcome(HTTP1[0].request_head, method, target, fields)
    assert written == outcome(HTTP1[1].request_head, method, target, fields), (written, data)
    checked = [outcome(HTTP1[0].check_field, name, text) for name, text in fields]
    assert checked == [outcome(HTTP1[1].check_field, name, text) for name, text in fields], (checked, data)
    size = len(data) << data[0] % 48 if data else 0
    assert HTTP1[0].chunk_head(size) == HTTP1[1].chunk_head(size) == f"{size:x}\r\n".encode(), size
    if not isinstance(written, bytes):
        return
    assert not any(checked), (checked, data)
    assert written.count(b"\n") == written.count(b"\r") == written.count(b"\r\n") == len(fields) + 2, data
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    connection.receive_data(written)
    try:
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return  # fields that contradict each other are checked elsewhere
    assert isinstance(event, h11.Request), (event, data)
    assert (event.method, event.target) == (method, target), (event, data)
    if sum(name.lower() == b"content-length" for name, _ in fields) < 2:  # of equal ones h11 makes one
        meant = as_h11_gives([(name, text.strip(b" \t")) for name, text in fields])
        assert [*event.headers.raw_items()] == meant, (event, data)


def field_lines(data: bytes) -> None:
    """Field lines of text and bytes: the twins agree, and encode what `str.encode` encodes."""
    encoding = ("ascii", "utf-8", "iso-8859-1", "utf-16")[data[0] % 4] if data else "ascii"
    pairs: list[tuple[bytes | str, bytes | str]] = []
    for number, line in enumerate(data[1:].split(b"\n")):
        name, _, value = line.partition(b":")
        as_text = [part.decode("utf-8", "surrogateescape") for part in (name, value)]
        pairs.append(((name, as_text[0])[number % 2], (value, as_text[1])[number // 2 % 2]))
    found = outcome(FIELDS[0].encode_lines, pairs, encoding)
    assert found == outcome(FIELDS[1].encode_lines, pairs, encoding), (found, pairs)
    wanted = outcome(
        lambda: [tuple(part.encode(encoding) if isinstance(part, str) else part for part in pair) for pair in pairs]
    )
    assert found == wanted or (isinstance(found, tuple) and found[0] is wanted[0] is UnicodeEncodeError), (
        found,
        wanted,
    )
    plain = [line for line in pairs if isinstance(line[0], bytes) and isinstance(line[1], bytes)]
    names = [name.lower() for name, _ in plain if isinstance(name, bytes)]
    merged = [outcome(twin.merge_lines, plain, names, pairs[:5], frozenset((b"", b"host"))) for twin in FIELDS]
    assert merged[0] == merged[1], (merged, pairs)
    dropped, deciding = frozenset(names[1:3]), frozenset((b"te", b"connection"))
    lowered = [twin.lower_lines(plain, dropped, deciding, frozenset({(b"te", b"trailers")})) for twin in FIELDS]
    assert lowered[0] == lowered[1], (lowered, plain)


def body(data: bytes) -> None:
    """Bodies of known length: what was put in, in whatever steps, comes out; both twins refuse the same steps."""
    if len(data) < 2:
        return
    expected = data[1] << data[0] % 20  # up to 128 MiB, of which no more is allocated than arrives
    steps = [
        (byte % 4, data[at : at + 9] * (byte << (8 if byte == 0xFE else byte % 3)))
        for at, byte in enumerate(data[2:40])
    ]
    results = [[outcome(collect, twin.BodyBuffer(expected), steps)] for twin in BUFFER]
    assert results[0] == results[1], (results, data)


def collect(collected: Any, steps: list[tuple[int, bytes]]) -> Any:
    """Do each step with a buffer; return what it refused, and what it collected."""
    given, refused = bytearray(), []
    for how, piece in steps:
        if how == 3:  # more or less than fits may have been said
            before = collected.filled
            wrong = outcome(collected.buffer_updated, -len(piece))
            assert isinstance(wrong, tuple), wrong
            assert collected.filled == before, wrong
        elif how == 2 and len(piece) <= collected.missing:
            for rest in iter_writes(collected, piece):
                assert len(rest) <= len(piece), (rest, piece)
            given += piece
        else:
            wrong = outcome(collected.append, piece)
            refused.append(wrong)
            given += b"" if wrong else piece
        assert collected.filled == len(given), (collected.filled, len(given))
    end = outcome(collected.finish if len(steps) % 2 else collected.cut)
    assert end == given or isinstance(end, tuple), (len(given), len(end))
    return refused, end, collected.missing, outcome(collected.cut)


def iter_writes(collected: Any, piece: bytes) -> Iterator[bytes]:
    """Write a piece to as many views as it takes; yield what is left."""
    while piece:
        with memoryview(collected.view()) as view:
            size = min(view.nbytes, len(piece))
            view[:size] = piece[:size]
        collected.buffer_updated(size)
        piece = piece[size:]
        yield piece


# HTTP/2


def described(section: Any) -> Any:
    if not hasattr(section, "offences"):
        return section
    return (
        section.fields(),
        section.status,
        section.flags,
        section.offences,
        section.offender,
        section.content_length,
        section.count,
        section.size,
    )


def hpack_blocks(data: bytes) -> None:
    """Field blocks, each after a byte with its length: the twins agree; so does hpack on what it reads."""
    decoders = [twin.HpackDecoder() for twin in HPACK]
    plain = HPACK[0].HpackDecoder()  # remembers no block, since it is given no bytes objects
    theirs: hpack.Decoder | None = hpack.Decoder(max_header_list_size=h2_constants.MAX_LIST_SIZE)
    at = 0
    while at < len(data):
        size = data[at]
        block = data[at + 1 : at + 1 + size]
        at += 1 + size
        call = "decode_response" if size & 1 else "decode"
        for _ in range(3 if size & 3 == 3 else 1):
            results = [described(outcome(getattr(decoder, call), block)) for decoder in decoders]
            assert results[0] == results[1], (results, block)
            assert described(outcome(getattr(plain, call), memoryview(block))) == results[0], (results, block)
        assert decoders[0].table_size == decoders[1].table_size, block
        if theirs is None or call == "decode_response":
            theirs = None  # its table is not known any more
            continue
        try:
            fields = [(bytes(name), bytes(text)) for name, text in theirs.decode(block, raw=True)]
        except (hpack.HPACKError, ValueError, IndexError):
            theirs = None
            continue
        if isinstance(results[0], list):
            assert results[0] == fields, (results[0], fields, block)


def hpack_encoder(data: bytes) -> None:
    """Fields made of the bytes: the twins encode the same, and our decoder and hpack read what was meant."""
    encoders, decoder, theirs = [twin.HpackEncoder() for twin in ENCODER], HPACK[0].HpackDecoder(), hpack.Decoder()
    for part in data.split(b"\n")[:20]:
        fields = []
        for line in part.split(b"\r")[:30]:
            name, _, text = line.partition(b":")
            fields.append((name, text))
        blocks = [outcome(encoder.encode, tuple(fields)) for encoder in encoders]
        assert blocks[0] == blocks[1], (blocks, fields)
        assert encoders[0].table_size == encoders[1].table_size
        if isinstance(blocks[0], bytes):
            assert outcome(decoder.decode, blocks[0]) == fields, fields
            assert theirs.decode(blocks[0], raw=True) == fields, fields


def read_frames(kernel: Any, data: bytes, ends: list[int]) -> Any:
    reader, at, found = kernel.FrameReader(), 0, []
    for end in ends:
        for frame in reader.feed(data, at, end):
            found.append((*frame[:3], str(frame[3])) if frame[0] == h2_constants.ERROR else tuple(frame))
        at = end
    return found, reader.broken


def frames(data: bytes) -> None:
    """Frames: the twins agree; DATA frames that hyperframe reads too have the same content for both."""
    if not data:
        return
    raw = data[1:]
    ends = cuts(data[0], len(raw))
    found = read_frames(FRAMES[0], raw, ends)
    assert found == read_frames(FRAMES[1], raw, ends), (found, raw)
    frames_found, broken = read_frames(FRAMES[0], raw, [len(raw)])
    if broken or any(frame[0] == h2_constants.ERROR for frame in frames_found):
        return
    ours = [bytes(frame[3]) for frame in frames_found if frame[0] == h2_constants.DATA]
    assert ours[: len(theirs := list(data_of(raw)))] == theirs, (ours, theirs, raw)


def data_of(raw: bytes) -> Iterator[bytes]:
    """The content of the DATA frames that are there whole, as hyperframe reads them."""
    while len(raw) >= 9:
        try:
            frame, size = hyperframe.frame.Frame.parse_frame_header(memoryview(raw)[:9])
            if len(raw) < 9 + size:
                return
            frame.parse_body(memoryview(raw)[9 : 9 + size])
        except (hyperframe.exceptions.HyperframeError, ValueError):
            return
        if isinstance(frame, hyperframe.frame.DataFrame):
            yield bytes(frame.data)
        raw = raw[9 + size :]


def frames_sent(data: bytes) -> None:
    """Frames that carry a field block or content: the twins agree; our reader and hyperframe read what was meant."""
    if len(data) < 3:
        return
    stream_id, largest, block = (data[0] << data[1] % 25) + 1, 1 + (data[2] << data[1] % 17), data[3:]
    ends = bool(data[1] & 1)
    written = outcome(FRAMES[0].headers_frames, stream_id, block, ends, largest)
    assert written == outcome(FRAMES[1].headers_frames, stream_id, block, ends, largest), (written, data)
    head = outcome(FRAMES[0].data_head, stream_id, len(block), ends)
    assert head == outcome(FRAMES[1].data_head, stream_id, len(block), ends), (head, data)
    assert isinstance(head, bytes) == (stream_id <= 0x7FFFFFFF), (head, data)
    if not isinstance(written, bytes):
        assert stream_id > 0x7FFFFFFF or largest > 0xFFFFFF, (written, data)
        return
    assert [*data_of(head + block)] == [block], data
    reader = FRAMES[0].FrameReader(0xFFFFFF)
    settings = bytes.fromhex("000000040000000000")
    read = [frame for frame in reader.feed(settings + written, 0, 9 + len(written)) if frame[0] == h2_constants.HEADERS]
    if not reader.broken:  # which it is when there were too many of them
        ((_, flags, number, found, _),) = read
        assert (number, bytes(found), bool(flags & h2_constants.END_STREAM)) == (stream_id, block, ends), (read, data)


# JSON, forms, URLs and cookies


def json_text(data: bytes) -> None:
    """JSON: the input as it is, and a valid text that it describes, which few inputs are."""
    compare_json(data)
    text = json_described(iter(data)).encode()
    compare_json(text)
    compare_json(text[: len(data) * 2])


def compare_json(data: bytes) -> None:
    """Compare with `json.loads`: a kernel returns the same for UTF-8 or leaves it to that; a response, also errors."""
    wanted = outcome(strict_json, data)
    for twin in JSON:
        found = outcome(twin.parse_json, data)
        if is_refused(wanted):
            assert is_refused(found), (found, wanted, data)
        elif is_refused(found):
            # Of members of one name the last remains, others may be the deeper ones.
            assert depth(json.loads(data, object_pairs_hook=lambda pairs: [each for _, each in pairs])) > 100, data
        else:  # types and the order of members included
            assert repr(found) == repr(wanted[0]), (found, wanted, data)
    theirs = outcome(lambda: [json.loads(data)])
    ours = outcome(lambda: [httpx_fast.Response(200, content=data).json()])
    assert repr(ours) == repr(theirs), (ours, theirs, data)


JSON_PARTS = {
    "space": ("", "", "", " ", "\n  ", "\t", "\r\n"),
    "integer": ("0", "7", "10", "-1", "-0", "4294967296", "-9223372036854775808", "18446744073709551616", "9" * 25),
    "fraction": ("", "", ".0", ".5", ".125", ".1", ".000000000000000000001", ".99999999999999999999"),
    "exponent": ("", "", "", "e0", "E+2", "e-7", "e308", "e400", "E-330", "e0000000000000000001"),
    "string": (
        *("a", "name", "", "x" * 31, "y" * 33, "é", "☃", "😀", r"\n", r"\"", r"\\", r"\u00e9", r"\u2603", r"\/"),
        *(r"\ud83d\ude00", r"\ud83d", r"\ude00", r"\ud83d\u0041", r"\u0000", "\x7f", "\u2028", "\uffff", "\U0010ffff"),
    ),
    "word": ("true", "false", "null"),
}


def json_described(dice: Iterator[int], depth: int = 0) -> str:
    """Write a valid text of JSON; each byte of `dice` decides on what comes next, and zeros follow the last one."""

    def one_of(kind: str) -> str:
        parts = JSON_PARTS[kind]
        return parts[next(dice, 0) % len(parts)]

    def string() -> str:
        return '"' + "".join(one_of("string") for _ in range(next(dice, 0) % 5)) + '"'

    way = next(dice, 0)
    space, size = one_of("space"), way >> 3 & 7
    if way % 8 < 2 and depth < 120:
        text = "[" + ",".join(json_described(dice, depth + 1) for _ in range(size)) + space + "]"
    elif way % 8 < 4 and depth < 120:
        members = (string() + space + ":" + json_described(dice, depth + 1) for _ in range(size))
        text = "{" + space + ",".join(members) + "}"
    elif way % 8 < 6:
        text = one_of("integer") + one_of("fraction") + one_of("exponent")
    else:
        text = string() if way % 8 == 6 else one_of("word")
    return one_of("space") + text + space


def drive(data: bytes) -> None:
    """Coroutines: what ends, fails or waits in one of several depths comes to the same with both twins."""
    data = data[:64]  # the twins reach Python's limit of recursion at different depths

    async def steps(kernel: Any, at: int) -> Any:
        if at == len(data):
            return data
        way = data[at] % 8
        if way < 2:
            return [await steps(kernel, at + 1), at]
        if way == 2:
            return kernel.drive(steps(kernel, at + 1))
        if way == 3:
            return StopIteration(at)
        if way == 4:
            raise ValueError(at)
        if way == 5:
            try:
                await steps(kernel, at + 1)
            finally:
                ended.append(at)
        if way == 6:
            await asyncio.sleep(0)
        return (at,)

    def driven(kernel: Any) -> Any:
        return kernel.drive(steps(kernel, 0))

    found = []
    for twin in DRIVE:
        ended: list[int] = []
        try:
            found.append((str(driven(twin)), ended))
        except (RuntimeError, ValueError) as error:
            found.append((repr(error), ended))
    assert found[0] == found[1], found


def strict_json(data: bytes) -> list[Any]:
    """Return what the standard library makes of UTF-8 without extensions of JSON, in a list of its own."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    return [json.loads(data.decode(), parse_constant=refuse)]


def is_refused(found: Any) -> bool:
    return isinstance(found, tuple)  # which JSON has none of


def depth(value: Any) -> int:
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


def form(data: bytes) -> None:
    """Forms: the twins agree with each other, and with the standard library's `urlencode`."""
    pairs: list[tuple[str, Any]] = []
    for number, part in enumerate(data.decode("utf-8", "surrogateescape").split("&")):
        name, _, value = part.partition("=")
        values: tuple[Any, ...] = (value, value.split(","), number, None, True, number / 7)
        pairs.append((name, values[len(part) % 6]))
        ours, other = (twin.primitive_value_to_str(pairs[-1][1]) for twin in URLS)
        assert ours == other, (ours, other, pairs[-1])
    found = outcome(URLS[0].urlencode, pairs)
    assert found == outcome(URLS[1].urlencode, pairs), (found, pairs)
    texts = [
        (name, [URLS[1].primitive_value_to_str(each) for each in (value if isinstance(value, list) else [value])])
        for name, value in pairs
    ]
    wanted = outcome(urllib.parse.urlencode, texts, True)
    assert found == wanted or (isinstance(found, tuple) and found[0] is wanted[0]), (found, wanted, pairs)


def url(data: bytes) -> None:
    """URLs: the twins agree; a URL's text is read as the same URL again, and resolves to itself."""
    text = data.decode("utf-8", "surrogateescape")
    assert outcome(URLS[0].split_url, text) == outcome(URLS[1].split_url, text), text
    try:
        found = httpx_fast.URL(text)
    except (httpx_fast.InvalidURL, UnicodeError):
        return
    if b"%" in found.raw_host:
        return  # as in httpx, what is escaped in a host is written in upper case, and read in lower case
    again = httpx_fast.URL(str(found))
    assert again == found, (text, str(found), str(again))
    assert (again.raw_host, again.raw_path, again.port) == (found.raw_host, found.raw_path, found.port), text
    assert not any(byte <= 0x20 or byte == 0x7F for byte in again.raw_path + again.raw_host), text
    if found.is_absolute_url and found.raw_host:
        assert found.join(found) == found, text


CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
PLACE = Place("https", "www.example.org", "/some/where", "443")


class Section:
    """A field section that one byte describes."""

    def __init__(self, byte: int) -> None:
        self.status = (103, 200, 200, 200, 204, 301, 304, 404)[byte & 7]
        self.flags = constants.HAS_CONTENT_LENGTH if byte & 8 else 0
        self.content_length = (-2, 0, 5, 300, 1000, 2**40, 7, 600)[byte >> 4 & 7] if byte & 8 else -1
        self.offences = byte >> 7 & byte & 1


class Woken:
    """A waiter that counts, and the times of a stream."""

    count = 0
    first = done = None

    def set(self) -> None:
        self.count += 1


def feed_streams(kernel: Any, data: bytes) -> Any:
    """What comes of frames, three bytes for each: what it is, its stream, and its size or its section."""
    table, found = kernel.StreamTable(60_000), []
    streams = [kernel.StreamState(b"GET", whole, 4000) for whole in (True, False, True)]
    for number, stream in enumerate(streams):
        stream.id, stream.plain, stream.sending = 2 * number + 1, True, number == 1
        stream.waiter = stream.times = Woken()
        table.streams[stream.id] = stream
    for at in range(0, len(data) - 2, 3):
        kind, number, size = data[at : at + 3]
        table.moment = float(at)
        raw = bytes(size << (kind >> 4 & 7))
        padding = kind >> 7 and kind >> 3 & 1
        common = (h2_constants.DATA, kind & 1, number & 7, raw, len(raw) + padding)
        frame = (h2_constants.HEADERS, kind & 1, number & 7, bytes((size,)), 1) if kind & 2 else common
        try:
            kernel.deliver(table, [frame], lambda block: Section(block[0]), 1000)
        except NotImplementedError:  # the owner is asked
            found.append((at, frame))
        found.append((table.room, sorted(table.streams)))
        for stream in streams:
            waiter = stream.waiter
            found.append((stream.state, stream.ready, stream.head and stream.head.status, list(stream.chunks)))
            found.append((stream.left, stream.owed, stream.pending, stream.remaining, stream.moment, stream.small))
            found.append((waiter.count, waiter.first, waiter.done))
        if kind & 4 and kind & 8:
            found.append(streams[number % 3].take_whole())
    return found


class NoLoop:
    """An event loop that calls at once what it is asked to call soon."""

    def call_soon(self, call: Callable[[], object], *, context: contextvars.Context) -> None:
        context.run(call)


def use_waiters(kernel: Any, data: bytes) -> Any:
    """What comes of calls of two waiters, one byte for each call."""
    found: list[Any] = []
    wakes = kernel.WakeList(NoLoop())
    waiters = [wakes.waiter(), kernel.TaskWaiter(wakes)]

    def note(waiter: Any) -> None:
        found.append(waiters.index(waiter))

    def result(waiter: Any) -> Any:
        try:
            return waiter.result()
        except (asyncio.CancelledError, RuntimeError) as error:
            return repr(error)

    def add(waiter: Any) -> Any:
        try:
            return waiter.add_done_callback(note, context=contextvars.Context())
        except RuntimeError as error:
            return str(error)

    calls: list[Callable[[Any], Any]] = [
        lambda waiter: waiter.set(),
        lambda waiter: waiter.cancel("why"),
        lambda waiter: waiter.cancel(),
        lambda waiter: waiter.remove_done_callback(note),
        lambda waiter: (waiter.done(), waiter.cancelled()),
        result,
        add,
        add,
    ]
    for byte in data:
        found.append(calls[byte & 7](waiters[byte >> 3 & 1]))
    return found


def streams(data: bytes) -> None:
    """Frames for streams, and waits for these: the twins agree."""
    for use in (feed_streams, use_waiters):
        found = use(STREAMS[0], data)
        assert found == use(STREAMS[1], data), (found, data)


def cookie(data: bytes) -> None:
    """Set-Cookie values: no exception, no control character (but tabs), no size beyond the limits of RFC 6265bis."""
    text = data.decode("latin-1")
    found = parse(text, PLACE, 1_800_000_000.0)
    response = httpx_fast.Response(200, headers=[(b"Set-Cookie", data)], request=REQUEST)
    jar = httpx_fast.Cookies()
    jar.extract_cookies(response)
    for each in jar.jar:
        assert not CONTROLS.search(f"{each.name}{each.value or ''}"), text
        assert len(each.name.encode("utf-8")) + len((each.value or "").encode("utf-8")) <= 8192, text
    assert found is not None or len(jar.jar) == 0, text
    request = httpx_fast.Request("GET", "https://www.example.org/some/where")
    jar.set_cookie_header(request)
    assert b"\n" not in b"".join(value for _, value in request.headers.raw), text


REQUEST = httpx_fast.Request("GET", "https://www.example.org/some/where")

TARGETS: dict[str, Target] = {
    "head": head,
    "chunks": chunks,
    "request": request,
    "fields": field_lines,
    "body": body,
    "hpack": hpack_blocks,
    "hpack_encoder": hpack_encoder,
    "frames": frames,
    "frames_sent": frames_sent,
    "streams": streams,
    "json": json_text,
    "drive": drive,
    "form": form,
    "url": url,
    "cookie": cookie,
}

OF_OTHERS = {
    "request": [
        b"GET /a?b=c\nHost:example.org\nAccept:*/*\nCookie:a=b",
        b"POST /\nHost:x\nContent-Length:5\nX-Y:  z\t",
    ],
    "fields": [bytes([way]) + "Host:a\nX-Name:välue\nte:trailers\ncookie:b\nhost:x\nq:€".encode() for way in range(4)],
    "drive": [b"", b"\x00\x01\x02", bytes(range(24)), b"\x05\x03", b"\x05\x05\x05\x04", b"\x06\x05\x07"],
    "body": [
        b"\x00\x14" + b"12345678" * 3,
        b"\x0a\x40" + b"\x12\x20\x46\x31\xff" * 6,
        b"\x13\xff" + bytes(range(200, 256)),
        b"\x00\x24\x04abcdefgh",  # 36 bytes are missing, and come at once
    ],
    "frames_sent": [b"\x01\x01\x40" + b"x" * 300, b"\x80\x18\xff" + b"\x88" * 20, b"\x05\x10\xff" + bytes(3000)],
    "streams": [
        bytes((2, 1, 0x39, 0x10, 1, 150, 1, 1, 0, 2, 3, 1, 0x40, 3, 255, 0x70, 3, 255, 1, 3, 9, 13, 3, 0)),
        bytes((0, 4, 6, 14, 1, 5, 10, 12, 7, 4)),
        b"\x02\x05\x01" + b"\x00\x05\x03" * 300,
    ],
    "json": [
        *(
            b"{}",
            b"[]",
            b"[NaN]",
            b"-0.0",
            b'"\xc3\xa9"',
            b'{"a":1,"a":2}',
            b"[" * 101 + b"]" * 101,
            b"9" * 30,
            b"1e999",
        ),
        json.dumps(
            [{"name": f"user {n}", "id": n << n, "at": n / 7, "on": not n, "none": None} for n in range(40)]
        ).encode(),
        rb'{"\u00e9\ud83d\ude00": "a\n\\ \" \ud800", "a name above 32 bytes, as some are": [1.5e3, -1E-7, true, {}]}',
        json.dumps({"é" * 9: ["x" * 20 + "\n" + "☃" * n for n in range(9)]}, ensure_ascii=False, indent=1).encode(),
        *(json.dumps({"a": [1, "b"]}).encode(code) for code in ("utf-8-sig", "utf-16", "utf-16-be", "utf-32")),
    ],
    "form": [
        b"a=b&c=d e&f=1,2,3&g=",
        "ä=ö+ü&~._-*=%/?&x=\udc80".encode("utf-8", "surrogatepass"),
        b"one=1&two=22&three=333",
    ],
}


def seeds(name: str) -> list[bytes]:
    """Inputs to begin with: the wire cases of tests/vectors, and what servers send."""
    if name in ("head", "chunks"):
        documents = ("heads", "heads_refused") if name == "head" else ("chunks", "chunks_refused")
        found = [vector.data + vector.rest for document in documents for vector in vectors.read(document)]
        return [bytes([way]) + raw for raw in found for way in (0, 1, 100)]
    if name == "hpack":
        encoder = hpack.Encoder()
        dice = random.Random(7541)
        sections = [[(":status", "200"), ("x-a", "b" * dice.randrange(40)), ("set-cookie", "a=b")] for _ in range(8)]
        blocks = [encoder.encode(section, huffman=bool(dice.randrange(2))) for section in sections]
        return [b"".join(bytes([len(block)]) + block for block in blocks[: count + 1]) for count in range(8)]
    if name == "hpack_encoder":
        return [b":method:GET\r:path:/\raccept:*/*\n:method:GET\r:path:/\raccept:*/*", b"cookie:a=b\rauthorization:x"]
    if name == "frames":
        settings = hyperframe.frame.SettingsFrame(0, settings={4: 70_000, 5: 20_000}).serialize()
        rest = [
            hyperframe.frame.HeadersFrame(1, b"\x88", flags=["END_HEADERS"]),
            hyperframe.frame.DataFrame(1, b"12345", flags=["END_STREAM", "PADDED"], pad_length=3),
            hyperframe.frame.PingFrame(0, b"12345678"),
            hyperframe.frame.WindowUpdateFrame(0, 1000),
            hyperframe.frame.GoAwayFrame(0, 5, 0, b"bye"),
            hyperframe.frame.RstStreamFrame(1, 8),
            hyperframe.frame.ContinuationFrame(1, b"\x88"),
        ]
        return [bytes([way]) + settings + frame.serialize() for frame in rest for way in (0, 1, 100)]
    if name in OF_OTHERS:
        return OF_OTHERS[name]
    if name == "url":
        texts = [
            "https://user:pw@host.example:8443/a/../b?c=d&e#f",
            "http://[::1]/",
            "//x",
            "?q",
            "http://bücher.example/ä",
        ]
        return [text.encode() for text in texts]
    return [
        b"a=b; Domain=example.org; Path=/; Max-Age=5; Secure",
        b"__Host-a=b; Path=/; Secure; Expires=Mon, 21 Oct 2030",
    ]


assert constants.MAX_FIELDS  # the limits are those of the kernels
