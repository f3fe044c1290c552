"""The part of a run that one worker process has: slots, rate, and lines that are given back."""

from __future__ import annotations

import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest

import httpx_fast
from httpx_fast.integrations import _dask_worker as worker

LINES = [(number, f"http://{number}.test/") for number in range(1, 8)]


@pytest.fixture
def run():
    token = worker.join("run", pickle.dumps(httpx_fast.Client()), 3, None)
    run = worker._runs["run"]
    assert run.token == token
    yield run
    worker.leave("run")
    assert "run" not in worker._runs


def test_joining_again_takes_another_share_of_the_rate(run):
    assert worker.join("run", run.settings, 3, 5.0) == run.token
    assert run.pace.rate == 5.0


def test_a_line_is_taken_when_a_slot_is_free(run):
    lines = worker._Lines(run, LINES)
    assert [next(lines).number for _ in range(3)] == [1, 2, 3]
    with ThreadPoolExecutor(1) as other:
        fourth = other.submit(next, lines)
        assert not fourth.done()
        run.give_slots(1)
        assert fourth.result(30).number == 4


def test_the_end_of_a_run_wakes_what_waits(run):
    slots, paced = worker._Lines(run, LINES), worker._Lines(run, LINES)
    assert next(paced)
    run.pace.rate = 0.001
    with ThreadPoolExecutor(2) as others:
        waits_for_rate = others.submit(next, paced, None)
        while run._free != 1:
            pass
        run.take_slot()
        waits_for_slot = others.submit(next, slots, None)
        worker.leave("run")
        assert waits_for_rate.result(30) is None
        assert waits_for_slot.result(30) is None
    assert run.stopped


def test_lines_that_are_given_back_are_not_taken(run):
    lines = run.leases[4] = worker._Lines(run, LINES)
    assert next(lines).number == 1
    assert worker.give_back("run", 4, False) == [7, 6, 5]
    assert [line.number for line in (next(lines), next(lines))] == [2, 3]
    run.give_slots(3)
    assert worker.give_back("run", 4, True) == [4]
    assert list(lines) == []
    assert lines.over
    assert run._free == 3


def test_a_lease_that_was_not_begun_is_given_back_whole(run):
    assert worker.give_back("run", 9, False) is None
    assert worker.give_back("another run", 9, False) == []


def test_runs_whose_drivers_have_died_are_forgotten():
    for number in range(worker.MAX_RUNS + 1):
        worker.join(f"run {number}", b"", 1, None)
    assert len(worker._runs) == worker.MAX_RUNS
    assert "run 0" not in worker._runs
    for number in range(worker.MAX_RUNS + 1):
        worker.leave(f"run {number}")
