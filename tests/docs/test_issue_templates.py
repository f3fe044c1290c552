"""The forms for issues ask for what is needed to answer them."""

from __future__ import annotations

import re

import pages
import pytest

TEMPLATES = pages.ROOT / ".github" / "ISSUE_TEMPLATE"
FORMS = sorted(path.name for path in TEMPLATES.glob("*.yml") if path.name != "config.yml")


@pytest.mark.parametrize("name", FORMS)
def test_a_form_asks_for_the_installation(name: str):
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert "httpx-fast --doctor" in text
    if name in ("bug.yml", "slow.yml"):
        assert re.search(r"id: journey\n(?s:.*?)required: true", text)


@pytest.mark.parametrize("name", FORMS)
def test_a_form_is_one(name: str):
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with the extra docs")
    form = yaml.safe_load((TEMPLATES / name).read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= set(form)
    for each in form["body"]:
        assert each["type"] in ("textarea", "dropdown", "input", "markdown", "checkboxes")
        assert each["attributes"]["label"]
    ids = [each["id"] for each in form["body"]]
    assert len(ids) == len(set(ids))
