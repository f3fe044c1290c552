"""Parse JSON from bytes. The pure Python twin of ext/json.pyx.

`parse_json(content)` returns what `json.loads(content)` does, for texts in UTF-8. Whatever is not certainly one, it
refuses with a ValueError that says nothing: the caller asks `json.loads` then, which accepts more (NaN, other
encodings, any depth) or says what is wrong and where. So the kernels need to know no messages, and no leniency.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["parse_json"]


def _refuse(name: str) -> Any:
    raise ValueError(name)


_raw_decode = json.JSONDecoder(parse_constant=_refuse).raw_decode
_rest = re.compile(r"[ \t\n\r]*").match


def parse_json(content: bytes) -> Any:
    """Return the value of a JSON text. Raises ValueError where that is to be found out by `json.loads`."""
    text = content.decode()
    begin = _rest(text)
    assert begin is not None
    # What `loads` does besides costs a third of all for a small object.
    try:
        value, end = _raw_decode(text, begin.end())
    except RecursionError:
        raise ValueError from None
    if end != len(text) and text[end:].strip(" \t\n\r"):
        raise ValueError
    return value
