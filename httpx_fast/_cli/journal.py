"""The journal of a bulk run: a line of JSON for each result, beside the output, until that is written.

The first line says what the run is of. A result counts when its line ends: what a crash left without an end is cut off,
and that request is sent again.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

from .usage import UsageError

__all__ = ["Journal"]

_VERSION = 1
SYNC_SECONDS = 1.0  # results that only a crash of the system can lose, which are then asked for again


class Journal:
    """Append results, and give them back in the order of the input."""

    def __init__(self, path: Path, input_digest: str, settings: dict[str, Any], lines: int) -> None:
        self.path = path
        self._head = {"httpx_fast bulk": _VERSION, "input": input_digest, "settings": settings}
        #: Where the result of each line begins, plus one; 0 for none.
        self._places = array("Q", bytes(8 * (lines + 1)))
        self.done = 0
        self.failed = 0
        self.resumed = path.exists() and path.stat().st_size > 0
        self._synced = time.monotonic()
        self._file: Any = path.open("r+b" if path.exists() else "w+b")
        try:
            self._lock()
            self._read()
        except BaseException:
            self._file.close()
            raise

    def _lock(self) -> None:
        """Keep a second run from the same journal, where the system can."""
        try:
            import fcntl
        except ImportError:  # Windows
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(
                f"{self.path} is in use by another run", "wait for it, or choose another --out", 23
            ) from None

    def _read(self) -> None:
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            if end == 0:
                self._compare(line)
            else:
                try:
                    row = json.loads(line)
                except ValueError:  # what a system that crashed has not written to the disk
                    break
                self._note(row, end)
            end += len(line)
        self._file.seek(end)
        self._file.truncate()
        if end == 0:
            self._append(self._head)

    def _compare(self, line: bytes) -> None:
        """Refuse the journal of another run. Raises UsageError."""
        hint = f"remove {self.path} to begin anew, or choose another --out"
        try:
            head = json.loads(line)
            version = head["httpx_fast bulk"]
        except (ValueError, TypeError, KeyError):
            raise UsageError(f"{self.path} is no journal of httpx-fast bulk", hint) from None
        if version != _VERSION:
            raise UsageError(f"{self.path} was written by another version of httpx-fast", hint)
        if head["input"] != self._head["input"]:
            raise UsageError(f"{self.path} belongs to another run: the input has changed since", hint)
        if head["settings"] != self._head["settings"]:
            mine: Any = self._head["settings"]
            names = ", ".join(f"--{name}" for name in mine if mine[name] != head["settings"].get(name))
            raise UsageError(f"{self.path} belongs to another run: {names} had another value", hint)

    def _note(self, row: dict[str, Any], place: int) -> None:
        self._places[row["line"]] = place + 1
        self.done += 1
        self.failed += row["error"] is not None

    def __contains__(self, line: int) -> bool:
        return self._places[line] != 0

    def add(self, row: dict[str, Any]) -> None:
        """Keep a result; after an OSError there is nothing of it in the file."""
        if row["line"] not in self:
            self._note(row, self._append(row))
            if time.monotonic() - self._synced > SYNC_SECONDS:
                self.sync()

    def _append(self, entry: dict[str, Any]) -> int:
        place: int = self._file.seek(0, os.SEEK_END)
        try:
            self._file.write(json.dumps(entry).encode("ascii") + b"\n")
            self._file.flush()
        except OSError:
            self._forget_unwritten(place)
            raise
        return place

    def _forget_unwritten(self, place: int) -> None:
        """Cut off what was written in part; the buffer of the old file must not be written later."""
        broken, self._file = self._file, None
        with contextlib.suppress(OSError):
            os.ftruncate(broken.fileno(), place)
        with contextlib.suppress(OSError):
            broken.close()

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield the results in the order of the input."""
        for place in self._places:
            if place:
                self._file.seek(place - 1)
                yield json.loads(self._file.readline())

    def sync(self) -> None:
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()

    def remove(self) -> None:
        self.path.unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if self._file is not None:
            self._file.close()
