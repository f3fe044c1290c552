"""Authentication schemes: they add credentials to requests and answer 401 responses.

A scheme is a generator of requests: it yields one, is sent the response, and yields the next or ends. It does no I/O
and does not know which client drives it; schemes that must wait override `sync_auth_flow` and `async_auth_flow`. Digest
follows RFC 7616 (and RFC 2069 if the server names no qop); the parser documents its leniencies.
"""

from __future__ import annotations

import itertools
import os
import threading
import time
from binascii import b2a_base64
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from copy import copy
from importlib import import_module
from typing import Any, ClassVar, TypeAlias, Union

from ._exceptions import LocalProtocolError, RemoteProtocolError, shown
from ._models import Cookies, Request, Response
from ._origin import Origin
from ._patterns import pattern
from ._urls import URL

__all__ = ["Auth", "BasicAuth", "DigestAuth", "FunctionAuth", "NetRCAuth"]

AuthTypes: TypeAlias = Union[tuple[str | bytes, str | bytes], Callable[["Request"], "Request"], "Auth"]


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8") if isinstance(text, str) else text


def _basic(username: str | bytes, password: str | bytes) -> str:
    """Return the value of Authorization (RFC 7617 s.2)."""
    for what, each in (("user name", username), ("password", password)):
        if not isinstance(each, (str, bytes)):
            raise TypeError(f"the {what} is {type(each).__name__}; expected str or bytes")
    return "Basic " + b2a_base64(_bytes(username) + b":" + _bytes(password), newline=False).decode("ascii")


class Auth:
    """Implement authentication; this base class of all schemes sends no credentials.

    Override `auth_flow`. Set `requires_request_body` or `requires_response_body` if the flow uses `content`: the body
    is then read before the flow continues.

    ```python
    class Token(httpx.Auth):
        def auth_flow(self, request):
            request.headers["Authorization"] = "Bearer ..."
            yield request
    ```
    """

    requires_request_body = False
    requires_response_body = False

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Yield each request to send and receive its response; the last response is returned by the client."""
        yield request

    def _redirected(self, request: Request, following: Request) -> None:
        """Observe each request that follows a redirect of `request`, before it is sent."""

    def sync_auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        """Run the flow for `Client`. Override it with `async_auth_flow` for schemes that do I/O or take locks."""
        if self.requires_request_body:
            request.read()
        flow = self.auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = yield request
                if self.requires_response_body:
                    response.read()
                try:
                    request = flow.send(response)
                except StopIteration:
                    return
        finally:
            flow.close()

    async def async_auth_flow(self, request: Request) -> AsyncGenerator[Request, Response]:
        """Run the flow for `AsyncClient`. Override it with `sync_auth_flow` for schemes that do I/O or take locks."""
        if self.requires_request_body:
            await request.aread()
        flow = self.auth_flow(request)
        try:
            request = next(flow)
            while True:
                response = yield request
                if self.requires_response_body:
                    await response.aread()
                try:
                    request = flow.send(response)
                except StopIteration:
                    return
        finally:
            flow.close()


class FunctionAuth(Auth):
    """Send the request that `func(request)` returns."""

    def __init__(self, func: Callable[[Request], Request]) -> None:
        self._func = func

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        yield self._func(request)


class BasicAuth(Auth):
    """Send user name and password with every request (RFC 7617), text as UTF-8.

    ```python
    client.get("/private", auth=httpx.BasicAuth("user", "secret"))
    ```
    """

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._auth_header = _basic(username, password)

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        request.headers["Authorization"] = self._auth_header
        yield request


class NetRCAuth(Auth):
    """Send the credentials of a netrc file for the URL's host, and none to other hosts.

    `file` is a path; None for `.netrc` in the user's home directory. The file is read once, here: OSError and
    netrc.NetrcParseError are raised from the constructor.
    """

    def __init__(self, file: str | None = None) -> None:
        import netrc

        try:
            self._netrc_info = netrc.netrc(file)
        except netrc.NetrcParseError as error:
            # Its message quotes the invalid word, which may be a password.
            message = "expected machine, login, password and the like"
            raise netrc.NetrcParseError(message, error.filename, error.lineno) from None

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        entry = self._netrc_info.authenticators(request.url.host)
        if entry is not None and entry[2]:
            request.headers["Authorization"] = _basic(entry[0], entry[2])
        yield request


# Names and optional values of a challenge (RFC 9110 s.11.2), with blanks around "=" and without a value at the end:
# auth-param = token BWS "=" BWS ( token / quoted-string )
# A token ends at a comma; servers send base64 with "=" unquoted, so every other character is accepted.
_PARAMETER = pattern(r'([^\s=,"]+)\s*(?:=\s*("(?:[^"\\]|\\(?s:.))*"|[^,\s]*))?\s*(,|$)?')
_SCHEME = pattern(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s+(?=[^\s=,]+\s*=)")
_BLANKS = pattern(r"[\s,]*")
_ESCAPED = pattern(r"(?s)\\(.)")

# RFC 7616 s.3.3 and the IANA registry of hash algorithms for HTTP digest authentication; "SHA" is what some cameras
# and set-top boxes call SHA-1.
_HASHES = {
    "MD5": "md5",
    "SHA": "sha1",
    "SHA-1": "sha1",
    "SHA-256": "sha256",
    "SHA-512": "sha512",
    "SHA-512-256": "sha512_256",
}
_CONTROLS = pattern(r"[\x00-\x08\x0a-\x1f\x7f]")
# Held briefly, after a challenge only, so one lock for all is enough and `DigestAuth` can be copied.
_REMEMBERING = threading.Lock()
MAX_REMEMBERED = 256  # origins whose last challenge is kept, to send credentials with the first request


class DigestAuth(Auth):
    """Prove the password without sending it (RFC 7616), after a challenge, and from then on in advance.

    Challenges are remembered per origin. `auth-int` needs a request whose content is in memory. Raises
    RemoteProtocolError for challenges that cannot be answered.
    """

    _ALGORITHM_TO_HASH_NAME: ClassVar[dict[str, str]] = _HASHES | {
        f"{name}-SESS": hash for name, hash in _HASHES.items()
    }

    def __init__(self, username: str | bytes, password: str | bytes) -> None:
        self._username = _bytes(username)
        self._password = _bytes(password)
        self._challenges: dict[Origin, _Challenge] = {}
        # Not at the top, since few programs need it; not later, since a response may come when no file can be opened.
        import_module("hashlib")

    def __getstate__(self) -> dict[str, Any]:
        # Nonces and their counts belong to one copy: a server refuses a count that it has seen.
        return {**self.__dict__, "_challenges": {}}

    def auth_flow(self, request: Request) -> Generator[Request, Response, None]:
        origin = request.url._origin
        known = self._challenges.get(origin)
        if known is not None:
            request.headers["Authorization"] = self._answer(request, known)
        answered: Request | None = None
        may_repeat = True
        while True:
            response = yield request
            # The client follows redirects before the response gets here: it answers the last request of the chain,
            # which is the one that was challenged (RFC 7616 s.3.3).
            challenged = response._request or request
            if response.status_code != 401:
                self._take_next_nonce(challenged, response)
                return
            if not _may_answer(origin, challenged.url):
                return
            challenge = self._choose(challenged, response)
            if challenge is None:
                return
            if challenged is answered:
                # The password was refused, unless the server says that only the nonce was (RFC 7616 s.3.3).
                if not (challenge.is_stale and may_repeat):
                    return
                may_repeat = False
            self._remember(challenged.url._origin, challenge)
            challenged.headers["Authorization"] = self._answer(challenged, challenge)
            if response.cookies:
                Cookies(response.cookies).set_cookie_header(challenged)
            request = answered = challenged

    def _redirected(self, request: Request, following: Request) -> None:
        # Method and target are part of the answer, so that the one for `request` is not valid here (RFC 7616 s.3.4.3).
        if following.url._origin != request.url._origin:
            return
        known = self._challenges.get(request.url._origin)
        if known is not None and is_digest(request.headers.get("Authorization", "")):
            following.headers["Authorization"] = self._answer(following, known)

    def _remember(self, origin: Origin, challenge: _Challenge) -> None:
        """Keep `challenge` for the next requests to `origin`."""
        with _REMEMBERING:
            known = self._challenges.get(origin)
            if known is not None and known.nonce == challenge.nonce:
                # Two threads received the same nonce. They share its count: a server refuses one that it has seen.
                challenge.counts = known.counts
            elif known is None and len(self._challenges) >= MAX_REMEMBERED:
                self._challenges.clear()
            self._challenges[origin] = challenge

    def _take_next_nonce(self, request: Request, response: Response) -> None:
        """Use the nonce that the server wants to see next (RFC 7616 s.3.5)."""
        values = response.headers.get_list("authentication-info")
        known = self._challenges.get(request.url._origin)
        if not values or known is None or not is_digest(request.headers.get("Authorization", "")):
            return
        nonce = _parameters(", ".join(values)).get("nextnonce")
        if nonce and not _CONTROLS.search(nonce):
            self._remember(request.url._origin, known.with_nonce(nonce.encode("utf-8")))

    def _choose(self, request: Request, response: Response) -> _Challenge | None:
        """Return the first Digest challenge with a known algorithm: the server's preference (RFC 7616 s.3.7)."""
        refusal: RemoteProtocolError | None = None
        for parameters in _digest_challenges(response.headers.get_list("www-authenticate")):
            try:
                return _Challenge(parameters, self._ALGORITHM_TO_HASH_NAME)
            except RemoteProtocolError as error:
                error.request = request
                refusal = refusal or error
        if refusal is not None:
            raise refusal
        return None

    def _answer(self, request: Request, challenge: _Challenge) -> str:
        """Return the value of Authorization (RFC 7616 s.3.4)."""
        count = next(challenge.counts)
        nc = b"%08x" % count
        cnonce = self._get_client_nonce(count, challenge.nonce)
        uri = request.url.raw_path
        response = self._response(request, challenge, uri, nc, cnonce)

        username = self._username
        if challenge.userhash:
            username = challenge.digest(username + b":" + challenge.realm)
        fields = [
            ("username", _quoted(username)),
            ("realm", _quoted(challenge.realm)),
            ("nonce", _quoted(challenge.nonce)),
            ("uri", _quoted(uri)),
            ("response", _quoted(response)),
            ("algorithm", challenge.algorithm),
        ]
        if challenge.opaque is not None:
            fields.append(("opaque", _quoted(challenge.opaque)))
        if challenge.qop is not None:
            fields += [("qop", challenge.qop), ("nc", nc.decode("ascii")), ("cnonce", _quoted(cnonce))]
        if challenge.userhash:
            fields.append(("userhash", "true"))
        return "Digest " + ", ".join(f"{name}={value}" for name, value in fields)

    def _response(self, request: Request, challenge: _Challenge, uri: bytes, nc: bytes, cnonce: bytes) -> bytes:
        digest = challenge.digest
        secret = digest(b":".join((self._username, challenge.realm, self._password)))
        if challenge.is_session:
            secret = digest(b":".join((secret, challenge.nonce, cnonce)))
        what = request.method.encode("ascii") + b":" + uri
        if challenge.qop == "auth-int":
            what += b":" + digest(request.content)
        if challenge.qop is None:
            return digest(b":".join((secret, challenge.nonce, digest(what))))
        return digest(b":".join((secret, challenge.nonce, nc, cnonce, challenge.qop.encode("ascii"), digest(what))))

    def _get_client_nonce(self, nonce_count: int, nonce: bytes) -> bytes:
        import hashlib

        seed = b"%d:%b:%d:%b" % (nonce_count, nonce, time.time_ns(), os.urandom(16))
        return hashlib.sha256(seed).hexdigest()[:16].encode("ascii")


class _Challenge:
    """Hold a server's challenge, and count how often it was answered."""

    __slots__ = (
        "algorithm",
        "counts",
        "digest",
        "is_session",
        "is_stale",
        "nonce",
        "opaque",
        "qop",
        "realm",
        "userhash",
    )

    def __init__(self, parameters: dict[str, str], hashes: dict[str, str]) -> None:
        """Parse the parameters. Raises RemoteProtocolError if realm or nonce is missing, or a value is unknown."""
        for name in ("realm", "nonce", "opaque"):
            # These values are sent back, so they must be valid field values.
            if _CONTROLS.search(parameters.get(name, "")):
                raise RemoteProtocolError(f"malformed Digest challenge: its {name} has a control character in it")
        try:
            self.realm = parameters["realm"].encode("utf-8")
            self.nonce = parameters["nonce"].encode("utf-8")
        except KeyError as error:
            raise RemoteProtocolError(f"malformed Digest challenge: it has no {error.args[0]}") from None
        opaque = parameters.get("opaque")
        self.opaque = opaque.encode("utf-8") if opaque is not None else None
        self.algorithm = parameters.get("algorithm", "MD5")
        self.is_session = self.algorithm.upper().endswith("-SESS")
        self.digest = _hasher(self.algorithm, hashes)
        self.qop = _pick_qop(parameters.get("qop"))
        self.userhash = parameters.get("userhash", "").lower() == "true"
        self.is_stale = parameters.get("stale", "").lower() == "true"
        # One server-side count per nonce; `next` is atomic, so threads that share the client never use one twice.
        self.counts: Iterator[int] = itertools.count(1)

    def with_nonce(self, nonce: bytes) -> _Challenge:
        """Return this challenge with another nonce."""
        other = copy(self)
        if nonce != self.nonce:
            other.nonce = nonce
            other.counts = itertools.count(1)
        return other


def _may_answer(origin: Origin, url: URL) -> bool:
    """Return whether credentials for `origin` may be used at `url`, the target of redirects."""
    return url._origin == origin or is_https_upgrade(origin, url._origin)


def is_https_upgrade(before: Origin, after: Origin) -> bool:
    """Return whether `after` is the same host with TLS on the default port: credentials are then safer."""
    return before == ("http", after.host, 80) and after == ("https", before.host, 443)


def is_digest(authorization: str) -> bool:
    """Return whether the value of an Authorization field answers a Digest challenge."""
    return authorization[:7].lower() == "digest "


def _hasher(algorithm: str, hashes: dict[str, str]) -> Callable[[bytes], bytes]:
    import hashlib

    name = hashes.get(algorithm.upper())
    try:
        if name is None:
            raise ValueError(algorithm)
        hashlib.new(name, usedforsecurity=False)
    except ValueError:
        raise RemoteProtocolError(
            f"the Digest challenge wants algorithm {shown(algorithm.encode())}, which is not known here"
        ) from None

    # FIPS builds refuse MD5 unless it is declared as not used for security; the server chooses the algorithm.
    def digest(data: bytes) -> bytes:
        return hashlib.new(name, data, usedforsecurity=False).hexdigest().encode("ascii")

    return digest


def _pick_qop(offered: str | None) -> str | None:
    """Return "auth" before "auth-int", which needs the content in memory; None without any (RFC 2069)."""
    if offered is None:
        return None
    choices = [choice.strip().lower() for choice in offered.split(",")]
    for qop in ("auth", "auth-int"):
        if qop in choices:
            return qop
    raise RemoteProtocolError(f"the Digest challenge wants qop {shown(offered.encode())}; auth and auth-int are known")


def _digest_challenges(values: list[str]) -> Iterator[dict[str, str]]:
    """Return the parameters of each Digest challenge, names in lower case.

    A field value may hold several challenges, which are separated by commas just as their parameters are (RFC 9110
    s.11.6.1); a word that a parameter follows without a comma begins the next challenge.
    """
    for value in values:
        scheme = ""
        parameters: dict[str, str] = {}
        position = 0
        # Blanks are skipped first: a pattern that began with them would be tried at each blank of a hostile run.
        while (position := _BLANKS.match(value, position).end()) < len(value):  # type: ignore[union-attr]
            start = _SCHEME.match(value, position)
            if start is not None:
                if scheme == "digest":
                    yield parameters
                scheme, parameters = start[1].lower(), {}
                position = start.end()
            match = _PARAMETER.match(value, position)
            if match is None or match.end() == position:
                position += 1
                continue
            if match[2] is not None:
                parameters.setdefault(match[1].lower(), _unquoted(match[2]))
            position = match.end()
        if scheme == "digest":
            yield parameters


def _parameters(value: str) -> dict[str, str]:
    """Return the parameters of a field value that names no scheme, names in lower case."""
    none: dict[str, str] = {}
    return next(_digest_challenges([f"Digest {value}"]), none)


def _unquoted(value: str) -> str:
    if value.startswith('"') and value.endswith('"') and len(value) > 1:
        return _ESCAPED.sub(r"\1", value[1:-1])
    return value.strip('"')


def _quoted(value: bytes) -> str:
    text = value.decode("utf-8")
    if any(character in text for character in "\r\n\0"):
        raise LocalProtocolError(f"CR, LF or NUL in a Digest parameter: {shown(value)}")
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
