"""Results of many requests as rows of a table: what the command `bulk` and the integration with Dask have in common."""

from __future__ import annotations

import base64
import csv
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from pathlib import Path
from typing import Any, Final, TypeAlias

from ._client.many import Outcome

__all__ = ["BODIES", "COLUMNS", "FORMATS", "Line", "Pace", "Row", "arrow_table", "row_of", "write"]

Row: TypeAlias = dict[str, Any]

#: The columns of a result. `line` counts from 1; without a response `error` is the class of what was raised.
COLUMNS: Final[tuple[str, ...]] = (
    "line",
    "url",
    "status",
    "final_url",
    "content_type",
    "size",
    "seconds",
    "error",
    "message",
    "body",
)
#: What becomes of the content of responses.
BODIES: Final = ("text", "base64", "none")
#: By the ending of the file.
FORMATS: Final = (".jsonl", ".csv", ".parquet")
BATCH: Final = 1000  # rows that are in memory while a file is written
CATCH_UP: Final = 0.05  # seconds that a thread woken late may be made up for; without it high rates are not reached


class Line(str):
    """One line of the input, with its number."""

    __slots__ = ("number",)

    number: int

    @classmethod
    def of(cls, number: int, text: str) -> Line:
        line = cls(text)
        line.number = number
        return line


class Pace:
    """Let requests begin no faster than `rate` in a second, whichever threads send them; None is no limit."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._changed = threading.Condition()
        self._last = -math.inf  # when the request before this one was due
        self._stopped = False

    @property
    def rate(self) -> float | None:
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        with self._changed:
            self._rate = rate
            self._changed.notify_all()

    def wait(self) -> bool:
        """Wait until the next request may begin. Returns False once it is stopped."""
        with self._changed:
            while not self._stopped:
                now = time.monotonic()
                due = -math.inf if self._rate is None else self._last + 1 / self._rate
                if due <= now:
                    self._last = now if due == -math.inf else max(due, now - CATCH_UP)
                    return True
                self._changed.wait(due - now)
        return False

    def stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


def row_of(outcome: Outcome, body: str) -> Row:
    """Return the result of one line. Content that cannot be decoded is an error of the line."""
    line: Line = outcome.item
    row: Row = dict.fromkeys(COLUMNS)
    row["line"], row["url"] = line.number, str(line)
    error, response = outcome.error, outcome.response
    if response is not None:
        row["status"], row["final_url"] = response.status_code, str(response.url)
        row["content_type"] = response.headers.get("Content-Type")
        row["size"], row["seconds"] = len(response.content), response.elapsed.total_seconds()
        if body == "base64":
            row["body"] = base64.b64encode(response.content).decode("ascii")
        elif body == "text":
            # A lone surrogate (of UTF-7 and the like) cannot be written as UTF-8.
            row["body"] = response.text.encode("utf-8", "replace").decode("utf-8")
    if error is not None:
        row["error"], row["message"] = type(error).__name__, " ".join(str(error).split())
    return row


def arrow_table(rows: list[Row]) -> Any:
    """Return rows as a table of pyarrow. Raises ImportError without it."""
    pa: Any = import_module("pyarrow")
    kinds = {"line": pa.int64(), "status": pa.int32(), "size": pa.int64(), "seconds": pa.float64()}
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in COLUMNS])
    return pa.Table.from_pylist(rows, schema=schema)


def write(path: Path, rows: Iterable[Row]) -> None:
    """Write rows in the format that the name of the file says; it is there when it is complete, and not before."""
    unfinished = path.with_name(f"{path.name}.part")
    try:
        _WRITERS[path.suffix](unfinished, rows)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _write_jsonl(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
        _sync(file)


def _write_csv(path: Path, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        names: list[str] = list(COLUMNS)
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
        _sync(file)


def _write_parquet(path: Path, rows: Iterable[Row]) -> None:
    pq: Any = import_module("pyarrow.parquet")
    with pq.ParquetWriter(path, arrow_table([]).schema) as writer:
        batch: list[Row] = []
        for row in rows:
            batch.append(row)
            if len(batch) == BATCH:
                writer.write_table(arrow_table(batch))
                batch.clear()
        if batch:
            writer.write_table(arrow_table(batch))


_WRITERS: Final[dict[str, Callable[[Path, Iterable[Row]], None]]] = dict(
    zip(FORMATS, (_write_jsonl, _write_csv, _write_parquet), strict=True)
)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
