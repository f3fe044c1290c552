"""Requests that are sent again, because the connection they went out on was dead."""

from __future__ import annotations

from typing import Any

import pytest
from memory import OK, SLOW, House
from runners import Runner

from httpx_fast._exceptions import ReadError, RemoteProtocolError

CLOSED_BEFORE_ANSWER: list[Any] = [None, ReadError("reset by peer")]


@pytest.mark.parametrize("end", CLOSED_BEFORE_ANSWER, ids=["closed", "reset"])
@pytest.mark.parametrize(
    ("options", "sent_again"),
    [
        ({}, True),
        ({"method": b"DELETE"}, True),
        ({"replay": False}, False),
        ({"method": b"POST"}, False),
        ({"method": b"POST", "replay": True}, True),
        ({"method": b"POST", "fields": [(b"Idempotency-Key", b"1")]}, True),
        ({"method": b"PUT", "fields": [(b"Content-Length", b"1")], "body": b"x"}, True),
    ],
)
def test_request_on_a_dead_reused_connection_is_replayed_if_harmless(
    run: Any, end: Any, options: dict[str, Any], sent_again: bool
) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, end]]
        await house.get()
        if not sent_again:
            with pytest.raises((ReadError, RemoteProtocolError), match=r"closed the connection|reset by peer"):
                await house.get(**options)
            assert len(house.backend.streams) == 1
            assert house.counts == (0, 0, 0)
            return
        assert (await house.get(**options))[1] == b"ok"
        (attempt,) = house.last.attempts
        assert attempt.reused
        assert attempt.failure is not None
        assert attempt.failure.startswith("the reused connection was dead: ")
        assert not house.last.reused
        assert house.counts == (0, 1, 0)
        # Head and body are the same bytes both times.
        assert house.backend.streams[0].sent[1] == house.backend.streams[1].sent[0]

    run(body)


def test_body_that_cannot_be_read_twice_is_not_replayed(run: Any) -> None:
    async def pieces() -> Any:
        yield b"x"

    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, None]]
        await house.get()
        with pytest.raises(RemoteProtocolError, match="without sending a response"):
            await house.get(method=b"PUT", fields=[(b"Transfer-Encoding", b"chunked")], body=pieces())
        assert len(house.backend.streams) == 1

    run(body)


@pytest.mark.parametrize("script", [[None], [OK, b"HTTP/1.1 2", None]], ids=["new connection", "answer begun"])
def test_failure_that_may_have_been_processed_is_not_replayed(run: Any, script: list[Any]) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [list(script)]
        if len(script) > 1:
            await house.get()
        with pytest.raises(RemoteProtocolError, match="closed the connection"):
            await house.get()
        assert len(house.backend.streams) == 1

    run(body)


def test_replay_is_tried_once(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=3)
        house.backend.scripts = [[SLOW, b"ok", None], [OK, None]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        await house.get()
        await lease.next_chunk()
        with pytest.raises(RemoteProtocolError, match="without sending a response") as caught:
            await house.get()
        assert caught.value.journey is not None
        assert len(caught.value.journey.attempts) == 1
        assert len(house.backend.streams) == 2

    run(body)
