"""Mistakes that type checkers have to find: each line that ends with `# wrong`, and no other. Nothing of it runs."""

from __future__ import annotations

import httpx_fast as httpx


def names_that_are_not_there(client: httpx.Client, response: httpx.Response) -> None:
    httpx.Clinet()  # wrong
    print(httpx.codes.NOT_FUOND)  # wrong
    print(httpx._transports.Nothing)  # wrong
    print(response.status)  # wrong
    client.gett("https://host.example/")  # wrong


def arguments_of_other_clients(client: httpx.Client) -> None:
    client.get("https://host.example/", allow_redirects=False)  # wrong
    httpx.get("https://host.example/", allow_redirects=False)  # wrong
    httpx.Client(proxies={})  # wrong
    httpx.HTTPTransport(proxies={})  # wrong


def values_of_wrong_types(client: httpx.Client) -> None:
    client.get(5)  # wrong
    client.get("https://host.example/", params=5)  # wrong
    client.get("https://host.example/", params={"a": object()})  # wrong
    client.get("https://host.example/", headers={"X-A": 1})  # wrong
    client.post("https://host.example/", content=5)  # wrong
    client.post("https://host.example/", content=["text"])  # wrong
    client.post("https://host.example/", files={"f": 5})  # wrong
    client.get("https://host.example/", timeout="5")  # wrong
    client.get("https://host.example/", follow_redirects="yes")  # wrong


async def results_that_are_awaited(client: httpx.AsyncClient) -> None:
    print(client.get("https://host.example/").status_code)  # wrong
    response = await client.get("https://host.example/")
    print(response.status_code + "text")  # wrong
    print(response.journey.nothing)  # wrong
