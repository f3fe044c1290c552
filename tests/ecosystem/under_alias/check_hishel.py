"""hishel, for httpx and for httpx2: a cache around our transports."""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import pytest
from hishel import AsyncSqliteStorage, SqliteStorage

from httpx_fast.testing import Reply


@pytest.fixture(params=["httpx", "httpx2"])
def face(request: pytest.FixtureRequest):
    return importlib.import_module(f"hishel.{request.param}")


def cacheable(serve):
    fields = [("Cache-Control", "max-age=60"), ("ETag", '"1"')]
    return serve(lambda request: Reply(200, fields, b"counted"))


def test_blocking(face, serve, tmp_path: Path):
    site = cacheable(serve)
    storage = SqliteStorage(database_path=tmp_path / "cache.db")
    with face.CacheClient(storage=storage) as client:
        first, second = client.get(site.url), client.get(site.url)
    storage.close()
    assert (first.text, second.text, len(site.seen)) == ("counted", "counted", 1)
    assert [response.extensions["caching"]["from_cache"] for response in (first, second)] == [False, True]


def test_asynchronous(face, serve, tmp_path: Path):
    site = cacheable(serve)

    async def ask() -> list:
        storage = AsyncSqliteStorage(database_path=tmp_path / "cache.db")
        async with face.AsyncCacheClient(storage=storage) as client:
            responses = [await client.get(site.url), await client.get(site.url)]
        await storage.close()
        return responses

    first, second = asyncio.run(ask())
    assert (first.text, second.text, len(site.seen)) == ("counted", "counted", 1)
    assert second.extensions["caching"]["from_cache"]
