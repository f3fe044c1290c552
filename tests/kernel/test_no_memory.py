"""No kernel loses its way when memory runs out, wherever that happens."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("httpx_fast._kernel.http1_c")
pytest.importorskip("_testcapi", reason="this Python was built without its test modules")


def test_every_failed_allocation_is_an_error_and_nothing_else():
    script = Path(__file__).with_name("without_memory.py")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == [
        "head",
        "head_in_pieces",
        "chunks",
        "request",
        "hpack",
        "frames",
        "body",
        "urls",
        "lines",
        "json",
    ]
