"""docs/recipes.md has 30 recipes, each with code.

tests/docs/test_code_blocks.py runs them and compares what they print.
"""

from __future__ import annotations

import re

import pages

PAGE = (pages.ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")


def test_each_recipe_has_code_and_says_what_comes_out():
    recipes = re.findall(r"^## (\d+)\. [^\n]*\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert [number for number, _ in recipes] == [str(number) for number in range(1, 31)]
    for number, recipe in recipes:
        assert "```python" in recipe, number
        assert 'title="Output"' in recipe or "def test_" in recipe, number
