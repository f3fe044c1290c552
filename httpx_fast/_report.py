"""Requests as one self-contained HTML page, or as a picture: all of them on one time axis, and the details of each.

Pure but for writing the file: what was sent in, text out. Nothing is loaded from elsewhere; colours follow the reader's
light or dark scheme. Secrets are masked as in HAR documents, and whatever a server sent is escaped.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from . import _report_drawing as _drawing
from .__version__ import __version__
from ._exceptions import HTTPError
from ._har import har
from ._journey import PHASES, Journey
from ._journey_drawing import tell_connection
from ._journey_html import colour_style
from ._journey_parts import AGAIN
from ._journey_steps import steps
from ._models import Response

__all__ = ["Reported", "report"]

#: What a report can tell of.
Reported: TypeAlias = Response | HTTPError | Journey

MAX_HOSTS = 50  # hosts that can be chosen; each has a table and a chart of its own

_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --paper: #fff; --line: #d0d7de; --soft: #57606a; --use: #54aeff66;
  --waiting: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #8b949e;
  --use: #1f6feb88; --waiting: #f85149; } }
.paper { fill: var(--paper); } .tick { stroke: var(--line); } .label { fill: var(--soft); }
.in-use { fill: var(--use); stroke: none; } .waiting { fill: none; stroke: var(--waiting); stroke-width: 1.5; }
"""
_PAGE_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: var(--paper); margin: 1.5rem auto;
  max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; } .scroll { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .15rem .7rem .15rem 0; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
details { border-top: 1px solid var(--line); padding: .2rem 0; } summary { cursor: pointer; }
svg { display: block; width: 100%; } summary svg { height: 1.1rem; } .axis { height: 1rem; } .chart { height: 4rem; }
.axis text, .chart text { display: none; } .times { position: relative; height: 1.2em; font-size: 11px; }
.times span { position: absolute; white-space: nowrap; }
@media (max-width: 600px) { .times span:nth-child(even) { display: none; } }
.url { overflow-wrap: anywhere; } .failed { color: var(--waiting); } .soft, .times { color: var(--soft); }
.key { display: inline-block; white-space: nowrap; margin-right: 1em; }
.key i { display: inline-block; width: .8em; height: .8em; margin-right: .3em; }
.bytes { margin: .3rem 0; } pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
"""

# Shows the requests of the host that was chosen, with its table and chart; without scripts all of them stay visible.
_SCRIPT = """
document.getElementById("host").addEventListener("change", function () {
  for (const each of document.querySelectorAll("[data-of]")) each.hidden = each.dataset.of !== this.value;
  for (const each of document.querySelectorAll("details[data-host]"))
    each.hidden = this.value !== "" && each.dataset.host !== this.value;
});
"""


@dataclass(slots=True)
class _Line:
    """One request as a report shows it."""

    journey: Journey
    label: str
    host: str
    outcome: str
    failed: bool
    response: Response | None = None
    #: Whether a network was involved; else the journey stands in for one that there is not.
    is_timed: bool = True


def report(sent: Iterable[Reported], path: str | os.PathLike[str] | None = None) -> str:
    """Return a page about requests, and write it to `path` if there is one: a picture where that ends in ".svg".

    `sent` are responses, exceptions and journeys, in any order. Redirects, and the other requests that led to one, are
    told too. Times are milliseconds.
    """
    lines = _lines(sent)
    begin = min((line.journey.started for line in lines if line.is_timed), default=0.0)
    for line in lines:
        if not line.is_timed:  # it is shown at the beginning, and took no time
            line.journey.started = line.journey.done = begin
    lines.sort(key=lambda line: line.journey.started)
    if path is not None and os.fspath(path).lower().endswith(".svg"):
        style = colour_style() + _STYLE
        labels = [f"{line.outcome.partition(':')[0]} {line.label}".strip() for line in lines]
        text = _drawing.picture(labels, [line.journey for line in lines], style)
    else:
        text = _page(lines)
    if path is not None:
        Path(path).write_text(text, encoding="utf-8", errors="backslashreplace")
    return text


def _lines(sent: Iterable[Reported]) -> list[_Line]:
    """Return one line for each request, none twice."""
    found: dict[int, _Line] = {}
    for each in sent:
        if isinstance(each, Response):
            for response in (*each.history, each):
                found.setdefault(id(response.journey), _line_of(response))
            continue
        journey = each if isinstance(each, Journey) else each.journey
        if journey is None:
            continue
        for hop in journey.hops:
            found.setdefault(id(hop), _bare_line(hop, "" if hop.status is None else str(hop.status), False))
        if isinstance(each, HTTPError):
            found.setdefault(id(journey), _bare_line(journey, f"{type(each).__name__}: {each}", True))
        else:
            found.setdefault(id(journey), _bare_line(journey, "" if journey.status is None else str(journey.status)))
    return list(found.values())


def _line_of(response: Response) -> _Line:
    journey = response.journey
    is_timed = journey.over_network
    if not is_timed:  # mocks share one
        journey = Journey(0.0, float)
        journey.done = 0.0
    request = response.request
    label = f"{request.method} {request.url._masked()}"
    return _Line(journey, label, request.url.host, str(response.status_code), response.is_error, response, is_timed)


def _bare_line(journey: Journey, outcome: str, failed: bool = False) -> _Line:
    label = " ".join(word for word in (journey.method, journey.url) if word) or "request"
    return _Line(journey, label, urlsplit(journey.url or "").hostname or "", outcome, failed)


def _page(lines: list[_Line]) -> str:
    journeys = [line.journey for line in lines]
    scale = _drawing.Scale(journeys)
    hosts = [host for host, _ in Counter(line.host for line in lines).most_common(MAX_HOSTS)]
    choices = "".join(f"<option>{escape(host)}</option>" for host in sorted(hosts))
    keys = "".join(f'<span class="key"><i class="s-{name}"></i>{name}</span>' for name in PHASES)
    of_hosts = {host: [line.journey for line in lines if line.host == host] for host in sorted(hosts)}
    tables, charts = "", ""
    for host, its in {"": journeys, **of_hosts}.items():
        hidden = f'data-of="{escape(host)}"{" hidden" if host else ""}'
        tables += f"<table {hidden}>{_drawing.phase_table(its)}</table>"
        charts += f"<div {hidden}>{_svg('chart', 60, _drawing.occupancy(its, scale))}{_most(its)}</div>"
    rows = "".join(_row(number, line, scale) for number, line in enumerate(lines, 1))
    times = "".join(
        f'<span style="left: {scale.width(tick) / _drawing.WIDTH:.2%}">{tick * 1000:g} ms</span>'
        for tick in scale.ticks()
        if scale.width(tick) < 0.95 * _drawing.WIDTH
    )
    ruler = f'<div class="times">{times}</div>{_svg("axis", 16, _drawing.axis(scale))}'
    reused = sum(each.reused for each in journeys)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{len(lines)} requests</title><style>{colour_style()}{_STYLE}{_PAGE_STYLE}</style></head><body>
<h1>{len(lines)} requests in {_drawing.milliseconds(scale.length)} ms</h1>
<p class="soft">Reused connections: {reused}. Made by httpx_fast {__version__}.</p>
<p><label>Host <select id="host"><option value="">all</option>{choices}</select></label></p>
<div class="scroll">{tables}</div>
<p>{keys}</p>
<div id="rows">{ruler}{rows}</div>
<h2>Requests under way, and waiting for a connection</h2>
{charts}{ruler}
<script>{_SCRIPT}</script></body></html>
"""


def _svg(kind: str, height: int, content: str) -> str:
    return (
        f'<svg class="{kind}" viewBox="0 0 {_drawing.WIDTH} {height}" preserveAspectRatio="none" aria-hidden="true">'
        f"{content}</svg>"
    )


def _most(journeys: list[Journey]) -> str:
    in_use, waiting = _drawing.counts(journeys)
    most = [max((count for _, count in points), default=0) for points in (in_use, waiting)]
    return f'<p class="soft">At most {most[0]} under way, {most[1]} waiting.</p>'


def _row(number: int, line: _Line, scale: _drawing.Scale) -> str:
    journey = line.journey
    times = ", ".join(
        f"{step.name} {_drawing.milliseconds(step.seconds)} ms" for step in steps(journey) if step.seconds is not None
    )
    kind = ' class="failed"' if line.failed else ""
    method, _, url = line.label.partition(" ")
    offset, took = _drawing.milliseconds(journey.started - scale.begin), _drawing.milliseconds(journey.total)
    picture = (
        f'<svg viewBox="0 0 {_drawing.WIDTH} {_drawing.ROW}" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(times)}">{_drawing.bars(journey, scale)}</svg>'
    )
    return f"""<details data-host="{escape(line.host)}"><summary>
<span class="soft">{number}</span> {escape(method)} <span class="url">{escape(url)}</span>
<b{kind}>{escape(line.outcome)}</b> <span class="soft">at {offset} ms, {took} ms</span>
{picture}
</summary>
{_detail(line, times)}</details>
"""


def _detail(line: _Line, times: str) -> str:
    journey = line.journey
    told = [tell_connection(journey) if journey.connection is not None else "no connection"]
    if times:
        told.append(times)
    told += [f"sent again: {AGAIN.get(each.why_again or '', each.failure or '')}" for each in journey.attempts]
    sizes = journey.sizes
    counted = {"head sent": sizes.sent_head, "body sent": sizes.sent_body, "head received": sizes.received_head}
    counted |= {"body received": sizes.received_body, "decoded": sizes.decoded_body}
    bytes_told = ", ".join(f"{name} {count}" for name, count in counted.items() if count is not None)
    if bytes_told:
        told.append(f"bytes: {bytes_told}")
    paragraphs = "".join(f'<p class="bytes">{escape(each)}</p>' for each in told)
    return f"{paragraphs}<pre>{escape(_fields(line.response))}</pre>"


def _fields(response: Response | None) -> str:
    """Return the fields of request and response, masked."""
    if response is None:
        return ""
    entry: dict[str, Any] = har([response])["log"]["entries"][0]
    sides = (entry[side]["headers"] for side in ("request", "response"))
    return "\n\n".join("\n".join(f"{each['name']}: {each['value']}" for each in fields) for fields in sides)
