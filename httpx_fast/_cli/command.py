"""The command `httpx-fast`: one request and what came of it, for people.

Options are httpx's where it has them. What it adds is the way of the requests (`--journey`) and the state of the
installation (`--doctor`). Without a URL it asks a server of its own, twice, so that there is something to see wherever
it runs. The standard library is enough for all of it. Exit status 0 for a response with a 2xx status, 1 for anything
else, 2 for options that make no sense.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import sys
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any

from ..__version__ import __version__
from .._client.client import Client
from .._config import Timeout
from .._exceptions import HTTPError, InvalidURL
from .._journey import Journey
from .._models import Request, Response
from .terminal import Terminal
from .waterfall import tell_connection

#: Media types that are text without being called so.
_TEXT_TYPES = ("application/xml", "application/javascript", "application/x-www-form-urlencoded", "application/x-ndjson")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command and returns its exit status. SystemExit for --help, --version and wrong options."""
    options = _parse(arguments)
    out, complaints = Terminal(sys.stdout), Terminal(sys.stderr)
    try:
        if options.doctor:
            from . import doctor as _doctor

            out.say(*_doctor.report())
            return 0
        if options.download == "-":  # the content has standard output for itself
            out = complaints
        return _run(options, out)
    except HTTPError as error:
        complaints.say(f"{type(error).__name__}: {_in_one_line(error)}")
        if options.journey and error.journey is not None:
            complaints.draw([error.journey], [options.method])
    except BrokenPipeError:  # a reader that has seen enough (`httpx-fast ... | head`) is not worth a word
        _discard_output()
    except (InvalidURL, OSError, ValueError) as error:
        complaints.say(f"{type(error).__name__}: {_in_one_line(error)}")
    except KeyboardInterrupt:
        complaints.say("interrupted")
        return 130
    return 1


def _run(options: argparse.Namespace, out: Terminal) -> int:
    with contextlib.ExitStack() as stack:
        timeout = Timeout(options.timeout, total=options.max_time)
        settings: dict[str, Any] = {"timeout": timeout, "verify": options.verify, "http2": options.http2}
        if options.proxy is not None:
            settings["proxy"] = options.proxy
        if options.url is None:
            from ..testing import LocalServer

            server = stack.enter_context(LocalServer())
            options.url = f"{server.url}/"
            settings |= {"verify": server.client_context(), "trust_env": False}
            out.say(f"No URL given: asking a server of our own twice, {options.url}", "")
        client = stack.enter_context(Client(**settings))
        return _ask(client, options, out)


def _ask(client: Client, options: argparse.Namespace, out: Terminal) -> int:
    """Sends the request as often as wanted, shows the first response, and the way of all of them."""
    journeys: list[Journey] = []
    labels: list[str] = []
    success = True
    for number in range(options.number):
        with _request(client, options) as response:
            if number == 0:
                _show(response, options, out)
            else:
                response.read()
        success = success and response.is_success
        for each in (*response.history, response):
            journeys.append(each.journey)
            labels.append(f"{each.request.method} {each.status_code}")
    if options.journey:
        out.say("")
        out.draw(journeys, labels)
    return 0 if success else 1


@contextlib.contextmanager
def _request(client: Client, options: argparse.Namespace) -> Generator[Response]:
    """Opens the files of one request, and its response."""
    with contextlib.ExitStack() as stack:
        files = [(name, stack.enter_context(Path(path).open("rb"))) for name, path in options.files]
        yield stack.enter_context(
            client.stream(
                options.method,
                options.url,
                params=options.params or None,
                content=options.content,
                data=_form(options.data) or None,
                files=files or None,
                json=options.json,
                headers=options.headers,
                cookies=dict(options.cookies) or None,
                auth=options.auth,
                follow_redirects=options.follow_redirects,
            )
        )


def _form(pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """The fields of a form, in which a name may stand more than once."""
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def _show(response: Response, options: argparse.Namespace, out: Terminal) -> None:
    """Heads of all messages, then the content of the last one."""
    for each in (*response.history, response):
        if options.verbose:
            if each.journey.connection is not None:
                out.say(f"* {tell_connection(each.journey)}", "")
            out.say(*_request_head(each.request, each.http_version), language="http")
            out.say("")
        out.say(*_response_head(each), language="http")
        out.say("")
    if options.download is not None:
        out.say(_download(response, options.download, out))
        return
    response.read()
    if response.content:
        text, language = _content(response)
        out.say(text, language=language)


def _request_head(request: Request, http_version: str) -> list[str]:
    target = request.url.raw_path.decode("ascii")
    return [f"{request.method} {target} {http_version}", *_field_lines(request.headers.raw)]


def _response_head(response: Response) -> list[str]:
    start = f"{response.http_version} {response.status_code} {response.reason_phrase}".rstrip()
    return [start, *_field_lines(response.headers.raw)]


def _field_lines(raw: Sequence[tuple[bytes, bytes]]) -> list[str]:
    return [f"{name.decode('latin-1')}: {value.decode('latin-1')}" for name, value in raw]


def _content(response: Response) -> tuple[str, str | None]:
    """The content as text: JSON laid out for reading, other text as it is, and of the rest its size.

    And what it is written in, where that may be shown with colours.
    """
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind == "application/json" or kind.endswith("+json"):
        with contextlib.suppress(ValueError):
            return json.dumps(response.json(), indent=4, ensure_ascii=False), "json"
        return response.text, None
    if kind.startswith("text/") or kind in _TEXT_TYPES or kind.endswith("+xml"):
        return response.text, None
    if not kind and b"\0" not in response.content:
        with contextlib.suppress(UnicodeDecodeError):
            return response.content.decode("utf-8"), None
    return f"<{len(response.content)} bytes of binary data>", None


def _download(response: Response, path: str, out: Terminal) -> str:
    """Writes the content to a file, or to standard output for "-", and tells its size."""
    size = 0
    length = response.headers.get("Content-Length", "")
    with contextlib.ExitStack() as stack:
        file = sys.stdout.buffer if path == "-" else stack.enter_context(Path(path).open("wb"))
        progress = stack.enter_context(out.progress(int(length) if length.isdecimal() and len(length) <= 18 else None))
        for piece in response.iter_bytes():
            file.write(piece)
            size += len(piece)
            progress(response.num_bytes_downloaded)  # as sent, which is what Content-Length counts
        file.flush()
    return f"<{size} bytes saved to {'standard output' if path == '-' else path}>"


def _discard_output() -> None:
    """Sends standard output nowhere: else Python complains at exit of what it could not write."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _in_one_line(error: BaseException) -> str:
    return " ".join(str(error).split())


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, checked, and completed with what follows from them."""
    parser = _parser()
    options = parser.parse_args(arguments)
    has_body = options.content is not None or options.data or options.files or options.json is not None
    if options.method is None:
        options.method = "POST" if has_body else "GET"
    if options.auth is not None:
        user, password = options.auth
        options.auth = (user, getpass.getpass() if password == "-" else password)
    demonstrated = options.url is None
    options.journey = options.journey or options.number is not None or demonstrated
    options.number = options.number or (2 if demonstrated else 1)
    return options


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="httpx-fast",
        description="Sends an HTTP request and shows the response. Without a URL, shows the way of two requests to a "
        "server of its own.",
        add_help=False,  # -h is for headers, as in httpx
        allow_abbrev=False,
    )
    parser.add_argument("url", metavar="URL", nargs="?")
    add = parser.add_argument
    add("-m", "--method", help="request method; GET, or POST when there is a body, if not given")
    add("-p", "--params", **_PAIRS, help="query parameter; repeatable, as all options with NAME")
    add("-c", "--content", metavar="TEXT", help="body of the request")
    add("-d", "--data", **_PAIRS, help="field of a form")
    add("-f", "--files", **_FILES, help="file of a form")
    add("-j", "--json", metavar="TEXT", type=_json, help="JSON body of the request")
    add("-h", "--headers", **_PAIRS, help="header of the request")
    add("--cookies", **_PAIRS, help="cookie of the request")
    add("--auth", nargs=2, metavar=("USER", "PASS"), help="Basic authentication; asks for the password if that is -")
    add("--proxy", metavar="URL", help="send the request through a proxy")
    add("--timeout", metavar="SECONDS", type=_seconds, default=5.0, help="for each phase of the request; default 5")
    add("--max-time", metavar="SECONDS", type=_seconds, help="for all of a request, with redirects and body; no limit")
    add("--follow-redirects", action="store_true", help="follow redirects")
    add("--verify", action=argparse.BooleanOptionalAction, default=True, help="whether servers must prove who they are")
    add("--http2", action="store_true", help="offer HTTP/2 where there is TLS; the server chooses")
    add("--download", metavar="FILE", help="write the content to a file, - for standard output")
    add("-v", "--verbose", action="store_true", help="show the connection and the request, too, with its Authorization")
    add("--journey", action="store_true", help="draw how long each step of the requests took")
    add("-n", "--number", metavar="COUNT", type=_count, help="send the request so often on one client, and draw that")
    add("--doctor", action="store_true", help="show what this installation is made of, and exit")
    add("--version", action="version", version=f"httpx-fast {__version__}", help="show the version, and exit")
    add("--help", action="help", help="show this help, and exit")
    return parser


_PAIRS: dict[str, Any] = {"nargs": 2, "action": "append", "default": [], "metavar": ("NAME", "VALUE")}
_FILES: dict[str, Any] = _PAIRS | {"metavar": ("NAME", "FILENAME")}


def _checked(read: Callable[[str], Any], expected: str) -> Callable[[str], Any]:
    """`read` with an error that says what was expected."""

    def reading(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text[:64]!r} ({error})") from None

    return reading


def _read_count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise ValueError("below 1")
    return count


def _read_seconds(text: str) -> float:
    seconds = float(text)
    if not seconds >= 0:
        raise ValueError("below 0")
    return seconds


_count = _checked(_read_count, "a count from 1 on")
_json = _checked(json.loads, "JSON")
_seconds = _checked(_read_seconds, "seconds")
