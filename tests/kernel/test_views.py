from __future__ import annotations

import array
from typing import Any

import pytest

from httpx_fast._kernel.views import view_of


@pytest.mark.parametrize("data", [b"abcd", bytearray(b"abcd"), memoryview(b"abcd"), memoryview(b"xabcd")[1:]])
def test_any_buffer_of_bytes_is_viewed(data: Any):
    view = view_of(data)
    assert (view.format, view.nbytes, bytes(view)) == ("B", 4, b"abcd")


def test_items_of_other_types_are_their_bytes():
    numbers: Any = array.array("I", [1, 2])
    assert bytes(view_of(numbers)) == numbers.tobytes()


@pytest.mark.parametrize("data", ["text", 5, None, memoryview(b"abcdef")[::2]])
def test_what_has_no_contiguous_bytes_is_refused(data: Any):
    with pytest.raises(TypeError):  # the interpreter's words
        view_of(data)
