"""`download()` and `Response.save()`: files that are whole or not there, continued only as the same version."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from either import done

import httpx_fast
from httpx_fast import DownloadError, HTTPStatusError

CONTENT = bytes(range(256)) * 8192  # 2 MiB
OTHER = bytes(reversed(CONTENT))
CHECKSUM = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"
TAG = b'ETag: "one"\r\n'
CODED = b"Content-Encoding: gzip\r\n"


class Stop(Exception):
    """Ends a download half-way, from its progress function."""


class Bar:
    """Keeps what it is told; raises once there are so many bytes."""

    def __init__(self, stop_at: float = float("inf")) -> None:
        self.seen: list[tuple[int, int | None]] = []
        self._stop_at = stop_at

    def __call__(self, size: int, total: int | None) -> None:
        self.seen.append((size, total))
        if size >= self._stop_at:
            raise Stop("stopped")


@pytest.fixture
def served(nginx):
    path = nginx.big_file.parent / "file"
    path.write_bytes(CONTENT)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    yield path
    path.unlink()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def left(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


async def download(client: Any, url: str, target: Any, **options: Any) -> Any:
    return await done(client.download(url, target, **options))


def test_a_file_is_whole_under_its_name_and_nothing_else_is_left(backend, nginx, served, target):
    async def body():
        bar = Bar()
        async with backend.client() as client:
            path = await download(client, nginx.url("/file"), str(target), progress=bar, checksum=CHECKSUM)
        assert path == target
        assert target.read_bytes() == CONTENT
        assert left(target) == ["target"]
        assert bar.seen[0] == (0, len(CONTENT))
        assert bar.seen[-1] == (len(CONTENT), len(CONTENT))
        assert bar.seen == sorted(bar.seen)

    backend.run(body)


def test_an_interrupted_download_goes_on_where_it_ended(backend, nginx, served, target):
    async def body():
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await download(client, nginx.url("/file"), target, resume=True, progress=Bar(1_000_000))
            assert left(target) == ["target.part", "target.part.json"]
            kept = (target.parent / "target.part").stat().st_size
            assert 1_000_000 <= kept < len(CONTENT)
            bar = Bar()
            await download(client, nginx.url("/file"), target, resume=True, progress=bar, checksum=CHECKSUM)
        assert bar.seen[0] == (kept, len(CONTENT))
        assert target.read_bytes() == CONTENT
        assert left(target) == ["target"]

    backend.run(body)


def test_another_version_is_downloaded_from_its_beginning(backend, nginx, served, target):
    async def body():
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await download(client, nginx.url("/file"), target, resume=True, progress=Bar(1_000_000))
            served.write_bytes(OTHER)
            bar = Bar()
            await download(client, nginx.url("/file"), target, resume=True, progress=bar)
        assert bar.seen[0] == (0, len(OTHER))
        assert target.read_bytes() == OTHER
        assert left(target) == ["target"]

    backend.run(body)


def test_without_resume_an_error_leaves_nothing_and_the_old_file(backend, nginx, served, target):
    async def body():
        target.write_bytes(b"old")
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await download(client, nginx.url("/file"), target, progress=Bar(1_000_000))
        assert target.read_bytes() == b"old"
        assert left(target) == ["target"]

    backend.run(body)


def test_a_part_survives_the_end_of_the_process(nginx, served, target):
    program = (
        "import httpx_fast, os, sys\n"
        "def progress(size, total):\n"
        "    if size >= 1000000: os._exit(7)\n"
        "httpx_fast.Client().download(sys.argv[1], sys.argv[2], resume=True, progress=progress)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program, nginx.url("/file"), str(target)], check=False)
    assert ended.returncode == 7
    assert left(target) == ["target.part", "target.part.json"]
    bar = Bar()
    with httpx_fast.Client() as client:
        client.download(nginx.url("/file"), target, resume=True, progress=bar, checksum=CHECKSUM)
    assert 0 < bar.seen[0][0] < len(CONTENT)
    assert target.read_bytes() == CONTENT


def test_wrong_checksum_leaves_nothing(backend, nginx, served, target):
    async def body():
        served.write_bytes(OTHER)
        async with backend.client() as client:
            with pytest.raises(DownloadError, match="the content's sha256 is ") as caught:
                await download(client, nginx.url("/file"), target, resume=True, checksum=CHECKSUM)
            assert str(caught.value.request.url) == nginx.url("/file")
        assert left(target) == []

    backend.run(body)


def test_error_of_the_server_leaves_what_was_there(backend, nginx, served, target):
    async def body():
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await download(client, nginx.url("/file"), target, resume=True, progress=Bar(1_000_000))
            served.rename(served.with_name("elsewhere"))
            try:
                with pytest.raises(HTTPStatusError, match="404"):
                    await download(client, nginx.url("/file"), target, resume=True)
            finally:
                served.with_name("elsewhere").rename(served)
            assert left(target) == ["target.part", "target.part.json"]
            await download(client, nginx.url("/file"), target, resume=True)
        assert target.read_bytes() == CONTENT

    backend.run(body)


def keep(target, url: str, content: bytes, total: int | None, validator: str = '"one"') -> None:
    """Writes what an earlier attempt has left."""
    facts = {"url": hashlib.sha256(url.encode()).hexdigest(), "validator": validator, "total": total}
    (target.parent / "target.part").write_bytes(content)
    (target.parent / "target.part.json").write_text(json.dumps(facts))


def answer(status: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n%b" % (status, b"".join(fields), len(body), body)


def asked_with(requests: list[bytes], *answers: bytes):
    def script(dialogue):
        for each in answers:
            requests.append(dialogue.read_request())
            dialogue.send(each)

    return script


WHOLE = answer(b"200 OK", TAG, body=b"0123456789")


@pytest.mark.parametrize(
    "first",
    [
        answer(b"206 Partial Content", b"Content-Range: bytes 4-9/10\r\n", b'ETag: "two"\r\n', body=b"xxxxxx"),
        answer(b"206 Partial Content", b"Content-Range: bytes 4-11/12\r\n", TAG, body=b"xxxxxxxx"),
        answer(
            b"206 Partial Content", b"Content-Range: bytes 4-9/10\r\nContent-Encoding: gzip\r\n", TAG, body=b"xxxxxx"
        ),
        answer(b"416 Range Not Satisfiable", b"Content-Range: bytes */4\r\n", TAG),
        answer(b"416 Range Not Satisfiable", b"Content-Range: bytes */3\r\n", TAG),
        answer(b"416 Range Not Satisfiable"),
    ],
    ids=["other tag", "other size", "coded", "complete by size alone", "shorter", "no range"],
)
def test_part_of_another_version_is_never_continued(backend, peer, target, first):
    """Of servers that heed Range and not If-Range: the part is removed, and all of it is asked for."""
    requests: list[bytes] = []
    server = peer(asked_with(requests, first, WHOLE), asked_with(requests, WHOLE))

    async def body():
        keep(target, server.url("/"), b"0123", 10)
        async with backend.client() as client:
            await download(client, server.url("/"), target, resume=True)
        assert target.read_bytes() == b"0123456789"
        assert left(target) == ["target"]

    backend.run(body)
    assert b'Range: bytes=4-\r\nIf-Range: "one"\r\n' in requests[0]
    assert b"Accept-Encoding: identity\r\n" in requests[0]
    assert b"Range" not in requests[1]


def test_part_that_is_complete_gets_its_name(backend, peer, target):
    server = peer(asked_with([], answer(b"416 Range Not Satisfiable", b"Content-Range: bytes */4\r\n", TAG)))

    async def body():
        keep(target, server.url("/"), b"0123", 4)
        async with backend.client() as client:
            checksum = f"md5:{hashlib.md5(b'0123').hexdigest().upper()}"
            await download(client, server.url("/"), target, resume=True, checksum=checksum)
        assert target.read_bytes() == b"0123"
        assert left(target) == ["target"]

    backend.run(body)


def test_rest_without_validator_is_taken_at_its_word(backend, peer, target):
    rest = answer(b"206 Partial Content", b"Content-Range: bytes 4-9/10\r\n", body=b"456789")
    server = peer(asked_with([], rest))

    async def body():
        keep(target, server.url("/"), b"0123", 10)
        async with backend.client() as client:
            await download(client, server.url("/"), target, resume=True)
        assert target.read_bytes() == b"0123456789"

    backend.run(body)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            b"Content-Range: bytes 3-9/10\r\n",
            "expected the bytes from 4 on, the server sent Content-Range 'bytes 3-9/10'",
        ),
        (b"", "expected the bytes from 4 on, the server sent Content-Range ''"),
        (b"Content-Range: bytes 4-7/10\r\n", "the server sent 8 bytes of 10"),
    ],
)
def test_range_that_was_not_asked_for_is_refused_and_the_part_kept(backend, peer, target, fields, message):
    server = peer(asked_with([], answer(b"206 Partial Content", fields, TAG, body=b"4567")))

    async def body():
        keep(target, server.url("/"), b"0123", 10)
        async with backend.client() as client:
            with pytest.raises(DownloadError, match=message):
                await download(client, server.url("/"), target, resume=True)
        assert left(target) == ["target.part", "target.part.json"]

    backend.run(body)


@pytest.mark.parametrize(
    "fields",
    [
        b"",
        b'ETag: W/"weak"\r\n',
        b"Last-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\n",
        TAG + b"Accept-Ranges: none\r\n",
    ],
    ids=["nothing", "weak", "changed this second", "no ranges"],
)
def test_what_cannot_be_recognized_later_is_not_kept(backend, peer, target, fields):
    server = peer(asked_with([], answer(b"200 OK", fields, body=b"0123456789")))

    async def body():
        async with backend.client() as client:
            with pytest.raises(Stop, match="stopped"):
                await download(client, server.url("/"), target, resume=True, progress=Bar(1))
        assert left(target) == []

    backend.run(body)


@pytest.mark.parametrize("facts", ["", "[]", "null", '{"url": 5}', '{"validator": "\\"one\\""}'])
def test_notes_that_say_nothing_are_not_heeded(backend, peer, target, facts):
    requests: list[bytes] = []
    server = peer(asked_with(requests, WHOLE))

    async def body():
        (target.parent / "target.part").write_bytes(b"abc")
        (target.parent / "target.part.json").write_text(facts)
        async with backend.client() as client:
            await download(client, server.url("/"), target, resume=True)
        assert target.read_bytes() == b"0123456789"
        assert left(target) == ["target"]

    backend.run(body)
    assert b"Range" not in requests[0]


def test_part_of_another_url_is_not_continued(backend, peer, target):
    requests: list[bytes] = []
    server = peer(asked_with(requests, WHOLE))

    async def body():
        keep(target, server.url("/other"), b"abcd", 10)
        async with backend.client() as client:
            await download(client, server.url("/"), target, resume=True)
        assert target.read_bytes() == b"0123456789"

    backend.run(body)
    assert b"Range" not in requests[0]


def test_two_downloads_never_write_to_one_part(backend, peer, target):
    fcntl = pytest.importorskip("fcntl", reason="files are not locked on Windows")
    server = peer(asked_with([], WHOLE))

    async def body():
        with (target.parent / "target.part").open("ab") as other:
            fcntl.flock(other, fcntl.LOCK_EX)
            async with backend.client() as client:
                with pytest.raises(DownloadError, match=r"^another download writes to '.*target\.part'$"):
                    await download(client, server.url("/"), target)
        assert not target.exists()

    backend.run(body)


def test_body_that_ends_early_is_kept_for_later(backend, peer, target):
    cut = b'HTTP/1.1 200 OK\r\nETag: "one"\r\nContent-Length: 10\r\n\r\n0123'
    rest = answer(b"206 Partial Content", b"Content-Range: bytes 4-9/10\r\n", TAG, body=b"456789")
    server = peer(asked_with([], cut), asked_with([], rest))

    async def body():
        async with backend.client() as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match=r"4 of 10|closed"):
                await download(client, server.url("/"), target, resume=True)
            await download(client, server.url("/"), target, resume=True)
        assert target.read_bytes() == b"0123456789"

    backend.run(body)


def test_a_response_is_saved_decoded(backend, nginx, target):
    async def body():
        async with backend.client() as client, client.stream("GET", nginx.url("/gzip.json")) as response:
            assert response.headers["Content-Encoding"] == "gzip"
            save = response.asave if backend.asynchronous else response.save
            assert await done(save(target)) == target
            assert response.is_closed
        async with backend.client() as client:
            response = await client.get(nginx.url("/gzip.json"))
            assert target.read_bytes() == response.content
            save = response.asave if backend.asynchronous else response.save
            await done(save(target.with_name("again")))
        assert target.with_name("again").read_bytes() == target.read_bytes()

    backend.run(body)


def test_mode_of_the_old_file_and_the_link_to_it_stay(nginx, served, target):
    target.write_bytes(b"old")
    target.chmod(0o640)
    link = target.with_name("link")
    link.symlink_to(target)
    with httpx_fast.Client() as client:
        assert client.download(nginx.url("/file"), link) == target
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes() == CONTENT


def test_progress_may_be_asynchronous(nginx, served, target):
    import asyncio

    seen = []

    async def progress(size, total):
        await asyncio.sleep(0)
        seen.append(size)

    async def body():
        async with httpx_fast.AsyncClient() as client:
            await client.download(nginx.url("/file"), target, progress=progress)

    asyncio.run(body())
    assert seen[-1] == len(CONTENT)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"progress": 5}, TypeError, "expected a callable or None as progress, got 5"),
        ({"checksum": 5}, TypeError, "expected text like 'sha256:<hexadecimal digits>' as checksum, got 5"),
        ({"checksum": "abc"}, ValueError, "and a hexadecimal digest as checksum, got 'abc'"),
        ({"checksum": "sha256:abc"}, ValueError, "and a hexadecimal digest as checksum, got 'sha256:abc'"),
        ({"checksum": "none:00"}, ValueError, "and a hexadecimal digest as checksum, got 'none:00'"),
        ({"headers": {"range": "bytes=0-"}}, ValueError, "Range is in headers; download"),
    ],
)
def test_bad_arguments_are_refused(backend, nginx, target, options, error, message):
    async def body():
        async with backend.client() as client:
            with pytest.raises(error, match=message):
                await download(client, nginx.url("/tiny"), target, **options)
            with pytest.raises(IsADirectoryError, match="got that of a directory"):
                await download(client, nginx.url("/tiny"), target.parent)
            with pytest.raises(FileNotFoundError, match="in a directory that exists"):
                await download(client, nginx.url("/tiny"), target / "below")
            with pytest.raises(ValueError, match="got that of a device or a pipe: '/dev/null'"):
                await download(client, nginx.url("/tiny"), "/dev/null")
        assert left(target) == []

    backend.run(body)
