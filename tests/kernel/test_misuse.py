r"""What callers must not do costs an exception and nothing else, the same one with both twins.

Arguments are drawn from what breaks C: objects that change their mind between two looks, subclasses with methods of
their own, buffers of other shapes, buffers that change during the call, numbers of any size, and code that uses the
very object that is calling it. Reads and writes outside of what there is are seen with AddressSanitizer:

    CFLAGS=-fsanitize=address LDFLAGS=-fsanitize=address python setup.py build_ext --inplace --force
    LD_PRELOAD=$(gcc -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0 PYTHONMALLOC=malloc \
        HTTPX_FAST_MISUSE_SEEDS=20000 python -m pytest -s tests/kernel/test_misuse.py
"""

from __future__ import annotations

import array
import os
import random
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from httpx_fast._exceptions import LocalProtocolError, RemoteProtocolError

SEEDS = int(os.environ.get("HTTPX_FAST_MISUSE_SEEDS", "1500"))  # of each kind of object
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nSet-Cookie: a\r\n\r\nabc"
CHUNKS = b"3;x=1\r\nabc\r\n10\r\n0123456789abcdef\r\n0\r\nTrailer: t\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
FRAMES = SETTINGS + b"\0\0\1\1\4\0\0\0\1\x88" + b"\0\0\3\0\1\0\0\0\1abc" + b"\0\0\x08\6\0\0\0\0\0pingpong"
BLOCK = b"\x88\x40\x01a\x05 b c \xbe\x5c\x013\x00\x01n\x82\x1d\x7f"
#: What a wrong argument may raise.
REFUSALS = (TypeError, ValueError, OverflowError, BufferError)
NUMBERS = (0, 1, 2, 3, 9, 17, 64, 300, 4096, 16384, 2**24, 2**31, -1, -2, -(2**31))
HUGE = (2**63 - 1, 2**63, 2**64, 2**70, -(2**63), -(2**63) - 1, -(2**200), 10**5000)


Call = tuple[str, tuple[Any, ...]]


class Evil(Exception):
    """What the objects below raise."""


class Shifty:
    """An iterable that gives other things each time it is asked."""

    def __init__(self, *answers: Callable[[], Any]) -> None:
        self.answers = answers
        self.asked = 0

    def __iter__(self) -> Iterator[Any]:
        self.asked += 1
        return iter(self.answers[min(self.asked, len(self.answers)) - 1]())

    def __len__(self) -> int:
        return 1 if self.asked else 2**62


class Bytes(bytes):
    """Bytes whose methods say something else than what they hold."""

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[int]:
        raise Evil("iterated")

    def __bytes__(self) -> bytes:
        return b"x\r\nInjected: 1"

    def __buffer__(self, flags: int) -> memoryview:  # heeded from CPython 3.12 on
        return memoryview(b"y\r\nInjected: 2")

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 0

    def lower(self) -> bytes:
        return b"z"


class Buffering:
    """A buffer of 3.12 and later that does something when it is asked for, and when it is let go of."""

    def __init__(self, data: bytearray, act: Callable[[], object]) -> None:
        self.data = data
        self.act = act

    def __buffer__(self, flags: int) -> memoryview:
        self.act()
        return memoryview(self.data)

    def __release_buffer__(self, view: memoryview) -> None:
        view.release()
        try:
            self.act()
        except Evil:
            pass  # nobody could be told


class Indexing:
    """A number that does something when it is asked for."""

    def __init__(self, number: int, act: Callable[[], object]) -> None:
        self.number = number
        self.act = act

    def __index__(self) -> int:
        self.act()
        return self.number


class Watching:
    """A set that does something when it is looked into, and when it is let go of."""

    def __init__(self, act: Callable[[], object]) -> None:
        self.act = act

    def __contains__(self, name: object) -> bool:
        self.act()
        return name == b"a"


class Maker:
    """Draws arguments; one that is made with the same seed draws the same ones."""

    def __init__(self, seed: int, target: Any = None) -> None:
        self.chance = random.Random(seed)
        self.target = target
        #: Something was drawn that the twins may take in different ways: what has `__index__` is a number to C alone,
        #: buffers are let go of at other times, and attributes of the pure twin take anything.
        self.only_alive = False
        self.depth = 0

    def one_of(self, *ways: Callable[[], Any]) -> Any:
        return self.chance.choice(ways)()

    def act(self) -> object:
        """Uses the object that is being used, raises, or does nothing."""
        self.depth += 1
        if self.depth > 3:
            return None
        return self.one_of(lambda: None, self.raise_evil, self.use_target)

    def raise_evil(self) -> object:
        raise Evil("acted")

    def use_target(self) -> object:
        target = self.target
        for name, arguments in (
            ("reset", ()),
            ("feed", (HEAD, 0, 9)),
            ("decode", (BLOCK,)),
            ("encode", ([(b"b", b"c" * 200)],)),
            ("append", (b"x",)),
        ):
            if hasattr(target, name) and self.chance.random() < 0.6:
                try:
                    getattr(target, name)(*arguments)
                except (*REFUSALS, RemoteProtocolError):
                    pass
        return None

    def number(self) -> Any:
        chance = self.chance
        if chance.random() < 0.8:
            return chance.choice(NUMBERS)
        return self.one_of(
            lambda: chance.choice(HUGE), self.broken, lambda: "1", lambda: None, lambda: True, lambda: b"1", self.index
        )

    def broken(self) -> float:
        self.only_alive = True
        return 1.5

    def setting(self, name: str) -> Call:
        number = self.number()
        self.only_alive |= type(number) is not int or number not in NUMBERS or number < 0
        return "set", (name, number)

    def index(self) -> Any:
        self.only_alive = True
        return Indexing(self.chance.choice(NUMBERS), self.act)

    def data(self) -> bytes:
        chance = self.chance
        data = bytearray(chance.choice((HEAD, CHUNKS, FRAMES, BLOCK, b"", b"a", b"a: b", b"x" * 700)))
        for _ in range(chance.choice((0, 0, 1, 3))):
            if data:
                data[chance.randrange(len(data))] = chance.randrange(256)
        return bytes(data)

    def buffer(self) -> Any:
        if self.chance.random() < 0.5:
            return self.data()
        ways = [
            lambda: bytearray(self.data()),
            lambda: memoryview(self.data()),
            lambda: memoryview(self.data())[::2],
            lambda: memoryview(self.data())[::-1],
            lambda: memoryview(self.data() + b"1234567"[: -len(self.data()) % 4]),
            lambda: array.array("I", range(40)),
            lambda: array.array("b", b"HTTP/1.1 200 OK\r\n\r\n"),
            lambda: memoryview(bytes(24)).cast("B", (4, 6)),
            lambda: memoryview(bytes(24)).cast("d"),
            self.released,
            lambda: "text",
            lambda: None,
            lambda: 5,
            lambda: [72, 84],
            self.itself,
        ]
        if sys.version_info >= (3, 12) and sys.implementation.name == "cpython":
            ways += [self.buffering] * 3
        return self.one_of(*ways)

    def itself(self) -> Any:
        self.only_alive = True  # a BodyBuffer is a buffer to C alone
        return self.target

    def buffering(self) -> Any:
        self.only_alive = True
        return Buffering(bytearray(self.data()), self.act)

    def released(self) -> Any:
        view = memoryview(b"abc")
        view.release()
        return view

    def text(self) -> Any:
        """A method, target, name or value, mostly a good one."""
        chance = self.chance
        if chance.random() < 0.75:
            return chance.choice((b"a", b"GET", b"/", b"host", b"x" * 5, b"b" * 3000, b"cookie", b"c d", b"Up"))
        return self.one_of(
            lambda: b"",
            lambda: b"a\r\nb: c",
            lambda: b" a",
            lambda: b"\xff\0",
            lambda: Bytes(b"a"),
            lambda: Bytes(b"a\r\n"),
            lambda: bytearray(b"a"),
            lambda: memoryview(b"a"),
            lambda: "a",
            lambda: None,
            lambda: 7,
        )

    def pair(self) -> Any:
        name, value = self.text(), self.text()
        return self.one_of(
            lambda: (name, value),
            lambda: (name, value),
            lambda: (name, value),
            lambda: [name, value],
            lambda: Shifty(lambda: (b"a", b"b"), lambda: (b"a", b"b" * 100_000)),
            lambda: Shifty(lambda: (b"a", b"b" * 5000), lambda: (b"a\r\n", b"b\0")),
            lambda: Shifty(lambda: (b"a", b"b"), lambda: ("a", None)),
            lambda: Shifty(lambda: (name, value), lambda: ()),
            self.acting_pair,
            lambda: (name, value, name),
            lambda: (name,),
            lambda: None,
            lambda: b"ab",
            lambda: 5,
        )

    def acting_pair(self) -> Iterator[bytes]:
        yield b"a"
        self.act()
        yield b"b"

    def fields(self) -> Any:
        pairs = [self.pair() for _ in range(self.chance.randrange(4))]
        return self.one_of(
            lambda: pairs,
            lambda: tuple(pairs),
            lambda: iter(pairs),
            lambda: self.shrinking(pairs),
            lambda: Shifty(lambda: pairs, lambda: [(b"a", b"b" * 100_000)]),
            lambda: self.acting(pairs),
            lambda: None,
            lambda: 5,
        )

    def shrinking(self, pairs: list[Any]) -> Any:
        """A list that changes while it is read."""

        def pair() -> Iterator[bytes]:
            yield b"a"
            pairs.clear()
            pairs.extend([(b"late", b"x" * 10_000)] * 3)
            yield b"b"

        pairs.insert(0, pair())
        return pairs

    def acting(self, pairs: list[Any]) -> Iterator[Any]:
        for pair in pairs:
            self.act()
            yield pair

    def sensitive(self) -> Any:
        return self.one_of(
            lambda: None,
            lambda: None,
            lambda: frozenset((b"a",)),
            lambda: {b"host", b"c"},
            lambda: Watching(self.act),
            lambda: [b"a"],
            lambda: b"a",
            lambda: 5,
        )

    def span(self, data: Any) -> tuple[Any, Any]:
        """Where to read in `data`, mostly all of it."""
        chance = self.chance
        size = len(data) if isinstance(data, (bytes, bytearray)) else chance.choice((0, 24, 40, 160))
        if chance.random() < 0.7:
            start = chance.choice((0, 0, 0, min(1, size)))
            return start, chance.choice((size, size, max(start, size // 2)))
        return self.number(), self.number()


def feed(maker: Maker) -> Call:
    data = maker.buffer()
    return "feed", (data, *maker.span(data))


def of_parser(maker: Maker) -> Call:
    return feed(maker) if maker.chance.random() < 0.9 else ("reset", ())


def of_frames(maker: Maker) -> Call:
    return feed(maker) if maker.chance.random() < 0.85 else maker.setting("max_frame_size")


def of_decoder(maker: Maker) -> Call:
    return maker.one_of(
        lambda: ("decode", (maker.buffer(),)),
        lambda: ("decode_response", (maker.buffer(),)),
        lambda: maker.setting("max_table_size"),
        lambda: maker.setting("max_list_size"),
    )


def of_encoder(maker: Maker) -> Call:
    return maker.one_of(
        lambda: ("encode", (maker.fields(), maker.sensitive())),
        lambda: ("encode", (maker.fields(), maker.sensitive())),
        lambda: ("encode", (((b"a", b"b"), (b"c", b"d")),)),
        lambda: maker.setting("max_table_size"),
    )


def of_body(maker: Maker) -> Call:
    return maker.one_of(
        lambda: ("append", (maker.buffer(),)),
        lambda: ("append", (maker.buffer(),)),
        lambda: ("fill", (maker.data(),)),
        lambda: ("append_itself", ()),
        lambda: ("buffer_updated", (maker.chance.choice((0, -1, -(2**31), 1001, 2**31, "1", None, b"")),)),
        lambda: ("finish", ()),
        lambda: ("cut", ()),
    )


def of_functions(maker: Maker) -> Call:
    return maker.one_of(
        lambda: ("request_head", (maker.text(), maker.text(), maker.fields())),
        lambda: ("request_head", (b"GET", b"/", maker.fields())),
        lambda: ("check_field", (maker.text(), maker.text())),
        lambda: ("headers_frames", (maker.number(), maker.text(), False, maker.number())),
        lambda: ("headers_frames", (1, maker.text(), True, maker.number())),
        lambda: ("data_head", (maker.number(), maker.number(), False)),
    )


#: By name: what makes the object, and what is called.
KINDS: dict[str, tuple[Callable[[Any], Any], Callable[[Maker], Call]]] = {
    "HeadParser": (lambda kernel: kernel.HeadParser(), of_parser),
    "ChunkedDecoder": (lambda kernel: kernel.ChunkedDecoder(), of_parser),
    "FrameReader": (lambda kernel: kernel.FrameReader(), of_frames),
    "HpackDecoder": (lambda kernel: kernel.HpackDecoder(), of_decoder),
    "HpackEncoder": (lambda kernel: kernel.HpackEncoder(), of_encoder),
    "BodyBuffer": (lambda kernel: kernel.BodyBuffer(1000), of_body),
    "functions": (lambda kernel: kernel, of_functions),
}


def invoke(target: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    if name == "set":
        return setattr(target, *arguments)
    if name == "fill":  # what a socket does
        with memoryview(target.view()) as view:
            size = min(len(view), len(arguments[0]))
            view[:size] = arguments[0][:size]
        return target.buffer_updated(size)
    if name == "append_itself":
        with memoryview(target.view()) as view:
            view[:] = bytes(len(view))
            return target.append(view[: len(view) // 2])
    return getattr(target, name)(*arguments)


def plain(value: Any) -> Any:
    """What a call gave, so that it can be compared."""
    if hasattr(value, "get_all"):
        names = ("status", "minor", "reason", "size", "flags", "count", "content_length", "offences", "offender")
        return value.fields(), {name: getattr(value, name, None) for name in names}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, tuple):
        return tuple(plain(each) for each in value)
    return str(value) if isinstance(value, Exception) else value


def outcome(target: Any, call: Call) -> Any:
    try:
        return "gave", plain(invoke(target, *call))
    except Evil as error:
        return "evil", str(error)
    except (LocalProtocolError, RemoteProtocolError) as error:
        return "error", type(error), str(error)
    except REFUSALS:
        return "refused", None


def probe(kernel: Any, target: Any) -> Any:
    """Whether the object is what it was, or can be made so."""
    if hasattr(target, "reset"):
        target.reset()
        return [outcome(target, ("feed", (data, 0, len(data)))) for data in (HEAD, CHUNKS)]
    if hasattr(target, "encode"):
        fields = [(b"a", b"b"), (b"b", b"c" * 200), (b"late", b"1"), (b"cookie", b"c")]
        return [outcome(target, ("encode", (fields,))) for _ in range(2)], target.max_table_size, target.table_size
    if hasattr(target, "decode"):
        return outcome(target, ("decode", (b"\x88\xbe\xbf",))), target.max_table_size, target.table_size
    if hasattr(target, "cut"):
        return target.filled, target.missing, outcome(target, ("cut", ()))
    if hasattr(target, "broken"):
        return target.broken, outcome(target, ("feed", (FRAMES, 0, len(FRAMES))))
    return None


@pytest.mark.parametrize("kind", KINDS)
def test_misuse_costs_an_exception_and_the_same_one_with_both_twins(twins: tuple[Any, Any], kind: str) -> None:
    make, draw = KINDS[kind]
    for seed in range(SEEDS):
        targets = [make(kernel) for kernel in twins]
        agreed = True
        for step in range(1 + seed % 6):
            makers = [Maker(seed * 1000 + step, target) for target in targets]
            calls = [draw(maker) for maker in makers]
            found = [outcome(target, call) for target, call in zip(targets, calls, strict=True)]
            if kind == "ChunkedDecoder" and found[0][0] == "error":
                for target in targets:  # who reads on after a fault gets anything
                    target.reset()
            agreed = agreed and not any(maker.only_alive for maker in makers)
            if agreed:
                assert found[0] == found[1], (seed, step, calls[0])
            if kind == "HeadParser" and found[0] == ("gave", None) and calls[0][0] == "feed":
                agreed = False  # what comes now are not the same data and more
        probed = [probe(kernel, target) for kernel, target in zip(twins, targets, strict=True)]
        if agreed:
            assert probed[0] == probed[1], seed


def lines_of(head: bytes) -> list[bytes]:
    first, *lines, empty, rest = head.split(b"\r\n")
    assert first.endswith(b" HTTP/1.1")
    assert empty == rest == b""
    return lines


@pytest.mark.parametrize(
    "pair",
    [
        lambda: Shifty(lambda: (b"a", b"b"), lambda: (b"a", b"b" * 1_000_000)),
        lambda: Shifty(lambda: (b"a", b"b"), lambda: (b"a\r\nInjected", b"\0")),
        lambda: Shifty(lambda: (b"a", b"b"), lambda: (b"", b"")),
        lambda: Shifty(lambda: (b"a", b"b"), lambda: None),
    ],
)
def test_each_field_is_asked_once_and_sent_as_it_was_checked(kernel: Any, pair: Any) -> None:
    assert lines_of(kernel.request_head(b"GET", b"/", [pair(), (b"c", b"d"), pair()])) == [b"a: b", b"c: d", b"a: b"]
    block = kernel.HpackEncoder().encode([pair(), (b"c", b"d"), pair()])
    assert kernel.HpackDecoder().decode(block) == [(b"a", b"b"), (b"c", b"d"), (b"a", b"b")]


@pytest.mark.parametrize("text", [Bytes(b"a"), bytearray(b"a"), memoryview(b"a"), "a", None, 5])
@pytest.mark.parametrize("place", ["method", "target", "name", "value"])
def test_only_bytes_themselves_are_sent(kernel: Any, text: Any, place: str) -> None:
    parts = {"method": b"GET", "target": b"/", "name": b"a", "value": b"b"} | {place: text}
    with pytest.raises(TypeError, match=r"bytes"):
        kernel.request_head(parts["method"], parts["target"], [(parts["name"], parts["value"])])
    if place in ("name", "value"):
        for call in (kernel.check_field, lambda *pair: kernel.HpackEncoder().encode([pair])):
            with pytest.raises(TypeError, match=r"bytes"):
                call(parts["name"], parts["value"])


def test_an_encoder_that_is_used_by_what_it_encodes_gives_whole_blocks(kernel: Any) -> None:
    encoder, decoder = kernel.HpackEncoder(), kernel.HpackDecoder()
    inner: list[bytes] = []

    class Meddling:
        def __contains__(self, name: object) -> bool:
            inner.append(encoder.encode([(b"inner", b"%d" % len(inner))]))
            return False

    fields = [(b"a", b"b" * 50), (b"c", b"d" * 50)]
    outer = encoder.encode(fields, Meddling())
    assert [decoder.decode(block) for block in inner] == [[(b"inner", b"0")], [(b"inner", b"1")]]
    assert decoder.decode(outer) == fields


def test_a_set_whose_member_uses_the_encoder_when_it_is_let_go_of_is_let_go_of_once(kernel: Any) -> None:
    encoder = kernel.HpackEncoder()
    told: list[bytes] = []
    fields = tuple((b"a", b"%d" % number) for number in range(3))

    class Last:
        def __del__(self) -> None:
            told.append(encoder.encode(fields, frozenset((b"z",))))

    for _ in range(50):
        encoder.encode(fields, frozenset((Last(), b"y")))
        encoder.encode(fields, None)
        encoder.encode(fields, frozenset((b"a",)))
    assert set(told) <= {encoder.encode(fields, frozenset((b"z",)))}


def test_a_buffer_that_changes_its_size_during_the_call_cannot(compiled: Any) -> None:
    data = bytearray(HEAD)

    class Growing:
        def __buffer__(self, flags: int) -> memoryview:
            return memoryview(data)

        def __release_buffer__(self, view: memoryview) -> None:
            view.release()

    if sys.version_info < (3, 12):
        pytest.skip("objects of Python are no buffers before 3.12")
    head = compiled.HeadParser().feed(Growing(), 0, len(data))
    data.extend(bytes(1_000_000))
    data.clear()
    assert head.fields() == [(b"Content-Length", b"3"), (b"Set-Cookie", b"a")]
    assert head.take_rest() == b"abc"


@pytest.mark.parametrize("error", [b"bad line\r\n", b": b\r\n", b"a" * 300 + b"\0", b"a: b\0"])
def test_a_fault_makes_a_parser_forget_the_head(kernel: Any, error: bytes) -> None:
    parser = kernel.HeadParser()
    bad = b"HTTP/1.1 404 Not Found\r\nContent-Length: 9\r\n" + error
    for cut in (0, 20, 30):
        if cut:
            assert parser.feed(bad, 0, cut) is None
        with pytest.raises(RemoteProtocolError, match="line"):
            parser.feed(bad, 0, len(bad))
        for size in range(len(HEAD) - 3):
            assert parser.feed(HEAD, 0, size) is None
        head = parser.feed(HEAD, 0, len(HEAD))
        assert (head.status, head.content_length, head.take_rest()) == (200, 3, b"abc")
