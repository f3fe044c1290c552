"""Observers of a client's exchanges: of one client, or of all that are made."""

from __future__ import annotations

from typing import Any

import pytest

import httpx_fast
from httpx_fast import Request, Response
from httpx_fast._client.observing import observe, observe_all


class Notes:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begins(self, request: Request) -> str:
        self.told.append(("begins", request.url.path))
        return request.url.path

    def ended(self, begun: str, request: Request, response: Response | None, error: BaseException | None) -> None:
        assert begun == request.url.path
        if response is not None:
            assert response.request is request
        self.told.append(("ended", response.status_code if response is not None else type(error).__name__))


def inner(client: Any) -> Any:
    """The client itself; the blocking runner wraps it."""
    return client if isinstance(client, httpx_fast.AsyncClient) else client.blocking


def answer(request: Request) -> Response:
    if request.url.path == "/fails":
        raise httpx_fast.ReadError("lost")
    if request.url.path == "/moved":
        return Response(302, headers={"Location": "/here"})
    return Response(200)


def test_observer_sees_every_exchange_until_it_ends(backend: Any) -> None:
    notes = Notes()

    async def body() -> None:
        async with backend.client(transport=httpx_fast.MockTransport(answer), follow_redirects=True) as client:
            end = observe(inner(client), notes)
            await client.get("http://a.test/moved")
            with pytest.raises(httpx_fast.ReadError, match="lost"):
                await client.get("http://a.test/fails")
            end()
            end()
            await client.get("http://a.test/unseen")

    backend.run(body)
    assert notes.told == [
        ("begins", "/moved"),
        ("ended", 302),
        ("begins", "/here"),
        ("ended", 200),
        ("begins", "/fails"),
        ("ended", "ReadError"),
    ]


def test_each_of_several_observers_ends_by_itself(backend: Any) -> None:
    first, second = Notes(), Notes()

    async def body() -> None:
        async with backend.client(transport=httpx_fast.MockTransport(answer)) as client:
            end_first, end_second = observe(inner(client), first), observe(inner(client), second)
            await client.get("http://a.test/both")
            end_first()
            await client.get("http://a.test/second")
            end_second()
            await client.get("http://a.test/nobody")

    backend.run(body)
    assert [path for what, path in first.told if what == "begins"] == ["/both"]
    assert [path for what, path in second.told if what == "begins"] == ["/both", "/second"]


def test_all_clients_that_are_made_from_now_on_are_observed(backend: Any) -> None:
    notes, made = Notes(), []

    async def body() -> None:
        transport = httpx_fast.MockTransport(answer)
        async with backend.client(transport=transport) as before:
            end = observe_all(notes, made.append)
            try:
                async with backend.client(transport=transport) as client:
                    await before.get("http://a.test/before")
                    await client.get("http://a.test/made")
            finally:
                end()
            async with backend.client(transport=transport) as after:
                await after.get("http://a.test/after")

    backend.run(body)
    assert notes.told == [("begins", "/made"), ("ended", 200)]
    assert len(made) == 1
