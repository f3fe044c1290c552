from __future__ import annotations

import asyncio
import copy
import io
import pickle

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

import httpx_fast
from httpx_fast import URL, ByteStream, Cookies, Headers, Request, RequestNotRead, StreamClosed, Timeout
from httpx_fast._models.dispatch import Destination, Dispatch
from httpx_fast._models.request import from_template
from httpx_fast._wire.heads import WireHead


def as_httpx2(method: str, **arguments) -> tuple[Request, httpx2.Request]:
    """The same request of both libraries, seen to be the same."""
    ours, theirs = (
        each.Request(method, "http://user:pw@example.org:81/a?b=c", **arguments) for each in (httpx_fast, httpx2)
    )
    assert ours.method == theirs.method
    assert str(ours.url) == str(theirs.url)
    assert ours.headers.raw == theirs.headers.raw
    assert ours.extensions == theirs.extensions
    return ours, theirs


@pytest.fixture
def template():
    """Field lines and head of a GET, as a client keeps them."""
    request = Request("GET", "http://example.org/", headers={"Accept": "*/*"})
    lines = request.headers._share()
    head = WireHead(b"GET", b"http", b"example.org", b"/", lines)
    return "GET", request.url, lines, Dispatch(head, "GET", Destination(request.url))


@pytest.mark.parametrize("method", ["GET", "post", "PUT", "Patch", "QUERY", "DELETE", "X-OWN"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"content": b"abc"},
        {"content": b""},
        {"content": "ä"},
        {"content": [b"abc"]},
        {"json": {"a": 1}},
        {"data": {"a": "1"}},
        {"data": {}},
        {"files": {}},
        {"files": {"a": b"1"}, "headers": {"Content-Type": "multipart/form-data; boundary=+"}},
        {"headers": {"Host": "other", "X": "1"}},
        {"headers": [("x", "1"), ("X", "2"), ("content-length", "7")], "content": b"abc"},
        {"headers": {"Transfer-Encoding": "chunked"}, "content": b"abc"},
        {"headers": {"Content-Length": "3"}, "content": [b"abc"]},
        {"headers": {"content-type": "a/b"}, "json": 1},
        {"cookies": {"a": "1", "b": "2"}},
        {"params": {"a": "1"}, "extensions": {"x": 1}},
    ],
)
def test_a_request_is_made_as_in_httpx2(method, arguments):
    ours, theirs = as_httpx2(method, **arguments)
    assert b"".join(ours.stream) == b"".join(theirs.stream)


LINES = st.lists(
    st.tuples(
        st.sampled_from(["Host", "host", "Content-Length", "transfer-encoding", "Content-Type", "X-A"]),
        st.sampled_from(["3", "chunked", "a/b"]),
    ),
    max_size=4,
)
BODIES = st.sampled_from([{}, {"content": b"abc"}, {"content": [b"abc"]}, {"json": 1}, {"data": {"a": "1"}}])


@given(st.sampled_from(["GET", "POST"]), LINES, BODIES)
def test_fields_of_the_user_and_of_the_body_are_put_together_as_in_httpx2(method, lines, body):
    as_httpx2(method, headers=lines, **body)


def test_fields_are_not_added_for_a_stream():
    ours, _ = as_httpx2("POST", stream=ByteStream(b"abc"))
    assert ours.headers.raw == []
    assert ours.read() == b"abc"


def test_a_users_headers_are_not_changed():
    headers, extensions = Headers({"X": "1"}), {"a": 1}
    request = Request("POST", "http://a/", headers=headers, content=b"1", cookies={"a": "1"}, extensions=extensions)
    request.headers["Y"] = "2"
    request.extensions["b"] = 2
    assert headers.raw == [(b"X", b"1")]
    assert extensions == {"a": 1}


def test_a_url_is_taken_over_and_params_replace_its_query():
    url = URL("http://a/?b=1")
    assert Request("GET", url).url is url
    assert str(Request("GET", url, params={"c": "2"}).url) == "http://a/?c=2"
    assert Request("GET", "http://a/").url == URL("http://a/")


def test_cookies_may_be_in_a_jar():
    request = Request("GET", "http://a.org/", cookies=Cookies({"a": "1"}))
    assert request.headers["cookie"] == "a=1"


def test_content_in_memory_is_there_at_once(backend):
    request = Request("POST", "http://a/", content=b"abc")
    assert request.content == request.read() == request._body == b"abc"
    assert backend.run(request.aread) == b"abc"
    assert isinstance(request.stream, ByteStream)


def test_content_that_was_read_can_be_sent_again():
    request = Request("POST", "http://a/", content=(piece for piece in (b"a", b"b")))
    with pytest.raises(RequestNotRead, match="call read"):
        assert request.content
    assert request._body is None
    assert request.read() == request.content == request._body == b"ab"
    assert list(request.stream) == list(request.stream) == [b"ab"]


def test_asynchronous_content_that_was_read_can_be_sent_again(backend):
    async def pieces():
        yield b"a"
        yield b"b"

    request = Request("POST", "http://a/", content=pieces())
    with pytest.raises(RuntimeError, match=r"asynchronous stream: call aread\(\)"):
        request.read()
    assert backend.run(request.aread) == b"ab"
    assert list(request.stream) == [b"ab"]


def test_blocking_content_is_not_read_asynchronously(backend):
    request = Request("POST", "http://a/", content=[b"a"])
    with pytest.raises(RuntimeError, match=r"blocking stream: call read\(\)"):
        backend.run(request.aread)


def test_a_stream_can_be_replaced():
    request = Request("POST", "http://a/", content=b"abc")
    request.stream = httpx_fast._content.IteratorByteStream([b"d"])
    assert request._body is None
    assert list(request.stream) == [b"d"]
    assert request.content == b"abc"


def test_the_timeout_goes_into_the_extensions_when_they_are_asked_for():
    request = Request("GET", "http://a/")
    assert request.extensions == {}
    request = Request("GET", "http://a/")
    request._dispatch = request._dispatch.granted(Timeout(5.0))
    assert request._extensions is None
    assert request.extensions == {"timeout": {"connect": 5.0, "read": 5.0, "write": 5.0, "pool": 5.0}}
    assert request.extensions is request.extensions
    assert request._dispatch.timeout is None
    request.extensions = {"a": 1}
    assert request.extensions == {"a": 1}


def test_a_timeout_of_the_users_extensions_stays():
    request = Request("GET", "http://a/", extensions={"timeout": {"read": 1.0}})
    request._dispatch = request._dispatch.granted(Timeout(5.0))
    assert request.extensions == {"timeout": {"read": 1.0}}
    request = Request("GET", "http://a/", extensions={"a": 1})
    request._dispatch = request._dispatch.granted(Timeout(5.0))
    assert request.extensions == {"a": 1, "timeout": Timeout(5.0).as_dict()}


def test_a_request_from_a_template_is_like_one_that_was_built(template, backend):
    built = Request("GET", "http://example.org/", headers={"Accept": "*/*"})
    made = from_template(*template[:3], template[3].granted(Timeout(5.0)))
    assert made.extensions == {"timeout": Timeout(5.0).as_dict()}
    assert from_template(*template).extensions == {}
    for request in (built, made):
        assert request.method == "GET"
        assert request.url == URL("http://example.org/")
        assert request.headers.raw == [(b"Host", b"example.org"), (b"Accept", b"*/*")]
        assert request.content == request.read() == backend.run(request.aread) == request._body == b""
        assert list(request.stream) == [b""]
        assert isinstance(request.stream, ByteStream)
        assert request.stream is request.stream
        assert repr(request) == "<Request('GET', 'http://example.org/')>"


def test_a_request_from_a_template_gives_its_head_back_while_it_is_unchanged(template):
    head = template[3].head
    request = from_template(*template)
    assert request._unchanged_head() is head
    assert request.headers["accept"] == "*/*"
    assert request.stream
    assert request.extensions == {}
    assert request._unchanged_head() is head


CHANGES = {
    "method": lambda request: setattr(request, "method", "HEAD"),
    "url": lambda request: setattr(request, "url", URL("http://other.org/")),
    "a field": lambda request: request.headers.__setitem__("a", "1"),
    "one field less": lambda request: request.headers.__delitem__("accept"),
    "headers": lambda request: setattr(request, "headers", {"a": "1"}),
    "target": lambda request: request.extensions.__setitem__("target", b"*"),
    "server name": lambda request: request.extensions.__setitem__("sni_hostname", "other.org"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_request_has_no_head(change, template):
    lines = list(template[2])
    request = from_template(*template)
    CHANGES[change](request)
    assert request._unchanged_head() is None
    assert template[2] == lines
    assert from_template(*template)._unchanged_head() is template[3].head


@pytest.mark.parametrize("change", CHANGES)
def test_a_head_that_is_kept_is_given_back_until_a_change(change):
    request = Request("GET", "http://example.org/", headers={"Accept": "*/*"})
    assert request._unchanged_head() is None
    head = WireHead(b"GET", b"http", b"example.org", b"/", request.headers._field_lines)
    request._keep_head(head, Destination(request.url))
    assert request._unchanged_head() is head
    CHANGES[change](request)
    assert request._unchanged_head() is None
    assert head.fields == [(b"Host", b"example.org"), (b"Accept", b"*/*")]


def test_headers_can_be_given_in_any_form_later():
    request = Request("GET", "http://a/")
    request.headers = [("a", "1")]
    assert request.headers.raw == [(b"a", b"1")]
    headers = request.headers = Headers({"b": "2"})
    assert request.headers is headers


def test_a_password_is_not_shown():
    request = Request("GET", "http://user:s3cret@a/?x=user:s3cret@")
    assert repr(request) == "<Request('GET', 'http://user:[secure]@a/?x=user:s3cret@')>"
    assert repr(Request("GET", "http://t0ken@a/")) == "<Request('GET', 'http://[secure]@a/')>"


def test_a_request_is_pickled_without_its_stream_and_extensions(template, backend):
    for request in (
        Request("POST", "http://a/", content=b"abc", headers={"X": "1"}, extensions={"a": 1}),
        Request("GET", "http://a/", headers={"X": "1"}),
        from_template(*template[:3], template[3].granted(Timeout(5.0))),
    ):
        request.mine = "too"
        for again in (pickle.loads(pickle.dumps(request)), copy.copy(request)):
            assert (again.method, again.url, again.headers) == (request.method, request.url, request.headers)
            assert again.content == again.read() == request.content
            assert again.extensions == {}
            assert again.mine == "too"
            assert again._unchanged_head() is None
            with pytest.raises(StreamClosed, match="closed"):
                list(again.stream)


def test_a_request_that_was_not_read_is_pickled_without_its_content():
    request = pickle.loads(pickle.dumps(Request("POST", "http://a/", files={"a": io.BytesIO(b"1")})))
    assert request.headers["content-type"].startswith("multipart/form-data")
    with pytest.raises(RequestNotRead, match="call read"):
        assert request.content
    with pytest.raises(StreamClosed, match="closed"):
        request.read()


def test_a_request_can_be_subclassed_and_patched():
    class Mine(Request):
        def __init__(self, url: str) -> None:
            super().__init__("GET", url)
            self.note = "x"

    request = Mine("http://a/")
    request.read = lambda: b"patched"
    assert repr(request) == "<Mine('GET', 'http://a/')>"
    assert request.note == "x"
    assert request.read() == b"patched"


def test_a_large_form_is_not_loaded_when_it_is_made():
    request = Request("POST", "http://a/", files={"a": io.BytesIO(b"1")})
    with pytest.raises(RequestNotRead, match="call read"):
        assert request.content
    assert len(request.read()) == int(request.headers["content-length"])
    assert asyncio.run(request.aread()) == request.content
