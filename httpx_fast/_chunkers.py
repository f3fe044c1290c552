"""Cut content into chunks of one size, decode it to text, and cut text into lines: what follows the content codings.

All of it is incremental, and knows no message. `_decoders` has these names too, as httpx has.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from ._encodings import text_decoder

AnyStr = TypeVar("AnyStr", bytes, str)


class _Chunker(Generic[AnyStr]):
    """Cut pieces of any size into chunks of one size, or pass them unchanged."""

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
        """Return the chunks that `content` fills."""
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
        """Return the last chunk, which may be shorter."""
        rest = self._join(self._held)
        self._held = []
        self._length = 0
        return [rest] if rest else []


class ByteChunker(_Chunker[bytes]):
    """Cut bytes into chunks of `chunk_size`; None passes them unchanged."""

    def __init__(self, chunk_size: int | None = None) -> None:
        super().__init__(b"".join, chunk_size)


class TextChunker(_Chunker[str]):
    """Cut text into chunks of `chunk_size` characters; None passes it unchanged."""

    def __init__(self, chunk_size: int | None = None) -> None:
        super().__init__("".join, chunk_size)


class TextDecoder:
    """Decode bytes to text; invalid input becomes U+FFFD."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.decoder = text_decoder(encoding)

    def decode(self, data: bytes) -> str:
        """Return the text that `data` completes."""
        return self.decoder.decode(data)

    def flush(self) -> str:
        """Return the rest at the end."""
        return self.decoder.decode(b"", True)


class LineDecoder:
    """Split text into lines without their ends, which are those of `str.splitlines()`."""

    _ENDS = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"

    def __init__(self) -> None:
        self._held: list[str] = []  # the beginning of a line
        self._trailing_cr = False  # it may be the first half of CR LF

    def decode(self, text: str) -> list[str]:
        """Return the lines that `text` completes."""
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
        """Return the last line, if it has no end."""
        if not self._held and not self._trailing_cr:
            return []
        line = "".join(self._held)
        self._held = []
        self._trailing_cr = False
        return [line]
