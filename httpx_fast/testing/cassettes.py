"""`Cassette`: records exchanges of all our clients into a readable file, and plays them without a network.

It stands in place of our transports' methods for one block, like the mock. Rules:

1. Nothing is written before the block has ended without an exception, and then a whole file or none.
2. A request that is not on the cassette and may not be recorded is refused; it never reaches the network.
3. What is recorded reaches the client as it came; masks stand in the file only.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Self, cast

from .._models import Request, Response
from .._transports import AsyncHTTPTransport, HTTPTransport
from ._patching import Send, SendAsync, transports_replaced
from ._tape import MATCHERS, Exchange, describe, exchange_of, is_match, nearest, replay, without_coding

__all__ = ["Cassette", "NotRecorded"]

MODES: Final = ("once", "none", "new", "all")
VERSION: Final = 1


class NotRecorded(AssertionError):
    """Report a request that a cassette does not have, and may not record."""


class Cassette:
    """Record what clients exchange in a block into a file, or play it from there. A context manager.

        with LocalServer(tls=False) as server, httpx.Client() as client:
            with Cassette("greeting.json"):
                recorded = client.get(server.url).json()
        with Cassette("greeting.json"), httpx.Client() as client:  # the server is gone
            assert client.get(server.url).json() == recorded

    It serves blocking and asynchronous clients of the whole process. `path` ends in `.json`, or in `.yaml` if PyYAML is
    installed. Modes: "once" records if there is no file and plays otherwise; "none" only plays; "new" plays what there
    is and records the rest; "all" records everything anew. `match` names what requests are compared by: "method",
    "url", "body". Each exchange is played once, in the order of the file; with `repeat` the last one that matches is
    played again.

    Credentials are masked in the file. `edit` is called with each exchange before it is written; it returns the
    exchange to write, or None to leave it out. Raises `NotRecorded` for a request that is not there; ValueError for a
    file that is no cassette; FileNotFoundError without a file in mode "none".
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        mode: str = "once",
        match: Sequence[str] = ("method", "url"),
        repeat: bool = False,
        edit: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
    ) -> None:
        if mode not in MODES:
            raise ValueError(f"expected one of {', '.join(MODES)} as mode, got {mode!r}")
        if isinstance(match, str) or not match or not set(match) <= set(MATCHERS):
            raise ValueError(f"expected some of {', '.join(MATCHERS)} as match, got {match!r}")
        self.path: Path = Path(path)
        self.mode = mode
        self._format = _format_of(self.path)
        self._match = tuple(match)
        self._repeat = repeat
        self._edit = edit
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._played: set[int] = set()
        self._recorded: list[Exchange] = []
        self._records = False
        self._patches: contextlib.AbstractContextManager[None] | None = None

    @property
    def played(self) -> int:
        """Return how many of the exchanges in the file were played."""
        return len(self._played)

    @property
    def recorded(self) -> int:
        """Return how many exchanges were recorded in this block."""
        return len(self._recorded)

    def __enter__(self) -> Self:
        """Begin to record or to play. Raises RuntimeError if it has begun."""
        if self._patches is not None:
            raise RuntimeError("this cassette is in use: its block has not ended")
        is_there = self.path.exists()
        if self.mode == "none" and not is_there:
            raise FileNotFoundError(f"{self.path}: no such cassette, and mode='none' records none")
        self._exchanges = self._load() if is_there and self.mode != "all" else []
        self._played, self._recorded = set(), []
        self._records = self.mode in ("new", "all") or not is_there
        self._patches = transports_replaced(self._around, self._around_async)
        self._patches.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        patches, self._patches = self._patches, None
        assert patches is not None
        patches.__exit__(None, None, None)
        if kind is None and self._records and (self._recorded or self.mode == "all"):
            self._save()

    def _around(self, send: Send) -> Send:
        def exchange(transport: HTTPTransport, request: Request) -> Response:
            body = request.read()
            found = self._find(request, body)
            if found is not None:
                return found
            response = send(transport, request)
            if response.status_code == 101:  # what follows is another protocol
                return response
            try:
                raw = b"".join(response.iter_raw())
            finally:
                response.close()
            return self._record(request, body, response, raw)

        return exchange

    def _around_async(self, send: SendAsync) -> SendAsync:
        async def exchange(transport: AsyncHTTPTransport, request: Request) -> Response:
            body = await request.aread()
            found = self._find(request, body)
            if found is not None:
                return found
            response = await send(transport, request)
            if response.status_code == 101:
                return response
            try:
                raw = b"".join([piece async for piece in response.aiter_raw()])
            finally:
                await response.aclose()
            return self._record(request, body, response, raw)

        return exchange

    def _find(self, request: Request, body: bytes) -> Response | None:
        """Return what was recorded for a request; None if it is to be recorded. Raises NotRecorded."""
        with self._lock:
            matching = [
                number
                for number, exchange in enumerate(self._exchanges)
                if is_match(exchange, request, body, self._match)
            ]
            unplayed = [number for number in matching if number not in self._played]
            if unplayed:
                self._played.add(unplayed[0])
                return replay(self._exchanges[unplayed[0]])
            if matching and self._repeat:
                return replay(self._exchanges[matching[-1]])
        if self._records:
            return None
        if matching:
            why = f"it was recorded {len(matching)} times and played as often; repeat=True plays the last one again"
        elif self._exchanges:
            why = nearest(self._exchanges, request, body, self._match)
        else:
            why = "nothing is recorded there"
        raise NotRecorded(
            f"{request.method} {request.url._masked()} is not on the cassette {self.path} (mode={self.mode!r}): {why}"
        )

    def _record(self, request: Request, body: bytes, response: Response, raw: bytes) -> Response:
        """Keep an exchange; return the response for the client."""
        made, content = without_coding(response, raw)
        made._journey = response._journey
        exchange = exchange_of(request, body, made, content)
        kept = exchange if self._edit is None else self._edit(exchange)
        if kept is not None:
            with self._lock:
                self._recorded.append(kept)
        return made

    def _load(self) -> list[Exchange]:
        text = self.path.read_text(encoding="utf-8")
        try:
            found: Any = json.loads(text) if self._format is None else self._format.safe_load(text)
            if found["version"] != VERSION:
                raise ValueError(f"its version is {found['version']!r}, not {VERSION}")
            exchanges = cast("list[Exchange]", found["exchanges"])
            for exchange in exchanges:
                describe(exchange)
                replay(exchange)
        except Exception as error:
            raise ValueError(f"{self.path} is not a cassette: {type(error).__name__}: {error}") from error
        return exchanges

    def _save(self) -> None:
        """Write the file in one step."""
        document = {"version": VERSION, "exchanges": [*self._exchanges, *self._recorded]}
        if self._format is None:
            text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        else:
            text = self._format.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            temporary.write_text(text, encoding="utf-8", newline="\n")
            temporary.replace(self.path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _format_of(path: Path) -> Any:
    """Return the module that reads and writes the file; None for JSON. Raises ValueError, ImportError."""
    if path.suffix == ".json":
        return None
    if path.suffix not in (".yaml", ".yml"):
        raise ValueError(f"expected a path that ends in .json, .yaml or .yml, got {str(path)!r}")
    try:
        return importlib.import_module("yaml")
    except ImportError as error:
        raise ImportError(f"cassettes in YAML need PyYAML: pip install pyyaml, or name it {path.stem}.json") from error
