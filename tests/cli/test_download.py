"""Bodies that go to files: whole or not at all, and how an interrupted one is gone on with."""

from __future__ import annotations

import json
import os
import select
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from servers import Nginx

import httpx_fast
from httpx_fast._cli.download import Download, remote_name
from httpx_fast._cli.usage import UsageError
from httpx_fast.testing import Close, FaultLab, Hold, LocalServer, Read, Send, response

CONTENT = bytes(range(256)) * 40
TAG = ("ETag", '"v1"')


def head(size: int, *fields: tuple[str, str], status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {size}", *(f"{name}: {value}" for name, value in fields)]
    return "\r\n".join([*lines, "", ""]).encode()


def cut_off(*fields: tuple[str, str], sent: int = 4000) -> list[Any]:
    """A server that breaks off within the body."""
    return [Read(), Send(head(len(CONTENT), *fields) + CONTENT[:sent]), Close()]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def field(lab: FaultLab, name: str) -> str | None:
    return lab.requests[-1].field(name)


def test_body_goes_to_a_file_and_nothing_else_is_left(run: Any, server: LocalServer, tmp_path: Path) -> None:
    for option in ("-o", "--download"):
        file = tmp_path / "data"
        ran = run(f"{server.url}/bytes/100000", option, str(file))
        assert (ran.code, ran.out) == (0, "")
        assert ran.err.splitlines()[0] == "HTTP/1.1 200 OK"
        assert ran.err.splitlines()[-1] == f"<100000 bytes saved to {file}>"
        assert file.read_bytes() == (bytes(range(256)) * 391)[:100_000]
        assert names(tmp_path) == ["data"]


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
def test_permissions_are_those_of_the_file_before_or_the_usual_ones(
    run: Any, server: LocalServer, tmp_path: Path
) -> None:
    before, fresh = tmp_path / "before", tmp_path / "fresh"
    before.write_bytes(b"old")
    before.chmod(0o640)
    mask = os.umask(0o027)
    try:
        for file in (before, fresh):
            assert run("-so", str(file), f"{server.url}/bytes/10").code == 0
    finally:
        os.umask(mask)
    assert [stat.S_IMODE(each.stat().st_mode) for each in (before, fresh)] == [0o640, 0o640]


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege")
def test_link_stays_a_link_and_a_device_a_device(run: Any, server: LocalServer, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to("target")
    assert run("-so", str(link), f"{server.url}/bytes/10").code == 0
    assert link.is_symlink()
    assert (tmp_path / "target").read_bytes() == bytes(range(10))
    assert run("-so", "/dev/null", f"{server.url}/bytes/10").code == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


@pytest.mark.parametrize("option", ["-o", "--download"])
def test_error_within_the_body_leaves_the_file_as_it_was(run: Any, tmp_path: Path, option: str) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"precious")
    with FaultLab() as lab:
        lab.serve(cut_off())
        ran = run("-s", lab.url("/data"), option, str(file))
    assert ran.code == 18
    assert file.read_bytes() == b"precious"
    assert names(tmp_path) == ["data"]


def test_error_within_the_body_is_told_with_what_was_kept(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), cut_off())
        told = run(lab.url("/data"), "-o", str(file)).err.splitlines()
        assert f"<4000 bytes kept in {file}.part, there is no {file}; --resume goes on from there>" in told
        assert names(tmp_path) == ["data.part", "data.part.json"]
        file.write_bytes(b"precious")
        told = run(lab.url("/data"), "-o", str(file)).err.splitlines()
        assert f"<{file} was not written, {file} is as it was>" in told


@pytest.mark.parametrize(
    ("status", "option", "saved"), [("404", "-o", True), ("404", "--download", False), ("500", "--download", False)]
)
def test_error_status_is_saved_by_curls_option_only(
    run: Any, server: LocalServer, tmp_path: Path, status: str, option: str, saved: bool
) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"precious")
    ran = run(f"{server.url}/status/{status}", option, str(file))
    assert ran.code == 0
    assert file.read_bytes() == (b"" if saved else b"precious")
    assert (f"<status {status}: nothing is saved, {file} is as it was>" in ran.err) is not saved
    file.write_bytes(b"precious")
    assert run("-sf", f"{server.url}/status/{status}", option, str(file)).code == 22
    assert file.read_bytes() == b"precious"


VALIDATORS = [TAG, ("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT")]


@pytest.mark.parametrize("validator", VALIDATORS, ids=["etag", "date"])
def test_resumed_download_asks_for_the_rest_only(run: Any, tmp_path: Path, validator: tuple[str, str]) -> None:
    file = tmp_path / "data"
    told = (validator, ("Date", "Sat, 28 Nov 2026 12:00:00 GMT"))
    span = ("Content-Range", f"bytes 4000-{len(CONTENT) - 1}/{len(CONTENT)}")
    rest = head(len(CONTENT) - 4000, span, *told, status="206 Partial Content") + CONTENT[4000:]
    with FaultLab() as lab:
        lab.serve(cut_off(*told), [Read(), Send(rest)])
        assert run("-s", lab.url("/data"), "--download", str(file)).code == 18
        assert field(lab, "Range") is None
        assert field(lab, "Accept-Encoding") == "identity"
        ran = run(lab.url("/data"), "--download", str(file), "--resume")
        assert (field(lab, "Range"), field(lab, "If-Range")) == ("bytes=4000-", validator[1])
    assert ran.code == 0
    assert f"<{len(CONTENT)} bytes saved to {file}, the first 4000 of them from before>" in ran.err
    assert file.read_bytes() == CONTENT
    assert names(tmp_path) == ["data"]


def test_download_that_is_cut_off_again_keeps_all_that_came(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    rest = len(CONTENT) - 4000
    again = head(
        rest, TAG, ("Content-Range", f"bytes 4000-{len(CONTENT) - 1}/{len(CONTENT)}"), status="206 Partial Content"
    )
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), [Read(), Send(again + CONTENT[4000:6000]), Close()], cut_off())
        run("-s", lab.url("/data"), "-o", str(file))
        assert "<6000 bytes kept in" in run(lab.url("/data"), "-o", str(file), "--resume").err
        assert (tmp_path / "data.part").read_bytes() == CONTENT[:6000]
        run("-s", lab.url("/data"), "-o", str(file), "--resume")
        assert field(lab, "Range") == "bytes=6000-"


def test_content_that_changed_is_fetched_anew(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), [Read(), Send(head(3, ("ETag", '"v2"')) + b"new")])
        run("-s", lab.url("/data"), "-o", str(file))
        assert "<3 bytes saved" in run(lab.url("/data"), "-o", str(file), "--resume").err
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["data"]


def test_part_of_another_url_is_not_gone_on_with(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), [Read(), Send(response(b"other"))])
        run("-s", lab.url("/data?token=1"), "-o", str(file))
        assert "token" not in (tmp_path / "data.part.json").read_text()
        assert run("-s", lab.url("/data?token=2"), "-o", str(file), "--resume").code == 0
        assert field(lab, "Range") is None
    assert file.read_bytes() == b"other"


def test_download_that_lacked_nothing_is_finished(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    with FaultLab() as lab:
        nothing_more = head(0, ("Content-Range", "bytes */4000"), status="416 Range Not Satisfiable")
        lab.serve(cut_off(TAG), [Read(), Send(nothing_more)])
        run("-s", lab.url("/data"), "-o", str(file))
        # As if the process had been killed before it gave the file its name.
        facts = tmp_path / "data.part.json"
        facts.write_text(json.dumps(json.loads(facts.read_text()) | {"total": 4000}))
        assert "4000 bytes were there already" in run(lab.url("/data"), "-o", str(file), "--resume").err
    assert file.read_bytes() == CONTENT[:4000]
    assert names(tmp_path) == ["data"]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            head(2, ("Content-Range", "bytes 1-2/9"), status="206 Partial Content") + b"xx",
            "sent Content-Range 'bytes 1-2/9'",
        ),
        (head(2, status="206 Partial Content") + b"xx", "sent Content-Range ''"),
    ],
)
def test_range_that_was_not_asked_for_is_refused(run: Any, tmp_path: Path, answer: bytes, said: str) -> None:
    file = tmp_path / "data"
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), [Read(), Send(answer)])
        run("-s", lab.url("/data"), "-o", str(file))
        ran = run(lab.url("/data"), "-o", str(file), "--resume")
    assert ran.code == 33
    assert said in ran.err
    assert (tmp_path / "data.part").read_bytes() == CONTENT[:4000]
    assert names(tmp_path) == ["data.part", "data.part.json"]


OTHER = [
    head(0, ("Content-Range", "bytes */10"), status="416 Range Not Satisfiable"),
    # The size of what is there, which is not all that there was to be.
    head(0, ("Content-Range", "bytes */4000"), status="416 Range Not Satisfiable"),
    head(2, ("Content-Range", "bytes 4000-4001/4002"), TAG, status="206 Partial Content") + b"xx",
    head(
        len(CONTENT) - 4000,
        ("Content-Range", f"bytes 4000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("ETag", '"v2"'),
        status="206 Partial Content",
    )
    + bytes(len(CONTENT) - 4000),
    head(
        len(CONTENT) - 4000,
        ("Content-Range", f"bytes 4000-{len(CONTENT) - 1}/{len(CONTENT)}"),
        ("ETag", '"\xe9"'),
        status="206 Partial Content",
    )
    + bytes(len(CONTENT) - 4000),
]


@pytest.mark.parametrize("answer", OTHER, ids=["416", "416 of its size", "total", "etag", "etag beyond ASCII"])
def test_the_rest_of_another_version_is_never_put_after_what_is_there(run: Any, tmp_path: Path, answer: bytes) -> None:
    """Some servers do not look at If-Range."""
    file = tmp_path / "data"
    with FaultLab() as lab:
        lab.serve(cut_off(TAG), [Read(), Send(answer)], [Read(), Send(head(3, ("ETag", '"v2"')) + b"new")])
        run("-s", lab.url("/data"), "-o", str(file))
        ran = run(lab.url("/data"), "-o", str(file), "--resume")
        assert ran.code == 33
        assert "are of no use" in ran.err
        assert names(tmp_path) == []
        assert run(lab.url("/data"), "-o", str(file), "--resume").code == 0
        assert field(lab, "Range") is None
    assert file.read_bytes() == b"new"


def test_an_entity_tag_beyond_ascii_is_gone_on_with(run: Any, tmp_path: Path) -> None:
    file = tmp_path / "data"
    tag = ("ETag", '"v\xe9"')
    span = ("Content-Range", f"bytes 4000-{len(CONTENT) - 1}/{len(CONTENT)}")
    first = head(len(CONTENT), tag).decode().encode("latin-1") + CONTENT[:4000]
    rest = head(len(CONTENT) - 4000, span, tag, status="206 Partial Content").decode().encode("latin-1")
    with FaultLab() as lab:
        lab.serve([Read(), Send(first), Close()], [Read(), Send(rest + CONTENT[4000:])])
        assert run("-s", lab.url("/data"), "-o", str(file)).code == 18
        assert run(lab.url("/data"), "-o", str(file), "--resume").code == 0
        assert field(lab, "If-Range") is not None
    assert file.read_bytes() == CONTENT


@pytest.mark.parametrize(
    "fields",
    [
        [("ETag", 'W/"v1"')],
        [("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT")],
        [("Last-Modified", "Sat, 28 Nov 2026 10:00:00 GMT"), ("Date", "Sat, 28 Nov 2026 10:00:00 GMT")],
        [TAG, ("Accept-Ranges", "none")],
        [TAG, ("Content-Encoding", "unheard-of")],
    ],
    ids=["weak", "no date", "same second", "no ranges", "coded"],
)
def test_nothing_is_kept_that_could_not_be_gone_on_with(
    run: Any, tmp_path: Path, fields: list[tuple[str, str]]
) -> None:
    with FaultLab() as lab:
        lab.serve(cut_off(*fields))
        assert run("-s", lab.url("/data"), "-o", str(tmp_path / "data")).code == 18
    assert names(tmp_path) == []


def test_nginx_takes_what_resume_asks_for(run: Any, nginx: Nginx, tmp_path: Path) -> None:
    file, url = tmp_path / "data", nginx.url("/gzip.json.gz")
    with httpx_fast.Client() as client:
        whole = client.get(url, headers={"Accept-Encoding": "identity"})
    interrupted = Download(str(file), url, resume=False, only_success=True)
    assert interrupted.begin(whole) is None
    interrupted.write(whole.content[:100])
    assert "100 bytes kept" in str(interrupted.abandon())
    ran = run(url, "--download", str(file), "--resume", "-v")
    assert ran.code == 0
    assert "Range: bytes=100-" in ran.err
    assert "HTTP/1.1 206 Partial Content" in ran.err
    assert file.read_bytes() == whole.content


@pytest.mark.parametrize(
    ("path", "name"),
    [("http://h/a/b.txt", "b.txt"), ("http://h/b%20c", "b%20c"), ("http://h/..%2f", "..%2f")],
)
def test_remote_name_is_the_last_segment_of_the_path(path: str, name: str) -> None:
    assert remote_name(path) == name


@pytest.mark.parametrize("path", ["http://h/", "http://h/a/", "http://h/a/.."])
def test_url_that_names_no_file_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="the URL names no file"):
        remote_name(path)


def test_remote_name_is_used_without_query(run: Any, server: LocalServer, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("-sO", f"{server.url}/bytes/10?a/b#c/d").code == 0
    assert names(tmp_path) == ["10"]


def await_part(folder: Path, process: subprocess.Popen[str]) -> None:
    """Waits until the command has written some of the body."""
    give_up = time.monotonic() + 60
    while not any(each.stat().st_size for each in folder.glob("data.part")):
        assert process.poll() is None, "the command ended"
        assert time.monotonic() < give_up
        select.select([], [], [], 0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "code", "said"), [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "terminated")])
def test_interrupt_keeps_what_came_and_the_file_that_was_there(
    tmp_path: Path, environment: Any, number: str, code: int, said: str
) -> None:
    file = tmp_path / "data"
    file.write_bytes(b"precious")
    with FaultLab() as lab:
        lab.serve(Read(), Send(head(len(CONTENT), TAG) + CONTENT[:4000]), Hold())
        command = [sys.executable, "-m", "httpx_fast", "-o", str(file), "--timeout", "60", lab.url("/data")]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment()) as process:
            try:
                await_part(tmp_path, process)
                process.send_signal(signal.Signals[number])
                err = process.communicate(timeout=60)[1]
            finally:
                process.kill()
                lab.release()
    assert process.returncode == code
    assert err.splitlines()[-1] == said
    assert "bytes kept in" in err
    assert "Traceback" not in err
    assert file.read_bytes() == b"precious"
    assert CONTENT.startswith((tmp_path / "data.part").read_bytes())
    assert names(tmp_path) == ["data", "data.part", "data.part.json"]
