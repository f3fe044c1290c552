"""What both kinds of clients, streams and sessions give, asked in one way by a body that runs in every world."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator
from typing import Any


async def done(result: Any) -> Any:
    """What a call of either kind came to."""
    return await result if inspect.isawaitable(result) else result


async def close(network: Any) -> None:
    """Closes a network stream of either kind."""
    await done(network.aclose() if hasattr(network, "aclose") else network.close())


@contextlib.asynccontextmanager
async def opened(client: Any, *arguments: Any, **options: Any) -> AsyncIterator[Any]:
    """A WebSocket session of either kind of client."""
    manager = client.websocket(*arguments, **options)
    if hasattr(manager, "__aenter__"):
        async with manager as session:
            yield session
    else:
        with manager as session:
            yield session
