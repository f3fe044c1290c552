"""Bodies of requests and responses: convert users' arguments into streams of bytes and the fields that describe them.

`encode_request()` and `encode_response()` return the default fields and the stream; the message, which may have its own
fields, decides whether to use them. A stream knows no message and no connection.

Rule: a body is sent again (a redirect, an authentication round, a connection that was dead) only if that sends the same
bytes. A source that can be read once raises StreamConsumed the second time; a file is reset to its first position.
"""

from __future__ import annotations

import io
import json as jsonlib
import types
import warnings
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
)
from typing import Any, Protocol, TypeAlias

from ._byte_streams import AsyncByteStream, SyncByteStream
from ._caller import warn_caller
from ._exceptions import StreamClosed, StreamConsumed
from ._kernel.select import urlencode
from ._multipart import MultipartStream, RequestData, RequestFiles, is_coroutine_function, wrapped_file
from ._urls import primitive_values_to_str
from ._utils import as_piece, peek_filelike_remaining_length, read_in_thread

__all__ = ["ByteStream"]


class Readable(Protocol):
    """Give the bytes of a body in pieces: a file, or anything else with its `read()`, asynchronous or not."""

    def read(self, size: int, /) -> bytes | Awaitable[bytes]:
        """Return at most `size` bytes, and none at the end."""
        ...


RequestContent: TypeAlias = str | bytes | bytearray | memoryview | Iterable[bytes] | AsyncIterable[bytes] | Readable
ResponseContent: TypeAlias = RequestContent

# json.dumps() with arguments makes an encoder for each call; this one serves all of them.
_to_json = jsonlib.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode

_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"


class JSONValue:
    """Hold a value for `json=` that the client's own `json_dumps` is to encode."""

    __slots__ = ("_dumps", "_value")

    def __init__(self, value: Any, dumps: Callable[[Any], bytes | str]) -> None:
        self._value = value
        self._dumps = dumps

    def encoded(self) -> bytes:
        """Return the value as bytes. Raises TypeError if `json_dumps` returns anything else than bytes or text."""
        text = self._dumps(self._value)
        if isinstance(text, str):
            return text.encode()
        if isinstance(text, (bytes, bytearray, memoryview)):
            return bytes(text)
        raise TypeError(f"json_dumps returned {type(text).__name__}; expected bytes or str")


class ByteStream(AsyncByteStream, SyncByteStream):
    """Hold a body in memory; `_stream` is its bytes."""

    def __init__(self, stream: bytes) -> None:
        self._stream = stream

    def __iter__(self) -> Iterator[bytes]:
        yield self._stream

    def __aiter__(self) -> AsyncIterator[bytes]:
        return _OnePiece(self._stream)


class _OnePiece:
    """Yield one piece. Not a generator: trio warns of generators that are left before their end."""

    def __init__(self, piece: bytes) -> None:
        self._left = [piece]

    def __aiter__(self) -> _OnePiece:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


_HINTS = {"str": " (encode it)", "tuple": " (a form is a dict, given as 'data')"}


def checked_item(item: Any) -> Any:
    """Return an item of a body that comes in pieces. Raises TypeError if it gives no bytes."""
    try:
        memoryview(item)
    except TypeError:
        kind = type(item).__name__
        raise TypeError(f"an item of the body is {kind}; expected bytes{_HINTS.get(kind, '')}") from None
    return item


class IteratorByteStream(SyncByteStream):
    """Read a body from an iterable or a file, piece by piece."""

    CHUNK_SIZE = 65_536  # bytes read from a file at once

    def __init__(self, stream: Iterable[bytes] | Readable) -> None:
        self._stream = stream
        self._start = _position(stream)
        self._again = False
        self._gave = False  # whether there ever was a piece

    @property
    def restarts(self) -> bool:
        """Return whether another iteration certainly yields the same bytes."""
        source: Any = self._stream
        if hasattr(source, "read"):
            return self._start is not None
        return not hasattr(source, "__next__")

    def _rewind(self) -> None:
        """Go back to where the first iteration began."""
        source: Any = self._stream
        if self._again:
            if isinstance(source, types.GeneratorType):
                raise StreamConsumed
            if self._start is not None:
                source.seek(self._start)
        self._again = True

    def __iter__(self) -> Iterator[bytes]:
        source: Any = self._stream
        self._rewind()
        empty = True
        for piece in self._file_pieces() if callable(getattr(source, "read", None)) else source:
            empty = False
            self._gave = True
            yield piece if piece.__class__ is bytes else checked_item(piece)
        # Any other iterator may or may not be able to start again: this one yielded nothing, so it is exhausted.
        if empty and self._gave:
            raise StreamConsumed

    def _file_pieces(self) -> Iterator[bytes]:
        source: Any = self._stream
        while piece := as_piece(source.read(self.CHUNK_SIZE), source):
            yield piece


class FileByteStream(IteratorByteStream, AsyncByteStream):
    """Read a body from a file; an asynchronous client reads it in a thread, as a disk may take its time."""

    ASYNC_CHUNK_SIZE = 262_144  # bytes; a change of threads costs as much as reading these

    def __aiter__(self) -> AsyncIterator[bytes]:
        self._rewind()
        return _FilePieces(self)


class _FilePieces:
    """Yield the pieces of a file. Not a generator: see `_OnePiece`."""

    def __init__(self, stream: FileByteStream) -> None:
        self._stream = stream
        self._empty = True

    def __aiter__(self) -> _FilePieces:
        return self

    async def __anext__(self) -> bytes:
        stream = self._stream
        piece = as_piece(await read_in_thread(stream._stream, stream.ASYNC_CHUNK_SIZE), stream._stream)
        if piece:
            self._empty = False
            stream._gave = True
            return piece
        if self._empty and stream._gave:
            raise StreamConsumed
        raise StopAsyncIteration


class AsyncIteratorByteStream(AsyncByteStream):
    """Read a body from an asynchronous iterable or file, piece by piece."""

    CHUNK_SIZE = 65_536  # bytes read from a file at once

    def __init__(self, stream: AsyncIterable[bytes] | Readable) -> None:
        self._stream = stream
        self._start = _position(wrapped_file(stream))
        self._again = False
        self._gave = False  # whether there ever was a piece

    @property
    def restarts(self) -> bool:
        """Return whether another iteration certainly yields the same bytes."""
        source: Any = self._stream
        if _async_read(source) is not None:
            return self._start is not None and hasattr(source, "seek")
        return not hasattr(source, "__anext__")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        source: Any = self._stream
        if self._again:
            if isinstance(source, types.AsyncGeneratorType):
                raise StreamConsumed
            if self._start is not None:
                await source.seek(self._start)
        self._again = True
        empty = True
        read = _async_read(source)
        pieces = source.__aiter__() if read is None else self._file_pieces(read)
        try:
            async for piece in pieces:
                empty = False
                self._gave = True
                yield piece if piece.__class__ is bytes else checked_item(piece)
        finally:
            # A consumer that stops early would leave the generator to the garbage collector.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if empty and self._gave:
            raise StreamConsumed

    async def _file_pieces(self, read: Any) -> AsyncIterator[bytes]:
        while piece := as_piece(await read(self.CHUNK_SIZE), self._stream):
            yield piece


class UnattachedStream(AsyncByteStream, SyncByteStream):
    """Stand for the body of an unpickled message, whose stream was not pickled."""

    def __iter__(self) -> Iterator[bytes]:
        raise StreamClosed

    def __aiter__(self) -> AsyncIterator[bytes]:
        raise StreamClosed


def encode_content(content: RequestContent) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    """Return fields and stream of text (UTF-8), bytes, or an iterable of bytes. Raises TypeError otherwise."""
    if isinstance(content, str):
        content = content.encode()
    elif isinstance(content, (bytearray, memoryview)):
        content = bytes(content)
    elif type(content) is ByteStream:
        # The `stream` of a response, forwarded by a client of either kind: it is in memory if the body came with the
        # head, which depends on the network.
        content = content._stream
    if isinstance(content, bytes):
        return ({"Content-Length": str(len(content))} if content else {}), ByteStream(content)
    kind = type(content).__name__
    if isinstance(content, io.TextIOBase):
        raise TypeError(f"'content' is {kind}, which gives text; open the file in binary mode, or use BytesIO")
    if hasattr(content, "iter_raw"):
        raise TypeError(f"'content' is {kind}; give its content, or what iter_bytes() or aiter_bytes() returns")
    source: Any = content
    iterable = isinstance(content, Iterable)
    if _async_read(source) is not None:
        return _length_or_chunked(wrapped_file(source)), AsyncIteratorByteStream(source)
    if callable(getattr(source, "read", None)) and (iterable or not isinstance(content, AsyncIterable)):
        return _length_or_chunked(source), FileByteStream(source)
    # A dict iterates over its keys, which no user wants.
    if iterable and not isinstance(content, dict):
        return _length_or_chunked(source), IteratorByteStream(source)
    if isinstance(content, AsyncIterable):
        return _length_or_chunked(wrapped_file(source)), AsyncIteratorByteStream(source)
    raise TypeError(
        f"'content' is {kind}; expected str, bytes, a binary file, or an iterable of bytes, asynchronous ones too "
        "(forms go to 'data', objects to 'json')"
    )


def encode_urlencoded_data(data: RequestData) -> tuple[dict[str, str], ByteStream]:
    """Encode a form as application/x-www-form-urlencoded."""
    return _typed(_form(data), _FORM)


def encode_multipart_data(
    data: RequestData, files: RequestFiles, boundary: bytes | None
) -> tuple[dict[str, str], MultipartStream]:
    """Encode a form with files as multipart/form-data."""
    multipart = MultipartStream(data, files, boundary)
    return multipart.get_headers(), multipart


def encode_text(text: str) -> tuple[dict[str, str], ByteStream]:
    return _typed(text.encode(), "text/plain; charset=utf-8")


def encode_html(html: str) -> tuple[dict[str, str], ByteStream]:
    return _typed(html.encode(), "text/html; charset=utf-8")


def encode_json(json: Any) -> tuple[dict[str, str], ByteStream]:
    """Encode compact JSON (RFC 8259). Raises ValueError for NaN and infinities, which JSON does not define."""
    return _typed(_json_bytes(json), _JSON)


def in_memory(
    content: RequestContent | None, data: RequestData | None, json: Any | None
) -> tuple[bytes, bytes | None] | None:
    """Return the bytes and the Content-Type of the most common bodies; None for others (see `encode_request`)."""
    if data is not None and (data.__class__ is not dict or json is not None or content is not None):
        return None
    if content is not None:
        if json is not None:
            return None
        if type(content) is bytes:
            return content, None
        return (content.encode(), None) if type(content) is str else None
    if data:
        form = _form(data)
        return (form, _FORM.encode()) if form else None  # a form without values is a body of no bytes, with its type
    if json is not None:
        return _json_bytes(json), _JSON.encode()
    return b"", None


def encode_request(
    content: RequestContent | None = None,
    data: RequestData | None = None,
    files: RequestFiles | None = None,
    json: Any | None = None,
    boundary: bytes | None = None,
) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    """Return default fields and body stream of a request; two bodies are a TypeError."""
    if json is not None or content is not None:
        _refuse_two_bodies(content, data, files, json)
    if data is not None and not isinstance(data, Mapping):
        warnings.warn("'data' is for forms; give text and bytes as 'content'", DeprecationWarning, stacklevel=2)
        return encode_content(data)
    if content is not None:
        return encode_content(content)
    if files:
        return encode_multipart_data(data or {}, files, boundary)
    if data:
        return encode_urlencoded_data(data)
    if json is not None:
        return encode_json(json)
    return {}, ByteStream(b"")


def _refuse_two_bodies(content: object, data: object, files: object, json: object) -> None:
    """Raise TypeError for arguments of which one only could be sent: `data` and `files` form one body, no others do.

    Empty ones form none. `json` beside `files` causes a warning: libraries pass what they have sent as a form already.
    """
    given = {"content": content is not None, "data": bool(data), "files": bool(files), "json": json is not None}
    names = [name for name, is_given in given.items() if is_given]
    if len(names) < 2 or names == ["data", "files"]:
        return
    if given["content"] or not given["files"]:
        seen = f"{', '.join(names[:-1])} and {names[-1]}"
        raise TypeError(f"expected one body, got {seen}; only data and files go together")
    sent = " and ".join(name for name in names if name != "json")
    warn_caller(f"json will not be sent: a request has one body, here that of {sent}", UserWarning)


def encode_response(
    content: ResponseContent | None = None,
    text: str | None = None,
    html: str | None = None,
    json: Any | None = None,
) -> tuple[dict[str, str], SyncByteStream | AsyncByteStream]:
    """Return default fields and body stream of a response; the first given argument wins."""
    if content is not None:
        return encode_content(content)
    if text is not None:
        return encode_text(text)
    if html is not None:
        return encode_html(html)
    if json is not None:
        return encode_json(json)
    return {}, ByteStream(b"")


def _form(data: RequestData) -> bytes:
    encoded = urlencode(data.items())
    if encoded is None:  # a name is no str
        from urllib.parse import urlencode as urlencode_any

        encoded = urlencode_any([(key, each) for key, value in data.items() for each in primitive_values_to_str(value)])
    return encoded.encode()


def _json_bytes(json: Any) -> bytes:
    return json.encoded() if json.__class__ is JSONValue else _to_json(json).encode()


def _typed(body: bytes, content_type: str) -> tuple[dict[str, str], ByteStream]:
    return {"Content-Length": str(len(body)), "Content-Type": content_type}, ByteStream(body)


def _length_or_chunked(file: Any) -> dict[str, str]:
    length = peek_filelike_remaining_length(file)
    return {"Transfer-Encoding": "chunked"} if length is None else {"Content-Length": str(length)}


def _position(source: Any) -> int | None:
    """Return the position of a file; None if it has none."""
    try:
        position: int = source.tell()
    except (AttributeError, OSError):
        return None
    seekable = getattr(source, "seekable", None)
    return position if hasattr(source, "seek") and (seekable is None or seekable()) else None


def _async_read(source: Any) -> Any:
    """Return a function that reads an asynchronous file in pieces; None if it is no file.

    Iterating over a file yields lines, which costs a search and a call for each.
    """
    read = getattr(source, "aread", None) or getattr(source, "read", None)
    return read if is_coroutine_function(read) else None
