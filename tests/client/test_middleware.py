"""Functions around each exchange of a client."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import httpx_fast
from httpx_fast import MockTransport, Request, Response, Retry
from httpx_fast.testing import LocalServer

URL = "http://a.test/"


def both(backend: Any, before: Callable[[Request], Any], after: Callable[[Response], Any]) -> Any:
    """Return a middleware for the client of `backend`: it calls `before`, sends, and calls `after`."""

    def blocking(request: Request, call_next: Callable[[Request], Response]) -> Response:
        response = call_next(before(request) or request)
        return after(response) or response

    async def asynchronous(request: Request, call_next: Any) -> Response:
        response = await call_next(before(request) or request)
        return after(response) or response

    return asynchronous if backend.asynchronous else blocking


def noting(backend: Any, name: str, seen: list[str]) -> Any:
    return both(
        backend,
        lambda request: seen.append(f"{name} {request.method} {request.url.path}"),
        lambda response: seen.append(f"{name} {response.status_code}"),
    )


def test_the_first_one_is_outermost_and_each_exchange_passes_through(backend):
    seen: list[str] = []

    def answer(request: Request) -> Response:
        seen.append(f"sent {request.url.path}")
        return Response(302, headers={"Location": "/b"}) if request.url.path == "/" else Response(200)

    async def body():
        around = [noting(backend, "outer", seen), noting(backend, "inner", seen)]
        async with backend.client(transport=MockTransport(answer), middlewares=around, follow_redirects=True) as client:
            assert (await client.get(URL)).status_code == 200

    backend.run(body)
    assert seen == [
        *("outer GET /", "inner GET /", "sent /", "inner 302", "outer 302"),
        *("outer GET /b", "inner GET /b", "sent /b", "inner 200", "outer 200"),
    ]


def test_rounds_of_authentication_are_exchanges(backend):
    seen: list[str] = []
    challenge = {"WWW-Authenticate": 'Digest realm="r", nonce="n", qop="auth"'}

    def answer(request: Request) -> Response:
        return Response(200) if "authorization" in request.headers else Response(401, headers=challenge)

    async def body():
        middlewares = [noting(backend, "m", seen)]
        async with backend.client(transport=MockTransport(answer), middlewares=middlewares) as client:
            assert (await client.get(URL, auth=httpx_fast.DigestAuth("user", "pw"))).status_code == 200

    backend.run(body)
    assert seen == ["m GET /", "m 401", "m GET /", "m 200"]


def test_the_request_may_be_changed_and_the_response_replaced(backend):
    def sign(request: Request) -> None:
        request.headers["X-Signature"] = "s"

    def replace(response: Response) -> Response:
        return Response(418, text=response.request.headers["x-signature"])

    async def body():
        transport = MockTransport(lambda request: Response(200, text=request.headers["x-signature"]))
        async with backend.client(transport=transport, middlewares=[both(backend, sign, replace)]) as client:
            response = await client.get(URL)
            assert (response.status_code, response.text, str(response.url)) == (418, "s", URL)

    backend.run(body)


def test_another_request_goes_to_the_transport_of_its_url_with_the_same_timeouts(backend):
    seen: list[Any] = []

    def other(request: Request) -> Request:
        return Request("GET", "http://b.test/")

    def answer(request: Request) -> Response:
        seen.append((request.url.host, request.extensions["timeout"]["read"]))
        return Response(200)

    async def body():
        refusing = MockTransport(lambda request: Response(500))
        async with backend.client(
            transport=refusing,
            mounts={"all://b.test": MockTransport(answer)},
            middlewares=[both(backend, other, lambda response: None)],
            timeout=7,
        ) as client:
            assert (await client.get(URL)).status_code == 200

    backend.run(body)
    assert seen == [("b.test", 7)]


def test_what_is_sent_again_is_one_exchange(backend):
    seen: list[str] = []
    answers = [503, 503, 200]

    async def body():
        async with backend.client(
            transport=MockTransport(lambda request: Response(answers.pop(0))),
            middlewares=[noting(backend, "m", seen)],
            retry=Retry(attempts=3, backoff=0),
        ) as client:
            assert (await client.get(URL)).status_code == 200

    backend.run(body)
    assert seen == ["m GET /", "m 200"]


def test_over_the_network_and_streamed(backend):
    seen: list[str] = []

    async def body():
        middlewares = [noting(backend, "m", seen)]
        with LocalServer(tls=False) as server:
            async with backend.client(middlewares=middlewares, trust_env=False) as client:
                response = await client.get(f"{server.url}/bytes/10")
                assert len(response.content) == 10
                assert response.journey.over_network
                async with client.stream("GET", f"{server.url}/bytes/20") as streamed:
                    assert len(await streamed.aread()) == 20

    backend.run(body)
    assert seen == ["m GET /bytes/10", "m 200", "m GET /bytes/20", "m 200"]


def test_an_error_of_a_middleware_reaches_the_caller(backend):
    def fail(request: Request) -> None:
        raise LookupError("no key for this host")

    async def body():
        transport = MockTransport(lambda request: Response(200))
        middlewares = [both(backend, fail, lambda response: None)]
        async with backend.client(transport=transport, middlewares=middlewares) as client:
            with pytest.raises(LookupError, match="no key"):
                await client.get(URL)

    backend.run(body)


def test_a_middleware_of_the_other_client_is_refused(backend):
    async def asynchronous(request: Request, call_next: Any) -> Response:
        return Response(200)

    def blocking(request: Request, call_next: Any) -> Response:
        return Response(200)

    async def body():
        transport = MockTransport(lambda request: Response(200))
        wrong = blocking if backend.asynchronous else asynchronous
        async with backend.client(transport=transport, middlewares=[wrong]) as client:
            with pytest.raises(TypeError, match=r"middleware <function .*; (Async)?Client "):
                await client.get(URL)

    backend.run(body)


def test_a_client_without_middlewares_sends_by_the_transport_alone(backend):
    async def body():
        async with backend.client(transport=MockTransport(lambda request: Response(200))) as client:
            inner = getattr(client, "blocking", client)
            assert inner._exchange == inner._io.exchange

    backend.run(body)
