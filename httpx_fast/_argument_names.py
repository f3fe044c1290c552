"""Error messages for arguments that have another name in requests, aiohttp or an older httpx.

Python itself refuses an unknown argument; the decorator adds what to write in its place. It is not for functions that
a client calls for each request: a wrapper costs a call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

P = ParamSpec("P")
R = TypeVar("R")

#: The names in other clients, and the advice for each.
_INSTEAD = {
    "allow_redirects": "follow_redirects=...",
    "app": "transport=ASGITransport(app=...) or WSGITransport(app=...)",
    "proxies": "proxy=..., or for one proxy per scheme or host mounts={'https://': HTTPTransport(proxy=...)}",
    "retries": "retry=Retry(attempts=...), or for connecting alone transport=HTTPTransport(retries=...)",
}


def names_explained(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function so that it refuses the names in `_INSTEAD` with the right one, unless it has them itself."""
    code = cast("Any", function).__code__
    accepted = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    refused = _INSTEAD.keys() - set(accepted)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        # A loop over the names would cost each call more than this does.
        if not refused.isdisjoint(kwargs):
            name = next(name for name in kwargs if name in refused)
            shown = function.__qualname__
            raise TypeError(f"{shown}() got an unexpected keyword argument {name!r}; here it is {_INSTEAD[name]}")
        return function(*args, **kwargs)

    return call
