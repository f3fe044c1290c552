from __future__ import annotations

import io
import os
from pathlib import Path

import httpx2
import pytest

from httpx_fast import Request, StreamConsumed
from httpx_fast._multipart import DataField, FileField, MultipartStream, get_multipart_boundary_from_content_type


def named(content: bytes, name: str) -> io.BytesIO:
    file = io.BytesIO(content)
    file.name = name
    return file


class AsyncFile:
    def __init__(self, content: bytes, *, seekable: bool = True) -> None:
        self.inner = io.BytesIO(content)
        self.seekable = seekable
        if seekable:
            self.wrapped = self.inner

    async def read(self, size: int) -> bytes:
        return self.inner.read(size)

    async def seek(self, offset: int) -> None:
        if not self.seekable:
            raise io.UnsupportedOperation
        self.inner.seek(offset)


async def collected(stream) -> bytes:
    return b"".join([piece async for piece in stream])


#: Data and files, made anew for each library.
FORMS = {
    "a file": lambda: ({}, {"file": io.BytesIO(b"abc")}),
    "a named file": lambda: ({}, {"file": named(b"abc", "/tmp/a picture.png")}),
    "a file of unknown type": lambda: ({}, {"file": named(b"abc", "x.unknown")}),
    "data": lambda: ({}, {"file": b"abc"}),
    "text": lambda: ({}, {"file": "ä"}),
    "name and file": lambda: ({}, {"file": ("a.txt", io.BytesIO(b"abc"))}),
    "no name": lambda: ({}, {"file": (None, io.BytesIO(b"abc"))}),
    "empty name": lambda: ({}, {"file": ("", io.BytesIO(b"abc"))}),
    "type": lambda: ({}, {"file": ("a.txt", io.BytesIO(b"abc"), "text/x")}),
    "no type": lambda: ({}, {"file": ("a.txt", io.BytesIO(b"abc"), None)}),
    "headers": lambda: ({}, {"file": ("a.txt", b"abc", None, {"X-A": "1", "Content-Type": "a/b"})}),
    "headers and type": lambda: ({}, {"file": ("a.txt", b"abc", "a/b", {"X-A": "1", "content-type": "c/d"})}),
    "headers without type": lambda: ({}, {"file": ("a.txt", b"abc", None, {"X-A": "1\t2"})}),
    "data and files": lambda: (
        {"a": "1", "b": ["x", b"\xff"], "c": (1, 2.5), "d": None, "e": True, "f": "a\r\nb"},
        {"file": b"abc"},
    ),
    "files in a list": lambda: ({}, [("a", b"1"), ("a", b"2")]),
    "names to be escaped": lambda: (
        {'a"b\\c\r\n\t\x1b\x00ä': "1"},
        {'d"e\\f\r\n': ('g"h\\i\r\n\x1f\x7fä☃.txt', b"abc")},
    ),
    "a file that was read": lambda: ({}, {"file": _at_its_end()}),
}


def _at_its_end() -> io.BytesIO:
    file = io.BytesIO(b"abc")
    file.read()
    return file


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_written_as_in_httpx2(form, backend):
    ours = MultipartStream(*FORMS[form](), boundary=b"+++")
    theirs = httpx2._multipart.MultipartStream(*FORMS[form](), boundary=b"+++")
    assert ours.get_headers() == theirs.get_headers()
    assert b"".join(ours) == b"".join(theirs)
    assert backend.run(collected, ours) == b"".join(ours)
    assert ours.get_content_length() == len(b"".join(ours))


def test_the_boundary_is_random():
    first, second = (MultipartStream({}, {"a": b"1"}) for _ in range(2))
    assert first.boundary != second.boundary
    assert first.content_type == f"multipart/form-data; boundary={first.boundary.decode()}"


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/form-data; boundary=+++",
        b'multipart/form-data; charset=utf-8; Boundary="+++"',
        b"multipart/form-data;boundary=+++; charset=utf-8",
        b"multipart/form-data; charset=utf-8",
        b"multipart/form-data",
        b"multipart/mixed; boundary=+++",
        b"text/plain",
        b"",
        None,
    ],
)
def test_a_boundary_that_the_user_fixed_is_found_as_in_httpx2(content_type):
    expected = httpx2._multipart.get_multipart_boundary_from_content_type(content_type)
    assert get_multipart_boundary_from_content_type(content_type) == expected


def test_a_boundary_that_the_user_fixed_is_used():
    request = Request(
        "POST", "http://a/", files={"a": b"1"}, headers={"Content-Type": "multipart/form-data; boundary=+++"}
    )
    assert request.headers["content-type"] == "multipart/form-data; boundary=+++"
    assert request.read().startswith(b"--+++\r\n")


def test_a_large_file_is_read_in_pieces_while_it_is_sent():
    class Counted(io.BytesIO):
        largest = 0

        def read(self, size=-1):
            assert size > 0
            self.largest = max(self.largest, size)
            return super().read(size)

    file = Counted(b"x" * 1_000_000)
    request = Request("POST", "http://a/", files={"a": file})
    assert file.largest == 0
    assert sum(map(len, request.stream)) == int(request.headers["content-length"])
    assert file.largest == FileField.CHUNK_SIZE


def test_a_form_can_be_sent_again():
    stream = MultipartStream({"a": "1"}, {"b": io.BytesIO(b"abc")})
    assert b"".join(stream) == b"".join(stream)


def test_a_pipe_has_no_length_and_is_sent_once():
    reading, writing = os.pipe()
    with open(writing, "wb") as file:
        file.write(b"abc")
    with open(reading, "rb") as file:
        stream = MultipartStream({}, {"a": file}, b"+++")
        assert stream.get_headers() == {
            "Transfer-Encoding": "chunked",
            "Content-Type": "multipart/form-data; boundary=+++",
        }
        assert b"\r\nabc\r\n" in b"".join(stream)
        with pytest.raises(StreamConsumed, match="cannot be read again"):
            b"".join(stream)


def test_an_asynchronous_file_is_sent_by_those_who_can_await(backend):
    stream = MultipartStream({"a": "1"}, {"b": ("b.txt", AsyncFile(b"abc"))}, b"+++")
    expected = b"".join(MultipartStream({"a": "1"}, {"b": ("b.txt", b"abc")}, b"+++"))
    assert stream.get_content_length() == len(expected)
    for _ in range(2):
        assert backend.run(collected, stream) == expected
    with pytest.raises(RuntimeError, match="form file 'b' is read asynchronously; a blocking client cannot send it"):
        b"".join(stream)


def test_an_asynchronous_file_without_positions_is_sent_once(backend):
    stream = MultipartStream({}, {"b": AsyncFile(b"abc", seekable=False)})
    assert stream.get_content_length() is None
    assert b"\r\nabc\r\n" in backend.run(collected, stream)
    with pytest.raises(StreamConsumed, match="cannot be read again"):
        backend.run(collected, stream)


@pytest.mark.parametrize("name", [Path("a.txt"), b"a.txt", 5])
def test_a_file_name_that_is_no_text_is_refused(name):
    with pytest.raises(
        TypeError, match=r"the file name of form file 'f' is (PosixPath|WindowsPath|bytes|int); expected str"
    ):
        MultipartStream({}, {"f": (name, b"abc")})


@pytest.mark.parametrize("file", [io.StringIO("abc"), io.TextIOWrapper(io.BytesIO(b"abc"))])
def test_a_text_file_is_refused(file):
    with pytest.raises(TypeError, match=r"form file 'a' is \w+, which gives text; open it in binary mode"):
        FileField("a", file)


@pytest.mark.parametrize("value", [("a",), ("a", b"1", None, {}, 5)])
def test_a_tuple_of_another_size_is_refused(value):
    with pytest.raises(ValueError, match=f"not a tuple of {len(value)}"):
        FileField("a", value)


@pytest.mark.parametrize("name", ["X A", "X:A", "X\r\nA", "", "Ä"])
def test_a_part_header_whose_name_is_no_token_is_refused(name):
    with pytest.raises(ValueError, match="is no token"):
        Request("POST", "http://a/", files={"a": ("a", b"1", None, {name: "1"})})


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0", "\x7f"])
def test_a_part_header_whose_value_breaks_the_line_is_refused(value):
    with pytest.raises(ValueError, match="'X-A' contains a control character"):
        Request("POST", "http://a/", files={"a": ("a", b"1", None, {"X-A": value})})


def test_the_users_part_headers_are_not_changed():
    headers = {"X-A": "1"}
    FileField("a", ("a.txt", b"1", None, headers))
    assert headers == {"X-A": "1"}


@pytest.mark.parametrize("name", [1, b"a", None])
def test_a_field_name_that_is_no_text_is_refused(name):
    with pytest.raises(TypeError, match=f"the name of a form field is str, not {type(name).__name__}"):
        DataField(name, "1")


@pytest.mark.parametrize("value", [{}, object(), [1]])
def test_a_field_value_of_another_type_is_refused(value):
    with pytest.raises(TypeError, match=f"form field 'a' is {type(value).__name__}"):
        DataField("a", value)
