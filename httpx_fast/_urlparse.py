"""The syntax of URLs: RFC 3986 defines the parts, WHATWG's percent-encode sets define what is escaped in each.

It parses text into seven parts, and does not know the public class `URL`. Its rules:

1. Parts are normalised once, here: scheme and host in lower case, host IDNA-encoded, default port dropped, dot segments
   removed, characters outside a part's set escaped. Escaped characters stay as given, "%" included, so a signed query
   arrives at the server byte for byte.
2. A missing query or fragment is None; an empty one is "".
3. Invalid text raises `InvalidURL`, whose message shows what was seen and what was expected, but never userinfo, nor
   more than `MAX_SHOWN` characters.
4. The kernel's `split_url` parses plain URLs; all others need the full parser, `urlparse`.
"""

from __future__ import annotations

import codecs
import re
from importlib import import_module
from typing import NamedTuple, TypeAlias

from ._exceptions import MAX_SHOWN, InvalidURL
from ._kernel.constants import FRAGMENT_CHARACTERS, MAX_PORT, MAX_URL_LENGTH, PATH_CHARACTERS, QUERY_CHARACTERS
from ._masking import with_masked_query
from ._origin import DEFAULT_PORTS
from ._patterns import pattern, unlike

_PORT_DIGITS = 16  # leading zeros are allowed; int() of very long texts costs quadratic time

_Parts: TypeAlias = dict[str, str | int | None]

#: The schemes whose default port is left out of a URL (WHATWG URL s.3.1, "special scheme").
SPECIAL_SCHEMES = frozenset(("ftp", "http", "https", "ws", "wss"))

#: Matches path and query in their normal form, except for dot segments. Groups: path, query.
PLAIN_TARGET = pattern(r"(/[!$-;=@-_a-z|~]*)(?:\?([!$-;=?-~]*))?")

# The grammar of RFC 3986 appendix B. An empty scheme before "://" is allowed: mount patterns and users of httpx
# write "://example.com" for "any scheme".
_REFERENCE = pattern(
    r"(?:([a-zA-Z][a-zA-Z0-9+.-]*):|:(?=//))?"
    r"(?://([^/?#]*))?"
    r"([^?#]*)"
    r"(?:\?([^#]*))?"
    r"(?:#(.*))?",
    re.DOTALL,
)
_HOST_AND_PORT = pattern(r"(\[.*\]|[^:\[\]]*)(?::(.*))?", re.DOTALL)
_UNPRINTABLE = pattern(r"[\x00-\x1f\x7f]")
_IPV4_SHAPE = pattern(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+")

#: The pattern of each component that is given by keyword, and its description for messages.
_COMPONENTS = {
    "scheme": (pattern(r"(?:[a-zA-Z][a-zA-Z0-9+.-]*)?"), "a letter, then letters, digits, '+', '-' and '.'"),
    "userinfo": (pattern(r"[^@]*", re.DOTALL), "no '@'"),
    "host": (pattern(r"\[.*\]|[^:]*", re.DOTALL), "a name, an IPv4 address or an IPv6 address"),
    "port": (pattern(r".*", re.DOTALL), "digits"),
    "path": (pattern(r"[^?#]*", re.DOTALL), "neither '?' nor '#'"),
    "query": (pattern(r"[^#]*", re.DOTALL), "no '#'"),
    "fragment": (pattern(r".*", re.DOTALL), "anything"),
}

# WHATWG URL s.1.3; each set extends the one before. "%" is in none of them: see rule 1.
_FRAGMENT_UNSAFE = unlike(FRAGMENT_CHARACTERS)
_QUERY_UNSAFE = unlike(QUERY_CHARACTERS)
_PATH_UNSAFE = unlike(PATH_CHARACTERS)
_USERINFO_UNSAFE = pattern("[^!$-.0-:A-Z_a-z~]+")
_CREDENTIAL_UNSAFE = pattern("[^!$-.0-9A-Z_a-z~]+")
# RFC 3986 s.3.2.2 (reg-name), and further characters that browsers do not escape in a host.
_HOST_UNSAFE = pattern(r'[^!"$-.0-9;=A-Z\\_`a-~]+')


class ParseResult(NamedTuple):
    """Hold the parts of a URL, normalised; an IPv6 host without its brackets."""

    scheme: str
    userinfo: str
    host: str
    port: int | None
    path: str
    query: str | None
    fragment: str | None

    @property
    def netloc(self) -> str:
        """Return host and port as in a Host field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def authority(self) -> str:
        """Return userinfo, host and port."""
        return f"{self.userinfo}@{self.netloc}" if self.userinfo else self.netloc

    def __str__(self) -> str:
        return self.unsplit(self.authority)

    def unsplit(self, authority: str) -> str:
        """Return the URL as text, with `authority` in place of its own (RFC 3986 s.5.3)."""
        text = f"{self.scheme}:" if self.scheme else ""
        if authority:
            text += f"//{authority}"
        elif self.path.startswith("//"):
            text += "//"  # else the path would begin with an authority
        text += self.path
        if self.query is not None:
            text += f"?{self.query}"
        return text if self.fragment is None else f"{text}#{self.fragment}"


def urlparse(url: str = "", **components: str | int | None) -> ParseResult:
    """Parse `url`, and replace parts by the keywords of their names. Raises InvalidURL.

    Keywords are the names of the parts, and `username`, `password`, `netloc` and `raw_path`.
    """
    parts = _split(url)
    if components:
        parts.update(_checked(components))
    return _normalised(parts)


def replaced(base: ParseResult, **components: str | int | None) -> ParseResult:
    """Return `base` with the parts in keywords replaced, as `urlparse` takes them. Raises InvalidURL."""
    parts = _taken_apart(base)
    parts.update(_checked(components))
    return _normalised(parts)


def resolved(base: ParseResult, reference: ParseResult) -> ParseResult:
    """Resolve `reference` against `base` (RFC 3986 s.5.2.2). Raises InvalidURL."""
    has_authority = reference.authority != ""
    # "http:page" counts as relative to http URLs: s.5.2.2 allows it, and browsers do it. Of other schemes ("urn:a:b",
    # "data:...") it is a URL of its own.
    relative = reference.scheme == base.scheme and not has_authority and base.scheme in SPECIAL_SCHEMES
    if reference.scheme and not relative:
        return reference
    parts = _taken_apart(reference if has_authority else base)
    parts["scheme"] = base.scheme
    parts["query"] = reference.query
    parts["fragment"] = reference.fragment
    if not has_authority:
        if not reference.path:
            parts["query"] = base.query if reference.query is None else reference.query
        elif reference.path.startswith("/"):
            parts["path"] = without_dot_segments(reference.path)
        else:
            # s.5.2.3: everything after the last slash of the base is removed.
            directory = base.path[: base.path.rfind("/") + 1]
            if not base.path and base.authority:
                directory = "/"
            parts["path"] = without_dot_segments(directory + reference.path)
    return _normalised(parts)


def without_dot_segments(path: str) -> str:
    """Apply and remove "." and ".." (RFC 3986 s.5.2.4): "/a/b/../c/." is "/a/c/"."""
    if "." not in path:
        return path
    segments = path.split("/")
    if "." not in segments and ".." not in segments:
        return path
    kept: list[str] = []
    for segment in segments:
        if segment == "..":
            if kept and kept != [""]:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


_idna_is_loaded = False


def load_idna() -> None:
    """Import the package for international host names; call it before a response may bring such a name."""
    global _idna_is_loaded
    if _idna_is_loaded:
        return
    import_module("idna")  # takes as long to import as a tenth of this package
    codecs.lookup("punycode")  # a module that idna uses without importing it
    _idna_is_loaded = True


def decode_host(host: str) -> str:
    """Return an IDNA-encoded host in Unicode; a label that cannot be decoded is unchanged."""
    import idna

    labels = host.split(".")
    for i, label in enumerate(labels):
        if label.startswith("xn--"):
            try:
                labels[i] = idna.decode(label)
            except UnicodeError:
                pass
    return ".".join(labels)


def _split(url: str) -> _Parts:
    """Split text into its parts, unchanged, the host in its brackets."""
    if len(url) > MAX_URL_LENGTH:
        raise InvalidURL(f"the URL has {len(url)} characters, the limit is {MAX_URL_LENGTH}")
    _refuse_unprintable(url, "URL")
    match = _REFERENCE.fullmatch(url)
    assert match is not None  # each part may be empty, and the last one takes the rest
    scheme, authority, path, query, fragment = match.groups()
    parts = _split_authority(authority or "")
    parts.update(scheme=scheme, path=path, query=query, fragment=fragment)
    return parts


def _split_authority(authority: str) -> _Parts:
    # The last "@" ends the userinfo, as in browsers.
    userinfo, mark, rest = authority.rpartition("@")
    match = _HOST_AND_PORT.fullmatch(rest)
    if match is None:
        raise InvalidURL(f"expected a host, or a host, ':' and a port, in the URL, got {shown(rest)}")
    return {"userinfo": userinfo if mark else None, "host": match[1], "port": match[2]}


def _taken_apart(result: ParseResult) -> _Parts:
    parts: _Parts = result._asdict()
    if ":" in result.host:
        parts["host"] = f"[{result.host}]"
    return parts


def _checked(components: _Parts) -> _Parts:
    """Return the keywords as parts, each checked by itself, so that none can change another."""
    parts = dict(components)
    if "netloc" in parts:
        authority = _split_authority(str(parts.pop("netloc") or ""))
        if authority["userinfo"] is not None:
            raise InvalidURL("expected a host, or a host, ':' and a port, as the URL's netloc, got userinfo too")
        parts["host"], parts["port"] = authority["host"], authority["port"]
    if "username" in parts or "password" in parts:
        username = escape(str(parts.pop("username", None) or ""), _CREDENTIAL_UNSAFE)
        password = escape(str(parts.pop("password", None) or ""), _CREDENTIAL_UNSAFE)
        parts["userinfo"] = f"{username}:{password}" if password else username
    if "raw_path" in parts:
        path, mark, query = str(parts.pop("raw_path") or "").partition("?")
        parts["path"], parts["query"] = path, query if mark else None
    host = parts.get("host")
    if isinstance(host, str) and ":" in host and not host.startswith("["):
        parts["host"] = f"[{host}]"
    for name, value in parts.items():
        if value is not None:
            _check_component(name, str(value))
    return parts


def _check_component(name: str, text: str) -> None:
    allowed, expected = _COMPONENTS[name]
    if len(text) > MAX_URL_LENGTH:
        raise InvalidURL(f"the URL's {name} has {len(text)} characters, the limit is {MAX_URL_LENGTH}")
    _refuse_unprintable(text, f"URL's {name}")
    if allowed.fullmatch(text) is None:
        seen = "" if name == "userinfo" else f", got {shown(text)}"
        raise InvalidURL(f"expected {expected} as the URL's {name}{seen}")


def _refuse_unprintable(text: str, what: str) -> None:
    match = _UNPRINTABLE.search(text)
    if match is not None:
        raise InvalidURL(
            f"expected printable characters in the {what}, got {match[0]!r} at position {match.start()}; "
            "percent-encode it, or strip it if it came with the text"
        )


def _normalised(parts: _Parts) -> ParseResult:
    scheme = str(parts["scheme"] or "").lower()
    userinfo = escape(str(parts["userinfo"] or ""), _USERINFO_UNSAFE)
    host = _encode_host(str(parts["host"] or ""))
    port = _normal_port(parts["port"], scheme)
    path, query, fragment = str(parts["path"] or ""), parts["query"], parts["fragment"]
    has_authority = host != "" or userinfo != "" or port is not None
    if scheme or has_authority:
        path = without_dot_segments(path)
    _check_path(path, scheme, has_authority)
    return ParseResult(
        scheme,
        userinfo,
        host,
        port,
        escape(path, _PATH_UNSAFE),
        None if query is None else escape(str(query), _QUERY_UNSAFE),
        None if fragment is None else escape(str(fragment), _FRAGMENT_UNSAFE),
    )


#: Without a scheme, and in these, a path that begins with "//" is meant to be a host by whoever wrote it.
_NEED_HOST = frozenset({"", "http", "https", "ws", "wss"})


def _check_path(path: str, scheme: str, has_authority: bool) -> None:
    """Raise for a path that would be parsed as another part in the URL's text (RFC 3986 s.3.3)."""
    if has_authority:
        if path and not path.startswith("/"):
            raise InvalidURL(f"expected a path that begins with '/' in a URL with a host, got {shown(path)}")
    elif path.startswith("//") and scheme in _NEED_HOST:
        raise InvalidURL(f"expected a host, or a path that does not begin with '//', in the URL, got {shown(path)}")
    elif path.startswith(":") and not scheme:
        raise InvalidURL(f"expected a relative path that does not begin with ':', got {shown(path)}")


def _encode_host(host: str) -> str:
    """Return a name or address in the form for the resolver and the Host field."""
    if host.startswith("["):
        return _checked_ipv6(host)
    if _IPV4_SHAPE.fullmatch(host):
        import ipaddress  # few URLs have addresses

        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise InvalidURL(
                f"expected an IPv4 address of four numbers from 0 to 255 as host, got {shown(host)}"
            ) from None
        return host
    if host.isascii():
        return escape(host.lower(), _HOST_UNSAFE)
    import idna

    try:
        return idna.encode(host.lower()).decode("ascii")
    except UnicodeError as error:
        raise InvalidURL(f"expected an internationalised host name (IDNA 2008), got {shown(host)}: {error}") from error


def _checked_ipv6(host: str) -> str:
    """Check the address in the brackets (RFC 3986 s.3.2.2) and return it, spelled as it was given."""
    import ipaddress

    address = host[1:-1]
    try:
        ipaddress.IPv6Address(address)
    except ValueError:
        address = ""
    if not address.isascii() or not address:
        raise InvalidURL(f"expected an IPv6 address in the brackets of the host, got {shown(host)}")
    return address


def _normal_port(port: str | int | None, scheme: str) -> int | None:
    """Return the number of a port; None if there is none, or it is the default of the scheme."""
    if port is None or port == "":
        return None
    text = str(port)
    # str.isdigit() is true for other scripts' digits too, and int() accepts signs, blanks and underscores.
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= _PORT_DIGITS else -1
    if not 0 <= number <= MAX_PORT:
        raise InvalidURL(f"expected a number from 0 to {MAX_PORT} as the URL's port, got {shown(text)}")
    return None if scheme in SPECIAL_SCHEMES and number == DEFAULT_PORTS[scheme] else number


def escape(text: str, unsafe: re.Pattern[str]) -> str:
    """Percent-encode what `unsafe` matches, as UTF-8."""
    if unsafe.search(text) is None:
        return text
    try:
        return unsafe.sub(_percent_encoded, text)
    except UnicodeEncodeError as error:
        raise InvalidURL(f"expected text that UTF-8 can encode in the URL, got {error.object[error.start]!r}") from None


def _percent_encoded(match: re.Match[str]) -> str:
    return "".join([f"%{byte:02X}" for byte in match[0].encode("utf-8")])


# User info of an invalid URL: up to the last "@" of the first segment, after a scheme and slashes.
_MEANT_AS_USERINFO = pattern(r"(\[?(?:[A-Za-z][A-Za-z0-9+.-]*:(?=/))?/*)[^/?#]+@")


def masked(text: str) -> str:
    """Remove possible user info from text that is no URL, or has no host."""
    return _MEANT_AS_USERINFO.sub(r"\1[secure]@", text, count=1) if _MEANT_AS_USERINFO.match(text) else text


def shown(text: str) -> str:
    """Return the repr of at most `MAX_SHOWN` characters, without possible user info and secrets in the query."""
    text = with_masked_query(masked(text))
    return repr(text[:MAX_SHOWN]) + ("..." if len(text) > MAX_SHOWN else "")
