"""Checks what a release is called: check_version.py TAG."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent.parent


def main(tag: str) -> None:
    """Exit with an error unless the tag, the package and the first section of CHANGELOG.md name the same version.

    A release says where its source and its issues are, too: only who hosts the repository knows that.
    """
    version = re.search(r'^__version__ = "([^"]+)"$', (HERE / "httpx_fast/__version__.py").read_text(), re.MULTILINE)
    first = re.search(r"^## (\S+)", (HERE / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert version is not None
    assert first is not None
    if tag != f"v{version[1]}":
        sys.exit(f"the tag is {tag}, the version of the package {version[1]}")
    if first[1] != version[1]:
        sys.exit(f"CHANGELOG.md begins with {first[1]}, not with {version[1]}")
    project = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    if missing := sorted({"Source", "Issues"} - set(project["urls"])):
        sys.exit(f"pyproject.toml names no URL for {' and '.join(missing)}: users are to find them")


if __name__ == "__main__":
    main(sys.argv[1])
