"""`Cookies`: httpx's mapping over the standard library's cookie jar.

`cookie_rules` and `cookie_jar` decide which cookies may be set and where they are sent; this module is the interface.
It imports them when the jar is first used. Of requests and responses it uses `url` and `headers` only.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, Union, cast

from .._exceptions import CookieConflict
from .._pairs import check_pairs
from .._urls import URL
from .headers import Headers

if TYPE_CHECKING:
    from http.cookiejar import Cookie, CookieJar

    from .cookie_jar import IndexedCookieJar

__all__ = ["Cookies"]

CookieTypes: TypeAlias = Union["Cookies", "CookieJar", Mapping[str, str], Sequence[tuple[str, str]]]


class RequestLike(Protocol):
    """Have what the jar asks of a request."""

    @property
    def url(self) -> URL: ...

    @property
    def headers(self) -> Headers: ...


class ResponseLike(Protocol):
    """Have what the jar asks of a response."""

    @property
    def headers(self) -> Headers: ...

    @property
    def request(self) -> RequestLike: ...


class Cookies(MutableMapping[str, str]):
    """Map names to cookies by domain and path, in `jar`; a given `CookieJar` is used itself, other input is copied.

    ```python
    cookies = httpx.Cookies()
    cookies.set("session", "abc", domain="www.example.org")
    ```
    """

    def __init__(self, cookies: CookieTypes | None = None) -> None:
        self._jar: CookieJar | None = None
        self._own: IndexedCookieJar | None = None  # the jar, if it was made here
        if cookies is None:
            return
        if isinstance(cookies, Cookies):
            if cookies._has_any():
                for cookie in cookies.jar:
                    self.jar.set_cookie(cookie)
            return
        cookiejar = sys.modules.get("http.cookiejar")  # without this module no jar exists
        if cookiejar is not None and isinstance(cookies, cookiejar.CookieJar):
            self._jar = cast("CookieJar", cookies)
            return
        pairs: Any = cookies.items() if isinstance(cookies, Mapping) else cookies
        try:
            for name, value in pairs:
                self.set(name, value)
        except (TypeError, ValueError):
            check_pairs(pairs if pairs is cookies else (), "cookies")
            raise

    @property
    def jar(self) -> CookieJar:
        """Return the cookie jar, which may be used like any other."""
        if self._jar is None:
            from .cookie_jar import IndexedCookieJar

            self._jar = self._own = IndexedCookieJar()
        return self._jar

    @jar.setter
    def jar(self, jar: CookieJar) -> None:
        self._jar, self._own = jar, None

    def extract_cookies(self, response: ResponseLike) -> None:
        """Store the cookies that a response sets and its host may set (RFC 6265bis s.5.7)."""
        headers: Headers = response.headers
        if not headers._has(b"set-cookie"):
            return
        jar, request = self.jar, response.request
        from .cookie_jar import has_own_rules, receive
        from .cookie_rules import CONTROLS, Place

        values = headers.get_list("set-cookie")
        face: Any = _RequestFace(request)
        if has_own_rules(jar):
            # Cookies that could not be sent back are refused, even if a user's policy judges the rest.
            taken: Any = _ResponseFace([value for value in values if not CONTROLS.search(value)])
            jar.extract_cookies(taken, face)
        else:
            receive(jar, values, Place.of(request.url), face)

    def set_cookie_header(self, request: RequestLike) -> None:
        """Give a request its Cookie field, unless it has one."""
        jar = self._jar
        if jar is None or request.headers._has(b"cookie"):
            return
        from .cookie_jar import field_value, has_own_rules
        from .cookie_rules import Place

        face: Any = _RequestFace(request)
        if has_own_rules(jar):
            jar.add_cookie_header(face)
            return
        value = field_value(jar, Place.of(request.url), face)
        if value:
            request.headers["Cookie"] = value

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Set a cookie that lives as long as the jar; without a domain it is sent to every host."""
        if not isinstance(value, str) and value is not None:
            raise TypeError(f"the value of cookie {name!r} is {type(value).__name__}; expected str")
        jar = self.jar
        from .cookie_rules import HiddenCookie

        jar.set_cookie(
            HiddenCookie(
                version=0,
                name=name,
                value=value,
                port=None,
                port_specified=False,
                domain=domain,
                domain_specified=bool(domain),
                domain_initial_dot=domain.startswith("."),
                path=path,
                path_specified=bool(path),
                secure=False,
                expires=None,
                discard=True,
                comment=None,
                comment_url=None,
                rest={"HttpOnly": None},  # type: ignore[dict-item]
                rfc2109=False,
            )
        )

    def get(  # type: ignore[override]
        self, name: str, default: str | None = None, domain: str | None = None, path: str | None = None
    ) -> str | None:
        """Return the value of a cookie, or `default`. Raises CookieConflict if several match."""
        matches = [cookie.value for cookie in self._matching(name, domain, path) if cookie.value is not None]
        if len(matches) > 1:
            raise CookieConflict(f"{len(matches)} cookies are named {name!r}: say which domain and path is meant")
        return matches[0] if matches else default

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Delete the cookies of that name. Raises KeyError if domain and path are given and there is none."""
        if domain is not None and path is not None:
            self.jar.clear(domain, path, name)
            return
        for cookie in self._matching(name, domain, path):
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def clear(self, domain: str | None = None, path: str | None = None) -> None:
        """Delete all cookies, those of a domain, or those of a path of a domain (KeyError if there are none)."""
        if domain is None:
            if path is not None:
                raise ValueError(f"path {path!r} was given without a domain")
            self.jar.clear()
        elif path is None:
            self.jar.clear(domain)
        else:
            self.jar.clear(domain, path)

    def update(self, cookies: CookieTypes | None = None) -> None:  # type: ignore[override]
        """Add all of `cookies`, replacing those with the same name, domain and path."""
        for cookie in Cookies(cookies).jar:
            self.jar.set_cookie(cookie)

    def __setitem__(self, name: str, value: str) -> None:
        self.set(name, value)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __delitem__(self, name: str) -> None:
        self.delete(name)

    def __len__(self) -> int:
        return len(self.jar)

    def __iter__(self) -> Iterator[str]:
        return (cookie.name for cookie in self.jar)

    def __bool__(self) -> bool:
        return self._has_any()

    def _has_any(self) -> bool:
        """Return what `bool()` returns, at a tenth of the cost of a call through the type."""
        jar = self._jar
        if jar is None:
            return False
        # Called once for each request; an iterator over an empty jar costs ten times as much.
        if self._own is not None and not self._own._cookies:
            return False
        return next(iter(jar), None) is not None

    def __repr__(self) -> str:
        # A cookie's value is a credential.
        shown = ", ".join([f"<Cookie {cookie.name}=[secure] for {cookie.domain} />" for cookie in self.jar])
        return f"<Cookies[{shown}]>"

    def _matching(self, name: str, domain: str | None, path: str | None) -> list[Cookie]:
        return [
            cookie
            for cookie in self.jar
            if cookie.name == name
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        ]


def request_face(request: RequestLike) -> Any:
    """Return a request as a jar's policy is asked about it."""
    return _RequestFace(request)


class _RequestFace:
    """Give a request the members that `http.cookiejar` documents that it uses."""

    unverifiable = False  # RFC 2965 s.3.3.6: the user asked for this request

    def __init__(self, request: RequestLike) -> None:
        self._url: URL = request.url
        self._headers: Headers = request.headers

    @property
    def type(self) -> str:
        return self._url.scheme

    @property
    def host(self) -> str:
        return self._url.netloc.decode("ascii")

    @property
    def origin_req_host(self) -> str:
        host = self._url.raw_host.decode("ascii").lower()
        return f"[{host}]" if ":" in host else host

    def get_full_url(self) -> str:
        # Without userinfo, which the standard library would take for part of the host.
        return f"{self.type}://{self.host}{self._url.raw_path.decode('ascii')}"

    def has_header(self, name: str) -> bool:
        return name in self._headers

    def get_header(self, name: str, default: str | None = None) -> str | None:
        return self._headers.get(name, default)

    def header_items(self) -> list[tuple[str, str]]:
        return list(self._headers.items())

    def add_unredirected_header(self, name: str, value: str) -> None:
        self._headers[name] = value


class _ResponseFace:
    """Give a response, and its `info()`, the one member that `http.cookiejar` uses."""

    def __init__(self, values: list[str]) -> None:
        self._values = values

    def info(self) -> _ResponseFace:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return (name.lower() == "set-cookie" and self._values) or default
