"""Provide fixtures for pytest: `pytest_plugins = ["httpx_fast.testing.pytest_plugin"]` in the topmost conftest.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .lab import FaultLab
from .mocking import HTTPXFastMock, mocked


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "httpx_fast_mock(*, assert_all_responses_were_requested=True, assert_all_requests_were_expected=True, "
        "can_send_already_matched_responses=False, should_mock=lambda request: True): settings of httpx_fast_mock.",
    )


@pytest.fixture
def fault_lab() -> Iterator[FaultLab]:
    """Provide a running `FaultLab`. An exception of a script fails the test."""
    with FaultLab() as lab:
        yield lab


@pytest.fixture
def httpx_fast_mock(request: pytest.FixtureRequest) -> Iterator[HTTPXFastMock]:
    """Answer requests of httpx_fast without a network; the marker of that name has the settings of `HTTPXFastMock`."""
    settings: dict[str, Any] = {}
    for marker in request.node.iter_markers("httpx_fast_mock"):  # the closest one first
        settings = {**marker.kwargs, **settings}
    with mocked(**settings) as mock:
        yield mock
