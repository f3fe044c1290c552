"""Connections that the peer ends: what is sent again, how often, and what the caller is told."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from certificates import Authority
from kernels import KERNELS, speak_http2
from reloading import Apache, BriefNginx, Haproxy, Nginx, Reloading
from runners import Runner
from servers import Unavailable

import httpx_fast
from httpx_fast.testing import (
    Close,
    FaultLab,
    HalfClose,
    Http2,
    Mute,
    Read,
    ReadFrames,
    ReadHead,
    Repeat,
    Send,
    Tell,
    frames,
)

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

ONE = httpx_fast.Limits(max_connections=1)
MANY = 20
OK = (":status", "200")
GOOD = [Http2(), Repeat(Read(), Send(frames.response(b"good")))]
LAST = 2**31 - 1


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    speak_http2(request.param, monkeypatch)
    return str(request.param)


@pytest.fixture
def client_of(backend: Runner, kernel: str) -> Callable[..., Any]:
    def make(**options: Any) -> Any:
        return backend.client(**{"limits": ONE, "http1": False, "http2": True, "timeout": 20, **options})

    return make


def answer(stream: int, raw: bytes) -> bytes:
    return frames.headers(stream, OK) + frames.data(stream, raw, end=True)


def open_of(client: Any) -> tuple[int, int]:
    stats = client.pool.stats()
    return stats.leased, stats.waiting


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("limits", [ONE, httpx_fast.Limits(max_connections=100)], ids=["one", "many"])
def test_requests_are_sent_again_as_long_as_each_connection_processes_one(
    backend: Runner, client_of: Any, fault_lab: FaultLab, method: str, limits: httpx_fast.Limits
) -> None:
    """Each connection hears ten requests, or all that are left, and answers one."""
    fault_lab.serve(
        *[
            [
                Http2(),
                ReadFrames(*[f"HEADERS {stream}" for stream in range(1, 2 * min(10, left), 2)]),
                Send(frames.goaway(1)),
                Send(answer(1, b"good")),
                ReadFrames(),
            ]
            for left in range(MANY, 0, -1)
        ]
    )

    async def body() -> None:
        async with client_of(limits=limits) as client:

            async def one() -> int:
                response = await client.request(method, fault_lab.url(), content=b"once" if method == "POST" else None)
                assert response.text == "good"
                return len(response.journey.attempts)

            attempts = await backend.together(*[one] * MANY)
            assert max(attempts) > 3
            assert open_of(client) == (0, 0)
        assert fault_lab.accepted == MANY

    backend.run(body)


@pytest.mark.parametrize("asked", [False, True], ids=["at once", "when asked"])
@pytest.mark.parametrize("count", [1, MANY])
def test_a_peer_that_processes_nothing_is_an_error(
    backend: Runner, client_of: Any, fault_lab: FaultLab, asked: bool, count: int
) -> None:
    reading = [ReadHead()] if asked else []
    fault_lab.serve(Http2(), *reading, Send(frames.goaway(0, "NO_ERROR", b"not today")), ReadFrames())

    async def body() -> None:
        async with client_of() as client:

            async def one() -> None:
                with pytest.raises(httpx_fast.RemoteProtocolError, match="GOAWAY: NO_ERROR b'not today'") as caught:
                    await client.get(fault_lab.url())
                assert caught.value.unprocessed
                assert len(caught.value.journey.attempts) == 3

            await backend.together(*[one] * count)
            assert open_of(client) == (0, 0)
        assert fault_lab.accepted <= 4 * count

    backend.run(body)


def test_a_peer_that_stops_answering_after_a_while_is_an_error(
    backend: Runner, client_of: Any, fault_lab: FaultLab
) -> None:
    gone = [Http2(), Send(frames.goaway(0)), ReadFrames()]
    fault_lab.serve(
        [Http2(), Read(), Send(frames.response(b"good")), Read(), Send(frames.goaway(1)), ReadFrames()], gone
    )

    async def body() -> None:
        async with client_of() as client:
            assert (await client.get(fault_lab.url())).text == "good"
            with pytest.raises(httpx_fast.RemoteProtocolError, match="GOAWAY") as caught:
                await client.post(fault_lab.url())
            assert len(caught.value.journey.attempts) == 4  # the first one, on a connection that had made progress

    backend.run(body)


def test_the_last_stream_is_told_after_goaway_was_said(backend: Runner, client_of: Any, fault_lab: FaultLab) -> None:
    """RFC 9113 s.6.8: first 2^31-1, and a round trip later the last one that is processed."""
    fault_lab.serve(
        [
            Http2(),
            Read(),
            Read(),
            Send(frames.goaway(LAST)),
            Send(frames.goaway(1, "NO_ERROR", b"bye")),
            Send(answer(1, b"first")),
            ReadFrames(),
        ],
        GOOD,
    )

    async def body() -> None:
        async with client_of() as client:

            async def one() -> str:
                return (await client.post(fault_lab.url(), content=b"once")).text

            assert sorted(await backend.together(one, one)) == ["first", "good"]

    backend.run(body)
    assert [request.connection for request in fault_lab.requests] == [1, 1, 2]


CODES = {"ENHANCE_YOUR_CALM": "ENHANCE_YOUR_CALM", "PROTOCOL_ERROR": "PROTOCOL_ERROR", 0xFFFFFC7A: "error 0xfffffc7a"}


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("last", [1, LAST])
def test_goaway_with_an_error_code_fails_what_is_open_at_once(
    backend: Runner, client_of: Any, fault_lab: FaultLab, code: Any, last: int
) -> None:
    """The peer neither answers nor closes, and there is no timeout."""
    fault_lab.serve([Http2(), Read(), Send(frames.goaway(last, code, b"x" * 100)), Mute()], GOOD)

    async def body() -> None:
        async with client_of(timeout=None) as client:
            with pytest.raises(httpx_fast.RemoteProtocolError) as caught:
                await client.post(fault_lab.url(), content=b"once")
            shown = f"GOAWAY: {CODES[code]} {b'x' * 64!r}..."
            assert str(caught.value) == f"peer ended the connection, its last stream is {last}: {shown}"
            assert not caught.value.unprocessed
            assert (await client.get(fault_lab.url())).text == "good"

    backend.run(body)


def test_goaway_with_an_error_code_fails_a_response_that_is_read(
    backend: Runner, client_of: Any, fault_lab: FaultLab
) -> None:
    said = threading.Event()
    fault_lab.serve(
        Http2(),
        Read(),
        Send(frames.headers(1, OK) + frames.data(1, b"half")),
        Read(),
        Send(frames.goaway(1, "INTERNAL_ERROR", b"oops")),
        Tell(said),
        Mute(),
    )

    async def body() -> None:
        async with client_of(timeout=None) as client, client.stream("GET", fault_lab.url()) as answer:
            pieces = answer.aiter_bytes()
            assert await anext(pieces) == b"half"
            fault_lab.serve(GOOD)
            assert (await client.post(fault_lab.url())).text == "good"  # stream 3, which was not processed
            with pytest.raises(httpx_fast.RemoteProtocolError, match="GOAWAY: INTERNAL_ERROR b'oops'"):
                await anext(pieces)

    backend.run(body)


@pytest.mark.parametrize(
    "end",
    [
        [Send(frames.goaway(1)), Close()],
        [Send(frames.goaway(LAST)), Close()],
        [Send(frames.goaway(LAST, 0xFFFFFC7A)), Mute()],
    ],
    ids=["told", "not told", "in anger"],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_end_cuts_off_is_sent_again_if_it_may_be(
    backend: Runner, client_of: Any, fault_lab: FaultLab, end: list[Any], method: str
) -> None:
    cut = [Http2(), Read(), *end]
    fault_lab.serve(cut, cut, GOOD)

    async def body() -> None:
        async with client_of(timeout=None) as client:
            if method == "GET":
                answer = await client.get(fault_lab.url())
                assert (answer.text, len(answer.journey.attempts)) == ("good", 2)
                return
            with pytest.raises(httpx_fast.RemoteProtocolError, match="GOAWAY"):
                await client.post(fault_lab.url(), content=b"once")
            assert fault_lab.accepted == 1

    backend.run(body)


@pytest.mark.parametrize("end", [frames.goaway(1), b""], ids=["told", "not told"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_new_connection_that_is_dropped_in_place_of_an_ended_one_is_as_good_as_ended(
    backend: Runner, client_of: Any, fault_lab: FaultLab, method: str, end: bytes
) -> None:
    """A process of a server that is reloaded may accept a connection, and end before it has begun to answer."""
    ended, dropped = threading.Event(), [Http2(), Read(), HalfClose(), ReadFrames()]
    first = [Http2(), Read(), Send(answer(1, b"good") + end), HalfClose(), Tell(ended), ReadFrames()]
    fault_lab.serve(first, dropped, dropped, dropped, GOOD)

    async def body() -> None:
        async with client_of(timeout=None) as client:
            assert (await client.get(fault_lab.url())).text == "good"
            await backend.hear(ended)
            if method == "GET":
                got = await client.get(fault_lab.url())
                # Where nothing pushes, a connection that was used just now is not polled: the request finds it dead.
                polled = bool(end) or backend.name in ("asyncio", "uvloop")
                assert (got.text, len(got.journey.attempts) - 3 in ((0,) if polled else (0, 1))) == ("good", True)
                return
            with pytest.raises(httpx_fast.RemoteProtocolError, match="closed the connection"):
                await client.post(fault_lab.url(), content=b"once")
            assert fault_lab.accepted == 2

    backend.run(body)


def test_the_very_first_connection_that_is_dropped_is_an_error(
    backend: Runner, client_of: Any, fault_lab: FaultLab
) -> None:
    fault_lab.serve([Http2(), Read(), HalfClose(), ReadFrames()], GOOD)

    async def body() -> None:
        async with client_of() as client:
            with pytest.raises(httpx_fast.RemoteProtocolError, match="closed the connection"):
                await client.get(fault_lab.url())
            assert fault_lab.accepted == 1

    backend.run(body)


@pytest.mark.parametrize("again", [True, False], ids=["raw", "pieces"])
def test_a_body_that_was_partly_sent_is_sent_again_from_its_beginning(
    backend: Runner, client_of: Any, fault_lab: FaultLab, again: bool
) -> None:
    raw = bytes(range(256)) * 1000
    fault_lab.serve(
        [Http2(answers=False), ReadFrames("HEADERS 1", "DATA 1"), Send(frames.goaway(0)), ReadFrames()], GOOD
    )

    async def body() -> None:
        async with client_of() as client:
            content = raw if again else backend.content([raw[:1000], raw[1000:]])
            if again:
                assert (await client.post(fault_lab.url(), content=content)).text == "good"
                return
            with pytest.raises(httpx_fast.RemoteProtocolError, match="does not process stream 1") as caught:
                await client.post(fault_lab.url(), content=content)
            assert caught.value.unprocessed

    backend.run(body)
    assert [request.body for request in fault_lab.requests] == ([raw] if again else [])


# Real servers.


@contextlib.contextmanager
def running(kind: type[Reloading], folder: Path, authority: Authority) -> Iterator[Reloading]:
    try:
        server = kind(folder, authority)
        with server:
            yield server
    except Unavailable as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def brief_nginx(tmp_path_factory: pytest.TempPathFactory, authority: Authority) -> Iterator[Reloading]:
    with running(BriefNginx, tmp_path_factory.mktemp("brief"), authority) as server:
        yield server


@pytest.fixture(params=[Nginx, Apache, Haproxy], ids=lambda kind: kind.program)
def reloading(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, authority: Authority
) -> Iterator[Reloading]:
    """One for each test: a client's very first connection may be dropped by one that is still being reloaded."""
    with running(request.param, tmp_path_factory.mktemp("reloaded"), authority) as server:
        yield server


@pytest.fixture(params=[True, False], ids=["tls", "cleartext"])
def tls(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def options(authority: Authority, tls: bool) -> dict[str, Any]:
    context = authority.client_context()
    context.set_alpn_protocols(["h2"])
    return {"verify": context, "http1": tls, "http2": True, "timeout": 30}


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nginx_may_take_five_requests_on_a_connection(
    backend: Runner, brief_nginx: Reloading, options: dict[str, Any], tls: bool, limit: int | None, method: str
) -> None:
    count = 100

    async def body() -> None:
        async with backend.client(**options, limits=httpx_fast.Limits(max_connections=limit)) as client:

            async def one() -> Any:
                return await client.request(method, brief_nginx.url(tls), content=b"once" if method == "POST" else None)

            answers = await backend.together(*[one] * count)
            assert {(answer.status_code, answer.http_version) for answer in answers} == {(200, "HTTP/2")}
            assert max(answer.journey.nth for answer in answers) <= BriefNginx.requests
            assert open_of(client) == (0, 0)

    backend.run(body)


def test_no_get_fails_when_a_server_is_reloaded(
    backend: Runner, reloading: Reloading, options: dict[str, Any], tls: bool
) -> None:
    async def body() -> None:
        async with backend.client(**options) as client:

            async def some() -> None:
                for _ in range(10):
                    answer = await client.get(reloading.url(tls))
                    assert (answer.text, answer.http_version) == ("ok", "HTTP/2")

            async def reload() -> None:
                assert (await client.get(reloading.url(tls))).text == "ok"
                reloading.reload()
                await some()

            for _ in range(4):
                await backend.together(*[some] * 10, reload)
                while not reloading.is_settled():
                    await some()
            assert open_of(client) == (0, 0)

    backend.run(body)
