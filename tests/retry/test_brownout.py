"""A server in trouble gets at most a fifth more than it is asked; with what others do by default it gets more."""

from __future__ import annotations

import brownout
import pytest

from httpx_fast import Breaker, Retry


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rate", [20, 100])
@pytest.mark.parametrize("failing", [0.3, 1.0])
def test_the_extra_load_is_bounded(failing: float, rate: int, seed: int):
    result = brownout.simulate(brownout.httpx_fast(), failing, rate, 40, seed)
    assert result.requests == 40 * rate
    assert 0.19 < result.extra <= 0.2


def test_retries_help_in_a_brown_out():
    without = brownout.simulate(brownout.without_retries(), 0.3)
    result = brownout.simulate(brownout.httpx_fast(), 0.3)
    assert without.failures == pytest.approx(0.3, abs=0.02)
    assert result.failures < 0.6 * without.failures


def test_without_budget_there_is_more_load_and_fewer_failures():
    free = brownout.simulate(brownout.httpx_fast(Retry(budget=None)), 0.3)
    assert free.extra == pytest.approx(0.39, abs=0.02)  # 0.3 + 0.3 ** 2
    assert free.failures == pytest.approx(0.027, abs=0.01)  # 0.3 ** 3


def test_a_breaker_takes_the_load_off_a_server_that_is_down():
    # Refused requests are not sent at all, so there is less than without retries.
    retry = Retry(attempts=2, breaker=Breaker(open_for=5.0))

    result = brownout.simulate(brownout.tolerant(brownout.httpx_fast(retry)), 1.0)
    assert result.extra < -0.9


@pytest.mark.parametrize("name", ["urllib3, requests", "httpx-retries", "aiohttp-retry"])
@pytest.mark.parametrize("failing", [0.3, 1.0])
def test_what_others_do_by_default_adds_more(name: str, failing: float):
    try:
        ask = brownout.PACKAGES[name]()
    except ImportError as error:
        pytest.skip(f"{error.name} is not installed")
    theirs = brownout.simulate(ask, failing)
    ours = brownout.simulate(brownout.httpx_fast(), failing)
    assert theirs.extra > 1.5 * ours.extra
