"""Random histories: the plan against a model that scans lists, with the invariants asserted at every step."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from httpx_fast._pool import granting
from httpx_fast._pool import state as places
from httpx_fast._pool import wait_queue as line
from httpx_fast._pool.losses import Ending
from httpx_fast._pool.plan import CLOSED, DIAL, GROWTH, Answer, PendingRequest, Plan

#: Routes are named by their host and a number. Those to y and z may turn out to be shared.
ROUTES = ["x1", "x1", "x1", "x2", "y1", "y1", "y1", "z1"]
MAY_SHARE = "yz"
STEPS = 2500


def host_of(route: str) -> str:
    return route[0]


class Connection:
    """A connection, with what the model knows of it."""

    def __init__(self, route: str, limit: int | None = None, settled: bool = True) -> None:
        self.route = route
        self.settled = settled  # the peer has said how many uses it takes
        self.limit = limit  # of uses at once; None if it is not shared, -1 if it takes no more
        self.uses = 1
        self.since: float | None = None  # idle since then
        self.untils: list[tuple[float, float]] = []  # when it goes, if it is idle since then
        self.reserved_for: Waiting | None = None

    @property
    def usable(self) -> bool:
        """Whether it can serve another request."""
        if self.limit is None:
            return not self.uses
        return self.uses < self.limit and self.reserved_for is None


class Waiting(PendingRequest[Connection]):
    """A ticket with what the model knows of it."""

    __slots__ = ("passed", "place", "room")

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place
        self.passed = 0
        self.room: Connection | None = None  # what is to make room for it


class Model:
    """The rules, written for reading."""

    def __init__(self, limit: int | None, keep: int | None, expiry: float | None, per_host: int | None) -> None:
        self.limit, self.keep, self.expiry, self.per_host = limit, keep, expiry, per_host
        self.open: list[Connection] = []  # leased and idle; those that can be used in the order of becoming so
        self.idle: list[Connection] = []  # oldest first
        self.adrift: list[Connection] = []  # without a place, in use for the last time
        self.dialling: list[str] = []
        self.queue: list[Waiting] = []
        self.impatient: dict[str, int] = {}  # the last request of a route that is not patient
        self.alone: set[str] = set()  # routes whose connections are not shared
        self.together: set[str] = set()
        self.to_close: list[Connection] = []
        self.granted: list[tuple[Waiting, Connection | Answer]] = []
        self.closed = False  # nothing new is dialled or kept
        self.ended = False  # nor is anything known any more

    @property
    def leased(self) -> int:
        return len(self.open) - len(self.idle)

    def full(self) -> bool:
        return self.limit is not None and len(self.open) + len(self.dialling) >= self.limit

    def host_full(self, route: str) -> bool:
        taken = [*(connection.route for connection in self.open), *self.dialling]
        return self.per_host is not None and sum(host_of(each) == host_of(route) for each in taken) >= self.per_host

    def may_dial(self, route: str) -> bool:
        if route in self.alone or route not in self.together:
            return True
        return route not in self.dialling and all(each.settled for each in self.open if each.route == route)

    def taken(self, route: str) -> bool:
        """Whether anything of the route is open, or being made."""
        return route in self.dialling or any(each.route == route for each in self.open)

    def patient(self, pending: Waiting) -> bool:
        """Whether it waits before an idle connection of another route is closed for it."""
        return pending.number > self.impatient.get(pending.place, 0)

    def would_be_patient(self, route: str) -> bool:
        known = [*(each.route for each in self.open), *self.dialling, *(each.place for each in self.queue)]
        return self.taken(route) and any(each != route for each in known)

    def wait(self, pending: Waiting) -> bool:
        patient = self.would_be_patient(pending.place)
        self.queue.append(pending)
        if not patient:
            hurries = any(each.place == pending.place and self.patient(each) for each in self.queue[:-1])
            self.impatient[pending.place] = pending.number
            if hurries:
                self.fill()
        return patient

    def hurry(self, pending: Waiting) -> None:
        if self.patient(pending):
            self.impatient[pending.place] = pending.number
            self.fill()

    def nudge(self, pending: Waiting, now: float, idle: float) -> None:
        route = pending.place
        mine = sum(each.route == route for each in self.open) + self.dialling.count(route)
        if not self.may_dial(route) or self.dialling.count(route) * (GROWTH + 1) >= mine:
            return
        candidates = self.idle
        if self.host_full(route):
            candidates = [each for each in self.idle if host_of(each.route) == host_of(route)]
        if not candidates or candidates[0].since is None or now - candidates[0].since < idle:
            return
        if self.reserve(route):
            self.grant(next(each for each in self.queue if each.place == route), DIAL)

    def hungry(self, route: str | None = None) -> list[Waiting]:
        """Who could use a place now: any, or that of a connection of `route`."""
        return [
            pending
            for pending in self.queue
            if self.may_dial(pending.place)
            and not self.patient(pending)
            and (
                not self.host_full(pending.place)
                or any(host_of(each.route) == host_of(pending.place) for each in self.idle)
                or (route is not None and host_of(pending.place) == host_of(route))
            )
        ]

    def know(self, route: str, may_share: bool) -> None:
        if may_share and not self.known(route):
            self.together.add(route)

    def known(self, route: str) -> bool:
        places = [*(each.route for each in self.open), *self.dialling, *(each.place for each in self.queue)]
        return route in places

    def forget(self) -> None:
        """Nothing is remembered of routes of which nothing is here."""
        self.alone = {route for route in self.alone if self.known(route)}
        self.together = {route for route in self.together if self.known(route)}
        for pending in self.queue:
            if not self.taken(pending.place):
                self.impatient[pending.place] = max(each.number for each in self.queue if each.place == pending.place)

    def request(self, route: str, now: float, may_share: bool) -> Connection | Answer | None:
        self.expire(now)
        for connection in reversed([each for each in self.open if each.route == route and each.since is None]):
            if connection.limit is not None and connection.usable and self.may_use(connection, None):
                connection.uses += 1
                return connection
        for connection in reversed([each for each in self.open if each.route == route and each.since is not None]):
            if connection.usable:
                self.wake(connection)
                return connection
        if self.closed:
            return CLOSED
        self.know(route, may_share)
        close = not self.would_be_patient(route) and not any(pending.place == route for pending in self.queue)
        if not (self.may_dial(route) and self.reserve(route, close)):
            return None
        self.fill()
        return DIAL

    def reserve(self, route: str, may_close: bool = True) -> bool:
        candidates = self.idle
        if self.host_full(route):
            candidates = [each for each in self.idle if host_of(each.route) == host_of(route)]
        elif not self.full():
            self.dialling.append(route)
            return True
        if not candidates or not may_close:
            return False
        self.dialling.append(route)
        self.doom(candidates[0])
        return True

    def wake(self, connection: Connection) -> None:
        self.idle.remove(connection)
        connection.since = None
        connection.uses = 1
        self.last(connection)

    def last(self, connection: Connection) -> None:
        """Of those that can be used it is the one to be taken first."""
        self.open.remove(connection)
        self.open.append(connection)

    def doom(self, connection: Connection) -> None:
        self.to_close.append(connection)
        self.remove(connection)

    def remove(self, connection: Connection) -> None:
        self.open.remove(connection)
        if connection in self.idle:
            self.idle.remove(connection)
        self.break_promise(connection)
        self.forget()

    def break_promise(self, connection: Connection) -> None:
        if connection.reserved_for is not None:
            connection.reserved_for.room = None
            connection.reserved_for = None

    def may_use(self, connection: Connection, heir: Waiting | None) -> bool:
        first = next(iter(self.hungry(connection.route)), None)
        if first is None or first.room is not None or self.may_pass(first, connection, heir):
            return True
        first.room = connection
        connection.reserved_for = first
        return False

    def may_pass(self, first: Waiting, connection: Connection, heir: Waiting | None) -> bool:
        if first.place == connection.route or (heir is not None and first.number > heir.number):
            return True
        first.passed += 1
        if first.passed > granting.MAX_OVERTAKEN:
            first.passed -= 1
            return False
        return True

    def spread(self, connection: Connection, was_usable: bool = False) -> None:
        assert connection.limit is not None
        while connection.usable:
            heirs = [pending for pending in self.queue if pending.place == connection.route]
            if not heirs or not self.may_use(connection, heirs[0]):
                break
            connection.uses += 1
            self.grant(heirs[0], connection)
        if connection.usable and not was_usable:
            self.last(connection)

    def grant(self, pending: Waiting, what: Connection | Answer) -> None:
        self.granted.append((pending, what))
        self.leave(pending)

    def leave(self, pending: Waiting) -> None:
        self.queue.remove(pending)
        if pending.room is not None:
            connection, pending.room = pending.room, None
            connection.reserved_for = None
            self.spread(connection)
        self.forget()

    def fill(self) -> None:
        while candidates := [*self.hungry()[:1], *self.served_by_free_places()[:1]]:
            first = min(candidates, key=lambda pending: pending.number)
            if not self.reserve(first.place):
                return
            self.grant(first, DIAL)

    def served_by_free_places(self) -> list[Waiting]:
        return [
            pending
            for pending in self.queue
            if not self.full() and not self.host_full(pending.place) and self.may_dial(pending.place)
        ]

    def connected(self, connection: Connection) -> None:
        if self.ended:
            self.to_close.append(connection)
            return
        self.dialling.remove(connection.route)
        self.open.append(connection)
        if connection.limit is None:
            self.alone.add(connection.route)
            self.together.discard(connection.route)
        else:
            self.together.add(connection.route)
            self.alone.discard(connection.route)
            if self.closed:
                self.drain(connection)
            else:
                self.spread(connection, was_usable=True)
        self.fill()

    def dial_failed(self, route: str) -> None:
        if self.ended:
            return
        self.dialling.remove(route)
        self.forget()
        self.fill()

    def release(self, connection: Connection, reusable: bool, now: float, until: float | None) -> None:
        if self.ended:
            return
        if connection.limit is not None and not reusable:
            self.drain(connection)
        was_usable = connection.usable
        connection.uses -= 1
        if connection in self.adrift:
            if not connection.uses:
                self.adrift.remove(connection)
                self.to_close.append(connection)
            return
        if connection.limit is not None:
            if connection.uses:
                self.spread(connection, was_usable)
                return
            self.break_promise(connection)
        heirs = [pending for pending in self.queue if pending.place == connection.route and connection.usable]
        claimants = self.hungry(connection.route)
        if reusable and heirs and (not claimants or self.may_pass(claimants[0], connection, heirs[0])):
            connection.uses = 1
            self.grant(heirs[0], connection)
            if connection.limit is not None:
                self.spread(connection)
        elif not reusable or claimants:
            self.doom(connection)
            self.fill()
        else:
            connection.since = now
            self.idle.append(connection)
            self.last(connection)
            if until is not None:
                connection.untils.append((until, now))
            if self.closed or (self.keep is not None and len(self.idle) > self.keep):
                self.doom(self.idle[0])
                self.fill()

    def replace(self, connection: Connection, now: float) -> Connection | Answer | None:
        if self.ended:
            return CLOSED
        route = connection.route
        others = [each for each in self.open if each.route == route and each is not connection]
        if connection.limit is not None and (
            connection.uses > 1
            or connection in self.adrift
            or route in self.dialling
            or any(each.usable and each.since is None for each in others)
        ):
            self.release(connection, False, now, None)
            return self.request(route, now, True)
        if self.closed:
            self.doom(connection)
            return CLOSED
        resting = [each for each in others if each.since is not None and each.usable]
        if resting:
            self.wake(resting[-1])
            self.doom(connection)
            self.fill()
            return resting[-1]
        self.dialling.append(route)
        self.doom(connection)
        return DIAL

    def set_limit(self, connection: Connection, limit: int) -> None:
        if connection not in self.open or connection.limit is None or connection.limit < 0:
            return
        was_usable = connection.usable
        connection.limit = limit
        connection.settled = True
        if connection.since is None:
            self.spread(connection, was_usable)
        elif limit and not was_usable:
            self.last(connection)
            heirs = [pending for pending in self.queue if pending.place == connection.route]
            if heirs:
                self.wake(connection)
                self.grant(heirs[0], connection)
                self.spread(connection)
        self.fill()

    def drain(self, connection: Connection) -> None:
        if connection not in self.open:
            return
        connection.limit = -1
        if connection.since is not None:
            self.doom(connection)
            if not self.closed:
                self.fill()
        else:
            self.remove(connection)
            self.adrift.append(connection)
            if not self.closed:
                self.fill()

    def ends(self, connection: Connection) -> list[float]:
        """When an idle connection goes."""
        assert connection.since is not None
        own = [until for until, since in connection.untils if since == connection.since]
        return own if self.expiry is None else [*own, connection.since + self.expiry]

    def next_expiry(self) -> float | None:
        return min((at for connection in self.idle for at in self.ends(connection)), default=None)

    def expire(self, now: float) -> None:
        while over := [each for each in self.idle if any(at <= now for at in self.ends(each))]:
            self.doom(min(over, key=lambda each: min(self.ends(each))))
            self.fill()

    def close(self) -> None:
        self.retire()
        self.ended = True
        for connection in [*self.open, *self.adrift]:
            self.to_close.append(connection)
            connection.reserved_for = None
        for left in (self.open, self.adrift, self.dialling):
            left.clear()
        self.forget()

    def retire(self) -> None:
        self.closed = True
        for connection in list(self.idle):
            self.doom(connection)
        for connection in list(self.open):
            if connection.limit is not None:
                self.drain(connection)
        for pending in list(self.queue):
            self.grant(pending, CLOSED)


class Driver:
    """Does one random step after the other to plan and model, and compares."""

    def __init__(self, seed: int, *limits: float | None) -> None:
        limit, keep, expiry, per_host = limits
        self.random = random.Random(seed)
        self.plan: Plan[Connection] = Plan(limit, keep, expiry, per_host, host_of)  # type: ignore[arg-type]
        self.model = Model(limit, keep, expiry, per_host)  # type: ignore[arg-type]
        self.now = 0.0
        self.users: list[Connection] = []  # what requests hold, by their own account
        self.dials: list[str] = []
        self.fresh: list[Waiting] = []  # granted, and not taken up yet
        self.buried: set[Connection] = set()
        self.told: set[Waiting] = set()
        self.seen: dict[str, int] = {}

    def run(self, steps: int) -> None:
        self.go_on(steps)
        self.finish()

    def run_and_close(self, steps: int) -> None:
        """Closes at any moment, at times after it was retired; requests, dials and releases go on."""
        self.go_on(self.random.randrange(steps))
        if self.random.random() < 0.3:
            self.retire()
            self.settle()
            self.go_on(self.random.randrange(20))
        self.close()
        self.settle()
        self.go_on(steps)
        assert self.plan.open == self.plan.draining == self.plan.waiting == 0
        self.finish()

    def go_on(self, steps: int) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (34, self.request),
            (8, self.cancel),
            (6, self.cancel_granted),
            (20, self.connected),
            (5, self.dial_failed),
            (28, self.release),
            (3, self.replace),
            (4, self.dead),
            (2, self.expire),
            (8, self.limit),
            (3, self.drain),
            (4, self.hurry),
            (12, self.nudge),
        ]
        weights = [weight for weight, _ in actions]
        for _ in range(steps):
            self.now += self.random.choice((0.001, 0.01, 0.5))
            (_, action), *_ = self.random.choices(actions, weights)
            action()
            self.settle()
            self.seen[action.__name__] = self.seen.get(action.__name__, 0) + 1
            if self.random.random() < 0.3:
                self.take_up()

    def request(self) -> None:
        route = self.random.choice(ROUTES)
        may_share = route[0] in MAY_SHARE
        answer = self.plan.request(route, self.now, may_share)
        assert answer is self.model.request(route, self.now, may_share)
        self.answered(route, answer)

    def answered(self, route: str, answer: Connection | Answer | None) -> None:
        if answer is DIAL:
            self.dials.append(route)
        elif isinstance(answer, Connection):
            assert answer.route == route
            self.hold(answer)
        elif answer is None:
            pending = Waiting(route)
            patient = self.plan.wait(route, pending)
            assert patient is self.model.wait(pending)
        else:
            assert self.model.closed

    def hurry(self) -> None:
        if self.model.queue:
            pending = self.random.choice(self.model.queue)
            self.plan.hurry(pending, self.now)
            self.model.hurry(pending)

    def nudge(self) -> None:
        if self.model.queue:
            pending, idle = self.random.choice(self.model.queue), self.random.choice((0.001, 0.01, 1.0))
            self.plan.nudge(pending, self.now, idle)
            self.model.nudge(pending, self.now, idle)

    def hold(self, connection: Connection) -> None:
        self.users.append(connection)
        assert connection not in self.buried
        assert connection.limit is not None or self.users.count(connection) == 1, "one connection given to two requests"

    def take_up(self) -> None:
        while self.fresh:
            pending = self.fresh.pop()
            if self.model.ended and pending.grant in self.buried:
                assert isinstance(pending.grant, Connection)
                assert self.plan.replace(pending.grant, self.now) is CLOSED
            elif isinstance(pending.grant, Connection):
                self.hold(pending.grant)
            elif pending.grant is DIAL:
                self.dials.append(pending.place)

    def cancel(self) -> None:
        if self.model.queue:
            pending = self.random.choice(self.model.queue)
            self.plan.cancel(pending, self.now)
            self.model.leave(pending)

    def cancel_granted(self) -> None:
        if self.fresh:
            pending = self.fresh.pop(self.random.randrange(len(self.fresh)))
            grant = pending.grant
            self.plan.cancel(pending, self.now)
            if isinstance(grant, Connection):
                self.model.release(grant, True, self.now, None)
            elif grant is DIAL:
                self.model.dial_failed(pending.place)

    def connected(self) -> None:
        if self.dials:
            route = self.dials.pop(self.random.randrange(len(self.dials)))
            shared = route[0] in MAY_SHARE and self.random.random() < 0.8
            connection = Connection(route, self.random.choice((0, 1, 2, 3, 5)) if shared else None)
            # At least one use is ours before the peer has spoken, or it might never be heard.
            connection.settled = not connection.limit or self.random.random() < 0.5
            self.plan.connected(route, connection, connection.limit, connection.settled)
            self.model.connected(connection)
            if self.model.ended:
                self.users.append(connection)  # its dialler finds out by itself
            else:
                self.hold(connection)

    def dial_failed(self) -> None:
        if self.dials:
            route = self.dials.pop(self.random.randrange(len(self.dials)))
            self.plan.dial_failed(route)
            self.model.dial_failed(route)

    def release(self) -> None:
        if self.users:
            connection = self.users.pop(self.random.randrange(len(self.users)))
            reusable = self.random.random() < 0.9
            until = self.now + self.random.random() * 3 if self.random.random() < 0.3 else None
            ending = None if until is None else Ending(until, "expired")
            self.plan.release(connection, reusable, self.now, ending)
            self.model.release(connection, reusable, self.now, until)

    def replace(self) -> None:
        if self.users:
            connection = self.users.pop(self.random.randrange(len(self.users)))
            answer = self.plan.replace(connection, self.now)
            assert answer is self.model.replace(connection, self.now)
            self.answered(connection.route, answer)

    def dead(self) -> None:
        if self.model.open:
            connection = self.random.choice(self.model.open)
            idle = connection in self.model.idle
            assert self.plan.dead(connection, self.now) is idle
            if idle:
                self.model.remove(connection)
                self.model.fill()
                self.buried.add(connection)

    def expire(self) -> None:
        self.plan.expire(self.now)
        self.model.expire(self.now)

    def limit(self) -> None:
        shared = [each for each in [*self.model.open, *self.model.adrift, *self.buried] if each.limit is not None]
        if shared:
            connection, limit = self.random.choice(shared), self.random.choice((0, 0, 1, 2, 3, 5))
            self.plan.limit(connection, limit)
            self.model.set_limit(connection, limit)

    def drain(self) -> None:
        shared = [each for each in [*self.model.open, *self.model.adrift, *self.buried] if each.limit is not None]
        if shared:
            connection = self.random.choice(shared)
            self.plan.going_away(connection)
            self.model.drain(connection)

    def close(self) -> None:
        self.plan.close()
        self.model.close()

    def retire(self) -> None:
        self.plan.stop_accepting()
        self.model.retire()

    def settle(self) -> None:
        """What the pool does after each call, and what must be true then."""
        decided, model = self.plan, self.model
        assert len(decided.to_close) == len(set(decided.to_close))
        assert set(decided.to_close) == set(model.to_close)
        for connection in decided.to_close:
            assert connection not in self.buried, "doomed twice"
            assert self.model.ended or connection not in self.users
            self.buried.add(connection)
        assert {pending: pending.grant for pending in decided.granted} == dict(model.granted)
        assert len(decided.granted) == len(model.granted)
        for pending, grant in model.granted:
            assert pending not in self.told, "told twice"
            self.told.add(pending)
            assert not isinstance(grant, Connection) or grant.route == pending.place
        self.fresh += [pending for pending, _ in model.granted]
        for doings in (decided.to_close, model.to_close, decided.granted, model.granted):
            doings.clear()
        self.agree()
        self.nobody_waits_in_vain()

    def agree(self) -> None:
        mine, model = self.plan, self.model
        assert (mine.leased, mine.idle, mine.dialling) == (model.leased, len(model.idle), len(model.dialling))
        assert mine.open == mine.leased + mine.idle + mine.dialling
        assert model.limit is None or mine.open <= model.limit
        assert model.keep is None or mine.idle <= model.keep
        assert mine.waiting == len(model.queue)
        assert mine.pending_requests() == model.queue
        assert all(pending.grant is None for pending in model.queue)
        assert all(pending.overtaken == pending.passed <= granting.MAX_OVERTAKEN for pending in model.queue)
        assert mine.next_expiry() == model.next_expiry()
        assert sorted(mine.dials()) == [(route, model.dialling.count(route)) for route in sorted(set(model.dialling))]
        uses = {connection: share.uses for connection, _, share in mine.connections() if share is not None}
        assert uses == {each: each.uses for each in [*model.open, *model.adrift] if each.limit is not None}
        assert mine.draining == len(model.adrift)

    def nobody_waits_in_vain(self) -> None:
        model = self.model
        assert not model.hungry() or (model.full() and not model.idle), "somebody waits while a place is free"
        assert not model.served_by_free_places(), "somebody waits while a place is free for all"
        for pending in model.queue:
            own = [each for each in model.open if each.route == pending.place]
            assert not any(each.usable for each in own), "somebody waits while something could serve him"
        for connection in model.open:
            reserved_for = connection.reserved_for
            assert reserved_for is None or (reserved_for in model.queue and reserved_for.room is connection), (
                "room for nobody"
            )

    def finish(self) -> None:
        """Retires, lets everybody go home, and looks for what is left."""
        self.retire()
        self.settle()
        self.take_up()
        while self.dials or self.users:
            self.connected()
            self.random.choice((self.release, self.replace))()
            self.request()
            self.settle()
            self.take_up()
        mine = self.plan
        assert mine.open == mine.waiting == 0
        for left in (
            mine._route_states,
            mine._hosts,
            mine._route_state_of,
            mine._slots_of,
            mine._going_away,
            mine._idle_since,
        ):
            assert not left


LIMITS = [
    (1, 1, 5.0, None),
    (3, 2, 1.0, None),
    (4, 4, None, 2),
    (6, 3, 3.0, 3),
    (6, 3, 3.0, None),
    (10, 0, 5.0, 1),
    (20, 10, 0.5, 4),
    (None, 5, 5.0, 2),
    (None, None, None, None),
]


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("patience", ["usual", "short"])
def test_random_histories_agree_with_the_model(
    seed: int, patience: str, limits: tuple[float | None, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    if patience == "short":
        # What is seldom needed is needed all the time.
        monkeypatch.setattr(granting, "MAX_OVERTAKEN", 1)
        monkeypatch.setattr(line, "_MIN_TIDY", 2)
        monkeypatch.setattr(places, "_MIN_TIDY", 2)
    driver = Driver(seed, *limits)
    driver.run(STEPS)
    assert len(driver.seen) == 13, "the driver has not tried everything"


@pytest.mark.parametrize("limits", LIMITS)
@pytest.mark.parametrize("block", range(4))
def test_plan_that_is_closed_at_any_moment_has_nothing_left(block: int, limits: tuple[float | None, ...]) -> None:
    for seed in range(block * 10, block * 10 + 10):
        Driver(seed, *limits).run_and_close(150)


def test_each_waiter_at_the_head_is_served_after_sixteen_overtakings_at_most() -> None:
    """A busy route frees and takes connections for ever, while one of each rare route is wanted."""
    busy_pool: Plan[Connection] = Plan(4, 4, None)
    busy = [Connection("busy") for _ in range(4)]
    for connection in busy:
        assert busy_pool.request("busy", 0.0) is DIAL
        busy_pool.connected("busy", connection)
    rare = [Waiting(route) for route in "abc"]
    for pending in rare:
        assert busy_pool.request(pending.place, 0.0) is None
        busy_pool.wait(pending.place, pending)
    for pending in rare:
        freed = 0
        while pending.grant is None:
            assert busy_pool.request("busy", 0.0) is None
            busy_pool.wait("busy", Waiting("busy"))
            busy_pool.release(busy.pop(0), True, 0.0)
            freed += 1
            busy += [served.grant for served in busy_pool.granted if isinstance(served.grant, Connection)]
            busy_pool.granted.clear()
        assert pending.grant is DIAL
        assert freed == granting.MAX_OVERTAKEN + 1
