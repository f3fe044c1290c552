"""The command, run against the local server: what it shows, and what it returns."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from peers import Peer
from proxies import BASIC, KINDS, Proxying

import httpx_fast
from httpx_fast.__version__ import __version__
from httpx_fast._cli import command
from httpx_fast._cli.command import main
from httpx_fast.testing import Delay, FaultLab, LocalServer, Read, Repeat, Reply, Request, Send, answer, redirect

COMMAND = [sys.executable, "-m", "httpx_fast"]


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(tls=False, answer=reply) as running:
        yield running


def reply(request: Request) -> Reply:
    """The usual answers, and some to look at."""
    return REPLIES.get(request.target) or answer(request)


REPLIES = {
    "/text": Reply(200, [("Content-Type", "text/html; charset=iso-8859-1")], "<p>grün".encode("latin-1")),
    "/xml": Reply(200, [("Content-Type", "application/atom+xml")], b"<feed/>"),
    "/broken-json": Reply(200, [("Content-Type", "application/json")], b'{"a": '),
    "/json": Reply(200, [("Content-Type", "application/problem+json; charset=utf-8")], '{"b":"ü","a":[1]}'.encode()),
    "/untold-text": Reply(200, [], "plain ✓".encode()),
    "/untold-bytes": Reply(200, [], b"\xff\xfe\x00"),
    "/escape": Reply(200, [("Content-Type", "text/plain"), ("X-Odd", "\x1b[2J")], b"\x1b]0;owned\x07\tend\n"),
}


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs the command; exit status, standard output and standard error."""

    def running(*arguments: str) -> tuple[int, str, str]:
        status = main(arguments)
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return running


def split(out: str) -> tuple[list[str], str]:
    """Lines of the first head, and what follows it."""
    head, _, rest = out.partition("\n\n")
    return head.splitlines(), rest


def told(out: str) -> Any:
    """What the server says it was asked."""
    return json.loads(split(out)[1])


def test_without_a_url_two_requests_to_an_own_server_show_what_reuse_is_good_for(run: Any) -> None:
    status, out, err = run()
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].startswith("No URL given: asking a server of our own twice, https://localhost:")
    assert lines[2] == "HTTP/1.1 200 OK"
    assert out.count('"message": "Hello') == 1
    assert '"tls_version": "TLSv1.3"' in out
    first = next(number for number, line in enumerate(lines) if line.startswith("Request 1 (GET 200): new connection,"))
    rows = [line.split()[:2] for line in lines[first:]]
    assert [name for name, _ in rows[1:8]] == ["pool", "dns", "tcp", "tls", "send", "wait", "receive"]
    assert lines[first + 8].startswith("Request 2 (GET 200): reused connection, request 2 on it, ")
    assert rows[9:16] == [
        ["pool", rows[9][1]],
        ["dns", "skipped"],
        ["tcp", "skipped"],
        ["tls", "skipped"],
        *rows[13:16],
    ]
    assert [name for name, _ in rows[13:16]] == ["send", "wait", "receive"]
    assert lines[-1].startswith("Connection: peer ")
    assert "HTTP/1.1, TLSv1.3 with TLS_" in lines[-1]


def test_demonstration_does_not_go_through_the_proxy_of_the_environment(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    assert run()[0] == 0


def test_demonstration_runs_as_a_command() -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, encoding="utf-8", timeout=60, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert "reused connection, request 2 on it" in done.stdout


def environment(**more: str) -> dict[str, str]:
    """For the command in a process of its own: warnings are errors there too."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONWARNINGS": "error", **more}


def test_response_is_shown_with_its_head_and_json_laid_out(run: Any, server: LocalServer) -> None:
    status, out, err = run(f"{server.url}/json")
    assert (status, err) == (0, "")
    head, content = split(out)
    assert head == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/problem+json; charset=utf-8",
        "Content-Length: 18",
    ]
    assert content == '{\n    "b": "ü",\n    "a": [\n        1\n    ]\n}\n'


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/text", "<p>grün\n"),
        ("/xml", "<feed/>\n"),
        ("/broken-json", '{"a": \n'),
        ("/untold-text", "plain ✓\n"),
        ("/untold-bytes", "<3 bytes of binary data>\n"),
        ("/bytes/1000", "<1000 bytes of binary data>\n"),
        ("/status/200", ""),
        ("/chunked", "".join(f"chunk {number} of 5\n" for number in range(1, 6)) + "\n"),
    ],
)
def test_content_is_shown_as_what_it_is(run: Any, server: LocalServer, path: str, shown: str) -> None:
    assert split(run(f"{server.url}{path}")[1])[1] == shown


@pytest.mark.parametrize(("path", "status"), [("/status/200", 0), ("/status/299", 0), ("/status/302", 1), ("/no", 1)])
def test_exit_status_tells_success(run: Any, server: LocalServer, path: str, status: int) -> None:
    assert run(f"{server.url}{path}")[0] == status


def test_options_make_the_request(run: Any, server: LocalServer) -> None:
    options = ["-m", "PATCH", "-p", "q", "a b", "-p", "q", "c", "-h", "X-One", "1", "-h", "X-Two", "2", "-c", "text"]
    options += ["--cookies", "k", "v", "--auth", "user", "pass"]
    seen = told(run(f"{server.url}/", *options)[1])
    assert (seen["method"], seen["target"], seen["body"]) == ("PATCH", "/?q=a+b&q=c", "text")
    fields = {name.lower(): value for name, value in seen["headers"].items()}
    assert (fields["x-one"], fields["x-two"], fields["cookie"]) == ("1", "2", "k=v")
    assert fields["authorization"] == "Basic " + base64.b64encode(b"user:pass").decode()


#: Options of httpx's command.
HTTPX_OPTIONS = (
    "-m --method -p --params -c --content -d --data -f --files -j --json -h --headers --cookies --auth --proxy "
    "--timeout --follow-redirects --verify --no-verify --http2 --download -v --verbose --help"
)


def test_options_are_those_of_httpx_at_least(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["--help"])
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", capsys.readouterr().out))
    assert set(HTTPX_OPTIONS.split()) - offered == set()


def test_long_options_say_the_same_as_short_ones(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("in the file", encoding="ascii")
    url = f"{server.url}/"
    values = {"-p --params": ["a", "1"], "-h --headers": ["X-A", "1"], "-d --data": ["a", "1"]}
    values |= {"-m --method": ["PUT"], "-c --content": ["text"], "-j --json": ["[1]"]}
    for names, value in values.items():
        short, long = (told(run(url, name, *value)[1]) for name in names.split())
        assert {**short, "connection": None} == {**long, "connection": None}
    assert "in the file" in told(run(url, "--files", "upload", str(file))[1])["body"]
    assert split(run(url, "--verbose")[1])[0][0].startswith("* new connection: ")


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
def test_requests_go_through_the_proxy_that_is_named(
    run: Any, server: LocalServer, peer: Callable[..., Peer], kind: str
) -> None:
    proxy: Proxying = KINDS[kind]()
    gate = peer(proxy)
    status, out, err = run(f"http://localhost:{server.port}/text", "--proxy", f"{kind}://127.0.0.1:{gate.port}", "-v")
    assert (status, err) == (0, "")
    assert len(proxy.asked) == 1
    assert f"which is the proxy {kind}://127.0.0.1:{gate.port}" in out.splitlines()[0]
    assert "<p>grün" in out


def test_name_and_password_for_the_proxy_stand_in_its_url_and_are_not_shown(
    run: Any, server: LocalServer, peer: Callable[..., Peer]
) -> None:
    proxy = KINDS["http"](login=("user", "secret"))
    gate = peer(proxy)
    assert run(f"{server.url}/text", "--proxy", f"http://127.0.0.1:{gate.port}")[0] == 1
    status, out, _ = run(f"{server.url}/text", "--proxy", f"http://user:secret@127.0.0.1:{gate.port}", "-v")
    assert status == 0
    assert proxy.fields[-1]["proxy-authorization"] == BASIC
    assert "secret" not in out


def test_password_is_asked_for_when_it_is_a_dash(
    run: Any, server: LocalServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda: "hidden")
    seen = told(run(f"{server.url}/", "--auth", "user", "-")[1])
    fields = {name.lower(): value for name, value in seen["headers"].items()}
    assert fields["authorization"] == "Basic " + base64.b64encode(b"user:hidden").decode()


def test_body_makes_it_a_post(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("in the file", encoding="ascii")
    bodies = {
        '{"a":[1,null]}': ("-j", '{"a": [1, null]}'),
        "a=1&a=2&b=%26": ("-d", "a", "1", "-d", "a", "2", "-d", "b", "&"),
        "plain": ("-c", "plain"),
    }
    for body, options in bodies.items():
        seen = told(run(f"{server.url}/", *options)[1])
        assert (seen["method"], seen["body"]) == ("POST", body)
    seen = told(run(f"{server.url}/", "-f", "upload", str(file))[1])
    assert 'name="upload"; filename="notes.txt"' in seen["body"]
    assert "in the file" in seen["body"]


def test_redirects_are_followed_only_on_demand_and_each_head_is_shown(run: Any, server: LocalServer) -> None:
    status, out, _ = run(f"{server.url}/redirect/2")
    assert (status, out.count("HTTP/1.1 ")) == (1, 1)
    status, out, _ = run(f"{server.url}/redirect/2", "--follow-redirects", "--journey")
    assert status == 0
    starts = [line for line in out.splitlines() if line.startswith("HTTP/1.1 ")]
    assert starts == ["HTTP/1.1 302 Found", "HTTP/1.1 302 Found", "HTTP/1.1 200 OK"]
    drawn = [line.split(",")[0] for line in out.splitlines() if line.startswith("Request ")]
    assert drawn == [
        "Request 1 (GET 302): new connection",
        "Request 2 (GET 302): reused connection",
        "Request 3 (GET 200): reused connection",
    ]


def test_verbose_shows_the_connection_and_the_request_too(run: Any, server: LocalServer) -> None:
    connection, rest = split(run(f"{server.url}/text?x=1", "-v", "-m", "DELETE", "-h", "X-Own", "yes")[1])
    assert len(connection) == 1
    assert re.fullmatch(rf"\* new connection: peer (127\.0\.0\.1|\[::1\]):{server.port}, HTTP/1\.1", connection[0])
    head, rest = split(rest)
    assert head[0] == "DELETE /text?x=1 HTTP/1.1"
    assert "X-Own: yes" in head
    assert any(line.lower() == f"host: localhost:{server.port}" for line in head)
    assert rest.startswith("HTTP/1.1 404 ")


def test_verbose_tells_of_each_redirect_which_connection_it_took(run: Any, server: LocalServer) -> None:
    lines = run(f"{server.url}/redirect/1", "--follow-redirects", "-v")[1].splitlines()
    assert [line.partition(":")[0] for line in lines if line.startswith("* ")] == [
        "* new connection",
        "* reused connection, request 2 on it",
    ]
    assert [line for line in lines if line.startswith("GET ")] == [
        "GET /redirect/1 HTTP/1.1",
        "GET / HTTP/1.1",
    ]


def test_verbose_tells_what_encrypts_the_connection(run: Any) -> None:
    with LocalServer() as server:
        first = run(f"{server.url}/", "--no-verify", "-v")[1].splitlines()[0]
    assert re.search(r", HTTP/1\.1, TLSv1\.3 with TLS_\w+$", first)


def test_heads_tell_the_version_that_was_spoken(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_by_http2(request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(200, extensions={"http_version": b"HTTP/2"})

    def client(**settings: Any) -> httpx_fast.Client:
        return httpx_fast.Client(transport=httpx_fast.MockTransport(answer_by_http2))

    monkeypatch.setattr(command, "Client", client)
    lines = run("http://localhost/", "-v")[1].splitlines()
    assert (lines[0], lines[lines.index("") + 1]) == ("GET / HTTP/2", "HTTP/2 200 OK")


def test_journey_is_drawn_for_a_url_and_a_count_of_requests(run: Any, server: LocalServer) -> None:
    status, out, _ = run(f"{server.url}/status/204", "-n", "3")
    assert status == 0
    assert out.count("HTTP/1.1 204") == 1
    assert [line.split(",")[0] for line in out.splitlines() if line.startswith("Request ")] == [
        "Request 1 (GET 204): new connection",
        "Request 2 (GET 204): reused connection",
        "Request 3 (GET 204): reused connection",
    ]
    assert "tls" not in out
    assert server.accepted == 1
    assert "Request 1" in run(f"{server.url}/", "--journey")[1]
    assert "Request 1" not in run(f"{server.url}/")[1]


def test_download_goes_to_a_file(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "data"
    status, out, _ = run(f"{server.url}/bytes/100000", "--download", str(file))
    assert status == 0
    assert file.read_bytes() == (bytes(range(256)) * 391)[:100_000]
    assert out.splitlines()[0] == "HTTP/1.1 200 OK"
    assert out.splitlines()[-1] == f"<100000 bytes saved to {file}>"


def test_download_to_standard_output_leaves_it_to_the_content(server: LocalServer) -> None:
    command = [*COMMAND, f"{server.url}/bytes/300", "--download", "-", "--journey"]
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment())
    assert done.returncode == 0
    assert done.stdout == (bytes(range(256)) * 2)[:300]
    assert b"HTTP/1.1 200 OK" in done.stderr
    assert b"Request 1 (GET 200)" in done.stderr


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def assert_one_line(err: str, *said: str) -> None:
    assert len(err.splitlines()) == 1, err
    for words in said:
        assert words in err


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("example.org", "UnsupportedProtocol"),
        ("ftp://example.org/", "UnsupportedProtocol"),
        ("http://", "UnsupportedProtocol"),
        ("http://[::1/", "InvalidURL"),
        ("http://example.org:port/", "InvalidURL"),
    ],
)
def test_bad_url_is_told_in_one_line(run: Any, url: str, said: str) -> None:
    status, out, err = run(url)
    assert (status, out) == (1, "")
    assert_one_line(err, said)


def test_refused_connection_is_told_in_one_line(run: Any) -> None:
    status, out, err = run(f"http://127.0.0.1:{free_port()}/")
    assert (status, out) == (1, "")
    assert_one_line(err, "ConnectError: ")


def test_refused_connection_is_drawn_on_demand(run: Any) -> None:
    status, _, err = run(f"http://127.0.0.1:{free_port()}/", "--journey")
    assert status == 1
    assert err.splitlines()[1].startswith("Request 1 (GET): no connection, failed in tcp, ")


def test_untrusted_certificate_is_told_and_may_be_accepted_or_trusted(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with LocalServer() as server:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        status, out, err = run(f"{server.url}/")
        assert (status, out) == (1, "")
        assert_one_line(err, "ConnectError: ", "certificate")
        assert run(f"{server.url}/", "--no-verify")[0] == 0
        assert server.certificate is not None
        trusted = tmp_path / "trusted.pem"
        trusted.write_text(server.certificate.pem, encoding="ascii")
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert run(f"{server.url}/")[0] == 0


def test_timeout_is_told_in_one_line(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        status, _, err = run(f"http://127.0.0.1:{mute.getsockname()[1]}/", "--timeout", "0.01")
    assert status == 1
    assert_one_line(err, "ReadTimeout: ")


def test_max_time_is_for_all_of_a_request(run: Any) -> None:
    with FaultLab() as lab:
        lab.serve(Repeat(Read(), Delay(0.01), Send(redirect("/"))))
        status, _, err = run(lab.url(), "--max-time", "0.05", "--follow-redirects")
    assert status == 1
    assert "Timeout: total timed out after 0.0" in err
    assert_one_line(err)


@pytest.mark.parametrize(
    "options",
    [
        ("--download", "/nowhere/at/all"),
        ("-f", "name", "/nowhere/at/all"),
        ("-h", "X-Split", "a\r\nb"),
        ("--proxy", "gopher://localhost/"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(run: Any, server: LocalServer, options: tuple[str, ...]) -> None:
    status, _, err = run(f"{server.url}/", *options)
    assert status == 1
    assert_one_line(err)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-n", "0"], "expected a count from 1 on, got '0'"),
        (["-n", "two"], "expected a count from 1 on, got 'two'"),
        (["-j", "{"], "expected JSON, got '{'"),
        (["--timeout", "-1"], "expected seconds, got '-1'"),
        (["--max-time", "soon"], "expected seconds, got 'soon'"),
        (["--timeout", "nan"], "expected seconds, got 'nan'"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(["http://localhost/", *options])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(("option", "said"), [("--version", __version__), ("--help", "--journey")])
def test_version_and_help_are_shown(option: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        main([option])
    assert said in capsys.readouterr().out


def test_interruption_is_no_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Client", interrupt)
    assert run("http://localhost/") == (130, "", "interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows break otherwise")
def test_reader_that_goes_away_is_no_traceback(server: LocalServer) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*COMMAND, f"{server.url}/"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, env=environment())
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")


def test_output_that_cannot_show_all_characters_shows_the_rest(server: LocalServer) -> None:
    command = [*COMMAND, f"{server.url}/untold-text", "--journey"]
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment(PYTHONIOENCODING="ascii"))
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"plain \\u2713" in done.stdout
    assert b"  #" in done.stdout
