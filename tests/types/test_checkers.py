"""Type checkers find nothing to say about code as users write it, in their strict modes."""

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
    "mypy": ["mypy", "--strict", "--follow-imports=silent", USE],
    "pyright": ["pyright", "--pythonpath", sys.executable, USE],
}


@pytest.mark.parametrize("name", CHECKERS)
def test_typical_code_passes(name: str):
    if importlib.util.find_spec(name) is None:
        problem = f"{name} is not installed: pip install 'httpx-fast[ecosystem]'"
        if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
    done = subprocess.run(
        [sys.executable, "-m", *CHECKERS[name]], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
