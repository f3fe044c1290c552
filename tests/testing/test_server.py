"""The local server, asked by the standard library's client and by hand."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from httpx_fast.testing import LocalServer, Reply, Request
from httpx_fast.testing.messages import MAX_HEAD


@pytest.fixture(params=[False, True], ids=["cleartext", "tls"])
def server(request: pytest.FixtureRequest) -> Iterator[LocalServer]:
    with LocalServer(tls=request.param) as running:
        yield running


@pytest.fixture
def plain() -> Iterator[LocalServer]:
    with LocalServer(tls=False) as running:
        yield running


@contextlib.contextmanager
def connected(server: LocalServer) -> Iterator[http.client.HTTPConnection]:
    if server.certificate is None:
        connection = http.client.HTTPConnection("localhost", server.port, timeout=10)
    else:
        context = server.client_context()
        connection = http.client.HTTPSConnection("localhost", server.port, timeout=10, context=context)
    with contextlib.closing(connection):
        yield connection


def ask(connection: http.client.HTTPConnection, target: str, method: str = "GET", **others: Any) -> tuple[int, bytes]:
    connection.request(method, target, **others)
    response = connection.getresponse()
    return response.status, response.read()


def say(server: LocalServer, data: bytes) -> bytes:
    """What the server answers to these bytes, until it closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return read(sock)


def read(sock: socket.socket) -> bytes:
    """Everything until the end."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def test_greeting_tells_what_was_asked(server: LocalServer) -> None:
    with connected(server) as connection:
        status, body = ask(connection, "/?q=1", "POST", body="hei", headers={"X-Seen": "yes"})
    told = json.loads(body)
    assert status == 200
    assert (told["method"], told["target"], told["body"]) == ("POST", "/?q=1", "hei")
    assert told["headers"]["X-Seen"] == "yes"
    assert told["tls_version"] == (None if server.certificate is None else "TLSv1.3")


def test_connection_is_kept_and_counts_its_requests(server: LocalServer) -> None:
    with connected(server) as connection:
        told = [json.loads(ask(connection, "/")[1]) for _ in range(3)]
    assert [(each["connection"], each["request_on_connection"]) for each in told] == [(1, 1), (1, 2), (1, 3)]
    assert server.accepted == 1


def test_bodies_of_many_sizes_arrive_whole(server: LocalServer) -> None:
    with connected(server) as connection:
        for size in (0, 1, 65536, 3_000_000):
            status, body = ask(connection, f"/bytes/{size}")
            assert status == 200
            assert body == (bytes(range(256)) * (size // 256 + 1))[:size]


def test_large_request_bodies_arrive_whole_by_length_and_in_chunks(server: LocalServer) -> None:
    content = b"0123456789" * 100_000
    with connected(server) as connection:
        assert json.loads(ask(connection, "/", "POST", body=content)[1])["body"] == content.decode()
        pieces = iter([content[:700_000], content[700_000:]])
        assert json.loads(ask(connection, "/", "POST", body=pieces, encode_chunked=True)[1])["body"] == content.decode()


def test_chunks_are_told_apart_from_the_next_reply(server: LocalServer) -> None:
    with connected(server) as connection:
        connection.request("GET", "/chunked")
        response = connection.getresponse()
        assert response.getheader("Transfer-Encoding") == "chunked"
        assert response.read().splitlines()[-1] == b"chunk 5 of 5"
        assert ask(connection, "/status/201") == (201, b"")


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500, 599])
def test_status_is_the_one_asked_for(plain: LocalServer, status: int) -> None:
    with connected(plain) as connection:
        assert ask(connection, f"/status/{status}") == (status, b"")
        assert ask(connection, "/status/200") == (200, b"")


def test_head_has_no_body_but_its_length(plain: LocalServer) -> None:
    with connected(plain) as connection:
        connection.request("HEAD", "/bytes/1000")
        response = connection.getresponse()
        assert (response.getheader("Content-Length"), response.read()) == ("1000", b"")
        assert ask(connection, "/status/200") == (200, b"")


def test_redirects_end_at_the_greeting(plain: LocalServer) -> None:
    target, seen = "/redirect/3", []
    with connected(plain) as connection:
        while target != "/":
            connection.request("GET", target)
            response = connection.getresponse()
            response.read()
            assert response.status == 302
            target = response.getheader("Location") or ""
            seen.append(target)
    assert seen == ["/redirect/2", "/redirect/1", "/"]


@pytest.mark.parametrize(
    "target", ["/bytes/-1", "/bytes/x", "/bytes/", "/bytes/99999999999999", "/status/100", "/status/600"]
)
def test_numbers_out_of_range_are_refused_with_the_range(plain: LocalServer, target: str) -> None:
    with connected(plain) as connection:
        status, body = ask(connection, target)
    assert status == 400
    assert b"takes a number from" in body


def test_unknown_path_lists_what_there_is(plain: LocalServer) -> None:
    with connected(plain) as connection:
        status, body = ask(connection, "/nowhere")
    assert status == 404
    assert b"/status/N" in body


def test_http_1_0_and_connection_close_end_the_connection(plain: LocalServer) -> None:
    for request in (
        b"GET /chunked HTTP/1.0\r\n\r\n",
        b"GET /chunked HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as sock:
            sock.sendall(request)
            answered = read(sock)
        assert b"Connection: close" in answered
        assert (b"chunked" in answered.partition(b"\r\n\r\n")[0]) is (b"1.1" in request)
        assert b"chunk 5 of 5" in answered


def test_expectation_is_met_before_the_body_is_sent(plain: LocalServer) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hi")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"GET /\r\n\r\n", b"malformed"),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", b"malformed"),
        (b"GET / HTTP/1.1\r\nName : value\r\n\r\n", b"malformed"),
        (b"GET / HTTP/2.0\r\n\r\n", b"speaks HTTP/1.1"),
        (b"GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"length of a body"),
        (b"GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", b"either"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", b"either"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", b"hexadecimal"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc", b"longer than it said"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n", b"the body is longer than"),
    ],
)
def test_what_is_no_request_is_refused_and_the_connection_closed(plain: LocalServer, data: bytes, said: bytes) -> None:
    answered = say(plain, data)
    assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert said in answered


def test_head_over_the_limit_is_refused(plain: LocalServer) -> None:
    answered = say(plain, b"GET / HTTP/1.1\r\nX: ".ljust(MAX_HEAD + 1, b"x"))
    assert answered.startswith(b"HTTP/1.1 400 Bad Request\r\n")


@pytest.mark.parametrize("data", [b"", b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"])
def test_peer_that_goes_away_is_let_go_in_silence(plain: LocalServer, data: bytes) -> None:
    assert say(plain, data) == b""
    with connected(plain) as connection:
        assert ask(connection, "/status/200") == (200, b"")


def test_answers_can_be_given_by_the_test_and_their_faults_are_seen() -> None:
    def answer(request: Request) -> Reply:
        if request.target == "/bad":
            raise LookupError("nothing there")
        return Reply(299, [("X-Own", "1")], [b"a", b"", b"b"])

    with LocalServer(tls=False, answer=answer) as server, connected(server) as connection:
        assert ask(connection, "/good") == (299, b"ab")
        assert ask(connection, "/bad") == (500, b"LookupError: nothing there\n")


def test_client_that_does_not_trust_the_certificate_sees_why_and_the_server_goes_on() -> None:
    with LocalServer() as server:
        stranger = http.client.HTTPSConnection(
            "localhost", server.port, timeout=10, context=ssl.create_default_context()
        )
        with (
            contextlib.closing(stranger),
            pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|self signed"),
        ):
            stranger.request("GET", "/")
        with connected(server) as connection:
            assert ask(connection, "/status/200") == (200, b"")


def test_closing_ends_connections_threads_and_handshakes_that_are_going_on() -> None:
    before = threading.active_count()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(LocalServer())
        mute = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        connection = stack.enter_context(connected(server))
        assert ask(connection, "/status/200") == (200, b"")
        server.close()
        server.close()
        assert threading.active_count() == before
        assert mute.recv(1) == b""
        with pytest.raises(OSError, match=r"."):
            ask(connection, "/status/200")


def test_closing_does_not_wait_for_a_reader_that_stalls(plain: LocalServer) -> None:
    with socket.create_connection(("127.0.0.1", plain.port), timeout=10) as sock:
        sock.sendall(b"GET /bytes/50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(5) == b"HTTP/"
        plain.close()


def misuse(call: Callable[[], object], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        call()


def test_misuse_is_told() -> None:
    server = LocalServer(tls=False)
    server.close()
    with server:
        misuse(server.start, "started already")
        misuse(server.client_context, "no certificate")
    misuse(server.start, "started already")
