"""Reads what options name: files, and standard input once, however many options ask for it."""

from __future__ import annotations

import functools
import sys
from pathlib import Path

from .usage import UsageError


def read_file(name: str) -> bytes:
    """Return the content of a file, of standard input for "-". Raises UsageError for what cannot be read."""
    if name == "-":
        return _standard_input()
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise cannot_read(name, error) from None


def read_value(text: str) -> bytes:
    """Return a value of an option: itself, the content of `@FILE`, or standard input for "-"."""
    if text == "-":
        return _standard_input()
    return read_file(text[1:]) if text.startswith("@") else text.encode("utf-8", "surrogateescape")


def cannot_read(name: str, error: OSError) -> UsageError:
    return UsageError(f"{name} cannot be read: {error.strerror or error}", "nothing was sent", 26)


@functools.cache
def _standard_input() -> bytes:
    return b"" if sys.stdin is None else sys.stdin.buffer.read()
