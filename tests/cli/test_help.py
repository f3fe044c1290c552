"""Help, manual page and completions: made of one table, complete, and good for what reads them."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from httpx_fast._cli import bulk
from httpx_fast._cli.arguments import parse
from httpx_fast._cli.completion import completion
from httpx_fast._cli.help_text import help_text, manual_page
from httpx_fast._cli.options import EXAMPLES, EXIT_CODES, GROUPS, OPTIONS

PAGE = (Path(__file__).parents[2] / "docs" / "guide" / "command-line.md").read_text(encoding="utf-8")


def needed(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        reason = f"{program} is not installed (Debian: apt-get install {program})"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    return str(path)


@pytest.mark.parametrize("columns", [40, 80, 100, 200])
def test_help_fits_into_the_terminal(columns: int) -> None:
    lines = help_text(columns)
    examples = lines.index("Examples:")
    # Commands stay whole, to be copied.
    assert max(map(len, lines[:examples])) <= min(columns, 100)
    assert all(f"  {command}" in lines[examples:] for command, _ in EXAMPLES)


def test_help_has_every_option_in_its_group_and_ten_examples() -> None:
    text = "\n".join(help_text(100))
    assert [text.index(f"\n{group}:\n") for group in GROUPS] == sorted(text.index(f"\n{group}:\n") for group in GROUPS)
    for option in OPTIONS:
        assert option.usage in text
        assert option.group in GROUPS
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("command", [command for command, _ in EXAMPLES])
def test_examples_are_commands_that_make_sense(command: str, tmp_path: Path) -> None:
    words = shlex.split(command.partition(" | ")[0])
    assert words[0] == "httpx-fast"
    assert parse(words[1:]).url is not None


def test_names_of_options_are_used_once() -> None:
    names = [name for option in OPTIONS for name in option.names if option.kind != "listed"]
    assert len(names) == len(set(names))


def test_exit_codes_of_the_documentation_are_those_of_the_help() -> None:
    table = PAGE[PAGE.index("| Exit code |") :]
    told: dict[int, str] = {}
    for codes, meanings in re.findall(r"^\| ([\d, ]+) \| (.*) \|$", table, re.MULTILINE):
        numbers = [int(code) for code in codes.split(",")]
        told |= dict.fromkeys(numbers, meanings)
    assert set(told) == set(EXIT_CODES)
    assert [told[code] for code in told if code in (0, 1, 2, 3, 7, 22, 28, 33, 47, 61, 97, 130)] == [
        EXIT_CODES[code] for code in (0, 1, 2, 3, 7, 22, 28, 33, 47, 61, 97, 130)
    ]


def test_manual_page_has_what_the_help_has(run: Any) -> None:
    page = manual_page()
    assert run("--man").out == page
    for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS", "EXAMPLES"):
        assert f"\n.SH {section}\n" in page
    assert page.count("\n.TP\n") >= len(OPTIONS) + len(EXIT_CODES) + len(EXAMPLES)


def test_manual_page_is_read_without_complaints() -> None:
    page = manual_page().encode()
    command = [needed("groff"), "-man", "-Tascii", "-P-c", "-ww"]
    done = subprocess.run(command, input=page, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    text = re.sub(r"\x1b\[[0-9;]*m|.\x08", "", done.stdout.decode())
    assert "-X, --request METHOD" in text
    assert "'NAME: VALUE'" in text


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_know_every_option(shell: str, run: Any) -> None:
    script = completion(shell)
    assert run("--completion", shell).out == script
    for option in OPTIONS:
        for name in option.names:
            told = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            assert (told if shell == "fish" else name) in script


def test_bulk_is_in_the_help_the_manual_page_and_the_completions() -> None:
    names = {name for option in bulk.options() for name in option.names}
    assert names == {
        *("--out", "--concurrency", "--rate", "--timeout", "--body", "--header", "--location", "--dask", "--overwrite")
    }
    text = "\n".join(help_text(100))
    assert "\nMany requests:\n  bulk FILE --out FILE [OPTION ...]\n" in text
    assert "httpx-fast bulk --help shows its options." in " ".join(text.split())
    page = manual_page().partition(".SS Many requests")[2].replace("\\-", "-")
    assert all(f".B {option.usage}" in page for option in bulk.options())
    for shell in ("bash", "zsh", "fish"):
        script = completion(shell)
        assert all((f"-l {name[2:]} " if shell == "fish" else name) in script for name in names)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_read_their_completions(shell: str, tmp_path: Path) -> None:
    file = tmp_path / "script"
    file.write_text(completion(shell), encoding="utf-8")
    done = subprocess.run([needed(shell), "-n", str(file)], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["httpx-fast", "--inc"], {"--include"}),
        (["httpx-fast", "-X", "P"], {"POST", "PUT", "PATCH"}),
        (["httpx-fast", "-o", "file-"], {"file-one", "file-two"}),
        (["httpx-fast", "--completion", ""], {"bash", "zsh", "fish"}),
        (["httpx-fast", "-A", "x"], set()),
        (["httpx-fast", "bu"], {"bulk"}),
        (["httpx-fast", "bulk", "--o"], {"--out", "--overwrite"}),
        (["httpx-fast", "bulk", "--body", ""], {"text", "base64", "none"}),
        (["httpx-fast", "bulk", "urls.txt", "--out", "file-"], {"file-one", "file-two"}),
        (["httpx-fast", "--header", "bulk", "--o"], {"--output"}),
    ],
)
def test_bash_completes(words: list[str], completed: set[str], tmp_path: Path) -> None:
    for name in ("file-one", "file-two"):
        (tmp_path / name).touch()
    asked = " ".join(f"'{word}'" for word in words)
    script = f"{completion('bash')}\nCOMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}\n_httpx_fast\n"
    script += 'printf "%s\\n" "${COMPREPLY[@]}"\n'
    done = subprocess.run([needed("bash"), "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.stderr == ""
    assert set(done.stdout.split()) == completed
