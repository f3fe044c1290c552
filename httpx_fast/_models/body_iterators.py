"""Iterators over a response body: raw, decoded, as text, and line by line.

A stage converts received bytes into the requested kind of pieces, without I/O, and serves sync and async iterators
alike; `pieces()` and `AsyncPieces` drive one for `Response.iter_*()` and `aiter_*()`. Rules:

1. A stage gives its pieces lazily, so that a small compressed piece is not inflated whole before the first is taken.
   After a long computation without a result it yields `PAUSE`, which the iterators do not pass on.
2. Stopping early (break, an exception, cancellation, aclose()) closes the response.
3. The total timeout of the request bounds decoding as it bounds waiting. An asynchronous iterator lets other tasks run
   after each `TURN` seconds of decoding.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from time import monotonic
from types import TracebackType
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from .._chunkers import ByteChunker, LineDecoder, TextChunker, TextDecoder
from .._deadline import timed_out
from .._decoders import INPUT_SLICE, ContentDecoder, IdentityDecoder
from .._exceptions import RequestError, request_context
from .._kernel.select import BodyBuffer
from .._turns import TURN, give_turn

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

#: Marks a point between the pieces of a stage where other tasks may run.
PAUSE: Any = object()
_PAUSES: list[Any] = [PAUSE]
# Bytes that are decoded to text, or cut into small chunks, in one step. A byte that a one-byte encoding does not define
# costs 0.4 microseconds.
SLICE = INPUT_SLICE
_MANY = 1024 * 1024  # bytes; what is kept in pieces beyond this is fresh memory, at a page fault for every 4 KB


class Stage(Protocol[T_co]):
    """Convert raw pieces of a body into pieces of another kind."""

    #: Whether pieces are passed on as they come, so that nobody needs to feed them: only their bytes are counted.
    unchanged: bool
    #: Bytes of content that there were so far.
    count: int

    def feed(self, data: bytes) -> Iterator[T_co]:
        """Return the pieces that `data` completes."""
        ...

    def flush(self) -> Iterator[T_co]:
        """Return the pieces that the end of the body completes."""
        ...


class BytesStage:
    """Yield bytes: decoded if there is a decoder, and in chunks if there is a chunker."""

    def __init__(self, decoder: ContentDecoder | None, chunk_size: int | None) -> None:
        self._decoder = decoder
        self.count: int = 0
        self.unchanged: bool = chunk_size is None and (decoder is None or type(decoder) is IdentityDecoder)
        self._chunker = ByteChunker(chunk_size=chunk_size)
        self._slices = chunk_size is not None and chunk_size < SLICE

    def feed(self, data: bytes) -> Iterator[bytes]:
        if self._decoder is None:
            yield from self._chunks(data)
            return
        for piece in self._decoder.decode(data):
            yield from self._chunks(piece)

    def _chunks(self, piece: bytes) -> Iterator[bytes]:
        self.count += len(piece)
        if not self._slices:
            yield from self._chunker.decode(piece) or _PAUSES
            return
        for start in range(0, len(piece), SLICE):
            yield from self._chunker.decode(piece[start : start + SLICE]) or _PAUSES

    def flush(self) -> Iterator[bytes]:
        if self._decoder is not None:
            for piece in self._decoder.flush():
                yield from self._chunks(piece)
        yield from self._chunker.flush()


class TextStage:
    """Yield text, in pieces or lines as `chunker` cuts them."""

    unchanged: bool = False
    count: int = 0  # that of the bytes is in `content`

    def __init__(self, decoder: ContentDecoder | None, encoding: str, chunker: TextChunker | LineDecoder) -> None:
        self.content: BytesStage = BytesStage(decoder, None)
        self._bytes = self.content
        self._text = TextDecoder(encoding=encoding)
        self._chunker = chunker
        self._whole = isinstance(chunker, TextChunker) and chunker.chunk_size is None

    def feed(self, data: bytes) -> Iterator[str]:
        piece: Any
        for piece in self._bytes.feed(data):
            if piece is PAUSE:
                yield piece
            elif len(piece) <= SLICE:
                yield from self._chunker.decode(self._text.decode(piece))
            else:
                yield from self._sliced(piece)

    def _sliced(self, piece: bytes) -> Iterator[str]:
        """Yield the pieces of a long input in steps; the text is the same as that of one step."""
        texts: list[str] = []
        for start in range(0, len(piece), SLICE):
            text = self._text.decode(piece[start : start + SLICE])
            if self._whole:
                texts.append(text)
                yield PAUSE
            else:
                yield from self._chunker.decode(text) or _PAUSES
        if self._whole:
            yield from self._chunker.decode("".join(texts))

    def flush(self) -> Iterator[str]:
        for piece in self._bytes.flush():
            if piece is not PAUSE:
                yield from self._chunker.decode(self._text.decode(piece))
        yield from self._chunker.decode(self._text.flush())
        yield from self._chunker.flush()


# Factories of a stage for each kind of pieces, with its source: the content in memory, or (None) the stream.


def raw_stage(response: Any, chunk_size: int | None) -> tuple[Stage[bytes], bytes | None]:
    return BytesStage(response._get_raw_decoder(), chunk_size), None


def bytes_stage(response: Any, chunk_size: int | None) -> tuple[Stage[bytes], bytes | None]:
    decoder, content = _decoder_or_content(response)
    stage = response._content_stage = BytesStage(decoder, chunk_size)
    return stage, content


def text_stage(response: Any, chunk_size: int | None) -> tuple[Stage[str], bytes | None]:
    decoder, content = _decoder_or_content(response)
    stage = TextStage(decoder, response.encoding or "utf-8", TextChunker(chunk_size=chunk_size))
    response._content_stage = stage.content
    return stage, content


def lines_stage(response: Any, chunk_size: int | None) -> tuple[Stage[str], bytes | None]:
    decoder, content = _decoder_or_content(response)
    stage = TextStage(decoder, response.encoding or "utf-8", LineDecoder())
    response._content_stage = stage.content
    return stage, content


def _decoder_or_content(response: Any) -> tuple[ContentDecoder | None, bytes | None]:
    content: bytes | None = response.__dict__.get("_content")
    return (response._get_content_decoder() if content is None else None), content


OpenStage: TypeAlias = Callable[[Any, int | None], tuple[Stage[T], bytes | None]]


def pieces(response: Any, open_stage: OpenStage[T], chunk_size: int | None) -> Generator[T, None, None]:
    """Return the iterator of `Response.iter_*()`."""
    stage, content = open_stage(response, chunk_size)
    if content is not None:
        for piece in _all_of(stage, content):
            if piece is not PAUSE:
                yield piece
        return
    source = iter(response._start("__iter__"))
    try:
        with request_context(response._request, response._journey):
            if stage.unchanged:
                for data in source:
                    size = len(data)
                    response._num_bytes_downloaded += size
                    if size:
                        stage.count += size
                        yield data
                return
            for data in source:
                response._num_bytes_downloaded += len(data)
                yield from _bounded(stage.feed(data), response)
            yield from _bounded(stage.flush(), response)
    finally:
        try:
            if isinstance(source, Generator):
                source.close()
        finally:
            response.close()


def _bounded(made: Iterator[T], response: Any) -> Iterator[T]:
    """Yield pieces until the total timeout of the request expires."""
    worked = 0.0
    while True:
        begun = monotonic()
        piece = next(made, _END)
        if piece is _END:
            return
        worked += monotonic() - begun
        if piece is not PAUSE:
            yield piece
        if worked > TURN:
            worked = 0.0
            check_total(response)


_END: Any = object()


def check_total(response: Any) -> None:
    """Raise ReadTimeout if the total timeout of the request has expired."""
    request = response._request
    deadline = None if request is None else request._dispatch.deadline
    if deadline is not None and (elapsed := deadline.overdue()) is not None:
        raise timed_out("read", elapsed, deadline.budget, "the content was being decoded")


def _all_of(stage: Stage[T], content: bytes) -> Iterator[T]:
    """Yield the pieces of content in memory, with pauses for asynchronous iterators."""
    yield from stage.feed(content)
    yield from stage.flush()


class AsyncPieces(AsyncGenerator[T, None], Generic[T]):
    """Iterate asynchronously over a response's body.

    A generator that is left by `break` is finished by the event loop some time later (asyncio), or with a warning
    (trio). This object releases the connection when its last reference goes, so it is no generator.
    """

    def __init__(self, response: Any, open_stage: OpenStage[T], chunk_size: int | None) -> None:
        self._response = response
        self._open_stage = open_stage
        self._chunk_size = chunk_size
        self._stage: Stage[T] | None = None  # None before the start and after the last byte
        self._source: AsyncIterator[bytes] | None = None
        self._pieces: Iterator[T] | None = None
        self._worked = 0.0  # seconds since other tasks last ran
        self._ended = False

    def __aiter__(self) -> AsyncPieces[T]:
        return self

    async def __anext__(self) -> T:
        if self._ended:
            raise StopAsyncIteration
        try:
            if self._pieces is None:
                self._pieces = self._begin()
            stage, source = self._stage, self._source
            while source is not None and stage is not None and stage.unchanged:
                try:
                    data: Any = await source.__anext__()
                except StopAsyncIteration:
                    self._stage = stage = None
                    continue
                size = len(data)
                self._response._num_bytes_downloaded += size
                if size:
                    stage.count += size
                    piece: T = data
                    return piece
            while True:
                begun = monotonic()
                piece = next(self._pieces, _END)
                if piece is _END:
                    if not await self._more():
                        break
                    continue
                self._worked += monotonic() - begun
                if self._worked > TURN:
                    self._worked = 0.0
                    await give_turn()
                    check_total(self._response)
                if piece is not PAUSE:
                    return piece
        except BaseException as error:
            if isinstance(error, RequestError):
                if error._request is None:
                    error._request = self._response._request
                if error.journey is None:
                    error.journey = self._response._journey
            await self.aclose()
            raise
        await self.aclose()
        raise StopAsyncIteration

    async def asend(self, value: None) -> T:
        return await self.__anext__()

    async def athrow(self, typ: Any, val: Any = None, tb: TracebackType | None = None) -> T:
        await self.aclose()
        raise typ

    async def aclose(self) -> None:
        """Close the response, if reading has begun."""
        source, self._source = self._source, None
        self._ended = True
        if source is None:
            return
        try:
            if isinstance(source, AsyncGenerator):
                await source.aclose()
        finally:
            await self._response.aclose()

    def __del__(self) -> None:
        if self._source is not None:
            self._response._abandon()

    def _begin(self) -> Iterator[T]:
        stage, content = self._open_stage(self._response, self._chunk_size)
        if content is not None:
            return _all_of(stage, content)
        self._source = self._response._start("__aiter__").__aiter__()
        self._stage = stage
        return iter(())

    async def _more(self) -> bool:
        """Get the pieces that the next bytes complete; return False at the end of the body."""
        stage, source = self._stage, self._source
        if stage is None or source is None:
            return False
        try:
            data = await source.__anext__()
        except StopAsyncIteration:
            self._stage = None
            self._pieces = stage.flush()
            return True
        self._response._num_bytes_downloaded += len(data)
        self._pieces = stage.feed(data)
        return True


class Collector:
    """Join pieces: few at the end, many as they come, so that the memory of a piece is used for those after it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._body: BodyBuffer | None = None

    def add(self, piece: bytes) -> None:
        if self._body is not None:
            self._body.append(piece)
            return
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size >= _MANY:
            body = self._body = BodyBuffer(sys.maxsize)
            for each in self._pieces:
                body.append(each)
            self._pieces = []

    def joined(self) -> bytes:
        """Return all of it; call it once."""
        return b"".join(self._pieces) if self._body is None else self._body.cut()
