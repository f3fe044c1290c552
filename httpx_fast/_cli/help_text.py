"""The help and the manual page, both made of the table of options."""

from __future__ import annotations

import re
import textwrap

from ..__version__ import __version__
from . import bulk
from .options import EXAMPLES, EXIT_CODES, GROUPS, ITEMS, OPTIONS, Option

USAGE = "httpx-fast [OPTION ...] [METHOD] URL [ITEM ...]"
INTRODUCTION = (
    "Sends an HTTP request and shows the response. Options are curl's and httpx's, items are HTTPie's. On a terminal "
    "head and body are shown; in a pipe standard output is the body alone, and heads go to standard error. Without "
    "arguments it asks a server of its own twice, and shows where the time went."
)
URLS = "URL: :8801/path is http://localhost:8801/path; http is the scheme where none is given."
LETTERS = (
    "-d DATA is curl's, -d NAME VALUE httpx's: it is the latter if NAME is a plain word that another word follows. -f "
    "is curl's --fail, -f NAME FILENAME httpx's --files. -c, -h, -j, -m and -p mean what they mean in httpx (in curl: "
    "--cookie-jar, --help, --junk-session-cookies, --max-time, --proxytunnel)."
)
BULK = f"{bulk.INTRODUCTION} httpx-fast bulk --help shows its options."
_LONGEST_LINE = 100  # columns; longer lines are hard to read, however wide the terminal
_INDENT = 30


def help_text(columns: int) -> list[str]:
    """Return the lines of `--help`, none longer than `columns` where words allow it."""
    width = max(min(columns, _LONGEST_LINE), 24)
    indent = _INDENT if width >= 70 else 8
    lines = [*_wrapped(f"usage: {USAGE}", width), "", *_wrapped(INTRODUCTION, width), *_wrapped(URLS, width)]
    lines += ["", "Items:"]
    for form, meaning in ITEMS:
        lines += _entry(form, meaning, width, indent)
    for group in GROUPS:
        lines += ["", f"{group}:"]
        for option in _of(group):
            lines += _entry(option.usage, option.help, width, indent)
    lines += ["", "Many requests:", *_entry(bulk.USAGE.removeprefix("httpx-fast "), BULK, width, indent)]
    lines += ["", "Letters with two meanings:", *_wrapped(LETTERS, width, "  "), "", "Exit codes:"]
    for code, meaning in EXIT_CODES.items():
        lines += _entry(str(code), meaning, width, 8)
    lines += ["", "Examples:"]
    for command, meaning in EXAMPLES:
        lines += [f"  {command}", *_wrapped(meaning, width, "      ")]
    return lines


def _of(group: str) -> list[Option]:
    return [option for option in OPTIONS if option.group == group]


def _wrapped(text: str, width: int, indent: str = "") -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _entry(term: str, meaning: str, width: int, indent: int) -> list[str]:
    """Return a term, and beside it (below it, if it is long) what it means."""
    told = _wrapped(meaning, width, " " * indent)
    first = f"  {term}"
    if len(first) < indent - 1:
        return [first.ljust(indent) + told[0].strip(), *told[1:]]
    return [*_wrapped(first.strip(), width, "  "), *told]


def manual_page() -> str:
    """Return the manual page, in the macros that every `man` knows."""
    parts = [
        f'.TH HTTPX\\-FAST 1 "" "httpx\\-fast {__version__}" "User Commands"',
        ".SH NAME",
        "httpx\\-fast \\- send an HTTP request and show the response",
        ".SH SYNOPSIS",
        f".B {_roff(USAGE)}",
        ".br",
        f".B {_roff(bulk.USAGE)}",
        ".SH DESCRIPTION",
        _roff(INTRODUCTION),
        ".PP",
        _roff(URLS),
        ".SS Items",
    ]
    for form, meaning in ITEMS:
        parts += _tagged(form, meaning)
    parts.append(".SH OPTIONS")
    for group in GROUPS:
        parts.append(f".SS {_roff(group)}")
        for option in _of(group):
            parts += _tagged(option.usage, option.help)
    parts += [".SS Many requests: httpx\\-fast bulk", _roff(bulk.INTRODUCTION)]
    for option in bulk.options():
        parts += _tagged(option.usage, option.help)
    parts += [".SS Letters with two meanings", _roff(LETTERS), ".SH EXIT STATUS"]
    for code, meaning in EXIT_CODES.items():
        parts += _tagged(str(code), meaning)
    parts.append(".SH EXAMPLES")
    for command, meaning in EXAMPLES:
        parts += [".TP", f".B {_roff(command)}", _roff(meaning)]
    return "\n".join([*parts, ""])


def _tagged(term: str, meaning: str) -> list[str]:
    return [".TP", f".B {_roff(term)}", _roff(meaning)]


def _roff(text: str) -> str:
    """Return text in which nothing is a request or an escape of roff."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    text = text.replace("'", "\\(aq").replace('"', "\\(dq").replace("^", "\\(ha").replace("~", "\\(ti")
    return re.sub(r"^\.", "\\\\&.", text, flags=re.MULTILINE)
