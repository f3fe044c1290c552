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
        if not name.startswith("__"):
            from importlib import import_module

            # What httpx's module of this name imports can be imported from there, and is: types, settings, models.
            for module in ("_types", "_config", "_models", "_urls", "_auth"):
                found = getattr(import_module(f"..{module}", __name__), name, None)
                if found is not None:
                    return found
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
