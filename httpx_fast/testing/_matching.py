"""What a mocked answer is for: the requests that it matches, and how it is described in messages."""

from __future__ import annotations

import json as jsonlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from .._multipart import MultipartStream
from .._origin import DEFAULT_PORTS
from .._urls import URL, QueryParams

if TYPE_CHECKING:
    from .._models import Request

Pattern: TypeAlias = "str | URL | re.Pattern[str]"

_BOUNDARY = re.compile(rb"--([^\r\n]+)\r\n")


class Matcher:
    """Match requests with registered answers. All that is given has to match."""

    def __init__(
        self,
        url: Pattern | None = None,
        method: str | None = None,
        proxy_url: Pattern | None = None,
        match_headers: Mapping[str, str] | None = None,
        match_content: bytes | None = None,
        match_json: Any = None,
        match_data: Mapping[str, Any] | None = None,
        match_files: Any = None,
        match_extensions: Mapping[str, Any] | None = None,
        match_params: Mapping[str, Any] | None = None,
        is_optional: bool = False,
        is_reusable: bool = False,
    ) -> None:
        self.url = URL(url) if isinstance(url, str) else url
        self.method = None if method is None else method.upper()
        self.proxy_url = URL(proxy_url) if isinstance(proxy_url, str) else proxy_url
        self.headers = dict(match_headers or {})
        self.content = match_content
        self.json = match_json
        self.data = match_data
        self.files = match_files
        self.extensions = dict(match_extensions or {})
        self.params = match_params
        self.is_optional = is_optional
        self.is_reusable = is_reusable
        self.calls = 0
        self._check()

    def _check(self) -> None:
        """Refuse combinations that say one thing twice, or nothing. Raises ValueError."""
        if sum(each is not None for each in (self.content, self.json, self.files)) > 1:
            raise ValueError(
                "expected at most one of match_content, match_json and match_files: each is the whole body"
            )
        if self.data is not None and self.files is None:
            raise ValueError("match_data goes with match_files, for multipart forms; match_content is for other forms")
        if self.params is None:
            return
        if self.url is None or isinstance(self.url, re.Pattern):
            raise ValueError(f"match_params needs a URL without a query as url, got {self.url!r}")
        if self.url.query:
            raise ValueError("expected the query either in url or as match_params, got both")

    def matches(self, request: Request, proxy: URL | None) -> bool:
        """Return whether `request`, whose body has been read, is meant; `proxy` is what it goes through."""
        return (
            (self.method is None or request.method == self.method)
            and (self.url is None or _same_url(self.url, request.url, self.params))
            and (self.proxy_url is None or (proxy is not None and _same_url(self.proxy_url, proxy, None)))
            and all(request.headers.get(name) == value for name, value in self.headers.items())
            and all(request.extensions.get(name) == value for name, value in self.extensions.items())
            and self._same_body(request.content)
        )

    def _same_body(self, content: bytes) -> bool:
        if self.content is not None:
            return content == self.content
        if self.json is not None:
            try:
                return bool(jsonlib.loads(content) == self.json)
            except ValueError:
                return False
        if self.files is not None:
            boundary = _BOUNDARY.match(content)
            return boundary is not None and content == b"".join(
                MultipartStream(self.data or {}, self.files, boundary[1])
            )
        return True

    @property
    def needs_body(self) -> bool:
        """Return whether a message about it should show the body of requests."""
        return self.content is not None or self.json is not None or self.files is not None

    def __str__(self) -> str:
        if self.is_reusable:
            text = f"Match {self.method or 'every'} request"
        else:
            text = f"{'Already matched' if self.calls else 'Match'} {self.method or 'any'} request"
        if self.url is not None:
            text += f" on {self.url.pattern if isinstance(self.url, re.Pattern) else self.url}"
        wanted = [
            ("query parameters", self.params),
            ("headers", self.headers or None),
            ("body", self.content),
            ("json body", self.json),
            ("multipart data", self.data),
            ("files", self.files),
            ("proxy URL", self.proxy_url),
            ("extensions", self.extensions or None),
        ]
        told = [f"{value} {what}" for what, value in wanted if value is not None]
        return f"{text} with {' and '.join(told)}" if told else text


def _same_url(wanted: URL | re.Pattern[str], url: URL, params: Mapping[str, Any] | None) -> bool:
    """Return whether the URLs are equal; the order of different query parameters does not matter."""
    if isinstance(wanted, re.Pattern):
        return wanted.match(str(url)) is not None
    if _without_query(wanted) != _without_query(url):
        return False
    found = _by_name(url.params)
    if params is None:
        return found == _by_name(wanted.params)
    # Values are compared as they are, so that `unittest.mock.ANY` and the like can stand for some.
    return params == {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _by_name(params: QueryParams) -> dict[str, list[str]]:
    return {name: params.get_list(name) for name in params}


def _without_query(url: URL) -> tuple[Any, ...]:
    port = DEFAULT_PORTS.get(url.scheme) if url.port is None else url.port
    return url.scheme, url.userinfo, url.host, port, url.path, url.fragment
