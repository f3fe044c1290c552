"""What is read of a server's certificate."""

from __future__ import annotations

import datetime as dt

import pytest

from httpx_fast._journey_certificate import read_certificate
from httpx_fast.testing.certificate import Certificate as Made


def test_a_certificate_is_read() -> None:
    found = read_certificate(Made(("a.test", "127.0.0.1", "::1")).der)
    assert found.names == ("a.test", "127.0.0.1", "::1")
    assert found.subject == found.issuer != ""
    assert found.not_before is not None
    assert found.not_after is not None
    assert found.not_before < dt.datetime.now(dt.UTC) < found.not_after


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x82", b"\x30\x05abc", bytes(40), b"\x30\x03\x30\x01\x02"])
def test_what_is_no_certificate_has_no_names(der: bytes) -> None:
    assert read_certificate(der) == ("", "", (), None, None)
