"""Idle connections of a plan: how many are kept, for how long, and those that die."""

from __future__ import annotations

from typing import Any

import pytest
from planned import Pool

from httpx_fast._pool.plan import DIAL


def test_release_beyond_max_keepalive_dooms_the_oldest_not_the_one_just_used() -> None:
    pool = Pool(keep=2)
    oldest, middle, newest = (pool.lease() for _ in range(3))
    for now, connection in enumerate((oldest, middle, newest)):
        pool.plan.release(connection, True, float(now))
    assert pool.to_close() == [oldest]
    assert pool.plan.request("a", 2.0) is newest
    assert pool.plan.request("a", 2.0) is middle


@pytest.mark.parametrize(("keep", "expiry"), [(0, 5.0), (10, 0.0)])
def test_nothing_is_kept_where_keeping_is_off(keep: int, expiry: float) -> None:
    pool = Pool(keep=keep, expiry=expiry)
    connection = pool.lease()
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]
    assert pool.plan.open == 0


def test_idle_connection_expires_at_its_expiry_and_not_before() -> None:
    pool = Pool(expiry=5.0)
    (connection,) = pool.idle("a", now=100.0)
    assert pool.plan.next_expiry() == 105.0
    pool.plan.expire(104.9)
    assert pool.to_close() == []
    pool.plan.expire(105.0)
    assert pool.to_close() == [connection]
    assert pool.plan.next_expiry() is None


def test_expired_connections_are_not_given_out_but_doomed_by_the_next_request_of_any_route() -> None:
    pool = Pool(expiry=5.0)
    old = pool.idle("a", "a", "b", now=1.0)
    assert pool.plan.request("a", 6.0) is DIAL
    assert pool.to_close() == old
    assert pool.counts() == (0, 0, 1)


def test_using_a_connection_begins_its_idle_time_anew() -> None:
    pool = Pool(expiry=5.0)
    (connection,) = pool.idle("a", now=1.0)
    for now in (5.0, 9.0, 13.0):
        assert pool.plan.request("a", now) is connection
        pool.plan.release(connection, True, now)
    assert pool.plan.next_expiry() == 18.0


def test_nothing_expires_without_an_expiry() -> None:
    pool = Pool(expiry=None)
    (connection,) = pool.idle("a")
    pool.plan.expire(1e12)
    assert pool.plan.next_expiry() is None
    assert pool.plan.request("a", 1e12) is connection


def test_connection_that_died_while_idle_is_forgotten_and_left_to_the_caller() -> None:
    pool = Pool()
    (connection,) = pool.idle("a")
    assert pool.plan.dead(connection, 0.0) is True
    assert pool.plan.dead(connection, 0.0) is False
    assert pool.to_close() == []
    assert pool.plan.open == 0


def test_death_of_a_leased_connection_is_left_to_its_release() -> None:
    pool = Pool()
    connection = pool.lease()
    assert pool.plan.dead(connection, 0.0) is False
    assert pool.counts() == (1, 0, 0)


def test_no_limits_mean_that_nobody_waits_and_all_are_kept() -> None:
    pool = Pool(limit=None, keep=None, expiry=None)
    for connection in [pool.lease() for _ in range(500)]:
        pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == []
    assert pool.counts() == (0, 500, 0)


def test_limit_of_no_connections_lets_everybody_wait() -> None:
    pool = Pool(limit=0)
    pending = pool.queue()
    pool.plan.cancel(pending, 0.0)
    assert pool.plan.waiting == 0


def test_nothing_is_remembered_of_routes_that_are_not_in_use() -> None:
    pool = Pool(limit=3, keep=2)
    for number in range(50):
        pool.idle(f"route {number}")
    pool.lease("last")
    for pending in [pool.queue("last") for _ in range(2)]:
        pool.plan.hurry(pending, 0.0)
        pool.connect("last")
    for pending in [pool.queue(f"waiting {number}") for number in range(50)]:
        pool.plan.cancel(pending, 0.0)
    state: Any = pool.plan._route_states
    assert list(state) == ["last"]
