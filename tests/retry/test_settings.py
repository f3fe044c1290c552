"""The settings of retries: what they refuse, what they say, and that they travel between processes."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import httpx_fast
from httpx_fast import Breaker, Hedge, Retry
from httpx_fast._retry.settings import check_retry


def test_defaults_are_what_does_no_harm():
    retry = Retry()
    assert retry.attempts == 3
    assert retry.statuses == {429, 502, 503, 504}
    assert "POST" not in retry.methods
    assert httpx_fast.PoolTimeout not in retry.exceptions
    assert (retry.budget, retry.budget_floor, retry.hedge, retry.breaker) == (0.2, 1.0, None, None)


def test_names_are_taken_in_any_case():
    retry = Retry(methods=["get", "post"], idempotency_headers=("Request-Id",), exceptions=[httpx_fast.ReadError])
    assert retry.methods == {"GET", "POST"}
    assert retry.idempotency_headers == {"request-id"}
    assert retry.exceptions == (httpx_fast.ReadError,)
    assert Retry(exceptions=httpx_fast.ReadError).exceptions == (httpx_fast.ReadError,)  # type: ignore[arg-type]


@pytest.mark.parametrize("retry", [Retry(), Retry(attempts=5, hedge=Hedge(), breaker=Breaker(probes=2), budget=None)])
def test_settings_can_be_pickled_compared_and_hashed(retry: Retry):
    again = pickle.loads(pickle.dumps(retry))
    assert again == retry
    assert hash(again) == hash(retry)
    assert repr(again) == repr(retry)


def test_the_repr_says_what_differs_from_the_defaults():
    assert repr(Retry()) == "Retry(attempts=3)"
    told = repr(Retry(statuses={503}, methods={"GET"}, exceptions=(httpx_fast.ReadError,), hedge=Hedge(samples=5)))
    assert told == (
        "Retry(attempts=3, statuses={503}, exceptions=(ReadError, ), methods={'GET'}, "
        "hedge=Hedge(percentile=0.95, samples=5, least=0.01))"
    )


def test_settings_do_not_change():
    with pytest.raises(AttributeError, match="attempts"):
        Retry().attempts = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("kind", "options", "error", "told"),
    [
        (Retry, {"attempts": 0}, ValueError, "expected 1 to 100 as attempts, got 0"),
        (Retry, {"attempts": 101}, ValueError, "expected 1 to 100 as attempts, got 101"),
        (Retry, {"attempts": True}, TypeError, "expected a count as attempts, got True"),
        (Retry, {"attempts": 2.5}, TypeError, "expected a count as attempts, got 2.5"),
        (Retry, {"statuses": 503}, TypeError, "expected status codes as statuses, got 503"),
        (Retry, {"statuses": "503"}, TypeError, "expected status codes as statuses, got '503'"),
        (Retry, {"statuses": ["503"]}, TypeError, "expected status codes as statuses, got '503' among them"),
        (Retry, {"statuses": [200]}, ValueError, "expected status codes from 300 to 599 as statuses, got 200"),
        (Retry, {"exceptions": ["ReadError"]}, TypeError, "expected classes of exceptions as exceptions, got 'ReadErr"),
        (Retry, {"exceptions": [KeyboardInterrupt]}, TypeError, "expected classes of exceptions as exceptions"),
        (Retry, {"methods": "GET"}, TypeError, "expected names of methods as methods, got 'GET'"),
        (Retry, {"methods": [b"GET"]}, TypeError, "expected names of methods as methods, got b'GET' among them"),
        (Retry, {"methods": ["G ET"]}, ValueError, "expected names of methods as methods, got 'G ET' among them"),
        (Retry, {"idempotency_headers": ["a:"]}, ValueError, "expected names of header fields as idempotency_headers"),
        (Retry, {"backoff": -1}, ValueError, "expected 0 or more seconds as backoff, got -1"),
        (Retry, {"backoff": "1"}, TypeError, "expected seconds as backoff, got '1'"),
        (Retry, {"backoff_max": float("nan")}, ValueError, "expected 0 or more seconds as backoff_max, got nan"),
        (Retry, {"retry_after_max": float("inf")}, ValueError, "expected 0 or more seconds as retry_after_max"),
        (Retry, {"retry_after_max": None}, TypeError, "expected seconds as retry_after_max, got None"),
        (Retry, {"budget": 20}, ValueError, "expected a share from 0 to 1 as budget, got 20"),
        (Retry, {"budget": "20%"}, TypeError, "expected a share as budget, got '20%'"),
        (Retry, {"budget_floor": -1}, ValueError, "expected 0 or more retries per second as budget_floor, got -1"),
        (Retry, {"hedge": True}, TypeError, "expected a Hedge or None as hedge, got True"),
        (Retry, {"breaker": Hedge()}, TypeError, "expected a Breaker or None as breaker, got Hedge"),
        (Hedge, {"percentile": 95}, ValueError, "expected a share above 0 and below 1 as percentile, got 95"),
        (Hedge, {"percentile": 1}, ValueError, "expected a share above 0 and below 1 as percentile, got 1"),
        (Hedge, {"samples": 0}, ValueError, "expected 1 to 1000 as samples, got 0"),
        (Hedge, {"least": -1}, ValueError, "expected 0 or more seconds as least, got -1"),
        (Breaker, {"failures": 0}, ValueError, "expected a share above 0 to 1 as failures, got 0"),
        (Breaker, {"minimum": 0}, ValueError, "expected 1 or more as minimum, got 0"),
        (Breaker, {"window": 0}, ValueError, "expected more than 0 seconds as window, got 0"),
        (Breaker, {"open_for": 0}, ValueError, "expected more than 0 seconds as open_for, got 0"),
        (Breaker, {"probes": 0}, ValueError, "expected 1 or more as probes, got 0"),
        (Breaker, {"statuses": [1]}, ValueError, "expected status codes from 300 to 599 as statuses, got 1"),
    ],
)
def test_what_makes_no_sense_is_refused(kind: Any, options: dict[str, Any], error: type[Exception], told: str):
    with pytest.raises(error) as caught:
        kind(**options)
    assert str(caught.value).startswith(told)


def test_what_is_no_retry_is_refused():
    assert check_retry(None) is None
    assert check_retry(False) is None
    with pytest.raises(TypeError, match=r"expected a Retry, or None or False for none, as retry, got True$"):
        check_retry(True)
    with pytest.raises(TypeError, match=r"got 3; 3 tries are Retry\(attempts=3\), and retries=3 of HTTPTransport"):
        check_retry(3)
