"""The repository keeps what it promises about itself."""

from __future__ import annotations

import importlib
import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
LIMITS = re.findall(r"^\| `([\w.]+)\.([A-Z_]+)` \| (\d+) \|", ARCHITECTURE, re.MULTILINE)


def test_the_readme_opens_with_the_two_commands():
    first, second = (line for line in README.splitlines() if line.startswith("python3 -m venv"))
    assert README.index(first) < 100
    assert shlex.split(first)[-1] == ".venv/bin/httpx-fast"
    assert shlex.split(second)[-3:] == [".venv/bin/python", "-m", "pytest"]


@pytest.mark.parametrize(("module", "name", "value"), LIMITS, ids=[name for _, name, _ in LIMITS])
def test_a_limit_of_the_documentation_is_the_limit_of_the_code(module: str, name: str, value: str):
    assert getattr(importlib.import_module(f"httpx_fast.{module}"), name) == int(value)


def test_the_documentation_names_limits():
    assert len(LIMITS) >= 10


def listed_modules() -> set[str]:
    """Return the paths of the modules that docs/architecture.md gives a line, relative to the repository."""
    listed = set()
    for line in ARCHITECTURE[ARCHITECTURE.index("## Modules") :].splitlines():
        if match := re.fullmatch(r"### `([\w/]+)/`", line):
            package = match[1]
        elif match := re.match(r"\| `(\w+\.py)` \| .{5,}", line):
            listed.add(f"{package}/{match[1]}")
    return listed


def test_every_module_has_its_line_in_the_architecture():
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "httpx_fast").rglob("*.py")}
    assert sorted(modules - listed_modules()) == []
    assert sorted(listed_modules() - modules) == []


def test_files_that_the_pages_name_exist():
    pages = [
        README,
        ARCHITECTURE,
        *((ROOT / name).read_text(encoding="utf-8") for name in ("CONTRIBUTING.md", "SECURITY.md")),
    ]
    named = {path for page in pages for path in re.findall(r"`((?:tests|bench|docs|ext)/[\w/]+\.\w+)`", page)}
    assert len(named) > 20
    assert [path for path in sorted(named) if "NAME" not in path and not (ROOT / path).exists()] == []


@pytest.mark.parametrize("path", sorted((ROOT / "tests").rglob("*.py")), ids=lambda path: path.name)
def test_no_test_sleeps(path: Path):
    sleeping = re.compile(r"\b(?:time\.sleep|asyncio\.sleep|trio\.sleep|anyio\.sleep)\((?!0\))")
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if sleeping.search(line)] == []
