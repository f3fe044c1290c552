"""Requests as a HAR 1.2 document (HTTP Archive), for browsers' developer tools and other viewers.

Pure: responses and exceptions in, data for `json.dump` out. Values that are credentials are masked: fields and cookies,
passwords in URLs, and parameters of queries and forms that are named like secrets. Times are milliseconds; a step that
a reused connection skipped is -1, as the format has it. Content is there where the response was read, elsewhere only
its size.
"""

from __future__ import annotations

import base64
import datetime as dt
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any

from .__version__ import __version__
from ._exceptions import HTTPError, RequestNotRead, ResponseNotRead
from ._journey import NO_JOURNEY, Journey
from ._masking import MASK, masked_field, masked_json_text, masked_url, masked_value
from ._models import Headers, Request, Response

__all__ = ["har"]


def har(sent: Iterable[Response | HTTPError], *, started: dt.datetime | None = None) -> dict[str, Any]:
    """Return a HAR 1.2 document for `json.dump`, with an entry for each response, and for each exception.

    The responses that led to one, as redirects do, are entries too; none is there twice. `started` is when the first
    request began, in place of what the clock said; the others follow by their journeys.
    """
    every = list(_once(sent))
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "httpx_fast", "version": __version__},
            "pages": [],
            "entries": [
                _failed(each, moment) if isinstance(each, HTTPError) else _entry(each, moment)
                for each, moment in zip(every, _moments(every, started), strict=True)
            ],
        }
    }


def _once(sent: Iterable[Response | HTTPError]) -> Iterator[Response | HTTPError]:
    known: set[int] = set()
    for each in sent:
        for one in [each] if isinstance(each, HTTPError) else [*each.history, each]:
            if id(one) not in known and (isinstance(one, Response) or one._request is not None):
                known.add(id(one))
                yield one


def _moments(sent: Sequence[Response | HTTPError], started: dt.datetime | None) -> list[dt.datetime]:
    journeys = [NO_JOURNEY if each.journey is None else each.journey for each in sent]
    if started is None:
        return [journey.started_at for journey in journeys]
    first = min((journey.started for journey in journeys), default=0.0)
    return [started + dt.timedelta(seconds=journey.started - first) for journey in journeys]


def _failed(error: HTTPError, moment: dt.datetime) -> dict[str, Any]:
    """Return an entry of a request that had no response: its status is 0, as browsers have it."""
    journey = NO_JOURNEY if error.journey is None else error.journey
    nothing: dict[str, Any] = {"status": 0, "statusText": "", "httpVersion": "", "cookies": [], "headers": []}
    nothing |= {"content": {"size": 0, "mimeType": ""}, "redirectURL": "", "headersSize": -1, "bodySize": -1}
    return _common(error.request, journey, moment, "HTTP/1.1") | {
        "response": nothing,
        "comment": f"{type(error).__name__}: {error}",
    }


def _entry(response: Response, moment: dt.datetime) -> dict[str, Any]:
    entry = _common(response.request, response.journey, moment, response.http_version)
    return entry | {"response": _response(response)}


def _common(request: Request, journey: Journey, moment: dt.datetime, http_version: str) -> dict[str, Any]:
    timings = _timings(journey)
    entry: dict[str, Any] = {
        "startedDateTime": moment.isoformat(timespec="milliseconds"),
        # By the format's words: the sum of the timings, of which "ssl" is a part of "connect".
        "time": _rounded(sum(time for name, time in timings.items() if time > 0 and name != "ssl")),
        "request": _request(request, http_version),
        "cache": {},
        "timings": timings,
    }
    facts = journey.connection
    if facts is not None and facts.proxy is None:
        peer, local = _host_and_port(facts.peer_address), _host_and_port(facts.local_address)
        if peer is not None:
            entry["serverIPAddress"] = peer[0]
        if local is not None:
            entry["connection"] = local[1]  # the port tells connections apart
    return entry


def _host_and_port(address: Any) -> tuple[str, str] | None:
    """Return the parts of a socket's address; None for one without them, as of Unix sockets."""
    if not isinstance(address, tuple) or len(address) < 2:  # pyright: ignore[reportUnknownArgumentType]
        return None
    host, port = address[:2]  # pyright: ignore[reportUnknownVariableType]
    return str(host), str(port)  # pyright: ignore[reportUnknownArgumentType]


def _timings(journey: Journey) -> dict[str, float]:
    def told(*spans: float | None) -> float:
        taken = [span for span in spans if span is not None]
        return _rounded(sum(taken) * 1000) if taken else -1

    return {
        "blocked": told(journey.pool),
        "dns": told(journey.dns),
        "connect": told(journey.tcp, journey.proxy, journey.tls),
        "ssl": told(journey.tls),
        "send": max(told(journey.send), 0),
        "wait": max(told(journey.wait), 0),
        "receive": max(told(journey.receive, journey.reader), 0),
    }


def _rounded(time: float) -> float:
    return round(time, 3)


def _request(request: Request, http_version: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "method": request.method,
        "url": masked_url(str(request.url)),
        "httpVersion": http_version,
        "cookies": _cookies(request.headers.get_list("cookie")),
        "headers": _fields(request.headers),
        "queryString": [
            {"name": name, "value": masked_value(name, value)} for name, value in request.url.params.multi_items()
        ],
        "headersSize": -1,
        "bodySize": -1,
    }
    try:
        content = request.content
    except RequestNotRead:
        return told
    told["bodySize"] = len(content)
    if content:
        told["postData"] = _post_data(request.headers.get("Content-Type", ""), content)
    return told


def _post_data(kind: str, content: bytes) -> dict[str, Any]:
    bare = _media_type(kind)
    if bare == "application/x-www-form-urlencoded":
        pairs = urllib.parse.parse_qsl(content.decode("utf-8", "replace"), keep_blank_values=True)
        masked = [(name, masked_value(name, value)) for name, value in pairs]
        params = [{"name": name, "value": value} for name, value in masked]
        return {"mimeType": kind, "params": params, "text": urllib.parse.urlencode(masked)}
    if bare.startswith("multipart/"):
        return {"mimeType": kind, "params": [], "text": "", "comment": "the parts are left out"}
    return {"mimeType": kind, "params": [], "text": _masked_text(bare, content.decode("utf-8", "replace"))}


def _response(response: Response) -> dict[str, Any]:
    return {
        "status": response.status_code,
        "statusText": response.reason_phrase,
        "httpVersion": response.http_version,
        "cookies": _set_cookies(response.headers.get_list("set-cookie")),
        "headers": _fields(response.headers),
        "content": _content(response),
        "redirectURL": masked_url(response.headers.get("Location", "")),
        "headersSize": -1,
        "bodySize": response.num_bytes_downloaded,
    }


def _content(response: Response) -> dict[str, Any]:
    kind = response.headers.get("Content-Type", "application/octet-stream")
    try:
        content = response.content
    except ResponseNotRead:
        return {"size": response.num_bytes_downloaded, "mimeType": kind}
    told: dict[str, Any] = {"size": len(content), "mimeType": kind}
    if not content:
        return told
    try:
        text = content.decode(response.charset_encoding or "utf-8")
    except (UnicodeDecodeError, LookupError):
        return told | {"text": base64.b64encode(content).decode("ascii"), "encoding": "base64"}
    return told | {"text": _masked_text(_media_type(kind), text)}


def _media_type(kind: str) -> str:
    return kind.partition(";")[0].strip().lower()


def _masked_text(kind: str, text: str) -> str:
    """Return the text; of JSON without the values of members that are named like secrets."""
    return masked_json_text(text) if kind == "application/json" or kind.endswith("+json") else text


def _fields(headers: Headers) -> list[dict[str, str]]:
    fields: list[dict[str, str]] = []
    for raw_name, raw_value in headers.raw:
        name = raw_name.decode("latin-1")
        value = raw_value.decode("utf-8", "backslashreplace")
        fields.append({"name": name, "value": masked_field(name.lower(), value)})
    return fields


def _cookies(lines: Sequence[str]) -> list[dict[str, str]]:
    pairs = [pair.partition("=")[0].strip() for line in lines for pair in line.split(";")]
    return [{"name": name, "value": MASK} for name in pairs if name]


def _set_cookies(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return names and attributes of the cookies that a response sets, without their values."""
    found: list[dict[str, Any]] = []
    for line in lines:
        told: dict[str, Any] = {"name": line.partition("=")[0].strip(), "value": MASK}
        try:
            morsels = list(SimpleCookie(line).values())
        except CookieError:
            morsels = []
        for morsel in morsels[:1]:
            told |= {name: morsel[name] for name in ("path", "domain") if morsel[name]}
            told |= {"httpOnly": bool(morsel["httponly"]), "secure": bool(morsel["secure"])}
        found.append(told)
    return found
