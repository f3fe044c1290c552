from __future__ import annotations

import pytest

from httpx_fast._kernel.h2_constants import ENHANCE_YOUR_CALM
from httpx_fast._kernel.h2_errors import Http2Error
from httpx_fast._wire import h2_limits
from httpx_fast._wire.h2_limits import FloodGuard, ResetStreams, check_settings


def test_control_frames_are_bounded_and_each_stream_allows_more():
    guard = FloodGuard()
    next_id = 1 + 2 * 10  # ten streams were begun
    for _ in range(h2_limits.MAX_CONTROL_FRAMES + 10 * h2_limits.CONTROL_PER_STREAM):
        guard.control_frame(next_id)
    with pytest.raises(Http2Error, match="peer sent more than 2000 control frames beyond 2 for each stream") as caught:
        guard.control_frame(next_id)
    assert (caught.value.code, caught.value.stream_id) == (ENHANCE_YOUR_CALM, 0)


def test_empty_data_is_bounded():
    guard = FloodGuard()
    for _ in range(h2_limits.MAX_EMPTY_DATA):
        guard.empty_data()
    with pytest.raises(Http2Error, match="1000 empty DATA frames"):
        guard.empty_data()


def test_window_updates_are_bounded_and_data_of_ours_allows_more():
    guard = FloodGuard()
    guard.updates -= h2_limits.UPDATES_PER_DATA
    for _ in range(h2_limits.MAX_WINDOW_UPDATES + h2_limits.UPDATES_PER_DATA):
        guard.window_update()
    with pytest.raises(Http2Error, match="2000 WINDOW_UPDATE frames beyond 8 for each DATA"):
        guard.window_update()


def test_a_new_stretch_begins_at_nothing():
    guard = FloodGuard()
    for _ in range(3):
        for _ in range(h2_limits.MAX_CONTROL_FRAMES):
            guard.control_frame(21)
        guard.restart(21)
        assert guard.updates == 0
    with pytest.raises(Http2Error, match="control frames"):
        for _ in range(h2_limits.MAX_CONTROL_FRAMES + 1):  # no stream was begun in this stretch
            guard.control_frame(21)


def test_settings_of_a_frame_are_bounded():
    check_settings(h2_limits.MAX_SETTINGS)
    with pytest.raises(Http2Error, match="64 settings in one frame"):
        check_settings(h2_limits.MAX_SETTINGS + 1)


def test_the_last_resets_are_remembered_and_older_streams_are_taken_for_reset():
    resets = ResetStreams()
    numbers = range(101, 101 + 2 * (h2_limits.MAX_RESETS_KEPT + 1), 2)
    for number in numbers:
        assert number not in resets
        resets.add(number)
    assert len(resets) == h2_limits.MAX_RESETS_KEPT
    assert all(number in resets for number in numbers)
    assert 1 in resets  # older than the one that was forgotten
    assert 104 not in resets
