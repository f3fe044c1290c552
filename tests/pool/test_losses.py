"""Why connections are new: one test a reason, over streams in memory, and real event loops and processes."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from memory import OK, SLOW, A, B, House
from runners import Runner

import httpx_fast
from httpx_fast._exceptions import ConnectError, ReadError, ReadTimeout
from httpx_fast._journey import AGAIN, NEW
from httpx_fast._pool import losses, replay
from httpx_fast._pool.losses import MAX_ROUTES, MAX_RUNS, Loss, Losses
from httpx_fast.testing import Http2, LocalServer, Read, ReadFrames, Send, frames

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]


def answer(*fields: bytes) -> bytes:
    lines = b"".join(field + b"\r\n" for field in fields)
    return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + lines + b"\r\nok"


def why(house: House) -> tuple[str | None, float | None]:
    facts = house.last.connection
    assert facts is not None
    return facts.new_reason, facts.lost_idle


def test_every_code_has_its_words() -> None:
    codes = {value for name, value in vars(losses).items() if name.isupper() and isinstance(value, str)}
    assert codes == NEW.keys()
    assert {replay.UNPROCESSED, replay.HTTP1_REQUIRED, replay.ENDED_BY_PEER, replay.DEAD} <= AGAIN.keys()


def test_last_loss_is_made_up_for_first() -> None:
    lost = Losses()
    lost.add("a", "expired", 5.0)
    lost.add("a", "expired", 6.0)
    lost.add("a", "peer_closed", 1.0)
    lost.add("b", "limit", None)
    assert "a" in lost
    assert [lost.take("a") for _ in range(4)] == [
        Loss("peer_closed", 1.0),
        Loss("expired", 6.0),
        Loss("expired", 6.0),
        None,
    ]
    assert "a" not in lost
    assert lost.take("b") == Loss("limit", None)


@pytest.mark.parametrize(("more", "kept"), [(-1, True), (0, True), (1, False)])
def test_losses_of_so_many_routes_are_remembered(more: int, kept: bool) -> None:
    lost = Losses()
    for number in range(MAX_ROUTES + more):
        lost.add(number, "expired", 1.0)
    assert (0 in lost) is kept
    assert MAX_ROUTES + more - 1 in lost


@pytest.mark.parametrize(("more", "kept"), [(-1, MAX_RUNS - 1), (0, MAX_RUNS), (1, MAX_RUNS)])
def test_so_many_different_losses_of_one_route_are_remembered(more: int, kept: int) -> None:
    lost = Losses()
    for number in range(MAX_RUNS + more):
        lost.add("a", "expired" if number % 2 else "limit", float(number))
    taken = iter(lambda: lost.take("a"), None)
    assert [loss.idle for loss in taken] == [float(MAX_RUNS + more - 1 - n) for n in range(kept)]


def test_losses_of_an_ended_loop_are_those_of_another_loop() -> None:
    ended, lost = Losses(), Losses()
    ended.add("a", "expired", 5.0)
    ended.add("a", "given_up", 2.0)
    lost.take_over(ended)
    assert [lost.take("a") for _ in range(3)] == [Loss("other_loop", 2.0), Loss("other_loop", 2.0), None]


def test_first_connection_is_first_and_one_beside_it_is_for_all_busy(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        assert why(house) == ("first", None)
        await house.get()
        assert why(house) == ("all_busy", None)
        lease.close()
        await house.get()
        assert house.last.reused

    run(body)


def test_connection_that_failed_to_be_made_does_not_count(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[ConnectError("refused")], [answer(b"Connection: close")], [ConnectError("refused")]]
        with pytest.raises(ConnectError, match="refused"):
            await house.get()
        await house.get()
        assert why(house) == ("first", None)
        for _ in range(2):  # the failure does not make up for the one that was closed
            try:
                await house.get()
            except ConnectError:
                assert why(house) == ("peer_closed", None)
        assert why(house) == ("peer_closed", None)

    run(body)


def test_idle_connection_that_expired_is_named_with_its_idle_time(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.pass_time(5.5)
        await house.get()
        assert why(house) == ("expired", 5.5)

    run(body)


def test_timeout_that_the_peer_announced_counts_as_expired(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[answer(b"Keep-Alive: timeout=3")]]
        await house.get()
        house.backend.pass_time(2.5)
        await house.get()
        assert why(house) == ("expired", 2.5)

    run(body)


def test_connection_that_its_peer_closed_while_idle_or_said_to_close(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK], [answer(b"Connection: close")]]
        await house.get()
        house.backend.now += 2.0
        house.backend.streams[0].push(None)  # as the backend of an event loop does it
        await house.get()
        assert why(house) == ("peer_closed", 2.0)
        await house.get()
        assert why(house) == ("peer_closed", None)

    run(body)


def test_connection_of_a_failed_request_was_closed_by_its_peer(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, ReadError("reset")]]
        await house.get()
        house.backend.now += 3.0
        with pytest.raises(ReadError, match="reset"):
            await house.get(method=b"POST")
        await house.get()
        assert why(house) == ("peer_closed", 3.0)

    run(body)


def test_connection_that_reached_its_age(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, expiry=None, max_age=10.0)
        await house.get()
        house.backend.now += 9.0
        await house.get()
        house.backend.now += 1.5
        await house.get()
        assert why(house) == ("max_age", 1.5)

    run(body)


def test_connection_that_served_as_many_as_its_peer_takes(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[answer(b"Keep-Alive: timeout=60, max=1")]]
        for _ in range(2):
            await house.get()
        assert why(house) == ("max_requests", None)

    run(body)


@pytest.mark.parametrize("streaming", [False, True])
def test_connection_that_drain_retired(run: Any, streaming: bool) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, b"ok"]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        if not streaming:
            assert await lease.next_chunk() == b"ok"
        house.backend.now += 2.0
        house.pool.retire()
        if streaming:
            assert await lease.next_chunk() == b"ok"
        await house.get()
        assert why(house) == ("draining", None if streaming else 2.0)

    run(body)


def test_connection_that_was_closed_for_another_origin(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, connections=1)
        await house.get(A)
        house.backend.now += 4.0
        await house.get(B)
        assert why(house) == ("first", None)
        await house.get(A)
        assert why(house) == ("limit", 4.0)

    run(body)


def test_connection_above_the_limit_of_idle_ones(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner, keepalive=0)
        for _ in range(2):
            await house.get()
        assert why(house) == ("limit", 0.0)

    run(body)


def test_connection_that_was_found_dead_when_it_was_to_be_used(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        for _ in range(2):
            await house.get()
        house.backend.now += 1.0
        house.backend.streams[0].idle = [None]  # nobody has looked at it yet
        await house.get(method=b"POST")
        assert why(house) == ("dead_on_use", 1.0)
        assert house.last.attempts == ()

    run(body)


def test_connection_of_a_request_that_is_sent_again(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[OK, ReadError("reset")]]
        await house.get()
        house.backend.now += 1.0
        await house.get()
        (attempt,) = house.last.attempts
        assert (attempt.failure, attempt.why_again) == ("the reused connection was dead: reset", "dead")
        assert why(house) == ("replayed", 1.0)
        assert house.last.failure is None

    run(body)


@pytest.mark.parametrize("how", ["not read", "timed out"])
def test_connection_whose_response_was_given_up(run: Any, how: str) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        house.backend.scripts = [[SLOW, ReadTimeout("too slow")]]
        *_, lease = await house.get(whole=False)
        assert lease is not None
        if how == "timed out":
            with pytest.raises(ReadTimeout, match="too slow"):
                await lease.next_chunk()
        lease.close()
        await house.get()
        assert why(house) == ("given_up", None)

    run(body)


def test_connection_that_is_opened_ahead_of_requests_has_a_reason_too(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.pass_time(5.5)
        assert await house.pool.warm(A, 1, None) == 1
        await house.get()
        assert house.last.reused
        assert why(house) == ("expired", 5.5)

    run(body)


def test_connection_is_new_since_its_peer_sent_goaway(backend: Runner, fault_lab: Any) -> None:
    told = Send(frames.goaway(1) + frames.headers(1, (":status", "200"), end=True))  # before the second request
    fault_lab.serve(
        [Http2(), Read(), told, ReadFrames()], [Http2(), Read(), Send(frames.response(b"good")), ReadFrames()]
    )

    async def body() -> None:
        async with backend.client(http1=False, http2=True, trust_env=False) as client:
            journeys = [(await client.get(fault_lab.url())).journey for _ in range(2)]
            assert [journey.connection.new_reason for journey in journeys] == ["first", "draining"]

    backend.run(body)


def test_connection_is_new_since_others_are_of_another_event_loop() -> None:
    """Of loops of asyncio only: a connection of blocking code is of no loop."""
    with LocalServer(tls=False) as server:
        client = httpx_fast.AsyncClient(trust_env=False)

        async def reason() -> str | None:
            response = await client.get(server.url)
            return response.journey.connection.new_reason  # type: ignore[union-attr]

        async def both() -> tuple[str | None, str | None]:
            here = await reason()
            return here, await asyncio.to_thread(lambda: asyncio.run(reason()))

        assert asyncio.run(both()) == ("first", "other_loop")  # that one runs meanwhile
        assert asyncio.run(reason()) == "other_loop"  # those have ended

        async def close() -> None:
            await client.aclose()

        asyncio.run(close())


FORKS = """
import os, sys
import httpx_fast

with httpx_fast.Client(trust_env=False) as client:
    client.get(sys.argv[1])
    child = os.fork()
    if child == 0:
        facts = client.get(sys.argv[1]).journey.connection
        client.close()
        os._exit(0 if facts.new_reason == "fork" and facts.lost_idle > 0 else 1)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_connection_is_new_in_the_child_of_a_fork() -> None:
    with LocalServer(tls=False) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", FORKS, server.url],
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_log_of_the_pool_says_why_a_connection_is_new(run: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "httpx_fast.pool")

    async def body(runner: Runner) -> None:
        house = House(runner)
        await house.get()
        house.backend.pass_time(5.5)
        await house.get()
        await house.get()

    run(body)
    assert [record.getMessage() for record in caplog.records if record.name == "httpx_fast.pool"] == [
        "new_connection origin=http://a.example reason=first",
        "new_connection origin=http://a.example reason=expired idle=5.500s",
    ]


def test_reason_survives_pickling(run: Any) -> None:
    async def body(runner: Runner) -> None:
        house = House(runner)
        with pytest.raises(ReadError, match="over") as caught:
            house.backend.scripts = [[ReadError("over")]]
            await house.get()
        journey = pickle.loads(pickle.dumps(caught.value.journey))
        assert journey.connection.new_reason == "first"

    run(body)
