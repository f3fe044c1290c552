from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

TWINS = ("c", "python")


def must_be_compiled() -> bool:
    """Whether a missing compiled kernel is a failure: where it was asked for, and where everything has to be there."""
    wanted = os.environ.get("HTTPX_FAST_IMPL")
    return wanted == "c" or ("CI" in os.environ and wanted != "python" and sys.implementation.name == "cpython")


def load(implementation: str) -> SimpleNamespace:
    """All that a twin offers, in one place."""
    suffix = {"c": "c", "python": "py"}[implementation]
    offered = {"name": implementation}
    for kernel in (
        *("http1", "buffer", "drive", "fields", "urls", "hpack", "hpack_encoder", "frames", "streams", "json"),
    ):
        try:
            module = importlib.import_module(f"httpx_fast._kernel.{kernel}_{suffix}")
        except ImportError as error:
            if implementation == "python" or must_be_compiled():
                raise
            pytest.skip(f"the kernels are not compiled: {error}")
        offered.update({name: getattr(module, name) for name in module.__all__})
    return SimpleNamespace(**offered)


@pytest.fixture(params=TWINS)
def kernel(request: pytest.FixtureRequest) -> SimpleNamespace:
    """One of the twins."""
    return load(request.param)


@pytest.fixture
def twins() -> tuple[SimpleNamespace, SimpleNamespace]:
    """Both, to be compared."""
    return load("c"), load("python")


@pytest.fixture
def compiled() -> SimpleNamespace:
    """The compiled twin, for tests of nothing else."""
    return load("c")


@pytest.fixture
def ways() -> Callable[[bytes], Iterator[list[int]]]:
    """The ways in which bytes can come: whole, byte by byte, and cut in two at each position.

    Each way is a list of how many bytes are there at each call.
    """

    def all_ways(data: bytes) -> Iterator[list[int]]:
        size = len(data)
        yield [size]
        yield list(range(size + 1))
        for cut in range(size):
            yield [cut, size]

    return all_ways
