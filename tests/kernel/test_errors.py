"""What errors of HTTP/1.1 messages say, and what they keep to themselves."""

from __future__ import annotations

import pytest

from httpx_fast._exceptions import LocalProtocolError, RemoteProtocolError
from httpx_fast._kernel import errors, h2_errors


@pytest.mark.parametrize(
    ("data", "guess"),
    [
        (b"\x16\x03\x01\x02\x00", "this is TLS: https was meant, or a proxy expects it"),
        (b"\x15\x03\x01\x00\x02\x02\x28", "this is a TLS alert: https was meant, or a proxy expects it"),
        (b"HTTP/2.0 200\r\n", "this version of HTTP is not spoken here"),
        (b"\0\0\x12\x04\0\0\0\0\0", "this is HTTP/2"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "this is SSH"),
        (b"220 mail.example ESMTP\r\n", "this is FTP or SMTP"),
        (b"<html>", "this is a document without a head: HTTP/0.9"),
        (b"\r\n", "this is an empty line, maybe left over from a response that was longer than it said"),
    ],
)
def test_other_protocols_are_named(data: bytes, guess: str):
    error = errors.not_http1(data)
    assert isinstance(error, RemoteProtocolError)
    assert str(error).startswith("expected a status line like b'HTTP/1.1 200 OK', got b")
    assert str(error).endswith(f"({guess})")


def test_what_nobody_knows_is_shown_and_no_more():
    assert str(errors.not_http1(b"what?")) == "expected a status line like b'HTTP/1.1 200 OK', got b'what?'"


def test_peer_data_is_shown_up_to_a_limit():
    long = str(errors.bad_status_line(b"x" * 1000))
    assert "x" * 64 in long
    assert "x" * 65 not in long


@pytest.mark.parametrize(
    ("line", "name"), [(b"ab\0", "NUL"), (b"ab\n", "a LF without CR"), (b"ab\r", "a CR without LF")]
)
def test_a_bad_byte_is_named_with_what_came_before(line: bytes, name: str):
    assert str(errors.bad_byte(line)) == f"a line has {name} after b'ab'"


def test_values_of_our_own_fields_are_not_shown():
    for error in (
        errors.bad_value(b"authorization", b"Bearer secret\n", 13),
        h2_errors.unsendable_value(b"authorization", b"Bearer secret\n", 13),
    ):
        assert isinstance(error, LocalProtocolError)
        assert "authorization" in str(error)
        assert "secret" not in str(error)
