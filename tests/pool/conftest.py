from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from runners import Runner


@pytest.fixture
def run(backend: Runner) -> Callable[[Callable[[Runner], Awaitable[None]]], None]:
    return lambda body: backend.run(body, backend)
