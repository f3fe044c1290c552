from __future__ import annotations

import contextlib
import copy
import datetime as dt
import gc
import gzip
import io
import json
import pickle
import traceback
import zlib
from unittest.mock import patch

import httpx2
import pytest

import httpx_fast
from httpx_fast import (
    URL,
    AsyncByteStream,
    ByteStream,
    DecodingError,
    Headers,
    HTTPStatusError,
    Request,
    Response,
    ResponseNotRead,
    StreamClosed,
    StreamConsumed,
    SyncByteStream,
)
from httpx_fast._journey import ConnectionFacts, Journey
from httpx_fast._kernel import constants
from httpx_fast._kernel.select import HeadParser
from httpx_fast._models.response import received

REQUEST = Request("GET", "http://example.org/a")
LINES = "äöü\nsecond\r\nthird\rno end"
ITERATORS = ["iter_bytes", "iter_text", "iter_lines", "iter_raw"]


MEMBERS = [
    *("status_code", "reason_phrase", "http_version", "content", "text", "encoding", "charset_encoding", "is_closed"),
    *("is_stream_consumed", "num_bytes_downloaded", "extensions", "history", "next_request", "links"),
    "default_encoding",
]
CLASSES = [
    *("is_informational", "is_success", "is_redirect", "is_client_error", "is_server_error", "is_error"),
    *("has_redirect_location", "reason_phrase"),
]


class Body(SyncByteStream, AsyncByteStream):
    """A body in pieces that says whether it was closed; an exception among them is raised."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self.pieces = pieces
        self.closed = 0
        self.given = 0

    def __iter__(self):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            self.given += 1
            yield piece

    async def __aiter__(self):
        for piece in self:
            yield piece

    def close(self) -> None:
        self.closed += 1

    async def aclose(self) -> None:
        self.closed += 1


class SyncBody(SyncByteStream):
    __init__, __iter__, close = Body.__init__, Body.__iter__, Body.close


class AsyncBody(AsyncByteStream):
    """Like the stream of a connection: no generator, and can be let go of without waiting."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = pieces
        self.closed = 0
        self.abandoned = 0

    def __aiter__(self):
        self.rest = iter(self.pieces)
        return self

    async def __anext__(self) -> bytes:
        for piece in self.rest:
            return piece
        raise StopAsyncIteration

    async def aclose(self) -> None:
        self.closed += 1

    def abandon(self) -> None:
        self.abandoned += 1


class Wire:
    """What the transport's door does: responses made of received bytes."""

    def __init__(self, backend) -> None:
        self.backend = backend

    def head(self, *lines: str, status: str = "200 OK", minor: int = 1):
        raw = "\r\n".join([f"HTTP/1.{minor} {status}", *lines, "", ""]).encode("latin-1")
        return HeadParser().feed(raw, 0, len(raw))

    def response(self, *lines: str, body=b"", stream=None, journey=None, network=None, **status) -> Response:
        head = self.head(*lines, **status)
        body = None if stream is not None else body
        return received(head.status, head, REQUEST, journey, body=body, stream=stream, network=network)

    def read(self, response: Response) -> bytes:
        """By read() in the blocking world, by aread() in the others."""
        if not self.backend.asynchronous:
            return response.read()
        return self.backend.run(response.aread)

    def pieces(self, response: Response, method: str, *arguments) -> list:
        """What iter_*() gives in the blocking world, and aiter_*() in the others."""
        if not self.backend.asynchronous:
            return list(getattr(response, method)(*arguments))

        async def body():
            return [piece async for piece in getattr(response, "a" + method)(*arguments)]

        return self.backend.run(body)

    def close(self, response: Response) -> None:
        if self.backend.asynchronous:
            self.backend.run(response.aclose)
        else:
            response.close()


@pytest.fixture
def wire(backend) -> Wire:
    return Wire(backend)


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"content": b"abc"},
        {"content": b""},
        {"content": "ä"},
        {"text": "ä"},
        {"html": "<p>ä"},
        {"json": {"a": "ä"}},
        {"content": [b"a", b"b"]},
        {"headers": {"Content-Type": "a/b", "content-length": "9"}, "text": "abc"},
        {"headers": {"Content-Length": "2"}, "content": [b"a", b"b"]},
        {"headers": [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")], "extensions": {"http_version": b"HTTP/2"}},
        {"headers": {"Content-Encoding": "gzip"}, "content": gzip.compress(b"abc")},
        {"extensions": {"reason_phrase": b"Fine", "http_version": b"HTTP/1.0"}},
    ],
)
def test_a_response_is_made_as_in_httpx2(arguments):
    ours, theirs = (each.Response(200, **arguments) for each in (httpx_fast, httpx2))
    for response in (ours, theirs):
        if not response.is_closed:
            response.read()
    assert ours.headers.raw == theirs.headers.raw
    for name in MEMBERS:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert repr(ours) == repr(theirs)
    assert list(ours.iter_bytes()) == list(theirs.iter_bytes())
    assert list(ours.iter_text(2)) == list(theirs.iter_text(2))
    assert list(ours.iter_lines()) == list(theirs.iter_lines())


@pytest.mark.parametrize("status", [99, 100, 103, 199, 200, 204, 299, 300, 301, 304, 307, 399, 400, 499, 500, 599, 600])
def test_status_codes_are_told_apart_as_in_httpx2(status):
    ours, theirs = (each.Response(status, headers={"Location": "/"}) for each in (httpx_fast, httpx2))
    for name in CLASSES:
        assert getattr(ours, name) == getattr(theirs, name), name
    assert not Response(status).has_redirect_location


def test_a_made_response_has_no_request_until_it_is_set():
    response = Response(200)
    for ask in (lambda: response.request, lambda: response.url):
        with pytest.raises(RuntimeError, match="without its request"):
            ask()
    response.request = REQUEST
    assert response.request is REQUEST
    assert response.url == URL("http://example.org/a")


def test_a_users_history_and_extensions_are_copied():
    history, extensions = [Response(301)], {"a": 1}
    response = Response(200, history=history, extensions=extensions)
    response.history.clear()
    response.extensions.clear()
    assert len(history) == len(extensions) == 1
    assert Response(200).history == []
    response.history = history
    assert response.history is history


def test_success_is_returned_to_be_chained():
    response = Response(204, request=REQUEST)
    assert response.raise_for_status() is response


@pytest.mark.parametrize(
    ("status", "headers", "begins"),
    [
        (404, {}, "Client error '404 Not Found' for url '{url}'\n"),
        (503, {}, "Server error '503 Service Unavailable' for url '{url}'\n"),
        (304, {}, "Redirect response '304 Not Modified' for url '{url}'\n"),
        (302, {"Location": "/b"}, "Redirect response '302 Found' for url '{url}'\nRedirect location: '/b'\n"),
        (103, {}, "Informational response '103 Early Hints' for url '{url}'\n"),
        (600, {}, "Invalid status code '600 ' for url '{url}'\n"),
    ],
)
def test_anything_but_success_raises_and_says_what_came(status, headers, begins):
    request = Request("POST", "http://user:s3cret@example.org/a")
    response = Response(status, headers=headers, request=request)
    with pytest.raises(HTTPStatusError) as caught:
        response.raise_for_status()
    assert str(caught.value).startswith(begins.format(url="http://user:[secure]@example.org/a"))
    assert caught.value.__notes__ == ["The request's method was POST."]
    assert caught.value.request is request
    assert caught.value.response is response


@pytest.mark.parametrize(
    ("body", "begins"),
    [
        ({"json": {"detail": "no such model", "token": "hunter2"}}, '{"detail": "no such model", "token": "[secure]"}'),
        ({"text": "  too\n\tmany \x1b[31m requests "}, "too many \ufffd[31m requests"),
        ({"text": "x" * 1000}, "x" * 300 + "..."),
        ({"html": "<p>gone</p>"}, "<p>gone</p>"),
        ({"content": b"\x00\x01"}, None),
        ({"text": ""}, None),
    ],
)
def test_a_status_error_shows_how_a_body_of_text_begins(body, begins):
    response = Response(400, request=REQUEST, **body)
    with pytest.raises(HTTPStatusError, match="400 Bad Request") as caught:
        response.raise_for_status()
    assert caught.value.__notes__[1:] == ([] if begins is None else [f"The body begins with: {begins}"])
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_a_status_error_shows_nothing_of_a_body_that_was_not_read():
    response = Response(400, headers={"Content-Type": "text/plain"}, stream=Body(b"text"), request=REQUEST)
    with pytest.raises(HTTPStatusError, match="400 Bad Request") as caught:
        response.raise_for_status()
    assert len(caught.value.__notes__) == 1


@pytest.mark.parametrize(
    "status", [100, 103, 199, 300, 301, 302, 304, 307, 308, 399, 400, 404, 418, 499, 500, 503, 599, 600]
)
@pytest.mark.parametrize("location", [None, "/b", "https://other.example/c?d=1#e"])
@pytest.mark.parametrize(
    "url", ["http://example.org", "https://example.org:8443/a%20b?c=d#e", "http://b\u00fccher.example/"]
)
def test_the_text_of_a_status_error_is_that_of_httpx2(status, location, url):
    texts = []
    for library in (httpx2, httpx_fast):
        headers = {} if location is None else {"Location": location}
        response = library.Response(status, headers=headers, request=library.Request("GET", url))
        with pytest.raises(library.HTTPStatusError, match=str(status)) as caught:
            response.raise_for_status()
        texts.append(str(caught.value))
    assert texts[1] == texts[0]


@pytest.mark.parametrize(
    "location", ["http://user:s3cret@other.example/a@b", "//s3cret@other.example", "http://s3cret@["]
)
def test_a_status_error_does_not_show_the_credentials_of_a_location(location):
    response = Response(302, headers={"Location": location}, request=Request("GET", "http://example.org"))
    with pytest.raises(HTTPStatusError, match=r"Redirect location: '(http:)?//\[secure]@") as caught:
        response.raise_for_status()
    assert "s3cret" not in str(caught.value)


def test_a_response_without_request_cannot_be_judged():
    with pytest.raises(RuntimeError, match="set 'request' on a response made by hand"):
        Response(200).raise_for_status()


@pytest.mark.parametrize(
    ("content_type", "content", "charset", "encoding"),
    [
        (None, "ä".encode(), None, "utf-8"),
        ("text/plain; charset=iso-8859-1", b"\xe4", "iso-8859-1", "iso-8859-1"),
        ('text/plain; format=flowed; Charset="UTF-16LE"', "ä".encode("utf-16-le"), "utf-16le", "utf-16le"),
        ("text/plain; charset=unheard-of", "ä".encode(), "unheard-of", "utf-8"),
        ("text/plain; charset=", "ä".encode(), "", "utf-8"),
        ("text/plain; charset=hex", "ä".encode(), "hex", "utf-8"),
        ("text/plain; charset=idna", "ä".encode(), "idna", "utf-8"),
        ("text/plain; charset*=us-ascii'en'utf-8", "ä".encode(), "utf-8", "utf-8"),
        ("text/plain; charset=a\x00b", "ä".encode(), "a\x00b", "utf-8"),
    ],
)
def test_text_is_decoded_by_the_charset_if_that_is_a_codec(content_type, content, charset, encoding):
    headers = {} if content_type is None else {"Content-Type": content_type}
    response = Response(200, headers=headers, content=content)
    assert response.charset_encoding == charset
    assert response.encoding == encoding
    assert response.text == "ä"
    assert list(response.iter_text()) == ["ä"]


def test_what_does_not_fit_the_encoding_is_replaced():
    assert Response(200, content=b"a\xff\xe4").text == "a\ufffd\ufffd"
    assert Response(200, headers={"Content-Type": "text/plain; charset=ascii"}, content=b"a\xff").text == "a\ufffd"


def test_the_default_encoding_may_be_a_codec_or_a_function():
    content = "ä".encode("latin-1")
    assert Response(200, content=content, default_encoding="latin-1").text == "ä"
    seen = []
    response = Response(200, content=content, default_encoding=lambda content: seen.append(content) or "latin-1")
    assert response.text == "ä"
    assert response.encoding == "latin-1"
    assert seen == [content]
    assert Response(200, content=content, default_encoding=lambda content: None).encoding == "utf-8"
    response = Response(200, text="ä", default_encoding=lambda content: pytest.fail("Content-Type says it"))
    assert response.text == "ä"


def test_a_function_is_not_asked_before_the_content_is_there():
    response = Response(200, content=iter([b"\xe4"]), default_encoding=lambda content: "latin-1")
    assert response.encoding == "utf-8"
    response.read()
    assert response.text == "ä"


def test_an_encoding_can_be_set_until_the_text_was_asked_for():
    response = Response(200, content=b"\xe4")
    response.encoding = "latin-1"
    assert response.text == "ä"
    with pytest.raises(ValueError, match="set the encoding before asking for 'text'"):
        response.encoding = "utf-8"


def test_no_content_is_no_text():
    assert Response(200, headers={"Content-Type": "text/plain; charset=utf-16"}).text == ""


@pytest.mark.parametrize("text", ['{"a": "ä"}', '[1, "☃"]', '"ä"', "1", "null", " {}"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-16-le", "utf-32-le", "utf-32"])
def test_json_is_found_in_every_encoding_that_the_standard_library_knows(text, encoding):
    assert Response(200, content=text.encode(encoding)).json() == json.loads(text)


def test_json_fails_as_the_standard_library_does():
    assert Response(200, content=b'{"a": 1.0}').json(parse_float=str) == {"a": "1.0"}
    assert Response(200, content=b'["\xed\xa0\x80"]').json() == ["\ud800"]
    for content in (b"", b"{", b"[1,]", b"{\xff}", b"<html>"):
        with pytest.raises(ValueError) as ours:
            Response(200, content=content).json()
        with pytest.raises(ValueError) as theirs:
            json.loads(content)
        assert str(ours.value) == str(theirs.value)


@pytest.mark.parametrize(
    ("value", "links"),
    [
        (None, {}),
        ("", {}),
        ("<http://a>; rel=next", {"next": {"url": "http://a", "rel": "next"}}),
        ("<http://a>", {"http://a": {"url": "http://a"}}),
        ("<http://a>;", {"http://a": {"url": "http://a"}}),
        (
            '<http://a>; rel="next"; title="x", </b>;rel=prev',
            {"next": {"url": "http://a", "rel": "next", "title": "x"}, "prev": {"url": "/b", "rel": "prev"}},
        ),
        (
            r'<http://a?b,c;d>; title="e, <f>; \"g\"=h"; rel=next',
            {"next": {"url": "http://a?b,c;d", "title": 'e, <f>; "g"=h', "rel": "next"}},
        ),
        ("<a>; rel='next'; nopush; rel=last", {"next": {"url": "a", "rel": "next"}}),
        ('<a>; title="never ends; rel=next', {"next": {"url": "a", "title": '"never ends', "rel": "next"}}),
        ('<a>; rel=" next "; title=""', {" next ": {"url": "a", "rel": " next ", "title": ""}}),
        ("no link", {}),
        ("<never ends; rel=next", {}),
    ],
)
def test_links_are_found_by_their_relation(value, links):
    response = Response(200, headers={} if value is None else {"Link": value})
    assert response.links == links


def test_links_of_a_hostile_field_cost_linear_time():
    for value in ("<a>" + '; a="' * 20_000, "<" * 100_000, "<a>" + ";" * 100_000, "<a>;" + " " * 100_000):
        assert len(Response(200, headers={"Link": value}).links) <= 1


def test_cookies_are_those_that_the_response_sets(wire):
    headers = [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2; Domain=other.org")]
    assert dict(Response(200, headers=headers, request=REQUEST).cookies) == {"a": "1"}
    assert dict(wire.response("Set-Cookie: a=1").cookies) == {"a": "1"}
    assert not Response(200).cookies


def test_a_whole_body_becomes_the_content(wire):
    response = wire.response("Content-Type: text/plain; charset=latin-1", body=b"\xe4\nb")
    assert not response.is_closed
    assert not response.is_stream_consumed
    assert not hasattr(response, "_content")
    with pytest.raises(ResponseNotRead, match="call read"):
        assert response.content
    assert wire.read(response) == wire.read(response) == response.content == b"\xe4\nb"
    assert response.is_closed
    assert response.is_stream_consumed
    assert response.num_bytes_downloaded == 3
    assert response.text == "ä\nb"
    assert wire.pieces(response, "iter_bytes", 2) == [b"\xe4\n", b"b"]
    assert wire.pieces(response, "iter_text") == ["ä\nb"]
    assert wire.pieces(response, "iter_lines") == ["ä", "b"]
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        wire.pieces(response, "iter_raw")
    wire.close(response)
    assert list(response.stream) == [b"\xe4\nb"]


def test_a_whole_body_is_decoded(wire):
    data = gzip.compress(zlib.compress(b"abc" * 100))
    response = wire.response("Content-Encoding: deflate", "content-encoding: GZIP, identity", body=data)
    assert wire.read(response) == b"abc" * 100
    assert response.num_bytes_downloaded == len(data)
    assert list(response.stream) == [data]


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, deflate", "br", "unknown", "", "identity"])
def test_no_body_is_no_content_whatever_its_coding(wire, coding):
    assert wire.read(wire.response(f"Content-Encoding: {coding}", body=b"")) == b""
    assert wire.read(wire.response(f"Content-Encoding: {coding}", stream=Body())) == b""


def test_a_whole_body_that_cannot_be_decoded_names_its_request(wire):
    response = wire.response("Content-Encoding: gzip", body=b"no gzip")
    with pytest.raises(DecodingError, match="gzip") as caught:
        wire.read(response)
    assert caught.value.request is REQUEST
    assert response.is_closed
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        wire.read(response)


def test_a_stream_that_cannot_be_decoded_names_its_request_and_is_closed(wire):
    stream = Body(b"no gzip")
    response = wire.response("Content-Encoding: gzip", stream=stream)
    with pytest.raises(DecodingError, match="gzip") as caught:
        wire.read(response)
    assert caught.value.request is REQUEST
    assert stream.closed == 1


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("method", ITERATORS)
def test_a_body_is_handed_out_once_as_it_is_asked_for(wire, whole, method):
    data = gzip.compress(LINES.encode())
    stream = Body(data[:9], data[9:20], b"", data[20:])
    response = wire.response("Content-Encoding: gzip", body=data, stream=None if whole else stream)
    pieces = wire.pieces(response, method)
    if method == "iter_lines":
        assert pieces == LINES.splitlines()
    elif method == "iter_text":
        assert "".join(pieces) == LINES
    else:
        assert b"".join(pieces) == (data if method == "iter_raw" else LINES.encode())
        assert all(pieces)
    assert response.is_closed
    assert response.is_stream_consumed
    assert response.num_bytes_downloaded == len(data)
    assert stream.closed == (0 if whole else 1)
    assert not hasattr(response, "_content")
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        wire.pieces(response, method)
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        wire.read(response)


@pytest.mark.parametrize("method", ["iter_bytes", "iter_raw", "iter_text"])
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_pieces_have_the_size_that_is_asked_for(wire, method, size):
    response = wire.response(stream=Body(b"abc", b"d", b"efghij"))
    pieces = wire.pieces(response, method, size)
    assert all(len(piece) == size for piece in pieces[:-1])
    assert len(pieces) == -(-10 // size)
    assert pieces[0][:0].join(pieces) == ("abcdefghij" if method == "iter_text" else b"abcdefghij")


@pytest.mark.parametrize("kept", [True, False])
def test_a_piece_of_no_size_is_refused(wire, kept):
    response = Response(200, content=b"abc") if kept else wire.response(stream=Body(b"abc"))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        wire.pieces(response, "iter_bytes", 0)


def test_reading_a_stream_keeps_the_content_and_closes_it(wire):
    stream = Body(b"ab", b"c")
    response = wire.response(stream=stream)
    assert wire.read(response) == wire.read(response) == response.content == b"abc"
    assert stream.closed == 1
    assert response.is_closed
    assert response.num_bytes_downloaded == 3
    assert wire.pieces(response, "iter_bytes") == [b"abc"]


@pytest.mark.parametrize("whole", [True, False])
def test_a_closed_response_cannot_be_read(wire, whole):
    stream = None if whole else Body(b"abc")
    response = wire.response(body=b"abc", stream=stream)
    wire.close(response)
    wire.close(response)
    assert response.is_closed
    assert stream is None or stream.closed == 1
    for method in ITERATORS:
        with pytest.raises(StreamClosed, match="was closed before"):
            wire.pieces(response, method)
    with pytest.raises(StreamClosed, match="was closed before"):
        wire.read(response)
    with pytest.raises(ResponseNotRead, match="call read"):
        assert response.content


def test_an_error_of_the_stream_closes_it_and_names_the_request(wire):
    stream = Body(b"ab", httpx_fast.ReadError("gone"))
    response = wire.response(stream=stream)
    with pytest.raises(httpx_fast.ReadError, match="gone") as caught:
        wire.read(response)
    assert caught.value.request is REQUEST
    assert stream.closed == 1
    assert response.num_bytes_downloaded == 2


@pytest.mark.parametrize("method", ITERATORS)
def test_leaving_a_loop_early_closes_the_stream(backend, wire, method):
    stream = Body(b"a\nb\n", b"c\nd\n")
    response = wire.response(stream=stream)

    async def body():
        async with contextlib.aclosing(getattr(response, "a" + method)()) as pieces:
            async for _ in pieces:
                break

    if backend.asynchronous:
        backend.run(body)
    else:
        for _ in getattr(response, method)():
            break
        gc.collect()
    assert stream.closed == 1
    assert stream.given == 1
    assert response.is_closed


@pytest.mark.parametrize("method", ITERATORS)
def test_leaving_early_ends_the_generator_of_a_stream(backend, method):
    ended = []

    def pieces():
        try:
            yield b"a\nb\n"
            yield b"c\nd\n"
        finally:
            ended.append(True)

    async def async_pieces():
        with contextlib.closing(pieces()) as given:
            for piece in given:
                yield piece

    async def body():
        iterator = getattr(Response(200, content=async_pieces()), "a" + method)()
        await anext(iterator)
        await iterator.aclose()

    if backend.asynchronous:
        backend.run(body)
    else:
        iterator = getattr(Response(200, content=pieces()), method)()
        next(iterator)
        iterator.close()
        del iterator
    gc.collect()  # PyPy ends a generator that is dropped no sooner
    assert ended == [True]


@pytest.mark.parametrize("method", ITERATORS)
def test_an_asynchronous_iterator_that_is_dropped_lets_go_at_once(backend, wire, method):
    stream = AsyncBody(b"a\nb\n", b"c\nd\n")
    response = wire.response(stream=stream)

    async def body():
        async for _ in getattr(response, "a" + method)():
            break
        gc.collect()
        assert stream.abandoned == 1
        assert response.is_closed
        await response.aclose()
        assert stream.closed == 0

    backend.run(body)


def test_an_iterator_that_was_not_begun_leaves_the_response_alone(backend, wire):
    response = wire.response(stream=AsyncBody(b"abc"))

    async def body():
        pieces = response.aiter_bytes()
        await pieces.aclose()
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)
        assert not response.is_closed
        assert await response.aread() == b"abc"

    backend.run(body)


def test_an_asynchronous_iterator_can_be_used_like_a_generator(backend, wire):
    stream = AsyncBody(b"a", b"b", b"c")
    response = wire.response(stream=stream)

    async def body():
        pieces = response.aiter_bytes()
        assert await pieces.asend(None) == b"a"
        assert await anext(pieces) == b"b"
        with pytest.raises(ValueError, match="mine"):
            await pieces.athrow(ValueError("mine"))
        assert stream.closed == 1
        with pytest.raises(StopAsyncIteration):
            await anext(pieces)

    backend.run(body)


def test_a_compressed_piece_is_inflated_as_it_is_asked_for(wire):
    data = gzip.compress(bytes(50_000_000))
    response = wire.response("Content-Encoding: gzip", stream=SyncBody(data))
    pieces = response.iter_bytes()
    assert len(next(pieces)) < 5_000_000
    pieces.close()
    assert response.is_closed


def test_blocking_code_cannot_read_an_asynchronous_stream(wire):
    response = wire.response(stream=AsyncBody(b"abc"))
    for method in ITERATORS:
        with pytest.raises(RuntimeError, match=r"stream is asynchronous: use aiter_\*\(\) or aread\(\)"):
            list(getattr(response, method)())
    with pytest.raises(RuntimeError, match=r"asynchronous: call aclose\(\)"):
        response.close()
    with pytest.raises(RuntimeError, match="asynchronous"):
        response.read()
    assert not response.is_closed


def test_asynchronous_code_cannot_read_a_blocking_stream(backend, wire):
    response = wire.response(stream=SyncBody(b"abc"))

    async def body():
        for method in ITERATORS:
            with pytest.raises(RuntimeError, match=r"stream is blocking: use iter_\*\(\)"):
                await anext(getattr(response, "a" + method)())
        with pytest.raises(RuntimeError, match=r"blocking one: call close\(\)"):
            await response.aclose()
        with pytest.raises(RuntimeError, match="blocking"):
            await response.aread()

    backend.run(body)
    assert response.read() == b"abc"


def test_a_stream_can_be_wrapped_before_it_is_read(wire):
    data = gzip.compress(b"abc")
    response = wire.response("Content-Encoding: gzip", body=data)
    assert list(response.stream) == [data]
    response.stream = Body(*response.stream)
    assert wire.read(response) == b"abc"


def test_a_read_response_can_be_given_another_body(wire):
    response = wire.response(body=b"abc")
    wire.read(response)
    del response._content
    response.stream = Body(b"d", b"ef")
    response.is_closed = response.is_stream_consumed = False
    assert wire.read(response) == b"def"


def test_who_blanks_the_content_encoding_reads_the_bytes_as_they_came(wire):
    data = gzip.compress(b"abc")
    response = wire.response("Content-Encoding: gzip", body=data)
    with patch.dict(response.headers, {"Content-Encoding": ""}):
        assert wire.read(response) == data
    del response._decoder
    assert response.headers.raw == [(b"Content-Encoding", b"gzip")]


def test_flags_follow_the_fields(wire):
    response = wire.response("Location: /b", "Set-Cookie: a=1", status="302 Found")
    assert response._flags == constants.HAS_LOCATION | constants.HAS_SET_COOKIE
    assert response.headers["location"] == "/b"
    assert response._flags == constants.HAS_LOCATION | constants.HAS_SET_COOKIE
    assert response.has_redirect_location
    del response.headers["Location"]
    assert response._flags == constants.HAS_SET_COOKIE
    assert not response.has_redirect_location
    response.headers = {"location": "/c"}
    assert response._flags == constants.HAS_LOCATION
    made = Response(302, headers={"Location": "/b"})
    assert made.has_redirect_location
    made.headers.clear()
    assert made._flags == 0


def test_fields_are_those_of_the_head(wire):
    response = wire.response("Server: x", "Set-Cookie: a=1")
    assert response.headers == Headers({"Server": "x", "Set-Cookie": "a=1"})
    assert response.headers is response.headers


@pytest.mark.parametrize(
    ("status", "minor", "phrase", "version"),
    [("200 OK", 1, "OK", "HTTP/1.1"), ("404 Nope", 0, "Nope", "HTTP/1.0"), ("404 ", 1, "", "HTTP/1.1")],
)
def test_version_and_reason_are_those_of_the_head(wire, status, minor, phrase, version):
    network = object()
    response = wire.response(status=status, minor=minor, network=lambda asked: network)
    assert (response.reason_phrase, response.http_version) == (phrase, version)
    assert response.extensions == {
        "http_version": version.encode(),
        "reason_phrase": phrase.encode(),
        "network_stream": network,
    }
    assert response.extensions is response.extensions
    assert repr(response) == f"<Response [{status[:3]} {phrase}]>"
    response.extensions = {}
    assert response.reason_phrase == httpx_fast.codes.get_reason_phrase(response.status_code)
    assert response.http_version == "HTTP/1.1"


def test_http2_has_no_reason_and_a_stream_id(wire):
    journey = Journey(0.0, lambda: 0.0)
    journey.connection = ConnectionFacts()
    journey.connection.http_version = "HTTP/2"
    response = wire.response(status="404 ", journey=journey)
    journey.stream_id = 3
    assert response.http_version == "HTTP/2"
    assert response.reason_phrase == "Not Found"
    assert response.extensions == {"http_version": b"HTTP/2", "stream_id": 3}


def test_elapsed_is_the_journeys_once_it_has_ended(wire):
    journey = Journey(1.0, lambda: 9.0)
    response = wire.response(stream=Body(), journey=journey)
    assert response.journey is journey
    with pytest.raises(RuntimeError, match="has been read or closed"):
        assert response.elapsed
    wire.read(response)
    journey.done = 3.5
    assert response.elapsed == dt.timedelta(seconds=2.5)
    response.elapsed = dt.timedelta(seconds=1)
    assert response.elapsed == dt.timedelta(seconds=1)


def test_elapsed_may_be_told_by_the_stream():
    stream = Body()
    response = Response(200, stream=stream)
    with pytest.raises(RuntimeError, match="has been read or closed"):
        assert response.elapsed
    stream.elapsed = dt.timedelta(seconds=3)
    assert response.elapsed == dt.timedelta(seconds=3)


def test_interim_responses_are_kept(wire):
    response = wire.response()
    assert response.informational == ()
    response = wire.response()
    response._interim = (wire.head("Link: </a>; rel=preload", status="103 Early Hints"),)
    (hints,) = response.informational
    assert response.informational == (hints,)
    assert hints.status_code == 103
    assert hints.links == {"preload": {"url": "/a", "rel": "preload"}}
    assert hints.request is REQUEST
    assert hints.read() == b""
    assert hints.raise_for_status
    assert Response(200).informational == ()


def test_trailers_are_what_the_door_or_the_stream_says(wire):
    response = wire.response()
    assert response.trailers == {}
    response._trailers = Headers({"Checksum": "1"})
    assert response.trailers["checksum"] == "1"
    stream = Body(b"abc")
    response = wire.response(stream=stream)
    assert response.trailers == {}
    stream.trailers = [(b"Checksum", b"2")]
    assert response.trailers["checksum"] == "2"
    assert Response(200).trailers == {}


def test_a_response_is_pickled_with_its_content(wire):
    journey = Journey(1.0, lambda: 9.0)
    received = wire.response("X: 1", "Set-Cookie: a=1", body=b"abc", journey=journey, network=io.BytesIO())
    wire.read(received)
    journey.done = 2.0
    assert received.cookies
    made = Response(404, headers={"X": "1"}, text="abc", request=REQUEST, history=[Response(301)], extensions={"a": 1})
    for response in (received, made):
        response.next_request = REQUEST
        for again in (pickle.loads(pickle.dumps(response)), copy.copy(response)):
            assert (again.status_code, again.headers) == (response.status_code, response.headers)
            assert again.content == again.read() == b"abc"
            assert again.text == "abc"
            assert again.url == again.next_request.url == REQUEST.url
            assert len(again.history) == len(response.history)
            assert again.is_closed
            assert again.is_stream_consumed
            assert again.extensions == {}
            assert again.num_bytes_downloaded == response.num_bytes_downloaded
            assert dict(again.cookies) == dict(response.cookies)
            assert again.journey.phases() == {}
            with pytest.raises(StreamClosed, match="closed"):
                list(again.stream)
    assert pickle.loads(pickle.dumps(received)).elapsed == dt.timedelta(seconds=1)


@pytest.mark.parametrize("whole", [True, False])
def test_a_response_that_was_not_read_is_pickled_without_its_body(wire, whole):
    again = pickle.loads(pickle.dumps(wire.response(body=b"abc", stream=None if whole else Body(b"abc"))))
    assert again.is_closed
    with pytest.raises(ResponseNotRead, match="call read"):
        assert again.content
    with pytest.raises(StreamClosed, match="was closed before"):
        again.read()


def test_a_response_can_be_subclassed_and_patched():
    class Mine(Response):
        note = "x"

    response = Mine(200, content=b"abc")
    response.read = lambda: b"patched"
    assert response.read() == b"patched"
    assert response.note == "x"
    assert isinstance(response.stream, ByteStream)


@pytest.mark.parametrize("end", ["", "\n", " \t\r\n"])
@pytest.mark.parametrize("text", ['{"a": [1, 2.5, null, "\u00fc"]}', "[]", "{}", "[1, [2]]", '"text"', "0"])
def test_json_of_any_kind_with_whitespace_after_it(text, end):
    assert httpx_fast.Response(200, content=(text + end).encode()).json() == json.loads(text)


@pytest.mark.parametrize("text", ["{} {}", "[1", "[1}", "{}x", "{}\x0b", "[NaN", '{"a" 1}'])
def test_json_that_is_wrong_is_the_error_of_the_standard_library(text):
    with pytest.raises(json.JSONDecodeError, match="line 1 column") as expected:
        json.loads(text)
    with pytest.raises(json.JSONDecodeError, match="line 1 column") as caught:
        httpx_fast.Response(200, content=text.encode()).json()
    assert str(caught.value) == str(expected.value)
    assert (caught.value.doc, caught.value.pos) == (expected.value.doc, expected.value.pos)
