"""The types in signatures, under httpx's module name: each is defined beside its class."""

from __future__ import annotations

from ._auth import AuthTypes
from ._byte_streams import AsyncByteStream, SyncByteStream
from ._chunkers import AnyStr
from ._config import ProxyTypes, TimeoutTypes
from ._content import RequestContent, ResponseContent
from ._models.cookies import CookieTypes
from ._models.headers import HeaderTypes
from ._models.request import RequestExtensions
from ._models.response import ResponseExtensions
from ._multipart import FileContent, FileTypes, RequestData, RequestFiles
from ._trust import CertTypes
from ._urls import PrimitiveData, QueryParamTypes, URLTypes

__all__ = [
    "AnyStr",
    "AsyncByteStream",
    "AuthTypes",
    "CertTypes",
    "CookieTypes",
    "FileContent",
    "FileTypes",
    "HeaderTypes",
    "PrimitiveData",
    "ProxyTypes",
    "QueryParamTypes",
    "RequestContent",
    "RequestData",
    "RequestExtensions",
    "RequestFiles",
    "ResponseContent",
    "ResponseExtensions",
    "SyncByteStream",
    "TimeoutTypes",
    "URLTypes",
]
