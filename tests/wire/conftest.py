from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

from httpx_fast._wire import h1


@pytest.fixture(params=["c", "python"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The twin that the wire reads with."""
    http1, buffer = (_twin(name, request.param) for name in ("http1", "buffer"))
    monkeypatch.setattr(h1, "HeadParser", http1.HeadParser)
    monkeypatch.setattr(h1, "ChunkedDecoder", http1.ChunkedDecoder)
    monkeypatch.setattr(h1, "BodyBuffer", buffer.BodyBuffer)
    return str(request.param)


def _twin(name: str, which: str) -> ModuleType:
    if which == "python":
        return importlib.import_module(f"httpx_fast._kernel.{name}_py")
    try:
        return importlib.import_module(f"httpx_fast._kernel.{name}_c")
    except ImportError as error:
        if os.environ.get("HTTPX_FAST_IMPL") == "c":
            raise
        pytest.skip(f"no compiled kernel: {error}")
