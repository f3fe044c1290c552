"""Download a URL to a file with a client of either kind: ask for what is missing, and begin anew if that is no use."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .._models import Headers
from .._models.headers import HeaderTypes
from .._models.saving import Progress, Saving, StalePart, asave, save

_OWN = ("Range", "If-Range")


class _Download:
    """Hold the arguments of one `download()`."""

    def __init__(
        self,
        client: Any,
        url: Any,
        path: str | os.PathLike[str],
        headers: HeaderTypes | None,
        resume: bool,
        progress: Progress | None,
        checksum: str | None,
        arguments: dict[str, Any],
    ) -> None:
        self._headers = Headers(headers)
        for name in _OWN:
            if name in self._headers:
                raise ValueError(f"{name} is in headers; download() sets it itself, if resume=True and a part is there")
        request = client.build_request("GET", url, params=arguments.get("params"))
        self._url = str(request.url)  # as it was asked for: where redirects lead may differ each time
        self._options = {"resume": resume, "progress": progress, "checksum": checksum}
        self._path = path
        self._client = client
        self._target = url
        self._arguments = arguments

    def saving(self) -> Saving:
        return Saving(self._path, self._url, **self._options)  # type: ignore[arg-type]

    def request(self, saving: Saving) -> Any:
        """Return the context of the streamed response to a request for what is missing."""
        headers = Headers(saving.fields)
        headers.update(self._headers)
        return self._client.stream("GET", self._target, headers=headers, **self._arguments)


def download(*arguments: Any) -> Path:
    """Download with a `Client`; the arguments are those of `_Download`."""
    task = _Download(*arguments)
    saving = task.saving()
    try:
        with task.request(saving) as response:
            return save(response, saving)
    except StalePart:
        saving = task.saving()  # which finds no part any more
    with task.request(saving) as response:
        return save(response, saving)


async def adownload(*arguments: Any) -> Path:
    """Download with an `AsyncClient`; the arguments are those of `_Download`."""
    task = _Download(*arguments)
    saving = task.saving()
    try:
        async with task.request(saving) as response:
            return await asave(response, saving)
    except StalePart:
        saving = task.saving()  # which finds no part any more
    async with task.request(saving) as response:
        return await asave(response, saving)
