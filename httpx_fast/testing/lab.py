"""Run a server that follows a script: real sockets on this machine, in a thread of its own.

    from httpx_fast.testing import FaultLab, Read, Repeat, Reset, Send, response

    with FaultLab() as lab:
        lab.serve([Read(), Send(response(bytes(100))[:60]), Reset()], [Repeat(Read(), Send(response(b"good")))])
        ...  # the first connection is reset within the body; all later ones get good responses
        assert lab.accepted == 2

`steps.py` has the steps of scripts, and `frames.py` the bytes that those of HTTP/2 send. Plain and TLS connections use
the same port; the step `Tls()` does the handshake. A peer can only end its own script; an exception of a script is
raised by `close()`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import socket
import ssl
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeAlias

from .certificate import Certificate
from .connection import Connection, PeerClosed
from .listening import Listening
from .replies import Request
from .steps import Dialogue, Gate, Read, Repeat, Send, Step, response

Script: TypeAlias = Sequence[Step]

_KNOCKS = 2  # connections; Linux lets one more wait than a backlog of 0 says, and drops the next


class FaultLab(Listening):
    """Run a scripted server on a free port of this machine, in a thread of its own. A context manager.

    Until `serve()` is called it answers every request with an empty 200:

        with FaultLab() as lab:
            lab.serve(Read(), Send(response(bytes(100))[:60]), Reset())
            with pytest.raises(httpx.ReadError):
                httpx.get(lab.url())
            assert lab.accepted == 1

    `sleep` is the clock of `Delay`: it is called with seconds and awaited in the lab's thread. `certificate` is what
    `Tls` presents, None for one that is created on first use. `port` is the port, `accepted` the number of connections
    so far.
    """

    def __init__(
        self,
        *,
        certificate: Certificate | None = None,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        super().__init__()
        #: The requests read so far, in the order of their completion; `Request.connection` and `.nth` count from 1.
        self.requests: list[Request] = []
        self._lines: dict[int, list[str]] = {}
        self._contexts: dict[tuple[str, ...], ssl.SSLContext] = {}
        self._certificate = certificate
        self._making = threading.Lock()  # the lab's thread and the user's may ask for the certificate at once
        self._sleep = sleep
        self._scripts: list[Script] = [(Repeat(Read(), Send(response())),)]
        self._gate = Gate()
        self._failures: list[BaseException] = []
        self._holes = contextlib.ExitStack()

    def serve(self, *scripts: Step | Script) -> None:
        """Set the script of later connections: one script, given as steps, or several scripts, one for each in turn.

        The last script is for all later connections. TypeError where steps and scripts are mixed.
        """
        if not scripts:
            raise TypeError("expected steps, or scripts, to serve")
        steps = [each for each in scripts if not isinstance(each, Sequence)]
        several = [each for each in scripts if isinstance(each, Sequence)]
        if steps and several:
            raise TypeError("expected either the steps of one script, or several scripts; these are both")
        # The lab's thread pops from it, so it is replaced by one assignment.
        self._scripts = several[::-1] if several else [steps]

    def url(self, path: str = "/") -> str:
        """Return the lab's URL without TLS."""
        return f"http://127.0.0.1:{self.port}{path}"

    def tls_url(self, path: str = "/") -> str:
        """Return the lab's URL with TLS; the script needs the step `Tls`. `client_context()` trusts the lab."""
        return f"https://127.0.0.1:{self.port}{path}"

    def frames(self, connection: int = 1) -> list[str]:
        """Return a line for each HTTP/2 frame that was read from a connection; connections count from 1.

        "HEADERS 1 end", "DATA 1 5 end", "SETTINGS ack", "SETTINGS enable_push=0", "RST_STREAM 1 CANCEL",
        "GOAWAY 0 NO_ERROR", "PING ack 0000000000000000", "WINDOW_UPDATE 0 65535"; stream 0 is the connection.
        """
        return list(self._lines.get(connection, ()))

    def black_hole(self) -> str:
        """Return the URL of a port that answers no attempt to connect: it listens, and its queue is full.

        Open until the lab is closed. NotImplementedError on systems other than Linux, which refuse then.
        """
        if sys.platform != "linux":
            raise NotImplementedError("a full queue answers nothing on Linux only")
        listener = self._holes.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(_KNOCKS):
            knocking = self._holes.enter_context(socket.socket())
            knocking.setblocking(False)
            knocking.connect_ex(listener.getsockname())
        return f"http://127.0.0.1:{listener.getsockname()[1]}/"

    def release(self, count: int | None = 1) -> None:
        """Let `count` waiting or later steps continue: a `Hold`, or one piece of a `Drip`; None for all, for ever.

        RuntimeError when the lab is not running.
        """
        if self._loop is None:
            raise RuntimeError("this lab was not started")
        self._loop.call_soon_threadsafe(self._gate.let, math.inf if count is None else count)

    @property
    def certificate(self) -> Certificate:
        """Return the certificate that TLS clients are shown, created on first use."""
        with self._making:
            if self._certificate is None:
                self._certificate = Certificate()
            return self._certificate

    def client_context(self, *protocols: str) -> ssl.SSLContext:
        """Return a context that trusts this lab and no other, and offers `protocols` by ALPN: "h2", "http/1.1"."""
        context = self.certificate.client_context()
        if protocols:
            context.set_alpn_protocols(protocols)
        return context

    def close(self) -> None:
        """End all scripts and connections; raise the first exception of a script, once. May be repeated."""
        super().close()
        self._holes.close()
        failures, self._failures = self._failures, []
        if failures:
            raise failures[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            # The exception of the block comes first; a failed script may be its cause.
            try:
                self.close()
            except Exception as failure:  # noqa: BLE001 - any script's
                error.add_note(f"a script of the lab failed: {type(failure).__name__}: {failure}")

    async def converse(self, connection: Connection) -> None:
        """Run the script of one connection to its end."""
        scripts = self._scripts
        script = scripts.pop() if len(scripts) > 1 else scripts[0]
        lines = self._lines[connection.number] = []
        dialogue = Dialogue(connection, self.requests, self._gate, self._sleep, self._server_context, lines)
        try:
            for step in script:
                await step.run(dialogue)
        except (PeerClosed, OSError):  # ssl.SSLError is one
            pass
        except Exception as error:  # noqa: BLE001 - whatever a user's step or function raises
            self._failures.append(error)
        finally:
            connection.close()

    def _server_context(self, protocols: tuple[str, ...]) -> ssl.SSLContext:
        """Return a TLS context that agrees to `protocols`; kept, since session tickets are valid for one context."""
        context = self._contexts.get(protocols)
        if context is None:
            context = self._contexts[protocols] = self.certificate.server_context()
            if protocols:
                context.set_alpn_protocols(list(protocols))
        return context
