"""Create a certificate for a server on this machine, with the standard library only.

`ssl` can use certificates, not make them, and neither an openssl program nor a library for it is everywhere. So this
makes what a local server needs and no more: a fresh ECDSA key on P-256 and a self-signed X.509 v3 certificate that is
its own authority (RFC 5280; it passes OpenSSL's VERIFY_X509_STRICT, which is on by default since Python 3.13).

The arithmetic takes its time by the key's bits, so it is for keys that are thrown away after use on the loopback
interface, and for nothing else. DER is written from the inside out: every function returns finished bytes.
"""

from __future__ import annotations

import base64
import hashlib
import ipaddress
import secrets
import ssl
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
VALID_FOR = timedelta(days=1)
CLOCK_SKEW = timedelta(hours=1)  # containers and their hosts disagree about the time

# The curve P-256: y^2 = x^3 - 3x + b over the field of P elements, base point G of order N (FIPS 186-4 D.1.2.3). b is
# not needed for adding points.
_P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Point: TypeAlias = tuple[int, int] | None  # None is the point at infinity


class Certificate:
    """Create a self-signed certificate for `names` (host names and IP addresses) and its private key.

    Valid from `not_before` until `not_after`, by default for a day.
    """

    def __init__(
        self,
        names: Iterable[str] = LOCAL_NAMES,
        *,
        not_before: datetime | None = None,
        not_after: datetime | None = None,
    ) -> None:
        now = datetime.now(UTC)
        self.names: tuple[str, ...] = tuple(names)
        self.not_before: datetime = not_before or now - CLOCK_SKEW
        self.not_after: datetime = not_after or now + VALID_FOR
        secret = secrets.randbelow(_N - 1) + 1
        public = _bytes_of(_times(secret, _G))
        self.der: bytes = _certificate(self, public, secret)
        self.pem: str = ssl.DER_cert_to_PEM_cert(self.der)
        self.key_pem: str = _key_pem(secret, public)

    def server_context(self) -> ssl.SSLContext:
        """Return a new context for a server that presents this certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # `ssl` reads keys from files only; nobody else can look into this folder, and it is gone at once.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "server.pem")
            file.write_text(self.key_pem + self.pem, encoding="ascii")
            context.load_cert_chain(file)
        return context

    def client_context(self) -> ssl.SSLContext:
        """Return a new context for a client that trusts this certificate and no other."""
        return ssl.create_default_context(cadata=self.pem)


def _add(left: _Point, right: _Point) -> _Point:
    """Add two points of the curve (SEC 1 s.2.2.1)."""
    if left is None:
        return right
    if right is None:
        return left
    if left[0] != right[0]:
        slope = (right[1] - left[1]) * pow(right[0] - left[0], -1, _P)
    elif left[1] == right[1]:
        slope = (3 * left[0] * left[0] - 3) * pow(2 * left[1], -1, _P)
    else:
        return None
    x = (slope * slope - left[0] - right[0]) % _P
    return x, (slope * (left[0] - x) - left[1]) % _P


def _times(factor: int, point: _Point) -> tuple[int, int]:
    """Multiply a point; `factor` is between 1 and the curve's order, so the result is never the point at infinity."""
    product: _Point = None
    while factor:
        if factor & 1:
            product = _add(product, point)
        point = _add(point, point)
        factor >>= 1
    assert product is not None
    return product


def _bytes_of(point: tuple[int, int]) -> bytes:
    """Return a point in its uncompressed form (SEC 1 s.2.3.3)."""
    return b"\x04" + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def _signature(secret: int, message: bytes) -> bytes:
    """Sign with ecdsa-with-SHA256 (SEC 1 s.4.1.3); r or s is zero with a probability of 2^-256."""
    once = secrets.randbelow(_N - 1) + 1
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    r = _times(once, _G)[0] % _N
    s = pow(once, -1, _N) * (digest + r * secret) % _N
    return _sequence(_integer(r), _integer(s))


def _der(tag: int, *contents: bytes) -> bytes:
    """Return one element: tag, length, contents (X.690 s.8.1)."""
    content = b"".join(contents)
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    data = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(data))) + data + content


def _sequence(*contents: bytes) -> bytes:
    return _der(0x30, *contents)


def _integer(number: int) -> bytes:
    """Return a non-negative number; a leading zero bit keeps it positive (X.690 s.8.3)."""
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def _bits(data: bytes, unused: int = 0) -> bytes:
    return _der(0x03, bytes((unused,)), data)


def _oid(dotted: str) -> bytes:
    """Return an object identifier, its arcs in base 128 (X.690 s.8.19)."""
    first, second, *rest = map(int, dotted.split("."))
    content = bytes((40 * first + second,))
    for arc in rest:
        digits = [arc & 0x7F]
        while arc := arc >> 7:
            digits.append(0x80 | arc & 0x7F)
        content += bytes(reversed(digits))
    return _der(0x06, content)


def _time(moment: datetime) -> bytes:
    """Return UTCTime through 2049, GeneralizedTime from 2050 on (RFC 5280 s.4.1.2.5)."""
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return _der(0x17, moment.strftime("%y%m%d%H%M%SZ").encode())
    return _der(0x18, moment.strftime("%Y%m%d%H%M%SZ").encode())


def _general_name(name: str) -> bytes:
    """Return an entry of subjectAltName: iPAddress or dNSName (RFC 5280 s.4.2.1.6)."""
    try:
        return _der(0x87, ipaddress.ip_address(name).packed)
    except ValueError:
        return _der(0x82, name.encode("idna"))


def _extension(oid: str, value: bytes, *, critical: bool = False) -> bytes:
    return _sequence(_oid(oid), _der(0x01, b"\xff") if critical else b"", _der(0x04, value))


_EC_PUBLIC_KEY = _oid("1.2.840.10045.2.1")
_PRIME256V1 = _oid("1.2.840.10045.3.1.7")
_ECDSA_WITH_SHA256 = _sequence(_oid("1.2.840.10045.4.3.2"))
_COMMON_NAME = _oid("2.5.4.3")
_SERVER_AUTH = _oid("1.3.6.1.5.5.7.3.1")


def _extensions(names: Iterable[str], public: bytes) -> bytes:
    """Return the extensions of a server certificate that is its own authority (RFC 5280 s.4.2)."""
    key_identifier = _der(0x04, hashlib.sha1(public, usedforsecurity=False).digest())
    # Bits 0 and 5 of KeyUsage: digitalSignature, for the handshake, and keyCertSign, for being an authority.
    key_usage = _bits(b"\x84", unused=2)
    return _sequence(
        _extension("2.5.29.14", key_identifier),
        _extension("2.5.29.15", key_usage, critical=True),
        _extension("2.5.29.17", _sequence(*map(_general_name, names))),
        _extension("2.5.29.19", _sequence(_der(0x01, b"\xff")), critical=True),  # basicConstraints: cA
        _extension("2.5.29.37", _sequence(_SERVER_AUTH)),
    )


def _certificate(wanted: Certificate, public: bytes, secret: int) -> bytes:
    """Return the signed certificate (RFC 5280 s.4.1)."""
    serial = secrets.randbits(63) + 1
    # The subject tells certificates of several servers apart, for whoever reads an error message about one.
    name = _sequence(_der(0x31, _sequence(_COMMON_NAME, _der(0x0C, f"httpx-fast local {serial:x}".encode()))))
    to_be_signed = _sequence(
        _der(0xA0, _integer(2)),  # version 3
        _integer(serial),
        _ECDSA_WITH_SHA256,
        name,
        _sequence(_time(wanted.not_before), _time(wanted.not_after)),
        name,
        _sequence(_sequence(_EC_PUBLIC_KEY, _PRIME256V1), _bits(public)),
        _der(0xA3, _extensions(wanted.names, public)),
    )
    return _sequence(to_be_signed, _ECDSA_WITH_SHA256, _bits(_signature(secret, to_be_signed)))


def _key_pem(secret: int, public: bytes) -> str:
    """Return ECPrivateKey (RFC 5915 s.3) as PEM."""
    der = _sequence(
        _integer(1),
        _der(0x04, secret.to_bytes(32, "big")),
        _der(0xA0, _PRIME256V1),
        _der(0xA1, _bits(public)),
    )
    lines = base64.encodebytes(der).decode("ascii")
    return f"-----BEGIN EC PRIVATE KEY-----\n{lines}-----END EC PRIVATE KEY-----\n"
