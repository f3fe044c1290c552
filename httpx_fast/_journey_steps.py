"""The steps of a journey as spans from its start: what drawings and reports are made of."""

from __future__ import annotations

from typing import NamedTuple

from ._journey import PHASES, ConnectionFacts, Journey

__all__ = ["Step", "steps"]

_DIALLING = ("dns", "tcp", "proxy", "tls")


class Step(NamedTuple):
    """One step of a journey, in seconds from its start; `seconds` is None where a reused connection skipped it."""

    name: str
    begin: float
    seconds: float | None
    broken: bool = False


def steps(journey: Journey) -> list[Step]:
    """Return the steps that were taken, skipped thanks to a reused connection, or broken off, in order."""
    facts = journey.connection or ConnectionFacts()
    taken = journey.phases()
    tcp_began = facts.dial_started if facts.dns_done is None else facts.dns_done
    begins = (
        journey.started,
        facts.dial_started,
        tcp_began,
        facts.tcp_done,
        facts.tcp_done if facts.proxy_done is None else facts.proxy_done,
        journey.sending,
        journey.sent,
        journey.first,
    )
    found: list[Step] = []
    for name, begin in zip(PHASES, begins, strict=True):
        if begin is None:
            continue
        if name in taken:
            found.append(Step(name, begin - journey.started, taken[name]))
        elif journey.reused and name in _DIALLING:
            if getattr(facts, f"{name}_done") is not None:
                found.append(Step(name, 0.0, None))
        elif journey.stopped is not None and journey.phase == name:
            found.append(Step(name, begin - journey.started, journey.stopped - begin, broken=True))
    return found
