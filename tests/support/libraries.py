"""The packages that integrations are for, and a client of theirs in every backend."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any, NamedTuple

import pytest
from runners import BlockingClient, Runner


class Library(NamedTuple):
    """A package, and the module with our transports and clients for it."""

    package: ModuleType
    fast: ModuleType

    @property
    def name(self) -> str:
        return self.package.__name__

    def client(self, backend: Runner, **options: Any) -> Any:
        options.setdefault("trust_env", False)
        options.setdefault("timeout", 30)  # seconds; servers may still be starting, on a busy machine
        if backend.asynchronous:
            return self.fast.AsyncFastClient(**options)
        return BlockingClient(self.fast.FastClient(**options))

    def transport(self, backend: Runner, **options: Any) -> Any:
        kind = self.fast.AsyncFastTransport if backend.asynchronous else self.fast.FastTransport
        return kind(**options)


def needed(name: str) -> ModuleType:
    """The package; its lack skips the test at home, and is a failure where everything has to be there."""
    try:
        return importlib.import_module(name)
    except ImportError:
        problem = f"{name} is not installed: pip install 'httpx-fast[ecosystem]'"
        if os.environ.get("HTTPX_FAST_ECOSYSTEM") == "1":
            pytest.fail(problem)
        pytest.skip(problem)
