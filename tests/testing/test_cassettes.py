"""`Cassette`: what a server answered is played without it, in every backend."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import httpx_fast
from httpx_fast.testing import Cassette, LocalServer, NotRecorded, Reply, Request
from httpx_fast.testing.mocking import mocked

ENDINGS = ["json", "yaml"]


def reply(request: Request) -> Reply:
    path = request.target.partition("?")[0]
    told = json.dumps({"path": path, "name": "Zoë"}).encode()
    kind = ("Content-Type", "application/json")
    if path == "/gzip":
        return Reply(200, [kind, ("Content-Encoding", "gzip")], gzip.compress(told))
    if path == "/broken":
        return Reply(200, [kind, ("Content-Encoding", "gzip")], b"not gzip at all")
    if path == "/pieces":
        return Reply(200, [("Content-Type", "text/plain")], [b"one\n", b"two \xc3\xa9\n"])
    if path == "/binary":
        return Reply(200, [("X-Twice", "1"), ("X-Twice", "2")], bytes(range(256)))
    if path == "/from":
        return Reply(302, [("Location", "/json?token=hidden")])
    if path == "/login":
        secret = json.dumps({"access_token": "hidden", "expires": 60}).encode()
        return Reply(200, [kind, ("Set-Cookie", "sid=hidden; Path=/")], secret)
    if path == "/echo":
        return Reply(201, [], request.body)
    return Reply(200, [kind], told)


@pytest.fixture
def server() -> Iterator[LocalServer]:
    with LocalServer(tls=False, answer=reply) as started:
        yield started


@pytest.fixture
def url(server: LocalServer) -> str:
    return server.url


Shape = tuple[int, str, list[tuple[str, str]], bytes, list[str]]


def shape(response: httpx_fast.Response) -> Shape:
    fields = [pair for pair in response.headers.multi_items() if pair[0] != "set-cookie"]
    history = [str(each.url) for each in response.history]
    return response.status_code, response.http_version, fields, response.content, history


def ask(backend: Any, *requests: tuple[str, str], **options: Any) -> list[httpx_fast.Response]:
    async def body() -> list[httpx_fast.Response]:
        async with backend.client(follow_redirects=True) as client:
            return [await client.request(method, url, **options) for method, url in requests]

    answers: list[httpx_fast.Response] = backend.run(body)
    return answers


@pytest.mark.parametrize("ending", ENDINGS)
def test_what_is_played_is_what_was_recorded(backend, tmp_path: Path, ending: str):
    if ending == "yaml":
        pytest.importorskip("yaml", reason="PyYAML is not installed")
    path = tmp_path / "deeper" / f"c.{ending}"
    with LocalServer(tls=False, answer=reply) as server:
        asked = [("GET", f"{server.url}{path}") for path in ("/json", "/gzip", "/pieces", "/binary", "/from")]
        asked += [("HEAD", f"{server.url}/gzip"), ("POST", f"{server.url}/echo")]
        with Cassette(path) as cassette:
            recorded = [shape(response) for response in ask(backend, *asked)]
        assert (cassette.recorded, cassette.played) == (8, 0)
    with Cassette(path) as cassette:
        played = [shape(response) for response in ask(backend, *asked)]
    assert (cassette.recorded, cassette.played) == (0, 8)
    assert played == recorded
    assert played[4][4] == [asked[4][1]]
    assert [json.loads(each[3])["name"] for each in (played[0], played[1], played[4])] == ["Zoë"] * 3
    assert "content-encoding" not in dict(played[1][2])
    assert played[3][3] == bytes(range(256))
    assert played[2][3] == "one\ntwo é\n".encode()
    if ending == "json":
        assert json.loads(path.read_text(encoding="utf-8"))["exchanges"][2]["response"]["body"]["text"] == [
            "one\n",
            "two é\n",
        ]
    assert [value for name, value in played[3][2] if name == "x-twice"] == ["1", "2"]


def test_a_body_that_cannot_be_decoded_is_played_as_it_came(backend, server: LocalServer, tmp_path: Path):
    for _ in range(2):
        with Cassette(tmp_path / "c.json") as cassette, pytest.raises(httpx_fast.DecodingError, match="gzip"):
            ask(backend, ("GET", f"{server.url}/broken"))
    assert cassette.played == 1


def test_a_streamed_response_and_a_streamed_request_are_recorded(backend, url: str, tmp_path: Path):
    async def body() -> bytes:
        async with backend.client() as client:
            content = backend.content([b"one ", b"two"])
            async with client.stream("POST", f"{url}/echo", content=content) as response:
                return b"".join([piece async for piece in response.aiter_bytes(3)])

    for _ in range(2):
        with Cassette(tmp_path / "c.json", match=("method", "url", "body")) as cassette:
            assert backend.run(body) == b"one two"
    assert cassette.played == 1


def test_the_file_is_readable_and_has_no_secrets(backend, url: str, tmp_path: Path):
    path = tmp_path / "c.json"
    with Cassette(path):
        (response,) = ask(
            backend,
            ("POST", f"{url}/login?api_key=hidden&page=2"),
            headers={"Authorization": "Bearer hidden", "Cookie": "old=hidden"},
            json={"user": "ann", "password": "hidden"},
        )
    assert response.json()["access_token"] == "hidden"  # the client has what came
    assert response.cookies["sid"] == "hidden"
    text = path.read_text(encoding="utf-8")
    assert "hidden" not in text
    (exchange,) = json.loads(text)["exchanges"]
    assert exchange["request"]["url"] == f"{url}/login?api_key=[secure]&page=2"
    assert exchange["request"]["body"]["json"] == {"user": "ann", "password": "[secure]"}
    assert exchange["response"]["body"]["json"] == {"access_token": "[secure]", "expires": 60}
    assert ["Set-Cookie", "sid=[secure]; Path=/"] in exchange["response"]["fields"]
    with Cassette(path, match=("method", "url", "body")):
        (response,) = ask(
            backend, ("POST", f"{url}/login?page=2&api_key=another"), json={"user": "ann", "password": "another"}
        )
    assert (response.json()["access_token"], response.cookies["sid"]) == ("[secure]", "[secure]")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"a":[1,"é"]}', "json"),
        ('{"a": "\\u00e9"}\n', "json"),
        ('{\n  "a": 1.5\n}\r\n', "json"),
        ('{\n    "a": {}\n}', "json"),
        ('{"a":1,"a":2}', "text"),  # not the same when it is written again
        ('{ "a":1.50 }', "text"),
        ('{"a": "\\ud800"}', "text"),
        ("{\n1", "text"),
        ("one\u2028two\r\nthree", "text"),
        ("\ufeff{}", "text"),
    ],
)
@pytest.mark.parametrize("ending", ENDINGS)
def test_bodies_are_played_byte_for_byte(tmp_path: Path, text: str, kind: str, ending: str):
    if ending == "yaml":
        pytest.importorskip("yaml", reason="PyYAML is not installed")
    path = tmp_path / f"c.{ending}"
    fields = [("Content-Type", "application/problem+json; charset=utf-8")]
    with LocalServer(tls=False, answer=lambda request: Reply(200, fields, text.encode())) as server, Cassette(path):
        assert httpx_fast.get(server.url).content == text.encode()
    with Cassette(path, mode="none"):
        assert httpx_fast.get(server.url).content == text.encode()
    assert (f'"{kind}":' if ending == "json" else f"      {kind}:") in path.read_text(encoding="utf-8")


def test_half_a_character_beside_a_secret_can_be_written(tmp_path: Path):
    text = '{"token": "hidden", "a": "\\ud800"}'
    fields = [("Content-Type", "application/json")]
    server = LocalServer(tls=False, answer=lambda request: Reply(200, fields, text.encode()))
    with server, Cassette(tmp_path / "c.json"):
        httpx_fast.get(server.url)
    with Cassette(tmp_path / "c.json", mode="none"):
        assert httpx_fast.get(server.url).json() == {"token": "[secure]", "a": "\ud800"}


def test_forms_and_parts_keep_their_secrets(url: str, tmp_path: Path):
    path = tmp_path / "c.json"
    with Cassette(path), httpx_fast.Client() as client:
        client.post(f"{url}/json", data={"password": "hidden", "user": "ann"})
        client.post(f"{url}/json", data={"password": "hidden"}, files={"f": b"hidden"})
    text = path.read_text(encoding="utf-8")
    assert "hidden" not in text
    assert "user=ann" in text


def test_an_unknown_request_is_refused_with_the_nearest_one(backend, url: str, tmp_path: Path):
    with Cassette(tmp_path / "c.json"):
        ask(backend, ("GET", f"{url}/json?page=1"), ("GET", f"{url}/binary"))
    with Cassette(tmp_path / "c.json"):
        with pytest.raises(
            NotRecorded, match=r"GET .*page=2 is not on the cassette .*nearest one is GET .*page=1, with another url$"
        ):
            ask(backend, ("GET", f"{url}/json?page=2"))
        with pytest.raises(NotRecorded, match=r"nearest one is GET .*/binary, with another method$"):
            ask(backend, ("PUT", f"{url}/binary"))


def test_bodies_are_compared_if_that_is_asked_for(url: str, tmp_path: Path):
    path = tmp_path / "c.json"
    with Cassette(path), httpx_fast.Client() as client:
        for number in (1, 2):
            client.post(f"{url}/echo", json={"n": number})
    with Cassette(path, match=("method", "url", "body")), httpx_fast.Client() as client:
        assert client.post(f"{url}/echo", content=b'{"n": 2}', headers={"Content-Type": "application/json"}).json() == {
            "n": 2
        }
        with pytest.raises(NotRecorded, match=r"with another body .*'n': [12].*, not .*'n': 3"):
            client.post(f"{url}/echo", json={"n": 3})


def test_exchanges_are_played_once_in_order_or_the_last_one_again(url: str, tmp_path: Path):
    path = tmp_path / "c.json"
    with Cassette(path), httpx_fast.Client() as client:
        for content in (b"a", b"b"):
            client.post(f"{url}/echo", content=content)
    with Cassette(path, repeat=True), httpx_fast.Client() as client:
        assert [client.post(f"{url}/echo").text for _ in range(3)] == ["a", "b", "b"]
    with Cassette(path), httpx_fast.Client() as client:
        assert [client.post(f"{url}/echo").text for _ in range(2)] == ["a", "b"]
        with pytest.raises(NotRecorded, match="recorded 2 times and played as often"):
            client.post(f"{url}/echo")


def test_modes(url: str, tmp_path: Path):
    path = tmp_path / "c.json"
    with pytest.raises(FileNotFoundError, match="records none"), Cassette(path, mode="none"):
        pass
    for mode, path_asked, counts in [
        ("new", "/json", (1, 0)),
        ("new", "/json", (0, 1)),
        ("new", "/binary", (1, 0)),
        ("none", "/binary", (0, 1)),
        ("once", "/json", (0, 1)),
        ("all", "/binary", (1, 0)),
    ]:
        with Cassette(path, mode=mode) as cassette:
            httpx_fast.get(f"{url}{path_asked}")
        assert (cassette.recorded, cassette.played) == counts, (mode, path_asked)
    assert len(json.loads(path.read_text(encoding="utf-8"))["exchanges"]) == 1
    with Cassette(path, mode="none"), pytest.raises(NotRecorded, match="mode='none'"):
        httpx_fast.get(f"{url}/json")


def test_nothing_is_written_by_a_block_that_failed(url: str, tmp_path: Path):
    with pytest.raises(LookupError, match="later"), Cassette(tmp_path / "c.json"):
        httpx_fast.get(f"{url}/json")
        raise LookupError("later")
    assert list(tmp_path.iterdir()) == []


def test_an_edit_changes_or_drops_what_is_written(url: str, tmp_path: Path):
    def edit(exchange: dict[str, Any]) -> dict[str, Any] | None:
        exchange["response"]["fields"] = []
        return exchange if exchange["request"]["url"].endswith("/json") else None

    with Cassette(tmp_path / "c.json", edit=edit), httpx_fast.Client() as client:
        assert client.get(f"{url}/json").headers["content-type"] == "application/json"
        client.get(f"{url}/binary")
    (exchange,) = json.loads((tmp_path / "c.json").read_text(encoding="utf-8"))["exchanges"]
    assert exchange["response"]["fields"] == []


def test_blocks_nest_and_end(url: str, tmp_path: Path):
    with mocked() as mock:
        mock.add_response(text="mocked")
        with Cassette(tmp_path / "c.json") as cassette:
            assert httpx_fast.get("https://api.example/").text == "mocked"
            with pytest.raises(RuntimeError, match="in use"), cassette:
                pass
    assert cassette.recorded == 1
    assert httpx_fast.get(f"{url}/echo").status_code == 201


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"version": 2, "exchanges": []}', '{"version": 1, "exchanges": [{}]}', ""]
)
def test_a_file_that_is_no_cassette_is_named(tmp_path: Path, content: str):
    path = tmp_path / "c.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=r"c\.json is not a cassette"), Cassette(path):
        pass
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cassette("c.txt"), r"ends in \.json"),
        (lambda: Cassette("c.json", mode="some"), "once, none, new, all"),
        (lambda: Cassette("c.json", match="url"), "method, url, body"),
        (lambda: Cassette("c.json", match=()), "method, url, body"),
    ],
)
def test_wrong_settings_are_refused(make: Callable[[], Cassette], message: str):
    with pytest.raises(ValueError, match=message):
        make()
