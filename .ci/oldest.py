"""Prints pip constraints that hold every dependency of pyproject.toml to the oldest version that it admits.

    python .ci/oldest.py pyproject.toml >constraints.txt

A requirement without a lower bound is an error: it promises versions that nobody has tried. What only serves to build
or to measure is left out: benchmarks compare with today's versions.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Name with extras; the rest up to a marker.
REQUIREMENT = re.compile(r"\s*([\w.-]+)\s*(?:\[[^\]]*\])?\s*([^;]*?)\s*(?:;\s*(.*))?")
LOWER = re.compile(r">=\s*([\w.]+)")
LEFT_OUT = {"bench"}


def requirements(project: dict[str, Any]) -> Iterator[str]:
    yield from project["dependencies"]
    for extra, needed in project["optional-dependencies"].items():
        if extra not in LEFT_OUT:
            yield from needed


def constraints(project: dict[str, Any]) -> list[str]:
    """One line for each requirement, without repetition; SystemExit names those without a lower bound."""
    lines: dict[str, None] = {}
    unbounded = []
    for requirement in requirements(project):
        match = REQUIREMENT.fullmatch(requirement)
        if match is None:
            raise SystemExit(f"cannot read the requirement {requirement!r}")
        name, versions, marker = match.groups()
        if name == project["name"]:
            continue
        lower = LOWER.search(versions)
        if lower is None:
            unbounded.append(name)
            continue
        lines[f"{name}=={lower[1]}" + (f"; {marker}" if marker else "")] = None
    if unbounded:
        raise SystemExit(f"no lower bound is given for {', '.join(unbounded)}")
    return sorted(lines)


if __name__ == "__main__":
    read = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(constraints(read["project"])) + "\n")
