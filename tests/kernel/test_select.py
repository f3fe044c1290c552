from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import httpx_fast

# That which is tested: the checkout, or what was installed from a wheel.
ROOT = Path(httpx_fast.__file__).parents[1]
CPYTHON = sys.implementation.name == "cpython"

ASK = """
from httpx_fast._kernel import select
print(select.IMPLEMENTATION, select.HeadParser.__module__, select.BodyBuffer.__module__, select.REASON, sep="|")
"""

# A finder in front of all others, so that compiled kernels are missing even where they are there.
HIDE = """
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.endswith({hidden!r}):
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Hide())
"""


def ask(wanted, code=ASK):
    """Runs `code` in an interpreter of its own, with HTTPX_FAST_IMPL as `wanted`."""
    environment = {name: value for name, value in os.environ.items() if name != "HTTPX_FAST_IMPL"}
    environment["PYTHONPATH"] = str(ROOT)
    if wanted is not None:
        environment["HTTPX_FAST_IMPL"] = wanted
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )


def answer(run):
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().split("|")


@pytest.mark.parametrize("wanted", [None, ""])
def test_compiled_kernels_are_taken_where_they_are(compiled, wanted):
    assert answer(ask(wanted)) == [
        "c",
        "httpx_fast._kernel.http1_c",
        "httpx_fast._kernel.buffer_c",
        "the compiled kernels are installed",
    ]


def test_compiled_kernels_can_be_demanded(compiled):
    assert answer(ask("c"))[0] == "c"


def test_compiled_kernels_can_be_refused():
    assert answer(ask("python")) == [
        "python",
        "httpx_fast._kernel.http1_py",
        "httpx_fast._kernel.buffer_py",
        "HTTPX_FAST_IMPL=python asks for it",
    ]


@pytest.mark.parametrize("hidden", ["http1_c", "buffer_c"])
def test_pure_kernels_are_taken_where_one_compiled_is_missing(hidden):
    implementation, http1, buffer, reason = answer(ask(None, HIDE.format(hidden=hidden) + ASK))
    assert (implementation, http1, buffer) == ("python", "httpx_fast._kernel.http1_py", "httpx_fast._kernel.buffer_py")
    if CPYTHON:
        assert f"httpx_fast._kernel.{hidden} cannot be imported" in reason


@pytest.mark.parametrize("hidden", ["http1_c", "buffer_c"])
def test_demanding_a_missing_kernel_says_what_was_tried(hidden):
    run = ask("c", HIDE.format(hidden=hidden) + ASK)
    assert run.returncode != 0
    assert "ImportError: HTTPX_FAST_IMPL=c demands compiled kernels, but" in run.stderr
    if CPYTHON:
        assert f"httpx_fast._kernel.{hidden} cannot be imported (No module named" in run.stderr
        assert str(ROOT / "httpx_fast" / "_kernel") in run.stderr


def test_unknown_wish_is_an_error():
    run = ask("rust")
    assert run.returncode != 0
    assert "ImportError: HTTPX_FAST_IMPL is 'rust'; known are 'c', 'python'" in run.stderr
    assert run.stdout == ""


def test_pypy_takes_the_pure_kernels(monkeypatch):
    from httpx_fast._kernel import select

    monkeypatch.setattr(sys.implementation, "name", "pypy")
    assert select._choose("") == ("python", "pypy runs the pure Python kernels")
    with pytest.raises(ImportError, match="demands compiled kernels, but pypy runs the pure Python kernels"):
        select._choose("c")
