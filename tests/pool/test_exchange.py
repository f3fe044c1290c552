"""Exchanges over leased connections, those that fail too."""

from __future__ import annotations

from typing import Any

import pytest
from memory import SLOW, House
from runners import Runner

from httpx_fast._exceptions import ReadError, RemoteProtocolError


def test_second_request_reuses_the_connection(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        assert house.counts == (0, 0, 0)
        for _ in range(2):
            head, data, interim, trailers, lease = await house.get()
            assert (head.status, data, list(interim), list(trailers), lease) == (200, b"ok", [], [], None)
            assert house.counts == (0, 1, 0)
        assert len(house.backend.streams) == 1

    run(body)


def test_failure_while_streaming_names_the_journey_and_frees_the_place(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, ReadError("reset")]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        with pytest.raises(ReadError, match="reset") as caught:
            await lease.next_chunk()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "receive"
        assert house.counts == (0, 0, 0)

    run(body)


def test_malformed_response_frees_the_place_and_the_pool_goes_on(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        house.backend.scripts = [[b"HTTP/9.9 ???\r\n\r\n"]]
        with pytest.raises(RemoteProtocolError, match="status line") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert caught.value.journey.phase == "wait"
        assert caught.value.journey.stopped == house.backend.now
        assert house.counts == (0, 0, 0)
        assert (await house.get())[1] == b"ok"

    run(body)
