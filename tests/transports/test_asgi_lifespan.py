"""Startup and shutdown of ASGI applications."""

from __future__ import annotations

from typing import Any

import pytest

import httpx_fast
from httpx_fast import ASGITransport

URL = "http://app.test/"


@pytest.fixture
def run(backend):
    """Run a test body on the asynchronous backends."""
    if not backend.asynchronous:
        pytest.skip("applications run in tasks, which blocking clients have none of")
    return backend.run


class App:
    """An application that notes what happens."""

    def __init__(self, startup: Any = "complete", shutdown: Any = "complete") -> None:
        self.answers = {"startup": startup, "shutdown": shutdown}
        self.seen: list[Any] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for event in ("startup", "shutdown"):
                assert (await receive())["type"] == f"lifespan.{event}"
                self.seen.append(event)
                answer = self.answers[event]
                if isinstance(answer, BaseException):
                    raise answer
                if answer is None:
                    return
                scope["state"]["number"] = 7
                await send({"type": f"lifespan.{event}.{answer}", "message": "no database"})
            return
        self.seen.append(scope["state"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def test_an_application_starts_up_with_the_client_and_shuts_down_with_it(run):
    app = App()

    async def body():
        async with httpx_fast.AsyncClient(transport=ASGITransport(app, lifespan=True)) as client:
            assert app.seen == ["startup"]
            assert (await client.get(URL)).text == "ok"
            assert (await client.get(URL)).text == "ok"
        assert app.seen == ["startup", {"number": 7}, {"number": 7}, "shutdown"]
        assert app.seen[1] is not app.seen[2]

    run(body)


def test_without_a_block_it_starts_up_before_the_first_of_many_requests(run, backend):
    app = App()

    async def body():
        client = httpx_fast.AsyncClient(transport=ASGITransport(app, lifespan=True))
        assert app.seen == []

        async def one() -> None:
            assert (await client.get(URL)).text == "ok"

        await backend.together(one, one, one)
        assert app.seen == ["startup", *[{"number": 7}] * 3]
        await client.aclose()
        assert app.seen[-1] == "shutdown"

    run(body)


def test_a_transport_that_is_used_again_starts_the_application_up_again(run):
    app = App()

    async def body():
        transport = ASGITransport(app, lifespan=True)
        for _ in range(2):
            async with httpx_fast.AsyncClient(transport=transport) as client:
                await client.get(URL)

    run(body)
    assert [each for each in app.seen if isinstance(each, str)] == ["startup", "shutdown"] * 2


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        ("failed", RuntimeError, "failed its startup: no database"),
        (LookupError("no key"), LookupError, "no key"),
        (None, RuntimeError, "ended without completing its startup; lifespan=True is for applications that"),
        ("begun", RuntimeError, "sent 'lifespan.startup.begun', which a lifespan does not have"),
    ],
)
def test_an_application_that_does_not_start_up_is_an_error(run, answer, error, said):
    async def body():
        transport = ASGITransport(App(startup=answer), lifespan=True)
        client = httpx_fast.AsyncClient(transport=transport)
        with pytest.raises(error, match=said):
            await client.get(URL)
        await client.aclose()
        with pytest.raises(error, match=said):
            await httpx_fast.AsyncClient(transport=transport).__aenter__()

    run(body)


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [("failed", RuntimeError, "failed its shutdown: no database"), (LookupError("gone"), LookupError, "gone")],
)
def test_a_failure_of_the_shutdown_is_raised_by_closing(run, answer, error, said):
    async def body():
        client = httpx_fast.AsyncClient(transport=ASGITransport(App(shutdown=answer), lifespan=True))
        await client.get(URL)
        with pytest.raises(error, match=said):
            await client.aclose()

    run(body)


def test_a_request_waits_for_the_startup_as_long_as_it_may(run):
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await receive()

    async def body():
        client = httpx_fast.AsyncClient(
            transport=ASGITransport(never, lifespan=True), timeout=httpx_fast.Timeout(total=0.01)
        )
        with pytest.raises(httpx_fast.ReadTimeout, match="the ASGI application has not started"):
            await client.get(URL)
        await client.aclose()

    run(body)


def test_lifespan_is_true_or_false():
    with pytest.raises(TypeError, match="expected True or False as lifespan, got 'auto'"):
        ASGITransport(App(), lifespan="auto")  # type: ignore[arg-type]
