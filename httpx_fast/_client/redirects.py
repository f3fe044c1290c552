"""Makes the request that follows a redirect (RFC 9110 s.15.4).

Credentials, cookies and what belongs to one host stay there when a redirect leads elsewhere.
"""

from __future__ import annotations

from typing import Any

from .._auth import is_digest, is_https_upgrade
from .._byte_streams import AsyncByteStream, SyncByteStream
from .._content import ByteStream
from .._exceptions import InvalidURL, RemoteProtocolError
from .._models import Cookies, Headers, Request, Response
from .._urls import URL

# Not `codes`, which take as long to make as a tenth of this package.
_MOVED_PERMANENTLY, _FOUND, _SEE_OTHER = 301, 302, 303


class Redirects:
    """Make the requests that follow redirects, for both clients."""

    @property
    def cookies(self) -> Cookies:
        raise NotImplementedError

    def _transport_for_url(self, url: URL) -> Any:
        raise NotImplementedError

    def _build_redirect_request(self, request: Request, response: Response) -> Request:
        """Return the request that follows `response`. Raises RemoteProtocolError if its Location is no URL."""
        method = self._redirect_method(request, response)
        url = self._redirect_url(request, response)
        stream = self._redirect_stream(request, method)
        following = Request(
            method=method,
            url=url,
            headers=self._redirect_headers(request, url, method),
            cookies=self.cookies,
            stream=stream,
            extensions=_redirect_extensions(request, url),
        )
        if type(stream) is ByteStream:
            following._content = stream._stream
        return following

    def _redirect_method(self, request: Request, response: Response) -> str:
        """Return the method after a redirect (RFC 9110 s.15.4)."""
        method, status = request.method, response.status_code
        if status == _SEE_OTHER and method != "HEAD":
            return "GET"
        # Browsers turn every 302 into GET, and a POST after 301; RFC 9110 s.15.4.2 and s.15.4.3 let them. QUERY asks
        # for nothing but an answer and keeps its content.
        if status == _FOUND and method not in ("HEAD", "QUERY"):
            return "GET"
        if status == _MOVED_PERMANENTLY and method == "POST":
            return "GET"
        return method

    def _redirect_url(self, request: Request, response: Response) -> URL:
        """Return the URL that Location names (RFC 9110 s.10.2.2), resolved against the request's."""
        location = _location(request, response)
        try:
            url = URL(location)
            # "http:/path" and "http:///path" are seen in the wild and mean the server that says so: with its port, if
            # the scheme stays too.
            if url.scheme in ("http", "https") and not url.host:
                if url.scheme == request.url.scheme:
                    url = url.copy_with(scheme=None)
                else:
                    url = url.copy_with(host=request.url.host)
            if url.is_relative_url and not (url.scheme and url.scheme != request.url.scheme):
                url = request.url.join(url)
            if not url.host and not url.path.startswith("/"):  # mailto:someone
                raise InvalidURL(f"{str(url)!r} names no host")
        except InvalidURL as error:
            raise RemoteProtocolError(f"the redirect's Location is no URL: {error}", request=request) from None
        if ":" in url._host:
            url = _with_zone_of(request.url, url)
        if request.url.fragment and not url.fragment:
            url = url.copy_with(fragment=request.url.fragment)
        return url

    def _redirect_headers(self, request: Request, url: URL, method: str) -> Headers:
        """Return the request's fields, without those that must not go to `url` or with `method`."""
        headers = Headers(request.headers)
        if url._origin != request.url._origin:
            if not is_https_upgrade(request.url._origin, url._origin):
                headers.pop("Authorization", None)
            if not self._is_forwarded_alike(request.url, url):
                headers.pop("Proxy-Authorization", None)
            headers["Host"] = url.netloc.decode("ascii")
        if is_digest(headers.get("Authorization", "")):
            # It is for the method and target of one request (RFC 7616 s.3.4.3); some servers answer 400 to others.
            del headers["Authorization"]
        if method != request.method and method == "GET":
            for name in _CONTENT_FIELDS:
                headers.pop(name, None)
        # Cookies are chosen anew from the jar, for the new URL.
        headers.pop("Cookie", None)
        return headers

    def _is_forwarded_alike(self, url: URL, following: URL) -> bool:
        """Return whether one proxy forwards the requests for both URLs, so that fields for the proxy end there."""
        if not url.scheme == following.scheme == "http":
            return False
        transport = self._transport_for_url(url)
        forwards = getattr(transport, "_forward", None) is not None
        return forwards and transport is self._transport_for_url(following)

    def _redirect_stream(self, request: Request, method: str) -> SyncByteStream | AsyncByteStream | None:
        if method != request.method and method == "GET":
            return None
        return request.stream


# What describes content that a redirect drops (RFC 9110 s.15.4), and how it was framed.
_CONTENT_FIELDS = (
    "Content-Digest",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Language",
    "Content-Length",
    "Content-Location",
    "Content-MD5",
    "Content-Range",
    "Content-Type",
    "Digest",
    "Expect",
    "Last-Modified",
    "Repr-Digest",
    "Trailer",
    "Transfer-Encoding",
)


# What browsers drop from a URL before they read it (WHATWG URL s.4.4): these at its ends, those anywhere.
_AROUND_LOCATION = "".join(map(chr, range(0x21)))
_IN_LOCATION = str.maketrans("", "", "\t\r\n")


def _location(request: Request, response: Response) -> str:
    """Return the value of Location. Raises RemoteProtocolError where several disagree."""
    values = response.headers.get_list("Location")
    found = {value.strip(_AROUND_LOCATION).translate(_IN_LOCATION) for value in values}
    if len(found) > 1:
        # Which one is meant is not known; the other one may have been injected (RFC 9110 s.5.3).
        raise RemoteProtocolError(f"the redirect has {len(values)} Location fields that differ", request=request)
    return found.pop()


def _with_zone_of(base: URL, url: URL) -> URL:
    """Return `url` without a zone of the peer's; a link-local address gets the zone of `base`."""
    from ipaddress import IPv6Address  # few redirects lead to addresses

    address, _, named = url._host.partition("%")
    zone = base._host.partition("%")[2] if IPv6Address(address).is_link_local else ""
    return url if zone == named else url.copy_with(host=f"{address}%{zone}" if zone else address)


def _redirect_extensions(request: Request, url: URL) -> dict[str, Any]:
    """Return the extensions without `target`, and without `sni_hostname` if the host changes."""
    extensions = dict(request.extensions)
    extensions.pop("target", None)
    if url.host != request.url.host:
        extensions.pop("sni_hostname", None)
    return extensions
