"""Writes bodies to files, by `_models/saving`: what there is here are the command's messages, and devices.

An error leaves the file that was there as it was. What had arrived is kept beside it, as `FILE.part`, if a server can
go on from there, which `--resume` asks it to do.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from .._exceptions import DownloadError
from .._models import Response
from .._models.saving import Saving, StalePart
from .usage import UsageError


def remote_name(url_path: str) -> str:
    """Return the last segment of a URL's path, as it stands there. Raises UsageError where there is none."""
    name = url_path.rpartition("/")[2]
    if name in ("", ".", ".."):
        raise UsageError("-O: the URL names no file", "-o FILE", 23)
    return name


class Download:
    """One file to be written: `request_fields`, `begin`, `write` as often as needed, then `finish` or `abandon`."""

    def __init__(self, path: str, url: str, *, resume: bool, only_success: bool) -> None:
        self._shown = path
        self._only_success = only_success or resume
        self._target = Path(os.path.realpath(path))
        self._device: BinaryIO | None = None
        self._device_size = 0
        self._begun = False
        # A device, a pipe or the like is written to directly: to replace it would be wrong.
        direct = self._target.exists() and not self._target.is_file() and not self._target.is_dir()
        self._saving = None if direct else Saving(path, url, resume=resume, keep=True, any_response=True)

    @property
    def request_fields(self) -> list[tuple[str, str]]:
        """Return fields that ask for what is missing."""
        fields = {} if self._saving is None else self._saving.fields
        return [(name, value) for name, value in fields.items() if name != "Accept-Encoding"]

    def begin(self, response: Response) -> str | None:
        """Prepare the file for the body of `response`; return the reason if there is nothing to write, else None."""
        status, saving = response.status_code, self._saving
        complete = saving is not None and saving.kept and status == 416
        if self._only_success and not response.is_success and not complete:
            return f"<status {status}: nothing is saved, {self._state()}>"
        if saving is None:
            self._device = self._target.open("wb")
            return None
        self._begun = True
        try:
            if saving.open(response):
                return None
            saving.finish()
        except StalePart as error:
            raise UsageError(str(error), "it is removed: the same command begins anew", 33) from error
        except DownloadError as error:
            raise UsageError(str(error), "nothing was changed", 33) from error
        return f"<{saving.done} bytes were there already, and are all: saved to {self._shown}>"

    def write(self, piece: bytes) -> None:
        if self._saving is not None:
            self._saving.write(piece)
        else:
            assert self._device is not None, "begin() was not called"
            self._device.write(piece)
            self._device_size += len(piece)

    def finish(self) -> str:
        """Give the file its final name; return the message to show."""
        saving = self._saving
        if saving is None:
            assert self._device is not None, "begin() was not called"
            self._device.close()
            return f"<{self._device_size} bytes saved to {self._shown}>"
        saving.finish()
        more = f", the first {saving.resumed} of them from before" if saving.resumed else ""
        return f"<{saving.done} bytes saved to {self._shown}{more}>"

    def abandon(self) -> str | None:
        """Keep what was received before an error; return the message to show."""
        saving = self._saving
        if saving is None or not self._begun:
            if self._device is not None:
                with contextlib.suppress(OSError):
                    self._device.close()
            return None
        saving.close()
        if not saving.part.exists():
            return f"<{self._shown} was not written, {self._state()}>"
        size = saving.part.stat().st_size
        return f"<{size} bytes kept in {self._shown}.part, {self._state()}; --resume goes on from there>"

    def _state(self) -> str:
        return f"{self._shown} is as it was" if self._target.exists() else f"there is no {self._shown}"
