"""What is known of each origin: its budget, its circuit, how long its answers take. Shown as `RetryStats`."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from .._origin import Origin
from .breaker import Circuit
from .budget import Budget
from .latency import Latencies
from .settings import Retry

MAX_ORIGINS: Final = 1000  # that are remembered; the one that was asked for longest ago goes first


@dataclass(frozen=True, slots=True)
class RetryStats:
    """Count the retries to one origin; `requests` and `retries` are those of the last 10 seconds."""

    requests: int
    #: Retries and hedges.
    retries: int
    #: How many retries there may be now in 10 seconds; None for any number.
    allowed: int | None
    #: Since the client was made: how many retries were sent, and how many the budget did not allow.
    retries_ever: int
    refused: int
    #: "closed", "open" or "half open"; None without a breaker.
    circuit: str | None = None
    #: How often the circuit opened.
    opened: int = 0
    #: Seconds after which a request is hedged; None if it is not, or not enough is known yet.
    hedge_after: float | None = None


class OriginState:
    """Hold what is known of one origin."""

    __slots__ = ("budget", "circuit", "latencies", "retry")

    def __init__(self) -> None:
        self.budget = Budget()
        self.circuit: Circuit | None = None
        self.latencies = Latencies()
        self.retry: Retry | None = None  # the settings that were used last

    def circuit_for(self, retry: Retry) -> Circuit | None:
        """Return the circuit for a request with these settings; other settings of a breaker begin a new one."""
        self.retry = retry
        breaker, circuit = retry.breaker, self.circuit
        if breaker is None:
            return None
        if circuit is None or (circuit.settings is not breaker and circuit.settings != breaker):
            circuit = self.circuit = Circuit(breaker)
        return circuit

    def hedge_after(self, retry: Retry | None) -> float | None:
        """Return the seconds after which a request with these settings is hedged; None for never."""
        hedge = None if retry is None else retry.hedge
        if hedge is None or len(self.latencies) < hedge.samples:
            return None
        usual = self.latencies.percentile(hedge.percentile)
        return None if usual is None else max(usual, hedge.least)

    def stats(self, now: float) -> RetryStats:
        """Return the counts as they are now."""
        budget, circuit, retry = self.budget, self.circuit, self.retry
        requests, retries = budget.counts(now)
        allowed = None
        if retry is not None and retry.budget is not None:
            allowed = int(budget.allowed(retry.budget, retry.budget_floor) + 1e-9)
        return RetryStats(
            requests,
            retries,
            allowed,
            budget.retries_ever,
            budget.refused,
            None if circuit is None else circuit.state,
            0 if circuit is None else circuit.opened,
            self.hedge_after(retry),
        )


class Origins:
    """The states of the origins that were asked last."""

    def __init__(self) -> None:
        self._states: OrderedDict[Origin, OriginState] = OrderedDict()

    def of(self, origin: Origin) -> OriginState:
        """Return the state of an origin, a new one if nothing is known of it."""
        states = self._states
        found = states.get(origin)
        if found is None:
            found = states[origin] = OriginState()
            if len(states) > MAX_ORIGINS:
                states.popitem(last=False)
        else:
            states.move_to_end(origin)
        return found

    def stats(self, now: float) -> Mapping[Origin, RetryStats]:
        """Return the counts of all of them."""
        return {origin: state.stats(now) for origin, state in self._states.items()}
