"""Every rule of HTTP/2 that a server can break, in every world and with both kernels.

A fault of one stream costs that stream: its sibling goes on, and so does the connection. A fault of the connection
costs all of its streams, and the next request finds another connection. In either case the peer is told, and the pool
is whole.
"""

from __future__ import annotations

import threading
from typing import Any, NamedTuple

import pytest
from kernels import KERNELS, speak_http2

import httpx_fast
from httpx_fast.testing import (
    Close,
    FaultLab,
    HalfClose,
    Hold,
    Http2,
    Mute,
    Read,
    ReadBody,
    ReadFrames,
    ReadHead,
    Repeat,
    Reset,
    Send,
    Tell,
    Tls,
    frames,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

ONE = httpx_fast.Limits(max_connections=1)  # a place that leaked would be missed by the next request
OK = (":status", "200")
OTHERS = [Repeat(Read(), Send(frames.response(b"good")))]
GOOD = [Http2(), *OTHERS]
MIB = 1024 * 1024


@pytest.fixture(params=KERNELS, autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    speak_http2(request.param, monkeypatch)
    return str(request.param)


class Ground:
    """The lab, with HTTP/2 spoken from the first byte on."""

    def __init__(self, lab: FaultLab, backend: Any) -> None:
        self.lab = lab
        self.url = lab.url
        self._backend = backend

    def client(self, **options: Any) -> Any:
        return self._backend.client(**{"limits": ONE, "http1": False, "http2": True, "timeout": 20, **options})

    def told(self, line: str, connection: int = 1) -> bool:
        """Whether the server has read a frame whose line begins so."""
        return any(each.startswith(line) for each in self.lab.frames(connection))


@pytest.fixture
def ground(fault_lab: FaultLab, backend: Any) -> Ground:
    return Ground(fault_lab, backend)


def counts(client: Any) -> dict[str, int]:
    """What the pool counts, but for what is nothing."""
    stats = client._transport.pool.stats()
    names = ("leased", "idle", "connecting", "waiting")
    return {name: getattr(stats, name) for name in names if getattr(stats, name)}


async def goes_on(ground: Ground, client: Any, connections: int) -> None:
    """After a fault nothing is held, and the next request is served."""
    assert (await client.get(ground.url("/next"))).text == "good"
    assert counts(client) == {"idle": 1}
    assert ground.lab.accepted == connections


class Fault(NamedTuple):
    """What the server says on stream 3, what the client makes of it, and what it tells the server."""

    data: bytes
    seen: str
    told: str = "RST_STREAM 3 PROTOCOL_ERROR"


def section(*fields: Any) -> bytes:
    return frames.headers(3, *fields, end=True)


CONNECTION_FIELDS = ("connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade")
LATE = frames.headers(3, OK) + frames.data(3, b"12345", end=True)

STREAM_FAULTS = {
    "upper case": Fault(section(OK, ("X-Thing", "1")), "upper-case letters .*X-Thing"),
    **{
        name: Fault(section(OK, (name, "close")), f"belongs to HTTP/1 connections .*{name}")
        for name in CONNECTION_FIELDS
    },
    "pseudo field late": Fault(section(("a", "b"), OK), "after a regular one"),
    "pseudo field of requests": Fault(section(OK, (":path", "/")), "none of a response"),
    "pseudo field of nobody": Fault(section(OK, (":unheard", "of")), "none of a response"),
    "two statuses": Fault(section(OK, OK), "twice"),
    "no status": Fault(section(("a", "b")), "no status"),
    **{f"status {status!r}": Fault(section((":status", status)), "100 to 999") for status in ("", "20", "2000", "2x0")},
    **{f"value with {byte!r}": Fault(section(OK, ("a", f"b{byte}c")), "NUL, CR or LF") for byte in "\0\r\n"},
    "name without a letter": Fault(section(OK, ("", "b")), "no token"),
    "name with a blank": Fault(section(OK, ("a b", "c")), "no token"),
    "101": Fault(frames.headers(3, (":status", "101")), "101 came"),
    "an interim response that ends": Fault(section((":status", "103")), "interim response 103 ends the stream"),
    "interim responses without end": Fault(
        frames.headers(3, (":status", "103"), ("link", "x" * 16_000)) * 17,
        "interim responses of more than 262144 bytes",
        "RST_STREAM 3 ENHANCE_YOUR_CALM",
    ),
    "shorter than it said": Fault(
        frames.headers(3, OK, ("content-length", "6")) + frames.data(3, b"12345", end=True), "1 bytes less"
    ),
    "longer than it said": Fault(
        frames.headers(3, OK, ("content-length", "4")) + frames.data(3, b"12345", end=True), "1 bytes more"
    ),
    "no body at all": Fault(section(OK, ("content-length", "4")), "4 bytes less"),
    "two lengths": Fault(section(OK, ("content-length", "4"), ("content-length", "5")), "(?i)content-length"),
    "a length that is none": Fault(section(OK, ("content-length", "-1")), "(?i)content-length"),
    "DATA before the head": Fault(frames.data(3, b"12345"), "before a final response's head"),
    "an end without a head": Fault(frames.data(3, end=True), "without a final response"),
    "trailers that do not end": Fault(frames.headers(3, OK) + frames.headers(3, ("a", "b")), "does not end the stream"),
    "trailers with a status": Fault(frames.headers(3, OK) + section(OK), "trailer section has a pseudo field"),
    "bad trailers": Fault(frames.headers(3, OK) + section(("A", "b")), "upper-case"),
    "a head above the limit": Fault(
        section(OK, ("a", "b" * 65536)), "above the limit of 65536", "RST_STREAM 3 ENHANCE_YOUR_CALM"
    ),
    "a bomb of references": Fault(
        section(OK, frames.block(("a", "b" * 4000), index=True), b"\xbe" * 10_000),
        "above the limit of 65536",
        "RST_STREAM 3 ENHANCE_YOUR_CALM",
    ),
    "a window that grows by nothing": Fault(frames.window_update(3, 0), "adds nothing"),
    "a window that overflows": Fault(
        frames.window_update(3, 2**31 - 1), "window of stream 3 would have", "RST_STREAM 3 FLOW_CONTROL_ERROR"
    ),
    "PRIORITY of a wrong size": Fault(frames.frame(2, 0, 3, bytes(4)), "PRIORITY", "RST_STREAM 3 FRAME_SIZE_ERROR"),
}


@pytest.mark.parametrize("name", STREAM_FAULTS)
def test_a_fault_of_a_stream_costs_that_stream(backend, ground, name):
    fault = STREAM_FAULTS[name]
    ground.lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK)),
        Read(),
        Send(fault.data),
        ReadFrames(fault.told),
        Send(frames.data(1, b"sibling", end=True)),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            async with client.stream("GET", ground.url("/sibling")) as sibling:
                with pytest.raises(httpx_fast.RemoteProtocolError, match=fault.seen) as caught:
                    await client.post(ground.url("/victim"), content=b"once")
                assert caught.value.request.url.path == "/victim"
                assert await sibling.aread() == b"sibling"
            await goes_on(ground, client, connections=1)

    backend.run(body)


def block_without_end(stream: int = 3) -> bytes:
    return frames.frame(1, 0, stream, frames.block(OK))


FLOOD = 2  # a stretch of time may end within it: one of the two parts is above the limit then
CALM = "GOAWAY 0 ENHANCE_YOUR_CALM"

CONNECTION_FAULTS = {
    "PUSH_PROMISE": Fault(
        frames.push_promise(3, 2, (":method", "GET")), "PUSH_PROMISE came", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "DATA within a block": Fault(
        block_without_end() + frames.data(3, b"x"), "expected CONTINUATION on stream 3", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "PING within a block": Fault(
        block_without_end() + frames.ping(), "expected CONTINUATION", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "unknown frame within a block": Fault(
        block_without_end() + frames.frame(0x20, 0, 3), "expected CONTINUATION", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "CONTINUATION of another stream": Fault(
        block_without_end() + frames.frame(9, 4, 1), "got CONTINUATION on stream 1", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "CONTINUATION of nothing": Fault(frames.frame(9, 4, 3), "continues nothing", "GOAWAY 0 PROTOCOL_ERROR"),
    **{
        f"{what} of a stream that was never begun": Fault(octets, "never begun", "GOAWAY 0 PROTOCOL_ERROR")
        for what, octets in {
            "DATA": frames.data(5, b"x"),
            "HEADERS": frames.headers(5, OK),
            "RST_STREAM": frames.reset(5),
            "WINDOW_UPDATE": frames.window_update(5, 1),
            "pushed DATA": frames.data(2, b"x"),
            "pushed HEADERS": frames.headers(2, OK),
        }.items()
    },
    "DATA of the connection": Fault(frames.data(0, b"x"), "expected a stream", "GOAWAY 0 PROTOCOL_ERROR"),
    "SETTINGS of a stream": Fault(frames.frame(4, 0, 3), "expected no stream", "GOAWAY 0 PROTOCOL_ERROR"),
    "SETTINGS of a wrong size": Fault(frames.frame(4, 0, 0, bytes(5)), "multiple of 6", "GOAWAY 0 FRAME_SIZE_ERROR"),
    "SETTINGS that say and acknowledge": Fault(frames.frame(4, 1, 0, bytes(6)), "has ACK", "GOAWAY 0 FRAME_SIZE_ERROR"),
    "too large a first window": Fault(
        frames.settings(initial_window_size=2**31), "2147483647 at most", "GOAWAY 0 FLOW_CONTROL_ERROR"
    ),
    "too small frames": Fault(frames.settings(max_frame_size=16383), "16384 to", "GOAWAY 0 PROTOCOL_ERROR"),
    "push switched on": Fault(frames.settings(enable_push=1), "0 from a server", "GOAWAY 0 PROTOCOL_ERROR"),
    "PING of seven bytes": Fault(frames.ping(bytes(7)), "PING has 7 bytes", "GOAWAY 0 FRAME_SIZE_ERROR"),
    "GOAWAY of four bytes": Fault(frames.frame(7, 0, 0, bytes(4)), "GOAWAY has 4", "GOAWAY 0 FRAME_SIZE_ERROR"),
    "RST_STREAM of five bytes": Fault(frames.frame(3, 0, 3, bytes(5)), "RST_STREAM has 5", "GOAWAY 0 FRAME_SIZE_ERROR"),
    "a frame above the limit": Fault(
        frames.frame(0, 0, 3, bytes(262145)), "above the limit of 262144", "GOAWAY 0 FRAME_SIZE_ERROR"
    ),
    "more padding than frame": Fault(
        frames.frame(0, 8, 3, b"\x05abc"), "5 bytes of padding", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "the connection's window grows by nothing": Fault(
        frames.window_update(0, 0), "adds nothing", "GOAWAY 0 PROTOCOL_ERROR"
    ),
    "the connection's window overflows": Fault(
        frames.window_update(0, 2**31 - 1), "window of the connection would have", "GOAWAY 0 FLOW_CONTROL_ERROR"
    ),
    "windows of open streams overflow": Fault(
        frames.window_update(3, 2**31 - 1 - 65535) + frames.settings(initial_window_size=65600),
        "SETTINGS_INITIAL_WINDOW_SIZE makes the window of stream 3",
        "GOAWAY 0 FLOW_CONTROL_ERROR",
    ),
    "an index of no table": Fault(section(b"\xff\xff\x7f"), "is in no table", "GOAWAY 0 COMPRESSION_ERROR"),
    "a string cut short": Fault(section(b"\0\x05abc"), "has 5 bytes, and 3", "GOAWAY 0 COMPRESSION_ERROR"),
    "padding that is none": Fault(section(b"\0\x81\0\0"), "neither a code nor padding", "GOAWAY 0 COMPRESSION_ERROR"),
    "a table above the limit": Fault(section(b"\x3f\xe2\x1f"), "above the limit of 4096", "GOAWAY 0 COMPRESSION_ERROR"),
    "PINGs without end": Fault(frames.ping() * 2001 * FLOOD, "more than 2000 control frames", CALM),
    "SETTINGS without end": Fault(frames.settings() * 2001 * FLOOD, "more than 2000 control frames", CALM),
    "RST_STREAM without end": Fault(
        frames.headers(3, OK) + frames.reset(1) * 2001 * FLOOD, "more than 2000 control frames", CALM
    ),
    "unknown frames without end": Fault(frames.frame(0x20, 0, 0) * 2001 * FLOOD, "more than 2000 control frames", CALM),
    "empty DATA without end": Fault(
        frames.headers(3, OK) + frames.data(3) * 1001 * FLOOD, "more than 1000 empty DATA frames", CALM
    ),
    "WINDOW_UPDATE without end": Fault(
        frames.window_update(0, 1) * 2010 * FLOOD, "more than 2000 WINDOW_UPDATE frames", CALM
    ),
    "CONTINUATION without end": Fault(
        block_without_end() + frames.frame(9, 0, 3) * 65, "64 CONTINUATION frames, the most", CALM
    ),
    "a block without end": Fault(
        block_without_end() + frames.frame(9, 0, 3, bytes(16384)) * 9, "more than 131072 bytes", CALM
    ),
    "settings without end": Fault(frames.settings(*[(0x99, 1)] * 65), "more than 64 settings in one frame", CALM),
    "no HTTP/2 any more": Fault(b"HTTP/1.1 400 Bad Request\r\n\r\n", "above the limit", "GOAWAY 0 FRAME_SIZE_ERROR"),
}


@pytest.mark.parametrize("name", CONNECTION_FAULTS)
def test_a_fault_of_the_connection_costs_all_of_its_streams(backend, ground, name):
    fault = CONNECTION_FAULTS[name]
    told = threading.Event()
    broken = [
        Http2(),
        Read(),
        Send(frames.headers(1, OK)),
        Read(),
        Send(fault.data),
        ReadFrames(fault.told),
        Tell(told),
    ]
    ground.lab.serve([*broken, ReadFrames()], GOOD)

    async def body():
        async with ground.client() as client:
            async with client.stream("GET", ground.url("/sibling")) as sibling:
                with pytest.raises(httpx_fast.RemoteProtocolError, match=fault.seen) as caught:
                    await client.post(ground.url("/victim"), content=b"once")
                assert caught.value.request.url.path == "/victim"
                if not name.startswith("RST_STREAM without"):  # which the sibling was told before
                    with pytest.raises(httpx_fast.RemoteProtocolError, match=fault.seen):
                        await sibling.aread()
            await backend.hear(told)
            await goes_on(ground, client, connections=2)

    backend.run(body)


@pytest.fixture(params=[False, True], ids=["cleartext", "tls"])
def secure(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class Reached(NamedTuple):
    """How to reach the lab."""

    first: list[Any]
    options: dict[str, Any]
    url: Any


@pytest.fixture
def reached(fault_lab: FaultLab, secure: bool) -> Reached:
    if not secure:
        return Reached([], {"http1": False}, fault_lab.url)
    return Reached([Tls("h2", "http/1.1")], {"verify": fault_lab.client_context("h2", "http/1.1")}, fault_lab.tls_url)


def test_http2_is_spoken_in_cleartext_and_by_agreement(backend, ground, reached):
    ground.lab.serve(*reached.first, *GOOD)

    async def body():
        async with ground.client(**{"http1": True, **reached.options}) as client:
            answer = await client.post(reached.url("/first"), content=b"once", headers={"X-Thing": "value"})
            assert (answer.text, answer.http_version) == ("good", "HTTP/2")
            assert (await client.get(reached.url("/second"))).journey.nth == 2
        first, second = ground.lab.requests
        assert (first.method, first.target, first.body, first.stream, first.nth) == ("POST", "/first", b"once", 1, 1)
        assert first.field("x-thing") == "value"
        assert first.field(":authority") == f"127.0.0.1:{ground.lab.port}"
        assert (second.target, second.stream, second.nth) == ("/second", 3, 2)
        assert ground.lab.frames()[:2] == [
            "SETTINGS enable_push=0 initial_window_size=1048576 max_frame_size=262144 max_header_list_size=65536",
            "WINDOW_UPDATE 0 67043329",
        ]
        assert ground.told("HEADERS 1")

    backend.run(body)


ANSWER = (
    frames.headers(1, (":status", "103"), ("link", "</style>"))
    + frames.headers(1, OK, ("content-length", "9"), ("x-thing", "value"), cuts=(3, 20))
    + frames.data(1, b"12345", padding=7)
    + frames.data(1, b"6789")
    + frames.headers(1, ("x-sum", "45"), end=True)
)


@pytest.mark.parametrize("ending", [Reset(), Close(notify=False), HalfClose()], ids=["reset", "closed", "half-closed"])
@pytest.mark.parametrize("cut", range(0, len(ANSWER), 5))
def test_an_exchange_may_end_at_any_byte(backend, ground, cut, ending):
    ground.lab.serve([Http2(), Read(), Send(ANSWER[:cut]), ending, Hold()], GOOD)
    ground.lab.release(None)

    async def body():
        async with ground.client() as client:
            with pytest.raises((httpx_fast.ReadError, httpx_fast.RemoteProtocolError), match=r"127\.0\.0\.1|peer"):
                await client.post(ground.url(), content=b"once")
            assert counts(client) == {}
            await goes_on(ground, client, connections=2)

    backend.run(body)


def test_an_exchange_may_come_byte_by_byte_over_tls(backend, ground, secure, reached):
    if not secure:
        pytest.skip("the other test has it")
    pieces = [Send(ANSWER[at : at + 1]) for at in range(len(ANSWER))]
    ground.lab.serve(*reached.first, Http2(), Read(), *pieces, *OTHERS)

    async def body():
        async with ground.client(**{"http1": True, **reached.options}) as client:
            answer = await client.get(reached.url())
            assert (answer.content, answer.headers["x-thing"]) == (b"123456789", "value")
            assert answer.trailers["x-sum"] == "45"
            assert answer.informational[0].headers["link"] == "</style>"
            assert (await client.get(reached.url())).text == "good"

    backend.run(body)


@pytest.mark.parametrize("name", ["nothing", "settings", "a head", "half a body"])
def test_silence_is_a_read_timeout_of_one_exchange(backend, ground, name):
    said = {
        "nothing": [],
        "settings": [Http2(), Read()],
        "a head": [Http2(), Read(), Send(frames.headers(1, OK))],
        "half a body": [Http2(), Read(), Send(frames.headers(1, OK) + frames.data(1, b"half"))],
    }[name]
    ground.lab.serve(*said, *([ReadFrames("RST_STREAM 1 CANCEL"), *OTHERS] if said else [Mute()]))

    async def body():
        async with ground.client() as client:
            with pytest.raises(httpx_fast.ReadTimeout, match=r"^read timed out after .* of 0\.05 s: .* on stream 1"):
                await client.get(ground.url(), timeout=httpx_fast.Timeout(20, read=0.05))
            if said:
                await goes_on(ground, client, connections=1)

    backend.run(body)


# Settings, windows, and what else moves while streams are open.


def test_streams_wait_while_none_are_allowed(backend, ground):
    """SETTINGS_MAX_CONCURRENT_STREAMS falls to 0 while a stream is open, and rises before it ends."""
    ground.lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK) + frames.settings(max_concurrent_streams=0)),
        ReadFrames("SETTINGS ack"),
        Send(frames.data(1, b"fir")),
        Hold(),
        Send(frames.settings(max_concurrent_streams=2)),
        Read(),
        Send(frames.response(b"good")),
        Send(frames.data(1, b"st", end=True)),
        *OTHERS,
    )

    async def body():
        set_already = threading.Event()
        set_already.set()
        async with ground.client() as client:

            async def first():
                async with client.stream("GET", ground.url("/first")) as answer:
                    pieces = answer.aiter_raw()
                    assert await anext(pieces) == b"fir"
                    begun.set()
                    while not counts(client).get("waiting"):
                        await backend.hear(set_already)  # gives the other one its turn
                    ground.lab.release()
                    assert await anext(pieces) == b"st"

            async def second():
                await begun.wait()
                answer = await client.get(ground.url("/second"))
                assert (answer.text, answer.journey.nth) == ("good", 2)

            begun = backend.event()
            await backend.together(first, second)
            await goes_on(ground, client, connections=1)

    backend.run(body)


def test_a_peer_that_allows_no_stream_is_left_for_another_connection(backend, ground):
    ground.lab.serve(
        [
            Http2(),
            Read(),
            Send(frames.settings(max_concurrent_streams=0)),
            Send(frames.response(b"good")),
            ReadFrames(),
        ],
        GOOD,
    )

    async def body():
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            await goes_on(ground, client, connections=2)

    backend.run(body)


def test_a_window_may_fall_below_zero_and_the_body_waits_until_it_is_above(backend, ground):
    """SETTINGS_INITIAL_WINDOW_SIZE falls by what was sent already; RFC 9113 s.6.9.2."""
    octets = bytes(range(256)) * 400  # 102,400
    ground.lab.serve(
        Http2(answers=False),
        ReadHead(),
        ReadFrames("DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383"),
        # Window of the stream: 0 - 65535 + 10 is -65525; by 65525 more it is 0, and by 1 more there is room for one.
        Send(frames.window_update(0, 2**20) + frames.settings(initial_window_size=10)),
        ReadFrames("SETTINGS ack"),
        Send(frames.window_update(1, 65525)),
        Send(frames.ping(b"nothing.")),
        ReadFrames("PING ack"),
        Send(frames.window_update(1, 1)),
        ReadFrames("DATA 1 1"),
        Send(frames.settings(initial_window_size=2**20)),
        ReadBody(),
        Send(frames.response(b"all")),
        ReadFrames(),
    )

    async def body():
        async with ground.client() as client:
            assert (await client.post(ground.url(), content=octets)).text == "all"
        assert ground.lab.requests[0].body == octets
        lines = ground.lab.frames()
        assert lines[lines.index("PING ack 6e6f7468696e672e") + 1] == "DATA 1 1"

    backend.run(body)


def test_a_body_waits_for_the_window_of_the_connection(backend, ground):
    ground.lab.serve(
        Http2(answers=False, initial_window_size=2**20),
        ReadHead(),
        ReadFrames("DATA 1 16384", "DATA 1 16384", "DATA 1 16384", "DATA 1 16383"),
        Send(frames.ping(b"nothing.")),
        ReadFrames("PING ack"),
        Send(frames.window_update(0, 7)),
        ReadFrames("DATA 1 7"),
        Send(frames.window_update(0, 2**20)),
        ReadBody(),
        Send(frames.response(b"all")),
        ReadFrames(),
    )

    async def body():
        async with ground.client() as client:
            assert (await client.post(ground.url(), content=bytes(100_000))).text == "all"
        assert len(ground.lab.requests[0].body) == 100_000

    backend.run(body)


@pytest.mark.parametrize("size", [0, 1, 100, 2**32 - 1])
def test_the_size_of_the_header_table_may_change(backend, ground, size):
    """The next block begins with a change of the table's size, or the server could not decode it (RFC 7541 s.4.2)."""
    ground.lab.serve(
        Http2(),
        Repeat(Read(), Send(frames.response(b"good")), times=2),
        Read(),
        Send(frames.settings(header_table_size=size)),
        ReadFrames("SETTINGS ack"),
        Send(frames.response(b"good")),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            for number in range(8):
                headers = {"X-Number": str(number % 3), "X-Same": "same"}
                assert (await client.get(ground.url(), headers=headers)).text == "good"
            assert [each.field("x-number") for each in ground.lab.requests] == [*"01201201"]
            assert {each.field("x-same") for each in ground.lab.requests} == {"same"}

    backend.run(body)


def test_a_section_above_what_the_peer_takes_is_not_sent(backend, ground):
    ground.lab.serve(Http2(max_header_list_size=400), *OTHERS)

    async def body():
        async with ground.client() as client:
            await client.get(ground.url(), headers={"User-Agent": "x"})
            with pytest.raises(httpx_fast.LocalProtocolError, match="the peer takes 400"):
                await client.get(ground.url(), headers={"X-Large": "x" * 400})
            await client.get(ground.url(), headers={"User-Agent": "x"})
            assert counts(client) == {"idle": 1}
        assert len(ground.lab.requests) == 2

    backend.run(body)


def test_what_means_nothing_is_ignored(backend, ground):
    odd = [
        frames.frame(0x20, 0xFF, 0, b"new"),
        frames.frame(0x21, 0, 1, b"new"),
        frames.frame(0x22, 0, 77, b"new"),
        frames.settings((0x99, 1), (0xFFFF, 2**32 - 1)),
        frames.frame(4, 0xFE, 0),  # SETTINGS with flags that there are not
        frames.frame(2, 0, 1, bytes(5)),  # PRIORITY
        frames.frame(2, 0, 77, bytes(5)),
        frames.frame(1, 0x2D, 1, b"\0" + bytes(5) + frames.block(OK)),  # HEADERS with padding, priority, and an end
    ]
    ground.lab.serve(Http2(), Read(), *map(Send, odd), *OTHERS)

    async def body():
        async with ground.client() as client:
            assert (await client.get(ground.url())).status_code == 200
            await goes_on(ground, client, connections=1)

    backend.run(body)


@pytest.mark.parametrize("idle", [False, True], ids=["while a stream is open", "while idle"])
def test_a_ping_is_answered(backend, ground, idle):
    answered = threading.Event()
    ping = [Send(frames.ping(b"whoknows")), ReadFrames("PING ack 77686f6b6e6f7773"), Tell(answered)]
    answer = [Send(frames.response(b"good"))]
    ground.lab.serve(Http2(), Read(), *(answer + ping if idle else ping + answer), *OTHERS)

    async def body():
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            if idle and backend.name not in ("asyncio", "uvloop"):  # where nobody reads while idle, the next one does
                assert (await client.get(ground.url())).text == "good"
            await backend.hear(answered)

    backend.run(body)


# What ends streams, and what is sent again.


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_goaway_says_was_not_processed_is_sent_again(backend, ground, method):
    """Stream 1 goes on, stream 3 above the last one finds another connection, even as a POST."""
    ground.lab.serve(
        [
            Http2(),
            Read(),
            Send(frames.headers(1, OK)),
            Read(),
            Send(frames.goaway(1, "NO_ERROR", b"so long")),
            Hold(),
            Send(frames.data(1, b"sibling", end=True)),
            ReadFrames(),
        ],
        GOOD,
    )

    async def body():
        async with ground.client(limits=httpx_fast.Limits(max_connections=2)) as client:
            async with client.stream("GET", ground.url("/sibling")) as sibling:
                answer = await client.request(method, ground.url("/again"), content=b"once")
                assert (answer.text, answer.journey.nth) == ("good", 1)
                (attempt,) = answer.journey.attempts
                assert "GOAWAY: NO_ERROR b'so long'" in attempt.failure
                ground.lab.release()
                assert await sibling.aread() == b"sibling"
            await goes_on(ground, client, connections=2)
        assert [each.target for each in ground.lab.requests] == ["/sibling", "/again", "/again", "/next"]

    backend.run(body)


def test_goaway_above_all_streams_lets_all_of_them_end(backend, ground):
    ground.lab.serve(
        [Http2(), Read(), Send(frames.goaway(2**31 - 1)), Send(frames.response(b"last")), ReadFrames()], GOOD
    )

    async def body():
        async with ground.client() as client:
            assert (await client.post(ground.url(), content=b"once")).text == "last"
            await goes_on(ground, client, connections=2)

    backend.run(body)


def test_a_stream_that_goaway_lets_end_and_the_end_cuts_off_is_no_second_try(backend, ground):
    ground.lab.serve([Http2(), Read(), Send(frames.goaway(1, "INTERNAL_ERROR")), Close()], GOOD)

    async def body():
        async with ground.client() as client:
            with pytest.raises(
                httpx_fast.RemoteProtocolError, match="ended the connection, its last stream is 1: GOAWAY: INTERNAL_"
            ):
                await client.post(ground.url(), content=b"once")
            await goes_on(ground, client, connections=2)

    backend.run(body)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_sent_again(backend, ground, method):
    ground.lab.serve(Http2(), Read(), Send(frames.reset(1, "REFUSED_STREAM")), *OTHERS)

    async def body():
        async with ground.client() as client:
            answer = await client.request(method, ground.url("/again"), content=b"once")
            assert (answer.text, len(answer.journey.attempts)) == ("good", 1)
            await goes_on(ground, client, connections=1)
        assert [(each.target, each.body) for each in ground.lab.requests[:2]] == [("/again", b"once")] * 2

    backend.run(body)


def test_a_peer_that_refuses_every_stream_is_an_error(backend, ground):
    refusing = [Http2(), Repeat(Read(), Send(lambda request: frames.reset(request.stream, "REFUSED_STREAM")))]
    ground.lab.serve(refusing)

    async def body():
        async with ground.client() as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="REFUSED_STREAM") as caught:
                await client.get(ground.url())
            assert len(caught.value.journey.attempts) == 3
            ground.lab.serve(GOOD)
            assert set(counts(client)) <= {"idle"}

    backend.run(body)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
def test_a_reset_within_a_body_is_an_error_of_that_stream(backend, ground, streamed):
    ground.lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK) + frames.data(1, b"half")),
        Hold(),
        Send(frames.reset(1, "INTERNAL_ERROR")),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            if not streamed:
                ground.lab.release()
            with pytest.raises(httpx_fast.RemoteProtocolError, match="peer reset stream 1: INTERNAL_ERROR"):
                async with client.stream("POST", ground.url(), content=b"once") as answer:
                    pieces = []
                    async for piece in answer.aiter_raw():
                        pieces.append(piece)
                        ground.lab.release()
            assert pieces == [b"half"]
            await goes_on(ground, client, connections=1)

    backend.run(body)


@pytest.mark.parametrize("resets", [True, False], ids=["reset", "ended only"])
def test_an_answer_before_the_end_of_the_body_counts(backend, ground, resets):
    """RFC 9113 s.8.1: RST_STREAM with NO_ERROR after a whole response says that the rest of the body is not wanted."""
    early = frames.headers(1, (":status", "413"), end=True)
    ground.lab.serve(
        Http2(answers=False),
        ReadHead(),
        Send(early + (frames.reset(1, "NO_ERROR") if resets else b"")),
        *([] if resets else [ReadFrames("RST_STREAM 1")]),
        Send(frames.window_update(0, 65535)),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            assert (await client.post(ground.url(), content=bytes(MIB))).status_code == 413
            assert counts(client) == {"idle": 1}
            await goes_on(ground, client, connections=1)

    backend.run(body)


def test_a_body_goes_out_while_the_response_streams_in(backend, ground):
    """Each piece is sent back before the next one is made: neither side waits for the other's end."""

    class Echo:
        async def run(self, dialogue: Any) -> None:
            conversation = dialogue.http2
            line = ""
            while not line.endswith("end"):
                line = await conversation.hear()
                if line.startswith("DATA 1"):
                    size = int(line.split()[2])
                    await dialogue.connection.send(frames.data(1, b"x" * size, end=line.endswith("end")))

    ground.lab.serve(Http2(initial_window_size=1000), ReadHead(), Send(frames.headers(1, OK)), Echo(), *OTHERS)

    async def body():
        async with ground.client() as client:
            content = backend.content([b"x" * 700] * 50)
            async with client.stream("POST", ground.url(), content=content) as answer:
                assert len(await answer.aread()) == 35_000
            await goes_on(ground, client, connections=1)

    backend.run(body)


def test_late_data_is_counted_and_its_credit_returned(backend, ground):
    """After our reset the peer goes on for a while: 48 MiB of the connection's 64, twice, fit only with credit."""

    class Credited:
        async def run(self, dialogue: Any) -> None:
            while len([line for line in dialogue.lines if line.startswith("WINDOW_UPDATE 0")]) < 2:
                await dialogue.http2.hear()

    mib = frames.data(1, bytes(256 * 1024)) * 4
    ground.lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK) + frames.data(1, b"begun")),
        ReadFrames("RST_STREAM 1 CANCEL"),
        Repeat(Send(mib), times=48),
        Read(),
        Credited(),
        Repeat(Send(mib), times=48),
        Send(frames.response(b"good")),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            async with client.stream("GET", ground.url("/left")) as answer:
                async for piece in answer.aiter_raw():
                    assert piece == b"begun"
                    break
            assert (await client.get(ground.url("/after"))).text == "good"
            await goes_on(ground, client, connections=1)

    backend.run(body)


@pytest.mark.parametrize("name", ["DATA", "HEADERS"])
def test_frames_after_the_end_of_a_stream_break_the_connection(backend, ground, name):
    late = {"DATA": frames.data(1, b"late"), "HEADERS": frames.headers(1, OK, end=True)}[name]
    ground.lab.serve(
        [Http2(), Read(), Send(frames.response(b"good")), Read(), Send(late), ReadFrames("GOAWAY 0 STREAM_CLOSED")],
        GOOD,
    )

    async def body():
        async with ground.client() as client:
            assert (await client.get(ground.url())).text == "good"
            with pytest.raises(httpx_fast.RemoteProtocolError, match=f"{name} came after the end of stream 1"):
                await client.post(ground.url(), content=b"once")
            await goes_on(ground, client, connections=2)

    backend.run(body)


def test_data_above_the_window_of_a_stream_costs_that_stream(backend, ground):
    """Nobody claims what comes, so nothing is given back: one byte above the window is one too many."""
    full = frames.data(3, bytes(256 * 1024)) * 4
    told = threading.Event()
    ground.lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK)),
        Read(),
        Send(frames.headers(3, OK) + full + frames.data(3, b"x")),
        ReadFrames("RST_STREAM 3 FLOW_CONTROL_ERROR"),
        Tell(told),
        Send(frames.data(1, b"sibling", end=True)),
        *OTHERS,
    )

    async def body():
        async with ground.client() as client:
            async with client.stream("GET", ground.url()) as sibling, client.stream("GET", ground.url()) as victim:
                assert await sibling.aread() == b"sibling"  # which reads all that is before it, too
                await backend.hear(told)
                with pytest.raises(httpx_fast.RemoteProtocolError, match="1 more than the window of stream 3"):
                    await victim.aread()
            await goes_on(ground, client, connections=1)

    backend.run(body)


def test_a_stream_that_nobody_reads_starves_nobody(backend, ground):
    """Streams are held back by their own windows: 70 of them would fill the connection's, and a new one has room."""
    unread = 70
    full = [
        step
        for number in range(1, 2 * unread, 2)
        for step in (Read(), Send(frames.headers(number, OK) + frames.data(number, bytes(256 * 1024)) * 4))
    ]
    ends = b"".join(frames.data(number, end=True) for number in range(1, 2 * unread, 2))
    ground.lab.serve(Http2(), *full, Read(), Send(frames.response(b"x" * 65000)), Send(ends), *OTHERS)

    async def body():
        async with ground.client() as client:
            responses = []
            for _ in range(unread):
                request = client.build_request("GET", ground.url())
                responses.append(await client.send(request, stream=True))
            assert len((await client.get(ground.url())).content) == 65000
            for response in responses:
                assert len(await response.aread()) == MIB
            await goes_on(ground, client, connections=1)

    backend.run(body)


def test_an_answer_of_http1_is_named(backend, ground):
    ground.lab.serve([Send(response(b"hello")), Mute()])

    async def body():
        async with ground.client() as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="this is HTTP/1"):
                await client.get(ground.url())
            assert counts(client) == {}

    backend.run(body)
