"""A certificate authority for one test run: what it issues lies in files, since nginx reads files.

Made by trustme, or by the `openssl` command where trustme cannot be installed (its `cryptography` has no wheel for
every PyPy).
"""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

try:
    import trustme
except ImportError:
    trustme = None

_EC_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """Issues certificates for names and addresses; `path` is the authority's own, in PEM."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "authority.pem"
        if trustme is not None:
            self._authority = trustme.CA()
            self._authority.cert_pem.write_to_path(self.path)
        else:
            usage = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
            self._openssl("req", "-x509", *_EC_KEY, "-subj", "/CN=test authority", "-days", "2", *usage)

    def issue(self, *names: str) -> tuple[Path, Path]:
        """The files of a certificate for `names` and of its key."""
        certificate, key = self.folder / f"{names[0]}.pem", self.folder / f"{names[0]}.key.pem"
        if certificate.exists():
            return certificate, key
        if trustme is not None:
            issued = self._authority.issue_cert(*names)
            issued.private_key_pem.write_to_path(key)
            for number, pem in enumerate(issued.cert_chain_pems):
                pem.write_to_path(certificate, append=number > 0)
        else:
            alternatives = ",".join(f"{'IP' if _is_address(name) else 'DNS'}:{name}" for name in names)
            signer = ("-CA", self.path.name, "-CAkey", "authority.key.pem")
            extension = ("-addext", f"subjectAltName={alternatives}", "-addext", "basicConstraints=CA:FALSE")
            self._openssl(
                "req", "-x509", *_EC_KEY, "-subj", "/CN=test", "-days", "2", *extension, *signer, stem=names[0]
            )
        return certificate, key

    def _openssl(self, *arguments: str, stem: str = "authority") -> None:
        files = ("-keyout", f"{stem}.key.pem", "-out", f"{stem}.pem")
        try:
            subprocess.run(["openssl", *arguments, *files], cwd=self.folder, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("certificates need trustme or the openssl command")

    def server_context(self, *names: str, alpn: Sequence[str] = ()) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.issue(*names))
        if alpn:
            context.set_alpn_protocols(alpn)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Trusts this authority and no other."""
        return ssl.create_default_context(cafile=str(self.path))


def _is_address(name: str) -> bool:
    return ":" in name or name.replace(".", "").isdigit()
