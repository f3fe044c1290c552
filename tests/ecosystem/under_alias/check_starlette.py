"""Starlette's TestClient: a client of its own class, with a transport and a body of its own."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket


async def echo(request: Request) -> JSONResponse:
    told = {"method": request.method, "url": str(request.url), "cookies": request.cookies}
    told["header"] = request.headers.get("x-header")
    if "form" not in request.headers.get("content-type", ""):
        return JSONResponse({**told, "body": (await request.body()).decode()})
    async with request.form() as form:
        values = {name: await value.read() if hasattr(value, "read") else value for name, value in form.items()}
    values = {name: value.decode() if isinstance(value, bytes) else value for name, value in values.items()}
    return JSONResponse({**told, "form": values})


async def visit(request: Request) -> RedirectResponse:
    response = RedirectResponse("/echo?from=visit", status_code=303)
    response.set_cookie("visited", "yes")
    return response


async def pieces(request: Request) -> StreamingResponse:
    return StreamingResponse((f"line {number}\n" for number in range(3)), headers={"X-Kind": "stream"})


async def broken(request: Request) -> PlainTextResponse:
    raise LookupError("in the application")


async def chat(socket: WebSocket) -> None:
    await socket.accept(subprotocol="chat")
    await socket.send_json({"path": socket.url.path, "said": await socket.receive_text()})
    await socket.close(4001)


app = Starlette(
    routes=[
        Route("/echo", echo, methods=["GET", "POST", "PUT", "DELETE"]),
        Route("/visit", visit, methods=["POST"]),
        Route("/pieces", pieces),
        Route("/broken", broken),
        WebSocketRoute("/chat", chat),
    ]
)


@pytest.fixture
def client():
    with TestClient(app, headers={"X-Header": "own"}) as client:
        yield client


def test_it_is_a_client_of_ours(client: TestClient):
    assert isinstance(client, httpx.Client)
    assert type(client.get("/echo")) is httpx.Response


def test_requests_reach_the_application(client: TestClient):
    told = client.put("/echo", params={"q": "ä b"}, json={"a": 1}).json()
    assert told["url"] == "http://testserver/echo?q=%C3%A4+b"
    assert (told["method"], told["body"], told["header"]) == ("PUT", '{"a":1}', "own")


def test_forms_and_files_reach_the_application(client: TestClient):
    assert client.post("/echo", data={"a": "1"}).json()["form"] == {"a": "1"}
    told = client.post("/echo", data={"a": "1"}, files={"f": ("n.txt", b"raw")}).json()
    assert told["form"] == {"a": "1", "f": "raw"}


def test_redirects_are_followed_and_cookies_kept(client: TestClient):
    response = client.post("/visit", content=b"body")
    assert (response.url, len(response.history)) == ("http://testserver/echo?from=visit", 1)
    assert response.json()["method"] == "GET"
    assert response.json()["cookies"] == {"visited": "yes"}
    assert client.post("/visit", follow_redirects=False).status_code == 303


def test_streams_come_through(client: TestClient):
    with client.stream("GET", "/pieces") as response:
        assert list(response.iter_lines()) == ["line 0", "line 1", "line 2"]
    assert response.headers["x-kind"] == "stream"


def test_errors_of_the_application_come_through():
    with pytest.raises(LookupError, match="in the application"):
        TestClient(app).get("/broken")
    assert TestClient(app, raise_server_exceptions=False).get("/broken").status_code == 500


def test_websockets_are_upgraded(client: TestClient):
    with client.websocket_connect("/chat", subprotocols=["chat"]) as session:
        session.send_text("hello")
        assert session.receive_json() == {"path": "/chat", "said": "hello"}
        assert session.receive() == {"type": "websocket.close", "code": 4001, "reason": ""}
