"""Certificates for one test run, as files, since nginx reads files."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from httpx_fast.testing import Certificate


class Authority:
    """Issues certificates for names and addresses; `path` has all that was issued, for those who are to trust it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "authority.pem"

    def issue(self, *names: str) -> tuple[Path, Path]:
        """The files of a certificate for `names` and of its key."""
        name = "+".join(names)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key.pem"
        if not certificate.exists():
            issued = Certificate(names)
            certificate.write_text(issued.pem)
            key.write_text(issued.key_pem)
            with open(self.path, "a", encoding="ascii") as trusted:
                trusted.write(issued.pem)
        return certificate, key

    def server_context(self, *names: str, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Trusts what was issued so far, and nothing else."""
        return ssl.create_default_context(cafile=str(self.path))
