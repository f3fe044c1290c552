"""Bodies as they are sent and received: multipart forms byte by byte, and content in every coding and charset."""

from __future__ import annotations

import gzip
import io
import zlib

import httpx2
import pytest

import httpx_fast

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=b0undary"}


def unseekable(data):
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def fileno(self):
            raise io.UnsupportedOperation("fileno")

        def seek(self, *position):
            raise io.UnsupportedOperation("seek")

        def tell(self):
            raise io.UnsupportedOperation("tell")

    return Pipe(data)


def advanced(data, position):
    file = io.BytesIO(data)
    file.seek(position)
    return file


#: Forms are made anew for each library, since files are used up.
FORMS = {
    "a file": lambda: {"files": {"f": b"octets"}},
    "text": lambda: {"files": {"f": "t\u00e4xt"}},
    "a name": lambda: {"files": {"f": ("n.txt", b"octets")}},
    "a name with quotes": lambda: {"files": {'f"': ('q"uo\\te\r\n.txt', b"octets")}},
    "a name in Unicode": lambda: {"files": {"\u00fc": ("\u00fc\u20ac.pdf", b"octets")}},
    "a type": lambda: {"files": {"f": ("n", b"{}", "application/json")}},
    "no name": lambda: {"files": {"f": (None, b"octets")}},
    "fields of a part": lambda: {"files": {"f": ("n", b"o", "text/plain", {"X-Part": "1"})}},
    "its own type among fields": lambda: {"files": {"f": ("n", b"o", None, {"Content-Type": "x/y"})}},
    "several of a name": lambda: {"files": [("f", b"1"), ("f", ("two", b"2")), ("g", b"3")]},
    "data too": lambda: {
        "data": {"a": "1", "b": ["2", "3"], "c": 4, "d": None, "e": True, "f": b"5"},
        "files": {"x": b""},
    },
    "a list of no file": lambda: {"data": {"a": "1"}, "files": {}},
    "an open file": lambda: {"files": {"f": io.BytesIO(b"octets" * 50000)}},
    "a file in its middle": lambda: {"files": {"f": advanced(b"0123456789", 4)}},
    "a file of no length": lambda: {"files": {"f": unseekable(b"octets")}},
    "a file of text": lambda: {"files": {"f": io.StringIO("text")}},
    "data that is no field": lambda: {"data": {"a": {"b": 1}}, "files": {"f": b""}},
    "a field of a part with a line end": lambda: {"files": {"f": ("n", b"", None, {"X": "1\r\nY: 2"})}},
}


@pytest.mark.parametrize("header", [None, BOUNDARY], ids=["any boundary", "fixed boundary"])
@pytest.mark.parametrize("name", FORMS)
def test_forms_are_sent_alike(both, name, header):
    def scenario(library, client):
        try:
            client.post("http://a.test/", headers=header, **FORMS[name]())
        except (TypeError, ValueError) as error:
            return type(error).__name__

    theirs, ours = both(scenario, lambda library, request: library.Response(200))
    assert ours == theirs
    assert len(ours["sent"]) == (0 if ours["result"] or ours["error"] else 1)


def deflated(data):
    raw = zlib.compressobj(wbits=-15)
    return raw.compress(data) + raw.flush()


TEXT = "S\u00e4tze, \u20ac and \u65e5\u672c\u8a9e.\nNext\r\nline\u2028and\x0bmore\n" * 20
BYTES = TEXT.encode()
RESPONSES = {
    "gzip": ({"Content-Encoding": "gzip"}, gzip.compress(BYTES)),
    "two members of gzip": ({"Content-Encoding": "gzip"}, gzip.compress(BYTES) + gzip.compress(b"more")),
    "x-gzip": ({"Content-Encoding": "x-gzip"}, gzip.compress(BYTES)),
    "deflate": ({"Content-Encoding": "deflate"}, zlib.compress(BYTES)),
    "raw deflate": ({"Content-Encoding": "deflate"}, deflated(BYTES)),
    "two codings": ({"Content-Encoding": "deflate, gzip"}, gzip.compress(zlib.compress(BYTES))),
    "identity": ({"Content-Encoding": "identity"}, BYTES),
    "an unknown coding": ({"Content-Encoding": "zoo"}, BYTES),
    "six codings": ({"Content-Encoding": ", ".join(["gzip"] * 6)}, BYTES),
    "broken gzip": ({"Content-Encoding": "gzip"}, b"no gzip"),
    "cut gzip": ({"Content-Encoding": "gzip"}, gzip.compress(BYTES)[:-12]),
    "nothing in gzip": ({"Content-Encoding": "gzip"}, b""),
    "UTF-8": ({"Content-Type": "text/plain; charset=utf-8"}, BYTES),
    "UTF-8 with a mark": ({"Content-Type": "text/plain"}, b"\xef\xbb\xbf" + BYTES),
    "Latin-1": ({"Content-Type": "text/plain; charset=ISO-8859-1"}, "S\u00e4tze".encode("latin-1")),
    "Shift-JIS": ({"Content-Type": 'text/plain; charset="shift_jis"'}, "\u65e5\u672c\u8a9e".encode("shift_jis")),
    "UTF-16": ({"Content-Type": "text/plain; charset=utf-16"}, "S\u00e4tze".encode("utf-16")),
    "an unknown charset": ({"Content-Type": "text/plain; charset=zoo"}, BYTES),
    "another charset than announced": ({"Content-Type": "text/plain; charset=utf-8"}, b"\xff\xfe\xe4"),
    "no charset": ({"Content-Type": "text/html"}, BYTES),
    "no type": ({}, BYTES),
    "JSON": ({"Content-Type": "application/json"}, b'{"a": ["\xc3\xa4"]}'),
    "JSON in UTF-16": ({"Content-Type": "application/json"}, '{"a": 1}'.encode("utf-16")),
}
#: Content that only one of the two decodes, and why. Pieces of one byte are told apart where that matters.
DIFFERENCES = {
    ("cut gzip", None): "a part of the content must not pass for all of it",
    ("two members of gzip", None): "RFC 1952 s.2.2: members follow each other",
    ("x-gzip", None): "RFC 9110 s.8.4.1.3: it is gzip",
    ("raw deflate", 1): "what it is shows in its second byte",
}


def received(library, name, size):
    fields, data = RESPONSES[name]

    class Pieces(library.SyncByteStream):
        def __iter__(self):
            yield from (data[start : start + size] for start in range(0, len(data), size))

    def answer(request):
        return library.Response(200, headers=fields, stream=Pieces())

    told = {}
    with library.Client(transport=library.MockTransport(answer)) as client:
        for what in ("content", "text", "encoding", "charset_encoding", "json"):
            told[what] = tried(library, lambda what=what: read(client.get("http://a.test/"), what))
        for what in ("iter_bytes", "iter_text", "iter_lines", "iter_raw"):
            for chunk in (None, 7) if what != "iter_lines" else (None,):
                told[what, chunk] = tried(library, lambda what=what, chunk=chunk: streamed(client, what, chunk))
    return told


def read(response, what):
    found = getattr(response, what)
    return found() if callable(found) else found


def streamed(client, what, chunk):
    with client.stream("GET", "http://a.test/") as response:
        pieces = list(getattr(response, what)() if chunk is None else getattr(response, what)(chunk))
        # How the pieces are cut is up to the decoder where nobody asked for a size.
        shown = (
            pieces
            if chunk is not None or what in ("iter_lines", "iter_raw")
            else type(pieces[0])().join(pieces)
            if pieces
            else None
        )
        return shown, response.num_bytes_downloaded, response.is_closed, response.is_stream_consumed


def tried(library, make):
    try:
        return make()
    except (library.DecodingError, ValueError) as error:
        return type(error).__name__


@pytest.mark.parametrize("size", [1, 64, 100_000])
@pytest.mark.parametrize("name", RESPONSES)
def test_content_is_received_alike(name, size):
    ours, theirs = received(httpx_fast, name, size), received(httpx2, name, size)
    differing = {what for what in ours if ours[what] != theirs[what]}
    if (name, None) in DIFFERENCES or (name, size) in DIFFERENCES:
        assert "content" in differing
        assert (ours["content"] == "DecodingError") is (name == "cut gzip")
    else:
        assert {what: (ours[what], theirs[what]) for what in differing} == {}
