"""Many requests on a Dask cluster of processes: results, one client for each process, rates, and workers that die."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crawled import Crawled

import httpx_fast

distributed = pytest.importorskip("distributed")
pytest.importorskip("pandas")
dask = pytest.importorskip("httpx_fast.integrations.dask")

from dask import config as dask_config  # noqa: E402
from distributed.scheduler import KilledWorker  # noqa: E402

PATIENCE = 60
posix = pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
pytestmark = pytest.mark.filterwarnings("default")  # Dask's own are not ours to mend


@pytest.fixture(autouse=True)
def nothing_left_behind():
    """Dask keeps threads and connections as long as a cluster lives; here only ours are looked for."""
    yield
    assert not [each for each in threading.enumerate() if each.name.startswith("httpx_fast")]


@pytest.fixture(scope="module")
def scheduler():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, silence_logs=50
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        yield client


def on_workers(scheduler, what):
    """Return what a function says of the module that the workers run, of all that are there."""

    def ask():  # an inner function, which goes to the workers by value: they need not import this module
        from httpx_fast.integrations import _dask_worker

        return what(_dask_worker)

    return list(scheduler.run(ask, on_error="ignore").values())


def rates(scheduler):
    return on_workers(scheduler, lambda worker: [each.pace.rate for each in worker._runs.values()])


def runs(scheduler):
    return on_workers(scheduler, lambda worker: list(worker._runs))


def client():
    return httpx_fast.Client(trust_env=False, timeout=PATIENCE, headers={"X-Job": "crawl"})


def test_a_dataframe_in_the_order_of_the_urls(scheduler):
    with Crawled() as site, client() as ours:
        urls = [*site.urls(57), "no URL"]
        frame = dask.dataframe(scheduler, urls, client=ours, partition=10)
    assert list(frame["url"]) == urls
    assert list(frame["line"]) == list(range(1, 59))
    assert list(frame["body"][:57]) == [f"page /{number}" for number in range(57)]
    assert frame["error"][57] == "UnsupportedProtocol"
    assert set(site.begun.values()) == {1}


def test_parquet_in_one_file_for_each_partition(scheduler, tmp_path):
    import pandas as pd

    with Crawled() as site, client() as ours:
        assert dask.to_parquet(scheduler, iter(site.urls(25)), tmp_path / "out", client=ours, partition=10) == 25
        with pytest.raises(FileExistsError, match="expected a new or an empty directory"):
            dask.to_parquet(scheduler, site.urls(1), tmp_path / "out", client=ours)
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [f"part-00000{n}.parquet" for n in range(3)]
    assert sorted(pd.read_parquet(tmp_path / "out")["line"]) == list(range(1, 26))


def test_partitions_of_a_process_share_one_client(scheduler):
    with Crawled() as site, client() as ours:
        list(dask.rows(scheduler, site.urls(60), client=ours, partition=5, concurrency=3))
        settings = dask._pickled(ours, 3)
        known = on_workers(scheduler, lambda worker: sum(each == settings for each in worker._clients))
    assert known == [1, 1]


@contextlib.contextmanager
def driving(site):
    """A thread for a run; a test that fails must not wait for what the server holds."""
    with ThreadPoolExecutor(1) as driver:
        try:
            yield driver
        finally:
            site.go_on.set()


def test_concurrency_is_that_of_a_worker(scheduler):
    with Crawled(hold_after=0) as site, client() as ours:
        found = dask.rows(scheduler, site.urls(60), client=ours, partition=4, concurrency=6)
        with driving(site) as driver:
            done = driver.submit(list, found)
            # A partition of 4 gives a worker its first four; the next one begins when none of them is left to take.
            wait_until(lambda: sum(site.begun.values()) == 8)
            site.go_on.set()
            assert len(done.result(PATIENCE)) == 60
    assert site.most <= 12
    assert not any(runs(scheduler))


def test_the_rate_is_divided_among_the_workers(scheduler):
    with Crawled() as site, client() as ours:
        list(dask.rows(scheduler, site.urls(2), client=ours, partition=1))
        began = time.monotonic()
        found = list(dask.rows(scheduler, site.urls(60), client=ours, partition=10, rate=60))
        took = time.monotonic() - began
    assert len(found) == 60
    # Each of two workers begins 30 of them in a second at most, the first at once; one may have more than 30.
    assert took > (30 - 1) / 30 - 0.1


def test_the_rate_is_divided_anew_when_a_worker_joins_or_leaves(scheduler):
    with Crawled(hold_after=0) as site, client() as ours:
        found = dask.rows(scheduler, site.urls(20), client=ours, partition=5, rate=600)
        with driving(site) as driver:
            done = driver.submit(list, found)
            wait_until(lambda: rates(scheduler) == [[300], [300]])
            third = subprocess.Popen(
                [sys.executable, "-m", "distributed.cli.dask_worker", scheduler.scheduler.address, "--no-nanny"],
                stderr=subprocess.DEVNULL,
            )
            wait_until(lambda: rates(scheduler) == [[200], [200], [200]])
            third.kill()
            third.wait()
            wait_until(lambda: rates(scheduler) == [[300], [300]])
            site.go_on.set()
            assert {row["status"] for row in done.result(PATIENCE)} == {200}


def kill_one(scheduler):
    """Kill one of two workers that have requests under way."""
    os.kill(next(iter(scheduler.run(os.getpid).values())), signal.SIGKILL)


def requests_of_a_run_with_a_killed_worker(scheduler, site, run, finished):
    """Run with a server that holds all after the first 40, and kill a worker then. Returns what was begun twice."""
    with driving(site) as driver:
        done = driver.submit(run)
        assert site.holds.wait(PATIENCE)
        wait_until(lambda: finished() == 40 and sum(site.begun.values()) == 50)
        kill_one(scheduler)
        site.hold_after = None
        site.go_on.set()
        result = done.result(PATIENCE)
    assert len(site.begun) == 100
    assert set(site.begun.values()) <= {1, 2}
    return {path for path, count in site.begun.items() if count == 2}, result


@posix
def test_a_worker_that_is_killed_loses_nothing_that_was_finished(scheduler):
    with Crawled(hold_after=40) as site, client() as ours:
        found = []

        def run():
            found.extend(dask.rows(scheduler, site.urls(100), client=ours, partition=20, concurrency=5))

        twice, _ = requests_of_a_run_with_a_killed_worker(scheduler, site, run, lambda: len(found))
        finished = {row["url"] for row in found[:40]}
    assert Counter(row["line"] for row in found) == Counter(range(1, 101))
    assert all(row["status"] == 200 for row in found)
    assert len(twice) <= 5
    assert not {site.url(path) for path in twice} & finished


@posix
def test_files_of_parquet_after_a_worker_was_killed(scheduler, tmp_path):
    import pandas as pd

    with Crawled(hold_after=40) as site, client() as ours:

        def run():
            return dask.to_parquet(scheduler, site.urls(100), tmp_path, client=ours, partition=20, concurrency=5)

        twice, count = requests_of_a_run_with_a_killed_worker(scheduler, site, run, lambda: sum(site.answered.values()))
    assert count == 100
    assert len(twice) <= 5
    files = {each.name: sorted(pd.read_parquet(each)["line"]) for each in tmp_path.iterdir()}
    assert files == {f"part-{n:06}.parquet": list(range(20 * n + 1, 20 * n + 21)) for n in range(5)}


@posix
def test_urls_that_kill_each_worker_end_the_run(scheduler, monkeypatch):
    monkeypatch.setattr(dask, "LOOK", 0.1)
    with dask_config.set({"distributed.scheduler.allowed-failures": 0}), Crawled(hold_after=0) as site:
        found = dask.rows(scheduler, site.urls(1))
        with driving(site) as driver:
            done = driver.submit(list, found)
            assert site.holds.wait(PATIENCE)
            for pid in scheduler.run(os.getpid).values():
                os.kill(pid, signal.SIGKILL)
            with pytest.raises(KilledWorker, match="1 different workers, but all those workers died"):
                done.result(PATIENCE)


def test_a_consumer_that_stops_stops_the_workers(scheduler):
    with Crawled() as site, client() as ours:
        endless = map(site.url, map("/{}".format, itertools.count()))
        found = dask.rows(scheduler, endless, client=ours, partition=5, concurrency=2)
        for _ in range(20):
            next(found)
        wait_until(lambda: site.begun.total() == settled(site))
        # Rows of the partitions that are leased, and those that wait at the scheduler or in the worker.
        assert site.begun.total() <= 20 + 2 * dask.AHEAD * 5 + 5
        found.close()
        assert not any(runs(scheduler))
        begun = settled(site)
        assert len(list(dask.rows(scheduler, [site.url("/last")], client=ours))) == 1
        assert site.begun.total() == begun + 1


def settled(site):
    """Return how many requests were begun, when no more are."""
    count = -1
    while count != site.begun.total():
        count = site.begun.total()
        threading.Event().wait(0.2)
    return count


def wait_until(true):
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.02)


def test_what_the_workers_cannot_have_is_refused(scheduler):
    for options, kind, message in (
        ({"client": httpx_fast.AsyncClient()}, TypeError, "expected a Client, whose settings"),
        ({"partition": 0}, ValueError, "expected a number of URLs, 1 or more"),
        ({"rate": 0}, ValueError, "expected requests in a second"),
        ({"body": "xml"}, ValueError, "expected one of text, base64, none"),
        ({"concurrency": 0}, ValueError, "expected 1 to 100000"),
    ):
        with pytest.raises(kind, match=message):
            next(dask.rows(scheduler, ["http://127.0.0.1:9/"], **options))


@posix
def test_the_command_uses_the_workers_of_an_address_and_survives_the_loss_of_one(scheduler, tmp_path):
    with Crawled(hold_after=40) as site:
        (tmp_path / "urls.txt").write_text("\n".join([*site.urls(100), "no URL"]))
        options = {"--dask": scheduler.scheduler.address, "--rate": "1000", "--concurrency": "5"}
        words = ["urls.txt", "--out", "out.jsonl", *(word for option in options.items() for word in option)]

        def run():
            return subprocess.run(
                [sys.executable, "-m", "httpx_fast", "bulk", *words],
                cwd=tmp_path,
                env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
                capture_output=True,
                text=True,
                timeout=PATIENCE,
            )

        journal = tmp_path / "out.jsonl.journal"
        twice, done = requests_of_a_run_with_a_killed_worker(
            scheduler, site, run, lambda: len(re.findall(rb'"status": 200', journal.read_bytes()))
        )
        assert done.returncode == 0, done.stderr
        assert "out.jsonl: 101 results, 1 of them errors" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == [200] * 100 + [None]
    assert len(twice) <= 5
