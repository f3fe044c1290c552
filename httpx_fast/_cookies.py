"""`Cookies`: httpx's mapping over the standard library's cookie jar.

Which cookie may be set, and which is sent where, is said by `http.cookiejar` and its policy; here is the interface, and
a jar that finds the cookies of a host without looking at those of others. Of requests and responses it asks for `url`
and `headers` only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, MutableMapping
from http.cookiejar import Cookie, CookieJar, CookiePolicy, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any, cast

from ._exceptions import CookieConflict
from ._headers import Headers
from ._pairs import check_pairs
from ._types import CookieTypes
from ._urls import URL

if TYPE_CHECKING:
    from ._request import Request
    from ._response import Response

__all__ = ["Cookies"]

# Longer hosts are no DNS names (RFC 1035 s.2.3.4); their suffixes would cost the square of their length.
_MAX_HOST = 255  # octets
# A server can set cookies under ever new names, and has them sent back to it. Browsers keep 180 (RFC 6265 s.6.1 asks
# for 50); one that means it well is lost in a head of 8 KiB long before this.
MAX_RECEIVED = 1000  # cookies of a domain


class IndexedCookieJar(CookieJar):
    """A jar in which a request costs by the labels of its host, not by the number of cookies.

    The standard one matches each domain that it knows with each request, and looks at each cookie for its expiry.
    """

    # The standard library's own members, which its annotations leave out.
    _cookies: dict[str, dict[str, dict[str, Cookie]]]
    _policy: CookiePolicy
    _earliest = math.inf  # Unix time at which the first cookie expires

    if TYPE_CHECKING:

        def _cookies_for_domain(self, domain: str, request: Any) -> list[Cookie]: ...

    def set_cookie(self, cookie: Cookie) -> None:
        super().set_cookie(cookie)
        if cookie.expires is not None:
            self._earliest = min(self._earliest, cookie.expires)

    def extract_cookies(self, response: Any, request: Any) -> None:
        super().extract_cookies(response, request)
        for domain in self._domains_for(request.host_name) or ():
            paths = self._cookies[domain]
            for _ in range(sum(map(len, paths.values())) - MAX_RECEIVED):
                path = next(path for path, names in paths.items() if names)
                self.clear(domain, path, next(iter(paths[path])))

    def clear_expired_cookies(self) -> None:
        if time.time() < self._earliest:
            return
        super().clear_expired_cookies()
        self._earliest = min((cookie.expires for cookie in self if cookie.expires is not None), default=math.inf)

    def _cookies_for_request(self, request: Any) -> list[Cookie]:
        domains = self._domains_for(request.host_name)
        if domains is None:
            return super()._cookies_for_request(request)  # type: ignore[misc, no-any-return]
        return [cookie for domain in domains for cookie in self._cookies_for_domain(domain, request)]

    def _domains_for(self, host: str) -> list[str] | None:
        """The domains whose cookies may go to `host`; None where a policy of the user's has to be asked."""
        if type(self._policy) is not DefaultCookiePolicy or len(host) > _MAX_HOST:
            return None
        known = self._cookies
        domains = [""] if "" in known else []
        # The standard library knows hosts without a dot as host.local.
        labels = (host if "." in host else f"{host}.local").split(".")
        for index in range(len(labels) - 1, -1, -1):
            suffix = ".".join(labels[index:])
            for domain in (f".{suffix}", suffix):
                if domain in known:
                    domains.append(domain)
        if "." not in host and host in known:
            domains.append(host)
        return domains


class Cookies(MutableMapping[str, str]):
    """Cookies by name, domain and path, in `jar`; a `CookieJar` that is given is used itself, all else is copied."""

    def __init__(self, cookies: CookieTypes | None = None) -> None:
        self.jar: CookieJar
        if isinstance(cookies, CookieJar):
            self.jar = cookies
            return
        self.jar = IndexedCookieJar()
        if cookies is None:
            return
        if isinstance(cookies, Cookies):
            for cookie in cookies.jar:
                self.jar.set_cookie(cookie)
            return
        try:
            for name, value in cookies.items() if isinstance(cookies, Mapping) else cookies:
                self.set(name, value)
        except (TypeError, ValueError):
            check_pairs(cookies if not isinstance(cookies, Mapping) else (), "cookies")
            raise

    def extract_cookies(self, response: Response) -> None:
        """Takes what a response sets, as far as the policy of the jar allows it to that host."""
        headers: Headers = response.headers
        if headers._has(b"set-cookie") or headers._has(b"set-cookie2"):
            self.jar.extract_cookies(cast("Any", _ResponseFace(headers)), cast("Any", _RequestFace(response.request)))

    def set_cookie_header(self, request: Request) -> None:
        """Gives a request the Cookie field that it should have; one that it has already is left alone."""
        jar = self.jar
        face = _RequestFace(request)
        if type(jar) is IndexedCookieJar:
            jar.clear_expired_cookies()
            if jar._domains_for(face.host_name) == []:
                return
        jar.add_cookie_header(cast("Any", face))

    def set(self, name: str, value: str, domain: str = "", path: str = "/") -> None:
        """Sets a cookie that lives as long as the jar; without a domain it is sent to every host."""
        if not isinstance(value, str) and value is not None:
            raise TypeError(f"the value of cookie {name!r} is {type(value).__name__}; expected str")
        self.jar.set_cookie(
            Cookie(
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
        """The value of a cookie; CookieConflict if several match."""
        matches = [cookie.value for cookie in self._matching(name, domain, path) if cookie.value is not None]
        if len(matches) > 1:
            raise CookieConflict(f"{len(matches)} cookies are named {name!r}: say which domain and path is meant")
        return matches[0] if matches else default

    def delete(self, name: str, domain: str | None = None, path: str | None = None) -> None:
        """Deletes the cookies of that name. KeyError if domain and path are given and there is none."""
        if domain is not None and path is not None:
            self.jar.clear(domain, path, name)
            return
        for cookie in self._matching(name, domain, path):
            self.jar.clear(cookie.domain, cookie.path, cookie.name)

    def clear(self, domain: str | None = None, path: str | None = None) -> None:
        """Deletes all cookies, or those of a domain, or those of a path of a domain (KeyError if there are none)."""
        if domain is None:
            if path is not None:
                raise ValueError(f"path {path!r} was given without a domain")
            self.jar.clear()
        elif path is None:
            self.jar.clear(domain)
        else:
            self.jar.clear(domain, path)

    def update(self, cookies: CookieTypes | None = None) -> None:  # type: ignore[override]
        """Takes all of `cookies`, in place of those here with the same name, domain and path."""
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
        """What `bool()` says, at a tenth of the cost of its way through the type."""
        jar = self.jar
        # Asked once for each request; an iterator over an empty jar costs ten times as much.
        if type(jar) is IndexedCookieJar and not jar._cookies:
            return False
        return next(iter(jar), None) is not None

    def __repr__(self) -> str:
        shown = ", ".join([f"<Cookie {cookie.name}={cookie.value} for {cookie.domain} />" for cookie in self.jar])
        return f"<Cookies[{shown}]>"

    def _matching(self, name: str, domain: str | None, path: str | None) -> list[Cookie]:
        return [
            cookie
            for cookie in self.jar
            if cookie.name == name
            and (domain is None or cookie.domain == domain)
            and (path is None or cookie.path == path)
        ]


class _RequestFace:
    """A request with the members that `http.cookiejar` documents that it asks for."""

    unverifiable = False  # RFC 2965 s.3.3.6: the user asked for this request

    def __init__(self, request: Request) -> None:
        url: URL = request.url
        self._url = url
        self._headers: Headers = request.headers
        self.type = url.scheme
        self.host = url.netloc.decode("ascii")
        raw_host = url.raw_host.decode("ascii").lower()
        self.host_name = self.origin_req_host = f"[{raw_host}]" if ":" in raw_host else raw_host

    def get_full_url(self) -> str:
        # Without userinfo, which the standard library would take for a part of the host.
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
    """A response, and its `info()`, with the one member that `http.cookiejar` asks for."""

    def __init__(self, headers: Headers) -> None:
        self._headers = headers

    def info(self) -> _ResponseFace:
        return self

    def get_all(self, name: str, default: Any = None) -> Any:
        return self._headers.get_list(name) or default
