from __future__ import annotations

import re

import pytest

from httpx_fast._exceptions import LocalProtocolError
from httpx_fast._kernel import constants

BYTES = [bytes([byte]) for byte in range(256)]
TOKEN = [byte for byte in BYTES if byte in constants.TOKEN_BYTES]
CONTROLS = [byte for byte in BYTES if byte < b" " or byte == b"\x7f"]


def refuses(call, *arguments):
    try:
        call(*arguments)
    except LocalProtocolError:
        return True
    return False


def test_head_is_request_line_fields_and_empty_line(kernel):
    fields = [(b"Host", b"example.com"), (b"X-Empty", b""), (b"x-a", b"b \t c\xff")]
    assert kernel.request_head(b"GET", b"/a?b=c", fields) == (
        b"GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nX-Empty: \r\nx-a: b \t c\xff\r\n\r\n"
    )


def test_head_without_fields(kernel):
    assert kernel.request_head(b"OPTIONS", b"*", []) == b"OPTIONS * HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("make", [list, tuple, iter])
def test_fields_come_in_any_iterable(kernel, make):
    fields = make([(b"a", b"b"), [b"c", b"d"]])
    assert kernel.request_head(b"GET", b"/", fields) == b"GET / HTTP/1.1\r\na: b\r\nc: d\r\n\r\n"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_method_and_name_take_the_bytes_of_a_token_and_no_others(kernel, position):
    def insert(byte):
        return b"AB"[:position] + byte + b"AB"[position:]

    refused = [byte for byte in BYTES if refuses(kernel.request_head, insert(byte), b"/", [])]
    assert refused == [byte for byte in BYTES if byte not in TOKEN]
    assert [byte for byte in BYTES if refuses(kernel.check_field, insert(byte), b"")] == refused
    assert [byte for byte in BYTES if refuses(kernel.request_head, b"GET", b"/", [(insert(byte), b"")])] == refused


@pytest.mark.parametrize("position", [0, 1, 2])
def test_target_takes_visible_ascii_and_nothing_else(kernel, position):
    targets = [b"/b"[:position] + byte + b"/b"[position:] for byte in BYTES]
    refused = [
        byte for byte, target in zip(BYTES, targets, strict=True) if refuses(kernel.request_head, b"GET", target, [])
    ]
    assert refused == [byte for byte in BYTES if not b"!" <= byte <= b"~"]


def test_value_takes_all_but_controls(kernel):
    refused = [byte for byte in BYTES if refuses(kernel.check_field, b"a", b"b" + byte + b"c")]
    assert refused == [byte for byte in CONTROLS if byte != b"\t"]


@pytest.mark.parametrize("template", [b"%bb", b"b%b", b"%b"])
def test_value_takes_no_whitespace_at_its_ends(kernel, template):
    refused = [byte for byte in BYTES if refuses(kernel.check_field, b"a", template % byte)]
    assert refused == [byte for byte in BYTES if byte in CONTROLS or byte == b" "]


@pytest.mark.parametrize("part", ["method", "target", "name"])
def test_nothing_may_be_empty_but_a_value(kernel, part):
    parts = {"method": b"GET", "target": b"/", "name": b"a"} | {part: b""}
    with pytest.raises(
        LocalProtocolError, match="target is empty" if part == "target" else f"{part} has to be a token"
    ):
        kernel.request_head(parts["method"], parts["target"], [(parts["name"], b"")])


@pytest.mark.parametrize(
    ("method", "target", "fields", "message"),
    [
        (b"GE T", b"/", [], "the method has to be a token (RFC 9110 s.9.1), not b'GE T'"),
        (b"G" * 64 + b"\n", b"/", [], f"the method has to be a token (RFC 9110 s.9.1), not {b'G' * 64!r}..."),
        (b"GET", b"/a b", [], "the request target has b' ' at offset 2, only visible ASCII may be sent: b'/a b'"),
        (
            b"GET",
            b"/a?s=\xff",
            [],
            "the request target has b'\\xff' at offset 5, only visible ASCII may be sent: b'/a?'",
        ),
        (b"GET", b"", [], "the request target is empty"),
        (b"GET", b"/", [(b"a:", b"b")], "a field name has to be a token (RFC 9110 s.5.1), not b'a:'"),
        (b"GET", b"/", [(b"a", b"b\r\nc")], "the value of the field b'a' has b'\\r' at offset 1, a control character"),
        (b"GET", b"/", [(b"a", b"\0")], "the value of the field b'a' has b'\\x00' at offset 0, a control character"),
        (b"GET", b"/", [(b"a", b" b\n")], "the value of the field b'a' begins or ends with whitespace"),
        (b"GET", b"/", [(b"a", b"b\t")], "the value of the field b'a' begins or ends with whitespace"),
        (
            b"GET",
            b"/",
            [(b"a", b"b\x7f ")],
            "the value of the field b'a' has b'\\x7f' at offset 1, a control character",
        ),
        (b"GET", b"/", [(b"a", b"b"), (b"a b", b"\n")], "a field name has to be a token (RFC 9110 s.5.1), not b'a b'"),
    ],
)
def test_refusal_says_which_part_and_why(kernel, method, target, fields, message):
    with pytest.raises(LocalProtocolError, match=re.escape(message) + "$"):
        kernel.request_head(method, target, fields)


def test_refusal_never_shows_a_value(kernel):
    with pytest.raises(LocalProtocolError, match="b'Authorization'") as caught:
        kernel.check_field(b"Authorization", b"Bearer secret\n")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("arguments", [("GET", b"/", []), (b"GET", "/", []), (None, b"/", []), (b"GET", None, [])])
def test_method_and_target_are_bytes(kernel, arguments):
    with pytest.raises(TypeError, match="bytes"):
        kernel.request_head(*arguments)


@pytest.mark.parametrize("field", [("a", b"b"), (b"a", "b"), (None, b"b"), (b"a", None), (b"a", 5)])
def test_names_and_values_are_bytes(kernel, field):
    with pytest.raises(TypeError, match="bytes"):
        kernel.request_head(b"GET", b"/", [field])
    with pytest.raises(TypeError, match="bytes"):
        kernel.check_field(*field)


def test_field_is_a_pair(kernel):
    with pytest.raises(ValueError, match="values to unpack"):
        kernel.request_head(b"GET", b"/", [(b"a", b"b", b"c")])


@pytest.mark.parametrize(
    ("size", "line"), [(0, b"0"), (1, b"1"), (255, b"ff"), (65536, b"10000"), (2**64, b"1" + b"0" * 16)]
)
def test_chunk_head_is_the_size_in_hexadecimal(kernel, size, line):
    assert kernel.chunk_head(size) == line + b"\r\n"


def test_chunk_has_no_negative_size(kernel):
    with pytest.raises(ValueError, match="a chunk of -1 bytes cannot be"):
        kernel.chunk_head(-1)
