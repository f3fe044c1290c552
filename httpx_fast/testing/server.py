"""Serve HTTP/1.1 on this machine, in a thread, with or without TLS.

For demonstrations and tests: it is simple, strict where a client could be wrong, and releases everything when its
`with` block ends.
"""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable

from .certificate import Certificate
from .connection import Connection, PeerClosed, TooLong
from .listening import Listening
from .messages import Malformed, receive, send
from .replies import Reply, Request, answer, text


class LocalServer(Listening):
    """Serve HTTP/1.1 at `url`, in a thread of its own. A context manager.

        with LocalServer(answer=lambda request: Reply(200, [], request.body)) as server:
            with httpx.Client(verify=server.client_context()) as client:
                assert client.post(server.url, content=b"echo").content == b"echo"

    `tls` is True (a new certificate for localhost is created), False, or the certificate to present. `answer` returns
    the reply to a request, in the server's thread; an exception of it becomes a reply with status 500. A request that
    cannot be read is answered with 400. RuntimeError if the server is started twice.
    """

    def __init__(self, *, tls: bool | Certificate = True, answer: Callable[[Request], Reply] = answer) -> None:
        super().__init__()
        self.certificate: Certificate | None = Certificate() if tls is True else tls or None
        self._answer = answer
        self._context = self.certificate.server_context() if self.certificate else None

    @property
    def url(self) -> str:
        """Return the server's origin as a URL, without a path."""
        return f"{'https' if self.certificate else 'http'}://localhost:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """Return a context that trusts this server and no other. RuntimeError without TLS."""
        if self.certificate is None:
            raise RuntimeError("this server has no certificate: it was made with tls=False")
        return self.certificate.client_context()

    async def converse(self, connection: Connection) -> None:
        """Serve one connection to its end."""
        try:
            if self._context is not None:
                await connection.start_tls(self._context)
            nth = 1
            while await self._exchange(connection, nth):
                nth += 1
        except (TooLong, Malformed) as error:
            with contextlib.suppress(OSError):
                await send(connection, None, text(400, f"{error}\n"))
        except (PeerClosed, OSError):  # a peer that goes away, or does not like the certificate, may
            pass
        finally:
            connection.close()

    async def _exchange(self, connection: Connection, nth: int) -> bool:
        """Answer one request; return whether the connection stays open."""
        request = await receive(connection, nth)
        if request is None:
            return False
        try:
            reply = self._answer(request)
        except Exception as error:  # noqa: BLE001 - whatever a test's function raises is to be seen by the test
            reply = text(500, f"{type(error).__name__}: {error}\n")
        return await send(connection, request, reply)
