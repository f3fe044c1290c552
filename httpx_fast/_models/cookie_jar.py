"""The cookie jar of `Cookies`: the standard library's, with the rules of `cookie_rules` and limits for them.

`cookies` imports this module when it meets the first cookie: `http.cookiejar` imports the standard library's modules
for HTTP, FTP and mail, which would add a quarter to the import time of this package, and most programs never meet a
cookie. Rules:

1. A user's jar with its own methods or policy decides by these; our rules apply to every other jar.
2. Only cookies that a server set count for the limits and are evicted, never those that the user set.
3. The cost of a response grows with the number of its cookies and of those in the jar; the cost of a request with the
   labels of its host and the cookies of its domains.
"""

from __future__ import annotations

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from http.cookiejar import Cookie, CookieJar, CookiePolicy, DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

from .cookie_rules import (
    Place,
    ReceivedCookie,
    fits,
    is_shadowed,
    may_set,
    misfit,
    next_tick,
    normal_path,
    parse,
    serialized,
)

# RFC 6265bis s.6.1 asks for at least these.
MAX_DOMAIN_COOKIES = 50  # cookies of a domain
MAX_COOKIES = 3000  # cookies in a jar
# Servers refuse request heads of more than 8 to 32 KiB. Some split a login over three cookies of 4 KiB each.
MAX_FIELD = 32 * 1024  # characters of a Cookie field made of received cookies
# Longer hosts are no DNS names (RFC 1035 s.2.3.4); their suffixes would cost the square of their length.
_MAX_HOST = 255  # bytes

_DEFAULTS = vars(DefaultCookiePolicy())
# Methods by which a user's jar may decide for itself.
_JUDGES = ("extract_cookies", "make_cookies", "add_cookie_header", "_cookies_for_request", "_cookies_for_domain")


class IndexedCookieJar(CookieJar):
    """Store cookies so that a request costs by the labels of its host, not by the number of cookies.

    The standard jar matches every domain that it knows with each request, and checks every cookie for its expiry.
    """

    # The standard library's own members, which its annotations leave out.
    _cookies: dict[str, dict[str, dict[str, Cookie]]]
    _policy: CookiePolicy
    _earliest = math.inf  # Unix time at which the first cookie expires

    def set_cookie(self, cookie: Cookie) -> None:
        super().set_cookie(cookie)
        if cookie.expires is not None:
            self._earliest = min(self._earliest, cookie.expires)

    def make_cookies(self, response: Any, request: Any) -> list[Cookie]:
        """Return the cookies that a response sets and its host may set."""
        place, now = _place_of(request), time.time()
        cookies = [parse(value, place, now) for value in response.info().get_all("Set-Cookie", [])]
        return [cookie for cookie in cookies if cookie is not None and may_set(cookie, place)]

    def extract_cookies(self, response: Any, request: Any) -> None:
        """Store the cookies that a response sets and its host may set."""
        receive(self, response.info().get_all("Set-Cookie", []), _place_of(request), request)

    def add_cookie_header(self, request: Any) -> None:
        """Give a request its Cookie field, unless it has one."""
        if not request.has_header("Cookie"):
            field = field_value(self, _place_of(request), request)
            if field:
                request.add_unredirected_header("Cookie", field)

    def clear_expired_cookies(self) -> None:
        """Delete the expired cookies."""
        if time.time() < self._earliest:
            return
        super().clear_expired_cookies()
        self._earliest = min((cookie.expires for cookie in self if cookie.expires is not None), default=math.inf)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_cookies_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _cookies_lock=threading.RLock())

    def __repr__(self) -> str:
        return f"<{type(self).__name__}[{', '.join(map(repr, self))}]>"

    __str__ = __repr__


def has_own_rules(jar: CookieJar) -> bool:
    """Return whether a user's jar class overrides methods: the jar then decides, as with urllib."""
    kind = type(jar)
    if kind is IndexedCookieJar:
        return False
    return any(getattr(kind, name) is not getattr(CookieJar, name) for name in _JUDGES)


def receive(jar: Any, values: Iterable[str], place: Place, request: Any) -> None:
    """Store the cookies of Set-Cookie fields from `place`. A user's policy is asked about `request`."""
    now = time.time()
    policy = _policy(jar, now)
    has_usual_policy = policy is None or type(policy) is DefaultCookiePolicy
    secure: dict[str, list[Cookie]] | None = None
    touched: set[str] = set()
    with jar._cookies_lock:
        for value in values:
            cookie = parse(value, place, now)
            if cookie is None or (has_usual_policy and not may_set(cookie, place)):
                continue
            if not place.is_secure:
                secure = _secure_cookies(jar) if secure is None else secure
                if is_shadowed(cookie, secure.get(cookie.name, [])):
                    continue
            if policy is None or policy.set_ok(cookie, request):
                _store(jar, cookie, now, touched)
        if touched:
            _evict(jar, touched, place)


def _store(jar: Any, cookie: ReceivedCookie, now: float, touched: set[str]) -> None:
    """Store a cookie, or delete it if it has expired; add domains that grow to `touched`."""
    domain, path, name = cookie.domain, cookie.path, cookie.name
    old = jar._cookies.get(domain, {}).get(path, {}).get(name)
    if cookie.is_expired(int(now)):
        if old is not None:
            jar.clear(domain, path, name)
        return
    if isinstance(old, ReceivedCookie):
        cookie.created = old.created
    jar.set_cookie(cookie)
    if old is None:
        touched.add(domain)


def _evict(jar: Any, domains: set[str], place: Place) -> None:
    """Enforce the limits: expired cookies go first, then the least recently used (RFC 6265bis s.5.7).

    A response that came without TLS does not evict Secure cookies.
    """
    groups = [(name, f".{name}") for name in {domain.removeprefix(".") for domain in domains}]
    if _count(jar, list(jar._cookies)) <= MAX_COOKIES and all(
        _count(jar, group) <= MAX_DOMAIN_COOKIES for group in groups
    ):
        return
    jar.clear_expired_cookies()
    for group in groups:
        _shrink(jar, group, MAX_DOMAIN_COOKIES, place)
    _shrink(jar, list(jar._cookies), MAX_COOKIES, place)


def _shrink(jar: Any, domains: Iterable[str], limit: int, place: Place) -> None:
    received = [
        cookie for names in _names(jar, domains) for cookie in names.values() if isinstance(cookie, ReceivedCookie)
    ]
    if len(received) > limit:
        received.sort(key=lambda cookie: (cookie.secure and not place.is_secure, cookie.used))
        for cookie in received[: len(received) - limit]:
            jar.clear(cookie.domain, cookie.path, cookie.name)


def _count(jar: Any, domains: Iterable[str]) -> int:
    return sum(map(len, _names(jar, domains)))


def _names(jar: Any, domains: Iterable[str]) -> Iterable[dict[str, Cookie]]:
    """Return the cookies of these domains by name, for each path."""
    known = jar._cookies
    return (names for domain in domains for names in known.get(domain, {}).values())


def _secure_cookies(jar: CookieJar) -> dict[str, list[Cookie]]:
    """Return the Secure cookies by name."""
    found: dict[str, list[Cookie]] = defaultdict(list)
    for cookie in jar:
        if cookie.secure:
            found[cookie.name].append(cookie)
    return found


def field_value(jar: Any, place: Place, request: Any) -> str:
    """Return the value of the Cookie field for a request to `place`; "" for no cookies."""
    jar.clear_expired_cookies()
    now = time.time()
    policy = _policy(jar, now)
    chosen: list[Cookie]
    with jar._cookies_lock:
        if policy is None:
            chosen = _fitting(jar, place, now)
        elif type(policy) is DefaultCookiePolicy:
            chosen = [cookie for cookie in _fitting(jar, place, now) if _is_allowed(policy, cookie, request)]
        else:
            chosen = jar._cookies_for_request(request)
    # Longer paths first, and among equals the older cookies first; those that the user set are older than all others.
    chosen.sort(key=lambda cookie: (-len(cookie.path), getattr(cookie, "created", 0)))
    parts: list[str] = []
    length, tick = 0, next_tick()
    for cookie in chosen:
        part = serialized(cookie)
        if isinstance(cookie, ReceivedCookie):
            if length + len(part) > MAX_FIELD:
                continue
            length += len(part) + 2
            cookie.used = tick
        parts.append(part)
    return "; ".join(parts)


def _fitting(jar: Any, place: Place, now: float) -> list[Cookie]:
    """Return the cookies to send with a request to `place`."""
    domains = _domains_for(jar._cookies, place)
    return [cookie for names in _names(jar, domains) for cookie in names.values() if fits(cookie, place, now)]


def judgements(jar: Any, place: Place, request: Any) -> list[tuple[Cookie, str | None]]:
    """Return all cookies of a jar, each with why it is not sent with a request to `place`; None for those that are."""
    now = time.time()
    policy = _policy(jar, now)
    found: list[tuple[Cookie, str | None]] = []
    with jar._cookies_lock:
        domains = _domains_for(jar._cookies, place)
        own_choice = (
            None if policy is None or type(policy) is DefaultCookiePolicy else jar._cookies_for_request(request)
        )
        for cookie in jar:
            reason = misfit(cookie, place, now) if cookie.domain in domains else "it is for another host"
            if own_choice is not None:
                reason = None if cookie in own_choice else "the jar's policy says no"
            elif reason is None and policy is not None and not _is_allowed(policy, cookie, request):
                reason = "the jar's policy says no"
            found.append((cookie, reason))
    return found


def _is_allowed(policy: CookiePolicy, cookie: Cookie, request: Any) -> bool:
    return bool(
        policy.domain_return_ok(cookie.domain, request)
        and policy.path_return_ok(cookie.path, request)
        and policy.return_ok(cookie, request)
    )


def _policy(jar: Any, now: float) -> CookiePolicy | None:
    """Return the jar's policy if it must be asked: it is not the standard one, or has settings."""
    policy: Any = jar._policy
    is_standard = type(policy) is DefaultCookiePolicy
    if is_standard:
        own: dict[str, Any] = vars(policy)
        if all(own.get(name) == value for name, value in _DEFAULTS.items()):
            return None
    policy._now = int(now)  # as `CookieJar` does before it asks
    return policy  # type: ignore[no-any-return]


def _domains_for(known: dict[str, dict[str, dict[str, Cookie]]], place: Place) -> list[str]:
    """Return the domains in the jar whose cookies may go to `place`."""
    domains = [""] if "" in known else []
    host, effective = place.host, place.effective_host
    if place.is_address or len(host) > _MAX_HOST:
        return domains + [each for each in dict.fromkeys((host, effective)) if each in known]
    labels = effective.split(".")
    for index in range(len(labels) - 1, -1, -1):
        suffix = ".".join(labels[index:])
        domains += [each for each in (f".{suffix}", suffix) if each in known]
    if host != effective:
        domains += [each for each in (f".{host}", host) if each in known]
    return domains


def _place_of(request: Any) -> Place:
    """Return the place of a request of urllib's kind."""
    url = urlsplit(str(request.get_full_url()))
    host = (url.hostname or "").lower()
    port = url.port or (443 if url.scheme == "https" else 80)
    return Place(url.scheme, f"[{host}]" if ":" in host else host, normal_path(url.path or "/"), str(port))
