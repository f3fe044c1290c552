"""`Limits(max_head_size=...)`: heads, interim heads, trailers and answers to CONNECT, on every backend and kernel.

The kernels' own tests cut the bytes at each position; here it is shown that the limit arrives where they read.
"""

from __future__ import annotations

from typing import Any

import pytest
from kernels import KERNELS, speak_http1, speak_http2
from peers import Dialogue
from proxies import HttpProxy

from httpx_fast import Limits, ProxyError, RemoteProtocolError, Response
from httpx_fast.testing import FaultLab, Http2, Read, Repeat, Send, frames

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]

HOW = r": Limits\(max_head_size=\.\.\.\) sets the limit"
STATUS = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
OK = (":status", "200")
# None is the default: 102,400 bytes in HTTP/1.1, 65,536 in HTTP/2.
SIZES = [200, None, 300_000]
DEFAULT, DEFAULT_HTTP2 = 102_400, 65_536
COOKIE = 4000  # bytes of each of the large fields


@pytest.fixture(params=KERNELS, autouse=True)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    speak_http1(request.param, monkeypatch)
    speak_http2(request.param, monkeypatch)
    return str(request.param)


def limited(size: int | None) -> dict[str, Limits]:
    return {"limits": Limits(max_head_size=size, max_connections=1)}


def padded(start: bytes, size: int) -> bytes:
    """A head, or trailer section, of that size: `start` and field lines as large as servers send them."""
    lines = []
    while (left := size - len(start) - 2 - sum(map(len, lines))) > 0:
        taken = left if left <= COOKIE + 100 else COOKIE
        lines.append(b"X: " + b"x" * (taken - 5) + b"\r\n")
    return start + b"".join(lines) + b"\r\n"


def answering_in_turn(*messages: bytes) -> Any:
    """Each connection gets the answers that are left, one to a request."""
    left = list(messages)

    def script(dialogue: Dialogue) -> None:
        while left and dialogue.read_request():
            dialogue.send(left.pop(0))

    return script


@pytest.mark.parametrize("size", SIZES)
def test_a_head_of_just_that_size_is_read_and_one_byte_more_is_refused(backend, peer, size):
    limit = size or DEFAULT

    async def body():
        async with backend.client(**limited(size)) as client:
            for nth in (1, 2):
                response = await client.get(server.url("/"))
                assert (response.status_code, response.journey.nth) == (200, nth)
                assert sum(len(name) + len(value) + 4 for name, value in response.headers.raw) == limit - 17 - 2
            with pytest.raises(RemoteProtocolError, match=f"the head has not ended after {limit} bytes, .*{HOW}$"):
                await client.get(server.url("/"))
            assert client.pool.connections() == []
            assert (await client.get(server.url("/"))).journey.nth == 1

    fits, more = padded(STATUS, limit), padded(STATUS, limit + 1)
    server = peer(answering_in_turn(fits, fits, more, fits))
    backend.run(body)


@pytest.mark.parametrize("size", SIZES)
def test_a_trailer_section_has_the_same_limit(backend, peer, size):
    limit = size or DEFAULT

    async def body():
        async with backend.client(**limited(size)) as client:
            response = await client.get(server.url("/"))
            assert (response.content, len(response.trailers) > 0) == (b"ok", True)
            expected = f"the trailer section has not ended after {limit} bytes, .*{HOW}$"
            with pytest.raises(RemoteProtocolError, match=expected):
                await client.get(server.url("/"))

    server = peer(answering_in_turn(CHUNKED + padded(b"", limit), CHUNKED + padded(b"", limit + 1)))
    backend.run(body)


@pytest.mark.parametrize("size", SIZES)
def test_an_interim_response_has_the_same_limit(backend, peer, size):
    limit = size or DEFAULT
    start, last = b"HTTP/1.1 103 Early Hints\r\n", padded(STATUS, 100)

    async def body():
        async with backend.client(**limited(size)) as client:
            response = await client.get(server.url("/"))
            assert [each.status_code for each in response.informational] == [103]
            with pytest.raises(RemoteProtocolError, match=f"the head has not ended after {limit} bytes, .*{HOW}$"):
                await client.get(server.url("/"))

    server = peer(answering_in_turn(padded(start, limit) + last, padded(start, limit + 1) + last))
    backend.run(body)


@pytest.mark.parametrize("size", SIZES)
def test_the_answer_of_a_proxy_to_connect_has_the_same_limit(backend, peer, authority, size):
    limit = size or DEFAULT
    proxying = HttpProxy()

    async def get(client: Any) -> Response:
        return await client.get(origin.url("/"))

    async def body():
        options = {"proxy": f"http://127.0.0.1:{proxy.port}", "verify": authority.client_context(), **limited(size)}
        async with backend.client(**options) as client:
            proxying.leave = padded(b"HTTP/1.1 200 Connected\r\n", limit)
            assert (await get(client)).status_code == 200
        async with backend.client(**options) as client:
            proxying.leave = padded(b"HTTP/1.1 200 Connected\r\n", limit + 1)
            with pytest.raises(ProxyError, match=f"the head has not ended after {limit} bytes, .*{HOW}$"):
                await get(client)

    proxy = peer(proxying)
    origin = peer(answering_in_turn(STATUS + b"\r\n"), tls=authority.server_context("127.0.0.1"))
    backend.run(body)


# HTTP/2.


def section(stream: int, size: int, *fields: tuple[str, str], end: bool = True) -> bytes:
    """Frames of a field section of that size, as RFC 9113 s.6.5.2 counts it; of 16 KiB each, as servers send them."""
    found = list(fields)
    while left := size - sum(len(name) + len(value) + 32 for name, value in found):
        taken = left if left <= COOKIE + 100 else COOKIE
        found.append(("x", "x" * (taken - 33)))
    block = frames.block(*found)
    return frames.headers(stream, *found, end=end, cuts=range(16384, len(block), 16384))


def serve(lab: FaultLab, *answers: bytes) -> None:
    lab.serve(Http2(), *(step for answer in answers for step in (Read(), Send(answer))), Repeat(Read()))


def over_http2(backend: Any, size: int | None) -> Any:
    return backend.client(http1=False, http2=True, timeout=20, **limited(size))


@pytest.mark.parametrize("size", SIZES)
def test_http2_has_the_limit_and_a_larger_head_costs_its_stream_alone(backend, fault_lab, size):
    limit = size or DEFAULT_HTTP2

    async def body():
        async with over_http2(backend, size) as client:
            assert (await client.get(fault_lab.url())).status_code == 200
            expected = rf"a field section of {limit + 1} bytes is above the limit of {limit} .*{HOW}"
            with pytest.raises(RemoteProtocolError, match=expected):
                await client.get(fault_lab.url())
            last = await client.get(fault_lab.url())
            assert (last.status_code, last.journey.nth) == (200, 3)
        told = fault_lab.frames()
        assert told[0].endswith(f" max_header_list_size={limit}")
        assert [line for line in told if line.startswith("RST_STREAM")] == ["RST_STREAM 3 ENHANCE_YOUR_CALM"]

    serve(fault_lab, section(1, limit, OK), section(3, limit + 1, OK), section(5, limit, OK))
    backend.run(body)


@pytest.mark.parametrize("size", SIZES)
def test_trailers_and_interim_responses_of_http2_have_the_same_limit(backend, fault_lab, size):
    limit = size or DEFAULT_HTTP2

    async def body():
        async with over_http2(backend, size) as client:
            response = await client.get(fault_lab.url())
            assert [each.status_code for each in response.informational] == [103]
            assert (response.content, len(response.trailers) > 0) == (b"ok", True)
            for _ in range(2):
                with pytest.raises(RemoteProtocolError, match=f"above the limit of {limit} .*{HOW}"):
                    await client.get(fault_lab.url())

    early = (":status", "103")
    serve(
        fault_lab,
        section(1, limit, early, end=False)
        + frames.headers(1, OK)
        + frames.data(1, b"ok")
        + section(1, limit, ("grpc-status", "0")),
        section(3, limit + 1, early, end=False),
        frames.headers(5, OK) + frames.data(5, b"ok") + section(5, limit + 1, ("grpc-status", "0")),
    )
    backend.run(body)


def test_a_large_limit_takes_more_frames_and_a_small_one_no_fewer(backend, fault_lab):
    """200 KB of cookies in frames of 1 KiB are more than the 64 frames that a section may have by default."""
    fields = [OK, *[("set-cookie", "x" * COOKIE)] * 50]
    block = frames.block(*fields)
    answer = frames.headers(1, *fields, end=True, cuts=range(1024, len(block), 1024))

    async def body():
        async with over_http2(backend, 300_000) as client:
            response = await client.get(fault_lab.url())
            assert len(response.headers.get_list("set-cookie")) == 50
        async with over_http2(backend, None) as client:
            with pytest.raises(RemoteProtocolError, match=rf"131072 bytes or 64 CONTINUATION frames, .*{HOW}"):
                await client.get(fault_lab.url())

    fault_lab.serve(Http2(), Read(), Send(answer), Repeat(Read()))
    backend.run(body)
