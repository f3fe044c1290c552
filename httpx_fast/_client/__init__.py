"""The clients, and the names that other libraries import from here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import defaults
from .async_client import AsyncClient
from .base import BaseClient, ClientState, EventHook, logger
from .client import Client
from .defaults import USE_CLIENT_DEFAULT, USER_AGENT, UseClientDefault

if TYPE_CHECKING:
    from .defaults import ACCEPT_ENCODING
else:

    def __getattr__(name: str) -> Any:
        if name == "ACCEPT_ENCODING":
            return defaults.ACCEPT_ENCODING
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "ACCEPT_ENCODING",
    "USER_AGENT",
    "USE_CLIENT_DEFAULT",
    "AsyncClient",
    "BaseClient",
    "Client",
    "ClientState",
    "EventHook",
    "UseClientDefault",
    "logger",
]
