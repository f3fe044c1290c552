"""`--retry`: what is sent again, how often, and after how long."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from httpx_fast._cli import retrying as _retrying
from httpx_fast.testing import Close, FaultLab, LocalServer, Mute, Read, Reply, Send, response


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the command would have waited."""
    waited: list[float] = []
    monkeypatch.setattr(_retrying.time, "sleep", waited.append)
    return waited


def answering(*replies: Reply) -> LocalServer:
    left = list(replies)
    return LocalServer(tls=False, answer=lambda request: left.pop(0))


GOOD = Reply(200, [("Content-Type", "text/plain")], b"good")


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_status_that_may_be_over_soon_is_asked_for_again(run: Any, waits: list[float], status: int) -> None:
    with answering(Reply(status), Reply(status), Reply(status), GOOD) as server:
        ran = run("--retry", "5", server.url)
    assert (ran.code, ran.out) == (0, "good")
    assert waits == [1, 2, 4]
    assert f"the status is {status}; next try in 1 s, 4 left after that" in ran.err


def test_last_response_is_shown_when_no_try_is_left(run: Any, waits: list[float]) -> None:
    busy = Reply(503, [("Content-Type", "text/plain")], b"busy")
    with answering(busy, busy) as server:
        assert run("-s", "--retry", "1", server.url) == (0, "busy", "")
    with answering(busy, busy) as server:
        assert run("-sf", "--retry", "1", server.url).code == 22
    assert waits == [1, 1]


def test_server_says_how_long_to_wait_and_the_command_line_wins(run: Any, waits: list[float]) -> None:
    busy, soon = Reply(503, [("Retry-After", "7")]), Reply(503, [("Retry-After", "Sun, 29 Nov 2026 12:00:00 GMT")])
    with answering(busy, soon, GOOD) as server:
        assert run("-s", "--retry", "3", server.url).out == "good"
    with answering(busy, GOOD) as server:
        assert run("-s", "--retry", "3", "--retry-delay", "0.5", server.url).out == "good"
    with answering(Reply(503, [("Retry-After", "999999")]), GOOD) as server:
        assert run("-s", "--retry", "3", server.url).out == "good"
    assert waits == [7, 2, 0.5, _retrying.MAX_DELAY]


@pytest.mark.parametrize("status", [404, 401, 501])
def test_other_status_is_final(run: Any, waits: list[float], status: int) -> None:
    with answering(Reply(status)) as server:
        assert run("-s", "--retry", "3", server.url).code == 0
    assert waits == []


def test_timeout_is_tried_again_and_a_broken_connection_is_not(run: Any, waits: list[float], tmp_path: Path) -> None:
    file = tmp_path / "body.txt"
    file.write_text("the body", encoding="ascii")
    with FaultLab() as lab:
        lab.serve([Read(), Mute()], [Read(), Send(response(b"good"))], [Read(), Close()])
        ran = run("-s", "--timeout", "0.3", "--retry", "3", "-F", f"file=@{file}", lab.url("/"))
        assert (ran.code, ran.out) == (0, "good")
        assert [b"the body" in request.body for request in lab.requests] == [True, True]
        assert run("-s", "--retry", "3", "-X", "POST", lab.url("/")).code == 52
    assert waits == [1]


def test_refused_connection_is_final(run: Any, waits: list[float]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        assert run("-s", "--retry", "3", f"http://127.0.0.1:{unused.getsockname()[1]}/").code == 7
    assert waits == []
