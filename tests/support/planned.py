"""A pool's plan, with what its tests say again and again."""

from __future__ import annotations

from httpx_fast._pool.plan import DIAL, PendingRequest, Plan


class Connection:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


class Pool:
    """A plan with what a test says again and again."""

    def __init__(
        self,
        limit: int | None = 10,
        keep: int | None = 10,
        expiry: float | None = 5.0,
        per_host: int | None = None,
    ) -> None:
        self.plan: Plan[Connection] = Plan(limit, keep, expiry, per_host, lambda route: route[0])
        self.made = 0

    def lease(self, route: str = "a", now: float = 0.0) -> Connection:
        """A connection that had to be dialled."""
        assert self.plan.request(route, now) is DIAL
        return self.connect(route)

    def share(self, route: str = "a", limit: int = 1) -> Connection:
        """A shared connection that had to be dialled; it has one use."""
        assert self.plan.request(route, 0.0, True) is DIAL
        return self.connect(route, limit)

    def connect(self, route: str, limit: int | None = None) -> Connection:
        self.made += 1
        connection = Connection(f"{route}{self.made}")
        self.plan.connected(route, connection, limit)
        return connection

    def queue(self, route: str = "a", now: float = 0.0, may_share: bool = False) -> PendingRequest[Connection]:
        assert self.plan.request(route, now, may_share) is None
        pending: PendingRequest[Connection] = PendingRequest()
        self.plan.wait(route, pending)
        return pending

    def idle(self, *routes: str, now: float = 0.0) -> list[Connection]:
        connections = [self.lease(route, now) for route in routes]
        for connection in connections:
            self.plan.release(connection, True, now)
        return connections

    def granted(self) -> list[PendingRequest[Connection]]:
        granted, self.plan.granted = self.plan.granted, []
        return granted

    def to_close(self) -> list[Connection]:
        to_close, self.plan.to_close = self.plan.to_close, []
        return to_close

    def counts(self) -> tuple[int, int, int]:
        return self.plan.leased, self.plan.idle, self.plan.dialling
