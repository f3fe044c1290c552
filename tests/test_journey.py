"""The record of a request: steps that add up, attempts and hops, bytes, and what is kept when it is pickled."""

from __future__ import annotations

import datetime as dt
import json
import pickle

import pytest

import httpx_fast
from httpx_fast import ConnectionFacts, Journey
from httpx_fast._journey import AGAIN, MAX_ATTEMPTS, NEW
from httpx_fast._journey_steps import lines_of
from httpx_fast._pool import losses, replay
from httpx_fast._wire.heads import WireHead


def dialled(*, secure: bool = True) -> Journey:
    """A request whose connection took 5 ms for DNS, 10 for TCP and 15 for TLS, and which took 20, 40 and 60."""
    facts = ConnectionFacts()
    journey = Journey(100.0, lambda: 109.0, WireHead(b"GET", b"http", b"a.test", b"/", [(b"Host", b"a.test")]))
    journey.leased = facts.dial_started = 100.002
    journey.dials(facts)
    facts.dns_done, facts.tcp_done = 100.007, 100.017
    if secure:
        facts.tls_done = 100.032
    journey.nth = facts.requests = 1
    journey.sending, journey.sent, journey.first, journey.done = 100.033, 100.052, 100.092, 100.152
    return journey


def ms(phases: dict[str, float]) -> dict[str, int]:
    return {name: round(seconds * 1000) for name, seconds in phases.items()}


def test_tries_to_connect_that_failed_count_as_tcp() -> None:
    journey = dialled()
    assert journey.connection is not None
    journey.connection.retried, journey.connection.dns_done = 100.005, 100.007
    assert ms(journey.phases())["dns"] == 2
    assert ms(journey.phases())["tcp"] == 13
    assert sum(journey.phases_ns().values()) == round(journey.took * 1e9)


def test_time_of_the_reader_is_no_time_of_the_network() -> None:
    journey = dialled()
    journey.reader_had(100.1, 100.12)
    journey.reader_had(100.13, 100.13)
    journey.reader_had(100.15, 100.5)  # the end had come meanwhile: 2 ms of it were before
    assert journey.reader == pytest.approx(0.022)
    assert journey.receive == pytest.approx(0.038)
    assert sum(journey.phases_ns().values()) == round(journey.took * 1e9)
    assert [span.name for span in journey.spans()][-2:] == ["receive", "reader"]


def test_a_failure_counts_the_step_that_it_ended() -> None:
    journey = dialled()
    journey.first = journey.done = None
    journey.stopped = 100.062
    assert ms(journey.phases())["wait"] == 10
    assert journey.spans()[-1].broken
    assert "receive" not in journey.phases()


def test_a_connection_that_another_request_has_made_is_reused() -> None:
    """Two requests share one connection of HTTP/2; the second one was first to use it."""
    maker = dialled()
    maker.nth = 2
    user = Journey(100.0, lambda: 109.0)
    user.connection, user.nth = maker.connection, 1
    user.leased = user.sending = 100.033
    assert (maker.reused, user.reused) == (False, True)
    assert "dns" in maker.phases()
    assert ms(user.phases()) == {"pool": 33}


def test_attempts_and_hops_are_counted_in() -> None:
    first = dialled()
    journey = dialled()
    journey.begin_again("the peer did nothing with it: GOAWAY", "unprocessed")
    (attempt,) = journey.attempts
    assert (attempt.failure, attempt.why_again) == ("the peer did nothing with it: GOAWAY", "unprocessed")
    assert (journey.failure, journey.why_again, journey.reused) == (None, None, False)
    assert journey.started == 109.0
    journey.stopped = 109.5
    assert journey.took == pytest.approx(0.5)
    assert journey.total == pytest.approx(9.5)
    first.started = 90.0
    journey.follow([first, httpx_fast.Response(200).journey])
    assert journey.hops == (first,)
    assert journey.overall == pytest.approx(19.5)
    assert lines_of([journey]) == [first, attempt, journey]
    assert str(journey).count("Request ") == 3
    assert "Together: 19500.000 ms" in str(journey)
    told = json.loads(json.dumps(journey.to_dict()))
    assert [len(told["hops"]), len(told["attempts"])] == [1, 1]
    assert told["attempts"][0]["why_again"] == "unprocessed"
    assert told["overall_ns"] == round(journey.overall * 1e9)


def test_the_first_and_the_last_attempts_are_kept() -> None:
    journey = dialled()
    for number in range(MAX_ATTEMPTS + 3):
        journey.begin_again(str(number), "dead")
    assert [attempt.failure for attempt in journey.attempts][:2] == ["0", "4"]
    assert len(journey.attempts) == MAX_ATTEMPTS


def test_every_code_has_words() -> None:
    codes = {value for name, value in vars(losses).items() if name.isupper() and isinstance(value, str)}
    assert codes == set(NEW)
    by_pools = {replay.UNPROCESSED, replay.HTTP1_REQUIRED, replay.ENDED_BY_PEER, replay.DEAD}
    assert by_pools | {"retry", "hedged", "expectation_failed"} == set(AGAIN)


def test_the_drawing_says_why_a_connection_is_new() -> None:
    journey = dialled()
    assert journey.connection is not None
    journey.connection.new_reason, journey.connection.lost_idle = "expired", 12.5
    assert (journey.why_new, journey.idle_lost) == ("expired", 12.5)
    assert "new connection (the one before had been idle for too long; that had been idle for 12.5 s)" in str(journey)


def test_a_pickled_journey_tells_the_same() -> None:
    journey = dialled()
    journey.describe("GET", "http://a.test/", 200, None)
    again: Journey = pickle.loads(pickle.dumps(journey))
    assert again.phases_ns() == journey.phases_ns()
    assert again.started_at == journey.started_at
    assert again.sizes == journey.sizes
    assert again.sizes.sent_head == len(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
    assert again.to_dict() == journey.to_dict()
    assert repr(again) == repr(journey)
    assert "GET http://a.test/ 200: done, new connection: pool=2.00ms dns=5.00ms" in repr(again)


def test_the_start_is_known_by_the_clock_on_the_wall() -> None:
    journey = Journey(100.0, lambda: 160.0)
    before = dt.datetime.now(dt.UTC)
    at = journey.started_at
    assert abs((before - at).total_seconds() - 60) < 30
    assert journey.started_at is at


def test_what_needs_no_network_has_no_steps() -> None:
    response = httpx_fast.Response(200)
    journey = response.journey
    assert (journey.over_network, journey.phases(), journey.total, str(journey.connection)) == (False, {}, 0.0, "None")
    assert repr(journey) == "<Journey without a network>"
    assert journey._repr_html_() == "<div>Sent without a network.</div>"
    assert dialled().over_network


def test_notebooks_show_each_step_and_no_markup_of_others() -> None:
    journey = dialled()
    journey.describe("GET", "http://a.test/<script>", 200, None)
    html = journey._repr_html_()
    assert "<script>" not in html
    assert html.count("<rect") == 7
    assert [name for name in journey.phases() if f'class="s-{name}"' not in html] == []
