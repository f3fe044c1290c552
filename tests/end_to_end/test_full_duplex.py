"""A server may answer before it has the whole request: uploads that go on while the answer is read, or stop for it."""

from __future__ import annotations

import threading

import pytest
from peers import OK, PATIENCE

import httpx_fast

SIZE = 12 * 1024 * 1024  # more than two sockets and what a client holds unread
PIECE = bytes(range(256)) * 256  # 64 KiB
PIECES = SIZE // len(PIECE)


def pieces(count=PIECES):
    for number in range(count):
        yield number.to_bytes(8, "big") + PIECE[8:]


BODY = b"".join(pieces())
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % SIZE


def echo(dialogue):
    """Answers as it reads, and reads on only when its answer was taken."""
    dialogue._read_until(b"\r\n\r\n")
    dialogue.send(HEAD)
    left = SIZE
    while left:
        piece = dialogue._ahead or dialogue.connection.recv(min(left, 65536))
        dialogue._ahead = b""
        if not piece:
            return  # the client left in the middle of its content
        dialogue.send(piece)
        left -= len(piece)
    while dialogue.read_request():
        dialogue.send(OK)


def contents(backend):
    """The body in one piece; as a file; and in pieces of a known length."""
    return {
        "bytes": lambda: {"content": BODY},
        "pieces": lambda: {"content": backend.content(pieces()), "headers": {"Content-Length": str(SIZE)}},
    }


@pytest.fixture(params=["bytes", "pieces"])
def content(request, backend):
    return contents(backend)[request.param]


@pytest.fixture(params=["cleartext", "tls"])
def tls(request, authority):
    authority.issue("127.0.0.1")
    return None if request.param == "cleartext" else authority.server_context("127.0.0.1", alpn=["http/1.1"])


def test_a_server_that_answers_while_it_reads_does_not_block(backend, peer, authority, tls, content):
    at = peer(echo, tls=tls)

    async def body():
        async with backend.client(verify=authority.client_context(), timeout=PATIENCE) as client:
            response = await client.post(at.url(), **content())
            assert response.content == BODY
            assert (await client.get(at.url())).journey.nth == 2

    backend.run(body)


@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_an_application_that_echoes_what_it_reads(backend, hypercorn, authority, http2):
    async def body():
        async with backend.client(verify=authority.client_context(), http2=http2, timeout=PATIENCE) as client:
            response = await client.post(hypercorn.url("/echo"), content=backend.content(pieces()))
            assert response.content == BODY
            assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
            assert (await client.get(hypercorn.url("/"))).journey.nth == 2

    backend.run(body)


def test_the_response_is_there_while_the_request_is_sent(backend, peer):
    """Reading the response sends on what is left of the request."""
    asked, at = [], peer(echo)

    def counted():
        for number, piece in enumerate(pieces()):
            asked.append(number)
            yield piece

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            headers = {"Content-Length": str(SIZE)}
            content = backend.content(counted())
            async with client.stream("POST", at.url(), content=content, headers=headers) as response:
                assert response.status_code == 200
                assert len(asked) < PIECES
                received = b"".join([piece async for piece in response.aiter_raw()])
            assert (received, len(asked)) == (BODY, PIECES)
            assert (await client.get(at.url())).journey.nth == 2

    backend.run(body)


def test_an_answer_that_has_ended_lets_the_upload_end(backend, peer, content):
    read = threading.Event()

    def script(dialogue):
        dialogue._read_until(b"\r\n\r\n")
        dialogue.send(OK)
        assert dialogue._read_exactly(SIZE) == BODY
        read.set()
        assert dialogue.read_request().startswith(b"GET ")
        dialogue.send(OK)

    at = peer(script)

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            assert (await client.post(at.url(), **content())).content == b"ok"
            assert (await client.get(at.url())).journey.nth == 2
            assert read.is_set()

    backend.run(body)


REFUSALS = {
    "413": b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig",
    "401, closing": b"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
    "302": b"HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 3\r\n\r\nbig",
    "200, closing": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig",
}


@pytest.mark.parametrize("answer", REFUSALS.values(), ids=REFUSALS)
def test_an_answer_that_wants_no_more_stops_the_upload(backend, peer, authority, tls, answer):
    """The body would never end by itself, and the server takes all that it is given."""

    def refuse(dialogue):
        dialogue._read_until(b"\r\n\r\n")
        dialogue.send(answer)
        dialogue.wait_for_close()

    def endless():
        while True:
            yield PIECE

    at = peer(refuse, lambda dialogue: (dialogue.read_request(), dialogue.send(OK)), tls=tls)

    async def body():
        async with backend.client(verify=authority.client_context(), timeout=PATIENCE) as client:
            response = await client.post(at.url(), content=backend.content(endless()))
            assert (response.status_code, response.content) == (int(answer[9:12]), b"big")
            await backend.hear(at.closed[0])
            assert (await client.get(at.url())).journey.nth == 1

    backend.run(body)


def test_bytes_that_the_server_no_longer_wants_are_not_sent(backend, peer):
    left = []

    def refuse(dialogue):
        dialogue._read_until(b"\r\n\r\n")
        dialogue.send(REFUSALS["413"])
        left.append(len(dialogue.wait_for_close()))

    at = peer(refuse)

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            assert (await client.post(at.url(), content=bytes(200 * 1024 * 1024))).status_code == 413
            await backend.hear(at.closed[0])
            assert left[0] < 150 * 1024 * 1024

    backend.run(body)


def test_a_response_that_is_closed_ends_the_upload(backend, peer):
    ended = []

    def endless():
        try:
            while True:
                yield PIECE
        finally:
            ended.append(True)

    at = peer(echo)

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            headers = {"Content-Length": str(SIZE * 1000)}
            content = backend.content(endless())
            async with client.stream("POST", at.url(), content=content, headers=headers) as response:
                assert response.status_code == 200
            assert client.pool.stats().open == 0
            # A blocking client leaves a generator to its owner, as it does where nothing goes wrong.
            assert ended or not backend.asynchronous

    backend.run(body)


def test_an_error_of_the_body_is_raised_where_the_response_is_read(backend, peer):
    def broken():
        yield from pieces(PIECES // 2)
        raise ZeroDivisionError("no more")

    at = peer(echo)

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            headers = {"Content-Length": str(SIZE)}
            content = backend.content(broken())
            async with client.stream("POST", at.url(), content=content, headers=headers) as response:
                with pytest.raises(ZeroDivisionError, match="no more"):
                    async for _ in response.aiter_raw():
                        pass
            assert client.pool.stats().open == 0

    backend.run(body)


def test_a_peer_that_takes_nothing_more_meets_the_write_timeout_before_it_has_answered(backend, peer):
    at = peer(lambda dialogue: (dialogue._read_until(b"\r\n\r\n"), dialogue.hold()))

    async def body():
        timeout = httpx_fast.Timeout(PATIENCE, write=0.05)
        async with backend.client(timeout=timeout) as client:
            with pytest.raises(httpx_fast.WriteTimeout, match="write timed out after"):
                await client.post(at.url(), content=BODY)

    backend.run(body)


def test_a_peer_that_has_answered_and_takes_nothing_more_is_read_to_its_end(backend, peer):
    answered = threading.Event()

    def script(dialogue):
        dialogue._read_until(b"\r\n\r\n")
        dialogue.send(OK)
        answered.set()
        dialogue.hold()

    def pieces():
        """Gives more than the peer takes when it has answered, however long that takes it."""
        yield b"x"
        assert answered.wait(PATIENCE)
        yield BODY

    at = peer(script)

    async def body():
        timeout = httpx_fast.Timeout(PATIENCE, write=0.05)
        async with backend.client(timeout=timeout) as client:
            assert (await client.post(at.url(), content=backend.content(pieces()))).content == b"ok"
            assert client.pool.stats().open == 0

    backend.run(body)


def test_a_total_timeout_ends_an_upload_whose_answer_has_begun(backend, peer):
    def script(dialogue):
        dialogue._read_until(b"\r\n\r\n")
        dialogue.send(HEAD)
        dialogue.hold()

    at = peer(script)

    async def body():
        async with backend.client(timeout=httpx_fast.Timeout(PATIENCE, total=0.2)) as client:
            with pytest.raises(httpx_fast.TimeoutException, match=r"total timed out after .* of 0\.2 s"):
                await client.post(at.url(), content=BODY)

    backend.run(body)
