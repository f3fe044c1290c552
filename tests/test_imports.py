"""What importing the package, and making a client, does not import: it is paid for at each start of each program."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: What no program has a use for that has sent nothing yet.
LATER = {
    "dataclasses", "inspect", "ast", "tokenize", "pickle", "ssl", "_ssl", "socket", "_socket", "select", "selectors",
    "ipaddress", "urllib.parse", "datetime", "base64", "httpx_fast._pool.pool", "httpx_fast._net.base",
    "httpx_fast._status_codes", "httpx_fast._pickling", "backports.zstd", "compression.zstd", "_zstd", "zstandard",
}  # fmt: skip

#: What a program that asks for JSON, blocking, over HTTP/1.1, has no use for.
UNWANTED = {
    "asyncio", "trio", "anyio", "certifi", "idna", "http.cookiejar", "http.client", "urllib.request", "email.message",
    "mimetypes", "tempfile", "rich", "click", "importlib.metadata", "hashlib", "httpx", "httpx2",
    "httpcore", "httpcore2",
}  # fmt: skip


def imported(program: str) -> set[str]:
    listing = f"import sys; before = set(sys.modules); {program}; print(*sorted(set(sys.modules) - before))"
    # Entries of NO_PROXY may be addresses.
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [sys.executable, "-c", listing]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("program", ["import httpx_fast", "import httpx_fast; httpx_fast.Client().close()"])
def test_a_start_imports_nothing_that_few_programs_need(program: str) -> None:
    found = imported(program)
    assert "httpx_fast._models" in found
    # CPython 3.14's own logging imports some of them, and from then on each class that is a NamedTuple does.
    alone = imported("import logging; from typing import NamedTuple; NamedTuple('Pair', [('first', 'int')])")
    assert found & (UNWANTED | LATER) <= alone


@pytest.mark.parametrize("program", ["httpx_fast.Timeout(5)", "httpx_fast.URL('http://user:p%40@a.test/b?c=d')"])
def test_plain_objects_import_nothing(program: str) -> None:
    assert imported(f"import httpx_fast; before = set(sys.modules); {program}") == set()


def test_http2_and_proxies_are_imported_by_who_uses_them() -> None:
    found = imported("import httpx_fast; httpx_fast.Client().close()")
    assert (
        found & {"httpx_fast._conn.http2", "httpx_fast._wire.h2", "httpx_fast._net.anyio", "httpx_fast._cli"} == set()
    )


@pytest.mark.parametrize(
    "name",
    [
        *("_types.AuthTypes", "_status_codes.codes", "_sse.EventSource", "_config.DEFAULT_TIMEOUT_CONFIG"),
        *("_transports.default.HTTPTransport", "_transports.asgi.ASGITransport", "_transports.wsgi.WSGITransport"),
        *("_client.UseClientDefault", "_client.AuthTypes", "_client.TimeoutTypes", "_client.DEFAULT_LIMITS"),
        *("_client.Timeout", "_client.Response", "_client.URL", "_models.HeaderTypes", "_models.CookieTypes"),
        *("_utils.get_environment_proxies", "_content.encode_request", "_exceptions.TransportError", "_urls.URL"),
    ],
)
def test_private_modules_of_httpx_are_attributes_as_they_are_there(name: str) -> None:
    imported(f"import httpx_fast; httpx_fast.{name}")


@pytest.mark.parametrize("name", ["_nothing", "_client.nothing", "_client.__path__.nothing", "_transports.nothing"])
def test_what_is_nowhere_is_no_attribute(name: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as caught:
        imported(f"import httpx_fast; httpx_fast.{name}")
    assert "has no attribute" in caught.value.stderr
