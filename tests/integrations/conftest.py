"""What the tests of the integrations share: the two packages."""

from __future__ import annotations

import importlib

import pytest
from libraries import Library, needed


@pytest.fixture(params=["httpx2", "httpx"])
def library(request: pytest.FixtureRequest) -> Library:
    package = needed(request.param)
    return Library(package, importlib.import_module(f"httpx_fast.integrations.{request.param}"))
