"""What the command shows on terminals, in pipes, and with or without the packages of the extra `cli`."""

from __future__ import annotations

import io
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpx_fast._cli import exchange as _exchange
from httpx_fast._cli import output as _output
from httpx_fast._cli import terminal as _terminal
from httpx_fast._cli.command import main
from httpx_fast._cli.terminal import MAX_COLORED, Terminal, visible
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast.testing import LocalServer


class Screen(io.TextIOWrapper):
    """A stream that says what it is, and keeps all that was written to it."""

    def __init__(self, *, tty: bool = True, encoding: str = "utf-8") -> None:
        super().__init__(io.BytesIO(), encoding, newline="")
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty

    def getvalue(self) -> str:
        self.flush()
        return self.buffer.getvalue().decode(self.encoding)


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Has packages be missing, whether they are installed or not."""

    def hide(*names: str) -> None:
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return hide


@pytest.fixture
def show(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs the command on a terminal, or with `tty=False` in a pipe; what came there, with what came on errors."""

    def showing(*arguments: str, tty: bool = True) -> str:
        screen = Screen(tty=tty)
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        assert main(arguments) == 0
        return screen.getvalue()

    return showing


def uncoloured(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_nothing_that_a_server_sends_commands_the_terminal(show: Any, server: LocalServer) -> None:
    shown = uncoloured(show(f"{server.url}/escape"))
    assert "\x1b" not in shown
    assert "X-Odd: \\x1b[2J\n" in shown
    assert shown.endswith("\n\n\\x1b]0;owned\\x07\tend\nseen\\x0dhidden\n")


def test_text_goes_to_pipes_and_files_as_it_is(show: Any, server: LocalServer) -> None:
    assert "\x1b]0;owned\x07\tend\r\nseen\rhidden\n" in show(f"{server.url}/escape", tty=False)


def test_characters_that_hide_or_turn_text_are_escaped(show: Any, server: LocalServer) -> None:
    url = f"{server.url}/bidi"
    shown = show(url).partition("\n\n")[2]
    assert shown == "a\\u202egnp.exe\\u2066\\u200b\\ufeff \\U000e0041 é✓\n"
    assert show(url, tty=False).endswith("a\u202egnp.exe\u2066\u200b\ufeff \U000e0041 é✓")


def test_whatever_is_invisible_in_unicode_is_escaped() -> None:
    seen = {
        chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cf", "Cc", "Zl", "Zp")
    }
    # Left are signs of Arabic, Syriac and Kaithi that are seen around numbers, and what arranges hieroglyphs.
    kept = {each for each in seen if visible(each) == each}
    names = [unicodedata.name(each, "") for each in kept - {"\t", "\n"}]
    assert [name for name in names if not re.match("ARABIC|SYRIAC|KAITHI|EGYPTIAN", name)] == []
    assert "ARABIC LETTER MARK" not in names


def test_piecewise_text_has_no_carriage_returns_cut_off_from_their_line_feeds() -> None:
    screen = Screen()
    terminal = Terminal(screen)
    for piece in ("one\r", "\ntwo\r", "three\r"):
        terminal.write(piece)
    terminal.end_text()
    assert screen.getvalue() == "one\ntwo\\x0dthree\\x0d"


WANTED = [
    (True, {}, sys.platform != "win32"),
    (False, {}, False),
    (True, {"NO_COLOR": "1"}, False),
    (True, {"TERM": "dumb"}, False),
]


@pytest.mark.parametrize(("tty", "variables", "coloured"), WANTED)
def test_colours_are_for_terminals_that_want_them(
    tty: bool, variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    journey = Journey(0.0, lambda: 1.0)
    journey.connection, journey.nth, journey.leased = ConnectionFacts(), 1, 0.5
    screen = Screen(tty=tty)
    Terminal(screen).draw([journey], ["GET"])
    assert ("\x1b[" in screen.getvalue()) is coloured
    assert "█" in screen.getvalue()


@pytest.mark.parametrize(("tty", "variables", "coloured"), WANTED)
def test_heads_and_json_have_colours_on_terminals_that_want_them(
    tty: bool,
    variables: dict[str, str],
    coloured: bool,
    show: Any,
    server: LocalServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pygments")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    head, _, content = show(f"{server.url}/odd-json", tty=tty).partition("\n\n")
    assert ("\x1b[" in head) is coloured
    assert bool(re.search(r"\x1b\[[0-9;]+mnull\x1b", content)) is coloured


def test_colours_change_no_character(show: Any, server: LocalServer, without: Callable[..., None]) -> None:
    pytest.importorskip("pygments")
    url = f"{server.url}/odd-json"
    with_colours = show(url, "-v", "-m", "QUERY")
    without("pygments")
    plain = show(url, "-v", "-m", "QUERY")
    assert "\x1b" not in plain
    assert "\\u001b[2J\\x9b" in plain
    port = re.compile(r"connection: peer \S+")
    assert port.sub("", uncoloured(with_colours)) == port.sub("", plain)


@pytest.mark.parametrize(("more", "coloured"), [(-1, True), (0, True), (1, False)])
def test_long_content_has_no_colours(more: int, coloured: bool) -> None:
    pytest.importorskip("pygments")
    if sys.platform == "win32":
        pytest.skip("colours only under Windows Terminal")
    screen = Screen()
    text = '"' + "a" * (MAX_COLORED + more - 2) + '"'
    Terminal(screen).say(text, language="json")
    assert ("\x1b" in screen.getvalue()) is coloured
    assert uncoloured(screen.getvalue()) == text + "\n"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, in seconds, which stands until it is set."""
    now = [100.0]
    monkeypatch.setattr(_terminal.time, "monotonic", lambda: now[0])
    return now


def looks(screen: Screen) -> list[str]:
    """What stood on the line, one after the other."""
    return [look.rstrip() for look in screen.getvalue().split("\r")[1:]]


def test_progress_is_a_line_that_is_written_over(clock: list[float], without: Callable[..., None]) -> None:
    without("rich")
    screen = Screen()
    with Terminal(screen).progress(2_000_000) as progress:
        for seconds, data in ((1.0, 500_000), (1.05, 600_000), (2.0, 1_000_000), (4.0, 2_000_000)):
            clock[0] = 100.0 + seconds
            progress(data)
    assert looks(screen) == [
        " 25% |██████                  | 500 kB of 2 MB, 500 kB/s",
        " 50% |████████████            | 1 MB of 2 MB, 500 kB/s",
        "100% |████████████████████████| 2 MB of 2 MB, 500 kB/s",
        "",
        "",
    ]
    assert "\x1b" not in screen.getvalue()


def test_shorter_look_leaves_nothing_of_a_longer_one(clock: list[float], without: Callable[..., None]) -> None:
    without("rich")
    screen = Screen(encoding="ascii")
    with Terminal(screen).progress(None) as progress:
        for seconds, data in ((1.0, 999), (2.0, 12_345), (8.0, 16_000)):
            clock[0] = 100.0 + seconds
            progress(data)
    assert looks(screen)[:3] == ["999 B, 999 B/s", "12.3 kB, 6.17 kB/s", "16 kB, 2 kB/s"]
    widths = [len(look) for look in screen.getvalue().split("\r")[1:]]
    assert widths == [14, 18, 18, 13, 0]


def test_progress_has_ascii_where_blocks_cannot_be_shown_and_never_passes_the_whole(
    clock: list[float], without: Callable[..., None]
) -> None:
    without("rich")
    screen = Screen(encoding="ascii")
    with Terminal(screen).progress(10) as progress:
        clock[0] += 1.0
        progress(20)
    assert looks(screen)[0] == "100% |########################| 20 B of 10 B, 20 B/s"


def test_progress_fits_into_narrow_terminals(
    clock: list[float], without: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    without("rich")
    monkeypatch.setenv("COLUMNS", "20")
    screen = Screen()
    with Terminal(screen).progress(10) as progress:
        progress(5)
    assert max(map(len, screen.getvalue().split("\r"))) == 19


def test_progress_ends_when_the_download_fails(clock: list[float], without: Callable[..., None]) -> None:
    without("rich")
    screen = Screen()
    with pytest.raises(ZeroDivisionError, match="zero"), Terminal(screen).progress(10) as progress:
        progress(5)
        progress(1 // 0)
    assert screen.getvalue().endswith(" \r")


@pytest.mark.parametrize(("tty", "variables"), [(False, {}), (True, {"TERM": "dumb"})])
def test_progress_is_for_terminals_that_can_write_over(
    tty: bool, variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    screen = Screen(tty=tty)
    with Terminal(screen).progress(10) as progress:
        progress(5)
    assert screen.getvalue() == ""


@pytest.mark.parametrize(("variables", "coloured"), [({}, sys.platform != "win32"), ({"NO_COLOR": "1"}, False)])
def test_progress_is_drawn_by_rich_where_it_is_installed(
    variables: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rich")
    monkeypatch.setenv("COLUMNS", "120")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    screen = Screen()
    with Terminal(screen).progress(2_000_000) as progress:
        progress(1_000_000)
        shown = screen.getvalue()
    assert "50%" in uncoloured(shown)
    assert "1.0/2.0 MB" in uncoloured(shown)
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9;]*m", shown)) is coloured


@pytest.mark.parametrize("rich", [True, False])
def test_download_shows_how_far_it_is(
    rich: bool, show: Any, server: LocalServer, without: Callable[..., None], tmp_path: Path
) -> None:
    if rich:
        pytest.importorskip("rich")
    else:
        without("rich")
    file = tmp_path / "data"
    shown = show(f"{server.url}/bytes/100000", "--download", str(file))
    assert file.stat().st_size == 100_000
    assert "kB" in shown
    assert shown.rstrip().endswith(f"<100000 bytes saved to {file}>")
    assert "%" not in show(f"{server.url}/bytes/100000", "--download", str(file), tty=False)


def test_sizes_are_told_in_the_unit_that_people_use() -> None:
    sizes = {
        0: "0 B",
        999: "999 B",
        1000: "1 kB",
        999_499: "999 kB",
        999_500: "1 MB",
        1.5e9: "1.5 GB",
        5e16: "5e+04 TB",
    }
    assert {data: _terminal._size(data) for data in sizes} == sizes


@pytest.mark.parametrize(("more", "laid_out"), [(-1, True), (0, True), (1, False)])
def test_long_json_is_shown_as_it_comes(
    more: int, laid_out: bool, show: Any, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = len('{"b": [1, "\\u001b[2J\\u009b"], "a": null}')
    monkeypatch.setattr(_output, "MAX_LAID_OUT", size - more)
    shown = uncoloured(show(f"{server.url}/odd-json")).partition("\n\n")[2]
    assert (shown.count("\n") > 5) is laid_out
    assert shown.replace(" ", "").replace("\n", "").startswith('{"b":[1,"\\u001b[2J')


@pytest.mark.parametrize("limit", [1, 99_999, 100_000])
def test_body_that_is_read_first_is_whole_however_much_of_it_is_in_memory(
    limit: int, run: Any, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_exchange, "MAX_IN_MEMORY", limit)
    whole = (bytes(range(256)) * 391)[:100_000]
    assert run("--journey", f"{server.url}/bytes/100000").out == whole.decode("utf-8", "backslashreplace")
