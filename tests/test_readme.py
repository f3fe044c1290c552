"""README's Python runs as it stands there, and what it says about the command and the extras is so.

tests/support/pages.py runs it, as it runs the pages below docs/.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest

ROOT = pages.ROOT
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with pages.at_home(monkeypatch, tmp_path):
        yield


def test_the_python_of_the_readme_runs(at_home: None):
    said, _ = pages.run_python(ROOT / "README.md")
    assert said[0].startswith("xxxxx {'pool': ")


def test_the_timings_of_the_readme_are_drawn_as_the_command_draws_them():
    drawing = next(block.code for block in pages.blocks(ROOT / "README.md") if "Request 1" in block.code)
    assert (
        re.findall(r"^  (\w+)", drawing, re.MULTILINE) == ["pool", "dns", "tcp", "tls", "send", "wait", "receive"] * 2
    )


def test_links_of_the_readme_lead_to_files():
    targets = re.findall(r"\]\(([^)#:]+)\)", README)
    assert len(targets) > 10
    assert [target for target in targets if not (ROOT / target).exists()] == []


def test_options_of_the_command_in_the_readme_are_there():
    commands = re.findall(r"`httpx-fast ([^`\n]+)`", README)
    told = {option for command in commands for option in command.split() if option.startswith("-")}
    usage = subprocess.run(
        [sys.executable, "-m", "httpx_fast", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    ).stdout
    assert {"--journey", "--doctor"} <= told
    assert told - set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage)) == set()


def test_extras_of_the_documentation_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    installation = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    table = installation[installation.index("| Extra |") : installation.index("## Kernels")]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(extras) - {"bench", "docs", "ecosystem", "release", "test"}
