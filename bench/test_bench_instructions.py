"""The check of instruction counts, with counts that are given: no valgrind runs here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import instructions
import pytest

BEFORE = {f"{world} {asked}": 10_000 for world, asked in instructions.RECORDED}


@pytest.fixture
def figures(tmp_path: Path) -> Path:
    """Record 10,000 instructions of everything, measured with this interpreter."""
    file = tmp_path / "instructions.json"
    instructions.update(file, lambda world, asked: 10_000)
    return file


def test_figures_within_the_allowance_pass(figures, capsys):
    assert instructions.check(figures, lambda world, asked: 10_300) == 0
    assert "+3.0%" in capsys.readouterr().out


@pytest.mark.parametrize("grown", BEFORE)
def test_one_figure_that_grew_by_more_than_3_percent_fails(figures, capsys, grown):
    counts = {**BEFORE, grown: 10_301}
    assert instructions.check(figures, lambda world, asked: counts[f"{world} {asked}"]) == 1
    shown = capsys.readouterr().out
    line = next(line for line in shown.splitlines() if line.startswith(grown))
    assert line.split()[-4:] == ["10,000", "10,301", "+3.0%", "GREW"]
    assert f"not recorded: {grown}\n" in shown


def test_a_figure_that_is_not_recorded_fails(figures, capsys):
    record = json.loads(figures.read_text())
    del record[instructions.minor_version()]["instructions"]["kernel head"]
    figures.write_text(json.dumps(record))
    assert instructions.check(figures, lambda world, asked: 10_000) == 1
    assert "not recorded: kernel head" in capsys.readouterr().out


def test_figures_of_another_build_of_python_are_not_compared(figures, capsys):
    record = json.loads(figures.read_text())
    record[instructions.minor_version()]["of"]["python"] = "CPython 3.0.99"
    figures.write_text(json.dumps(record))
    assert instructions.check(figures, lambda world, asked: pytest.fail("measured")) == 0
    assert "recorded with CPython 3.0.99" in capsys.readouterr().out


def test_another_minor_version_has_figures_of_its_own(figures, capsys, monkeypatch):
    monkeypatch.setattr(instructions, "minor_version", lambda: "3.99")
    assert instructions.check(figures, lambda world, asked: pytest.fail("measured")) == 0
    assert "no figures are recorded" in capsys.readouterr().out
    instructions.update(figures, lambda world, asked: 5_000)
    assert instructions.check(figures, lambda world, asked: 5_000) == 0
    assert len(json.loads(figures.read_text())) == 2


def test_recorded_figures_are_those_that_are_checked():
    for version, record in json.loads(instructions.FIGURES.read_text(encoding="utf-8")).items():
        assert record["instructions"].keys() == BEFORE.keys(), version


@pytest.mark.parametrize(("world", "asked"), instructions.RECORDED)
def test_what_is_counted_runs(world, asked):
    ended = subprocess.run(
        [sys.executable, instructions.__file__, "--world", world, "--ask", asked, "--count", "2"],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert ended.stdout == b""
