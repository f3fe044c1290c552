"""nginx for measurements: in a folder of its own, with a certificate."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "support"))

from certificates import Authority
from loads import apart
from servers import Nginx

__all__ = ["Nginx", "running_nginx"]

N = TypeVar("N", bound=Nginx)


@contextlib.contextmanager
def running_nginx(kind: type[N], pinned: bool = True) -> Iterator[N]:
    """Start an nginx of this kind and end it with the block; `nginx.authority` is who signed its certificate.

    `pinned` keeps it on a processor of its own, where the client does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # nginx's workers may be somebody else
        with kind(Path(folder), Authority(Path(folder)), apart() if pinned else []) as nginx:
            yield nginx
