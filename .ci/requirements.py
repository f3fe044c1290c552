"""Prints the requirements of an extra in pyproject.toml for a shell, without some packages.

    python .ci/requirements.py pyproject.toml EXTRA [PACKAGE THAT IS LEFT OUT...]

Extras of this project are followed.
"""

from __future__ import annotations

import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAME = re.compile(r"([\w.-]+)\s*(?:\[([^\]]*)\])?")


def requirements(project: dict[str, Any], extra: str, left_out: frozenset[str]) -> Iterator[str]:
    for requirement in project["optional-dependencies"][extra]:
        match = NAME.match(requirement)
        assert match is not None, requirement
        name, extras = match.groups()
        if name == project["name"]:
            for each in extras.split(","):
                yield from requirements(project, each.strip(), left_out)
        elif name not in left_out:
            yield requirement


if __name__ == "__main__":
    read = tomllib.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = requirements(read["project"], sys.argv[2], frozenset(sys.argv[3:]))
    sys.stdout.write(shlex.join(dict.fromkeys(found)) + "\n")
