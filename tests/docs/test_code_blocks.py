"""Every code block of every page below docs/ is run; tests/support/pages.py says how, and what pages may rely on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pages
import pytest

DOCS = pages.ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
WITH_PYTHON = [page for page in PAGES if any(block.language == "python" for block in pages.blocks(DOCS / page))]
COMMANDS = [(page, line) for page in PAGES for line in pages.commands(DOCS / page)]


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    with pages.at_home(monkeypatch, tmp_path):
        yield


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs(at_home: None, page: str):
    try:
        pages.run_python(DOCS / page)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("httpx_fast"):
            raise
        pytest.skip(f"{error.name} is not installed")
    except NotImplementedError as error:  # the fault lab cannot do everything on every system
        pytest.skip(str(error))


@pytest.mark.parametrize(("page", "line"), COMMANDS, ids=[line[:60] for _, line in COMMANDS])
def test_a_command_of_a_page_runs(at_home: None, tmp_path: Path, page: str, line: str):
    pages.run_command(line, tmp_path / "work")


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_language_they_are_in(page: str):
    unnamed = [block.line for block in pages.blocks(DOCS / page) if not block.language]
    assert unnamed == [], "lines of blocks without a language: text, python, sh, ..."


def test_an_output_that_is_not_what_is_printed_fails(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text('```python\nprint("a", 1)\n```\n\n```text title="Output"\na 2\n```\n')
    with pytest.raises(pytest.fail.Exception, match="but the page says"):
        pages.run_python(page)
    page.write_text('```python\nprint("a", 1)\n```\n\n```text title="Output"\na ...\n```\n')
    assert pages.run_python(page) == (["a 1"], set())


def test_blocks_in_tabs_are_found(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text('=== "Blocking"\n\n    ```python title="a"\n    if True:\n        x = 1\n    ```\n')
    (block,) = pages.blocks(page)
    assert (block.code, block.title, block.line) == ("if True:\n    x = 1\n", "a", 3)
