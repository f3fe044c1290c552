"""The switch that has requests remember where they came from."""

from __future__ import annotations

import subprocess
import sys

import pytest

import httpx_fast
from httpx_fast import _debug


def test_debug_switches_on_and_off(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(_debug, "_on", False)
    httpx_fast.debug()
    assert _debug.is_on()
    httpx_fast.debug(False)
    assert not _debug.is_on()


@pytest.mark.parametrize(("options", "on"), [([], "False"), (["-X", "dev"], "True")])
def test_development_mode_of_python_switches_it_on(options: list[str], on: str):
    code = "from httpx_fast import _debug; print(_debug.is_on())"
    told = subprocess.run([sys.executable, *options, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == on
