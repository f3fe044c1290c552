"""Many requests on a Dask cluster of processes: results, one client for each process, rates, and workers that die."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from crawled import Crawled

import httpx_fast

distributed = pytest.importorskip("distributed")
pytest.importorskip("pandas")
dask = pytest.importorskip("httpx_fast.integrations.dask")

PATIENCE = 60
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
        known = scheduler.run(_clients, dask._pickled(ours, 3))
    assert set(known.values()) == {1}


def _clients(settings):
    from httpx_fast.integrations import dask

    return sum(each == settings for each in dask._senders)


def test_the_rate_is_divided_among_the_workers(scheduler):
    with Crawled() as site, client() as ours:
        list(dask.rows(scheduler, site.urls(2), client=ours, partition=1))
        began = time.monotonic()
        found = list(dask.rows(scheduler, site.urls(60), client=ours, partition=10, rate=60))
        took = time.monotonic() - began
    assert len(found) == 60
    # Each of two workers begins 30 of them in a second at most; the first of each at once, and one may have 40.
    assert took > (20 - 1) / 30


@pytest.mark.skipif(sys.platform == "win32", reason="has no SIGKILL")
def test_a_worker_that_is_killed_loses_nothing_that_was_finished(scheduler):
    with Crawled(hold_after=40) as site, client() as ours:
        found, partitions = [], dask._partitions(scheduler, site.urls(100), ours, 5, 5, None, "text")
        for _, rows in partitions:
            found += rows
            if len(found) >= 30:  # two partitions are held, at most
                break
        assert site.holds.wait(PATIENCE)
        finished = {row["url"] for row in found}
        pids = scheduler.run(os.getpid)
        os.kill(next(iter(pids.values())), signal.SIGKILL)
        site.hold_after = None
        site.go_on.set()
        for _, rows in partitions:
            found += rows
    assert Counter(row["line"] for row in found) == Counter(range(1, 101))
    assert all(row["status"] == 200 for row in found)
    twice = {path for path, count in site.begun.items() if count > 1}
    assert len(twice) <= 10
    assert not {site.url(path) for path in twice} & finished


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


def test_the_command_uses_the_workers_of_an_address(scheduler, tmp_path):
    with Crawled() as site:
        (tmp_path / "urls.txt").write_text("\n".join([*site.urls(30), "no URL"]))
        words = ["urls.txt", "--out", "out.jsonl", "--dask", scheduler.scheduler.address, "--rate", "1000"]
        done = subprocess.run(
            [sys.executable, "-m", "httpx_fast", "bulk", *words],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        assert "out.jsonl: 31 results, 1 of them errors" in done.stderr
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == [200] * 30 + [None]
