"""What importing the package, and making a client, does not import: it is paid for at each start of each program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: What a program that asks for JSON, blocking, over HTTP/1.1, has no use for.
UNWANTED = {
    "asyncio", "trio", "anyio", "certifi", "idna", "http.cookiejar", "http.client", "urllib.request", "email.message",
    "mimetypes", "tempfile", "rich", "click", "importlib.metadata", "hashlib", "httpx", "httpx2",
    "httpcore", "httpcore2",
}  # fmt: skip


def imported(program: str) -> set[str]:
    listing = f"import sys; before = set(sys.modules); {program}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("program", ["import httpx_fast", "import httpx_fast; httpx_fast.Client().close()"])
def test_a_start_imports_nothing_that_few_programs_need(program: str) -> None:
    found = imported(program)
    assert "httpx_fast._models" in found
    assert found & UNWANTED == set()


def test_http2_and_proxies_are_imported_by_who_uses_them() -> None:
    found = imported("import httpx_fast; httpx_fast.Client().close()")
    assert (
        found & {"httpx_fast._conn.http2", "httpx_fast._wire.h2", "httpx_fast._net.anyio", "httpx_fast._cli"} == set()
    )
