"""Timings of many requests as one table: shortest, median and 95th percentile of each step, cold beside warm.

Pure: samples in, lines or JSON out. Cold are requests for which a connection was made, warm those that found one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from .._journey import PHASES
from .._journey_steps import percentile, times_of
from .measuring import Sample

#: The statistics of a column.
STATISTICS = ("min", "median", "p95")
_STEPS = (*PHASES, "total")
_NAME = 8  # columns of the longest name of a step, and a space
_CELL = 9  # columns of a time, with the space before it


def table(samples: Sequence[Sample], concurrency: int, width: int = 80) -> list[str]:
    """Return the lines of the table, within `width` columns where 36 are enough."""
    groups = _groups(samples)
    lines = [_title(samples, groups, concurrency)]
    cells = {kind: summary(members) for kind, members in groups.items()}
    side_by_side = _NAME + len(groups) * (len(STATISTICS) * _CELL + 2) <= width
    blocks = [list(groups)] if side_by_side else [[kind] for kind in groups]
    for kinds in blocks if groups else []:
        lines += ["", *_block(kinds, groups, cells)]
    lines += _conclusion(cells)
    lines += _failures(samples)
    return lines


def _groups(samples: Sequence[Sample]) -> dict[str, list[Sample]]:
    """Return samples that succeeded, by kind, in the order of the samples; cold first where nobody chose."""
    groups: dict[str, list[Sample]] = {}
    ordered = samples if any(each.group for each in samples) else sorted(samples, key=lambda each: each.kind)
    for each in ordered:
        if each.succeeded and each.journey is not None:
            groups.setdefault(each.kind, []).append(each)
    return groups


def summary(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return statistics in seconds, by step; steps that none of the samples took are left out."""
    every = times_of(each.journey for each in samples if each.journey is not None)
    return {
        step: {"min": times[0], "median": percentile(times, 0.5), "p95": percentile(times, 0.95)}
        for step, times in every.items()
    }


def _title(samples: Sequence[Sample], groups: dict[str, list[Sample]], concurrency: int) -> str:
    counts = ", ".join(f"{len(members)} {kind}" for kind, members in groups.items())
    statuses = ", ".join(f"{count} x {label}" for label, count in Counter(each.label for each in samples).items())
    at_once = f", {concurrency} at once" if concurrency > 1 else ""
    return f"{len(samples)} requests{at_once}: {counts or 'none succeeded'} ({statuses}); times in ms"


def _block(kinds: list[str], groups: dict[str, list[Sample]], cells: dict[str, dict[str, Any]]) -> list[str]:
    span = len(STATISTICS) * _CELL
    head = " " * _NAME + "  ".join(f"{kind} ({len(groups[kind])})".center(span) for kind in kinds)
    columns = " " * _NAME + "  ".join("".join(f"{name:>{_CELL}}" for name in STATISTICS) for _ in kinds)
    lines = [head.rstrip(), columns]
    for step in _STEPS:
        if any(step in cells[kind] for kind in kinds):
            lines.append(f"{step:<{_NAME}}" + "  ".join(_cells(cells[kind].get(step)) for kind in kinds))
    return [line.rstrip() for line in lines]


def _cells(times: dict[str, float] | None) -> str:
    if times is None:
        return "".join(f"{'-':>{_CELL}}" for _ in STATISTICS)
    return "".join(f"{_milliseconds(times[name]):>{_CELL}}" for name in STATISTICS)


def _milliseconds(seconds: float) -> str:
    """Return four digits at least, and never more than eight columns below 27 hours."""
    time = seconds * 1000
    digits = next((digits for limit, digits in ((9.9995, 3), (99.995, 2), (999.95, 1)) if time < limit), 0)
    return f"{time:.{digits}f}"


def _conclusion(cells: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return what reused connections save, where both kinds were measured."""
    if "cold" not in cells or "warm" not in cells:
        return []
    cold, warm = (cells[kind]["total"]["median"] for kind in ("cold", "warm"))
    if not 0 < warm < cold:
        return []
    return ["", f"Median on a reused connection: {_milliseconds(warm)} ms instead of {_milliseconds(cold)} ms."]


def _failures(samples: Sequence[Sample]) -> list[str]:
    counted = Counter(f"{type(each.error).__name__}: {each.error}" for each in samples if each.error is not None)
    return [f"{count} failed: {' '.join(text.split())}" for text, count in counted.most_common(5)]


def as_json(samples: Sequence[Sample], url: str) -> str:
    """Return the same, and each request, as JSON with times in seconds."""
    requests = [
        {
            "label": each.label,
            "kind": each.kind,
            "status": None if each.response is None else each.response.status_code,
            "error": None if each.error is None else f"{type(each.error).__name__}: {each.error}",
            "phases": {} if each.journey is None else each.journey.phases(),
            "total": None if each.journey is None else each.journey.total,
            "connection_request": None if each.journey is None else each.journey.nth,
        }
        for each in samples
    ]
    groups = {kind: summary(members) for kind, members in _groups(samples).items()}
    return json.dumps({"url": url, "summary": groups, "requests": requests}, indent=2)
