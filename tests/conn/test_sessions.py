"""Which TLS session the next handshake with a peer is given, and when it is read."""

from __future__ import annotations

import ssl

import pytest

from httpx_fast._conn.sessions import MAX_SESSIONS, Sessions
from httpx_fast._origin import Origin, Route

ROUTE = Route(Origin("https", "example.org", 443))
NO_SESSION = object()


@pytest.fixture(scope="module")
def handshake(certificate):
    """Shakes hands in memory, with TLS 1.2, and gives the client's side."""

    def shake() -> ssl.SSLObject:
        accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(accepting)
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.maximum_version = ssl.TLSVersion.TLSv1_2
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = trusting.wrap_bio(back, there)
        server = accepting.wrap_bio(there, back, server_side=True)
        for side in (client, server) * 2:
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
        return client

    return shake


@pytest.fixture(scope="module")
def certificate():
    trustme = pytest.importorskip("trustme")
    return trustme.CA().issue_cert("example.org")


class Encrypted:
    """A stream with a session, which counts how often that is read."""

    def __init__(self, session: object) -> None:
        self.session = session
        self.reads = 0
        self.freed = 0

    def free_buffers(self) -> None:
        self.freed += 1

    def get_extra_info(self, name: str) -> object:
        if name == "ssl_object":
            return None if self.session is NO_SESSION else self
        assert name == "tls_session"
        self.reads += 1
        return None if self.session is NO_SESSION else self.session


@pytest.fixture
def stream(handshake):
    return Encrypted(handshake().session)


def test_session_of_an_open_connection_is_read_once_when_the_next_is_dialled(stream) -> None:
    sessions = Sessions()
    sessions.seen(ROUTE, stream)
    assert (stream.reads, stream.freed) == (0, 1)
    assert sessions.find(ROUTE) is stream.session
    assert sessions.find(ROUTE) is stream.session
    sessions.ended(ROUTE, stream)
    assert stream.reads == 1


def test_session_outlives_its_connection_which_is_let_go_of(stream) -> None:
    sessions, session = Sessions(), stream.session
    sessions.seen(ROUTE, stream)
    sessions.ended(ROUTE, stream)
    assert stream.reads == 1
    assert sessions.find(ROUTE) is session
    assert not any(each is stream for each in sessions._found.values())


def test_session_of_the_connection_seen_last_counts(stream, handshake) -> None:
    sessions, later = Sessions(), Encrypted(handshake().session)
    sessions.seen(ROUTE, stream)
    sessions.seen(ROUTE, later)
    sessions.ended(ROUTE, stream)
    assert sessions.find(ROUTE) is later.session
    assert stream.reads == 0


def test_nothing_is_read_of_what_is_closed_after_the_sessions_were_cleared(stream) -> None:
    sessions = Sessions()
    sessions.seen(ROUTE, stream)
    sessions.clear()
    sessions.ended(ROUTE, stream)
    assert sessions.find(ROUTE) is None
    assert stream.reads == 0


def test_open_connections_are_forgotten_untouched_and_sessions_stay(stream, handshake) -> None:
    sessions, other = Sessions(), ROUTE._replace(server_name="other")
    kept = Encrypted(handshake().session)
    sessions.seen(ROUTE, stream)
    sessions.keep(other, kept)
    sessions.forget_open()
    assert sessions.find(ROUTE) is None
    assert sessions.find(other) is kept.session
    assert (stream.reads, kept.reads) == (0, 1)


def test_connections_without_tls_are_not_remembered() -> None:
    sessions = Sessions()
    sessions.seen(ROUTE, Encrypted(NO_SESSION))
    sessions.keep(ROUTE, Encrypted(NO_SESSION))
    assert not sessions._found


def test_connection_whose_session_is_none_is_forgotten() -> None:
    sessions, stream = Sessions(), Encrypted(None)
    sessions.seen(ROUTE, stream)
    assert sessions.find(ROUTE) is None
    assert not sessions._found


@pytest.mark.parametrize("more", [-1, 0, 1])
def test_oldest_goes_beyond_the_limit(more: int) -> None:
    sessions = Sessions()
    routes = [Route(Origin("https", f"{number}.example", 443)) for number in range(MAX_SESSIONS + more)]
    for route in routes:
        sessions.seen(route, Encrypted(None))
    assert list(sessions._found) == routes[-MAX_SESSIONS:]


def test_route_that_is_seen_again_is_not_the_oldest_any_more() -> None:
    sessions = Sessions()
    routes = [Route(Origin("https", f"{number}.example", 443)) for number in range(MAX_SESSIONS)]
    for route in (*routes, routes[0], ROUTE):
        sessions.seen(route, Encrypted(None))
    assert list(sessions._found) == [*routes[2:], routes[0], ROUTE]
