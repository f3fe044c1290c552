"""The jar of `Cookies`: the standard library's, finding the cookies of a host without looking at those of others.

A module of its own, which `_cookies` imports when there is a first cookie: `http.cookiejar` brings with it what the
standard library has for HTTP, FTP and mail, a quarter of the time that importing this package would take, and most
programs never meet a cookie.
"""

from __future__ import annotations

import math
import time
from http.cookiejar import Cookie, CookieJar, CookiePolicy, DefaultCookiePolicy
from typing import TYPE_CHECKING, Any

# Longer hosts are no DNS names (RFC 1035 s.2.3.4); their suffixes would cost the square of their length.
_MAX_HOST = 255  # bytes
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
