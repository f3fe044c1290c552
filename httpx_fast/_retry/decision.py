"""Whether one request is sent again, and when. Pure: the time, the date and random numbers are given.

The order of the questions matters. What is asked last is the budget, which a yes is taken from; what is asked first is
whether the failure is one to try again after, so that nothing is said of other answers and exceptions.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

from .._exceptions import (
    AddressDenied,
    CircuitOpen,
    ClientClosed,
    ConnectError,
    ConnectTimeout,
    TimeoutException,
    TrustStoreError,
)
from .backoff import backoff, retry_after
from .breaker import Circuit
from .budget import Budget
from .settings import Retry

MAX_REASON: Final = 200  # characters of an exception's message in a reason

#: What comes again however often it is tried.
_PERMANENT: Final = (AddressDenied, CircuitOpen, ClientClosed, TrustStoreError)


class Verdict(NamedTuple):
    """Hold whether a request is sent again: after `delay` seconds, or not at all if that is None.

    `reason` is what happened; `refusal` why that is not tried again, None where there is nothing to explain.
    """

    delay: float | None
    reason: str
    refusal: str | None = None


#: What is said of an answer that is not to be tried again.
GOOD: Final = Verdict(None, "")


class Tries:
    """Decide for one request, and count its attempts.

    `repeatable` says whether it may be sent again once it may have been processed. `body_again` says whether its body
    can be; it is told whether anything of it can have been read. `until` is the end of the whole `send()`.
    """

    __slots__ = ("_body_again", "_budget", "_circuit", "_repeatable", "_retry", "_until", "attempts", "repeats")

    def __init__(
        self,
        retry: Retry,
        repeatable: bool,
        body_again: Callable[[bool], bool],
        until: float,
        budget: Budget,
        circuit: Circuit | None,
    ) -> None:
        self._retry = retry
        self._repeatable = repeatable
        self._body_again = body_again
        self._until = until
        self._budget = budget
        self._circuit = circuit
        self.attempts = 0  # that were begun
        self.repeats = 0  # that began after a failure

    def is_good(self, status: int) -> bool:
        """Return whether nothing better is to be expected of another attempt."""
        return status not in self._retry.statuses

    def may_hedge(self) -> bool:
        """Return whether a second request may go out beside the first."""
        return self._retry.hedge is not None and self._repeatable and self.attempts < self._retry.attempts

    def spend_hedge(self, now: float) -> bool:
        """Take a hedge from the budget; return whether it may be sent."""
        retry, circuit = self._retry, self._circuit
        if now >= self._until or (circuit is not None and circuit.state != "closed"):
            return False
        return self._budget.spend(now, retry.budget, retry.budget_floor)

    def after_answer(self, status: int, asked: str | None, now: float, date: float, chance: float) -> Verdict:
        """Decide after an answer; `asked` is its Retry-After."""
        if status not in self._retry.statuses:
            return GOOD
        reason = f"the answer was {status}"
        seconds = retry_after(asked, date)
        if seconds is not None and self._retry.retry_after_max:
            reason += f", Retry-After: {asked}"
            seconds = min(seconds, self._retry.retry_after_max)
        else:
            seconds = 0.0
        return self._decide(reason, False, seconds, now, chance)

    def after_error(self, error: Exception, now: float, chance: float) -> Verdict:
        """Decide after an exception."""
        if not isinstance(error, self._retry.exceptions) or is_permanent(error):
            return Verdict(None, "")
        text = str(error)
        reason = f"{type(error).__name__}: {text[:MAX_REASON]}{'...' * (len(text) > MAX_REASON)}"
        if isinstance(error, TimeoutException) and error.limit == "total":
            return Verdict(None, reason, "the total time is over")
        return self._decide(reason, cannot_have_been_processed(error), 0.0, now, chance, connected=was_connected(error))

    def _decide(
        self, reason: str, unprocessed: bool, asked: float, now: float, chance: float, *, connected: bool = True
    ) -> Verdict:
        retry, circuit = self._retry, self._circuit
        if self.attempts >= retry.attempts:
            times = f"all {retry.attempts} attempts were" if retry.attempts > 1 else "the only attempt was"
            return Verdict(None, reason, f"{times} made")
        if not (unprocessed or self._repeatable):
            return Verdict(None, reason, "it may have been processed, and nothing says that it may be twice")
        if not self._body_again(connected):
            return Verdict(None, reason, "its body can be read only once")
        delay = backoff(self.repeats + 1, retry.backoff, retry.backoff_max, chance)
        if asked:
            # On top of what was asked for, or all who were told the same would come back at the same moment.
            delay = min(asked + delay, retry.retry_after_max)
        if now + delay >= self._until:
            return Verdict(None, reason, f"the total time ends before the {delay:.3g} s have passed")
        if circuit is not None and not circuit.will_allow(now + delay):
            return Verdict(None, reason, "the circuit breaker is open")
        if not self._budget.spend(now, retry.budget, retry.budget_floor):
            return Verdict(None, reason, "the budget of retries to this origin is used up")
        self.repeats += 1
        return Verdict(delay, reason)


def may_be_repeated(retry: Retry, method: str, names: Callable[[], Iterable[str]], replay: object) -> bool:
    """Return whether a request may be sent again that may have been processed.

    `names` gives those of its fields, in lower case; `replay` is its extension of that name, which wins.
    """
    if isinstance(replay, bool):
        return replay
    if method.upper() in retry.methods:
        return True
    wanted = retry.idempotency_headers
    return any(name in wanted for name in names())


def was_connected(error: Exception) -> bool:
    """Return whether anything of the request can have been read, or sent."""
    return not isinstance(error, (ConnectError, ConnectTimeout))


def cannot_have_been_processed(error: Exception) -> bool:
    """Return whether the peer certainly did nothing with the request."""
    return not was_connected(error) or bool(getattr(error, "unprocessed", False))


def is_permanent(error: BaseException) -> bool:
    """Return whether another attempt would end alike, because no network is at fault."""
    ssl = sys.modules.get("ssl")
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, _PERMANENT) or (ssl is not None and isinstance(cause, ssl.SSLCertVerificationError)):
            return True
        cause = cause.__cause__
    return False
