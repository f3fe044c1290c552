"""Run the code blocks of Markdown pages as they stand there, in a world where every name is this machine.

One implementation for README.md and all pages below docs/. What a page may rely on:

- `https://www.example.org`, `https://api.example.org` and `http://` of both lead to a local server (`answer` below says
  what it knows); `wss://chat.example.org/` is a WebSocket server that sends back what it gets; `https://h2.example.org/`
  speaks HTTP/2. The environment says to trust their certificate; the blocks know nothing of that.
- Python blocks (```` ```python ````) run one after the other; later ones use names of earlier ones, as readers do.
  Functions that are named as tests are run as such, with the fixtures of `FIXTURES`. The working directory is empty.
- A block ```` ```text title="Output" ```` right after one is what that one prints; `...` stands for anything.
- Lines of shell blocks (```` ```sh ````) that begin with `httpx-fast` are run, and exit with 0.
"""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import gzip
import inspect
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

import httpx_fast
from httpx_fast import _masking
from httpx_fast.testing import (
    Certificate,
    FaultLab,
    Http2,
    LocalServer,
    Read,
    Repeat,
    Reply,
    Request,
    Send,
    Tls,
    frames,
)
from httpx_fast.testing.mocking import mocked

ROOT = Path(__file__).parents[2]
#: What tests of a page may ask for, as pytest's plugin of the package gives it.
FIXTURES: dict[str, Callable[[], AbstractContextManager[Any]]] = {"httpx_fast_mock": mocked, "fault_lab": FaultLab}
NAMES = ("www.example.org", "api.example.org", "chat.example.org", "h2.example.org")
ITEMS = [{"id": number, "name": name} for number, name in enumerate(("pen", "cup", "lamp", "book", "key"), start=1)]


@dataclass(frozen=True)
class Block:
    """A fenced block: the line before its first one, its language and title, what it says and is said to print."""

    line: int
    language: str
    title: str
    code: str
    output: str | None = None


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page; those that are indented, as in tabs, without their indentation."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    end = 0
    fence = r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^\n`]*)\n(?P<code>.*?)^(?P=indent)```[ ]*$"
    for match in re.finditer(fence, text, re.MULTILINE | re.DOTALL):
        title = re.search(r'title="([^"]*)"', match["rest"])
        block = Block(
            text.count("\n", 0, match.start("code")),
            match["language"],
            title[1] if title else "",
            textwrap.dedent(match["code"]),
        )
        if block.title == "Output" and found and not text[end : match.start()].strip():
            found[-1] = replace(found[-1], output=block.code)
        else:
            found.append(block)
        end = match.end()
    return found


def run_python(page: Path) -> tuple[list[str], set[str]]:
    """Run the Python of a page; return the lines that it printed and the names of the tests that were run."""
    names: dict[str, Any] = {"__name__": page.stem}
    tests: set[str] = set()
    printed = ""
    try:
        for block in blocks(page):
            if block.language != "python":
                continue
            if "httpx_fast.alias(" in block.code or "alias_httpx(" in block.code:  # for a whole process
                run_apart(block)
                continue
            # As many lines down as in the page, so that a traceback shows the place.
            code = compile("\n" * block.line + block.code, str(page), "exec")
            with contextlib.redirect_stdout(io.StringIO()) as said:
                exec(code, names)
                for name in [name for name in names if name.startswith("test_") and name not in tests]:
                    tests.add(name)
                    run_test(names[name])
            if block.output is not None:
                check_output(page, block, said.getvalue())
            printed += said.getvalue()
    finally:
        for each in list(names.values()):
            if isinstance(each, httpx_fast.Client):
                each.close()
            elif isinstance(each, httpx_fast.AsyncClient) and not each.is_closed:
                asyncio.run(each.aclose())
    return printed.splitlines(), tests


def run_test(function: Callable[..., Any]) -> None:
    with contextlib.ExitStack() as made:
        result = function(*[made.enter_context(FIXTURES[each]()) for each in inspect.signature(function).parameters])
        if inspect.iscoroutine(result):
            asyncio.run(result)


def check_output(page: Path, block: Block, said: str) -> None:
    assert block.output is not None
    checker = doctest.OutputChecker()
    if not checker.check_output(block.output, said, doctest.ELLIPSIS):
        pytest.fail(f"{page.name}, line {block.line}: printed\n{said}\nbut the page says\n{block.output}")


def run_apart(block: Block) -> None:
    code = f"{block.code}\nimport httpx, httpx_fast\nassert httpx is httpx_fast"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def commands(page: Path) -> list[str]:
    """Return the lines of shell blocks that call `httpx-fast`."""
    lines = "\n".join(block.code for block in blocks(page) if block.language in ("sh", "bash"))
    return [line for line in lines.replace("\\\n", " ").splitlines() if line.startswith("httpx-fast")]


def run_command(line: str, folder: Path) -> None:
    """Run a line of the shell in `folder`; names and the certificate are those of `at_home`."""
    missing = [word for word in re.findall(r"\| *(\w+)", line) if shutil.which(word) is None]
    if missing and not os.environ.get("CI"):
        pytest.skip(f"{missing[0]} is not installed")
    scripts = folder / "scripts"
    scripts.mkdir(exist_ok=True)
    (scripts / "httpx-fast").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m httpx_fast "$@"\n')
    (scripts / "httpx-fast").chmod(0o755)
    environment = os.environ | {"PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}", "NO_COLOR": "1"}
    environment["PYTHONPATH"] = os.pathsep.join([os.environ[FOLDER], str(ROOT)])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


FOLDER, PORTS = "HTTPX_FAST_PAGES_FOLDER", "HTTPX_FAST_PAGES_PORTS"
# In programs that a page starts, names are resolved as in this process.
CUSTOMIZE = f"""
import json, os, socket
ports, ask = json.loads(os.environ[{PORTS!r}]), socket.getaddrinfo
def resolve(host, port, *arguments, **options):
    if f"{{host}}:{{port}}" not in ports:
        return ask(host, port, *arguments, **options)
    found = ("127.0.0.1", ports[f"{{host}}:{{port}}"])
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", found)]
socket.getaddrinfo = resolve
"""


@contextlib.contextmanager
def at_home(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Iterator[None]:
    """Every name is this machine, its certificate is good, and `folder` is the working directory."""
    certificate = Certificate(NAMES)
    apart = folder / "world"
    apart.mkdir()
    (folder / "work").mkdir()
    (apart / "authority.pem").write_text(certificate.pem)
    (apart / "sitecustomize.py").write_text(CUSTOMIZE)
    monkeypatch.setenv("SSL_CERT_FILE", str(apart / "authority.pem"))
    monkeypatch.setenv(FOLDER, str(apart))
    monkeypatch.chdir(folder / "work")
    monkeypatch.setattr(_masking, "_added", frozenset())  # names that a page adds do not stay
    for name in ("SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    ask = socket.getaddrinfo
    with (
        LocalServer(tls=certificate, answer=answer) as secure,
        LocalServer(tls=False, answer=answer) as plain,
        chatting(certificate) as chat,
        FaultLab(certificate=certificate) as lab,
    ):
        lab.serve(Tls("h2"), Http2(), Repeat(Read(), Send(frames.response(b"hello"))))
        ports = {f"{name}:443": secure.port for name in NAMES} | {f"{name}:80": plain.port for name in NAMES}
        ports |= {"chat.example.org:443": chat, "h2.example.org:443": lab.port, "localhost:8801": plain.port}
        monkeypatch.setenv(PORTS, json.dumps(ports))

        def resolve(host: str, port: int, *arguments: object, **options: object) -> object:
            if f"{host}:{port}" not in ports:
                return ask(host, port, *arguments, **options)
            found = ("127.0.0.1", ports[f"{host}:{port}"])
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", found)]

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        yield


@contextlib.contextmanager
def chatting(certificate: Certificate) -> Iterator[int]:
    """The port of a WebSocket server that says what it hears."""
    served = pytest.importorskip("websockets.sync.server")

    def echo(connection) -> None:
        for message in connection:
            connection.send(message)

    with served.serve(echo, "127.0.0.1", 0, ssl=certificate.server_context()) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.socket.getsockname()[1]
        server.shutdown()
        thread.join()


def answer(request: Request) -> Reply:
    """Answer as an API with a few resources. A path that is not known is five bytes of text."""
    path, _, query = request.target.partition("?")
    first, _, rest = path.removeprefix("/").partition("/")
    if first in _ANSWERS:
        return _ANSWERS[first](request, rest, query)
    return Reply(200, [("Content-Type", "text/plain")], b"x" * 5)


def as_json(status: int, content: object, *fields: tuple[str, str]) -> Reply:
    return Reply(status, [("Content-Type", "application/json"), *fields], json.dumps(content).encode())


def _items(request: Request, rest: str, query: str) -> Reply:
    """A collection: two of its items a page, and single ones that can be written."""
    if request.method in ("POST", "PUT", "PATCH"):
        given = json.loads(request.body)
        return as_json(201 if request.method == "POST" else 200, {"id": 6} | given, ("Location", "/items/6"))
    if request.method == "DELETE":
        return Reply(204)
    if rest:
        found = next((item for item in ITEMS if str(item["id"]) == rest), None)
        return as_json(200, found) if found else as_json(404, {"error": f"no item {rest}"})
    page = int((re.search(r"page=(\d+)", query) or ["", "1"])[1])
    more = f"/items?page={page + 1}" if page * 2 < len(ITEMS) else None
    links = [("Link", f'<{more}>; rel="next"')] if more else []
    return as_json(200, {"items": ITEMS[page * 2 - 2 : page * 2], "next": more}, *links)


def _echo(request: Request, rest: str, query: str) -> Reply:
    told = {
        "method": request.method,
        "target": request.target,
        "headers": {name.lower(): value for name, value in request.fields},
        "body": request.body.decode("utf-8", "backslashreplace"),
    }
    return as_json(200, told)


def _events(request: Request, rest: str, query: str) -> Reply:
    return Reply(200, [("Content-Type", "text/event-stream")], b"data: one\n\ndata: two\n\n")


def _large(request: Request, rest: str, query: str) -> Reply:
    """A body of 300,000 bytes, or a part of it."""
    body = b"x" * 300_000
    fields = [("Content-Type", "text/plain"), ("Accept-Ranges", "bytes"), ("ETag", '"large"')]
    part = re.fullmatch(r"bytes=(\d+)-(\d*)", request.field("Range") or "")
    if part is None:
        return Reply(200, fields, body)
    first, last = int(part[1]), min(int(part[2] or len(body)), len(body) - 1)
    return Reply(206, [*fields, ("Content-Range", f"bytes {first}-{last}/{len(body)}")], body[first : last + 1])


def _status(request: Request, rest: str, query: str) -> Reply:
    return Reply(int(rest), [("Content-Type", "text/plain")])


def _redirect(request: Request, rest: str, query: str) -> Reply:
    return Reply(302, [("Location", f"/redirect/{int(rest) - 1}" if int(rest) > 1 else "/")])


def _private(request: Request, rest: str, query: str) -> Reply:
    if request.field("Authorization") in ("Basic dXNlcjpzZWNyZXQ=", "Bearer t0ken"):
        return as_json(200, {"user": "user"})
    return Reply(401, [("WWW-Authenticate", 'Basic realm="private"')])


def _login(request: Request, rest: str, query: str) -> Reply:
    return as_json(200, {"ok": True}, ("Set-Cookie", "session=abc; Path=/; Secure; HttpOnly"))


def _gzip(request: Request, rest: str, query: str) -> Reply:
    return Reply(200, [("Content-Type", "text/plain"), ("Content-Encoding", "gzip")], gzip.compress(b"hello" * 1000))


def _cached(request: Request, rest: str, query: str) -> Reply:
    if request.field("If-None-Match") == '"v1"':
        return Reply(304, [("ETag", '"v1"')])
    return Reply(200, [("Content-Type", "text/plain"), ("ETag", '"v1"')], b"version 1")


def _lines(request: Request, rest: str, query: str) -> Reply:
    return Reply(200, [("Content-Type", "application/x-ndjson")], [json.dumps(item).encode() + b"\n" for item in ITEMS])


_ANSWERS: dict[str, Callable[[Request, str, str], Reply]] = {
    "items": _items,
    "echo": _echo,
    "events": _events,
    "large": _large,
    "status": _status,
    "redirect": _redirect,
    "private": _private,
    "login": _login,
    "gzip": _gzip,
    "cached": _cached,
    "lines": _lines,
}
