"""Runs every kernel operation again and again, each time with another allocation failing; see test_no_memory.py.

An operation either raises MemoryError or does its work; what it leaves behind can be freed, and a new object works.
Operations append to lists nowhere, neither by `append` nor in a comprehension: when a list cannot grow, CPython 3.15.0
gives up the reference to the new item twice (https://github.com/python/cpython/issues/151818), or lets it go where a
debug build must not (https://github.com/python/cpython/issues/151119), without any of our code taking part.
"""

from __future__ import annotations

import contextvars
import sys
from collections.abc import Callable
from typing import Any

from httpx_fast._kernel import (
    buffer_c,
    drive_c,
    fields_c,
    frames_c,
    hpack_c,
    hpack_encoder_c,
    http1_c,
    json_c,
    streams_c,
    urls_c,
)

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: a\r\nX-Long-Name: some value\r\nContent-Length: 5\r\n" + b"X-N: v\r\n" * 30 + b"\r\n"
)
CHUNKS = b"5\r\nhello\r\n400;a=b\r\n" + b"x" * 1024 + b"\r\n0\r\nX-Trailer: t\r\n\r\n"
FIELDS = ((b":status", b"200"), (b"x-name", b"value" * 20), (b"set-cookie", b"a=b"), (b"accept", b"*/*"))
FRAMES = bytes.fromhex("000006040000000000000500004e20") + b"\x00\x00\x05\x00\x00\x00\x00\x00\x01hello" * 5
FRAMES += bytes.fromhex("0000010104000000018800000808000000000a0000000000000000")[:10]


def head() -> Any:
    found = http1_c.HeadParser().feed(HEAD, 0, len(HEAD))
    return found.status, found.fields(), found.get_all(b"server"), found.reason


def head_in_pieces() -> Any:
    parser = http1_c.HeadParser()
    for end in (1, 30, 60, 100):
        parser.feed(HEAD, 0, end)
    return parser.feed(HEAD, 0, len(HEAD)).fields()


def chunks() -> Any:
    decoder = http1_c.ChunkedDecoder()
    first, at = decoder.feed(CHUNKS, 0, 9)
    second, _ = decoder.feed(CHUNKS, at, len(CHUNKS))
    return first + second, decoder.trailers


def request() -> Any:
    fields = [(b"Host", b"example.org"), (b"Accept", b"*/*"), (b"X", b"y" * 300)]
    for name, value in fields:
        http1_c.check_field(name, value)
    return http1_c.request_head(b"GET", b"/a?b", fields), http1_c.chunk_head(1234)


def hpack() -> Any:
    encoder, decoder = hpack_encoder_c.HpackEncoder(), hpack_c.HpackDecoder()
    first, second = encoder.encode(FIELDS), encoder.encode(FIELDS[:2])
    encoder.max_table_size = 100
    third = encoder.encode(FIELDS)
    return [decoder.decode(first), decoder.decode_response(second).fields(), decoder.decode(third)]


def frames() -> Any:
    reader = frames_c.FrameReader()
    found = reader.feed(FRAMES, 0, 20) + reader.feed(FRAMES, 20, len(FRAMES))
    written = frames_c.headers_frames(1, b"x" * 50, True, 20), frames_c.data_head(1, 5, True)
    return list(map(str, found)), written


def streams() -> Any:
    table, stream = streams_c.StreamTable(5000), streams_c.StreamState(b"GET", True, 3000)
    decoder = hpack_c.HpackDecoder()
    stream.id, stream.plain, table.streams[1] = 1, True, stream
    pieces = [(0, 0, 1, b"x" * 300, 300), (0, 1, 1, b"y" * 200, 200)]
    streams_c.deliver(table, [(1, 4, 1, b"\x88", 1), *pieces], decoder.decode_response, 1000)
    return stream.head.status, stream.take_whole(), table.room, stream.left


class NoLoop:
    def call_soon(self, call: Callable[[], object], *, context: contextvars.Context) -> None:
        call()


def waits() -> Any:
    wakes = streams_c.WakeList(NoLoop())
    waiter, other = wakes.waiter(), streams_c.TaskWaiter(wakes)
    waiter.add_done_callback(str, context=contextvars.Context())
    waiter.set()
    return waiter.result(), other.cancel()


def body() -> Any:
    collected = buffer_c.BodyBuffer(3000)
    collected.append(b"x" * 1000)
    view = memoryview(collected.view())
    view[:500] = b"y" * 500
    collected.buffer_updated(500)
    collected.append(b"z" * 1500)
    del view
    return collected.finish()


def urls() -> Any:
    form = urls_c.urlencode([("a", "b c"), ("d", ["ä", 1])]), urls_c.primitive_value_to_str(12345)
    return urls_c.split_url("https://host.example:8443/a b/ä?q=ü#f"), form


def lines() -> Any:
    encoded = fields_c.encode_lines([("Name", "value"), (b"Other", "x" * 100)], "ascii")
    lowered = fields_c.lower_lines(encoded, frozenset((b"host",)), frozenset((b"te",)), frozenset())
    merged = fields_c.merge_lines(encoded, [b"name", b"other"], [("Name", "new"), ("More", "y" * 40)], frozenset())
    return encoded, lowered, merged


def json() -> Any:
    text = r'{"items": [{"some name": 123456789, "é": 1.5}, {"some name": "text \n", "ö": "ä"}, 12345678901234567890]}'
    return json_c.parse_json(text.encode())


async def encoded(text: str) -> bytes:
    return text.encode()


async def encoded_twice() -> tuple[bytes, bytes]:
    return await encoded("ä" * 100), await encoded("b")


def drive() -> Any:
    return drive_c.drive(encoded_twice())


OPERATIONS: list[Callable[[], Any]] = [
    *(head, head_in_pieces, chunks, request, hpack, frames, streams, waits, body, urls, lines, json),
    drive,
]


def main() -> None:
    import _testcapi  # which not every interpreter is built with

    for operation in OPERATIONS:
        wanted, failed, allowed = operation(), 0, 0
        while True:
            _testcapi.set_nomemory(allowed, allowed + 1)
            try:
                found = operation()
            except MemoryError:
                found = None
            finally:
                _testcapi.remove_mem_hooks()
            if found is not None:
                assert found == wanted, (operation.__name__, allowed)
            else:
                failed += 1
                assert operation() == wanted, (operation.__name__, allowed)
            allowed += 1
            # Some allocations may fail without harm: those after the last that fails are beyond the operation's end.
            if found is not None and allowed > 20 and allowed > 4 * failed:
                break
        assert failed > 0, operation.__name__
        sys.stdout.write(f"{operation.__name__}: {failed} of {allowed}\n")


if __name__ == "__main__":
    main()
