"""Apache with mod_auth_digest, which answers 400 to a Digest answer whose `uri` is not the target that it came with."""

from __future__ import annotations

import hashlib
import select
import subprocess
import time
from pathlib import Path
from typing import Self

from servers import Unavailable, _answers, _listener, _stop, find, open_to_all

USER = ("user", "secret")
REALM = "the realm"
_MODULES = Path("/usr/lib/apache2/modules")

_CONFIGURATION = """
ServerRoot {folder}
PidFile {folder}/pid
ServerName 127.0.0.1
DefaultRuntimeDir {folder}
ErrorLog {folder}/error.log
LogFormat "%>s %r" brief
CustomLog {folder}/access.log brief
Listen 127.0.0.1:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule alias_module {modules}/mod_alias.so
LoadModule rewrite_module {modules}/mod_rewrite.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authn_file_module {modules}/mod_authn_file.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule auth_digest_module {modules}/mod_auth_digest.so
DocumentRoot {folder}/www
Redirect 307 /open /secret.txt
RedirectMatch 302 ^/away/([0-9]+)$ http://127.0.0.1:$1/secret.txt
<LocationMatch "^/(secret.txt|protected|far/[0-9]+)$">
  AuthType Digest
  AuthName "{realm}"
  AuthDigestProvider file
  AuthUserFile {folder}/users
  Require valid-user
</LocationMatch>
<Location /protected>
  RewriteEngine on
  RewriteRule ^ /secret.txt [R=307]
</Location>
<LocationMatch "^/far/">
  RewriteEngine on
  RewriteRule "([0-9]+)$" "http://127.0.0.1:$1/secret.txt" [R=302]
</LocationMatch>
"""


class ApacheDigest:
    """`/secret.txt` is protected; `/protected`, which is too, and `/open` lead to it.

    `/far/PORT`, which is protected, and `/away/PORT` lead to another server.
    """

    def __init__(self, folder: Path) -> None:
        self._program = find("apache2", "apache2")
        if not (_MODULES / "mod_auth_digest.so").exists():
            raise Unavailable("mod_auth_digest is not installed (Debian: apt-get install apache2)")
        self.folder = open_to_all(folder)
        with _listener() as free:
            self.port = free.getsockname()[1]

    def __enter__(self) -> Self:
        (self.folder / "www").mkdir()
        (self.folder / "www/secret.txt").write_text("for your eyes only")
        secret = hashlib.md5(":".join((USER[0], REALM, USER[1])).encode()).hexdigest()
        (self.folder / "users").write_text(f"{USER[0]}:{REALM}:{secret}\n")
        configuration = self.folder / "apache2.conf"
        configuration.write_text(
            _CONFIGURATION.format(folder=self.folder, port=self.port, modules=_MODULES, realm=REALM)
        )
        self._process = subprocess.Popen([self._program, "-f", str(configuration), "-D", "FOREGROUND"])
        give_up = time.monotonic() + 10
        while not _answers(self.port):
            if self._process.poll() is not None or time.monotonic() > give_up:
                self.__exit__()
                raise RuntimeError(f"apache2 did not start on port {self.port}")
            select.select([], [], [], 0.01)
        return self

    def __exit__(self, *exc_info: object) -> None:
        _stop(self._process)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def requests(self) -> list[str]:
        """Status and request line of each request."""
        return (self.folder / "access.log").read_text().splitlines()
