"""Warnings name the user's line, from any depth inside the package."""

from __future__ import annotations

import types
import warnings

from httpx_fast import _caller

INSIDE = """
from httpx_fast._caller import warn_caller
def outer(category):
    inner(category)
def inner(category):
    warn_caller("old", category)
"""


def inside(name: str) -> types.ModuleType:
    """Return a module called `name` whose `outer()` warns two calls deep."""
    module = types.ModuleType(name)
    exec(compile(INSIDE, f"/{name}.py", "exec"), module.__dict__)
    return module


def test_the_warning_names_the_innermost_line_outside_the_package():
    module = inside("httpx_fast._deep.down")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module.outer(FutureWarning)
    assert [(str(each.message), each.category, each.filename) for each in caught] == [("old", FutureWarning, __file__)]


def test_a_package_whose_name_begins_alike_is_outside():
    module = inside("httpx_faster")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        module.outer(FutureWarning)
    assert [each.filename for each in caught] == ["/httpx_faster.py"]


def test_it_warns_from_the_module_itself_too():
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        _caller.warn_caller("new", UserWarning)
    assert [each.filename for each in caught] == [__file__]
