"""Shows a response: heads, then the body, each where it belongs.

On a terminal heads and body stand one below the other, JSON is laid out, text is shown as it arrives, and of binary
content only the size. Anywhere else standard output gets the body alone, byte for byte, and heads go to standard error
(with `-i` to standard output).
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from .._chunkers import TextDecoder
from .._journey_drawing import tell_connection
from .._models import Request, Response
from .arguments import Arguments
from .terminal import Terminal
from .usage import UsageError

#: Media types that are text without being called so.
_TEXT_TYPES = ("application/xml", "application/javascript", "application/x-www-form-urlencoded", "application/x-ndjson")
#: Bytes of JSON that are laid out; more is shown as it comes.
MAX_LAID_OUT = 1048576


class Output:
    """Standard output and standard error, and what the command line wants on them."""

    def __init__(self, arguments: Arguments, out: Terminal, err: Terminal) -> None:
        self._arguments = arguments
        self.out = out
        self.err = err
        on_out = out.is_terminal and not self._body_only
        wanted = arguments.include or arguments.head
        quiet = arguments.silent and not wanted
        self._heads = None if quiet else out if on_out or wanted else err
        #: Where drawings and tables go that accompany a body.
        self.drawings = out if on_out else err

    @property
    def _body_only(self) -> bool:
        """Return whether standard output is for the body alone, terminal or not."""
        return "-" in (self._arguments.output, self._arguments.download)

    def note(self, text: str) -> None:
        if not self._arguments.silent:
            self.err.say(text)

    def complain(self, *lines: str) -> None:
        if not self._arguments.silent or self._arguments.show_error:
            self.err.say(*lines)

    def show_heads(self, response: Response) -> None:
        """Show the heads of all messages, those of earlier redirects too."""
        heads = self._heads
        if heads is None:
            return
        for each in (*response.history, response):
            if self._arguments.verbose:
                if each.journey.connection is not None:
                    heads.say(f"* {tell_connection(each.journey)}", "")
                heads.say(*_request_head(each.request, each.http_version), language="http")
                heads.say("")
            heads.say(*_response_head(each), language="http")
            heads.say("")

    def show_body(self, response: Response, pieces: Iterable[bytes]) -> None:
        """Show the content as it comes. Raises UsageError if standard output is closed."""
        if self.out.closed:
            raise UsageError("standard output is closed", "-o FILE", 23)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if not self.out.is_terminal or self._body_only:
            for piece in pieces:
                self.out.write_bytes(piece)
        elif kind == "application/json" or kind.endswith("+json"):
            self.show_json(response, iter(pieces))
        elif kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith("+xml"):
            self._show_text(response, pieces)
        else:
            self._show_untold(response, iter(pieces), kind)

    def _show_text(self, response: Response, pieces: Iterable[bytes]) -> None:
        decoder = TextDecoder(response.encoding or "utf-8")
        last = "\n"
        for piece in pieces:
            text = decoder.decode(piece)
            self.out.write(text)
            last = text[-1:] or last
        text = decoder.flush()
        self.out.write(text)
        self.out.end_text()
        if (text[-1:] or last) != "\n":
            self.out.say("")

    def show_json(self, response: Response, pieces: Iterator[bytes]) -> None:
        """Show JSON with indentation; show as text what is not JSON or is too long."""
        taken: list[bytes] = []
        size = 0
        for piece in pieces:
            taken.append(piece)
            size += len(piece)
            if size > MAX_LAID_OUT:
                self._show_text(response, _chain(taken, pieces))
                return
        content = b"".join(taken)
        if not content:
            return
        with contextlib.suppress(ValueError, RecursionError):
            laid_out = json.dumps(json.loads(content), indent=4, ensure_ascii=False)
            self.out.say(laid_out, language="json")
            return
        self._show_text(response, [content])

    def _show_untold(self, response: Response, pieces: Iterator[bytes], kind: str) -> None:
        """Show content of another or unknown type: the first piece decides whether it is text."""
        first = next(pieces, b"")
        if not first:
            return
        if not kind and _is_text(first):
            self._show_text(response, _chain([first], pieces))
            return
        size = len(first) + sum(len(piece) for piece in pieces)
        self.out.say(f"<{size} bytes of binary data; -o FILE keeps them, -o - shows them>")


def _is_text(piece: bytes) -> bool:
    if b"\0" in piece:
        return False
    try:
        piece.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > 0 and len(piece) - error.start < 4  # cut within a character
    return True


def _chain(taken: list[bytes], pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from taken
    yield from pieces


def _request_head(request: Request, http_version: str) -> list[str]:
    target = request.url.raw_path.decode("ascii")
    return [f"{request.method} {target} {http_version}", *_field_lines(request.headers.raw)]


def _response_head(response: Response) -> list[str]:
    start = f"{response.http_version} {response.status_code} {response.reason_phrase}".rstrip()
    return [start, *_field_lines(response.headers.raw)]


def _field_lines(raw: Sequence[tuple[bytes, bytes]]) -> list[str]:
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in raw]


def discard_output() -> None:
    """Redirect standard output to the null device: else Python reports at exit that it could not flush."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
