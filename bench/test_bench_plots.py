"""Plots of given figures: what they show, and that they are XML."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import plots
import services

ABOUT = {"python": "CPython 3.13.0", "machine": "Linux", "date": "2026-11-29", "rounds": 3}
SCENARIO = {
    "title": "GET <1 KB>",
    "unit": "µs of processor time",
    "clients": {"other": [200.0, 400.0, 300.0], "httpx_fast": [20.0, 22.0, 21.0], "floor": [10.0, 10.0, 10.0]},
}
SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_medians_in_order_with_their_spread():
    drawing = ET.fromstring(plots.draw(SCENARIO, ABOUT))
    bars = drawing.findall(f"{SVG}rect")
    assert [each.get("class") for each in bars] == ["floor", "ours", "bar"]
    widths = [float(each.get("width", "0")) for each in bars]
    assert round(widths[2] / widths[1], 1) == 14.3  # 300 to 21
    texts = [each.text for each in drawing.findall(f"{SVG}text")]
    assert texts[2:8] == ["floor", "10.0", "httpx_fast", "21.0", "other", "300"]
    assert texts[0] == "GET <1 KB>"
    assert texts[-1] == "CPython 3.13.0, Linux, 2026-11-29, 3 rounds"


def test_colours_follow_dark_mode():
    assert "prefers-color-scheme: dark" in plots.draw(SCENARIO, ABOUT)


def test_a_client_that_failed_in_all_rounds_has_no_bar():
    drawing = ET.fromstring(plots.draw({**SCENARIO, "clients": {"floor": [1.0]}}, ABOUT))
    assert len(drawing.findall(f"{SVG}rect")) == 1


def test_a_page_gets_the_table_between_its_marks(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{plots.BEGIN}\nold\n{plots.END}\nafter\n")
    about = {**ABOUT, "load": 0.1, "seconds": 2, "versions": {"trio": "1.0"}}
    plots.write_page(page, {"about": about, "scenarios": {"threads": SCENARIO, "trio": SCENARIO}})
    lines = page.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert "old" not in lines
    assert "| GET <1 KB> | 21.0 µs | 20.0 to 22.0 | 2.10 of floor | 1.3 of floor | missed |" in lines


def test_a_target_within_the_spread_is_neither_reached_nor_missed():
    assert plots.verdict([9.0, 10.0], [10.0, 11.0], 1.0) == "reached"
    assert plots.verdict([9.0, 10.5], [10.0, 11.0], 1.0) == "within the spread"
    assert plots.verdict([12.0, 13.0], [10.0, 11.0], 1.0) == "missed"
    assert plots.verdict([12.0, 13.0], [10.0, 11.0], 1.3) == "reached"
    assert plots.verdict([12.0], [], 1.0) == ""


def test_a_row_names_the_best_of_the_peers():
    line = plots.row({**SCENARIO, "clients": {**SCENARIO["clients"], "quick": [19.0]}}, (1.0, plots.PEER))
    assert line.split(" | ")[3:] == ["1.11 of the best peer, quick", "1.0 of the best peer", "missed |"]


def test_a_target_may_be_a_figure():
    scenario = {"title": "p99", "unit": "ms", "clients": {"httpx_fast": [0.5, 1.0]}}
    assert plots.row(scenario, (2.0, None)) == "| p99 | 0.75 ms | 0.50 to 1.00 |  | 2.0 ms | reached |"


def test_all_scenarios_that_are_measured_have_a_target_or_need_none():
    names = {f"{name}{each[0]}" for name, scenario in services.SCENARIOS.items() for each in (("",), *scenario.more)}
    assert set(plots.TARGETS) <= names
    assert names - set(plots.TARGETS) == {"tasks-10"}
