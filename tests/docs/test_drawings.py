"""The drawings of the pages are what the package draws: the same words, with other times."""

from __future__ import annotations

import re

import pages
import pytest

from httpx_fast import Client
from httpx_fast.testing import LocalServer

DRAWN = [
    (path.name, block.code)
    for path in (pages.ROOT / "README.md", *sorted((pages.ROOT / "docs").rglob("*.md")))
    for block in pages.blocks(path)
    if block.language == "text" and not block.title and re.match(r"Request \d", block.code)
]


def words(line: str) -> str:
    """Return a line of a drawing without its numbers and its bar."""
    line = re.sub(r"[▏▎▍▌▋▊▉█]+", "", line)
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "N", re.sub(r"\(.*?\): ", ": ", line))).strip()


@pytest.fixture(scope="module")
def drawn() -> set[str]:
    """The lines of two requests, drawn as `print(journey)` does."""
    with LocalServer() as server, Client(verify=server.client_context()) as client:
        texts = [str(client.get(server.url).journey) for _ in range(2)]
    return {words(line) for text in texts for line in text.splitlines()}


def test_there_are_drawings():
    assert len(DRAWN) >= 5


@pytest.mark.parametrize(("page", "drawing"), DRAWN, ids=[page for page, _ in DRAWN])
def test_a_drawing_has_the_words_of_the_package(drawn: set[str], page: str, drawing: str):
    lines = [line for line in drawing.splitlines() if not line.startswith("Reusing the connection: ")]
    assert {words(line) for line in lines} - drawn == set()
    assert max(len(line) for line in lines) <= 80
