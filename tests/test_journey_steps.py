"""The steps of a journey: each begins where the one before ended, and they add up."""

from __future__ import annotations

import itertools
import random

import pytest

from httpx_fast import ConnectionFacts, Journey
from httpx_fast._journey_steps import percentile, steps
from httpx_fast._wire.heads import WireHead

DIAL = ("retried", "dns_done", "tcp_done", "proxy_done", "tls_done")


MARKS = ("sending", "sent", "first", "done")


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


def test_each_step_begins_where_the_one_before_ended() -> None:
    journey = dialled()
    assert ms(journey.phases()) == {
        "pool": 2, "dns": 5, "tcp": 10, "tls": 15, "send": 20, "wait": 40, "receive": 60,
    }  # fmt: skip
    assert journey.phases()["send"] == journey.send
    assert sum(journey.phases().values()) == pytest.approx(journey.took)
    assert sum(journey.phases_ns().values()) == round(journey.took * 1e9)
    assert (journey.proxy, journey.reader) == (None, None)


@pytest.mark.parametrize("seed", range(40))
def test_steps_add_up_whatever_the_order_of_marks(seed: int) -> None:
    """Responses come while requests are sent, connections were there, requests fail at any step."""
    chance = random.Random(seed)
    journey = dialled(secure=chance.random() < 0.5)
    facts = journey.connection
    assert facts is not None
    for name in DIAL:
        if chance.random() < 0.4:
            setattr(facts, name, chance.choice([None, 100 + chance.random()]))
    for name in MARKS:
        setattr(journey, name, chance.choice([None, 100 + chance.random(), 100 + chance.random()]))
    if journey.done is None:
        journey.stopped = 100 + chance.random()
    if chance.random() < 0.3:
        journey.dialled = False
    if chance.random() < 0.3:
        journey.detail().reader = chance.random()
    spans = journey.spans()
    assert all(span.begin <= span.end for span in spans)
    assert all(one.end == two.begin for one, two in itertools.pairwise(spans))
    assert all(span.begin >= journey.started for span in spans)
    if journey.done is None or journey.first is not None:
        assert sum(journey.phases().values()) == pytest.approx(journey.took)
        assert sum(journey.phases_ns().values()) == round(journey.took * 1e9)
    assert [step.name for step in steps(journey) if step.seconds is not None] == [span.name for span in spans]


def test_percentiles_are_times_that_were_measured() -> None:
    times = [float(number) for number in range(1, 21)]
    assert [percentile(times, share) for share in (0.0, 0.5, 0.95, 0.99, 1.0)] == [1, 10, 19, 20, 20]
    assert percentile([7.0], 0.95) == 7.0
