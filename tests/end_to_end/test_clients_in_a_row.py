"""Clients that are made, used once and closed, one after the other, as module functions and short scripts do."""

from __future__ import annotations

import gc
import ssl
import sys
import threading
from typing import Any

import pytest

from httpx_fast import _trust


def test_forty_clients_in_a_row_make_one_context_and_no_thread(
    backend: Any, nginx: Any, authority: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[ssl.SSLContext] = []
    new_context = _trust.new_context

    def counted(*settings: Any) -> ssl.SSLContext:
        made.append(new_context(*settings))
        return made[-1]

    monkeypatch.setattr(_trust, "new_context", counted)
    monkeypatch.setattr(_trust, "_shared", {})
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.path))
    monkeypatch.setenv("NO_PROXY", "*")
    url = nginx.url("/tiny", "https")

    async def body() -> None:
        before: set[threading.Thread] = set()
        for number in range(40):
            async with backend.client() as client:
                assert (await client.get(url)).text == "ok"
            if number == 0:
                before = set(threading.enumerate())
        assert set(threading.enumerate()) <= before

    backend.run(body)
    assert len(made) == 1


def test_clients_that_send_nothing_make_neither(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_trust, "_shared", {})

    async def body() -> None:
        before = set(threading.enumerate())
        for _ in range(40):
            await backend.client(trust_env=False).aclose()
        assert set(threading.enumerate()) <= before
        assert _trust._shared == {}

    backend.run(body)


@pytest.mark.skipif(
    sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)(),
    reason="only CPython with its lock frees by reference counts alone",
)
@pytest.mark.parametrize("kind", ["http", "https"])
def test_closed_clients_leave_nothing_to_the_garbage_collector(
    backend: Any, nginx: Any, authority: Any, kind: str
) -> None:
    """Else each would stay until it runs, and have it run more often."""
    url = nginx.url("/tiny", kind)
    context = authority.client_context()

    async def once() -> None:
        async with backend.client(verify=context, trust_env=False) as client:
            response = await client.get(url)
            assert (response.text, response.journey.nth) == ("ok", 1)

    async def body() -> list[Any]:
        await once()  # loads what is loaded once
        gc.collect()
        gc.disable()
        gc.set_debug(gc.DEBUG_SAVEALL)
        try:
            await once()
            gc.collect()
            return [each for each in gc.garbage if type(each).__module__.startswith("httpx_fast")]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()

    assert backend.run(body) == []
