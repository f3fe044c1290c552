"""The module functions, and the names of the interface: the same as httpx's."""

from __future__ import annotations

import inspect

import httpx2
import pytest

import httpx_fast
from httpx_fast import Response

#: What httpx2 has and this package gives by other means, or elsewhere.
LATER = {"alias_httpx"}


@pytest.fixture
def transport(monkeypatch):
    """Stands in for the network; keeps what clients were made with."""
    made = []

    def handler(request):
        return Response(
            200,
            json={
                "method": request.method,
                "content": request.content.decode(),
                "cookie": request.headers.get("cookie"),
            },
        )

    def init(self, **settings):
        made.append((self, settings))
        return httpx_fast.MockTransport(handler)

    monkeypatch.setattr(httpx_fast.Client, "_init_transport", init)
    return made


@pytest.mark.parametrize("name", ["get", "options", "head", "delete", "post", "put", "patch", "query"])
def test_function_sends_its_method_with_a_client_that_is_closed(transport, name):
    response = getattr(httpx_fast, name)("http://a.test/", verify=False, trust_env=False, timeout=3, cookies={"a": "1"})
    assert response.json() == {"method": name.upper(), "content": "", "cookie": "a=1"}
    assert response.request.extensions["timeout"]["read"] == 3
    client, settings = transport[0]
    assert client.is_closed
    assert (settings["verify"], settings["trust_env"]) == (False, False)


@pytest.mark.parametrize("name", ["post", "put", "patch", "query"])
def test_function_sends_content(transport, name):
    assert getattr(httpx_fast, name)("http://a.test/", content=b"x").json()["content"] == "x"


def test_request_takes_any_method(transport):
    assert httpx_fast.request("BREW", "http://a.test/", json=[]).json()["method"] == "BREW"


def test_stream_closes_response_and_client(transport):
    with httpx_fast.stream("GET", "http://a.test/") as response:
        assert response.status_code == 200
        assert not transport[0][0].is_closed
    assert response.is_closed
    assert transport[0][0].is_closed


def test_all_public_names_are_there():
    assert set(httpx2.__all__) - LATER <= set(httpx_fast.__all__)


def parameters(function):
    return [
        (name, parameter.kind, _plain(parameter.default))
        for name, parameter in inspect.signature(function).parameters.items()
    ]


def _plain(default):
    """Defaults that are objects of either package, by what they say."""
    return (
        repr(default)
        if type(default).__module__.startswith("httpx") and "UseClient" not in repr(default)
        else ("USE_CLIENT_DEFAULT" if "UseClient" in type(default).__name__ else default)
    )


@pytest.mark.parametrize("name", [name for name in httpx2._api.__all__ if name not in LATER])
def test_functions_take_the_same_parameters(name):
    assert parameters(getattr(httpx_fast, name)) == parameters(getattr(httpx2, name))


#: Arguments that methods of the clients take beyond httpx2's, after them.
MORE = {
    "__init__": ["http2_ping_after", "retry", "json_dumps", "json_loads", "middlewares", "expect_continue"],
    "sse": ["reconnect", "stall_timeout", "pings"],
}


def methods():
    for owner in ("Client", "AsyncClient", "Auth", "BasicAuth", "DigestAuth", "NetRCAuth", "FunctionAuth"):
        kind = getattr(httpx2, owner)
        for name, _ in inspect.getmembers(kind, inspect.isfunction):
            private = name.startswith("_") and name not in ("__init__", "_transport_for_url", "_merge_url")
            if not private:
                yield owner, name


@pytest.mark.parametrize(("owner", "name"), list(methods()))
def test_methods_take_the_same_parameters(owner, name):
    ours, theirs = getattr(httpx_fast, owner), getattr(httpx2, owner)
    taken, known = parameters(getattr(ours, name)), parameters(getattr(theirs, name))
    if name in MORE and owner in ("Client", "AsyncClient"):
        more = taken[len(known) :]
        assert {kind for _, kind, *_ in more} == {inspect.Parameter.KEYWORD_ONLY}
        assert [name for name, *_ in more] == MORE[name]
        taken = taken[: len(known)]
    assert taken == known
    assert inspect.iscoroutinefunction(getattr(ours, name)) == inspect.iscoroutinefunction(getattr(theirs, name))


@pytest.mark.parametrize(
    "name", ["ASGITransport", "WSGITransport", "MockTransport", "HTTPTransport", "AsyncHTTPTransport"]
)
def test_transports_take_the_same_parameters_and_more_after_them(name):
    ours = parameters(getattr(httpx_fast, name).__init__)
    theirs = parameters(getattr(httpx2, name).__init__)
    assert ours[: len(theirs)] == theirs


@pytest.mark.parametrize(
    "name",
    [
        "_base_url", "_mounts", "_state", "_transport", "_trust_env", "_auth", "_params", "_headers", "_cookies",
        "_timeout", "_event_hooks", "_default_encoding", "follow_redirects", "max_redirects",
    ],
)  # fmt: skip
def test_attributes_that_others_use_are_there(name):
    client = httpx_fast.Client(transport=httpx_fast.MockTransport(lambda request: Response(200)))
    assert hasattr(client, name)


@pytest.mark.parametrize(
    "name",
    [
        "_enforce_trailing_slash", "_get_proxy_map", "_init_transport", "_init_proxy_transport", "_transport_for_url",
        "_merge_url", "_merge_headers", "_merge_cookies", "_merge_queryparams", "_build_auth", "_build_request_auth",
        "_build_redirect_request", "_redirect_method", "_redirect_url", "_redirect_headers", "_redirect_stream",
        "_set_timeout",
    ],
)  # fmt: skip
def test_methods_that_others_override_are_there(name):
    theirs = getattr(httpx2.Client, name)
    assert [each[0] for each in parameters(getattr(httpx_fast.Client, name))] == [
        each[0] for each in parameters(theirs)
    ]
