"""README's Python runs as it stands there, one block after the other, in a world where every name is this machine.

Names are resolved to local servers, whose certificate the environment says to trust; the blocks know nothing of that.
Functions that are named as tests are run as such. Blocks of later sections use names of earlier ones, as readers do.
"""

from __future__ import annotations

import contextlib
import inspect
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import httpx_fast
from httpx_fast.testing import Certificate, LocalServer, Reply, Request
from httpx_fast.testing.mocking import mocked

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
#: What tests of the README ask for, as long as it is needed: the next block is about something else.
FIXTURES = {"httpx_fast_mock": mocked}
NAMES = ("www.example.org", "api.example.org", "chat.example.org")


def blocks() -> list[tuple[int, str]]:
    """The Python of README, with the line that it begins in."""
    found = re.finditer(r"^```python\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    return [(README.count("\n", 0, block.start(1)), block[1]) for block in found]


def answer(request: Request) -> Reply:
    if request.target == "/events":
        return Reply(200, [("Content-Type", "text/event-stream")], b"data: one\n\ndata: two\n\n")
    return Reply(200, [("Content-Type", "text/plain")], b"x" * (300_000 if request.target == "/large" else 5))


@pytest.fixture
def at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Every name is this machine, and its certificate is good."""
    certificate = Certificate(NAMES)
    (tmp_path / "authority.pem").write_text(certificate.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    for name in ("SSL_CERT_DIR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    ask = socket.getaddrinfo
    with LocalServer(tls=certificate, answer=answer) as server, chatting(certificate) as chat:
        ports = dict.fromkeys(NAMES, server.port) | {"chat.example.org": chat}

        def resolve(host: str, port: int, *arguments: object, **options: object) -> object:
            if host not in ports:
                return ask(host, port, *arguments, **options)
            return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", ports[host]))]

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


def test_the_python_of_the_readme_runs(at_home: None, capsys: pytest.CaptureFixture[str]):
    names: dict[str, Any] = {"__name__": "readme"}
    ran = set()
    for line, block in blocks():
        # As many lines down as in README, so that a traceback shows the place.
        code = compile("\n" * line + block, str(ROOT / "README.md"), "exec")
        if "httpx_fast.alias(" in block:  # for a whole process
            run_apart(block)
            continue
        exec(code, names)
        for name in [name for name in names if name.startswith("test_") and name not in ran]:
            ran.add(name)
            with contextlib.ExitStack() as made:
                names[name](
                    *[made.enter_context(FIXTURES[each]()) for each in inspect.signature(names[name]).parameters]
                )
        for each in list(names.values()):
            if isinstance(each, httpx_fast.Client):
                each.close()
    assert len(ran) >= 3
    said = capsys.readouterr().out.splitlines()
    assert any(re.fullmatch(r"\d\d of 100 reused a connection", line) for line in said)
    assert said[-3:] == ["message one", "message two", "hello"]


def run_apart(block: str) -> None:
    code = f"{block}\nimport httpx, httpx2\nassert httpx is httpx2 is httpx_fast"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_options_of_the_command_in_the_readme_are_there():
    commands = re.findall(r"`httpx-fast ([^`\n]+)`", README)
    told = {option for command in commands for option in command.split() if option.startswith("-")}
    usage = subprocess.run(
        [sys.executable, "-m", "httpx_fast", "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
    ).stdout
    assert {"--journey", "--doctor"} <= told
    assert told - set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage)) == set()


def test_extras_of_the_readme_are_those_of_the_package():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    table = README[README.index("| Extra |") : README.index("## Coming from httpx")]
    told = {name for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert told == set(extras) - {"bench", "ecosystem", "test"}
