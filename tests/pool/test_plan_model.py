"""Random histories: the plan against a model that scans lists, with the invariants asserted at every step."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from httpx_fast._pool.plan import CLOSED, DIAL, MAX_OVERTAKEN, Answer, Plan, Ticket

ROUTES = "abcd"
STEPS = 4000


class Connection:
    def __init__(self, route: str) -> None:
        self.route = route


class Waiting(Ticket[Connection]):
    """A ticket with what the model remembers of it."""

    __slots__ = ("place",)

    def __init__(self, place: str) -> None:
        super().__init__()
        self.place = place


class Model:
    """The rules, written for reading."""

    def __init__(self, limit: int | None, keep: int | None, expiry: float | None) -> None:
        self.limit, self.keep, self.expiry = limit, keep, expiry
        self.idle: list[tuple[Connection, float]] = []
        self.leased: list[Connection] = []
        self.dialling: list[str] = []
        self.queue: list[Waiting] = []
        self.passed: dict[Waiting, int] = {}
        self.doomed: list[Connection] = []
        self.granted: list[tuple[Waiting, Connection | Answer]] = []
        self.closed = False

    def full(self) -> bool:
        return self.limit is not None and len(self.idle) + len(self.leased) + len(self.dialling) >= self.limit

    def request(self, route: str, now: float) -> Connection | Answer | None:
        self.expire(now)
        for entry in reversed(self.idle):
            if entry[0].route == route:
                self.idle.remove(entry)
                self.leased.append(entry[0])
                return entry[0]
        if self.closed:
            return CLOSED
        if self.full():
            if not self.idle:
                return None
            self.doomed.append(self.idle.pop(0)[0])
        self.dialling.append(route)
        return DIAL

    def grant(self, ticket: Waiting, what: Connection | Answer) -> None:
        self.queue.remove(ticket)
        self.granted.append((ticket, what))

    def place_free(self) -> None:
        if self.queue:
            self.dialling.append(self.queue[0].place)
            self.grant(self.queue[0], DIAL)

    def dial_failed(self, route: str) -> None:
        self.dialling.remove(route)
        self.place_free()

    def release(self, connection: Connection, reusable: bool, now: float) -> None:
        self.leased.remove(connection)
        heirs = [ticket for ticket in self.queue if ticket.place == connection.route]
        first = self.queue[0] if self.queue else None
        if reusable and first is not None and heirs and (heirs[0] is first or self.passed[first] < MAX_OVERTAKEN):
            if heirs[0] is not first:
                self.passed[first] += 1
            self.leased.append(connection)
            self.grant(heirs[0], connection)
        elif not reusable or first is not None or self.closed:
            self.doomed.append(connection)
            self.place_free()
        else:
            self.idle.append((connection, now))
            if self.keep is not None and len(self.idle) > self.keep:
                self.doomed.append(self.idle.pop(0)[0])

    def replace(self, connection: Connection) -> Connection | Answer:
        self.leased.remove(connection)
        self.doomed.append(connection)
        for entry in reversed(self.idle):
            if entry[0].route == connection.route:
                self.idle.remove(entry)
                self.leased.append(entry[0])
                return entry[0]
        if self.closed:
            return CLOSED
        self.dialling.append(connection.route)
        return DIAL

    def expire(self, now: float) -> None:
        while self.idle and self.expiry is not None and self.idle[0][1] + self.expiry <= now:
            self.doomed.append(self.idle.pop(0)[0])

    def close(self) -> None:
        self.closed = True
        self.doomed += [connection for connection, _ in self.idle]
        self.idle = []
        for ticket in list(self.queue):
            self.grant(ticket, CLOSED)


class Driver:
    """Does one random step after the other to plan and model, and compares."""

    def __init__(self, seed: int, limit: int | None, keep: int | None, expiry: float | None) -> None:
        self.random = random.Random(seed)
        self.plan: Plan[Connection] = Plan(limit, keep, expiry)
        self.model = Model(limit, keep, expiry)
        self.now = 0.0
        self.users: list[Connection] = []  # what requests hold, by their own account
        self.dials: list[str] = []
        self.fresh: list[Waiting] = []  # granted, and not taken up yet
        self.buried: set[Connection] = set()
        self.seen: dict[str, int] = {}

    def run(self, steps: int) -> None:
        actions: list[tuple[int, Callable[[], None]]] = [
            (30, self.request),
            (8, self.cancel),
            (6, self.cancel_granted),
            (20, self.connected),
            (5, self.dial_failed),
            (25, self.release),
            (3, self.replace),
            (4, self.dead),
            (2, self.expire),
        ]
        weights = [weight for weight, _ in actions]
        for _ in range(steps):
            self.now += self.random.choice((0.0, 0.01, 0.5))
            (_, action), *_ = self.random.choices(actions, weights)
            action()
            self.settle()
            self.seen[action.__name__] = self.seen.get(action.__name__, 0) + 1
            if self.random.random() < 0.3:
                self.take_up()
        self.finish()

    def request(self) -> None:
        route = self.random.choice("aaaabbcd")
        answer = self.plan.request(route, self.now)
        assert answer is self.model.request(route, self.now)
        if answer is DIAL:
            self.dials.append(route)
        elif isinstance(answer, Connection):
            assert answer.route == route
            self.hold(answer)
        elif answer is None:
            ticket = Waiting(route)
            self.plan.wait(route, ticket)
            self.model.queue.append(ticket)
            self.model.passed[ticket] = 0
        else:
            assert self.model.closed

    def hold(self, connection: Connection) -> None:
        assert connection not in self.users, "one connection given to two requests"
        assert connection not in self.buried
        self.users.append(connection)

    def take_up(self) -> None:
        while self.fresh:
            ticket = self.fresh.pop()
            if isinstance(ticket.grant, Connection):
                self.hold(ticket.grant)
            elif ticket.grant is DIAL:
                self.dials.append(ticket.place)

    def cancel(self) -> None:
        if self.model.queue:
            ticket = self.random.choice(self.model.queue)
            self.plan.cancel(ticket, self.now)
            self.model.queue.remove(ticket)

    def cancel_granted(self) -> None:
        if self.fresh:
            ticket = self.fresh.pop(self.random.randrange(len(self.fresh)))
            grant = ticket.grant
            self.plan.cancel(ticket, self.now)
            if isinstance(grant, Connection):
                self.model.release(grant, True, self.now)
            elif grant is DIAL:
                self.model.dial_failed(ticket.place)

    def connected(self) -> None:
        if self.dials:
            route = self.dials.pop(self.random.randrange(len(self.dials)))
            connection = Connection(route)
            self.plan.connected(route, connection)
            self.model.dialling.remove(route)
            self.model.leased.append(connection)
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
            self.plan.release(connection, reusable, self.now)
            self.model.release(connection, reusable, self.now)

    def replace(self) -> None:
        if self.users:
            connection = self.users.pop(self.random.randrange(len(self.users)))
            answer = self.plan.replace(connection)
            assert answer is self.model.replace(connection)
            if isinstance(answer, Connection):
                assert answer.route == connection.route
                self.hold(answer)
            elif answer is DIAL:
                self.dials.append(connection.route)

    def dead(self) -> None:
        candidates = [connection for connection, _ in self.model.idle] + self.users
        if candidates:
            connection = self.random.choice(candidates)
            idle = connection not in self.users
            assert self.plan.dead(connection) is idle
            if idle:
                self.model.idle = [entry for entry in self.model.idle if entry[0] is not connection]
                self.buried.add(connection)

    def expire(self) -> None:
        self.plan.expire(self.now)
        self.model.expire(self.now)

    def settle(self) -> None:
        """What the pool does after each call, and what must be true then."""
        plan, model = self.plan, self.model
        assert plan.doomed == model.doomed
        for connection in plan.doomed:
            assert connection not in self.buried, "doomed twice"
            assert connection not in self.users
            self.buried.add(connection)
        assert [(ticket, ticket.grant) for ticket in plan.granted] == model.granted
        self.fresh += [ticket for ticket, _ in model.granted]
        for doings in (plan.doomed, model.doomed, plan.granted, model.granted):
            doings.clear()

        assert (plan.leased, plan.idle, plan.dialling) == (len(model.leased), len(model.idle), len(model.dialling))
        assert plan.open == plan.leased + plan.idle + plan.dialling
        assert model.limit is None or plan.open <= model.limit
        assert model.keep is None or plan.idle <= model.keep
        assert plan.waiting == len(model.queue)
        assert not plan.waiting or (model.full() and not plan.idle), "somebody waits while a place is free"
        assert all(ticket.grant is None for ticket in model.queue)
        assert all(passed <= MAX_OVERTAKEN for passed in model.passed.values())
        expires = model.idle[0][1] + model.expiry if model.idle and model.expiry is not None else None
        assert plan.next_expiry() == expires

    def finish(self) -> None:
        """Closes, lets everybody go home, and looks for what is left."""
        self.plan.close()
        self.model.close()
        self.settle()
        self.take_up()
        while self.dials or self.users:
            self.connected()
            self.random.choice((self.release, self.replace))()
            self.request()
            self.settle()
            self.take_up()
        assert self.plan.open == self.plan.waiting == 0
        assert not self.plan._lanes
        assert not self.plan._lane_of
        assert not self.plan._idle_since


LIMITS = [
    (1, 1, 5.0),
    (3, 2, 1.0),
    (4, 4, None),
    (6, 3, 3.0),
    (10, 0, 5.0),
    (20, 10, 0.5),
    (None, 5, 5.0),
    (None, None, None),
]


@pytest.mark.parametrize(("limit", "keep", "expiry"), LIMITS)
@pytest.mark.parametrize("seed", range(4))
def test_random_histories_agree_with_the_model(
    seed: int, limit: int | None, keep: int | None, expiry: float | None
) -> None:
    driver = Driver(seed, limit, keep, expiry)
    driver.run(STEPS)
    assert len(driver.seen) == 9, "the driver has not tried everything"


def test_each_waiter_at_the_head_is_served_after_sixteen_overtakings_at_most() -> None:
    """A busy route frees and takes connections for ever, while one of each rare route is wanted."""
    plan: Plan[Connection] = Plan(4, 4, None)
    busy = [Connection("busy") for _ in range(4)]
    for connection in busy:
        assert plan.request("busy", 0.0) is DIAL
        plan.connected("busy", connection)
    rare = [Waiting(route) for route in "abc"]
    for ticket in rare:
        assert plan.request(ticket.place, 0.0) is None
        plan.wait(ticket.place, ticket)
    for ticket in rare:
        freed = 0
        while ticket.grant is None:
            assert plan.request("busy", 0.0) is None
            plan.wait("busy", Waiting("busy"))
            plan.release(busy.pop(0), True, 0.0)
            freed += 1
            busy += [served.grant for served in plan.granted if isinstance(served.grant, Connection)]
            plan.granted.clear()
        assert ticket.grant is DIAL
        assert freed == MAX_OVERTAKEN + 1
