"""`httpx-fast bulk`, as a command in a process of its own: results, a journal, and what may stop a run."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from crawled import Crawled

PATIENCE = 60
posix = pytest.mark.skipif(sys.platform == "win32", reason="has other signals and limits")


def start(folder: Path, *words: str, out: str = "out.jsonl", **options: Any) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    return subprocess.Popen(
        [sys.executable, "-m", "httpx_fast", "bulk", "urls.txt", "--out", out, *words],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    out, err = process.communicate(timeout=PATIENCE)
    assert out == ""
    return process.returncode, err


def bulk(folder: Path, *words: str, **options: Any) -> tuple[int, str]:
    return finish(start(folder, *words, **options))


def ask_for(folder: Path, lines: list[str]) -> None:
    (folder / "urls.txt").write_text("".join(f"{line}\n" for line in lines))


def results(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


def wait_until(true: Any) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        threading.Event().wait(0.01)


def journaled(folder: Path) -> int:
    file = folder / "out.jsonl.journal"
    return file.read_bytes().count(b"\n") - 1 if file.exists() else 0


def test_each_line_has_its_result_in_each_format(tmp_path):
    with Crawled() as site:
        lines = [*site.urls(30), "no URL", "", "https://", site.url("/a,\"b'")]
        ask_for(tmp_path, lines)
        assert bulk(tmp_path) == (0, "out.jsonl: 33 results, 2 of them errors\n")
        assert bulk(tmp_path, out="out.csv")[0] == 0
    rows = results(tmp_path / "out.jsonl")
    assert [row["line"] for row in rows] == [*range(1, 32), 33, 34]
    assert [row["body"] for row in rows[:30]] == [f"page /{number}" for number in range(30)]
    assert {(row["status"], row["content_type"], row["error"]) for row in rows[:30]} == {(200, "text/plain", None)}
    assert [row["error"] for row in rows[30:]] == ["UnsupportedProtocol", "UnsupportedProtocol", None]
    assert "has no scheme" in rows[30]["message"]
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [(row["url"], row["body"]) for row in table] == [(row["url"], row["body"] or "") for row in rows]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["out.csv", "out.jsonl", "urls.txt"]


def test_parquet(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    with Crawled() as site:
        ask_for(tmp_path, [*site.urls(5), "no URL"])
        assert bulk(tmp_path, out="out.parquet")[0] == 0
    table = parquet.read_table(tmp_path / "out.parquet")
    assert table.column("status").to_pylist() == [200] * 5 + [None]
    assert table.column("line").to_pylist() == list(range(1, 7))


@posix
@pytest.mark.parametrize("number", ["SIGKILL", "SIGINT", "SIGTERM"])
def test_a_run_that_was_ended_continues_without_loss_or_doubles(tmp_path, number):
    with Crawled(hold_after=40) as site:
        ask_for(tmp_path, site.urls(100))
        process = start(tmp_path, "--concurrency", "5")
        wait_until(lambda: journaled(tmp_path) == 40)
        process.send_signal(getattr(signal, number))
        code, err = finish(process)
        if number == "SIGKILL":
            assert code == -9
        else:
            assert code == {"SIGINT": 130, "SIGTERM": 143}[number]
            assert "stopped: 40 of 100 are done and kept in out.jsonl.journal; the same command continues" in err
        assert not (tmp_path / "out.jsonl").exists()
        with (tmp_path / "out.jsonl.journal").open("ab") as file:
            file.write(b'{"line": 99, "url": "http')  # what a crash in the middle of a write leaves
        under_way = {path for path, count in site.begun.items() if site.answered[path] < count}
        site.hold_after = None
        site.go_on.set()
        code, err = bulk(tmp_path)
        assert code == 0, err
        assert "continues: 40 of 100 were done" in err
        assert {path for path, count in site.begun.items() if count > 1} <= under_way
        assert len(under_way) == 5
    assert [row["body"] for row in results(tmp_path / "out.jsonl")] == [f"page /{number}" for number in range(100)]
    assert not (tmp_path / "out.jsonl.journal").exists()


def test_the_journal_of_another_run_is_refused(tmp_path):
    with Crawled() as site:
        urls = site.urls(3)
        ask_for(tmp_path, urls)
        (tmp_path / "out.jsonl.journal").write_text("something else\n")
        assert bulk(tmp_path)[1].startswith("httpx-fast: out.jsonl.journal is no journal of httpx-fast bulk\nremove")
        (tmp_path / "out.jsonl.journal").unlink()
        _interrupted(tmp_path, urls)
        ask_for(tmp_path, [*urls, site.url("/more")])
        code, err = bulk(tmp_path)
        assert (code, site.begun) == (2, {})
        assert "belongs to another run: the input has changed since\nremove out.jsonl.journal to begin anew" in err
        ask_for(tmp_path, urls)
        code, err = bulk(tmp_path, "--body", "none", "--timeout", "3")
        assert (code, site.begun) == (2, {})
        assert "belongs to another run: --timeout, --body had another value" in err
        assert bulk(tmp_path)[0] == 0
        assert sum(site.begun.values()) == 2
    assert [row["status"] for row in results(tmp_path / "out.jsonl")] == [299, 200, 200]


def _interrupted(folder: Path, urls: list[str]) -> None:
    """Leave the journal of a run that has one result."""
    from httpx_fast._bulk import COLUMNS
    from httpx_fast._cli.bulk import _digest
    from httpx_fast._cli.journal import Journal

    digest, count = _digest(folder / "urls.txt")
    settings = {"timeout": 30.0, "body": "text", "header": [], "location": False}
    with Journal(folder / "out.jsonl.journal", digest, settings, count) as journal:
        journal.add(dict.fromkeys(COLUMNS) | {"line": 1, "url": urls[0], "status": 299})


def test_an_output_that_is_there_is_not_replaced(tmp_path):
    with Crawled() as site:
        ask_for(tmp_path, site.urls(1))
        (tmp_path / "out.jsonl").write_text("mine")
        assert bulk(tmp_path) == (23, "httpx-fast: out.jsonl is there already\n--overwrite replaces it\n")
        assert (tmp_path / "out.jsonl").read_text() == "mine"
        assert bulk(tmp_path, "--overwrite")[0] == 0
    assert results(tmp_path / "out.jsonl")[0]["status"] == 200


@posix
def test_a_second_run_at_the_same_time_is_refused(tmp_path):
    with Crawled(hold_after=0) as site:
        ask_for(tmp_path, site.urls(3))
        process = start(tmp_path)
        assert site.holds.wait(PATIENCE)
        assert "out.jsonl.journal is in use by another run" in bulk(tmp_path)[1]
        site.go_on.set()
        assert finish(process)[0] == 0
    assert len(results(tmp_path / "out.jsonl")) == 3


@posix
def test_what_was_finished_stays_when_no_more_can_be_written(tmp_path):
    import resource

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, resource.RLIM_INFINITY))

    with Crawled() as site:
        ask_for(tmp_path, site.urls(60))
        code, err = bulk(tmp_path, preexec_fn=small_disk)
        assert code == 23
        assert "the same command continues" in err
        assert "OSError: [Errno 27] File too large" in err
        kept = journaled(tmp_path)
        assert 5 < kept < 60
        assert (tmp_path / "out.jsonl.journal").read_bytes().endswith(b"\n")
        code, err = bulk(tmp_path)
        assert code == 0
        assert f"continues: {kept} of 60 were done" in err
    assert [row["line"] for row in results(tmp_path / "out.jsonl")] == list(range(1, 61))


def test_outputs_that_cannot_be_are_refused_before_anything_is_sent(tmp_path):
    with Crawled() as site:
        ask_for(tmp_path, site.urls(1))
        (tmp_path / "there.csv").mkdir()
        (tmp_path / "urls.csv").hardlink_to(tmp_path / "urls.txt")
        for out, message in (
            ("nowhere/out.csv", "there is no folder nowhere for out.csv\nmake it, or"),
            ("there.csv", "there.csv is a folder\nchoose another"),
            ("urls.csv", "--out urls.csv is the input\nchoose another"),
        ):
            code, err = bulk(tmp_path, "--overwrite", out=out)
            assert (code, site.begun) == (23, {})
            assert err.startswith(f"httpx-fast: {message}")


@pytest.mark.parametrize("kind", ["windows", "gzip", "standard input", pytest.param("pipe", marks=posix)])
def test_inputs_of_other_kinds(tmp_path, kind):
    with Crawled() as site:
        text = b"".join(f"{url}\r\n".encode() for url in site.urls(3))
        words, given = ["urls.txt"], None
        if kind == "windows":
            more = "\r\n".join(["", site.url("/\xe4"), site.url("/")]).encode()
            text = b"\xef\xbb\xbf" + text + more + b"\xe4\r\n"
        if kind == "gzip":
            text = gzip.compress(text)
        if kind == "standard input":
            words, given = ["-"], text
        elif kind == "pipe":
            os.mkfifo(tmp_path / "urls.txt")
            writer = threading.Thread(target=(tmp_path / "urls.txt").write_bytes, args=(text,))
            writer.start()
        else:
            (tmp_path / "urls.txt").write_bytes(text)
        done = subprocess.run(
            [sys.executable, "-m", "httpx_fast", "bulk", *words, "--out", "out.jsonl"],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
            input=given,
            capture_output=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr
        if kind == "pipe":
            writer.join()
    rows = results(tmp_path / "out.jsonl")
    assert [row["status"] for row in rows[:3]] == [200] * 3
    if kind == "windows":
        assert [(row["line"], row["status"], row["error"]) for row in rows[3:]] == [
            (5, 200, None),
            (6, None, "UnicodeDecodeError"),
        ]
        assert rows[4]["message"].startswith("the line is not UTF-8: ")
        assert site.begun == {"/0": 1, "/1": 1, "/2": 1, "/%C3%A4": 1}


def test_a_broken_file_of_gzip(tmp_path):
    (tmp_path / "urls.txt").write_bytes(gzip.compress(b"http://127.0.0.1:9/\n" * 50)[:-9])
    code, err = bulk(tmp_path)
    assert code == 2
    assert err.startswith("httpx-fast: urls.txt cannot be decompressed: ")
    assert not (tmp_path / "out.jsonl.journal").exists()


def test_a_server_that_never_answers_is_a_result(tmp_path):
    with Crawled(hold_after=2) as site:
        ask_for(tmp_path, site.urls(4))
        assert bulk(tmp_path, "--timeout", "1", "--concurrency", "1")[0] == 0
    rows = results(tmp_path / "out.jsonl")
    assert [row["status"] for row in rows] == [200, 200, None, None]
    assert all("Timeout" in row["error"] and row["message"] for row in rows[2:])


def test_the_rate_is_that_of_the_run_over_all_servers(tmp_path):
    with Crawled() as one, Crawled() as two:
        ask_for(tmp_path, [*one.urls(10), *two.urls(11)])
        began = time.monotonic()
        assert bulk(tmp_path, "--rate", "20")[0] == 0
        assert time.monotonic() - began > 20 / 20 - 0.1
    assert len(results(tmp_path / "out.jsonl")) == 21


@posix
def test_a_run_that_waits_for_its_rate_is_ended_at_once(tmp_path):
    with Crawled() as site:
        ask_for(tmp_path, site.urls(3))
        process = start(tmp_path, "--rate", "0.001")
        wait_until(lambda: journaled(tmp_path) == 1)
        process.send_signal(signal.SIGINT)
        code, err = finish(process)
        assert code == 130
        assert "stopped: 1 of 3 are done" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--concurrency", "0"], "--concurrency is 0\nit is 1 to"),
        (["--concurrency", "many"], "argument --concurrency: invalid int value: 'many'\nhttpx-fast bulk --help"),
        (["--timeout", "0"], "--timeout is 0\nit is a number of seconds above 0"),
        (["--header", "nothing"], "--header 'nothing' has no colon\nit is NAME:VALUE"),
        (["--rate", "0"], "--rate is 0\nit is a number of requests in a second, above 0"),
        (["--out", "x.xml"], "--out x.xml has no ending that is known\nit is one of .jsonl, .csv, .parquet"),
    ],
)
def test_wrong_arguments(tmp_path, words, message):
    ask_for(tmp_path, ["http://127.0.0.1:9/"])
    code, err = bulk(tmp_path, *words)
    assert code == 2
    assert message in err
    assert len(list(tmp_path.iterdir())) == 1


def test_the_input_is_missing_and_help(tmp_path):
    code, err = bulk(tmp_path)
    assert (code, err.splitlines()[0]) == (2, "httpx-fast: there is no file urls.txt")
    process = start(tmp_path, "--help")
    assert "--concurrency" in process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0
