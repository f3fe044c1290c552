"""The types that the interface's signatures name, and the two classes of bodies that users may write themselves.

Nothing of it does anything at run time, but for the two base classes.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeVar, Union

if TYPE_CHECKING:
    from http.cookiejar import CookieJar

    from ._auth import Auth
    from ._config import Proxy, Timeout
    from ._models import Cookies, Headers, Request
    from ._urls import URL, QueryParams

__all__ = ["AsyncByteStream", "SyncByteStream"]

AnyStr = TypeVar("AnyStr", bytes, str)

PrimitiveData: TypeAlias = str | int | float | bool | None

URLTypes: TypeAlias = Union["URL", str]

QueryParamTypes: TypeAlias = Union[
    "QueryParams",
    Mapping[str, PrimitiveData | Sequence[PrimitiveData]],
    # Not list, of which a variable that is a list[tuple[str, str]] would be none.
    Sequence[tuple[str, PrimitiveData]],
    str,
    bytes,
]

HeaderTypes: TypeAlias = Union[
    "Headers",
    Mapping[str, str],
    Mapping[bytes, bytes],
    Sequence[tuple[str, str]],
    Sequence[tuple[bytes, bytes]],
]

CookieTypes: TypeAlias = Union["Cookies", "CookieJar", Mapping[str, str], Sequence[tuple[str, str]]]

#: Seconds for all phases, or for connect, read, write and pool.
TimeoutTypes: TypeAlias = Union["Timeout", tuple[float | None, float | None, float | None, float | None], float, None]
ProxyTypes: TypeAlias = Union["URL", str, "Proxy"]
#: A file of certificate and key, or two files, or two files and the key's password.
CertTypes: TypeAlias = str | tuple[str, str] | tuple[str, str, str]

AuthTypes: TypeAlias = Union[tuple[str | bytes, str | bytes], Callable[["Request"], "Request"], "Auth"]

RequestContent: TypeAlias = str | bytes | bytearray | memoryview | Iterable[bytes] | AsyncIterable[bytes]
ResponseContent: TypeAlias = RequestContent
RequestData: TypeAlias = Mapping[str, Any]
RequestExtensions: TypeAlias = Mapping[str, Any]
ResponseExtensions: TypeAlias = Mapping[str, Any]

FileContent: TypeAlias = IO[bytes] | bytes | str
#: A file, or its name and itself, then its media type, then its part's other fields.
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles: TypeAlias = Mapping[str, FileTypes] | Sequence[tuple[str, FileTypes]]


class SyncByteStream:
    """A body that blocking code reads: subclasses yield its bytes from `__iter__`."""

    def __iter__(self) -> Iterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__ method")

    def close(self) -> None:
        """Called once the body is not needed any more, read or not."""


class AsyncByteStream:
    """A body that asynchronous code reads: subclasses yield its bytes from `__aiter__`."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise NotImplementedError(f"{type(self).__name__} has no __aiter__ method")

    async def aclose(self) -> None:
        """Called once the body is not needed any more, read or not."""
