"""Prints the dependencies in pyproject.toml as pip requirements, each at the oldest version that is admitted.

    python .ci/oldest.py pyproject.toml >oldest.txt

A requirement without a lower bound is an error: it promises versions that nobody has tried.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Name, with extras; versions; marker.
REQUIREMENT = re.compile(r"([\w.-]+)((?:\[[^\]]*\])?)\s*([^;]*?)\s*(?:;\s*(.*))?")
LOWER = re.compile(r">=\s*([\w.]+)")
#: Benchmarks compare with today's versions, documentation and releases are made with them, and what is built on httpx
#: needs newer versions of what it shares with us.
LEFT_OUT = {"bench", "docs", "ecosystem", "release"}
#: What tests compare with, and does the same; it is installed without what it requires.
WITNESSES = {"httpx2"}


def requirements(project: dict[str, Any]) -> Iterator[str]:
    yield from project["dependencies"]
    for extra, needed in project["optional-dependencies"].items():
        if extra not in LEFT_OUT:
            yield from needed


def oldest(project: dict[str, Any]) -> list[str]:
    """One line for each requirement; SystemExit names those without a lower bound."""
    lines: set[str] = set()
    unbounded: list[str] = []
    for requirement in requirements(project):
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"cannot read the requirement {requirement!r}")
        name, extras, versions, marker = match.groups()
        if name == project["name"] or name in WITNESSES:
            continue
        lower = LOWER.search(versions)
        if lower is None:
            unbounded.append(name)
            continue
        lines.add(f"{name}{extras}=={lower[1]}" + (f"; {marker}" if marker else ""))
    if unbounded:
        raise SystemExit(f"no lower bound is given for {', '.join(unbounded)}")
    return sorted(lines)


if __name__ == "__main__":
    read = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(oldest(read["project"])) + "\n")
