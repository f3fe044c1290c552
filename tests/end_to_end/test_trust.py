"""Whom the contexts that we make trust: names in certificates, and the files that the environment names."""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import subprocess
import sys

import certifi
import pytest
from peers import OK, always
from proxies import HttpProxy

import httpx_fast
from httpx_fast import _trust

PATIENCE = 30


@pytest.fixture(scope="module")
def openssl():
    found = shutil.which("openssl")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("there is no openssl program")
        pytest.skip("there is no openssl program")
    return found


@pytest.fixture
def by_common_name(openssl, tmp_path):
    """A certificate for localhost that says so in its subject, as was usual before 2000 (RFC 2818 s.3.1)."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    extensions = ["keyUsage=critical,digitalSignature,keyCertSign"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "1"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*made, *files, "-addext", *extensions], check=True, capture_output=True)
    return certificate, key


def test_certificate_without_alternative_names_is_refused(backend, peer, by_common_name, monkeypatch):
    certificate, key = by_common_name
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    at = peer(always(OK), tls=tls)
    url = at.url().replace("127.0.0.1", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def body():
        for verify in (True, "system", httpx_fast.create_ssl_context()):
            async with backend.client(verify=verify, timeout=PATIENCE) as client:
                with pytest.raises(httpx_fast.ConnectError, match=r"certificate is not accepted: Hostname mismatch"):
                    await client.get(url)
        # The certificate is what is refused, and nothing else about it: a context of the user may take it.
        own = ssl.create_default_context(cafile=str(certificate))
        own.check_hostname = False
        async with backend.client(verify=own, timeout=PATIENCE) as client:
            assert (await client.get(url)).text == "ok"

    backend.run(body)


@pytest.fixture
def files(tmp_path):
    """What SSL_CERT_FILE and SSL_CERT_DIR may name by mistake."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "authority.pem").write_text("a name that is no hash")
    (tmp_path / "empty").mkdir()
    (tmp_path / "nothing.pem").write_text("")
    (tmp_path / "nonsense.pem").write_text("-----BEGIN NONSENSE-----\n")
    (tmp_path / "damaged.pem").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    return tmp_path


UNUSABLE = {
    "missing file": ("SSL_CERT_FILE", "missing.pem", "there is no such file"),
    "directory as file": ("SSL_CERT_FILE", "folder", "that is a directory, which SSL_CERT_DIR is for"),
    "empty file": ("SSL_CERT_FILE", "nothing.pem", "it holds no certificate in PEM"),
    "file without PEM": ("SSL_CERT_FILE", "nonsense.pem", "it holds no certificate in PEM"),
    "damaged PEM": ("SSL_CERT_FILE", "damaged.pem", "it holds no certificate in PEM"),
    "missing directory": ("SSL_CERT_DIR", "missing", "there is no such directory"),
    "file as directory": ("SSL_CERT_DIR", "nonsense.pem", "that is no directory; SSL_CERT_FILE is for files"),
    "empty directory": ("SSL_CERT_DIR", "empty", "no file there is named by its hash"),
    "directory without hashes": ("SSL_CERT_DIR", "folder", "no file there is named by its hash"),
}


@pytest.mark.parametrize(("variable", "name", "why"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_cannot_be_used_is_named_with_its_variable(
    backend, peer, authority, files, monkeypatch, variable, name, why
):
    """When the client is made, or at its first https request; requests without TLS are not concerned then."""
    at = peer(always(OK), tls=authority.server_context("127.0.0.1"))
    plain = peer(always(OK))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv(variable, str(files / name))

    async def body():
        with pytest.raises(httpx_fast.TrustStoreError, match=f"{variable} says '.*{name}': {why}") as caught:
            async with backend.client(timeout=PATIENCE) as client:
                assert (await client.get(plain.url())).text == "ok"
                await client.get(at.url())
        assert isinstance(caught.value, httpx_fast.ConnectError)
        assert isinstance(caught.value, FileNotFoundError) is ("missing" in name)
        async with backend.client(timeout=PATIENCE, trust_env=False) as client:
            with pytest.raises(httpx_fast.ConnectError, match="certificate is not accepted"):
                await client.get(at.url())

    backend.run(body)


def test_directory_of_hashed_names_is_trusted(backend, peer, openssl, authority, tmp_path, monkeypatch):
    certificate, _ = authority.issue("127.0.0.1")
    shutil.copy(certificate, tmp_path / "authority.pem")
    subprocess.run([openssl, "rehash", str(tmp_path)], check=True, capture_output=True)
    at = peer(always(OK), tls=authority.server_context("127.0.0.1"))
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(tmp_path / "missing"), str(tmp_path)]))

    async def body():
        async with backend.client(timeout=PATIENCE) as client:
            assert (await client.get(at.url())).text == "ok"

    backend.run(body)


def test_unusable_authorities_are_not_asked_for_again_and_again(backend, authority, files, monkeypatch):
    """`retries` is for what may work the next time."""
    monkeypatch.setenv("SSL_CERT_FILE", str(files / "nothing.pem"))
    door = socket.create_server(("127.0.0.1", 0))

    async def body():
        transport = {
            True: httpx_fast.AsyncHTTPTransport,
            False: httpx_fast.HTTPTransport,
        }[backend.asynchronous](retries=3)
        async with backend.client(transport=transport, timeout=PATIENCE) as client:
            with pytest.raises(httpx_fast.TrustStoreError, match="SSL_CERT_FILE"):
                await client.get(f"https://127.0.0.1:{door.getsockname()[1]}/")
        door.setblocking(False)
        door.accept()[0].close()
        with pytest.raises(BlockingIOError, match="unavailable"):
            door.accept()

    with door:
        backend.run(body)


@pytest.fixture
def company(authority, monkeypatch):
    """Let the operating system trust an authority that certifi does not know."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "HTTPX_FAST_TRUST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(_trust, "_system_bundle", lambda: str(authority.path))
    monkeypatch.setattr(_trust, "_shared", {})
    return authority


def test_authority_of_a_company_is_trusted_by_argument_or_environment(backend, peer, company, monkeypatch):
    at = peer(always(OK), tls=company.server_context("127.0.0.1"))

    async def body():
        async with backend.client(timeout=PATIENCE, verify="system") as client:
            assert (await client.get(at.url())).text == "ok"
        async with backend.client(timeout=PATIENCE) as client:
            with pytest.raises(httpx_fast.ConnectError, match="certificate is not accepted"):
                await client.get(at.url())
        monkeypatch.setenv("HTTPX_FAST_TRUST", "system")
        async with backend.client(timeout=PATIENCE) as client:
            assert (await client.get(at.url())).text == "ok"
        async with backend.client(timeout=PATIENCE, trust_env=False) as client:
            with pytest.raises(httpx_fast.ConnectError, match="certificate is not accepted"):
                await client.get(at.url())

    backend.run(body)


def test_error_of_an_unknown_authority_names_the_store_and_both_switches(backend, peer, company, monkeypatch):
    at = peer(always(OK), tls=company.server_context("127.0.0.1"))
    certifis = re.escape(f"(trusted: certifi's bundle, {certifi.where()}; verify='system' or HTTPX_FAST_TRUST=system ")
    systems = re.escape("(trusted: the operating system's store, /nowhere.pem)")

    async def refused(pattern, **settings):
        async with backend.client(timeout=PATIENCE, **settings) as client:
            with pytest.raises(httpx_fast.ConnectError, match=pattern):
                await client.get(at.url())

    async def body():
        await refused(certifis)
        await refused(re.escape("(trusted: the SSLContext that was given)"), verify=ssl.create_default_context())
        monkeypatch.setattr(_trust, "trusted_store", lambda *settings: "the operating system's store, /nowhere.pem")
        monkeypatch.setattr(_trust, "_system_bundle", certifi.where)
        monkeypatch.setattr(_trust, "_shared", {})
        await refused(systems, verify="system")
        monkeypatch.setenv("HTTPX_FAST_TRUST", "system")
        await refused(systems)

    backend.run(body)


@pytest.fixture
def checked_by_the_system(company, monkeypatch):
    """Return a context whose certificates truststore checks, as on macOS and Windows."""
    pytest.importorskip("truststore")
    with monkeypatch.context() as macos:
        macos.setattr(sys, "platform", "darwin")
        context = httpx_fast.create_ssl_context("system", trust_env=False)
    # On Linux truststore lets OpenSSL check, by files that it loads for each handshake.
    monkeypatch.setenv("SSL_CERT_FILE", str(company.path))
    return context


@pytest.mark.parametrize("http2", [False, True])
def test_truststore_works_with_every_backend_and_sessions_are_resumed(backend, nginx, checked_by_the_system, http2):
    async def body():
        limits = httpx_fast.Limits(max_keepalive_connections=0)
        async with backend.client(timeout=PATIENCE, verify=checked_by_the_system, http2=http2, limits=limits) as client:
            for resumed in (False, True):
                response = await client.get(nginx.url("/tiny", "http2"))
                assert response.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                assert response.journey.connection.tls_resumed is resumed

    backend.run(body)


def test_truststore_works_for_tls_inside_of_tls(backend, nginx, peer, checked_by_the_system, authority):
    async def body():
        port = peer(HttpProxy(), tls=authority.server_context("127.0.0.1", "localhost")).port
        proxy = httpx_fast.Proxy(f"https://127.0.0.1:{port}", ssl_context=checked_by_the_system)
        async with backend.client(timeout=PATIENCE, verify=checked_by_the_system, proxy=proxy) as client:
            assert (await client.get(nginx.url("/tiny", "https"))).text == "ok"

    backend.run(body)
