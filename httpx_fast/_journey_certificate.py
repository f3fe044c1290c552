"""Reads the few things of an X.509 certificate (RFC 5280 s.4.1) that people ask for, verified or not.

The standard library tells them of verified certificates only, and an expired one is what somebody wants to see who
switched the verification off. A certificate that cannot be read has no names and no dates, and is no error.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Certificate", "read_certificate"]

# Tags of DER (ITU-T X.690).
_UTC_TIME, _GENERALIZED_TIME, _SEQUENCE, _SET, _OID, _OCTETS = 0x17, 0x18, 0x30, 0x31, 0x06, 0x04
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_BMP_STRING = 0x1E
# Of a general name: dNSName, iPAddress.
_DNS, _IP = 0x82, 0x87
_SUBJECT_ALT_NAME = bytes.fromhex("551d11")  # 2.5.29.17
_ATTRIBUTES = {
    bytes.fromhex("550403"): "CN",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
}


class Certificate(NamedTuple):
    """Describe a certificate: its subject, its names, and when it is valid."""

    #: "CN=example.org, O=Example"
    subject: str
    issuer: str
    #: Names and addresses that it is for.
    names: tuple[str, ...]
    not_before: dt.datetime | None
    not_after: dt.datetime | None


def read_certificate(der: bytes) -> Certificate:
    """Return what a certificate in DER says."""
    try:
        return _read(der)
    except (IndexError, ValueError, StopIteration):
        return Certificate("", "", (), None, None)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Give tag and content of each element; ValueError for one that goes beyond the end."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[at : at + count], "big")
            at += count
        if at + length > len(data):
            raise ValueError("an element goes beyond the end")
        yield tag, data[at : at + length]
        at += length


def _read(der: bytes) -> Certificate:
    _, certificate = next(_items(der))
    _, signed = next(_items(certificate))
    fields = [field for field in _items(signed) if field[0] != _VERSION]
    _serial, _algorithm, (_, issuer), (_, validity), (_, subject), *_ = fields
    begin, end = [_time(tag, content) for tag, content in _items(validity)]
    extensions = next((content for tag, content in fields if tag == _EXTENSIONS), b"")
    return Certificate(_name(subject), _name(issuer), tuple(_names(extensions)), begin, end)


def _time(tag: int, content: bytes) -> dt.datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:  # RFC 5280 s.4.1.2.5.1: 50 and above are of the 20th century
        text = ("19" if text[:2] >= "50" else "20") + text
    return dt.datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=dt.UTC)


def _name(content: bytes) -> str:
    parts: list[str] = []
    for _, attributes in _items(content):
        for _, attribute in _items(attributes):
            (_, oid), (tag, value) = _items(attribute)
            text = value.decode("utf-16-be" if tag == _BMP_STRING else "utf-8", "replace")
            if oid in _ATTRIBUTES:
                parts.append(f"{_ATTRIBUTES[oid]}={text}")
    return ", ".join(parts)


def _names(extensions: bytes) -> Iterator[str]:
    for _, each in _items(extensions):
        for _, extension in _items(each):
            elements = list(_items(extension))
            if elements[0] != (_OID, _SUBJECT_ALT_NAME):
                continue
            _, names = next(_items(elements[-1][1]))
            for tag, value in _items(names):
                if tag == _DNS:
                    yield value.decode("ascii", "replace")
                elif tag == _IP:
                    yield str(ipaddress.ip_address(value))
