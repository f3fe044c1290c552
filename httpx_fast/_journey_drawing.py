"""Draws journeys as text: for every request one row per step, a number and a bar that begins where the step began.

All bars of one drawing have one scale, so that what a reused connection skips is seen as what it is. Pure: journeys in,
lines out; what the terminal can show is told by the caller. `print(journey)` and the command show these.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ._journey_parts import AGAIN, NEW, Facts, Record
from ._journey_steps import Step, lines_of, steps

MIN_BAR = 8  # columns; where fewer are left, numbers alone say more

_SKIPPED = "skipped"
_BROKEN = " broken off"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
# SGR colours, one per step: neighbours differ, and none is white or black, whatever the background.
_COLORS = {
    "pool": 35,
    "dns": 36,
    "tcp": 34,
    "proxy": 35,
    "tls": 33,
    "send": 32,
    "expect": 33,
    "wait": 36,
    "receive": 34,
    "reader": 35,
}


def draw(
    journeys: Sequence[Record],
    labels: Sequence[str] = (),
    *,
    width: int = 80,
    blocks: bool = True,
    colors: bool = False,
    own: Sequence[float] = (),
) -> list[str]:
    """Return the lines of a drawing, at most `width` columns each where the facts allow it.

    `labels` tell the requests apart in words; `blocks` is whether block characters can be shown, `colors` whether SGR
    sequences can. `own` are the seconds of each request in which its body waited for this program to write it.
    """
    longest = max((journey.took for journey in journeys), default=0.0)
    ways = [steps(journey) for journey in journeys]
    if any(step.broken for way in ways for step in way):
        width -= len(_BROKEN)
    chart = _Chart(longest, width, blocks, colors)
    lines: list[str] = []
    for number, (journey, way) in enumerate(zip(journeys, ways, strict=True)):
        label = f" ({labels[number]})" if number < len(labels) and labels[number] else ""
        lines.append(f"Request {number + 1}{label}: {_story(journey)}, {chart.time(journey.took)}")
        lines += [chart.row(step) for step in way]
        if number < len(own) and own[number] > 0:
            lines.append(f"  of receive, {chart.time(own[number])} went into writing the output")
    saved = _saving(journeys, chart, own)
    if saved:
        lines.append(saved)
    return lines + _connections(journeys)


def tell_connection(journey: Record) -> str:
    """Return which connection a request went over, in one line."""
    facts = journey.connection
    return _story(journey) if facts is None else f"{_story(journey)}: {tell_facts(facts)}"


def tell(journey: Record) -> str:
    """Return the drawing of a journey with its hops and attempts, as `print(journey)` shows it."""
    if not journey.over_network:
        return "Sent without a network."
    every = lines_of([journey])
    lines = draw(every, [_label(each) for each in every])
    if len(every) > 1:
        lines.append(f"Together: {_milliseconds(journey.overall)}")
    return "\n".join(lines)


def tell_in_short(journey: Record) -> str:
    """Return one line: what was asked, over which connection, and the time of each step."""
    if not journey.over_network:
        return "without a network"
    steps_taken = " ".join(f"{name}={span * 1000:.2f}ms" for name, span in journey.phases().items())
    words = [_label(journey), f"{journey.phase}, {_story(journey)}", steps_taken]
    return ": ".join(word for word in words if word)


def _label(journey: Record) -> str:
    words = [journey.method or "", journey.url or "", "" if journey.status is None else str(journey.status)]
    if journey.why_again is not None:
        words.append(f"sent again, {AGAIN.get(journey.why_again, journey.why_again)}")
    elif journey.failure is not None:
        words.append("sent again")
    if journey.refusal is not None:
        words.append(f"not sent again, {journey.refusal}")
    return " ".join(word for word in words if word)


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.3f} ms"


class _Chart:
    """The scale of a drawing: how many digits a time has, and how many columns a second."""

    def __init__(self, longest: float, width: int, blocks: bool, colors: bool) -> None:
        self._digits = next((digits for limit, digits in ((0.01, 3), (0.1, 2), (1.0, 1)) if longest < limit), 0)
        self._told = max(len(self.time(longest)), len(_SKIPPED))
        # Two columns, seven of the longest name, one, what is told, two columns; the rest is the bar's.
        columns = width - 12 - self._told
        self._columns = columns if columns >= MIN_BAR else 0
        self._scale = self._columns / longest if longest > 0 else 0.0
        self._blocks = blocks
        self._colors = colors

    def time(self, seconds: float) -> str:
        return f"{seconds * 1000:.{self._digits}f} ms"

    def row(self, step: Step) -> str:
        told = _SKIPPED if step.seconds is None else self.time(step.seconds)
        line = f"  {step.name:<7} {told:>{self._told}}"
        if step.seconds is not None:
            line += f"  {self._bar(step, step.seconds)}"
        return line.rstrip() + _BROKEN if step.broken else line.rstrip()

    def _bar(self, step: Step, seconds: float) -> str:
        """Draw whole columns before it, since a block fills its column from the left; never without any length."""
        if not self._columns:
            return ""
        before = min(int(step.begin * self._scale), self._columns - 1)
        room = self._columns - before
        if self._blocks:
            eighths = min(max(round(seconds * self._scale * 8), 1), room * 8)
            bar = _EIGHTHS[8] * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        else:
            bar = "#" * min(max(round(seconds * self._scale), 1), room)
        if self._colors:
            bar = f"\x1b[{_COLORS[step.name]}m{bar}\x1b[0m"
        return " " * before + bar


def _story(journey: Record) -> str:
    """Return which connection it was, in words."""
    if journey.nth == 0:
        return f"no connection, failed in {journey.phase}"
    if journey.reused:
        kind = f"reused connection, request {journey.nth} on it"
    else:
        kind = "new connection" + (f" ({_why_new(journey)})" if journey.why_new not in (None, "first") else "")
    return kind if journey.done is not None or journey.stopped is None else f"{kind}, failed in {journey.phase}"


def _why_new(journey: Record) -> str:
    assert journey.why_new is not None
    why = NEW.get(journey.why_new, journey.why_new)
    return why if journey.idle_lost is None else f"{why}; that had been idle for {journey.idle_lost:.3g} s"


def _saving(journeys: Sequence[Record], chart: _Chart, own: Sequence[float]) -> str | None:
    """Return what reusing the connection was good for, where the first and the last journey show it."""
    if any(own):
        return None  # no times of the network alone
    if len(journeys) < 2 or journeys[0].reused or not journeys[-1].reused:
        return None
    cold, warm = journeys[0].took, journeys[-1].took
    if journeys[0].done is None or journeys[-1].done is None or not 0 < warm < cold:
        return None
    return f"Reusing the connection: {chart.time(warm)} instead of {chart.time(cold)}, {cold / warm:.1f} times as fast."


def _connections(journeys: Sequence[Record]) -> list[str]:
    """Return one line for each connection."""
    users: dict[Facts, list[str]] = {}
    for number, journey in enumerate(journeys):
        if journey.connection is not None and journey.connection.tcp_done is not None:
            users.setdefault(journey.connection, []).append(str(number + 1))
    if len(users) == 1:
        return [f"Connection: {tell_facts(facts)}" for facts in users]
    return [f"Connection of request {', '.join(numbers)}: {tell_facts(facts)}" for facts, numbers in users.items()]


def tell_facts(facts: Facts) -> str:
    """Return what a connection is, in one line."""
    told = [f"peer {_address(facts.peer_address)}", facts.http_version]
    if facts.proxy is not None:
        told.insert(1, f"which is the proxy {facts.proxy}")
    if facts.tls_version is not None:
        told.append(facts.tls_version if facts.cipher is None else f"{facts.tls_version} with {facts.cipher}")
        if facts.tls_resumed:
            told.append("TLS session resumed")
    return ", ".join(told)


def _address(address: tuple[Any, ...] | str | bytes | None) -> str:
    """Return a socket's address as it would stand in a URL; a Unix socket's is its path."""
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    if not address:
        return "unknown"
    return os.fsdecode(address) if isinstance(address, (str, bytes)) else str(address)
