"""No response is left open behind an exception, whatever it is and wherever it strikes."""

from __future__ import annotations

import asyncio
import random

import pytest

import httpx_fast
from httpx_fast import Response


class Struck(BaseException):
    """As good as a cancellation: nobody who handles errors catches it."""


class Late(httpx_fast.AsyncByteStream):
    """A body that never comes."""

    def __init__(self, backend, reached):
        self.event = backend.event()
        self.reached = reached
        self.closed = 0

    async def __aiter__(self):
        self.reached.set()
        await self.event.wait()
        yield b""

    async def aclose(self):
        self.closed += 1


def test_cancelling_while_a_body_is_read_closes_the_response(backend):
    if not backend.asynchronous:
        pytest.skip("blocking calls are not cancelled")

    async def body():
        reached = backend.event()
        late = Late(backend, reached)
        transport = httpx_fast.MockTransport(lambda request: Response(200, stream=late))
        async with httpx_fast.AsyncClient(transport=transport) as client:
            if backend.name == "trio":
                import trio

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(client.get, "http://a.test/")
                    await reached.wait()
                    nursery.cancel_scope.cancel()
            else:
                task = asyncio.create_task(client.get("http://a.test/"))
                await reached.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert late.closed == 1

    backend.run(body)


@pytest.mark.parametrize("hops", [0, 1, 2])
@pytest.mark.parametrize("error", [Struck("now"), ValueError("now"), httpx_fast.ReadError("now")])
def test_every_body_is_closed_when_reading_one_fails(backend, make_body, hops, error):
    bodies = []

    def handler(request):
        fails = error if len(bodies) == hops else None
        bodies.append(make_body(b"x", fails=fails))
        return Response(302, headers={"location": "/next"}, stream=bodies[-1])

    async def body():
        async with backend.client(
            transport=httpx_fast.MockTransport(handler), follow_redirects=True, max_redirects=2
        ) as client:
            # The last of three redirects is one too many, and so it is never read.
            expected = httpx_fast.TooManyRedirects if hops == 2 else type(error)
            with pytest.raises(expected, match=r"now|more than"):
                await client.get("http://a.test/")

    backend.run(body)
    assert [each.closed for each in bodies] == [1] * len(bodies)


def test_every_body_is_closed_when_cookies_cannot_be_taken(backend, make_body):
    answer = make_body(b"x")

    class Jar(httpx_fast.Cookies):
        def extract_cookies(self, response):
            raise Struck("bad cookie")

    async def body():
        transport = httpx_fast.MockTransport(
            lambda request: Response(200, headers={"set-cookie": "a=1"}, stream=answer)
        )
        async with backend.client(transport=transport) as client:
            getattr(client, "blocking", client)._cookies = Jar()
            with pytest.raises(Struck, match="bad cookie"):
                await client.get("http://a.test/")

    backend.run(body)
    assert answer.closed == 1


def test_bad_location_closes_the_response(backend, make_body):
    answer = make_body(b"x")

    async def body():
        transport = httpx_fast.MockTransport(
            lambda request: Response(302, headers={"location": "http://[/"}, stream=answer)
        )
        async with backend.client(transport=transport, follow_redirects=True) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="Location is no URL"):
                await client.get("http://a.test/")

    backend.run(body)
    assert answer.closed == 1


def test_body_that_a_hook_has_begun_to_read_is_closed(backend, make_body):
    answer = make_body(b"one", b"two")
    begun = []

    def blocking(response):
        begun.append(response.iter_raw())
        next(begun[0])

    async def waiting(response):
        begun.append(response.aiter_raw())
        await anext(begun[0])

    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(200, stream=answer))
        hooks = {"response": [waiting if backend.asynchronous else blocking]}
        async with backend.client(transport=transport, event_hooks=hooks) as client:
            with pytest.raises(httpx_fast.StreamConsumed, match="cannot be read again"):
                await client.get("http://a.test/")
            assert answer.closed == 1

    backend.run(body)


def test_transport_that_raises_something_else_is_heard(backend):
    def handler(request):
        raise Struck("in the transport")

    async def body():
        async with backend.client(transport=httpx_fast.MockTransport(handler)) as client:
            with pytest.raises(Struck, match="in the transport"):
                await client.get("http://a.test/")

    backend.run(body)


def test_body_of_the_other_world_is_said_to_be(make_body):
    class Only(httpx_fast.SyncByteStream):
        def __iter__(self):
            yield b"x"

    async def body():
        transport = httpx_fast.MockTransport(lambda request: Response(200, stream=Only()))
        async with httpx_fast.AsyncClient(transport=transport) as client:
            with pytest.raises(RuntimeError, match="has the body Only, which this client cannot read"):
                await client.get("http://a.test/")

    asyncio.run(body())


class Chance:
    """A client's life by the dice: what the server answers, what fails, and every body that there was."""

    def __init__(self, seed, make_body):
        self.dice = random.Random(seed)
        self.make_body = make_body
        self.bodies = []

    def strikes(self, of):
        """Raises something once in `of` times."""
        if self.dice.randrange(of) == 0:
            raise self.dice.choice([Struck("struck"), ValueError("struck"), httpx_fast.ReadError("struck")])

    def answer(self, request):
        self.strikes(12)
        fails = Struck("struck") if self.dice.randrange(8) == 0 else None
        self.bodies.append(self.make_body(b"one", b"two", fails=fails))
        status = self.dice.choice([200, 200, 302, 302, 307, 401])
        location = self.dice.choice(["/next", "http://b.test/", "http://b.test:port/"])
        headers = {"location": location, "set-cookie": "a=1"}
        return Response(status, headers=headers, stream=self.bodies[-1])

    def hooks(self, asynchronous):
        def blocking(argument):
            self.strikes(15)

        async def waiting(argument):
            self.strikes(15)

        hook = waiting if asynchronous else blocking
        return {"request": [hook], "response": [hook, hook]}

    def auth(self):
        chance = self

        class Rounds(httpx_fast.Auth):
            requires_response_body = bool(chance.dice.randrange(2))

            def auth_flow(self, request):
                for _ in range(chance.dice.randrange(1, 4)):
                    response = yield request
                    chance.strikes(10)
                    if response.status_code != 401:
                        return

        return Rounds()


@pytest.mark.parametrize("block", range(4))
def test_only_the_response_that_is_returned_is_open(backend, make_body, block):
    async def one(seed):
        chance = Chance(seed, make_body)
        stream = bool(chance.dice.randrange(2))
        async with backend.client(
            transport=httpx_fast.MockTransport(chance.answer),
            event_hooks=chance.hooks(backend.asynchronous),
            auth=chance.auth() if chance.dice.randrange(2) else None,
            follow_redirects=bool(chance.dice.randrange(4)),
            max_redirects=3,
        ) as client:
            request = client.build_request("GET", "http://a.test/")
            try:
                response = await client.send(request, stream=stream)
            except (Struck, ValueError, httpx_fast.RequestError):
                response = None
            still_open = 1 if response is not None and not response.is_closed else 0
            assert [body.closed for body in chance.bodies[: len(chance.bodies) - still_open]] == [1] * (
                len(chance.bodies) - still_open
            ), seed
            assert stream or not still_open
            if response is not None:
                await response.aclose()
        assert [body.closed for body in chance.bodies] == [1] * len(chance.bodies), seed

    async def body():
        for seed in range(block * 100, block * 100 + 100):
            await one(seed)

    backend.run(body)
