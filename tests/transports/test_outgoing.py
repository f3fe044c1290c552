"""Bodies that are sent once more when a reused connection turns out to be dead."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from runners import Runner

import httpx_fast
from httpx_fast._transports.outgoing import AsyncPieces, BlockingPieces
from httpx_fast.testing import Close, FaultLab, Read, ReadHead, Repeat, Reset, Send, redirect, response

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

BYTES = bytes(range(256)) * 1000  # more than a file is read in at once


class Pieces:
    """Gives its pieces as often as it is iterated, both ways; counts how many it gave."""

    def __init__(self) -> None:
        self.given: list[bytes] = []

    def __iter__(self) -> Iterator[bytes]:
        for start in range(0, len(BYTES), 50_000):
            self.given.append(BYTES[start : start + 50_000])
            yield self.given[-1]


class AsynchronousPieces(Pieces):
    __iter__ = None  # type: ignore[assignment]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in Pieces.__iter__(self):
            yield piece


class AsynchronousFile:
    """A file as anyio and trio have them: around a blocking one, which is `wrapped`."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    async def read(self, size: int) -> bytes:
        return self.wrapped.read(size)

    async def seek(self, position: int) -> int:
        return self.wrapped.seek(position)

    def __aiter__(self) -> AsynchronousFile:
        return self

    async def __anext__(self) -> bytes:
        raise AssertionError("files are read in pieces, not in lines")


def in_the_middle(file: Any) -> Any:
    file.seek(1000)
    return file


def of_world(blocking: Callable[[], Any], asynchronous: Callable[[], Any]) -> Callable[[Runner], Any]:
    return lambda backend: asynchronous() if backend.asynchronous else blocking()


SENT_AGAIN: dict[str, tuple[Callable[[Runner], dict[str, Any]], bytes]] = {
    "a file that stands in its middle": (
        lambda backend: {
            "content": of_world(
                lambda: in_the_middle(io.BytesIO(BYTES)),
                lambda: AsynchronousFile(in_the_middle(io.BytesIO(BYTES))),
            )(backend)
        },
        BYTES[1000:],
    ),
    "an iterable": (lambda backend: {"content": of_world(Pieces, AsynchronousPieces)(backend)}, BYTES),
    "a form with a file": (
        lambda backend: {"files": {"a": ("b", in_the_middle(io.BytesIO(BYTES)))}, "data": {"c": "d"}},
        BYTES,
    ),
    "a form with bytes": (lambda backend: {"files": {"a": ("b", BYTES)}}, BYTES),
}


@pytest.mark.parametrize("ending", [Close(), Reset()], ids=["closed", "reset"])
@pytest.mark.parametrize("name", SENT_AGAIN)
def test_what_can_be_read_again_is_sent_again(backend: Runner, fault_lab: FaultLab, name: str, ending: Any) -> None:
    options, data = SENT_AGAIN[name]
    fault_lab.serve([Read(), Send(response(b"first")), Read(), ending], [Repeat(Read(), Send(response(b"good")))])

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            answer = await client.request("PUT", fault_lab.url(), **options(backend))
            assert (answer.text, len(answer.journey.attempts)) == ("good", 1)
        _, first, second = fault_lab.requests
        assert (first.connection, second.connection) == (1, 2)
        # Each byte once in each attempt.
        assert first.body == second.body
        assert first.body.count(data) == 1
        assert len(first.body) - len(data) < 500

    backend.run(body)


def once(backend: Runner) -> Any:
    return backend.content([BYTES])


def iterator(backend: Runner) -> Any:
    return backend.content([BYTES]) if backend.asynchronous else iter([BYTES])


@pytest.mark.parametrize("content", [once, iterator], ids=["generator", "iterator"])
def test_what_can_be_read_once_is_not_sent_again(backend: Runner, fault_lab: FaultLab, content: Any) -> None:
    fault_lab.serve([Read(), Send(response(b"first")), Read(), Close()], [Read(), Send(response(b"good"))])

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            with pytest.raises(httpx_fast.RemoteProtocolError, match="without sending a response"):
                await client.request("PUT", fault_lab.url(), content=content(backend))
        assert len(fault_lab.requests) == 2

    backend.run(body)


def test_a_pipe_is_not_sent_again(fault_lab: FaultLab) -> None:
    fault_lab.serve([Read(), Send(response(b"first")), Read(), Close()], [Read(), Send(response(b"good"))])
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(b"abc")
    with open(reading, "rb") as file, httpx_fast.Client() as client:
        client.get(fault_lab.url())
        with pytest.raises(httpx_fast.RemoteProtocolError, match="without sending a response"):
            client.put(fault_lab.url(), content=file)
    assert len(fault_lab.requests) == 2


def test_a_body_cut_short_in_the_first_attempt_is_sent_whole_in_the_second(
    backend: Runner, fault_lab: FaultLab
) -> None:
    fault_lab.serve([Read(), Send(response(b"first")), ReadHead(), Reset()], [Read(), Send(response(b"good"))])
    size = 8 * 1024 * 1024

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            file = io.BytesIO(bytes(size))
            answer = await client.request("PUT", fault_lab.url(), files={"a": file})
            assert (answer.text, len(answer.journey.attempts)) == ("good", 1)
        assert fault_lab.requests[-1].body.count(bytes(size)) == 1

    backend.run(body)


@pytest.mark.parametrize("status", [307, 308])
def test_a_redirect_and_a_dead_connection_wind_back_to_the_same_place(
    backend: Runner, fault_lab: FaultLab, status: int
) -> None:
    fault_lab.serve(
        [Read(), Send(redirect("/there", status=status)), Read(), Close()], [Read(), Send(response(b"good"))]
    )
    options, data = SENT_AGAIN["a file that stands in its middle"]

    async def body() -> None:
        async with backend.client(follow_redirects=True) as client:
            answer = await client.request("PUT", fault_lab.url(), **options(backend))
            assert answer.text == "good"
        assert [(each.target, each.body) for each in fault_lab.requests] == [
            ("/", data),
            ("/there", data),
            ("/there", data),
        ]

    backend.run(body)


def test_a_post_is_sent_again_where_the_user_says_so(backend: Runner, fault_lab: FaultLab) -> None:
    fault_lab.serve([Read(), Send(response(b"first")), Read(), Close()], [Read(), Send(response(b"good"))])

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            options, _ = SENT_AGAIN["an iterable"]
            answer = await client.post(fault_lab.url(), extensions={"replay": True}, **options(backend))
            assert answer.text == "good"

    backend.run(body)


@pytest.mark.parametrize("kind", [BlockingPieces, AsyncPieces])
def test_a_body_that_nobody_has_begun_may_be_sent(kind: Any) -> None:
    outgoing = kind((piece for piece in ()) if kind is BlockingPieces else AsynchronousPieces())
    assert outgoing.again
    aiter(outgoing)
    assert not outgoing.again


def test_every_generator_that_was_begun_is_ended(backend: Runner, fault_lab: FaultLab) -> None:
    if not backend.asynchronous:
        pytest.skip("blocking generators are ended with their last reference")
    fault_lab.serve([Read(), Send(response(b"first")), ReadHead(), Reset()], [Read(), Send(response(b"good"))])
    ended: list[str] = []

    class Files(AsynchronousPieces):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            try:
                for _ in range(200):
                    yield BYTES
            finally:
                ended.append("closed")

    async def body() -> None:
        async with backend.client() as client:
            await client.get(fault_lab.url())
            assert (await client.request("PUT", fault_lab.url(), content=Files())).text == "good"
            assert ended == ["closed"] * 2

    backend.run(body)
