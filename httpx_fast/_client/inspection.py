"""What both clients show of themselves: what they send, and pictures for notebooks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from .defaults import USE_CLIENT_DEFAULT, UseClientDefault

if TYPE_CHECKING:
    from .._auth import AuthTypes
    from .._config import TimeoutTypes
    from .._content import RequestContent
    from .._models.cookies import CookieTypes
    from .._models.headers import HeaderTypes
    from .._models.request import RequestExtensions
    from .._multipart import RequestData, RequestFiles
    from .._urls import URL, QueryParamTypes
    from .explanation import Explanation
    from .record import Recording

__all__ = ["Inspection"]


class Inspection:
    """Inspect a client without changing it."""

    def record(self, limit: int | None = None) -> Recording:
        """Return a context manager that keeps what this client sends meanwhile: at most `limit` exchanges, or 1000."""
        from .record import MAX_RECORDED, Recording  # few record

        return Recording(self, MAX_RECORDED if limit is None else limit)

    def explain(
        self,
        method: str,
        url: URL | str,
        *,
        content: RequestContent | None = None,
        data: RequestData | None = None,
        files: RequestFiles | None = None,
        json: Any | None = None,
        params: QueryParamTypes | None = None,
        headers: HeaderTypes | None = None,
        cookies: CookieTypes | None = None,
        auth: AuthTypes | UseClientDefault | None = USE_CLIENT_DEFAULT,
        follow_redirects: bool | UseClientDefault = USE_CLIENT_DEFAULT,
        timeout: TimeoutTypes | UseClientDefault = USE_CLIENT_DEFAULT,
        extensions: RequestExtensions | None = None,
    ) -> Explanation:
        """Return what `request()` would do with these arguments, without doing it; see `Explanation`.

        Nothing is sent, resolved or opened. Raises InvalidURL and what else building a request raises.
        """
        from .explain import explain  # few ask

        client: Any = self
        request = client.build_request(
            method,
            url,
            content=content,
            data=data,
            files=files,
            json=json,
            params=params,
            headers=headers,
            cookies=cookies,
            timeout=timeout,
            extensions=extensions,
        )
        return explain(client, request, headers, auth, follow_redirects)

    def _repr_html_(self) -> str:
        from html import escape  # only notebooks need it

        try:
            pool: str = cast("Any", self).pool._repr_html_()
        except (AttributeError, RuntimeError):  # a transport without a pool, or no event loop
            pool = ""
        return f"<div>{escape(repr(self))}</div>{pool}"
