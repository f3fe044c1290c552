"""Times: that the command does not measure itself, and what it makes of the times of many requests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from servers import Nginx

import httpx_fast
from httpx_fast._cli import exchange as _exchange
from httpx_fast._cli.measuring import Sample
from httpx_fast._cli.output import Output
from httpx_fast._cli.timings import as_json, summary, table
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast.testing import Close, FaultLab, LocalServer, Read, Send, response


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each head that is shown, whether the whole response was there by then."""
    complete: list[bool] = []
    show = Output.show_heads

    def looking(self: Output, response: httpx_fast.Response) -> None:
        complete.append(response.journey.done is not None)
        show(self, response)

    monkeypatch.setattr(Output, "show_heads", looking)
    return complete


@pytest.mark.parametrize("words", [("--journey",), ("--har", "all.har"), ("-n", "2", "-v")])
def test_nothing_is_shown_before_all_of_it_has_been_read(
    words: tuple[str, ...], run: Any, shown: Any, server: LocalServer, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(f"{server.url}/bytes/1000000", *words).code == 0
    assert shown == [True]


def test_nothing_of_the_demonstration_is_shown_before_its_end(run: Any, shown: Any) -> None:
    assert run().code == 0
    assert shown == [True]


@pytest.fixture
def slow_output(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A clock of the command by which each piece of output takes a second."""
    ticks = iter(range(10_000))
    monkeypatch.setattr(_exchange.time, "perf_counter", lambda: float(next(ticks)))
    return


@pytest.mark.parametrize("words", [("-N",), ("-o", "data")])
def test_time_for_writing_the_output_is_told_apart(
    words: tuple[str, ...], run: Any, server: LocalServer, slow_output: None, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    lines = run("--journey", *words, f"{server.url}/lines").err.splitlines()
    told = [line for line in lines if "went into writing the output" in line]
    assert len(told) == 1
    assert re.fullmatch(r"  of receive, 1000(\.\d+)? ms went into writing the output", told[0])
    assert not any("times as fast" in line for line in lines)
    assert "writing the output" not in run("--journey", f"{server.url}/lines").err


def sample(nth: int, *marks: float, group: str = "", error: Any = None) -> Sample:
    """`marks` in milliseconds after the start: leased, sending, sent, first, done."""
    facts = ConnectionFacts()
    facts.dial_started, facts.dns_done, facts.tcp_done = 100.0, 100.001, 100.002
    journey = Journey(100.0, lambda: 109.0)
    journey.connection, journey.nth = facts, nth
    for name, mark in zip(("leased", "sending", "sent", "first", "done"), marks, strict=False):
        setattr(journey, name, 100.0 + mark / 1000)
    return Sample("GET 200" if error is None else "GET ReadError", journey, error=error, group=group)


def samples() -> list[Sample]:
    cold = [sample(1, 0, 2, 3, 13 + extra, 14 + extra) for extra in range(4)]
    return cold + [sample(2, 0, 0, 1, 2 + extra, 3 + extra) for extra in range(20)]


def test_statistics_are_times_that_were_measured() -> None:
    found = summary(samples()[4:])
    assert {name: round(time * 1000, 6) for name, time in found["wait"].items()} == {"min": 1, "median": 10, "p95": 19}
    assert list(found) == ["pool", "send", "wait", "receive", "total"]


def test_table_has_cold_beside_warm() -> None:
    assert table(samples(), 5, 80) == [
        "24 requests, 5 at once: 4 cold, 20 warm (24 x GET 200); times in ms",
        "",
        "                  cold (4)                    warm (20)",
        "              min   median      p95        min   median      p95",
        "pool        0.000    0.000    0.000      0.000    0.000    0.000",
        "dns         1.000    1.000    1.000          -        -        -",
        "tcp         1.000    1.000    1.000          -        -        -",
        "send        1.000    1.000    1.000      1.000    1.000    1.000",
        "wait        10.00    11.00    13.00      1.000    10.00    19.00",
        "receive     1.000    1.000    1.000      1.000    1.000    1.000",
        "total       14.00    15.00    17.00      3.000    12.00    21.00",
        "",
        "Median on a reused connection: 12.00 ms instead of 15.00 ms.",
    ]


@pytest.mark.parametrize("width", [36, 40, 62, 66, 80, 200])
def test_table_fits_into_the_terminal(width: int) -> None:
    lines = table(samples(), 1, width)[1:-1]
    assert max(map(len, lines)) <= width
    assert sum(line.startswith("total") for line in lines) == (1 if width >= 66 else 2)


def test_failures_are_counted_and_left_out_of_the_times() -> None:
    broken = [sample(1, 0, 1, error=httpx_fast.ReadError("broken")) for _ in range(3)]
    lines = table([*samples(), *broken], 1)
    assert lines[0] == "27 requests: 4 cold, 20 warm (24 x GET 200, 3 x GET ReadError); times in ms"
    assert lines[-1] == "3 failed: ReadError: broken"
    assert table(broken, 1) == [
        "3 requests: none succeeded (3 x GET ReadError); times in ms",
        "3 failed: ReadError: broken",
    ]


def test_json_has_each_request_and_the_summary() -> None:
    told = json.loads(as_json([*samples(), sample(1, 0, error=httpx_fast.ReadError("broken"))], "http://h/"))
    assert told["url"] == "http://h/"
    assert told["summary"]["cold"]["total"]["min"] == pytest.approx(0.014)
    assert len(told["requests"]) == 25
    assert told["requests"][0]["phases"]["dns"] == pytest.approx(0.001)
    assert told["requests"][-1]["error"] == "ReadError: broken"


def rows(out: str) -> dict[str, list[str]]:
    return {line.split()[0]: line.split()[1:] for line in out.splitlines() if line[:1].isalpha()}


def test_many_requests_are_one_table(run: Any, nginx: Nginx) -> None:
    with nginx.counting() as accepted:
        ran = run("-n", "20", "--concurrency", "5", nginx.url("/json"))
    assert (ran.code, ran.err) == (0, "")
    assert 1 <= accepted.connections <= 5
    assert re.match(r"20 requests, 5 at once: \d cold, \d\d warm \(20 x GET 200\); times in ms\n", ran.out)
    assert len(ran.out.splitlines()) < 20
    assert len(rows(ran.out)["total"]) == 6
    assert rows(ran.out)["tcp"][3:] == ["-", "-", "-"]


def test_cold_is_compared_with_warm(run: Any, nginx: Nginx) -> None:
    with nginx.counting() as accepted:
        ran = run("-k", "--compare", "warm,cold", "-n", "6", "--concurrency", "2", nginx.url("/json", "https"))
    assert ran.code == 0
    assert accepted.connections == 6 + 2
    assert ran.out.startswith("12 requests, 2 at once: 6 warm, 6 cold (12 x GET 200); times in ms\n")
    assert rows(ran.out)["tls"][:3] == ["-", "-", "-"]
    assert all(float(time) > 0 for time in rows(ran.out)["tls"][3:])


def test_timings_of_one_request_can_be_json(run: Any, server: LocalServer) -> None:
    ran = run("--journey", "--json", f"{server.url}/json")
    told = json.loads(ran.out)
    assert "hunter2" not in run("--json", server.url.replace("//", "//user:hunter2@")).out
    assert [each["kind"] for each in told["requests"]] == ["cold"]
    assert told["requests"][0]["status"] == 200
    assert {"tcp", "send", "wait", "receive"} <= set(told["requests"][0]["phases"])


def test_requests_that_fail_leave_the_others(run: Any) -> None:
    with FaultLab() as lab:
        lab.serve(Read(), Send(response(b"ok")), Read(), Close())
        ran = run("-n", "2", "--concurrency", "1", lab.url("/"), "-X", "POST")
    assert ran.code == 52
    assert "Request 2 (POST RemoteProtocolError)" in ran.out
    assert ran.err.startswith("RemoteProtocolError: ")


@pytest.mark.parametrize("words", [("-n", "5", "--concurrency", "3"), ("--compare", "cold,warm"), ()])
def test_bad_url_is_the_same_error_for_many_requests(run: Any, words: tuple[str, ...]) -> None:
    ran = run("http://localhost:port/", *words)
    assert (ran.code, ran.out) == (3, "")
    assert ran.err.startswith("InvalidURL: ")
    assert len(ran.err.splitlines()) == 1


def test_fail_is_for_many_requests_too(run: Any, server: LocalServer) -> None:
    assert run("-n", "5", f"{server.url}/status/404").code == 0
    ran = run("-fn", "5", f"{server.url}/status/404")
    assert ran.code == 22
    assert "5 x GET 404" in ran.out


def test_archive_has_all_requests(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "all.har"
    ran = run("--har", str(file), "-L", f"{server.url}/redirect/2", "-u", "user:hunter2")
    assert ran.code == 0
    assert json.loads(ran.out)["method"] == "GET"
    text = file.read_text(encoding="utf-8")
    entries = json.loads(text)["log"]["entries"]
    assert [each["response"]["status"] for each in entries] == [302, 302, 200]
    assert "Authorization" in text
    assert "dXNlcjpodW50ZXIy" not in text
    assert run("--har", str(file), "-n", "4", f"{server.url}/lines").code == 0
    assert len(json.loads(file.read_text(encoding="utf-8"))["log"]["entries"]) == 4


def test_archive_is_written_for_a_response_that_broke_off(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "all.har"
    with FaultLab() as lab:
        lab.serve(Read(), Send(response(bytes(100))[:80]), Close())
        assert run("--har", str(file), lab.url("/")).code == 18
    assert [each["response"]["status"] for each in json.loads(file.read_text())["log"]["entries"]] == [200]


def test_archive_that_cannot_be_written_is_an_error_unless_there_is_another(run: Any, server: LocalServer) -> None:
    assert run("--har", "/no/such/folder/all.har", f"{server.url}/lines").code == 23
    assert run("--har", "/no/such/folder/all.har", f"{server.url}/status/404", "-f").code == 22


def test_report_has_all_requests(run: Any, server: LocalServer, tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    ran = run("--report", str(file), "-L", f"{server.url}/redirect/2", "-u", "user:hunter2")
    assert ran.code == 0
    assert json.loads(ran.out)["method"] == "GET"
    text = file.read_text(encoding="utf-8")
    assert text.count("<details") == 3
    assert "dXNlcjpodW50ZXIy" not in text
    assert run("--report", str(file), "-n", "4", f"{server.url}/lines").code == 0
    assert file.read_text(encoding="utf-8").count("<details") == 4
    assert run("--report", "/no/such/folder/page.html", f"{server.url}/lines").code == 23
