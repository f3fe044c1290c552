from __future__ import annotations

import random

import pytest

from httpx_fast._kernel.h2_constants import FLOW_CONTROL_ERROR, MAX_WINDOW_SIZE
from httpx_fast._kernel.h2_errors import Http2Error
from httpx_fast._wire.windows import MAX_STREAM_WINDOW, STREAM_WINDOW, give_back, grown


class Window:
    def __init__(self, size: int) -> None:
        self.granted = self.left = size
        self.owed = 0


def test_credit_is_sent_when_half_of_the_window_is_due():
    window = Window(1000)
    window.left -= 700
    assert give_back(window, 499, False) == 0
    assert (window.left, window.owed, window.granted) == (300, 499, 1000)
    assert give_back(window, 1, False) == 500
    assert (window.left, window.owed, window.granted) == (800, 0, 1000)


def test_the_window_is_doubled_while_the_reader_keeps_up_and_no_further_than_its_limit():
    window = Window(STREAM_WINDOW)
    sizes = []
    for _ in range(6):
        size = window.left
        window.left = 0
        assert give_back(window, size, True) == window.left
        sizes.append(window.granted)
    assert sizes == [2 * STREAM_WINDOW, 4 * STREAM_WINDOW, 8 * STREAM_WINDOW, *[MAX_STREAM_WINDOW] * 3]


@pytest.mark.parametrize("seed", range(20))
def test_no_byte_of_a_window_is_lost(seed: int):
    chance, window, unread = random.Random(seed), Window(1000), 0
    for _ in range(200):
        arrived = chance.randint(0, window.left)
        window.left -= arrived
        unread += arrived
        read = chance.randint(0, unread)
        unread -= read
        give_back(window, read, chance.random() < 0.2)
        assert window.left + window.owed + unread == window.granted


@pytest.mark.parametrize(("stream_id", "of"), [(0, "of the connection"), (5, "of stream 5")])
def test_a_window_above_the_largest_one_is_an_error(stream_id: int, of: str):
    assert grown(MAX_WINDOW_SIZE - 10, 9, stream_id) == MAX_WINDOW_SIZE - 1
    assert grown(MAX_WINDOW_SIZE - 10, 10, stream_id) == MAX_WINDOW_SIZE
    with pytest.raises(Http2Error, match=rf"the window {of} would have {MAX_WINDOW_SIZE + 1} bytes") as caught:
        grown(MAX_WINDOW_SIZE - 10, 11, stream_id)
    assert (caught.value.code, caught.value.stream_id) == (FLOW_CONTROL_ERROR, stream_id)
