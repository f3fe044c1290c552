"""Leave pages out of the navigation that are not written yet."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def on_config(config: Any) -> Any:
    config.nav = kept(config.nav, Path(config.docs_dir))
    return config


def kept(entries: list[Any], folder: Path) -> list[Any]:
    found = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            if below := kept(target, folder):
                found.append({title: below})
        elif (folder / target).exists():
            found.append(entry)
    return found
