"""The examples in the docstrings of `httpx_fast.testing` run."""

from __future__ import annotations

import inspect
import textwrap

import pytest

import httpx_fast
from httpx_fast import testing


@pytest.mark.parametrize("name", ["Cassette", "FakeClock", "FaultLab", "LocalServer"])
def test_an_example_of_a_docstring_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    docstring = inspect.getdoc(getattr(testing, name))
    assert docstring is not None
    example = textwrap.dedent("\n".join(line for line in docstring.splitlines() if line.startswith("    ")))
    assert example.startswith("with ")
    assert "assert " in example
    exec(compile(example, name, "exec"), {**vars(testing), "httpx": httpx_fast, "pytest": pytest})


@pytest.mark.parametrize("name", testing.__all__)
def test_every_public_name_is_documented(name):
    found = getattr(testing, name)
    if name != "Script":  # an alias of types
        assert inspect.getdoc(found)
