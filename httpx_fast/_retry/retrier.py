"""Sends requests again for one client, or one transport: carries out what `decision` says, and keeps what it asks of.

Written once for blocking and asynchronous code. Rules:

1. A response that another attempt follows is discarded first, so that its connection can serve that attempt.
2. What leaves by an exception leaves no response open, and no permit of a circuit breaker taken; cancellation too.
3. The counts are changed under the lock, which is never held while waiting.
4. Nothing waits beyond the deadline of the `send()`, nor on after `close()`.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from .._config import deadline_of
from .._deadline import NEVER
from .._exceptions import (
    CircuitOpen,
    ClientClosed,
    LocalProtocolError,
    PoolTimeout,
    ReadError,
    RequestError,
    UnsupportedProtocol,
)
from .._journey import Journey
from .._models import Request, Response
from .._origin import Origin
from .._transports.base import TELL_JOURNEY
from .breaker import Circuit, Permit
from .decision import GOOD, Tries, Verdict, may_be_repeated
from .origins import Origins, OriginState, RetryStats
from .race import Race
from .settings import Retry, check_retry
from .waits import Waits, Wake

logger = logging.getLogger("httpx_fast.retry")

#: What says nothing about the origin, so that its circuit breaker is not told.
_OURS = (ClientClosed, LocalProtocolError, PoolTimeout, UnsupportedProtocol)


class Outcome:
    """Hold the result of one attempt: a response, or an exception."""

    __slots__ = ("error", "response")

    def __init__(self, response: Response | None, error: Exception | None) -> None:
        self.response = response
        self.error = error

    @property
    def journey(self) -> Journey | None:
        """Return the steps of the attempt, if its transport has noted any."""
        if isinstance(self.response, Response):
            return self.response.journey if self.response.journey.over_network else None
        return getattr(self.error, "journey", None)


class Sending:
    """One request on its way, with all of its attempts."""

    __slots__ = ("circuit", "earlier", "request", "retry", "state", "transport", "tries")

    def __init__(
        self, transport: Any, request: Request, retry: Retry, state: OriginState, circuit: Circuit | None, tries: Tries
    ) -> None:
        self.transport = transport
        self.request = request
        self.retry = retry
        self.state = state
        self.circuit = circuit
        self.tries = tries
        self.earlier: tuple[Journey, ...] = ()  # the attempts that were followed by others


class Leg:
    """One of two attempts that go on at once: a copy of the request, which tells on which journey it goes."""

    __slots__ = ("_transport", "is_cut", "journey", "outcome", "request", "started")

    def __init__(self, request: Request, transport: Any) -> None:
        self._transport = transport
        self.journey: Journey | None = None
        self.outcome: Outcome | None = None
        self.started: float | None = None
        self.is_cut = False  # it was ended, since the other one had ended
        self.request = copied = object.__new__(type(request))
        extensions = {**request.extensions, TELL_JOURNEY: self.begin}
        copied.__dict__.update(request.__dict__)
        copied.extensions = extensions

    def begin(self, journey: Journey) -> None:
        """Note the journey; called by the transport. Raises ReadError if the attempt is not needed any more."""
        self.journey = journey
        if self.is_cut:
            raise ReadError("the request was given up on this side before it was sent")

    def cut(self) -> None:
        """End the attempt, from another thread, as far as our own pool is what it waits for."""
        self.is_cut = True
        cut = getattr(getattr(self._transport, "pool", None), "cut", None)
        if self.journey is not None and cut is not None:
            cut(self.journey)


class Retrier:
    """Send requests as `Retry` says. Safe to share between threads."""

    def __init__(
        self,
        retry: Retry | None,
        waits: Waits,
        *,
        clock: Callable[[], float] = time.monotonic,
        date: Callable[[], float] = time.time,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.retry = retry
        self._waits = waits
        self._clock = clock
        self._date = date
        self._chance = chance
        self._lock = threading.Lock()
        self._origins = Origins()
        self._pauses: set[Wake] = set()
        self._closings = 0  # how often it was closed; a closed transport may serve again

    def rule(self, request: Request) -> Retry | None:
        """Return the settings for a request: those of its extension "retry", else our own. Raises TypeError."""
        extensions = request._extensions
        if extensions is not None and "retry" in extensions:
            given = extensions["retry"]
            # Other packages have an extension of this name, with a class of theirs, for a transport of theirs.
            if isinstance(given, Retry) or type(given).__name__ != "Retry":
                return check_retry(given, "the extension 'retry'")
        return self.retry

    def stats(self) -> Mapping[Origin, RetryStats]:
        """Return the counts of each origin."""
        with self._lock:
            return self._origins.stats(self._clock())

    def close(self) -> None:
        """Wake the pausing requests, which then raise ClientClosed; callable from any thread."""
        with self._lock:
            self._closings += 1
            pauses = list(self._pauses)
        for wake in pauses:
            try:
                wake()
            except RuntimeError:  # the event loop in which it was has ended
                continue

    def exchange(self, transport: Any, request: Request) -> Any:
        """Return the response, or what to await for it. A transport that sends requests again itself is left alone."""
        retry = self.rule(request)
        if retry is None or getattr(transport, "retries_requests", False):
            return self._waits.exchange(transport, request)
        return self._send(transport, request, retry)

    async def send(self, transport: Any, request: Request) -> Response:
        """Have `transport` exchange a request for a response, as often as it takes and is allowed."""
        retry = self.rule(request)
        if retry is None:
            return await self._exchange(transport, request)
        return await self._send(transport, request, retry)

    async def _send(self, transport: Any, request: Request, retry: Retry) -> Response:
        closings = self._closings
        sending = self._begin(transport, request, retry)
        while True:
            after = None if retry.hedge is None else self._hedge_after(sending)
            outcome = await (self._attempt(sending) if after is None else self._hedged(sending, after))
            verdict = self._judge(sending, outcome)
            response = outcome.response
            if verdict.delay is None:
                return self._last(sending, outcome, verdict)
            told = f"{verdict.reason}; sent again after {verdict.delay:.3g} s"
            if logger.isEnabledFor(logging.INFO):
                logger.info("HTTP Retry: %s %s: %s", request.method, request.url._masked(), told)
            self._note(sending, outcome, told)
            if response is not None:
                await self._discard(response)
            if verdict.delay:
                earlier = sending.earlier[-1] if sending.earlier else None
                await self.pause(request, verdict.delay, closings, earlier)

    def _begin(self, transport: Any, request: Request, retry: Retry) -> Sending:
        dispatch = request._dispatch
        deadline = dispatch.deadline
        if deadline is None and dispatch.sender is None:
            # No client has said how long all may take: it is said here, for all attempts together.
            deadline = deadline_of(request, self._clock)
            request._dispatch = dispatch.until(deadline)
        until = NEVER if deadline is None else deadline.on(self._clock).at
        extensions = request._extensions
        replay = None if extensions is None else extensions.get("replay")
        repeatable = may_be_repeated(retry, request.method, partial(_field_names, request), replay)
        now = self._clock()
        with self._lock:
            state = self._origins.of(request.url._origin)
            circuit = state.circuit_for(retry)
            state.budget.request(now)
        tries = Tries(retry, repeatable, _BodyAgain(request), until, state.budget, circuit)
        return Sending(transport, request, retry, state, circuit, tries)

    def _hedge_after(self, sending: Sending) -> float | None:
        """Return the seconds after which a second request is to go out beside the next attempt; None for none."""
        if not sending.tries.may_hedge() or sending.request._body is None:  # both would read the same file
            return None
        with self._lock:
            return sending.state.hedge_after(sending.retry)

    async def _hedged(self, sending: Sending, after: float) -> Outcome:
        """Make one attempt, and another one beside it if that takes longer than `after` seconds; the better outcome."""
        legs = [Leg(sending.request, sending.transport), Leg(sending.request, sending.transport)]

        async def attempt(number: int) -> Outcome:
            leg = legs[number]
            leg.started = self._clock()
            try:
                leg.outcome = await self._attempt(sending, leg)
            except CircuitOpen as error:
                leg.outcome = Outcome(None, error)
            return leg.outcome

        def allowed() -> bool:
            with self._lock:
                return sending.tries.spend_hedge(self._clock())

        def good(outcome: Outcome) -> bool:
            return outcome.error is None and sending.tries.is_good(getattr(outcome.response, "status_code", 0))

        async def drop(outcome: Outcome) -> None:
            if outcome.response is not None:
                await self._waits.close(outcome.response)

        def cut(number: int) -> None:
            legs[number].cut()

        race = Race(attempt, after, allowed, good, cut, drop)
        finished = await self._waits.race(race)
        best: Outcome = next(filter(good, finished), None) or max(finished, key=lambda each: each.response is not None)
        try:
            for outcome in finished:
                if outcome is not best:
                    await drop(outcome)
        except BaseException:
            await drop(best)
            raise
        self._note_hedge(sending, legs, best)
        return best

    def _note_hedge(self, sending: Sending, legs: list[Leg], best: Outcome) -> None:
        """Keep the steps of the attempt that was not needed, and what is known of how long it took."""
        first, hedge = legs
        if hedge.started is None:
            return
        other = hedge if first.outcome is best else first
        if other is first and first.outcome is None and first.started is not None:
            with self._lock:  # its answer would have taken longer still
                sending.state.latencies.add(self._clock() - first.started)
        if other.journey is not None:
            which = "the first request" if other is hedge else "a second one"
            sending.earlier = (*sending.earlier, *other.journey.followed(f"{which} was answered first", "hedged"))

    async def _attempt(self, sending: Sending, leg: Leg | None = None) -> Outcome:
        """Make one attempt. Raises CircuitOpen, and what is no `Exception`."""
        permit = self._permit(sending)
        started = self._clock()
        try:
            request = sending.request if leg is None else leg.request
            response = await self._exchange(sending.transport, request)
            if isinstance(response, Response):
                await self._read(sending.request, response)
                response._request = sending.request
            outcome = Outcome(response, None)
        except Exception as error:  # noqa: BLE001  # raised again where nothing is to be done about it
            outcome = Outcome(None, error)
        except BaseException:
            if permit is not None and sending.circuit is not None:
                with self._lock:
                    sending.circuit.given_up(permit)
            raise
        if leg is not None and leg.is_cut:
            if permit is not None and sending.circuit is not None:
                with self._lock:
                    sending.circuit.given_up(permit)
        else:
            self._learn(sending, outcome, permit, self._clock() - started)
        return outcome

    def _permit(self, sending: Sending) -> Permit | None:
        circuit = sending.circuit
        if circuit is None and sending.retry.hedge is None:
            sending.tries.attempts += 1
            return None
        now = self._clock()
        with self._lock:
            sending.tries.attempts += 1
            if circuit is None:
                return None
            permit = circuit.ask(now)
            retry_in = circuit.retry_in(now)
        if permit is not None:
            return permit
        origin = sending.request.url._origin
        soon = f"in {retry_in:.3g} s" if retry_in else "once those that are under way have succeeded"
        error = CircuitOpen(
            f"the circuit breaker of {origin} is open, since most of what was sent there failed; requests are tried "
            f"again {soon}",
            request=sending.request,
        )
        error.origin, error.retry_in = origin, retry_in
        error.journey = sending.earlier[-1] if sending.earlier else None
        raise error

    async def _exchange(self, transport: Any, request: Request) -> Response:
        response: Any = self._waits.exchange(transport, request)
        # What is no response is refused by the client, which knows what to say of it.
        if not isinstance(response, Response) and hasattr(response, "__await__"):
            response = await response
        return response  # type: ignore[no-any-return]

    async def _read(self, request: Request, response: Response) -> None:
        """Read the body of a good answer that is wanted whole: if it breaks off, nobody has seen anything of it."""
        whole = request._dispatch.whole
        if whole and response._body is None and response.is_success and "_content" not in response.__dict__:
            response._request = request
            try:
                await self._waits.read(response)
            except BaseException:
                await self._waits.close(response)
                raise

    def _learn(self, sending: Sending, outcome: Outcome, permit: Permit | None, seconds: float) -> None:
        """Tell the origin's circuit breaker, and note how long the answer took."""
        retry, circuit = sending.retry, sending.circuit
        if retry.hedge is None and circuit is None:
            return
        now, response, error = self._clock(), outcome.response, outcome.error
        with self._lock:
            if retry.hedge is not None and isinstance(response, Response) and response.is_success:
                sending.state.latencies.add(seconds)
            if circuit is None or permit is None:
                return
            if error is None:
                failed = getattr(response, "status_code", 0) in circuit.settings.statuses
            elif isinstance(error, RequestError) and not isinstance(error, _OURS):
                failed = True
            else:
                circuit.given_up(permit)
                return
            (circuit.failed if failed else circuit.succeeded)(permit, now)

    def _judge(self, sending: Sending, outcome: Outcome) -> Verdict:
        """Decide what follows an attempt."""
        response, error, tries = outcome.response, outcome.error, sending.tries
        if error is None and (not isinstance(response, Response) or tries.is_good(response.status_code)):
            return GOOD
        now, chance = self._clock(), self._chance()
        with self._lock:
            if error is not None:
                return tries.after_error(error, now, chance)
            assert response is not None
            asked = response.headers.get("retry-after")
            return tries.after_answer(response.status_code, asked, now, self._date(), chance)

    def _last(self, sending: Sending, outcome: Outcome, verdict: Verdict) -> Response:
        """Return the response that is the last, or raise the exception."""
        if verdict is GOOD and not sending.earlier and outcome.response is not None:
            return outcome.response
        journey, error = outcome.journey, outcome.error
        if journey is not None:
            journey.follow_attempts(sending.earlier, verdict.refusal)
        if error is None:
            return outcome.response  # type: ignore[return-value]
        if verdict.refusal is not None:
            error.add_note(f"The request was not sent again: {verdict.refusal}.")
        if sending.tries.attempts > 1:
            error.add_note(f"It was sent {sending.tries.attempts} times.")
        if journey is None and sending.earlier and isinstance(error, RequestError):
            error.journey = sending.earlier[-1]
        raise error

    def _note(self, sending: Sending, outcome: Outcome, reason: str) -> None:
        """Keep the steps of an attempt that another one follows."""
        if outcome.response is not None:
            outcome.response._request = sending.request
        journey = outcome.journey
        if journey is not None:
            sending.earlier = (*sending.earlier, *journey.followed(reason, "retry"))

    async def _discard(self, response: Response) -> None:
        """Discard a response that another attempt follows; how it ends does not matter, only that it does."""
        try:
            await self._waits.discard(response)
        except Exception:  # noqa: BLE001
            await self._waits.close(response)
        except BaseException:
            await self._waits.close(response)
            raise

    @property
    def closings(self) -> int:
        """Return how often it was closed, for `pause()`."""
        return self._closings

    async def pause(self, request: Request, seconds: float, closings: int, earlier: Journey | None = None) -> None:
        """Let time pass before `request` is sent again. Raises ClientClosed after a `close()` since `closings`."""
        wake, wait = self._waits.pause()
        with self._lock:
            self._pauses.add(wake)
            closed = self._closings != closings
        try:
            if closed or await wait(self._clock() + seconds):
                error = ClientClosed(
                    f"the client was closed, by close() or aclose(), while a request to {request.url._origin} waited "
                    "to be sent again",
                    request=request,
                )
                error.journey = earlier
                raise error
        finally:
            with self._lock:
                self._pauses.discard(wake)


def _field_names(request: Request) -> Iterator[str]:
    """Yield the names of the request's fields, in lower case."""
    for name, _ in request.headers.raw:
        yield name.decode("latin-1").lower()


class _BodyAgain:
    """Decide whether the body of a request can be sent again."""

    __slots__ = ("_request",)

    def __init__(self, request: Request) -> None:
        self._request = request

    def __call__(self, connected: bool) -> bool:
        """Decide on an error; `connected` says whether the server can have read anything of the request."""
        return not connected or can_be_repeated(self._request)


def can_be_repeated(request: Request) -> bool:
    """Return whether the body of a request can be read once more, after some of it was read."""
    if request._body is not None:
        return True
    stream: Any = request._stream
    return bool(getattr(stream, "restarts", False)) or getattr(stream, "_again", None) is False
