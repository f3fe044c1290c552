"""`client.record()` keeps what a block of code sent; a client that is not observed is as it was."""

from __future__ import annotations

import json
import re

import pytest
from peers import OK, answering

import httpx_fast
from httpx_fast._client.observing import observe

#: How long a connection has been idle, in the table of a pool.
IDLE_FOR = re.compile(r"<td>[\d.]+ s</td>")
MOVED = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"


def test_responses_redirects_and_failures_are_kept_in_order(backend, peer):
    async def body():
        server = peer(answering(MOVED, OK, b"nonsense\r\n\r\n"), answering(OK))
        async with backend.client(follow_redirects=True, trust_env=False) as client:
            with client.record() as recording:
                await client.get(server.url())
                with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense"):
                    await client.get(server.url("/x?token=hunter2"))
            await client.get(server.url())
        return recording

    recording = backend.run(body)
    assert [response.status_code for response in recording.responses] == [302, 200]
    assert [type(error) for error in recording.errors] == [httpx_fast.RemoteProtocolError]
    assert (len(recording), len(list(recording)), recording.dropped) == (3, 3, 0)
    assert repr(recording) == "<Recording of 2 responses and 1 failures>"
    told = [json.loads(line) for line in recording.json_lines().splitlines()]
    assert [each["status"] for each in told] == [302, 200, None]
    assert told[2]["url"].endswith("/x?token=[secure]")
    assert recording._repr_html_().count("<svg") == 4  # the second one has the first as a hop
    page = httpx_fast.report(recording)
    assert page.count("<details") == 3
    assert "hunter2" not in page


def test_a_recording_is_bounded(backend, nginx):
    async def body():
        async with backend.client() as client:
            with client.record(limit=2) as recording:
                for number in range(5):
                    await client.get(nginx.url("/tiny"), params={"n": number})
        return recording

    recording = backend.run(body)
    assert [response.url.params["n"] for response in recording.responses] == ["3", "4"]
    assert recording.dropped == 3
    assert repr(recording).endswith("3 more were dropped>")


def test_streamed_responses_are_kept_with_what_was_read(backend, nginx):
    async def body():
        async with backend.client() as client:
            with client.record() as recording:
                async with client.stream("GET", nginx.url("/json")) as response:
                    await response.aread()
        return recording

    (response,) = backend.run(body).responses
    assert response.is_closed
    assert response.journey.phase == "done"


def test_several_recordings_run_at_once_and_leave_no_trace(backend, nginx):
    async def body():
        async with backend.client() as client:
            inner = getattr(client, "blocking", client)
            exchange = inner._exchange
            with client.record() as outer:
                await client.get(nginx.url("/tiny"))
                with client.record() as nested:
                    await client.get(nginx.url("/tiny"))
                await client.get(nginx.url("/tiny"))
                with pytest.raises(RuntimeError, match="runs already"), outer:
                    pass
            assert inner._exchange == exchange
            with nested:
                await client.get(nginx.url("/tiny"))
        return len(outer), len(nested)

    assert backend.run(body) == (3, 2)


@pytest.mark.parametrize("limit", [0, -1, 1.5, "many"])
def test_a_wrong_limit_is_refused(limit):
    with httpx_fast.Client() as client, pytest.raises(ValueError, match="1 or more, as limit"):
        client.record(limit)


def test_mocks_are_recorded_too(backend):
    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(lambda _: httpx_fast.Response(204))) as client:
            with client.record() as recording:
                await client.get("http://a.test/")
        return recording

    recording = backend.run(body)
    assert [each.status_code for each in recording.responses] == [204]
    assert httpx_fast.report(recording).count("<details") == 1
    assert recording.responses[0].request.url == "http://a.test/"


def test_a_transport_that_gives_no_response_is_refused_as_before(backend):
    async def body():
        class Wrong(httpx_fast.BaseTransport, httpx_fast.AsyncBaseTransport):
            def handle_request(self, request):
                return "nothing"

            async def handle_async_request(self, request):
                return "nothing"

        async with backend.client(transport=Wrong()) as client:
            with client.record() as recording, pytest.raises(TypeError, match=r"Wrong gave builtins\.str"):
                await client.get("http://a.test/")
        return recording

    assert len(backend.run(body)) == 0


def test_an_observer_may_change_the_request_and_is_told_once(backend, nginx):
    class Watcher:
        def __init__(self):
            self.told = []

        def begins(self, request):
            request.headers["X-Watched"] = "yes"
            return request.method

        def ended(self, begun, request, response, error):
            self.told.append((begun, request.headers["X-Watched"], response.status_code, error))

    async def body():
        watcher = Watcher()
        async with backend.client() as client:
            end = observe(getattr(client, "blocking", client), watcher)
            await client.get(nginx.url("/tiny"))
            end()
            end()
            await client.get(nginx.url("/tiny"))
        return watcher.told

    assert backend.run(body) == [("GET", "yes", 200, None)]


def test_notebooks_show_client_pool_and_response(backend, nginx):
    async def body():
        async with backend.client() as client:
            response = await client.get(nginx.url("/tiny"), params={"api_key": "hunter2"})
            return client._repr_html_(), client.pool._repr_html_(), response._repr_html_(), repr(client.pool)

    client, pool, response, told = backend.run(body)
    assert "Client" in client
    assert IDLE_FOR.sub("", pool) in IDLE_FOR.sub("", client)  # the clock went on between the two
    assert "<td>idle</td>" in pool
    assert "1 of 100 connections are open" in pool
    assert told.startswith("<Pool 1 of 100 connections are open")
    assert "200 OK" in response
    assert "<svg" in response
    assert "hunter2" not in response


def test_a_retry_rule_that_comes_later_is_observed(backend, peer):
    async def body():
        server = peer(answering(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n", OK))
        retry = httpx_fast.Retry(attempts=2, backoff=0.0)
        async with backend.client(trust_env=False) as client:
            with client.record() as recording:
                response = await client.get(server.url(), extensions={"retry": retry})
        return response, recording

    response, recording = backend.run(body)
    assert [each.status_code for each in recording.responses] == [200]
    assert len(response.journey.attempts) == 1
    assert httpx_fast.report(recording).count("sent again") == 1
