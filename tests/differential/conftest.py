"""One scenario, played by httpx2 and by this package: what was sent, and how it ended."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

import httpx_fast

httpx2 = pytest.importorskip("httpx2", reason="httpx2 is what is compared with")

Answer = Callable[[ModuleType, Any], Any]


#: The requests that a scenario sent ("sent"), what it gave ("result"), and the name of what it raised ("error").
Played = dict[str, Any]


def told(request: Any) -> tuple[Any, ...]:
    """A request, without what names the library."""
    own = {b"user-agent", b"accept-encoding"}
    lines = [(name, value) for name, value in request.headers.raw if name.lower() not in own]
    return request.method, str(request.url), lines, request.read()


def play(library: ModuleType, scenario: Callable[..., Any], answer: Answer, settings: Callable[..., dict]) -> Played:
    played: Played = {"sent": [], "result": None, "error": None}

    def handle(request: Any) -> Any:
        played["sent"].append(told(request))
        return answer(library, request)

    try:
        with library.Client(transport=library.MockTransport(handle), **settings(library)) as client:
            played["result"] = scenario(library, client)
    except (library.HTTPError, library.StreamError, library.InvalidURL, RuntimeError, UnicodeError) as error:
        played["error"] = type(error).__name__
    return played


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Played, Played]]:
    """Plays `scenario(library, client)` with both: what httpx2 did, and what we did.

    Random bytes are the same for both.
    """

    def both(
        scenario: Callable[[ModuleType, Any], Any],
        answer: Answer,
        settings: Callable[[ModuleType], dict[str, Any]] = lambda library: {},
    ) -> tuple[Played, Played]:
        results = []
        for library in (httpx2, httpx_fast):
            monkeypatch.setattr(os, "urandom", random.Random(1).randbytes)
            results.append(play(library, scenario, answer, settings))
        return results[0], results[1]

    return both
