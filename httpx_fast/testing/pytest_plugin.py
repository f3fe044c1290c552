"""Fixtures for pytest: `pytest_plugins = ["httpx_fast.testing.pytest_plugin"]` in the topmost conftest.py."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .lab import FaultLab


@pytest.fixture
def fault_lab() -> Iterator[FaultLab]:
    """A server that goes wrong as the test says; a script that fails, fails the test."""
    with FaultLab() as lab:
        yield lab
