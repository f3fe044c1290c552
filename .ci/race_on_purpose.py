"""Two threads use one parser at once, which nothing but this does: ThreadSanitizer has to report it."""

from __future__ import annotations

import threading

from httpx_fast._kernel import http1_c

HEAD = b"HTTP/1.1 200 OK\r\nServer: a\r\n\r\n"
parser = http1_c.HeadParser()
start = threading.Barrier(2)


def work() -> None:
    start.wait()
    for _ in range(2000):
        try:
            parser.feed(HEAD, 0, len(HEAD))
            parser.reset()
        except Exception:  # noqa: BLE001  # the parser is out of its mind by then
            pass


threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
