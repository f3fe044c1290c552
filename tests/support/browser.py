"""A headless Chromium, driven over its DevTools protocol by our own WebSocket client."""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

import httpx_fast

PATIENCE = 60.0  # seconds; a busy machine takes its time to start a browser


class Page:
    """One page that is open in the browser."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command."""
        number = next(self._numbers)
        self._session.send_json({"id": number, "method": method, "params": parameters})
        while True:
            told = self._session.receive_json(timeout=PATIENCE)
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result
            self.events.append(told)

    def open(self, path: Path, width: int = 1200, height: int = 900) -> None:
        """Loads a file."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.visit(path.as_uri())

    def visit(self, url: str) -> None:
        """Loads a URL."""
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(self._session.receive_json(timeout=PATIENCE))

    def ask(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def run(self, code: str) -> Any:
        """What the body of an asynchronous function returns."""
        expression = f"(async () => {{ {code} }})()"
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def click(self, selector: str) -> None:
        """Clicks into the middle of the first element that matches, with the mouse."""
        self.ask(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{block: 'center'}})")
        x, y = self.ask(
            f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def errors(self) -> list[Any]:
        """What the page's scripts threw, and what it failed to load."""
        return [event for event in self.events if event["method"] == "Runtime.exceptionThrown"]


@contextmanager
def chromium() -> Iterator[Page]:
    """A page in a browser of its own; a skip where there is none, a failure where CI is set."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is not installed")
        pytest.skip("chromium is not installed")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        command = [found, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--remote-debugging-port=0", f"--user-data-dir={folder}", "--no-first-run", "about:blank"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert process.stderr is not None
            port = next(found[1] for line in process.stderr if (found := re.search(r"ws://[^:]+:(\d+)/", line)))
            with httpx_fast.Client(trust_env=False) as client:
                pages = client.get(f"http://127.0.0.1:{port}/json").json()
                url = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
                with client.websocket(url, max_message_size_bytes=64 * 1024 * 1024) as session:
                    yield Page(session)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
            process.wait(PATIENCE)
            assert process.stderr is not None
            process.stderr.close()
