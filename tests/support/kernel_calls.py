"""The compiled kernels, as tests of completeness see them: each ext/NAME.pyx that was built, and all that it offers."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from httpx_fast import _kernel

#: Classes that nobody but the kernel itself makes instances of, which others return.
RESULTS = frozenset({"http1.ResponseHead", "hpack.FieldSection"})


def load_script(path: Path) -> ModuleType:
    """Import a script that is no module of a package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def count_calls(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Count calls of what the compiled kernels offer, as "kernel.name", for callers that look it up in its module."""
    calls: dict[str, int] = {}
    for each in pkgutil.iter_modules(_kernel.__path__):
        if not each.name.endswith("_c"):
            continue
        module = importlib.import_module(f"{_kernel.__name__}.{each.name}")
        for name in module.__all__:
            full_name = f"{each.name.removesuffix('_c')}.{name}"
            if full_name not in RESULTS:
                monkeypatch.setattr(module, name, counting(getattr(module, name), calls, full_name))
    assert calls, "no kernel was compiled"
    return calls


def counting(offered: Callable[..., Any], calls: dict[str, int], name: str) -> Callable[..., Any]:
    calls[name] = 0

    def call(*arguments: Any, **named: Any) -> Any:
        calls[name] += 1
        return offered(*arguments, **named)

    return call
