"""Serve `import httpx` and the like with this package: the import finder and a stand-in for httpcore."""

from __future__ import annotations

from .finder import alias, alias_httpx

__all__ = ["alias", "alias_httpx"]
