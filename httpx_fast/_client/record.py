"""`client.record()`: what a client sent while a block of code ran, within bounds."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Final, Self

from .._exceptions import HTTPError
from .._journey import Journey
from .._journey_html import journeys_html
from .._journey_json import as_lines
from .._models import Request, Response
from .observing import observe

__all__ = ["MAX_RECORDED", "Recording"]

#: Exchanges that a recording keeps, unless told otherwise: they hold their contents.
MAX_RECORDED: Final = 1000


class Recording:
    """Keep the responses of a client, and the exceptions of requests that had none, from `with` to its end.

    Redirects, rounds of authentication and requests of other threads or tasks that use the same client are in it. Of
    more than `limit` the last ones are kept; `dropped` counts the others. It may be iterated over, and given to
    `httpx_fast.report()`, at any time.
    """

    def __init__(self, client: Any, limit: int = MAX_RECORDED) -> None:
        if not isinstance(limit, int) or limit < 1:
            raise ValueError(f"expected a number of exchanges, 1 or more, as limit, got {limit!r}")
        self._client = client
        self._sent: deque[Response | HTTPError] = deque(maxlen=limit)
        self._stop: Callable[[], None] | None = None
        #: Count of exchanges that were not kept.
        self.dropped: int = 0

    def __enter__(self) -> Self:
        if self._stop is not None:
            raise RuntimeError("this recording runs already")
        self._stop = observe(self._client, self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()

    def begins(self, request: Request) -> None:
        """Do nothing: a request is kept with what comes of it."""

    def ended(self, begun: Any, request: Request, response: Response | None, error: BaseException | None) -> None:
        """Keep what came of a request."""
        kept = error if response is None else response
        if not isinstance(kept, (Response, HTTPError)):
            return  # it was cancelled
        if isinstance(kept, HTTPError):
            if kept._request is None:
                kept._request = request
            if kept.journey is not None:
                kept.journey.describe(request.method, request.url._masked(), None, None)
        self.dropped += len(self._sent) == self._sent.maxlen
        self._sent.append(kept)

    def __iter__(self) -> Iterator[Response | HTTPError]:
        return iter(list(self._sent))

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def responses(self) -> list[Response]:
        """Return the responses, in the order in which they came."""
        return [each for each in self if isinstance(each, Response)]

    @property
    def errors(self) -> list[HTTPError]:
        """Return the exceptions of requests that had no response."""
        return [each for each in self if isinstance(each, HTTPError)]

    @property
    def journeys(self) -> list[Journey]:
        """Return the journeys of all of them; of exceptions those that went over a network."""
        return [journey for each in self if (journey := each.journey) is not None]

    def json_lines(self) -> str:
        """Return one line of JSON for each journey."""
        return as_lines(self.journeys)

    def __repr__(self) -> str:
        dropped = f", {self.dropped} more were dropped" if self.dropped else ""
        return f"<Recording of {len(self.responses)} responses and {len(self.errors)} failures{dropped}>"

    def _repr_html_(self) -> str:
        return journeys_html(self.journeys)
