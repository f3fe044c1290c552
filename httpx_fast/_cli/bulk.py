"""`httpx-fast bulk`: a GET for each line of a file, results as a table, and a journal to continue by.

Rules:

1. A result that is in the journal is kept, whatever ends the run; the same command continues after it.
2. What is wrong with one line (no URL, no answer) is its result.
3. The output is there when all lines are done, and not before.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import gzip
import hashlib
import importlib.util
import io
import shutil
import sys
import tempfile
import time
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from .. import _bulk
from .._client.client import Client
from .._client.many import MAX_CONCURRENCY
from .._config import Limits, Timeout
from .journal import Journal
from .options import Option
from .usage import UsageError

__all__ = ["INTRODUCTION", "USAGE", "options", "run"]

INTRODUCTION = (
    "Send a GET for each line of a file, and write the results as a table. The same command continues a run that was "
    "interrupted."
)
USAGE = "httpx-fast bulk FILE --out FILE [OPTION ...]"
_HINT = "httpx-fast bulk --help shows all options"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, _HINT)


def _parser() -> _Parser:
    parser = _Parser(
        prog="httpx-fast bulk",
        description=INTRODUCTION,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("input", type=Path, help="a file with one URL in each line, also of gzip; - is standard input")
    add("--out", type=Path, required=True, metavar="FILE", help="results: a file .jsonl, .csv or .parquet")
    add("--concurrency", type=int, default=50, metavar="COUNT", help="requests at once (default: 50); with --dask, "
        "of each worker process")  # fmt: skip
    add("--rate", type=float, metavar="NUMBER", help="requests begun in a second at most, by all workers together")
    add("--timeout", type=float, default=30.0, metavar="SECONDS", help="for each request (default: 30)")
    add("--body", choices=_bulk.BODIES, default="text", metavar="KIND", help="how contents are kept: text, base64 or "
        "none (default: text)")  # fmt: skip
    add("--header", action="append", default=[], metavar="NAME:VALUE", help="for each request")
    add("--location", action="store_true", help="follow redirects")
    add("--dask", metavar="ADDRESS", help="address of a Dask scheduler whose workers send the requests")
    add("--overwrite", action="store_true", help="replace an output that is there")
    return parser


def options() -> list[Option]:
    """Return the options, for the manual page and completions."""
    return [
        Option(tuple(each.option_strings), each.dest, str(each.help), "bulk", (each.metavar,) if each.metavar else ())  # type: ignore[arg-type]
        for each in _parser()._actions
        if each.option_strings and each.dest != "help"
    ]


def run(arguments: Sequence[str]) -> int:
    """Run the command and return its exit code."""
    try:
        given = _parser().parse_args(arguments)
    except SystemExit:  # of --help
        return 0
    _check(given)
    with _input(given.input) as given.input:
        return _run(given)


def _run(given: argparse.Namespace) -> int:
    digest, count = _digest(given.input)
    settings = {name: getattr(given, name) for name in ("timeout", "body", "header", "location")}
    path = given.out.with_name(f"{given.out.name}.journal")
    if given.out.exists() and not path.exists() and not given.overwrite:
        raise UsageError(f"{given.out} is there already", "--overwrite replaces it", 23)
    with Journal(path, digest, settings, count) as journal:
        progress = _Progress(journal, _count(given.input, journal))
        if journal.resumed:
            progress.say(f"continues: {journal.done} of {progress.total} were done")
        try:
            _send(given, journal, progress)
            journal.sync()
            _bulk.write(given.out, journal.rows())
        except BaseException:
            progress.say(
                f"stopped: {journal.done} of {progress.total} are done and kept in {path}; the same command continues"
            )
            raise
        journal.remove()
        progress.say(f"{given.out}: {journal.done} results, {journal.failed} of them errors")
    return 0


def _check(given: argparse.Namespace) -> None:
    """Raise UsageError for what cannot be, before anything is sent."""
    if given.out.suffix not in _bulk.FORMATS:
        raise UsageError(f"--out {given.out} has no ending that is known", f"it is one of {', '.join(_bulk.FORMATS)}")
    if given.out.suffix == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise UsageError("Parquet needs pyarrow", "pip install 'httpx-fast[bulk]', or write .jsonl or .csv")
    if given.dask is not None and importlib.util.find_spec("distributed") is None:
        raise UsageError("--dask needs distributed", "pip install 'httpx-fast[dask]'")
    if not 1 <= given.concurrency <= MAX_CONCURRENCY:
        raise UsageError(f"--concurrency is {given.concurrency}", f"it is 1 to {MAX_CONCURRENCY}")
    if not given.timeout > 0:
        raise UsageError(f"--timeout is {given.timeout:g}", "it is a number of seconds above 0")
    if given.rate is not None and not given.rate > 0:
        raise UsageError(f"--rate is {given.rate:g}", "it is a number of requests in a second, above 0")
    for header in given.header:
        if ":" not in header:
            raise UsageError(f"--header {header!r} has no colon", "it is NAME:VALUE")
    _check_files(given.input, given.out)


def _check_files(source: Path, out: Path) -> None:
    if str(source) != "-":
        if not source.exists():
            raise UsageError(
                f"there is no file {source}", "the input is a file with a URL in each line, or - for standard input"
            )
        if source.is_dir():
            raise UsageError(f"{source} is a folder", "the input is a file with a URL in each line")
    if not out.parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for {out.name}", "make it, or choose another --out", 23)
    if out.is_dir():
        raise UsageError(f"{out} is a folder", "choose another --out", 23)
    if out.exists() and source.exists() and out.samefile(source):
        raise UsageError(f"--out {out} is the input", "choose another --out", 23)


@contextlib.contextmanager
def _input(source: Path) -> Generator[Path]:
    """Give a file that can be read several times: a copy of standard input, of a pipe, of what is compressed."""
    with contextlib.ExitStack() as stack:
        if str(source) == "-":
            stream: Any = sys.stdin.buffer
        else:
            stream = stack.enter_context(source.open("rb"))
        # Bytes that show what it is; a pipe gives them once.
        reader = stream if hasattr(stream, "peek") else io.BufferedReader(stream)
        packed = reader.peek(2)[:2] == b"\x1f\x8b"
        if source.is_file() and not packed:
            yield source
            return
        copy = stack.enter_context(tempfile.NamedTemporaryFile(prefix="httpx-fast-bulk-"))
        try:
            shutil.copyfileobj(stack.enter_context(gzip.open(reader)) if packed else reader, copy)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise UsageError(f"{source} cannot be decompressed: {error}", "it is no whole file of gzip") from None
        copy.flush()
        yield Path(copy.name)


def _digest(path: Path) -> tuple[str, int]:
    """Return what tells this input from others, and the number of its lines."""
    digest, count = hashlib.sha256(), 0
    with path.open("rb") as file:
        for line in file:
            digest.update(line)
            count += 1
    return digest.hexdigest(), count


def _lines(path: Path) -> Iterator[_bulk.Line]:
    return (_bulk.Line.of(number, line.decode("utf-8", "replace")) for number, line in _raw_lines(path))


def _raw_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers, without empty ones and the mark that Windows puts before UTF-8."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            found = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
            if found := found.strip():
                yield number, found


def _count(path: Path, journal: Journal) -> int:
    """Return how many lines have a result in the end. Those that are not UTF-8 have theirs now: they name no URL."""
    count = 0
    for number, line in _raw_lines(path):
        count += 1
        try:
            line.decode()
        except UnicodeDecodeError as error:
            row: dict[str, Any] = dict.fromkeys(_bulk.COLUMNS)
            row |= {"line": number, "url": line.decode("utf-8", "replace"), "error": "UnicodeDecodeError"}
            journal.add(row | {"message": f"the line is not UTF-8: {error.reason} at position {error.start}"})
    return count


def _send(given: argparse.Namespace, journal: Journal, progress: _Progress) -> None:
    left = (line for line in _lines(given.input) if line.number not in journal)
    with _client(given) as client:
        for row in _rows(given, client, left):
            journal.add(row)
            progress.show()


def _rows(given: argparse.Namespace, client: Client, left: Iterable[_bulk.Line]) -> Iterator[dict[str, Any]]:
    if given.dask is None:
        pace = _bulk.Pace(given.rate)
        with client.map(_paced(left, pace), concurrency=given.concurrency, ordered=False) as outcomes:
            try:
                for outcome in outcomes:
                    yield _bulk.row_of(outcome, given.body)
            except BaseException:
                pace.stop()
                client.close()  # requests under way are not waited for
                raise
        return
    from ..integrations.dask import rows

    scheduler: Any = import_module("distributed").Client(given.dask, set_as_default=False)
    with scheduler:
        yield from rows(scheduler, left, client=client, concurrency=given.concurrency, rate=given.rate, body=given.body)


def _paced(lines: Iterable[_bulk.Line], pace: _bulk.Pace) -> Iterator[_bulk.Line]:
    for line in lines:
        if not pace.wait():
            return
        yield line


def _client(given: argparse.Namespace) -> Client:
    headers = [(name.strip(), value.strip()) for name, _, value in (each.partition(":") for each in given.header)]
    return Client(
        timeout=Timeout(given.timeout, total=given.timeout),
        headers=headers,
        follow_redirects=given.location,
        limits=Limits(max_connections=given.concurrency, max_keepalive_connections=given.concurrency),
    )


class _Progress:
    """Tell on standard error how far the run is: a line that changes on a terminal, else one every 10 seconds."""

    def __init__(self, journal: Journal, total: int) -> None:
        self._journal = journal
        self._before = journal.done
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self.total = total

    def show(self) -> None:
        now = time.monotonic()
        if now - self._shown < (0.2 if self._terminal else 10):
            return
        self._shown = now
        rate = (self._journal.done - self._before) / (now - self._began)
        text = f"{self._journal.done}/{self.total}, {self._journal.failed} errors, {rate:.0f} in a second"
        print(f"\r\x1b[K{text}" if self._terminal else text, end="" if self._terminal else "\n", file=sys.stderr)
        sys.stderr.flush()

    def say(self, text: str) -> None:
        print(f"\r\x1b[K{text}" if self._terminal else text, file=sys.stderr, flush=True)
