"""The pool's rules, one by one."""

from __future__ import annotations

from planned import Pool

from httpx_fast._pool.plan import CLOSED, DIAL, MAX_OVERTAKEN


def test_first_request_dials_and_takes_a_place() -> None:
    pool = Pool()
    assert pool.plan.request("a", 0.0) is DIAL
    assert pool.counts() == (0, 0, 1)
    pool.connect("a")
    assert pool.counts() == (1, 0, 0)


def test_released_connection_serves_the_next_request_of_its_route_only() -> None:
    pool = Pool()
    (connection,) = pool.idle("a")
    assert pool.counts() == (0, 1, 0)
    assert pool.plan.request("b", 0.0) is DIAL
    assert pool.plan.request("a", 0.0) is connection
    assert pool.counts() == (1, 0, 1)


def test_connection_released_last_is_taken_first() -> None:
    pool = Pool()
    first, second, third = (pool.lease() for _ in range(3))
    for connection in (second, first, third):
        pool.plan.release(connection, True, 1.0)
    assert [pool.plan.request("a", 1.0) for _ in range(3)] == [third, first, second]


def test_connection_that_cannot_be_reused_is_doomed_and_its_place_free() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    pool.plan.release(connection, False, 0.0)
    assert pool.to_close() == [connection]
    assert pool.plan.open == 0
    assert pool.plan.request("a", 0.0) is DIAL


def test_at_the_limit_the_oldest_idle_connection_makes_room() -> None:
    pool = Pool(limit=3)
    oldest, *_ = pool.idle("a", "b", "c")
    assert pool.plan.request("d", 0.0) is DIAL
    assert pool.to_close() == [oldest]
    assert pool.counts() == (0, 2, 1)


def test_at_the_limit_an_idle_connection_of_the_route_is_taken_and_none_evicted() -> None:
    pool = Pool(limit=2)
    _, wanted = pool.idle("a", "b")
    assert pool.plan.request("b", 0.0) is wanted
    assert pool.to_close() == []


def test_request_over_the_limit_waits_and_gets_the_connection_released() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    pending = pool.queue()
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [pending]
    assert pending.grant is connection
    assert pool.counts() == (1, 0, 0)


def test_waiters_of_a_route_are_served_first_come_first_served() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    pending_requests = [pool.queue() for _ in range(3)]
    for pending in pending_requests:
        pool.plan.release(connection, True, 0.0)
        assert pool.granted() == [pending]


def test_waiters_of_the_only_route_keep_their_turn_when_another_route_comes() -> None:
    pool = Pool(limit=2)
    first, second = pool.lease("a"), pool.lease("a")
    waiting = [pool.queue("a") for _ in range(4)]
    other = pool.queue("b")
    late = pool.queue("a")
    pool.plan.release(first, True, 0.0)
    pool.plan.release(second, False, 0.0)
    assert pool.granted() == waiting[:2]
    assert (waiting[0].grant, waiting[1].grant) == (first, DIAL)
    pool.plan.cancel(waiting[2], 0.0)
    third = pool.connect("a")
    for each in (third, first):
        pool.plan.release(each, True, 0.0)
    assert pool.granted() == [waiting[3], late]
    pool.plan.release(third, False, 0.0)
    assert pool.granted() == [other]
    assert other.grant is DIAL


def test_waiter_of_another_route_gets_leave_to_dial_when_the_route_has_no_use_for_its_connection() -> None:
    pool = Pool(limit=1)
    connection = pool.lease("a")
    pending = pool.queue("b")
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [pending]
    assert pending.grant is DIAL
    assert pool.to_close() == [connection]
    assert pool.counts() == (0, 0, 1)


def test_freed_connection_goes_past_the_first_waiter_to_the_first_of_its_route() -> None:
    pool = Pool(limit=1)
    connection = pool.lease("a")
    pool.queue("b")
    pending = pool.queue("a")
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [pending]
    assert pool.to_close() == []


def test_first_waiter_is_overtaken_no_more_than_the_limit_then_a_connection_is_given_up_for_it() -> None:
    pool = Pool(limit=1)
    connection = pool.lease("a")
    patient = pool.queue("b")
    for _ in range(MAX_OVERTAKEN):
        pending = pool.queue("a")
        pool.plan.release(connection, True, 0.0)
        assert pool.granted() == [pending]
    pool.queue("a")
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [patient]
    assert patient.grant is DIAL
    assert pool.to_close() == [connection]


def test_first_waiter_overtaken_often_still_gets_a_connection_of_its_own_route_without_a_dial() -> None:
    pool = Pool(limit=2)
    busy, own = pool.lease("a"), pool.lease("b")
    patient = pool.queue("b")
    for _ in range(MAX_OVERTAKEN):
        pool.queue("a")
        pool.plan.release(busy, True, 0.0)
    pool.granted()
    pool.plan.release(own, True, 0.0)
    assert patient.grant is own
    assert pool.to_close() == []


def test_place_without_a_connection_goes_to_the_first_waiter_of_all() -> None:
    pool = Pool(limit=1)
    connection = pool.lease("a")
    first = pool.queue("b")
    pool.queue("a")
    pool.plan.release(connection, False, 0.0)
    assert pool.granted() == [first]
    assert first.grant is DIAL


def test_failed_dial_passes_its_place_on() -> None:
    pool = Pool(limit=1)
    assert pool.plan.request("a", 0.0) is DIAL
    pending = pool.queue("b")
    pool.plan.dial_failed("a")
    assert pool.granted() == [pending]
    assert pending.grant is DIAL
    pool.plan.dial_failed("b")
    assert pool.counts() == (0, 0, 0)


def test_cancelled_waiter_is_passed_by() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    gone, next_one = pool.queue(), pool.queue()
    pool.plan.cancel(gone, 0.0)
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [next_one]
    assert gone.grant is None
    assert pool.plan.waiting == 0


def test_cancelling_twice_does_nothing_more() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    pending = pool.queue()
    pool.plan.release(connection, True, 0.0)
    pool.plan.cancel(pending, 0.0)
    pool.plan.cancel(pending, 0.0)
    assert pool.counts() == (0, 1, 0)


def test_connection_granted_to_a_cancelled_waiter_goes_to_the_next() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    gone, next_one = pool.queue(), pool.queue()
    pool.plan.release(connection, True, 0.0)
    assert pool.granted() == [gone]
    pool.plan.cancel(gone, 0.0)
    assert pool.granted() == [next_one]
    assert next_one.grant is connection


def test_connection_granted_to_a_cancelled_waiter_is_idle_when_nobody_wants_it() -> None:
    pool = Pool(limit=1)
    connection = pool.lease()
    pending = pool.queue()
    pool.plan.release(connection, True, 0.0)
    pool.plan.cancel(pending, 3.0)
    assert pool.counts() == (0, 1, 0)
    assert pool.plan.next_expiry() == 8.0


def test_leave_to_dial_granted_to_a_cancelled_waiter_goes_to_the_next() -> None:
    pool = Pool(limit=1)
    connection = pool.lease("a")
    gone, next_one = pool.queue("b"), pool.queue("c")
    pool.plan.release(connection, False, 0.0)
    assert pool.granted() == [gone]
    pool.plan.cancel(gone, 0.0)
    assert pool.granted() == [next_one]
    assert next_one.grant is DIAL
    assert pool.counts() == (0, 0, 1)


def test_dead_connection_is_replaced_by_another_of_its_route() -> None:
    pool = Pool()
    dead = pool.lease("a")
    older, newer, _ = pool.idle("a", "a", "b")
    assert pool.plan.replace(dead, 0.0) is newer
    assert pool.to_close() == [dead]
    assert pool.counts() == (1, 2, 0)
    assert pool.plan.replace(newer, 0.0) is older


def test_holder_of_a_dead_connection_may_dial_in_its_place_before_all_who_wait() -> None:
    pool = Pool(limit=1)
    dead = pool.lease("a")
    pool.queue("b")
    assert pool.plan.replace(dead, 0.0) is DIAL
    assert pool.to_close() == [dead]
    assert pool.granted() == []
    assert pool.counts() == (0, 0, 1)


def test_dead_connection_of_a_closed_plan_is_not_replaced() -> None:
    pool = Pool()
    dead = pool.lease()
    pool.plan.stop_accepting()
    assert pool.plan.replace(dead, 0.0) is CLOSED
    assert pool.to_close() == [dead]
    assert pool.plan.open == 0


def test_close_dooms_all_connections_and_forgets_them() -> None:
    pool = Pool(limit=5)
    leased = pool.lease("a")
    idle = pool.idle("b", "c")
    assert pool.plan.request("d", 0.0) is DIAL
    pool.plan.close()
    assert pool.to_close() == [*idle, leased]
    assert pool.counts() == (0, 0, 0)
    pool.plan.release(leased, True, 0.0)
    assert pool.plan.replace(leased, 0.0) is CLOSED
    late = pool.connect("d")
    assert pool.to_close() == [late]
    pool.plan.dial_failed("d")
    assert pool.counts() == (0, 0, 0)


def test_connection_that_was_granted_and_not_taken_up_before_close_is_not_replaced() -> None:
    pool = Pool(limit=1)
    leased = pool.lease()
    pending = pool.queue()
    pool.plan.release(leased, True, 0.0)
    assert pending.grant is leased
    pool.plan.close()
    assert pool.to_close() == [leased]
    assert pool.plan.replace(leased, 0.0) is CLOSED
    pool.plan.cancel(pending, 0.0)
    assert pool.counts() == (0, 0, 0)


def test_retiring_dooms_the_idle_at_once_and_the_leased_at_their_release() -> None:
    pool = Pool()
    leased = pool.lease("a")
    idle = pool.idle("b", "c")
    pool.plan.stop_accepting()
    assert pool.to_close() == idle
    pool.plan.release(leased, True, 0.0)
    assert pool.to_close() == [leased]
    assert pool.plan.open == 0


def test_close_turns_away_who_waits_and_who_comes_later() -> None:
    pool = Pool(limit=1)
    pool.lease("a")
    pending_requests = [pool.queue("a"), pool.queue("b")]
    pool.plan.close()
    assert pool.granted() == pending_requests
    assert [pending.grant for pending in pending_requests] == [CLOSED, CLOSED]
    assert pool.plan.request("a", 0.0) is CLOSED


def test_dial_that_ends_after_retiring_is_doomed_at_its_release() -> None:
    pool = Pool()
    assert pool.plan.request("a", 0.0) is DIAL
    pool.plan.stop_accepting()
    connection = pool.connect("a")
    pool.plan.release(connection, True, 0.0)
    assert pool.to_close() == [connection]
    assert pool.plan.open == 0


def test_refused_ticket_has_nothing_to_give_back() -> None:
    pool = Pool(limit=1)
    pool.lease()
    pending = pool.queue()
    pool.plan.stop_accepting()
    pool.plan.cancel(pending, 0.0)
    assert pool.counts() == (1, 0, 0)
