"""Drawings of journeys as SVG, with the colours of a light and a dark scheme: for notebooks, pages and documents.

Pure: journeys in, text out. What a peer or a user chose is escaped.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ._journey_drawing import tell_connection
from ._journey_parts import Record
from ._journey_steps import Step, lines_of, steps

__all__ = ["COLOURS", "colour_style", "journeys_html", "label_of", "step_bar"]

#: Of each step: its colour on light and on dark ground.
COLOURS = {
    "pool": ("#8250df", "#a371f7"),
    "dns": ("#1b7c83", "#39c5cf"),
    "tcp": ("#0969da", "#58a6ff"),
    "proxy": ("#bf3989", "#f778ba"),
    "tls": ("#9a6700", "#d29922"),
    "send": ("#1a7f37", "#3fb950"),
    "expect": ("#8250df", "#a371f7"),
    "wait": ("#6e7781", "#8b949e"),
    "receive": ("#218bff", "#79c0ff"),
    "reader": ("#bc4c00", "#f0883e"),
    "broken": ("#cf222e", "#f85149"),
}
_WIDTH, _ROW, _LEFT = 640, 16, 70  # units


def colour_style(prefix: str = "") -> str:
    """Return rules for the class of each step; `prefix` is a selector that they hold within."""
    light = "".join(f"{prefix}.s-{name}{{fill:{pair[0]};background:{pair[0]}}}" for name, pair in COLOURS.items())
    dark = "".join(f"{prefix}.s-{name}{{fill:{pair[1]};background:{pair[1]}}}" for name, pair in COLOURS.items())
    return f"{light}@media(prefers-color-scheme:dark){{{dark}}}"


def step_bar(step: Step, left: float, width: float, top: float, height: float) -> str:
    """Return the bar of a step, whose place is given in units; it tells name and time when the mouse is over it."""
    assert step.seconds is not None
    kind = "broken" if step.broken else step.name
    return (
        f'<rect class="s-{kind}" x="{left:.2f}" y="{top:.2f}" width="{max(width, 0.5):.2f}" height="{height}">'
        f"<title>{step.name} {step.seconds * 1000:.3f} ms</title></rect>"
    )


def label_of(journey: Record) -> str:
    """Return what was asked and what came of it."""
    words = (journey.method, journey.url, None if journey.status is None else str(journey.status))
    return " ".join(word for word in words if word) or "request"


def journeys_html(journeys: Sequence[Record]) -> str:
    """Return a fragment for a notebook: for each request one line of text and its steps, on one scale."""
    every = lines_of(journeys)
    if not any(each.over_network for each in every):
        return "<div>Sent without a network.</div>"
    longest = max((each.took for each in every), default=0.0) or 1e-9
    parts = [f"<style>{colour_style('.hf-journey ')}.hf-journey text{{fill:currentColor;font:11px sans-serif}}</style>"]
    parts += [_one(each, longest) for each in every]
    return f'<div class="hf-journey">{"".join(parts)}</div>'


def _one(journey: Record, longest: float) -> str:
    scale = (_WIDTH - 2 * _LEFT) / longest
    rows: list[str] = []
    for number, step in enumerate(each for each in steps(journey) if each.seconds is not None):
        assert step.seconds is not None
        left, width, top = _LEFT + step.begin * scale, step.seconds * scale, number * _ROW
        rows.append(f'<text x="0" y="{top + 12}">{step.name}</text>{step_bar(step, left, width, top + 3, _ROW - 6)}')
        rows.append(f'<text x="{left + max(width, 0.5) + 4:.2f}" y="{top + 12}">{step.seconds * 1000:.3f} ms</text>')
    height = max(len(rows) // 2, 1) * _ROW
    told = f"{journey.took * 1000:.3f} ms; {escape(tell_connection(journey))}"
    return (
        f"<div><b>{escape(label_of(journey))}</b>, {told}</div>"
        f'<svg viewBox="0 0 {_WIDTH} {height}" style="width:100%;max-width:{_WIDTH}px" role="img">{"".join(rows)}</svg>'
    )
