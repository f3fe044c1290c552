"""The line of the user's code that a request or a leak is reported with."""

from __future__ import annotations

import contextlib
import inspect
import warnings
from collections.abc import Iterator

import pytest

from httpx_fast._pool.callers import caller, warn_of_leak


def here() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def test_caller_is_the_line_that_called() -> None:
    place, line = caller(1), here()
    assert place == f"{__file__}:{line}"


def test_depth_leaves_frames_out() -> None:
    def inner() -> str:
        return caller(2)

    place, line = inner(), here()
    assert place == f"{__file__}:{line}"


def test_contextlib_is_no_code_of_users() -> None:
    @contextlib.contextmanager
    def managed() -> Iterator[str]:
        yield caller(2)  # the frame above this one is contextlib's

    with managed() as place:
        assert place.startswith(f"{__file__}:")


def test_depth_beyond_the_stack_is_an_error_of_python() -> None:
    with pytest.raises(ValueError, match="call stack is not deep enough"):
        caller(100_000)


@pytest.mark.parametrize(("place", "file", "line"), [("app.py:12", "app.py", 12), ("C:\\app.py:3", "C:\\app.py", 3)])
def test_leak_is_a_warning_at_its_place(place: str, file: str, line: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_leak("a leak", place, None)
    assert [(str(each.message), each.category, each.filename, each.lineno) for each in caught] == [
        ("a leak", ResourceWarning, file, line)
    ]


def test_leak_at_an_unknown_place_is_a_warning_too() -> None:
    with pytest.warns(ResourceWarning, match="a leak"):
        warn_of_leak("a leak", "an unknown place", None)
