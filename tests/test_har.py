"""Responses as HAR 1.2: what the format demands, what becomes of times, and that no secret is in it."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import pytest
from browser import chromium
from peers import OK, answering

import httpx_fast
from httpx_fast import har
from httpx_fast._masking import MASK
from httpx_fast.testing import LocalServer, Reply, Request, answer

#: Members that the format demands, with their types: http://www.softwareishard.com/blog/har-12-spec/
ENTRY = {
    "startedDateTime": str,
    "time": (int, float),
    "request": dict,
    "response": dict,
    "cache": dict,
    "timings": dict,
}
REQUEST = {"method": str, "url": str, "httpVersion": str, "cookies": list, "headers": list, "queryString": list}
RESPONSE = {"status": int, "statusText": str, "httpVersion": str, "cookies": list, "headers": list, "content": dict}
SIZES = {"headersSize": int, "bodySize": int}
TIMINGS = ("blocked", "dns", "connect", "ssl", "send", "wait", "receive")


def assert_members(told: dict[str, Any], demanded: dict[str, Any]) -> None:
    for name, kind in demanded.items():
        assert isinstance(told[name], kind), name


def assert_valid(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Looks for what the format demands; returns the entries."""
    log = json.loads(json.dumps(document))["log"]
    assert log["version"] == "1.2"
    assert_members(log["creator"], {"name": str, "version": str})
    for entry in log["entries"]:
        assert_members(entry, ENTRY)
        assert_members(entry["request"], REQUEST | SIZES)
        assert_members(entry["response"], RESPONSE | SIZES | {"redirectURL": str})
        assert_members(entry["response"]["content"], {"size": int, "mimeType": str})
        for pair in (*entry["request"]["headers"], *entry["response"]["headers"], *entry["request"]["queryString"]):
            assert_members(pair, {"name": str, "value": str})
        assert set(entry["timings"]) == set(TIMINGS)
        assert all(entry["timings"][name] >= 0 for name in ("send", "wait", "receive"))
        spent = [entry["timings"][name] for name in TIMINGS if name != "ssl" and entry["timings"][name] > 0]
        assert entry["time"] == pytest.approx(sum(spent), abs=0.01)
        assert dt.datetime.fromisoformat(entry["startedDateTime"]).tzinfo is not None
    entries: list[dict[str, Any]] = log["entries"]
    return entries


def test_responses_of_a_server_with_tls() -> None:
    with LocalServer() as server, httpx_fast.Client(verify=server.client_context(), trust_env=False) as client:
        first = client.get(f"{server.url}/redirect/1?q=a+b", follow_redirects=True)
        with client.stream("POST", f"{server.url}/bytes/1000", content=b"text") as second:
            for _ in second.iter_bytes():
                pass
    started = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
    entries = assert_valid(har([*first.history, first, second], started=started))
    assert [each["response"]["status"] for each in entries] == [302, 200, 200]
    assert entries[0]["startedDateTime"] == "2026-11-29T12:00:00.000+00:00"
    assert entries[0]["request"]["queryString"] == [{"name": "q", "value": "a b"}]
    assert entries[0]["response"]["redirectURL"] == "/"
    timings = entries[0]["timings"]
    assert timings["connect"] >= timings["ssl"] > 0
    assert [entries[1]["timings"][name] for name in ("dns", "connect", "ssl")] == [-1, -1, -1]
    assert entries[0]["serverIPAddress"] in ("127.0.0.1", "::1")
    assert entries[0]["connection"] == entries[1]["connection"]
    assert json.loads(entries[1]["response"]["content"]["text"])["method"] == "GET"
    assert entries[2]["request"]["postData"] == {"mimeType": "", "params": [], "text": "text"}
    assert entries[2]["response"]["content"] == {"size": 1000, "mimeType": "application/octet-stream"}
    assert entries[2]["response"]["bodySize"] == 1000


def test_entries_begin_one_after_the_other_now() -> None:
    before = dt.datetime.now(dt.UTC)
    with LocalServer(tls=False) as server, httpx_fast.Client(trust_env=False) as client:
        responses = [client.get(server.url) for _ in range(3)]
    moments = [dt.datetime.fromisoformat(each["startedDateTime"]) for each in assert_valid(har(responses))]
    assert moments == sorted(moments)
    assert before - dt.timedelta(seconds=1) <= moments[0] <= moments[-1] <= dt.datetime.now(dt.UTC)


def leaky(request: Request) -> Reply:
    if request.target.startswith("/login"):
        fields = [("Set-Cookie", "sid=hunter2; Path=/x; Secure; HttpOnly"), ("Content-Type", "application/json")]
        location = ("Location", "https://u:hunter2@h/?access_token=hunter2#id_token=hunter2")
        return Reply(
            200, [*fields, location], b'{"access_token": "hunter2", "deep": [{"Password": "hunter2"}], "author": "me"}'
        )
    return answer(request)


def test_no_secret_is_in_it() -> None:
    with LocalServer(tls=False, answer=leaky) as server, httpx_fast.Client(trust_env=False) as client:
        origin = server.url.replace("//", "//user:hunter2@")
        secrets: dict[str, Any] = {"headers": {"X-Api-Key": "hunter2"}, "params": {"token": "hunter2", "page": "1"}}
        kinds: list[dict[str, Any]] = [
            {"data": {"password": "hunter2", "name": "me"}},
            {"json": {"client_secret": "hunter2", "author": "me"}},
            {"content": b'{"password": "hunter2', "headers": {"Content-Type": "application/json"}},
            {"files": {"file": ("f", b"hunter2")}},
        ]
        client.headers["Cookie"] = "sid=hunter2"
        responses = [client.post(f"{origin}/login", **(secrets | kind)) for kind in kinds]
    entries = assert_valid(har(responses))
    assert "hunter2" not in json.dumps(entries)
    assert base64.b64encode(b"user:hunter2").decode() not in json.dumps(entries)
    first = entries[0]
    assert first["request"]["url"].endswith(f"/login?token={MASK}&page=1")
    assert first["request"]["cookies"] == [{"name": "sid", "value": MASK}]
    assert first["request"]["postData"]["params"] == [
        {"name": "password", "value": MASK},
        {"name": "name", "value": "me"},
    ]
    cookie = {"name": "sid", "value": MASK, "path": "/x", "httpOnly": True, "secure": True}
    assert first["response"]["cookies"] == [cookie]
    assert json.loads(first["response"]["content"]["text"])["author"] == "me"
    assert json.loads(entries[1]["request"]["postData"]["text"]) == {"client_secret": MASK, "author": "me"}


def test_content_that_is_no_text_is_base64() -> None:
    request = httpx_fast.Request("GET", "http://localhost/")
    told = [
        ("image/png", b"\x89PNG\xff"),
        ("text/plain; charset=utf-16", "ü".encode("utf-16")),
        ("text/plain", b"\xff"),
    ]
    responses = [
        httpx_fast.Response(200, headers={"Content-Type": kind}, content=body, request=request) for kind, body in told
    ]
    contents = [each["response"]["content"] for each in assert_valid(har(responses))]
    assert base64.b64decode(contents[0]["text"]) == b"\x89PNG\xff"
    assert contents[0]["encoding"] == contents[2]["encoding"] == "base64"
    assert (contents[1]["text"], contents[1].get("encoding")) == ("ü", None)


def test_nothing_makes_a_document_without_entries() -> None:
    assert assert_valid(har([])) == []


def test_a_recording_with_a_failure_is_a_document(peer: Any) -> None:
    moved = b"HTTP/1.1 302 Found\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"
    server = peer(answering(moved, OK, b"nonsense\r\n\r\n"))
    with httpx_fast.Client(follow_redirects=True, trust_env=False) as client, client.record() as recording:
        last = client.get(server.url())
        with pytest.raises(httpx_fast.RemoteProtocolError, match="nonsense"):
            client.get(server.url("/?token=hunter2"))
    entries = assert_valid(har([*recording, last]))
    assert [entry["response"]["status"] for entry in entries] == [302, 200, 0]
    assert entries[2]["comment"].startswith("RemoteProtocolError: ")
    assert entries[2]["request"]["url"].endswith("/?token=[secure]")
    begun = [dt.datetime.fromisoformat(entry["startedDateTime"]) for entry in entries]
    assert begun == sorted(begun)
    assert abs((dt.datetime.now(dt.UTC) - begun[0]).total_seconds()) < 600


def test_the_developer_tools_of_chromium_read_it() -> None:
    """Their importer makes the requests of their network panel of it."""
    with (
        LocalServer() as server,
        httpx_fast.Client(verify=server.client_context(), trust_env=False) as client,
        client.record() as recording,
    ):
        client.get(f"{server.url}/redirect/1?token=hunter2", follow_redirects=True)
        client.post(f"{server.url}/bytes/100", content=b"text")
        with pytest.raises(httpx_fast.ConnectError, match="could not connect"):
            client.get("https://localhost:1/")
    document = har(recording)
    entries = document["log"]["entries"]
    with chromium() as page:
        page.visit("devtools://devtools/bundled/devtools_app.html")
        found = page.run(
            f"""
            const har = await import("./models/har/har.js").catch(() => null);
            if (har === null) return null;
            const root = new har.HARFormat.HARRoot({json.dumps(document)});
            return har.Importer.Importer.requestsFromHARLog(root.log).map(
                each => [each.requestMethod, each.url(), each.statusCode, each.duration * 1000]);
            """
        )
    if found is None:
        pytest.skip("this Chromium keeps its importer elsewhere")
    assert [each[:3] for each in found] == [
        [entry["request"]["method"], entry["request"]["url"], entry["response"]["status"]] for entry in entries
    ]
    assert [each[3] for each in found] == pytest.approx([entry["time"] for entry in entries], abs=0.01)
    assert [each[2] for each in found] == [302, 200, 200, 0]
