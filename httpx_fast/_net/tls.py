"""Encrypt any stream by TLS: `ssl.SSLObject` between two `ssl.MemoryBIO`, for all backends and for TLS inside TLS.

A `TLSStream` is the sink of the stream below it and the stream of the sink above it. Rules:

- Everything that can be decrypted is pushed at once: nothing waits inside until it is asked for. Records without data
  (session tickets of TLS 1.3) are processed silently, also while idle.
- A context may be the user's and serve others at the same time, with other settings. The ALPN names of a handshake are
  set on it right before its SSL object is made, which copies them, both under one lock. Nothing else of it is changed.
- An end without close_notify is reported as not clean (RFC 8446 s.6.1), unless the context ignores it (OpenSSL's
  OP_IGNORE_UNEXPECTED_EOF). Renegotiation of TLS 1.2 is refused: HTTP does not need it.
- OpenSSL's objects allow one thread at a time: a lock is held for each call into them, and until their output is
  written, but never during a push: a sink may lock, and write, itself.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar, Protocol

from .._exceptions import ConnectError, ConnectTimeout, NetworkError, ReadError, TimeoutException, WriteError, retold
from .._trust_stores import OF_THE_USER, TrustStore, trust_store_of
from .base import DONE, NOBODY, SCRATCH_SIZE, Buffer, Sink, Stream, forget, lent_only
from .errors import closed_here, peer_closed, peer_name, reason
from .scratch import RECORD, scratch

#: Held from setting ALPN names on a context until its SSL object is made. One for all contexts: it is held for 50 us.
_making = threading.Lock()


def _renew_lock() -> None:
    """Replace the lock in the child of a fork: the thread that held it may not exist there."""
    global _making
    _making = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)

#: OpenSSL's codes for "the issuer is not among the authorities": no issuer, or it is its own.
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21})

_openssl: Any = None
with contextlib.suppress(ImportError):  # PyPy's ssl
    _openssl = import_module("_cffi_ssl._stdssl").lib

# Bytes encrypted, and fed to be decrypted, in one go. OpenSSL's buffers keep the size that they once grew to, a third
# above this each: with twice as much a connection that was once busy holds 60 KB more while it is idle, and a large
# body costs some 2 % less.
_SLICE = 32 * 1024
_SMALL = 16 * 1024  # bytes; buffers that fit one record together are joined: one record costs less than two
# Bytes below that a peer did not take when it makes us answer once more: one that asks for new keys (RFC 8446 s.4.6.3)
# again and again, and never reads.
MAX_ANSWERS = 256 * 1024
# How a handshake record begins; once the handshake is over TLS 1.3 shows none (RFC 8446 s.5.2).
_RENEGOTIATION = b"\x16"
# Not RECORD_LAYER_FAILURE: OpenSSL from 3.2 on reports it of a record that was forged or damaged in transit, too.
_NOT_TLS = {"WRONG_VERSION_NUMBER", "PACKET_LENGTH_TOO_LONG", "HTTP_REQUEST"}


async def handshake(
    inner: Stream,
    context: ssl.SSLContext,
    server_hostname: str | None,
    session: ssl.SSLSession | None,
    alpn: Sequence[str] | None = None,
) -> TLSStream:
    """Shake hands over `inner` under its armed deadline. Closes it when that fails or is cancelled."""
    try:
        stream = TLSStream(inner, context, server_hostname, session, alpn)
        await stream.shake_hands(trust_store_of(context))
    except BaseException:
        inner.close()
        raise
    return stream


class SetDeadline(Protocol):
    """Set the deadline of a stream: `Stream.set_deadline`."""

    def __call__(self, phase: str, at: float | None, budget: float | None) -> None: ...


class TLSStream(Stream):
    """Encrypt a stream, which it owns."""

    __slots__ = (
        "_address",
        "_closed",
        "_decrypt",
        "_encrypt",
        "_end",
        "_fault",
        "_incoming",
        "_inner",
        "_inner_clean",
        "_left_over",
        "_lends",
        "_lock",
        "_name",
        "_news",
        "_open",
        "_outgoing",
        "_settled",
        "_sink",
        "_tls",
        "_told",
        "_unsent",
        "set_deadline",
    )
    #: That of the stream below. It is called for each request: a method that calls it would double its cost.
    set_deadline: SetDeadline

    def __init__(
        self,
        inner: Stream,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None,
        alpn: Sequence[str] | None = None,
    ) -> None:
        if server_hostname:
            server_hostname = _name_in_certificates(server_hostname)
        self._inner = inner
        self.set_deadline = inner.set_deadline  # pyright: ignore[reportIncompatibleMethodOverride]
        self._address = address = inner.get_extra_info("server_addr")
        self._name = f"{server_hostname} at {peer_name(address)}" if server_hostname else peer_name(address)
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        if context.check_hostname and not server_hostname:
            # An SSLObject would shake hands all the same, and accept any certificate.
            raise ConnectError(f"TLS with {self._name} cannot begin: its host is to be checked, and has no name")
        try:
            with _making:
                if alpn is not None:
                    context.set_alpn_protocols(list(alpn))
                self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_hostname)
        except ValueError as error:  # a name that no certificate can have
            raise ConnectError(f"TLS with {self._name} cannot begin: {error}") from error
        if session is not None:
            try:
                self._tls.session = session
            except ValueError:  # of another context; only the full handshake is left
                pass
        # The methods of SSLObject only call those of the object inside, at half their cost.
        bare: Any = getattr(self._tls, "_sslobj", self._tls)
        self._decrypt = bare.read if _openssl is None else _afresh(bare.read)
        self._encrypt = bare.write if _openssl is None else _afresh(bare.write)
        self._left_over = bare.pending
        self._lock = threading.Lock()
        self._sink: Any = None
        self._lends = False  # the sink never gives a buffer
        self._open = False  # hands were shaken
        self._settled = False  # its first response was read
        self._news = False  # something came since the handshake was last tried
        self._closed = False
        self._end: bool | None = None  # whether the peer's end was clean, once there is one
        self._told = False  # the sink knows that
        self._inner_clean = True
        self._fault: Exception | None = None
        # Not even encrypted yet. None is nothing: an empty deque takes 760 bytes.
        self._unsent: deque[memoryview] | None = None

    @property
    def session(self) -> ssl.SSLSession | None:
        """Return the session for a later handshake to resume; with TLS 1.3 there is none before bytes were received."""
        with self._lock:
            return self._tls.session

    async def shake_hands(self, store: TrustStore = OF_THE_USER) -> None:
        """Perform the client's side of the handshake. Raises ConnectError, ConnectTimeout; the caller closes."""
        self._inner.attach(self)
        try:
            while not self._step():
                await self._hand_down_all()
                if not self._news:
                    await self._inner.receive()
            await self._hand_down_all()
        except WriteError as refused:
            raise ConnectError(
                f"TLS handshake with {self._name} failed: {await self._last_words(refused)}"
            ) from refused
        except ssl.SSLError as error:
            self._hand_down()  # the alert that says why
            raise ConnectError(f"TLS handshake with {self._name} failed: {_why(error, store)}") from error
        except ConnectTimeout as timeout:
            raise retold(timeout, f"{timeout}, in the TLS handshake with {self._name}") from None
        except NetworkError as error:
            raise ConnectError(f"TLS handshake with {self._name} failed: {error}") from error
        self._open = True

    def attach(self, sink: Sink) -> None:
        self._sink = sink
        self._lends = lent_only(sink)
        self._told = False
        if self._open and self._fault is None and (self._incoming.pending or self._incoming.eof):
            try:
                self._pump()
            except Exception as fault:  # noqa: BLE001  # the next receive() raises it
                self._fault = fault

    def write(self, *buffers: Buffer) -> Awaitable[None] | None:
        if len(buffers) == 1 and len(buffers[0]) <= _SLICE and not self._unsent:
            return self._write_slice(buffers[0])
        if sum(map(len, buffers)) <= _SMALL and not self._unsent:
            return self._write_slice(b"".join(buffers))
        if self._unsent is None:
            self._unsent = deque()
        for buffer in buffers:
            view = memoryview(buffer)
            self._unsent.extend(view[start : start + _SLICE] for start in range(0, len(view), _SLICE))
        unsent = self._write_on()
        if unsent is None:
            return None
        forget(unsent)  # a caller that does not wait for ours would leave it unawaited
        return self.flush(False)

    @property
    def unsent(self) -> int:
        unsent = self._inner.unsent
        return unsent + sum(map(len, self._unsent)) if self._unsent else unsent

    async def flush(self, reading: bool) -> None:
        while True:
            await self._inner.flush(reading)
            if reading and self._inner.unsent:
                return  # the sink has what it wants
            unsent = self._write_on()
            if unsent is None:
                return
            forget(unsent)

    def receive(self) -> Awaitable[None]:
        if self._fault is not None:
            raise self._fault
        if self._end is not None:
            if self._told:
                raise peer_closed(self._address)
            self._tell_end()
            return DONE
        return self._inner.receive()

    def poll_idle(self) -> None:
        self._inner.poll_idle()

    def free_buffers(self) -> None:
        self._settled = True
        self._free_write_buffer()
        self._inner.free_buffers()

    def gather(self, size: int) -> None:
        self._inner.gather(size)

    def set_hard_deadline(self, phase: str, at: float | None, budget: float | None) -> None:
        self._inner.set_hard_deadline(phase, at, budget)

    async def start_tls(
        self,
        context: ssl.SSLContext,
        server_hostname: str | None,
        session: ssl.SSLSession | None = None,
        alpn: Sequence[str] | None = None,
    ) -> TLSStream:
        return await handshake(self, context, server_hostname, session, alpn)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        if self._open:
            try:
                with self._lock:
                    self._tls.unwrap()
            except (OSError, ValueError):  # it would wait for the peer's close_notify; ours is in the outgoing buffer
                pass
            self._hand_down()
        self._inner.close()
        self._sink = NOBODY

    def get_extra_info(self, name: str) -> Any:
        if name == "ssl_object":
            return self._tls
        return self.session if name == "tls_session" else self._inner.get_extra_info(name)

    # The sink of the stream below.

    @property
    def pending(self) -> int:
        sink = self._sink
        return 0 if sink is None else sink.pending

    lent_only: ClassVar[bool] = True

    def get_buffer(self) -> None:
        """Return None: nothing can be read straight into a MemoryBIO."""

    def buffer_updated(self, nbytes: int) -> bool:
        raise RuntimeError("no buffer was given")

    def data_received(self, data: memoryview) -> bool:
        if len(data) <= _SLICE:
            self._incoming.write(data)
            return self._pump()
        done = False
        for start in range(0, len(data), _SLICE):
            self._incoming.write(data[start : start + _SLICE])
            done = self._pump() or done
        return done

    def eof_received(self, clean: bool) -> bool:
        self._inner_clean = clean
        self._incoming.write_eof()
        return self._pump()

    # Inside.

    def _step(self) -> bool:
        """Continue the handshake; return whether it is over."""
        self._news = False
        with self._lock:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return False
        return True

    async def _last_words(self, refused: WriteError) -> str:
        """Return the alert that the peer sent before it refused our part of the handshake, or else the refusal."""
        try:
            while True:
                try:
                    with self._lock:
                        self._tls.read(1)  # goes on with the handshake, too
                    break
                except ssl.SSLWantReadError:
                    self._news = False
                    await self._inner.receive()
        except ssl.SSLError as error:
            return str(refused) if isinstance(error, ssl.SSLEOFError) else _why(error)
        except (NetworkError, TimeoutException):
            pass
        return str(refused)

    def _pump(self) -> bool:
        """Decrypt what has arrived and push it; return whether the sink has what is waited for."""
        sink = self._sink
        if sink is None or self._end is not None:
            self._news = True
            return True  # the handshake looks for itself; and after the end nothing counts
        done = False
        more: object = True
        while more and not self._closed:
            buffer = None if self._lends else sink.get_buffer()
            view = scratch.plain if buffer is None else buffer
            size, count = -1, 0
            failure: ssl.SSLError | None = None
            try:
                with self._lock:
                    size = count = self._decrypt(SCRATCH_SIZE, view)
                    # A record fits `plain`: of one nothing is left over.
                    more = self._incoming.pending or (buffer is not None and self._left_over())
                    # Records that came together are pushed together: a push costs HTTP/2 more than a record does.
                    while more and size and buffer is None and count <= RECORD:
                        size = -1
                        size = self._decrypt(RECORD, view[count:])
                        count += size
                        more = self._incoming.pending
            except ssl.SSLWantReadError:
                more = False
            except ssl.SSLError as error:
                failure = error
            if count and (sink.data_received(view[:count]) if buffer is None else sink.buffer_updated(count)):
                done = True
            if failure is not None:
                return self._read_failed(failure) or done
            if size < 0 and not count and not self._settled and self._open:
                self._free_write_buffer()  # it was a ticket, or a part of the first response
            if not size:
                return self._ended(self._inner_clean)
        if self._outgoing.pending and not self._closed:
            self._answer()
        return done

    def _ended(self, clean: bool) -> bool:
        self._end = clean
        self._tell_end()
        return True

    def _tell_end(self) -> None:
        self._told = True
        if not self._sink.eof_received(self._end):
            raise peer_closed(self._address)

    def _read_failed(self, error: ssl.SSLError) -> bool:
        if isinstance(error, ssl.SSLEOFError):
            return self._ended(False)
        if isinstance(error, ssl.SSLZeroReturnError):
            return self._ended(self._inner_clean)
        self._hand_down()  # the alert that says why
        raise self._failed(f"TLS with {self._name} failed while it was read: {_why(error)}") from error

    def _failed(self, why: str) -> ReadError:
        """Return the error to raise now, and for the next `receive()`; a sink that never calls that is told."""
        fault = ReadError(why)
        fault.from_tls = True
        self._tell_fault(fault)
        return fault

    def _tell_fault(self, fault: NetworkError) -> None:
        self._fault = fault
        tell = getattr(self._sink, "fault_received", None)
        if tell is not None:
            tell(fault)

    def fault_received(self, error: NetworkError) -> None:
        """Pass on that the TLS around this one has failed."""
        self._tell_fault(error)

    def _answer(self) -> None:
        """Send what reading produced (an answer to a certificate request). Raises ReadError for a new handshake."""
        with self._lock:
            made = self._outgoing.read()
            if self._inner.unsent > MAX_ANSWERS:
                self._fault = ReadError(f"{self._name} makes TLS answers wait and does not read them")
                raise self._fault
            if made[:1] != _RENEGOTIATION:
                try:
                    self._inner.post(made)
                except NetworkError:  # the next read or write raises it
                    pass
                return
        raise self._failed(f"{self._name} asked to renegotiate TLS, which is refused")

    def _free_write_buffer(self) -> None:
        """Free the 16 KB that OpenSSL before 3.2 allocates for writing when it reads a ticket of TLS 1.3.

        It does so itself at the end of the next write. One of no bytes sends nothing.
        """
        if _openssl is None and not self._closed:
            try:
                with self._lock:
                    self._encrypt(b"")
            except OSError:  # it has ended: the next read or write says so
                return

    def _write_slice(self, data: Buffer) -> Awaitable[None] | None:
        try:
            with self._lock:
                count = self._encrypt(data)
                while count < len(data):
                    count += self._encrypt(memoryview(data)[count:])
                return self._inner.write(self._outgoing.read())
        except ssl.SSLError as error:
            if self._fault is not None and not self._closed:
                raise WriteError(str(self._fault)) from self._fault
            why = closed_here(self._address, "while it was written to") if self._closed else _why(error)
            raise WriteError(f"TLS with {self._name} failed while it was written to: {why}") from error

    def _write_on(self) -> Awaitable[None] | None:
        """Encrypt and write until the socket is full; return what to await then."""
        unsent = None
        while self._unsent and unsent is None:
            unsent = self._write_slice(self._unsent.popleft())
        return unsent

    async def _hand_down_all(self) -> None:
        made = self._outgoing.read()
        unsent = self._inner.write(made) if made else None
        if unsent is not None:
            await unsent

    def _hand_down(self) -> None:
        """Write the last bytes, as far as the socket takes them."""
        try:
            with self._lock:
                self._inner.post(self._outgoing.read())
        except NetworkError:  # there is worse going on
            return


def _name_in_certificates(host: str) -> str:
    """Return a host as SNI and certificates have it: no final dot (RFC 6066 s.3), no zone of an address."""
    if ":" in host:
        return host.partition("%")[0]
    return host[:-1] if host.endswith(".") and host != "." else host


def _afresh(call: Callable[..., int]) -> Callable[..., int]:
    """Wrap `call` so that OpenSSL's errors are forgotten first.

    They are kept by thread, and have to be forgotten before a connection is read or written. CPython does that; on
    PyPy a certificate that was refused once would fail every connection that waits afterwards.
    """
    assert _openssl is not None
    forget_errors = _openssl.ERR_clear_error

    def afresh(*arguments: Any) -> int:
        forget_errors()
        return call(*arguments)

    return afresh


def _why(error: ssl.SSLError, store: TrustStore = OF_THE_USER) -> str:
    """Return the certificate's fault, or OpenSSL's words without its line numbers."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate is not accepted: {error.verify_message or reason(error)}"
        if error.verify_code not in _UNKNOWN_AUTHORITY:
            return text
        return f"{text} (trusted: {store.name}{store.advice})"
    if isinstance(error, ssl.SSLEOFError):
        return "the peer closed the connection"
    if error.reason in _NOT_TLS:
        return f"what it says is not TLS ({error.reason})"
    return error.reason.replace("_", " ").lower() if error.reason else reason(error)
