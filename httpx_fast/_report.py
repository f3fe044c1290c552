"""Responses as one self-contained HTML page: all requests on one time axis, and the details of each.

Pure: responses in, text out. Nothing is loaded from elsewhere; colours follow the reader's light or dark scheme.
Secrets are masked as in HAR documents, and whatever a server sent is escaped.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from .__version__ import __version__
from ._har import har
from ._journey import PHASES
from ._journey_steps import Step, steps
from ._masking import masked_url
from ._models import Response

__all__ = ["report"]

_WIDTH = 1000  # units of the time axis
_ROW = 18  # units; height of one request's bar

_STYLE = """
:root { color-scheme: light dark; --text: #1b1f24; --paper: #fff; --line: #d0d7de; --soft: #57606a;
  --pool: #8250df; --dns: #1b7c83; --tcp: #0969da; --proxy: #bf3989; --tls: #9a6700; --send: #1a7f37; --wait: #6e7781;
  --receive: #218bff; --broken: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --text: #e6edf3; --paper: #0d1117; --line: #30363d; --soft: #8b949e;
  --pool: #a371f7; --dns: #39c5cf; --tcp: #58a6ff; --proxy: #f778ba; --tls: #d29922; --send: #3fb950; --wait: #8b949e;
  --receive: #79c0ff; --broken: #f85149; } }
body { font: 14px/1.45 system-ui, sans-serif; color: var(--text); background: var(--paper); margin: 1.5rem auto;
  max-width: 75rem; padding: 0 1rem; }
table { border-collapse: collapse; } th, td { padding: .15rem .7rem .15rem 0; text-align: right; }
th:first-child, td:first-child { text-align: left; } th { color: var(--soft); font-weight: 600; }
details { border-top: 1px solid var(--line); padding: .2rem 0; } summary { cursor: pointer; }
summary svg { display: block; width: 100%; height: 1.1rem; } .url { overflow-wrap: anywhere; }
.soft { color: var(--soft); } .key { display: inline-block; width: .8em; height: .8em; margin: 0 .3em 0 1em; }
label { margin-right: 1rem; } pre { white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0; }
"""

# Shows the requests of the host that was chosen; without scripts all of them stay visible.
_SCRIPT = """
document.getElementById("host").addEventListener("change", function () {
  for (const each of document.querySelectorAll("details[data-host]"))
    each.hidden = this.value !== "" && each.dataset.host !== this.value;
});
"""


def report(responses: Iterable[Response]) -> str:
    """Return an HTML page about these responses, in order of their start.

    Redirects are rows only where `responses` has them (`[*response.history, response]`). Times are milliseconds.
    """
    every = sorted(responses, key=lambda response: response.journey.started)
    begin = min((each.journey.started for each in every), default=0.0)
    end = max((each.journey.started + each.journey.total for each in every), default=0.0)
    hosts = sorted({each.request.url.host for each in every})
    choices = "".join(f"<option>{escape(host)}</option>" for host in hosts)
    keys = "".join(f'<span class="key" style="background: var(--{name})"></span>{name}' for name in PHASES)
    entries = har(every)["log"]["entries"]
    rows = "".join(
        _row(number, response, entry, begin, max(end - begin, 1e-9))
        for number, (response, entry) in enumerate(zip(every, entries, strict=True), 1)
    )
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{len(every)} requests</title><style>{_STYLE}</style></head><body>
<h1>{len(every)} requests in {_ms(end - begin)} ms</h1>
<p class="soft">Reused connections: {sum(each.journey.reused for each in every)}. Made by httpx_fast {__version__}.</p>
{_phases(every)}
<p><label>Host <select id="host"><option value="">all</option>{choices}</select></label>{keys}</p>
{rows}<script>{_SCRIPT}</script></body></html>
"""


def _row(number: int, response: Response, entry: dict[str, Any], begin: float, length: float) -> str:
    journey = response.journey
    offset = journey.started - begin
    scale = _WIDTH / length
    bars = "".join(_bar(step, offset, scale) for step in steps(journey) if step.seconds is not None)
    url = escape(masked_url(str(response.request.url)))
    connection = f"request {journey.nth} on its connection" if journey.nth else "no connection"
    fields = "\n".join(
        f"{each['name']}: {each['value']}"
        for side in ("request", "response")
        for each in (*entry[side]["headers"], {"name": "", "value": ""})
    )
    times = ", ".join(f"{step.name} {_ms(step.seconds)} ms" for step in steps(journey) if step.seconds is not None)
    return f"""<details data-host="{escape(response.request.url.host)}"><summary>
<span class="soft">{number}</span> {escape(response.request.method)} <span class="url">{url}</span>
<b>{response.status_code}</b> <span class="soft">at {_ms(offset)} ms, {_ms(journey.total)} ms</span>
<svg viewBox="0 0 {_WIDTH} {_ROW}" preserveAspectRatio="none" role="img" aria-label="{escape(times)}">{bars}</svg>
</summary>
<p>{escape(response.http_version)}, {connection}; {escape(times)}</p><pre>{escape(fields)}</pre></details>
"""


def _bar(step: Step, offset: float, scale: float) -> str:
    assert step.seconds is not None
    left, width = (offset + step.begin) * scale, max(step.seconds * scale, 0.5)
    colour = "broken" if step.broken else step.name
    return (
        f'<rect x="{left:.2f}" y="2" width="{width:.2f}" height="{_ROW - 4}" fill="var(--{colour})">'
        f"<title>{step.name} {_ms(step.seconds)} ms</title></rect>"
    )


def _phases(responses: Sequence[Response]) -> str:
    """Return a table of the times of each phase over all requests that had it: nearest-rank percentiles."""
    rows: list[str] = []
    for name in PHASES:
        times = sorted(each.journey.phases()[name] for each in responses if name in each.journey.phases())
        if times:
            cells = "".join(f"<td>{_ms(times[min(int(share * len(times)), len(times) - 1)])}</td>" for share in _SHARES)
            rows.append(f"<tr><td>{name}</td><td>{len(times)}</td>{cells}<td>{_ms(times[-1])}</td></tr>")
    head = "<tr><th>phase, ms</th><th>requests</th><th>median</th><th>p95</th><th>p99</th><th>max</th></tr>"
    return f"<table>{head}{''.join(rows)}</table>"


_SHARES = (0.5, 0.95, 0.99)


def _ms(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.3f}"
