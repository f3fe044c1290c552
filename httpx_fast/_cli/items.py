"""What stands on the command line beside options: a method, a URL, and HTTPie's items."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from .inputs import read_file
from .usage import UsageError

# The separator that comes first splits an item; of several at one place the longest does. A backslash keeps the next
# character from being one.
_ITEM = re.compile(r"((?:\\.|[^\\=:@;])+)(:=@|:=|==|=@|=|:|@|;$)(.*)", re.DOTALL)
_METHOD = re.compile(r"[A-Z]+")
_HOST_AND_PORT = re.compile(r"(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}(?:[/?#].*)?")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


@dataclass
class Items:
    """Hold what items add to a request."""

    params: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    fields: list[str] = field(default_factory=list[str])  # as with -H: "Name: value", "Name:", "Name;"
    members: list[tuple[str, Any]] = field(default_factory=list[tuple[str, Any]])
    files: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    typed: bool = False  # a member's value is JSON other than a string

    @property
    def has_body(self) -> bool:
        return bool(self.members or self.files)


#: Methods that nobody takes for the name of a host.
KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY"})


def is_method(word: str) -> bool:
    return _METHOD.fullmatch(word) is not None


def looks_like_url(word: str) -> bool:
    """Return whether a word cannot well be anything else: it has a scheme, or a port."""
    return bool(_SCHEME.match(word) or _HOST_AND_PORT.fullmatch(word) or re.match(r":(\d|/|$)", word))


def is_url_only(word: str) -> bool:
    """Return whether a word cannot even be an item: `X-Count:80` looks like a host with its port, too."""
    return bool(_SCHEME.match(word) or re.match(r":(\d|/)", word))


def complete_url(word: str) -> str:
    """Return the URL that is meant: `:8801/path` is on this machine, and http is the scheme where none is given."""
    if _SCHEME.match(word):
        return word
    if word.startswith(":") and not word.startswith("::"):
        port, slash, path = word[1:].partition("/")
        return f"http://localhost{':' if port else ''}{port}{slash}{path}"
    return f"http://{word}"


def read_items(words: list[str]) -> Items:
    """Parse items. Raises UsageError for a word that is no item, OSError for a file that cannot be read."""
    items = Items()
    for word in words:
        found = _ITEM.fullmatch(word)
        if found is None:
            raise UsageError(
                f"expected one URL, and items like name=value after it; got {word!r} as well",
                "items: name=value, name:=json, name==value, Name:value, name@FILE",
            )
        _add(items, re.sub(r"\\(.)", r"\1", found[1]), found[2], found[3])
    return items


def _add(items: Items, name: str, separator: str, value: str) -> None:
    if separator == "==":
        items.params.append((name, value))
    elif separator == ":":
        items.fields.append(f"{name}: {value}" if value.strip() else f"{name}:")
    elif separator == ";":
        items.fields.append(f"{name};")
    elif separator == "@":
        items.files.append((name, value))
    else:
        text = read_file(value).decode() if separator.endswith("@") else value
        if separator.startswith(":="):
            items.typed = True
            items.members.append((name, _json(name, text)))
        else:
            items.members.append((name, text))


def _json(name: str, text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(
            f"expected JSON as the value of {name!r}, got {text[:64]!r} ({error})",
            f"for a string write {name}=... instead of {name}:=...",
        ) from None
