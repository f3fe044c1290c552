"""The circuit breaker: every state with every event, and what holds whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast._retry.breaker import Circuit
from httpx_fast._retry.settings import Breaker

SETTINGS = Breaker(failures=0.5, minimum=4, window=10.0, open_for=5.0, probes=2)


def opened(at: float = 0.0) -> Circuit:
    circuit = Circuit(SETTINGS)
    for _ in range(SETTINGS.minimum):
        permit = circuit.ask(at)
        assert permit is not None
        circuit.failed(permit, at)
    assert circuit.state == "open"
    return circuit


def half_open() -> tuple[Circuit, int]:
    circuit = opened()
    permit = circuit.ask(5.0)
    assert permit is not None
    assert circuit.state == "half open"
    return circuit, permit


def test_it_opens_when_so_many_fail():
    circuit = Circuit(SETTINGS)
    for number, fails in enumerate([False, True, False, True]):
        assert circuit.state == "closed"
        permit = circuit.ask(float(number))
        assert permit is not None
        (circuit.failed if fails else circuit.succeeded)(permit, float(number))
    assert (circuit.state, circuit.opened) == ("open", 1)
    assert circuit.ask(3.0) is None
    assert (circuit.refused, circuit.retry_in(4.0)) == (1, 4.0)


def test_it_does_not_open_below_the_minimum_or_the_share():
    circuit = Circuit(SETTINGS)
    for number in range(3):
        circuit.failed(circuit.ask(0.0) or 0, 0.0)
        assert circuit.state == "closed", number
    circuit = Circuit(SETTINGS)
    for _ in range(5):
        circuit.succeeded(0, 0.0)
    for _ in range(4):
        circuit.failed(0, 0.0)
    assert circuit.state == "closed"
    circuit.failed(0, 0.0)
    assert circuit.state == "open"


def test_failures_are_forgotten_after_the_window():
    circuit = Circuit(SETTINGS)
    for _ in range(3):
        circuit.failed(0, 0.0)
    circuit.failed(0, 10.0)
    assert circuit.state == "closed"


def test_half_open_it_lets_so_many_out_at_once():
    circuit, first = half_open()
    second = circuit.ask(5.0)
    assert second == first
    assert circuit.ask(5.0) is None
    circuit.succeeded(first, 5.1)
    assert circuit.state == "half open"
    circuit.succeeded(first, 5.1)
    assert circuit.state == "closed"
    assert circuit.ask(5.1) is not None


def test_half_open_a_failure_opens_it_again():
    circuit, permit = half_open()
    circuit.failed(permit, 6.0)
    assert (circuit.state, circuit.opened) == ("open", 2)
    assert circuit.ask(10.9) is None
    assert circuit.ask(11.0) is not None


def test_a_probe_that_is_given_up_makes_room_for_another():
    circuit, permit = half_open()
    assert circuit.ask(5.0) is not None
    assert circuit.ask(5.0) is None
    circuit.given_up(permit)
    assert circuit.ask(5.0) is not None


@pytest.mark.parametrize("event", ["succeeded", "failed", "given_up"])
def test_what_was_sent_before_says_nothing_afterwards(event: str):
    for circuit in (opened(), half_open()[0]):
        state = circuit.state
        late = (0,) if event == "given_up" else (0, 5.0)
        for _ in range(5):
            getattr(circuit, event)(*late)
        assert (circuit.state, circuit.opened) == (state, 1)


def test_it_says_beforehand_whether_it_will_allow():
    circuit = opened()
    assert not circuit.will_allow(4.9)
    assert circuit.will_allow(5.0)
    assert Circuit(SETTINGS).will_allow(0.0)


#: Seconds that pass, and what happens then; a number picks the permit.
STEPS = st.lists(
    st.tuples(st.floats(0, 4), st.sampled_from(["ask", "ask", "succeeded", "failed", "given_up"]), st.integers(0, 99)),
    max_size=120,
)


@settings(deadline=None)
@given(STEPS)
def test_whatever_comes_no_more_probes_are_out_than_allowed(steps: list[tuple[float, str, int]]):
    circuit, now = Circuit(SETTINGS), 0.0
    out: list[int] = []
    for passed, event, which in steps:
        now += passed
        if event == "ask":
            was, until = circuit.state, circuit.retry_in(now)
            permit = circuit.ask(now)
            if was == "open" and until > 0:
                assert permit is None
            if was == "closed":
                assert permit is not None
            if permit is not None:
                out.append(permit)
        elif out:
            permit = out.pop(which % len(out))
            if event == "given_up":
                circuit.given_up(permit)
            else:
                getattr(circuit, event)(permit, now)
        if circuit.state == "half open":
            current = [permit for permit in out if permit == circuit._period]
            assert len(current) == circuit._probing <= SETTINGS.probes
    # With nothing under way and all well, it closes.
    for permit in out:
        circuit.given_up(permit)
    now += SETTINGS.open_for
    for _ in range(SETTINGS.probes):
        permit = circuit.ask(now)
        assert permit is not None
        circuit.succeeded(permit, now)
    assert circuit.state == "closed"
