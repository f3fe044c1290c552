"""Pure Python twin of `ext/fields.pyx`: field lines made of names and values that users give."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from . import errors

__all__ = ["encode_lines", "lower_lines", "merge_lines"]

FieldLine = tuple[bytes, bytes]


def encode_lines(pairs: Iterable[tuple[Any, Any]], encoding: str) -> list[FieldLine]:
    """Return field lines of names and values given as text or bytes.

    Raises TypeError for other types, and UnicodeEncodeError for text that the codec cannot encode.
    """
    lines: list[FieldLine] = []
    for name, value in pairs:
        if not isinstance(name, bytes):
            if not isinstance(name, str):
                raise errors.name_of_wrong_type(name)
            name = _encoded(name, encoding, None)
        if not isinstance(value, bytes):
            if not isinstance(value, str):
                raise errors.value_of_wrong_type(name, value)
            value = _encoded(value, encoding, name)
        lines.append((name, value))
    return lines


def _encoded(text: str, encoding: str, name: bytes | None) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        errors.tell_where(error, name)
        raise


def merge_lines(
    lines: Sequence[FieldLine], names: Sequence[bytes], given: Iterable[tuple[Any, Any]], refused: frozenset[bytes]
) -> tuple[list[FieldLine], list[bytes]] | None:
    """Return `lines` with those of `given` appended, in place of lines with the same names; None for a refused name.

    The second list has all names in lower case, as `names` has those of `lines`. Text in `given` is ASCII; errors are
    those of `encode_lines`.
    """
    added = encode_lines(given, "ascii")
    added_names = [line[0].lower() for line in added]
    if not refused.isdisjoint(added_names):
        return None
    if set(added_names).isdisjoint(names):
        return [*lines, *added], [*names, *added_names]
    kept = [(line, name) for line, name in zip(lines, names, strict=True) if name not in added_names]
    return [line for line, _ in kept] + added, [name for _, name in kept] + added_names


def lower_lines(
    lines: Iterable[FieldLine], dropped: frozenset[bytes], deciding: frozenset[bytes], harmless: frozenset[FieldLine]
) -> tuple[list[FieldLine], bytes | None] | None:
    """Return `lines` with names in lower case, without those in `dropped`, and the value of the last Host.

    Returns None if a name is in `deciding` and the line, its name in lower case, not in `harmless`: the caller has to
    look at it then.
    """
    kept: list[FieldLine] = []
    host = None
    for line in lines:
        name, value = line
        lower = name.lower()
        if lower in deciding and (lower, value) not in harmless:
            return None
        if lower == b"host":
            host = value
        if lower not in dropped:
            kept.append((lower, value))
    return kept, host
