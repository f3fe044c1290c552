"""The API reference has every public name."""

from __future__ import annotations

import re

import pages

import httpx_fast
from httpx_fast import testing, websockets

SHOWN = {
    name
    for page in (pages.ROOT / "docs" / "api").glob("*.md")
    for name in re.findall(r"^::: httpx_fast\.([\w.]+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
}


def test_every_public_name_is_in_the_reference():
    assert {name for name in httpx_fast.__all__ if not name.startswith("__")} - SHOWN == set()


def test_names_of_websockets_and_testing_are_in_the_reference():
    assert {f"websockets.{name}" for name in websockets.__all__} - SHOWN == set()
    assert {f"testing.{name}" for name in testing.__all__} - SHOWN == set()


def test_the_reference_shows_public_names_only():
    public = {*httpx_fast.__all__, *(f"websockets.{name}" for name in websockets.__all__)}
    public |= {f"testing.{name}" for name in testing.__all__}
    assert [name for name in sorted(SHOWN - public) if not name.startswith(("integrations.", "testing."))] == []
