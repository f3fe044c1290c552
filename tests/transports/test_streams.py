"""Network backends in httpcore's shape: they can be replaced, and their errors become ours."""

from __future__ import annotations

import ssl

import pytest
from runners import Runner

import httpx_fast
from httpx_fast._alias import httpcore
from httpx_fast.testing import LocalServer

BIG = "/bytes/3000000"


@pytest.fixture(params=["cleartext", "tls"])
def server(request: pytest.FixtureRequest):
    with LocalServer(tls=request.param == "tls") as running:
        yield running


def trust(server: LocalServer) -> ssl.SSLContext | bool:
    return server.client_context() if server.url.startswith("https") else True


class Pinned(httpcore.SyncBackend):
    """Leads every name to this machine."""

    def __init__(self):
        self.asked = []

    def connect_tcp(self, host, port, **options):
        self.asked.append((host, port, options["timeout"] is not None))
        return super().connect_tcp("127.0.0.1", port, **options)


class AsyncPinned(httpcore.AutoBackend):
    def __init__(self):
        self.asked = []

    async def connect_tcp(self, host, port, **options):
        self.asked.append((host, port, options["timeout"] is not None))
        return await super().connect_tcp("127.0.0.1", port, **options)


def test_the_network_backend_of_a_pool_can_be_replaced(backend: Runner, server: LocalServer):
    pinned = AsyncPinned() if backend.asynchronous else Pinned()

    async def body() -> None:
        async with backend.client(verify=trust(server)) as client:
            await client.get(server.url)
            client._transport._pool._network_backend = pinned
            # The certificate is for localhost, so the name stays out of TLS.
            for _ in range(2):
                response = await client.post(
                    f"{server.url.replace('localhost', 'pinned.test')}/", extensions={"sni_hostname": "localhost"}
                )
                assert response.status_code == 200
            assert client._transport._pool._network_backend is pinned
            assert (response.journey.nth, response.journey.reused) == (2, True)
            big = await client.get(
                f"{server.url.replace('localhost', 'pinned.test')}{BIG}", extensions={"sni_hostname": "localhost"}
            )
            assert len(big.content) == 3_000_000
            assert response.journey.connection.peer_address == ("127.0.0.1", server.port)

    backend.run(body)
    assert pinned.asked == [("pinned.test", server.port, True)]


@pytest.mark.parametrize("stage", ["connect", "read"])
def test_what_a_network_backend_raises_is_told_as_ours(stage):
    class Failing(httpcore.SyncBackend):
        def connect_tcp(self, host, port, **options):
            if stage == "connect":
                raise ConnectionRefusedError(111, "Connection refused")
            return Silent()

    class Silent(httpcore.NetworkStream):
        def read(self, max_bytes, timeout=None):
            raise TimeoutError

        def write(self, buffer, timeout=None):
            pass

        def close(self):
            pass

    expected = {"connect": httpx_fast.ConnectError, "read": httpx_fast.ReadTimeout}[stage]
    with httpx_fast.Client() as client:
        client._transport._pool._network_backend = Failing()
        with pytest.raises(expected, match=r"refused|sent nothing"):
            client.get("http://host.test/")
