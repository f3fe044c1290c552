"""A server for runs of many requests: counts them, and can hold those after a number until it is told to go on."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Crawled(ThreadingHTTPServer):
    daemon_threads = False  # they are waited for
    request_queue_size = 200

    def __init__(self, hold_after: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hold_after = hold_after
        self.go_on = threading.Event()
        self.holds = threading.Event()
        self.lock = threading.Lock()
        self.begun: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        self.most = 0  # requests at once
        self._at_once = 0
        self.connections: set[socket.socket] = set()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}{path}"

    def urls(self, count: int) -> list[str]:
        return [self.url(f"/{number}") for number in range(count)]

    def pass_gate(self, path: str) -> None:
        with self.lock:
            self.begun[path] += 1
            self._at_once += 1
            self.most = max(self.most, self._at_once)
            held = self.hold_after is not None and sum(self.begun.values()) > self.hold_after
        if held:
            self.holds.set()
            self.go_on.wait(60)
        with self.lock:
            self._at_once -= 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.go_on.set()
        self.shutdown()
        self._thread.join()
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that were killed."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Crawled

    def setup(self) -> None:
        super().setup()
        with self.server.lock:
            self.server.connections.add(self.connection)

    def finish(self) -> None:
        with self.server.lock:
            self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self.server.pass_gate(self.path)
        body = f"page {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        with self.server.lock:
            self.server.answered[self.path] += 1

    def log_message(self, format: str, *args: object) -> None:
        pass
