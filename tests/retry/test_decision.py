"""Whether a request is sent again, and when: by what it was, what came of it, and what there is left."""

from __future__ import annotations

import ssl
from math import inf

import pytest

from httpx_fast import (
    AddressDenied,
    Breaker,
    CircuitOpen,
    ClientClosed,
    ConnectError,
    ConnectTimeout,
    DecodingError,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    ReadTimeout,
    RemoteProtocolError,
    Retry,
    TrustStoreError,
)
from httpx_fast._retry.breaker import Circuit
from httpx_fast._retry.budget import Budget
from httpx_fast._retry.decision import Tries, Verdict, may_be_repeated

RETRY = Retry(backoff=1.0)


def tries(
    retry: Retry = RETRY,
    *,
    repeatable: bool = True,
    again: bool = True,
    until: float = inf,
    budget: Budget | None = None,
    circuit: Circuit | None = None,
) -> Tries:
    """A request after its first attempt."""
    made = Tries(retry, repeatable, lambda connected: again or not connected, until, budget or Budget(), circuit)
    made.attempts = 1
    return made


def answered(asked: Tries, status: int = 503, after: str | None = None, now: float = 0.0) -> Verdict:
    return asked.after_answer(status, after, now, 0.0, 0.5)


def failed(asked: Tries, error: Exception, now: float = 0.0) -> Verdict:
    return asked.after_error(error, now, 0.5)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_answers_that_say_not_now_are_tried_again(status: int):
    assert answered(tries(), status) == Verdict(0.5, f"the answer was {status}")


@pytest.mark.parametrize("status", [200, 301, 404, 408, 500, 501])
def test_of_other_answers_nothing_is_said(status: int):
    assert answered(tries(), status) == Verdict(None, "")


@pytest.mark.parametrize(
    "error",
    [
        ConnectError("a"),
        ConnectTimeout("a"),
        ReadError("a"),
        ReadTimeout("a"),
        RemoteProtocolError("a"),
    ],
)
def test_failures_of_the_network_are_tried_again(error: Exception):
    assert failed(tries(), error) == Verdict(0.5, f"{type(error).__name__}: a")


@pytest.mark.parametrize(
    "error",
    [
        AddressDenied("a"),
        CircuitOpen("a"),
        ClientClosed("a"),
        DecodingError("a"),
        LocalProtocolError("a"),
        PoolTimeout("a"),
        TrustStoreError("a"),
        ValueError("a"),
    ],
)
def test_what_another_attempt_cannot_mend_is_not(error: Exception):
    everything = Retry(exceptions=(Exception,)) if not isinstance(error, (PoolTimeout, ValueError)) else RETRY
    if isinstance(error, (DecodingError, LocalProtocolError)):
        everything = RETRY
    assert failed(tries(everything), error) == Verdict(None, "")


def test_a_certificate_that_is_not_trusted_is_not_asked_for_again():
    error = ConnectError("TLS")
    error.__cause__ = ssl.SSLCertVerificationError("unknown authority")
    assert failed(tries(), error) == Verdict(None, "")


def test_the_pause_doubles_and_attempts_end():
    asked = tries()
    delays = []
    for _ in range(2):
        delays.append(answered(asked).delay)
        asked.attempts += 1
    assert delays == [0.5, 1.0]
    assert answered(asked) == Verdict(None, "the answer was 503", "all 3 attempts were made")
    assert answered(tries(Retry(attempts=1))).refusal == "the only attempt was made"


# What may have been processed.


MAYBE = "it may have been processed, and nothing says that it may be twice"


@pytest.mark.parametrize("error", [ReadError("a"), ReadTimeout("a"), RemoteProtocolError("a")])
def test_what_may_have_been_processed_is_not_sent_twice(error: Exception):
    assert failed(tries(repeatable=False), error).refusal == MAYBE
    assert answered(tries(repeatable=False)).refusal == MAYBE


def test_what_cannot_have_been_processed_is_sent_again():
    refused = ReadError("the peer refused the stream")
    refused.unprocessed = True
    for error in (ConnectError("a"), ConnectTimeout("a"), refused):
        assert failed(tries(repeatable=False), error).delay == 0.5


@pytest.mark.parametrize(
    ("method", "names", "replay", "may"),
    [
        ("GET", [], None, True),
        ("delete", [], None, True),
        ("POST", [], None, False),
        ("PATCH", [], None, False),
        ("POST", ["accept", "idempotency-key"], None, True),
        ("POST", ["x-idempotency-key"], None, True),
        ("POST", [], True, True),
        ("GET", ["idempotency-key"], False, False),
    ],
)
def test_method_key_and_extension_say_what_may_be_repeated(
    method: str, names: list[str], replay: bool | None, may: bool
):
    assert may_be_repeated(RETRY, method, lambda: names, replay) is may


def test_the_user_may_name_other_methods_and_fields():
    retry = Retry(methods={"POST"}, idempotency_headers={"X-Request-Id"})
    assert may_be_repeated(retry, "POST", list, None)
    assert not may_be_repeated(retry, "GET", list, None)
    assert may_be_repeated(retry, "GET", lambda: ["x-request-id"], None)
    assert not may_be_repeated(retry, "PATCH", lambda: ["idempotency-key"], None)


def test_a_body_that_can_be_read_once_is_sent_again_only_if_nothing_of_it_was():
    assert answered(tries(again=False)).refusal == "its body can be read only once"
    assert failed(tries(again=False), ReadError("a")).refusal == "its body can be read only once"
    assert failed(tries(again=False), ConnectError("a")).delay == 0.5


# Time.


def test_retry_after_is_waited_for_and_a_little_longer():
    assert answered(tries(), 429, "7") == Verdict(7.5, "the answer was 429, Retry-After: 7")


def test_retry_after_is_capped():
    assert answered(tries(Retry(retry_after_max=5.0)), 429, "3600").delay == 5.0
    assert answered(tries(Retry(retry_after_max=5.0)), 429, "Fri, 31 Dec 9999 23:59:59 GMT").delay == 5.0


def test_retry_after_may_be_ignored():
    assert answered(tries(Retry(retry_after_max=0, backoff=1.0)), 429, "3600") == Verdict(0.5, "the answer was 429")


def test_a_date_is_counted_from_the_time_of_day():
    verdict = tries().after_answer(503, "Thu, 01 Jan 1970 00:01:00 GMT", 1000.0, 50.0, 0.0)
    assert verdict.delay == 10.0


def test_nothing_waits_beyond_the_deadline():
    refusal = "the total time ends before the 0.5 s have passed"
    assert answered(tries(until=10.0), now=9.5) == Verdict(None, "the answer was 503", refusal)
    assert answered(tries(until=10.0), now=9.49).delay == 0.5
    assert failed(tries(until=10.0), ReadError("a"), now=9.6).refusal == refusal
    assert answered(tries(until=10.0), after="11").refusal == "the total time ends before the 11.5 s have passed"


def test_the_end_of_the_total_time_is_the_end():
    over = ReadTimeout("total timed out")
    over.limit = "total"
    assert failed(tries(), over).refusal == "the total time is over"


# Budget and breaker.


def test_without_budget_there_is_no_retry_and_asking_for_other_reasons_costs_none():
    budget = Budget()
    retry = Retry(budget=0.2, budget_floor=0.2)  # two in 10 seconds
    for _ in range(9):
        assert answered(tries(retry, repeatable=False, budget=budget)).delay is None
        assert answered(tries(retry, again=False, budget=budget)).delay is None
        assert answered(tries(retry, until=0.0, budget=budget)).delay is None
    assert budget.counts(0.0) == (0, 0)
    assert [answered(tries(retry, budget=budget)).refusal for _ in range(3)] == [
        None,
        None,
        "the budget of retries to this origin is used up",
    ]


def test_where_the_circuit_is_open_there_is_no_retry():
    circuit = Circuit(Breaker(minimum=1, open_for=5.0))
    circuit.failed(0, 0.0)
    assert answered(tries(circuit=circuit)).refusal == "the circuit breaker is open"
    assert answered(tries(circuit=circuit), after="6").delay == 6.5


def test_long_messages_are_cut():
    reason = failed(tries(), ReadError("x" * 1000)).reason
    assert reason == f"ReadError: {'x' * 200}..."
