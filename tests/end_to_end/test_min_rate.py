"""`Timeout(min_rate=)`: a body that comes, or goes, too slowly for too long is an error that says how slowly."""

from __future__ import annotations

import pytest
from far_end import Server, data
from peers import PATIENCE

import httpx_fast
from httpx_fast._deadline import RateCheck
from httpx_fast.testing import FakeClock

WHILE = 900.0
HUGE = bytes(12 * 1024 * 1024)  # more than two sockets hold
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
SLOW = r"min_rate not kept, while {}: peer {} \S+ bytes per second over \S+ s, expected {} or more$"


def timeout(rate, window=0.04, **others):
    return httpx_fast.Timeout(PATIENCE, min_rate=rate, rate_window=window, **others)


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def serve(request, backend, peer, authority):
    """Runs a body with a client, against a server that says the beginning of a response, or nothing, and then waits."""
    authority.issue("127.0.0.1")
    http2 = request.param == "HTTP/2"

    def answer_http1(dialogue, size):
        dialogue._read_until(b"\r\n\r\n")
        if size is not None:
            dialogue.send(HEAD + bytes(size))
        dialogue.hold()

    def answer_http2(dialogue, size):
        server = Server(dialogue.connection)
        server.until("HEADERS 1")
        if size is not None:
            server.say(server.head(1), *[data(1, bytes(1000)) for _ in range(size // 1000)])
        dialogue.hold()

    def run(body, size, **options):
        answer = answer_http2 if http2 else answer_http1
        context = authority.server_context("127.0.0.1", alpn=["h2" if http2 else "http/1.1"])
        at = peer(lambda dialogue: answer(dialogue, size), tls=context)

        async def main():
            async with backend.client(verify=authority.client_context(), http2=http2, **options) as client:
                await body(client, at.url())

        backend.run(main)

    return run


@pytest.mark.parametrize("whole", [True, False])
def test_a_download_that_is_too_slow(serve, whole):
    async def body(client, url):
        with pytest.raises(httpx_fast.ReadTimeout, match=SLOW.format("reading", "sent", r"1e\+12")) as caught:
            if whole:
                await client.get(url)
            async with client.stream("GET", url) as response:
                async for _ in response.aiter_bytes():
                    pass
        error = caught.value
        assert (error.phase, error.limit, error.budget) == ("read", "min_rate", 0.04)
        assert error.elapsed >= 0.04

    serve(body, 3000, timeout=timeout(1e12))


def test_a_download_that_stops_after_a_quick_beginning(serve):
    """The first window is quick enough, and the next one is not."""

    async def body(client, url):
        with pytest.raises(httpx_fast.ReadTimeout, match=r"peer sent 0 bytes per second over \S+ s, expected"):
            await client.get(url)

    serve(body, 5000, timeout=timeout(0.001))


def test_an_upload_that_is_too_slow(serve):
    async def body(client, url):
        with pytest.raises(httpx_fast.WriteTimeout, match=SLOW.format("sending", "took", r"1e\+12")) as caught:
            await client.post(url, content=HUGE)
        assert (caught.value.phase, caught.value.limit) == ("write", "min_rate")

    serve(body, None, timeout=timeout(1e12))


def test_an_upload_that_stops_after_a_quick_beginning(serve):
    async def body(client, url):
        with pytest.raises(httpx_fast.WriteTimeout, match=r"peer took 0 bytes per second over \S+ s, expected"):
            await client.post(url, content=HUGE)

    serve(body, None, timeout=timeout(0.001))


@pytest.mark.parametrize(("name", "size"), [("read", 3000), ("write", None)])
def test_the_other_timeouts_hold(serve, name, size):
    async def body(client, url):
        with pytest.raises(httpx_fast.TimeoutException, match=f"^{name} timed out after .* of 0.03 s: ") as caught:
            await client.post(url, content=b"" if size else HUGE)
        assert caught.value.limit == name

    serve(body, size, timeout=timeout(0.001, PATIENCE, **{name: 0.03}))


def test_the_total_holds(serve):
    """Since the response has begun, there is nothing that may use up the total but waiting for its body."""

    async def body(client, url):
        with FakeClock(getattr(client, "blocking", client)) as clock:
            async with client.stream("GET", url) as response:
                clock.advance(WHILE)
                with pytest.raises(httpx_fast.ReadTimeout, match=r"^total timed out after .* of 900 s"):
                    await response.aread()

    serve(body, 3000, timeout=timeout(0.001, 2 * WHILE, total=WHILE, read=None))


@pytest.mark.parametrize("listener", ["http", "https", "http2"])
def test_what_is_quick_enough_is_not_disturbed(backend, nginx, authority, listener):
    async def body():
        context = authority.client_context()
        async with backend.client(verify=context, http2=True, timeout=timeout(1, 5)) as client:
            for _ in range(3):
                response = await client.post(nginx.url("/echo", listener), content=HUGE[:3_000_000])
                assert response.content == HUGE[:3_000_000]
            assert response.journey.nth == 3

    backend.run(body)


# How it is counted, by numbers.


def test_only_time_in_which_the_peer_is_waited_for_counts():
    check = RateCheck("read", 10.0, 2.0, None)
    assert check.begin(100.0) == 102.0
    assert check.end(101.0, 11) is None
    # For an hour nobody reads; what came meanwhile counts.
    check.add(4)
    assert check.begin(3700.0) == 3701.0
    assert check.end(3701.0, 5) is None  # 20 bytes in 2 seconds
    check.begin(3701.0)
    error = check.end(3703.0, 19)
    assert str(error) == (
        "min_rate not kept, while reading: peer sent 9.5 bytes per second over 2 s, expected 10 or more"
    )


# What makes no sense.


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        (
            {"min_rate": 0},
            ValueError,
            "^expected more than 0 bytes per second, or None for no limit, as min_rate, got 0$",
        ),
        ({"min_rate": "1k"}, TypeError, "^expected bytes per second, or None for no limit, as min_rate, got '1k'$"),
        ({"min_rate": 1, "rate_window": 0}, ValueError, "^expected more than 0 seconds as rate_window, got 0$"),
        ({"min_rate": 1, "rate_window": None}, TypeError, "^expected seconds as rate_window, got None$"),
        ({"rate_window": 5}, ValueError, "^expected a min_rate with rate_window=5, got none$"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, error, message):
    with pytest.raises(error, match=message):
        httpx_fast.Timeout(5, **settings)


def test_the_setting_is_a_part_of_the_timeout(backend):
    given = httpx_fast.Timeout(5, min_rate=1000, rate_window=10)
    assert httpx_fast.Timeout(given) == given != httpx_fast.Timeout(5)
    assert repr(given) == "Timeout(timeout=5, min_rate=1000.0, rate_window=10.0)"
    assert httpx_fast.Timeout(given, min_rate=None) == httpx_fast.Timeout(5, min_rate=None)
    told = backend.client(timeout=given).explain("GET", "http://a.test/")
    assert (told.timeouts["min_rate"], told.timeouts["rate_window"]) == (1000, 10)
    assert "min_rate 1000, rate_window 10" in str(told)
    assert "min_rate" not in str(backend.client(timeout=5).explain("GET", "http://a.test/"))
