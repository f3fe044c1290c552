"""The twins behave the same, byte for byte and error for error, whatever comes and however it is cut."""

from __future__ import annotations

import inspect
import random

import pytest
import vectors

HEADS = [vector.data + vector.rest for name in ("heads", "heads_refused") for vector in vectors.read(name)]
BODIES = [vector.data + vector.rest for name in ("chunks", "chunks_refused") for vector in vectors.read(name)]
# What separates, quotes, folds or ends, and what stands for the rest.
TELLING = b'\r\n\0 \t:;,="\\0159afAFhHxX-\x01\x7f\x80\xff'


def head_of(kernel, data, way):
    """All that a head says, or the error; and at which call it came."""
    parser = kernel.HeadParser()
    for call, available in enumerate(way):
        try:
            head = parser.feed(data, 0, available)
        except Exception as error:
            return call, type(error), str(error)
        if head is not None:
            names = {name.lower() for name, _ in head.fields()}
            values = {name: head.get_all(name) for name in names}
            return (
                call,
                head.status,
                head.minor,
                head.reason,
                head.size,
                head.flags,
                head.content_length,
                head.count,
                (
                    head.fields(),
                    values,
                ),
            )
    return None


def body_of(kernel, data, way):
    """What each call gave, the error if there was one, and what was left."""
    decoder, at, calls = kernel.ChunkedDecoder(), 0, []
    for available in way:
        try:
            content, at = decoder.feed(data, at, available)
        except Exception as error:
            return calls, type(error), str(error), decoder.done, decoder.trailers
        calls.append((content, at))
        if decoder.done:
            break
    return calls, decoder.done, decoder.trailers


@pytest.mark.parametrize(("read", "corpus"), [(head_of, HEADS), (body_of, BODIES)], ids=["heads", "bodies"])
def test_twins_agree_however_bytes_come(twins, ways, read, corpus):
    compiled, pure = twins
    for data in corpus:
        for way in ways(data):
            assert read(compiled, data, way) == read(pure, data, way), (data, way)


def corrupted(chance, data):
    """A copy with one to three bytes changed, left out, put in, or a stretch of them doubled or moved."""
    damaged = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(damaged) + 1)
        stretch = damaged[at : at + chance.randint(1, 12)]
        how = chance.randrange(5)
        if how == 0:
            damaged[at : at + 1] = bytes([chance.choice(TELLING)])
        elif how == 1:
            del damaged[at : at + chance.randint(1, 3)]
        elif how == 2:
            damaged[at:at] = bytes([chance.choice(TELLING)])
        elif how == 3:
            damaged[at:at] = stretch
        else:
            to = chance.randrange(len(damaged) + 1)
            damaged[to:to] = stretch
    return bytes(damaged)


@pytest.mark.parametrize(("read", "corpus"), [(head_of, HEADS), (body_of, BODIES)], ids=["heads", "bodies"])
def test_twins_agree_on_corrupted_messages(twins, read, corpus):
    compiled, pure = twins
    chance = random.Random(9112)
    for _ in range(40_000):
        data = corrupted(chance, chance.choice(corpus))
        cut = chance.randint(0, len(data))
        for way in ([len(data)], [cut, len(data)]):
            assert read(compiled, data, way) == read(pure, data, way), (data, way)


def outcome(call, *arguments):
    try:
        return call(*arguments)
    except Exception as error:
        return type(error), str(error)


def test_twins_agree_on_what_may_be_sent(twins):
    compiled, pure = twins
    chance = random.Random(9110)
    for _ in range(10_000):
        method, target, name, value = (corrupted(chance, part) for part in (b"GET", b"/a?b=c", b"X-Name", b"one two"))
        parts = [b"GET", b"/", b"a", b"b"]
        at = chance.randrange(4)
        parts[at] = (method, target, name, value)[at]
        fields = [(b"Host", b"example.com"), (parts[2], parts[3])]
        given = (parts[0], parts[1], fields)
        assert outcome(compiled.request_head, *given) == outcome(pure.request_head, *given), given
        assert outcome(compiled.check_field, name, value) == outcome(pure.check_field, name, value), (name, value)


def test_twins_offer_and_document_the_same(twins):
    compiled, pure = twins
    assert vars(compiled).keys() == vars(pure).keys()
    for name in ("BodyBuffer", "ChunkedDecoder", "HeadParser", "ResponseHead"):
        ours, theirs = getattr(compiled, name), getattr(pure, name)
        public = [attribute for attribute in dir(theirs) if not attribute.startswith("_")]
        assert [attribute for attribute in dir(ours) if not attribute.startswith("_")] == public
        for attribute in public:
            if callable(getattr(theirs, attribute)):
                assert inspect.getdoc(getattr(ours, attribute)) == inspect.getdoc(getattr(theirs, attribute))


def test_twins_read_from_one_table_of_flags(twins):
    from httpx_fast._kernel import constants

    seen = set()
    for name, flag in constants.FIELD_FLAGS.items():
        data = b"HTTP/1.1 200 OK\r\n" + name + b": \r\n\r\n"
        for twin in twins:
            head = twin.HeadParser().feed(data, 0, len(data))
            assert head.flags == flag
        seen.add(flag)
    assert len(seen) == len(constants.FIELD_FLAGS)
