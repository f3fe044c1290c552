"""Parse Set-Cookie fields and match cookies with requests, by RFC 6265bis (draft-ietf-httpbis-rfc6265bis).

It knows neither jars nor responses: a field value and the place that it came from become a cookie or None, in time
linear in the value's length. No input from a server raises an exception here. Cookies are represented as the standard
library does, since programs rely on it: a host without a dot is "host.local", the domain of a Domain attribute
begins with a dot, and a pair without "=" is a name whose value is None.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import time
from collections.abc import Callable
from http.cookiejar import Cookie
from typing import Any
from urllib.parse import quote

from .._exceptions import InvalidURL
from .._urls import URL

# RFC 6265bis s.5.6: longer ones are ignored, as browsers do.
MAX_PAIR = 4096  # bytes of name and value together
MAX_ATTRIBUTE = 1024  # bytes of an attribute's value
_LAST_SECOND = 253402300799  # Unix time; the end of the year 9999, after which dates cannot be written

# No client sends back a value with one of these (RFC 6265bis s.5.6 step 1); the tab is the exception.
CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_BLANKS = " \t"


class HiddenCookie(Cookie):
    """Hide the value of a cookie in its `repr()`."""

    def __repr__(self) -> str:
        return f"<Cookie {self.name}=[secure] for {self.domain}{self.path}>"

    __str__ = __repr__


class ReceivedCookie(HiddenCookie):
    """Represent a cookie that a server set. `created` and `used` are in nanoseconds of Unix time."""

    created = 0
    used = 0


_last_tick = 0


def next_tick() -> int:
    """Return the time in nanoseconds of Unix time, always later than the last one, so that it orders events."""
    global _last_tick
    _last_tick = max(time.time_ns(), _last_tick + 1)
    return _last_tick


class Place:
    """Identify the source of a response, or the target of a request."""

    __slots__ = ("effective_host", "host", "is_secure", "path", "port")

    def __init__(self, scheme: str, host: str, path: str, port: str) -> None:
        self.host = host
        #: The standard library's name for it.
        self.effective_host = host if "." in host else f"{host}.local"
        self.path = path
        self.port = port
        self.is_secure = scheme in ("https", "wss")

    @classmethod
    def of(cls, url: URL) -> Place:
        """Return the place that a request for `url` is sent to."""
        host = url.raw_host.decode("ascii").lower()
        port = url.port or (443 if url.scheme in ("https", "wss") else 80)
        return cls(
            url.scheme,
            f"[{host}]" if ":" in host else host,
            normal_path(url.raw_path.decode("ascii").partition("?")[0]),
            str(port),
        )

    @property
    def is_address(self) -> bool:
        """Return whether the host is an IP address: the last label of a name is never a number (WHATWG URL s.3.5)."""
        return self.host.startswith("[") or self.host.rpartition(".")[2].isdecimal()

    @property
    def is_loopback(self) -> bool:
        """Return whether the host is this machine, so that its responses count as secure even without TLS."""
        host = self.host
        return host in ("localhost", "[::1]") or host.endswith(".localhost") or (self.is_address and host[:4] == "127.")


def parse(value: str, place: Place, now: float) -> ReceivedCookie | None:
    """Return the cookie of a Set-Cookie field value from `place`; None if the field must be ignored.

    `may_set` decides whether `place` may set such a cookie. A cookie that has expired deletes the stored one.
    """
    if CONTROLS.search(value):
        return None
    pair, _, rest = value.partition(";")
    named = _name_and_value(pair)
    if named is None:
        return None
    name, text = named
    attributes, others = _attributes(rest)
    expires = _expiry(attributes, now)
    domain = attributes.get("domain", "").strip(_BLANKS)
    host = _domain_of(domain) if domain else ""
    if host is None:
        return None
    path = attributes.get("path", "").strip('"')
    has_path = path.startswith("/")
    cookie = ReceivedCookie(
        version=0,
        name=name,
        value=text,
        port=None,
        port_specified=False,
        domain=f".{host}" if host else place.effective_host,
        domain_specified=bool(host),
        domain_initial_dot=domain.startswith("."),
        path=normal_path(path) if has_path else _default_path(place.path),
        path_specified=has_path,
        secure="secure" in attributes,
        expires=expires,
        discard=expires is None,
        comment=None,
        comment_url=None,
        rest=others,  # type: ignore[arg-type]  # None for attributes without a value, as the standard library has it
    )
    cookie.created = cookie.used = next_tick()
    return cookie


def _name_and_value(pair: str) -> tuple[str, str | None] | None:
    """Return name and value; None if this is no cookie (RFC 6265bis s.5.6 steps 2 to 5, s.5.7 step 1)."""
    name, equals, text = pair.partition("=")
    name, text = name.strip(_BLANKS), text.strip(_BLANKS)
    # "=value" would be sent as "value", which an attacker can make look like another cookie: curl, aiohttp and the
    # standard library ignore it.
    if not name or _is_over(name + text, MAX_PAIR):
        return None
    return name, text if equals else None


def _is_over(text: str, limit: int) -> bool:
    return len(text) > limit or (not text.isascii() and len(text.encode("utf-8", "replace")) > limit)


def _attributes(text: str) -> tuple[dict[str, str], dict[str, str | None]]:
    """Return the known attributes, names in lower case, the last of each; and the other attributes unchanged."""
    known: dict[str, str] = {}
    others: dict[str, str | None] = {}
    for attribute in text.split(";"):
        name, equals, value = attribute.partition("=")
        name, value = name.strip(_BLANKS), value.strip(_BLANKS)
        if not name or _is_over(value, MAX_ATTRIBUTE):
            continue
        lower = name.lower()
        if lower in ("expires", "max-age", "domain", "path", "secure"):
            known[lower] = value
        else:
            others[name] = value if equals else None
    return known, others


def _expiry(attributes: dict[str, str], now: float) -> int | None:
    """Return the Unix time at which the cookie expires, None for never. Max-Age wins (RFC 6265bis s.5.7 step 3)."""
    lifetime = attributes.get("max-age", "").strip('"')
    if _SECONDS.fullmatch(lifetime):
        seconds = int(lifetime)
        return min(int(now) + seconds, _LAST_SECOND) if seconds > 0 else 0
    date = parse_date(attributes["expires"]) if "expires" in attributes else None
    return None if date is None else max(date, 0)


# A plus is allowed, as in Python's int() and so in aiohttp; the quotes above are, as in curl.
_SECONDS = re.compile(r"[+-]?[0-9]+")
# RFC 6265bis s.5.1.1: these end a token; a token that begins like a time is the time, and so on.
_DELIMITERS = re.compile(r"[\x09\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")
_NAMES = "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}


def parse_date(text: str) -> int | None:
    """Return the Unix time of a cookie date (RFC 6265bis s.5.1.1); None if it is no date."""
    clock = day = month = year = None
    for token in _DELIMITERS.split(text):
        if clock is None and (found := _TIME.match(token)):
            clock = [int(part) for part in found.groups()]
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and token[:3].lower() in _MONTHS:
            month = _MONTHS[token[:3].lower()]
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
    if clock is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    if year < 1601:
        return None
    try:
        hour, minute, second = clock
        date = dt.datetime(year, month, day, hour, minute, second, tzinfo=dt.UTC)
    except ValueError:
        return None
    return int(date.timestamp())


def _domain_of(domain: str) -> str | None:
    """Return the host of a Domain attribute without its leading dot; "" for no host, None if it is invalid."""
    domain = domain.removeprefix(".").lower()
    if not domain.isascii():
        try:
            domain = URL(scheme="http", host=domain).raw_host.decode("ascii")
        except InvalidURL:
            return None
    return domain if not domain or all(domain.split(".")) else None


# The characters of paths that the standard library does not escape.
_PATH_SAFE = "%/;:@&=+$,!~*'()"
_ESCAPED = re.compile(r"%[0-9a-fA-F]{2}")


def normal_path(path: str) -> str:
    """Return a path in the normal form of cookies: escaped, in one spelling."""
    path = quote(path, _PATH_SAFE)
    return _ESCAPED.sub(lambda found: found[0].upper(), path) if "%" in path else path


def _default_path(path: str) -> str:
    """Return the default path of a URL's path (RFC 6265bis s.5.1.4)."""
    return path[: path.rfind("/")] or "/"


def may_set(cookie: Cookie, place: Place) -> bool:
    """Return whether a response from `place` may set this cookie (RFC 6265bis s.5.7).

    If the cookie's domain equals the host and is an IP address or a public suffix, the cookie becomes host-only.
    """
    if cookie.domain_specified:
        domain = cookie.domain[1:]
        # The name "host.local" of a host without a dot is the host's own, as applications in tests have it.
        if place.is_address or is_public_suffix(domain) or domain == place.effective_host != place.host:
            if domain not in (place.host, place.effective_host):
                return False
            cookie.domain = place.effective_host
            cookie.domain_specified = False
        elif place.host != domain and not place.host.endswith(cookie.domain):
            return False
    return _keeps_its_prefix(cookie, place)


def _keeps_its_prefix(cookie: Cookie, place: Place) -> bool:
    """Return whether the cookie satisfies the `__Host-` or `__Secure-` prefix of its name (RFC 6265bis s.4.1.3)."""
    name = cookie.name.lower()
    is_host = name.startswith("__host-")
    if not is_host and not name.startswith("__secure-"):
        return True
    if cookie.value is None or not cookie.secure or not (place.is_secure or place.is_loopback):
        return False
    return not is_host or (not cookie.domain_specified and cookie.path_specified and cookie.path == "/")


def is_public_suffix(domain: str) -> bool:
    """Return whether anybody may register names below `domain`, so that it must not have cookies.

    A single label always is one. With the package `publicsuffixlist` the names on that list are too, such as "co.uk".
    """
    return "." not in domain or _listed()(domain)


@functools.cache
def _listed() -> Callable[[str], bool]:
    try:
        from publicsuffixlist import PublicSuffixList

        listed: Callable[[str], bool] = PublicSuffixList().is_public
    except (ImportError, OSError):
        return lambda domain: False
    return listed


def fits(cookie: Cookie, place: Place, now: float) -> bool:
    """Return whether to send this cookie, whose domain is a suffix of the host, to `place` (RFC 6265bis s.5.8.3)."""
    return misfit(cookie, place, now) is None


def misfit(cookie: Cookie, place: Place, now: float) -> str | None:
    """Return why this cookie, whose domain is a suffix of the host, is not sent to `place`; None if it is."""
    if cookie.expires is not None and cookie.expires <= now:
        return "it has expired"
    # To this machine itself nobody on the way reads along; browsers and curl send them.
    if cookie.secure and not (place.is_secure or place.is_loopback):
        return "it is for https only"
    domain = cookie.domain
    # Only a user can set a cookie without a domain; it is sent to all hosts.
    if domain and not cookie.domain_specified and domain not in (place.effective_host, place.host):
        return "it is for the host that set it, not for its subdomains"
    if cookie.port and place.port not in cookie.port.split(","):
        return "it is for another port"
    return None if path_fits(cookie.path, place.path) else "it is for another path"


def path_fits(path: str, requested: str) -> bool:
    """Return whether a cookie's path matches the path of a request (RFC 6265bis s.5.1.4)."""
    if not requested.startswith(path):
        return False
    return len(requested) == len(path) or path.endswith("/") or requested[len(path)] == "/"


def is_shadowed(cookie: Cookie, secure: list[Cookie]) -> bool:
    """Return whether a cookie received without TLS would hide a cookie of `secure` (RFC 6265bis s.5.7)."""
    domain = f".{cookie.domain.removeprefix('.')}"
    for other in secure:
        theirs = f".{other.domain.removeprefix('.')}"
        if (domain.endswith(theirs) or theirs.endswith(domain)) and path_fits(other.path, cookie.path):
            return True
    return False


def serialized(cookie: Cookie) -> str:
    """Return the cookie as a Cookie field contains it; quotes are part of a value (RFC 6265bis s.5.8.3)."""
    value: Any = cookie.value
    return cookie.name if value is None else f"{cookie.name}={value}"
