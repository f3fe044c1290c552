"""Make all tests use this package as httpx and httpx2. A plugin for pytest.

`pytest -p httpx_fast.testing.as_httpx`: plugins named by -p are imported before those that packages install, some of
which import httpx.
"""

from __future__ import annotations

from .._alias.finder import alias

alias("httpx", "httpx2")
