"""The pool's rules for shared connections, for hosts and for connections that go sooner, one by one."""

from __future__ import annotations

from planned import Connection, Pool

from httpx_fast._pool.losses import Ending
from httpx_fast._pool.plan import CLOSED, DIAL, MAX_OVERTAKEN


def test_route_that_may_be_shared_is_dialled_once_for_all_who_come() -> None:
    pool = Pool(limit=10)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pending_requests = [pool.queue(may_share=True) for _ in range(99)]
    assert pool.counts() == (0, 0, 1)
    connection = pool.connect("a", limit=100)
    assert pool.granted() == pending_requests
    assert {pending.grant for pending in pending_requests} == {connection}
    assert pool.counts() == (1, 0, 0)
    assert pool.plan.request("a", 0.0, True) is DIAL  # the hundred are in use


def test_shared_connection_is_idle_when_its_last_use_has_ended() -> None:
    pool = Pool()
    connection = pool.share(limit=2)
    assert pool.plan.request("a", 0.0, True) is connection
    pool.plan.release(connection, True, 1.0)
    assert pool.counts() == (1, 0, 0)
    pool.plan.release(connection, True, 2.0)
    assert pool.counts() == (0, 1, 0)
    assert pool.plan.next_expiry() == 7.0
    assert pool.plan.request("a", 3.0, True) is connection


def test_over_the_limit_of_uses_one_more_connection_is_dialled_at_a_time() -> None:
    pool = Pool(limit=3)
    first = pool.share(limit=1)
    assert pool.plan.request("a", 0.0, True) is DIAL
    waiting = [pool.queue(may_share=True) for _ in range(3)]
    second = pool.connect("a", limit=2)
    assert [pending.grant for pending in waiting] == [second, DIAL, None]
    assert pool.counts() == (2, 0, 1)
    pool.plan.release(first, True, 0.0)
    assert waiting[2].grant is first  # although a dial is under way


def test_use_that_ends_goes_to_who_waits_and_else_the_connection_made_last_is_used_first() -> None:
    pool = Pool()
    first, second = pool.share(limit=1), pool.share(limit=2)
    assert pool.plan.request("a", 0.0, True) is second
    pool.plan.release(second, True, 0.0)
    assert pool.plan.request("a", 0.0, True) is second
    pool.plan.release(first, True, 0.0)
    assert pool.counts() == (1, 1, 0)


def test_exclusive_connection_lets_all_who_wait_for_the_route_dial_at_once() -> None:
    pool = Pool(limit=4)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pending_requests = [pool.queue(may_share=True) for _ in range(5)]
    pool.connect("a")
    assert [pending.grant for pending in pending_requests] == [DIAL, DIAL, DIAL, None, None]
    assert pool.counts() == (1, 0, 3)


def test_route_is_remembered_as_exclusive_as_long_as_it_has_connections() -> None:
    pool = Pool()
    assert pool.plan.request("a", 0.0, True) is DIAL
    connection = pool.connect("a")
    assert [pool.plan.request("a", 0.0, True) for _ in range(2)] == [DIAL, DIAL]
    for _ in range(2):
        pool.plan.dial_failed("a")
    pool.plan.release(connection, False, 0.0)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pool.queue(may_share=True)
    assert pool.counts() == (0, 0, 1)


def test_when_the_first_dial_fails_the_next_waiter_tries() -> None:
    pool = Pool()
    assert pool.plan.request("a", 0.0, True) is DIAL
    first, second = pool.queue(may_share=True), pool.queue(may_share=True)
    pool.plan.dial_failed("a")
    assert (first.grant, second.grant) == (DIAL, None)
    assert pool.counts() == (0, 0, 1)
    pool.plan.cancel(first, 0.0)
    assert second.grant is DIAL


def test_lowered_limit_is_kept_to_as_uses_end() -> None:
    pool = Pool()
    connection = pool.share(limit=3)
    assert [pool.plan.request("a", 0.0, True) for _ in range(2)] == [connection] * 2
    pool.plan.limit(connection, 1)
    pool.plan.release(connection, True, 0.0)
    pool.plan.release(connection, True, 0.0)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pool.plan.release(connection, True, 0.0)
    assert pool.plan.request("a", 0.0, True) is connection


def test_raised_limit_serves_who_waits() -> None:
    pool = Pool(limit=1)
    connection = pool.share(limit=1)
    pending_requests = [pool.queue(may_share=True) for _ in range(3)]
    pool.plan.limit(connection, 3)
    assert pool.granted() == pending_requests[:2]
    assert [pending.grant for pending in pending_requests] == [connection, connection, None]


def test_idle_connection_whose_peer_allows_nothing_is_kept_and_not_used() -> None:
    pool = Pool(limit=2)
    connection = pool.share(limit=5)
    pool.plan.release(connection, True, 0.0)
    pool.plan.limit(connection, 0)
    assert pool.counts() == (0, 1, 0)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pending = pool.queue(may_share=True)
    pool.plan.limit(connection, 1)
    assert pending.grant is connection
    assert pool.counts() == (1, 0, 1)


def test_connection_whose_peer_allows_nothing_makes_room_for_who_waits() -> None:
    pool = Pool(limit=1)
    connection = pool.share(limit=1)
    pending = pool.queue(may_share=True)
    pool.plan.limit(connection, 0)
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]
    assert pending.grant is DIAL


def test_drained_connection_takes_no_more_uses_and_goes_with_the_last() -> None:
    pool = Pool()
    connection = pool.share(limit=5)
    assert pool.plan.request("a", 0.0, True) is connection
    pool.plan.going_away(connection)
    pool.plan.limit(connection, 9)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == []
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]
    assert pool.counts() == (0, 0, 1)


def test_drained_connection_leaves_its_place_to_who_waits() -> None:
    pool = Pool(limit=1)
    connection = pool.share(limit=1)
    pending = pool.queue(may_share=True)
    pool.plan.going_away(connection)
    assert pending.grant is DIAL
    assert (pool.counts(), pool.plan.draining) == ((0, 0, 1), 1)
    pool.plan.release(connection, True, 0.0)
    assert (pool.to_close(), pool.plan.draining) == ([connection], 0)


def test_until_the_peer_has_said_what_it_takes_the_rest_waits_for_that() -> None:
    pool = Pool(limit=3)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pending_requests = [pool.queue(may_share=True) for _ in range(9)]
    connection = Connection("a1")
    pool.plan.connected("a", connection, 2, False)
    assert [pending.grant for pending in pending_requests] == [connection] + [None] * 8
    assert pool.plan.request("a", 0.0, True) is None
    pool.plan.limit(connection, 4)
    assert [pending.grant for pending in pending_requests] == [connection] * 3 + [DIAL] + [None] * 5
    assert pool.counts() == (1, 0, 1)


def test_who_waits_for_the_peers_word_dials_when_the_connection_is_lost() -> None:
    pool = Pool(limit=3)
    assert pool.plan.request("a", 0.0, True) is DIAL
    connection = Connection("a1")
    pool.plan.connected("a", connection, 1, False)
    pending = pool.queue(may_share=True)
    pool.plan.going_away(connection)
    assert pending.grant is DIAL
    assert pool.plan.request("a", 0.0, True) is None  # one dial at a time


def test_use_after_which_its_connection_is_not_reusable_drains_it() -> None:
    pool = Pool()
    connection = pool.share(limit=5)
    assert pool.plan.request("a", 0.0, True) is connection
    pool.plan.release(connection, False, 0.0)
    assert pool.plan.request("a", 0.0, True) is DIAL
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]


def test_idle_connection_that_is_drained_goes_at_once() -> None:
    pool = Pool()
    connection = pool.share(limit=5)
    pool.plan.release(connection, True, 0.0)
    pool.plan.going_away(connection)
    pool.plan.going_away(connection)
    pool.plan.limit(connection, 5)
    assert pool.to_close() == [connection]
    assert pool.plan.open == 0


def test_shared_connection_that_starves_another_route_takes_no_more_uses_and_makes_room() -> None:
    pool = Pool(limit=1)
    connection = pool.share("a", limit=100)
    patient = pool.queue("b")
    for _ in range(MAX_OVERTAKEN):
        assert pool.plan.request("a", 0.0, True) is connection
    late = pool.queue("a", may_share=True)
    for _ in range(MAX_OVERTAKEN):
        pool.plan.release(connection, True, 0.0)
    assert (patient.grant, late.grant) == (None, None)
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]
    assert (patient.grant, late.grant) == (DIAL, None)


def test_one_shared_connection_makes_room_and_the_others_serve_on() -> None:
    pool = Pool(limit=2)
    first, second = pool.share("a", limit=1), pool.share("a", limit=100)
    pool.plan.limit(first, 100)
    pool.queue("b")
    used = [pool.plan.request("a", 0.0, True) for _ in range(100)]
    assert used.count(first) == MAX_OVERTAKEN
    assert used.count(second) == 100 - MAX_OVERTAKEN


def test_connection_that_was_to_make_room_serves_again_when_nobody_needs_it() -> None:
    pool = Pool(limit=1)
    connection = pool.share("a", limit=100)
    patient = pool.queue("b")
    for _ in range(MAX_OVERTAKEN):
        pool.plan.request("a", 0.0, True)
    late = pool.queue("a", may_share=True)
    pool.plan.cancel(patient, 0.0)
    assert late.grant is connection
    assert pool.plan.request("a", 0.0, True) is connection


def test_connection_that_was_to_make_room_serves_again_when_who_waited_got_another() -> None:
    pool = Pool(limit=2)
    connection, other = pool.share("a", limit=100), pool.lease("b")
    patient = pool.queue("b")
    pool.plan.hurry(patient, 0.0)
    for _ in range(MAX_OVERTAKEN):
        assert pool.plan.request("a", 0.0, True) is connection
    assert pool.plan.request("a", 0.0, True) is None  # promised
    pool.plan.release(other, True, 0.0)
    assert pool.granted() == [patient]
    assert patient.grant is other
    assert pool.counts() == (2, 0, 0)
    assert pool.plan.request("a", 0.0, True) is connection


def test_dead_shared_connection_is_replaced_for_its_only_user() -> None:
    pool = Pool(limit=1)
    dead = pool.share(limit=5)
    pool.plan.release(dead, True, 0.0)
    assert pool.plan.request("a", 0.0, True) is dead
    pool.queue("b")
    assert pool.plan.replace(dead, 0.0) is DIAL
    assert pool.to_close() == [dead]
    assert pool.counts() == (0, 0, 1)


def test_users_of_a_dead_shared_connection_wait_for_one_dial() -> None:
    pool = Pool(limit=5)
    dead = pool.share(limit=5)
    assert [pool.plan.request("a", 0.0, True) for _ in range(2)] == [dead, dead]
    assert [pool.plan.replace(dead, 0.0) for _ in range(3)] == [DIAL, None, None]
    assert pool.to_close() == [dead]
    assert pool.counts() == (0, 0, 1)


def test_shared_connections_of_a_closed_plan_are_doomed_once() -> None:
    pool = Pool()
    shared, adrift = pool.share("a", limit=5), pool.share("b", limit=5)
    pool.plan.going_away(adrift)
    pool.plan.close()
    assert sorted(pool.to_close(), key=repr) == [shared, adrift]
    for each in (shared, adrift):
        pool.plan.limit(each, 3)
        pool.plan.going_away(each)
        pool.plan.release(each, True, 0.0)
    assert pool.to_close() == []
    assert (pool.counts(), pool.plan.draining) == ((0, 0, 0), 0)


def test_shared_connections_of_a_retired_plan_take_no_more_uses() -> None:
    pool = Pool()
    connection = pool.share(limit=5)
    assert pool.plan.request("b", 0.0, True) is DIAL
    pool.plan.stop_accepting()
    late = pool.connect("b", limit=5)
    assert [pool.plan.request(route, 0.0, True) for route in "ab"] == [CLOSED, CLOSED]
    for each in (connection, late):
        pool.plan.release(each, True, 0.0)
    assert pool.to_close() == [connection, late]


def test_connections_of_a_host_are_limited_over_all_its_routes() -> None:
    pool = Pool(limit=10, per_host=2)
    first = pool.lease("a1")
    pool.lease("a2")
    waits = pool.queue("a3")
    assert pool.plan.request("b1", 0.0) is DIAL
    pool.plan.release(first, True, 0.0)
    assert pool.to_close() == [first]
    assert waits.grant is DIAL


def test_oldest_idle_connection_of_the_host_makes_room_not_that_of_another() -> None:
    pool = Pool(limit=10, per_host=2)
    _, oldest, _ = pool.idle("b1", "a1", "a2")
    assert pool.plan.request("a3", 0.0) is DIAL
    assert pool.to_close() == [oldest]


def test_host_at_its_limit_does_not_hold_up_the_others() -> None:
    pool = Pool(limit=3, per_host=1)
    busy, other, third = pool.lease("a1"), pool.lease("b1"), pool.lease("c1")
    waits, next_one = pool.queue("a2"), pool.queue("d1")
    pool.plan.release(other, False, 0.0)
    assert (waits.grant, next_one.grant) == (None, DIAL)
    pool.plan.release(third, True, 0.0)
    assert pool.counts() == (1, 1, 1)
    pool.plan.release(busy, True, 0.0)
    assert waits.grant is DIAL


def test_route_of_a_host_is_not_starved_by_another_of_it() -> None:
    pool = Pool(limit=10, per_host=1)
    connection = pool.lease("a1")
    patient = pool.queue("a2")
    for _ in range(MAX_OVERTAKEN):
        pool.queue("a1")
        pool.plan.release(connection, True, 0.0)
    pool.queue("a1")
    assert patient.grant is None
    pool.plan.release(connection, True, 0.0)
    assert patient.grant is DIAL


def test_connection_goes_sooner_than_the_others_if_it_was_said_so() -> None:
    pool = Pool(expiry=5.0)
    first, second = pool.lease(), pool.lease()
    pool.plan.release(first, True, 0.0)
    pool.plan.release(second, True, 0.0, Ending(2.0, "expired"))
    assert pool.plan.next_expiry() == 2.0
    assert pool.plan.request("b", 2.0) is DIAL
    assert pool.to_close() == [second]
    assert pool.plan.next_expiry() == 5.0


def test_time_of_its_own_holds_for_one_rest_of_a_connection() -> None:
    pool = Pool(expiry=None)
    connection = pool.lease()
    pool.plan.release(connection, True, 0.0, Ending(2.0, "expired"))
    assert pool.plan.request("a", 1.0) is connection
    pool.plan.release(connection, True, 1.5)
    assert pool.plan.next_expiry() is None
    pool.plan.expire(1e9)
    assert pool.to_close() == []


def test_rests_that_are_over_are_not_remembered() -> None:
    pool = Pool(expiry=None)
    (connection,) = pool.idle("a")
    for now in range(1000):
        assert pool.plan.request("a", float(now)) is connection
        pool.plan.release(connection, True, float(now), Ending(now + 2000.0, "expired"))
    assert len(pool.plan._early) < 100


def test_lanes_of_waiters_who_left_are_not_remembered() -> None:
    pool = Pool(limit=1)
    pool.lease("a")
    pool.queue("first")
    for number in range(1000):
        pool.plan.cancel(pool.queue(f"waiting {number}"), 0.0)
    assert len(pool.plan._wait_queue._entries) < 100
