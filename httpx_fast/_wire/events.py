"""Errors of a peer that decide how a request is sent again."""

from __future__ import annotations

from .._exceptions import RemoteProtocolError

__all__ = ["Http1Required", "NoWebSockets"]


class Http1Required(RemoteProtocolError):
    """Report that the peer wants the request over HTTP/1.1 (RFC 9113 s.7)."""


class NoWebSockets(Http1Required):
    """Report that the peer takes no WebSockets over HTTP/2; other requests are not affected."""
