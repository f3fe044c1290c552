"""Hides credentials in text that is shown, logged or written to files: which names are secret is said here, for all.

Secret are the values of some fields, user information in URLs, and values of parameters, form fields and members of
JSON objects whose names are those of secrets. `add_secret_names()` adds names of one's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, cast

from ._patterns import pattern

__all__ = [
    "MASK",
    "add_secret_names",
    "is_secret_field",
    "is_secret_name",
    "masked_field",
    "masked_json_text",
    "masked_url",
    "masked_value",
    "with_masked_query",
    "without_userinfo",
]

#: What stands in place of a secret.
MASK = "[secure]"

_USERINFO = pattern(r"(?<=//)[^/?#]*@")
#: Fields whose values are credentials, or as good as that; in lower case.
_SECRET_FIELDS = frozenset(
    {"authorization", "proxy-authorization", "authentication-info", "proxy-authenticate", "cookie", "set-cookie"}
    | {"x-api-key", "api-key", "x-auth-token", "x-csrf-token", "x-xsrf-token", "x-amz-security-token"}
    | {"x-goog-api-key"}
)
#: Fields whose values are URLs.
_URL_FIELDS = frozenset({"location", "content-location", "referer", "link", "refresh"})
#: Names of parameters and of members of JSON objects whose values are secrets.
_SECRET_NAME = pattern(
    r"passw(or)?d|passphrase|secret|token|api[-_]?key|^key$|^sig(nature)?$|[-_]signature$|(^|[-_])auth($|[-_])"
    r"|authorization|session([-_]?id)?$|credential|^code$|^jwt$|^sas$|^pwd$",
    re.IGNORECASE,
)
#: A member of that kind, or what could be one, in the text of JSON.
_SECRET_MEMBER = pattern(f'"[^"]*(?:{_SECRET_NAME.pattern.replace("^", "").replace("$", "")})[^"]*"', re.IGNORECASE)

#: What users added, in lower case.
_added: frozenset[str] = frozenset()


def add_secret_names(*names: str) -> None:
    """Mask the values of fields, parameters, form fields and JSON members of these names too, in the whole process.

    Names are compared without regard to case. Some are masked in any case: `Authorization`, `token`, `api_key` and the
    like.
    """
    global _added
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"expected names as strings, got {name!r}")
    _added = _added | {name.lower() for name in names}


def is_secret_field(lower_name: str) -> bool:
    """Return whether the values of fields of this name, in lower case, are secrets."""
    return lower_name in _SECRET_FIELDS or lower_name in _added


def is_secret_name(name: str) -> bool:
    """Return whether the values of parameters or members of this name are secrets."""
    return _SECRET_NAME.search(name) is not None or name.lower() in _added


def masked_value(name: str, value: str) -> str:
    """Return the value of a parameter, or the mask if it is a secret."""
    return MASK if value and is_secret_name(name) else value


def masked_field(lower_name: str, value: str) -> str:
    """Return the value of a field as it may be shown."""
    if is_secret_field(lower_name):
        return MASK
    return masked_url(value) if lower_name in _URL_FIELDS else value


def without_userinfo(url: str) -> str:
    """Return the text of a URL with its user information replaced by "[secure]"."""
    return _USERINFO.sub(f"{MASK}@", url) if "@" in url else url


def masked_url(url: str) -> str:
    """Return the URL without user information, and without the values of parameters that are named like secrets."""
    return with_masked_query(without_userinfo(url))


def with_masked_query(url: str) -> str:
    """Return the URL without the values of parameters, in query and fragment, that are named like secrets."""
    if "=" not in url:
        return url
    bare, hash_sign, fragment = url.partition("#")
    start, mark, query = bare.partition("?")
    return f"{start}{mark}{_masked_query(query)}{hash_sign}{_masked_query(fragment)}"


def _masked_query(query: str) -> str:
    if "=" not in query:
        return query
    from urllib.parse import unquote_plus

    pieces: list[str] = []
    for piece in query.split("&"):
        name, equals, value = piece.partition("=")
        pieces.append(f"{name}{equals}{masked_value(unquote_plus(name), value)}")
    return "&".join(pieces)


def masked_json_text(text: str) -> str:
    """Return the text of a JSON document without the values of members that are named like secrets."""
    if not _SECRET_MEMBER.search(text) and not any(f'"{name}"' in text.lower() for name in _added):
        return text
    try:
        return json.dumps(_masked_json(json.loads(text)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return MASK  # there is a secret somewhere in what cannot be read


def _masked_json(value: Any) -> Any:
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {
            name: MASK if isinstance(member, (str, int, float)) and is_secret_name(name) else _masked_json(member)
            for name, member in members.items()
        }
    if isinstance(value, list):
        return [_masked_json(element) for element in cast("Sequence[Any]", value)]
    return value
