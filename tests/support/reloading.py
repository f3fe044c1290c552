"""Servers of HTTP/2 that send connections away: after a number of requests (nginx), or when they are reloaded."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

from certificates import Authority
from servers import Unavailable, find, open_to_all

REQUESTS = 5  # that nginx takes on a connection
START = 10.0  # seconds that a server has to start

_NGINX = """
{user}
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  ssl_certificate {certificate}; ssl_certificate_key {key};
  keepalive_requests {requests};
  server {{
    listen 127.0.0.1:{cleartext} http2;
    listen 127.0.0.1:{tls} ssl http2;
    location / {{ default_type text/plain; return 200 "ok"; }}
  }}
}}
"""

_APACHE = """
ServerRoot {folder}
ServerName 127.0.0.1
PidFile {folder}/apache.pid
ErrorLog {folder}/error.log
LogLevel crit
DefaultRuntimeDir {folder}
Mutex file:{folder} default
{modules}
{user}
Listen 127.0.0.1:{cleartext}
Listen 127.0.0.1:{tls}
DocumentRoot {folder}/www
<Directory />
AllowOverride None
</Directory>
<Directory {folder}/www>
  Require all granted
</Directory>
Protocols h2 h2c http/1.1
StartServers 2
ThreadsPerChild 25
<VirtualHost 127.0.0.1:{tls}>
  SSLEngine on
  SSLCertificateFile {certificate}
  SSLCertificateKeyFile {key}
</VirtualHost>
"""
_MODULES = ("mpm_event", "authz_core", "http2", "ssl", "socache_shmcb")

_HAPROXY = """
global
  maxconn 1000
  stats socket {folder}/admin.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
frontend all
  bind 127.0.0.1:{cleartext} proto h2
  bind 127.0.0.1:{tls} ssl crt {pem} alpn h2
  http-request return status 200 content-type text/plain string ok
"""


class Reloading:
    """A server in a process of its own, started by entering it: HTTP/2 in cleartext and over TLS."""

    program: str
    package: str

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.folder = folder
        self._program = find(self.program, self.package)
        self._certificate, self._key = authority.issue("127.0.0.1", "localhost")
        self.cleartext, self.tls = _free_ports(2)
        self._output = self.folder / "output"
        self._reloads = 0

    def __enter__(self) -> Self:
        output = self._output.open("wb")
        self._process = subprocess.Popen(
            self._arguments(),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        output.close()
        give_up = time.monotonic() + START
        while not (self._answers() and self.is_settled()):
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.__exit__()
                raise RuntimeError(f"{self.program} did not start; see {self.folder}")
            select.select([], [], [], 0.01)
        return self

    def __exit__(self, *exc_info: object) -> None:
        # The group is its own: workers that still have connections to serve go with it.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(START)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def reload(self) -> None:
        """Have it begin anew, and end its connections as gently as it can."""
        self._reloads += 1
        self._process.send_signal(self.reload_signal)

    reload_signal = signal.SIGHUP

    def is_settled(self) -> bool:
        """Return whether it is done with what it was last told, so that it may be reloaded again."""
        return True

    def url(self, tls: bool, path: str = "/tiny") -> str:
        return f"https://127.0.0.1:{self.tls}{path}" if tls else f"http://127.0.0.1:{self.cleartext}{path}"

    def _arguments(self) -> list[str]:
        raise NotImplementedError

    def _write(self, name: str, text: str) -> str:
        path = self.folder / name
        path.write_text(text)
        return str(path)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.tls), 1).close()
        except OSError:
            return False
        return True


class BriefNginx(Reloading):
    """nginx with `keepalive_requests 5`."""

    program = package = "nginx"
    requests = REQUESTS

    def _arguments(self) -> list[str]:
        text = _NGINX.format(
            folder=self.folder,
            user="" if os.getuid() else "user root;",
            certificate=self._certificate,
            key=self._key,
            requests=self.requests,
            cleartext=self.cleartext,
            tls=self.tls,
        )
        path = self._write("nginx.conf", text)
        return [self._program, "-p", str(self.folder), "-e", "error.log", "-c", path]


class Nginx(BriefNginx):
    """nginx that takes any number of requests on a connection."""

    requests = 1_000_000


class Apache(Reloading):
    """Apache with mod_http2."""

    program = package = "apache2"
    reload_signal = signal.SIGUSR1

    def __init__(self, folder: Path, authority: Authority) -> None:
        super().__init__(open_to_all(folder), authority)

    def _arguments(self) -> list[str]:
        places = (Path("/usr/lib/apache2/modules"), Path("/usr/lib64/httpd/modules"))
        modules = next((each for each in places if (each / "mod_http2.so").exists()), None)
        if modules is None:
            raise Unavailable("Apache's mod_http2 is not installed (Debian: apt-get install apache2)")
        www = self.folder / "www"
        www.mkdir(exist_ok=True)
        (www / "tiny").write_text("ok")
        text = _APACHE.format(
            folder=self.folder,
            modules="\n".join(f"LoadModule {name}_module {modules}/mod_{name}.so" for name in _MODULES),
            user="" if os.getuid() else "User www-data\nGroup www-data",
            certificate=self._certificate,
            key=self._key,
            cleartext=self.cleartext,
            tls=self.tls,
        )
        return [self._program, "-D", "FOREGROUND", "-f", self._write("apache.conf", text)]


class Haproxy(Reloading):
    """HAProxy as a master with workers: what is reloaded is a worker.

    A new worker takes the listening sockets over from the one before it. If that one is not ready yet, since reloads
    follow each other too closely, the new one opens its own, and connections that wait in the old ones are reset. And
    the master does not hear signals before it answers on its own socket.
    """

    program = package = "haproxy"
    reload_signal = signal.SIGUSR2

    def is_settled(self) -> bool:
        loaded = self._output.read_bytes().count(b"Loading success")
        return loaded > self._reloads and self._master_answers()

    def _master_answers(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as master:
            master.settimeout(1)
            master.connect(str(self.folder / "main.sock"))
            master.sendall(b"show proc\n")
            return bool(master.recv(1))
        return False

    def _arguments(self) -> list[str]:
        pem = self._write("both.pem", Path(self._certificate).read_text() + Path(self._key).read_text())
        text = _HAPROXY.format(folder=self.folder, pem=pem, cleartext=self.cleartext, tls=self.tls)
        return [self._program, "-W", "-S", f"{self.folder}/main.sock", "-db", "-f", self._write("haproxy.cfg", text)]


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; the servers here cannot be handed sockets of ours."""
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]
