"""`httpx-fast --explain` shows what would be sent, and sends nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "all_proxy", "no_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://user:hunter2@proxy.test:3128")


def test_it_prints_where_everything_comes_from(run: Any) -> None:
    done = run("--explain", "-u", "me:hunter2", "-H", "X-Own: 1", "https://a.test/x?token=hunter2", "name=value")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "POST https://a.test/x?token=[secure]"
    assert "  field      x-own: 1  (from the request)" in lines
    assert "  field      authorization: [secure]  (from auth)" in lines
    assert "  transport  HTTPTransport, by the pattern https:// of HTTPS_PROXY" in lines
    assert "  proxy      http://proxy.test:3128, through a tunnel" in lines
    assert "  connection a new one is made" in lines
    assert "hunter2" not in done.out + done.err


def test_it_prints_json(run: Any) -> None:
    done = run("--explain", "--json", "https://a.test/x")
    told = json.loads(done.out)
    assert (done.code, told["method"], told["connection"]) == (0, "GET", "connect")
    assert told["mount_source"] == "HTTPS_PROXY"
    assert told["route"] == {"origin": "https://a.test", "server_name": None, "forward": False}


def test_what_could_not_be_sent_is_told(run: Any) -> None:
    done = run("--explain", "ftp://a.test/")
    assert done.code == 0
    assert "fails      UnsupportedProtocol: the URL 'ftp://a.test/' has scheme 'ftp'" in done.out
