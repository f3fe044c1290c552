"""`json_dumps` and `json_loads` of a client: used by `json=` and `Response.json()`, and by nothing else."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

import httpx_fast

URL = "http://a.test/"


def echo(request: httpx_fast.Request) -> httpx_fast.Response:
    content_type = {"Content-Type": request.headers.get("Content-Type", "")}
    return httpx_fast.Response(200, content=request.read(), headers=content_type)


def client_of(**options: Any) -> httpx_fast.Client:
    return httpx_fast.Client(transport=httpx_fast.MockTransport(echo), **options)


def sorted_dumps(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


@pytest.mark.parametrize(
    "kind", [str, str.encode, lambda text: bytearray(text.encode())], ids=["str", "bytes", "bytearray"]
)
@pytest.mark.parametrize("arguments", [{}, {"headers": {"X": "1"}}, {"params": {"a": 1}}, {"cookies": None}])
def test_dumps_encodes_what_json_is_given(kind, arguments):
    with client_of(json_dumps=lambda value: kind(sorted_dumps(value))) as client:
        for url in (URL, httpx_fast.URL(URL)):
            response = client.post(url, json={"b": "ü", "a": 1}, **arguments)
            assert response.content == '{"a": 1, "b": "ü"}'.encode()
            assert response.headers["Content-Type"] == "application/json"
            assert response.request.headers["Content-Length"] == str(len(response.content))


def test_dumps_is_not_asked_for_other_bodies():
    with client_of(json_dumps=lambda _: pytest.fail("asked")) as client:
        assert client.post(URL, content=b"[]").content == b"[]"
        assert client.post(URL, data={"a": "1"}).content == b"a=1"
        assert client.get(URL).content == b""


def test_given_content_type_is_kept():
    with client_of(json_dumps=sorted_dumps) as client:
        assert (
            client.post(URL, json=1, headers={"Content-Type": "application/x"}).headers["Content-Type"]
            == "application/x"
        )


def test_loads_is_given_the_bytes_and_the_arguments():
    calls = []

    def loads(content: bytes, **arguments: Any) -> Any:
        calls.append((content, arguments))
        return "loaded"

    with client_of(json_loads=loads) as client:
        assert client.post(URL, json=[1]).json(type=int) == "loaded"
        assert client.post(URL, content=b"\xff").json() == "loaded"
    assert calls == [(b"[1]", {"type": int}), (b"\xff", {})]


class Failure(Exception):
    pass


def test_exception_of_loads_is_passed_on_with_a_note_on_the_response():
    def loads(content: bytes) -> Any:
        raise Failure("wrong")

    with client_of(json_loads=loads) as client, pytest.raises(Failure, match=r"^wrong") as caught:
        client.post(URL, content=b"<html>").json()
    assert "its content begins with b'<html>'" in caught.value.__notes__[0]


def test_exception_of_dumps_is_passed_on():
    def dumps(value: Any) -> bytes:
        raise Failure("wrong")

    with client_of(json_dumps=dumps) as client, pytest.raises(Failure, match=r"^wrong$"):
        client.post(URL, json=1)


@pytest.mark.parametrize("name", ["json_dumps", "json_loads"])
@pytest.mark.parametrize("kind", [httpx_fast.Client, httpx_fast.AsyncClient])
def test_what_cannot_be_called_is_refused(name, kind):
    with pytest.raises(TypeError, match=f"expected a callable or None as {name}, got 'orjson'"):
        kind(**{name: "orjson"})


def test_dumps_that_returns_anything_else_is_an_error():
    message = r"^json_dumps returned NoneType; expected bytes or str$"
    with client_of(json_dumps=lambda _: None) as client, pytest.raises(TypeError, match=message):
        client.post(URL, json=1)


def test_response_of_such_a_client_can_be_pickled():
    with client_of(json_loads=lambda content: "loaded") as client:
        response = client.post(URL, json=[1])
    assert pickle.loads(pickle.dumps(response)).json() == [1]


@pytest.mark.parametrize("library", ["orjson", "msgspec"])
def test_known_libraries(library):
    module = pytest.importorskip(library)
    functions = (module.dumps, module.loads) if library == "orjson" else (module.json.encode, module.json.decode)
    with client_of(json_dumps=functions[0], json_loads=functions[1]) as client:
        response = client.post(URL, json={"a": [1, None, "ü"]})
        assert response.content == '{"a":[1,null,"ü"]}'.encode()
        assert response.json() == {"a": [1, None, "ü"]}
        with pytest.raises(Exception, match=r"data|truncated") as caught:
            client.post(URL, content=b"{").json()
        assert caught.value.__notes__


def test_both_worlds(backend, nginx):
    async def body():
        async with backend.client(json_dumps=sorted_dumps, json_loads=lambda content: content[:2]) as client:
            response = await client.post(nginx.url("/echo"), json={"b": 1, "a": 2})
            assert response.content == b'{"a": 2, "b": 1}'
            assert response.json() == b'{"'

    backend.run(body)
