"""Warm requests leave nothing that only the cyclic collector could free: it would stop the world now and then."""

from __future__ import annotations

import gc
import platform
from typing import Any

import pytest

from httpx_fast.testing import LocalServer

REQUESTS = 20


@pytest.mark.skipif(platform.python_implementation() != "CPython", reason="only CPython counts references")
def test_warm_requests_make_no_cycles(backend: Any) -> None:
    found: list[object] = []

    async def body() -> None:
        async with backend.client() as client:
            await client.get(server.url)
            gc.collect()
            gc.disable()
            gc.set_debug(gc.DEBUG_SAVEALL)
            for _ in range(REQUESTS):
                response = await client.get(server.url)
                assert response.headers["content-type"]
                assert response.text
                del response
            gc.collect()
            gc.set_debug(0)
            gc.enable()
            found.extend(each for each in gc.garbage if type(each).__module__.startswith("httpx_fast"))
            gc.garbage.clear()

    with LocalServer(tls=False) as server:
        try:
            backend.run(body)
        finally:
            gc.set_debug(0)
            gc.enable()
            gc.garbage.clear()
    assert found == []
