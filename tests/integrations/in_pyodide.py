# ruff: noqa: F704, F821, PLE1142, PT017  # the server's URL is a global, and there is no pytest
"""Runs in Pyodide, where `URL` is a server's: see test_fetch.py. The last line says that all of it was done."""

import json

import httpx_fast
from httpx_fast._kernel import select
from httpx_fast.integrations.fetch import FetchTransport

assert select.IMPLEMENTATION == "python"


async def main():
    async with httpx_fast.AsyncClient(transport=FetchTransport(), base_url=URL, timeout=5) as client:
        response = await client.get("/a?b=c", headers={"X-Mine": "1"})
        told = response.json()  # decoded once, by fetch, although the response says gzip
        assert (response.status_code, told["method"], told["url"], told["fields"]["x-mine"]) == (
            200,
            "GET",
            "/a?b=c",
            "1",
        )
        assert response.headers["x-two"] == "a, b"
        assert "content-encoding" not in response.headers
        told = (await client.post("/", json={"a": "ä"})).json()
        assert (told["method"], told["fields"]["content-type"]) == ("POST", "application/json")
        assert json.loads(told["body"]) == {"a": "ä"}
        assert (await client.get("/missing")).status_code == 404
        response = await client.get("/moved")
        assert response.json()["url"] == "/there"
        assert response.extensions["url"] == f"{URL}/there"
        async with client.stream("GET", "/b") as response:
            assert b"".join([piece async for piece in response.aiter_bytes()]).startswith(b"{")
        await failures(client)


async def failures(client):
    for path, kind in (("/hang", httpx_fast.ReadTimeout), ("/cut", httpx_fast.ReadError)):
        try:
            await client.get(path, timeout=0.2)
        except kind as error:
            assert error.request.url.path == path
        else:
            raise AssertionError(f"{path} raised nothing")
    try:
        await client.get("http://127.0.0.1:1/")
    except httpx_fast.ConnectError as error:
        assert "fetch failed" in str(error)
    else:
        raise AssertionError("nobody listens there")


await main()  # Pyodide awaits at the top
print("all done")
