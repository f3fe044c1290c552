"""Every response and every exception says which way the request went."""

from __future__ import annotations

import pytest
from peers import OK, answering, mute

import httpx_fast


def test_the_first_request_connects_and_the_second_reuses(backend, nginx, authority):
    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            return [(await client.get(nginx.url("/json", "https"))).journey for _ in range(2)]

    first, second = backend.run(body)
    assert (first.nth, first.reused, second.nth, second.reused) == (1, False, 2, True)
    assert first.connection is second.connection
    assert [name for name in first.phases() if name != "dns"] == ["pool", "tcp", "tls", "send", "wait", "receive"]
    assert list(second.phases()) == ["pool", "send", "wait", "receive"]
    assert second.idle > 0
    for journey in (first, second):
        assert all(span >= 0 for span in journey.phases().values())
        assert sum(journey.phases().values()) <= journey.total + 1e-9
        assert journey.phase == "done"
    assert first.connection.tls_version in {"TLSv1.2", "TLSv1.3"}
    assert first.connection.peer_address[1] == httpx_fast.URL(nginx.url("", "https")).port
    assert first.connection.requests == 2


def test_a_streamed_journey_ends_with_its_body(backend, nginx):
    async def body():
        async with backend.client() as client, client.stream("GET", nginx.url("/f100m")) as response:
            assert response.journey.phase == "receive"
            async for _ in response.aiter_bytes():
                pass
            assert response.journey.phase == "done"

    backend.run(body)


def test_an_exception_carries_the_journey_so_far(backend, peer):
    async def body():
        server = peer(answering(OK, b"nonsense\r\n\r\n"))
        async with backend.client() as client:
            await client.get(server.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense") as caught:
                await client.get(server.url())
        assert caught.value.journey.nth == 2
        assert caught.value.journey.phase == "wait"

    backend.run(body)


def test_a_timeout_carries_the_journey_so_far(backend, peer):
    async def body():
        async with backend.client(timeout=httpx_fast.Timeout(30, read=0.02)) as client:
            with pytest.raises(httpx_fast.ReadTimeout, match="read timed out") as caught:
                await client.get(peer(mute).url())
        journey = caught.value.journey
        assert journey.phase == "wait"
        assert set(journey.phases()) >= {"pool", "tcp", "send"}

    backend.run(body)
