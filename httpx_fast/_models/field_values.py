"""Parse two field values: the charset of a Content-Type, and the links of a Link field.

Both come from peers, so errors in them are skipped, and parsing takes time linear in their length.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from .._encodings import known_encoding
from .._patterns import pattern

MAX_REMEMBERED = 256  # bytes of a Content-Type whose charset is cached for the next response; longer ones are rare

#: RFC 8288 s.3: a parameter follows "<target>" or another parameter; it may be quoted and contain separators of links.
_LINK_PARAMETER = pattern(r'\s*;\s*(?:([^\s=;,"<]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,]*))?)?')
#: RFC 9110 s.5.6.6: a parameter follows ";". Blanks around "=" are forbidden, but servers send them.
_PARAMETER = pattern(r';[ \t]*([^\s=;"]*)[ \t]*(?:=[ \t]*("(?:[^"\\]|\\.)*"?|[^;]*))?[^;]*')
_ESCAPED = pattern(r"\\(.)")


def charset_of(content_type: bytes) -> tuple[str | None, str | None]:
    """Return the charset parameter in lower case, and the name of its codec; None for a missing or unknown one."""
    return _remembered(content_type) if len(content_type) <= MAX_REMEMBERED else _charset_of(content_type)


def _charset_of(content_type: bytes) -> tuple[str | None, str | None]:
    # A charset is usually the only parameter, and most long fields have none.
    if b"charset" not in content_type.lower():
        return None, None
    value = content_type.decode("iso-8859-1")
    position = value.find(";")
    while 0 <= position < len(value) and (parameter := _PARAMETER.match(value, position)):
        position = parameter.end()
        name, text = parameter[1].lower(), parameter[2]
        if text is None or name not in ("charset", "charset*"):
            continue
        if text[:1] == '"':
            text = _ESCAPED.sub(r"\1", text[1:].removesuffix('"'))
        if name == "charset*":  # RFC 8187: the charset and the language of the value itself, then the value
            from urllib.parse import unquote_to_bytes

            text = unquote_to_bytes(text.rpartition("'")[2]).decode("iso-8859-1")
        charset = text.strip().lower()
        return charset, known_encoding(charset)
    return None, None


_remembered = lru_cache(maxsize=128)(_charset_of)


def links_of(value: str) -> Iterator[dict[str, str]]:
    """Return the links of a Link field, each with its "url" and its parameters."""
    position = 0
    while True:
        start = value.find("<", position)
        end = value.find(">", start)
        if start < 0 or end < 0:
            return
        link = {"url": value[start + 1 : end].strip()}
        position = end + 1
        while parameter := _LINK_PARAMETER.match(value, position):
            position = parameter.end()
            if parameter[2] is not None:
                text = parameter[2].strip(" '")
                if len(text) > 1 and text[0] == text[-1] == '"':
                    text = _ESCAPED.sub(r"\1", text[1:-1])
                link.setdefault(parameter[1], text)
        yield link
