"""Resident memory of open idle connections, each kind in a process of its own.

    python bench/memory.py [--connections 1000]

A server in another process answers when all requests are there, so that all connections are open at once. What is
printed is what the process has grown by for each connection, once they are idle. Peaks that the allocator does not give
back are in it: OpenSSL 3.0 needs 55 KiB for each handshake that is under way; this package lets 256 of an event loop be
at once, of others all are. "trimmed" is the same after `malloc_trim(0)`, which gives back what glibc can. "bare" is a
socket and its reader's registration in asyncio's selector, with https an `ssl.SSLObject` as well, which has freed its
buffers; nothing can go below it.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import gc
import importlib
import socket
import ssl
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests" / "support")]

from certificates import Authority  # noqa: E402

HEAD = (
    b"HTTP/1.1 200 OK\r\nServer: patient\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Type: text/plain\r\n"
    b"Content-Length: 2\r\n\r\nok"
)
Get = Callable[[str], Awaitable[object]]


class Patient(asyncio.Protocol):
    """Answer /now at once, and everything else when `wanted` requests have arrived."""

    wanted = 0
    waiting: list[asyncio.Transport] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.waiting.append(self.transport)
        if b"/now" in data or len(self.waiting) >= self.wanted:
            for transport in self.waiting:
                transport.write(HEAD)
            self.waiting.clear()


async def serve(wanted: int, folder: str) -> None:
    Patient.wanted = wanted
    context = Authority(Path(folder)).server_context("127.0.0.1") if folder else None
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Patient, "127.0.0.1", 0, backlog=wanted, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


class Bare:
    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.answered: asyncio.Future[None] | None = None

    def read(self) -> None:
        self.sock.recv(1024)
        if self.answered is not None:
            self.answered.set_result(None)


def bare(port: int, connections: int, context: ssl.SSLContext | None) -> Get:
    kept: list[Any] = []

    async def get_over_tls(path: str) -> None:
        assert context is not None
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

        async def until_done(step: Callable[[], object]) -> None:
            while True:
                try:
                    step()
                except ssl.SSLWantReadError:
                    await loop.sock_sendall(sock, outgoing.read())
                    incoming.write(await loop.sock_recv(sock, 16384))
                else:
                    return

        await until_done(tls.do_handshake)
        tls.write(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        await until_done(lambda: tls.read(1024))
        tls.write(b"")  # frees a buffer of 16 KB that OpenSSL 3.0 keeps since it has read tickets
        loop.add_reader(sock.fileno(), sock.close)
        kept.append((sock, tls))

    async def get(path: str) -> None:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        await loop.sock_connect(sock, ("127.0.0.1", port))
        connection = Bare(sock)
        kept.append(connection)
        loop.add_reader(sock.fileno(), connection.read)
        connection.answered = loop.create_future()
        sock.send(f"GET {path} HTTP/1.1\r\n\r\n".encode())
        await connection.answered
        connection.answered = None

    return get if context is None else get_over_tls


def protocol(port: int, connections: int, context: ssl.SSLContext | None) -> Get:
    from loads import FloorConnection, request_for

    kept: list[FloorConnection] = []

    async def get(path: str) -> None:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_connection(
            lambda: FloorConnection(loop),
            "127.0.0.1",
            port,
            ssl=context,
            server_hostname="127.0.0.1" if context else None,
        )
        kept.append(connection)
        await connection.request(request_for(f"http://127.0.0.1:{port}{path}"))

    return get


def fast(port: int, connections: int, context: ssl.SSLContext | None) -> Get:
    import httpx_fast

    limits = httpx_fast.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = httpx_fast.AsyncClient(
        limits=limits, timeout=60, trust_env=False, verify=True if context is None else context
    )
    scheme = "http" if context is None else "https"

    async def get(path: str) -> None:
        await client.get(f"{scheme}://127.0.0.1:{port}{path}")

    return get


def aiohttp(port: int, connections: int, context: ssl.SSLContext | None) -> Get:
    aio: Any = importlib.import_module("aiohttp")
    session = aio.ClientSession(connector=aio.TCPConnector(limit=connections, ssl=context or True))
    scheme = "http" if context is None else "https"

    async def get(path: str) -> None:
        async with session.get(f"{scheme}://127.0.0.1:{port}{path}") as response:
            await response.read()

    return get


def httpx2(port: int, connections: int, context: ssl.SSLContext | None) -> Get:
    module: Any = importlib.import_module("httpx2")
    limits = module.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = module.AsyncClient(limits=limits, timeout=60, trust_env=False, verify=True if context is None else context)
    scheme = "http" if context is None else "https"

    async def get(path: str) -> None:
        await client.get(f"{scheme}://127.0.0.1:{port}{path}")

    return get


KINDS = {"bare": bare, "asyncio.Protocol": protocol, "httpx_fast": fast, "aiohttp": aiohttp, "httpx2": httpx2}


def resident() -> int:
    gc.collect()
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("Rss")).split()[1]) * 1024


def trim() -> None:
    """Have malloc give back what it can, where it is that of glibc."""
    release = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if release is not None:
        release(0)


async def growth(kind: str, connections: int, folder: str) -> tuple[float, float]:
    """Return the bytes for each connection, and the same once malloc was trimmed."""
    context = ssl.create_default_context(cafile=str(Path(folder) / "authority.pem")) if folder else None
    server = subprocess.Popen(
        [sys.executable, __file__, "--serve", "--connections", str(connections), "--tls", folder],
        stdout=subprocess.PIPE,
    )
    assert server.stdout is not None
    try:
        get = KINDS[kind](int(server.stdout.readline()), connections + 1, context)
        await get("/now")
        # What a thousand tasks cost by themselves is not the connections'.
        await asyncio.gather(*(asyncio.sleep(0.01) for _ in range(connections)))
        before = resident()
        await asyncio.gather(*(get("/") for _ in range(connections)))
        await asyncio.sleep(0.1)
        after = resident()
        trim()
        return (after - before) / connections, (resident() - before) / connections
    finally:
        server.kill()
        server.wait()


def in_a_process_of_its_own(kind: str, connections: int, folder: str) -> list[float]:
    command = [sys.executable, __file__, "--kind", kind, "--connections", str(connections), "--tls", folder]
    return [float(each) for each in subprocess.run(command, capture_output=True, check=True, text=True).stdout.split()]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--connections", type=int, default=1000)
    options.add_argument("--kind", choices=KINDS, help=argparse.SUPPRESS)
    options.add_argument("--tls", default="", help=argparse.SUPPRESS)
    options.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.serve:
        asyncio.run(serve(chosen.connections, chosen.tls))
    elif chosen.kind:
        print(*asyncio.run(growth(chosen.kind, chosen.connections, chosen.tls)))
    else:
        with tempfile.TemporaryDirectory() as folder:
            Authority(Path(folder)).issue("127.0.0.1")
            show(chosen.connections, folder)


def show(connections: int, folder: str) -> None:
    print(f"{'KiB for each idle connection':32}{'HTTP':>10}{'trimmed':>10}{'HTTPS':>10}{'trimmed':>10}")
    for kind in KINDS:
        try:
            plain = in_a_process_of_its_own(kind, connections, "")
            tls = in_a_process_of_its_own(kind, connections, folder)
        except subprocess.CalledProcessError as error:
            print(f"{kind:32} {error.stderr.strip().splitlines()[-1]}")
            continue
        print(f"{kind:32}" + "".join(f"{each / 1024:10.1f}" for each in (*plain, *tls)))


if __name__ == "__main__":
    main()
