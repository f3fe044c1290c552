"""From a body as it was sent to content: content codings (RFC 9110 s.8.4), text, lines, and chunks of one size.

Everything is incremental, and knows no message. Rules for the content codings:

1. A step, which is what the iterators do until they give a piece, takes at most `INPUT_SLICE` bytes of each coding,
   opens at most `MEMBERS_PER_STEP` members and gives at most about `MAX_PIECE` bytes, however much a few bytes may
   stand for: so a reader who stops has paid for what it took. Nothing is decoded ahead. A step that has nothing to give
   yet gives an empty piece, so that the reader can let others run, or stop.
2. Coded data that stands for nothing, or nearly nothing, is refused beyond a limit: see `_Coding`.
3. `flush()` raises DecodingError where the coded data ends too early: a part is never taken for the whole.
4. `br` and `zstd` are there when a package for them is; the standard library has zstd from Python 3.14 on.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, Generic, TypeVar

from ._encodings import text_decoder
from ._exceptions import DecodingError

AnyStr = TypeVar("AnyStr", bytes, str)


MAX_PIECE = 1024 * 1024  # bytes of decoded content in one step; a bomb grows a thousandfold
MAX_CODINGS = 5  # chained codings; each multiplies what a few bytes can stand for, and servers apply one
# Bytes of coded data that are looked at together. What is left over after a member (gzip) or frame (zstd) is copied
# for each of them, which would cost quadratic time where there are many small ones; and blocks of deflate can be made
# to cost 0.1 microseconds for each byte without any content.
INPUT_SLICE = 16 * 1024
MEMBERS_PER_STEP = 64  # a frame of zstd costs some 30 microseconds
# Members are what gzip and zstd data is put together of, each with a cost of its own. Block gzip has one for each 64
# KiB of content, logs that are compressed record by record one for some hundred bytes. Nested, 31 KB can stand for
# millions.
MAX_MEMBERS = 10_000  # in one coding, and one more for each `MEMBER_CONTENT` bytes of content
MEMBER_CONTENT = 256  # bytes
# Empty blocks, frames to be skipped and metadata give no content. Compressors that are told to give all they have after
# each byte need some 7 bytes for it, 21 with a gzip member for each.
MAX_BARREN = 1024 * 1024  # bytes of one coding, and `BARREN_RATIO` more for each byte of content
BARREN_RATIO = 32
MAX_ZSTD_WINDOW_LOG = 23  # 8 MiB, which RFC 9659 s.3 sets as the bound for this coding

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


def _brotli_module() -> Any:
    """The module that decodes br in bounded steps, which is what 1.2 brought; None without one."""
    try:
        import brotli
    except ImportError:
        try:
            import brotlicffi as brotli
        except ImportError:
            return None
    module: Any = brotli
    return module if hasattr(module.Decompressor, "can_accept_more_data") else None


def _zstd_factory() -> tuple[Any, type[Exception]]:
    """What makes a zstd decompressor, and what that raises; None without one."""
    try:
        if sys.version_info >= (3, 14):
            import compression.zstd as module
        else:
            import backports.zstd as module
    except ImportError:
        return _zstandard_factory()
    zstd: Any = module
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: MAX_ZSTD_WINDOW_LOG}
    return lambda: zstd.ZstdDecompressor(options=options), zstd.ZstdError


def _zstandard_factory() -> tuple[Any, type[Exception]]:
    try:
        import zstandard
    except ImportError:
        return None, Exception
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << MAX_ZSTD_WINDOW_LOG)
    return lambda: _SlicedZstandard(decompressor.decompressobj()), zstandard.ZstdError


class _SlicedZstandard:
    """The `zstandard` package's decompressor with the face of the standard library's.

    It knows no limit for its output, so it is fed with little: a block of 4 bytes can stand for 128 KiB.
    """

    SLICE = 32  # bytes; at most 1 MiB of output

    def __init__(self, decompressor: Any) -> None:
        self._decompressor = decompressor
        self._input = memoryview(b"")

    @property
    def eof(self) -> bool:
        return self._decompressor.eof  # type: ignore[no-any-return]

    @property
    def needs_input(self) -> bool:
        return not self._input and not self.eof

    @property
    def unused_data(self) -> bytes:
        return self._decompressor.unused_data + bytes(self._input)  # type: ignore[no-any-return]

    def decompress(self, data: bytes, max_length: int) -> bytes:
        if data:
            self._input = memoryview(data)
        output: list[bytes] = []
        length = 0
        while self._input and length < max_length and not self.eof:
            piece = self._decompressor.decompress(self._input[: self.SLICE])
            self._input = self._input[self.SLICE :]
            output.append(piece)
            length += len(piece)
        return b"".join(output)


_brotli = _brotli_module()
_new_zstd, _ZstdError = _zstd_factory()


class ContentDecoder:
    """One content coding, undone piece by piece. Both methods raise DecodingError."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """The content that `data` adds, in pieces; the iterator has to be used up before the next call."""
        raise NotImplementedError

    def flush(self) -> Iterator[bytes]:
        """What is left at the end of the data."""
        raise NotImplementedError


class IdentityDecoder(ContentDecoder):
    """No coding."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield data

    def flush(self) -> Iterator[bytes]:
        yield from ()


def _broken(coding: str, why: object) -> DecodingError:
    return DecodingError(f"the content is no valid {coding}, as its Content-Encoding says: {why}")


def _cut(coding: str) -> DecodingError:
    return _broken(coding, "the data ends too early")


def _inflated(inflate: Any, data: bytes, coding: str) -> Iterator[bytes]:
    """What a zlib decompressor makes of `data`, in pieces."""
    while True:
        try:
            piece = inflate.decompress(data, MAX_PIECE)
        except zlib.error as error:
            raise _broken(coding, error) from error
        if piece:
            yield piece
        data = inflate.unconsumed_tail
        # zlib may hold content back when a piece is full, although it took all input.
        if inflate.eof or (not data and len(piece) < MAX_PIECE):
            return


class _Coding(ContentDecoder):
    """What the codings share: small steps, and limits for data that stands for little.

    Without the limits a coding inside another one is an attack: 31 KB of gzip stand for 31 MB of empty gzip members or
    zstd frames, which take seconds or minutes to find that there is no content.
    """

    name: ClassVar[str]

    def __init__(self) -> None:
        self._taken = 0  # bytes of coded data
        self._given = 0  # bytes of content
        self._members = 1

    def decode(self, data: bytes) -> Iterator[bytes]:
        for start in range(0, len(data), INPUT_SLICE):
            yield from self._step(data[start : start + INPUT_SLICE])

    def _step(self, data: bytes) -> Iterator[bytes]:
        silent = True
        for piece in self._decoded(data):
            if piece:
                silent = False
                self._given += len(piece)
            yield piece
        self._taken += len(data)
        if self._taken > MAX_BARREN + BARREN_RATIO * self._given:
            raise DecodingError(
                f"{self._taken} bytes of {self.name} stand for {self._given} bytes of content; the limit is "
                f"{MAX_BARREN} and {BARREN_RATIO} for each byte"
            )
        if silent:
            yield b""

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        """What `decode()` gives, for at most `INPUT_SLICE` bytes; b"" where others may be let run."""
        raise NotImplementedError

    def _next_member(self) -> bool:
        """Count a member that begins; whether this step has seen enough of them."""
        self._members += 1
        if self._members > MAX_MEMBERS + self._given // MEMBER_CONTENT:
            raise DecodingError(
                f"{self._members} members of {self.name} stand for {self._given} bytes of content; the limit is "
                f"{MAX_MEMBERS} and one for each {MEMBER_CONTENT} bytes"
            )
        return self._members % MEMBERS_PER_STEP == 0


class GZipDecoder(_Coding):
    """gzip (RFC 1952): one member or more, then perhaps padding, which is left out as gzip(1) does."""

    name = "gzip"

    def __init__(self) -> None:
        super().__init__()
        self._inflate = zlib.decompressobj(_GZIP)
        self._seen = False
        self._ended = False  # what follows is no member
        self._magic = b""  # the first byte of what may be one more member

    def decode(self, data: bytes) -> Iterator[bytes]:
        return iter(()) if self._ended else super().decode(data)

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        self._seen = True
        while data and not self._ended:
            if self._inflate.eof:
                data = self._magic + data
                self._magic = b""
                if data == _GZIP_MAGIC[:1]:
                    self._magic = data
                    return
                if not data.startswith(_GZIP_MAGIC):
                    self._ended = True
                    return
                if self._next_member():
                    yield b""
                self._inflate = zlib.decompressobj(_GZIP)
            yield from _inflated(self._inflate, data, "gzip")
            data = self._inflate.unused_data

    def flush(self) -> Iterator[bytes]:
        if self._seen and not self._inflate.eof:
            raise _cut("gzip")
        yield from ()


class DeflateDecoder(_Coding):
    """deflate: zlib's format (RFC 1950), or bare RFC 1951, which old Microsoft servers sent under this name."""

    name = "deflate"

    def __init__(self) -> None:
        super().__init__()
        self._inflate: Any = None
        self._head = b""

    def decode(self, data: bytes) -> Iterator[bytes]:
        return iter(()) if self._inflate is not None and self._inflate.eof else super().decode(data)

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        if self._inflate is None:
            data = self._head + data
            if len(data) < 2:
                self._head = data
                return
            # RFC 1950 s.2.2: method 8, a window of at most 32 KiB, and check bits that make it a multiple of 31.
            has_header = data[0] & 0x0F == 8 and data[0] >> 4 <= 7 and (data[0] << 8 | data[1]) % 31 == 0
            self._inflate = zlib.decompressobj(zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS)
        if data and not self._inflate.eof:
            yield from _inflated(self._inflate, data, "deflate")

    def flush(self) -> Iterator[bytes]:
        if self._head if self._inflate is None else not self._inflate.eof:
            raise _cut("deflate")
        yield from ()


class BrotliDecoder(_Coding):
    """br (RFC 7932). Raises ImportError without the package."""

    name = "br"

    def __init__(self) -> None:
        super().__init__()
        if _brotli is None:
            raise ImportError("br needs the package brotli or brotlicffi, 1.2 or later: install httpx-fast[brotli]")
        self._decompressor = _brotli.Decompressor()
        # brotlicffi names it decompress.
        self._process = getattr(self._decompressor, "process", None) or self._decompressor.decompress
        self._seen = False

    def decode(self, data: bytes) -> Iterator[bytes]:
        return iter(()) if self._decompressor.is_finished() else super().decode(data)

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        self._seen = True
        while True:
            try:
                # Its buffer may grow to twice the limit.
                piece = self._process(data, output_buffer_limit=MAX_PIECE // 2)
            except _brotli.error as error:
                raise _broken("br", error) from error
            if not piece:
                return
            yield piece
            data = b""

    def flush(self) -> Iterator[bytes]:
        if self._seen and not self._decompressor.is_finished():
            raise _cut("br")
        yield from ()


class ZStandardDecoder(_Coding):
    """zstd (RFC 8878): one frame or more. Raises ImportError without a package or Python 3.14."""

    name = "zstd"

    def __init__(self) -> None:
        super().__init__()
        if _new_zstd is None:
            raise ImportError("zstd needs Python 3.14 or the package backports.zstd: install httpx-fast[zstd]")
        self._decompressor = _new_zstd()
        self._seen = False

    def _decoded(self, data: bytes) -> Iterator[bytes]:
        self._seen = True
        while data:
            if self._decompressor.eof:
                if self._next_member():
                    yield b""
                self._decompressor = _new_zstd()
            yield from self._frame(data)
            data = self._decompressor.unused_data if self._decompressor.eof else b""

    def _frame(self, data: bytes) -> Iterator[bytes]:
        decompressor = self._decompressor
        while True:
            try:
                piece = decompressor.decompress(data, MAX_PIECE)
            except _ZstdError as error:
                raise _broken("zstd", error) from error
            if piece:
                yield piece
            if decompressor.eof or decompressor.needs_input:
                return
            data = b""

    def flush(self) -> Iterator[bytes]:
        if self._seen and not self._decompressor.eof:
            raise _cut("zstd")
        yield from ()


class MultiDecoder(ContentDecoder):
    """Several codings; `encodings` in the order in which they were applied. Unknown ones are left out."""

    max_decode_links: ClassVar[int] = MAX_CODINGS

    def __init__(self, encodings: Sequence[str]) -> None:
        known = [coding for coding in encodings if coding in SUPPORTED_DECODERS]
        if len(known) > self.max_decode_links:
            raise DecodingError(f"the content has {len(known)} codings, the limit is {self.max_decode_links}")
        self.children = [SUPPORTED_DECODERS[coding]() for coding in reversed(known)]

    def decode(self, data: bytes) -> Iterator[bytes]:
        pieces: Iterator[bytes] = iter((data,))
        for child in self.children:
            pieces = _piped(child, pieces)
        return pieces

    def flush(self) -> Iterator[bytes]:
        pieces: Iterator[bytes] = iter(())
        for child in self.children:
            pieces = _drained(child, pieces)
        return pieces


def _piped(decoder: ContentDecoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        if piece:
            yield from decoder.decode(piece)
        else:
            yield piece  # the step ends here for those who follow, too


def _drained(decoder: ContentDecoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from _piped(decoder, pieces)
    yield from decoder.flush()


#: By coding. What is here is what a client says that it accepts.
SUPPORTED_DECODERS: dict[str, type[ContentDecoder]] = {
    "identity": IdentityDecoder,
    "gzip": GZipDecoder,
    "deflate": DeflateDecoder,
}
if _brotli is not None:
    SUPPORTED_DECODERS["br"] = BrotliDecoder
if _new_zstd is not None:
    SUPPORTED_DECODERS["zstd"] = ZStandardDecoder


def content_decoder(codings: Sequence[str]) -> ContentDecoder:
    """The decoder for codings in the order in which they were applied, in lower case. Unknown ones are left out."""
    # RFC 9110 s.8.4.1.3: x-gzip is the same as gzip.
    known = ["gzip" if coding == "x-gzip" else coding for coding in codings]
    known = [coding for coding in known if coding in SUPPORTED_DECODERS and coding != "identity"]
    if len(known) == 1:
        return SUPPORTED_DECODERS[known[0]]()
    return MultiDecoder(known) if known else IdentityDecoder()


_FEW = 5  # steps without content; chained codings have one each where there is no content


def decode_at_once(codings: Sequence[str], data: bytes) -> bytes | None:
    """The content of a whole body, if a few steps are enough for it; codings as for `content_decoder`.

    None where more is to be done, from the beginning, by a reader who lets others run between steps. Raises
    DecodingError.
    """
    if not data:
        return data
    if len(data) > 2 * INPUT_SLICE:
        return None
    if len(codings) == 1 and codings[0] == "gzip":
        # The common case in one call of zlib. What does not fit in a piece, or has more members, goes the long way.
        inflate = zlib.decompressobj(_GZIP)
        try:
            content = inflate.decompress(data, MAX_PIECE)
        except zlib.error as error:
            raise _broken("gzip", error) from error
        if inflate.eof and not inflate.unused_data:
            return content
    pieces: list[bytes] = []
    length = pauses = 0
    for piece in _drained(content_decoder(codings), iter((data,))):
        length += len(piece)
        pauses += not piece
        if length > MAX_PIECE or pauses > _FEW:
            return None
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


class _Chunker(Generic[AnyStr]):
    """Cuts what comes in pieces of any size into chunks of one size, or leaves it as it comes."""

    def __init__(self, join: Callable[[list[AnyStr]], AnyStr], chunk_size: int | None) -> None:
        if chunk_size is not None and not isinstance(chunk_size, int):
            raise TypeError(f"expected a number of bytes or characters, or None, as chunk_size, got {chunk_size!r}")
        if chunk_size is not None and chunk_size < 1:
            raise ValueError(f"expected a chunk_size of at least 1, got {chunk_size}")
        self._join: Callable[[list[AnyStr]], AnyStr] = join
        self.chunk_size = chunk_size
        self._held: list[AnyStr] = []
        self._length = 0

    def decode(self, content: AnyStr) -> list[AnyStr]:
        """The chunks that `content` fills."""
        size = self.chunk_size
        if size is None:
            return [content] if content else []
        self._held.append(content)
        self._length += len(content)
        if self._length < size:
            return []
        whole = self._join(self._held)
        end = self._length - self._length % size
        self._held = [whole[end:]]
        self._length -= end
        return [whole[i : i + size] for i in range(0, end, size)]

    def flush(self) -> list[AnyStr]:
        """The last chunk, which may be shorter."""
        rest = self._join(self._held)
        self._held = []
        self._length = 0
        return [rest] if rest else []


class ByteChunker(_Chunker[bytes]):
    """Bytes in chunks of `chunk_size`; None leaves them as they come."""

    def __init__(self, chunk_size: int | None = None) -> None:
        super().__init__(b"".join, chunk_size)


class TextChunker(_Chunker[str]):
    """Text in chunks of `chunk_size` characters; None leaves it as it comes."""

    def __init__(self, chunk_size: int | None = None) -> None:
        super().__init__("".join, chunk_size)


class TextDecoder:
    """Bytes as text; what is not valid in the encoding becomes U+FFFD."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.decoder = text_decoder(encoding)

    def decode(self, data: bytes) -> str:
        """The text that `data` completes."""
        return self.decoder.decode(data)

    def flush(self) -> str:
        """What is left at the end."""
        return self.decoder.decode(b"", True)


class LineDecoder:
    """Text as lines without their ends, which are those of `str.splitlines()`."""

    _ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"

    def __init__(self) -> None:
        self._held: list[str] = []  # the beginning of a line
        self._trailing_cr = False  # it may be the first half of CR LF

    def decode(self, text: str) -> list[str]:
        """The lines that `text` completes."""
        if self._trailing_cr:
            text = "\r" + text
        self._trailing_cr = text.endswith("\r")
        if self._trailing_cr:
            text = text[:-1]
        if not text:
            return []
        lines = text.splitlines()
        rest = "" if text[-1] in self._ENDS else lines.pop()
        if lines and self._held:
            lines[0] = "".join(self._held) + lines[0]
            self._held = []
        if rest:
            self._held.append(rest)
        return lines

    def flush(self) -> list[str]:
        """The last line, if it has no end."""
        if not self._held and not self._trailing_cr:
            return []
        line = "".join(self._held)
        self._held = []
        self._trailing_cr = False
        return [line]
