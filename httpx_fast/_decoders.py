"""Decoders from a received body to content: content codings (RFC 9110 s.8.4). `_chunkers` has text, lines and chunks.

Everything is incremental, and knows no message. Rules for the content codings:

1. A step of an iterator, up to its next piece, takes at most `INPUT_SLICE` bytes of each coding, opens at most
   `MEMBERS_PER_STEP` members and yields at most about `MAX_PIECE` bytes, even if a few bytes decode to far more: the
   cost of a reader that stops is limited to what it took. Nothing is decoded ahead. A step without a result yields an
   empty piece, so that the reader can let other tasks run, or stop.
2. Coded data without content, or with nearly none, is refused beyond a limit: see `_Coding`.
3. `flush()` raises DecodingError if the coded data ends too early: a part is never taken for the whole.
4. `br` and `zstd` require a package; the standard library has zstd from Python 3.14 on. Clients announce what is
   installed; it is imported by `load_decoders()`, before the first request is sent.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

# httpx has these here.
from ._chunkers import ByteChunker, LineDecoder, TextChunker, TextDecoder  # noqa: F401  # pyright: ignore[reportUnusedImport]
from ._exceptions import DecodingError, ResponseTooLarge

MAX_PIECE = 1024 * 1024  # bytes of decoded content in one step; a bomb grows a thousandfold
MAX_CODINGS = 5  # chained codings; each multiplies the content that a few bytes can decode to, and servers apply one
# Bytes of coded data that are decoded together. The rest after a member (gzip) or frame (zstd) is copied for each of
# them, which would cost quadratic time with many small ones; and blocks of deflate without content can cost 0.1
# microseconds for each byte.
INPUT_SLICE = 16 * 1024
MEMBERS_PER_STEP = 64  # a frame of zstd costs some 30 microseconds
# gzip and zstd data consist of members, each with a cost of its own. Block gzip has one for each 64 KiB of content,
# logs that are compressed record by record one for some hundred bytes. Nested, 31 KB can contain millions.
MAX_MEMBERS = 10_000  # in one coding, and one more for each `MEMBER_CONTENT` bytes of content
MEMBER_CONTENT = 256  # bytes
# Empty blocks, skippable frames and metadata have no content. Compressors that are flushed after each byte need some 7
# bytes for it, 21 with a gzip member for each.
MAX_BARREN = 1024 * 1024  # bytes of one coding, and `BARREN_RATIO` more for each byte of content
BARREN_RATIO = 32
MAX_ZSTD_WINDOW_LOG = 23  # 8 MiB, which RFC 9659 s.3 sets as the bound for this coding

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b"


def _brotli_module() -> Any:
    """Return the module that decodes br in bounded steps, which needs brotli 1.2; None without one."""
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
    """Return a factory of zstd decompressors and the exception that they raise; None without one."""
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
    """Give the `zstandard` package's decompressor the interface of the standard library's.

    It has no limit for its output, so it is fed in small pieces: a block of 4 bytes can decode to 128 KiB.
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


_brotli: Any = None
_new_zstd: Any = None
_ZstdError: type[Exception] = Exception
_loaded = False


def load_decoders() -> dict[str, type[ContentDecoder]]:
    """Import the packages that decode, and return the decoder of each coding."""
    global _brotli, _new_zstd, _ZstdError, _loaded
    if not _loaded:
        _brotli = _brotli_module()
        _new_zstd, _ZstdError = _zstd_factory()
        if _brotli is not None:
            _decoders["br"] = BrotliDecoder
        if _new_zstd is not None:
            _decoders["zstd"] = ZStandardDecoder
        _loaded = True
    return _decoders


def accepted_codings() -> list[str]:
    """Return the codings that can be decoded, for Accept-Encoding.

    A package for zstd is found and not imported, which takes a tenth of the time. One for br has to be: its older
    versions are of no use here.
    """
    if _loaded:
        return [coding for coding in _decoders if coding != "identity"]
    found = ["gzip", "deflate"]
    if _brotli_module() is not None:
        found.append("br")
    standard = "_zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    if any(_is_installed(name) for name in (standard, "zstandard")):
        found.append("zstd")
    return found


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # without the package that it is in; put into sys.modules by hand
        return False


class ContentDecoder:
    """Decode one content coding, piece by piece. Both methods raise DecodingError."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the content that `data` adds, in pieces; exhaust the iterator before the next call."""
        raise NotImplementedError

    def flush(self) -> Iterator[bytes]:
        """Return the rest at the end of the data."""
        raise NotImplementedError


class IdentityDecoder(ContentDecoder):
    """Pass data through."""

    def decode(self, data: bytes) -> Iterator[bytes]:
        yield data

    def flush(self) -> Iterator[bytes]:
        yield from ()


class LimitedDecoder(ContentDecoder):
    """Decode by another decoder; raise ResponseTooLarge beyond `limit` bytes, as received or decoded."""

    def __init__(self, decoder: ContentDecoder, limit: int, announced: int) -> None:
        self._decoder = decoder
        self._limit = limit
        self._announced = announced  # the Content-Length; negative if there is none
        self._received = self._decoded = 0

    def decode(self, data: bytes) -> Iterator[bytes]:
        self._received += len(data)
        if data and self._announced > self._limit:  # without content it is an answer to HEAD
            raise self._too_large(f"its Content-Length is {self._announced}")
        if self._received > self._limit:
            raise self._too_large(f"{self._received} were received")
        yield from self._counted(self._decoder.decode(data))

    def flush(self) -> Iterator[bytes]:
        yield from self._counted(self._decoder.flush())

    def _counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._decoded += len(piece)
            if self._decoded > self._limit:
                raise self._too_large(f"{self._decoded} were decoded of the first {self._received}")
            yield piece

    def _too_large(self, seen: str) -> ResponseTooLarge:
        return ResponseTooLarge(f"the response's body has more than max_response_size={self._limit} bytes: {seen}")


def _broken(coding: str, why: object) -> DecodingError:
    return DecodingError(f"the content is no valid {coding}, as its Content-Encoding says: {why}")


def _cut(coding: str) -> DecodingError:
    return _broken(coding, "the data ends too early")


def _inflated(inflate: Any, data: bytes, coding: str) -> Iterator[bytes]:
    """Yield the output of a zlib decompressor for `data`, in pieces."""
    while True:
        try:
            piece = inflate.decompress(data, MAX_PIECE)
        except zlib.error as error:
            raise _broken(coding, error) from error
        if piece:
            yield piece
        data = inflate.unconsumed_tail
        # zlib may retain content when a piece is full, although it took all input.
        if inflate.eof or (not data and len(piece) < MAX_PIECE):
            return


class _Coding(ContentDecoder):
    """Share small steps, and limits for data without content, among the codings.

    Without the limits a coding inside another one is an attack: 31 KB of gzip decode to 31 MB of empty gzip members or
    zstd frames, which take seconds or minutes to decode to no content.
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
        """Yield what `decode()` yields, for at most `INPUT_SLICE` bytes; b"" where other tasks may run."""
        raise NotImplementedError

    def _next_member(self) -> bool:
        """Count a new member; return whether this step has reached its limit."""
        self._members += 1
        if self._members > MAX_MEMBERS + self._given // MEMBER_CONTENT:
            raise DecodingError(
                f"{self._members} members of {self.name} stand for {self._given} bytes of content; the limit is "
                f"{MAX_MEMBERS} and one for each {MEMBER_CONTENT} bytes"
            )
        return self._members % MEMBERS_PER_STEP == 0


class GZipDecoder(_Coding):
    """Decode gzip (RFC 1952): one member or more, then perhaps padding, which is ignored as in gzip(1)."""

    name = "gzip"

    def __init__(self) -> None:
        super().__init__()
        self._inflate = zlib.decompressobj(_GZIP)
        self._seen = False
        self._ended = False  # the rest is no member
        self._magic = b""  # the first byte of a possible further member

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
    """Decode deflate: zlib's format (RFC 1950), or bare RFC 1951, which old Microsoft servers sent by this name."""

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
    """Decode br (RFC 7932). Raises ImportError without the package."""

    name = "br"

    def __init__(self) -> None:
        super().__init__()
        load_decoders()
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
                # Its output buffer may grow to twice the limit.
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
    """Decode zstd (RFC 8878): one frame or more. Raises ImportError without a package or Python 3.14."""

    name = "zstd"

    def __init__(self) -> None:
        super().__init__()
        load_decoders()
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
    """Decode several codings; `encodings` in the order in which they were applied. Unknown ones are ignored."""

    max_decode_links: ClassVar[int] = MAX_CODINGS

    def __init__(self, encodings: Sequence[str]) -> None:
        decoders = load_decoders()
        known = [coding for coding in encodings if coding in decoders]
        if len(known) > self.max_decode_links:
            raise DecodingError(f"the content has {len(known)} codings, the limit is {self.max_decode_links}")
        self.children = [decoders[coding]() for coding in reversed(known)]

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
            yield piece  # the step ends here for the following decoders, too


def _drained(decoder: ContentDecoder, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from _piped(decoder, pieces)
    yield from decoder.flush()


#: By coding; `load_decoders()` adds those of packages.
_decoders: dict[str, type[ContentDecoder]] = {
    "identity": IdentityDecoder,
    "gzip": GZipDecoder,
    "deflate": DeflateDecoder,
}

if TYPE_CHECKING:
    #: httpx's name, with all that are there.
    SUPPORTED_DECODERS: dict[str, type[ContentDecoder]]
else:

    def __getattr__(name: str) -> Any:
        if name == "SUPPORTED_DECODERS":
            return load_decoders()
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def content_decoder(codings: Sequence[str]) -> ContentDecoder:
    """Return the decoder for codings in the order in which they were applied, in lower case. Ignores unknown ones."""
    # RFC 9110 s.8.4.1.3: x-gzip is the same as gzip.
    known = ["gzip" if coding == "x-gzip" else coding for coding in codings]
    decoders = load_decoders()
    known = [coding for coding in known if coding in decoders and coding != "identity"]
    if len(known) == 1:
        return decoders[known[0]]()
    return MultiDecoder(known) if known else IdentityDecoder()


_FEW = 5  # steps without content; each of chained codings has one if there is no content


def decode_at_once(codings: Sequence[str], data: bytes) -> bytes | None:
    """Return the content of a whole body if a few steps are enough; codings as for `content_decoder`.

    Returns None if more steps are needed: the caller then decodes from the beginning and lets other tasks run between
    steps. Raises DecodingError.
    """
    if not data:
        return data
    if len(data) > 2 * INPUT_SLICE:
        return None
    if len(codings) == 1 and codings[0] == "gzip":
        # The common case in one call of zlib. Content that exceeds a piece, or has more members, needs the decoder.
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
