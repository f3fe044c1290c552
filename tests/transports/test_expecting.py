"""`expect_continue=`: a body waits until the server wants it, and is not read if the server does not."""

from __future__ import annotations

import threading

import pytest
from far_end import Server, data
from peers import OK, PATIENCE

import httpx_fast
from httpx_fast.testing import FakeClock

WHILE = 900.0
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
REFUSED = b"HTTP/1.1 %d No\r\nContent-Length: 3\r\n\r\nbig"
BODY = b"0123456789" * 1000
LONG = httpx_fast.Timeout(PATIENCE, expect_continue=PATIENCE)


class Body:
    """Bytes in pieces; knows whether it was asked for them."""

    def __init__(self, backend):
        self.asked = False
        self.content = backend.content(self._pieces())

    def _pieces(self):
        self.asked = True
        yield BODY[:5000]
        yield BODY[5000:]


def head(dialogue):
    return dialogue._read_until(b"\r\n\r\n")


def expects(request):
    return b"\r\nexpect: 100-continue\r\n" in request.lower()


def test_the_body_is_sent_when_the_server_wants_it(backend, peer):
    def script(dialogue):
        assert expects(head(dialogue))
        assert dialogue._ahead == b""
        dialogue.send(HINTS)
        dialogue.send(CONTINUE)
        assert dialogue._read_exactly(len(BODY)) == BODY
        dialogue.send(OK)
        assert not expects(dialogue.read_request())
        dialogue.send(OK)

    at = peer(script)

    async def body():
        async with backend.client(expect_continue=True, timeout=LONG) as client:
            response = await client.post(at.url(), content=BODY)
            assert response.content == b"ok"
            assert [each.status_code for each in response.informational] == [103, 100]
            assert list(response.journey.phases())[-4:] == ["send", "expect", "wait", "receive"]
            assert response.journey.expect > 0
            # A request without a body has nothing that could be expected (RFC 9110 s.10.1.1).
            response = await client.get(at.url())
            assert (response.journey.nth, response.journey.expect) == (2, None)

    backend.run(body)


@pytest.mark.parametrize("listener", ["http", "https"])
def test_nginx_asks_for_the_body(backend, nginx, authority, listener):
    async def body():
        context = authority.client_context()
        async with backend.client(verify=context, expect_continue=True, timeout=LONG) as client:
            for _ in range(2):
                response = await client.post(nginx.url("/echo", listener), content=Body(backend).content)
                assert response.content == BODY
            assert response.journey.nth == 2

    backend.run(body)


@pytest.mark.parametrize("status", [200, 302, 401, 413])
@pytest.mark.parametrize("kind", ["bytes", "pieces"])
def test_a_final_response_instead_leaves_the_body_unsent_and_unread(backend, peer, status, kind):
    left = []

    def refuse(dialogue):
        assert expects(head(dialogue))
        dialogue.send(REFUSED % status)
        left.append(dialogue._ahead + dialogue.wait_for_close())

    at = peer(refuse, lambda dialogue: (dialogue.read_request(), dialogue.send(OK)))

    async def body():
        async with backend.client(expect_continue=True, timeout=LONG) as client:
            pieces = Body(backend)
            response = await client.post(at.url(), content=pieces.content if kind == "pieces" else BODY)
            assert (response.status_code, response.content) == (status, b"big")
            assert response.journey.sizes.sent_body == 0
            await backend.hear(at.closed[0])
            assert not pieces.asked
            assert left == [b""]
            # The server would take what follows for the body.
            assert (await client.get(at.url())).journey.nth == 1

    backend.run(body)


def test_a_server_that_does_not_know_expectations_is_asked_without(backend, peer):
    def refuse(dialogue):
        assert expects(head(dialogue))
        dialogue.send(REFUSED % 417)
        dialogue.wait_for_close()

    def take(dialogue):
        request = dialogue.read_request()
        assert not expects(request)
        assert request.endswith(BODY)
        dialogue.send(OK)

    at = peer(refuse, take)

    async def body():
        async with backend.client(expect_continue=True, timeout=LONG) as client:
            headers = {"Content-Length": str(len(BODY))}
            response = await client.post(at.url(), content=Body(backend).content, headers=headers)
            assert response.content == b"ok"
            (first,) = response.journey.attempts
            assert first.why_again == "expectation_failed"

    backend.run(body)


def test_417_is_final_for_a_second_time(backend, peer):
    at = peer(*[lambda dialogue: (head(dialogue), dialogue.send(REFUSED % 417), dialogue.wait_for_close())] * 2)

    async def body():
        async with backend.client(expect_continue=True, timeout=LONG) as client:
            assert (await client.post(at.url(), content=BODY)).status_code == 417

    backend.run(body)
    assert at.accepted == 2


def test_a_server_that_says_nothing_gets_the_body_after_a_while(backend, peer):
    def script(dialogue):
        assert expects(head(dialogue))
        assert dialogue._read_exactly(len(BODY)) == BODY
        dialogue.send(CONTINUE)
        dialogue.send(OK)

    at = peer(script)

    async def body():
        timeout = httpx_fast.Timeout(PATIENCE, expect_continue=0.02)
        async with backend.client(timeout=timeout) as client:
            response = await client.post(at.url(), content=BODY, extensions={"expect_continue": True})
            assert response.content == b"ok"
            assert response.journey.expect >= 0.02

    backend.run(body)


def test_a_total_that_runs_out_meanwhile_is_an_error(backend, peer):
    asked = threading.Event()
    at = peer(lambda dialogue: (head(dialogue), asked.set(), dialogue.hold()))

    async def body():
        timeout = httpx_fast.Timeout(None, expect_continue=None, total=WHILE)
        async with backend.client(timeout=timeout, expect_continue=True) as client:
            with FakeClock(getattr(client, "blocking", client)) as clock:

                async def ask():
                    with pytest.raises(httpx_fast.ReadTimeout, match=r"total timed out after .* of 900 s") as caught:
                        await client.post(at.url(), content=BODY)
                    assert caught.value.journey.phase == "expect"

                async def move():
                    await backend.hear(asked)
                    clock.advance(WHILE)

                await backend.together(ask, move)

    backend.run(body)


@pytest.mark.parametrize(
    ("setting", "extension", "asks"),
    [
        (len(BODY), None, True),
        (len(BODY) + 1, None, False),
        (False, len(BODY), True),
        (True, False, False),
        (len(BODY) + 1, True, True),
    ],
)
def test_a_size_from_which_on_and_the_request_s_own_word(backend, peer, setting, extension, asks):
    def script(dialogue):
        assert expects(head(dialogue)) is asks
        dialogue.send(CONTINUE)
        dialogue._read_exactly(len(BODY))
        dialogue.send(OK)

    at = peer(script)
    extensions = {} if extension is None else {"expect_continue": extension}

    async def body():
        async with backend.client(expect_continue=setting, timeout=LONG) as client:
            told = client.explain("POST", at.url(), content=BODY, extensions=extensions)
            assert told.expect_continue is asks
            assert any(each.name == "expect" for each in told.fields) is asks
            assert (await client.post(at.url(), content=BODY, extensions=extensions)).content == b"ok"

    backend.run(body)


# HTTP/2.


@pytest.fixture
def http2(backend, peer, authority):
    """Runs a body with a client of HTTP/2, against a script of frames."""
    authority.issue("127.0.0.1")

    def run(script, body, **options):
        at = peer(
            lambda dialogue: script(Server(dialogue.connection)), tls=authority.server_context("127.0.0.1", alpn=["h2"])
        )

        async def main():
            async with backend.client(verify=authority.client_context(), http2=True, **options) as client:
                await body(client, at)

        backend.run(main)

    return run


def test_the_body_of_a_stream_is_sent_when_the_server_wants_it(http2):
    def script(server):
        server.until("HEADERS 1")
        assert (b"expect", b"100-continue") in server.requests[1]
        assert not any(line.startswith("DATA") for line in server.lines)
        server.say(server.head(1, [(":status", "100")]))
        while len(server.bodies.get(1, b"")) < len(BODY):
            server.forget()
            server.until("DATA 1")
        server.respond(1)
        server.until_closed()

    async def body(client, at):
        response = await client.post(at.url(), content=BODY)
        assert (response.content, response.http_version) == (b"ok", "HTTP/2")
        assert response.journey.expect > 0

    http2(script, body, expect_continue=True, timeout=LONG)


@pytest.mark.parametrize("status", ["200", "413"])
def test_a_final_response_on_a_stream_leaves_the_body_unsent(http2, backend, status):
    def script(server):
        server.until("HEADERS 1")
        server.say(server.head(1, [(":status", status)]), data(1, b"big", end=True))
        server.until("RST_STREAM 1", "HEADERS 3")
        assert not server.bodies.get(1)
        server.respond(3)
        server.until_closed()

    async def body(client, at):
        pieces = Body(backend)
        response = await client.post(at.url(), content=pieces.content)
        assert (response.status_code, response.content) == (int(status), b"big")
        assert not pieces.asked
        assert (await client.get(at.url())).journey.nth == 2

    http2(script, body, expect_continue=True, timeout=LONG)


def test_a_server_of_http2_that_says_nothing_gets_the_body_after_a_while(http2):
    def script(server):
        server.until("HEADERS 1", "DATA 1")
        server.respond(1)
        server.until_closed()

    async def body(client, at):
        response = await client.post(at.url(), content=b"small")
        assert response.content == b"ok"
        assert response.journey.expect >= 0.02

    http2(script, body, expect_continue=True, timeout=httpx_fast.Timeout(PATIENCE, expect_continue=0.02))


# What makes no sense.


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (-1, ValueError, "^expected 0 bytes or more as expect_continue, got -1$"),
        ("1 MB", TypeError, "^expected True, False, or a number of bytes as expect_continue, got '1 MB'$"),
        (1.5, TypeError, "^expected True, False, or a number of bytes as expect_continue, got 1.5$"),
    ],
)
def test_what_makes_no_sense_is_refused(backend, nginx, value, error, message):
    async def body():
        with pytest.raises(error, match=message):
            backend.client(expect_continue=value)
        async with backend.client() as client:
            with pytest.raises(error, match=message):
                await client.post(nginx.url("/echo"), content=b"a", extensions={"expect_continue": value})

    backend.run(body)


def test_the_wait_is_a_timeout_of_its_own():
    assert httpx_fast.Timeout(5).expect_continue == 1.0
    assert httpx_fast.Timeout(httpx_fast.Timeout(5, expect_continue=3)).expect_continue == 3
    assert repr(httpx_fast.Timeout(5, expect_continue=3)) == "Timeout(timeout=5, expect_continue=3)"
    assert httpx_fast.Timeout(5, expect_continue=None).as_dict()["expect_continue"] is None
    assert "expect_continue" not in httpx_fast.Timeout(5).as_dict()
    with pytest.raises(ValueError, match="as expect_continue, got -1"):
        httpx_fast.Timeout(5, expect_continue=-1)
