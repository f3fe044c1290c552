"""A process that forks while connections are idle. In a process of its own: this one has threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from httpx_fast.testing import LocalServer

SCRIPT = """
import os, sys
import httpx_fast

url, = sys.argv[1:]
client = httpx_fast.Client(verify=False)
streamed = client.send(client.build_request("GET", url + "/bytes/3000000"), stream=True)
assert client.get(url).journey.nth == 1  # idle from now on
while os.path.isdir("/proc/self/task") and len(os.listdir("/proc/self/task")) > 1:
    os.sched_yield()  # to the thread that has looked the name up: forking beside it is a warning
child = os.fork()
if child == 0:
    # The parent's connections are not used, and what is done here does not touch them.
    journey = client.get(url).journey
    again = client.get(url).journey
    client.close()
    os._exit(0 if (journey.nth, again.nth) == (1, 2) else 1)
_, status = os.waitpid(child, 0)
assert os.waitstatus_to_exitcode(status) == 0, status
assert len(streamed.read()) == 3_000_000
assert client.get(url).journey.reused
client.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("tls", [False, True])
def test_child_uses_no_connection_of_its_parent(tls: bool) -> None:
    with LocalServer(tls=tls) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", SCRIPT, server.url],
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert server.accepted == 3  # two of the parent, one of the child
