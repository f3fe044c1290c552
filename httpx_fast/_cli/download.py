"""Writes bodies to files: under a temporary name first, and under the real one once they are whole.

An error leaves the file that was there as it was. What had arrived is kept beside it, as `FILE.part`, if a server can
go on from there: it sent a strong validator, and the content is not coded. `FILE.part.json` holds that validator, by
which `--resume` asks (Range, If-Range) and the server says whether the content is still the same.
"""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import json
import os
import re
import secrets
from pathlib import Path
from typing import Any, BinaryIO

from .._models import Response
from .usage import UsageError

_LONGEST = 64  # characters of a name that its temporary name repeats: names have limits


def remote_name(url_path: str) -> str:
    """Return the last segment of a URL's path, as it stands there. Raises UsageError where there is none."""
    name = url_path.rpartition("/")[2]
    if name in ("", ".", ".."):
        raise UsageError("-O: the URL names no file", "-o FILE", 23)
    return name


class Download:
    """One file to be written: `request_fields`, `begin`, `write` as often as needed, then `finish` or `abandon`."""

    def __init__(self, path: str, url: str, *, resume: bool, only_success: bool) -> None:
        self._path = Path(os.path.realpath(path))  # the file behind a symbolic link is replaced, not the link
        self._shown = path
        self._url = hashlib.sha256(url.encode("utf-8", "surrogateescape")).hexdigest()  # it may hold secrets
        self._only_success = only_success or resume
        self._part = Path(f"{self._path}.part")
        self._facts_file = Path(f"{self._path}.part.json")
        self._temporary: Path | None = None
        self._file: BinaryIO | None = None
        self._facts: dict[str, Any] | None = None
        self._kept, self._validator = self._look_for_part() if resume else (0, "")
        self.size = 0  # bytes in the file so far
        self._resumed = False
        # A device, a pipe or the like is written to directly: to replace it would be wrong.
        self._direct = self._path.exists() and not self._path.is_file()

    @property
    def request_fields(self) -> list[tuple[str, str]]:
        """Return fields that ask for what is missing."""
        if not self._kept:
            return []
        return [("Range", f"bytes={self._kept}-"), ("If-Range", self._validator)]

    def _look_for_part(self) -> tuple[int, str]:
        """Return size and validator of what an earlier download of this URL has left."""
        try:
            facts = json.loads(self._facts_file.read_bytes())
            size = self._part.stat().st_size
        except (OSError, ValueError):
            return 0, ""
        if not isinstance(facts, dict):
            return 0, ""
        told: dict[str, Any] = {"url": "", "size": 0, "validator": "", **facts}
        if told["url"] != self._url or told["size"] != size or not told["validator"]:
            return 0, ""
        return size, str(told["validator"])

    def begin(self, response: Response) -> str | None:
        """Prepare the file for the body of `response`; return the reason if there is nothing to write, else None."""
        status = response.status_code
        if self._kept and status == 416:
            return self._complete_or_stale(response)
        if self._only_success and not response.is_success:
            return f"<status {status}: nothing is saved, {self._state()}>"
        if self._direct:
            self._file = self._path.open("wb")
            return None
        self._facts = self._facts_of(response)
        self._temporary = self._path.with_name(f".{self._path.name[:_LONGEST]}.{secrets.token_hex(4)}.part")
        if self._kept and status == 206:
            _check_range(response, self._kept)
            os.replace(self._part, self._temporary)
            self._facts_file.unlink(missing_ok=True)
            self._file = self._temporary.open("ab")
            self.size = self._kept
            self._resumed = True
        else:
            self._file = self._temporary.open("xb")
        return None

    def _complete_or_stale(self, response: Response) -> str:
        """Check a kept part that the server has nothing beyond: is it all of the content, or something else."""
        if response.headers.get("Content-Range", "") == f"bytes */{self._kept}":
            os.replace(self._part, self._path)
            self._facts_file.unlink(missing_ok=True)
            return f"<{self._kept} bytes were there already, and are all: saved to {self._shown}>"
        raise UsageError(
            f"the server has nothing beyond the {self._kept} bytes in {self._part.name}",
            f"delete {self._part.name} to begin anew",
            33,
        )

    def _facts_of(self, response: Response) -> dict[str, Any] | None:
        """Return what a later `--resume` has to know; None where the server gives it nothing to go by."""
        headers = response.headers
        validator = _strong_validator(response)
        if not validator or response.status_code not in (200, 206) or "Content-Encoding" in headers:
            return None
        if (response.status_code == 206 and not self._kept) or headers.get("Accept-Ranges", "").lower() == "none":
            return None  # a part that was asked for by hand is no beginning
        return {"url": self._url, "validator": validator}

    def write(self, piece: bytes) -> None:
        assert self._file is not None, "begin() was not called"
        self._file.write(piece)
        self._file.flush()  # what came is there, whatever ends this process
        self.size += len(piece)

    def finish(self) -> str:
        """Give the file its final name; return the message to show."""
        assert self._file is not None, "begin() was not called"
        self._file.close()
        if self._temporary is not None:
            with contextlib.suppress(OSError):
                os.chmod(self._temporary, self._path.stat().st_mode & 0o7777)
            os.replace(self._temporary, self._path)
            if not self._resumed:
                # What an earlier try has left is not needed any more.
                self._part.unlink(missing_ok=True) if self._facts_file.exists() else None
                self._facts_file.unlink(missing_ok=True)
        more = f", the first {self._kept} of them from before" if self._resumed else ""
        return f"<{self.size} bytes saved to {self._shown}{more}>"

    def abandon(self) -> str | None:
        """Keep what was received before an error; return the message to show."""
        if self._file is None:
            return None
        with contextlib.suppress(OSError):
            self._file.close()
        if self._temporary is None:
            return None
        if self._facts is None or not self.size:
            self._temporary.unlink(missing_ok=True)
            return f"<{self._shown} was not written, {self._state()}>"
        os.replace(self._temporary, self._part)
        self._facts_file.write_text(json.dumps(self._facts | {"size": self.size}), encoding="ascii")
        return f"<{self.size} bytes kept in {self._shown}.part, {self._state()}; --resume goes on from there>"

    def _state(self) -> str:
        return f"{self._shown} is as it was" if self._path.exists() else f"there is no {self._shown}"


def _strong_validator(response: Response) -> str:
    """Return an entity tag that is not weak, or a date of change that only one version can have (RFC 9110 s.8.8)."""
    tag = response.headers.get("ETag", "").strip()
    if re.fullmatch(r'"[\x21\x23-\x7e]*"', tag):
        return tag
    changed = response.headers.get("Last-Modified", "").strip()
    try:
        sent = email.utils.parsedate_to_datetime(response.headers.get("Date", ""))
        earlier = email.utils.parsedate_to_datetime(changed)
        return changed if (sent - earlier).total_seconds() >= 1 and changed.isascii() else ""
    except (ValueError, TypeError):
        return ""


def _check_range(response: Response, start: int) -> None:
    told = response.headers.get("Content-Range", "")
    if not re.match(rf"bytes {start}-\d", told):
        raise UsageError(
            f"asked for the bytes from {start} on, the server sent {told[:64]!r}", "nothing was changed", 33
        )
