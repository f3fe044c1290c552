"""What clients and transports share about a request that is being sent.

`Request._dispatch` is a `Dispatch`. One object may serve many requests, those of one template for example, so nobody
assigns to it: the methods return another one. Only a `Destination` is filled in later, with what is the same for every
request to its URL.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from .._config import Timeout
    from .._deadline import Deadline
    from .._head import RequestHead
    from .._origin import Route
    from .._urls import URL


class Destination:
    """Hold what transports found out about a URL: its route, and the last head that a proxy was sent for it."""

    __slots__ = ("forwarded", "route", "url")

    def __init__(self, url: URL | None) -> None:
        self.url: URL | None = url
        self.route: Route | None = None
        #: A head, the route of the proxy, and the head that was made of the first for this proxy.
        self.forwarded: tuple[RequestHead, Route, RequestHead] | None = None


class Dispatch:
    """Hold how a request is sent. Never changed.

    - `head` was made of the request with this `method` and the URL of `destination`; None if none was made.
    - `timeout` is the granted `Timeout`, until somebody asks for the request's extensions.
    - `sender` refers weakly to the client that sends it; None if no client does.
    - `whole` says that the client wants all of the response before it goes on.
    - `deadline` is the end of all that this request is part of.
    """

    __slots__ = ("deadline", "destination", "head", "method", "sender", "timeout", "whole")

    def __init__(
        self,
        head: RequestHead | None,
        method: str | None,
        destination: Destination,
        timeout: Timeout | None = None,
        sender: Callable[[], Any] | None = None,
        whole: bool = False,
        deadline: Deadline | None = None,
    ) -> None:
        self.head: RequestHead | None = head
        self.method: str | None = method
        self.destination: Destination = destination
        self.timeout: Timeout | None = timeout
        self.sender: Callable[[], Any] | None = sender
        self.whole: bool = whole
        self.deadline: Deadline | None = deadline

    def granted(self, timeout: Timeout | None) -> Dispatch:
        """Return the same with other timeouts."""
        return Dispatch(self.head, self.method, self.destination, timeout, self.sender, self.whole, self.deadline)

    def headed(self, head: RequestHead | None, method: str | None, destination: Destination) -> Dispatch:
        """Return the same with another head."""
        return Dispatch(head, method, destination, self.timeout, self.sender, self.whole, self.deadline)

    def sent(self, sender: Callable[[], Any], whole: bool, deadline: Deadline | None) -> Dispatch:
        """Return the same for one `send()` of this client."""
        return Dispatch(self.head, self.method, self.destination, self.timeout, sender, whole, deadline)

    def following(self, other: Dispatch) -> Dispatch:
        """Return the same as part of what `other` is part of: the `send()` of a redirect, or of authentication."""
        return Dispatch(
            self.head, self.method, self.destination, self.timeout, other.sender, other.whole, other.deadline
        )

    def until(self, deadline: Deadline | None) -> Dispatch:
        """Return the same with this deadline."""
        return Dispatch(self.head, self.method, self.destination, self.timeout, self.sender, self.whole, deadline)


#: That of a request of which no head was made, and that nobody sends.
UNSENT: Final = Dispatch(None, None, Destination(None))
