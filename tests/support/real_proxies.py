"""Proxies that others wrote, each in a process of its own: tinyproxy, squid, microsocks."""

from __future__ import annotations

import os
import pwd
import re
import select
import subprocess
import time
from pathlib import Path
from typing import Self

from servers import _answers, _listener, _stop, find, open_to_all

PATIENCE = 20  # seconds until a proxy listens


class RealProxy:
    """A proxy on `port`; `url` is what a client is given. Started by entering it."""

    program: str
    package: str
    scheme = "http"

    def __init__(self, folder: Path) -> None:
        self._path = find(self.program, self.package)
        self.folder = folder = open_to_all(folder)  # proxies that root starts change to another user
        self.log = folder / "log"
        with _listener() as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        output = (self.folder / "output").open("wb")
        self._process = subprocess.Popen([self._path, *self.command()], stdout=output, stderr=output)
        output.close()
        end = time.monotonic() + PATIENCE
        while not _answers(self.port):
            if time.monotonic() > end or self._process.poll() is not None:
                self.__exit__()
                raise RuntimeError(f"{self.program} did not start: " + (self.folder / "output").read_text()[-2000:])
            select.select([], [], [], 0.01)  # it tells nobody when it listens
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)

    def asked(self, pattern: str) -> list[str]:
        """What is in the log so far and matches; entries are written before the answer is sent, or soon after."""
        return re.findall(pattern, self.log.read_text() if self.log.exists() else "")


class Tinyproxy(RealProxy):
    program = package = "tinyproxy"

    def command(self) -> list[str]:
        configuration = self.folder / "tinyproxy.conf"
        configuration.write_text(
            f'Port {self.port}\nListen 127.0.0.1\nTimeout 60\nLogFile "{self.log}"\nLogLevel Connect\n'
            f'PidFile "{self.folder}/pid"\nMaxClients 50\nAllow 127.0.0.1\n'
        )
        return ["-d", "-c", str(configuration)]


class Squid(RealProxy):
    program = package = "squid"

    def command(self) -> list[str]:
        configuration = self.folder / "squid.conf"
        user = "proxy" if os.geteuid() == 0 and _is_user("proxy") else pwd.getpwuid(os.geteuid()).pw_name
        configuration.write_text(
            f"http_port 127.0.0.1:{self.port}\nhttp_access allow all\ncache deny all\ncache_mem 0\n"
            f"access_log stdio:{self.log}\ncache_log {self.folder}/cache.log\npid_filename {self.folder}/pid\n"
            f"coredump_dir {self.folder}\ncache_effective_user {user}\nshutdown_lifetime 0 seconds\n"
            "pinger_enable off\nnetdb_filename none\nlogfile_rotate 0\n"
        )
        return ["-N", "-f", str(configuration)]


class Microsocks(RealProxy):
    program = package = "microsocks"
    scheme = "socks5h"

    def command(self) -> list[str]:
        return ["-i", "127.0.0.1", "-p", str(self.port)]


def _is_user(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


REAL_PROXIES = {"tinyproxy": Tinyproxy, "squid": Squid, "microsocks": Microsocks}
