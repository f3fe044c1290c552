from __future__ import annotations

import pytest

from httpx_fast._exceptions import ReadError, RemoteProtocolError
from httpx_fast._wire.events import Http1Required
from httpx_fast._wire.h2_admission import StreamAdmission, error_name


def test_a_connection_that_ends_takes_no_stream():
    admission = StreamAdmission(7)
    assert admission.limit == 7
    admission.draining = True
    assert admission.limit == 0


@pytest.mark.parametrize("wants_http1", [False, True])
def test_a_refusal_after_goaway_says_what_the_peer_said(wants_http1: bool):
    admission = StreamAdmission(7)
    admission.draining, admission.farewell, admission.wants_http1 = True, "GOAWAY: NO_ERROR", wants_http1
    error = admission._refusal()
    assert type(error) is (Http1Required if wants_http1 else RemoteProtocolError)
    assert str(error) == "the connection takes no more streams: GOAWAY: NO_ERROR"
    assert error.unprocessed


def test_each_stream_gets_an_exception_of_its_own():
    admission = StreamAdmission(7)
    admission.broken = ReadError("gone")
    first, second = admission._refusal(), admission._refusal()
    assert first is not second
    assert first is not admission.broken
    assert (type(first), str(first), first.unprocessed) == (ReadError, "gone", True)


def test_at_the_limit_a_refusal_says_how_many_are_open():
    error = StreamAdmission(0)._refusal()
    assert str(error) == "the peer takes 0 streams at once, 0 are open"


def test_a_careful_limit_is_raised_as_the_peer_answers_and_ends_at_its_settings():
    admission = StreamAdmission(3)
    admission.peer_limit, admission._raise_at = 1, 1  # it refused a stream beside another
    assert admission.careful
    admission.try_more()
    assert admission.peer_limit == 1  # nothing was answered yet
    limits = []
    for answered in range(1, 9):
        admission.next_id = 1 + 2 * answered
        admission.try_more()
        limits.append(admission.peer_limit)
    assert limits == [2, 2, 3, 3, 3, 3, 3, 3]
    assert not admission.careful


def test_error_codes_have_names():
    assert error_name(0x7) == "REFUSED_STREAM"
    assert error_name(0xFF) == "error 0xff"
