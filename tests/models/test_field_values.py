"""Field values of peers: what is read of them, and that it costs time by their length only."""

from __future__ import annotations

import email.message

import pytest
from costs import assert_linear

import httpx_fast
from httpx_fast import Headers, Response
from httpx_fast._auth import _digest_challenges
from httpx_fast._conn.keep_alive import keep_alive_limits
from httpx_fast._models.field_values import MAX_REMEMBERED, charset_of, links_of
from httpx_fast._sse import EventParser

#: As the standard library reads them, which httpx asks.
AGREED = [
    "text/plain",
    "text/plain; charset=utf-8",
    'text/plain;charset="UTF-8"',
    "text/html; charset = utf-8",
    "text/html;charset=utf-8;q=1",
    'text/html; x="a;charset=b"; charset=c',
    'text/html; charset="a\\"b"',
    "text/html; charset=a, text/html; charset=b",
    "text/html; charset*=us-ascii'en'utf-8",
    "text/html; charset*=utf-8",
    "text/html; charset*=utf-8''utf%2D8",
    ";charset=utf-8",
    "text/html; charset=",
    "text/html; charset='utf-8'",
    "text/html;; charset=x",
    "text/html; charset=utf-8 ; a=b",
    "text/html; Charset=UTF8 foo",
    "text/html; charset=latin1 (comment)",
    'text/html; a="b" charset=x; charset=y',
    "text/html; =x; charset=y",
    "text/html, text/plain; charset=x",
]


@pytest.mark.parametrize("value", AGREED)
def test_the_charset_is_what_the_standard_library_finds(value):
    message = email.message.Message()
    message["content-type"] = value
    assert charset_of(value.encode())[0] == message.get_content_charset()


@pytest.mark.parametrize(
    ("value", "charset"),
    [("charset=utf-8", None), ("text/html; charset", None), ('text/html; charset="utf-8', "utf-8"), ("", None)],
)
def test_the_charset_of_a_malformed_field(value, charset):
    assert charset_of(value.encode())[0] == charset


@pytest.mark.parametrize("size", [MAX_REMEMBERED - 1, MAX_REMEMBERED, MAX_REMEMBERED + 1])
def test_a_long_field_is_read_as_a_short_one_is(size):
    value = b"text/plain; charset=latin-1; a="
    assert charset_of(value + b"b" * (size - len(value))) == ("latin-1", "latin-1")


def hostile(before: bytes, repeated: bytes, after: bytes = b""):
    return lambda n: before + repeated * (n // len(repeated)) + after


def feed_events(data: bytes) -> None:
    parser = EventParser()
    for at in range(0, len(data), 1000):
        list(parser.feed(data[at : at + 1000]))


READERS = {
    "content-type": charset_of,
    "link": lambda value: list(links_of(value.decode("latin-1"))),
    "keep-alive": lambda value: keep_alive_limits([value]),
    "www-authenticate": lambda value: list(_digest_challenges([value.decode("latin-1")])),
    "content-encoding": lambda value: Response(200, headers=[(b"content-encoding", value)], stream=None)._codings(),
    "location": lambda value: join(value.decode("latin-1")),
    "headers": lambda value: Headers([(b"a", value)] * 20).get("a"),
    "events": feed_events,
}
PARTS = [
    (b"a", b";"), (b"a", b"; \t"), (b"a;charset", b" "), (b"a;charset=", b"a"), (b"a;charset*=", b"%41"),
    (b"a;charset*=", b"'"), (b'a;charset="', b"\\"), (b'a;charset="', b'\\"'), (b"charset", b';a="'),
    (b"charset", b';a="\\'), (b"charset", b"=;"), (b"<a>", b'; a="'), (b"", b"<"), (b"", b"<>"), (b"<a>;", b" "),
    (b"<a>", b" ;"), (b"<a>", b' ;a="\\"'), (b"", b"<a>  "), (b"", b","), (b"", b"=,"), (b"timeout=", b"9"),
    (b"", b"timeout=1,"), (b"Digest ", b'a="'), (b"Digest ", b"a "), (b"Digest ", b'x"'), (b"", b"Digest a=b "),
    (b"Digest a=", b'"\\'), (b"a ", b'"'), (b"", b"a" + b" " * 50), (b"/", b"../"), (b"/", b"a/../"), (b"/", b"%"),
    (b"http://", b"@"), (b"http://", b"a."), (b"http://", b"xn--a."), (b"http://a", b":"), (b"?", b"&"), (b"", b"\xe9"),
    (b"http://", b"\xe9"), (b"data: ", b"a"), (b"", b"data:\n"), (b"", b":\n"), (b"", b"\n"), (b"", b"\r"),
    (b"retry:", b"9"),
]  # fmt: skip


def join(location: str) -> None:
    try:
        httpx_fast.URL("http://a.test/").join(location)
    except httpx_fast.InvalidURL:
        pass


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(("before", "repeated"), PARTS)
def test_a_hostile_value_costs_linear_time(reader, before, repeated):
    assert_linear(READERS[reader], hostile(before, repeated), 20_000)


def test_a_charset_costs_linear_time_all_the_way_to_the_text():
    # A head has at most 100 KiB; the body is what can be large.
    def text(content):
        return Response(200, headers={"Content-Type": "text/plain; charset=punycode"}, content=content).text

    assert_linear(text, lambda n: b"a-" + b"b" * n, 200_000)
