"""What errors of HTTP/2 say, and which stream or connection they end."""

from __future__ import annotations

import pytest

from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._kernel import h2_constants, h2_errors
from httpx_fast._kernel.h2_errors import Http2Error, SectionTooLarge


def test_an_error_has_code_and_stream_and_ends_the_connection_without_one():
    assert (Http2Error("x").code, Http2Error("x").stream_id) == (h2_constants.PROTOCOL_ERROR, 0)
    error = h2_errors.malformed(h2_constants.BAD_STATUS, (b":status", b"20"), 7)
    assert (error.code, error.stream_id) == (h2_constants.PROTOCOL_ERROR, 7)
    assert str(error) == "expected a status from 100 to 999 (RFC 9113 s.8.3.2): b':status': b'20'"


def test_a_section_above_the_limit_is_an_error_of_its_own_that_asks_for_calm():
    error = h2_errors.list_too_large(70000, 65536)
    assert isinstance(error, SectionTooLarge)
    assert error.code == h2_constants.ENHANCE_YOUR_CALM
    assert str(error) == "a field section of 70000 bytes is above the limit of 65536 (RFC 9113 s.6.5.2)"


@pytest.mark.parametrize(
    ("head", "guess"), [(b"HTTP/1.1 400", " (this is HTTP/1)"), (b"\x15\x03\x01", " (this is TLS)"), (b"hello", "")]
)
def test_other_protocols_are_named(head: bytes, guess: str):
    message = str(h2_errors.not_http2(head))
    assert message.startswith("expected a SETTINGS frame to begin with (RFC 9113 s.3.4), got b")
    assert message.endswith(guess or "'hello'")


def test_frames_of_unknown_types_are_named_by_number():
    assert str(h2_errors.frame_too_large(0x50, 9, 8)) == (
        "frame of type 0x50 of 9 bytes is above the limit of 8 (RFC 9113 s.4.2)"
    )


def test_names_that_cannot_be_sent_are_ours_to_blame():
    error = h2_errors.unsendable_name(b"Accept")
    assert isinstance(error, LocalProtocolError)
    assert str(error) == "a field name in HTTP/2 has to be in lower case, not b'Accept'"
    assert isinstance(h2_errors.unsendable_name(b"a b"), LocalProtocolError)
