"""The WSGI transport: what the application sees, and what becomes of what it does."""

from __future__ import annotations

import io
import sys
import wsgiref.validate

import pytest

import httpx_fast
from httpx_fast import WSGITransport


def client_of(app, **options):
    return httpx_fast.Client(transport=WSGITransport(app, **options))


def environ_of(url="http://a.test/", method="GET", *, transport=None, **options):
    seen = {}

    def app(environ, start_response):
        seen.update(environ, body=environ["wsgi.input"].read())
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"ok"]

    with client_of(app, **(transport or {})) as client:
        assert client.request(method, url, **options).content == b"ok"
    return seen


def test_request_line_as_the_application_sees_it():
    environ = environ_of("http://a.test:8080/p%C3%A4th%2F/x?q=%C3%A4", "DELETE")
    assert environ["REQUEST_METHOD"] == "DELETE"
    assert environ["PATH_INFO"] == "/päth//x".encode().decode("latin-1")
    assert environ["QUERY_STRING"] == "q=%C3%A4"
    assert environ["SERVER_NAME"] == "a.test"
    assert environ["SERVER_PORT"] == "8080"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["SCRIPT_NAME"] == ""
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["wsgi.errors"] is sys.stderr


@pytest.mark.parametrize(
    ("url", "port"), [("http://a.test/", "80"), ("https://a.test/", "443"), ("https://a.test:1/", "1")]
)
def test_port_is_filled_in(url, port):
    assert environ_of(url)["SERVER_PORT"] == port


def test_settings_reach_the_application():
    errors = io.StringIO()
    environ = environ_of(transport={"script_name": "/sub", "remote_addr": "1.2.3.4", "wsgi_errors": errors})
    assert (environ["SCRIPT_NAME"], environ["REMOTE_ADDR"]) == ("/sub", "1.2.3.4")
    assert environ["wsgi.errors"] is errors


def test_fields_become_variables():
    headers = [("X-Many", "1"), ("X-Many", "2"), ("Cookie", "a=1"), ("Cookie", "b=2"), ("Content-Type", "text/x")]
    environ = environ_of(method="POST", headers=headers, content=b"body")
    assert environ["HTTP_X_MANY"] == "1, 2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "text/x"
    assert environ["CONTENT_LENGTH"] == "4"
    assert environ["HTTP_HOST"] == "a.test"
    assert environ["body"] == b"body"


def test_body_of_unknown_length_is_measured():
    environ = environ_of(method="POST", content=iter([b"some ", b"pieces"]))
    assert environ["body"] == b"some pieces"
    assert environ["CONTENT_LENGTH"] == "11"


def test_body_of_known_length_is_read_as_the_application_asks():
    read = []

    def pieces():
        for piece in (b"line one\nli", b"ne two\n", b"never"):
            read.append(piece)
            yield piece

    def app(environ, start_response):
        lines = environ["wsgi.input"]
        assert lines.readline() == b"line one\n"
        assert lines.read(3) == b"lin"
        start_response("200 OK", [])
        return []

    with client_of(app) as client:
        client.post("http://a.test/", content=pieces(), headers={"Content-Length": "23"})
    assert read[0] == b"line one\nli"


def test_response_is_what_the_application_starts():
    def app(environ, start_response):
        start_response("404 Not Here", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("X-Latin", "\xe9")])
        return [b"no ", b"such page"]

    with client_of(app) as client:
        response = client.get("http://a.test/")
    assert response.status_code == 404
    assert response.reason_phrase == "Not Here"
    assert response.headers.get_list("set-cookie") == ["a=1", "b=2"]
    assert response.headers["x-latin"] == "é"
    assert response.content == b"no such page"


def test_application_that_conforms_is_taken_as_conforming():
    @wsgiref.validate.validator
    def app(environ, start_response):
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [body]

    with client_of(app) as client:
        assert client.post("http://a.test/", content=b"x").content == b"x"


class Pieces:
    """An application's iterable that notes what was asked of it."""

    def __init__(self, *pieces):
        self.given = []
        self.closed = 0
        self._pieces = iter(pieces)

    def __iter__(self):
        return self

    def __next__(self):
        piece = next(self._pieces)
        if isinstance(piece, Exception):
            raise piece
        self.given.append(piece)
        return piece

    def close(self):
        self.closed += 1


def started(pieces):
    def app(environ, start_response):
        start_response("200 OK", [])
        return pieces

    return app


def test_response_is_streamed_and_closed():
    pieces = Pieces(b"", b"one", b"two", b"three")
    with client_of(started(pieces)) as client, client.stream("GET", "http://a.test/") as response:
        assert pieces.given == [b"", b"one"]
        received = response.iter_raw()
        assert next(received) == b"one"
        assert next(received) == b"two"
        assert pieces.given == [b"", b"one", b"two"]
        assert pieces.closed == 0
    assert pieces.closed == 1


def test_generator_may_start_the_response_with_its_first_chunk():
    def app(environ, start_response):
        yield b""
        start_response("201 Created", [])
        yield b"late"

    with client_of(app) as client:
        response = client.get("http://a.test/")
    assert (response.status_code, response.content) == (201, b"late")


def test_what_is_given_to_write_comes_before_the_iterable():
    def app(environ, start_response):
        write = start_response("200 OK", [])
        write(b"one ")
        write(b"two ")
        return [b"three"]

    with client_of(app) as client:
        assert client.get("http://a.test/").content == b"one two three"


def failing(environ, start_response):
    raise ValueError("in the application")


def failing_with_page(environ, start_response):
    try:
        raise ValueError("in the application")
    except ValueError:
        start_response("500 Oops", [], sys.exc_info())
    return [b"a page"]


@pytest.mark.parametrize("app", [failing, failing_with_page])
def test_exceptions_of_the_application_are_raised(app):
    with client_of(app) as client, pytest.raises(ValueError, match="in the application"):
        client.get("http://a.test/")


@pytest.mark.parametrize(("app", "page"), [(failing, b""), (failing_with_page, b"a page")])
def test_exceptions_of_the_application_become_status_500_if_told_so(app, page):
    with client_of(app, raise_app_exceptions=False) as client:
        response = client.get("http://a.test/")
    assert (response.status_code, response.content) == (500, page)


def test_exception_in_the_iterable_closes_it():
    early, late = Pieces(ValueError("early")), Pieces(b"one", ValueError("late"))
    with client_of(started(early)) as client, pytest.raises(ValueError, match="early"):
        client.get("http://a.test/")
    with client_of(started(late)) as client, pytest.raises(ValueError, match="late"):
        client.get("http://a.test/")
    assert (early.closed, late.closed) == (1, 1)


def test_application_that_starts_no_response_is_an_error():
    pieces = Pieces(b"body")
    client = client_of(lambda environ, start_response: pieces)
    with pytest.raises(httpx_fast.RemoteProtocolError, match="without calling start_response") as caught:
        client.get("http://a.test/")
    assert caught.value.request.url == "http://a.test/"
    assert pieces.closed == 1
