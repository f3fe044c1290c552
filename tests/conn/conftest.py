from __future__ import annotations

import pytest
from scripted import Clock, ScriptedStream


@pytest.fixture
def scripted() -> type[ScriptedStream]:
    return ScriptedStream


@pytest.fixture
def clock() -> Clock:
    return Clock()
