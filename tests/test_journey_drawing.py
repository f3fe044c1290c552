"""Drawings of journeys made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast._journey_drawing import MIN_BAR, draw
from httpx_fast._journey_steps import Step, steps


def make_facts(*, began: float = 100.0005, tls: bool = True) -> ConnectionFacts:
    facts = ConnectionFacts()
    facts.dial_started = began
    facts.dns_done = began + 0.0005
    facts.tcp_done = began + 0.001
    facts.peer_address = ("127.0.0.1", 40213)
    if tls:
        facts.tls_done = began + 0.004
        facts.tls_version = "TLSv1.3"
        facts.cipher = "TLS_AES_256_GCM_SHA384"
    return facts


def make_journey(facts: ConnectionFacts | None, nth: int, started: float, *marks: float) -> Journey:
    """`marks` in milliseconds after the start: leased, sending, sent, first, done."""
    journey = Journey(started, lambda: started + 9.0)
    journey.connection = facts
    journey.nth = nth
    for name, mark in zip(("leased", "sending", "sent", "first", "done"), marks, strict=False):
        setattr(journey, name, started + mark / 1000)
    return journey


def cold_and_warm() -> list[Journey]:
    facts = make_facts()
    return [
        make_journey(facts, 1, 100.0, 0.5, 4.5, 5.0, 7.5, 8.0),
        make_journey(facts, 2, 200.0, 0.004, 0.1, 0.3, 1.9, 2.0),
    ]


def test_cold_and_warm_request_side_by_side() -> None:
    assert draw(cold_and_warm(), ["GET 200", "GET 200"], width=61) == [
        "Request 1 (GET 200): new connection, 8.000 ms",
        "  pool    0.500 ms  ██▋",
        "  dns     0.500 ms    ██▋",
        "  tcp     0.500 ms       ██▋",
        "  tls     3.000 ms         ███████████████▍",
        "  send    0.500 ms                         ██▌",
        "  wait    2.500 ms                           ████████████▊",
        "  receive 0.500 ms                                        ██▋",
        "Request 2 (GET 200): reused connection, request 2 on it, 2.000 ms",
        "  pool    0.100 ms  ▌",
        "  dns      skipped",
        "  tcp      skipped",
        "  tls      skipped",
        "  send    0.200 ms  █",
        "  wait    1.600 ms   ████████▎",
        "  receive 0.100 ms           ▌",
        "Reusing the connection: 2.000 ms instead of 8.000 ms, 4.0 times as fast.",
        "Connection: peer 127.0.0.1:40213, HTTP/1.1, TLSv1.3 with TLS_AES_256_GCM_SHA384",
    ]


def test_without_block_characters_bars_are_ascii() -> None:
    lines = draw(cold_and_warm(), width=61, blocks=False)
    assert lines[:5] == [
        "Request 1: new connection, 8.000 ms",
        "  pool    0.500 ms  ###",
        "  dns     0.500 ms    ###",
        "  tcp     0.500 ms       ###",
        "  tls     3.000 ms         ###############",
    ]
    assert "\n".join(lines).isascii()


def test_bars_are_coloured_only_on_demand() -> None:
    plain, coloured = (draw(cold_and_warm(), colors=colors) for colors in (False, True))
    assert "\x1b" not in "".join(plain)
    assert coloured[4].endswith("\x1b[0m")
    assert coloured[4].count("\x1b") == 2
    assert coloured[0] == plain[0]


@pytest.mark.parametrize("width", [20, 21, 30, 31, 40, 80, 133, 200])
@pytest.mark.parametrize("blocks", [True, False])
def test_rows_never_pass_the_width_of_the_terminal(width: int, blocks: bool) -> None:
    rows = [line for line in draw(cold_and_warm(), width=width, blocks=blocks) if line.startswith("  ")]
    assert max(map(len, rows)) <= width
    bars = any(mark in "".join(rows) for mark in "█#")
    assert bars is (width >= len("  receive 0.500 ms  ") + MIN_BAR)


@pytest.mark.parametrize(
    ("total", "told"), [(2.0, "2.000 ms"), (34.5678, "34.57 ms"), (345.678, "345.7 ms"), (3456.78, "3457 ms")]
)
def test_times_have_as_many_digits_as_the_longest_needs(total: float, told: str) -> None:
    journey = make_journey(make_facts(tls=False), 1, 100.0, 0.0, total * 0.5, total * 0.5, total * 0.9, total)
    assert draw([journey])[0] == f"Request 1: new connection, {told}"


def test_step_too_short_for_its_scale_is_still_seen() -> None:
    journey = make_journey(make_facts(), 2, 100.0, 0.0, 0.0, 0.0, 3000.0, 3000.001)
    rows = draw([journey], width=60)
    assert rows[1].endswith("0 ms  ▏")
    assert len(rows[-2]) == 60
    assert rows[-2].endswith(" ▏")


def test_steps_begin_where_they_began() -> None:
    assert [(step.name, round(step.begin * 1000, 3)) for step in steps(cold_and_warm()[0])] == [
        ("pool", 0.0),
        ("dns", 0.5),
        ("tcp", 1.0),
        ("tls", 1.5),
        ("send", 4.5),
        ("wait", 5.0),
        ("receive", 7.5),
    ]


def test_steps_that_the_connection_never_took_are_left_out() -> None:
    unix = ConnectionFacts()
    unix.dial_started, unix.tcp_done = 100.0, 100.001
    for nth in (1, 2):
        journey = make_journey(unix, nth, 100.0, 0.0, 1.0, 1.5, 2.0, 3.0)
        assert [step.name for step in steps(journey)] == ["pool", "tcp", "send", "wait", "receive"]


def test_failed_dial_shows_how_far_it_came() -> None:
    facts = ConnectionFacts()
    facts.dial_started, facts.dns_done = 100.0, 100.002
    journey = make_journey(facts, 0, 100.0, 0.0)
    journey.stopped = 100.010
    assert [step.name for step in steps(journey)] == ["pool", "dns", "tcp"]
    assert [step.broken for step in steps(journey)] == [False, False, True]
    assert draw([journey], width=63) == [
        "Request 1: no connection, failed in tcp, 10.00 ms",
        "  pool     0.00 ms  ▏",
        "  dns      2.00 ms  ██████▍",
        "  tcp      8.00 ms        █████████████████████████▋ broken off",
    ]


def through_a_proxy() -> ConnectionFacts:
    facts = make_facts()
    facts.proxy = "https://proxy.example:3128"
    facts.proxy_done = 100.0025
    return facts


def test_leave_of_a_proxy_is_a_step_between_tcp_and_tls() -> None:
    facts = through_a_proxy()
    cold = make_journey(facts, 1, 100.0, 0.5, 4.5, 5.0, 7.5, 8.0)
    assert [(step.name, round(step.begin * 1000, 3), round(step.seconds * 1000, 3)) for step in steps(cold)[2:5]] == [
        ("tcp", 1.0, 0.5),
        ("proxy", 1.5, 1.0),
        ("tls", 2.5, 2.0),
    ]
    warm = make_journey(facts, 2, 200.0, 0.0, 1.0, 1.5, 2.0, 3.0)
    assert [step.name for step in steps(warm) if step.seconds is None] == ["dns", "tcp", "proxy", "tls"]
    assert draw([cold])[-1].startswith(
        "Connection: peer 127.0.0.1:40213, which is the proxy https://proxy.example:3128, HTTP/1.1, TLSv1.3"
    )


@pytest.mark.parametrize("passed", [False, True])
def test_failure_is_before_or_behind_the_proxy(passed: bool) -> None:
    facts = through_a_proxy()
    facts.tls_done = None
    if not passed:
        facts.proxy_done = None
    journey = make_journey(facts, 0, 100.0, 0.5)
    journey.stopped = 100.01
    assert journey.phase == ("tls" if passed else "proxy")
    last = steps(journey)[-1]
    assert (last.name, last.broken) == (journey.phase, True)
    assert last.begin * 1000 == pytest.approx(2.5 if passed else 1.5)


def test_wait_for_the_pool_that_ended_in_a_timeout_is_a_step_broken_off() -> None:
    journey = make_journey(None, 0, 100.0)
    journey.stopped = 101.5
    assert draw([journey], width=40)[0] == "Request 1: no connection, failed in pool, 1500 ms"
    assert steps(journey) == [Step("pool", 0.0, 1.5, broken=True)]


def test_failure_on_a_reused_connection_is_told() -> None:
    journey = make_journey(make_facts(), 3, 200.0, 0.0, 1.0, 2.0)
    journey.stopped = 205.0
    assert draw([journey])[0] == "Request 1: reused connection, request 3 on it, failed in wait, 5000 ms"


def test_connections_are_told_apart_when_there_are_several() -> None:
    one, two = make_facts(), make_facts(tls=False)
    two.peer_address = ("::1", 80, 0, 0)
    one.tls_resumed = True
    journeys = [make_journey(facts, 1, 100.0, 0.5, 4.5, 5.0, 7.5, 8.0) for facts in (one, two, one)]
    assert draw(journeys)[-2:] == [
        f"Connection of request 1, 3: peer 127.0.0.1:40213, HTTP/1.1, TLSv1.3 with {one.cipher}, TLS session resumed",
        "Connection of request 2: peer [::1]:80, HTTP/1.1",
    ]


@pytest.mark.parametrize(
    ("address", "told"), [("/run/x.sock", "/run/x.sock"), (b"/run/y", "/run/y"), ("", "unknown"), (None, "unknown")]
)
def test_address_is_told_as_what_it_is(address: Any, told: str) -> None:
    facts = make_facts(tls=False)
    facts.peer_address = address
    assert draw([make_journey(facts, 1, 100.0, 0.5, 4.5, 5.0, 7.5, 8.0)])[-1] == f"Connection: peer {told}, HTTP/1.1"


def test_nothing_is_said_of_a_saving_that_there_is_not() -> None:
    cold, warm = cold_and_warm()
    for journeys in ([warm, cold], [cold], [warm, warm], []):
        assert not any(line.startswith("Reusing") for line in draw(journeys))
