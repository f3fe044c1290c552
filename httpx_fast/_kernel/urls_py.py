"""Pure Python twin of `ext/urls.pyx`: parts of plain URLs, and the encoding of forms and queries.

A plain URL is one that needs no decision: of http, https, ws or wss with a name or an IPv4 address as host, or a path
alone. All others, valid or not, are left to `_urlparse`, which knows the whole syntax and all messages of errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import cast

from .constants import FORM_CHARACTERS, FRAGMENT_CHARACTERS, MAX_PORT, MAX_URL_LENGTH, PATH_CHARACTERS, QUERY_CHARACTERS

__all__ = ["primitive_value_to_str", "split_url", "urlencode"]

#: Scheme, host, port, path, query, fragment; the text if nothing in it had to be escaped; path and query as bytes.
Parts = tuple[str, str, int | None, str, str | None, str | None, str | None, bytes]


def _of(characters: str) -> str:
    """Return a set of characters as a class of a regular expression."""
    return f"[{re.escape(characters)}]*"


_BYTE = "(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
# A name that begins with a digit could be an address in one of the forms that only some resolvers know.
_AUTHORITY = (
    rf"(?:(https?|wss?)://([a-z][a-z0-9._-]*|(?:{_BYTE}\.){{3}}{_BYTE})(?::([1-9][0-9]{{0,4}}))?(?=[/?#]|$)"
    r"|(?!//)(?=/|[^:]*$))"
)
_plain = re.compile(
    rf"{_AUTHORITY}({_of(PATH_CHARACTERS)})(?:\?({_of(QUERY_CHARACTERS)}))?(?:#({_of(FRAGMENT_CHARACTERS)}))?"
).fullmatch
_printable = re.compile(
    rf"{_AUTHORITY}([^\x00-\x1f\x7f?#]*)(?:\?([^\x00-\x1f\x7f#]*))?(?:#([^\x00-\x1f\x7f]*))?"
).fullmatch
_dot_segment = re.compile(r"/\.\.?(?:/|$)").search

_escape_path = re.compile(f"[^{re.escape(PATH_CHARACTERS)}]+").sub
_escape_query = re.compile(f"[^{re.escape(QUERY_CHARACTERS)}]+").sub
_escape_fragment = re.compile(f"[^{re.escape(FRAGMENT_CHARACTERS)}]+").sub

# Text that `quote_plus` would not change: the common key and value are encoded without its cost.
_form_plain = re.compile(_of(FORM_CHARACTERS)).fullmatch


def split_url(text: str) -> Parts | None:
    """Return the parts of a plain URL, percent-encoded; None for any other text.

    A URL that is a path alone has an empty scheme and host. A missing query or fragment is None.
    """
    if len(text) > MAX_URL_LENGTH:
        return None
    same: str | None = text
    match = _plain(text)
    if match is None:
        match = _printable(text)
        if match is None:
            return None
        same = None
    scheme, host, digits, path, query, fragment = match.groups()
    port = None
    if scheme is None:
        scheme = host = ""
    else:
        if "/." in text and _dot_segment(path):
            return None
        if digits is not None:
            port = int(digits)
            if port > MAX_PORT:
                return None
    if same is None:
        try:
            path = _escape_path(_percent_encoded, path)
            query = None if query is None else _escape_query(_percent_encoded, query)
            fragment = None if fragment is None else _escape_fragment(_percent_encoded, fragment)
        except UnicodeEncodeError:
            return None
    target = (path or "/") if query is None else f"{path or '/'}?{query}"
    return scheme, host, port, path, query, fragment, same, target.encode("ascii")


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8")])


def primitive_value_to_str(value: object) -> str:
    """Return a value as text of a query or a form: booleans as in JSON, None as ""."""
    if type(value) is str:
        return value
    if value is True:
        return "true"
    if value is False:
        return "false"
    return "" if value is None else str(value)


def _quoted(text: str) -> str:
    from urllib.parse import quote_plus  # takes longer to import than most queries to encode

    return quote_plus(text)


def urlencode(pairs: Iterable[tuple[object, object]]) -> str | None:
    """Encode names and values as application/x-www-form-urlencoded (WHATWG URL s.5.2).

    A value that is a list or a tuple stands for one pair for each of its items. Returns None if a name is no str, and
    raises UnicodeEncodeError for text that UTF-8 cannot encode.
    """
    encoded: list[str] = []
    for name, value in pairs:
        if type(name) is not str:
            return None
        if not _form_plain(name):
            name = _quoted(name)
        values: Iterable[object] = cast("Iterable[object]", value) if isinstance(value, (list, tuple)) else (value,)
        for each in values:
            text = each if type(each) is str else primitive_value_to_str(each)
            encoded.append(f"{name}={text if _form_plain(text) else _quoted(text)}")
    return "&".join(encoded)
