"""The site is built from docs/ without a warning, and its navigation has every page."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pages
import pytest

DOCS = pages.ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if missing := [name for name in ("material", "mkdocstrings") if importlib.util.find_spec(name) is None]:
        # What checks types and style in CI has all extras; the run of README's second command has one of them.
        if os.environ.get("CI") and importlib.util.find_spec("pyright") is not None:
            pytest.fail(f"{missing[0]} is not installed: pip install '.[docs]'")
        pytest.skip(f"{missing[0]} is not installed: pip install '.[docs]'")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=pages.ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr, done.stderr
    return folder


def test_the_site_is_built_without_a_warning(site: Path):
    built = {path.relative_to(site).as_posix() for path in site.rglob("*.html")}
    for page in DOCS.rglob("*.md"):
        path = page.relative_to(DOCS).with_suffix("")
        assert (f"{path}.html" if path.name == "index" else f"{path}/index.html") in built


def test_the_site_loads_nothing_from_elsewhere(site: Path):
    """Readers behind a proxy see the same pages, and nobody else learns what they read."""
    loaded = re.compile(r'<(?:script|img|link)[^>]*\b(?:src|href)="?(https?://[^"\s>]+)')
    for path in site.rglob("*.html"):
        found = [url for url in loaded.findall(path.read_text(encoding="utf-8")) if "canonical" not in url]
        assert found == [], path


def test_links_between_pages_lead_to_pages():
    missing = set()
    for page in DOCS.rglob("*.md"):
        for target in re.findall(r"\]\(([^)#:\s]+)[)#]", page.read_text(encoding="utf-8")):
            path = (page.parent / target).resolve()
            if not path.exists():
                missing.add(path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else target)
    assert missing == set()
