"""Cassettes of vcrpy: `vcr.VCR(custom_patches=httpx_fast.testing.vcr.patches())` records and plays our transports.

vcrpy puts a subclass with the cassette in place of what it patches; here that class is a method of a transport. Needs
vcrpy 8.2 or later, whose functions for httpx are told which package they serve.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final

from .. import _exceptions
from .._content import ByteStream
from .._models import Response
from .._transports import ASGITransport, AsyncHTTPTransport, HTTPTransport, MockTransport, WSGITransport

__all__ = ["patches"]

#: What vcrpy uses of the package that it patches.
_PACKAGE: Final = SimpleNamespace(Response=Response, ByteStream=ByteStream, _exceptions=_exceptions)
_PATCHED: Final[tuple[tuple[Any, str], ...]] = (
    (HTTPTransport, "handle_request"),
    (AsyncHTTPTransport, "handle_async_request"),
    (WSGITransport, "handle_request"),
    (ASGITransport, "handle_async_request"),
    (MockTransport, "handle_request"),
    (MockTransport, "handle_async_request"),
)


class _Method(type):
    """A class that is bound like a function when it is looked up on an instance."""

    cassette: Any
    original: Callable[..., Any]
    stub: Callable[..., Any]

    def __get__(cls, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return cls
        return cls.stub(cls.cassette, cls.original, _PACKAGE).__get__(instance)


def patches() -> tuple[tuple[Any, str, Any], ...]:
    """Return the `custom_patches` of `vcr.VCR()` and `vcr.use_cassette()`.

    Raises ImportError if vcrpy is not installed, or older than 8.2.
    """
    try:
        stubs: Any = importlib.import_module("vcr.stubs.httpx_stubs")
        made = {"handle_request": stubs.vcr_handle_request, "handle_async_request": stubs.vcr_handle_async_request}
    except (ImportError, AttributeError) as error:
        raise ImportError("cassettes of vcrpy need vcrpy 8.2 or later: pip install 'vcrpy>=8.2'") from error
    return tuple((kind, name, _replacement(getattr(kind, name), made[name])) for kind, name in _PATCHED)


def _replacement(original: Any, stub: Any) -> Any:
    return _Method(
        "_Replacement", (), {"cassette": None, "original": staticmethod(original), "stub": staticmethod(stub)}
    )
