"""Code as users write it, for type checkers: everything here passes in their strict modes, without an ignore.

What they must infer is stated by assert_type. Nothing of it runs.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Generator, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any, assert_type

import httpx_fast as httpx
from httpx_fast.testing import FaultLab, LocalServer, Read, Reply, Send
from httpx_fast.websockets import AsyncWebSocketSession, WebSocketSession


def functions() -> None:
    response = httpx.get("https://host.example/", params={"q": 1, "tags": ["a", "b"]}, headers={"X-A": "1"}, timeout=3)
    assert_type(response, httpx.Response)
    httpx.post("https://host.example/", json={"a": [1, None]}, follow_redirects=True, auth=("user", "password"))
    httpx.put("https://host.example/", content=b"octets", proxy="http://proxy.example:3128", verify=False)
    httpx.patch("https://host.example/", data={"a": "1", "b": ["2", "3"]}, timeout=httpx.Timeout(5, connect=1))
    httpx.delete("https://host.example/", cookies={"a": "1"})
    httpx.query("https://host.example/", content="text")
    httpx.options(httpx.URL("https://host.example/"), headers=[("X-A", "1"), ("X-A", "2")])
    httpx.head("https://host.example/", timeout=None)
    with httpx.stream("GET", "https://host.example/") as streamed:
        assert_type(streamed, httpx.Response)


def retries() -> None:
    rule = httpx.Retry(attempts=4, statuses=[429, 503], methods={"GET", "POST"}, exceptions=(httpx.ReadError,))
    careful = httpx.Retry(budget=None, hedge=httpx.Hedge(samples=20), breaker=httpx.Breaker(open_for=30))
    with httpx.Client(retry=rule) as client:
        client.get("https://host.example/", extensions={"retry": careful})
        for stats in client.retry_stats().values():
            assert_type(stats, httpx.RetryStats)
            assert_type(stats.retries, int)
    transport = httpx.RetryTransport(httpx.HTTPTransport(), rule)
    httpx.Client(mounts={"https://": transport}, retry=None)
    httpx.AsyncClient(transport=httpx.AsyncRetryTransport(retry=careful))


def variables_of_narrow_types(client: httpx.Client) -> None:
    """What a variable's own type is narrower than what a parameter takes: lists and dicts are invariant."""
    pairs = [("q", "a"), ("q", "b")]
    numbers = [("page", 1)]
    by_name = {"page": 1}
    lists = {"tags": ["a", "b"]}
    names = {"a": "1"}
    client.get("https://host.example/", params=pairs)
    client.get("https://host.example/", params=numbers)
    client.get("https://host.example/", params=by_name)
    client.get("https://host.example/", params=lists)
    client.get("https://host.example/", params=tuple(pairs))
    httpx.QueryParams(pairs).merge(by_name)
    httpx.URL("https://host.example/", params=pairs).copy_merge_params(lists)
    client.get("https://host.example/", headers=names)
    client.get("https://host.example/", headers=pairs)
    client.post("https://host.example/", data=lists)
    client.post("https://host.example/", content=bytearray(b"octets"))
    client.post("https://host.example/", content=memoryview(b"octets"))
    client.post("https://host.example/", content=[b"octets"])
    httpx.Client(cookies=names, params=pairs, headers=names).close()
    httpx.Response(200, content=bytearray(b"octets"))
    uploads = {"f": ("a.txt", b"octets", "text/plain")}
    client.post("https://host.example/", files=uploads)
    hooks = {"request": [note]}
    httpx.Client(event_hooks=hooks, mounts={"all://": httpx.HTTPTransport()}).close()


def files(folder: Path) -> None:
    with (folder / "a.txt").open("rb") as file:
        httpx.post(
            "https://host.example/", files={"a": file, "b": ("b.txt", b"octets"), "c": ("c", file, "text/plain")}
        )
    httpx.post("https://host.example/", data={"a": "1"}, files=[("f", b"one"), ("f", ("two", "2", None, {"X-A": "1"}))])


def what_a_response_has(response: httpx.Response) -> None:
    assert_type(response.status_code, int)
    assert_type(response.text, str)
    assert_type(response.content, bytes)
    assert_type(response.json(), Any)
    assert_type(response.headers, httpx.Headers)
    assert_type(response.headers["content-type"], str)
    assert_type(response.headers.get_list("vary", split_commas=True), list[str])
    assert_type(response.cookies, httpx.Cookies)
    assert_type(response.cookies["a"], str)
    assert_type(response.url, httpx.URL)
    assert_type(response.request, httpx.Request)
    assert_type(response.history, list[httpx.Response])
    assert_type(response.elapsed, dt.timedelta)
    assert_type(response.encoding, str | None)
    assert_type(response.next_request, httpx.Request | None)
    assert_type(response.raise_for_status(), httpx.Response)
    assert_type(response.is_success, bool)
    assert_type(response.trailers, httpx.Headers)
    assert_type(httpx.codes.NOT_FOUND.value, int)
    assert_type(httpx.codes.is_client_error(response.status_code), bool)
    assert_type(response.status_code == httpx.codes.NOT_FOUND, bool)
    assert_type(response.status_code in (httpx.codes.OK, httpx.codes.CREATED), bool)
    assert_type(response.reason_phrase, str)


def blocking_streams(response: httpx.Response) -> None:
    assert_type(response.iter_bytes(), Iterator[bytes])
    assert_type(response.iter_raw(chunk_size=1024), Iterator[bytes])
    assert_type(response.iter_text(), Iterator[str])
    assert_type(response.iter_lines(), Iterator[str])
    assert_type(response.read(), bytes)
    response.close()


async def asynchronous_streams(response: httpx.Response) -> None:
    octets: list[AsyncIterator[bytes]] = [response.aiter_bytes(), response.aiter_raw(chunk_size=1024)]
    texts: list[AsyncIterator[str]] = [response.aiter_text(), response.aiter_lines()]
    assert_type(await anext(octets[0]), bytes)
    assert_type(await anext(texts[0]), str)
    assert_type(await response.aread(), bytes)
    await response.aclose()


def note(request: httpx.Request) -> None:
    request.headers["X-Noted"] = "1"


async def note_later(response: httpx.Response) -> None:
    await response.aread()


def clients(context: ssl.SSLContext, jar: CookieJar) -> None:
    with httpx.Client(
        auth=httpx.BasicAuth("user", "password"),
        base_url="https://host.example/v1",
        cookies=jar,
        default_encoding="latin-1",
        event_hooks={"request": [note]},
        headers={b"X-A": b"1"},
        http2=True,
        limits=httpx.Limits(max_connections=10, max_keepalive_connections=None),
        mounts={"all://": httpx.HTTPTransport(retries=1), "http://plain.example": None},
        params=[("a", 1)],
        timeout=(1.0, 2.0, 3.0, None),
        verify=context,
    ) as client:
        assert_type(client, httpx.Client)
        assert_type(client.get("/items"), httpx.Response)
        assert_type(client.base_url, httpx.URL)
        assert_type(client.headers, httpx.Headers)
        assert_type(client.timeout, httpx.Timeout)
        assert_type(client.is_closed, bool)
        client.headers = {"X-B": "2"}
        client.timeout = 3
        client.cookies.set("a", "1", domain="host.example")
        request = client.build_request("POST", "/items", json={})
        assert_type(request, httpx.Request)
        assert_type(client.send(request, stream=True), httpx.Response)
        with client.stream("GET", "/items", timeout=httpx.USE_CLIENT_DEFAULT) as response:
            assert_type(response, httpx.Response)


async def asynchronous_clients() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    async with httpx.AsyncClient(
        event_hooks={"response": [note_later]}, transport=httpx.AsyncHTTPTransport(), proxy=None
    ) as client:
        assert_type(client, httpx.AsyncClient)
        assert_type(await client.post("https://host.example/", content=pieces()), httpx.Response)
        async with client.stream("GET", "https://host.example/") as response:
            async for line in response.aiter_lines():
                assert_type(line, str)
    await client.aclose()


class TokenAuth(httpx.Auth):
    requires_response_body = True

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        response = yield request
        if response.status_code == 401:
            request.headers["Authorization"] = f"Bearer {response.json()['token']}"
            yield request


class Wrapped(httpx.BaseTransport):
    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.headers["X-Wrapped"] = "1"
        return response

    def close(self) -> None:
        self.inner.close()


class AsyncWrapped(httpx.AsyncBaseTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"url": str(request.url)}, request=request)


class Body(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"body"


class OwnClient(httpx.Client):
    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        return super().send(request, **options)


def own_parts() -> None:
    mock = httpx.MockTransport(lambda request: httpx.Response(200, stream=Body()))
    with httpx.Client(auth=TokenAuth(), transport=Wrapped(mock)) as client:
        client.get("https://host.example/", auth=lambda request: request)
    with OwnClient(transport=httpx.WSGITransport(application)) as own:
        own.get("https://host.example/")


def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [])
    return [b""]


def urls() -> None:
    url = httpx.URL("https://user@host.example:8443/path?a=1#top", params={"b": 2})
    assert_type(url.host, str)
    assert_type(url.port, int | None)
    assert_type(url.raw_path, bytes)
    assert_type(url.params, httpx.QueryParams)
    assert_type(url.params["a"], str)
    assert_type(url.params.multi_items(), list[tuple[str, str]])
    assert_type(url.copy_with(path="/other"), httpx.URL)
    assert_type(url.join("../up"), httpx.URL)
    assert_type(url.origin, httpx.Origin)
    assert_type(httpx.QueryParams("a=1").merge({"b": "2"}), httpx.QueryParams)


def errors() -> None:
    try:
        httpx.get("https://host.example/").raise_for_status()
    except httpx.HTTPStatusError as error:
        assert_type(error.response, httpx.Response)
        assert_type(error.request, httpx.Request)
    except (httpx.TimeoutException, httpx.NetworkError) as error:
        assert_type(error.request.url, httpx.URL)
    except httpx.InvalidURL:
        raise


def looks_into_the_pool(client: httpx.Client, transport: httpx.HTTPTransport) -> None:
    stats = client.pool.stats()
    assert_type(stats.leased, int)
    assert_type(stats.open, int)
    assert_type(stats.max_connections, int | None)
    for connection in transport.pool.connections():
        assert_type(connection.idle, float | None)
        assert_type(str(connection.origin), str)
        assert_type(connection.held_by, tuple[str, ...])
    assert_type([each.age for each in client.pool.waiters()], list[float])
    assert_type(client.warm("https://host.example/", 3), int)
    assert_type(client.drain(timeout=5), int)


async def looks_into_the_pool_of_a_loop(client: httpx.AsyncClient) -> None:
    assert_type(client.pool.stats().waiting, int)
    assert_type(await client.warm("https://host.example/"), int)
    assert_type(await client.drain(), int)


def way_of_a_request(response: httpx.Response) -> None:
    assert_type(response.journey.phases(), dict[str, float])
    assert_type(response.journey.reused, bool)
    assert_type(response.journey.total, float)
    assert_type(response.journey.dns, float | None)
    assert_type(response.journey.phases_ns(), dict[str, int])
    assert_type(response.journey.attempts, tuple[httpx.Journey, ...])
    assert_type(response.journey.hops, tuple[httpx.Journey, ...])
    assert_type(response.journey.sizes.received_body, int | None)
    assert_type(response.journey.started_at.isoformat(), str)
    assert_type(response.journey.why_new, str | None)
    facts = response.journey.connection
    if facts is not None and facts.certificate is not None:
        assert_type(facts.certificate.names, tuple[str, ...])


def looks_at_what_is_sent(client: httpx.Client, other: httpx.AsyncClient) -> None:
    with client.record() as recording:
        client.get("https://host.example/")
    assert_type(recording.responses, list[httpx.Response])
    assert_type(recording.errors, list[httpx.HTTPError])
    assert_type(httpx.report(recording, "page.html"), str)
    httpx.report([response.journey for response in recording.responses])
    assert_type(httpx.har(recording)["log"], Any)
    told = other.explain("GET", "https://host.example/", headers={"X": "1"}, timeout=3, auth=None)
    assert_type(told, httpx.Explanation)
    assert_type(told.protocols, tuple[str, ...])
    assert_type([field.source for field in told.fields], list[str])
    assert_type(told.to_dict(), dict[str, Any])
    httpx.add_secret_names("ticket")
    httpx.debug(True)


def events_and_websockets(client: httpx.Client) -> None:
    with client.sse("https://host.example/events") as events:
        assert_type(events.response, httpx.Response)
        for event in events:
            assert_type(event, httpx.ServerSentEvent)
            assert_type(event.data, str)
            assert_type(event.retry, int | None)
    with client.websocket("wss://host.example/", subprotocols=["chat"]) as session:
        assert_type(session, WebSocketSession)
        session.send_text("hello")
        assert_type(session.receive_text(timeout=1), str)
        assert_type(session.receive_bytes(), bytes)
    with httpx.websocket("wss://host.example/") as session:
        assert_type(session, WebSocketSession)


async def asynchronous_events_and_websockets(client: httpx.AsyncClient) -> None:
    async with client.sse("https://host.example/events", method="POST", json={}) as events:
        async for event in events:
            assert_type(event, httpx.ServerSentEvent)
    async with client.websocket("wss://host.example/") as session:
        assert_type(session, AsyncWebSocketSession)
        await session.send_bytes(b"hello")
        assert_type(await session.receive_text(), str)


async def asynchronous_calls(client: httpx.AsyncClient) -> None:
    assert_type(await client.get("https://host.example/"), httpx.Response)
    assert_type(await client.request("GET", "https://host.example/"), httpx.Response)
    assert_type(await client.send(client.build_request("GET", "/")), httpx.Response)
    responses = await asyncio.gather(client.get("https://host.example/"), client.head("https://host.example/"))
    assert_type(responses, tuple[httpx.Response, httpx.Response])


async def asynchronous_answer(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, text=request.method)


def ways_to_connect() -> None:
    httpx.HTTPTransport(
        address_filter=httpx.AddressFilter(),
        resolver=httpx.CachingResolver(httpx.StaticResolver({"host.example": "192.0.2.7"}), ttl=60),
        keepalive=httpx.TCPKeepAlive(idle=60),
        limits=httpx.Limits(max_per_host=2, max_age=300),
        local_address="192.0.2.1",
        proxy=httpx.Proxy("http://proxy.example", auth=("user", "password")),
        retries=2,
        socket_options=[(6, 1, 1)],
    )
    httpx.AsyncHTTPTransport(resolver=lambda host, port: ["192.0.2.7"], keepalive=False, uds="/run/socket")
    httpx.AsyncClient(transport=httpx.MockTransport(asynchronous_answer))


def servers_for_tests() -> None:
    server = LocalServer(answer=lambda request: Reply(200, [("X-Target", request.target)], b"body"))
    with server, httpx.Client(verify=server.client_context()) as client:
        assert_type(client.get(server.url).content, bytes)
    with FaultLab() as lab:
        lab.serve([Read(), Send(b"HTTP/1.1 200 OK\r\n\r\n")])
        assert_type(lab.url("/report"), str)
        assert_type([request.target for request in lab.requests], list[str])
