"""The certificate made on the spot, judged by OpenSSL."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest

from httpx_fast.testing import certificate as module
from httpx_fast.testing.certificate import Certificate


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return Certificate()


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Shakes hands in memory and returns the client's end."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ours = client.wrap_bio(to_client, to_server, server_hostname=name)
    theirs = server.wrap_bio(to_server, to_client, server_side=True)
    done = [step(end) for _ in range(3) for end in (ours, theirs)]
    assert done[-2:] == [True, True]
    return ours


def step(end: ssl.SSLObject) -> bool:
    try:
        end.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1"])
def test_client_context_trusts_the_server_under_its_local_names(certificate: Certificate, name: str) -> None:
    end = handshake(certificate.server_context(), certificate.client_context(), name)
    assert end.version() == "TLSv1.3"


def test_handshake_of_tls_1_2_works_too(certificate: Certificate) -> None:
    client = certificate.client_context()
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    assert handshake(certificate.server_context(), client, "localhost").version() == "TLSv1.2"


def test_strict_verification_finds_nothing_to_complain_of(certificate: Certificate) -> None:
    client = certificate.client_context()
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    client.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    handshake(certificate.server_context(), client, "localhost")


def test_another_name_is_refused(certificate: Certificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)hostname mismatch"):
        handshake(certificate.server_context(), certificate.client_context(), "example.org")


def test_certificates_do_not_vouch_for_each_other(certificate: Certificate) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"self-signed|self signed|unable to get"):
        handshake(certificate.server_context(), Certificate().client_context(), "localhost")


@pytest.mark.parametrize(
    ("begin", "end", "said"), [(-9, -1, "expired"), (1, 9, "not yet valid"), (1, 40_000, "not yet")]
)
def test_validity_is_as_asked_for(begin: int, end: int, said: str) -> None:
    now = datetime.now(UTC)
    wrong = Certificate(not_before=now + timedelta(days=begin), not_after=now + timedelta(days=end))
    with pytest.raises(ssl.SSLCertVerificationError, match=said):
        handshake(wrong.server_context(), wrong.client_context(), "localhost")


def test_names_and_validity_are_written_into_the_certificate() -> None:
    end = datetime(2051, 2, 3, 4, 5, 6, tzinfo=UTC)
    made = Certificate(["example.org", "*.example.net", "192.0.2.7"], not_after=end)
    tls = handshake(made.server_context(), made.client_context(), "www.example.net")
    shown = tls.getpeercert()
    assert shown is not None
    assert shown["subjectAltName"] == (("DNS", "example.org"), ("DNS", "*.example.net"), ("IP Address", "192.0.2.7"))
    assert shown["notAfter"] == "Feb  3 04:05:06 2051 GMT"
    assert shown["subject"] == shown["issuer"]


def test_keys_are_never_made_twice(certificate: Certificate) -> None:
    assert Certificate().key_pem != certificate.key_pem


@pytest.mark.parametrize(
    ("number", "encoded"),
    [(0, "020100"), (127, "02017f"), (128, "02020080"), (255, "020200ff"), (256, "02020100"), (32768, "0203008000")],
)
def test_integers_are_encoded_without_a_sign_and_without_waste(number: int, encoded: str) -> None:
    assert module._integer(number).hex() == encoded


@pytest.mark.parametrize(
    ("size", "head"), [(0, "0400"), (127, "047f"), (128, "048180"), (255, "0481ff"), (256, "04820100")]
)
def test_lengths_over_127_bytes_are_encoded_in_long_form(size: int, head: str) -> None:
    assert module._der(0x04, bytes(size)).hex() == head + "00" * size


def test_multiples_of_the_base_point_are_those_of_the_published_vectors() -> None:
    double = (
        0x7CF27B188D034F7E8A52380304B51AC3C08969E277F21B35A60B48FC47669978,
        0x07775510DB8ED040293D9AC69F7430DBBA7DADE63CE982299E04B79D227873D1,
    )
    assert module._times(2, module._G) == double
    assert module._times(module._N - 1, module._G) == (module._G[0], module._P - module._G[1])
    five, seven, twelve = (module._times(factor, module._G) for factor in (5, 7, 12))
    assert module._add(five, seven) == twelve
    assert module._add(module._times(module._N - 1, module._G), module._G) is None
