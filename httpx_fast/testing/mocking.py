"""Answers without a network: what the fixture `httpx_fast_mock` gives, with the interface of pytest-httpx's.

It takes the place of `handle_request()` and `handle_async_request()` of our transports, so everything above them is
what it is in production: clients, redirects, cookies, authentication, and `FastClient` for httpx2 and httpx as well.
"""

from __future__ import annotations

import base64
import contextlib
import copy
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from .._exceptions import RequestError, TimeoutException
from .._models import Request, Response
from .._transports import AsyncHTTPTransport, HTTPTransport
from .._types import AsyncByteStream, HeaderTypes, SyncByteStream
from .._urls import URL
from ._matching import Matcher
from ._patching import Send, SendAsync, transports_replaced

if TYPE_CHECKING:
    from .._conn.options import ProxyHop

__all__ = ["HTTPXFastMock", "IteratorStream", "mocked"]

Callback: TypeAlias = Callable[[Request], Response | Awaitable[Response | None] | None]
Transport: TypeAlias = HTTPTransport | AsyncHTTPTransport


class IteratorStream(SyncByteStream, AsyncByteStream):
    """A response's body in pieces, for both kinds of clients; it can be read again if `pieces` can."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        yield from self._pieces

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class HTTPXFastMock:
    """Answer requests of httpx_fast as registered, and keep them.

    Answers are taken in the order in which they were added, each once, unless `is_reusable`; the last one that matches
    is used again then. At the end of the test all that are not `is_optional` must have been used, and no request must
    have come for which there was none.
    """

    def __init__(
        self,
        *,
        assert_all_responses_were_requested: bool = True,
        assert_all_requests_were_expected: bool = True,
        can_send_already_matched_responses: bool = False,
        should_mock: Callable[[Request], bool] = lambda request: True,
    ) -> None:
        self._all_used = assert_all_responses_were_requested
        self._all_expected = assert_all_requests_were_expected
        self._reusable = can_send_already_matched_responses
        self._should_mock = should_mock
        self._answers: list[tuple[Matcher, Callback]] = []
        self._requests: list[tuple[Request, URL | None]] = []
        self._unexpected: list[Request] = []

    # What tests call.

    def add_response(
        self,
        status_code: int = 200,
        http_version: str = "HTTP/1.1",
        headers: HeaderTypes | None = None,
        content: bytes | None = None,
        text: str | None = None,
        html: str | None = None,
        stream: SyncByteStream | AsyncByteStream | None = None,
        json: Any = None,
        **matchers: Any,
    ) -> None:
        """Answer a request that `matchers` match with this response.

        Matchers: `url` (a pattern is matched at the beginning), `method`, `proxy_url`, `match_headers`,
        `match_content`, `match_json`, `match_data` with `match_files`, `match_params`, `match_extensions`;
        `is_optional` and `is_reusable` say what must become of the answer.
        """
        json = copy.deepcopy(json)  # tests may change theirs

        def answer(request: Request) -> Response:
            made = Response(
                status_code, headers=headers, content=content, text=text, html=html, json=json, stream=stream
            )
            made.extensions["http_version"] = http_version.encode("ascii")
            return made

        self.add_callback(answer, **matchers)

    def add_callback(self, callback: Callback, **matchers: Any) -> None:
        """Answer a request that `matchers` match with what `callback(request)` returns, or awaits to.

        None means that there is no answer. What it raises reaches whoever sent the request.
        """
        matchers.setdefault("is_optional", not self._all_used)
        matchers.setdefault("is_reusable", self._reusable)
        self._answers.append((Matcher(**matchers), callback))

    def add_exception(self, exception: BaseException, **matchers: Any) -> None:
        """Raise `exception` for a request that `matchers` match."""

        def fail(request: Request) -> NoReturn:
            if isinstance(exception, RequestError):
                exception.request = request
            raise exception

        self.add_callback(fail, **matchers)

    def get_requests(self, **matchers: Any) -> list[Request]:
        """Return the requests that came and that `matchers` match, in order."""
        matcher = Matcher(**matchers)
        return [request for request, proxy in self._requests if matcher.matches(request, proxy)]

    def get_request(self, **matchers: Any) -> Request | None:
        """Return the one request that came and that `matchers` match, or None. Raises AssertionError for several."""
        found = self.get_requests(**matchers)
        if len(found) > 1:
            raise AssertionError(
                f"{len(found)} requests match: say more of the one that is meant, or use get_requests()"
            )
        return found[0] if found else None

    def reset(self) -> None:
        """Forget all answers and requests."""
        self._answers.clear()
        self._requests.clear()
        self._unexpected.clear()

    # What the fixture calls.

    def takes(self, request: Request) -> bool:
        """Return whether the request is answered here, and not sent."""
        return self._should_mock(request)

    def handle(self, transport: Transport, request: Request) -> Response:
        """Answer a request of a blocking client."""
        request.read()
        callback = self._callback(transport, request)
        response = None if callback is None else callback(request)
        if response is None:
            self._refuse(transport, request)
        if not isinstance(response, Response):
            if inspect.iscoroutine(response):
                response.close()
            raise TypeError(f"expected a Response from the callback, for a blocking client, got {response!r}")
        return _unread(response)

    async def handle_async(self, transport: Transport, request: Request) -> Response:
        """Answer a request of an asynchronous client."""
        await request.aread()
        callback = self._callback(transport, request)
        answered: Any = None if callback is None else callback(request)
        if inspect.isawaitable(answered):
            answered = await answered
        if answered is None:
            self._refuse(transport, request)
        if not isinstance(answered, Response):
            raise TypeError(f"expected a Response from the callback, got {answered!r}")
        return _unread(answered)

    def verify(self) -> None:
        """Raise AssertionError for answers that were not used, and requests for which there was none."""
        unused = [matcher for matcher, _ in self._answers if not matcher.calls and not matcher.is_optional]
        if unused:
            raise AssertionError(
                f"The following responses are mocked but not requested:\n{_listed(unused)}\n\nTo allow this, give them "
                "is_optional=True, or mark the test: httpx_fast_mock(assert_all_responses_were_requested=False)"
            )
        if self._unexpected and self._all_expected:
            told = [f"{request.method} request on {request.url}" for request in self._unexpected]
            raise AssertionError(
                f"The following requests were not expected:\n{_listed(told)}\n\nTo allow this, mark the test: "
                "httpx_fast_mock(assert_all_requests_were_expected=False)"
            )

    def _callback(self, transport: Transport, request: Request) -> Callback | None:
        """Note the request and return what answers it: the first answer that is unused, or the last if reusable."""
        proxy = _proxy_of(transport)
        self._requests.append((request, proxy))
        matching = [each for each in self._answers if each[0].matches(request, proxy)]
        chosen = next((each for each in matching if not each[0].calls), None)
        if chosen is None and matching and matching[-1][0].is_reusable:
            chosen = matching[-1]
        if chosen is None:
            return None
        chosen[0].calls += 1
        return chosen[1]

    def _refuse(self, transport: Transport, request: Request) -> NoReturn:
        """Raise TimeoutException: nobody answers."""
        self._unexpected.append(request)
        matchers = sorted([matcher for matcher, _ in self._answers], key=lambda each: bool(each.calls))
        text = f"No response can be found for {_described(request, _proxy_of(transport), matchers)}"
        if matchers:
            text += f" amongst:\n{_listed(matchers)}"
        if any(matcher.calls and not matcher.is_reusable for matcher in matchers):
            text += "\n\nAn answer that was used already is used again only with is_reusable=True"
        raise TimeoutException(text, request=request)


@contextlib.contextmanager
def mocked(**settings: Any) -> Generator[HTTPXFastMock]:
    """Answer requests by the mock that this gives, whose settings are taken, until the block ends; verify it then.

    For the whole process: in other threads as well.
    """
    mock = HTTPXFastMock(**settings)

    def around(send: Send) -> Send:
        return lambda transport, request: (mock.handle if mock.takes(request) else send)(transport, request)

    def around_async(send: SendAsync) -> SendAsync:
        return lambda transport, request: (mock.handle_async if mock.takes(request) else send)(transport, request)

    with transports_replaced(around, around_async):
        yield mock
    mock.verify()


def _listed(items: Iterable[object]) -> str:
    return "\n".join(f"- {item}" for item in items)


def _described(request: Request, proxy: URL | None, matchers: list[Matcher]) -> str:
    """Return the request in words, with those of its parts that the matchers ask for."""
    told: list[str] = []
    names = {name.lower() for matcher in matchers for name in matcher.headers}
    if names:
        sent = [name.decode("latin-1") for name, _ in request.headers.raw]  # as it is written
        seen = {name: request.headers[name] for name in sent if name.lower() in names}
        told.append(f"{seen} headers")
    if any(matcher.needs_body for matcher in matchers):
        told.append(f"{request.content!r} body")
    if any(matcher.proxy_url is not None for matcher in matchers):
        told.append(f"{proxy or 'no'} proxy URL")
    wanted = {name for matcher in matchers for name in matcher.extensions}
    if wanted:
        told.append(f"{ {name: value for name, value in request.extensions.items() if name in wanted} } extensions")
    text = f"{request.method} request on {request.url}"
    return f"{text} with {' and '.join(told)}" if told else text


def _unread(response: Response) -> Response:
    """Return the same response, with a body that nobody has read: a client wants to read it."""
    return Response(
        response.status_code,
        headers=response.headers,
        stream=response.stream,
        extensions=response.extensions,
        default_encoding=response.default_encoding,
    )


def _proxy_of(transport: Transport) -> URL | None:
    """Return the URL of the transport's proxy, with its credentials, or None."""
    hop: ProxyHop | None = transport._options.proxy
    if hop is None:
        return None
    userinfo = b"" if hop.login is None else b":".join(hop.login)
    for name, value in hop.fields:
        if name.lower() == b"proxy-authorization":
            userinfo = base64.b64decode(value.partition(b" ")[2])
    url = URL(scheme=hop.scheme, host=hop.host, port=hop.port, path="/")
    return url.copy_with(userinfo=userinfo) if userinfo else url
