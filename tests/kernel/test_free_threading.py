"""Free-threaded CPython goes on without its lock when the compiled kernels are imported, and threads may share them."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import kernel_calls
import pytest

import httpx_fast

EXT = Path(__file__).parents[2] / "ext"
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))

IMPORT = """
import sys
from httpx_fast._kernel import select
for name in (*select.KERNELS, *select.LATE_KERNELS):
    __import__(f"httpx_fast._kernel.{name}_c")
assert not sys._is_gil_enabled()
"""


@pytest.mark.parametrize("source", sorted(EXT.glob("*.pyx")), ids=lambda path: path.stem)
def test_kernels_declare_that_they_need_no_lock(source):
    first = source.read_text(encoding="utf-8").partition("\n")[0]
    assert "freethreading_compatible=True" in first


@pytest.mark.skipif(not FREE_THREADED, reason="this CPython has a global lock")
def test_importing_the_kernels_does_not_bring_the_lock_back():
    pytest.importorskip("httpx_fast._kernel.http1_c")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHON_GIL"}
    # A module that does not declare it has the lock switched on, with a warning: an error here.
    done = subprocess.run([sys.executable, "-W", "error", "-c", IMPORT], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_threads_use_kernels_of_their_own_at_once(kernel):
    """Each thread has its parser, as each connection has; what they share are tables that nobody changes."""
    head = b"HTTP/1.1 200 OK\r\nServer: a\r\nX-Mine: %d\r\nContent-Length: 5\r\n\r\n"
    wrong: list[object] = []
    start = threading.Barrier(8)

    def work(number: int) -> None:
        raw, parser, encoder, decoder = head % number, kernel.HeadParser(), kernel.HpackEncoder(), kernel.HpackDecoder()
        fields = [(b":status", b"200"), (b"x-mine", b"%d" % number)]
        start.wait()
        for _ in range(300):
            found = parser.feed(raw, 0, len(raw))
            parser.reset()
            if found.get_all(b"x-mine") != [b"%d" % number] or decoder.decode(encoder.encode(fields)) != fields:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_each_function_of_each_kernel_works_in_threads_at_once():
    """ThreadSanitizer watches this in .ci/sanitize_threads."""
    pytest.importorskip("httpx_fast._kernel.http1_c")
    operations = kernel_calls.load_script(Path(__file__).with_name("without_memory.py")).OPERATIONS
    wanted = [operation() for operation in operations]
    start = threading.Barrier(4)

    def work(first: int) -> None:
        start.wait()
        for number in range(first, first + 20 * len(operations)):
            assert operations[number % len(operations)]() == wanted[number % len(operations)]

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(work, range(4))) == [None] * 4


@pytest.mark.skipif(not FREE_THREADED, reason="this CPython has a global lock")
def test_a_thread_uses_a_client_that_another_one_warmed_as_cheaply_as_that_one():
    """Where a lock is taken for what another thread made, CPython 3.13 may wait for itself."""
    transport = httpx_fast.MockTransport(lambda request: httpx_fast.Response(204))
    with httpx_fast.Client(transport=transport) as client:
        client.get("http://example.org/")

        def cost() -> float:
            used = time.thread_time()
            for _ in range(200):
                client.get("http://example.org/")
            return time.thread_time() - used

        with ThreadPoolExecutor(1) as other:
            costs = [(cost(), other.submit(cost).result()) for _ in range(5)]
    ours, theirs = (min(column) for column in zip(*costs, strict=True))
    assert theirs < 1.6 * ours
