"""The base classes of bodies."""

from __future__ import annotations

import pytest

from httpx_fast import AsyncByteStream, SyncByteStream
from httpx_fast._drive import drive


class Body(SyncByteStream, AsyncByteStream):
    """A body whose author forgot everything."""


def test_body_without_iteration_says_so():
    with pytest.raises(NotImplementedError, match="Body has no __iter__ method"):
        iter(Body())
    with pytest.raises(NotImplementedError, match="Body has no __aiter__ method"):
        aiter(Body())


def test_closing_a_body_that_holds_nothing_does_nothing():
    body = Body()
    assert body.close() is None
    assert drive(body.aclose()) is None
