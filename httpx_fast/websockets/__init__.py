"""WebSocket sessions, their connectors, events and errors. Most programs call `client.websocket()` instead."""

from __future__ import annotations

from ._asgi import ASGIWebSocketTransport
from ._client import (
    AsyncWebSocketClient,
    AsyncWebSocketSession,
    BytesMessage,
    CloseConnection,
    HTTPXWSException,
    JSONMode,
    Ping,
    Pong,
    TextMessage,
    WebSocketClient,
    WebSocketDisconnect,
    WebSocketInvalidTypeReceived,
    WebSocketNetworkError,
    WebSocketSession,
    WebSocketUpgradeError,
)
from ._reconnecting import AsyncWebSocketSessions, WebSocketSessions

__all__ = [
    "ASGIWebSocketTransport",
    "AsyncWebSocketClient",
    "AsyncWebSocketSession",
    "AsyncWebSocketSessions",
    "BytesMessage",
    "CloseConnection",
    "HTTPXWSException",
    "JSONMode",
    "Ping",
    "Pong",
    "TextMessage",
    "WebSocketClient",
    "WebSocketDisconnect",
    "WebSocketInvalidTypeReceived",
    "WebSocketNetworkError",
    "WebSocketSession",
    "WebSocketSessions",
    "WebSocketUpgradeError",
]
