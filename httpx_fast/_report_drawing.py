"""The pictures of a report as SVG: the time axis, the bars of requests on it, and how many connections were in use.

Pure: journeys in, text out. All pictures of one report have one scale, in thousandths of its whole time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from ._journey_html import step_bar
from ._journey_parts import PHASES, Record
from ._journey_steps import percentile, steps, times_of

__all__ = ["WIDTH", "Scale", "axis", "bars", "milliseconds", "occupancy", "phase_table", "picture"]

WIDTH = 1000  # units of the time axis
ROW = 18  # units; height of one request's bar
_CHART = 60  # units; height of the chart of connections in use
_TICKS = 5  # at least so many, and at most twice as many and a half
_LABELS = 330  # units left of the bars, in a picture by itself


def milliseconds(seconds: float) -> str:
    """Return three digits behind the point."""
    return f"{seconds * 1000:.3f}"


class Scale:
    """Map a moment to its position on the axis."""

    def __init__(self, journeys: Sequence[Record]) -> None:
        self.begin: float = min((each.started for each in journeys), default=0.0)
        self.length: float = max((each.started + each.took for each in journeys), default=0.0) - self.begin
        self._unit = WIDTH / max(self.length, 1e-9)

    def at(self, moment: float) -> float:
        return (moment - self.begin) * self._unit

    def width(self, seconds: float) -> float:
        return seconds * self._unit

    def ticks(self) -> list[float]:
        """Return round numbers of seconds: 1, 2 or 5 of some power of ten apart."""
        if self.length <= 0:
            return [0.0]
        step = 10.0**-9
        factors = [2.0, 2.5, 2.0]
        while self.length / step > 2.5 * _TICKS:
            step *= factors[0]
            factors.append(factors.pop(0))
        return [number * step for number in range(int(self.length / step) + 1)]


def axis(scale: Scale, height: float = 16) -> str:
    """Return lines and labels of the axis, in units of `WIDTH`."""
    parts: list[str] = []
    for tick in scale.ticks():
        x = scale.width(tick)
        anchor = "start" if x < WIDTH - 60 else "end"
        parts.append(
            f'<line class="tick" x1="{x:.2f}" y1="0" x2="{x:.2f}" y2="{height}"/>'
            f'<text class="label" x="{x + (3 if anchor == "start" else -3):.2f}" y="12" text-anchor="{anchor}">'
            f"{tick * 1000:g} ms</text>"
        )
    return "".join(parts)


def bars(journey: Record, scale: Scale, top: float = 2, height: float = ROW - 4) -> str:
    """Return the bars of the attempts and of all their steps."""
    parts: list[str] = []
    for attempt in (*journey.attempts, journey):
        for step in steps(attempt):
            if step.seconds is not None:
                left, width = scale.at(attempt.started + step.begin), scale.width(step.seconds)
                parts.append(step_bar(step, left, width, top, height))
    return "".join(parts)


def counts(journeys: Iterable[Record]) -> tuple[list[tuple[float, int]], list[tuple[float, int]]]:
    """Return how many requests had a connection or a stream of one, and how many waited, from each moment on."""
    in_use: list[tuple[float, int]] = []
    waiting: list[tuple[float, int]] = []
    for journey in journeys:
        for attempt in (*journey.attempts, journey):
            for span in attempt.spans():
                changes = waiting if span.name == "pool" else in_use
                if span.end > span.begin:
                    changes += [(span.begin, 1), (span.end, -1)]
    return _summed(in_use), _summed(waiting)


def _summed(changes: list[tuple[float, int]]) -> list[tuple[float, int]]:
    found: list[tuple[float, int]] = []
    count = 0
    for moment, change in sorted(changes):
        count += change
        if found and found[-1][0] == moment:
            found[-1] = (moment, count)
        else:
            found.append((moment, count))
    return found


def occupancy(journeys: Sequence[Record], scale: Scale) -> str:
    """Return the chart of requests under way, and of those that waited for a connection."""
    in_use, waiting = counts(journeys)
    most = max((count for _, count in (*in_use, *waiting)), default=0) or 1
    parts = [f'<line class="tick" x1="0" y1="{_CHART}" x2="{WIDTH}" y2="{_CHART}"/>']
    for kind, points in (("in-use", in_use), ("waiting", waiting)):
        top = max((count for _, count in points), default=0)
        title = "under way" if kind == "in-use" else "waiting for a connection"
        parts.append(
            f'<path class="{kind}" d="{_stairs(points, scale, most)}"><title>{title}: at most {top}</title></path>'
        )
    parts.append(f'<text class="label" x="3" y="12">{most}</text>')
    return "".join(parts)


def _stairs(points: list[tuple[float, int]], scale: Scale, most: int) -> str:
    path = f"M0 {_CHART}"
    for moment, count in points:
        path += f"H{scale.at(moment):.2f}V{_CHART - count / most * (_CHART - 4):.2f}"
    return f"{path}H{WIDTH}"


def phase_table(journeys: Iterable[Record]) -> str:
    """Return a table of the times of each phase over all requests that had it: nearest-rank percentiles."""
    rows: list[str] = []
    for name, times in times_of(journeys).items():
        shown = "".join(f"<td>{milliseconds(percentile(times, share))}</td>" for share in (0.5, 0.95, 0.99, 1))
        rows.append(f"<tr><td>{name}</td><td>{len(times)}</td>{shown}</tr>")
    head = "<tr><th>phase, ms</th><th>requests</th><th>median</th><th>p95</th><th>p99</th><th>max</th></tr>"
    return f"{head}{''.join(rows)}"


def picture(labels: Sequence[str], journeys: Sequence[Record], style: str) -> str:
    """Return a picture by itself, for documents: labels, bars, axis and the chart below."""
    scale = Scale(journeys)
    rows: list[str] = []
    for number, (label, journey) in enumerate(zip(labels, journeys, strict=True)):
        top = 20 + number * ROW
        short = label if len(label) <= 46 else f"{label[:45]}…"
        rows.append(f'<text class="label" x="0" y="{top + 12}">{escape(short)}<title>{escape(label)}</title></text>')
        rows.append(f'<g transform="translate({_LABELS} {top})">{bars(journey, scale)}</g>')
    bottom = 20 + len(labels) * ROW + 6
    keys = "".join(
        f'<rect class="s-{name}" x="{number * 85}" y="2" width="10" height="10"/>'
        f'<text class="label" x="{number * 85 + 14}" y="11">{name}</text>'
        for number, name in enumerate(PHASES)
    )
    width, height = _LABELS + WIDTH, bottom + _CHART + 30
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {width + 16} {height + 8}" width="{width}" '
        f'height="{height}" font-family="sans-serif" font-size="11"><style>{style}</style>'
        f'<rect class="paper" x="-8" y="-4" width="{width + 16}" height="{height + 8}"/>'
        f'<g transform="translate({_LABELS} 0)">{axis(scale, bottom + _CHART)}</g>{"".join(rows)}'
        f'<text class="label" x="0" y="{bottom + 14}">requests under way, and waiting</text>'
        f'<g transform="translate({_LABELS} {bottom})">{occupancy(journeys, scale)}</g>'
        f'<g transform="translate(0 {bottom + _CHART + 12})">{keys}</g></svg>\n'
    )
