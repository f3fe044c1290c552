"""What the installation is told to be made of."""

from __future__ import annotations

import ssl
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from httpx_fast import create_ssl_context
from httpx_fast.__version__ import __version__
from httpx_fast._cli import doctor as _doctor
from httpx_fast._cli.command import main
from httpx_fast._decoders import SUPPORTED_DECODERS
from httpx_fast._kernel.select import IMPLEMENTATION, REASON
from httpx_fast._trust import trusted_store
from httpx_fast.testing import Certificate


def facts() -> dict[str, str]:
    lines = _doctor.report()
    width = lines[0].index(__version__)
    return {line[:width].rstrip(): line[width:] for line in lines}


def test_report_tells_kernel_versions_and_trust(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--doctor"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines() == _doctor.report()
    told = facts()
    assert told["httpx-fast"] == __version__
    assert told["kernel"] == f"{'compiled' if IMPLEMENTATION == 'c' else 'pure Python'}: {REASON}"
    assert told["TLS"] == ssl.OPENSSL_VERSION
    assert told["anyio"] == metadata.version("anyio")
    assert told["event loop"].endswith("Loop")


def test_authorities_are_certifis_or_those_of_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    assert facts()["trust"].startswith("certifi's bundle, ")
    file = tmp_path / "one.pem"
    file.write_text(Certificate().pem, encoding="ascii")
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    assert facts()["trust"] == f"SSL_CERT_FILE={file}, 1 authorities"
    assert f"SSL_CERT_FILE={file}" in facts()["environment"]


def test_store_that_the_environment_chooses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPX_FAST_TRUST", "system")
    store = trusted_store("system")
    assert store.startswith("the operating system's store, /")
    assert facts()["trust"] == f"{store}, {create_ssl_context('system').cert_store_stats()['x509_ca']} authorities"
    assert "HTTPX_FAST_TRUST=system" in facts()["environment"]


def test_authorities_that_cannot_be_read_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/at/all")
    assert facts()["trust"].startswith("nothing: SSL_CERT_FILE says '/nowhere/at/all': ")
    assert "no such file" in facts()["trust"].lower()


def test_missing_authorities_do_not_stop_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.delenv("SSL_CERT_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "certifi", None)
    assert facts()["trust"].startswith("nothing: ")
    assert "certifi" in facts()["trust"]


def test_missing_packages_are_told_with_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> Any:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    for coding in ("br", "zstd"):
        monkeypatch.delitem(SUPPORTED_DECODERS, coding, raising=False)
    told = facts()
    assert told["idna"] == "missing, and required"
    assert told["trio"] == "missing; pip install 'httpx-fast[trio]'"
    assert told["rich"] == told["pygments"] == "missing; pip install 'httpx-fast[cli]'"
    assert told["coding br"] == "missing; pip install 'httpx-fast[brotli]'"
    assert told["coding zstd"] == "missing; pip install 'httpx-fast[zstd]'"


def test_secrets_in_proxy_urls_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:secret@proxy.example/")
    assert "HTTPS_PROXY is set" in facts()["environment"]
    assert "secret" not in "\n".join(_doctor.report())
