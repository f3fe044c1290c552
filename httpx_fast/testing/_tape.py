"""Exchanges as they stand in the file of a cassette: made of requests and responses, and made into responses.

Pure: no files and no transports. Secrets are masked when an exchange is made, and never stand in it. What is compared
is masked on both sides.
"""

from __future__ import annotations

import base64
import difflib
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from .._exceptions import DecodingError
from .._masking import MASK, masked_field, masked_json_text, masked_url, with_masked_query
from .._models import Request, Response
from .._types import AsyncByteStream, SyncByteStream
from .._urls import URL

__all__ = ["MATCHERS", "Exchange", "describe", "exchange_of", "is_match", "nearest", "replay", "without_coding"]

Exchange: TypeAlias = dict[str, Any]

#: What requests can be compared by.
MATCHERS: Final = ("method", "url", "body")
#: Fields of requests that say nothing about what is asked for.
_NOISE: Final = frozenset(
    {"host", "user-agent", "accept-encoding", "connection", "content-length", "transfer-encoding"}
)
#: How JSON is laid out in a body: by what its text comes out again, byte for byte.
_LAYOUTS: Final[dict[str, dict[str, Any]]] = {
    "compact": {"separators": (",", ":"), "ensure_ascii": False},
    "spaced": {"ensure_ascii": False},
    "indented": {"indent": 2, "ensure_ascii": False},
    "indented-4": {"indent": 4, "ensure_ascii": False},
    "compact-ascii": {"separators": (",", ":")},
    "spaced-ascii": {},
    "indented-ascii": {"indent": 2},
    "indented-4-ascii": {"indent": 4},
}
#: Control characters that text has.
_SPACE: Final = frozenset("\t\r\n")


def exchange_of(request: Request, body: bytes, response: Response, content: bytes) -> Exchange:
    """Return the exchange of a request with this body and of a response with this content."""
    version: bytes = response.extensions.get("http_version", b"HTTP/1.1")
    kind = _media_type(response.headers.get("content-type", ""))
    return {
        "request": {**_request_part(request, body), "fields": _fields(request.headers.raw, _NOISE)},
        "response": {
            "status": response.status_code,
            "http_version": version.decode("ascii"),
            "fields": _fields(response.headers.raw),
            "body": _body(kind, content),
        },
    }


def _request_part(request: Request, body: bytes) -> Exchange:
    """Return what requests are compared by."""
    kind = _media_type(request.headers.get("content-type", ""))
    url = masked_url(str(request.url.copy_with(fragment=None)))
    return {"method": request.method, "url": url, "body": _body(kind, body)}


def is_match(exchange: Exchange, request: Request, body: bytes, names: Iterable[str]) -> bool:
    """Return whether a recorded request is the same as this one, in all that `names` says."""
    asked, recorded = _request_part(request, body), exchange["request"]
    return all(_comparable(name, asked[name]) == _comparable(name, recorded.get(name)) for name in names)


def _comparable(name: str, value: Any) -> Any:
    if name == "url":
        url = URL(value)
        return str(url.copy_with(query=None)), sorted(url.params.multi_items())
    if name == "body" and value and "layout" in value:
        return {"json": value["json"]}  # however it is laid out
    return value


def describe(exchange: Exchange) -> str:
    """Return the method and URL of a recorded request."""
    return f"{exchange['request']['method']} {exchange['request']['url']}"


def nearest(exchanges: Sequence[Exchange], request: Request, body: bytes, names: Sequence[str]) -> str:
    """Return in words which recorded request is the most similar to this one, and what differs."""
    asked = _request_part(request, body)
    text = f"{asked['method']} {asked['url']}"

    def likeness(exchange: Exchange) -> float:
        return difflib.SequenceMatcher(None, text, describe(exchange)).ratio()

    best = max(exchanges, key=likeness)
    recorded = best["request"]
    differing = [name for name in names if _comparable(name, asked[name]) != _comparable(name, recorded.get(name))]
    bodies = f" {_short(recorded.get('body'))}, not {_short(asked['body'])}" if "body" in differing else ""
    what = " and another ".join(sorted(differing, reverse=True))
    return f"the nearest one is {describe(best)}, with another {what}{bodies}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def replay(exchange: Exchange) -> Response:
    """Return the recorded response."""
    told = exchange["response"]
    content = _content(told["body"])
    fields = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in told["fields"]]
    extensions = {"http_version": told.get("http_version", "HTTP/1.1").encode("ascii")}
    return Response(told["status"], headers=_sized(fields, content), stream=_Content(content), extensions=extensions)


def without_coding(response: Response, raw: bytes) -> tuple[Response, bytes]:
    """Return the response as a client is to have it, with its content decoded, and that content.

    A body that cannot be decoded stays what it is, so that the client meets the fault.
    """
    fields, content = response.headers.raw, raw
    if raw and "content-encoding" in response.headers:
        try:
            content = Response(200, headers=response.headers, content=raw).content
        except DecodingError:
            content = raw
        if content != raw:
            fields = [field for field in fields if field[0].lower() != b"content-encoding"]
    extensions = response.extensions
    made = Response(
        response.status_code, headers=_sized(fields, content), stream=_Content(content), extensions=extensions
    )
    return made, content


class _Content(SyncByteStream, AsyncByteStream):
    """The content of a response, which a client has not read yet."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


def _sized(fields: Iterable[tuple[bytes, bytes]], content: bytes) -> list[tuple[bytes, bytes]]:
    """Return the fields with the length of this content, if they have one and there is content."""
    length = str(len(content)).encode("ascii")
    return [(name, length if content and name.lower() == b"content-length" else value) for name, value in fields]


def _fields(raw: Iterable[tuple[bytes, bytes]], left_out: frozenset[str] = frozenset()) -> list[list[str]]:
    """Return fields as text, secrets masked."""
    fields: list[list[str]] = []
    for name_bytes, value_bytes in raw:
        name, value = name_bytes.decode("latin-1"), value_bytes.decode("latin-1")
        if name.lower() not in left_out:
            fields.append([name, _masked_cookies(name.lower(), value) or masked_field(name.lower(), value)])
    return fields


def _masked_cookies(lower_name: str, value: str) -> str:
    """Return cookies with their names and without their values; "" for other fields."""
    if lower_name == "set-cookie":
        pair, semicolon, attributes = value.partition(";")
        return f"{_masked_pair(pair)}{semicolon}{attributes}"
    if lower_name == "cookie":
        return "; ".join(_masked_pair(pair.strip()) for pair in value.split(";"))
    return ""


def _masked_pair(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _body(kind: str, content: bytes) -> Exchange | None:
    """Return a body in its most readable form, secrets masked; None for an empty one."""
    if not content:
        return None
    if kind.startswith("multipart/"):  # parts may be secret, and the boundary is another one each time
        return {"omitted": "multipart"}
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = "\0"
    if any(letter < " " and letter not in _SPACE for letter in text):
        return {"base64": base64.b64encode(content).decode("ascii")}
    if kind == "application/x-www-form-urlencoded":
        return {"text": with_masked_query(f"?{text}")[1:]}
    if kind == "application/json" or kind.endswith("+json"):
        return _json_body(text)
    return _text_body(text)


def _json_body(text: str) -> Exchange:
    """Return JSON as it is, if its text can be made of it again; else the text."""
    bare = text.rstrip()
    try:
        value = json.loads(bare)
        for layout, options in _LAYOUTS.items():
            if json.dumps(value, **options) == bare:
                masked = json.loads(masked_json_text(bare))
                json.dumps(masked, ensure_ascii=False).encode()  # fails for halves of surrogate pairs
                body = {"json": masked, "layout": layout}
                return body if bare == text else {**body, "end": text[len(bare) :]}
    except (ValueError, RecursionError):
        pass
    return _text_body(masked_json_text(text).encode("utf-8", "backslashreplace").decode())


def _text_body(text: str) -> Exchange:
    """Return text, in a list of lines if there are several."""
    lines = text.splitlines(keepends=True)
    return {"text": lines if len(lines) > 1 else text}


def _content(body: Exchange | None) -> bytes:
    """Return the bytes of a recorded body."""
    if body is None:
        return b""
    if "base64" in body:
        return base64.b64decode(body["base64"])
    if "json" in body:
        text = json.dumps(body["json"], **_LAYOUTS[body.get("layout", "compact")])
        return f"{text}{body.get('end', '')}".encode()
    return "".join(body.get("text", "")).encode("utf-8")  # lines, or the whole
