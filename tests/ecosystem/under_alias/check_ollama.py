"""Ollama's client: answers, streams of lines, uploads of files, and its errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import ollama
import pytest

from httpx_fast.testing import Reply, Request

JSON = [("Content-Type", "application/json")]


def answer(request: Request) -> Reply:
    if request.target == "/api/generate" and json.loads(request.body).get("stream"):
        lines = [b'{"response":"Hel","done":false}\n{"resp', b'onse":"lo","done":true}\n']
        return Reply(200, [("Content-Type", "application/x-ndjson")], lines)
    if request.target == "/api/generate":
        return Reply(200, JSON, b'{"response":"Hello","done":true}')
    if request.target.startswith("/api/blobs/"):
        return Reply(404 if request.method == "HEAD" else 201, JSON, b"" if request.method == "HEAD" else b"{}")
    return Reply(404, JSON, b'{"error":"model not found"}')


def test_blocking(serve, tmp_path: Path):
    site = serve(answer)
    with contextlib.closing(ollama.Client(host=site.url)) as client:
        assert client.generate("m", "hi")["response"] == "Hello"
        assert "".join(part["response"] for part in client.generate("m", "hi", stream=True)) == "Hello"
        file = tmp_path / "blob"
        file.write_bytes(b"x" * 100_000)
        client.create_blob(file)
        assert site.seen[-1].body == file.read_bytes()
        with pytest.raises(ollama.ResponseError, match="model not found"):
            client.chat("m", [])


def test_asynchronous(serve):
    site = serve(answer)

    async def ask() -> tuple[str, str]:
        async with ollama.AsyncClient(host=site.url) as client:
            whole = await client.generate("m", "hi")
            stream = await client.generate("m", "hi", stream=True)
            return whole["response"], "".join([part["response"] async for part in stream])

    assert asyncio.run(ask()) == ("Hello", "Hello")


def test_a_server_that_is_not_there_is_a_connection_error():
    client = ollama.Client(host="http://127.0.0.1:1")
    with contextlib.closing(client), pytest.raises(ConnectionError, match="connect to Ollama"):
        client.list()
