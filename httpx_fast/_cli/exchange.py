"""One request of the command: sends it, with retries, and brings its response to the screen or into a file.

Times are measured, or the body is shown as it comes: not both. With `--journey` the whole body is read first and shown
then, so that no step contains the work of showing it. A body that may have no end (server-sent events, `-N`), or that
goes to a file, is written as it comes all the same; the seconds that this took are counted apart.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import IO

from .._client.client import Client
from .._exceptions import HTTPError
from .._models import Response
from .arguments import Arguments
from .building import Builder
from .download import Download, remote_name
from .output import Output
from .retrying import RETRIED_STATUSES, Retries, is_transient, retry_after
from .terminal import Progress

#: Bytes of a body that are held in memory until it is shown; the rest lies in a temporary file.
MAX_IN_MEMORY = 8388608


class StatusError(Exception):
    """The status is an error, and `--fail` says to treat it as one."""


@dataclass
class Exchange:
    """Hold the result of one request."""

    responses: list[Response] = field(default_factory=list[Response])
    own: float = 0.0  # seconds in which the body waited for this command

    @property
    def labels(self) -> list[str]:
        return [f"{each.request.method} {each.status_code}" for each in self.responses]

    def draw(self, output: Output) -> None:
        own = [0.0] * (len(self.responses) - 1) + [self.own]
        output.drawings.say("")
        output.drawings.draw([each.journey for each in self.responses], self.labels, own)


class Exchanger:
    """Send the requests of one command on one client."""

    def __init__(self, client: Client, builder: Builder, arguments: Arguments, output: Output) -> None:
        self._client = client
        self._builder = builder
        self._arguments = arguments
        self._output = output
        self.exchange = Exchange()

    def run(self) -> Exchange:
        """Send the request and show the response. Raises StatusError with `--fail`, and errors of either."""
        arguments = self._arguments
        download = self._download()
        with self._response(download) as response:
            self.exchange.responses = [*response.history, response]
            if arguments.fail and response.status_code >= 400:
                self._output.show_heads(response)
                raise StatusError(f"the status is {response.status_code} {response.reason_phrase}".rstrip())
            if download is not None:
                self._output.show_heads(response)
                self._save(response, download)
            elif arguments.har is not None or arguments.report is not None:
                response.read()
                self._show(response, iter([response.content]))
            elif arguments.journey and not _never_ends(response, arguments):
                with self._read(response) as pieces:
                    self._show(response, pieces)
            else:
                self._show(response, self._timed(response))
        return self.exchange

    def _show(self, response: Response, pieces: Iterator[bytes]) -> None:
        self._output.show_heads(response)
        self._output.show_body(response, pieces)

    def _timed(self, response: Response) -> Iterator[bytes]:
        """Return the pieces of the body; the time until the next one is asked for is this command's own."""
        for piece in response.iter_bytes():
            began = time.perf_counter()
            yield piece
            self.exchange.own += time.perf_counter() - began

    @contextlib.contextmanager
    def _read(self, response: Response) -> Generator[Iterator[bytes]]:
        """Read the whole body; its pieces are shown afterwards."""
        with tempfile.SpooledTemporaryFile(MAX_IN_MEMORY) as file:
            for piece in response.iter_bytes():
                file.write(piece)
            file.seek(0)
            yield _pieces(file)

    @contextlib.contextmanager
    def _response(self, download: Download | None) -> Generator[Response]:
        """Send the request, again where retries are wanted, and return the last response."""
        arguments = self._arguments
        retries = Retries(arguments.retry, arguments.retry_delay, self._output.note)
        while True:
            request = self._builder.request(self._client, self._more_fields(download))
            try:
                response = self._client.send(request, stream=True)
            except HTTPError as error:
                if not is_transient(error) or not retries.again(f"{type(error).__name__}: {error}"):
                    raise
                continue
            try:
                if response.status_code in RETRIED_STATUSES:
                    why = f"the status is {response.status_code}"
                    if retries.left:
                        response.close()
                    if retries.again(why, retry_after(response)):
                        continue
                yield response
                return
            finally:
                response.close()

    def _more_fields(self, download: Download | None) -> list[tuple[str, str]]:
        if download is None:
            return []
        # A file is what the server has, and its size is known then; a coded one could not be resumed.
        coding = [] if self._arguments.compressed else [("Accept-Encoding", "identity")]
        return [*coding, *download.request_fields]

    def _download(self) -> Download | None:
        arguments = self._arguments
        if not arguments.saves:
            return None
        path = (
            arguments.output or arguments.download or remote_name(self._builder.url.partition("?")[0].partition("#")[0])
        )
        success = arguments.download is not None
        return Download(path, self._builder.url, resume=arguments.resume, only_success=success)

    def _save(self, response: Response, download: Download) -> None:
        """Write the body to its file with a progress bar, then show the result."""
        try:
            nothing = download.begin(response)
            if nothing is not None:
                self._output.note(nothing)
                return
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() and len(length) <= 18 else None
            with self._progress(total) as progress:
                for piece in self._timed(response):
                    download.write(piece)
                    progress(response.num_bytes_downloaded)  # as sent, which is what Content-Length counts
            self._output.note(download.finish())
        except BaseException:
            kept = download.abandon()
            if kept is not None:
                self._output.note(kept)
            raise

    @contextlib.contextmanager
    def _progress(self, total: int | None) -> Generator[Progress]:
        if self._arguments.silent:
            yield lambda done: None
            return
        with self._output.err.progress(total) as progress:
            yield progress


def _never_ends(response: Response, arguments: Arguments) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    return arguments.no_buffer or kind == "text/event-stream"


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(65536):
        yield piece
