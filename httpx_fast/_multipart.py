"""Form data with files as multipart/form-data (RFC 7578), sent piece by piece.

Files are read while they are sent and never loaded whole. It knows no request; of the message it needs only the
boundary that a Content-Type may contain already. Names and values are escaped as browsers do (WHATWG HTML,
"Multipart form data"), since servers follow those rather than RFC 2231.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import IO, Any, TypeAlias, cast

from ._byte_streams import AsyncByteStream, SyncByteStream
from ._caller import warn_caller
from ._exceptions import StreamConsumed
from ._pairs import check_pairs
from ._patterns import pattern
from ._utils import primitive_value_to_str, read_in_thread

__all__ = ["DataField", "FileField", "MultipartStream", "get_multipart_boundary_from_content_type"]

RequestData: TypeAlias = Mapping[str, Any]
FileContent: TypeAlias = IO[bytes] | bytes | str
#: A file, or its name and itself, then its media type, then the other fields of its part.
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles: TypeAlias = Mapping[str, FileTypes] | Sequence[tuple[str, FileTypes]]

# Characters that would end the quoted string or the line are escaped as in browsers; ESC is not, as in httpx.
_ESCAPES = {code: f"%{code:02X}" for code in range(0x20) if code != 0x1B} | {0x22: "%22", 0x5C: "\\\\"}
_FIELD_NAME = pattern(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = pattern(r"[\x00-\x08\x0a-\x1f\x7f]")


def get_multipart_boundary_from_content_type(content_type: bytes | None) -> bytes | None:
    """Return the boundary parameter of a multipart/form-data Content-Type; None if there is none."""
    if not content_type or not content_type.startswith(b"multipart/form-data"):
        return None
    for parameter in content_type.split(b";")[1:]:
        name, _, value = parameter.strip().partition(b"=")
        if name.lower() == b"boundary":
            return value.strip(b'"')
    return None


def _quoted(name: str, value: str) -> bytes:
    return f'{name}="{value.translate(_ESCAPES)}"'.encode()


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


class DataField:
    """Render a plain value of the form."""

    def __init__(self, name: str, value: str | bytes | float | None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a form field is str, not {type(name).__name__}: {name!r}")
        if value is not None and not isinstance(value, (str, bytes, int, float)):
            raise TypeError(
                f"form field {name!r} is {type(value).__name__}; expected str, bytes, int, float, bool or None"
            )
        self.name = name
        self.value: str | bytes = value if isinstance(value, bytes) else primitive_value_to_str(value)

    def render_headers(self) -> bytes:
        """Return the part's field section, with the empty line that ends it."""
        return b"Content-Disposition: form-data; " + _quoted("name", self.name) + b"\r\n\r\n"

    def render_data(self) -> bytes:
        """Return the part's content."""
        return _as_bytes(self.value)

    def get_length(self) -> int:
        """Return the number of bytes of headers and content."""
        return len(self.render_headers()) + len(self.render_data())

    def render(self) -> Iterator[bytes]:
        yield self.render_headers()
        yield self.render_data()

    async def arender(self) -> AsyncGenerator[bytes, None]:
        yield self.render_headers()
        yield self.render_data()


class FileField:
    """Render a file of the form: an open file, or its content, or `(filename, file[, content_type[, headers]])`.

    A file whose `read()` is a coroutine function can be sent by an async client.
    """

    CHUNK_SIZE = 64 * 1024  # bytes
    ASYNC_CHUNK_SIZE = 256 * 1024  # bytes; a change of threads costs as much as reading these

    def __init__(self, name: str, value: FileTypes) -> None:
        if not isinstance(name, str):
            raise TypeError(f"the name of a form file is str, not {type(name).__name__}: {name!r}")
        filename, file, content_type, headers = _file_parts(value)
        if filename is not None and not isinstance(filename, str):
            raise TypeError(f"the file name of form file {name!r} is {type(filename).__name__}; expected str or None")
        if not isinstance(file, (str, bytes)) and not hasattr(file, "read"):
            hint = ", as open(path, 'rb') gives it" if hasattr(file, "__fspath__") else ""
            raise TypeError(
                f"form file {name!r} is {type(file).__name__}; expected bytes, str, or an open binary file{hint}"
            )
        if isinstance(file, str) and _is_path(file):
            warn_caller(
                f"form file {name!r} is a str, which is sent as the content, and there is a file of that name: to send "
                "that give open(path, 'rb')",
                UserWarning,
            )
        if isinstance(file, io.TextIOBase):
            raise TypeError(
                f"form file {name!r} is {type(file).__name__}, which gives text; open it in binary mode, or use BytesIO"
            )
        if content_type is None and filename:
            import mimetypes  # imported here, since only uploads of files need it

            content_type = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        if content_type is not None and not any("content-type" in key.lower() for key in headers):
            headers["Content-Type"] = content_type
        self.name = name
        self.filename = filename
        self.file = file
        self.headers = headers
        self._asynchronous = is_coroutine_function(getattr(file, "read", None))
        self._rendered: bytes | None = None
        self._again = False

    @property
    def restarts(self) -> bool:
        """Return whether the content can be read again from its beginning."""
        return isinstance(self.file, (str, bytes)) or self._file_length() is not None

    def get_length(self) -> int | None:
        """Return the number of bytes of headers and content; None if the file does not tell its length."""
        length = len(self.file) if isinstance(self.file, bytes) else self._file_length()
        return None if length is None else len(self.render_headers()) + length

    def render_headers(self) -> bytes:
        """Return the part's field section with its empty line. Raises ValueError for a header that breaks it."""
        if self._rendered is None:
            parts = [b"Content-Disposition: form-data; ", _quoted("name", self.name)]
            if self.filename:
                parts += [b"; ", _quoted("filename", self.filename)]
            for name, value in self.headers.items():
                parts.append(_part_header(name, value))
            self._rendered = b"".join([*parts, b"\r\n\r\n"])
        return self._rendered

    def render_data(self) -> Iterator[bytes]:
        """Yield the file's content from its beginning, in pieces."""
        if isinstance(self.file, (str, bytes)):
            yield _as_bytes(self.file)
            return
        if self._asynchronous:
            raise RuntimeError(f"form file {self.name!r} is read asynchronously; a blocking client cannot send it")
        try:
            self.file.seek(0)
        except (AttributeError, OSError):
            self._only_once()
        while chunk := self.file.read(self.CHUNK_SIZE):
            yield _as_bytes(chunk)

    def render(self) -> Iterator[bytes]:
        yield self.render_headers()
        yield from self.render_data()

    async def arender(self) -> AsyncGenerator[bytes, None]:
        yield self.render_headers()
        file: Any = self.file
        if isinstance(file, (str, bytes)):
            yield _as_bytes(file)
            return
        try:
            if self._asynchronous:
                await file.seek(0)
            else:
                file.seek(0)
        except (AttributeError, OSError):
            self._only_once()
        if self._asynchronous:
            while chunk := await file.read(self.CHUNK_SIZE):
                yield _as_bytes(chunk)
        else:
            while chunk := await read_in_thread(file, self.ASYNC_CHUNK_SIZE):
                yield _as_bytes(chunk)

    def _only_once(self) -> None:
        """Yield the content of a pipe, which can be read and sent only once."""
        if self._again:
            raise StreamConsumed
        self._again = True

    def _file_length(self) -> int | None:
        if isinstance(self.file, str):
            return len(self.file.encode())
        if self._asynchronous:
            return whole_length(wrapped_file(self.file))
        return whole_length(self.file)


class MultipartStream(SyncByteStream, AsyncByteStream):
    """Encode a form with files as a request body; its boundary is random unless given.

    It can be sent again if its files can be read again.
    """

    def __init__(self, data: RequestData, files: RequestFiles, boundary: bytes | None = None) -> None:
        if boundary is None:
            boundary = os.urandom(16).hex().encode("ascii")
        self.boundary = boundary
        self.content_type = f"multipart/form-data; boundary={boundary.decode('ascii')}"
        self.fields = list(self._iter_fields(data, files))

    def _iter_fields(self, data: RequestData, files: RequestFiles) -> Iterator[FileField | DataField]:
        for name, value in data.items():
            items = cast("Sequence[Any]", value) if isinstance(value, (list, tuple)) else (value,)
            for item in items:
                yield DataField(name, item)
        pairs = files.items() if isinstance(files, Mapping) else files
        try:
            named = [(name, file) for name, file in pairs]
        except (TypeError, ValueError):
            check_pairs(files, "files")
            raise
        for name, file in named:
            yield FileField(name, file)

    def iter_chunks(self) -> Iterator[bytes]:
        """Yield the body in pieces, files in pieces of `FileField.CHUNK_SIZE`."""
        delimiter = b"--%s\r\n" % self.boundary
        for field in self.fields:
            yield delimiter
            yield from field.render()
            yield b"\r\n"
        yield b"--%s--\r\n" % self.boundary

    @property
    def restarts(self) -> bool:
        """Return whether another iteration certainly yields the same bytes."""
        return all(field.restarts for field in self.fields if isinstance(field, FileField))

    def get_content_length(self) -> int | None:
        """Return the number of bytes of the body; None if one of the files does not tell its length."""
        around = len(self.boundary) + 6  # the delimiter line, and the line end after the part
        length = len(self.boundary) + 6  # the closing delimiter
        for field in self.fields:
            size = field.get_length()
            if size is None:
                return None
            length += around + size
        return length

    def get_headers(self) -> dict[str, str]:
        """Return the fields that describe the body to the peer."""
        length = self.get_content_length()
        if length is None:
            return {"Transfer-Encoding": "chunked", "Content-Type": self.content_type}
        return {"Content-Length": str(length), "Content-Type": self.content_type}

    def __iter__(self) -> Iterator[bytes]:
        yield from self.iter_chunks()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        delimiter = b"--%s\r\n" % self.boundary
        for field in self.fields:
            yield delimiter
            # An abandoned body would leave the inner generator to the garbage collector.
            async with aclosing(field.arender()) as pieces:
                async for piece in pieces:
                    yield piece
            yield b"\r\n"
        yield b"--%s--\r\n" % self.boundary


def _file_parts(value: FileTypes) -> tuple[str | None, Any, str | None, dict[str, str]]:
    """Return file name, file or content, content type and further headers of a user's argument."""
    if not isinstance(value, tuple):
        from pathlib import Path  # takes as long to import as a tenth of this package

        return Path(str(getattr(value, "name", "upload"))).name, value, None, {}
    if not 2 <= len(value) <= 4:
        raise ValueError(f"a form file is (filename, file[, content_type[, headers]]), not a tuple of {len(value)}")
    filename, file, *rest = value
    content_type: Any = rest[0] if rest else None
    headers: Any = rest[1] if len(rest) > 1 else {}
    return filename, file, content_type, dict(headers)


_MAX_PATH = 4096  # characters; longer text is certainly content


def _is_path(text: str) -> bool:
    """Return whether a text is the path of an existing file: then the file was probably meant."""
    if not 0 < len(text) <= _MAX_PATH or "\n" in text or "\0" in text:
        return False
    try:
        return os.path.isfile(text)
    except (OSError, ValueError):
        return False


def _part_header(name: str, value: str) -> bytes:
    if _FIELD_NAME.fullmatch(name) is None:
        raise ValueError(f"multipart header name {name!r} is no token (RFC 9110 s.5.6.2)")
    if not isinstance(value, str):
        raise TypeError(f"the value of multipart header {name!r} is {type(value).__name__}; expected str")
    if _CONTROL.search(value) is not None:
        raise ValueError(f"the value of multipart header {name!r} contains a control character")
    return f"\r\n{name}: {value}".encode()


def is_coroutine_function(function: Any) -> bool:
    """Return `inspect.iscoroutinefunction(function)`; that module is large, and few programs send files."""
    if function is None:
        return False
    import inspect

    return inspect.iscoroutinefunction(function)


def wrapped_file(file: Any) -> Any:
    """Return the blocking file of an asynchronous one, from anyio and trio (`wrapped`) or aiofiles (`_file`)."""
    return getattr(file, "wrapped", None) or getattr(file, "_file", None)


def whole_length(file: Any) -> int | None:
    """Return the length of a file in bytes, by seeking to its end; None if it cannot be positioned (pipes)."""
    try:
        offset = file.tell()
        end: int = file.seek(0, os.SEEK_END)
        file.seek(offset)
    except (AttributeError, OSError):
        return None
    return end
