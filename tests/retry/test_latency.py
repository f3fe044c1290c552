"""Percentiles of the last answers."""

from __future__ import annotations

from math import ceil

from hypothesis import given, settings
from hypothesis import strategies as st

from httpx_fast._retry.latency import Latencies


def test_nothing_is_known_at_first():
    assert Latencies().percentile(0.95) is None


def test_percentiles_are_those_that_were_measured():
    latencies = Latencies()
    for seconds in range(100, 0, -1):
        latencies.add(float(seconds))
    assert [latencies.percentile(share) for share in (0.001, 0.5, 0.95, 0.99)] == [1.0, 50.0, 95.0, 99.0]


@settings(deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_only_the_last_ones_count(seconds: list[float], share: float):
    latencies = Latencies(20)
    for each in seconds:
        latencies.add(each)
    kept = sorted(seconds[-20:])
    assert len(latencies) == len(kept)
    assert latencies.percentile(share) == kept[max(ceil(share * len(kept)) - 1, 0)]
