"""The SDK of the Model Context Protocol: event streams that stay open beside requests, under one client."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import anyio
import pytest
import uvicorn
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer


@pytest.fixture
def url() -> Iterator[str]:
    server = MCPServer("adder")

    @server.tool()
    def add(a: int, b: int) -> int:
        return a + b

    listener = socket.create_server(("127.0.0.1", 0))
    served = uvicorn.Server(uvicorn.Config(server.streamable_http_app(), log_level="critical"))
    thread = threading.Thread(target=served.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"
    finally:
        served.should_exit = True
        thread.join()
        listener.close()


def test_tools_are_listed_and_called(url: str):
    async def ask() -> tuple[list[str], str]:
        async with streamable_http_client(url) as streams, ClientSession(streams[0], streams[1]) as session:
            await session.initialize()
            tools = await session.list_tools()
            result = await session.call_tool("add", {"a": 1, "b": 2})
            return [tool.name for tool in tools.tools], result.content[0].text

    assert anyio.run(ask) == (["add"], "3")
