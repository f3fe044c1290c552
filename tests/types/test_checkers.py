"""Type checkers find nothing to say: about the package, and in their strict modes about code as users write it."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
USE = "tests/types/typical_use.py"
CHECKERS = {
    "mypy": {
        "package": ["mypy", "--strict", "httpx_fast"],
        "typical use": ["mypy", "--strict", "--follow-imports=silent", USE],
    },
    # Without files: those of pyproject.toml, which says how strict to be with each.
    "pyright": {"package and typical use": ["pyright", "--pythonpath", sys.executable]},
}


@pytest.mark.parametrize(("name", "checked"), [(name, checked) for name, each in CHECKERS.items() for checked in each])
def test_checkers_find_nothing(name: str, checked: str):
    if importlib.util.find_spec(name) is None:
        problem = f"{name} is not installed: pip install 'httpx-fast[ecosystem]'"
        if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
    command = [sys.executable, "-m", *CHECKERS[name][checked]]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
