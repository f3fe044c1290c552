"""Connections are kept, counted and let go as the pool's rules say; nginx says how many it saw."""

from __future__ import annotations

import pytest
from peers import OK, always, answering

import httpx_fast


def test_requests_one_after_the_other_use_one_connection(backend, nginx):
    async def body():
        async with backend.client() as client:
            for _ in range(20):
                assert (await client.get(nginx.url("/tiny"))).text == "ok"

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 1


def test_creating_a_client_opens_nothing(backend, nginx):
    async def body():
        async with backend.client(base_url=nginx.url("")):
            pass

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 0


def test_a_thousand_tasks_on_ten_connections_go_first_in_first_out(backend, nginx):
    # Threads race for the queue, so the order in which they come is not known; and a thousand of them are too many.
    tasks = 1000 if backend.asynchronous else 100
    limits = httpx_fast.Limits(max_connections=10, max_keepalive_connections=10)

    async def body():
        async with backend.client(limits=limits, timeout=None) as client:

            async def one():
                response = await client.get(nginx.url("/json"))
                assert len(response.content) == 1024
                return response.journey

            return await backend.together(*[one] * tasks)

    with nginx.counting() as accepted:
        journeys = backend.run(body)
    # Threads may be done so fast that ten are never there at once.
    assert accepted.connections == 10 or (not backend.asynchronous and accepted.connections < 10)
    assert sum(not journey.reused for journey in journeys) == accepted.connections
    if backend.asynchronous:
        came = sorted(journeys, key=lambda journey: journey.started)
        went = sorted(came, key=lambda journey: journey.leased)
        ranks = {id(journey): rank for rank, journey in enumerate(went)}
        # trio lets those that were woken together run in any order.
        assert all(abs(ranks[id(journey)] - rank) <= 10 for rank, journey in enumerate(came))


def test_a_connection_is_replaced_when_the_server_has_had_its_requests(backend, nginx):
    async def body():
        async with backend.client() as client:
            return [(await client.get(nginx.url("/tiny", "three_requests"))).journey.nth for _ in range(7)]

    with nginx.counting() as accepted:
        assert backend.run(body) == [1, 2, 3, 1, 2, 3, 1]
    assert accepted.connections == 3


def test_a_server_without_keep_alive_gets_a_connection_each_time(backend, nginx):
    async def body():
        async with backend.client() as client:
            for _ in range(3):
                response = await client.get(nginx.url("/tiny", "no_keep_alive"))
                assert response.headers["Connection"] == "close"

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 3


def test_a_connection_that_the_server_closed_while_idle_is_replaced(backend, peer):
    async def body():
        server = peer(answering(OK), always(OK))
        async with backend.client() as client:
            assert (await client.get(server.url())).text == "ok"
            await backend.hear(server.closed[0])
            for _ in range(2):
                assert (await client.post(server.url(), content=b"x")).text == "ok"
        assert server.accepted == 2

    backend.run(body)


def leaves_at_the_second_request(seen):
    """A script that answers one request, and closes on the next one, which it adds to `seen`."""

    def script(dialogue):
        dialogue.read_request()
        dialogue.send(OK)
        seen.append(dialogue.read_request())

    return script


def test_a_get_that_met_a_closing_connection_is_sent_again(backend, peer):
    seen = []

    async def body():
        server = peer(leaves_at_the_second_request(seen), always(OK))
        async with backend.client() as client:
            for _ in range(3):
                assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)
    assert len(seen) == 1


def test_a_post_that_may_have_been_processed_is_not_sent_again(backend, peer):
    seen = []

    async def body():
        server = peer(leaves_at_the_second_request(seen), always(OK))
        async with backend.client() as client:
            await client.get(server.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match=r"clos|end"):
                await client.post(server.url(), content=b"pay")
            assert (await client.get(server.url())).text == "ok"
        assert server.accepted == 2

    backend.run(body)
    assert [request.endswith(b"pay") for request in seen] == [True]


def test_a_response_that_is_left_unread_costs_its_connection_and_no_other(backend, nginx):
    async def body():
        async with backend.client(limits=httpx_fast.Limits(max_connections=1)) as client:
            async with client.stream("GET", nginx.url("/f100m")) as response:
                async for _ in response.aiter_bytes():
                    break
            assert (await client.get(nginx.url("/tiny"))).journey.nth == 1
            assert (await client.get(nginx.url("/tiny"))).journey.nth == 2

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 2


def test_a_response_that_is_read_to_its_end_gives_its_connection_back(backend, nginx):
    async def body():
        async with backend.client(limits=httpx_fast.Limits(max_connections=1)) as client:
            response = await client.send(client.build_request("GET", nginx.url("/json")), stream=True)
            assert len(await response.aread()) == 1024
            # The end of the body ends the lease, nobody has to close the response.
            assert (await client.get(nginx.url("/tiny"))).journey.reused

    backend.run(body)


def test_two_origins_share_no_connection(backend, nginx, authority):
    async def body():
        async with backend.client(verify=authority.client_context()) as client:
            for listener in ("http", "https", "http", "https"):
                await client.get(nginx.url("/tiny", listener))

    with nginx.counting() as accepted:
        backend.run(body)
    assert accepted.connections == 2


def test_waiting_for_a_connection_ends_with_a_pool_timeout_that_says_why(backend, nginx):
    async def body():
        limits = httpx_fast.Limits(max_connections=1)
        timeout = httpx_fast.Timeout(30, pool=0.05)
        async with backend.client(limits=limits, timeout=timeout) as client:
            async with client.stream("GET", nginx.url("/f100m")):
                with pytest.raises(
                    httpx_fast.PoolTimeout, match=r"pool timed out after [\d.]+ s of 0\.05 s: .*1"
                ) as caught:
                    await client.get(nginx.url("/tiny"))
            assert caught.value.request.url == nginx.url("/tiny")
            assert caught.value.journey.phase == "pool"
            assert (await client.get(nginx.url("/tiny"))).text == "ok"

    backend.run(body)


def test_a_closed_client_leaves_nothing_open_at_the_server(backend, peer):
    ended = []

    def script(dialogue):
        while dialogue.read_request():
            dialogue.send(OK)
        ended.append(True)

    async def body():
        server = peer(script)
        async with backend.client() as client:
            await backend.together(*[lambda: client.get(server.url())] * 3)
        return server

    server = backend.run(body)
    server.close()
    assert len(ended) == server.accepted > 0
