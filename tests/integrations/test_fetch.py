"""Pyodide: the pure wheel is imported there, and `fetch` carries requests."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from httpx_fast.integrations.fetch import FetchTransport

ROOT = Path(__file__).parents[2]
#: A folder in which `npm install pyodide` was run.
PYODIDE = Path(os.environ.get("HTTPX_FAST_PYODIDE", ROOT / "build" / "pyodide"))
REQUIRED = ("anyio", "certifi", "idna", "typing_extensions")


def test_fetch_needs_javascript():
    with pytest.raises(ImportError, match="works in Pyodide only"):
        FetchTransport()


def as_wheels(folder):
    """This package, and what it requires, as archives: without their installation there is nothing to build."""
    made = folder / "httpx_fast.zip"
    with zipfile.ZipFile(made, "w") as archive:
        for path in (ROOT / "httpx_fast").rglob("*.py"):
            archive.write(path, path.relative_to(ROOT))
    yield made
    for name in REQUIRED:
        made = folder / f"{name}.zip"
        distribution = importlib.metadata.distribution(name)
        with zipfile.ZipFile(made, "w") as archive:
            for file in distribution.files or ():
                path = Path(str(distribution.locate_file(file)))
                if path.is_file() and ".." not in file.parts and path.suffix != ".pyc":
                    archive.write(path, str(file))
        yield made


def test_requests_are_carried_by_fetch(tmp_path):
    module = PYODIDE / "node_modules" / "pyodide" / "pyodide.mjs"
    if shutil.which("node") is None or not module.is_file():
        problem = f"Pyodide is not there: npm install --prefix {PYODIDE} pyodide"
        if os.environ.get("HTTPX_FAST_PYODIDE"):
            pytest.fail(problem)
        pytest.skip(problem)
    script = Path(__file__).with_name("in_pyodide.py")
    command = ["node", str(ROOT / "tests" / "support" / "pyodide.mjs"), str(module), str(script)]
    wheels = [str(path) for path in as_wheels(tmp_path)]
    done = subprocess.run([*command, *wheels], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.endswith("all done\n"), done.stdout
    assert sys.version_info >= (3, 11)
