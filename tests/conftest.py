"""What all tests share: the worlds they run in, the servers they talk to, and the look for what they left behind."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from apache_digest import ApacheDigest
from certificates import Authority
from peers import Peer
from real_proxies import REAL_PROXIES, RealProxy
from runners import RUNNERS, Runner
from servers import Hypercorn, Nghttpd, Nginx, Node, Unavailable

_DESCRIPTORS = Path("/proc/self/fd") if os.path.isdir("/proc/self/fd") else Path("/dev/fd")


def pytest_collection_finish() -> None:
    """Keeps the thousands of tests from being walked by every collection of garbage: each took half a second."""
    if hasattr(gc, "freeze"):  # not on PyPy
        gc.collect()
        gc.freeze()


def pytest_configure() -> None:
    """Let commands that tests start be interrupted, also where the tests themselves run in the background."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if os.environ.get("CI"):
        _take_the_same_examples()


def _take_the_same_examples() -> None:
    """Have hypothesis take the same examples in each run, as its newer versions do by themselves under CI.

    What is to be found by chance is found by the fuzz targets, and by runs elsewhere.
    """
    with contextlib.suppress(ImportError):
        from hypothesis import settings

        settings.register_profile("ci", derandomize=True, deadline=None, database=None)
        settings.load_profile("ci")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> Iterator[None]:
    """Tell what failed at a first try, where tests are tried again (`--reruns`): such a test is to be mended.

    With its traceback, and below everything else, since of a long output the end is kept.
    """
    yield
    reports = terminalreporter.stats.get("rerun", [])
    for report in reports:
        terminalreporter.section(f"UNSTEADY {report.nodeid}")
        terminalreporter.line(report.longreprtext)
    if reports:
        terminalreporter.section("end of what was UNSTEADY")


@pytest.fixture(params=RUNNERS)
def backend(request: pytest.FixtureRequest) -> Runner:
    """The world that a test body runs in: blocking, asyncio, uvloop or trio."""
    return RUNNERS[request.param]()


@pytest.fixture
def tracemalloc() -> ModuleType:
    return pytest.importorskip("tracemalloc", reason="PyPy does not trace memory")


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Issues the certificates of every TLS server in the tests."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="session")
def nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Nginx]:
    with _installed(), Nginx(tmp_path_factory.mktemp("nginx"), authority) as server:
        yield server
        server.big_file.unlink()  # pytest keeps temporary folders of the last runs


@pytest.fixture(scope="session", params=["cleartext", "tls"])
def nghttpd(request: pytest.FixtureRequest, nginx: Nginx, authority: Authority) -> Iterator[Nghttpd]:
    """Serves the files of nginx by HTTP/2."""
    with _installed(), Nghttpd(nginx.folder / "www", authority, tls=request.param == "tls") as server:
        yield server


@pytest.fixture(scope="session")
def node(authority: Authority) -> Iterator[Node]:
    with _installed(), Node(authority) as server:
        yield server


@pytest.fixture(scope="session")
def hypercorn(authority: Authority) -> Iterator[Hypercorn]:
    with _installed(), Hypercorn(authority) as server:
        yield server


@pytest.fixture(scope="session")
def apache_digest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheDigest]:
    with _installed(), ApacheDigest(tmp_path_factory.mktemp("apache_digest")) as server:
        yield server


@pytest.fixture(scope="session", params=REAL_PROXIES)
def real_proxy(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealProxy]:
    with _installed(), REAL_PROXIES[request.param](tmp_path_factory.mktemp(request.param)) as proxy:
        yield proxy


@pytest.fixture
def peer() -> Iterator[Callable[..., Peer]]:
    """Starts scripted peers: `peer(script, ...)`. What a script raises fails the test."""
    with contextlib.ExitStack() as started:

        def start(*arguments: object, **options: object) -> Peer:
            return started.enter_context(contextlib.closing(Peer(*arguments, **options)))

        yield start


@contextlib.contextmanager
def _installed() -> Iterator[None]:
    """A missing server skips the test at home, and is a failure where everything has to be there."""
    try:
        yield
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="session", autouse=True)
def _pipe_of_libuv() -> None:
    """The first loop of libuv in a process makes a pipe for signals, which stays."""
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.new_event_loop().close()


@pytest.fixture(scope="session")
def opened_once() -> None:
    """uvloop opens a pipe for signals with the first loop that runs, and keeps it for the process."""
    with contextlib.suppress(ImportError):
        import uvloop

        uvloop.run(asyncio.sleep(0))


@pytest.fixture(autouse=True)
def nothing_left_behind(opened_once: None) -> Iterator[None]:
    """Fails a test that leaves a descriptor or a thread; tasks are looked for by the runners."""
    descriptors, threads = _descriptors(), set(threading.enumerate())
    yield
    # trio keeps the threads of its name resolver for ten seconds, idle.
    left = [each for each in set(threading.enumerate()) - threads if not each.name.startswith("Trio thread")]
    if left:
        gc.collect()  # executors that were dropped let their threads go when they are collected: on PyPy late
    for thread in left:
        thread.join(5)
    assert not [thread for thread in left if thread.is_alive()], "threads were left behind"
    opened = _descriptors()
    if len(opened) > len(descriptors):
        gc.collect()  # cycles with sockets in them are let go of late, on PyPy nearly all are
        opened = _descriptors()
    new = {number: target for number, target in opened.items() if descriptors.get(number) != target}
    assert len(opened) <= len(descriptors), f"descriptors were left open: {new}"


def _descriptors() -> dict[str, str]:
    """Open file descriptors, and what each is open for."""
    found = {}
    for number in os.listdir(_DESCRIPTORS):
        try:
            found[number] = os.readlink(_DESCRIPTORS / number)
        except OSError:  # the one that listed them
            continue
    return found
