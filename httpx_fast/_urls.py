"""`URL`, `Origin` and `QueryParams`, the public classes for URLs. All three are immutable.

`_urlparse` implements the syntax. A new URL must cost little: a single match parses the common plain one, and derived
parts are computed on first access and then kept, above all `raw_path`, `netloc` and `_origin`, which the transport
needs for every request.
"""

from __future__ import annotations

import warnings
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from typing import Any, NamedTuple, Self, TypeAlias, Union, cast

from ._exceptions import HTTPXDeprecationWarning, InvalidURL
from ._kernel.constants import MAX_URL_LENGTH
from ._kernel.select import primitive_value_to_str, split_url, urlencode
from ._masking import with_masked_query
from ._origin import DEFAULT_PORTS
from ._origin import Origin as Endpoint
from ._pairs import check_pairs
from ._urlparse import (
    PLAIN_TARGET,
    ParseResult,
    decode_host,
    masked,
    replaced,
    resolved,
    urlparse,
)

__all__ = ["URL", "Origin", "QueryParams"]

PrimitiveData: TypeAlias = str | int | float | bool | None
URLTypes: TypeAlias = Union["URL", str]
QueryParamTypes: TypeAlias = Union[
    "QueryParams",
    Mapping[str, PrimitiveData | Sequence[PrimitiveData]],
    # Not list, which is invariant: a list[tuple[str, str]] would not match.
    Sequence[tuple[str, PrimitiveData]],
    str,
    bytes,
]

_KEYWORDS: dict[str, type] = {
    "scheme": str,
    "username": str,
    "password": str,
    "userinfo": bytes,
    "host": str,
    "port": int,
    "netloc": bytes,
    "path": str,
    "query": bytes,
    "raw_path": bytes,
    "fragment": str,
    "params": object,
}


class RawURL(NamedTuple):
    """Hold the parts that the deprecated `URL.raw` returns."""

    raw_scheme: bytes
    raw_host: bytes
    port: int | None
    raw_path: bytes


class URL:
    """Represent a URL, parsed, normalised and checked. Raises InvalidURL.

    Keywords replace parts of `url`: `scheme`, `username`, `password`, `host`, `path`, `fragment` as text (escaped as
    needed), `userinfo`, `netloc`, `query`, `raw_path` as bytes that are escaped already, `port` as a number, and
    `params` as anything that `QueryParams` takes. None and empty values remove a part.

    ```python
    url = httpx.URL("https://www.example.org/a?b=1")
    assert (url.host, url.path, url.params["b"]) == ("www.example.org", "/a", "1")
    ```
    """

    __slots__ = (
        "__weakref__",
        "_fragment",
        "_host",
        "_netloc",
        "_path",
        "_port",
        "_query",
        "_raw_path",
        "_scheme",
        "_text",
        "_userinfo",
        "_where",
    )

    _scheme: str
    _userinfo: str
    _host: str
    _port: int | None
    _path: str
    _query: str | None
    _fragment: str | None
    _text: str | None
    _netloc: bytes | None
    _raw_path: bytes | None
    _where: Endpoint | None

    def __init__(self, url: URL | str = "", **kwargs: Any) -> None:
        if kwargs:
            if len(kwargs) == 1 and self._take_replaced(url, kwargs):
                return
        elif type(url) is str and self._take_plain(url):
            return
        self._take(self._parsed(url, kwargs))

    def _take_plain(self, text: str) -> bool:
        """Set the parts of a URL that the kernel parses. Returns False if the full parser is needed."""
        parts = split_url(text)
        if parts is None:
            return False
        scheme, self._host, port, self._path, self._query, self._fragment, same, self._raw_path = parts
        if port is not None and port == DEFAULT_PORTS[scheme]:
            port = same = None
        self._scheme = scheme
        self._port = port
        self._text = same
        self._userinfo = ""
        self._netloc = self._where = None
        return True

    def _take_replaced(self, url: URL | str, kwargs: dict[str, Any]) -> bool:
        """Set the parts of `url` with other params, or with a plain other `raw_path`: the common case of requests.

        Returns False if the full parser is needed.
        """
        if "params" in kwargs:
            params = kwargs["params"]
            query = encoded_params(params) if params else None
            if query is not None and len(query) > MAX_URL_LENGTH:
                return False
            if type(url) is not str:
                base = url if isinstance(url, URL) else URL(url)
            elif self._take_plain(url):
                self._query = query
                self._text = self._raw_path = None
                return True
            else:
                base = URL(url)
            path = base._path
        elif "raw_path" in kwargs and isinstance(url, URL) and url._host:
            base = url
            target = kwargs["raw_path"]
            if not isinstance(target, bytes) or len(target) > MAX_URL_LENGTH or b"/." in target:
                return False
            match = PLAIN_TARGET.fullmatch(target.decode("latin-1"))
            if match is None:
                return False
            path, query = match.groups()
        else:
            return False
        self._scheme, self._userinfo, self._host, self._port = base._scheme, base._userinfo, base._host, base._port
        self._path, self._query, self._fragment = path, query, base._fragment
        self._text = self._raw_path = None
        self._netloc, self._where = base._netloc, base._where
        return True

    def _take(self, parts: ParseResult) -> None:
        self._scheme, self._userinfo, self._host, self._port, self._path, self._query, self._fragment = parts
        self._text = self._netloc = self._raw_path = self._where = None

    @staticmethod
    def _parsed(url: URL | str, kwargs: dict[str, Any]) -> ParseResult:
        components = _components(kwargs) if kwargs else {}
        if isinstance(url, str):
            return urlparse(url, **components)
        if isinstance(url, URL):
            return replaced(url._uri_reference, **components) if components else url._uri_reference
        raise TypeError(f"expected a str or a URL, got {type(url).__name__}")

    @classmethod
    def _of(cls, parts: ParseResult) -> URL:
        url = cls.__new__(cls)
        url._take(parts)
        return url

    @property
    def _uri_reference(self) -> ParseResult:
        return ParseResult(
            self._scheme, self._userinfo, self._host, self._port, self._path, self._query, self._fragment
        )

    @property
    def _origin(self) -> Endpoint:
        """Return where to connect to: the host IDNA-encoded, addresses in one spelling; port 0 if unknown."""
        where = self._where
        if where is None:
            port = self._port
            where = self._where = Endpoint(
                self._scheme,
                self._host if ":" not in self._host else _one_spelling(self._host),
                DEFAULT_PORTS.get(self._scheme, 0) if port is None else port,
            )
        return where

    @property
    def scheme(self) -> str:
        """Return the scheme in lower case; "" in a relative URL."""
        return self._scheme

    @property
    def raw_scheme(self) -> bytes:
        """Return the scheme as bytes."""
        return self._scheme.encode("ascii")

    @property
    def userinfo(self) -> bytes:
        """Return user name and password as they stand in the URL, escaped: `b"jo%40example.org:secret"`."""
        return self._userinfo.encode("ascii")

    @property
    def username(self) -> str:
        """Return the user name, unescaped; "" if there is none."""
        return _unquoted(self._userinfo.partition(":")[0])

    @property
    def password(self) -> str:
        """Return the password, unescaped; "" if there is none."""
        return _unquoted(self._userinfo.partition(":")[2])

    @property
    def host(self) -> str:
        """Return the host in lower case, an internationalised name in Unicode, an IPv6 address without brackets."""
        host = self._host
        return decode_host(host) if "xn--" in host else host

    @property
    def raw_host(self) -> bytes:
        """Return the host as bytes, IDNA-encoded."""
        return self._host.encode("ascii")

    @property
    def port(self) -> int | None:
        """Return the port; None if there is none, or it is the default of http, https, ws, wss or ftp."""
        return self._port

    @property
    def netloc(self) -> bytes:
        """Return host and port as in a Host field: without the zone of an IPv6 address (RFC 6874 s.4)."""
        netloc = self._netloc
        if netloc is None:
            text = self._host
            if ":" in text:
                text = f"[{text.partition('%')[0]}]"
            if self._port is not None:
                text = f"{text}:{self._port}"
            netloc = self._netloc = text.encode("ascii")
        return netloc

    @property
    def path(self) -> str:
        """Return the path, unescaped; at least "/"."""
        path = self._path
        if "%" in path:
            return _unquoted(path)
        return path or "/"

    @property
    def query(self) -> bytes:
        """Return the query as it stands in the URL, escaped; `b""` if there is none."""
        return (self._query or "").encode("ascii")

    @property
    def params(self) -> QueryParams:
        """Return the query, parsed."""
        return QueryParams(self._query)

    @property
    def raw_path(self) -> bytes:
        """Return path and query as in a request target (RFC 9112 s.3.2.1)."""
        target = self._raw_path
        if target is None:
            path = self._path or "/"
            query = self._query
            target = self._raw_path = (path if query is None else f"{path}?{query}").encode("ascii")
        return target

    @property
    def fragment(self) -> str:
        """Return the fragment, unescaped; "" if there is none. It is never sent to a server."""
        return _unquoted(self._fragment or "")

    @property
    def is_absolute_url(self) -> bool:
        """Return whether the URL has a scheme and a host, so that one could connect."""
        return bool(self._scheme and self._host)

    @property
    def is_relative_url(self) -> bool:
        """Return whether the scheme or the host is missing."""
        return not self.is_absolute_url

    @property
    def origin(self) -> Origin:
        """Return scheme, host and port, the port filled in. Raises ValueError for a relative URL."""
        return Origin(self)

    @property
    def raw(self) -> RawURL:
        """Return the parts as bytes. Deprecated: use `raw_scheme`, `raw_host`, `port` and `raw_path`."""
        warnings.warn(
            "URL.raw is deprecated, use raw_scheme, raw_host, port and raw_path",
            HTTPXDeprecationWarning,
            stacklevel=2,
        )
        return RawURL(self.raw_scheme, self.raw_host, self.port, self.raw_path)

    def copy_with(self, **kwargs: Any) -> URL:
        """Return this URL with parts replaced; the keywords are those of the constructor."""
        return URL(self, **kwargs)

    def copy_set_param(self, key: str, value: Any = None) -> URL:
        """Return this URL with `key` set to `value` in its query."""
        return self.copy_with(params=self.params.set(key, value))

    def copy_add_param(self, key: str, value: Any = None) -> URL:
        """Return this URL with one more `value` of `key` in its query."""
        return self.copy_with(params=self.params.add(key, value))

    def copy_remove_param(self, key: str) -> URL:
        """Return this URL without `key` in its query."""
        return self.copy_with(params=self.params.remove(key))

    def copy_merge_params(self, params: QueryParamTypes) -> URL:
        """Return this URL with `params` set in its query."""
        return self.copy_with(params=self.params.merge(params))

    def join(self, url: URL | str) -> URL:
        """Return the target of the link `url` in a document at this URL (RFC 3986 s.5.2).

        ```python
        assert httpx.URL("https://www.example.org/a/b").join("../c") == "https://www.example.org/c"
        ```
        """
        reference = url if isinstance(url, URL) else URL(url)
        return URL._of(resolved(self._uri_reference, reference._uri_reference))

    def __hash__(self) -> int:
        return hash(str(self))

    def __eq__(self, other: object) -> bool:
        if isinstance(other, str):
            try:
                other = URL(other)
            except InvalidURL:
                return False
        return isinstance(other, URL) and str(self) == str(other)

    def __str__(self) -> str:
        text = self._text
        if text is None:
            text = self._text = str(self._uri_reference)
        return text

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._masked()!r})"

    def _masked(self) -> str:
        """Return the text for messages: without secrets in the query, the password, or a user name that is a token."""
        if not self._host:
            return with_masked_query(masked(str(self)))
        userinfo = self._userinfo
        if not userinfo:
            return with_masked_query(str(self))
        parts = self._uri_reference
        user, _, password = userinfo.partition(":")
        shown = f"{user}:[secure]@{parts.netloc}" if password else f"[secure]@{parts.netloc}"
        return with_masked_query(parts.unsplit(shown))

    def __reduce__(self) -> tuple[Any, ...]:
        # From parts, since text would have to be parsed again.
        return _restored, (type(self), tuple(self._uri_reference))


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote

    return unquote(text)


def _one_spelling(address: str) -> str:
    """Return an IPv6 address as all its spellings are written."""
    from ipaddress import IPv6Address

    return str(IPv6Address(address))


def _restored(cls: type[URL], parts: tuple[Any, ...]) -> URL:
    return cls._of(ParseResult(*parts))


def _components(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Check the types of the keywords of `URL` and return them as `_urlparse` takes them."""
    components: dict[str, Any] = {}
    for key, value in kwargs.items():
        if key not in _KEYWORDS:
            raise TypeError(f"{key!r} is no part of a URL; expected one of {', '.join(_KEYWORDS)}")
        if value is not None and not isinstance(value, _KEYWORDS[key]):
            raise TypeError(f"expected {_KEYWORDS[key].__name__} for the URL's {key}, got {type(value).__name__}")
        if isinstance(value, bytes) and key != "params":
            if not value.isascii():
                raise InvalidURL(f"expected ASCII bytes as the URL's {key}: bytes are taken as escaped already")
            value = value.decode("ascii")
        components[key] = value
    if "params" in components:
        # Without params there is no "?" either.
        params = components.pop("params")
        components["query"] = encoded_params(params) if params else None
    return components


def encoded_params(params: Any) -> str:
    """Return `str(QueryParams(params))`, of the usual dict without making one."""
    if params.__class__ is dict:
        encoded = urlencode(params.items())
        if encoded is not None:
            return encoded
    return str(QueryParams(params))


def primitive_values_to_str(value: object) -> list[str]:
    """Return the texts of one name: one for each item of a list or tuple, else one."""
    if isinstance(value, (list, tuple)):
        return [primitive_value_to_str(each) for each in cast("Iterable[object]", value)]
    return [primitive_value_to_str(value)]


class Origin(Endpoint):
    """Represent the origin of an absolute URL (RFC 9110 s.4.3.1): scheme, host in Unicode, and port.

    The port is always filled in: 0 if the URL has none and its scheme has no default. Raises ValueError for a relative
    URL.
    """

    __slots__ = ()

    def __new__(cls, url: URL | str) -> Self:
        if not isinstance(url, URL):
            url = URL(url)
        if url.is_relative_url:
            raise ValueError(f"expected an absolute URL, which has an origin, got {url!r}")
        _, host, port = url._origin
        return cls._make((url.scheme, host if ":" in host else url.host, port))

    def __reduce__(self) -> tuple[Any, ...]:
        return self._make, (tuple(self),)


class QueryParams(Mapping[str, str]):
    """Represent the names and values of a query, in order; names may repeat.

    Takes the query's text or bytes, pairs, a mapping to values or lists of values, or keywords. Values may be str,
    bool ("true", "false"), None (""), numbers, or anything else that `str()` converts.

    ```python
    assert str(httpx.QueryParams({"q": "a b", "tag": ["x", "y"]})) == "q=a+b&tag=x&tag=y"
    ```
    """

    __slots__ = ("_dict",)

    _dict: dict[str, list[str]]  # lists are shared between copies, so never changed

    def __init__(self, *args: QueryParamTypes | None, **kwargs: Any) -> None:
        if len(args) > 1 or (args and kwargs):
            raise TypeError("expected one positional argument, or keywords, not both")
        value = args[0] if args else kwargs
        if isinstance(value, bytes):
            value = value.decode("ascii")
        if value is None or value == "":
            self._dict = {}
        elif isinstance(value, str):
            from urllib.parse import parse_qs

            self._dict = parse_qs(value, keep_blank_values=True)
        elif isinstance(value, QueryParams):
            self._dict = value._dict
        elif isinstance(value, Mapping):
            self._dict = {str(k): primitive_values_to_str(v) for k, v in value.items()}
        else:
            self._dict = {}
            try:
                for key, item in value:
                    self._dict.setdefault(str(key), []).append(primitive_value_to_str(item))
            except (TypeError, ValueError):
                check_pairs(value, "params")
                raise

    @classmethod
    def _of(cls, values: dict[str, list[str]]) -> QueryParams:
        params = cls()
        params._dict = values
        return params

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self._dict),), getattr(self, "__dict__", None) or None

    def keys(self) -> KeysView[str]:
        """Return the names, each once."""
        return self._dict.keys()

    def values(self) -> ValuesView[str]:
        """Return the first value of each name."""
        return {k: v[0] for k, v in self._dict.items() if v}.values()

    def items(self) -> ItemsView[str, str]:
        """Return each name with its first value."""
        return {k: v[0] for k, v in self._dict.items() if v}.items()

    def multi_items(self) -> list[tuple[str, str]]:
        """Return each name with each of its values; the values of one name stand together."""
        return [(k, item) for k, v in self._dict.items() for item in v]

    def get(self, key: Any, default: Any = None) -> Any:
        """Return the first value of `key`, or `default`."""
        values = self._dict.get(key)
        return values[0] if values else default

    def get_list(self, key: str) -> list[str]:
        """Return all values of `key`."""
        return list(self._dict.get(str(key), ()))

    def set(self, key: str, value: Any = None) -> QueryParams:
        """Return a copy in which `key` has `value` and no other."""
        return self._of({**self._dict, str(key): [primitive_value_to_str(value)]})

    def add(self, key: str, value: Any = None) -> QueryParams:
        """Return a copy in which `key` has `value` too."""
        return self._of({**self._dict, str(key): [*self.get_list(key), primitive_value_to_str(value)]})

    def remove(self, key: str) -> QueryParams:
        """Return a copy without `key`."""
        return self._of({k: v for k, v in self._dict.items() if k != str(key)})

    def merge(self, params: QueryParamTypes | None = None) -> QueryParams:
        """Return a copy in which the values of `params` replace those of the same names."""
        return self._of({**self._dict, **QueryParams(params)._dict})

    def __getitem__(self, key: Any) -> str:
        values = self._dict[key]
        if not values:
            raise KeyError(key)
        return values[0]

    def __contains__(self, key: Any) -> bool:
        return key in self._dict

    def __iter__(self) -> Iterator[Any]:
        return iter(self._dict)

    def __len__(self) -> int:
        return len(self._dict)

    def __bool__(self) -> bool:
        return bool(self._dict)

    def __hash__(self) -> int:
        return hash(tuple(sorted(self.multi_items())))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, QueryParams):
            return False
        return self._dict == other._dict or sorted(self.multi_items()) == sorted(other.multi_items())

    def __str__(self) -> str:
        encoded = urlencode(self._dict.items())
        if encoded is None:  # `__str__` of a name returned an instance of a subclass
            encoded = urlencode([(str.__str__(name), values) for name, values in self._dict.items()])
        return cast("str", encoded)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"

    def update(self, params: QueryParamTypes | None = None) -> None:
        """Raise RuntimeError: query parameters are immutable."""
        raise RuntimeError("query parameters are immutable: use `params = params.merge(...)`")

    def __setitem__(self, key: str, value: str) -> None:
        raise RuntimeError("query parameters are immutable: use `params = params.set(key, value)`")
