"""An HTTP/1.1 server on this machine, in a thread of its own, with or without TLS.

For demonstrations and tests: it is plain, strict where a client could be wrong, and lets go of everything when its
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
    """A server at `url`; a context manager.

    `tls` is True (a certificate for localhost is made on the spot), False, or the certificate to show. `answer` gives
    the reply to a request, in the server's thread; an exception of it becomes a reply with status 500.
    """

    def __init__(self, *, tls: bool | Certificate = True, answer: Callable[[Request], Reply] = answer) -> None:
        super().__init__()
        self.certificate = Certificate() if tls is True else tls or None
        self._answer = answer
        self._context = self.certificate.server_context() if self.certificate else None

    @property
    def url(self) -> str:
        """The server's origin as a URL, without a path."""
        return f"{'https' if self.certificate else 'http'}://localhost:{self.port}"

    def client_context(self) -> ssl.SSLContext:
        """A context that trusts this server and no other. RuntimeError without TLS."""
        if self.certificate is None:
            raise RuntimeError("this server has no certificate: it was made with tls=False")
        return self.certificate.client_context()

    async def converse(self, connection: Connection) -> None:
        """Serves one connection to its end."""
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
        """One request and its reply; False when the connection is to be closed then."""
        request = await receive(connection, nth)
        if request is None:
            return False
        try:
            reply = self._answer(request)
        except Exception as error:  # noqa: BLE001 - whatever a test's function raises is to be seen by the test
            reply = text(500, f"{type(error).__name__}: {error}\n")
        return await send(connection, request, reply)
