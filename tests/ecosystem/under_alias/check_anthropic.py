"""The Anthropic SDK: blocking, asynchronous, streaming; with a client of its own and with one that is given."""

from __future__ import annotations

import asyncio
import json

import anthropic
import httpx
import pytest

from httpx_fast.testing import Reply, Request

ASKED = {"model": "m", "max_tokens": 10, "messages": [{"role": "user", "content": "hi"}]}
JSON = [("Content-Type", "application/json")]
USAGE = {"input_tokens": 1, "output_tokens": 1}
MESSAGE = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_reason": None, "usage": USAGE}


def event(kind: str, **told: object) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **told})}\n\n".encode()


def pieces() -> list[bytes]:
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
    return [whole[start : start + 50] for start in range(0, len(whole), 50)]


def answer(request: Request) -> Reply:
    if json.loads(request.body).get("stream"):
        return Reply(200, [("Content-Type", "text/event-stream")], pieces())
    told = {**MESSAGE, "content": [{"type": "text", "text": "Hello"}]}
    return Reply(200, [*JSON, ("request-id", "r1")], json.dumps(told).encode())


@pytest.fixture
def site(serve):
    return serve(answer)


@pytest.mark.parametrize("given", [False, True])
def test_blocking(site, given: bool):
    own = httpx.Client() if given else None
    with anthropic.Anthropic(base_url=site.url, api_key="k", http_client=own) as client:
        message = client.messages.create(**ASKED)
        with client.messages.stream(**ASKED) as stream:
            said = "".join(stream.text_stream)
        whole = stream.get_final_message()
    assert (message.content[0].text, message._request_id) == ("Hello", "r1")
    assert (said, whole.stop_reason) == ("Hello", "end_turn")
    assert (site.seen[0].target, site.seen[0].field("Authorization")) == ("/v1/messages", "Bearer k")
    assert site.seen[-1].connection == 1


@pytest.mark.parametrize("given", [False, True])
def test_asynchronous(site, given: bool):
    async def ask() -> tuple[str, str]:
        own = httpx.AsyncClient() if given else None
        async with anthropic.AsyncAnthropic(base_url=site.url, api_key="k", http_client=own) as client:
            message = await client.messages.create(**ASKED)
            async with client.messages.stream(**ASKED) as stream:
                said = "".join([text async for text in stream.text_stream])
        return message.content[0].text, said

    assert asyncio.run(ask()) == ("Hello", "Hello")


def test_statuses_are_tried_again_and_then_raised(serve):
    body = b'{"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}'
    site = serve(lambda request: Reply(529, [*JSON, ("retry-after-ms", "1")], body))
    with (
        anthropic.Anthropic(base_url=site.url, api_key="k", max_retries=1) as client,
        pytest.raises(anthropic.InternalServerError, match="busy"),
    ):
        client.messages.create(**ASKED)
    assert len(site.seen) == 2


def test_timeouts_have_the_kit_s_exception():
    def late(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late", request=request)

    own = httpx.Client(transport=httpx.MockTransport(late))
    with (
        anthropic.Anthropic(base_url="http://host.example", api_key="k", max_retries=0, http_client=own) as client,
        pytest.raises(anthropic.APITimeoutError, match="timed out"),
    ):
        client.messages.create(**ASKED)
