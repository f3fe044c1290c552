"""Checks an installed package: that it is not the checkout, which kernel it takes, and a request over a connection.

    python -W error .ci/check_installed.py

HTTPX_FAST_IMPL=c demands compiled kernels; on a free-threaded CPython the GIL must stay away.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# What was installed is tried, not the checkout.
sys.path = [each for each in sys.path if Path(each or ".").resolve() not in {HERE, HERE.parent}]

import httpx_fast  # noqa: E402
from httpx_fast._kernel import select  # noqa: E402
from httpx_fast.testing import LocalServer, Reply  # noqa: E402


def main() -> None:
    if Path(httpx_fast.__file__).parents[1] == HERE.parent:
        sys.exit("this is the checkout, not what was installed")
    if os.environ.get("HTTPX_FAST_IMPL") == "c" and select.IMPLEMENTATION != "c":
        sys.exit(f"the kernel is {select.IMPLEMENTATION!r}")
    with (
        LocalServer(tls=False, answer=lambda request: Reply(200, [], b"hello")) as server,
        httpx_fast.Client() as client,
    ):
        url = f"http://127.0.0.1:{server.port}/"
        assert [client.get(url).text for _ in range(3)] == ["hello"] * 3
    is_gil_enabled = getattr(sys, "_is_gil_enabled", lambda: True)
    free_threaded = "t" in getattr(sys, "abiflags", "")
    if free_threaded and is_gil_enabled():
        sys.exit("the GIL came back")
    sys.stdout.write(
        f"{httpx_fast.__version__}, kernel {select.IMPLEMENTATION}, GIL {is_gil_enabled()}: {sys.version}\n"
    )


if __name__ == "__main__":
    main()
