"""Nothing is imported once a request was sent: then the interpreter may shut down, or have no descriptor left."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from peers import always, answering

TESTS = Path(__file__).parent.parent


def response(body: bytes, *fields: str, status: str = "200 OK") -> bytes:
    lines = [f"HTTP/1.1 {status}", *fields, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def coded(coding: str, module: str) -> bytes:
    compress = pytest.importorskip(module, reason=f"{module} is not installed").compress
    return response(compress(HTML.encode()), "Content-Type: text/html", f"Content-Encoding: {coding}")


HTML = "<p>ä</p>"
LINES = "a\nä"
EXPIRES = "Expires=Wed, 21 Oct 2065 07:28:00 GMT; Path=/"
DIGEST = 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth", algorithm=SHA-256, opaque="o"'

#: Name, then what the program does, and what makes the response.
CASES = {
    "text": ("plain", lambda: response(HTML.encode(), "Content-Type: text/html; charset=utf-8")),
    "text without charset": ("plain", lambda: response(HTML.encode(), "Content-Type: text/html")),
    "windows-1252": ("plain", lambda: response(HTML.encode("cp1252"), "Content-Type: text/html; charset=cp1252")),
    "shift_jis": ("plain", lambda: response(b"\x93\xfa", "Content-Type: text/html; charset=shift_jis")),
    "utf-16": ("plain", lambda: response(b"a\0", "Content-Type: text/html; charset=utf-16")),
    "unknown charset": ("plain", lambda: response(b"a", "Content-Type: text/html; charset=unheard-of")),
    "link": ("plain", lambda: response(b"a", "Content-Type: text/html", "Link: </b>; rel=next")),
    "json": ("as_json", lambda: response('{"a": "ä"}'.encode(), "Content-Type: application/json")),
    "json in utf-16": ("as_json", lambda: response('{"a": "ä"}'.encode("utf-16"), "Content-Type: application/json")),
    "lines": ("lines", lambda: response(LINES.encode(), "Content-Type: text/plain")),
    "lines in iso-8859-15": (
        "lines",
        lambda: response(LINES.encode("iso-8859-15"), "Content-Type: text/plain; charset=iso-8859-15"),
    ),
    "gzip": (
        "plain",
        lambda: response(gzip.compress(HTML.encode() * 99), "Content-Type: text/html", "Content-Encoding: gzip"),
    ),
    "deflate": (
        "plain",
        lambda: response(zlib.compress(HTML.encode()), "Content-Type: text/html", "Content-Encoding: deflate"),
    ),
    "br": ("plain", lambda: coded("br", "brotli")),
    "zstd": ("plain", lambda: coded("zstd", "zstandard")),
    "broken gzip": ("fails", lambda: response(b"no gzip", "Content-Encoding: gzip")),
    "broken head": ("fails", lambda: b"HTTP/1.1 no\r\n\r\n"),
    "chunked": (
        "plain",
        lambda: b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
    ),
    "events": ("events", lambda: response(b"data: a\n\n", "Content-Type: text/event-stream")),
    "redirect": ("next_request", lambda: response(b"", "Location: /end", status="302 Found")),
    "cookie": ("cookie", lambda: response(b"", "Set-Cookie: b=1; Domain=example.org", f"Set-Cookie: a=1; {EXPIRES}")),
    "404": ("status", lambda: response(b"{}", status="404 Not Found")),
}  # fmt: skip


def to_an_international_name(dialogue):
    port = dialogue.connection.getsockname()[1]
    while dialogue.read_request():
        location = f"Location: http://bücher.test:{port}/".encode().decode("latin-1")
        dialogue.send(response(b"", location, status="302 Found"))


def test_a_response_imports_nothing(backend, peer, nginx, authority):
    cases = {name: (program, peer(always(make())).url(), "") for name, (program, make) in CASES.items()}
    moved = response(b"moved", "Location: /end", status="302 Found")
    cases["a redirect"] = ("redirect", peer(answering(moved, response(b"a"))).url(), "")
    cases["a redirect to an international name"] = ("far_redirect", peer(to_an_international_name).url(), "")
    cut = response(b"abc").replace(b"Length: 3", b"Length: 9")
    cases["a body that is cut"] = ("fails", peer(answering(cut)).url(), "")
    challenge = response(b"", DIGEST, status="401 Unauthorized")
    cases["digest"] = ("digest", peer(answering(challenge, response(b"welcome"))).url(), "")
    for path in ("/tiny", "/gzip.json"):
        cases[f"HTTP/2 {path}"] = ("plain", nginx.url(path, "http2"), str(authority.path))
    program = [sys.executable, str(TESTS / "support" / "no_imports.py"), backend.name, json.dumps(cases)]
    finished = subprocess.run(program, capture_output=True, text=True, timeout=60)
    assert finished.returncode == 0, finished.stderr
    assert json.loads(finished.stdout) == {name: [] for name in cases}
