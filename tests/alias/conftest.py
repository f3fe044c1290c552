"""An interpreter for each test of the alias, which is for a whole process."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[[str], str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a program in a fresh interpreter, where "httpx" is a package that was installed before; what it prints.

    Its first line has imported httpx_fast.
    """
    package = tmp_path / "httpx"
    package.mkdir()
    (package / "__init__.py").write_text("OLD = True\n")
    (tmp_path / "httpcore.py").write_text("OLD = True\n")

    def run(program: str) -> str:
        root = Path(__file__).parents[2]
        setup = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(root)!r}]; import httpx_fast\n"
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", setup + program], capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
