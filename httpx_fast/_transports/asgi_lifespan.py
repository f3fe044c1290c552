"""The lifespan of an ASGI application: its startup before the first request, its shutdown after the last.

The application runs in a task of its own. Several requests may wait for one startup; each waits no longer than its
own deadline, and a request that is cancelled leaves the startup to the others.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import monotonic
from typing import Any, TypeAlias

from .._deadline import Deadline, timed_out
from .asgi_tasks import Signal, Task, spawn

Message: TypeAlias = MutableMapping[str, Any]
_Receive: TypeAlias = Callable[[], Awaitable[Message]]
_Send: TypeAlias = Callable[[Message], Awaitable[None]]
ASGIApp: TypeAlias = Callable[[MutableMapping[str, Any], _Receive, _Send], Awaitable[None]]

GRACE = 0.2  # seconds for an application to end once it is cancelled


class Lifespan:
    """Start an application up, and shut it down."""

    def __init__(self, app: ASGIApp) -> None:
        #: What the application keeps for its requests; each gets a copy (ASGI lifespan, "Lifespan State").
        self.state: dict[str, Any] = {}
        self._app = app
        self._task: Task | None = None
        self._asked = ""  # the events that the application was told of
        self._told: set[str] = set()  # what it has sent
        self._failure: str | None = None
        self._error: BaseException | None = None
        self._finished = False
        self._moved = Signal()  # anything above has changed

    async def start(self, deadline: Deadline | None = None) -> None:
        """Wait until the application has started up. Raises what it raised, or RuntimeError if it refused."""
        if self._task is None:
            self._task = spawn(self._run)
        while not ("startup.complete" in self._told or self._failed()):
            await self._wait(deadline)
        if "startup.complete" not in self._told:
            self._raise("startup")

    async def stop(self) -> None:
        """Have the application shut down, and wait for it. Raises what it raised, or RuntimeError if it failed."""
        task = self._task
        if task is None:
            return
        self._asked = "shutdown"
        self._moved.notify()
        try:
            while not self._finished and "startup.complete" in self._told and not self._failed():
                if "shutdown.complete" in self._told:
                    break
                await self._moved.wait()
        finally:
            if not self._finished:
                await task.join(GRACE)
            if not self._finished:
                task.cancel()
                await task.join(GRACE, shielded=True)
        if "startup.complete" in self._told and (self._error is not None or self._failure is not None):
            self._raise("shutdown")

    def _failed(self) -> bool:
        return self._finished or self._failure is not None

    def _raise(self, event: str) -> None:
        if self._error is not None:
            raise self._error
        if self._failure is not None:
            raise RuntimeError(f"the ASGI application failed its {event}: {self._failure or 'it does not say why'}")
        raise RuntimeError(
            f"the ASGI application ended without completing its {event}; lifespan=True is for applications that "
            "handle the scope 'lifespan'"
        )

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001  # raised where the startup, or the shutdown, is waited for
            self._error = error
        finally:
            self._finished = True
            self._moved.notify()

    async def _receive(self) -> Message:
        if not self._asked:
            self._asked = "startup"
            return {"type": "lifespan.startup"}
        while self._asked != "shutdown":
            await self._moved.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        event = str(message["type"]).removeprefix("lifespan.")
        if event not in ("startup.complete", "startup.failed", "shutdown.complete", "shutdown.failed"):
            raise RuntimeError(f"the ASGI application sent {message['type']!r}, which a lifespan does not have")
        self._told.add(event)
        if event.endswith("failed"):
            self._failure = str(message.get("message", ""))
        self._moved.notify()

    async def _wait(self, deadline: Deadline | None) -> None:
        if await self._moved.wait_until(deadline):
            return
        assert deadline is not None
        raise timed_out("read", deadline.elapsed(monotonic()), deadline.budget, "the ASGI application has not started")
