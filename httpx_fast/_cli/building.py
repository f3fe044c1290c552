"""Makes clients and requests of what the command line says."""

from __future__ import annotations

import errno
import getpass
import io
import os
import re
import ssl
import urllib.parse
from pathlib import Path
from typing import Any

from .._auth import Auth, BasicAuth, DigestAuth
from .._client.async_client import AsyncClient
from .._client.client import Client
from .._client.defaults import USE_CLIENT_DEFAULT
from .._client.explain import explain
from .._client.explanation import Explanation
from .._config import Timeout
from .._models import Request
from .._trust import new_context
from .._urls import URL
from .arguments import Arguments, Data
from .inputs import read_file, read_value
from .usage import UsageError

#: The content of a file of a form: its name in the form, and what is to be sent as file.
FormPart = tuple[str, tuple[Any, ...]]

_FORM = "application/x-www-form-urlencoded"


class Builder:
    """Make as many equal clients and requests as are needed. Files of the request are read once, at the start."""

    def __init__(self, arguments: Arguments) -> None:
        self._arguments = arguments
        self.url = str(arguments.url)
        if not URL(self.url).host and self.url.lower().startswith(("http:", "https:")):
            raise UsageError(f"the URL {self.url!r} has no host", "expected http://host/ or https://host/", 3)
        self._context = _tls_context(arguments, self.url)
        self._params = [*arguments.params, *arguments.items.params]
        self._fields, self._removed = _fields(arguments)
        self._body = _body(arguments)
        self._auth = _auth(arguments)
        if arguments.get:
            self._fields = [pair for pair in self._fields if pair != ("Content-Type", _FORM)]
            self._body = {}
            data = b"&".join(_datum(each) for each in arguments.data)
            self.url = _with_query(self.url, data.decode("utf-8", "surrogateescape"))
        self.method = arguments.method or self._usual_method()

    def _usual_method(self) -> str:
        if self._arguments.head:
            return "HEAD"
        return "POST" if self._body else "GET"

    def settings(self) -> dict[str, Any]:
        """Return arguments for a client."""
        given = self._arguments
        timeout = Timeout(given.timeout, total=given.max_time)
        if given.connect_timeout is not None:
            timeout = Timeout(timeout, connect=given.connect_timeout)
        if given.no_buffer:
            timeout = Timeout(timeout, read=None, first_byte=given.timeout)
        settings: dict[str, Any] = {
            "timeout": timeout,
            "verify": True if self._context is None else self._context,
            "http2": given.http2,
            "max_redirects": given.max_redirects,
            "follow_redirects": given.follow_redirects,
            "auth": self._auth,
        }
        if given.proxy is not None:
            settings["proxy"] = given.proxy if "://" in given.proxy else f"http://{given.proxy}"
        return settings

    def request(self, client: Client | AsyncClient, more: list[tuple[str, str]] | None = None) -> Request:
        """Return a request for `client`, with `more` header fields."""
        body = dict(self._body)
        parts = body.pop("parts", None)
        if parts is not None:
            body["files"] = [(name, (part[0], io.BytesIO(part[1]), *part[2:])) for name, part in parts]
        if self._params:
            body["params"] = self._params
        if self._arguments.cookies:
            body["cookies"] = dict(self._arguments.cookies)
        fields: list[tuple[str, str | bytes]] = [*self._fields, *(more or [])]
        request = client.build_request(self.method, self.url, headers=_encoded(fields), **body)
        for name in self._removed:
            request.headers.pop(name, None)
        return request

    def explanation(self, client: Client) -> Explanation:
        """Return what would be sent, and how."""
        fields = _encoded([*self._fields])
        return explain(client, self.request(client), fields, USE_CLIENT_DEFAULT, USE_CLIENT_DEFAULT)


def _encoded(fields: list[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    """Return header fields as the bytes that the command line has: a terminal's UTF-8, as curl sends it."""
    return [
        (name.encode("utf-8", "surrogateescape"), value if isinstance(value, bytes) else _raw(value))
        for name, value in fields
    ]


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _tls_context(arguments: Arguments, url: str) -> ssl.SSLContext | None:
    """Make the TLS context ahead of the request, so that no phase contains it; None if the client's own will do."""
    if not (url.lower().startswith("https:") or arguments.cacert or arguments.cert or arguments.key):
        return new_context(False, None, True) if arguments.insecure else None
    try:
        context = new_context(not arguments.insecure if arguments.cacert is None else arguments.cacert, None, True)
    except (OSError, ssl.SSLError) as error:
        if arguments.cacert is None:
            raise
        raise UsageError(f"--cacert {arguments.cacert} cannot be used: {_reason(error)}", _PEM, 77) from None
    if arguments.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if arguments.key and not arguments.cert:
        raise UsageError("--key needs a certificate", "--cert FILE --key FILE")
    if arguments.cert:
        file, password = _split_password(arguments.cert)
        try:
            context.load_cert_chain(file, arguments.key, password)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"--cert {file} cannot be used: {_reason(error)}", _PEM, 58) from None
    return context


_PEM = "expected a file in PEM format"


def _reason(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return os.strerror(errno.ENOENT)  # PyPy says "Error"
    return error.strerror or str(error)


def _split_password(cert: str) -> tuple[str, str | None]:
    """Split `FILE:PASSWORD`, unless there is a file of that whole name."""
    if Path(cert).exists() or ":" not in cert:
        return cert, None
    file, _, password = cert.rpartition(":")
    return file, password


def _auth(arguments: Arguments) -> Auth | None:
    if arguments.auth is not None:
        user, password = arguments.auth
        password = getpass.getpass() if password == "-" else password
    elif arguments.user is not None:
        user, colon, password = arguments.user.partition(":")
        password = password if colon else getpass.getpass(f"Password for {user}: ")
    else:
        return None
    return DigestAuth(user, password) if arguments.digest else BasicAuth(user, password)


def _fields(arguments: Arguments) -> tuple[list[tuple[str, Any]], list[str]]:
    """Return header fields, and the names of those that are not to be sent."""
    fields: list[tuple[str, Any]] = []
    removed: list[str] = []
    if arguments.referer:
        fields.append(("Referer", arguments.referer))
    if arguments.range is not None:
        fields += [("Range", f"bytes={arguments.range}"), ("Accept-Encoding", "identity")]
    if arguments.user_agent is not None:
        fields.append(("User-Agent", arguments.user_agent)) if arguments.user_agent else removed.append("User-Agent")
    if arguments.cookie_field:
        fields.append(("Cookie", "; ".join(_cookies(text) for text in arguments.cookie_field)))
    if any(each.kind != "pair" for each in arguments.data):
        fields.append(("Content-Type", _FORM))
    given: list[tuple[str, str]] = [*arguments.header_pairs]
    for line in _lines([*arguments.fields, *arguments.items.fields]):
        name, separator, value = _split_field(line)
        if separator == ":" and not value:
            removed.append(name)
        else:
            given.append((name, value))
    # What was said in so many words takes the place of what other options imply.
    names = {name.lower() for name, _ in given}
    return [pair for pair in fields if pair[0].lower() not in names] + given, removed


def _lines(fields: list[str]) -> list[str]:
    """Return fields, with `@FILE` replaced by the lines of that file."""
    lines: list[str] = []
    for text in fields:
        lines += read_file(text[1:]).decode("latin-1").splitlines() if text.startswith("@") else [text]
    return [line for line in lines if line.strip()]


def _split_field(line: str) -> tuple[str, str, str]:
    found = re.fullmatch(r"([^:;]+)(:|;)(.*)", line, re.DOTALL)
    if found is None or (found[2] == ";" and found[3].strip()):
        raise UsageError(
            f"-H: expected 'Name: value', got {line[:64]!r}", "'Name:' sends no such field, 'Name;' an empty one"
        )
    return found[1].strip(), found[2], found[3].strip(" \t")


def _cookies(text: str) -> str:
    if "=" not in text:
        raise UsageError(f"-b: expected 'name=value', got {text[:64]!r}", "files of cookies are not read")
    return text


def _body(arguments: Arguments) -> dict[str, Any]:
    """Return the arguments of `build_request` that make the body; "parts" stands for the files of a multipart form."""
    items = arguments.items
    if arguments.content is not None:
        return {"content": read_value(arguments.content)}
    if arguments.has_json:
        return {"json": arguments.json}
    if arguments.form or arguments.file_pairs:
        pairs = [(each.name, (None, each.text.encode())) for each in arguments.data]
        files = [(name, _file(path)) for name, path in arguments.file_pairs]
        return {"parts": [*pairs, *(_part(text) for text in arguments.form), *files]}
    if arguments.data:
        return _form_data(arguments.data)
    if items.files:
        members = [(name, (None, str(value).encode())) for name, value in items.members]
        return {"parts": [*members, *((name, _file(path)) for name, path in items.files)]}
    if items.members:
        return _pairs_body(items.members) if arguments.urlencoded else {"json": dict(items.members)}
    return {}


def _pairs_body(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Return the fields of a form, in which a name may stand more than once."""
    form: dict[str, list[str]] = {}
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return {"data": form}


def _form_data(data: list[Data]) -> dict[str, Any]:
    if all(each.kind == "pair" for each in data):
        return _pairs_body([(each.name, each.text) for each in data])
    return {"content": b"&".join(_datum(each) for each in data)}


def _datum(data: Data) -> bytes:
    """Return what one option adds to the body, by curl's rules."""
    if data.kind == "pair":
        return urllib.parse.urlencode({data.name: data.text}).encode()
    if data.kind == "data-urlencode":
        return _urlencoded(data.text)
    if data.kind == "data-raw" or not data.text.startswith("@"):
        return _raw(data.text)
    content = read_file(data.text[1:])
    # curl's -d drops line ends and zeros of files, --data-binary nothing.
    return content if data.kind == "data-binary" else content.translate(None, b"\r\n\0")


def _urlencoded(text: str) -> bytes:
    """Encode one of curl's forms: `content`, `=content`, `name=content`, `@file`, `name@file`."""
    found = re.match("[^=@]*[=@]", text)
    if found is None:
        return urllib.parse.quote_plus(_raw(text)).encode()
    name, content = found[0][:-1], text[found.end() :]
    value = read_file(content) if found[0].endswith("@") else _raw(content)
    encoded = urllib.parse.quote_plus(value).encode()
    return _raw(name) + b"=" + encoded if name else encoded


def _with_query(url: str, data: str) -> str:
    if not data:
        return url
    bare, hash_sign, fragment = url.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{data}{hash_sign}{fragment}"


def _file(path: str) -> tuple[Any, ...]:
    return (Path(path).name, read_file(path))


def _part(text: str) -> FormPart:
    """Return a part as `-F` has it: `name=value`, `name=@file` or `name=<file`, then `;type=` and `;filename=`."""
    name, equals, content = text.partition("=")
    if not equals:
        raise UsageError(f"-F: expected name=content, got {text[:64]!r}", "-F name=value, -F name=@FILE")
    content, *parameters = re.split(r";\s*(?=(?:type|filename)=)", content)
    told = dict(parameter.split("=", 1) for parameter in parameters)
    filename = told.get("filename", "").strip('"') or None
    kind = told.get("type")
    if content.startswith("@"):
        path = content[1:]
        named = filename or ("-" if path == "-" else Path(path).name)
        return name, (named, read_file(path), *([kind] if kind else []))
    value = read_file(content[1:]) if content.startswith("<") else _raw(content.strip('"'))
    return name, (filename, value, *([kind] if kind else []))
