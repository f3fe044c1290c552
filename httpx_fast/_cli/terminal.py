"""Shows lines, text, bytes, drawings and progress on standard output or standard error.

What a peer sends reaches this module, and none of it may control the terminal: control characters, and characters that
turn text around or cannot be seen, are written as escapes before anything is coloured. Escape sequences and carriage
returns go to terminals only, so that pipes and files get text; colours only where they are wanted (NO_COLOR, TERM). It
knows no HTTP. pygments, which colours, and rich, which draws progress, are optional, and imported once there is
something to show.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Generator, Sequence
from typing import Any, TextIO

from .. import _journey_drawing as _waterfall
from .._journey import Journey

#: Bytes so far. Called for each piece; how often that is shown is decided here.
Progress = Callable[[int], None]

# characters; pygments colours a million of them in a second
MAX_COLORED = 262144
# seconds between two looks of a progress bar: each costs a write, and nobody reads faster
_PACE = 0.1
_BAR = 24  # columns
_UNITS = ("B", "kB", "MB", "GB", "TB")
#: What a terminal would obey instead of showing it: C0 and C1 but for tab and line feed. And what cannot be seen, or
#: makes other characters stand elsewhere than they are: marks of direction, joiners, blanks without width, fillers of
#: Hangul, separators of lines and paragraphs, tags. Signs of Arabic and Kaithi in the category Cf can be seen.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)


def visible(text: str) -> str:
    """Return the text with escapes in place of what a terminal would obey or hide."""
    return _HIDDEN.sub(_escape, text)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


class Terminal:
    """Standard output or standard error, and what it can show. None, for a closed one, shows nothing."""

    def __init__(self, stream: TextIO | None) -> None:
        self.closed = stream is None
        self._held = ""  # a carriage return that a line feed may follow
        stream = stream or io.StringIO()
        self._stream = stream
        self._encoding = stream.encoding or "ascii"
        self._tty = stream.isatty()
        self._dumb = os.environ.get("TERM") == "dumb"
        self._blocks = self._can_show("▏█")
        plain = os.environ.get("NO_COLOR") or self._dumb
        # Older consoles of Windows show the sequences instead of obeying them.
        self._colors = self._tty and not plain and (sys.platform != "win32" or "WT_SESSION" in os.environ)

    def say(self, *lines: str, language: str | None = None) -> None:
        """Show lines, with control characters escaped.

        `language` is what they are written in together, "http" or "json", where colours would help to read them.
        """
        if self._tty:
            # A carriage return ends lines with a line feed only; alone it lets others be written over this one.
            lines = tuple(visible(line.replace("\r\n", "\n")) for line in lines)
        if self._colors and language is not None:
            lines = (_colored("\n".join(lines), language),)
        for line in lines:
            self._print(line)

    @property
    def is_terminal(self) -> bool:
        return self._tty

    @property
    def colors(self) -> bool:
        return self._colors

    @property
    def columns(self) -> int:
        """Return the width that there is; 80 where nobody looks."""
        return shutil.get_terminal_size().columns if self._tty else 80

    def write(self, text: str) -> None:
        """Show a piece of a text at once, without adding a line end."""
        if self._tty:
            text = self._held + text
            self._held = "\r" if text.endswith("\r") else ""
            text = visible(text[: len(text) - len(self._held)].replace("\r\n", "\n"))
        self._stream.write(self._showable(text))
        self._stream.flush()

    def end_text(self) -> None:
        """End a text that was shown piece by piece."""
        held, self._held = self._held, ""
        if held:
            self._stream.write(visible(held))
            self._stream.flush()

    def write_bytes(self, data: bytes) -> None:
        """Write bytes as they are, at once."""
        self._stream.flush()
        self._stream.buffer.write(data)
        self._stream.buffer.flush()

    def draw(self, journeys: Sequence[Journey], labels: Sequence[str], own: Sequence[float] = ()) -> None:
        width = self.columns
        lines = _waterfall.draw(journeys, labels, own=own, width=width, blocks=self._blocks, colors=self._colors)
        self._print("\n".join(lines))

    @contextlib.contextmanager
    def progress(self, total: int | None) -> Generator[Progress]:
        """Show the progress of a transfer of `total` bytes, None if unknown. On terminals only."""
        if not self._tty or self._dumb:
            yield lambda done: None
            return
        with contextlib.ExitStack() as shown:
            bar = _rich_bar(self._stream, total, self._colors, shown)
            if bar is None:
                bar = _PlainBar(self._stream, total, "█" if self._blocks else "#")
                shown.callback(bar.end)
            yield _Pace(bar)

    def _print(self, text: str) -> None:
        print(self._showable(text), file=self._stream, flush=True)

    def _showable(self, text: str) -> str:
        """Return the text with escapes in place of what the encoding of the output lacks."""
        return text if self._can_show(text) else text.encode(self._encoding, "backslashreplace").decode(self._encoding)

    def _can_show(self, text: str) -> bool:
        try:
            text.encode(self._encoding)
        except UnicodeEncodeError:
            return False
        return True


def _colored(text: str, language: str) -> str:
    """Return the text with SGR sequences, where pygments is installed.

    Heads and JSON only: pygments reads them in linear time. What it has for HTML takes half a minute for 100 kB of
    "<!--", which a server is free to send.
    """
    if len(text) > MAX_COLORED:
        return text
    try:
        import pygments
        import pygments.lexers
        from pygments.formatters import TerminalFormatter
    except ImportError:
        return text
    lexers: Any = pygments.lexers
    lexer = lexers.get_lexer_by_name(language, stripnl=False, ensurenl=False)
    colored: str = pygments.highlight(text, lexer, TerminalFormatter())
    return colored


class _Pace:
    """Pass on updates, but not more often than they can be read."""

    def __init__(self, show: Progress) -> None:
        self._show = show
        self._next = 0.0

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if now >= self._next:
            self._next = now + _PACE
            self._show(done)


class _PlainBar:
    """A line of text that is written over and over: how much there is, of how much, and how fast it comes."""

    def __init__(self, stream: TextIO, total: int | None, block: str) -> None:
        self._stream = stream
        self._total = total
        self._block = block
        self._started = time.monotonic()
        self._width = 0

    def __call__(self, done: int) -> None:
        line = _size(done)
        if self._total:
            share = min(done / self._total, 1.0)
            bar = (self._block * int(share * _BAR)).ljust(_BAR)
            line = f"{share:4.0%} |{bar}| {line} of {_size(self._total)}"
        elapsed = time.monotonic() - self._started
        if elapsed > 0:
            line += f", {_size(done / elapsed)}/s"
        self._write(line)

    def end(self) -> None:
        """Clear the line; the next message says how the transfer ended."""
        self._write("")
        self._stream.write("\r")
        self._stream.flush()

    def _write(self, line: str) -> None:
        line = line[: shutil.get_terminal_size().columns - 1]  # one that wraps could not be written over
        self._stream.write("\r" + line.ljust(self._width))
        self._stream.flush()
        self._width = len(line)


def _rich_bar(stream: TextIO, total: int | None, colors: bool, shown: contextlib.ExitStack) -> Progress | None:
    """Return rich's progress bar, which is on the screen until `shown` ends; None where rich is not installed."""
    try:
        import rich.console as rich_console
        import rich.progress as rich_progress
    except ImportError:
        return None
    console: Any = rich_console
    progress: Any = rich_progress
    columns = (
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    # Without its thread, and gone at the end: what is said next says how it ended.
    screen = console.Console(file=stream, no_color=not colors)
    bar = shown.enter_context(progress.Progress(*columns, console=screen, auto_refresh=False, transient=True))
    task = bar.add_task("", total=total)
    return lambda done: bar.update(task, completed=done, refresh=True)


def _size(size: float) -> str:
    """Return a size for people, in decimal units."""
    for unit in _UNITS[:-1]:
        if size < 999.5:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} {_UNITS[-1]}"
