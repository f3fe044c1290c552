"""The OpenAI SDK: blocking, asynchronous, streaming; with a client of its own and with one that is given."""

from __future__ import annotations

import asyncio
import json

import httpx
import openai
import pytest

from httpx_fast.testing import Reply, Request

ASKED = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
JSON = [("Content-Type", "application/json")]


def chunk(content: str) -> bytes:
    delta = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    told = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [delta]}
    return f"data: {json.dumps(told)}\n\n".encode()


def answer(request: Request) -> Reply:
    if json.loads(request.body).get("stream"):
        pieces = [chunk("Hel"), chunk("lo")[:20], chunk("lo")[20:], b"data: [DONE]\n\n"]
        return Reply(200, [("Content-Type", "text/event-stream")], pieces)
    message = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "Hello"}}
    told = {"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [message]}
    return Reply(200, [*JSON, ("x-request-id", "r1")], json.dumps(told).encode())


@pytest.fixture
def site(serve):
    return serve(answer)


@pytest.mark.parametrize("given", [False, True])
def test_blocking(site, given: bool):
    own = httpx.Client() if given else None
    with openai.OpenAI(base_url=f"{site.url}/v1", api_key="k", http_client=own) as client:
        completion = client.chat.completions.create(**ASKED)
        raw = client.chat.completions.with_raw_response.create(**ASKED)
        with client.chat.completions.create(**ASKED, stream=True) as stream:
            said = "".join(part.choices[0].delta.content for part in stream)
    assert completion.choices[0].message.content == "Hello"
    assert completion._request_id == "r1"
    assert raw.headers["x-request-id"] == "r1"
    assert said == "Hello"
    assert site.seen[0].target == "/v1/chat/completions"
    assert site.seen[0].field("Authorization") == "Bearer k"
    assert site.seen[-1].connection == 1


@pytest.mark.parametrize("given", [False, True])
def test_asynchronous(site, given: bool):
    async def ask() -> tuple[str, str]:
        own = httpx.AsyncClient() if given else None
        async with openai.AsyncOpenAI(base_url=f"{site.url}/v1", api_key="k", http_client=own) as client:
            completion = await client.chat.completions.create(**ASKED)
            stream = await client.chat.completions.create(**ASKED, stream=True)
            said = "".join([part.choices[0].delta.content async for part in stream])
        return completion.choices[0].message.content, said

    assert asyncio.run(ask()) == ("Hello", "Hello")


def test_a_stream_that_is_left_early_is_closed(site):
    with openai.OpenAI(base_url=site.url, api_key="k") as client:
        with client.chat.completions.create(**ASKED, stream=True) as stream:
            assert next(iter(stream)).choices[0].delta.content == "Hel"
        assert stream.response.is_closed


def test_statuses_are_tried_again_and_then_raised(serve):
    site = serve(lambda request: Reply(429, [*JSON, ("retry-after-ms", "1")], b'{"error": {"message": "slow"}}'))
    with (
        openai.OpenAI(base_url=site.url, api_key="k", max_retries=2) as client,
        pytest.raises(openai.RateLimitError, match="slow"),
    ):
        client.chat.completions.create(**ASKED)
    assert len(site.seen) == 3


def test_timeouts_and_refused_connections_have_the_kit_s_exceptions():
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    own = httpx.Client(transport=httpx.MockTransport(late))
    with (
        openai.OpenAI(base_url="http://host.example", api_key="k", max_retries=0, http_client=own) as client,
        pytest.raises(openai.APITimeoutError, match="timed out"),
    ):
        client.chat.completions.create(**ASKED)
    with (
        openai.OpenAI(base_url="http://127.0.0.1:1", api_key="k", max_retries=0) as client,
        pytest.raises(openai.APIConnectionError, match="Connection error") as caught,
    ):
        client.chat.completions.create(**ASKED)
    assert isinstance(caught.value.__cause__, httpx.ConnectError)


def test_files_are_uploaded(serve):
    told = {
        "id": "f",
        "object": "file",
        "bytes": 6,
        "created_at": 1,
        "filename": "n.txt",
        "purpose": "p",
        "status": "ok",
    }
    site = serve(lambda request: Reply(200, JSON, json.dumps(told).encode()))
    with openai.OpenAI(base_url=site.url, api_key="k") as client:
        assert client.files.create(file=("n.txt", b"octets"), purpose="assistants").id == "f"
    assert b'filename="n.txt"' in site.seen[0].body
    assert b"\r\n\r\noctets\r\n" in site.seen[0].body


def test_a_client_with_the_kit_s_own_defaults_is_ours():
    assert issubclass(openai.DefaultHttpxClient, httpx.Client)
    with openai.DefaultHttpxClient() as client:
        assert (client.timeout, client.follow_redirects) == (httpx.Timeout(600, connect=5), True)
