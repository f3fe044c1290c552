"""Sending again, with a clock and a peer that do as they are told."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from retry_peer import Body, Clock, Peer

import httpx_fast
from httpx_fast import Breaker, CircuitOpen, ClientClosed, ConnectError, ReadError, Request, Response, Retry
from httpx_fast._deadline import Deadline

T = TypeVar("T")


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)


def get(method: str = "GET", *, whole: bool = True, **options: Any) -> Request:
    request = Request(method, "http://host.example/", **options)
    request._dispatch = request._dispatch.sent(lambda: None, whole, None)
    return request


def sent(clock: Clock, peer: Peer, retry: Retry | None = None, request: Request | None = None) -> Response:
    retrier = clock.retrier(Retry(backoff=1.0) if retry is None else retry)
    return run(retrier.send(peer, request or get()))


def test_it_is_sent_again_until_an_answer_is_good():
    clock, peer = Clock(), Peer(503, ReadError("cut"), 200)
    assert sent(clock, peer).status_code == 200
    assert len(peer.requests) == 3
    assert clock.pauses == [0.5, 1.0]


def test_the_last_answer_is_returned():
    clock, peer = Clock(), Peer(503, 502, lambda _: Response(504, text="last"))
    assert sent(clock, peer).text == "last"
    assert len(peer.requests) == 3


def test_the_last_exception_is_raised_and_says_how_often():
    clock, peer = Clock(), Peer(503, ReadError("first"), ReadError("second"))
    with pytest.raises(ReadError, match="second") as caught:
        sent(clock, peer)
    assert str(caught.value) == "second"
    assert caught.value.__notes__ == [
        "The request was not sent again: all 3 attempts were made.",
        "It was sent 3 times.",
    ]


def test_other_exceptions_are_raised_as_they_are():
    with pytest.raises(KeyError, match="own") as caught:
        sent(Clock(), Peer(KeyError("own")))
    assert not hasattr(caught.value, "__notes__")


def test_answers_that_are_not_wanted_are_closed_before_the_next_attempt():
    body = Body(b"please wait")
    good = Body(b"good")
    peer = Peer(Response(503, stream=body), lambda _: Response(200, stream=good) if body.closed else AssertionError())
    response = sent(Clock(), peer, request=get(whole=False))
    assert (response.status_code, body.closed, good.closed) == (200, 1, 0)


def test_a_body_that_breaks_off_while_it_is_discarded_does_not_matter():
    body = Body(b"please", fails=ReadError("cut"))
    assert sent(Clock(), Peer(Response(503, stream=body), 200)).status_code == 200
    assert body.closed == 1


def test_a_good_answer_that_breaks_off_is_asked_for_again_if_it_is_wanted_whole():
    broken = Body(b"half", fails=ReadError("cut"))
    peer = Peer(Response(200, stream=broken), Response(200, stream=Body(b"whole")))
    response = sent(Clock(), peer)
    assert (response.content, broken.closed) == (b"whole", 1)


def test_a_streamed_answer_is_the_reader_s():
    broken = Body(b"half", fails=ReadError("cut"))
    peer = Peer(Response(200, stream=broken))
    response = sent(Clock(), peer, request=get(whole=False))
    with pytest.raises(ReadError, match="cut"):
        run(response.aread())
    assert len(peer.requests) == 1


def test_each_retry_is_logged_without_secrets(caplog: pytest.LogCaptureFixture):
    request = Request("GET", "http://user:secret@host.example/")
    with caplog.at_level("INFO", "httpx_fast.retry"):
        sent(Clock(), Peer(503, 200), request=request)
    (line,) = caplog.messages
    assert line.startswith("HTTP Retry: GET http://")
    assert line.endswith("host.example/: the answer was 503; sent again after 0.5 s")
    assert "secret" not in line.replace("[secure]", "")


# Bodies of requests.


class Upload:
    """A peer that reads what it is sent, and says no first."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.received: list[bytes] = []

    async def handle_async_request(self, request: Request) -> Response:
        answer = self.answers.pop(0)
        if not isinstance(answer, ConnectError):
            self.received.append(b"".join(request.stream))  # type: ignore[arg-type]
        if isinstance(answer, Exception):
            raise answer
        return Response(answer)


def upload(content: Any, *answers: Any, retry: Retry | None = None) -> tuple[Upload, Response]:
    peer = Upload(*answers)
    return peer, sent(Clock(), peer, retry, get("PUT", content=content))  # type: ignore[arg-type]


def test_a_file_is_sent_again_from_where_it_stood():
    file = io.BytesIO(b"head of the file, then the body")
    file.read(len(b"head of the file, "))
    peer, response = upload(file, 503, ReadError("cut"), 201)
    assert response.status_code == 201
    assert peer.received == [b"then the body"] * 3


def test_a_form_with_a_file_is_sent_again():
    peer = Upload(503, 200)
    request = get("PUT", files={"f": ("name", io.BytesIO(b"content"))})
    assert sent(Clock(), peer, None, request).status_code == 200  # type: ignore[arg-type]
    assert peer.received[0] == peer.received[1]
    assert b"content" in peer.received[0]


def test_a_list_of_pieces_is_sent_again():
    peer, _ = upload([b"one", b"two"], 503, 200)
    assert peer.received == [b"onetwo"] * 2


def test_a_generator_that_was_begun_is_not_sent_again():
    peer, response = upload((piece for piece in (b"one", b"two")), 503, 200)
    assert (response.status_code, peer.received) == (503, [b"onetwo"])
    with pytest.raises(ReadError, match="cut") as caught:
        upload((piece for piece in (b"one", b"two")), ReadError("cut"), 200)
    assert caught.value.__notes__ == ["The request was not sent again: its body can be read only once."]


def test_a_generator_that_nobody_has_begun_is_sent():
    peer, response = upload((piece for piece in (b"one", b"two")), ConnectError("refused"), 200)
    assert (response.status_code, peer.received) == (200, [b"onetwo"])


# What may have been processed.


def test_a_post_is_sent_once():
    peer = Peer(503, 200)
    assert sent(Clock(), peer, request=get("POST")).status_code == 503
    assert len(peer.requests) == 1


@pytest.mark.parametrize(
    "options", [{"headers": {"Idempotency-Key": "1"}}, {"extensions": {"replay": True}}, {"method": "PUT"}]
)
def test_what_the_caller_vouches_for_is_sent_again(options: dict[str, Any]):
    peer = Peer(503, 200)
    assert sent(Clock(), peer, request=get(**{"method": "POST", **options})).status_code == 200


def test_the_caller_may_rule_it_out():
    peer = Peer(503, 200)
    assert sent(Clock(), peer, request=get(extensions={"replay": False})).status_code == 503


# Settings of one request.


def test_the_extension_wins():
    clock, peer = Clock(), Peer(503, 200)
    assert sent(clock, peer, request=get(extensions={"retry": None})).status_code == 503
    assert sent(clock, Peer(503, 200), request=get(extensions={"retry": False})).status_code == 503
    retrier = clock.retrier(None)
    own = Retry(statuses={418}, backoff=0)
    assert run(retrier.send(Peer(418, 200), get(extensions={"retry": own}))).status_code == 200
    assert run(retrier.send(Peer(503, 200), get())).status_code == 503


@pytest.mark.parametrize("seen", [True, 3, "yes"])
def test_an_extension_that_is_no_retry_is_refused(seen: Any):
    with pytest.raises(TypeError, match=f"as the extension 'retry', got {seen!r}"):
        sent(Clock(), Peer(200), request=get(extensions={"retry": seen}))


def test_the_object_of_another_package_in_the_extension_is_left_to_its_transport():
    """httpx-retries has an extension and a class of these names."""
    theirs = type("Retry", (), {})()
    clock = Clock()
    assert sent(clock, Peer(503, 200), request=get(extensions={"retry": theirs})).status_code == 200


# Time.


def test_retry_after_is_waited_for():
    clock = Clock()
    sent(clock, Peer(Response(429, headers={"Retry-After": "9"}), 200))
    assert clock.pauses == [9.5]


def test_nobody_sleeps_past_the_deadline():
    clock, peer = Clock(), Peer(Response(429, headers={"Retry-After": "9"}), 200)
    request = get()
    request._dispatch = request._dispatch.until(Deadline(9.0))
    assert sent(clock, peer, request=request).status_code == 429
    assert (clock.pauses, len(peer.requests)) == ([], 1)


def test_a_request_without_a_client_has_one_total_for_all_attempts():
    clock = Clock()

    def slow(request: Request) -> Response:
        clock.now += 3.0
        return Response(503)

    peer = Peer(slow)
    request = Request("GET", "http://host.example/", extensions={"timeout": {"total": 8.0}})
    assert sent(clock, peer, Retry(attempts=9, backoff=1.0), request).status_code == 503
    assert (len(peer.requests), clock.pauses) == (3, [0.5, 1.0])
    assert request._dispatch.deadline is not None


def test_closing_ends_the_pause():
    clock, peer = Clock(), Peer(503, 200)
    retrier = clock.retrier(Retry(backoff=100.0))
    clock.during = retrier.close
    told = (
        "the client was closed, by close.. or aclose.., while a request to http://host.example waited to be sent again"
    )
    with pytest.raises(ClientClosed, match=told) as caught:
        run(retrier.send(peer, get()))
    assert caught.value.request is peer.requests[0]
    assert len(peer.requests) == 1
    assert retrier._pauses == set()


def test_what_was_closed_before_the_pause_does_not_begin_it():
    clock = Clock()
    retrier = clock.retrier(Retry(backoff=100.0))

    def close(request: Request) -> Response:
        retrier.close()
        return Response(503)

    with pytest.raises(ClientClosed, match="waited to be sent again"):
        run(retrier.send(Peer(close), get()))
    assert clock.pauses == []
    # A closed transport may serve again.
    clock.during = lambda: None
    assert run(retrier.send(Peer(503, 200), get())).status_code == 200


# Budget and breaker.


def test_the_budget_is_per_origin_and_is_shown():
    clock = Clock()
    retrier = clock.retrier(Retry(backoff=0, budget_floor=0.1))  # one in 10 seconds
    assert run(retrier.send(Peer(503, 200), get())).status_code == 200
    assert run(retrier.send(Peer(503, 200), get())).status_code == 503
    other = Request("GET", "http://other.example/")
    assert run(retrier.send(Peer(503, 200), other)).status_code == 200
    stats = retrier.stats()
    first = stats[get().url._origin]
    assert (first.requests, first.retries, first.allowed, first.retries_ever, first.refused) == (2, 1, 1, 1, 1)
    assert stats[other.url._origin].refused == 0


def breaking(clock: Clock) -> Any:
    return clock.retrier(Retry(attempts=1, breaker=Breaker(minimum=3, open_for=5.0)))


def test_an_open_circuit_lets_nothing_out():
    clock, peer = Clock(), Peer(503)
    retrier = breaking(clock)
    for _ in range(3):
        assert run(retrier.send(peer, get())).status_code == 503
    with pytest.raises(CircuitOpen, match=r"of http://host\.example is open.*tried again in 5 s") as caught:
        run(retrier.send(peer, get()))
    error = caught.value
    assert (error.origin, error.retry_in, error.unprocessed) == (get().url._origin, 5.0, True)
    assert error.request.url == "http://host.example/"
    assert len(peer.requests) == 3
    assert retrier.stats()[error.origin].circuit == "open"


def test_a_probe_that_succeeds_closes_it():
    clock = Clock()
    retrier = breaking(clock)
    for _ in range(3):
        with pytest.raises(ReadError, match="cut"):
            run(retrier.send(Peer(ReadError("cut")), get()))
    clock.now += 5.0
    assert run(retrier.send(Peer(200), get())).status_code == 200
    assert run(retrier.send(Peer(200), get())).status_code == 200
    assert retrier.stats()[get().url._origin].circuit == "closed"


@pytest.mark.parametrize(
    "error",
    [ClientClosed("closed"), httpx_fast.PoolTimeout("full"), httpx_fast.LocalProtocolError("bad"), ValueError("x")],
)
def test_what_is_our_own_fault_does_not_count(error: Exception):
    clock = Clock()
    retrier = breaking(clock)
    for _ in range(5):
        with pytest.raises(type(error), match=str(error)):
            run(retrier.send(Peer(error), get()))
    assert retrier.stats()[get().url._origin].circuit == "closed"


def test_a_cancelled_probe_lets_another_one_out():
    clock = Clock()
    retrier = breaking(clock)
    for _ in range(3):
        run(retrier.send(Peer(503), get()))
    clock.now += 5.0

    async def cancelled() -> None:
        with pytest.raises(asyncio.CancelledError):
            await retrier.send(Peer(asyncio.CancelledError()), get())

    run(cancelled())
    assert run(retrier.send(Peer(200), get())).status_code == 200


def test_where_the_circuit_opens_the_last_answer_is_returned():
    clock = Clock()
    retrier = clock.retrier(Retry(backoff=0, breaker=Breaker(minimum=2, open_for=5.0)))
    peer = Peer(503)
    assert run(retrier.send(peer, get())).status_code == 503
    assert len(peer.requests) == 2


def test_other_settings_of_a_breaker_begin_a_new_circuit_and_none_leave_it_alone():
    clock = Clock()
    retrier = breaking(clock)
    for _ in range(3):
        run(retrier.send(Peer(503), get()))
    assert run(retrier.send(Peer(200), get(extensions={"retry": Retry()}))).status_code == 200
    with pytest.raises(CircuitOpen, match="is open"):
        run(retrier.send(Peer(200), get()))
    other = Retry(breaker=Breaker(minimum=5))
    assert run(retrier.send(Peer(200), get(extensions={"retry": other}))).status_code == 200


def test_only_so_many_origins_are_remembered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("httpx_fast._retry.origins.MAX_ORIGINS", 3)
    retrier = Clock().retrier(Retry())
    for name in ("a", "b", "a", "c", "d"):
        run(retrier.send(Peer(200), Request("GET", f"http://{name}/")))
    assert [origin.host for origin in retrier.stats()] == ["a", "c", "d"]
