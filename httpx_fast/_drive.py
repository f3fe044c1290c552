"""Run the coroutines of blocking clients.

Everything between the transports and the sockets is written once, as `async def`. On the blocking backend nothing
below ever suspends, so one step runs the whole coroutine. A suspension is a bug of ours (an asynchronous stream was
passed to blocking code), never something to wait for.
"""

from __future__ import annotations

from ._kernel.select import drive

__all__ = ["drive"]
