"""Client certificates that are in no file."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any

import pytest

import httpx_fast
from httpx_fast._trust import new_context

trustme: Any = pytest.importorskip("trustme", reason="trustme has no wheel for PyPy")


@pytest.fixture(scope="module")
def authority() -> Any:
    return trustme.CA()


@pytest.fixture(scope="module")
def parts(authority: Any) -> tuple[bytes, bytes]:
    """Return certificate and key in PEM."""
    issued = authority.issue_cert("client.test")
    return b"".join(each.bytes() for each in issued.cert_chain_pems), issued.private_key_pem.bytes()


def shown(client: ssl.SSLContext, authority: Any) -> Any:
    """Return the certificate that a server is shown, which asks for one."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(server)
    authority.issue_cert("server.test").configure_cert(server)
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(back, there, server_hostname="server.test"), server.wrap_bio(there, back, server_side=True)]
    left = list(ends)
    while left:
        for end in list(left):
            try:
                end.do_handshake()
                left.remove(end)
            except ssl.SSLWantReadError:
                pass
    return ends[1].getpeercert()


@pytest.mark.parametrize("form", ["one", "two"])
def test_bytes_are_shown_to_the_server_and_no_file_is_left(form, parts, authority, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    cert = parts[0] + parts[1] if form == "one" else parts
    context = new_context(False, cert, False)
    assert shown(context, authority)["subjectAltName"] == (("DNS", "client.test"),)
    assert list(tmp_path.iterdir()) == []


def test_a_path_and_bytes_may_be_mixed(parts, authority, tmp_path):
    path = tmp_path / "cert.pem"
    path.write_bytes(parts[0])
    context = new_context(False, (str(path), parts[1]), False)
    assert shown(context, authority)["subjectAltName"] == (("DNS", "client.test"),)


@pytest.mark.parametrize("kind", [httpx_fast.Client, httpx_fast.AsyncClient])
def test_both_clients_take_bytes_without_a_warning(kind, parts):
    kind(cert=parts, verify=True, trust_env=False)


def test_what_is_no_certificate_is_an_error_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(ssl.SSLError, match=r"PEM|NO_CERTIFICATE|no start line") as caught:
        httpx_fast.Client(cert=b"no certificate")
    assert "certificate and its private key" in caught.value.__notes__[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("cert", "said"),
    [
        (1, "got int"),
        ((b"secret", None), "got a tuple of bytes, NoneType"),
        ((), "got a tuple of "),
        ((b"a", b"b", "c", "d"), "got a tuple of bytes, bytes, str, str"),
        (Path("a.pem"), "got PosixPath"),
    ],
)
def test_other_things_are_refused_without_showing_them(cert, said):
    with pytest.raises(TypeError, match=said) as caught:
        httpx_fast.Client(cert=cert)
    assert "secret" not in str(caught.value)


def test_an_encrypted_key_needs_its_password(parts, authority):
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(parts[1], None)
    hidden = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"pw"),
    )
    with pytest.raises(ValueError, match="is encrypted; expected"):
        new_context(False, (parts[0], hidden), False)
    context = new_context(False, (parts[0], hidden, "pw"), False)
    assert shown(context, authority)["subjectAltName"] == (("DNS", "client.test"),)
