"""Resolve names with scripted answers, for the argument `resolver` of transports.

    resolver = ScriptedResolver(OSError("SERVFAIL"), Held("127.0.0.1"), ["127.0.0.1", "::1"])

The first query fails, the second is answered after `release()`, all later ones at once. The resolver blocks, so it
works with every kind of client: a query that waits has a thread of its own, which ends at `close()`.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self, TypeAlias

#: IP addresses as text, in the order to try them; pairs with a port where it is another than the URL's.
Addresses: TypeAlias = str | Sequence[str | tuple[str, int]]


class Held:
    """Hold back an answer until `ScriptedResolver.release()` is called."""

    def __init__(self, answer: Addresses | Exception) -> None:
        self.answer = answer


class ScriptedResolver:
    """Resolve with the given answers in turn; the last one is repeated. An exception is raised. A context manager."""

    def __init__(self, *answers: Addresses | Exception | Held) -> None:
        if not answers:
            raise TypeError("expected answers to give")
        #: Host and port of each query.
        self.asked: list[tuple[str, int]] = []
        self._answers = list(answers)
        self._turn = threading.Condition()
        self._permits = 0
        self._closed = False

    def resolve(self, host: str, port: int) -> Sequence[str | tuple[str, int]]:
        """Return the next answer, or raise it if it is an exception. Blocks while it is a `Held` one."""
        with self._turn:
            self.asked.append((host, port))
            answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
            if isinstance(answer, Held):
                self._turn.wait_for(lambda: self._permits or self._closed)
                self._permits -= 1
                answer = answer.answer
        if isinstance(answer, Exception):
            raise answer
        return [answer] if isinstance(answer, str) else answer

    def release(self, count: int = 1) -> None:
        """Release `count` answers that are held back now or later."""
        with self._turn:
            self._permits += count
            self._turn.notify_all()

    def close(self) -> None:
        """Release all answers."""
        with self._turn:
            self._closed = True
            self._turn.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
