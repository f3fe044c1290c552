"""What requests raise whose pool is closed under them."""

from __future__ import annotations

from typing import Any

import pytest
from memory import SLOW, A, House
from runners import Runner

from httpx_fast._exceptions import ClientClosed, ConnectError, ReadError, ReadTimeout, RemoteProtocolError
from httpx_fast._net.base import Aborted
from httpx_fast._pool.closing import is_caused_by_closing


def unprocessed() -> RemoteProtocolError:
    error = RemoteProtocolError("refused")
    error.unprocessed = True
    return error


@pytest.mark.parametrize("error", [Aborted(), ConnectError("c"), ReadError("r"), unprocessed()])
def test_errors_that_closing_causes_are_replaced(error: BaseException) -> None:
    assert is_caused_by_closing(error)


@pytest.mark.parametrize("error", [ClientClosed("c"), ReadTimeout("t"), RemoteProtocolError("p"), ValueError("v")])
def test_errors_that_say_something_else_stay(error: BaseException) -> None:
    assert not is_caused_by_closing(error)


def test_response_that_is_read_after_closing_raises_client_closed(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, ReadError("the stream was closed")]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        house.pool.close()
        with pytest.raises(ClientClosed, match=r"while a request to http://a\.example.* receiving its response"):
            await lease.next_chunk()
        assert house.counts == (0, 0, 0)

    run(body)


def test_request_after_closing_raises_client_closed(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.pool.close()
        assert house.backend.streams[0].closed
        with pytest.raises(ClientClosed, match="the client was closed"):
            await house.get(A)
        assert len(house.backend.streams) == 1

    run(body)
