"""Opening connections for a pool, and what follows when that fails."""

from __future__ import annotations

from typing import Any

import pytest
from memory import B, House
from runners import Runner

from httpx_fast._conn.base import RequestTimeouts
from httpx_fast._exceptions import ConnectError


def test_failed_dial_passes_its_leave_on(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[ConnectError("refused")]]
        with pytest.raises(ConnectError, match="refused") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "tcp"
        assert house.counts == (0, 0, 0)
        assert (await house.get())[1] == b"ok"

    run(body)


def test_retries_dial_again_within_the_budget(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, retries=5)
        house.backend.scripts = [[ConnectError("refused")] for _ in range(3)]
        assert (await house.get(timeouts=RequestTimeouts(60.0, None, None, None)))[1] == b"ok"
        assert house.backend.slept == [0.5, 1.0]
        house.backend.scripts = [[ConnectError("refused")] for _ in range(9)]
        with pytest.raises(ConnectError, match="refused"):
            await house.get(B, timeouts=RequestTimeouts(3.0, None, None, None))
        assert house.backend.slept == [0.5, 1.0, 0.5, 1.0]  # 2 s more would pass the deadline
        assert house.counts == (0, 1, 0)

    run(body)
