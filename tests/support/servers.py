"""Real servers on loopback, each in a process of its own: nginx for HTTP/1.1 (and HTTP/2), nghttpd for HTTP/2.

nginx is handed its listening sockets ready made (its NGINX variable, meant for upgrades without downtime): so no port
can be taken in between, and a client may connect before nginx runs: nobody has to wait for its start.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import importlib.util
import json
import os
import re
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

from certificates import Authority

MIB = 1024 * 1024
BIG = 100  # MiB in /f100m
JSON_BODY = json.dumps({"items": [{"id": n, "name": f"user-{n}", "active": True} for n in range(20)]}).encode()
JSON_BODY = JSON_BODY[:-1] + b', "pad": "' + b"x" * (1024 - len(JSON_BODY) - 11) + b'"}'

#: Names of nginx's listeners: how long each keeps a connection that nobody uses, and for how many requests.
LISTENERS = {
    "http": "keepalive_timeout 600s; keepalive_requests 1000000000;",
    "three_requests": "keepalive_timeout 600s; keepalive_requests 3;",
    "no_keep_alive": "keepalive_timeout 0;",
    "brief": "keepalive_timeout 50ms;",
    "https": "keepalive_timeout 600s; keepalive_requests 1000000000;",
    "http2": "keepalive_timeout 600s; keepalive_requests 1000000000;",
}

_MAIN = """
load_module {echo_module};
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  default_type application/octet-stream;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  sendfile on; tcp_nodelay on;
  client_max_body_size 256m; client_body_buffer_size 8m;
  ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.2 TLSv1.3;
  {servers}
}}
"""

# The answer to /json has 12 field lines, as many as a usual API's.
_SERVER = """
server {{
  listen {address};
  root {folder}/www;
  {keep_alive}
  location = /tiny {{ default_type text/plain; return 200 "ok"; }}
  location = /request-line {{ default_type text/plain; return 200 "$request"; }}
  location = /json {{
    default_type "application/json; charset=utf-8";
    add_header Cache-Control "no-cache, no-store, max-age=0, must-revalidate";
    add_header ETag "W/\\"5f3c-1a2b3c4d5e6f708192a3b4c5d6e7f809\\"";
    add_header X-Request-Id "0f8fad5b-d9cb-469f-a165-70867728950e";
    add_header Strict-Transport-Security "max-age=31536000; includeSubDomains";
    add_header Vary "Accept-Encoding, Origin";
    add_header X-Content-Type-Options "nosniff";
    add_header X-Frame-Options "DENY";
    return 200 '{json}';
  }}
  location = /chunked.json {{ default_type application/json; ssi on; ssi_types application/json; }}
  location = /gzip.json {{ default_type application/json; gzip_static always; }}
  location = /tls {{ default_type text/plain; return 200 "$ssl_protocol $ssl_session_reused $ssl_server_name"; }}
  location = /redirect {{ return 302 /tiny; }}
  location = /echo {{ echo_read_request_body; echo_request_body; }}
  location = /sink {{ default_type text/plain; echo_read_request_body; echo -n "ok"; }}
  location = /status {{ stub_status; }}
}}
"""


class Unavailable(Exception):
    """A server is not installed; says what to install."""


def find(program: str, package: str) -> str:
    """The path of a server, which may lie where only root looks."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        raise Unavailable(f"{program} is not installed (Debian: apt-get install {package})")
    return path


def open_to_all(folder: Path) -> Path:
    """Return a folder for a server whose workers run as another user: one outside pytest's, if that is needed.

    pytest's folders are for one user only. Opening them is no help: each pytest that starts closes those of all runs.
    """
    if os.geteuid() != 0:
        return folder
    made = Path(tempfile.mkdtemp(prefix="httpx-fast-"))
    made.chmod(0o777)
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


class Nginx:
    """nginx with the listeners of `LISTENERS` and one on a Unix domain socket; started by entering it."""

    def __init__(self, folder: Path, authority: Authority, command: Sequence[str] = ()) -> None:
        self.folder = folder
        self.authority = authority
        self._program = find("nginx", "nginx")
        self._command = command
        self._ports: dict[str, int] = {}
        self.uds = folder / "nginx.sock"

    def __enter__(self) -> Self:
        self._write_content()
        with contextlib.ExitStack() as listening:
            sockets = {name: listening.enter_context(_listener()) for name in LISTENERS}
            self._ports = {name: each.getsockname()[1] for name, each in sockets.items()}
            self._write_configuration()
            numbers = [each.fileno() for each in sockets.values()]
            self._process = subprocess.Popen(
                [*self._command, self._program, "-p", self.folder, "-e", "error.log", "-c", "nginx.conf"],
                env={**os.environ, "NGINX": "".join(f"{number};" for number in numbers)},
                pass_fds=numbers,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        try:
            self._accepted()
        except OSError:
            self.__exit__()
            raise RuntimeError("nginx did not start: " + (self.folder / "error.log").read_text()) from None
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)

    def _write_content(self) -> None:
        www = self.folder / "www"
        www.mkdir()
        (www / "chunked.json").write_bytes(JSON_BODY)
        (www / "gzip.json.gz").write_bytes(gzip.compress(JSON_BODY * 10))
        block = os.urandom(MIB - 8)
        with open(www / "f100m", "wb") as file:
            # Each MiB begins with its number, so that one lost, doubled or moved changes the checksum.
            file.writelines(part for number in range(BIG) for part in (number.to_bytes(8, "big"), block))

    def _write_configuration(self) -> None:
        addresses = {name: f"127.0.0.1:{port}" for name, port in self._ports.items()}
        addresses["https"] += " ssl"
        addresses["http2"] += " ssl http2"
        addresses["http"] += f"; listen unix:{self.uds}"
        fill = {"folder": self.folder, "json": JSON_BODY.decode()}
        servers = [_SERVER.format(address=addresses[name], keep_alive=LISTENERS[name], **fill) for name in LISTENERS]
        certificate, key = self.authority.issue("127.0.0.1", "localhost")
        configuration = _MAIN.format(
            echo_module=self._echo_module(),
            user="" if os.getuid() else "user root;",
            certificate=certificate,
            key=key,
            servers="".join(servers),
            **fill,
        )
        (self.folder / "nginx.conf").write_text(configuration)

    def _echo_module(self) -> Path:
        build = subprocess.run([self._program, "-V"], capture_output=True, text=True, check=True).stderr
        found = re.search(r"--modules-path=(\S+)", build)
        module = Path(found[1] if found else "/usr/lib/nginx/modules", "ngx_http_echo_module.so")
        if not module.exists():
            raise Unavailable("nginx lacks its echo module (Debian: apt-get install libnginx-mod-http-echo)")
        return module

    def url(self, path: str, listener: str = "http") -> str:
        scheme = "https" if listener in ("https", "http2") else "http"
        return f"{scheme}://127.0.0.1:{self._ports[listener]}{path}"

    @property
    def big_file(self) -> Path:
        return self.folder / "www" / "f100m"

    @contextlib.contextmanager
    def counting(self) -> Iterator[Accepted]:
        """Counts the connections that nginx accepts during the block."""
        count = Accepted()
        before = self._accepted()
        yield count
        count.connections = self._accepted() - before - 1  # to look is one, too

    def _accepted(self) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(self.url("/status"), timeout=10) as response:
            return int(response.read().split(b"\n")[2].split()[0])


class Accepted:
    """How many connections were accepted; known when the block has ended."""

    connections = -1


class Nghttpd:
    """nghttpd serving `www`: HTTP/2 with prior knowledge on `port`, or over TLS; started by entering it."""

    def __init__(self, www: Path, authority: Authority, *, tls: bool, options: Sequence[str] = ()) -> None:
        self._program = find("nghttpd", "nghttp2-server")
        with _listener() as free:
            self.port = free.getsockname()[1]
        arguments = [*options, "-n1", "-d", str(www), "-a", "127.0.0.1"]
        if tls:
            certificate, key = authority.issue("127.0.0.1", "localhost")
            self._arguments = [*arguments, str(self.port), str(key), str(certificate)]
        else:
            self._arguments = ["--no-tls", *arguments, str(self.port)]
        self._scheme = "https" if tls else "http"

    def __enter__(self) -> Self:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen([self._program, *self._arguments], **quiet)
        give_up = time.monotonic() + 10
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.__exit__()
                raise RuntimeError(f"nghttpd did not start on port {self.port}")
            select.select([], [], [], 0.01)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)

    def url(self, path: str) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}{path}"


class Node:
    """HTTP/2 as Node speaks it: see `node_http2.js`; started by entering it."""

    def __init__(self, authority: Authority) -> None:
        certificate, key = authority.issue("127.0.0.1", "localhost")
        self._arguments = [find("node", "nodejs"), str(Path(__file__).with_name("node_http2.js")), key, certificate]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline() or 0)
        if not self.port:
            self.__exit__()
            raise RuntimeError("node did not start")
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"


class Hypercorn:
    """hypercorn with `hypercorn_app.py`, over TLS; it closes what is idle for `idle` seconds."""

    def __init__(self, authority: Authority, idle: float = 600) -> None:
        if importlib.util.find_spec("hypercorn") is None:
            raise Unavailable("hypercorn is not installed (pip install hypercorn)")
        self._listener = _listener()
        certificate, key = authority.issue("127.0.0.1", "localhost")
        self._arguments = [
            *(sys.executable, "-m", "hypercorn", "--bind", f"fd://{self._listener.fileno()}"),
            *("--certfile", str(certificate), "--keyfile", str(key), "--keep-alive", str(idle)),
            *("--log-level", "critical", "hypercorn_app:app"),
        ]

    def __enter__(self) -> Self:
        self.port = self._listener.getsockname()[1]
        with self._listener:
            self._process = subprocess.Popen(
                self._arguments,
                pass_fds=[self._listener.fileno()],
                cwd=Path(__file__).parent,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)

    def url(self, path: str) -> str:
        return f"https://127.0.0.1:{self.port}{path}"


def _listener() -> socket.socket:
    """Open a listening socket to hand to a server.

    It is non-blocking, as nginx requires of a socket that it inherits: of two workers that are woken for one connection
    the second would wait in accept(), and answer nothing on the connections that it has.
    """
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    return listener


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
