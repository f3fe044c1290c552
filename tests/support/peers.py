"""Scripted peers: servers on loopback that do what a test says, for what no real server would do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable

PATIENCE = 30  # seconds; what takes longer hangs


class Dialogue:
    """One accepted connection, in the words of a script."""

    def __init__(self, connection: socket.socket, ended: threading.Event) -> None:
        self.connection = connection
        self._ended = ended
        connection.settimeout(PATIENCE)
        self._ahead = b""

    def read_request(self) -> bytes:
        """A request's head and the content that its Content-Length says; b"" where the client is gone."""
        head = self._read_until(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                return head + self._read_exactly(int(value))
        return head

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._ahead:
            received = self.connection.recv(65536)
            if not received:
                return b""
            self._ahead += received
        end = self._ahead.index(mark) + len(mark)
        found, self._ahead = self._ahead[:end], self._ahead[end:]
        return found

    def _read_exactly(self, count: int) -> bytes:
        while len(self._ahead) < count:
            received = self.connection.recv(65536)
            assert received, "the client left in the middle of its content"
            self._ahead += received
        found, self._ahead = self._ahead[:count], self._ahead[count:]
        return found

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def wait_for_close(self) -> bytes:
        """Everything that the client still sends until it closes."""
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := self.connection.recv(65536):
                received += piece
        return received

    def hold(self) -> None:
        """Keeps the connection open and reads nothing, until the peer is closed."""
        assert self._ended.wait(PATIENCE)

    def reset(self) -> None:
        """Closes with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()


Script = Callable[[Dialogue], object]


class Peer:
    """Accepts connections on `port`; the n-th one is the n-th script's, and all later ones are the last one's."""

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self._scripts = scripts
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.accepted = 0
        #: One for each accepted connection, set once it is closed from this side.
        self.closed: list[threading.Event] = []
        self._ended = threading.Event()
        self._failures: list[BaseException] = []
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="peer")]
        self._threads[0].start()

    def url(self, path: str = "/") -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}{path}"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:  # closed
                return
            script = self._scripts[min(self.accepted, len(self._scripts) - 1)]
            self.closed.append(threading.Event())
            self._open.append(connection)
            arguments = (script, connection, self.closed[self.accepted])
            self.accepted += 1
            thread = threading.Thread(target=self._follow, args=arguments, name="peer")
            self._threads.append(thread)
            thread.start()

    def _follow(self, script: Script, connection: socket.socket, closed: threading.Event) -> None:
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            script(Dialogue(connection, self._ended))
        except (ConnectionError, ssl.SSLError):
            pass  # the client may leave when it likes; what it makes of it is the test's matter
        except BaseException as error:
            self._failures.append(error)
        finally:
            connection.close()
            closed.set()

    def close(self) -> None:
        """Ends it all; raises what a script raised."""
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept()
        self._listener.close()
        self._threads[0].join(PATIENCE)
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # wakes recv()
        for thread in self._threads:
            thread.join(PATIENCE)
        for connection in self._open:
            connection.close()
        if self._failures:
            raise self._failures[0]


def answering(response: bytes, *more: bytes) -> Script:
    """Answers one request after the other with these bytes, then closes."""

    def script(dialogue: Dialogue) -> None:
        for each in (response, *more):
            if not dialogue.read_request():
                return
            dialogue.send(each)

    return script


def always(response: bytes) -> Script:
    """Answers every request with these bytes until the client closes."""

    def script(dialogue: Dialogue) -> None:
        while dialogue.read_request():
            dialogue.send(response)

    return script


def mute(dialogue: Dialogue) -> None:
    """Listens and says nothing."""
    dialogue.wait_for_close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
