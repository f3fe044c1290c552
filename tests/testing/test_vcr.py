"""Cassettes of vcrpy, without the alias: what transports exchange is recorded and played."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from libraries import needed

import httpx_fast
from httpx_fast.testing import LocalServer, Reply, Request
from httpx_fast.testing.vcr import patches


def reply(request: Request) -> Reply:
    return Reply(200, [("Set-Cookie", "a=1"), ("X-N", str(request.nth))], b"got " + request.body)


@pytest.mark.parametrize("own", [True, False], ids=["VCR", "use_cassette"])
def test_exchanges_are_recorded_and_played(backend, tmp_path: Path, own: bool):
    vcr: Any = needed("vcr")
    path = str(tmp_path / "c.yaml")

    async def body(url: str) -> tuple[str, str, str | None]:
        async with backend.client() as client:
            response = await client.post(url, content=backend.content([b"one ", b"two"]))
            return response.text, response.headers["x-n"], client.cookies.get("a")

    def cassette() -> Any:
        if own:
            return vcr.VCR(custom_patches=patches()).use_cassette(path)
        return vcr.use_cassette(path, custom_patches=patches())

    with LocalServer(tls=False, answer=reply) as server, cassette() as recorded:
        assert backend.run(body, server.url) == ("got one two", "1", "1")
    assert recorded.play_count == 0
    with cassette() as played:  # the server is gone
        assert backend.run(body, server.url) == ("got one two", "1", "1")
    assert played.play_count == 1


def test_what_is_not_on_the_cassette_is_refused(tmp_path: Path):
    vcr: Any = needed("vcr")
    recorder = vcr.VCR(custom_patches=patches(), record_mode="none")
    refused = pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException, match="play back this request")
    with recorder.use_cassette(str(tmp_path / "c.yaml")), refused:
        httpx_fast.get("http://127.0.0.1:1/")


def test_cassettes_nest_and_transports_are_left_as_they_were(tmp_path: Path):
    vcr: Any = needed("vcr")
    recorder = vcr.VCR(custom_patches=patches())
    before = httpx_fast.HTTPTransport.handle_request
    with LocalServer(tls=False, answer=reply) as server, recorder.use_cassette(str(tmp_path / "a.yaml")) as outer:
        httpx_fast.get(server.url)
        with recorder.use_cassette(str(tmp_path / "b.yaml")) as inner:
            httpx_fast.get(server.url)
    assert (len(outer), len(inner)) == (1, 1)
    assert httpx_fast.HTTPTransport.handle_request is before


def test_an_old_or_missing_vcrpy_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "vcr.stubs.httpx_stubs", None)
    with pytest.raises(ImportError, match=r"need vcrpy 8\.2 or later"):
        patches()
