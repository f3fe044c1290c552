"""The command beside curl: for options that share their names the same requests arrive, and the same exit code comes.

Compared are method, target, body, and all header fields but those in which the two present themselves. `DIFFERENT`
lists what is otherwise on purpose, with the reason.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from httpx_fast._cli import retrying as _retrying
from httpx_fast.testing import (
    Certificate,
    Close,
    FaultLab,
    LocalServer,
    Mute,
    Read,
    Reply,
    Request,
    Reset,
    Send,
    answer,
)

#: Fields in which clients say what they are, and what their connections and decoders can do.
_OWN = {"user-agent", "accept-encoding", "connection"}


@pytest.fixture(scope="module")
def curl() -> str:
    """The path of curl; without it the comparison is skipped at home, and fails where everything has to be there."""
    path = shutil.which("curl")
    if path is None:
        reason = "curl is not installed (Debian: apt-get install curl)"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(path)


class Recorder:
    """Two servers, one with TLS, that keep what they are asked."""

    def __init__(self, certificate: Certificate) -> None:
        self.requests: list[Request] = []
        self.plain = LocalServer(tls=False, answer=self._answer)
        self.secure = LocalServer(tls=certificate, answer=self._answer)

    def _answer(self, request: Request) -> Reply:
        self.requests.append(request)
        if request.target == "/busy-once" and sum(each.target == "/busy-once" for each in self.requests) == 1:
            return Reply(503)
        if request.target == "/bad-gzip":
            return Reply(200, [("Content-Encoding", "gzip")], b"no gzip at all")
        return answer(request)

    def take(self) -> list[tuple[Any, ...]]:
        """What was asked since the last time, in a shape that can be compared."""
        taken, self.requests[:] = [_comparable(each) for each in self.requests], []
        return taken


def _comparable(request: Request) -> tuple[Any, ...]:
    body, lines = request.body, [(name.lower(), value) for name, value in request.fields]
    boundary = re.search(r"boundary=(\S+)", request.field("Content-Type") or "")
    if boundary is not None:
        # The two choose boundaries of different length, and curl writes the type before or after its boundary.
        body = body.replace(boundary[1].encode(), b"BOUNDARY")
        lines = [(name, value.replace(boundary[1], "BOUNDARY")) for name, value in lines if name != "content-length"]
    return request.method, request.target, sorted(line for line in lines if line[0] not in _OWN), body


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


@pytest.fixture
def recorder(certificate: Certificate) -> Iterator[Recorder]:
    recorder = Recorder(certificate)
    with recorder.plain, recorder.secure:
        yield recorder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recorder: Recorder) -> Path:
    """The current folder, with files for options to name."""
    (tmp_path / "note.txt").write_bytes(b"first line\nsecond=&line\r\n")
    (tmp_path / "fields.txt").write_bytes(b"X-One: 1\nX-Two: 2\n")
    assert recorder.secure.certificate is not None
    (tmp_path / "trusted.pem").write_text(recorder.secure.certificate.pem, encoding="ascii")
    monkeypatch.chdir(tmp_path)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


#: One invocation each; words that begin with "/" or with "S/" are paths on the server, the latter with TLS.
INVOCATIONS = [
    "/",
    "-X PUT /",
    "-XDELETE /",
    "--request PATCH /",
    "-H|X-A: 1|/",
    "-H X-A:1 /",
    "-H X-A; /",
    "-H Accept: /",
    "-H|Accept: text/html|/",
    "-H|Host: other.example|/",
    "-H|X-A: 1|-H|X-A: 2|/",
    "-H|X-A: a: b|/",
    "-H|X-A:   blanks  |/",
    "-H|X-A: ü✓|/",
    "-H @fields.txt /",
    "-d a=1 /",
    "-da=1 /",
    "-d a=1 -d b=2 /",
    "--data a=1 /",
    "-d hello",
    "-d @note.txt /",
    "-d @- /",
    "-d||/",
    '-d|{"a": 1}|-H|Content-Type: application/json|/',
    "-d x=1 -X PUT /",
    "-d x=1 -H Content-Type: /",
    "--data-raw @note.txt /",
    "--data-binary @note.txt /",
    "--data-binary @- /",
    "--data-urlencode|a=b c&d/ü|/",
    "--data-urlencode|=b c|/",
    "--data-urlencode|b c|/",
    "--data-urlencode a@note.txt /",
    "--data-urlencode @note.txt /",
    "-G -d a=1 -d b=2 /?x=0",
    "-G --data-urlencode|q=a b|/",
    "http://",
    "-F a=1 /",
    "-F a=1 -F b=2 /",
    "-F file=@note.txt /",
    "-F file=@note.txt -F title=Note /",
    "-F file=@note.txt;type=text/html /",
    "-F file=@note.txt;filename=other.txt /",
    "-F field=<note.txt /",
    "-F file=@-;type=text/plain /",
    "-F a=1;type=application/json /",
    "-I /",
    "--head /bytes/10",
    "-i /",
    "-A agent/1 -H|User-Agent: agent/2|/",
    "-A agent/1 /",
    "-A||/",
    "-e http://before.example/ /",
    "-u user:pass /",
    "-u user:pa:ss /",
    "-u user: /",
    "-b|a=1; b=2|/",
    "-b a=1 -b b=2 /",
    "-r 0-99 /",
    "-r -5 /",
    "-r 5- /",
    "-L /redirect/2",
    "/redirect/1",
    "-L -d a=1 /redirect/1",
    "-L -I /redirect/1",
    "-L --max-redirs 1 /redirect/3",
    "-f /status/404",
    "--fail /status/500",
    "/status/404",
    "-f /status/302",
    "-sf /status/404",
    "-sS /",
    "-sSL /redirect/1",
    "-fsSLo out.txt /redirect/1",
    "-o out.txt /",
    "-oout.txt /",
    "-o no/such/folder/out.txt /",
    "-o - /",
    "-O /bytes/10",
    "-N /chunked",
    "--compressed /",
    "--compressed /bad-gzip",
    "--http1.1 /",
    "--connect-timeout 5 /",
    "--max-time 5 /",
    "--retry 1 --retry-delay 1 /busy-once",
    "--retry 1 --retry-delay 1 -f /status/404",
    "-k S/",
    "S/",
    "--cacert trusted.pem S/",
    "--cacert no-such.pem S/",
    "--cacert note.txt S/",
    "-k --cert no-such.pem S/",
    "-x|{plain}|/",
    "-x http://no-such-proxy.invalid:3128 /",
    "http://no-such-host.invalid/",
    "http://127.0.0.1:{refused}/",
    "127.0.0.1:{port}/short",
    "http://127.0.0.1:port/",
    "no-such-scheme://127.0.0.1/",
    "--no-such-option /",
    "-X",
    "-F file=@no-such-file /",
    "-d a=1 -I /",
    "-d a=1 -F b=2 /",
    "-- /",
]

#: Header fields that are others here, or None for those that only curl sends.
DIFFERENT: dict[str, dict[str, str | None]] = {
    # RFC 9110 s.8.6: without content a method that usually has some says so.
    "-X PUT /": {"content-length": "0"},
    "--request PATCH /": {"content-length": "0"},
    # RFC 6265 s.4.2.1 has a blank between cookies.
    "-b a=1 -b b=2 /": {"cookie": "a=1; b=2"},
    # RFC 9110 s.7.6.1: an obsolete field, of no use.
    "-x|{plain}|/": {"proxy-connection": None},
    # Standard input is read first here, so that its length is known.
    "-F file=@-;type=text/plain /": {"transfer-encoding": None, "expect": None},
}

#: What is found out here before anything is sent: curl asks first, and cannot write the answer then.
NOT_SENT = {"-o no/such/folder/out.txt /"}


def adapted(request: tuple[Any, ...], changes: dict[str, str | None]) -> tuple[Any, ...]:
    """What curl has sent, with the fields that are others here."""
    method, target, lines, body = request
    kept = [line for line in lines if line[0] not in changes]
    return (
        method,
        target,
        sorted([*kept, *((name, value) for name, value in changes.items() if value is not None)]),
        body,
    )


def words_of(invocation: str, recorder: Recorder) -> list[str]:
    words = invocation.split("|") if "|" in invocation else invocation.split(" ")
    if "|" in invocation:
        words = [part for word in words for part in ([word] if " " in word and word[0] != "-" else word.split(" "))]
    return [_completed(word, recorder) for word in words]


def _completed(word: str, recorder: Recorder) -> str:
    if re.match("S?/", word):
        origin = recorder.secure.url if word.startswith("S") else recorder.plain.url
        return origin + word.removeprefix("S")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        refused = unused.getsockname()[1]
    return (
        word.replace("{plain}", recorder.plain.url)
        .replace("{port}", str(recorder.plain.port))
        .replace("{refused}", str(refused))
    )


@pytest.fixture
def by_both(curl: str, run: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[[list[str]], tuple[int, int]]:
    """Runs curl, then the command; their exit codes. Both read the same standard input; neither waits for retries."""
    waited: list[float] = []
    monkeypatch.setattr(_retrying.time, "sleep", waited.append)

    def running(words: list[str], between: Callable[[], None] = lambda: None) -> tuple[int, int]:
        stdin = b"from\nstandard=input"
        done = subprocess.run([curl, "-q", "--no-progress-meter", *words], input=stdin, capture_output=True, timeout=60)
        between()
        return done.returncode, run(*words, stdin=stdin).code

    return running


@pytest.mark.parametrize("invocation", INVOCATIONS)
def test_the_command_does_what_curl_does(invocation: str, recorder: Recorder, folder: Path, by_both: Any) -> None:
    words = words_of(invocation, recorder)
    recorder.take()
    sent: list[Any] = []
    codes = by_both(words, lambda: sent.append(recorder.take()))
    sent.append(recorder.take())
    changes = DIFFERENT.get(invocation, {})
    expected = [] if invocation in NOT_SENT else [adapted(each, changes) for each in sent[0]]
    assert sent[1] == expected
    if invocation == "--cacert no-such.pem S/" and codes[0] == 2:
        codes = 77, codes[1]  # curl 8.22 looks for the file among its options, and calls that a bad option
    assert codes[1] == codes[0]


def test_enough_is_compared() -> None:
    assert len(set(INVOCATIONS)) == len(INVOCATIONS) > 90


GZIP = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
#: What a server does, the exit code of both, and ours where that is another.
BROKEN: dict[str, tuple[list[Any], int, int | None]] = {
    "nothing is answered": ([Read(), Close()], 52, None),
    "the body is cut off": ([Read(), Send(GZIP + b"half"), Close()], 18, None),
    "the connection is reset": ([Read(), Reset()], 56, None),
    "time runs out": ([Read(), Mute()], 28, None),
    # Distinct from an unsupported scheme (1) and from a broken connection (56), for which curl has the same numbers.
    "no TLS": ([Send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), Close()], 35, None),
    "no HTTP": ([Read(), Send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Close()], 1, 8),
    "a bad chunk": ([Read(), Send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), Close()], 56, 8),
}


@pytest.mark.parametrize("case", BROKEN)
def test_servers_that_break_off_give_the_exit_codes_of_curl(case: str, by_both: Any) -> None:
    script, of_curl, ours = BROKEN[case]
    with FaultLab() as lab:
        lab.serve(script, script)
        url = lab.url().replace("http:", "https:") if case == "no TLS" else lab.url()
        words = ["--max-time", "0.5" if case == "time runs out" else "30", url]
        assert by_both(words) == (of_curl, of_curl if ours is None else ours)
