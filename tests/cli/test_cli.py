"""The command, run against the local server: what it shows, and what it returns."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peers import Peer
from proxies import BASIC, KINDS, Proxying

import httpx_fast
from httpx_fast.__version__ import __version__
from httpx_fast._cli import command
from httpx_fast.testing import Delay, FaultLab, LocalServer, Read, Repeat, Send, redirect

COMMAND = [sys.executable, "-m", "httpx_fast"]


def told(ran: Any) -> Any:
    """What the server says it was asked."""
    assert ran.code == 0, ran
    return json.loads(ran.out)


def fields(ran: Any) -> dict[str, str]:
    """The header fields that the server says it was sent, by name in lower case."""
    return {name.lower(): value for name, value in told(ran)["headers"].items()}


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


def test_demonstration_runs_as_a_command(environment: Any) -> None:
    done = subprocess.run(COMMAND, capture_output=True, text=True, encoding="utf-8", timeout=60, env=environment())
    assert (done.returncode, done.stderr) == (0, "")
    assert "reused connection, request 2 on it" in done.stdout


@pytest.mark.parametrize("url", ["http://localhost:{port}/json", "localhost:{port}/json", ":{port}/json"])
def test_standard_output_in_a_pipe_is_the_body_alone(run: Any, server: LocalServer, url: str) -> None:
    ran = run(url.format(port=server.port))
    assert (ran.code, ran.out) == (0, '{"b":"ü","a":[1]}')
    assert ran.err.splitlines() == [
        "HTTP/1.1 200 OK",
        "Content-Type: application/problem+json; charset=utf-8",
        "Content-Length: 18",
        "",
    ]


def test_body_is_passed_on_byte_for_byte(server: LocalServer, environment: Any) -> None:
    command = [*COMMAND, "-s", f"{server.url}/bytes/100000"]
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (bytes(range(256)) * 391)[:100_000]


def test_heads_are_put_on_standard_output_on_demand(run: Any, server: LocalServer) -> None:
    ran = run("-i", f"{server.url}/lines")
    assert ran.out == "HTTP/1.1 200 OK\nContent-Type: text/plain\nContent-Length: 8\n\none\ntwo\n"
    assert ran.err == ""
    assert run("-I", f"{server.url}/lines").out.startswith("HTTP/1.1 200 OK\n")
    assert run("-s", f"{server.url}/lines") == (0, "one\ntwo\n", "")


@pytest.mark.parametrize("path", ["/status/200", "/status/299", "/status/302", "/status/404", "/status/500"])
def test_status_is_an_error_only_on_demand(run: Any, server: LocalServer, path: str) -> None:
    assert run(f"{server.url}{path}").code == 0
    failing = run("-f", f"{server.url}{path}")
    assert failing.code == (22 if path[-3] in "45" else 0)


def test_failure_by_status_shows_no_body_and_says_so(run: Any, server: LocalServer) -> None:
    code, out, err = run("-sSf", f"{server.url}/nothing-here")
    assert (code, out, err) == (22, "", "httpx-fast: the status is 404 Not Found\n")


def test_options_make_the_request(run: Any, server: LocalServer) -> None:
    options = ["-m", "PATCH", "-p", "q", "a b", "-p", "q", "c", "-h", "X-One", "1", "-h", "X-Two", "2", "-c", "text"]
    options += ["--cookies", "k", "v", "--auth", "user", "pass"]
    ran = run(f"{server.url}/", *options)
    seen = told(ran)
    assert (seen["method"], seen["target"], seen["body"]) == ("PATCH", "/?q=a+b&q=c", "text")
    sent = fields(ran)
    assert (sent["x-one"], sent["x-two"], sent["cookie"]) == ("1", "2", "k=v")
    assert sent["authorization"] == "Basic " + base64.b64encode(b"user:pass").decode()


#: Options of httpx's command.
HTTPX_OPTIONS = (
    "-m --method -p --params -c --content -d --data -f --files -j --json -h --headers --cookies --auth --proxy "
    "--timeout --follow-redirects --verify --no-verify --http2 --download -v --verbose --help"
)


def test_options_are_those_of_httpx_at_least(run: Any) -> None:
    offered = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", run("--help").out))
    assert set(HTTPX_OPTIONS.split()) - offered == set()


def test_long_options_say_the_same_as_short_ones(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("in the file", encoding="ascii")
    url = f"{server.url}/"
    values = {"-p --params": ["a", "1"], "-h --headers": ["X-A", "1"], "-d --data": ["a", "1"]}
    values |= {"-m --method": ["PUT"], "-c --content": ["text"], "-j --json": ["[1]"]}
    for names, value in values.items():
        short, long = (told(run(url, name, *value)) for name in names.split())
        assert {**short, "connection": None} == {**long, "connection": None}
    assert "in the file" in told(run(url, "--files", "upload", str(file)))["body"]
    assert run(url, "--verbose").head[0].startswith("* new connection: ")


@pytest.mark.parametrize("kind", ["http", "socks5", "socks5h"])
def test_requests_go_through_the_proxy_that_is_named(
    run: Any, server: LocalServer, peer: Callable[..., Peer], kind: str
) -> None:
    proxy: Proxying = KINDS[kind]()
    gate = peer(proxy)
    ran = run(f"http://localhost:{server.port}/text", "--proxy", f"{kind}://127.0.0.1:{gate.port}", "-v")
    assert ran.code == 0
    assert len(proxy.asked) == 1
    assert f"which is the proxy {kind}://127.0.0.1:{gate.port}" in ran.head[0]
    assert ran.out.startswith("<p>gr")


def test_name_and_password_for_the_proxy_stand_in_its_url_and_are_not_shown(
    run: Any, server: LocalServer, peer: Callable[..., Peer]
) -> None:
    proxy = KINDS["http"](login=("user", "secret"))
    gate = peer(proxy)
    assert run(f"{server.url}/text", "-f", "--proxy", f"http://127.0.0.1:{gate.port}").code == 22
    ran = run(f"{server.url}/text", "--proxy", f"http://user:secret@127.0.0.1:{gate.port}", "-v")
    assert ran.code == 0
    assert proxy.fields[-1]["proxy-authorization"] == BASIC
    assert "secret" not in ran.out + ran.err


@pytest.mark.parametrize("options", [("--auth", "user", "-"), ("-u", "user")])
def test_missing_password_is_asked_for(
    run: Any, server: LocalServer, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda *prompt: "hidden")
    ran = run(f"{server.url}/", *options)
    assert fields(ran)["authorization"] == "Basic " + base64.b64encode(b"user:hidden").decode()


def test_body_makes_it_a_post(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("in the file", encoding="ascii")
    bodies = {
        '{"a":[1,null]}': ("-j", '{"a": [1, null]}'),
        "a=1&a=2&b=%26": ("-d", "a", "1", "-d", "a", "2", "-d", "b", "&"),
        "plain": ("-c", "plain"),
        "in the file": ("-c", f"@{file}"),
        "from stdin": ("-c", "-"),
    }
    for body, options in bodies.items():
        seen = told(run(f"{server.url}/", *options, stdin=b"from stdin"))
        assert (seen["method"], seen["body"]) == ("POST", body)
    seen = told(run(f"{server.url}/", "-f", "upload", str(file)))
    assert 'name="upload"; filename="notes.txt"' in seen["body"]
    assert "in the file" in seen["body"]


def test_redirects_are_followed_only_on_demand_and_each_head_is_shown(run: Any, server: LocalServer) -> None:
    ran = run(f"{server.url}/redirect/2")
    assert (ran.code, ran.err.count("HTTP/1.1 ")) == (0, 1)
    ran = run(f"{server.url}/redirect/2", "--follow-redirects", "--journey")
    assert ran.code == 0
    starts = [line for line in ran.err.splitlines() if line.startswith("HTTP/1.1 ")]
    assert starts == ["HTTP/1.1 302 Found", "HTTP/1.1 302 Found", "HTTP/1.1 200 OK"]
    drawn = [line.split(",")[0] for line in ran.err.splitlines() if line.startswith("Request ")]
    assert drawn == [
        "Request 1 (GET 302): new connection",
        "Request 2 (GET 302): reused connection",
        "Request 3 (GET 200): reused connection",
    ]


def test_verbose_shows_the_connection_and_the_request_too(run: Any, server: LocalServer) -> None:
    ran = run(f"{server.url}/text?x=1", "-v", "-m", "DELETE", "-h", "X-Own", "yes")
    connection, request, response = (part.splitlines() for part in ran.err.split("\n\n")[:3])
    assert len(connection) == 1
    assert re.fullmatch(rf"\* new connection: peer (127\.0\.0\.1|\[::1\]):{server.port}, HTTP/1\.1", connection[0])
    assert request[0] == "DELETE /text?x=1 HTTP/1.1"
    assert "X-Own: yes" in request
    assert any(line.lower() == f"host: localhost:{server.port}" for line in request)
    assert response[0].startswith("HTTP/1.1 404 ")


def test_verbose_tells_of_each_redirect_which_connection_it_took(run: Any, server: LocalServer) -> None:
    lines = run(f"{server.url}/redirect/1", "--follow-redirects", "-v").err.splitlines()
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
        first = run(f"{server.url}/", "--no-verify", "-v").head[0]
    assert re.search(r", HTTP/1\.1, TLSv1\.3 with TLS_\w+$", first)


def test_heads_tell_the_version_that_was_spoken(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer_by_http2(request: httpx_fast.Request) -> httpx_fast.Response:
        return httpx_fast.Response(200, extensions={"http_version": b"HTTP/2"})

    def client(**settings: Any) -> httpx_fast.Client:
        return httpx_fast.Client(transport=httpx_fast.MockTransport(answer_by_http2))

    monkeypatch.setattr(command, "Client", client)
    lines = run("http://localhost/", "-v").err.splitlines()
    assert (lines[0], lines[lines.index("") + 1]) == ("GET / HTTP/2", "HTTP/2 200 OK")


def test_few_requests_are_drawn_one_by_one(run: Any, server: LocalServer) -> None:
    ran = run(f"{server.url}/status/204", "-n", "3")
    assert (ran.code, ran.err) == (0, "")
    assert [line.split(",")[0] for line in ran.out.splitlines() if line.startswith("Request ")] == [
        "Request 1 (GET 204): new connection",
        "Request 2 (GET 204): reused connection",
        "Request 3 (GET 204): reused connection",
    ]
    assert "tls" not in ran.out
    assert server.accepted == 1
    assert "HTTP/1.1 204" in run(f"{server.url}/status/204", "-n", "3", "-v").err


def test_journey_goes_to_standard_error_and_the_body_past_it(run: Any, server: LocalServer) -> None:
    ran = run(f"{server.url}/lines", "--journey")
    assert ran.out == "one\ntwo\n"
    assert "Request 1 (GET 200): new connection" in ran.err
    assert "Request 1" not in run(f"{server.url}/lines").err


def test_download_to_standard_output_leaves_it_to_the_content(server: LocalServer, environment: Any) -> None:
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
    ("url", "code", "said"),
    [
        ("ftp://example.org/", 1, "UnsupportedProtocol"),
        ("http://[::1/", 3, "InvalidURL"),
        ("http://example.org:port/", 3, "InvalidURL"),
    ],
)
def test_bad_url_is_told_in_one_line(run: Any, url: str, code: int, said: str) -> None:
    ran = run(url)
    assert ran[:2] == (code, "")
    assert_one_line(ran.err, said)


def test_url_without_a_host_is_none(run: Any) -> None:
    assert run("http://") == (
        3,
        "",
        "httpx-fast: the URL 'http://' has no host\nexpected http://host/ or https://host/\n",
    )


def test_unusable_authorities_of_the_environment_are_told_in_one_line(run: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/no/such/file")
    ran = run("https://localhost/")
    assert ran.code == 77
    assert_one_line(ran.err, "SSL_CERT_FILE")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no full device")
def test_full_disk_is_told_in_one_line(server: LocalServer, environment: Any) -> None:
    for words in (["-sS", f"{server.url}/"], ["-sS", f"{server.url}/bytes/1000000"], ["--help"]):
        with open("/dev/full", "wb") as full:
            command = [*COMMAND, *words]
            done = subprocess.run(
                command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, env=environment()
            )
        assert done.returncode == 23
        assert_one_line(done.stderr, "No space left on device")


def test_refused_connection_is_told_in_one_line(run: Any) -> None:
    ran = run(f"http://127.0.0.1:{free_port()}/")
    assert ran[:2] == (7, "")
    assert_one_line(ran.err, "ConnectError: ")


def test_refused_connection_is_drawn_on_demand(run: Any) -> None:
    ran = run(f"http://127.0.0.1:{free_port()}/", "--journey")
    assert ran.code == 7
    assert ran.err.splitlines()[1].startswith("Request 1 (GET): no connection, failed in tcp, ")


def test_untrusted_certificate_is_told_and_may_be_accepted_or_trusted(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with LocalServer() as server:
        monkeypatch.delenv("SSL_CERT_FILE", raising=False)
        monkeypatch.delenv("SSL_CERT_DIR", raising=False)
        ran = run(f"{server.url}/")
        assert ran[:2] == (60, "")
        assert_one_line(ran.err, "ConnectError: ", "certificate")
        assert run(f"{server.url}/", "--no-verify").code == run("-k", f"{server.url}/").code == 0
        assert server.certificate is not None
        trusted = tmp_path / "trusted.pem"
        trusted.write_text(server.certificate.pem, encoding="ascii")
        assert run("--cacert", str(trusted), f"{server.url}/").code == 0
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        assert run(f"{server.url}/").code == 0


def test_timeout_is_told_in_one_line(run: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        ran = run(f"http://127.0.0.1:{mute.getsockname()[1]}/", "--timeout", "0.5")
    assert ran.code == 28
    assert_one_line(ran.err, "ReadTimeout: ")


def test_max_time_is_for_all_of_a_request(run: Any) -> None:
    with FaultLab() as lab:
        lab.serve(Repeat(Read(), Delay(0.01), Send(redirect("/"))))
        ran = run(lab.url(), "--max-time", "0.05", "--follow-redirects")
    assert ran.code == 28
    assert re.search(r"Timeout: total timed out after [\d.]+ s of 0\.05 s", ran.err)
    assert_one_line(ran.err)


def test_header_that_would_be_two_lines_is_refused_in_one_line(run: Any, server: LocalServer) -> None:
    ran = run(f"{server.url}/", "-h", "X-Split", "a\r\nb")
    assert ran.code == 1
    assert_one_line(ran.err)


def test_version_and_help_are_shown(run: Any) -> None:
    assert run("--version") == (0, f"httpx-fast {__version__}\n", "")
    assert "--journey" in run("--help").out


def test_interruption_is_no_traceback(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(**settings: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "Client", interrupt)
    assert run("http://localhost/") == (130, "", "interrupted\n")


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Windows break otherwise")
@pytest.mark.parametrize("path", ["/", "/bytes/10000000"])
def test_reader_that_goes_away_is_no_traceback(server: LocalServer, environment: Any, path: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        command = [*COMMAND, "-s", f"{server.url}{path}"]
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, timeout=60, env=environment())
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (23, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="has no such shells")
@pytest.mark.parametrize(("closed", "code"), [(">&-", 23), ("2>&-", 0), ("</dev/null 0<&-", 0)])
def test_closed_outputs_and_inputs_are_no_traceback(
    server: LocalServer, environment: Any, closed: str, code: int
) -> None:
    script = f'"{sys.executable}" -m httpx_fast {server.url}/lines {closed}'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60, env=environment())
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert done.stdout == ("" if code else "one\ntwo\n")
    assert ("standard output is closed" in done.stderr) is (code == 23)


def test_output_that_cannot_show_all_characters_shows_the_rest(server: LocalServer, environment: Any) -> None:
    command = [*COMMAND, "--journey", "-i", f"{server.url}/untold-text"]
    done = subprocess.run(command, capture_output=True, timeout=60, env=environment(PYTHONIOENCODING="ascii"))
    assert done.returncode == 0
    assert done.stdout.endswith("plain ✓".encode())
    assert b"  #" in done.stderr
