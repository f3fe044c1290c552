"""The transports. What speaks to the network is imported when the first client or caller asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .base import AsyncBaseTransport, BaseTransport
from .mock import MockTransport

if TYPE_CHECKING:
    from .asgi import ASGITransport
    from .default import AsyncHTTPTransport, HTTPTransport
    from .wsgi import WSGITransport

__all__ = [
    "ASGITransport",
    "AsyncBaseTransport",
    "AsyncHTTPTransport",
    "BaseTransport",
    "HTTPTransport",
    "MockTransport",
    "WSGITransport",
]

_MODULES = {
    "ASGITransport": "asgi",
    "AsyncHTTPTransport": "default",
    "HTTPTransport": "default",
    "WSGITransport": "wsgi",
}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        module = _MODULES.get(name)
        if module is None:
            if name in _MODULES.values():
                return import_module(f".{name}", __name__)
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = globals()[name] = getattr(import_module(f".{module}", __name__), name)
        return found
