"""What a server would have to guess at is refused before anything is leased: Host, length and coding of a request."""

from __future__ import annotations

from typing import Any

import pytest
from peers import OK

import httpx_fast
from httpx_fast import LocalProtocolError, RemoteProtocolError
from httpx_fast.testing import FaultLab, Http2, Read, ReadHead, Repeat, Send, frames

pytest_plugins = ["httpx_fast.testing.pytest_plugin"]


HUGE = "1" * 5000


DIGITS = HUGE.encode()


ONE = httpx_fast.Limits(max_connections=1)


def echo(seen: list[bytes]) -> Any:
    def script(dialogue: Any) -> None:
        while request := dialogue.read_request():
            seen.append(request)
            dialogue.send(OK)

    return script


def hosts(request: bytes) -> list[bytes]:
    return [line for line in request.split(b"\r\n") if line.lower().startswith(b"host:")]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ([("Host", "a"), ("Host", "b")], "the request has 2 Host fields; expected one"),
        ([("Host", "a"), ("host", "a")], "the request has 2 Host fields"),
        ({"Host": "a", "HOST": "b"}, "the request has 2 Host fields"),
        ([("Content-Length", "0"), ("Content-Length", "0")], "Content-Length is set more than once"),
        ([("Content-Length", "0, 0")], "Content-Length b'0, 0'; expected one decimal number"),
        ({"Content-Length": "-1"}, "Content-Length b'-1'"),
        ({"Content-Length": "+0"}, r"Content-Length b'\+0'"),
        ({"Content-Length": "1_0"}, "Content-Length b'1_0'"),
        ({"Content-Length": "0x0"}, "Content-Length b'0x0'"),
        ({"Content-Length": ""}, "Content-Length b''"),
        ({"Content-Length": "\u0663".encode()}, "expected one decimal number"),
        ({"Content-Length": HUGE}, r"Content-Length b'1{64}'\.\.\.; expected one decimal number"),
        ([("Transfer-Encoding", "chunked"), ("Transfer-Encoding", "chunked")], "Transfer-Encoding is set more than"),
        ({"Transfer-Encoding": "chunked, chunked"}, "only 'chunked' can be sent"),
        ({"Transfer-Encoding": "gzip, chunked"}, "only 'chunked' can be sent"),
        ([("Transfer-Encoding", "chunked"), ("Content-Length", "0")], "both Content-Length and Transfer-Encoding"),
    ],
)
@pytest.mark.parametrize("protocol", [{}, {"http1": False, "http2": True}], ids=["http1", "http2"])
@pytest.mark.parametrize("place", ["client", "call", "request"])
def test_ambiguous_fields_are_refused_before_anything_is_leased(
    backend: Any, peer: Any, headers: Any, error: str, protocol: dict[str, bool], place: str
) -> None:
    at = peer(echo([]))
    url = f"http://127.0.0.1:{at.port}/"

    async def body() -> None:
        own = headers if place == "client" else None
        async with backend.client(headers=own, trust_env=False, **protocol) as client:
            with pytest.raises(LocalProtocolError, match=error) as caught:
                if place == "request":
                    await client.send(httpx_fast.Request("GET", url, headers=headers))
                else:
                    await client.get(url, headers=headers if place == "call" else None)
            assert caught.value.request.url == url
            assert not client.pool.connections()

    backend.run(body)
    assert at.accepted == 0


@pytest.mark.parametrize("protocol", [{}, {"http1": False, "http2": True}], ids=["http1", "http2"])
def test_a_request_without_host_is_refused(backend: Any, peer: Any, protocol: dict[str, bool]) -> None:
    at = peer(echo([]))

    async def body() -> None:
        async with backend.client(trust_env=False, **protocol) as client:
            request = client.build_request("GET", f"http://127.0.0.1:{at.port}/")
            del request.headers["Host"]
            with pytest.raises(LocalProtocolError, match=r"the request has no Host fields; expected one \(RFC 9112"):
                await client.send(request)

    backend.run(body)
    assert at.accepted == 0


def test_a_refused_request_costs_no_connection(backend: Any, peer: Any) -> None:
    seen: list[bytes] = []
    at = peer(echo(seen))
    url = f"http://127.0.0.1:{at.port}/"

    async def body() -> None:
        async with backend.client(trust_env=False, limits=ONE) as client:
            await client.get(url)
            for options in ({"headers": {"Host": "a", "host": "b"}}, {"headers": {"Content-Length": HUGE}}):
                for method in ("GET", "POST"):
                    with pytest.raises(LocalProtocolError, match="expected one"):
                        await client.request(method, url, **options)
            await client.get(url)
            assert len(client.pool.connections()) == 1

    backend.run(body)
    assert (at.accepted, len(seen)) == (1, 2)


@pytest.mark.parametrize("name", ["Host", "host", "HOST"])
@pytest.mark.parametrize("host", ["other.example", "other.example:8080", ""])
def test_host_that_the_user_sets_is_sent_alone_and_first(backend: Any, peer: Any, name: str, host: str) -> None:
    seen: list[bytes] = []
    at = peer(echo(seen))
    url = f"http://127.0.0.1:{at.port}/"

    async def body() -> None:
        async with backend.client(trust_env=False) as client:
            await client.get(url, headers={name: host})
            await client.post(url, json={}, headers={name: host})
            await client.send(httpx_fast.Request("GET", url, headers={name: host}))
        async with backend.client(trust_env=False, headers={name: host}) as client:
            await client.get(url)
            await client.get(url, headers={"a": "b"})
            await client.post(url, content=b"x")

    backend.run(body)
    line = f"{name}: {host}".encode()
    assert [hosts(request) for request in seen] == [[line]] * 6
    assert {request.split(b"\r\n")[1] for request in seen} == {line}


def test_host_that_the_user_sets_is_the_authority_of_http2(backend: Any, fault_lab: FaultLab) -> None:
    fault_lab.serve(Http2(), Repeat(Read(), Send(frames.response(b"good"))))

    async def body() -> None:
        async with backend.client(http1=False, http2=True, trust_env=False) as client:
            await client.get(fault_lab.url(), headers={"Host": "other.example:81"})

    backend.run(body)
    (request,) = fault_lab.requests
    assert [value for name, value in request.fields if name in (":authority", "host")] == ["other.example:81"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("protocol", "steps"),
    [
        (
            {},
            [
                Read(),
                Send(b"HTTP/1.1 200 OK\r\nKeep-Alive: timeout=%b\r\nContent-Length: %b\r\n\r\n" % (DIGITS, DIGITS)),
            ],
        ),
        (
            {"http1": False, "http2": True},
            [Http2(), ReadHead(), Send(frames.headers(1, (":status", "200"), ("content-length", HUGE), end=True))],
        ),
    ],
    ids=["http1", "http2"],
)
def test_a_length_of_thousands_of_digits_is_the_peers_fault(
    backend: Any, fault_lab: FaultLab, protocol: dict[str, bool], steps: list[Any], method: str
) -> None:
    fault_lab.serve(*steps)

    async def body() -> None:
        async with backend.client(trust_env=False, timeout=20, **protocol) as client:
            if method == "HEAD":  # there it says nothing of this message
                assert (await client.request("HEAD", fault_lab.url())).headers["Content-Length"] == HUGE
                return
            with pytest.raises(RemoteProtocolError, match=r"Content-Length b'1{64}'\.\.\. is not one number"):
                await client.get(fault_lab.url())

    backend.run(body)


class Pieces(httpx_fast.SyncByteStream, httpx_fast.AsyncByteStream):
    """A stream that a library puts around the body of a request, whose fields it leaves as they are."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = pieces

    def __iter__(self) -> Any:
        yield from self._pieces

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


@pytest.mark.parametrize("pieces", [(), (b"",), (b"", b"")])
@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_a_stream_without_bytes_needs_no_field(backend: Any, peer: Any, method: str, pieces: tuple[bytes, ...]) -> None:
    seen: list[bytes] = []
    at = peer(echo(seen))

    async def body() -> None:
        async with backend.client(trust_env=False, limits=ONE) as client:
            for _ in range(2):
                request = client.build_request(method, f"http://127.0.0.1:{at.port}/")
                request.stream = Pieces(*pieces)
                assert (await client.send(request)).status_code == 200

    backend.run(body)
    assert (at.accepted, len(seen)) == (1, 2)
    assert not any(b"content-length" in request.lower() for request in seen)


def test_bytes_that_no_field_announces_are_not_sent(backend: Any, peer: Any) -> None:
    seen: list[bytes] = []
    at = peer(echo(seen))

    async def body() -> None:
        async with backend.client(trust_env=False) as client:
            request = client.build_request("GET", f"http://127.0.0.1:{at.port}/")
            request.stream = Pieces(b"", b"secret")
            with pytest.raises(LocalProtocolError, match="the request has a body, but Content-Length is 0, or neither"):
                await client.send(request)

    backend.run(body)
    assert seen == []


def test_streams_without_fields_are_refused_or_empty_with_http2_too(backend: Any, fault_lab: FaultLab) -> None:
    fault_lab.serve(Http2(), Repeat(Read(), Send(frames.response(b"good"))))

    async def body() -> None:
        async with backend.client(trust_env=False, http1=False, http2=True) as client:
            request = client.build_request("GET", fault_lab.url())
            request.stream = Pieces(b"")
            assert (await client.send(request)).text == "good"
            request = client.build_request("GET", fault_lab.url())
            request.stream = Pieces(b"", b"secret")
            with pytest.raises(LocalProtocolError, match="the request has a body, but Content-Length is 0, or neither"):
                await client.send(request)

    backend.run(body)
