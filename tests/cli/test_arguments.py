"""What command lines mean, and which of them are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from httpx_fast._cli import command
from httpx_fast._cli.arguments import Data, parse
from httpx_fast._cli.items import complete_url, read_items
from httpx_fast._cli.usage import UsageError
from httpx_fast.testing import LocalServer

URL = "http://localhost/"


@pytest.mark.parametrize(
    ("words", "data"),
    [
        # curl's form: not a plain word, or nothing follows that could be its value.
        (["-d", "a=1", URL], [Data("data", "a=1")]),
        (["-d", "hello", URL], [Data("data", "hello")]),
        (["-d", "hello", "localhost:8801/x"], [Data("data", "hello")]),
        (["-d", "hello", ":8801"], [Data("data", "hello")]),
        ([URL, "-d", "hello"], [Data("data", "hello")]),
        ([URL, "-d", "hello", "-v"], [Data("data", "hello")]),
        (["-dhello", URL], [Data("data", "hello")]),
        (["--data=hello", URL], [Data("data", "hello")]),
        (["-d", "{}", URL], [Data("data", "{}")]),
        (["-d", "", URL], [Data("data", "")]),
        (["PUT", URL, "-d", "hello"], [Data("data", "hello")]),
        # httpx's form
        ([URL, "-d", "name", "value"], [Data("pair", "value", "name")]),
        (["-d", "name", "value", URL], [Data("pair", "value", "name")]),
        ([URL, "-d", "target", "http://elsewhere/"], [Data("pair", "http://elsewhere/", "target")]),
        ([URL, "-d", "n", "-1"], [Data("pair", "-1", "n")]),
        ([URL, "-d", "a", "1", "-d", "b=2"], [Data("pair", "1", "a"), Data("data", "b=2")]),
        ([URL, "--data-raw", "name"], [Data("data-raw", "name")]),
    ],
)
def test_data_is_told_apart_by_what_follows(words: list[str], data: list[Data]) -> None:
    arguments = parse(words)
    assert arguments.data == data
    assert arguments.url in (URL, "http://localhost:8801/x", "http://localhost:8801")


def test_files_and_fail_are_told_apart_by_what_follows(tmp_path: Path) -> None:
    file = tmp_path / "a=b"
    file.touch()
    for words in (
        ["-f", URL],
        [URL, "-f"],
        ["-f", URL, "a=1"],
        ["-f", ":8801", "a=1"],
        ["-sfL", URL],
        ["-f", "-s", URL],
    ):
        arguments = parse(words)
        assert (arguments.fail, arguments.file_pairs) == (True, [])
    for words in ([URL, "-f", "upload", str(file)], ["-f", "upload", str(file), URL], [URL, "-f", "upload", "no-such"]):
        arguments = parse(words)
        assert (arguments.fail, len(arguments.file_pairs)) == (False, 1)


@pytest.mark.parametrize(
    ("words", "body", "listed"),
    [
        (["--json", '{"a": 1}', URL], {"a": 1}, False),
        (["--json", "-1", URL], -1, False),
        (["--json", "null", URL], None, False),
        (["--json=[1]", URL], [1], False),
        (["-j", '"text"', URL], "text", False),
        (["--journey", "--json", URL], None, True),
        ([URL, "--json"], None, True),
        (["--json", "127.0.0.1:80/x"], None, True),
        (["--json", "-n", "3", URL], None, True),
        (["--json", "[1]", "--json", URL], [1], True),
    ],
)
def test_json_with_a_value_is_a_body_and_without_one_a_way_to_show(words: list[str], body: Any, listed: bool) -> None:
    arguments = parse(words)
    assert (arguments.json, arguments.as_json) == (body, listed)


@pytest.mark.parametrize(
    ("word", "url"),
    [
        (":8801/path", "http://localhost:8801/path"),
        (":8801", "http://localhost:8801"),
        (":/path", "http://localhost/path"),
        (":", "http://localhost"),
        ("example.org/x?y=1", "http://example.org/x?y=1"),
        ("localhost:8801/x", "http://localhost:8801/x"),
        ("[::1]:80/x", "http://[::1]:80/x"),
        ("HTTPS://example.org", "HTTPS://example.org"),
    ],
)
def test_short_urls_are_completed(word: str, url: str) -> None:
    assert complete_url(word) == url
    assert parse([word]).url == url


def test_items_are_what_httpie_takes_them_for(tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    file.write_text("[1, 2]", encoding="ascii")
    items = read_items(
        [
            "a=1",
            "b:=2",
            "q==x y",
            "X-One:1",
            "Accept:",
            "X-Empty;",
            "f@/etc/hosts",
            f"c:=@{file}",
            f"d=@{file}",
            r"e\=f=g:h",
        ]
    )
    assert items.members == [("a", "1"), ("b", 2), ("c", [1, 2]), ("d", "[1, 2]"), ("e=f", "g:h")]
    assert items.params == [("q", "x y")]
    assert items.fields == ["X-One: 1", "Accept:", "X-Empty;"]
    assert items.files == [("f", "/etc/hosts")]


def test_items_make_the_request(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "note.txt"
    file.write_text("in the file", encoding="ascii")
    with LocalServer(tls=False) as server:
        port = f":{server.port}"

        def seen(*words: str) -> dict[str, Any]:
            told = json.loads(run("-s", *words).out)
            return {**told, "headers": {name.lower(): value for name, value in told["headers"].items()}}

        posted = seen(port, "a=1", "b:=[2]", "q==x", "X-One:1", "Accept:")
        assert (posted["method"], posted["target"], json.loads(posted["body"])) == (
            "POST",
            "/?q=x",
            {"a": "1", "b": [2]},
        )
        assert posted["headers"]["content-type"] == "application/json"
        assert posted["headers"]["x-one"] == "1"
        assert "accept" not in posted["headers"]
        assert seen("PUT", port, "a=1")["method"] == "PUT"
        assert seen(port, "X-One:1", "q==1")["method"] == "GET"
        assert seen("--urlencoded", port, "a=1", "a=2")["body"] == "a=1&a=2"
        form = seen(port, f"file@{file}", "title=Note")
        assert form["headers"]["content-type"].startswith("multipart/form-data; boundary=")
        assert 'filename="note.txt"' in form["body"]
        assert 'name="title"\r\n\r\nNote' in form["body"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["-v"], "a URL is missing", "--demo"),
        (["-d", "a=b"], "a URL is missing", "httpx-fast [OPTION ...] [METHOD] URL"),
        (["-d", "name", "example.org"], "a URL is missing", "-d took 'example.org' as the value of the field 'name'"),
        (["-f", "name", "example.org"], "a URL is missing", "-f took 'example.org' as the file of the field 'name'"),
        (["PUT"], "a URL is missing", "[METHOD] URL"),
        (["-d", "hello", "PUT", URL], "-d hello PUT may be a field and its value", "-X PUT -d hello"),
        (["--demo", URL], "--demo asks a server of its own, and takes no URL", "leave one"),
        (["-d", "name", "http://a/", URL], "expected one URL, got 'http://a/'", "-d NAME=VALUE"),
        ([URL, "http://other/"], "expected one URL", "-n sends it more than once"),
        ([URL, "nothing"], "expected one URL, and items like name=value", "name:=json"),
        (["a=1", URL], "expected a URL before items, got 'a=1'", "[METHOD] URL [ITEM ...]"),
        (["PUT", URL, "-X", "POST"], "two methods: POST and PUT", "one of them"),
        ([URL, "-h"], "-h needs NAME VALUE, got 0", "-h is for headers, as in httpx"),
        ([URL, "-h", "X-A"], "-h needs NAME VALUE, got 1", "--help shows the help"),
        ([URL, "-m", "5"], "-m: expected a method", "-m, --method METHOD"),
        ([URL, "-X"], "-X needs METHOD, got 0", "request method"),
        ([URL, "-X", "a b"], "-X: expected the name of a method", "request method"),
        ([URL, "-n", "0"], "-n: expected a count from 1 on, got '0'", "--number COUNT"),
        ([URL, "-n", "two"], "-n: expected a count from 1 on, got 'two'", "--number COUNT"),
        ([URL, "-j", "{"], "-j: expected JSON, got '{'", "JSON body"),
        ([URL, "--json", "{"], "--json: expected JSON, got '{'", "JSON body"),
        ([URL, "a:={"], "expected JSON as the value of 'a', got '{'", "write a=..."),
        ([URL, "--timeout", "-1"], "--timeout: expected seconds, got '-1'", "for each phase"),
        ([URL, "--max-time", "soon"], "--max-time: expected seconds, got 'soon'", "for all of a request"),
        ([URL, "--timeout", "nan"], "--timeout: expected seconds, got 'nan'", "for each phase"),
        ([URL, "--retry", "-1"], "--retry: expected a count from 0 on", "--retry COUNT"),
        ([URL, "-r", "x"], "-r: expected a range of bytes", "-r, --range FIRST-LAST"),
        ([URL, "--compare", "warm"], "--compare: expected cold,warm, got 'warm'", "--compare cold,warm"),
        ([URL, "--completion", "csh"], "--completion: expected bash, zsh or fish", "SHELL"),
        ([URL, "--nonsense"], "there is no option --nonsense", "--help"),
        ([URL, "--inclode"], "there is no option --inclode", "perhaps -i, --include"),
        ([URL, "-sZ"], "there is no option -Z in -sZ", "--help"),
        ([URL, "--silent=yes"], "--silent takes no value, got 'yes'", "-s, --silent"),
        ([URL, "-c", "x", "a=1"], "more than one body: -c, items", "one body"),
        ([URL, "-d", "a=1", "-F", "b=2"], "more than one body: -d, -F", "one body"),
        ([URL, "-I", "-d", "a=1"], "-I and -d do not go together", "leave one"),
        ([URL, "-G", "-c", "x"], "-G and -c do not go together", "leave one"),
        ([URL, "-o", "a", "-O"], "-o and -O do not go together", "one file"),
        ([URL, "--resume"], "--resume needs a file", "--download FILE --resume"),
        ([URL, "--resume", "-o", "a", "-r", "1-"], "--resume and -r do not go together", "leave one"),
        ([URL, "-n", "2", "-o", "a"], "-o needs a body", "leave one"),
        ([URL, "-u", "a:b", "--auth", "a", "b"], "-u and --auth do not go together", "leave one"),
        ([URL, "--digest"], "--digest needs a user", "-u USER:PASS"),
        ([URL, "--urlencoded", "a:=1"], "items with := are for JSON", "name=value is for both"),
    ],
)
def test_what_makes_no_sense_is_refused_in_two_lines(
    words: list[str], message: str, hint: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def send(*arguments: object) -> int:
        raise AssertionError("something was sent")

    monkeypatch.setattr(command, "_send", send)
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    lines = err.splitlines()
    assert len(lines) == 2
    assert lines[0].startswith(f"httpx-fast: {message}")
    assert hint in lines[1]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["-F", "novalue"], 2, "-F: expected name=content, got 'novalue'"),
        (["-H", "novalue"], 2, "-H: expected 'Name: value', got 'novalue'"),
        (["-b", "file"], 2, "-b: expected 'name=value', got 'file'"),
        (["--key", "x"], 2, "--key needs a certificate"),
        (["-c", "@no-such-file"], 26, "no-such-file cannot be read: No such file or directory"),
        (["-f", "name", "no-such-file"], 26, "no-such-file cannot be read"),
        (["--cacert", "no-such-file"], 77, "--cacert no-such-file cannot be used"),
        (["-k", "--cert", "no-such-file"], 58, "--cert no-such-file cannot be used: No such file or directory"),
        (["--proxy", "gopher://localhost/"], 1, "ValueError: expected a proxy URL"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_sent(
    words: list[str], code: int, message: str, run: Any, server: LocalServer, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = run(f"{server.url}/", *words)
    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err.splitlines()[0]
    assert len(ran.err.splitlines()) <= 2
    assert server.accepted == 0


def test_pairs_go_into_the_query_as_other_data_does(run: Any, server: LocalServer) -> None:
    told = json.loads(run("-s", "-G", "-d", "name", "a value", "-d", "b=2", f"{server.url}/?x=0").out)
    assert (told["method"], told["target"], told["body"]) == ("GET", "/?x=0&name=a+value&b=2", "")


def test_options_end_at_two_dashes() -> None:
    arguments = parse(["-v", "--", URL, "-name=1"])
    assert (arguments.url, arguments.items.members) == (URL, [("-name", "1")])


def test_a_usage_error_has_a_hint_if_nothing_else_is_said() -> None:
    assert UsageError("wrong").lines == ["httpx-fast: wrong", "httpx-fast --help shows all options"]
