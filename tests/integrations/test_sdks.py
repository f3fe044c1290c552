"""SDKs that take a client of httpx2, or of httpx, run on ours, against local servers."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from libraries import Library, needed

from httpx_fast.testing import LocalServer, Reply, Request

# What the SDKs do with what they deprecate is their business.
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")

JSON = [("Content-Type", "application/json")]
EVENTS = [("Content-Type", "text/event-stream")]
CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
MESSAGES = {**CHAT, "max_tokens": 10}
USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": None, "usage": USAGE}
COMMIT = "0" * 40


@contextlib.contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[tuple[str, list[Request]]]:
    """The URL of a server that answers so, and what it was asked."""
    seen: list[Request] = []

    def note(request: Request) -> Reply:
        seen.append(request)
        return answer(request)

    with LocalServer(tls=False, answer=note) as server:
        yield f"http://127.0.0.1:{server.port}", seen


# OpenAI: takes clients of both packages.


def chunk(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
    return f"data: {json.dumps(told)}\n\n".encode()


def complete(request: Request) -> Reply:
    if json.loads(request.body).get("stream"):
        return Reply(200, EVENTS, [chunk("Hel"), chunk("lo")[:20], chunk("lo")[20:], b"data: [DONE]\n\n"])
    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [message]}
    return Reply(200, [*JSON, ("x-request-id", "r1")], json.dumps(told).encode())


@pytest.fixture
def openai() -> ModuleType:
    return needed("openai")


def test_openai(library: Library, openai: ModuleType):
    with serving(complete) as (url, seen):
        own = library.fast.FastClient()
        with openai.OpenAI(base_url=f"{url}/v1", api_key="k", http_client=own) as client:
            completion = client.chat.completions.create(**CHAT)
            with client.chat.completions.create(**CHAT, stream=True) as stream:
                said = "".join(part.choices[0].delta.content for part in stream)
        assert own.is_closed
    assert (completion.choices[0].message.content, completion._request_id, said) == ("Hello", "r1", "Hello")
    assert (seen[0].target, seen[0].field("Authorization")) == ("/v1/chat/completions", "Bearer k")
    assert [request.connection for request in seen] == [1, 1]


def test_openai_asynchronous(library: Library, openai: ModuleType):
    async def ask(url: str) -> tuple[str, str]:
        own = library.fast.AsyncFastClient()
        async with openai.AsyncOpenAI(base_url=url, api_key="k", http_client=own) as client:
            completion = await client.chat.completions.create(**CHAT)
            stream = await client.chat.completions.create(**CHAT, stream=True)
            said = "".join([part.choices[0].delta.content async for part in stream])
        return completion.choices[0].message.content, said

    with serving(complete) as (url, _):
        assert asyncio.run(ask(url)) == ("Hello", "Hello")


def test_openai_streams_are_left_early(library: Library, openai: ModuleType):
    with serving(complete) as (url, _):
        own = library.fast.FastClient()
        with openai.OpenAI(base_url=url, api_key="k", http_client=own) as client:
            with client.chat.completions.create(**CHAT, stream=True) as stream:
                assert next(iter(stream)).choices[0].delta.content == "Hel"
            assert own.pool.stats().leased == 0


def test_openai_knows_what_went_wrong(library: Library, openai: ModuleType):
    own = library.fast.FastClient(timeout=library.package.Timeout(30, read=0.05))
    with openai.OpenAI(base_url="http://127.0.0.1:1", api_key="k", max_retries=0, http_client=own) as client:
        with pytest.raises(openai.APIConnectionError, match="Connection error") as caught:
            client.chat.completions.create(**CHAT)
        assert isinstance(caught.value.__cause__, library.package.ConnectError)


def test_openai_uploads_files(library: Library, openai: ModuleType):
    told = {"id": "f", "object": "file", "bytes": 7, "created_at": 1, "filename": "n", "purpose": "p", "status": "ok"}
    with (
        serving(lambda request: Reply(200, JSON, json.dumps(told).encode())) as (url, seen),
        openai.OpenAI(base_url=url, api_key="k", http_client=library.fast.FastClient()) as client,
    ):
        assert client.files.create(file=("n.txt", b"content"), purpose="assistants").id == "f"
    assert b"\r\n\r\ncontent\r\n" in seen[0].body


# Anthropic: takes clients of httpx2.


def event(kind: str, **told: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **told})}\n\n".encode()


def reply(request: Request) -> Reply:
    if not json.loads(request.body).get("stream"):
        return Reply(200, JSON, json.dumps({**MESSAGE, "content": [{"type": "text", "text": "Hello"}]}).encode())
    whole = b"".join(
        [
            event("message_start", message={**MESSAGE, "content": []}),
            event("content_block_start", index=0, content_block={"type": "text", "text": ""}),
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": "Hel"}),
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": "lo"}),
            event("content_block_stop", index=0),
            event("message_delta", delta={"stop_reason": "end_turn"}, usage=USAGE),
            event("message_stop"),
        ]
    )
    return Reply(200, EVENTS, [whole[start : start + 50] for start in range(0, len(whole), 50)])


@pytest.fixture
def anthropic() -> ModuleType:
    return needed("anthropic")


def for_httpx2() -> ModuleType:
    needed("httpx2")
    from httpx_fast.integrations import httpx2

    return httpx2


def test_anthropic(anthropic: ModuleType):
    with serving(reply) as (url, seen):
        own = for_httpx2().FastClient()
        with anthropic.Anthropic(base_url=url, api_key="k", http_client=own) as client:
            message = client.messages.create(**MESSAGES)
            with client.messages.stream(**MESSAGES) as stream:
                said = "".join(stream.text_stream)
    assert (message.content[0].text, said) == ("Hello", "Hello")
    assert [request.connection for request in seen] == [1, 1]


def test_anthropic_asynchronous(anthropic: ModuleType):
    async def ask(url: str) -> tuple[str, str]:
        own = for_httpx2().AsyncFastClient()
        async with anthropic.AsyncAnthropic(base_url=url, api_key="k", http_client=own) as client:
            message = await client.messages.create(**MESSAGES)
            async with client.messages.stream(**MESSAGES) as stream:
                said = "".join([text async for text in stream.text_stream])
        return message.content[0].text, said

    with serving(reply) as (url, _):
        assert asyncio.run(ask(url)) == ("Hello", "Hello")


def test_anthropic_with_a_transport(anthropic: ModuleType):
    with serving(reply) as (url, _):
        own = anthropic.DefaultHttpxClient(transport=for_httpx2().FastTransport(http2=True))
        with anthropic.Anthropic(base_url=url, api_key="k", http_client=own) as client:
            assert client.messages.create(**MESSAGES).content[0].text == "Hello"


# huggingface_hub: makes one client for all threads.


def repository(request: Request) -> Reply:
    if "/resolve/" in request.target:
        return Reply(200, [("ETag", '"abc"'), ("X-Repo-Commit", COMMIT)], b"content of the file")
    if request.target == "/api/whoami-v2":
        return Reply(200, JSON, json.dumps({"name": "me"}).encode())
    return Reply(404, [("X-Error-Code", "RepoNotFound")])


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    hub = needed("huggingface_hub")
    monkeypatch.setattr(needed("tqdm").tqdm, "monitor_interval", 0)  # no thread for progress bars
    made: list[Any] = []

    def factory() -> Any:
        made.append(for_httpx2().FastClient(headers={"X-Own": "1"}, follow_redirects=True, timeout=None))
        return made[-1]

    hub.set_client_factory(factory)
    yield hub
    hub.close_session()
    hub.set_client_factory(needed("httpx2").Client)
    assert len(made) == 1
    assert made[0].is_closed


def test_huggingface_hub(hub: ModuleType, tmp_path: Path):
    with serving(repository) as (url, seen):
        assert hub.HfApi(endpoint=url).whoami(token="hf_x")["name"] == "me"
        for _ in range(2):
            path = hub.hf_hub_download("owner/repo", "file.txt", endpoint=url, cache_dir=tmp_path)
            assert Path(path).read_bytes() == b"content of the file"
        with pytest.raises(hub.errors.RepositoryNotFoundError, match="404"):
            hub.HfApi(endpoint=url).model_info("owner/none")
    assert [request.method for request in seen] == ["GET", "HEAD", "GET", "HEAD", "GET"]
    assert seen[0].field("Authorization") == "Bearer hf_x"
    assert {request.field("X-Own") for request in seen} == {"1"}
