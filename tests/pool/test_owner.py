"""What a connection reports to its pool while it is idle."""

from __future__ import annotations

from typing import Any

import pytest
from memory import House
from runners import Runner


@pytest.mark.parametrize("sign", [None, b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
def test_connection_that_tells_of_its_death_leaves_the_pool(run: Any, sign: bytes | None) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.streams[0].push(sign)
        assert house.counts == (0, 0, 0)
        assert house.backend.streams[0].closed

    run(body)
