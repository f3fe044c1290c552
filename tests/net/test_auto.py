"""Which world the code runs in."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from net_worlds import World

from httpx_fast._net.asyncio import AsyncioBackend
from httpx_fast._net.auto import backend_for, current_token, has_ended


def test_the_world_that_runs_is_found(backend: World):
    if not backend.asynchronous:
        pytest.skip("no loop runs")
    tokens: list[object] = []

    async def body() -> None:
        token = current_token()
        assert token is current_token()
        assert backend_for(token).name == ("trio" if "trio" in backend.name else "asyncio")
        assert not has_ended(token)
        tokens.append(token)

    for _ in range(2):
        backend.run(body)
    assert tokens[0] is not tokens[1]
    assert all(map(has_ended, tokens))


def test_no_world_is_an_error_in_words():
    with pytest.raises(RuntimeError, match="works only while an event loop runs, of asyncio or trio"):
        current_token()


def test_trio_as_a_guest_of_asyncio_is_told_apart():
    trio = pytest.importorskip("trio")

    async def guest() -> str:
        return backend_for(current_token()).name

    async def host() -> tuple[str, str]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        trio.lowlevel.start_guest_run(
            guest, run_sync_soon_threadsafe=loop.call_soon_threadsafe, done_callback=done.set_result
        )
        assert isinstance(backend_for(current_token()), AsyncioBackend)
        return (await done).unwrap(), backend_for(current_token()).name

    assert asyncio.run(host()) == ("trio", "asyncio")


def test_asyncio_alone_does_not_import_trio_nor_anyio():
    code = (
        "import asyncio, sys\n"
        "from httpx_fast._net.auto import backend_for, current_token\n"
        "async def main():\n"
        "    assert backend_for(current_token()).name == 'asyncio'\n"
        "asyncio.run(main())\n"
        "assert not {'trio', 'anyio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
