"""The steps of a journey as spans from its start: what drawings and reports are made of. Percentiles of many, too."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ._journey_parts import PHASES, Record

__all__ = ["Step", "lines_of", "percentile", "steps", "times_of"]

_DIALLING = ("dns", "tcp", "proxy", "tls")


class Step(NamedTuple):
    """One step of a journey, in seconds from its start; `seconds` is None where a reused connection skipped it."""

    name: str
    begin: float
    seconds: float | None
    broken: bool = False


def steps(journey: Record) -> list[Step]:
    """Return the steps that were taken, skipped thanks to a reused connection, or broken off, in order."""
    found = [
        Step(span.name, span.begin - journey.started, span.end - span.begin, span.broken) for span in journey.spans()
    ]
    facts = journey.connection
    if facts is not None and journey.reused:
        skipped = [Step(name, 0.0, None) for name in _DIALLING if getattr(facts, f"{name}_done") is not None]
        place = 1 if found and found[0].name == "pool" else 0
        found[place:place] = skipped
    return found


def lines_of(journeys: Iterable[Record]) -> list[Record]:
    """Return the hops, the attempts and the last try of each journey, one after the other: all that was sent."""
    found: list[Record] = []
    for journey in journeys:
        for each in (*journey.hops, journey):
            found += [*each.attempts, each]
    return found


def times_of(journeys: Iterable[Record]) -> dict[str, list[float]]:
    """Return the seconds of each step, sorted, over all journeys that took it; "total" is the last."""
    found: dict[str, list[float]] = {name: [] for name in (*PHASES, "total")}
    for journey in journeys:
        for name, seconds in journey.phases().items():
            found[name].append(seconds)
        found["total"].append(journey.total)
    return {name: sorted(times) for name, times in found.items() if times}


def percentile(times: Sequence[float], share: float) -> float:
    """Return the one of `times`, which are sorted, that `share` of all do not exceed (nearest rank)."""
    return times[max(math.ceil(share * len(times)) - 1, 0)]
