"""No kernel loses its way when memory runs out, wherever that happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import kernel_calls
import pytest

pytest.importorskip("httpx_fast._kernel.http1_c")
pytest.importorskip("_testcapi", reason="this Python was built without its test modules")

SCRIPT = Path(__file__).with_name("without_memory.py")
OPERATIONS = kernel_calls.load_script(SCRIPT).OPERATIONS


def test_every_failed_allocation_is_an_error_and_nothing_else():
    done = subprocess.run([sys.executable, str(SCRIPT)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [each.__name__ for each in OPERATIONS]


def test_each_function_of_each_kernel_is_tried(monkeypatch):
    calls = kernel_calls.count_calls(monkeypatch)
    for operation in OPERATIONS:
        operation()
    assert [name for name, count in calls.items() if not count] == []
