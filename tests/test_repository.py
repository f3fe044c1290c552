"""The repository keeps what it promises about itself."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| (\d+) \|", README, re.MULTILINE)


def test_the_readme_opens_with_the_two_commands():
    first, second = (line for line in README.splitlines() if line.startswith("python3 -m venv"))
    assert README.index(first) < 100
    assert shlex.split(first)[-1] == ".venv/bin/httpx-fast"
    assert shlex.split(second)[-3:] == [".venv/bin/python", "-m", "pytest"]


@pytest.mark.parametrize(("module", "name", "value"), LIMITS, ids=[name for _, name, _ in LIMITS])
def test_a_limit_of_the_readme_is_the_limit_of_the_code(module: str, name: str, value: str):
    assert getattr(importlib.import_module(f"httpx_fast.{module}"), name) == int(value)


def test_the_readme_names_limits():
    assert len(LIMITS) >= 10


def test_every_room_of_the_package_is_in_the_readme():
    rooms = [path.name for path in (ROOT / "httpx_fast").iterdir() if (path / "__init__.py").exists()]
    assert [room for room in rooms if f"{room}/" not in README] == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_no_test_sleeps(path: Path):
    sleeping = re.compile(r"\b(?:time\.sleep|asyncio\.sleep|trio\.sleep|anyio\.sleep)\((?!0\))")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if sleeping.search(line)] == []
