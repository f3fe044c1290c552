"""The classes of another package that its transports and clients are made with here, and its exceptions for ours."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .._pool.callers import NOT_USERS

__all__ = ["Package"]


class Package:
    """The classes of another package, and its exceptions for ours."""

    def __init__(self, module: ModuleType, core: Callable[[], ModuleType]) -> None:
        self.name = module.__name__
        self.response: Any = module.Response
        self.byte_stream: Any = module.ByteStream
        self.sync_stream: type = module.SyncByteStream
        self.async_stream: type = module.AsyncByteStream
        self.create_ssl_context: Callable[..., ssl.SSLContext] = module.create_ssl_context
        self._module = module
        self._core = core
        NOT_USERS.add(self.name)  # warnings name the line that called the package

    def error(self, error: Exception) -> Exception:
        """Return the package's exception for one of ours."""
        return _counterpart(error, self._module)

    def core_error(self, error: Exception) -> Exception:
        """Return the exception of the package's own network layer, which its WebSockets catch, for one of ours."""
        return _counterpart(error, self._core())


def _counterpart(error: Exception, module: ModuleType) -> Exception:
    """Return an exception of `module` with the message of `error`, of the first of its classes that is there."""
    for kind in type(error).__mro__:
        found = getattr(module, kind.__name__, None)
        if isinstance(found, type) and issubclass(found, Exception) and kind is not Exception:
            told: Any = found(str(error))
            told.journey = getattr(error, "journey", None)
            return told  # type: ignore[no-any-return]
    return error
