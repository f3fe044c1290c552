"""On messages that nobody disputes, the kernels and h11 read the same."""

from __future__ import annotations

import random

import pytest

from httpx_fast._kernel import constants

h11 = pytest.importorskip("h11")

TOKEN = constants.TOKEN_BYTES
VISIBLE = bytes(range(0x21, 0x7F)) + bytes(range(0x80, 0x100))


def some(chance, raw, most):
    return bytes(chance.choices(raw, k=chance.randint(1, most)))


def value(chance):
    """Words with blanks between them; sometimes nothing."""
    words = [some(chance, VISIBLE, 8) for _ in range(chance.randrange(4))]
    return chance.choice([b" ", b"\t", b" \t "]).join(words)


def fields(chance, most):
    names = [some(chance, TOKEN, 20) for _ in range(chance.randrange(most))]
    plain = [name for name in names if name.lower() not in constants.FIELD_FLAGS]
    return [(name, value(chance)) for name in plain]


def lines(chance, pairs):
    end = b"\r\n"
    blank = [b"", b" ", b"\t", b"  "]
    return b"".join(name + b":" + chance.choice(blank) + text + chance.choice(blank) + end for name, text in pairs)


def content(chance):
    return bytes(chance.choices(range(256), k=chance.choice([0, 1, 5, 300])))


def chunked(chance, body):
    raw = b""
    while body:
        size = chance.randint(1, len(body))
        extension = chance.choice([b"", b"", b";a=b", b';a="b;c"'])
        raw += (b"%X" if chance.random() < 0.5 else b"%04x") % size + extension + b"\r\n" + body[:size] + b"\r\n"
        body = body[size:]
    return raw + b"0\r\n"


def message(chance):
    """A response, and what it consists of."""
    status = chance.randint(200, 999)
    if status in (204, 304):
        status = 200
    body, pairs, trailers = content(chance), fields(chance, 12), []
    if chance.random() < 0.5:
        pairs.append((b"Transfer-Encoding", b"chunked"))
        trailers = fields(chance, 3)
        framed = chunked(chance, body) + lines(chance, trailers) + b"\r\n"
    else:
        pairs.append((b"Content-Length", b"%d" % len(body)))
        framed = body
    reason = value(chance)
    raw = b"HTTP/1.1 %d %b\r\n" % (status, reason) + lines(chance, pairs) + b"\r\n" + framed
    return raw, (status, reason, pairs, body, trailers)


def read_by_h11(raw):
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw)
    head = connection.next_event()
    body = b""
    while not isinstance(event := connection.next_event(), h11.EndOfMessage):
        body += bytes(event.data)
    assert connection.trailing_data == (b"", False)
    return head.status_code, bytes(head.reason), head.headers.raw_items(), body, event.headers.raw_items()


def read_by(kernel, raw):
    head = kernel.HeadParser().feed(raw, 0, len(raw))
    if head.flags & constants.CHUNKED_ONLY:
        decoder = kernel.ChunkedDecoder()
        body, end = decoder.feed(raw, head.size, len(raw))
        assert decoder.done
        assert end == len(raw)
        trailers = decoder.trailers
    else:
        assert head.content_length == len(raw) - head.size
        collected = kernel.BodyBuffer(head.content_length)
        collected.append(raw[head.size :])
        body, trailers = collected.finish(), []
    return head.status, head.reason, head.fields(), body, trailers


def as_lines(read):
    return *read[:2], [(bytes(name), bytes(text)) for name, text in read[2]], read[3], [tuple(pair) for pair in read[4]]


@pytest.mark.parametrize("seed", range(10))
def test_kernels_read_valid_messages_as_h11_does(kernel, seed):
    chance = random.Random(seed)
    for _ in range(50):
        raw, sent = message(chance)
        assert read_by(kernel, raw) == sent
        assert as_lines(read_by_h11(raw)) == sent


@pytest.mark.parametrize("seed", range(5))
def test_h11_reads_request_heads_as_they_were_meant(kernel, seed):
    chance = random.Random(seed)
    for _ in range(50):
        method, target = some(chance, TOKEN, 10), b"/" + some(chance, constants.TARGET_BYTES, 40)
        pairs = [(b"Host", b"example.com"), *fields(chance, 10)]
        server = h11.Connection(h11.SERVER)
        server.receive_data(kernel.request_head(method, target, pairs))
        request = server.next_event()
        assert (request.method, request.target) == (method, target)
        assert request.headers.raw_items() == pairs
