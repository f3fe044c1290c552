"""`ResponseBody`: reading a response's body, whole or in pieces, and closing the response.

Rules:

1. `_body` is a whole body that was not read yet; reading moves it to `_content`, streaming to a stream.
2. A body is read once. Its end, an error and stopping early close the stream, which releases the connection.
3. The only fields that it needs are those that describe the body: Content-Encoding above all.
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any

from .._byte_streams import AsyncByteStream, SyncByteStream
from .._content import ByteStream, UnattachedStream
from .._decoders import ContentDecoder, IdentityDecoder, LimitedDecoder, content_decoder, decode_at_once
from .._exceptions import ResponseNotRead, StreamClosed, StreamConsumed, request_context
from .._journey import Journey
from .._kernel.constants import BAD_LENGTH, HAS_CONTENT_ENCODING, MAX_INTERMEDIATE
from .body_iterators import AsyncPieces, Collector, bytes_stage, lines_stage, pieces, raw_stage, text_stage
from .headers import Headers, HeaderTypes
from .request import Request

if TYPE_CHECKING:
    from pathlib import Path

    from .saving import Progress, Saving


class ResponseBody:
    """Read the body of a response; `Response` adds what is known from its head and its request.

    No attribute that each response sets has a default: CPython does not specialize access to those.
    """

    is_closed: bool
    is_stream_consumed: bool
    #: Whether `content` is only the beginning of the body: bodies of redirects and authentication rounds, which appear
    #: in `history`, are read up to a limit.
    is_truncated: bool = False
    _content: bytes
    _decoder: ContentDecoder
    _head: Any
    _journey: Journey | None
    _headers: Headers | None
    _request: Request | None
    _body: bytes | None
    _stream: Any
    _num_bytes_downloaded: int
    _max_size: int | None = None  # bytes of the body, as received and as decoded

    @property
    def headers(self) -> Headers:
        """Return the field lines of the response."""
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers._lazy(self._head)
            if self._head.content_length == BAD_LENGTH:
                _say_length_once(headers)
        return headers

    @headers.setter
    def headers(self, headers: HeaderTypes) -> None:
        self._headers = headers if isinstance(headers, Headers) else Headers(headers)

    @property
    def stream(self) -> SyncByteStream | AsyncByteStream:
        """Return the body as received: an asynchronous stream from an async client, of both kinds if in memory."""
        stream: SyncByteStream | AsyncByteStream | None = self._stream
        if stream is None:
            data = self._body if self._body is not None else self.__dict__.get("_content")
            stream = self._stream = UnattachedStream() if data is None else ByteStream(data)
        return stream

    @stream.setter
    def stream(self, stream: SyncByteStream | AsyncByteStream) -> None:
        self._stream = stream
        self._body = None

    @property
    def content(self) -> bytes:
        """Return the decoded body. Raises ResponseNotRead if it was not read."""
        try:
            return self._content
        except AttributeError:
            raise ResponseNotRead from None

    def _get_content_decoder(self) -> ContentDecoder:
        """Return the decoder for the codings that Content-Encoding names."""
        try:
            return self._decoder
        except AttributeError:
            pass
        self._decoder = self._limited(content_decoder(self._codings()))
        return self._decoder

    def _limit_size(self, size: int) -> None:
        """Have reading raise ResponseTooLarge beyond `size` bytes, as received or decoded."""
        self._max_size = size
        body = self._body
        if body is not None:  # it came with the head; it is checked as if it came now
            self.stream = ByteStream(body)

    def _limited(self, decoder: ContentDecoder) -> ContentDecoder:
        limit = self._max_size
        if limit is None:
            return decoder
        head = self._head
        return LimitedDecoder(decoder, limit, -1 if head is None else head.content_length)

    def _get_raw_decoder(self) -> ContentDecoder | None:
        """Return what checks the size of a body that is not decoded; None if nothing does."""
        return None if self._max_size is None else self._limited(IdentityDecoder())

    def _codings(self) -> list[str]:
        return [coding.lower() for coding in self.headers.get_list("content-encoding", split_commas=True)]

    @property
    def num_bytes_downloaded(self) -> int:
        """Return the number of bytes of the body received so far, before decoding."""
        return self._num_bytes_downloaded

    def read(self) -> bytes:
        """Read the body to its end and return the content."""
        body = self._body
        if body is not None and self._take(body):
            return self._content
        try:
            return self._content
        except AttributeError:
            pass
        collected = Collector()
        for piece in self.iter_bytes():
            collected.add(piece)
        self._content = collected.joined()
        return self._content

    async def aread(self) -> bytes:
        """Read the body to its end and return the content."""
        body = self._body
        if body is not None and self._take(body):
            return self._content
        try:
            return self._content
        except AttributeError:
            pass
        collected = Collector()
        async for piece in self.aiter_bytes():
            collected.add(piece)
        self._content = collected.joined()
        return self._content

    def _read_intermediate(self) -> None:
        """Read the body of a response that is not the final one, up to `MAX_INTERMEDIATE` bytes."""
        if self._is_read():
            return
        kept = _Beginning()
        source = pieces(self, bytes_stage, None)
        try:
            for piece in source:
                if kept.is_full_with(piece):
                    self.is_truncated = True
                    break
        finally:
            source.close()  # and with it the response
        self._content = kept.joined()

    async def _aread_intermediate(self) -> None:
        """Read the body of a response that is not the final one, up to `MAX_INTERMEDIATE` bytes."""
        if self._is_read():
            return
        kept = _Beginning()
        source = AsyncPieces(self, bytes_stage, None)
        try:
            async for piece in source:
                if kept.is_full_with(piece):
                    self.is_truncated = True
                    break
        finally:
            await source.aclose()  # and with it the response
        self._content = kept.joined()

    def _is_read(self) -> bool:
        """Return whether the content is available, or can be made so without waiting."""
        body = self._body
        return (body is not None and self._take(body)) or "_content" in self.__dict__

    def _take(self, body: bytes) -> bool:
        """Turn a whole received body into the content; return False if it must be decoded step by step."""
        headers = self._headers
        if headers is not None:  # tools have seen the response
            # vcrpy blanks Content-Encoding while it reads, and uses the decoder afterwards.
            if headers._source is None:
                return False
            # logfire replaces the methods of the response, to be called when it is read.
            own = self.__dict__
            if "read" in own or "aread" in own:
                return False
        self._body = None
        self.is_closed = self.is_stream_consumed = True
        self._num_bytes_downloaded = len(body)
        if self._head.flags & HAS_CONTENT_ENCODING:
            self._stream = ByteStream(body)
            with request_context(self._request, self._journey):
                content = decode_at_once(self._codings(), body)
            if content is None:
                self.is_closed = self.is_stream_consumed = False
                return False
            body = content
        self._content = body
        return True

    def iter_bytes(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate over the content in pieces of `chunk_size` bytes, or as it arrives.

        ```python
        with client.stream("GET", "/large") as response:
            for piece in response.iter_bytes(chunk_size=65536):
                ...
        ```
        """
        return pieces(self, bytes_stage, chunk_size)

    def iter_text(self, chunk_size: int | None = None) -> Iterator[str]:
        """Iterate over the content as text, in pieces of `chunk_size` characters, or as it arrives."""
        return pieces(self, text_stage, chunk_size)

    def iter_lines(self) -> Iterator[str]:
        """Iterate over the lines of the content as text, without their ends.

        ```python
        with client.stream("GET", "/lines") as response:
            for line in response.iter_lines():
                ...
        ```
        """
        return pieces(self, lines_stage, None)

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        """Iterate over the body as received, not decoded, in pieces of `chunk_size` bytes, or as it arrives."""
        return pieces(self, raw_stage, chunk_size)

    def aiter_bytes(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """Iterate over the content in pieces of `chunk_size` bytes, or as it arrives.

        ```python
        async with client.stream("GET", "/large") as response:
            async for piece in response.aiter_bytes():
                ...
        ```
        """
        return AsyncPieces(self, bytes_stage, chunk_size)

    def aiter_text(self, chunk_size: int | None = None) -> AsyncIterator[str]:
        """Iterate over the content as text, in pieces of `chunk_size` characters, or as it arrives."""
        return AsyncPieces(self, text_stage, chunk_size)

    def aiter_lines(self) -> AsyncIterator[str]:
        """Iterate over the lines of the content as text, without their ends."""
        return AsyncPieces(self, lines_stage, None)

    def aiter_raw(self, chunk_size: int | None = None) -> AsyncGenerator[bytes, None]:
        """Iterate over the body as received, not decoded, in pieces of `chunk_size` bytes, or as it arrives."""
        return AsyncPieces(self, raw_stage, chunk_size)

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        progress: Progress | None = None,
        checksum: str | None = None,
    ) -> Path:
        """Write the content to a file, which gets its name when it is whole; return its path.

        Arguments and exceptions are those of `Client.download()`, which asks for the rest after an error.
        """
        from .saving import save  # few programs write files

        return save(self, self._saving(path, resume, progress, checksum))

    async def asave(
        self,
        path: str | os.PathLike[str],
        *,
        resume: bool = False,
        progress: Progress | None = None,
        checksum: str | None = None,
    ) -> Path:
        """Write the content to a file, in a thread, which gets its name when it is whole; return its path.

        Arguments and exceptions are those of `AsyncClient.download()`, which asks for the rest after an error.
        """
        from .saving import asave  # few programs write files

        return await asave(self, self._saving(path, resume, progress, checksum))

    def _saving(
        self, path: str | os.PathLike[str], resume: bool, progress: Progress | None, checksum: str | None
    ) -> Saving:
        from .saving import Saving

        request = self._request
        url = "" if request is None else str(request.url)
        return Saving(path, url, resume=resume, progress=progress, checksum=checksum)

    def close(self) -> None:
        """Close the response and release its connection; unread data is lost."""
        if self._opposite("__iter__"):
            raise RuntimeError("the response's stream is asynchronous: call aclose()")
        self._body = None
        if not self.is_closed:
            self.is_closed = True
            if self._stream is not None:
                with request_context(self._request, self._journey):
                    self._stream.close()

    async def aclose(self) -> None:
        """Close the response and release its connection; unread data is lost."""
        if self._opposite("__aiter__"):
            raise RuntimeError("the response's stream is a blocking one: call close()")
        self._body = None
        if not self.is_closed:
            self.is_closed = True
            if self._stream is not None:
                with request_context(self._request, self._journey):
                    await self._stream.aclose()

    def _start(self, method: str) -> Any:
        """Return the stream, to be read once; `method` is "__iter__" or "__aiter__"."""
        if self.is_stream_consumed:
            raise StreamConsumed
        if self.is_closed:
            raise StreamClosed
        stream = self.stream
        if self._opposite(method):
            kind, call = ("asynchronous", "aiter_*() or aread()") if method == "__iter__" else ("blocking", "iter_*()")
            raise RuntimeError(f"the response's stream is {kind}: use {call}")
        self._body = None
        self.is_stream_consumed = True
        self._num_bytes_downloaded = 0
        return stream

    def _opposite(self, method: str) -> bool:
        """Return whether the stream can be read, but not by `method`."""
        return self._stream is not None and not hasattr(self._stream, method)

    def _abandon(self) -> None:
        """Release the connection without waiting, when an iterator was dropped half-way."""
        abandon = getattr(self._stream, "abandon", None)
        if abandon is not None and not self.is_closed:
            self.is_closed = True
            abandon()


class _Beginning:
    """Keep the first `MAX_INTERMEDIATE` bytes of content."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._left = MAX_INTERMEDIATE

    def is_full_with(self, piece: bytes) -> bool:
        """Add a piece and return whether it exceeded the limit."""
        self._pieces.append(piece[: self._left])
        full = len(piece) > self._left
        self._left -= len(piece)
        return full

    def joined(self) -> bytes:
        return b"".join(self._pieces)


def _say_length_once(headers: Headers) -> None:
    """Merge repeated Content-Length fields that agree (RFC 9110 s.8.6): users read a number."""
    values = set(headers.get_list("Content-Length", split_commas=True))
    if len(values) == 1:
        headers["Content-Length"] = values.pop()
