"""Dialling without a network: tries, their pauses and deadlines, what is offered and what is left open."""

from __future__ import annotations

from typing import Any

import pytest
from memory import NO_CONTEXT, A, MemoryBackend
from scripted import ScriptedStream

from httpx_fast._conn.dial import dial
from httpx_fast._conn.options import DialOptions
from httpx_fast._deadline import Deadline
from httpx_fast._drive import drive
from httpx_fast._exceptions import AddressDenied, ConnectError, ConnectTimeout
from httpx_fast._journey import ConnectionFacts
from httpx_fast._net.sync import SyncBackend
from httpx_fast._origin import Origin, Route

TLS = Route(Origin("https", "a.example", 443))


def options(**settings: Any) -> DialOptions:
    return DialOptions(tls=lambda: NO_CONTEXT, **settings)


@pytest.fixture
def backend() -> MemoryBackend:
    return MemoryBackend(SyncBackend())


def failing(backend: MemoryBackend, times: int) -> None:
    backend.scripts = [[ConnectError(f"refused {number}")] for number in range(times)]


def test_what_is_opened_has_its_protocol_and_its_marks(backend: MemoryBackend):
    facts = ConnectionFacts()
    dialled = drive(dial(backend, A, options(), 5.0, facts))
    assert dialled.protocol == "http/1.1"
    assert dialled.opened is backend.streams[0]
    assert (facts.dial_started, facts.dns_done, facts.tcp_done, facts.tls_done) == (100.0, 100.0, 100.0, None)


@pytest.mark.parametrize(("retries", "slept"), [(0, []), (1, []), (3, [0.5, 1.0])])
def test_further_tries_wait_longer_each_time(backend: MemoryBackend, retries: int, slept: list[float]):
    failing(backend, retries)
    drive(dial(backend, A, options(retries=retries), None, ConnectionFacts()))
    assert backend.slept == slept
    failing(backend, retries + 1)
    with pytest.raises(ConnectError, match=f"refused {retries}"):
        drive(dial(backend, A, options(retries=retries), None, ConnectionFacts()))


def test_pauses_have_an_end(backend: MemoryBackend):
    failing(backend, 8)
    drive(dial(backend, A, options(retries=8), None, ConnectionFacts()))
    assert backend.slept == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0]


@pytest.mark.parametrize("whole", [False, True])
def test_no_try_begins_that_the_deadline_would_end(backend: MemoryBackend, whole: bool):
    """One budget for all tries: that of connecting, or what is left of the whole."""
    failing(backend, 9)
    deadline = None
    if whole:
        deadline = Deadline(2.0)
        deadline.at = 102.0
    with pytest.raises(ConnectError, match="refused 3"):
        drive(dial(backend, A, options(retries=9), 60.0 if whole else 2.0, ConnectionFacts(), deadline))
    assert backend.slept == [0.5, 1.0]


@pytest.mark.parametrize("error", [ConnectTimeout("too late"), AddressDenied("not there")])
def test_what_a_further_try_would_not_change_is_raised_at_once(backend: MemoryBackend, error: Exception):
    def refuse() -> None:
        raise error

    backend.on_connect = refuse
    with pytest.raises(type(error), match=str(error)):
        drive(dial(backend, A, options(retries=5), None, ConnectionFacts()))
    assert backend.slept == []


def test_what_was_opened_is_closed_when_tls_fails(backend: MemoryBackend, monkeypatch: pytest.MonkeyPatch):
    async def fail(self: ScriptedStream, *arguments: Any) -> Any:
        raise ConnectError("no TLS")

    monkeypatch.setattr(ScriptedStream, "start_tls", fail)
    with pytest.raises(ConnectError, match="no TLS"):
        drive(dial(backend, TLS, options(), None, ConnectionFacts()))
    assert backend.streams[0].closed


@pytest.mark.parametrize(
    ("settings", "route", "offered"),
    [
        ({}, A, ("http/1.1",)),
        ({"http2": True}, A, ("h2", "http/1.1")),
        ({"http2": True, "http1": False}, A, ("h2",)),
        ({"http2": True}, Route(Origin("https", "a.example", 443), http1=True), ("http/1.1",)),
    ],
)
def test_the_protocols_that_may_be_spoken_are_offered(settings: dict[str, Any], route: Route, offered: tuple[str, ...]):
    assert options(**settings).protocols(route) == offered
