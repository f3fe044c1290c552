"""The fault lab, asked by hand: what comes over the wire, and what the lab writes down."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import select
import socket
import ssl
import sys
import threading
from collections.abc import Iterator

import pytest

from httpx_fast.testing import (
    Close,
    Delay,
    Drip,
    FaultLab,
    HalfClose,
    Hold,
    Mute,
    Read,
    ReadBody,
    ReadHead,
    Receive,
    Repeat,
    Reset,
    Send,
    Tell,
    Tls,
    chunked,
    redirect,
    response,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

PATIENCE = 10  # seconds; what takes longer hangs
GET = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


@contextlib.contextmanager
def connected(lab: FaultLab) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", lab.port), timeout=PATIENCE) as sock:
        yield sock


def read(sock: socket.socket) -> bytes:
    """Everything until the end."""
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def read_exactly(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = sock.recv(size - len(data))
        assert piece, f"closed after {data!r}"
        data += piece
    return data


def silent(sock: socket.socket) -> bool:
    """Whether nothing has come so far."""
    return not select.select([sock], [], [], 0)[0]


def test_a_lab_without_a_script_answers_every_request(fault_lab):
    with connected(fault_lab) as sock:
        for _ in range(2):
            sock.sendall(GET)
            assert read_exactly(sock, len(response())) == b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


def test_what_arrives_is_written_down(fault_lab):
    for _ in range(2):
        with connected(fault_lab) as sock:
            sock.sendall(GET + POST + b"body")
            read_exactly(sock, 2 * len(response()))
    assert fault_lab.accepted == 2
    seen = [(each.method, each.target, each.body, each.connection, each.nth) for each in fault_lab.requests]
    first = [("GET", "/a", b"", 1, 1), ("POST", "/b", b"body", 1, 2)]
    assert seen == [*first, ("GET", "/a", b"", 2, 1), ("POST", "/b", b"body", 2, 2)]
    assert fault_lab.requests[0].field("host") == "x"


def test_a_script_is_for_every_connection_and_closes_at_its_end(fault_lab):
    fault_lab.serve(Read(), Send(b"one"), Send(lambda request: request.target.encode()))
    for _ in range(2):
        with connected(fault_lab) as sock:
            sock.sendall(GET)
            assert read(sock) == b"one/a"


def test_successive_connections_get_successive_scripts_and_the_last_one_stays(fault_lab):
    fault_lab.serve([Send(b"1")], [Send(b"2")], [Send(b"3")])
    said = []
    for _ in range(4):
        with connected(fault_lab) as sock:
            said.append(read(sock))
    assert said == [b"1", b"2", b"3", b"3"]


def test_another_script_is_for_connections_from_then_on(fault_lab):
    begun = threading.Event()
    fault_lab.serve(Tell(begun), Hold(), Send(b"old"))
    with connected(fault_lab) as old:
        assert begun.wait(PATIENCE)
        fault_lab.serve(Send(b"new"))
        with connected(fault_lab) as new:
            assert read(new) == b"new"
        fault_lab.release()
        assert read(old) == b"old"


@pytest.mark.parametrize("scripts", [(), (Read(), [Read()])], ids=["nothing", "a step and a script"])
def test_what_is_no_script_is_refused(fault_lab, scripts):
    with pytest.raises(TypeError, match="expected"):
        fault_lab.serve(*scripts)


def test_a_reset_comes_after_the_bytes_before_it(fault_lab):
    fault_lab.serve(Read(), Send(b"some"), Reset())
    with connected(fault_lab) as sock:
        sock.sendall(GET)
        assert read_exactly(sock, 4) == b"some"
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_half_closed_connection_still_takes_what_comes(fault_lab):
    taken = threading.Event()
    fault_lab.serve(Read(), HalfClose(), Read(), Tell(taken))
    with connected(fault_lab) as sock:
        sock.sendall(GET)
        assert sock.recv(1) == b""
        sock.sendall(POST + b"body")
        assert taken.wait(PATIENCE)
    assert [each.body for each in fault_lab.requests] == [b"", b"body"]


def test_a_drip_sends_an_byte_for_each_release(fault_lab):
    fault_lab.serve(Drip(b"abc"))
    with connected(fault_lab) as sock:
        for byte in (b"a", b"b"):
            assert silent(sock)
            fault_lab.release()
            assert sock.recv(10) == byte
        fault_lab.release()
        assert read(sock) == b"c"


@pytest.mark.parametrize(
    ("cuts", "pieces"),
    [
        (None, [b"a", b"b", b"c", b"d"]),
        ([], [b"abcd"]),
        ([3, 1], [b"a", b"bc", b"d"]),
        ([0, 2, 2, 4], [b"ab", b"cd"]),
    ],
)
def test_a_drip_is_cut_where_it_was_said(cuts, pieces):
    assert list(Drip(b"abcd", cuts).pieces()) == pieces


def test_all_can_be_released_for_ever(fault_lab):
    fault_lab.serve(Hold(), Drip(b"abc"), Hold())
    fault_lab.release(None)
    for _ in range(2):
        with connected(fault_lab) as sock:
            assert read(sock) == b"abc"


def test_several_releases_may_come_before_they_are_needed(fault_lab):
    fault_lab.release(2)
    fault_lab.serve(Drip(b"abc"))
    with connected(fault_lab) as sock:
        assert read_exactly(sock, 2) == b"ab"
        assert silent(sock)


def test_a_release_goes_to_who_still_waits(fault_lab):
    held = threading.Event()
    fault_lab.serve([Tell(held), Hold(), Send(b"first")], [Tell(held), Hold(), Send(b"second")])
    with connected(fault_lab) as first:
        assert held.wait(PATIENCE)
        held.clear()
        with connected(fault_lab) as second:
            assert held.wait(PATIENCE)
            fault_lab.release()
            assert read(first) == b"first"
            assert silent(second)
            fault_lab.release()
            assert read(second) == b"second"


def test_a_delay_lasts_as_long_as_the_clock_of_the_lab_says():
    asked = []
    passed = asyncio.Event()
    begun = threading.Event()

    async def sleep(seconds: float) -> None:
        asked.append(seconds)
        begun.set()
        await passed.wait()

    with FaultLab(sleep=sleep) as lab:
        lab.serve([Delay(3600), Send(b"late")], [Call(passed.set)])
        with connected(lab) as sock:
            assert begun.wait(PATIENCE)
            assert silent(sock)
            with connected(lab):
                assert read(sock) == b"late"
    assert asked == [3600]


class Call:
    """A step of a user's own."""

    def __init__(self, function):
        self._function = function

    async def run(self, dialogue):
        self._function()


def test_a_mute_peer_says_nothing_until_the_other_closes(fault_lab):
    gone = threading.Event()
    fault_lab.serve([Mute(), Tell(gone)])
    with connected(fault_lab) as sock:
        sock.sendall(GET)
        sock.shutdown(socket.SHUT_WR)
        assert gone.wait(PATIENCE)
        assert read(sock) == b""
    assert fault_lab.requests == []


def test_bytes_that_are_no_request_can_be_waited_for(fault_lab):
    fault_lab.serve(Receive(), Send(b"heard"))
    with connected(fault_lab) as sock:
        assert silent(sock)
        sock.sendall(b"\x16")
        assert read(sock) == b"heard"


def test_an_answer_may_come_before_the_body(fault_lab):
    fault_lab.serve(ReadHead(), Send(b"early"), ReadBody(), Send(lambda request: request.body))
    with connected(fault_lab) as sock:
        sock.sendall(POST)
        assert read_exactly(sock, 5) == b"early"
        assert [each.body for each in fault_lab.requests] == [b""]
        sock.sendall(b"body")
        assert read(sock) == b"body"
    assert [each.body for each in fault_lab.requests] == [b"body"]


def test_steps_are_repeated_as_often_as_it_was_said(fault_lab):
    fault_lab.serve(Repeat(Read(), Send(b"good"), times=2), Read(), Send(b"bad"))
    with connected(fault_lab) as sock:
        sock.sendall(3 * GET)
        assert read(sock) == b"goodgoodbad"


def test_what_is_sent_for_ever_ends_with_the_peer(fault_lab):
    ended = threading.Event()

    class Endless:
        async def run(self, dialogue):
            try:
                await Repeat(Send(bytes(1000))).run(dialogue)
            finally:
                ended.set()

    fault_lab.serve(Endless())
    with connected(fault_lab) as sock:
        assert read_exactly(sock, 100_000)
    assert ended.wait(PATIENCE)


def test_tls_is_a_step_and_plain_connections_come_to_the_same_port(fault_lab):
    fault_lab.serve([Tls(), Read(), Send(b"hidden")], [Read(), Send(b"plain")])
    context = fault_lab.client_context()
    with connected(fault_lab) as sock, context.wrap_socket(sock, server_hostname="127.0.0.1") as tls:
        tls.sendall(GET)
        assert read(tls) == b"hidden"
    with connected(fault_lab) as sock:
        sock.sendall(GET)
        assert read(sock) == b"plain"
    assert [each.tls_version is not None for each in fault_lab.requests] == [True, False]


@pytest.mark.parametrize("notify", [True, False])
@pytest.mark.parametrize("ending", [Close, HalfClose])
def test_the_end_of_tls_is_told_or_not(fault_lab, ending, notify):
    fault_lab.serve(Tls(), Read(), Send(b"some"), ending(notify=notify), Hold())
    context = fault_lab.client_context()
    with connected(fault_lab) as sock:
        tls = context.wrap_socket(sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False)
        with tls:
            tls.sendall(GET)
            assert read_exactly(tls, 4) == b"some"
            if notify:
                assert tls.recv(1) == b""
            else:
                with pytest.raises(ssl.SSLEOFError, match="EOF"):
                    tls.recv(1)


@pytest.mark.skipif(sys.platform != "linux", reason="a full queue answers nothing on Linux only")
def test_a_black_hole_answers_no_attempt_to_connect(fault_lab):
    port = int(fault_lab.black_hole().rpartition(":")[2].strip("/"))
    with socket.socket() as sock:
        sock.setblocking(False)
        assert sock.connect_ex(("127.0.0.1", port)) == errno.EINPROGRESS
        assert not select.select([], [sock], [], 0)[1]


def test_what_a_script_raises_is_raised_by_close_once():
    def broken(request):
        raise ZeroDivisionError("of the script")

    lab = FaultLab()
    lab.start()
    lab.serve(Read(), Send(broken))
    with connected(lab) as sock:
        sock.sendall(GET)
        assert read(sock) == b""
    with pytest.raises(ZeroDivisionError, match="of the script"):
        lab.close()
    lab.close()


def test_what_a_script_raises_does_not_hide_what_the_test_raises():
    with pytest.raises(KeyError, match="of the test") as caught, FaultLab() as lab:
        lab.serve(Send(lambda request: b""))
        with connected(lab) as sock:
            assert read(sock) == b""
        raise KeyError("of the test")
    assert "have the script read one before" in caught.value.__notes__[0]


def test_a_request_that_is_none_fails_the_lab():
    lab = FaultLab()
    lab.start()
    with connected(lab) as sock:
        sock.sendall(b"\x16\x03\x01\r\n\r\n")
        assert read(sock) == b""
    with pytest.raises(Exception, match="malformed"):
        lab.close()


def test_closing_ends_scripts_that_hold():
    holds = threading.Event()
    with FaultLab() as lab:
        lab.serve(Tell(holds), Hold())
        with connected(lab) as sock:
            assert holds.wait(PATIENCE)
            lab.close()
            assert read(sock) == b""


def test_a_lab_that_was_not_started_releases_nothing():
    with pytest.raises(RuntimeError, match="not started"):
        FaultLab().release()


def test_bytes_of_responses_say_what_they_were_told():
    assert response(b"ab", ("A", "b"), status=404, length=9) == (
        b"HTTP/1.1 404 Not Found\r\nA: b\r\nContent-Length: 9\r\n\r\nab"
    )
    assert chunked(b"ab", b"", b"c" * 10) == (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\na\r\ncccccccccc\r\n0\r\n\r\n"
    )
    assert redirect("/b", status=307) == (
        b"HTTP/1.1 307 Temporary Redirect\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"
    )
