"""Reads wire cases from the documents under tests/vectors: what comes in, what a kernel makes of it.

    ## Title
        < bytes that come in        | bytes after them        > ...  : ...  ! ...  what comes of it

Escapes are those of Python; a line's end in the document does not count. Each document says what its `>` means.
"""

from __future__ import annotations

import ast
import codecs
from dataclasses import dataclass, field
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "vectors" / "http1"


@dataclass
class Vector:
    title: str
    data: bytes = b""
    rest: bytes = b""
    #: What stands after ">", None where there is none.
    result: str | None = None
    fields: list[tuple[bytes, bytes]] = field(default_factory=list)
    error: str | None = None

    @property
    def content(self) -> bytes:
        """The result, read as bytes."""
        return unescaped(self.result or "")

    def __str__(self) -> str:
        return self.title.lower().replace(" ", "-")


def unescaped(text: str) -> bytes:
    return codecs.escape_decode(text.encode("latin-1"))[0]


def read(name: str) -> list[Vector]:
    """The cases of a document, in its order."""
    vectors: list[Vector] = []
    for line in (FOLDER / f"{name}.md").read_text("ascii").splitlines():
        if line.startswith("## "):
            vectors.append(Vector(line.removeprefix("## ")))
        elif line.startswith("    ") and vectors:
            _add(vectors[-1], line[4:5], line[6:])
    return vectors


def _add(vector: Vector, sign: str, text: str) -> None:
    if sign == "<":
        vector.data += unescaped(text)
    elif sign == "|":
        vector.rest += unescaped(text)
    elif sign == ">":
        vector.result = text
    elif sign == ":":
        vector.fields.append(ast.literal_eval(text))
    elif sign == "!":
        vector.error = text
    else:
        raise ValueError(f"a line of the case {vector.title!r} begins with {sign!r}")
