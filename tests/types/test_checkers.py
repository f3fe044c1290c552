"""Type checkers find nothing to say: about the package, and in their strict modes about code as users write it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
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
MISUSE = "tests/types/wrong_use.py"
WRONG = {
    "mypy": ["mypy", "--strict", "--follow-imports=silent", MISUSE],
    "pyright": ["pyright", "--pythonpath", sys.executable, MISUSE],
}


def run(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a checker says; it is skipped where it is not installed."""
    if importlib.util.find_spec(name) is None:
        problem = f"{name} is not installed: pip install 'httpx-fast[ecosystem]'"
        if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(("name", "checked"), [(name, checked) for name, each in CHECKERS.items() for checked in each])
def test_checkers_find_nothing(name: str, checked: str):
    done = run(name, *CHECKERS[name][checked])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", WRONG.values(), ids=WRONG)
def test_checkers_find_every_mistake(command: list[str]):
    lines = (ROOT / MISUSE).read_text(encoding="utf-8").splitlines()
    wrong = {number for number, line in enumerate(lines, 1) if line.endswith("# wrong")}
    done = run(command[0], *command)
    found = {int(number) for number in re.findall(rf"{re.escape(MISUSE)}:(\d+):.*error", done.stdout)}
    assert found == wrong, done.stdout + done.stderr


def test_every_public_name_has_a_type_that_all_checkers_agree_on(tmp_path: Path):
    """Types that a checker has to infer may be others in another one, and cost time in every project."""
    # pyright looks for the package where installed ones are, as users have it; an editable one it does not find.
    (tmp_path / "httpx_fast").symlink_to(ROOT / "httpx_fast", target_is_directory=True)
    # With --verifytypes the option --pythonpath counts for the package alone, and PATH for what that imports.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    arguments = ["--verifytypes", "httpx_fast", "--ignoreexternal", "--outputjson"]
    done = run("pyright", "pyright", *arguments, PYTHONPATH=str(tmp_path), PATH=path)
    found = json.loads(done.stdout)["typeCompleteness"]
    incomplete = [
        f"{symbol['name']}: {diagnostic['message']}"
        for symbol in found["symbols"]
        if not symbol["isTypeKnown"] or symbol["isTypeAmbiguous"]
        for diagnostic in symbol["diagnostics"]
        if "partially unknown" not in diagnostic["message"]  # for a reason that stands elsewhere
    ]
    assert found["exportedSymbolCounts"]["withKnownType"] > 300
    assert found["completenessScore"] == 1, "\n".join(incomplete)
    assert done.returncode == 0
