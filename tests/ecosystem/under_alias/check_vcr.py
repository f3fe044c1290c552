"""vcrpy: records what transports do, and plays it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import vcr

from httpx_fast.testing import Reply


def recorded(serve):
    return serve(lambda request: Reply(200, [("Set-Cookie", "a=1"), ("X-N", str(request.nth))], b"from the server"))


def test_blocking_exchanges_are_recorded_and_played(serve, tmp_path: Path):
    site = recorded(serve)
    for _ in range(2):
        with vcr.use_cassette(str(tmp_path / "c.yaml")) as cassette, httpx.Client() as client:
            response = client.post(site.url, json={"a": 1})
        assert (response.text, response.headers["x-n"], client.cookies["a"]) == ("from the server", "1", "1")
    assert len(site.seen) == 1
    assert cassette.play_count == 1


def test_asynchronous_exchanges_are_recorded_and_played(serve, tmp_path: Path):
    site = recorded(serve)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(site.url)

    for _ in range(2):
        with vcr.use_cassette(str(tmp_path / "c.yaml")):
            assert asyncio.run(ask()).text == "from the server"
    assert len(site.seen) == 1


def test_what_is_not_on_the_cassette_is_refused(tmp_path: Path):
    with (
        vcr.use_cassette(str(tmp_path / "c.yaml"), record_mode="none"),
        pytest.raises(vcr.errors.CannotOverwriteExistingCassetteException, match="play back this request"),
    ):
        httpx.get("http://127.0.0.1:1/")
