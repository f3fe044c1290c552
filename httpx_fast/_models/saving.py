"""Write a body to a file, and go on where an earlier attempt ended.

The file gets its name when it is whole. Until then its content is in `FILE.part`; `FILE.part.json` says of which URL
and of which version it is. Rules:

1. Bytes of two versions never get into one file: only a strong validator (RFC 9110 s.8.8.1) is kept, the rest is asked
   for with If-Range, and the answer's own validator and Content-Range are compared with what is there.
2. Two processes never write to one `FILE.part`: it is locked, where the system can do that.
3. What cannot be continued is removed. What can be is kept after an error, and after the end of the process.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from .._exceptions import DownloadError, request_context
from .._utils import in_thread

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

#: Is called with the number of bytes in the file, and with the number it will have, None if that is unknown.
Progress: TypeAlias = Callable[[int, int | None], object]

SLICE = 1024 * 1024  # bytes that are read at once from a part, for its checksum
ASYNC_SLICE = 256 * 1024  # bytes that are written at once by a thread; a change of threads costs 50 microseconds

#: Size, validator and complete size of a part that is not there.
_NOTHING: tuple[int, str, int | None] = (0, "", None)
_CONTENT_RANGE = re.compile(r"bytes (?:(\d{1,19})-(\d{1,19})|\*)/(\d{1,19}|\*)")
_STRONG_TAG = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')


class StalePart(DownloadError):
    """Say that the part is of another version: it is removed, and a download from the beginning may work."""


class Saving:
    """Save one response: `open()`, `write()` as often as needed, `finish()`; `close()` in any case."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        url: str,
        *,
        resume: bool = False,
        progress: Progress | None = None,
        checksum: str | None = None,
        keep: bool | None = None,
        any_response: bool = False,
    ) -> None:
        """Check the arguments, and look for a part with `resume`.

        `keep` says whether what came before an error is kept for a later attempt; None for "with `resume`".
        `any_response` says whether errors of the server, and ranges that were not asked for here, are saved, too.
        """
        if progress is not None and not callable(progress):
            raise TypeError(f"expected a callable or None as progress, got {progress!r}")
        # The file behind a symbolic link is replaced, not the link.
        self.path = Path(os.path.realpath(os.fspath(path)))
        if self.path.is_dir():
            raise IsADirectoryError(f"expected the path of a file, got that of a directory: {os.fspath(path)!r}")
        if self.path.exists() and not self.path.is_file():  # renaming would replace the device
            raise ValueError(
                f"expected the path of a regular file, got that of a device or a pipe: {os.fspath(path)!r}"
            )
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"expected a path in a directory that exists, got {os.fspath(path)!r}")
        self._part = Path(f"{self.path}.part")
        self._facts_file = Path(f"{self.path}.part.json")
        self._url = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()  # it may hold secrets
        self._keep = resume if keep is None else keep
        self._any_response = any_response
        self._progress = progress
        self._algorithm, self._expected = _checksum_of(checksum)
        self._hash: Any = None
        self._file: BinaryIO | None = None
        self._done = 0  # bytes in the part
        self._total: int | None = None
        self._keeps = False  # whether the part is of use when this ends early
        self._continued = False  # the response is the rest of what was kept
        self._kept, self._validator, self._kept_total = self._look_for_part() if resume else _NOTHING

    @property
    def kept(self) -> int:
        """Return how many bytes of an earlier attempt there are to go on from."""
        return self._kept

    @property
    def done(self) -> int:
        """Return how many bytes there are now."""
        return self._done

    @property
    def resumed(self) -> int:
        """Return how many of the bytes that are there came with an earlier attempt."""
        return self._kept if self._continued else 0

    @property
    def part(self) -> Path:
        """Return the path of the file that is written to."""
        return self._part

    @property
    def fields(self) -> dict[str, str]:
        """Return fields of a request for what is missing. Content is asked for without coding, as it is stored."""
        fields = {"Accept-Encoding": "identity"}
        if self._kept:
            fields |= {"Range": f"bytes={self._kept}-", "If-Range": self._validator}
        return fields

    def _look_for_part(self) -> tuple[int, str, int | None]:
        """Return size and validator of what an earlier attempt for this URL has left, and the size of all of it."""
        try:
            facts: Any = json.loads(self._facts_file.read_bytes())
            size = self._part.stat().st_size
        except (OSError, ValueError):
            return _NOTHING
        told: dict[str, Any] = {**facts} if isinstance(facts, dict) else {}
        validator, total = told.get("validator"), told.get("total")
        if told.get("url") != self._url:
            return _NOTHING
        if not isinstance(validator, str) or not validator or not isinstance(total, (int, type(None))):
            return _NOTHING
        return size, validator, total

    def open(self, response: Any) -> bool:
        """Prepare the file for the body of `response`; return False if there is nothing to write, as all is there.

        Raises HTTPStatusError, and DownloadError for a part that does not fit.
        """
        status: int = response.status_code
        if status == 416 and self._kept:
            self._claim()
            self._check_complete(response)
            return False
        if not 200 <= status <= 299 and not self._any_response:
            response.raise_for_status()
        self._claim()
        if status == 206 and (self._kept or not self._any_response):
            self._continue(response)
        else:
            self._begin(response)
        return True

    def _claim(self) -> None:
        """Open the part and lock it."""
        while True:
            file = open(self._part, "ab")  # noqa: SIM115 - closed by `close()`
            if fcntl is None:
                break
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Whoever held the lock may have given the file its final name meanwhile.
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self._part)):
                    break
            except FileNotFoundError:
                pass
            except OSError:
                file.close()
                raise DownloadError(f"another download writes to {str(self._part)!r}") from None
            file.close()
        self._file = file
        self._keeps = True  # until something of it is changed
        if self._algorithm is not None:
            self._hash = hashlib.new(self._algorithm)

    def _begin(self, response: Any) -> None:
        """Begin anew; write down of which version the part is, if that can be told again."""
        assert self._file is not None
        self._keeps = False
        self._facts_file.unlink(missing_ok=True)
        self._file.truncate(0)
        self._done = 0
        coded = _is_coded(response)
        length = response.headers.get("Content-Length", "")
        self._total = int(length) if not coded and length.isascii() and length.isdigit() else None
        validator = strong_validator(response)
        if not self._keep or coded or not validator or response.headers.get("Accept-Ranges", "").lower() == "none":
            return
        if self._any_response and response.status_code != 200:
            return  # an error is no beginning of the content, and neither is a range that was asked for by hand
        facts = json.dumps({"url": self._url, "validator": validator, "total": self._total})
        new = Path(f"{self._facts_file}.new")
        new.write_text(facts, encoding="utf-8")
        os.replace(new, self._facts_file)
        self._keeps = True

    def _continue(self, response: Any) -> None:
        """Check that `response` is the rest of the same version."""
        start, total = _range_of(response)
        if not self._kept or start != self._kept:
            expected = f"the bytes from {self._kept} on" if self._kept else "all of the content"
            raise DownloadError(f"expected {expected}, the server sent {_shown_range(response)}")
        self._check_version(response, total)
        self._continued = True
        self._done = self._kept
        self._total = total
        self._hash_part()

    def _check_complete(self, response: Any) -> None:
        """Check that nothing is missing, if the server has nothing beyond the part."""
        start, total = _range_of(response)
        # The size of another version may be that of the part.
        if start is not None or not total == self._kept == self._kept_total:
            raise self._stale(f"the server has nothing beyond {self._kept} bytes: {_shown_range(response)}")
        self._check_version(response, total)
        self._done = self._total = self._kept
        self._hash_part()

    def _check_version(self, response: Any, total: int | None) -> None:
        if self._look_for_part() != (self._kept, self._validator, self._kept_total):
            raise DownloadError(f"another download has written to {str(self._part)!r}")
        if _is_coded(response):
            raise self._stale("the server sent a part of coded content")
        # A server may send no validator with 206, but no other one.
        name = "ETag" if self._validator[:1] == '"' else "Last-Modified"
        sent = response.headers.get(name, self._validator).strip()
        if sent != self._validator or (total is not None and self._kept_total not in (None, total)):
            raise self._stale(f"the server sent a part of another version, {sent[:64]!r}, {_shown_range(response)}")

    def _stale(self, reason: str) -> StalePart:
        self._keeps = False
        return StalePart(f"{reason}; the {self._kept} bytes of {str(self._part)!r} are of no use")

    def _hash_part(self) -> None:
        if self._hash is not None:
            with open(self._part, "rb") as part:
                while piece := part.read(SLICE):
                    self._hash.update(piece)

    def write(self, piece: bytes) -> None:
        """Append a piece of content."""
        assert self._file is not None
        self._file.write(piece)
        self._file.flush()  # what came is there, whatever ends this process
        if self._hash is not None:
            self._hash.update(piece)
        self._done += len(piece)

    def report(self) -> object:
        """Call the progress function and return what it returns."""
        return None if self._progress is None else self._progress(self._done, self._total)

    def finish(self) -> None:
        """Give the file its name. Raises DownloadError if it is not what was announced."""
        file = self._file
        assert file is not None
        if self._total is not None and self._done != self._total:
            raise DownloadError(f"the server sent {self._done} bytes of {self._total}")
        if self._hash is not None and self._hash.hexdigest() != self._expected:
            self._keeps = False
            raise DownloadError(
                f"the content's {self._algorithm} is {self._hash.hexdigest()}, expected {self._expected}; it is removed"
            )
        file.flush()
        os.fsync(file.fileno())
        if fcntl is None:  # an open file cannot be renamed on Windows
            file.close()
        with contextlib.suppress(OSError):
            os.chmod(self._part, self.path.stat().st_mode & 0o7777)
        os.replace(self._part, self.path)
        self._facts_file.unlink(missing_ok=True)
        self._file = None
        file.close()

    def close(self) -> None:
        """Close the file; keep the part only if it can be continued."""
        file, self._file = self._file, None
        if file is None:
            return
        with contextlib.suppress(OSError):
            file.flush()
        is_of_use = self._keeps and self._facts_file.exists() and os.fstat(file.fileno()).st_size
        if fcntl is None:
            file.close()
        if not is_of_use:  # removed while it is locked
            for path in (self._facts_file, self._part):
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
        file.close()


def save(response: Any, saving: Saving) -> Path:
    """Write the body of `response`, read by a blocking client, and return the path."""
    with request_context(response._request, response._journey):
        try:
            if saving.open(response):
                saving.report()
                for piece in response.iter_bytes():
                    saving.write(piece)
                    saving.report()
            saving.finish()
        finally:
            saving.close()
    return saving.path


async def asave(response: Any, saving: Saving) -> Path:
    """Write the body of `response`, read by an asynchronous client, and return the path.

    Files are opened, written and given their names in a thread.
    """
    with request_context(response._request, response._journey):
        try:
            if await in_thread(lambda: saving.open(response)):
                await _report(saving)
                held = bytearray()
                try:
                    async for piece in response.aiter_bytes():
                        held += piece
                        if len(held) >= ASYNC_SLICE:
                            await _write(saving, held)
                except BaseException:
                    saving.write(bytes(held))  # it is little, and the task may have been cancelled
                    raise
                if held:
                    await _write(saving, held)
            await in_thread(saving.finish)
        finally:
            saving.close()
    return saving.path


async def _write(saving: Saving, held: bytearray) -> None:
    piece = bytes(held)
    held.clear()
    await in_thread(lambda: saving.write(piece))
    await _report(saving)


async def _report(saving: Saving) -> None:
    result: Any = saving.report()
    if hasattr(result, "__await__"):
        await result


def strong_validator(response: Any) -> str:
    """Return an entity tag that is not weak, or a date that only one version can have (RFC 9110 s.8.8); else ""."""
    tag: str = response.headers.get("ETag", "").strip()
    if _STRONG_TAG.fullmatch(tag):
        return tag
    changed: str = response.headers.get("Last-Modified", "").strip()
    try:
        sent = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        earlier = email.utils.parsedate_to_datetime(changed)
        return changed if (sent - earlier).total_seconds() >= 1 and changed.isascii() else ""
    except (ValueError, TypeError):
        return ""


def _is_coded(response: Any) -> bool:
    return bool(response.headers.get("Content-Encoding", "identity").strip().lower() != "identity")


def _range_of(response: Any) -> tuple[int | None, int | None]:
    """Return the first position and the complete length that Content-Range tells; None for what it does not tell."""
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    if match is None:
        return None, None
    first, last, total = match.groups()
    if first is None:
        return None, None if total == "*" else int(total)
    return int(first), int(last) + 1 if total == "*" else int(total)


def _shown_range(response: Any) -> str:
    return f"Content-Range {response.headers.get('Content-Range', '')[:64]!r}"


def _checksum_of(checksum: str | None) -> tuple[str | None, str]:
    """Return the name and the expected digest in "sha256:2cf2..."."""
    if checksum is None:
        return None, ""
    if not isinstance(checksum, str):
        raise TypeError(f"expected text like 'sha256:<hexadecimal digits>' as checksum, got {checksum!r}")
    name, _, digest = checksum.partition(":")
    digest = digest.strip().lower()
    try:
        size = hashlib.new(name).digest_size if name else 0
    except ValueError:
        size = 0
    if not size or not re.fullmatch(f"[0-9a-f]{{{2 * size}}}", digest):
        raise ValueError(
            f"expected 'sha256:', or another algorithm, and a hexadecimal digest as checksum, got {checksum!r}"
        )
    return name, digest
