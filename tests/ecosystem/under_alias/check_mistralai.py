"""Mistral's SDK, which Speakeasy generates: it names types of httpx's private modules, and builds its requests."""

from __future__ import annotations

import asyncio
import json

import pytest
from mistralai.client import Mistral
from mistralai.client.errors import SDKError

from httpx_fast.testing import Reply, Request

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
FILE = {
    "id": "00000000-0000-0000-0000-000000000001",
    "object": "file",
    "bytes": 1,
    "created_at": 1,
    "filename": "a.jsonl",
    "purpose": "batch",
    "sample_type": "batch_request",
    "source": "upload",
}


def told(kind: str, name: str, content: str) -> str:
    choice = {"index": 0, name: {"role": "assistant", "content": content}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps({"id": "c", "object": kind, "created": 1, "model": "m", "choices": [choice], "usage": usage})


def answer(request: Request) -> Reply:
    json_type = [("Content-Type", "application/json")]
    if request.target == "/v1/files":
        return Reply(200, json_type, json.dumps(FILE).encode())
    if b'"bad"' in request.body:
        return Reply(400, json_type, b'{"message": "no such model"}')
    if json.loads(request.body).get("stream"):
        pieces = [f"data: {told('chat.completion.chunk', 'delta', text)}\n\n".encode() for text in ("Hel", "lo")]
        return Reply(200, [("Content-Type", "text/event-stream")], [*pieces, b"data: [DONE]\n\n"])
    return Reply(200, json_type, told("chat.completion", "message", "Hello").encode())


def test_blocking(serve):
    site = serve(answer)
    with Mistral(api_key="k", server_url=site.url) as client:
        assert client.chat.complete(**ASKED).choices[0].message.content == "Hello"
        said = "".join(event.data.choices[0].delta.content for event in client.chat.stream(**ASKED))
        client.files.upload(file={"file_name": "a.jsonl", "content": b"{}"})
        with pytest.raises(SDKError, match="no such model"):
            client.chat.complete(**{**ASKED, "model": "bad"})
    assert said == "Hello"
    assert b'filename="a.jsonl"' in site.seen[2].body
    assert site.seen[0].field("Authorization") == "Bearer k"


def test_asynchronous(serve):
    site = serve(answer)

    async def ask() -> str:
        async with Mistral(api_key="k", server_url=site.url) as client:
            stream = await client.chat.stream_async(**ASKED)
            return "".join([event.data.choices[0].delta.content async for event in stream])

    assert asyncio.run(ask()) == "Hello"
