"""The fuzz targets hold for their seeds, for what was found once, and for a while of mutation."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import kernel_calls
import pytest

pytest.importorskip("h11")
pytest.importorskip("hyperframe")
pytest.importorskip("httpx_fast._kernel.http1_c", reason="the targets compare the twins, and one was not compiled")

RUN = Path(__file__).with_name("run.py")
targets = kernel_calls.load_script(RUN.with_name("targets.py"))


def run(folder, *arguments):
    """The fuzzer in a process of its own; its seeds are fixed, so that a test does not fail by chance."""
    command = [sys.executable, str(RUN), "--corpus", str(folder / "corpus"), "--findings", str(folder / "findings")]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, cwd=folder)


@pytest.mark.parametrize("target", targets.TARGETS)
def test_targets_hold_for_a_while_of_mutation(tmp_path, target):
    done = run(tmp_path, target, "--mutate", "--seed", "9112", "--seconds", "0.4")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{target}: " in done.stdout
    assert "inputs, seed 9112" in done.stdout


def test_each_function_of_each_kernel_is_fuzzed(monkeypatch):
    """The seeds alone reach whatever a kernel offers; a kernel without a target, or one function of it, fails here."""
    calls = kernel_calls.count_calls(monkeypatch)
    for name, target in targets.TARGETS.items():
        for seed in targets.seeds(name):
            target(seed)
    assert [name for name, count in calls.items() if not count] == []


def test_the_command_knows_all_targets(tmp_path):
    help_text = " ".join(run(tmp_path, "--help").stdout.split())
    assert f"TARGET {', '.join(targets.TARGETS)} options:" in help_text


def test_finding_is_kept_and_can_be_tried_again(tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"\x00HTTP/1.1 200 OK\r\n\r\n")
    # A target that fails always, in place of the real one.
    code = (
        "import sys; sys.argv[0] = sys.argv.pop(1); import runpy, targets\n"
        "def fail(data): raise AssertionError('found')\n"
        "targets.TARGETS['head'] = fail\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    support = f"import sys; sys.path[:0] = [{str(RUN.parent)!r}, {str(RUN.parents[1] / 'support')!r}]\n"
    arguments = [str(RUN), "head", "--mutate", "--seconds", "1", "--findings", "found"]
    command = [sys.executable, "-c", support + code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "FAILED: head; the inputs are in found" in done.stdout
    (kept,) = (tmp_path / "found" / "head").iterdir()
    assert kept.read_bytes()
    assert run(tmp_path, "head", "--replay", str(wrong)).returncode == 0


def test_coverage_guides_the_fuzzer_where_atheris_is_installed(tmp_path):
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("atheris is not installed: it has wheels for CPython 3.11 to 3.13 on Linux and macOS")
    done = run(tmp_path, "chunks", "--seconds", "4", "--seed", "9112")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cov: " in done.stdout
    assert "inputs, seed 9112" in done.stdout, "what coverage does not see is not fuzzed"
    assert len(list((tmp_path / "corpus" / "chunks").iterdir())) > 0
