"""Errors of a peer that decide how a request is sent again."""

from __future__ import annotations

from .._exceptions import RemoteProtocolError

__all__ = ["Http1Required", "NoWebSockets"]


class Http1Required(RemoteProtocolError):
    """The peer wants the request over HTTP/1.1 (RFC 9113 s.7)."""


class NoWebSockets(Http1Required):
    """A WebSocket was asked for over HTTP/2, and the peer takes none there; of other requests that says nothing."""
