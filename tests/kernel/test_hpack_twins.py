"""HPACK against another implementation, and the twins against each other, whatever comes."""

from __future__ import annotations

import random
import sys
import time
from inspect import getdoc

import pytest

from httpx_fast._kernel import constants, h2_constants

COMMON = sorted({name.lower() for name in constants.COMMON_NAMES})
LOWER = bytes(byte for byte in constants.TOKEN_BYTES if not chr(byte).isupper())
WORDS = (b"gzip", b"private, max-age=0", b"text/html; charset=utf-8", b"1024", b"", b"Mon, 21 Oct 2013 20:13:21 GMT")
ANY = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))


def name(chance):
    how = chance.random()
    if how < 0.7:
        return chance.choice(COMMON)
    return b"x-%d" % chance.randrange(40) if how < 0.9 else bytes(chance.choices(LOWER, k=chance.randint(1, 60)))


def value(chance):
    how = chance.random()
    if how < 0.5:
        return chance.choice(WORDS)
    if how < 0.9:
        return b"%x" % chance.randrange(2 ** chance.choice([4, 30, 200]))
    return bytes(chance.choices(ANY, k=chance.choice([1, 10, 300, 5000])))


def section(chance):
    pseudo = [(b":status", chance.choice([b"200", b"200", b"404", b"299"]))]
    return pseudo + [(name(chance), value(chance)) for _ in range(chance.randrange(25))]


def sections(chance, count):
    """Sections that repeat fields of each other, as those of one connection do."""
    found = [section(chance) for _ in range(count)]
    for later in range(1, count):
        found[later] += chance.sample(found[later - 1], k=len(found[later - 1]) // 2)
    return found


@pytest.mark.parametrize("seed", range(8))
def test_blocks_of_another_encoder_are_read(kernel, seed):
    hpack = pytest.importorskip("hpack")
    chance = random.Random(seed)
    theirs, ours = hpack.Encoder(), kernel.HpackDecoder(max_list_size=10**6)
    size = 4096
    for fields in sections(chance, 60):
        if chance.random() < 0.15:
            size = theirs.header_table_size = chance.choice([0, 50, 300, 1000, 4096, 20_000])
            ours.max_table_size = max(size, ours.max_table_size)
        block = theirs.encode(fields, huffman=chance.random() < 0.8)
        assert ours.decode(block) == fields
        assert ours.table_size == theirs.header_table._current_size <= size


@pytest.mark.parametrize("seed", range(8))
def test_blocks_are_read_by_another_decoder(kernel, seed):
    hpack = pytest.importorskip("hpack")
    chance = random.Random(seed)
    ours, theirs = kernel.HpackEncoder(), hpack.Decoder(max_header_list_size=10**6)
    for fields in sections(chance, 60):
        for _ in range(chance.choice([0, 0, 0, 1, 3])):
            ours.max_table_size = chance.choice([0, 50, 300, 1000, 4096])
        sent = tuple(fields) if chance.random() < 0.5 else fields
        sensitive = frozenset(chance.sample(COMMON, 3))
        for _ in range(chance.choice([1, 1, 3])):
            read = theirs.decode(ours.encode(sent, sensitive), raw=True)
            assert [tuple(field) for field in read] == fields
            assert {field[0] for field in read if not field.indexable} >= {field[0] for field in fields} & sensitive
            assert ours.table_size == theirs.header_table._current_size


def described(section):
    """All that a section says."""
    return (
        section.fields(),
        section.status,
        section.flags,
        section.offences,
        section.offender,
        section.content_length,
        section.count,
        section.size,
        {name: section.get_all(name) for name, _ in section.fields()},
    )


def outcome(call, *arguments):
    try:
        result = call(*arguments)
    except Exception as error:
        return type(error), str(error), getattr(error, "code", None)
    return described(result) if hasattr(result, "offences") else result


def damaged(chance, block):
    data = bytearray(block)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data) + 1)
        how = chance.randrange(4)
        if how == 0:
            data[at : at + 1] = bytes([chance.choice(b"\x00\x0f\x1f\x20\x3f\x40\x7f\x80\xbe\xbf\xff") if how else 0xFF])
        elif how == 1:
            del data[at : at + chance.randint(1, 3)]
        elif how == 2:
            data[at:at] = bytes([chance.randrange(256)])
        elif at < len(data):
            data[at] ^= 1 << chance.randrange(8)
    return bytes(data)


@pytest.mark.parametrize("seed", range(10))
def test_twins_agree_on_damaged_blocks(twins, seed):
    """Also on all blocks after them: a wrong block may change the table, and then does so in both."""
    chance = random.Random(seed)
    encoder = twins[1].HpackEncoder()
    for _ in range(40):
        most = chance.choice([500, 65536])
        decoders = [twin.HpackDecoder(max_list_size=most) for twin in twins]
        for fields in sections(chance, 12):
            block = encoder.encode(fields)
            if chance.random() < 0.5:
                block = damaged(chance, block)
            if chance.random() < 0.1:
                limit = chance.randrange(5000)
                for decoder in decoders:
                    decoder.max_table_size = limit
            call = chance.choice(["decode", "decode_response"])
            assert outcome(getattr(decoders[0], call), block) == outcome(getattr(decoders[1], call), block), block
            assert decoders[0].table_size == decoders[1].table_size


def test_twins_agree_on_every_beginning_of_a_block(twins):
    chance = random.Random(7541)
    encoder = twins[1].HpackEncoder()
    for fields in sections(chance, 10):
        block = encoder.encode(fields)[:400]
        for end in range(len(block)):
            for call in ("decode", "decode_response"):
                results = [outcome(getattr(twin.HpackDecoder(), call), block[:end]) for twin in twins]
                assert results[0] == results[1]


def test_twins_agree_on_random_huffman_strings(twins):
    chance = random.Random(5)
    for _ in range(20_000):
        text = bytes(chance.choices(b"\x00\x18\x62\xaa\xf1\xfe\xff", k=chance.randrange(12))) + chance.randbytes(3)
        block = b"\x00\x01n" + bytes([0x80 | len(text)]) + text
        results = [outcome(twin.HpackDecoder().decode, block) for twin in twins]
        assert results[0] == results[1], block


@pytest.mark.parametrize("seed", range(5))
def test_twins_encode_the_same(twins, seed):
    chance = random.Random(seed)
    encoders = [twin.HpackEncoder() for twin in twins]
    for fields in sections(chance, 100):
        if chance.random() < 0.1:
            fields[chance.randrange(len(fields))] = chance.choice(
                [(b"Up", b""), (b"", b""), (b"a", b"\n"), (b"a", b" b")]
            )
        if chance.random() < 0.1:
            size = chance.randrange(5000)
            for encoder in encoders:
                encoder.max_table_size = size
        sent = tuple(fields)
        sensitive = frozenset(chance.sample(COMMON, 2)) if chance.random() < 0.3 else None
        for _ in range(chance.choice([1, 3])):
            assert outcome(encoders[0].encode, sent, sensitive) == outcome(encoders[1].encode, sent, sensitive)
            assert encoders[0].table_size == encoders[1].table_size


def test_twins_offer_the_same(twins):
    for kind in ("FieldSection", "FrameReader", "HpackDecoder", "HpackEncoder"):
        compiled, pure = (getattr(twin, kind) for twin in twins)
        public = {attribute for attribute in dir(pure) if not attribute.startswith("_")}
        assert public == {attribute for attribute in dir(compiled) if not attribute.startswith("_")}
        assert getdoc(compiled) == getdoc(pure)
        for attribute in public:
            if callable(getattr(pure, attribute)) or isinstance(vars(pure)[attribute], property):
                assert getdoc(getattr(compiled, attribute)) == getdoc(getattr(pure, attribute)), attribute
    for function in ("headers_frames", "data_head"):
        compiled, pure = (getattr(twin, function) for twin in twins)
        assert getdoc(compiled) == getdoc(pure)


HOSTILE = {
    "additions": lambda count: b"\x40\x00\x00" * count,  # each of them has another one leave
    "references": lambda count: b"\xbd" * count,
    "one-string": lambda count: (
        b"\x00\x01n\x7f%c%c%c" % (count & 0x7F | 0x80, count >> 7 & 0x7F | 0x80, count >> 14) + b"v" * (count + 127)
    ),
    "changes": lambda count: b"\x20" * count,
    "empty-strings": lambda count: b"\x00\x80\x80" * count,
}


def decode_for_nothing(kernel, block):
    outcome(kernel.HpackDecoder(max_list_size=1).decode, block)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_pure_twin_takes_linear_steps(twins, make):
    def steps(count):
        taken = 0

        def step(frame, event, argument):
            nonlocal taken
            taken += event == "line"
            return step

        block, before = make(count), sys.gettrace()
        sys.settrace(step)
        try:
            decode_for_nothing(twins[1], block)
        finally:
            sys.settrace(before)
        return taken

    assert steps(4000) <= 12 * steps(400)


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE)
def test_compiled_twin_takes_linear_time(compiled, make):
    def cost(count):
        block, best = make(count), float("inf")
        for _ in range(5):
            started = time.process_time()
            decode_for_nothing(compiled, block)
            best = min(best, time.process_time() - started)
        return best

    # Quadratic time would be 4,096 times as much.
    assert cost(64 * 16_000) < 512 * max(cost(16_000), 1e-5)


def test_nothing_is_leaked(compiled):
    """References are counted by hand there."""
    chance = random.Random(3)
    shared = (b"x-shared", b"value")
    head = ((b":path", b"/"), shared)
    encoder, decoder = compiled.HpackEncoder(), compiled.HpackDecoder(max_list_size=3000)
    before = sys.getrefcount(shared[1]), sys.getrefcount(shared), sys.getrefcount(head)
    blocks = [encoder.encode(section(chance)) for _ in range(30)]
    for _ in range(2000):
        block = encoder.encode(head if chance.random() < 0.5 else [shared, (b"x", b"%d" % chance.randrange(99))])
        outcome(decoder.decode_response, block)
        outcome(decoder.decode, damaged(chance, chance.choice(blocks)))
    del encoder, decoder
    assert (sys.getrefcount(shared[1]), sys.getrefcount(shared), sys.getrefcount(head)) == before


def test_memory_stays_where_it_was_after_many_blocks(compiled, tracemalloc):
    chance = random.Random(4)
    theirs = compiled.HpackEncoder()
    blocks = [theirs.encode(fields) for fields in sections(chance, 40)]
    wrong = [damaged(chance, block) for block in blocks]

    def work():
        decoder = compiled.HpackDecoder(max_list_size=5000)
        for block in (*blocks, *wrong):
            outcome(decoder.decode, block)
            outcome(decoder.decode_response, block)
        for value in (b"v", b"w"):
            for _ in range(3):  # the third time it is remembered, with what it adds
                outcome(decoder.decode_response, b"\x88\x40\x08x-shared\x01" + value)

    work()
    tracemalloc.start()
    try:
        work()
        first, _ = tracemalloc.get_traced_memory()
        for _ in range(20):
            work()
        last, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert last - first < 20_000


def test_static_entries_keep_their_references(compiled):
    from httpx_fast import _hpack_tables as tables

    pairs = tables.STATIC_TABLE
    before = [sys.getrefcount(pair) for pair in pairs]
    decoder = compiled.HpackDecoder()
    block = bytes(range(0x81, 0x81 + 61))
    for _ in range(100):
        decoder.decode(block)
        decoder.decode_response(block)
        with pytest.raises(Exception, match="index 0"):
            decoder.decode(block + b"\x80")
    assert [sys.getrefcount(pair) for pair in pairs] == before


def test_pure_twin_keeps_a_bounded_number_of_moves(twins, monkeypatch):
    from httpx_fast._kernel import hpack_py

    monkeypatch.setattr(hpack_py, "_moves", {})
    monkeypatch.setattr(hpack_py, "_MAX_MOVES", 100)
    chance = random.Random(6)
    for _ in range(300):
        fields = [(b"n", bytes(chance.choices(b"aeio01:%XYZ{\xff", k=60)))]
        assert twins[1].HpackDecoder().decode(twins[1].HpackEncoder().encode(fields)) == fields
    assert len(hpack_py._moves) == 100


def test_limits_have_room_for_each_other():
    assert (
        h2_constants.MAX_CONTINUATIONS * h2_constants.DEFAULT_FRAME_SIZE
        >= h2_constants.MAX_BLOCK_SIZE
        >= h2_constants.MAX_LIST_SIZE
    )
