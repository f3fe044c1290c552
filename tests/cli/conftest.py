"""What the tests of the command share: a local server with replies to look at, and ways to run the command."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from httpx_fast._cli import inputs as _inputs
from httpx_fast._cli.command import main
from httpx_fast.testing import LocalServer, Reply, Request, answer


class Ran(NamedTuple):
    """What came of a run: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def head(self) -> list[str]:
        """The lines of the first head on standard error."""
        return self.err.partition("\n\n")[0].splitlines()


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLORTERM", "WT_SESSION", "COLUMNS", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


REPLIES = {
    "/text": Reply(200, [("Content-Type", "text/html; charset=iso-8859-1")], "<p>grün".encode("latin-1")),
    "/xml": Reply(200, [("Content-Type", "application/atom+xml")], b"<feed/>"),
    "/broken-json": Reply(200, [("Content-Type", "application/json")], b'{"a": '),
    "/json": Reply(200, [("Content-Type", "application/problem+json; charset=utf-8")], '{"b":"ü","a":[1]}'.encode()),
    "/untold-text": Reply(200, [], "plain ✓".encode()),
    "/untold-bytes": Reply(200, [], b"\xff\xfe\x00"),
    "/lines": Reply(200, [("Content-Type", "text/plain")], b"one\ntwo\n"),
    "/odd-json": Reply(200, [("Content-Type", "application/json")], b'{"b": [1, "\\u001b[2J\\u009b"], "a": null}'),
    "/escape": Reply(
        200, [("Content-Type", "text/plain"), ("X-Odd", "\x1b[2J")], b"\x1b]0;owned\x07\tend\r\nseen\rhidden\n"
    ),
    "/bidi": Reply(
        200, [("Content-Type", "text/plain; charset=utf-8")], "a\u202egnp.exe\u2066\u200b\ufeff \U000e0041 é✓".encode()
    ),
}


def reply(request: Request) -> Reply:
    """The usual answers, and some to look at."""
    return REPLIES.get(request.target) or answer(request)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(tls=False, answer=reply) as running:
        yield running


@pytest.fixture
def run(capsysbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs the command in this process, with pipes as output."""

    def running(*arguments: str, stdin: bytes = b"") -> Ran:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        _inputs._standard_input.cache_clear()
        code = main(arguments)
        captured = capsysbinary.readouterr()
        return Ran(code, captured.out.decode("utf-8", "backslashreplace"), captured.err.decode())

    return running


@pytest.fixture
def environment() -> Callable[..., dict[str, str]]:
    """The environment of the command in a process of its own: warnings are errors there too."""

    def made(**more: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error", **more}

    return made
