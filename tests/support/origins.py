"""Real servers that end connections: by a limit of requests or of idle time, by a reload, by the end of a worker.

Each is a process (group) of its own on loopback, started by entering it, and writes down the query of every request
that it processed: `seen()` counts them, so a test knows what was lost and what was done twice. Any path answers.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import ClassVar, Self

from servers import Unavailable, _answers, _listener, _stop, find, open_to_all

_PATIENCE = 20  # seconds
_OWNER = "" if os.getuid() else "user root;"


class Origin:
    """A server in `folder`, which has to exist; `limit` of requests for a connection (worker), `idle` seconds."""

    name: ClassVar[str]
    #: What `reload()` sends to it; None where it cannot be asked to.
    signal: ClassVar[signal.Signals | None] = None
    #: What to POST to it.
    body: ClassVar[bytes] = b"pay"
    #: It inherits the listening socket, so nobody has to wait for its start.
    inherits: ClassVar[bool] = False

    def __init__(self, folder: Path, limit: int | None = None, idle: float | None = None) -> None:
        self.folder = folder
        self.limit = limit
        self.idle = idle
        self.log = folder / "seen.log"
        self.port = 0
        self._started = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with self._started as undone, _listener() as listener:
            self.log.touch()
            self.port = listener.getsockname()[1]
            if not self.inherits:
                listener.close()
            numbers = [listener.fileno()] if self.inherits else []
            with open(self.folder / "output.log", "wb") as output:
                self._process = subprocess.Popen(
                    self.command(*numbers),
                    cwd=self.folder,
                    env=self.environment(*numbers),
                    pass_fds=numbers,
                    stdout=output,
                    stderr=output,
                )
            undone.callback(_stop, self._process)
            if not self.inherits:
                self._wait_until_it_answers()
            self._started = undone.pop_all()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._started.close()

    def command(self, *numbers: int) -> list[str]:
        """How it is started, with the number of the socket that it inherits."""
        raise NotImplementedError

    def environment(self, *numbers: int) -> dict[str, str]:
        return {**os.environ}

    def url(self, path: str = "/ok") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def proxy(self) -> str | None:
        """The proxy that leads there, if one does."""
        return None

    def reload(self) -> None:
        """Asks for new workers in place of the old ones, gracefully."""
        assert self.signal is not None
        self._process.send_signal(self.signal)

    def seen(self) -> Counter[str]:
        """How often each query was processed."""
        lines = self.log.read_text().split()
        return Counter(line.lstrip("?") for line in lines if line.startswith(("?id=", "id=")))

    def _wait_until_it_answers(self) -> None:
        for _ in range(_PATIENCE * 100):
            if _answers(self.port):
                return
            if self._process.poll() is not None:
                break
            select.select([], [], [], 0.01)
        raise RuntimeError(f"{self.name} did not start: {(self.folder / 'output.log').read_text()}")


class NginxOrigin(Origin):
    name = "nginx"
    signal = signal.SIGHUP
    inherits = True

    def command(self, *numbers: int) -> list[str]:
        (self.folder / "nginx.conf").write_text(f"""
{_OWNER}
worker_processes 2;
daemon off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log crit;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fcgi; uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  log_format query "$args";
  access_log {self.log} query;
  keepalive_requests {self.limit or 1000000};
  keepalive_timeout {int(1000 * (self.idle or 600))}ms;
  server {{ listen 127.0.0.1:{self.port}; location / {{ default_type text/plain; return 200 "ok"; }} }}
}}""")
        return [find("nginx", "nginx"), "-p", str(self.folder), "-e", "error.log", "-c", "nginx.conf"]

    def environment(self, *numbers: int) -> dict[str, str]:
        return {**os.environ, "NGINX": f"{numbers[0]};"}


class Apache(Origin):
    name = "apache"
    signal = signal.SIGUSR1

    def __init__(self, folder: Path, limit: int | None = None, idle: float | None = None) -> None:
        super().__init__(open_to_all(folder), limit, idle)

    def command(self, *numbers: int) -> list[str]:
        program = find("apache2", "apache2")
        modules = Path("/usr/lib/apache2/modules")
        if not (modules / "mod_mpm_event.so").exists():
            raise Unavailable("the modules of apache2 are not where Debian has them")
        (self.folder / "ok").write_text("ok")
        (self.folder / "apache.conf").write_text(f"""
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
{"" if os.getuid() else "User www-data"}
ServerName localhost
Listen 127.0.0.1:{self.port}
DocumentRoot {self.folder}
PidFile {self.folder}/apache.pid
DefaultRuntimeDir {self.folder}
ErrorLog {self.folder}/error.log
LogFormat "%q" query
CustomLog {self.log} query
StartServers 2
ServerLimit 8
ThreadsPerChild 16
MaxRequestWorkers 128
KeepAlive On
MaxKeepAliveRequests {self.limit or 0}
KeepAliveTimeout {int(1000 * (self.idle or 60))}ms
""")
        return [program, "-D", "FOREGROUND", "-f", str(self.folder / "apache.conf")]


class Lighttpd(Origin):
    name = "lighttpd"
    signal = signal.SIGUSR1
    body = b""  # it closes after a body that nobody reads

    def command(self, *numbers: int) -> list[str]:
        (self.folder / "ok").write_text("ok")
        (self.folder / "lighttpd.conf").write_text(f"""
server.modules = ("mod_accesslog")
server.document-root = "{self.folder}"
server.bind = "127.0.0.1"
server.port = {self.port}
server.max-keep-alive-requests = {self.limit or 65535}
server.max-keep-alive-idle = {int(self.idle or 600)}
server.errorlog = "{self.folder}/error.log"
server.graceful-shutdown-timeout = 1
accesslog.filename = "{self.log}"
accesslog.format = "%q"
mimetype.assign = ("" => "text/plain")
""")
        return [find("lighttpd", "lighttpd"), "-D", "-f", str(self.folder / "lighttpd.conf")]

    def seen(self) -> Counter[str]:
        self._process.send_signal(signal.SIGHUP)  # writes the log out, which it else does every four seconds
        return super().seen()


class HAProxy(Origin):
    name = "haproxy"
    signal = signal.SIGUSR2

    def command(self, *numbers: int) -> list[str]:
        self.log = self.folder / "output.log"
        (self.folder / "haproxy.cfg").write_text(f"""
global
  stats socket {self.folder}/admin.sock expose-fd listeners level admin
  log stdout format raw local0
defaults
  mode http
  timeout client 60s
  timeout server 60s
  timeout connect 5s
  timeout http-keep-alive {int(1000 * (self.idle or 60))}ms
frontend web
  bind 127.0.0.1:{self.port}
  log global
  log-format "%HQ"
  http-request return status 200 content-type text/plain string ok
""")
        return [find("haproxy", "haproxy"), "-W", "-f", str(self.folder / "haproxy.cfg")]


class Tinyproxy(Origin):
    """A forward proxy in front of nginx. It closes after each response, which does not say so."""

    name = "tinyproxy"

    def __init__(self, folder: Path, limit: int | None = None, idle: float | None = None) -> None:
        super().__init__(folder)
        (folder / "origin").mkdir()
        self._origin = NginxOrigin(folder / "origin")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undone:
            undone.enter_context(self._origin)
            super().__enter__()
            undone.push(super().__exit__)
            self._both = undone.pop_all()
        self.log = self._origin.log
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._both.close()

    def command(self, *numbers: int) -> list[str]:
        (self.folder / "tinyproxy.conf").write_text(f"""
Port {self.port}
Listen 127.0.0.1
Timeout 60
MaxClients 100
LogFile "{self.folder}/tinyproxy.log"
LogLevel Error
""")
        return [find("tinyproxy", "tinyproxy"), "-d", "-c", str(self.folder / "tinyproxy.conf")]

    def url(self, path: str = "/ok") -> str:
        return self._origin.url(path)

    @property
    def proxy(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class Gunicorn(Origin):
    """Workers with threads, each for `limit` requests; the rest of them is by a new one."""

    name = "gunicorn"
    signal = signal.SIGHUP
    inherits = True

    def command(self, *numbers: int) -> list[str]:
        _need("gunicorn")
        return [
            *(sys.executable, "-m", "gunicorn", "--bind", f"fd://{numbers[0]}", "--log-level", "critical"),
            *("--worker-class", "gthread", "--workers", "2", "--threads", "8", "--no-control-socket"),
            *("--keep-alive", str(self.idle or 60), "--max-requests", str(self.limit or 0)),
            *("--worker-tmp-dir", str(self.folder), "origin_apps:wsgi"),
        ]

    def environment(self, *numbers: int) -> dict[str, str]:
        return _with_apps(self.log)


class Uvicorn(Origin):
    """Two workers, each for `limit` requests, and a supervisor that starts others."""

    name = "uvicorn"
    signal = signal.SIGHUP

    def command(self, *numbers: int) -> list[str]:
        _need("uvicorn")
        limits = ["--limit-max-requests", str(self.limit)] if self.limit else []
        return [
            *(sys.executable, "-m", "uvicorn", "--port", str(self.port), "--workers", "2"),
            *(
                "--log-level",
                "critical",
                "--no-access-log",
                "--timeout-keep-alive",
                str(int(self.idle or 60)),
                *limits,
                "origin_apps:asgi",
            ),
        ]

    def environment(self, *numbers: int) -> dict[str, str]:
        return _with_apps(self.log)


def _need(package: str) -> None:
    if importlib.util.find_spec(package) is None:
        raise Unavailable(f"{package} is not installed (pip install {package})")


def _with_apps(log: Path) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SEEN_LOG": str(log), "PYTHONWARNINGS": "ignore"}


ORIGINS: dict[str, type[Origin]] = {
    each.name: each for each in (NginxOrigin, Apache, Lighttpd, HAProxy, Tinyproxy, Gunicorn, Uvicorn)
}
