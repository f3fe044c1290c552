"""What peers promise of idle connections."""

from __future__ import annotations

import math

import pytest

from httpx_fast._conn.keep_alive import keep_alive_limits


@pytest.mark.parametrize(
    ("values", "seconds", "requests"),
    [
        ([b"timeout=5, max=100"], 5, 100),
        ([b" Timeout = 5 ,MAX=1"], 5, 1),
        ([b'timeout="7"'], 7, math.inf),
        ([b"timeout=5", b"timeout=3, max=0"], 3, 0),
        ([b"timeout=0"], 0, math.inf),
        ([b"timeout=-1, max=1.5"], math.inf, math.inf),
        ([b"timeout=\xb2"], math.inf, math.inf),
        ([b"timeout=1234567890"], math.inf, math.inf),
        ([b"timeout", b"", b"="], math.inf, math.inf),
        ([], math.inf, math.inf),
    ],
)
def test_keep_alive_values(values: list[bytes], seconds: float, requests: float) -> None:
    assert keep_alive_limits(values) == (seconds, requests)
