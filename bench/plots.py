"""Draw what `services.py` measured: one SVG for each scenario, without other packages.

    python bench/plots.py bench/results.json docs/images/ [docs/performance.md]

A bar is the median of the rounds, the line across its end goes from the least to the greatest. Colours follow the
reader's light or dark mode. A page that is given gets the table, with targets, and the pictures between its marks.
"""

from __future__ import annotations

import json
import statistics
import sys
from html import escape
from pathlib import Path
from typing import Any

WIDTH, LEFT, RIGHT = 720, 110, 90  # of the picture, of the names, of the figures
TOP, ROW, BAR, BOTTOM = 52, 28, 16, 30

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-size: 15px; font-weight: 600 } .small { font-size: 11px; fill: #59636e }
.bar { fill: #9aa4af } .ours { fill: #0969da } .floor { fill: #d1d9e0 } .spread { stroke: #1f2328; stroke-width: 1.5 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .small { fill: #9198a1 }
  .bar { fill: #656c76 } .ours { fill: #4493f8 } .floor { fill: #3d444d } .spread { stroke: #e6edf3 }
}
</style>"""


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def draw(scenario: dict[str, Any], about: dict[str, Any]) -> str:
    """Return the SVG of one scenario: the cheapest first."""
    rows = sorted(scenario["clients"].items(), key=lambda each: statistics.median(each[1]))
    widest = max(max(max(measured) for _, measured in rows), 1e-9)
    height = TOP + ROW * len(rows) + BOTTOM
    scale = (WIDTH - LEFT - RIGHT) / widest
    described = "; ".join(f"{name} {figure(statistics.median(measured))}" for name, measured in rows)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
        f"<title>{escape(scenario['title'])}: {escape(described)}</title>",
        STYLE,
        f'<text class="title" x="10" y="22">{escape(scenario["title"])}</text>',
        f'<text class="small" x="10" y="40">{escape(scenario["unit"])}; less is better</text>',
    ]
    for number, (name, measured) in enumerate(rows):
        parts += bar(name, measured, TOP + number * ROW, scale)
    where = f"{about['python']}, {about['machine']}, {about['date']}, {about['rounds']} rounds"
    parts += [f'<text class="small" x="10" y="{height - 10}">{escape(where)}</text>', "</svg>"]
    return "\n".join(parts) + "\n"


def bar(name: str, measured: list[float], top: int, scale: float) -> list[str]:
    median, least, most = statistics.median(measured), min(measured), max(measured)
    kind = {"httpx_fast": "ours", "floor": "floor"}.get(name, "bar")
    middle = top + BAR / 2
    start, end = LEFT + least * scale, LEFT + most * scale
    return [
        f'<text x="{LEFT - 8}" y="{middle + 4.5:.1f}" text-anchor="end">{escape(name)}</text>',
        f'<rect class="{kind}" x="{LEFT}" y="{top}" width="{max(1, median * scale):.1f}" height="{BAR}" rx="2"/>',
        f'<path class="spread" d="M{start:.1f} {middle:.1f}H{end:.1f}M{start:.1f} {top + 4}v8M{end:.1f} {top + 4}v8"/>',
        f'<text x="{end + 8:.1f}" y="{middle + 4.5:.1f}">{figure(median)}</text>',
    ]


#: What httpx_fast may cost at most: as many times as much as whom ("the best peer": whoever costs least of those that
#: are clients), or so much at all (None).
PEER = "the best peer"
TARGETS: dict[str, tuple[float, str | None]] = {
    "services-http1": (1.0, "pyreqwest"),
    "services-http2": (1.0, "pyreqwest"),
    "stream-asyncio": (1.2, "floor"),
    "stream-blocking": (1.2, "floor"),
    "stream-tls": (1.0, PEER),
    "stream-raw": (1.2, "floor"),
    "read": (1.0, PEER),
    "threads": (1.3, "floor"),
    "trio": (1.6, "floor"),
    "one-asyncio": (1.1, "floor"),
    "tasks-100": (1.15, "floor"),
    "tasks-1000": (1.25, "floor"),
    "tasks-10000": (1.25, "floor"),
    "tasks-tls": (1.1, "floor"),
    "tasks-http2": (0.85, "wreq"),
    "one-blocking": (1.1, "floor"),
    "one-blocking-http2": (1.0, PEER),
    "new-client": (1.04, "floor"),
    "beside-download": (2.0, None),
    **{f"tasks-{count}-{which}": (1.0, PEER) for count in (10, 100, 1000, 10000) for which in ("p50", "p99")},
    **{f"threads-{which}": (1.0, PEER) for which in ("p50", "p99")},
}
BEGIN, END = "<!-- figures: bench/plots.py writes this -->", "<!-- end of figures -->"


def table(results: dict[str, Any]) -> str:
    """Return the Markdown of where, with what, and what was measured, with targets."""
    about = results["about"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"{about['python']}, {about['machine']} (load average {about['load']}), {about['date']};",
        f"{about['rounds']} rounds of {about['seconds']} s. {versions}.",
        "",
        "| Scenario | httpx_fast | rounds | now | target | |",
        "|---|--:|--:|--:|--:|---|",
    ]
    for name, scenario in results["scenarios"].items():
        if "httpx_fast" in scenario["clients"]:
            lines.append(row(scenario, TARGETS.get(name)))
    return "\n".join(lines)


def row(scenario: dict[str, Any], target: tuple[float, str | None] | None) -> str:
    """Return the line of one scenario."""
    clients, unit = scenario["clients"], scenario["unit"].split()[0]
    measured = clients["httpx_fast"]
    mine = statistics.median(measured)
    now = asked = word = ""
    if target is not None:
        factor, other = target
        if other is None:
            asked, word = f"{factor} {unit}", verdict(measured, [1.0], factor)
        else:
            limit = best_peer(clients) if other == PEER else other
            asked = f"{factor} of {other}"
            if clients.get(limit):
                shown = f"{other}, {limit}" if other == PEER else limit
                now = f"{mine / max(statistics.median(clients[limit]), 1e-9):.2f} of {shown}"
                word = verdict(measured, clients[limit], factor)
    rounds = f"{figure(min(measured))} to {figure(max(measured))}"
    return f"| {scenario['title']} | {figure(mine)} {unit} | {rounds} | {now} | {asked} | {word} |"


def best_peer(clients: dict[str, list[float]]) -> str:
    """Return which of the other clients costs least; "" where there is none."""
    peers = {name: statistics.median(measured) for name, measured in clients.items() if measured}
    peers = {name: cost for name, cost in peers.items() if name not in ("httpx_fast", "floor")}
    return min(peers, key=peers.__getitem__, default="")


def pictures(results: dict[str, Any]) -> str:
    """Return the Markdown of the pictures."""
    return "\n".join(
        f"![{scenario['title']}](images/{name}.svg)"
        for name, scenario in results["scenarios"].items()
        if scenario["clients"]
    )


def verdict(measured: list[float], others: list[float], factor: float) -> str:
    """Return whether the target is reached; a run whose rounds overlap at the target does not tell."""
    if not others:
        return ""
    if max(measured) <= min(others) * factor:
        return "reached"
    return "missed" if min(measured) > max(others) * factor else "within the spread"


def write_page(page: Path, results: dict[str, Any]) -> None:
    before, rest = page.read_text(encoding="utf-8").split(BEGIN)
    after = rest.split(END)[1]
    page.write_text(f"{before}{BEGIN}\n{table(results)}\n\n{pictures(results)}\n{END}{after}", encoding="utf-8")


def main() -> None:
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    results = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for name, scenario in results["scenarios"].items():
        if scenario["clients"]:
            file = folder / f"{name}.svg"
            file.write_text(draw(scenario, results["about"]), encoding="utf-8")
            print(file)
    if len(sys.argv) == 4:
        write_page(Path(sys.argv[3]), results)


if __name__ == "__main__":
    main()
