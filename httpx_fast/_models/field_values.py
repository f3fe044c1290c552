"""What two field values say: the charset of a Content-Type, and the links of a Link field.

Both come from peers, so what is wrong in them is passed over, and costs time by their length only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

#: RFC 8288 s.3: a parameter follows "<target>" or another one; it may be quoted and contain what separates links.
_LINK_PARAMETER = re.compile(r'\s*;\s*(?:([^\s=;,"<]+)\s*(?:=\s*("(?:[^"\\]|\\.)*"|[^;,]*))?)?')


@lru_cache(maxsize=128)
def charset_of(content_type: bytes) -> tuple[str | None, bool]:
    """The charset parameter, and whether it is a codec between bytes and text that can replace what it cannot read."""
    # The standard library's parser knows quoting and RFC 2231, and costs more than reading a small body.
    from email.message import Message  # most programs meet JSON only

    message = Message()
    message["content-type"] = content_type.decode("iso-8859-1")
    charset = message.get_content_charset()
    try:
        b"a".decode(charset or "", "replace")
    except (LookupError, ValueError):
        return charset, False
    return charset, True


def links_of(value: str) -> Iterator[dict[str, str]]:
    """The links of a Link field, each with its "url" and its parameters."""
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
                    text = re.sub(r"\\(.)", r"\1", text[1:-1])
                link.setdefault(parameter[1], text)
        yield link
