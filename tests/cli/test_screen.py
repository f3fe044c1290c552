"""The command in a pseudo-terminal: what stands on the screen in the end, and what comes while it runs."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Nginx

from httpx_fast.testing import FaultLab, Hold, LocalServer, Read, Send, Tell, response

pyte = pytest.importorskip("pyte", reason="pip install pyte")
fcntl = pytest.importorskip("fcntl", reason="there are no pseudo-terminals")
termios = pytest.importorskip("termios", reason="there are no pseudo-terminals")

COMMAND = [sys.executable, "-m", "httpx_fast"]


class Terminal:
    """A pseudo-terminal with the command in it, and the screen that it draws."""

    def __init__(self, words: list[str], environment: dict[str, str], columns: int = 80, lines: int = 100) -> None:
        self.screen: Any = pyte.Screen(columns, lines)
        self._stream: Any = pyte.ByteStream(self.screen)
        self.raw = b""
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        streams = {"stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen([*COMMAND, *words], **streams, env=environment, start_new_session=True)
        os.close(slave)
        # A terminal that nobody reads from would hold the command up: then the test ends with it.
        self._alarm = threading.Timer(60, self.process.kill)
        self._alarm.start()

    def read_until(self, text: str) -> None:
        """Reads until a text stands on the screen."""
        while not any(text in line for line in self.screen.display):
            assert self._read(), f"ended without {text!r}: {self.raw!r}"

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # how Linux says that nobody has the other side open any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def finish(self) -> list[str]:
        """The lines on the screen when the command has ended."""
        while self._read():
            pass
        self.process.wait(60)
        self.close()
        return self.lines

    @property
    def lines(self) -> list[str]:
        lines = [line.rstrip() for line in self.screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    def colours(self) -> set[str]:
        """Of all characters on the screen."""
        return {cell.fg for row in self.screen.buffer.values() for cell in row.values()}

    def close(self) -> None:
        self._alarm.cancel()
        with contextlib.suppress(OSError):
            os.close(self._master)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal(environment: Any) -> Iterator[Any]:
    """Starts the command in a terminal: `terminal(word, ..., columns=80, TERM="xterm")`."""
    started: list[Terminal] = []

    def start(*words: str, columns: int = 80, **variables: str) -> Terminal:
        variables = {"TERM": "xterm", "LC_ALL": "C.UTF-8", "PYTHONIOENCODING": "utf-8"} | variables
        started.append(Terminal(list(words), environment(**variables), columns))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_head_and_body_stand_one_below_the_other(terminal: Any, server: LocalServer) -> None:
    assert terminal(f"{server.url}/odd-json").finish() == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/json",
        "Content-Length: 40",
        "",
        "{",
        '    "b": [',
        "        1,",
        '        "\\u001b[2J\\x9b"',
        "    ],",
        '    "a": null',
        "}",
    ]


@pytest.mark.parametrize("columns", [40, 80, 200])
@pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"TERM": "dumb"}, {"PYTHONIOENCODING": "ascii"}])
def test_demonstration_fits_into_every_terminal(terminal: Any, columns: int, variables: dict[str, str]) -> None:
    shown = terminal(columns=columns, **variables)
    lines = shown.finish()
    assert shown.process.returncode == 0
    assert sum(line.startswith("  ") and " ms" in line for line in lines) == 7 + 4
    # A row that was too long would have gone on in the next line.
    rows = [line for line in lines if re.match(r"  (pool|dns|tcp|tls|send|wait|receive) ", line)]
    assert len(rows) == 14
    plain = "NO_COLOR" in variables or variables.get("TERM") == "dumb"
    assert (shown.colours() == {"default"}) is plain
    assert any("█" in row or "▏" in row for row in rows) is (variables.get("PYTHONIOENCODING") != "ascii")
    if plain:
        assert b"\x1b" not in shown.raw


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_table_fits_into_every_terminal(terminal: Any, nginx: Nginx, columns: int) -> None:
    lines = terminal("-n", "12", "--concurrency", "3", nginx.url("/json"), columns=columns).finish()
    assert sum(line.startswith("total") for line in lines) == (2 if columns == 40 else 1)
    assert sum(line.startswith("receive") for line in lines) == (2 if columns == 40 else 1)
    assert all(re.fullmatch(r"total( +[\d.]+){3,6}", line) for line in lines if line.startswith("total"))


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_is_as_wide_as_the_terminal(terminal: Any, columns: int) -> None:
    shown = terminal("--help", columns=columns)
    shown.finish()
    text = shown.raw.decode().replace("\r\n", "\n")
    assert max(map(len, text[: text.index("Examples:")].splitlines())) <= min(columns, 100)


@pytest.mark.parametrize("path", ["/bytes/1000", "/untold-bytes"])
def test_binary_content_goes_to_a_terminal_only_when_asked_for(terminal: Any, server: LocalServer, path: str) -> None:
    shown = terminal(f"{server.url}{path}")
    content = (bytes(range(256)) * 4)[:1000] if path == "/bytes/1000" else b"\xff\xfe\x00"
    assert shown.finish()[-1] == f"<{len(content)} bytes of binary data; -o FILE keeps them, -o - shows them>"
    asked = terminal("-o", "-", "-s", f"{server.url}{path}")
    asked.finish()
    assert asked.raw == content.replace(b"\n", b"\r\n")  # as terminals are set


def test_nothing_of_a_server_moves_the_cursor_or_turns_text(terminal: Any, server: LocalServer) -> None:
    lines = terminal(f"{server.url}/escape").finish()
    assert "X-Odd: \\x1b[2J" in lines
    assert lines[-2:] == ["\\x1b]0;owned\\x07        end", "seen\\x0dhidden"]
    assert terminal(f"{server.url}/bidi").finish()[-1].startswith("a\\u202egnp.exe\\u2066\\u200b\\ufeff")


EVENTS = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 24\r\n\r\ndata: one\n\n"


@pytest.mark.parametrize("options", [[], ["--journey"], ["-N"]])
def test_events_are_shown_as_they_come(terminal: Any, options: list[str]) -> None:
    with FaultLab() as lab:
        lab.serve(Read(), Send(EVENTS), Hold(), Send(b"data: two\n\n\n\n"))
        shown = terminal(*options, "--timeout", "60", lab.url())
        shown.read_until("data: one")
        assert shown.process.poll() is None
        lab.release()
        lines = shown.finish()
    assert "data: two" in lines
    assert any("went into writing the output" in line for line in lines) is ("--journey" in options)


def test_text_comes_through_pipes_as_it_comes(environment: Any) -> None:
    with FaultLab() as lab:
        lab.serve(Read(), Send(response(b"one\ntwo\n")[:-4]), Hold(), Send(b"two\n"))
        command = [*COMMAND, "-s", "--timeout", "60", lab.url()]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment()) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "one\n"
            lab.release()
            assert process.stdout.read() == "two\n"
    assert process.returncode == 0


def test_interrupt_by_the_keyboard_ends_the_command_in_one_line(terminal: Any) -> None:
    with FaultLab() as lab:
        lab.serve(Read(), Send(EVENTS), Hold())
        shown = terminal("--timeout", "60", lab.url())
        shown.read_until("data: one")
        os.killpg(shown.process.pid, signal.SIGINT)
        lines = shown.finish()
        lab.release()
    assert shown.process.returncode == 130
    assert lines[-1] == "interrupted"
    assert not any("Traceback" in line for line in lines)


def test_measurement_is_interrupted_in_one_line(terminal: Any) -> None:
    with FaultLab() as lab:
        told = threading.Event()
        lab.serve(Read(), Tell(told), Hold())
        shown = terminal("-n", "5", "--timeout", "60", lab.url())
        assert told.wait(60)
        os.killpg(shown.process.pid, signal.SIGINT)
        lines = shown.finish()
        lab.release()
    assert (shown.process.returncode, lines) == (130, ["interrupted"])


def test_progress_of_a_download_leaves_one_line(terminal: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "data"
    shown = terminal("-o", str(file), f"{server.url}/bytes/10000000", columns=200)
    lines = shown.finish()
    assert lines == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/octet-stream",
        "Content-Length: 10000000",
        "",
        f"<10000000 bytes saved to {file}>",
    ]
    assert b"MB" in shown.raw
    assert file.stat().st_size == 10_000_000


def test_mistake_is_two_lines_on_the_screen(terminal: Any) -> None:
    shown = terminal("-d", "a=b")
    assert shown.finish()[0] == "httpx-fast: a URL is missing"
    assert shown.process.returncode == 2
