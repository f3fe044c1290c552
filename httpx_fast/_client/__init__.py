"""The clients, and the names that other libraries import from here."""

from __future__ import annotations

from .async_client import AsyncClient
from .base import BaseClient, ClientState, EventHook, logger
from .client import Client
from .defaults import ACCEPT_ENCODING, USE_CLIENT_DEFAULT, USER_AGENT, UseClientDefault

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
