"""SECURITY.md names each limit, its value and a test; all of them are there."""

from __future__ import annotations

import importlib
import re

import pages
import pytest

PAGE = (pages.ROOT / "SECURITY.md").read_text(encoding="utf-8")
ARCHITECTURE = (pages.ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `([\w.]+\.[A-Z_]+)` \| (\d+) \| (.+?) \| (.+?) \| (.+?) \|$", PAGE, re.MULTILINE)


def test_every_limit_of_the_architecture_is_in_the_threat_model():
    told = re.findall(r"^\| `([\w.]+\.[A-Z_]+)` \| \d+ \|", ARCHITECTURE, re.MULTILINE)
    assert len(told) > 30
    assert {name for name, *_ in ROWS} == set(told)


@pytest.mark.parametrize("row", ROWS, ids=[name for name, *_ in ROWS])
def test_a_limit_has_its_value_and_its_tests(row: tuple[str, str, str, str, str]):
    name, value, unit, attack, tests = row
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(f"httpx_fast.{module}"), constant) == int(value)
    assert unit
    assert len(attack) > 10
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", tests)
    assert named
    for file, test in named:
        source = (pages.ROOT / file).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async )?def {test}\(", source, re.MULTILINE), f"{file} has no {test}"


def test_tests_of_the_table_of_attacks_exist():
    attacks = PAGE[PAGE.index("| An attacker tries to") : PAGE.index("## Limits")]
    named = re.findall(r"`(tests/[\w/.]+)`", attacks)
    assert len(named) > 15
    assert [path for path in named if not (pages.ROOT / path).exists()] == []
