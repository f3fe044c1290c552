"""The clients of `services.py`: how each sends one request of a service, streams a body, and is asked by threads.

A client is opened for a `Setting`, in a process of its own. What it reads is counted, so that none is cheap by reading
less. Handshakes are not measured: Rust's TLS stacks, which refuse certificates of private authorities, do not verify.
"""

from __future__ import annotations

import importlib
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple


class Order(NamedTuple):
    """A request as services send them."""

    url: str
    params: dict[str, str]
    headers: dict[str, str]
    body: dict[str, Any] | None


@dataclass
class Setting:
    trusted: str  # the authority's certificate
    http2: bool
    connections: int
    _context: ssl.SSLContext | None = None

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.trusted)

    def shared_context(self) -> ssl.SSLContext:
        """Return the same context each time, as a program has one for all its clients."""
        if self._context is None:
            self._context = self.context()
        return self._context


class Client:
    """Asynchronous: all methods but `__init__` are coroutines."""

    module: ClassVar[str]

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.package: Any = importlib.import_module(self.module)

    async def open(self) -> None:
        raise NotImplementedError

    async def order(self, order: Order) -> Any:
        """Send it and return the decoded JSON."""
        raise NotImplementedError

    async def get(self, url: str) -> int:
        raise NotImplementedError

    async def stream(self, url: str) -> int:
        raise NotImplementedError

    async def close(self) -> None: ...


class HttpxLike(Client):
    async def open(self) -> None:
        most = self.setting.connections
        self.client = self.package.AsyncClient(
            verify=self.setting.shared_context(),
            http2=self.setting.http2,
            limits=self.package.Limits(max_connections=most, max_keepalive_connections=most),
            timeout=60,
            trust_env=False,
        )

    async def order(self, order: Order) -> Any:
        if order.body is None:
            response = await self.client.get(order.url, params=order.params, headers=order.headers)
        else:
            response = await self.client.post(order.url, params=order.params, headers=order.headers, json=order.body)
        return response.json()

    async def get(self, url: str) -> int:
        return len((await self.client.get(url)).content)

    async def stream(self, url: str) -> int:
        async with self.client.stream("GET", url) as response:
            return sum([len(piece) async for piece in response.aiter_bytes()])

    async def raw(self, url: str) -> int:
        async with self.client.stream("GET", url) as response:
            return sum([len(piece) async for piece in response.aiter_raw()])

    async def close(self) -> None:
        await self.client.aclose()


class HttpxFast(HttpxLike):
    module = "httpx_fast"


class Httpx2(HttpxLike):
    module = "httpx2"


class Aiohttp(Client):
    module = "aiohttp"

    async def open(self) -> None:
        connector = self.package.TCPConnector(limit=self.setting.connections, ssl=self.setting.shared_context())
        self.client = self.package.ClientSession(connector=connector, timeout=self.package.ClientTimeout(60))

    async def order(self, order: Order) -> Any:
        method = "GET" if order.body is None else "POST"
        async with self.client.request(
            method, order.url, params=order.params, headers=order.headers, json=order.body
        ) as response:
            return await response.json()

    async def get(self, url: str) -> int:
        async with self.client.get(url) as response:
            return len(await response.read())

    async def stream(self, url: str) -> int:
        async with self.client.get(url) as response:
            return sum([len(piece) async for piece in response.content.iter_any()])

    async def close(self) -> None:
        await self.client.close()


class Wreq(Client):
    module = "wreq"

    def options(self) -> dict[str, Any]:
        version = {"http2_only": True} if self.setting.http2 else {"http1_only": True}
        most = self.setting.connections
        return {
            "tls_verify": False,
            "timeout": timedelta(seconds=60),
            "pool_max_idle_per_host": most,
            "no_proxy": True,
            **version,
        }

    async def open(self) -> None:
        self.client = self.package.Client(**self.options())

    async def order(self, order: Order) -> Any:
        options = {"query": order.params, "headers": order.headers}
        if order.body is None:
            response = await self.client.get(order.url, **options)
        else:
            response = await self.client.post(order.url, json=order.body, **options)
        return await response.json()

    async def get(self, url: str) -> int:
        return len(await (await self.client.get(url)).bytes())

    async def stream(self, url: str) -> int:
        async with await self.client.get(url) as response, response.stream() as pieces:
            return sum([len(piece) async for piece in pieces])


class Pyreqwest(Client):
    module = "pyreqwest.client"
    builder = "ClientBuilder"

    def build(self) -> Any:
        builder = getattr(self.package, self.builder)().danger_accept_invalid_certs(True).timeout(timedelta(seconds=60))
        builder = builder.max_connections(self.setting.connections).pool_max_idle_per_host(self.setting.connections)
        return (builder.http2(True) if self.setting.http2 else builder.http1_only()).build()

    async def open(self) -> None:
        self.client = self.build()

    async def order(self, order: Order) -> Any:
        builder = self.client.get(order.url) if order.body is None else self.client.post(order.url)
        builder = builder.query(order.params).headers(order.headers)
        if order.body is not None:
            builder = builder.body_json(order.body)
        return await (await builder.build().send()).json()

    async def get(self, url: str) -> int:
        return len(await (await self.client.get(url).build().send()).bytes())

    async def stream(self, url: str) -> int:
        total = 0
        async with self.client.get(url).build_streamed() as response:
            while (piece := await response.body_reader.read_chunk()) is not None:
                total += len(piece)
        return total

    async def close(self) -> None:
        await self.client.close()


class Blocking:
    """Blocking, and shared by threads unless `shared` is false: then each thread has its own."""

    module: ClassVar[str]
    shared: ClassVar[bool] = True

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.package: Any = importlib.import_module(self.module)
        self.open()

    def open(self) -> None:
        raise NotImplementedError

    def get(self, url: str) -> int:
        raise NotImplementedError

    def stream(self, url: str) -> int:
        raise NotImplementedError

    def close(self) -> None: ...


class HttpxLikeBlocking(Blocking):
    def open(self) -> None:
        context = self.setting.shared_context()
        self.client = self.package.Client(verify=context, http2=self.setting.http2, timeout=60, trust_env=False)

    def get(self, url: str) -> int:
        return len(self.client.get(url).content)

    def stream(self, url: str) -> int:
        with self.client.stream("GET", url) as response:
            return sum(map(len, response.iter_bytes()))

    def close(self) -> None:
        self.client.close()


class HttpxFastBlocking(HttpxLikeBlocking):
    module = "httpx_fast"


class Httpx2Blocking(HttpxLikeBlocking):
    module = "httpx2"


class Urllib3(Blocking):
    module = "urllib3"

    def open(self) -> None:
        self.client = self.package.PoolManager(maxsize=self.setting.connections, timeout=60)

    def get(self, url: str) -> int:
        return len(self.client.request("GET", url).data)

    def stream(self, url: str) -> int:
        response = self.client.request("GET", url, preload_content=False)
        total = sum(map(len, response.stream(256 * 1024)))
        response.release_conn()
        return total

    def close(self) -> None:
        self.client.clear()


class Pycurl(Blocking):
    module = "pycurl"
    shared = False

    def open(self) -> None:
        self.client = self.package.Curl()
        self.client.setopt(self.package.NOSIGNAL, 1)
        self.client.setopt(self.package.TIMEOUT, 60)
        self.client.setopt(self.package.SSL_VERIFYPEER, 0)  # as for the others that are not Python's
        self.client.setopt(self.package.SSL_VERIFYHOST, 0)
        if self.setting.http2:
            self.client.setopt(self.package.HTTP_VERSION, self.package.CURL_HTTP_VERSION_2TLS)

    def get(self, url: str) -> int:
        pieces: list[bytes] = []
        self.client.setopt(self.package.URL, url)
        self.client.setopt(self.package.HEADERFUNCTION, lambda line: None)
        self.client.setopt(self.package.WRITEFUNCTION, pieces.append)
        self.client.perform()
        return len(b"".join(pieces))

    def stream(self, url: str) -> int:
        sizes: list[int] = []

        def take(piece: bytes) -> None:
            sizes.append(len(piece))

        self.client.setopt(self.package.URL, url)
        self.client.setopt(self.package.WRITEFUNCTION, take)
        self.client.perform()
        return sum(sizes)

    def close(self) -> None:
        self.client.close()


class WreqBlocking(Blocking):
    module = "wreq.blocking"

    def open(self) -> None:
        most = self.setting.connections
        version = {"http2_only": True} if self.setting.http2 else {"http1_only": True}
        self.client = self.package.Client(
            timeout=timedelta(seconds=60), pool_max_idle_per_host=most, no_proxy=True, tls_verify=False, **version
        )

    def get(self, url: str) -> int:
        return len(self.client.get(url).bytes())

    def stream(self, url: str) -> int:
        with self.client.get(url) as response, response.stream() as pieces:
            return sum(map(len, pieces))


class PyreqwestBlocking(Blocking):
    module = "pyreqwest.client"

    def open(self) -> None:
        most = self.setting.connections
        builder = self.package.SyncClientBuilder().timeout(timedelta(seconds=60)).danger_accept_invalid_certs(True)
        builder = builder.http2(True) if self.setting.http2 else builder.http1_only()
        self.client = builder.max_connections(most).pool_max_idle_per_host(most).build()

    def get(self, url: str) -> int:
        return len(self.client.get(url).build().send().bytes())

    def stream(self, url: str) -> int:
        total = 0
        with self.client.get(url).build_streamed() as response:
            while (piece := response.body_reader.read_chunk()) is not None:
                total += len(piece)
        return total

    def close(self) -> None:
        self.client.close()
